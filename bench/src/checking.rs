//! The full check of a proof beside the bare verification of its signature, and the refusal of a junk proof.

use crate::making::{ecdsa, ed25519};
use crate::table::{Goal, Row};
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use http::HeaderMap;
use keybound_bench::Failure;
use keybound_bench::measure::{self, Done};
use keybound_bench::scene::{Scene, request};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::signer::{Signer, SigningKey};

/// Proofs that are signed beforehand. When all were used the log is a new one.
const PROOFS: u64 = 20_000;

/// Proofs that are accepted: header bytes to a recorded `jti`.
pub(crate) fn accepted() -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for (what, algorithm, goal) in [
        ("ES256 proof checked / signature verified", Algorithm::Es256, 0.93),
        ("Ed25519 proof checked / signature verified", Algorithm::Ed25519, 0.90),
    ] {
        let scene = Scene::new(algorithm)?;
        let proofs = scene.proofs(PROOFS)?;
        let bare = Bare::of(&scene.key, &proofs)?;
        let (mut limit_turn, mut our_turn) = (Turn::default(), Turn::default());
        let mut log = scene.log();
        let mut ours = || {
            let requests = requests(our_turn.next_of(&proofs))?;
            if our_turn.is_first() {
                log = scene.log();
            }
            measure::timed(requests.len(), || {
                requests.iter().try_for_each(|request| scene.check(request, &log).map(drop))
            })
        };
        let race = measure::race(&mut || bare.verify(limit_turn.next_of(&bare.signed)), &mut ours)?;
        rows.push(Row::of_race(what, race, Goal::Ratio(goal)));
    }
    Ok(rows)
}

/// Proofs for another resource, which must cost next to nothing (DPOP-SIG-07).
pub(crate) fn refused() -> Result<Vec<Row>, Failure> {
    let scene = Scene::new(Algorithm::Es256)?;
    let bare = Bare::of(&scene.key, &scene.proofs(PROOFS)?)?;
    let junk = scene.junk(PROOFS)?;
    let (mut limit_turn, mut our_turn) = (Turn::default(), Turn::default());
    let mut ours = || {
        let requests = requests(our_turn.next_of(&junk))?;
        measure::timed(requests.len(), || requests.iter().try_for_each(|request| scene.refuse(request)))
    };
    let race = measure::race(&mut || bare.verify(limit_turn.next_of(&bare.signed)), &mut ours)?;
    Ok(vec![Row::of_race("proof with a wrong htu / signature verified", race, Goal::Cost(0.05))])
}

/// As a server has them in its hands: just arrived, and so in the processor's cache.
fn requests(proofs: &[String]) -> Result<Vec<HeaderMap>, Failure> {
    proofs.iter().map(|proof| request(proof)).collect()
}

/// Whose turn it is: batch after batch of what was prepared, and again from the start.
#[derive(Default)]
struct Turn {
    start: usize,
    end: usize,
}

impl Turn {
    fn next_of<'a, T>(&mut self, all: &'a [T]) -> &'a [T] {
        self.start = if self.end < all.len() { self.end } else { 0 };
        self.end = all.len().min(self.start + measure::BATCH);
        all.get(self.start..self.end).unwrap_or_default()
    }

    /// Whether it is the first batch, again.
    fn is_first(&self) -> bool {
        self.start == 0
    }
}

/// The limit: the crypto library alone, the key read from its octets each time, over the same bytes.
pub(crate) struct Bare {
    method: &'static dyn VerificationAlgorithm,
    key: Vec<u8>,
    pub(crate) signed: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Bare {
    pub(crate) fn of(key: &SigningKey, proofs: &[String]) -> Result<Self, Failure> {
        let pkcs8 = key.to_pkcs8()?;
        let (method, key): (&'static dyn VerificationAlgorithm, Vec<u8>) = match key.algorithm() {
            Algorithm::Es256 => (&signature::ECDSA_P256_SHA256_FIXED, ecdsa(&pkcs8)?.public_octets()),
            _ => (&signature::ED25519, ed25519(&pkcs8)?.public_octets()),
        };
        let signed = proofs.iter().map(|proof| {
            let (message, signature) = proof.rsplit_once('.').ok_or("a proof has three parts")?;
            let signature = base64url::decode(signature).ok_or("a signature is base64url")?;
            Ok((message.as_bytes().to_vec(), signature))
        });
        Ok(Self { method, key, signed: signed.collect::<Result<_, Failure>>()? })
    }

    /// How many a second. No signature comes again soon, or the processor would learn its bits.
    pub(crate) fn speed(&self) -> Result<f64, Failure> {
        let mut turn = Turn::default();
        measure::speed(&mut || self.verify(turn.next_of(&self.signed)))
    }

    pub(crate) fn verify(&self, signed: &[(Vec<u8>, Vec<u8>)]) -> Result<Done, Failure> {
        let signed = signed.to_vec();
        measure::timed(signed.len(), || {
            signed.iter().try_for_each(|(message, signature)| {
                UnparsedPublicKey::new(self.method, &self.key)
                    .verify(message, signature)
                    .map_err(|_| "a signature that does not verify".into())
            })
        })
    }
}
