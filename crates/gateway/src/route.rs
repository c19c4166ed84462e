//! Which upstream and which scope a path leads to.

use http::HeaderValue;
use http::uri::Authority;
use keybound_oauth::scope::Scope;
use keybound_resource::{Demand, GuardConfig, WithoutReplayLog};

/// A path with all paths below it, and the rules for them.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Without a slash at its end; empty for all paths.
    pub(crate) path: String,
    pub(crate) upstream: Upstream,
    pub(crate) scopes: Scope,
    pub(crate) forward_token: bool,
    pub(crate) raw_path: bool,
}

/// A server behind the gateway.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) authority: Authority,
    pub(crate) host: HeaderValue,
}

impl Route {
    /// What it asks of the guard.
    pub(crate) fn demand(&self, guard: &GuardConfig) -> Demand {
        Demand {
            dpop: guard.dpop,
            nonces: guard.nonce.is_some(),
            scope: self.scopes.clone(),
            audience: None,
            authentication: None,
            without_replay_log: WithoutReplayLog::default(),
        }
    }
}

impl Upstream {
    pub(crate) fn new(authority: &str) -> Option<Self> {
        let host = HeaderValue::from_str(authority).ok()?;
        Some(Self { authority: authority.parse().ok()?, host })
    }
}

/// The first route that the path is on or below; `routes` has the longest path first.
pub(crate) fn find<'r>(routes: &'r [Route], path: &str) -> Option<&'r Route> {
    routes.iter().find(|route| {
        path.strip_prefix(&route.path).is_some_and(|below| below.is_empty() || below.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rs_gw_11_a_route_is_a_path_and_what_is_below_it() {
        let route = |path: &str| Route {
            path: path.to_owned(),
            upstream: Upstream::new("127.0.0.1:1").expect("an upstream"),
            scopes: Scope::default(),
            forward_token: false,
            raw_path: false,
        };
        let routes = [route("/a/b"), route("/a")];
        let found = |path: &str| find(&routes, path).map(|route| route.path.as_str());
        assert_eq!(found("/a/b"), Some("/a/b"));
        assert_eq!(found("/a/b/c"), Some("/a/b"));
        assert_eq!(found("/a/bc"), Some("/a"));
        assert_eq!(found("/a/"), Some("/a"));
        assert_eq!(found("/A"), None);
        assert_eq!(found("/ab"), None);
        assert_eq!(find(&[route("")], "/").map(|route| route.path.as_str()), Some(""));
    }
}
