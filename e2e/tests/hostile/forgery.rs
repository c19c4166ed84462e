//! JWTs as no honest server signs them.

use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use serde_json::Value;
use std::sync::LazyLock;

/// A good JWT, to be made a bad one.
pub(crate) struct Forgery {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    pub(crate) key: SigningKey,
}

impl Forgery {
    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.claims.as_object_mut().expect("an object").remove(name);
        self
    }

    pub(crate) fn head(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    pub(crate) fn input(&self) -> String {
        let encode = |value: &Value| base64url::encode(value.to_string().as_bytes());
        format!("{}.{}", encode(&self.header), encode(&self.claims))
    }

    pub(crate) fn sign_with(&self, key: &SigningKey) -> String {
        let input = self.input();
        format!("{input}.{}", base64url::encode(&key.sign(input.as_bytes()).expect("signed")))
    }

    pub(crate) fn sign(&self) -> String {
        self.sign_with(&self.key)
    }
}

pub(crate) fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).expect("a key")
}

/// A key of the server's, of a kind that its metadata do not list.
static UNLISTED: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::EdDsa).expect("a key"));

/// The set that publishes that key, and beside it one of a kind that is not listed.
pub(crate) fn key_set(key: &SigningKey) -> String {
    let named = |kid: &str, key: &SigningKey| NamedKey {
        kid: Some(kid.to_owned()),
        algorithm: None,
        key: key.public_jwk().clone(),
    };
    KeySet::of(vec![named("k", key), named("unlisted", &UNLISTED)]).to_json()
}

/// Signed soundly, under an algorithm that the server does not say it uses.
pub(crate) fn unlisted(good: Forgery) -> String {
    good.head("alg", "EdDSA").head("kid", "unlisted").sign_with(&UNLISTED)
}

pub(crate) type Make = Box<dyn Fn(Forgery) -> String>;

pub(crate) fn make(make: impl Fn(Forgery) -> String + 'static) -> Make {
    Box::new(make)
}

/// As if the client's secret were a key (RFC 8725 §2.1): some octets in its place are enough here.
pub(crate) fn hmac(good: &Forgery) -> String {
    format!("{}.{}", good.input(), base64url::encode(&[7; 32]))
}

/// A token that brings the key that it wants to be verified with.
pub(crate) fn by_its_own_key(good: Forgery, key: &SigningKey) -> String {
    let jwk: Value = serde_json::from_str(&key.public_jwk().to_json()).expect("JSON");
    good.head("jwk", jwk).head("kid", "k").sign_with(key)
}
