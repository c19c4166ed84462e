//! How far a grant reaches: which scope, at which resources (RFC 6749 §3.3, RFC 8707, OpenID Connect Core §5.4).

use crate::clients::RegisteredClient;
use crate::config::{Config, Resource, TokenForm};
use crate::refusal::Denied;
use keybound_oauth::client_metadata::GrantType;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::identifier::ResourceId;
use keybound_oauth::scope::Scope;

/// The scope tokens of OpenID Connect that we know (§5.4, §11).
pub const OPENID_SCOPES: [&str; 6] = ["openid", "profile", "email", "address", "phone", "offline_access"];

/// Scope and resources, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// What was granted.
    pub scope: Scope,
    /// Where; empty where only UserInfo is meant.
    pub resources: Vec<String>,
}

/// Decides what a client may have out of what it asked for. `for_user` is whether a user stands behind the request:
/// only then do the scopes of OpenID Connect mean anything.
///
/// # Errors
/// `invalid_target` for a resource that is unknown, not the client's, or nowhere to be found; `invalid_scope` for a
/// scope that the client may not ask for, or where nothing that was asked for is known (OIDC-AUT-17).
pub fn decide(
    config: &Config,
    client: &RegisteredClient,
    requested: Option<&Scope>,
    resources: &[ResourceId],
    for_user: bool,
) -> Result<Reach, Denied> {
    let asked = requested.or(client.scope.as_ref()).cloned().unwrap_or_default();
    let openid = for_user && asked.contains("openid");
    let resources = choose_resources(config, client, resources, openid)?;
    let known = |token: &str| {
        (openid && OPENID_SCOPES.contains(&token))
            || resources.iter().any(|resource| resource.scopes.contains(token))
    };
    let usable = |token: &str| token != "offline_access" || client.allows_grant(GrantType::RefreshToken);
    let granted: Vec<&str> = asked.iter().filter(|token| known(token) && usable(token)).collect();
    let scope = Scope::parse(&granted.join(" ")).unwrap_or_default();
    if scope.is_empty() && !asked.is_empty() {
        let wire = "none of the scopes asked for is known at the resource asked for";
        return Err(Denied::new(ErrorCode::InvalidScope, "OIDC-AUT-17", wire));
    }
    if client.scope.as_ref().is_some_and(|allowed| !scope.is_subset_of(allowed)) {
        let wire = "the client is not registered for this scope";
        return Err(Denied::new(ErrorCode::InvalidScope, "OIDC-AUT-17", wire));
    }
    let resources = resources.iter().map(|resource| resource.identifier.to_string()).collect();
    Ok(Reach { scope, resources })
}

fn choose_resources<'c>(
    config: &'c Config,
    client: &RegisteredClient,
    named: &[ResourceId],
    openid: bool,
) -> Result<Vec<&'c Resource>, Denied> {
    let target = |row, wire: &str| Denied::new(ErrorCode::InvalidTarget, row, wire);
    if named.is_empty() {
        let default =
            config.default_resource().filter(|resource| client.allows_resource(&resource.identifier));
        return match default {
            _ if openid => Ok(Vec::new()),
            Some(default) => Ok(vec![default]),
            None => Err(target("AS-AT-04", "`resource` must name a resource: there is no default")),
        };
    }
    let mut chosen: Vec<&Resource> = Vec::new();
    for name in named {
        let found = config.resource(name.as_str()).filter(|_| client.allows_resource(name));
        // Only who may introspect can use a token for it.
        let found = found.filter(|found| {
            found.identifier != config.introspection.identifier || config.is_resource(client.id.as_str())
        });
        let found = found.ok_or_else(|| {
            target("AS-RES-01", "`resource` is not a resource that this client can ask for")
        })?;
        if !chosen.iter().any(|known| known.identifier == found.identifier) {
            chosen.push(found);
        }
    }
    Ok(chosen)
}

impl Reach {
    /// `aud`: the resources, and the issuer for UserInfo where `openid` was granted (AS-AT-04).
    #[must_use]
    pub fn audience(&self, config: &Config) -> Vec<String> {
        let mut audience = self.resources.clone();
        if self.scope.contains("openid") {
            audience.push(config.issuer.to_string());
        }
        audience
    }

    /// The form of an access token for these resources; UserInfo takes either.
    ///
    /// # Errors
    /// `invalid_target` where they take different ones: no token could be read by all.
    pub fn token_form(&self, config: &Config) -> Result<TokenForm, Denied> {
        let known = self.resources.iter().filter_map(|name| config.resource(name));
        let mut forms = known.map(|resource| resource.tokens);
        let form = forms.next().unwrap_or_default();
        if forms.any(|other| other != form) {
            let wire = "these resources take access tokens of different forms: ask for one token each";
            return Err(Denied::new(ErrorCode::InvalidTarget, "AS-AT-04", wire));
        }
        Ok(form)
    }

    /// The part of this reach that a token request asks for (RFC 6749 §6, RFC 8707 §2.2): the same or less.
    ///
    /// # Errors
    /// `invalid_scope` or `invalid_target` where it asks for more.
    pub fn narrow(&self, scope: Option<&Scope>, resources: &[ResourceId]) -> Result<Self, Denied> {
        let scope = match scope {
            Some(scope) if !scope.is_subset_of(&self.scope) => {
                let wire = "the scope is wider than what was granted";
                return Err(Denied::new(ErrorCode::InvalidScope, "AS-RT-09", wire));
            }
            Some(scope) => scope.clone(),
            None => self.scope.clone(),
        };
        let granted = |name: &ResourceId| self.resources.iter().any(|known| known == name.as_str());
        if !resources.iter().all(granted) {
            let wire = "`resource` is not among the resources that were granted";
            return Err(Denied::new(ErrorCode::InvalidTarget, "AS-RES-02", wire));
        }
        let is_wanted =
            |known: &&String| resources.is_empty() || resources.iter().any(|name| name.as_str() == *known);
        let resources = self.resources.iter().filter(is_wanted).cloned().collect();
        Ok(Self { scope, resources })
    }
}
