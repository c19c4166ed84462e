//! One access token for another (RFC 8693): an API goes on to the next one in the name of who called it.

use super::{Asker, Exchanged, Found, Granted, SignIn};
use crate::access::{self, LiveToken};
use crate::audit::{self, Event, Facts};
use crate::bind::{self, Binding};
use crate::clients::RegisteredClient;
use crate::config::Config;
use crate::prove;
use crate::provider::Provider;
use crate::reach::{self, Reach, Wanted};
use crate::refusal::{Denied, Refusal};
use keybound_dpop::confirmation::Confirmation;
use keybound_dpop::time::Now;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::identifier::ResourceId;
use keybound_oauth::token_exchange::{ACCESS_TOKEN, TokenExchangeRequest, TypedToken};
use serde_json::{Map, Value, json};

/// Actors inside one another, at the most.
const MAX_ACTORS: usize = 8;

/// A token request with an access token, which is good, and perhaps one of an actor.
#[derive(Clone, Debug)]
pub struct ExchangeRequest {
    subject: LiveToken,
    actor: Option<LiveToken>,
    wanted: Wanted,
}

pub(super) async fn find(
    provider: &Provider,
    request: &TokenExchangeRequest,
    wanted: Wanted,
    now: Now,
) -> Result<Found, Refusal> {
    if !wanted.details.is_empty() {
        let wire = "`authorization_details` must be left out: a token is exchanged for scope";
        return Err(Denied::new(ErrorCode::InvalidAuthorizationDetails, "AS-RES-03", wire).into());
    }
    if request.requested_token_type.as_deref().is_some_and(|requested| requested != ACCESS_TOKEN) {
        let wire = format!("`requested_token_type` must be {ACCESS_TOKEN}, or left out");
        return Err(refused("AS-TEX-05", wire).into());
    }
    let subject = live(provider, &request.subject, "subject_token", now).await?;
    let actor = match &request.actor {
        Some(actor) => Some(live(provider, actor, "actor_token", now).await?),
        None => None,
    };
    let wanted = with_audiences(wanted, request)?;
    Ok(Found::Exchange(Box::new(ExchangeRequest { subject, actor, wanted })))
}

/// RFC 8693 §2.2.2: whatever is wrong with one of the tokens is `invalid_request`.
fn refused(row: &'static str, wire: impl Into<String>) -> Denied {
    Denied::new(ErrorCode::InvalidRequest, row, wire)
}

async fn live(
    provider: &Provider,
    presented: &TypedToken,
    parameter: &str,
    now: Now,
) -> Result<LiveToken, Refusal> {
    if presented.token_type != ACCESS_TOKEN {
        let wire = format!("`{parameter}_type` must be {ACCESS_TOKEN}: only access tokens are exchanged");
        return Err(refused("AS-TEX-05", wire).into());
    }
    let found = access::find(provider, presented.token.reveal(), now).await?;
    let unknown = || refused("AS-TEX-05", format!("`{parameter}` is unknown, revoked, or has expired"));
    Ok(found.ok_or_else(unknown)?)
}

/// `audience` names resources, as `resource` does.
fn with_audiences(wanted: Wanted, request: &TokenExchangeRequest) -> Result<Wanted, Denied> {
    let mut wanted = Wanted { scope: request.scope.clone(), ..wanted };
    for name in &request.audiences {
        let unknown = |_| {
            let wire = "`audience` must be the identifier of a resource";
            Denied::new(ErrorCode::InvalidTarget, "AS-TEX-05", wire)
        };
        wanted.resources.push(ResourceId::parse(name).map_err(unknown)?);
    }
    Ok(wanted)
}

/// No more than the subject token's scope, and no more than the client may ask for (RFC 8693 §5).
fn reach(
    config: &Config,
    client: &RegisteredClient,
    mut wanted: Wanted,
    subject: &LiveToken,
) -> Result<Reach, Denied> {
    let most = &subject.claims.scope;
    let asked = match (&wanted.scope, &client.scope) {
        (Some(scope), _) if !scope.is_subset_of(most) => {
            let wire = "the scope is wider than that of the subject token";
            return Err(Denied::new(ErrorCode::InvalidScope, "AS-TEX-07", wire));
        }
        (Some(scope), _) => scope.clone(),
        (None, Some(allowed)) => most.intersection(allowed),
        (None, None) => most.clone(),
    };
    wanted.scope = Some(asked);
    reach::decide(config, client, &wanted, false)
}

pub(super) async fn redeem(asker: &Asker, request: ExchangeRequest) -> Result<Granted, Refusal> {
    let ExchangeRequest { subject, actor, wanted } = request;
    for token in std::iter::once(&subject).chain(&actor) {
        check_right(asker, token)?;
    }
    // Only now: what a token allows is not for others to find out by asking for more.
    let reach = reach(&asker.provider.config, &asker.client, wanted, &subject)?;
    let act = act(asker, &subject, actor.as_ref())?;
    let audience = reach.audience(&asker.provider.config);
    let binding = bind(asker, &audience, &subject)?;
    let ends = actor.as_ref().map_or(subject.claims.exp, |actor| actor.claims.exp.min(subject.claims.exp));
    let claims = &subject.claims;
    let mut granted = Granted {
        client: asker.client.clone(),
        subject: claims.sub.clone().unwrap_or_default(),
        pairwise: None,
        reach,
        audience,
        binding,
        jti: match subject.grant {
            Some(grant) => asker.minted.token_id_of(grant),
            None => asker.minted.token_id.clone(),
        },
        refresh_token: None,
        sign_in: claims.auth_time.map(|auth_time| SignIn {
            session_id: None,
            auth_time,
            nonce: None,
            acr: claims.acr.clone(),
            claims: Map::new(),
        }),
        opaque: None,
        exchanged: Some(Exchanged { act, not_after: ends }),
    };
    if let Some(write) = asker.keep(&mut granted, subject.grant)? {
        asker.provider.store.write(vec![write]).await?;
    }
    let facts = Facts {
        client_id: Some(asker.client.id.as_str()),
        token: Some(&audit::digest(subject.jti())),
        ..Facts::default()
    };
    audit::write(Event::TokenExchanged, &facts);
    Ok(granted)
}

/// Mere possession is not enough: the token was sent to the client, which is the resource; or it is the client's, as
/// its key shows where it has one (AS-TEX-03).
fn check_right(asker: &Asker, token: &LiveToken) -> Result<(), Denied> {
    let client_id = asker.client.id.as_str();
    let is_theirs = match token.claims.confirmation {
        Confirmation::Jkt(jkt) => asker.proof.as_ref().is_some_and(|proof| *proof.jkt() == jkt),
        _ => token.client_id() == client_id,
    };
    if is_theirs || asker.provider.config.is_resource_in(client_id, token.claims.aud.iter()) {
        return Ok(());
    }
    let wire = "a token is exchanged by the resource that it is for, or by who proves its key";
    Err(refused("AS-TEX-03", wire))
}

/// Who acts now, and who did before (RFC 8693 §4.1). Without an actor token it is the client, in the subject's place.
fn act(asker: &Asker, subject: &LiveToken, actor: Option<&LiveToken>) -> Result<Option<Value>, Denied> {
    let client_id = asker.client.id.as_str();
    let acting = actor.map_or(client_id, |actor| actor.claims.sub.as_deref().unwrap_or_default());
    match subject.all.get("may_act") {
        Some(may_act) if may_act.get("sub").and_then(Value::as_str) != Some(acting) => {
            return Err(refused("AS-TEX-06", "`may_act` of the subject token names another actor"));
        }
        None if acting != client_id => {
            let wire = "only who is named by `may_act` of the subject token, or the client itself, may act";
            return Err(refused("AS-TEX-06", wire));
        }
        _ => {}
    }
    let before = subject.all.get("act");
    let Some(actor) = actor else { return Ok(before.cloned()) };
    if actor.all.contains_key("act") {
        return Err(refused("AS-TEX-06", "the actor token must be the actor's own, without `act`"));
    }
    if std::iter::successors(before, |act| act.get("act")).count() >= MAX_ACTORS {
        return Err(refused("AS-TEX-06", format!("at most {MAX_ACTORS} actors may act one after another")));
    }
    Ok(Some(match before {
        Some(before) => json!({ "sub": acting, "act": before }),
        None => json!({ "sub": acting }),
    }))
}

/// The proof of this request binds, and nothing else (AS-TEX-02). What was bound does not become a bearer token.
fn bind(asker: &Asker, audience: &[String], subject: &LiveToken) -> Result<Binding, Denied> {
    let binding = bind::decide(&asker.provider.config, &asker.client, audience, asker.proof.as_ref())?;
    let was_bound = subject.claims.confirmation != Confirmation::None;
    match binding {
        Binding::Bearer { refresh_key: None } if was_bound => Err(prove::missing("AS-TEX-04")),
        Binding::Bearer { refresh_key: Some(_) } if was_bound => {
            let wire = "a bound token is not exchanged for one of a resource that takes no bound tokens";
            Err(Denied::new(ErrorCode::InvalidTarget, "AS-TEX-04", wire))
        }
        binding => Ok(binding),
    }
}
