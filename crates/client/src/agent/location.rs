//! Where an answer says to go next: in the words of the caller, who calls the server by another URL.

use super::gate::Way;
use super::targets::Targets;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, Uri};
use url::Url;

/// Rewrites `Location` where it stays on a server of ours: to the path on the agent, or to the http form by which a proxy
/// is asked. Anything else is handed on as it is.
pub(super) fn for_caller(headers: &mut HeaderMap, way: Way, asked: &Uri, targets: &Targets) {
    let mut lines = headers.get_all(LOCATION).iter();
    let (Some(location), None) = (lines.next(), lines.next()) else { return };
    let rewritten = location.to_str().ok().and_then(|location| match way {
        Way::Reverse => on_the_agent(location, asked, targets.reverse()?.1),
        Way::Forward => in_http_form(location, targets),
        Way::Connect | Way::Inside => None,
    });
    if let Some(value) = rewritten.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(LOCATION, value);
    }
}

/// The path under which the agent has the same.
fn on_the_agent(location: &str, asked: &Uri, base: &str) -> Option<String> {
    let asked = Url::parse(&asked.to_string()).ok()?;
    let to = asked.join(location).ok()?;
    if to.origin() != asked.origin() {
        return None;
    }
    let path = to.path().strip_prefix(base).filter(|rest| rest.starts_with('/'))?;
    // A path that begins with two would be read as a host.
    if path.starts_with("//") {
        return None;
    }
    let query = to.query().map(|query| format!("?{query}")).unwrap_or_default();
    let fragment = to.fragment().map(|fragment| format!("#{fragment}")).unwrap_or_default();
    Some(format!("{path}{query}{fragment}"))
}

fn in_http_form(location: &str, targets: &Targets) -> Option<String> {
    let url = Url::parse(location).ok().filter(|url| url.scheme() == "https")?;
    let host = url.host_str()?;
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    targets.named(&authority).filter(|target| target.is_https())?;
    Some(format!("http{}", url.as_str().strip_prefix("https")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cl_red_01_a_redirect_is_handed_back_in_the_callers_words() {
        let asked = Uri::from_static("https://api.example/v1/orders?x=1");
        for (location, expected) in [
            ("https://api.example/v1/orders/7?a#b", Some("/orders/7?a#b")),
            ("/v1/orders/7", Some("/orders/7")),
            ("7", Some("/7")),
            ("/v2/orders", None),
            ("/v1", None),
            ("https://api.example//v1//evil", None),
            ("/v1//evil.example/x", None),
            ("https://evil.example/v1/x", None),
            ("http://api.example/v1/x", None),
            ("https://api.example:8443/v1/x", None),
        ] {
            assert_eq!(on_the_agent(location, &asked, "/v1").as_deref(), expected, "{location}");
        }
    }
}
