//! Questions by HTTP: nginx's `auth_request`, Caddy's `forward_auth`, Traefik's ForwardAuth, our Lua action for HAProxy,
//! and Envoy's `ext_authz` where it asks by HTTP. 200 says that the request may pass; anything else is the answer for the
//! caller.

use super::{Verdict, decide};
use crate::config::ProxyKind;
use crate::refusal::Refusal;
use crate::service::Gateway;
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, HOST, HeaderName, HeaderValue, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use http_body_util::Full;
use keybound_dpop::header::DPOP_NONCE;
use keybound_resource::PublicUrl;

/// Where questions are asked.
const PATH: &str = "/check";

/// Where the true status is, and the challenges that nginx does not pass on by itself.
const STATUS: HeaderName = HeaderName::from_static("keybound-status");
const CHALLENGES: [HeaderName; 2] =
    [HeaderName::from_static("keybound-challenge"), HeaderName::from_static("keybound-second-challenge")];

pub(super) async fn answer(gateway: &Gateway, kind: ProxyKind, question: Parts) -> Response<Full<Bytes>> {
    let verdict = match original(kind, question, &gateway.public) {
        Ok(original) => decide(gateway, &original).await,
        Err(refusal) => Verdict::Answer(refusal.into_answer()),
    };
    match verdict {
        Verdict::Pass(passed) => {
            let mut answer = Response::new(Full::default());
            let headers = answer.headers_mut();
            *headers = passed.for_caller;
            headers.extend(passed.identity);
            // Of the decision, which nobody keeps. Envoy hands it on to the caller, whom it concerns with a nonce.
            headers.remove(CACHE_CONTROL);
            if kind != ProxyKind::Envoy || headers.contains_key(DPOP_NONCE) {
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            }
            answer
        }
        Verdict::Answer(answer) if kind == ProxyKind::Nginx => for_nginx(answer),
        Verdict::Answer(answer) => answer,
    }
}

/// Turns a question into the request that it is about. `host` is the word of the proxy too, and must be ours: a server
/// of another name behind the same proxy has other rules.
pub(super) fn ask_about(
    parts: &mut Parts,
    (method, uri, host): (Method, Uri, &str),
    public: &PublicUrl,
) -> Result<(), &'static str> {
    (parts.method, parts.uri) = (method, uri);
    let is_ours = names(host, public);
    if is_ours { Ok(()) } else { Err("the host is not that of the public URL") }
}

/// A request target in origin-form, octet by octet as it came.
pub(super) fn target(text: &str) -> Result<Uri, &'static str> {
    let parsed: Option<PathAndQuery> = text.parse().ok();
    let same = parsed.filter(|parsed| text.starts_with('/') && parsed.as_str() == text);
    same.map(Uri::from).ok_or("the original target is not a path, perhaps with a query")
}

/// What the proxy says that it was asked, in the fields of its kind and in no other.
fn original(kind: ProxyKind, mut question: Parts, public: &PublicUrl) -> Result<Parts, Refusal> {
    let read = match kind {
        ProxyKind::Nginx | ProxyKind::Haproxy => {
            named(&question, ["x-original-method", "x-original-uri", "x-original-host"])
        }
        ProxyKind::Caddy | ProxyKind::Traefik => {
            named(&question, ["x-forwarded-method", "x-forwarded-uri", "x-forwarded-host"])
        }
        ProxyKind::Envoy => below(&question),
    };
    let asked = read.and_then(|(method, uri, host)| ask_about(&mut question, (method, uri, &host), public));
    asked.map_err(|why| Refusal::bad_request(&question, "BCP-PRX-01", why))?;
    if kind == ProxyKind::Traefik {
        // It takes any 2xx for a yes, so that we cannot answer a preflight: nothing passes without being judged.
        question.headers.remove(ACCESS_CONTROL_REQUEST_METHOD);
    }
    Ok(question)
}

type Named = (Method, Uri, String);

fn named(question: &Parts, [method, uri, host]: [&str; 3]) -> Result<Named, &'static str> {
    if question.uri.path() != PATH {
        return Err("questions are asked at /check");
    }
    let one = |name: &str| {
        let mut lines = question.headers.get_all(name).iter();
        let only = lines.next().filter(|_| lines.next().is_none());
        only.and_then(|line| line.to_str().ok()).ok_or("the proxy must say method, URI and host, each once")
    };
    let method = Method::from_bytes(one(method)?.as_bytes()).map_err(|_| "the original method is none")?;
    Ok((method, target(one(uri)?)?, one(host)?.to_owned()))
}

/// Envoy puts our path before the original one, and keeps method and host.
fn below(question: &Parts) -> Result<Named, &'static str> {
    let asked = question.uri.path_and_query().map_or("", PathAndQuery::as_str);
    let original = asked.strip_prefix(PATH).ok_or("questions are asked at /check, followed by the path")?;
    let host = question.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or(question.uri.authority().map(|authority| authority.as_str()));
    Ok((question.method.clone(), target(original)?, host.unwrap_or_default().to_owned()))
}

/// Whether a host is that of the public URL. Some proxies do not say the port; where one is said, it counts.
fn names(host: &str, public: &PublicUrl) -> bool {
    let ours = public.origin().split_once("://").map_or("", |(_, host)| host);
    let default = if public.is_https() { ":443" } else { ":80" };
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix(default).unwrap_or(&host);
    host == ours || host == without_port(ours)
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// nginx takes 401 and 403 for a no and everything else for a fault, so the true status travels beside (our
/// configuration puts it back). Of challenges it passes on those of a 401 by itself, in old versions the first only.
fn for_nginx(mut answer: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    let status = answer.status();
    let headers = answer.headers_mut();
    let lines: Vec<HeaderValue> = headers.get_all(WWW_AUTHENTICATE).iter().cloned().collect();
    headers.remove(WWW_AUTHENTICATE);
    let mut lines = lines.into_iter();
    if status == StatusCode::UNAUTHORIZED {
        put(headers, WWW_AUTHENTICATE, lines.next());
    }
    for name in CHALLENGES {
        put(headers, name, lines.next());
    }
    headers.insert(STATUS, HeaderValue::from(status.as_u16()));
    if status != StatusCode::UNAUTHORIZED {
        *answer.status_mut() = StatusCode::FORBIDDEN;
    }
    answer
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn asked(kind: ProxyKind, target: &str, fields: &[(&str, &str)]) -> Option<(String, String)> {
        let mut builder = Request::builder().uri(target);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        let question = builder.body(()).expect("a request").into_parts().0;
        let public = PublicUrl::parse("https://api.example").expect("a URL");
        let original = original(kind, question, &public).ok()?;
        Some((original.method.to_string(), original.uri.to_string()))
    }

    fn forwarded<'a>(start: &'a str, uri: &'a str) -> Vec<(String, &'a str)> {
        [("method", "POST"), ("uri", uri), ("host", "api.example")]
            .map(|(name, value)| (format!("x-{start}-{name}"), value))
            .to_vec()
    }

    fn borrowed<'a>(fields: &'a [(String, &'a str)]) -> Vec<(&'a str, &'a str)> {
        fields.iter().map(|(name, value)| (name.as_str(), *value)).collect()
    }

    #[test]
    fn bcp_prx_01_each_kind_has_its_fields_and_no_others() {
        let (original, forwarded) = (forwarded("original", "/a?b"), forwarded("forwarded", "/c?d"));
        let both: Vec<(&str, &str)> = borrowed(&original).into_iter().chain(borrowed(&forwarded)).collect();
        for (kind, own, seen) in [
            (ProxyKind::Nginx, &original, "/a?b"),
            (ProxyKind::Haproxy, &original, "/a?b"),
            (ProxyKind::Caddy, &forwarded, "/c?d"),
            (ProxyKind::Traefik, &forwarded, "/c?d"),
        ] {
            let expected = Some(("POST".to_owned(), seen.to_owned()));
            assert_eq!(asked(kind, "/check", &both), expected, "{kind:?}");
            assert_eq!(asked(kind, "/check", &borrowed(own)), expected, "{kind:?}");
            let others = if seen == "/c?d" { &original } else { &forwarded };
            assert_eq!(asked(kind, "/check", &borrowed(others)), None, "{kind:?}");
            assert_eq!(asked(kind, "/", &borrowed(own)), None, "{kind:?}");
            let twice: Vec<(&str, &str)> = borrowed(own).into_iter().chain(borrowed(own)).collect();
            assert_eq!(asked(kind, "/check", &twice), None, "{kind:?}");
        }
        let envoy =
            asked(ProxyKind::Envoy, "/check/a?b", &[("host", "api.example"), ("x-original-uri", "/c")]);
        assert_eq!(envoy, Some(("GET".to_owned(), "/a?b".to_owned())));
        assert_eq!(asked(ProxyKind::Envoy, "/a?b", &[("host", "api.example")]), None);
    }

    #[test]
    fn rs_gw_11_the_original_target_is_taken_as_it_came() {
        for same in ["/", "/a//b", "/a/../b", "/a%2Fb", "/a;b?c=%zz&d=/../", "//evil/x", "/?"] {
            let seen = asked(ProxyKind::Nginx, "/check", &borrowed(&forwarded("original", same)));
            assert_eq!(seen.map(|(_, uri)| uri).as_deref(), Some(same));
        }
        for other in ["", "*", "a", "https://api.example/a", "/a#b", "/a b"] {
            assert_eq!(
                asked(ProxyKind::Nginx, "/check", &borrowed(&forwarded("original", other))),
                None,
                "{other}"
            );
        }
    }

    #[test]
    fn dpop_htu_12_atk_044_another_host_is_not_judged_by_our_rules() {
        let public = |text| PublicUrl::parse(text).expect("a URL");
        for (host, ours, expected) in [
            ("api.example", "https://api.example", true),
            ("API.example:443", "https://api.example", true),
            ("api.example", "https://api.example:8443", true),
            ("api.example:8443", "https://api.example:8443", true),
            ("[::1]:8443", "http://[::1]:8443", true),
            ("[::1]", "http://[::1]", true),
            ("evil.example", "https://api.example", false),
            ("api.example:8080", "https://api.example", false),
            ("api.example, evil.example", "https://api.example", false),
            ("", "https://api.example", false),
        ] {
            assert_eq!(names(host, &public(ours)), expected, "{host} {ours}");
        }
    }

    #[test]
    fn rs_chl_09_nginx_gets_what_it_passes_on_and_the_rest_beside() {
        let answer = |status: StatusCode, lines: &[&str]| {
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = status;
            for line in lines {
                answer.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_str(line).expect("a value"));
            }
            let answer = for_nginx(answer);
            let fields = [&WWW_AUTHENTICATE, &CHALLENGES[0], &CHALLENGES[1], &STATUS].map(|name| {
                let lines = answer.headers().get_all(name).iter();
                lines.map(|line| line.to_str().expect("text").to_owned()).collect::<Vec<_>>().join("|")
            });
            (answer.status().as_u16(), fields.join(" / "))
        };
        assert_eq!(answer(StatusCode::UNAUTHORIZED, &["DPoP"]), (401, "DPoP /  /  / 401".to_owned()));
        assert_eq!(
            answer(StatusCode::UNAUTHORIZED, &["DPoP", "Bearer"]),
            (401, "DPoP / Bearer /  / 401".to_owned())
        );
        assert_eq!(
            answer(StatusCode::BAD_REQUEST, &["DPoP", "Bearer"]),
            (403, " / DPoP / Bearer / 400".to_owned())
        );
        assert_eq!(answer(StatusCode::SERVICE_UNAVAILABLE, &[]), (403, " /  /  / 503".to_owned()));
        assert_eq!(answer(StatusCode::NO_CONTENT, &[]), (403, " /  /  / 204".to_owned()));
    }
}
