//! Writing tokens down and signing them. No I/O, nothing to undo.

use crate::acr;
use crate::clients::RegisteredClient;
use crate::config::Config;
use crate::grant::Granted;
use crate::logout::sid;
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::signing_keys::{DEFAULT_ALGORITHM, KeyUse};
use crate::store::{CREDENTIAL_ENTROPY, Id};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::{CryptoError, random};
use keybound_dpop::jose::signer::SignError;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::access_token::NewAccessToken;
use keybound_oauth::audience::Audience;
use keybound_oauth::client_metadata::GrantType;
use keybound_oauth::id_token::NewIdToken;
use keybound_oauth::token::TokenResponse;
use keybound_oauth::token_exchange;

/// Octets of entropy in a `jti`.
const TOKEN_ID_ENTROPY: usize = 16;

/// The random parts of an answer, drawn before the decision so that the decision can run twice.
#[derive(Clone, Debug)]
pub struct Minted {
    /// 128 random bits for `jti`.
    pub token_id: String,
    /// What a refresh token would be made of.
    pub refresh_entropy: [u8; CREDENTIAL_ENTROPY],
    /// What an opaque access token would be made of.
    pub access_entropy: [u8; CREDENTIAL_ENTROPY],
}

impl Minted {
    /// The `jti` of a token of that grant: revoking the grant revokes it.
    #[must_use]
    pub fn token_id_of(&self, grant: Id) -> String {
        format!("{grant}.{}", self.token_id)
    }
}

/// The grant that an access token of ours belongs to; none where the client acts for itself.
#[must_use]
pub fn grant_of(jti: &str) -> Option<Id> {
    jti.split_once('.').and_then(|(grant, _)| Id::parse(grant))
}

/// Draws the random parts.
///
/// # Errors
/// [`CryptoError`] where the system has no entropy to give.
pub fn mint() -> Result<Minted, CryptoError> {
    // At once: a draw costs as much as all that is drawn.
    let drawn: [u8; TOKEN_ID_ENTROPY + 2 * CREDENTIAL_ENTROPY] = random()?;
    let (token_id, rest) = drawn.split_first_chunk::<TOKEN_ID_ENTROPY>().ok_or(CryptoError)?;
    let (refresh_entropy, rest) = rest.split_first_chunk().ok_or(CryptoError)?;
    let access_entropy = rest.first_chunk().ok_or(CryptoError)?;
    Ok(Minted {
        token_id: base64url::encode(token_id),
        refresh_entropy: *refresh_entropy,
        access_entropy: *access_entropy,
    })
}

impl From<CryptoError> for Refusal {
    fn from(error: CryptoError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<SignError> for Refusal {
    fn from(error: SignError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Whether the client's tokens can be signed: asked before anything is spent, since the key of an algorithm is made when
/// the first client wants it (DEC-28).
///
/// # Errors
/// [`Refusal::Unavailable`] where the key is still being made.
pub fn check_keys(provider: &Provider, client: &RegisteredClient, now: UnixTime) -> Result<(), Refusal> {
    let signs_in = [GrantType::AuthorizationCode, GrantType::DeviceCode, GrantType::RefreshToken];
    if signs_in.into_iter().any(|grant| client.allows_grant(grant)) {
        provider.signing_keys.signer(KeyUse::Tokens, client.id_token_algorithm, now)?;
    }
    Ok(())
}

/// When the access token ends.
#[must_use]
pub fn expires_at(config: &Config, granted: &Granted, now: UnixTime) -> UnixTime {
    let longest = now.plus_secs(config.lifetimes.access_token_secs);
    granted.exchanged.as_ref().map_or(longest, |exchanged| longest.min(exchanged.not_after))
}

/// What the access token says, in whichever form (RFC 9068, with `cnf` where it is bound, RFC 9449 §6.1).
#[must_use]
pub fn new_access_token<'a>(
    config: &'a Config,
    granted: &'a Granted,
    aud: &'a Audience,
    now: UnixTime,
) -> NewAccessToken<'a> {
    NewAccessToken {
        iss: config.issuer.as_str(),
        sub: granted.sub(),
        aud,
        exp: expires_at(config, granted, now),
        iat: now,
        jti: &granted.jti,
        client_id: granted.client.id.as_str(),
        scope: &granted.reach.scope,
        jkt: granted.binding.access_key(),
        auth_time: granted.sign_in.as_ref().map(|sign_in| sign_in.auth_time),
        acr: granted.sign_in.as_ref().and_then(|sign_in| sign_in.acr.as_deref()),
        authorization_details: &granted.reach.details,
        act: granted.exchanged.as_ref().and_then(|exchanged| exchanged.act.as_ref()),
        may_act: granted.client.may_act.as_deref(),
    }
}

/// Signs what was granted.
///
/// # Errors
/// [`Refusal::Unavailable`] where no key can sign.
pub fn tokens(provider: &Provider, granted: Granted, now: UnixTime) -> Result<TokenResponse, Refusal> {
    let access_token = match &granted.opaque {
        Some(kept) => kept.clone(),
        None => access_token(provider, &granted, now)?,
    };
    let id_token = match &granted.sign_in {
        Some(_) if granted.reach.scope.contains("openid") => {
            Some(id_token(provider, &granted, &access_token, now)?)
        }
        _ => None,
    };
    Ok(TokenResponse {
        access_token,
        token_type: granted.binding.token_type(),
        expires_in_secs: Some(expires_at(&provider.config, &granted, now).since(now).as_secs()),
        issued_token_type: granted.exchanged.map(|_| token_exchange::ACCESS_TOKEN.to_owned()),
        refresh_token: granted.refresh_token,
        scope: Some(granted.reach.scope),
        authorization_details: granted.reach.details,
        id_token,
    })
}

fn access_token(provider: &Provider, granted: &Granted, now: UnixTime) -> Result<Secret, Refusal> {
    let asked = provider.config.access_token_algorithm(&granted.audience);
    // FAPI-CRY-01: the client's own profile knows no RS256, whatever the resource asks for.
    let ours = provider.config.profile.of(&granted.client).signing_algorithms();
    let algorithm = if ours.contains(&asked) { asked } else { DEFAULT_ALGORITHM };
    let key = provider.signing_keys.signer(KeyUse::Tokens, algorithm, now)?;
    let audience = Audience::of(granted.audience.clone());
    let token = new_access_token(&provider.config, granted, &audience, now);
    Ok(token.sign(&key.key, Some(&key.kid))?)
}

fn id_token(
    provider: &Provider,
    granted: &Granted,
    access_token: &Secret,
    now: UnixTime,
) -> Result<Secret, Refusal> {
    let key = provider.signing_keys.signer(KeyUse::Tokens, granted.client.id_token_algorithm, now)?;
    let sign_in = granted.sign_in.as_ref();
    let sid = sign_in.and_then(|sign_in| sign_in.session_id).map(|id| sid(provider, id, &granted.client.id));
    let acr = sign_in.and_then(|sign_in| sign_in.acr.as_deref());
    let token = NewIdToken {
        iss: &provider.config.issuer,
        sub: granted.sub(),
        aud: &granted.client.id,
        exp: now.plus_secs(provider.config.lifetimes.id_token_secs),
        iat: now,
        nonce: sign_in.and_then(|sign_in| sign_in.nonce.as_deref()),
        auth_time: sign_in.map(|sign_in| sign_in.auth_time),
        acr,
        amr: acr.map_or(&[], acr::methods),
        claims: sign_in.map(|sign_in| &sign_in.claims),
        sid: sid.as_deref(),
        access_token: Some(access_token),
    };
    Ok(token.sign(&key.key, Some(&key.kid))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_random_is_used_for_two_things() {
        let minted = mint().unwrap();
        let other = mint().unwrap();
        let id = base64url::decode(&minted.token_id).unwrap();
        let parts: [&[u8]; 6] = [
            &minted.refresh_entropy,
            &minted.access_entropy,
            &id,
            &other.refresh_entropy,
            &other.access_entropy,
            other.token_id.as_bytes(),
        ];
        for (place, part) in parts.iter().enumerate() {
            let mut others = parts.iter().skip(place + 1);
            let shares = |other: &&[u8]| other.windows(8).any(|some| part.windows(8).any(|own| own == some));
            assert!(!others.any(shares), "{place}");
        }
    }
}
