//! The refresh token (RFC 6749 §6, RFC 9449 §5, RFC 9700 §2.2.2).

use super::{Asker, Found, Granted, RefreshRequest, SignIn, invalid_grant, settled, stolen};
use crate::bind;
use crate::claims;
use crate::clients::Origin;
use crate::config::Rotate;
use crate::prove;
use crate::provider::Provider;
use crate::reach::{Reach, Wanted};
use crate::refusal::{Denied, Refusal};
use crate::store::{Credential, Grant, RefreshToken, RefreshTokenState, Verdict, Write};
use crate::subject;
use keybound_dpop::secret::Secret;

pub(super) async fn find(provider: &Provider, token: &Secret, wanted: Wanted) -> Result<Found, Refusal> {
    let (id, hash) = Credential::parse(token.reveal()).ok_or_else(unknown)?;
    let (_, grant) = provider.store.find_refresh_token(id, &hash).await?.ok_or_else(unknown)?;
    let claims = claims::for_id_token(provider, &grant).await?;
    Ok(Found::Refresh(RefreshRequest { id, hash, wanted, claims }))
}

fn unknown() -> Denied {
    invalid_grant("AS-RT-05", "the refresh token is unknown, revoked, or has expired")
}

pub(super) async fn redeem(asker: Box<Asker>, request: RefreshRequest) -> Result<Granted, Refusal> {
    let (store, id, hash) = (asker.provider.store.clone(), request.id, request.hash);
    let decided =
        store.use_refresh_token(id, hash, move |token, grant| decide(&asker, &request, token, grant)).await?;
    settled(decided, unknown)
}

/// The rule: pure, quick, repeatable.
fn decide(
    asker: &Asker,
    request: &RefreshRequest,
    token: &RefreshToken,
    grant: &Grant,
) -> Verdict<Box<Granted>, Denied> {
    let now = asker.now.unix;
    let ended = now >= token.expires_at || now >= token.idle_expires_at;
    if token.client_id != asker.client.id.as_str() || token.state == RefreshTokenState::Revoked || ended {
        return Verdict::Leave(unknown());
    }
    if let Err(denied) = check_key(asker, token) {
        return Verdict::Leave(denied);
    }
    if let RefreshTokenState::Rotated { at, .. } = token.state
        && now > at.plus_secs(asker.provider.config.lifetimes.rotation_grace_secs)
    {
        // RFC 9700 §4.14.2: it was handed to two parties, and one of them is a thief.
        let denied = invalid_grant("AS-RT-07", "the refresh token was used before; its family is revoked");
        return Verdict::Revoke { writes: stolen(grant, &token.subject, now), denied };
    }
    match grant_tokens(asker, request, token) {
        Ok((granted, writes)) => Verdict::Take { writes, out: Box::new(granted) },
        Err(denied) => Verdict::Leave(denied),
    }
}

/// A public client's token needs a proof by its own key, each time (AS-RT-02). One without a key was protected by the
/// authentication of a client whose document says no more that it has any: now it would be anybody's.
fn check_key(asker: &Asker, token: &RefreshToken) -> Result<(), Denied> {
    let client = &asker.client;
    let is_anybodys =
        client.origin == Origin::Document && client.is_public() && client.dpop_bound_access_tokens;
    match (&token.jkt, &asker.proof) {
        (None, _) if is_anybodys => Err(invalid_grant(
            "AS-RT-02",
            "the refresh token is bound to no key; the user has to sign in again",
        )),
        (Some(_), None) => Err(prove::missing("AS-RT-02")),
        (Some(jkt), Some(proof)) if *jkt != proof.jkt().to_string() => Err(invalid_grant(
            "AS-RT-01",
            "the proof's key is not the key that the refresh token is bound to",
        )),
        _ => Ok(()),
    }
}

fn grant_tokens(
    asker: &Asker,
    request: &RefreshRequest,
    token: &RefreshToken,
) -> Result<(Granted, Vec<Write>), Denied> {
    let config = &asker.provider.config;
    let now = asker.now.unix;
    let whole = Reach::kept(&token.scope, &token.resources, &token.authorization_details);
    let reach = whole.narrow(config, &request.wanted)?;
    let audience = reach.audience(config);
    let binding = bind::decide(config, &asker.client, &audience, asker.proof.as_ref())?;
    let until = now.plus_secs(config.lifetimes.access_token_secs);
    let idle_expires_at = now.plus_secs(config.lifetimes.refresh_idle_secs).min(token.expires_at);
    let mut writes = Vec::new();
    // It is kept as long as the refresh token.
    if until > token.expires_at {
        writes.push(Write::KeepGrant { id: token.grant_id, until });
    }
    let mut refresh_token = None;
    // DEC-01: rotated only where neither a key nor client authentication protects it, unless configured.
    let is_unbound = asker.client.is_public() && token.jkt.is_none();
    if is_unbound || config.rotate == Rotate::Always {
        let (id, text, secret_hash) = Credential::mint(now, &asker.minted.refresh_entropy);
        let successor = RefreshToken {
            id,
            secret_hash,
            // A proof that comes with a public client's refresh binds from now on.
            jkt: match is_unbound {
                true => binding.refresh_key().map(|jkt| jkt.to_string()),
                false => token.jkt.clone(),
            },
            issued_at: now,
            last_used_at: now,
            idle_expires_at,
            state: RefreshTokenState::Live,
            ..token.clone()
        };
        writes.push(Write::InsertRefreshToken(Box::new(successor)));
        writes.push(Write::RotateRefreshToken { id: token.id, successor: id, at: now });
        refresh_token = Some(text);
    } else {
        writes.push(Write::TouchRefreshToken { id: token.id, at: now, idle_expires_at });
    }
    let mut granted = Granted {
        client: asker.client.clone(),
        subject: token.subject.clone(),
        pairwise: subject::pairwise(&asker.provider, &asker.client, &token.subject),
        reach,
        audience,
        binding,
        jti: asker.minted.token_id_of(token.grant_id),
        refresh_token,
        // OpenID Connect Core §12.2: the sign-in of the original, and no nonce.
        sign_in: Some(SignIn {
            session_id: token.session_id,
            auth_time: token.auth_time,
            nonce: None,
            acr: token.acr.clone(),
            claims: request.claims.clone(),
        }),
        opaque: None,
        exchanged: None,
    };
    writes.extend(asker.keep(&mut granted, Some(token.grant_id))?);
    Ok((granted, writes))
}
