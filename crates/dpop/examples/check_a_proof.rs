//! A resource server's side: a token that is bound to a key, the proof beside it, and what to answer where it is
//! refused.
//!
//! `cargo run -p keybound-dpop --example check_a_proof`
#![expect(clippy::print_stdout, reason = "an example shows what it answers")]

use http::{HeaderMap, HeaderValue};
use keybound_dpop::challenge::Challenge;
use keybound_dpop::header::{DPOP, ProofHeader};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::nonce::{Nonce, NonceKeys};
use keybound_dpop::proof::check::{BoundToken, Expected, FreshProof, NotFresh, Policy, verify};
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::proof::error::{Fault, Refusal};
use keybound_dpop::replay::{MemoryLog, ReplaySalt};
use keybound_dpop::target::Target;
use keybound_dpop::time::{Clock, Now, SystemClock};
use keybound_dpop::token_hash::TokenHash;

/// What a server keeps from one request to the next.
struct Server {
    policy: Policy,
    nonces: NonceKeys,
    log: MemoryLog,
    salt: ReplaySalt,
}

/// Status, and the challenge that goes into `WWW-Authenticate`.
type Answer = (u16, Option<String>);

impl Server {
    fn start(now: Now) -> Result<Self, Box<dyn std::error::Error>> {
        Ok(Self {
            policy: Policy::default(),
            nonces: NonceKeys::new(random()?, "https://api.example", Some(random()?)),
            log: MemoryLog::new(100_000, now),
            salt: ReplaySalt::new(random()?),
        })
    }

    /// `token` has been verified; `jkt` in its `cnf` says which key it is bound to.
    fn check(&self, headers: &HeaderMap, token: BoundToken, now: Now) -> Result<FreshProof, Answer> {
        // From configuration, never from `Host`: it is what the proof must have been made for.
        let target = Target::parse("https://api.example/orders").map_err(|_| (500, None))?;
        let expected = Expected {
            method: "GET",
            target: &target,
            token: Some(token),
            nonce: Some(&self.nonces),
            policy: &self.policy,
        };
        let verified = verify(ProofHeader::of(headers), &expected, now.unix).map_err(|r| self.refuse(&r))?;
        let entry = verified.replay_entry(&self.salt, "https://api.example");
        verified.after(self.log.record(entry, now)).map_err(|not_fresh| match not_fresh {
            NotFresh::Replayed(refusal) => self.refuse(&refusal),
            NotFresh::Unavailable => (503, None),
        })
    }

    /// The text for the wire holds nothing of what came; `for_log` has it, escaped and cut.
    fn refuse(&self, refusal: &Refusal) -> Answer {
        let error = match refusal.check().fault() {
            Fault::Proof => "invalid_dpop_proof",
            Fault::Nonce => "use_dpop_nonce",
            Fault::Binding => "invalid_token",
        };
        let challenge = Challenge::new("DPoP")
            .with("error", error)
            .with("error_description", &refusal.for_wire())
            .with("algs", &self.policy.algorithms.algs());
        (401, Some(challenge.to_field_value()))
    }
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = SystemClock::start();
    let server = Server::start(clock.now())?;
    let key = SigningKey::generate(Algorithm::Es256)?;
    let hash = TokenHash::of("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
    let token = BoundToken { hash, jkt: key.public_jwk().thumbprint() };
    let send = |nonce: Option<&Nonce>| -> Result<HeaderMap, Box<dyn std::error::Error>> {
        let (entropy, iat) = (random()?, clock.unix());
        let htu = "https://api.example/orders";
        let proof = NewProof { method: "GET", htu, token: Some(hash), nonce, entropy, iat }.sign(&key)?;
        Ok(HeaderMap::from_iter([(DPOP, HeaderValue::from_str(&proof)?)]))
    };
    let show = |what: &str, status: u16, result: Result<FreshProof, Answer>| {
        let (answered, text) = match result {
            Ok(proof) => (200, format!("access for {}", proof.jkt())),
            Err((status, challenge)) => (status, challenge.unwrap_or_default()),
        };
        assert_eq!(answered, status, "{what}: {text}");
        println!("{what}: {status} {text}");
    };

    show("no proof", 401, server.check(&HeaderMap::new(), token, clock.now()));
    show("no nonce", 401, server.check(&send(None)?, token, clock.now()));
    let good = send(Some(&server.nonces.issue(clock.unix())))?;
    show("good", 200, server.check(&good, token, clock.now()));
    show("again", 401, server.check(&good, token, clock.now()));
    let bound = SigningKey::generate(Algorithm::Es256)?.public_jwk().thumbprint();
    let fresh = send(Some(&server.nonces.issue(clock.unix())))?;
    show("another key", 401, server.check(&fresh, BoundToken { jkt: bound, ..token }, clock.now()));
    Ok(())
}
