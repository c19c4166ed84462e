//! What was tampered with, both refuse.

use crate::pair::{PAIRS, Pair, ours, theirs};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::Signer;
use keybound_dpop::jose::{base64url, crypto};
use proptest::prelude::*;

#[track_caller]
fn both_refuse(proof: &str, what: &str) {
    assert!(ours(proof).is_err(), "we take {what}: {proof}");
    assert!(theirs(proof).is_err(), "it takes {what}: {proof}");
}

/// The decoded parts of a proof.
fn parts(proof: &str) -> [Vec<u8>; 3] {
    let parts: Vec<_> = proof.split('.').map(|part| base64url::decode(part).expect("base64url")).collect();
    parts.try_into().expect("three parts")
}

fn compact(parts: &[Vec<u8>; 3]) -> String {
    parts.each_ref().map(|part| base64url::encode(part)).join(".")
}

#[test]
fn dpop_sig_01_one_bit_of_any_octet() {
    for pair in PAIRS.iter() {
        let good = parts(&pair.proof());
        for (part, octets) in good.iter().enumerate() {
            for index in 0..octets.len() {
                let mut tampered = good.clone();
                tampered[part][index] ^= 1 << (index % 8);
                both_refuse(&compact(&tampered), &format!("part {part}, octet {index}"));
            }
        }
    }
}

#[test]
fn dpop_sig_01_dpop_sig_02_another_signature() {
    for pair in PAIRS.iter() {
        let good = parts(&pair.proof());
        let other = parts(&pair.forge(&String::from_utf8_lossy(&good[0]), "{}"));
        let signature = &good[2];
        let (left, right) = signature.split_at(signature.len() / 2);
        for (what, signature) in [
            ("that of other claims", other[2].clone()),
            ("its halves exchanged", [right, left].concat()),
            ("one octet less", signature[1..].to_vec()),
            ("one octet less at the end", signature[..signature.len() - 1].to_vec()),
            ("a zero before", [&[0][..], signature].concat()),
            ("a zero behind", [signature, &[0][..]].concat()),
            ("zeros", vec![0; signature.len()]),
            ("ones", vec![0xff; signature.len()]),
            ("nothing", Vec::new()),
        ] {
            both_refuse(&compact(&[good[0].clone(), good[1].clone(), signature]), what);
        }
    }
}

#[test]
fn dpop_sig_01_another_key() {
    for pair in PAIRS.iter() {
        let (key, other) = (pair.key.public_jwk().to_json(), pair.other.public_jwk().to_json());
        let [header, claims, _] =
            parts(&pair.proof()).map(|part| String::from_utf8_lossy(&part).into_owned());
        assert!(ours(&pair.forge(&header, &claims)).is_ok() && theirs(&pair.forge(&header, &claims)).is_ok());
        both_refuse(&pair.forge(&header.replace(&key, &other), &claims), "another key in the header");
    }
}

#[test]
fn dpop_alg_06_another_algorithm_than_the_one_that_signed() {
    for pair in PAIRS.iter() {
        let name = pair.key.algorithm().name();
        let [header, claims, _] =
            parts(&pair.proof()).map(|part| String::from_utf8_lossy(&part).into_owned());
        let names = Algorithm::ALL.into_iter().map(Algorithm::name);
        for other in names.chain(["none", "HS256", "es256", "ES256K", ""]) {
            // Ed25519 is another name of the same algorithm, which only we know.
            if other == name || (name, other) == ("EdDSA", "Ed25519") {
                continue;
            }
            let header = header.replace(&format!("\"{name}\""), &format!("\"{other}\""));
            both_refuse(&pair.forge(&header, &claims), &format!("{other} for {name}"));
        }
    }
}

#[test]
fn dpop_alg_03_a_mac_that_is_keyed_with_the_public_key() {
    let pair = Pair::of(Algorithm::Es256);
    let jwk = pair.key.public_jwk().to_json();
    let [header, claims, _] = parts(&pair.proof()).map(|part| String::from_utf8_lossy(&part).into_owned());
    let header = header.replace("ES256", "HS256");
    let input = [&header, &claims].map(|part| base64url::encode(part.as_bytes())).join(".");
    let mac = crypto::HmacKey::new(jwk.as_bytes()).mac(&[input.as_bytes()]);
    both_refuse(&format!("{input}.{}", base64url::encode(&mac)), "a MAC");
}

#[test]
fn dpop_jws_01_dpop_jws_04_another_outer_form() {
    for pair in PAIRS.iter() {
        let proof = pair.proof();
        let [header, claims, signature]: [&str; 3] =
            proof.split('.').collect::<Vec<_>>().try_into().expect("three parts");
        for tampered in [
            format!("{proof}="),
            format!("{proof}=="),
            format!("{proof} "),
            format!("{proof}\n"),
            format!(" {proof}"),
            format!("{proof}."),
            format!(".{proof}"),
            format!("{proof}.{signature}"),
            format!("{header}=.{claims}.{signature}"),
            format!("{header}.{claims}=.{signature}"),
            format!("{header}.{claims}."),
            format!("{header}.{claims}"),
            format!("{header}..{signature}"),
            format!("{claims}.{header}.{signature}"),
            format!("{header}.{claims}.{}", signature.replace(['-', '_'], "+")),
        ] {
            if tampered != proof {
                both_refuse(&tampered, "another form");
            }
        }
        for end in 1..=signature.len() + 2 {
            both_refuse(proof.get(..proof.len() - end).expect("ASCII"), "a part of it");
        }
    }
}

/// Something that may happen to a text on its way.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Replace(char),
    Insert(char),
    Remove,
    CutBefore,
    Double,
}

fn edit() -> impl Strategy<Value = Edit> {
    let character = || prop::sample::select("ABCDwxyz0189-_.=+/ ".chars().collect::<Vec<_>>());
    prop_oneof![
        3 => character().prop_map(Edit::Replace),
        2 => character().prop_map(Edit::Insert),
        2 => Just(Edit::Remove),
        1 => Just(Edit::CutBefore),
        1 => Just(Edit::Double),
    ]
}

/// The text with the edit made at that character.
fn edited(text: &str, edit: Edit, at: usize) -> String {
    let (before, after) = text.split_at(at);
    let rest = after.get(1..).unwrap_or_default();
    match edit {
        Edit::Replace(character) => format!("{before}{character}{rest}"),
        Edit::Insert(character) => format!("{before}{character}{after}"),
        Edit::Remove => format!("{before}{rest}"),
        Edit::CutBefore => after.to_owned(),
        Edit::Double => format!("{before}{after}{after}"),
    }
}

proptest! {
    #[test]
    fn dpop_sig_01_whatever_is_done_to_the_text(
        pair in 0..3_usize,
        edits in prop::collection::vec((edit(), any::<prop::sample::Index>()), 1..4),
    ) {
        let proof = PAIRS[pair].proof();
        let tampered = edits.iter().fold(proof.clone(), |text, (edit, at)| {
            if text.is_empty() { text } else { edited(&text, *edit, at.index(text.len())) }
        });
        prop_assume!(tampered != proof);
        prop_assert!(ours(&tampered).is_err() && theirs(&tampered).is_err(), "{}", tampered);
    }
}
