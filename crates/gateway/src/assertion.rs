//! Who calls, in a form that an upstream can verify without trusting the network in between (RS-GW-04): a JWT that the
//! gateway signs, for one upstream and less than a minute.

use http::HeaderValue;
use http::header::AUTHORIZATION;
use http::request::Parts;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::jws;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::object_writer::ObjectWriter;
use keybound_dpop::jose::signer::{SignError, Signer, SigningKey};
use keybound_dpop::time::UnixTime;
use keybound_dpop::token_hash::TokenHash;
use keybound_resource::Access;
use quick_cache::sync::Cache;
use std::fmt;

/// Where the keys are that assertions are verified with.
pub(crate) const KEYS_PATH: &str = "/.well-known/keybound-assertion-keys";
/// `typ`, so that an assertion is taken for nothing else (RFC 8725 §3.11).
const TYP: &str = "keybound-assertion+jwt";
/// How long an assertion is good.
const LIFETIME_SECS: u64 = 60;
/// How long it is used again; what is left of its life is enough for any upstream's clock.
const REUSE_SECS: u64 = 20;
/// How many tokens' assertions are remembered.
const REMEMBERED: usize = 10_000;

/// Makes assertions.
pub(crate) struct Assertions {
    issuer: String,
    key: SigningKey,
    kid: String,
    made: Cache<(TokenHash, String), Made>,
}

#[derive(Clone)]
struct Made {
    text: HeaderValue,
    fresh_until: UnixTime,
}

impl Assertions {
    /// `issuer` is the public URL; without a key, one is made that lives as long as this process.
    pub(crate) fn new(issuer: String, key: Option<SigningKey>) -> Result<Self, SignError> {
        let key = key.map_or_else(|| SigningKey::generate(Algorithm::Es256), Ok)?;
        let kid = key.public_jwk().thumbprint().to_string();
        Ok(Self { issuer, key, kid, made: Cache::new(REMEMBERED) })
    }

    /// The key set for upstreams, as JSON.
    pub(crate) fn keys(&self) -> String {
        let algorithm = Some(self.key.algorithm());
        let key = NamedKey { kid: Some(self.kid.clone()), algorithm, key: self.key.public_jwk().clone() };
        KeySet::of(vec![key]).to_json()
    }

    /// The assertion for a request that was let through. Costs a signature for each token and upstream every few seconds.
    pub(crate) fn of(
        &self,
        request: &Parts,
        access: &Access,
        audience: &str,
        now: UnixTime,
    ) -> Result<HeaderValue, SignError> {
        let token =
            request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let key = (TokenHash::of(token), audience.to_owned());
        if let Some(made) = self.made.get(&key).filter(|made| now < made.fresh_until) {
            return Ok(made.text);
        }
        let exp = access.expires_at().min(now.plus_secs(LIFETIME_SECS));
        let claims = self.claims(access, audience, now, exp);
        let text = jws::sign(&self.key, TYP, Some(&self.kid), claims.as_bytes())?;
        let mut text = HeaderValue::try_from(text).map_err(|error| SignError(error.to_string()))?;
        text.set_sensitive(true);
        let fresh_until = exp.min(now.plus_secs(REUSE_SECS));
        self.made.insert(key, Made { text: text.clone(), fresh_until });
        Ok(text)
    }

    fn claims(&self, access: &Access, audience: &str, now: UnixTime, exp: UnixTime) -> String {
        let mut claims = ObjectWriter::with_room(512).text("iss", &self.issuer).text("aud", audience);
        claims = claims.number("iat", now.as_secs()).number("exp", exp.as_secs());
        claims = claims.text("token_iss", access.issuer()).text("sub", access.subject());
        if let Some(client_id) = access.client_id() {
            claims = claims.text("client_id", client_id);
        }
        if !access.scope().is_empty() {
            claims = claims.text("scope", access.scope().as_str());
        }
        if let Some(jkt) = access.jkt() {
            claims = claims.object("cnf", ObjectWriter::with_room(64).text("jkt", &jkt.to_string()));
        }
        claims.finish()
    }
}

impl fmt::Debug for Assertions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertions").field("kid", &self.kid).finish_non_exhaustive()
    }
}
