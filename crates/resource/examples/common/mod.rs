//! The other two parties of the examples: an issuer that binds its tokens to a key, and a client that has that key.

use http::request::Builder;
use http::{HeaderMap, Method, Request};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::jws;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::nonce::Nonce;
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::time::{Clock, SystemClock};
use keybound_dpop::token_hash::TokenHash;
use keybound_resource::{Keys, TokenProfile, TrustedIssuer};
use serde_json::{Value, json};

pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const API: &str = "https://api.example";

pub(crate) struct Others {
    issuer_key: SigningKey,
    client_key: SigningKey,
}

impl Others {
    pub(crate) fn new() -> Result<Self, Failed> {
        let key = || SigningKey::generate(Algorithm::Es256);
        Ok(Self { issuer_key: key()?, client_key: key()? })
    }

    /// The issuer as a guard knows it: its name, and its keys. Elsewhere they are fetched.
    pub(crate) fn issuer(&self) -> TrustedIssuer {
        let (kid, algorithm) = (Some("1".to_owned()), Some(self.issuer_key.algorithm()));
        let key = NamedKey { kid, algorithm, key: self.issuer_key.public_jwk().clone() };
        TrustedIssuer::new(ISSUER, Keys::fixed(KeySet::of(vec![key])), TokenProfile::Rfc9068)
    }

    /// What a token says that is bound to the client's key.
    pub(crate) fn claims(&self, scope: &str) -> Value {
        let now = SystemClock::start().now().unix.as_secs();
        json!({
            "iss": ISSUER, "sub": "alice", "aud": API, "client_id": "app", "jti": "1", "scope": scope, "iat": now,
            "exp": now + 300, "acr": "password", "auth_time": now,
            "cnf": { "jkt": self.client_key.public_jwk().thumbprint().to_string() },
        })
    }

    pub(crate) fn token(&self, scope: &str) -> Result<String, Failed> {
        Ok(jws::sign(&self.issuer_key, "at+jwt", Some("1"), self.claims(scope).to_string().as_bytes())?)
    }

    /// A request with a token and a new proof, which carries the nonce of the answer before.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        token: &str,
        answer: Option<&HeaderMap>,
    ) -> Result<Builder, Failed> {
        let nonce = answer.and_then(|headers| Nonce::parse(headers.get("dpop-nonce")?.to_str().ok()?));
        let (entropy, iat) = (random()?, SystemClock::start().now().unix);
        let (hash, htu) = (Some(TokenHash::of(token)), format!("{API}{path}"));
        let proof =
            NewProof { method: method.as_str(), htu: &htu, token: hash, nonce: nonce.as_ref(), entropy, iat };
        let request = Request::builder().method(&method).uri(path);
        Ok(request
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", proof.sign(&self.client_key)?))
    }
}
