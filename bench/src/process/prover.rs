//! A client's key, and the proofs that it signs before they are sent.

use keybound_bench::Failure;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::nonce::Nonce;
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::time::{Clock, SystemClock, UnixTime};
use keybound_dpop::token_hash::TokenHash;
use std::net::SocketAddr;

/// A key, and what time it is for its holder.
pub(crate) struct Prover {
    pub(crate) key: SigningKey,
    clock: SystemClock,
    made: u64,
}

/// What is signed in advance is good for one server, as long as its nonce is.
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    pub(crate) nonce: Option<Nonce>,
}

impl Place {
    /// The URL of a path there.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// What a proof is for.
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    pub(crate) place: &'a Place,
    pub(crate) path: &'a str,
    pub(crate) token: Option<TokenHash>,
}

impl Prover {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self { key: SigningKey::generate(Algorithm::Es256)?, clock: SystemClock::start(), made: 0 })
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.clock.unix()
    }

    /// How many proofs there were.
    pub(crate) const fn made(&self) -> u64 {
        self.made
    }

    /// A proof whose `jti` no other has.
    pub(crate) fn prove(&mut self, call: &Call<'_>) -> Result<String, Failure> {
        let mut entropy = [0xa5; 16];
        for (octet, number) in entropy.iter_mut().zip(self.made.to_be_bytes()) {
            *octet = number;
        }
        self.made += 1;
        let Call { method, place, path, token } = *call;
        let (htu, nonce) = (place.url(path), place.nonce.as_ref());
        let proof = NewProof { method, htu: &htu, token, nonce, entropy, iat: self.now() };
        Ok(proof.sign(&self.key)?)
    }
}
