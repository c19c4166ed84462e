//! Making a proof beside the bare signature.

use crate::table::{Goal, Row};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use keybound_bench::Failure;
use keybound_bench::measure::{self, BATCH, Done};
use keybound_bench::scene::Scene;
use keybound_dpop::jose::algorithm::Algorithm;
use std::hint::black_box;

/// Proofs for a resource, each with its own `jti`, `ath` and the server's nonce.
pub(crate) fn rows() -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for (what, algorithm, goal) in [
        ("ES256 proof made / signature made", Algorithm::Es256, Goal::Ratio(0.85)),
        ("Ed25519 proof made / signature made", Algorithm::Ed25519, Goal::None),
    ] {
        let scene = Scene::new(algorithm)?;
        let pkcs8 = scene.key.to_pkcs8()?;
        let bare = if algorithm == Algorithm::Es256 { ecdsa(&pkcs8)? } else { ed25519(&pkcs8)? };
        let proof = scene.make(0)?;
        let (message, _) = proof.rsplit_once('.').ok_or("a proof has three parts")?;
        let mut number = 0;
        let mut ours = || {
            measure::timed(BATCH, || {
                for _ in 0..BATCH {
                    number += 1;
                    black_box(scene.make(number)?);
                }
                Ok(())
            })
        };
        let race = measure::race(&mut || bare.sign(message.as_bytes()), &mut ours)?;
        rows.push(Row::of_race(what, race, goal));
    }
    Ok(rows)
}

/// The crypto library's own key pair.
pub(crate) enum Bare {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

pub(crate) fn ecdsa(pkcs8: &[u8]) -> Result<Bare, Failure> {
    Ok(Bare::Ecdsa(EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)?))
}

pub(crate) fn ed25519(pkcs8: &[u8]) -> Result<Bare, Failure> {
    Ok(Bare::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8)?))
}

impl Bare {
    /// The public key, as the library takes it.
    pub(crate) fn public_octets(&self) -> Vec<u8> {
        match self {
            Self::Ecdsa(pair) => pair.public_key().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// Signs a batch.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Done, Failure> {
        measure::timed(BATCH, || {
            for _ in 0..BATCH {
                match self {
                    Self::Ecdsa(pair) => black_box(pair.sign(&SystemRandom::new(), message)?),
                    Self::Ed25519(pair) => black_box(pair.try_sign(message)?),
                };
            }
            Ok(())
        })
    }
}
