//! What a user agreed to, and the tokens that come of it: the same for a code and for a device code.

use super::{Asker, Granted, SignIn};
use crate::bind::{self, Binding};
use crate::reach::{Reach, Wanted};
use crate::refusal::Denied;
use crate::store::{Credential, Id, RefreshToken, RefreshTokenState, Write};
use crate::subject;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::client_metadata::GrantType;
use serde_json::{Map, Value};

/// What a user agreed to.
pub(super) struct Agreed<'r> {
    /// The family that the tokens belong to.
    pub(super) grant_id: Id,
    /// Who.
    pub(super) subject: &'r str,
    /// To what.
    pub(super) scope: &'r [String],
    /// Where.
    pub(super) resources: &'r [String],
    /// In detail.
    pub(super) details: &'r AuthorizationDetails,
    /// The sign-in session.
    pub(super) session_id: Option<Id>,
    /// When the user signed in.
    pub(super) auth_time: UnixTime,
    /// `nonce` for the ID token.
    pub(super) nonce: Option<&'r str>,
    /// How the user signed in.
    pub(super) acr: Option<&'r str>,
    /// What the ID token tells of the user besides.
    pub(super) claims: &'r Map<String, Value>,
}

/// Whether what was agreed to lives on after a logout. Without `openid` there is no sign-in for it to end with (DEC-26).
pub(super) fn outlives_sign_in(scope: &[String]) -> bool {
    let has = |scope_token: &str| scope.iter().any(|token| token == scope_token);
    has("offline_access") || !has("openid")
}

impl Agreed<'_> {
    /// The tokens for the client that asks, for what it wants of it.
    pub(super) fn grant_tokens(
        &self,
        asker: &Asker,
        wanted: &Wanted,
    ) -> Result<(Granted, Vec<Write>), Denied> {
        let config = &asker.provider.config;
        let now = asker.now.unix;
        let reach = Reach::kept(self.scope, self.resources, self.details).narrow(config, wanted)?;
        let audience = reach.audience(config);
        let binding = bind::decide(config, &asker.client, &audience, asker.proof.as_ref())?;
        let until = now.plus_secs(config.lifetimes.access_token_secs);
        let mut writes = vec![Write::KeepGrant { id: self.grant_id, until }];
        let mut refresh_token = None;
        if asker.client.allows_grant(GrantType::RefreshToken) {
            let (first, text) = self.first_refresh_token(asker, binding, now);
            writes.push(Write::InsertRefreshToken(Box::new(first)));
            refresh_token = Some(text);
        }
        let mut granted = Granted {
            client: asker.client.clone(),
            subject: self.subject.to_owned(),
            pairwise: subject::pairwise(&asker.provider, &asker.client, self.subject),
            reach,
            audience,
            binding,
            jti: asker.minted.token_id_of(self.grant_id),
            refresh_token,
            sign_in: Some(SignIn {
                session_id: self.session_id,
                auth_time: self.auth_time,
                nonce: self.nonce.map(str::to_owned),
                acr: self.acr.map(str::to_owned),
                claims: self.claims.clone(),
            }),
            opaque: None,
            exchanged: None,
        };
        writes.extend(asker.keep(&mut granted, Some(self.grant_id))?);
        Ok((granted, writes))
    }

    /// Bound to the key for a public client, to the client's authentication for a confidential one (RFC 9449 §5).
    fn first_refresh_token(&self, asker: &Asker, binding: Binding, now: UnixTime) -> (RefreshToken, Secret) {
        let lifetimes = &asker.provider.config.lifetimes;
        let offline = outlives_sign_in(self.scope);
        let sign_in_ends = self.auth_time.plus_secs(lifetimes.session_secs);
        let longest = now.plus_secs(lifetimes.refresh_token_secs);
        let expires_at = if offline { longest } else { longest.min(sign_in_ends) };
        let jkt = if asker.client.is_public() { binding.refresh_key() } else { None };
        let (id, text, secret_hash) = Credential::mint(now, &asker.minted.refresh_entropy);
        let first = RefreshToken {
            id,
            secret_hash,
            grant_id: self.grant_id,
            client_id: asker.client.id.as_str().to_owned(),
            subject: self.subject.to_owned(),
            jkt: jkt.map(|jkt| jkt.to_string()),
            scope: self.scope.to_vec(),
            resources: self.resources.to_vec(),
            authorization_details: self.details.clone(),
            auth_time: self.auth_time,
            acr: self.acr.map(str::to_owned),
            session_id: self.session_id,
            offline,
            issued_at: now,
            last_used_at: now,
            expires_at,
            idle_expires_at: now.plus_secs(lifetimes.refresh_idle_secs).min(expires_at),
            state: RefreshTokenState::Live,
        };
        (first, text)
    }
}
