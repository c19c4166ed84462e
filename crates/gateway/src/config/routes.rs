//! Paths, and the rules for them.

use super::{ConfigError, ConfigFile, RouteFile, value};
use crate::path;
use crate::route::{Route, Upstream};
use keybound_oauth::identifier::is_loopback;
use keybound_oauth::scope::Scope;
use url::Url;

/// The routes, and the one for all other paths, the longest path first.
pub(super) fn read(file: &ConfigFile) -> Result<Vec<Route>, ConfigError> {
    let mut written = file.routes.clone();
    let has_rest = file.upstream.is_some() || only_decides(file);
    if has_rest && !written.iter().any(|route| route.path == "/") {
        written.push(RouteFile {
            path: "/".to_owned(),
            upstream: None,
            scopes: Vec::new(),
            forward_token: file.forward_token,
            raw_path: file.raw_path,
            trusted_network: file.trusted_network,
        });
    }
    let mut routes: Vec<Route> =
        written.iter().map(|written| route(written, file)).collect::<Result<_, _>>()?;
    if routes.is_empty() {
        return Err(value("upstream", "there must be an upstream, or a route with one"));
    }
    routes.sort_by(|one, other| (other.path.len(), &other.path).cmp(&(one.path.len(), &one.path)));
    if let Some((route, _)) =
        routes.iter().zip(routes.iter().skip(1)).find(|(one, next)| one.path == next.path)
    {
        return Err(value("route.path", format!("{:?} is there twice", route.path)));
    }
    Ok(routes)
}

fn route(written: &RouteFile, file: &ConfigFile) -> Result<Route, ConfigError> {
    let key = |name: &str| format!("route {:?}: {name}", written.path);
    let path = written.path.trim_end_matches('/');
    if !path.is_empty() {
        path::check(path).map_err(|error| value(key("path"), error))?;
    }
    let upstream = match written.upstream.as_ref().or(file.upstream.as_ref()) {
        None if only_decides(file) => None,
        None => return Err(value(key("upstream"), "there is none, neither here nor for all")),
        Some(text) => Some(
            upstream(text, written.trusted_network || file.trusted_network)
                .map_err(|reason| value(key("upstream"), reason))?,
        ),
    };
    let scopes = file.scopes.iter().chain(&written.scopes).map(String::as_str).collect::<Vec<_>>().join(" ");
    Ok(Route {
        path: path.to_owned(),
        upstream,
        scopes: Scope::parse(&scopes).map_err(|error| value(key("scopes"), error))?,
        forward_token: written.forward_token,
        raw_path: written.raw_path,
    })
}

/// Nothing is forwarded: proxies ask, and forward themselves.
fn only_decides(file: &ConfigFile) -> bool {
    let has_upstream = file.upstream.is_some() || file.routes.iter().any(|route| route.upstream.is_some());
    file.decision.is_some() && !has_upstream
}

/// The link to the upstream carries what we vouch for: loopback, or a network that the operator vouches for (RFC 9700
/// §4.13, BCP-PRX-02).
fn upstream(text: &str, trusted_network: bool) -> Result<Upstream, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.scheme() != "http" || !url.username().is_empty() || url.password().is_some() {
        return Err("it must be http://host:port".to_owned());
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("it must have no path: the path of a request goes on as it came".to_owned());
    }
    if !is_loopback(&url) && !trusted_network {
        return Err("it is on another machine, and whoever can speak to it can say who calls; \
                    if only the gateway can, say `trusted_network = true`"
            .to_owned());
    }
    Upstream::new(url.authority()).ok_or_else(|| "it names no host".to_owned())
}
