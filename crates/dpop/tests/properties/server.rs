//! A server's expectations and a client's keys, made once for all properties.

use keybound_dpop::header::ProofHeader;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::nonce::NonceKeys;
use keybound_dpop::proof::check::{BoundToken, Expected, Policy, VerifiedProof, verify};
use keybound_dpop::proof::error::Refusal;
use keybound_dpop::target::Target;
use keybound_dpop::time::UnixTime;
use keybound_dpop::token_hash::TokenHash;
use std::sync::LazyLock;

pub(crate) const T: UnixTime = UnixTime::from_secs(1_800_000_000);
pub(crate) const HTU: &str = "https://server.example/token";

pub(crate) static TARGET: LazyLock<Target> = LazyLock::new(|| Target::parse(HTU).unwrap());
pub(crate) static ES256: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Es256).unwrap());
pub(crate) static ED25519: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Ed25519).unwrap());
pub(crate) static POLICY: LazyLock<Policy> =
    LazyLock::new(|| Policy { algorithms: AlgorithmSet::of(&Algorithm::ALL), ..Policy::default() });

pub(crate) fn nonces(boot: u8) -> NonceKeys {
    NonceKeys::new([7; 32], "server", Some([boot; 16]))
}

/// A token of the client's, bound to its ES256 key.
pub(crate) fn token() -> BoundToken {
    BoundToken { hash: TokenHash::of("a-token"), jkt: ES256.public_jwk().thumbprint() }
}

/// What an authorization server without nonces expects of a `POST`.
pub(crate) fn expected() -> Expected<'static> {
    Expected { method: "POST", target: &TARGET, token: None, nonce: None, policy: &POLICY }
}

pub(crate) fn judge(proof: &str, expected: &Expected<'_>, now: UnixTime) -> Result<VerifiedProof, Refusal> {
    verify(ProofHeader::One(proof.as_bytes()), expected, now)
}
