//! DPOP-SIG: the signature of a proof.

use super::api::Api;
use super::stage::{both, jwk, key_for, resigned, rsa, signature_of};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::json::Object;
use keybound_dpop::jose::jwk::PublicJwk;
use keybound_e2e::Forge;
use keybound_e2e::forge::new_key;
use serde_json::{Value, json};

/// The order of P-256.
pub const N: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The other signature that every ECDSA signature has: r and n - s.
pub fn malleated(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(32);
    let (mut other, mut borrow) = (N, 0_i16);
    for (to, from) in other.iter_mut().zip(s).rev() {
        let difference = i16::from(*to) - i16::from(*from) - borrow;
        borrow = i16::from(difference < 0);
        *to = u8::try_from(difference.rem_euclid(256)).expect("an octet");
    }
    [r, &other].concat()
}

/// An ECDSA signature as ASN.1 DER (RFC 3279 §2.2.3).
pub fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |octets: &[u8]| {
        let first = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len() - 1);
        let sign = if octets[first] & 0x80 == 0 { &[][..] } else { &[0][..] };
        let octets = [sign, &octets[first..]].concat();
        [&[2, u8::try_from(octets.len()).expect("short")][..], &octets].concat()
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    let both = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(both.len()).expect("short")][..], &both].concat()
}

#[tokio::test]
async fn dpop_sig_01_every_bit_is_signed() {
    both(async |at| {
        let good = at.sign(&at.good());
        let signature = signature_of(&good);
        for index in [0, 31, 32, 63] {
            let mut flipped = signature.clone();
            flipped[index] ^= 1;
            at.refuses("DPOP-SIG-01", &resigned(&good, &flipped)).await;
        }
        // Other octets of the same meaning are other octets.
        let input = |header: &str, claims: &str| {
            format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes()))
        };
        let (header, claims) = (at.good().header.to_string(), at.good().claims.to_string());
        let (spaced_header, spaced_claims) = (header.replacen('{', "{ ", 1), claims.replacen('{', "{ ", 1));
        let signed = at.sign_raw(header.as_bytes(), claims.as_bytes());
        let signature = signature_of(&signed);
        for other in [input(&spaced_header, &claims), input(&header, &spaced_claims)] {
            at.refuses("DPOP-SIG-01", &resigned(&format!("{other}.x"), &signature)).await;
        }
        at.refuses("DPOP-SIG-01", &resigned(&at.sign(&at.good()), &signature)).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_sig_02_atk_031_r_and_s_side_by_side() {
    both(async |at| {
        let good = at.sign(&at.good());
        let signature = signature_of(&good);
        let longer = [&signature[..], &[0]].concat();
        for bad in [&der(&signature)[..], &signature[..63], &longer, &signature[..32], &[0]] {
            at.refuses("DPOP-SIG-02", &resigned(&good, bad)).await;
        }
        at.refuses("DPOP-JWS-01", &resigned(&good, &[])).await;
        assert_eq!(signature.len(), 64);
    })
    .await;
}

#[tokio::test]
async fn dpop_sig_03_atk_029_r_and_s_are_in_range() {
    both(async |at| {
        let good = at.sign(&at.good());
        let signature = signature_of(&good);
        let (r, s) = signature.split_at(32);
        let zero = [0; 32];
        for (r, s) in
            [(&zero[..], &zero[..]), (&N, s), (r, &N), (&N, &N), (&zero, s), (r, &zero), (&[0xff; 32], s)]
        {
            at.refuses("DPOP-SIG-01", &resigned(&good, &[r, s].concat())).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_sig_05_atk_032_a_key_vouches_for_itself_alone() {
    both(async |at| {
        at.refuses("DPOP-SIG-01", &at.good().sign(&new_key())).await;
        let victim_in_the_header = at.good().head("kid", "mine").sign(&new_key());
        at.refuses("DPOP-SIG-01", &victim_in_the_header).await;
    })
    .await;
}

/// Keys that no library can use, and signatures that none can read.
#[tokio::test]
async fn dpop_sig_06_atk_036_an_error_in_the_library_is_a_refusal() {
    both(async |at| {
        let good = at.sign(&at.good());
        for junk in [vec![0xff; 64], [vec![0x30], vec![0; 63]].concat()] {
            at.refuses("DPOP-SIG-01", &resigned(&good, &junk)).await;
        }
        if at.is_resource() {
            return;
        }
        let with = |key: &Value, name: &str, octets: &[u8]| {
            let mut key = key.clone();
            key[name] = base64url::encode(octets).into();
            key
        };
        let (rsa, okp) = (rsa(Algorithm::Ps256), key_for(Algorithm::EdDsa));
        let even = with(&jwk(&rsa), "n", &[0xc4; 256]);
        at.refuses("DPOP-SIG-01", &at.good_by(&rsa).head("jwk", even).sign(&rsa)).await;
        let short = at.good_by(&rsa).sign(&rsa);
        at.refuses("DPOP-SIG-01", &resigned(&short, &[1; 255])).await;
        at.refuses("DPOP-SIG-01", &resigned(&short, &[0xff; 256])).await;
        let mut no_point = [0; 32];
        no_point[0] = 2;
        let no_point = with(&jwk(&okp), "x", &no_point);
        at.refuses("DPOP-SIG-01", &at.good_by(&okp).head("jwk", no_point).sign(&okp)).await;
        let off_curve = with(&jwk(&at.stage.key), "y", &[7; 32]);
        at.refuses("DPOP-JWK-06", &at.sign(&at.good().head("jwk", off_curve))).await;
    })
    .await;
    // At an API only the key that the token is bound to gets so far.
    let (api, rsa) = (Api::new(), rsa(Algorithm::Ps256));
    let mut even = jwk(&rsa);
    even["n"] = base64url::encode(&[0xc4; 256]).into();
    let text = even.to_string();
    let parsed = Object::parse(text.as_bytes()).expect("JSON");
    let bound_to = PublicJwk::parse(&parsed).expect("a key").thumbprint().to_string();
    let token = api.sign(&api.claims(json!({ "jkt": bound_to })));
    let proof = Forge::new(&rsa, "GET", "https://api.example/r", api.now()).token(&token).head("jwk", even);
    api.refuses("DPOP-SIG-01", api.request("GET", "/r", &token, &proof.sign(&rsa))).await;
}

/// What is wrong with the claims is told even of a proof whose signature is junk: nobody looked at the signature.
#[tokio::test]
async fn dpop_sig_07_cheap_checks_come_first() {
    both(async |at| {
        let good = at.good();
        let mut cheap = vec![
            ("DPOP-TYP-01", good.clone().head("typ", "JWT")),
            ("DPOP-JTI-01", good.clone().claim("jti", "")),
            ("DPOP-HTM-01", good.clone().claim("htm", "PUT")),
            ("DPOP-HTU-01", good.clone().claim("htu", "https://other.example/")),
            ("DPOP-IAT-02", good.clone().claim("iat", at.now() - 3600)),
        ];
        if at.is_resource() {
            cheap.push(("DPOP-ATH-01", good.clone().claim("ath", "x")));
        }
        for (row, proof) in cheap {
            at.refuses(row, &resigned(&at.sign(&proof), &[1; 64])).await;
            at.refuses(row, &resigned(&at.sign(&proof), &[1])).await;
        }
        at.refuses("DPOP-SIG-01", &resigned(&at.sign(&good), &[1; 64])).await;
    })
    .await;
}
