//! A configuration as it is told to whoever wrote it: what a gateway would do, and what they may not have meant.

use super::{Config, KeysFrom};
use crate::assertion::KEYS_PATH;
use crate::route::{self, Identity, Route, Rule};
use crate::upstream::Upstream;
use keybound_resource::{Demand, DpopUse, TokenProfile};
use std::fmt::{self, Display, Formatter};

/// Where metadata are (RFC 9728 §3.1).
const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";
/// What is printed for a path without rules of its own.
const NOTHING: &str = "-";

/// Prints as several lines of text: what a gateway with this configuration does.
#[derive(Debug)]
pub struct Told<'a>(&'a Config);

impl Config {
    /// What a gateway with this configuration does, for people to read.
    #[must_use]
    pub fn told(&self) -> Told<'_> {
        Told(self)
    }

    /// What is allowed and may be a mistake: a sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let open = |what: &str, rest: &str| format!("{what}: {rest}");
        let mut warnings = Vec::new();
        if !self.nonces {
            let rest = "a proof that was made ahead of time, or copied, is good for its whole window";
            warnings.push(open("no nonces", rest));
        }
        if self.dpop == DpopUse::Allowed {
            warnings.push(open("unbound tokens are taken", "whoever steals one can use it"));
        }
        if self.tls.is_none() && !self.listen.ip().is_loopback() {
            let rest =
                "whoever is on the network reads tokens; use [tls], or listen on loopback behind a proxy";
            warnings.push(open(&format!("plain HTTP on {}", self.listen), rest));
        }
        match self.admin {
            None => warnings.push(open("no `admin`", "nobody sees /readyz and /metrics")),
            Some(admin) if !admin.ip().is_loopback() => {
                warnings.push(open(&format!("admin on {admin}"), "whoever reaches it reads all counts"));
            }
            Some(_) => {}
        }
        for route in &self.routes {
            warnings.extend(self.of_route(route));
        }
        warnings
    }

    fn of_route(&self, route: &Route) -> Vec<String> {
        let path = route.shown();
        let mut warnings = Vec::new();
        let signs = self.routes.iter().any(|route| route.identity == Identity::Assertion);
        let own = [(self.metadata.is_some(), METADATA_PATH), (signs, KEYS_PATH)];
        if !route.path.is_empty() && own.iter().any(|(is_there, own)| *is_there && route::is_below(own, path))
        {
            warnings.push(format!(
                "{path}: what the gateway publishes itself is there, and does not reach the API"
            ));
        }
        if route.forward_token {
            warnings.push(format!("{path}: tokens go on to {}, which can keep them", leads_to(route)));
        }
        if route.raw_path {
            let rest = "paths with two readings go on; a longer route may be read as this one by the API";
            warnings.push(format!("{path}: {rest}"));
        }
        match &route.rule {
            Rule::Public => warnings.push(format!("{path}: nobody needs a token")),
            Rule::Observed(_) => {
                warnings.push(format!(
                    "{path}: it only looks on; whether tokens are good is for the API to find out"
                ));
            }
            Rule::Guarded(demand) => {
                if demand.dpop == DpopUse::Allowed && self.dpop == DpopUse::Required {
                    warnings.push(format!("{path}: unbound tokens are taken; whoever steals one can use it"));
                }
                if !demand.nonces && self.nonces {
                    warnings.push(format!(
                        "{path}: no nonces; a proof that was made ahead of time is good for its whole window"
                    ));
                }
            }
        }
        warnings
    }
}

impl Display for Told<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let config = self.0;
        let line = |f: &mut Formatter<'_>, name: &str, value: &str| writeln!(f, "{name:<12}{value}");
        line(f, "public URL", &format!("{}{}", config.public_url.origin(), config.public_url.prefix()))?;
        let tls = if config.tls.is_some() { "TLS" } else { "plain HTTP" };
        line(f, "listens on", &format!("{}, {tls}", config.listen))?;
        line(f, "admin", &config.admin.map_or("none".to_owned(), |address| format!("http://{address}")))?;
        for issuer in &config.issuers {
            let keys = match &issuer.keys {
                KeysFrom::Metadata => "keys by its metadata".to_owned(),
                KeysFrom::Url(url) => format!("keys at {}", url.url()),
                KeysFrom::Fixed(_) => "keys from a file".to_owned(),
            };
            let tokens = match issuer.tokens {
                TokenProfile::Rfc9068 => "at+jwt (RFC 9068)",
                TokenProfile::Jwt => "any JWT that is no other kind",
            };
            line(f, "issuer", &format!("{}; {keys}; tokens: {tokens}", issuer.issuer.as_str()))?;
        }
        line(f, "audience", &config.audience.join(", "))?;
        line(
            f,
            "tokens",
            match config.dpop {
                DpopUse::Required => "bound to a key, with a proof",
                DpopUse::Allowed => "bound to a key with a proof, or unbound as Bearer",
            },
        )?;
        line(f, "nonces", if config.nonces { "required" } else { "off" })?;
        routes(f, &config.routes)
    }
}

fn routes(f: &mut Formatter<'_>, routes: &[Route]) -> fmt::Result {
    let paths = routes.iter().map(|route| route.shown().len()).max().unwrap_or(0).max(4) + 2;
    let upstreams = routes.iter().map(|route| leads_to(route).len()).max().unwrap_or(0).max(8) + 2;
    writeln!(f, "\n{:<paths$}{:<upstreams$}{:<27}SCOPES", "PATH", "UPSTREAM", "WHO MAY PASS")?;
    for route in routes {
        let (who, scopes) = rule(&route.rule);
        let (path, upstream) = (route.shown(), leads_to(route));
        writeln!(f, "{path:<paths$}{upstream:<upstreams$}{who:<27}{scopes}")?;
    }
    if routes.last().is_some_and(|route| !route.path.is_empty()) {
        writeln!(f, "Any other path is 404.")?;
    }
    Ok(())
}

/// Who may pass, and the scopes that it takes.
fn rule(rule: &Rule) -> (&'static str, String) {
    let scopes = |demand: &Demand| match demand.scope.to_string() {
        none if none.is_empty() => NOTHING.to_owned(),
        scopes => scopes,
    };
    match rule {
        Rule::Guarded(demand) => {
            let who = match (demand.dpop, demand.nonces) {
                (DpopUse::Required, true) => "bound tokens, with nonces",
                (DpopUse::Required, false) => "bound tokens",
                (DpopUse::Allowed, _) => "all good tokens",
            };
            (who, scopes(demand))
        }
        Rule::Observed(demand) => ("everybody, observed", scopes(demand)),
        Rule::Public => ("everybody", NOTHING.to_owned()),
    }
}

/// The first of its servers.
fn leads_to(route: &Route) -> &str {
    route.upstream.as_deref().map_or(NOTHING, Upstream::name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_routes_issuers_and_what_may_be_a_mistake() {
        let config = Config::parse(
            "public_url = \"https://api.example\"\nlisten = \"0.0.0.0:80\"\ndpop = \"allowed\"\n\
             issuer = \"https://id.example\"\n[nonce]\nmode = \"off\"\n[[route]]\npath = \"/orders\"\n\
             upstream = \"http://127.0.0.1:3000\"\nscopes = [\"orders\"]\nforward_token = true",
        )
        .expect("a configuration");
        let told = config.told().to_string();
        for part in [
            "https://id.example; keys by its metadata",
            "/orders  http://127.0.0.1:3000  all good tokens            orders",
            "404",
        ] {
            assert!(told.contains(part), "{part} in\n{told}");
        }
        let warnings = config.warnings().join("\n");
        for part in
            ["no nonces", "unbound tokens", "plain HTTP on 0.0.0.0:80", "no `admin`", "/orders: tokens go on"]
        {
            assert!(warnings.contains(part), "{part} in\n{warnings}");
        }
    }
}
