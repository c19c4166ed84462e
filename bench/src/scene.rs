//! One protected resource and one client that calls it: the two ends of every measurement.

use crate::Failure;
use http::{HeaderMap, HeaderValue, header};
use keybound_dpop::header::{DPOP, ProofHeader};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::nonce::{Nonce, NonceKeys};
use keybound_dpop::proof::check::{BoundToken, Expected, FreshProof, Policy, verify};
use keybound_dpop::proof::create::{NewProof, htu};
use keybound_dpop::proof::error::Check;
use keybound_dpop::replay::{MemoryLog, ReplaySalt};
use keybound_dpop::target::Target;
use keybound_dpop::time::{Now, UnixTime};
use keybound_dpop::token_hash::TokenHash;
use std::time::Duration;

/// Where the resource is.
const URL: &str = "https://api.example.com/v1/accounts/4711/transactions";
/// What stands for the resource in a replay key.
const AUDIENCE: &str = "https://api.example.com";
/// As long as an access token of ours: a JWT with an ES256 signature.
const TOKEN_LEN: usize = 640;

/// The resource, the client's key and a token that is bound to it.
#[derive(Debug)]
pub struct Scene {
    /// The client's key.
    pub key: SigningKey,
    target: Target,
    htu: String,
    token: BoundToken,
    nonces: NonceKeys,
    nonce: Nonce,
    policy: Policy,
    salt: ReplaySalt,
    now: Now,
}

impl Scene {
    /// A scene with a new key.
    ///
    /// # Errors
    /// Where no key can be made.
    pub fn new(algorithm: Algorithm) -> Result<Self, Failure> {
        let key = SigningKey::generate(algorithm)?;
        let now = Now { unix: UnixTime::from_secs(1_800_000_000), monotonic: Duration::from_secs(5) };
        let token =
            BoundToken { hash: TokenHash::of(&"t".repeat(TOKEN_LEN)), jkt: key.public_jwk().thumbprint() };
        let nonces = NonceKeys::new([7; 32], AUDIENCE, None);
        Ok(Self {
            key,
            target: Target::parse(URL)?,
            htu: htu(URL)?,
            token,
            nonce: nonces.issue(now.unix),
            nonces,
            policy: Policy::default(),
            salt: ReplaySalt::new([9; 32]),
            now,
        })
    }

    /// An empty replay log.
    #[must_use]
    pub fn log(&self) -> MemoryLog {
        MemoryLog::new(keybound_dpop::replay::DEFAULT_CAPACITY, self.now)
    }

    /// The client makes a proof for the resource; `number` tells its `jti` from all others.
    ///
    /// # Errors
    /// Where the key cannot sign.
    pub fn make(&self, number: u64) -> Result<String, Failure> {
        self.make_for(&self.htu, number)
    }

    /// Proofs for the resource, all different.
    ///
    /// # Errors
    /// Where the key cannot sign.
    pub fn proofs(&self, count: u64) -> Result<Vec<String>, Failure> {
        (0..count).map(|number| self.make(number)).collect()
    }

    /// Proofs for another resource, their signatures spoilt: whoever looked at the signature first would refuse them
    /// for that.
    ///
    /// # Errors
    /// Where the key cannot sign.
    pub fn junk(&self, count: u64) -> Result<Vec<String>, Failure> {
        (0..count)
            .map(|number| {
                let proof = self.make_for("https://api.example.com/v1/accounts/4711/transfers", number)?;
                let (signed, signature) = proof.rsplit_once('.').ok_or("a proof has three parts")?;
                let first = if signature.starts_with('A') { 'B' } else { 'A' };
                Ok(format!("{signed}.{first}{}", signature.get(1..).unwrap_or_default()))
            })
            .collect()
    }

    /// The resource checks the proof of a request, from the header's bytes to the record of its `jti`.
    ///
    /// # Errors
    /// Where the proof is refused.
    pub fn check(&self, request: &HeaderMap, log: &MemoryLog) -> Result<FreshProof, Failure> {
        let verified = verify(ProofHeader::of(request), &self.expected(), self.now.unix)?;
        let entry = verified.replay_entry(&self.salt, AUDIENCE);
        verified.after(log.record(entry, self.now)).map_err(|why| format!("not fresh: {why:?}").into())
    }

    /// The resource refuses the proof of a request, for its `htu`.
    ///
    /// # Errors
    /// Where it accepts it, or refuses it for something else.
    pub fn refuse(&self, request: &HeaderMap) -> Result<(), Failure> {
        match verify(ProofHeader::of(request), &self.expected(), self.now.unix) {
            Err(refusal) if refusal.check() == Check::Htu => Ok(()),
            other => Err(format!("not refused for its htu: {other:?}").into()),
        }
    }

    fn make_for(&self, htu: &str, number: u64) -> Result<String, Failure> {
        let mut entropy = [0xa5; 16];
        for (octet, number) in entropy.iter_mut().zip(number.to_be_bytes()) {
            *octet = number;
        }
        let (token, nonce) = (Some(self.token.hash), Some(&self.nonce));
        let proof = NewProof { method: "POST", htu, token, nonce, entropy, iat: self.now.unix };
        Ok(proof.sign(&self.key)?)
    }

    fn expected(&self) -> Expected<'_> {
        Expected {
            method: "POST",
            target: &self.target,
            token: Some(self.token),
            nonce: Some(&self.nonces),
            policy: &self.policy,
        }
    }
}

/// A request that shows a proof, as a server has read it.
///
/// # Errors
/// Where the proof is not fit for a header.
pub fn request(proof: &str) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::from_static("api.example.com"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("teller/2.1"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(DPOP, HeaderValue::from_str(proof)?);
    Ok(headers)
}
