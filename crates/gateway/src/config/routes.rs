//! Paths, and the rules for them.

use super::upstreams::{Upstreams, Wanted};
use super::{
    ConfigError, ConfigFile, DpopFile, IdentityFile, NonceMode, OneOrMany, RouteFile, WithoutReplayLogFile,
    value,
};
use crate::path::{self, PathError};
use crate::route::{Identity, Route, Rule};
use crate::upstream::Upstream;
use http::Method;
use keybound_oauth::scope::Scope;
use keybound_resource::{Authentication, Demand, DpopUse, WithoutReplayLog};
use std::sync::Arc;
use std::time::Duration;

/// The routes, and the one for all other paths, the longest path first.
pub(super) fn read(file: &ConfigFile) -> Result<Vec<Route>, ConfigError> {
    let mut written = file.routes.clone();
    let has_rest = file.upstream.is_some() || only_decides(file);
    if has_rest && !written.iter().any(|route| route.path == "/") {
        written.push(RouteFile {
            path: "/".to_owned(),
            forward_token: file.forward_token,
            raw_path: file.raw_path,
            ..RouteFile::default()
        });
    }
    let mut upstreams = Upstreams::default();
    let routes = written.iter().map(|written| Written { route: written, file }.read(&mut upstreams));
    let mut routes: Vec<Route> = routes.collect::<Result<_, _>>()?;
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

/// Nothing is forwarded: proxies ask, and forward themselves.
fn only_decides(file: &ConfigFile) -> bool {
    let has_upstream = file.upstream.is_some() || file.routes.iter().any(|route| route.upstream.is_some());
    file.decision.is_some() && !has_upstream
}

/// What is written of a route, and what holds where it says nothing.
struct Written<'a> {
    route: &'a RouteFile,
    file: &'a ConfigFile,
}

impl Written<'_> {
    fn read(&self, upstreams: &mut Upstreams) -> Result<Route, ConfigError> {
        let Self { route, file } = self;
        let path = route.path.trim_end_matches('/');
        if !path.is_empty() {
            path::check(path).map_err(|error| value(self.key("path"), error))?;
            if !route.raw_path && path::without_parameters(path).is_some() {
                return Err(value(self.key("path"), PathError::Parameters));
            }
        }
        let answer = route.timeout.answer_secs.or(file.timeout.answer_secs);
        let idle = route.timeout.idle_secs.or(file.timeout.idle_secs);
        Ok(Route {
            path: path.to_owned(),
            upstream: self.upstream(upstreams)?,
            rule: self.rule()?,
            identity: self.identity()?,
            strip_prefix: route.strip_prefix,
            forward_token: route.forward_token,
            raw_path: route.raw_path,
            methods: self.methods()?,
            upgrades: self.upgrades()?,
            max_body_bytes: route.max_body_bytes.or(file.max_body_bytes),
            answer_timeout: self.timeout("timeout.answer_secs", answer, 60)?,
            idle_timeout: self.timeout("timeout.idle_secs", idle, 300)?,
        })
    }

    fn upstream(&self, upstreams: &mut Upstreams) -> Result<Option<Arc<Upstream>>, ConfigError> {
        let Self { route, file } = self;
        let Some(written) = route.upstream.as_ref().or(file.upstream.as_ref()) else {
            let absent = || value(self.key("upstream"), "there is none, neither here nor for all");
            return if only_decides(file) { Ok(None) } else { Err(absent()) };
        };
        let connect = route.timeout.connect_secs.or(file.timeout.connect_secs);
        let wanted = Wanted {
            key: self.key("upstream"),
            written,
            trusted_network: route.trusted_network || file.trusted_network,
            connect_timeout: self.timeout("timeout.connect_secs", connect, 5)?,
        };
        upstreams.find(&wanted, file).map(Some)
    }

    fn identity(&self) -> Result<Identity, ConfigError> {
        match self.route.identity.unwrap_or(self.file.identity) {
            IdentityFile::Assertion if self.file.decision.is_some() => Err(value(
                self.key("identity"),
                "an assertion is for one upstream, and proxies that ask say theirs to nobody: tell them by headers",
            )),
            IdentityFile::Assertion
                if self.file.assertion.key_file.is_none()
                    && self.file.replay.nodes.is_some_and(|nodes| nodes > 1) =>
            {
                let why = "each node would sign with a key of its own, and publish that alone: name one in \
                           `assertion.key_file`, the same at every node";
                Err(value(self.key("identity"), why))
            }
            IdentityFile::Headers => Ok(Identity::Headers),
            IdentityFile::Assertion => Ok(Identity::Assertion),
            IdentityFile::None => Ok(Identity::Nothing),
        }
    }

    /// What of this configuration an error is about.
    fn key(&self, name: &str) -> String {
        format!("route {:?}: {name}", self.route.path)
    }

    fn rule(&self) -> Result<Rule, ConfigError> {
        let Self { route, file } = self;
        if route.public {
            return match self.asks_for_something() {
                Some(name) => {
                    Err(value(self.key("public"), format!("nothing is asked for there, yet `{name}` asks")))
                }
                None => Ok(Rule::Public),
            };
        }
        let dpop = route.dpop.unwrap_or(file.dpop);
        let demand = Demand {
            route: Some(route.path.clone()),
            // A route that looks on asks what will be asked: bound tokens.
            dpop: if dpop == DpopFile::Allowed { DpopUse::Allowed } else { DpopUse::Required },
            nonces: route.nonce.unwrap_or(file.nonce.mode) == NonceMode::Required,
            scope: self.scope()?,
            audience: self.audience()?,
            authentication: self.authentication()?,
            without_replay_log: match route.without_replay_log.unwrap_or(file.without_replay_log) {
                WithoutReplayLogFile::Refuse => WithoutReplayLog::Refuse,
                WithoutReplayLogFile::Nonce => WithoutReplayLog::Nonce,
            },
        };
        Ok(if dpop == DpopFile::Observe { Rule::Observed(demand) } else { Rule::Guarded(demand) })
    }

    /// The first key that makes no sense where no token is looked at.
    fn asks_for_something(&self) -> Option<&'static str> {
        let route = self.route;
        [
            ("dpop", route.dpop.is_some()),
            ("nonce", route.nonce.is_some()),
            ("scopes", !route.scopes.is_empty()),
            ("audience", route.audience.is_some()),
            ("acr_values", !route.acr_values.is_empty()),
            ("max_age_secs", route.max_age_secs.is_some()),
            ("identity", route.identity.is_some()),
        ]
        .into_iter()
        .find_map(|(name, asks)| asks.then_some(name))
    }

    fn scope(&self) -> Result<Scope, ConfigError> {
        let all = self.file.scopes.iter().chain(&self.route.scopes);
        if all.clone().any(String::is_empty) {
            return Err(value(self.key("scopes"), "an empty text asks for nothing"));
        }
        let text = all.map(String::as_str).collect::<Vec<_>>().join(" ");
        Scope::parse(&text).map_err(|error| value(self.key("scopes"), error))
    }

    fn audience(&self) -> Result<Option<Vec<String>>, ConfigError> {
        let Some(OneOrMany(names)) = &self.route.audience else { return Ok(None) };
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err(value(
                self.key("audience"),
                "it needs an identifier, or tokens for any other would be taken",
            ));
        }
        Ok(Some(names.clone()))
    }

    fn authentication(&self) -> Result<Option<Authentication>, ConfigError> {
        let (acr_values, max_age_secs) = (self.route.acr_values.clone(), self.route.max_age_secs);
        if acr_values.iter().any(|acr| acr.is_empty() || acr.contains([' ', '"', '\\'])) {
            return Err(value(self.key("acr_values"), "each is one word"));
        }
        let asks = !acr_values.is_empty() || max_age_secs.is_some();
        Ok(asks.then_some(Authentication { acr_values, max_age_secs }))
    }

    fn methods(&self) -> Result<Vec<Method>, ConfigError> {
        let Some(names) = &self.route.methods else { return Ok(Vec::new()) };
        let read = |name: &String| {
            let method = Method::from_bytes(name.as_bytes()).ok().filter(|_| *name == name.to_uppercase());
            method.ok_or_else(|| {
                value(self.key("methods"), format!("{name:?} is no method: \"GET\", \"POST\", …"))
            })
        };
        let methods: Vec<Method> = names.iter().map(read).collect::<Result<_, _>>()?;
        if methods.is_empty() {
            return Err(value(self.key("methods"), "with none, no request could pass"));
        }
        Ok(methods)
    }

    fn upgrades(&self) -> Result<Vec<String>, ConfigError> {
        let names = self.route.upgrade.as_ref().or(self.file.upgrade.as_ref());
        let Some(names) = names else { return Ok(vec!["websocket".to_owned()]) };
        // RFC 9113 §3.1: HTTP/2 in the clear is not begun by an upgrade any more; it would carry requests past the guard.
        let unfit = |name: &&String| {
            let is_http = ["h2c", "h2", "http", "tls"]
                .iter()
                .any(|http| name.split('/').next().unwrap_or_default().eq_ignore_ascii_case(http));
            name.is_empty() || is_http || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
        };
        match names.iter().find(unfit) {
            Some(name) => Err(value(
                self.key("upgrade"),
                format!("{name:?} would carry requests past the guard, or is no protocol"),
            )),
            None => Ok(names.clone()),
        }
    }

    fn timeout(&self, key: &str, secs: Option<u64>, default: u64) -> Result<Duration, ConfigError> {
        match secs.unwrap_or(default) {
            secs @ 1..=3600 => Ok(Duration::from_secs(secs)),
            _ => Err(value(self.key(key), "must be 1 to 3600")),
        }
    }
}
