//! How far a grant reaches: which scope, at which resources (RFC 6749 §3.3, RFC 8707, OpenID Connect Core §5.4).

use crate::clients::RegisteredClient;
use crate::config::{Config, REGISTRATION_SCOPE, Resource, TokenForm};
use crate::refusal::Denied;
use keybound_oauth::authorization_details::{AuthorizationDetail, AuthorizationDetails};
use keybound_oauth::client_metadata::GrantType;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::identifier::ResourceId;
use keybound_oauth::scope::Scope;

/// The scope tokens of OpenID Connect that we know (§5.4, §11).
pub const OPENID_SCOPES: [&str; 6] = ["openid", "profile", "email", "address", "phone", "offline_access"];

/// What a request asks for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// `scope`
    pub scope: Option<Scope>,
    /// `resource`
    pub resources: Vec<ResourceId>,
    /// `authorization_details`
    pub details: AuthorizationDetails,
}

/// Scope, resources and details, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// What was granted.
    pub scope: Scope,
    /// Where; empty where only UserInfo is meant.
    pub resources: Vec<String>,
    /// What was granted in detail (RFC 9396).
    pub details: AuthorizationDetails,
}

/// Decides what a client may have out of what it asked for. `for_user` is whether a user stands behind the request:
/// only then do the scopes of OpenID Connect mean anything.
///
/// # Errors
/// `invalid_target` for a resource that is unknown, not the client's, or nowhere to be found; `invalid_scope` for a
/// scope that the client may not ask for, or where nothing that was asked for is known (OIDC-AUT-17);
/// `invalid_authorization_details` for a detail that is not as its type says, or not the client's (AS-RES-03).
pub fn decide(
    config: &Config,
    client: &RegisteredClient,
    wanted: &Wanted,
    for_user: bool,
) -> Result<Reach, Denied> {
    // Who asks in detail has said what they want.
    let held = client.scope.as_ref().filter(|_| wanted.details.is_empty());
    let nothing = Scope::default();
    let asked = wanted.scope.as_ref().or(held).unwrap_or(&nothing);
    let openid = for_user && asked.contains("openid");
    let of_details = check_details(config, client, &wanted.details)?;
    let named = if wanted.resources.is_empty() { &of_details } else { &wanted.resources };
    let resources = choose_resources(config, client, named, openid)?;
    if of_details.iter().any(|name| !resources.iter().any(|chosen| chosen.identifier == *name)) {
        let wire = "`resource` must name the resources of the details, or nothing";
        return Err(Denied::new(ErrorCode::InvalidTarget, "AS-RES-03", wire));
    }
    let known = |token: &str| {
        (openid && OPENID_SCOPES.contains(&token))
            || resources.iter().any(|resource| resource.scopes.contains(token))
    };
    let usable = |token: &str| token != "offline_access" || client.allows_grant(GrantType::RefreshToken);
    let scope = asked.filtered(|token| known(token) && usable(token));
    if scope.is_empty() && !asked.is_empty() {
        let wire = "none of the scopes asked for is known at the resource asked for";
        return Err(Denied::new(ErrorCode::InvalidScope, "OIDC-AUT-17", wire));
    }
    if client.scope.as_ref().is_some_and(|allowed| !scope.is_subset_of(allowed)) {
        let wire = "the client is not registered for this scope";
        return Err(Denied::new(ErrorCode::InvalidScope, "OIDC-AUT-17", wire));
    }
    let resources = resources.iter().map(|resource| resource.identifier.as_str().to_owned()).collect();
    Ok(Reach { scope, resources, details: wanted.details.clone() })
}

/// Checks each detail, and finds the resources that they are about.
fn check_details(
    config: &Config,
    client: &RegisteredClient,
    details: &AuthorizationDetails,
) -> Result<Vec<ResourceId>, Denied> {
    let mut resources = Vec::new();
    for (place, detail) in details.iter().enumerate() {
        let resource = check_detail(config, client, detail).map_err(|wire| {
            let wire = format!("in `authorization_details`, at place {}: {wire}", place + 1);
            Denied::new(ErrorCode::InvalidAuthorizationDetails, "AS-RES-03", wire).log(detail.detail_type())
        })?;
        if !resources.contains(&resource.identifier) {
            resources.push(resource.identifier.clone());
        }
    }
    Ok(resources)
}

fn check_detail<'c>(
    config: &'c Config,
    client: &RegisteredClient,
    detail: &AuthorizationDetail,
) -> Result<&'c Resource, String> {
    let name = detail.detail_type();
    let found = config
        .detail_type(name)
        .filter(|(resource, _)| client.allows_detail(name) && client.allows_resource(&resource.identifier));
    let (resource, known) = found.ok_or("`type` must be one that the client can ask for")?;
    known.check(detail)?;
    Ok(resource)
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
        let found = found.filter(|found| may_use(config, client, found));
        let found = found.ok_or_else(|| {
            target("AS-RES-01", "`resource` is not a resource that this client can ask for")
        })?;
        if !chosen.iter().any(|known| known.identifier == found.identifier) {
            chosen.push(found);
        }
    }
    Ok(chosen)
}

/// Only who may introspect can use a token for it, and only who is named to register clients one for that.
fn may_use(config: &Config, client: &RegisteredClient, resource: &Resource) -> bool {
    let is = |other: &Resource| other.identifier == resource.identifier;
    if is(&config.introspection) {
        return config.is_resource(client.id.as_str());
    }
    if config.registration.resource.as_ref().is_some_and(is) {
        return client.scope.as_ref().is_some_and(|scope| scope.contains(REGISTRATION_SCOPE));
    }
    true
}

impl Reach {
    /// What was written down of one.
    #[must_use]
    pub fn kept(scope: &[String], resources: &[String], details: &AuthorizationDetails) -> Self {
        let scope = Scope::parse(&scope.join(" ")).unwrap_or_default();
        Self { scope, resources: resources.to_vec(), details: details.clone() }
    }

    /// Leaves no more than these of its details (RFC 9396 §7.1). A resource that was asked for in detail goes with the
    /// last of them, unless a scope of it is left: nothing that the user allowed is there.
    pub fn leave(&mut self, config: &Config, details: AuthorizationDetails) {
        let names =
            |name: &str| names_detail(config, &details, name) || names_scope(config, &self.scope, name);
        self.resources.retain(|name| !names_detail(config, &self.details, name) || names(name));
        self.details = details;
    }

    /// The resources of which it names no scope and no detail: everything there, as a user reads it.
    #[must_use]
    pub fn unnamed(&self, config: &Config) -> Vec<&str> {
        let is_unnamed = |name: &&str| {
            !names_detail(config, &self.details, name) && !names_scope(config, &self.scope, name)
        };
        self.resources.iter().map(String::as_str).filter(is_unnamed).collect()
    }

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

    /// The part of this reach that a token request asks for (RFC 6749 §6, RFC 8707 §2.2, RFC 9396 §6): the same or less.
    ///
    /// # Errors
    /// `invalid_scope`, `invalid_target` or `invalid_authorization_details` where it asks for more.
    pub fn narrow(&self, config: &Config, wanted: &Wanted) -> Result<Self, Denied> {
        let Wanted { scope, resources, details } = wanted;
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
        let resources: Vec<String> = self.resources.iter().filter(is_wanted).cloned().collect();
        if !details.is_within(&self.details) {
            let wire = "`authorization_details` must be what was granted, or less";
            return Err(Denied::new(ErrorCode::InvalidAuthorizationDetails, "AS-RES-03", wire));
        }
        let details = if details.is_empty() { &self.details } else { details };
        // Those of a resource that is not meant are not for this token.
        let is_meant = |detail: &AuthorizationDetail| {
            let of =
                config.detail_type(detail.detail_type()).map(|(resource, _)| resource.identifier.as_str());
            of.is_some_and(|of| resources.iter().any(|name| name == of))
        };
        let details = details.filtered(|_, detail| is_meant(detail));
        Ok(Self { scope, resources, details })
    }
}

/// Whether any of the details is about that resource.
fn names_detail(config: &Config, details: &AuthorizationDetails, name: &str) -> bool {
    let mut types = details.iter().filter_map(|detail| config.detail_type(detail.detail_type()));
    types.any(|(resource, _)| resource.identifier.as_str() == name)
}

/// Whether any of the scope is that resource's.
fn names_scope(config: &Config, scope: &Scope, name: &str) -> bool {
    let known = config.resource(name);
    known.is_some_and(|resource| scope.iter().any(|token| resource.scopes.contains(token)))
}
