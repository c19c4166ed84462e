//! DPOP-JWK: the key in a proof.

use super::stage::{At, both, jwk, key_for, rsa, sign_raw};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::signer::SigningKey;
use keybound_e2e::answer::part;
use keybound_e2e::forge::new_key;
use keybound_e2e::world::ISSUER;
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::net::TcpListener;

/// A proof that is good but for its `jwk`.
fn showing(at: &At, jwk: Value) -> String {
    at.sign(&at.good().head("jwk", jwk))
}

/// The same by a key of another kind.
fn showing_by(at: &At, key: &SigningKey, jwk: Value) -> String {
    at.good_by(key).head("jwk", jwk).sign(key)
}

/// The key with a member set.
fn with(key: &SigningKey, name: &str, value: impl Into<Value>) -> Value {
    let mut jwk = jwk(key);
    jwk[name] = value.into();
    jwk
}

/// The key with octets in a member.
fn with_octets(key: &SigningKey, name: &str, octets: &[u8]) -> Value {
    with(key, name, base64url::encode(octets))
}

/// The key without a member.
fn without(key: &SigningKey, name: &str) -> Value {
    let mut jwk = jwk(key);
    jwk.as_object_mut().expect("an object").remove(name);
    jwk
}

fn octets(key: &SigningKey, name: &str) -> Vec<u8> {
    base64url::decode(jwk(key)[name].as_str().expect("a member")).expect("base64url")
}

#[tokio::test]
async fn dpop_jwk_01_the_key_is_an_object_in_the_header() {
    both(async |at| {
        let mut without = at.good();
        without.header.as_object_mut().expect("an object").remove("jwk");
        at.refuses("DPOP-JWK-01", &at.sign(&without)).await;
        for jwk in
            [json!("x"), json!([jwk(&at.stage.key)]), json!(jwk(&at.stage.key).to_string()), json!(null)]
        {
            at.refuses("DPOP-JWK-01", &showing(at, jwk)).await;
        }
        at.refuses("DPOP-JWK-04", &showing(at, json!({}))).await;
        at.refuses("DPOP-JWK-01", &at.sign(&without.claim("jwk", jwk(&at.stage.key)))).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_jwk_02_atk_023_no_private_member() {
    let logs = crate::logs::Capture::start();
    let mut canaries = Vec::new();
    let stage = super::stage::Stage::new().await;
    let private = stage.key.to_private_jwk().expect("a JWK");
    let private: Value = serde_json::from_str(&private).expect("JSON");
    canaries.push(private["d"].as_str().expect("d").to_owned());
    stage
        .play(async |at| {
            at.refuses("DPOP-JWK-02", &showing(at, private.clone())).await;
            for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
                let rsa = rsa(Algorithm::Ps256);
                let okp = key_for(Algorithm::EdDsa);
                for value in [json!("canary-private"), json!(7), json!(null), json!(["canary-private"])] {
                    at.refuses("DPOP-JWK-02", &showing(at, with(&at.stage.key, name, value.clone()))).await;
                    at.refuses("DPOP-JWK-02", &showing_by(at, &rsa, with(&rsa, name, value.clone()))).await;
                    at.refuses("DPOP-JWK-02", &showing_by(at, &okp, with(&okp, name, value))).await;
                }
            }
        })
        .await;
    canaries.push("canary-private".to_owned());
    let text = logs.text();
    assert!(text.contains("DPOP-JWK-02"), "the events are there");
    assert!(canaries.iter().all(|canary| !text.contains(canary)), "and tell no secret");
}

#[tokio::test]
async fn dpop_jwk_03_atk_024_no_symmetric_key() {
    both(async |at| {
        at.refuses("DPOP-JWK-03", &showing(at, json!({ "kty": "oct" }))).await;
        let secret = json!({ "kty": "oct", "k": "c2VjcmV0" });
        at.refuses("DPOP-JWK-02", &showing(at, secret.clone())).await;
        at.refuses("DPOP-ALG-03", &at.sign(&at.good().head("jwk", secret).head("alg", "HS256"))).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_jwk_04_the_members_are_complete_and_well_formed() {
    both(async |at| {
        let (ec, rsa, okp) = (&at.stage.key, rsa(Algorithm::Ps256), key_for(Algorithm::EdDsa));
        for name in ["kty", "crv", "x", "y"] {
            at.refuses("DPOP-JWK-04", &showing(at, without(ec, name))).await;
            at.refuses("DPOP-JWK-04", &showing(at, with(ec, name, 7))).await;
        }
        for name in ["n", "e"] {
            at.refuses("DPOP-JWK-04", &showing_by(at, &rsa, without(&rsa, name))).await;
        }
        for name in ["crv", "x"] {
            at.refuses("DPOP-JWK-04", &showing_by(at, &okp, without(&okp, name))).await;
        }
        for kty in ["ec", "Ec", "RSA ", "", "AKP"] {
            at.refuses("DPOP-JWK-04", &showing(at, with(ec, "kty", kty))).await;
        }
        let padded = format!("{}=", jwk(ec)["x"].as_str().expect("x"));
        at.refuses("DPOP-JWK-04", &showing(at, with(ec, "x", padded))).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_jwk_05_atk_025_coordinates_have_their_length() {
    both(async |at| {
        for name in ["x", "y"] {
            let good = octets(&at.stage.key, name);
            let longer = [&[0], &good[..]].concat();
            for bad in [&good[1..], &good[..31], &longer, &[][..]] {
                at.refuses("DPOP-JWK-05", &showing(at, with_octets(&at.stage.key, name, bad))).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_jwk_06_atk_025_the_point_is_on_the_curve() {
    both(async |at| {
        let key = &at.stage.key;
        let mut off_curve = octets(key, "y");
        off_curve[31] ^= 1;
        at.refuses("DPOP-JWK-06", &showing(at, with_octets(key, "y", &off_curve))).await;
        let mut zero = with_octets(key, "x", &[0; 32]);
        zero["y"] = base64url::encode(&[0; 32]).into();
        at.refuses("DPOP-JWK-06", &showing(at, zero)).await;
        let p_256_prime = data_encoding::HEXLOWER
            .decode(b"ffffffff00000001000000000000000000000000ffffffffffffffffffffffff")
            .expect("hex");
        at.refuses("DPOP-JWK-06", &showing(at, with_octets(key, "x", &p_256_prime))).await;
        let p_384 = key_for(Algorithm::Es384);
        let labelled = at.good_by(&p_384).head("alg", "ES256").head("jwk", with(&p_384, "crv", "P-256"));
        at.refuses("DPOP-JWK-05", &labelled.sign(&p_384)).await;
        let mut cut = with_octets(key, "x", &octets(&p_384, "x")[..32]);
        cut["y"] = base64url::encode(&octets(&p_384, "y")[..32]).into();
        at.refuses("DPOP-JWK-06", &showing(at, cut)).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_jwk_07_only_known_curves() {
    both(async |at| {
        for curve in ["secp256k1", "P-192", "brainpoolP256r1", "p-256", "K-283", "Ed25519"] {
            at.refuses("DPOP-JWK-07", &showing(at, with(&at.stage.key, "crv", curve))).await;
        }
    })
    .await;
}

/// A modulus of that many bits.
fn modulus(bits: usize) -> Vec<u8> {
    let mut octets = vec![0xc5; bits.div_ceil(8)];
    if !bits.is_multiple_of(8) {
        octets[0] = 0xff >> (8 - bits % 8);
    }
    octets
}

#[tokio::test]
async fn dpop_jwk_08_atk_027_rsa_from_2048_bits() {
    both(async |at| {
        let key = rsa(Algorithm::Ps256);
        for bits in [512, 1024, 2040, 2047] {
            let small = with_octets(&key, "n", &modulus(bits));
            at.refuses("DPOP-JWK-08", &showing_by(at, &key, small)).await;
        }
        let just_long_enough = with_octets(&key, "n", &modulus(2048));
        let answer = at.show(&[showing_by(at, &key, just_long_enough).as_bytes()]).await;
        match at.is_resource() {
            true => at.assert_challenge("invalid_token", &answer),
            false => at.assert_refused("DPOP-SIG-01", &answer),
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_jwk_09_atk_027_rsa_has_an_upper_end_and_a_sane_exponent() {
    both(async |at| {
        let key = rsa(Algorithm::Ps256);
        for bits in [8193, 16384] {
            at.refuses("DPOP-JWK-08", &showing_by(at, &key, with_octets(&key, "n", &modulus(bits)))).await;
        }
        let long = [0x55; 256];
        for e in [&[1][..], &[2], &[1, 0, 0], &[1, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 1], &long] {
            at.refuses("DPOP-JWK-09", &showing_by(at, &key, with_octets(&key, "e", e))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_jwk_10_atk_027_rsa_numbers_are_minimal() {
    both(async |at| {
        let key = rsa(Algorithm::Ps256);
        at.refuses("DPOP-JWK-10", &showing_by(at, &key, with(&key, "e", "AAEAAQ"))).await;
        let long = [&[0], &octets(&key, "n")[..]].concat();
        at.refuses("DPOP-JWK-10", &showing_by(at, &key, with_octets(&key, "n", &long))).await;
    })
    .await;
}

/// The points of small order and their other encodings, as they are listed in the literature on strict verification.
const SMALL_ORDER: [&str; 12] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
];

#[tokio::test]
async fn dpop_jwk_11_atk_026_ed25519_keys_are_strong_points() {
    both(async |at| {
        let key = key_for(Algorithm::EdDsa);
        for hex in SMALL_ORDER {
            let point = data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex");
            at.refuses("DPOP-JWK-11", &showing_by(at, &key, with_octets(&key, "x", &point))).await;
        }
        let good = octets(&key, "x");
        for bad in [&good[..31], &[&good[..], &[0]].concat()] {
            at.refuses("DPOP-JWK-05", &showing_by(at, &key, with_octets(&key, "x", bad))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_jwk_12_what_the_key_says_of_its_use_counts() {
    both(async |at| {
        let key = &at.stage.key;
        for (name, value) in [
            ("use", json!("enc")),
            ("use", json!("SIG")),
            ("use", json!(null)),
            ("key_ops", json!([])),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!("verify")),
            ("alg", json!("ES384")),
            ("alg", json!("HS256")),
            ("alg", json!(null)),
        ] {
            at.refuses("DPOP-JWK-12", &showing(at, with(key, name, value))).await;
        }
        let mut fit = with(key, "use", "sig");
        fit["key_ops"] = json!(["verify"]);
        fit["alg"] = "ES256".into();
        at.takes(&showing(at, fit)).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_jwk_13_other_members_have_no_effect() {
    both(async |at| {
        let mut more = with(&at.stage.key, "kid", "../../dev/null");
        more["x5t"] = "AAAA".into();
        more["x5c"] = json!(["MIIB"]);
        more["anything"] = json!({ "a": [1] });
        at.takes(&showing(at, more)).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_jwk_14_no_key_is_fetched() {
    let canary = TcpListener::bind("127.0.0.1:0").expect("a port");
    canary.set_nonblocking(true).expect("non-blocking");
    let url = format!("http://{}/jwks.json", canary.local_addr().expect("an address"));
    both(async |at| {
        let remote =
            at.good().head("jku", url.as_str()).head("x5u", url.as_str()).head("x5c", json!(["MIIB"]));
        at.takes(&at.sign(&remote)).await;
        let mut without_key = remote.clone();
        without_key.header.as_object_mut().expect("an object").remove("jwk");
        at.refuses("DPOP-JWK-01", &at.sign(&without_key)).await;
        at.refuses("DPOP-SIG-01", &remote.sign(&new_key())).await;
    })
    .await;
    assert_eq!(canary.accept().expect_err("nobody came").kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn dpop_jwk_15_the_key_of_a_proof_vouches_for_nothing_else() {
    both(async |at| {
        let world = &at.stage.world;
        let thief = new_key();
        if at.is_resource() {
            let mut claims = part(&at.stage.token, 1);
            claims["cnf"]["jkt"] = keybound_e2e::forge::jkt(&thief).into();
            let header = json!({ "typ": "at+jwt", "alg": "ES256", "jwk": jwk(&thief) });
            let forged = sign_raw(&thief, header.to_string().as_bytes(), claims.to_string().as_bytes());
            let proof = at.good_by(&thief).token(&forged).sign(&thief);
            at.assert_challenge("invalid_token", &world.userinfo("DPoP", &forged, Some(&proof)).await);
            return;
        }
        let header = json!({ "typ": "JWT", "alg": "ES256", "jwk": jwk(&thief) });
        let (iat, exp) = (at.now(), at.now() + 60);
        let claims =
            json!({ "iss": "signed", "sub": "signed", "aud": ISSUER, "jti": "1", "iat": iat, "exp": exp });
        let forged = sign_raw(&thief, header.to_string().as_bytes(), claims.to_string().as_bytes());
        let answer = world.with_assertion(&forged, Some(&at.good_by(&thief).sign(&thief))).await;
        assert_eq!(answer.error(), (401, "invalid_client".to_owned()), "{answer:?}");
    })
    .await;
}
