//! Who may use the agent: programs of its user, which have its token or can open its socket; no other user of the
//! machine, and no page in a browser.

use super::refusal::Refusal;
use data_encoding::BASE64;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, HOST, ORIGIN, PROXY_AUTHORIZATION};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use keybound_dpop::secret::Secret;
use std::net::SocketAddr;
use zeroize::Zeroizing;

/// The agent's token, for clients whose `Authorization` and URL cannot hold it.
pub(super) const TOKEN: HeaderName = HeaderName::from_static("keybound-agent-token");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How a request comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The agent is called as if it were the API.
    Reverse,
    /// The agent is a proxy, and is told the whole URL.
    Forward,
    /// The agent is a proxy, and is asked for a tunnel.
    Connect,
    /// Within a tunnel that the agent ends itself.
    Inside,
}

impl Way {
    fn of(request: &Parts) -> Self {
        match (&request.method, request.uri.scheme()) {
            (&Method::CONNECT, _) => Self::Connect,
            (_, Some(_)) if request.version < http::Version::HTTP_2 => Self::Forward,
            _ => Self::Reverse,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Reverse => "reverse",
            Self::Forward => "forward",
            Self::Connect => "connect",
            Self::Inside => "tunnel",
        }
    }
}

/// Where the agent listens.
#[derive(Clone, Debug)]
pub enum Entrance {
    /// On a loopback address, where every request carries the token.
    Tcp(SocketAddr, Secret),
    /// On a Unix socket, which nobody else can open.
    Unix,
}

/// What every request is held against.
#[derive(Debug)]
pub(super) struct Gate {
    entrance: Entrance,
    /// By which names the agent itself is called, in `Host`.
    names: Vec<String>,
    /// Pages of these origins may use it.
    pages: Vec<HeaderValue>,
}

impl Gate {
    pub(super) fn new(entrance: Entrance, pages: Vec<HeaderValue>) -> Self {
        let names = match &entrance {
            Entrance::Tcp(address, _) => vec![address.to_string(), format!("localhost:{}", address.port())],
            Entrance::Unix => Vec::new(),
        };
        Self { entrance, names, pages }
    }

    /// How a request comes in. Some programs ask their proxy even for the proxy's own address.
    pub(super) fn way_of(&self, request: &Parts) -> Way {
        match Way::of(request) {
            Way::Forward if self.is_called(request) => Way::Reverse,
            way => way,
        }
    }

    /// Lets a request in, or says why not.
    pub(super) fn check(&self, way: Way, request: &Parts) -> Result<(), Refusal> {
        if request.method == Method::TRACE {
            return Err(Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "TRACE would show the token to its caller",
            ));
        }
        let Entrance::Tcp(..) = &self.entrance else { return Ok(()) };
        if way == Way::Reverse && !self.is_called(request) {
            let text = "it is called by another name than that of its address, as a page in a browser would do; \
                        use http://ADDRESS:PORT as it told at its start";
            return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, text));
        }
        self.check_page(request)?;
        if self.is_preflight(way, request) {
            return Ok(());
        }
        let (fields, refusal): (&[HeaderName], fn() -> Refusal) = match way {
            Way::Inside => return Ok(()),
            Way::Reverse => (&[TOKEN, AUTHORIZATION], Refusal::of_reverse),
            Way::Forward | Way::Connect => (&[PROXY_AUTHORIZATION, TOKEN], Refusal::of_proxy),
        };
        let is_shown = fields.iter().any(|name| self.is_shown_in(&request.headers, name));
        if is_shown { Ok(()) } else { Err(refusal()) }
    }

    /// Whether a field shows the agent's token.
    pub(super) fn is_shown_in(&self, headers: &HeaderMap, name: &HeaderName) -> bool {
        let Entrance::Tcp(_, token) = &self.entrance else { return false };
        shown(headers, name).is_some_and(|shown| shown == *token)
    }

    /// The page that calls the agent like an API, and may. In a tunnel and at a proxy it is the server that answers
    /// pages.
    pub(super) fn page_of(&self, way: Way, request: &Parts) -> Option<&HeaderValue> {
        if way != Way::Reverse || self.pages.is_empty() || !self.is_called(request) {
            return None;
        }
        let origin = request.headers.get(ORIGIN)?;
        self.pages.iter().find(|page| *page == origin)
    }

    /// Whether a browser asks what a page may send (Fetch §3.3.2, "CORS-preflight request"). It never has the token with
    /// it, and no server is asked.
    pub(super) fn is_preflight(&self, way: Way, request: &Parts) -> bool {
        request.method == Method::OPTIONS
            && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
            && self.page_of(way, request).is_some()
    }

    /// A name that leads here without being ours is how a page reaches programs that listen on loopback ("DNS
    /// rebinding").
    fn is_called(&self, request: &Parts) -> bool {
        let host = match request.headers.get(HOST) {
            Some(host) => host.as_bytes(),
            None => request.uri.authority().map_or("", |authority| authority.as_str()).as_bytes(),
        };
        self.names.iter().any(|name| host.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Pages of other sites must not act with the tokens of the user (RFC 9700 §4.7 has the same for browsers).
    fn check_page(&self, request: &Parts) -> Result<(), Refusal> {
        let origin = request.headers.get(ORIGIN);
        let site = request.headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
        if origin.is_none() && site.is_none() {
            return Ok(());
        }
        let is_fine = match (origin, site) {
            (Some(origin), _) if self.is_page(origin) => true,
            (Some(origin), None | Some(b"same-origin")) => self.is_own(origin, request),
            (None, Some(site)) => matches!(site, b"none" | b"same-origin"),
            _ => false,
        };
        let text = "pages in a browser may not use it; a program that sends Origin or Sec-Fetch-Site is let in by \
                    --allow-origin";
        if is_fine { Ok(()) } else { Err(Refusal::new(StatusCode::FORBIDDEN, text)) }
    }

    /// Whether that is an origin whose pages may use the agent.
    pub(super) fn is_page(&self, origin: &HeaderValue) -> bool {
        self.pages.contains(origin)
    }

    /// Whether that is the origin which the request itself is for.
    fn is_own(&self, origin: &HeaderValue, request: &Parts) -> bool {
        let Some((_, host)) = origin.to_str().ok().and_then(|origin| origin.split_once("://")) else {
            return false;
        };
        let asked = request.uri.authority().map(|authority| authority.as_str());
        let asked = asked.or_else(|| request.headers.get(HOST)?.to_str().ok());
        asked.is_some_and(|asked| asked.eq_ignore_ascii_case(host))
    }
}

/// The token in a field: as such, after `Bearer`, or as the password of `Basic`, whatever the user is called.
fn shown(headers: &HeaderMap, name: &HeaderName) -> Option<Secret> {
    let mut lines = headers.get_all(name).iter();
    let (line, None) = (lines.next()?.to_str().ok()?, lines.next()) else { return None };
    if *name == TOKEN {
        return Some(Secret::new(line));
    }
    let (scheme, credentials) = line.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("Bearer") {
        return Some(Secret::new(credentials));
    }
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let pair = Zeroizing::new(BASE64.decode(credentials.as_bytes()).ok()?);
    let (_, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some(Secret::new(password))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    const T: &str = "t0ken";

    fn gate() -> Gate {
        let address = "127.0.0.1:8111".parse().expect("an address");
        Gate::new(
            Entrance::Tcp(address, Secret::new(T)),
            vec![HeaderValue::from_static("https://tool.example")],
        )
    }

    fn asked(gate: &Gate, line: &str, fields: &[(&str, &str)]) -> Result<(), StatusCode> {
        let (method, target) = line.split_once(' ').expect("a request line");
        let mut builder = Request::builder().method(method).uri(target);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        let parts = builder.body(()).expect("a request").into_parts().0;
        gate.check(gate.way_of(&parts), &parts).map_err(|refusal| refusal.status)
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", BASE64.encode(pair.as_bytes()))
    }

    #[test]
    fn atk_125_every_way_needs_the_token() {
        let host = ("host", "127.0.0.1:8111");
        let proxied = |name, value: &str| {
            let forward =
                asked(&gate(), "GET http://api.example/x", &[("host", "api.example"), (name, value)]);
            let connect =
                asked(&gate(), "CONNECT api.example:443", &[("host", "api.example:443"), (name, value)]);
            assert_eq!(forward, connect);
            forward
        };
        for right in [basic(&format!("keybound:{T}")), basic(&format!(":{T}")), format!("bearer {T}")] {
            assert_eq!(proxied("proxy-authorization", &right), Ok(()));
            assert_eq!(proxied("authorization", &right), Err(StatusCode::PROXY_AUTHENTICATION_REQUIRED));
            assert_eq!(asked(&gate(), "GET /x", &[host, ("authorization", &right)]), Ok(()));
            let elsewhere = asked(&gate(), "GET /x", &[host, ("proxy-authorization", &right)]);
            assert_eq!(elsewhere, Err(StatusCode::UNAUTHORIZED));
        }
        assert_eq!(asked(&gate(), "GET /x", &[host, ("keybound-agent-token", T)]), Ok(()));
        for wrong in
            [basic(T), basic("keybound:t0keN"), basic("keybound:"), "Bearer t0ken2".to_owned(), T.to_owned()]
        {
            assert_eq!(
                proxied("proxy-authorization", &wrong),
                Err(StatusCode::PROXY_AUTHENTICATION_REQUIRED)
            );
            let reverse = asked(&gate(), "GET /x", &[host, ("authorization", &wrong)]);
            assert_eq!(reverse, Err(StatusCode::UNAUTHORIZED), "{wrong}");
        }
        let itself = "GET http://127.0.0.1:8111/x";
        assert_eq!(asked(&gate(), itself, &[host, ("authorization", &format!("Bearer {T}"))]), Ok(()));
        assert_eq!(asked(&gate(), itself, &[host]), Err(StatusCode::UNAUTHORIZED));
        let twice = [host, ("keybound-agent-token", T), ("keybound-agent-token", T)];
        assert_eq!(asked(&gate(), "GET /x", &twice), Err(StatusCode::UNAUTHORIZED));
    }

    #[test]
    fn atk_125_a_page_does_not_get_in_even_with_the_token() {
        let with = |host: &str, fields: &[(&str, &str)]| {
            let all = [&[("host", host), ("keybound-agent-token", T)], fields].concat();
            asked(&gate(), "GET /x", &all)
        };
        assert_eq!(with("localhost:8111", &[]), Ok(()));
        for rebound in ["evil.example:8111", "127.0.0.1", "127.0.0.1:80", "localhost"] {
            assert_eq!(with(rebound, &[]), Err(StatusCode::MISDIRECTED_REQUEST), "{rebound}");
        }
        for (fields, let_in) in [
            (vec![("origin", "https://evil.example")], false),
            (vec![("origin", "null")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "same-site"), ("origin", "http://localhost:8111")], false),
            (vec![("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8111")], true),
            (vec![("origin", "http://localhost:8111")], true),
            (vec![("sec-fetch-site", "none")], true),
            (vec![("sec-fetch-site", "cross-site"), ("origin", "https://tool.example")], true),
        ] {
            let expected = if let_in { Ok(()) } else { Err(StatusCode::FORBIDDEN) };
            assert_eq!(with("localhost:8111", &fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn atk_125_a_browser_may_ask_without_the_token_for_an_allowed_page_only() {
        let (host, method) = (("host", "localhost:8111"), ("access-control-request-method", "GET"));
        let page = ("origin", "https://tool.example");
        assert_eq!(asked(&gate(), "OPTIONS /x", &[host, page, method]), Ok(()));
        for (line, fields, status) in [
            ("OPTIONS /x", vec![host, page], 401),
            ("GET /x", vec![host, page, method], 401),
            ("OPTIONS /x", vec![host, ("origin", "https://evil.example"), method], 403),
            ("OPTIONS /x", vec![host, ("origin", "http://localhost:8111"), method], 401),
            ("OPTIONS /x", vec![host, method], 401),
            ("OPTIONS /x", vec![("host", "evil.example:8111"), page, method], 421),
            ("OPTIONS http://api.example/x", vec![("host", "api.example"), page, method], 407),
        ] {
            let refused = asked(&gate(), line, &fields).map_err(|status| status.as_u16());
            assert_eq!(refused, Err(status), "{line} {fields:?}");
        }
    }

    #[test]
    fn atk_126_nothing_is_echoed() {
        let token = [("host", "localhost:8111"), ("keybound-agent-token", T)];
        assert_eq!(asked(&gate(), "TRACE /x", &token), Err(StatusCode::METHOD_NOT_ALLOWED));
        let socket = Gate::new(Entrance::Unix, Vec::new());
        assert_eq!(asked(&socket, "TRACE /x", &[]), Err(StatusCode::METHOD_NOT_ALLOWED));
        assert_eq!(asked(&socket, "GET /x", &[("host", "any")]), Ok(()));
    }
}
