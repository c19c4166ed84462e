//! What nobody signed is refused, whatever it looks like; and the two readers of a proof agree on every one.

use crate::server::{ED25519, ES256, HTU, POLICY, T, TARGET, expected, judge, nonces, token};
use keybound_dpop::header::ProofHeader;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::proof::check::{Expected, verify};
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::proof::inspect::{Against, Verdict, inspect};
use proptest::prelude::*;
use proptest::sample::select;

fn good(key: &SigningKey) -> String {
    let new = NewProof { method: "POST", htu: HTU, token: None, nonce: None, entropy: [9; 16], iat: T };
    new.sign(key).unwrap()
}

/// Flips each bit of the proof in turn.
fn flips(proof: &str) -> impl Iterator<Item = Vec<u8>> {
    (0..proof.len() * 8).map(|bit| {
        let mut flipped = proof.as_bytes().to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

fn each_flip_is_refused(key: &SigningKey) {
    let proof = good(key);
    assert!(judge(&proof, &expected(), T).is_ok());
    for flipped in flips(&proof) {
        let verdict = verify(ProofHeader::One(&flipped), &expected(), T);
        assert!(verdict.is_err(), "{}", String::from_utf8_lossy(&flipped));
    }
}

#[test]
fn dpop_sig_01_every_single_bit_flip_is_refused_es256() {
    each_flip_is_refused(&ES256);
}

#[test]
fn dpop_sig_01_every_single_bit_flip_is_refused_ed25519() {
    each_flip_is_refused(&ED25519);
}

/// A header or a payload, as JSON text: mostly what a proof holds, sometimes what it must not.
fn members(all: Vec<(&'static str, Vec<String>)>) -> impl Strategy<Value = String> {
    let each: Vec<_> = all
        .into_iter()
        .map(|(name, values)| {
            let right = Just(Some(values[0].clone())).boxed();
            let other = prop_oneof![Just(None), select(values).prop_map(Some)].boxed();
            prop_oneof![12 => right, 1 => other]
                .prop_map(move |value| value.map(|value| format!("\"{name}\":{value}")))
                .boxed()
        })
        .collect();
    each.prop_map(|members| format!("{{{}}}", members.into_iter().flatten().collect::<Vec<_>>().join(",")))
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn headers() -> impl Strategy<Value = String> {
    let jwk = ES256.public_jwk().to_json();
    let private = jwk.replacen('{', "{\"d\":\"AA\",", 1);
    let for_encryption = jwk.replacen('{', "{\"use\":\"enc\",", 1);
    let other = ED25519.public_jwk().to_json();
    members(vec![
        ("typ", texts(&["\"dpop+jwt\"", "\"application/DPoP+JWT\"", "\"jwt\"", "7"])),
        ("alg", texts(&["\"ES256\"", "\"none\"", "\"HS256\"", "\"es256\"", "\"ES384\"", "null"])),
        ("jwk", vec![jwk, private, for_encryption, other, "{\"kty\":\"oct\"}".to_owned(), "[]".to_owned()]),
    ])
}

fn payloads() -> impl Strategy<Value = String> {
    let nonce = format!("\"{}\"", nonces(1).issue(T));
    let stale = format!("\"{}\"", nonces(2).issue(T));
    let ath = format!("\"{}\"", token().hash.ath());
    let now = T.as_secs().to_string();
    members(vec![
        ("jti", texts(&["\"a1\"", "\"\"", "7"])),
        ("htm", texts(&["\"POST\"", "\"post\"", "null"])),
        (
            "htu",
            texts(&[
                "\"https://server.example/token\"",
                "\"https://server.example/x\"",
                "\"/token\"",
                "\"\\n\"",
            ]),
        ),
        ("iat", vec![now, "1".to_owned(), "-1".to_owned(), "1e300".to_owned(), "2000000000".to_owned()]),
        ("nonce", vec![nonce, stale, "\"\\\"\"".to_owned(), "7".to_owned()]),
        ("ath", vec![ath, "\"AA\"".to_owned(), "7".to_owned()]),
        ("exp", texts(&["1900000000", "1", "\"1\""])),
        ("nbf", texts(&["1", "1900000000", "null"])),
    ])
}

/// A proof with those members and, mostly, a signature that verifies.
fn compact(header: &str, payload: &str, signed: bool) -> String {
    let input = format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(payload.as_bytes()));
    let signature = if signed { ES256.sign(input.as_bytes()).unwrap() } else { vec![1; 64] };
    format!("{input}.{}", base64url::encode(&signature))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn dpop_hdr_06_arbitrary_bytes_neither_panic_nor_verify(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(verify(ProofHeader::One(&bytes), &expected(), T).is_err());
        prop_assert!(!inspect(ProofHeader::One(&bytes), &Against::default(), &POLICY).holds());
    }

    #[test]
    fn dpop_jws_05_arbitrary_parts_neither_panic_nor_verify(
        header in any::<String>(),
        payload in any::<String>(),
        signature in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let parts = [header.as_bytes(), payload.as_bytes(), &signature].map(base64url::encode);
        prop_assert!(judge(&parts.join("."), &expected(), T).is_err());
    }

    #[test]
    fn dpop_sig_01_a_good_proof_cut_or_filled_is_refused(at in any::<prop::sample::Index>(), filler in "[ -~]{1,3}") {
        let proof = good(&ES256);
        let (head, tail) = proof.split_at(at.index(proof.len()));
        prop_assert!(judge(head, &expected(), T).is_err());
        let filled = format!("{head}{filler}{tail}");
        prop_assert!(judge(&filled, &expected(), T).is_err());
    }

    #[test]
    fn the_verifier_and_the_inspector_agree(
        (header, payload, signed) in (headers(), payloads(), prop::bool::weighted(0.9)),
        (at_resource, with_nonce) in any::<(bool, bool)>(),
    ) {
        let proof = compact(&header, &payload, signed);
        let (keys, token) = (nonces(1), at_resource.then(token));
        let nonce = with_nonce.then_some(&keys);
        let verified = judge(&proof, &Expected { token, nonce, ..expected() }, T);
        let against = Against {
            method: Some("POST"),
            target: Some(&TARGET),
            token: token.map(|token| token.hash),
            jkt: token.map(|token| token.jkt),
            nonce,
            time: Some(T),
        };
        let report = inspect(ProofHeader::One(proof.as_bytes()), &against, &POLICY);
        let first = report.findings.into_iter().find_map(|finding| match finding.verdict {
            Verdict::Fails(refusal) => Some(refusal),
            _ => None,
        });
        prop_assert_eq!(verified.err(), first, "{} {}", header, payload);
    }
}
