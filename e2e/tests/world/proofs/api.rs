//! An API of any path and any method behind the guard, with an issuer whose tokens can say anything.

use axum::Router;
use axum::body::Body;
use http::{Method, Request, Response};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::jwk::PublicJwk;
use keybound_dpop::jose::jws;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::nonce::NonceKeys;
use keybound_dpop::time::{Clock, UnixTime};
use keybound_e2e::forge::{jkt, new_key};
use keybound_e2e::{Answer, Forge, TurnedClock};
use keybound_resource::{Guard, GuardConfig, GuardLayer, Keys, PublicUrl, TokenProfile, TrustedIssuer};
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://api.example/";

/// The guarded API. What gets through is told its method.
pub struct Api {
    pub key: SigningKey,
    pub clock: Arc<TurnedClock>,
    issuer_key: Option<SigningKey>,
    url: String,
    router: Router,
}

impl Api {
    /// At `https://api.example`, without nonces.
    pub fn new() -> Self {
        Self::at("https://api.example")
    }

    /// At another URL.
    pub fn at(url: &str) -> Self {
        Self::with(url, None)
    }

    /// At another URL, with nonces or without.
    pub fn with(url: &str, nonce: Option<NonceKeys>) -> Self {
        let issuer_key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let api = Self::of_issuer(url, nonce, issuer_key.public_jwk().clone());
        Self { issuer_key: Some(issuer_key), ..api }
    }

    /// For tokens of an issuer with that key.
    pub fn of_issuer(url: &str, nonce: Option<NonceKeys>, key: PublicJwk) -> Self {
        let clock = Arc::new(TurnedClock::default());
        let router = guarded(url, nonce, key, &clock);
        // Without nonces, nothing is believed that may have been used before the start (OPS-REP-09).
        clock.pass(31);
        Self { key: new_key(), clock, issuer_key: None, url: url.to_owned(), router }
    }

    /// As it is after a restart: nothing that was in memory is left.
    pub fn restart(&mut self, nonce: Option<NonceKeys>) {
        self.router = guarded(&self.url, nonce, self.issuer_key().public_jwk().clone(), &self.clock);
    }

    pub fn now(&self) -> UnixTime {
        self.clock.unix()
    }

    /// The claims of a token with that confirmation.
    pub fn claims(&self, cnf: Value) -> Value {
        let now = self.now().as_secs();
        json!({
            "iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "client_id": "app", "jti": "t1", "scope": "read",
            "iat": now, "exp": now + 3600, "cnf": cnf,
        })
    }

    /// A token of these claims.
    pub fn sign(&self, claims: &Value) -> String {
        jws::sign(self.issuer_key(), "at+jwt", None, claims.to_string().as_bytes()).expect("signed")
    }

    /// The key of the issuer, where it is our own.
    pub fn issuer_key(&self) -> &SigningKey {
        self.issuer_key.as_ref().expect("an issuer of our own")
    }

    /// A token that is bound to the key.
    pub fn token(&self) -> String {
        self.sign(&self.claims(json!({ "jkt": jkt(&self.key) })))
    }

    /// A good proof for a path.
    pub fn proof(&self, method: &str, path: &str, token: &str) -> Forge {
        Forge::new(&self.key, method, &format!("{}{path}", self.url), self.now()).token(token)
    }

    /// A request with a token and a proof.
    pub fn request(&self, method: &str, path: &str, token: &str, proof: &str) -> Request<Body> {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("DPoP {token}")).header("dpop", proof);
        request.body(Body::empty()).expect("a request")
    }

    /// Sends a request.
    pub async fn call(&self, request: Request<Body>) -> Answer {
        let response: Response<Body> = self.router.clone().oneshot(request).await.expect("an answer");
        Answer::read(response).await
    }

    /// A GET with a token and a good proof.
    pub async fn get(&self, token: &str) -> Answer {
        let proof = self.proof("GET", "/r", token).sign(&self.key);
        self.call(self.request("GET", "/r", token, &proof)).await
    }

    /// The request is refused for that row: `E-RS`.
    pub async fn refuses(&self, row: &str, request: Request<Body>) {
        let answer = self.call(request).await;
        self.assert_told("invalid_dpop_proof", &answer);
        let challenges = answer.challenges();
        let told = challenges[0].get("error_description").unwrap_or_default();
        assert!(told.starts_with(row), "{row}: {answer:?}");
    }

    /// 401 with one challenge, `DPoP`, with that error.
    #[track_caller]
    pub fn assert_told(&self, error: &str, answer: &Answer) {
        let challenges = answer.challenges();
        assert_eq!((answer.status.as_u16(), challenges.len()), (401, 1), "{answer:?}");
        assert!(challenges[0].is("DPoP") && challenges[0].get("algs").is_some(), "{answer:?}");
        assert_eq!(challenges[0].get("error"), Some(error), "{answer:?}");
        assert_eq!(answer.header("cache-control"), ["no-store"], "{answer:?}");
    }
}

/// A service behind a guard at that URL, which trusts an issuer with that key.
fn guarded(url: &str, nonce: Option<NonceKeys>, key: PublicJwk, clock: &Arc<TurnedClock>) -> Router {
    let keys = Keys::fixed(KeySet::of(vec![NamedKey { kid: None, algorithm: None, key }]));
    let issuer = TrustedIssuer::new(ISSUER, keys, TokenProfile::Rfc9068);
    let config = GuardConfig::new(issuer, AUDIENCE, Arc::clone(clock) as Arc<dyn Clock>);
    let config = GuardConfig { nonce, ..config.expect("a configuration") };
    let guard = Arc::new(Guard::new(config).expect("a guard"));
    let handler = async |method: Method| json!({ "method": method.as_str() }).to_string();
    Router::new().fallback(handler).layer(GuardLayer::new(guard, PublicUrl::parse(url).expect("a URL")))
}
