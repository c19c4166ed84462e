//! Proofs as no honest client makes them: every part can be set, left out or broken before it is signed.

use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::time::UnixTime;
use keybound_dpop::token_hash::TokenHash;
use serde_json::{Value, json};

/// A proof in the making: a good one until a test says otherwise.
#[derive(Clone, Debug)]
pub struct Forge {
    /// The JOSE header.
    pub header: Value,
    /// The claims.
    pub claims: Value,
}

impl Forge {
    /// A good proof for a request, by that key.
    pub fn new(key: &SigningKey, method: &str, htu: &str, now: UnixTime) -> Self {
        let jwk: Value = serde_json::from_str(&key.public_jwk().to_json()).expect("JSON");
        let jti = base64url::encode(&random::<12>().expect("entropy"));
        Self {
            header: json!({ "typ": "dpop+jwt", "alg": key.algorithm().name(), "jwk": jwk }),
            claims: json!({ "jti": jti, "htm": method, "htu": htu, "iat": now.as_secs() }),
        }
    }

    /// With a nonce.
    #[must_use]
    pub fn nonce(self, nonce: &str) -> Self {
        self.claim("nonce", nonce)
    }

    /// With the hash of a token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.claim("ath", TokenHash::of(token).ath())
    }

    /// With a claim set.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    /// Without a claim.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.as_object_mut().expect("an object").remove(name);
        self
    }

    /// With a header member set.
    #[must_use]
    pub fn head(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    /// The proof, signed by the key.
    pub fn sign(&self, key: &SigningKey) -> String {
        let encode = |value: &Value| base64url::encode(value.to_string().as_bytes());
        let input = format!("{}.{}", encode(&self.header), encode(&self.claims));
        let signature = key.sign(input.as_bytes()).expect("signed");
        format!("{input}.{}", base64url::encode(&signature))
    }
}

/// A new ES256 key.
pub fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).expect("a key")
}

/// The thumbprint of a key, as `jkt` holds it.
pub fn jkt(key: &SigningKey) -> String {
    key.public_jwk().thumbprint().to_string()
}
