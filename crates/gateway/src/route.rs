//! Which upstream a path leads to, and what is asked of its requests.

use crate::upstream::Upstream;
use http::Method;
use keybound_resource::Demand;
use std::sync::Arc;
use std::time::Duration;

/// A path with all paths below it, and the rules for them.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Without a slash at its end; empty for all paths.
    pub(crate) path: String,
    /// None where the gateway decides for a proxy that forwards.
    pub(crate) upstream: Option<Arc<Upstream>>,
    pub(crate) rule: Rule,
    pub(crate) identity: Identity,
    /// Whether the upstream does not know `path`, and gets what is below it.
    pub(crate) strip_prefix: bool,
    pub(crate) forward_token: bool,
    pub(crate) raw_path: bool,
    /// Empty: all.
    pub(crate) methods: Vec<Method>,
    /// The protocols that a connection may switch to.
    pub(crate) upgrades: Vec<String>,
    pub(crate) max_body_bytes: Option<u64>,
    /// Until the answer begins.
    pub(crate) answer_timeout: Duration,
    /// Between two pieces of the answer.
    pub(crate) idle_timeout: Duration,
}

/// Who may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Whoever meets the demand.
    Guarded(Demand),
    /// Everybody; whether they meet the demand is written down.
    Observed(Demand),
    /// Everybody.
    Public,
}

/// How an upstream is told who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// In fields.
    Headers,
    /// In a signed assertion.
    Assertion,
    /// Not at all: it reads the token itself, or need not know.
    Nothing,
}

impl Route {
    /// Its path, as people write it.
    pub(crate) fn shown(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }

    /// The part of a path that the upstream does not know.
    pub(crate) fn stripped(&self) -> &str {
        if self.strip_prefix { &self.path } else { "" }
    }

    pub(crate) fn takes(&self, method: &Method) -> bool {
        self.methods.is_empty() || self.methods.contains(method)
    }
}

/// The first route that the path is on or below; `routes` has the longest path first.
pub(crate) fn find<'r>(routes: &'r [Route], path: &str) -> Option<&'r Route> {
    routes.iter().find(|route| is_below(path, &route.path))
}

/// Whether a path is that of a route, or below it.
pub(crate) fn is_below(path: &str, route: &str) -> bool {
    path.strip_prefix(route).is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rs_gw_11_a_route_is_a_path_and_what_is_below_it() {
        let route = |path: &str| Route {
            path: path.to_owned(),
            ..crate::config::Config::parse(
                "public_url = \"https://a\"\nissuer = \"https://i\"\nupstream = \"http://127.0.0.1:1\"",
            )
            .expect("a configuration")
            .routes
            .remove(0)
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
