//! An issuer, a client and a guard on one clock that the test turns.

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use keybound_dpop::challenge::Challenge;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::jws;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::nonce::Nonce;
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::target::Target;
use keybound_dpop::time::{Clock, Now, UnixTime};
use keybound_dpop::token_hash::TokenHash;
use keybound_resource::{Access, Guard, GuardConfig, Keys, Rejection, TokenProfile, TrustedIssuer};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(crate) const T: u64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const API: &str = "https://api.example/";
pub(crate) const URL: &str = "https://api.example/things";

#[derive(Debug, Default)]
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn turn(&self, secs: u64) {
        self.turn_millis(secs * 1000);
    }

    pub(crate) fn turn_millis(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    fn millis(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        let millis = self.millis();
        Now { unix: UnixTime::from_millis(T * 1000 + millis), monotonic: Duration::from_millis(millis) }
    }
}

/// When every World begins.
pub(crate) fn begin() -> Now {
    TestClock::default().now()
}

pub(crate) struct World {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) issuer_key: SigningKey,
    pub(crate) client_key: SigningKey,
    pub(crate) guard: Arc<Guard>,
}

impl World {
    /// Nonces off, bound tokens only.
    pub(crate) fn new() -> Self {
        Self::with(|config| config.nonce = None)
    }

    pub(crate) fn with(change: impl FnOnce(&mut GuardConfig)) -> Self {
        let clock = Arc::new(TestClock::default());
        let issuer_key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let keys = Keys::fixed(key_set(&issuer_key));
        let issuer = TrustedIssuer::new(ISSUER, keys, TokenProfile::Rfc9068);
        let mut config =
            GuardConfig::new(issuer, API, Arc::clone(&clock) as Arc<dyn Clock>).expect("a configuration");
        change(&mut config);
        let guard = Arc::new(Guard::new(config).expect("a guard"));
        // Without nonces, nothing is believed that may have been used before the start (OPS-REP-09).
        clock.turn(31);
        Self { clock, issuer_key, client_key: SigningKey::generate(Algorithm::Es256).expect("a key"), guard }
    }

    pub(crate) fn now(&self) -> u64 {
        T + self.clock.millis() / 1000
    }

    /// The claims of a good bound token.
    pub(crate) fn claims(&self) -> Value {
        let mut claims = self.unbound_claims();
        claims["cnf"] = json!({ "jkt": self.client_key.public_jwk().thumbprint().to_string() });
        claims
    }

    pub(crate) fn unbound_claims(&self) -> Value {
        json!({
            "iss": ISSUER, "sub": "alice", "aud": API, "client_id": "app", "jti": "t1", "scope": "read write",
            "iat": self.now(), "exp": self.now() + 600,
        })
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as("at+jwt", claims)
    }

    pub(crate) fn sign_as(&self, typ: &str, claims: &Value) -> String {
        self.sign_by(&self.issuer_key, typ, claims)
    }

    pub(crate) fn sign_by(&self, key: &SigningKey, typ: &str, claims: &Value) -> String {
        jws::sign(key, typ, Some("k1"), claims.to_string().as_bytes()).expect("signed")
    }

    pub(crate) fn token(&self) -> String {
        self.sign(&self.claims())
    }

    pub(crate) fn bearer_token(&self) -> String {
        self.sign(&self.unbound_claims())
    }

    pub(crate) fn proof(&self, token: &str) -> String {
        self.proof_with(&self.client_key, token, None)
    }

    pub(crate) fn proof_with(&self, key: &SigningKey, token: &str, nonce: Option<&Nonce>) -> String {
        self.proof_for("GET", URL, key, token, nonce)
    }

    pub(crate) fn proof_for(
        &self,
        method: &str,
        htu: &str,
        key: &SigningKey,
        token: &str,
        nonce: Option<&Nonce>,
    ) -> String {
        let entropy = random().expect("entropy");
        let iat = UnixTime::from_secs(self.now());
        let token = Some(TokenHash::of(token));
        NewProof { method, htu, token, nonce, entropy, iat }.sign(key).expect("signed")
    }

    /// A proof whose claims are ours to choose.
    pub(crate) fn odd_proof(&self, claims: &Value) -> String {
        let jwk: Value = serde_json::from_str(&self.client_key.public_jwk().to_json()).expect("JSON");
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk }).to_string();
        let encode = |text: &str| keybound_dpop::jose::base64url::encode(text.as_bytes());
        let signed = format!("{}.{}", encode(&header), encode(&claims.to_string()));
        let signature = self.client_key.sign(signed.as_bytes()).expect("signed");
        format!("{signed}.{}", keybound_dpop::jose::base64url::encode(&signature))
    }

    pub(crate) async fn check(&self, request: Request<()>) -> Result<Access, Rejection> {
        let parts: Parts = request.into_parts().0;
        self.guard.check(&parts, &Target::parse(URL).expect("a target")).await
    }

    /// What the wire says to a request that must be refused.
    pub(crate) async fn refused(&self, request: Request<()>) -> Refused {
        Refused::of(self.check(request).await.expect_err("must be refused"))
    }
}

pub(crate) fn key_set(key: &SigningKey) -> KeySet {
    let algorithm = Some(key.algorithm());
    KeySet::of(vec![NamedKey { kid: Some("k1".to_owned()), algorithm, key: key.public_jwk().clone() }])
}

/// A GET of [`URL`] with these fields.
pub(crate) fn get(fields: &[(&str, &str)]) -> Request<()> {
    get_at("/things", fields)
}

pub(crate) fn get_at(path: &str, fields: &[(&str, &str)]) -> Request<()> {
    let mut builder = Request::builder().method("GET").uri(path);
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(()).expect("a request")
}

pub(crate) fn dpop(token: &str, proof: &str) -> Request<()> {
    get(&[("authorization", &format!("DPoP {token}")), ("dpop", proof)])
}

/// An answer as a client sees it.
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) lines: Vec<String>,
    pub(crate) challenges: Vec<Challenge>,
    pub(crate) nonces: Vec<String>,
    pub(crate) response: Response<Full<Bytes>>,
}

impl Refused {
    pub(crate) fn of(rejection: Rejection) -> Self {
        let response = rejection.into_response();
        let all = |name: &str| -> Vec<String> {
            let values = response.headers().get_all(name).iter();
            values.map(|value| value.to_str().expect("ASCII").to_owned()).collect()
        };
        let (lines, nonces) = (all("www-authenticate"), all("dpop-nonce"));
        let challenges = Challenge::parse_all(lines.iter().map(String::as_str));
        Self { status: response.status().as_u16(), lines, challenges, nonces, response }
    }

    /// Status, schemes with their error codes.
    pub(crate) fn told(&self) -> (u16, Vec<(&str, Option<&str>)>) {
        let told =
            self.challenges.iter().map(|challenge| (challenge.scheme.as_str(), challenge.get("error")));
        (self.status, told.collect())
    }
}
