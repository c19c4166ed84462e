//! Makes the proofs of one key (RFC 9449 §4.2), and remembers the nonces that servers give (RFC 9449 §8, §9).

use crate::clock_offset::{Bounds, date, shift};
use crate::destination::Destination;
pub use crate::known_servers::{Acquaintance, ClockUse, ServerClock};
use crate::known_servers::{Hearing, KnownServers};
use crate::nonce_rule::{Offered, offered};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use keybound_dpop::header::DPOP;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto::{self, CryptoError};
use keybound_dpop::jose::signer::{SignError, Signer};
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::nonce::Nonce;
use keybound_dpop::nonce_cache::{NonceCache, Role};
use keybound_dpop::proof::create::{NewProof, ProofHeader};
use keybound_dpop::time::{Clock, Now, UnixTime};
use keybound_dpop::token_hash::TokenHash;
use std::fmt;
use std::sync::Arc;

/// A private key, wherever it is: in memory, in a token, behind an agent.
pub type SharedSigner = Arc<dyn Signer + Send + Sync>;

/// What a proof is for. A proof for a resource names the token beside it; one for an authorization server does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofFor {
    /// A request to an authorization server: no `ath`.
    AuthorizationServer,
    /// A request to a resource, with the hash of the access token beside the proof: `ath`.
    Resource(TokenHash),
}

impl ProofFor {
    /// The role that the server plays.
    #[must_use]
    pub const fn role(self) -> Role {
        match self {
            Self::AuthorizationServer => Role::AuthorizationServer,
            Self::Resource(_) => Role::ResourceServer,
        }
    }
}

/// A proof for one request, to be sent once.
#[derive(Clone)]
pub struct Proof {
    value: HeaderValue,
    nonce: Option<Nonce>,
    /// When it was made, by our clocks.
    made_at: Now,
    /// By how many seconds its `iat` is ahead of our clock.
    corrected_by: i64,
}

/// No proof could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// The system has no entropy to give.
    #[error("the system gives no random numbers, so no proof can be made")]
    Entropy(#[from] CryptoError),
    /// The key is out of reach.
    #[error("the proof could not be signed; is the key at hand? ({0})")]
    Sign(#[from] SignError),
}

/// One key, with what it takes to make proofs with it. Clones share the nonces.
#[derive(Clone)]
pub struct Prover {
    key: Key,
    nonces: Arc<NonceCache>,
    servers: Arc<KnownServers>,
    clock: Arc<dyn Clock>,
}

/// A key with what is made of it once.
#[derive(Clone)]
struct Key {
    signer: SharedSigner,
    header: Arc<ProofHeader>,
    jkt: Thumbprint,
}

impl Key {
    fn of(signer: SharedSigner) -> Self {
        let header = Arc::new(ProofHeader::of(signer.algorithm(), signer.public_jwk()));
        Self { header, jkt: signer.public_jwk().thumbprint(), signer }
    }
}

impl Prover {
    /// A prover for that key. Provers may share one cache: nonces belong to servers, not to keys.
    #[must_use]
    pub fn new(signer: SharedSigner, nonces: Arc<NonceCache>, clock: Arc<dyn Clock>) -> Self {
        Self { key: Key::of(signer), nonces, servers: Arc::default(), clock }
    }

    /// A prover for another key, with the same nonces and clock.
    #[must_use]
    pub fn under(&self, signer: SharedSigner) -> Self {
        Self { key: Key::of(signer), ..self.clone() }
    }

    /// The thumbprint of the key: what tokens are bound to.
    #[must_use]
    pub const fn jkt(&self) -> Thumbprint {
        self.key.jkt
    }

    /// The algorithm under which it signs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.key.signer.algorithm()
    }

    /// The time by the clock of this prover.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.clock.unix()
    }

    /// The clock of this prover.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The time for a server: by its clock, where it has shown that it does not go by ours ([`Prover::server_clock`]).
    #[must_use]
    pub fn now_at(&self, server: &Destination) -> UnixTime {
        shift(self.now(), self.server_clock(server).correction_secs())
    }

    /// How that server's clock goes, and whether proofs are dated by it.
    #[must_use]
    pub fn server_clock(&self, server: &Destination) -> ServerClock {
        self.servers.clock(server.origin())
    }

    /// A new proof for one request: a `jti` of 128 random bits, the current time, and the nonce that the server gave
    /// last, if it ever gave one.
    ///
    /// # Errors
    /// [`ProveError`] where there is no entropy, or the key is out of reach.
    pub fn prove(&self, purpose: ProofFor, method: &Method, to: &Destination) -> Result<Proof, ProveError> {
        let nonce = self.nonces.get(purpose.role(), to.origin());
        let token = match purpose {
            ProofFor::AuthorizationServer => None,
            ProofFor::Resource(token) => Some(token),
        };
        let made_at = self.clock.now();
        let corrected_by = self.server_clock(to).correction_secs();
        let new = NewProof {
            method: method.as_str(),
            htu: to.htu(),
            token,
            nonce: nonce.as_ref(),
            entropy: crypto::random()?,
            iat: shift(made_at.unix, corrected_by),
        };
        let compact = new.sign_under(&self.key.header, &self.key.signer)?;
        let mut value = HeaderValue::from_maybe_shared(Bytes::from(compact))
            .map_err(|_| SignError("the signer's key is no plain text".to_owned()))?;
        value.set_sensitive(true);
        Ok(Proof { value, nonce, made_at, corrected_by })
    }

    /// Remembers what an answer to that proof tells of the server, whatever its status: its nonce (RFC 9449 §8.2), and how
    /// its clock goes. Several nonces, or one with characters that it must not have, are passed over.
    pub fn learn(&self, role: Role, from: &Destination, proof: Option<&Proof>, headers: &HeaderMap) {
        let (offered, now) = (offered(headers), self.clock.now());
        let asked_at = proof.map_or(now, |proof| proof.made_at);
        let clock = proof.and_then(|_| date(headers)).map(|date| Bounds::of(date, asked_at.unix, now.unix));
        let gives_nonce = matches!(offered, Offered::One(_));
        let hearing = Hearing { asked_at: asked_at.monotonic, heard_at: now.monotonic, clock, gives_nonce };
        let is_news = self.servers.heard(role, from.origin(), hearing);
        if let (Offered::One(nonce), true) = (offered, is_news) {
            self.nonces.put(role, from.origin(), nonce);
        }
    }

    /// After that proof was refused: whether one that is dated by the server's clock is worth a try. From then on all
    /// proofs for that server are.
    pub(crate) fn correct(&self, server: &Destination, refused: &Proof) -> bool {
        let Some(clock) = self.servers.refused(server.origin(), refused.corrected_by) else { return false };
        tracing::warn!(
            server = server.origin(),
            ahead_secs = clock.correction_secs(),
            "the server refuses proofs that are dated by this machine's clock, and its own differs; they are now dated \
             by its clock. Correct the clock of this machine"
        );
        true
    }

    /// What is known of whether that server will take a proof at once.
    #[must_use]
    pub fn acquaintance(&self, role: Role, with: &Destination) -> Acquaintance {
        self.servers.acquaintance(role, with.origin(), self.clock.monotonic())
    }
}

impl Proof {
    /// Puts the proof into a request, in place of any that is there (RFC 9449 §4.3, item 1).
    pub fn put(&self, headers: &mut HeaderMap) {
        headers.insert(DPOP, self.value.clone());
    }

    /// The nonce in it.
    #[must_use]
    pub const fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prover({} {})", self.algorithm(), self.jkt())
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybound_dpop::jose::base64url;
    use keybound_dpop::jose::signer::SigningKey;
    use keybound_dpop::time::SystemClock;
    use serde_json::Value;
    use std::collections::HashSet;

    fn prover() -> Prover {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        Prover::new(Arc::new(key), Arc::default(), Arc::new(SystemClock::start()))
    }

    fn destination() -> Destination {
        Destination::parse("https://api.example/things?page=2").expect("a destination")
    }

    fn decode(proof: &Proof) -> (Value, Value) {
        let parts: Vec<&str> = proof.value.to_str().expect("ASCII").split('.').collect();
        let read =
            |part: &str| serde_json::from_slice(&base64url::decode(part).expect("base64url")).expect("JSON");
        (read(parts[0]), read(parts[1]))
    }

    fn names(object: &Value) -> Vec<&str> {
        let mut names: Vec<&str> =
            object.as_object().expect("an object").keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn cl_prf_01_a_thousand_requests_have_a_thousand_jti() {
        let prover = prover();
        let before = prover.now().as_secs();
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            let proof = prover.prove(ProofFor::AuthorizationServer, &Method::POST, &destination());
            let (_, claims) = decode(&proof.expect("a proof"));
            let jti = claims["jti"].as_str().expect("jti").to_owned();
            assert!(base64url::decode(&jti).expect("base64url").len() * 8 >= 96);
            assert!((before..=prover.now().as_secs()).contains(&claims["iat"].as_u64().expect("iat")));
            assert!(seen.insert(jti), "a jti came twice");
        }
    }

    #[test]
    fn cl_prf_02_htm_is_the_method_as_sent() {
        for method in [Method::GET, Method::PATCH, Method::from_bytes(b"purge").expect("a method")] {
            let proof =
                prover().prove(ProofFor::AuthorizationServer, &method, &destination()).expect("a proof");
            let (_, claims) = decode(&proof);
            assert_eq!(claims["htm"].as_str(), Some(method.as_str()));
            assert_eq!(claims["htu"].as_str(), Some("https://api.example/things"));
        }
    }

    #[test]
    fn cl_prf_04_ath_at_resources_only() {
        let token = TokenHash::of("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
        let at = |purpose| {
            let proof = prover().prove(purpose, &Method::POST, &destination()).expect("a proof");
            decode(&proof).1["ath"].as_str().map(str::to_owned)
        };
        let expected = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";
        assert_eq!(at(ProofFor::Resource(token)).as_deref(), Some(expected));
        assert_eq!(at(ProofFor::AuthorizationServer), None);
    }

    #[test]
    fn cl_prf_05_the_header_is_typ_alg_and_a_bare_public_jwk() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Ps256] {
            let key = SigningKey::generate(algorithm).expect("a key");
            let prover = Prover::new(Arc::new(key), Arc::default(), Arc::new(SystemClock::start()));
            let proof = prover.prove(ProofFor::AuthorizationServer, &Method::POST, &destination());
            let (header, _) = decode(&proof.expect("a proof"));
            assert_eq!(names(&header), ["alg", "jwk", "typ"]);
            assert_eq!(
                (header["typ"].as_str(), header["alg"].as_str()),
                (Some("dpop+jwt"), Some(algorithm.name()))
            );
            let members: &[&str] = match algorithm {
                Algorithm::Es256 => &["crv", "kty", "x", "y"],
                Algorithm::EdDsa => &["crv", "kty", "x"],
                _ => &["e", "kty", "n"],
            };
            assert_eq!(names(&header["jwk"]), members);
        }
    }

    #[test]
    fn cl_prf_05_a_prover_for_another_key_names_that_one() {
        let (first, other) = (prover(), Arc::new(SigningKey::generate(Algorithm::EdDsa).expect("a key")));
        let under = first.under(Arc::<SigningKey>::clone(&other));
        let proof =
            under.prove(ProofFor::AuthorizationServer, &Method::POST, &destination()).expect("a proof");
        let (header, _) = decode(&proof);
        assert_eq!((header["alg"].as_str(), &header["jwk"]["crv"]), (Some("EdDSA"), &"Ed25519".into()));
        let named: Value = serde_json::from_str(&other.public_jwk().to_json()).expect("JSON");
        assert_eq!((&header["jwk"], under.jkt()), (&named, other.public_jwk().thumbprint()));
    }

    #[test]
    fn cl_prf_06_iat_is_whole_seconds() {
        let proof = prover().prove(ProofFor::AuthorizationServer, &Method::POST, &destination());
        assert!(decode(&proof.expect("a proof")).1["iat"].is_u64());
    }

    #[test]
    fn cl_prf_07_a_request_has_one_proof_however_often_it_is_put() {
        let prover = prover();
        let mut headers = HeaderMap::new();
        headers.append("DPoP", HeaderValue::from_static("old"));
        headers.append("dpop", HeaderValue::from_static("older"));
        for _ in 0..2 {
            let proof = prover.prove(ProofFor::AuthorizationServer, &Method::POST, &destination());
            let proof = proof.expect("a proof");
            proof.put(&mut headers);
            assert_eq!(headers.get_all(DPOP).iter().collect::<Vec<_>>(), [&proof.value]);
        }
    }

    #[test]
    fn cl_prf_08_there_is_neither_exp_nor_nbf() {
        let proof = prover().prove(ProofFor::AuthorizationServer, &Method::POST, &destination());
        assert_eq!(names(&decode(&proof.expect("a proof")).1), ["htm", "htu", "iat", "jti"]);
    }

    #[test]
    fn cl_non_06_nonces_stay_with_server_and_role() {
        let prover = prover();
        let mut headers = HeaderMap::new();
        headers.insert("dpop-nonce", HeaderValue::from_static("of-the-as"));
        prover.learn(Role::AuthorizationServer, &destination(), None, &headers);
        headers.insert("dpop-nonce", HeaderValue::from_static("of-the-rs"));
        prover.learn(Role::ResourceServer, &destination(), None, &headers);
        let nonce = |purpose, url: &str| {
            let to = Destination::parse(url).expect("a destination");
            let proof = prover.prove(purpose, &Method::GET, &to).expect("a proof");
            proof.nonce().map(Nonce::to_string)
        };
        let resource = ProofFor::Resource(TokenHash::of("t"));
        let (same, port) = ("https://API.example:443/other", "https://api.example:8443/");
        assert_eq!(nonce(ProofFor::AuthorizationServer, same).as_deref(), Some("of-the-as"));
        assert_eq!(nonce(resource, same).as_deref(), Some("of-the-rs"));
        assert_eq!(nonce(resource, port), None);
        assert_eq!(nonce(resource, "https://other.example/"), None);
    }

    #[test]
    fn cl_non_08_no_nonce_before_one_was_received() {
        let prover = prover();
        let proof =
            prover.prove(ProofFor::AuthorizationServer, &Method::POST, &destination()).expect("a proof");
        assert_eq!(proof.nonce(), None);
        assert!(decode(&proof).1.get("nonce").is_none());
    }

    #[test]
    fn cl_key_02_debug_shows_the_thumbprint_only() {
        let prover = prover();
        assert_eq!(format!("{prover:?}"), format!("Prover(ES256 {})", prover.jkt()));
        let proof =
            prover.prove(ProofFor::AuthorizationServer, &Method::POST, &destination()).expect("a proof");
        assert_eq!(format!("{proof:?}"), "Proof([redacted])");
    }
}
