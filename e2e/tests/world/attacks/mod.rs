//! Attacks that go through several doors: a JWT stands in the `DPoP` header at the token endpoint and at an API, in
//! `Authorization`, and in a client assertion, and what is no good at one is no good at the others. The attacks that
//! one door alone knows are shown by the rows in [`crate::proofs`].

mod doors;
mod keys;
mod replay;
mod request;

use crate::proofs::algorithms::{pem, spki};
use crate::proofs::api::Api;
use crate::proofs::stage::{Stage, both, jwk, resigned, rsa, sign_raw, signature_of};
use crate::proofs::structure::respelled;
use doors::{Doors, Letter, everywhere};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::HmacKey;
use keybound_e2e::Forge;
use keybound_e2e::answer::assert_e_as;
use keybound_e2e::forge::new_key;
use keybound_e2e::world::*;
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::net::TcpListener;

#[tokio::test]
async fn atk_005_a_flood_of_dots() {
    everywhere(|_| vec![".".repeat(8000), format!("a{}", ".".repeat(8000)), "a.".repeat(4000)]).await;
    let doors = Doors::new().await;
    let flood = ".".repeat(1_000_000);
    assert_e_as(&doors.shows_proof(&flood).await);
    doors.api.assert_told("invalid_token", &doors.shows_token(&flood).await);
    assert_eq!(doors.shows_assertion(&flood).await.status, 413);
}

/// A JWE of five parts, which nobody here would know how to open.
fn encrypted(header: &Value, inner: &str) -> String {
    let octets = |len| base64url::encode(&vec![7; len]);
    let (header, inner) =
        (base64url::encode(header.to_string().as_bytes()), base64url::encode(inner.as_bytes()));
    format!("{header}.{}.{}.{inner}.{}", octets(256), octets(12), octets(16))
}

#[tokio::test]
async fn atk_007_an_unsigned_jwt_in_an_encrypted_one() {
    everywhere(|letter| {
        let unsigned = resigned(&letter.with_head("alg", "none"), &[]);
        let header = json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT" });
        vec![encrypted(&header, &unsigned), encrypted(&header, &letter.sign()), unsigned]
    })
    .await;
}

#[tokio::test]
async fn ops_lim_03_atk_008_no_key_is_derived_from_a_password() {
    everywhere(|letter| {
        let header = json!({ "alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 1_u32 << 31, "p2s": "AAAAAAAAAAA" });
        vec![encrypted(&header, &letter.sign()), letter.with_head("alg", "PBES2-HS256+A128KW")]
    })
    .await;
}

#[tokio::test]
async fn ops_lim_03_atk_009_nothing_is_inflated() {
    everywhere(|letter| {
        let header = json!({ "alg": "dir", "enc": "A128GCM", "zip": "DEF" });
        vec![encrypted(&header, &letter.sign())]
    })
    .await;
}

#[tokio::test]
async fn atk_010_a_name_that_stands_twice() {
    everywhere(|letter| {
        vec![
            letter.beginning("\"alg\":\"none\",", ""),
            letter.beginning("\"alg\":\"ES256\",", ""),
            letter.beginning("", "\"jti\":\"other\","),
            letter.beginning("", "\"iat\":1,"),
            letter.beginning("", "\"nested\":{\"jkt\":\"a\",\"jkt\":\"b\"},"),
        ]
    })
    .await;
}

#[tokio::test]
async fn atk_011_a_claim_of_the_wrong_type() {
    everywhere(|letter| {
        vec![
            letter.with_claim("exp", "9999999999"),
            letter.with_claim("exp", json!([])),
            letter.with_claim("exp", Value::Null),
            letter.with_claim("nbf", "x"),
            letter.with_claim("nbf", json!({})),
            letter.with_claim("exp", -1),
        ]
    })
    .await;
}

#[tokio::test]
async fn atk_012_an_unknown_critical_header() {
    everywhere(|letter| {
        vec![
            letter.with_head("crit", json!(["exp"])),
            letter.with_head("crit", json!([])),
            letter.with_head("crit", Value::Null),
            letter.beginning("\"crit\":[\"b64\"],\"b64\":false,", ""),
            letter.with_head("b64", false),
        ]
    })
    .await;
}

#[tokio::test]
async fn atk_013_the_same_octets_in_another_spelling() {
    everywhere(|letter| {
        let good = letter.sign();
        let other_bits = respelled(&good);
        vec![
            other_bits,
            format!("{good}="),
            format!("{good}A"),
            good.replacen("eyJ", "eyJ+", 1),
            good.replacen("eyJ", "eyJ/", 1),
        ]
    })
    .await;
}

#[tokio::test]
async fn atk_014_json_without_a_bottom() {
    everywhere(|letter| {
        let deep = format!("\"deep\":{}{},", "[".repeat(2500), "]".repeat(2500));
        let open = format!("\"deep\":{},", "{\"a\":".repeat(800));
        vec![letter.beginning("", &deep), letter.beginning(&deep, ""), letter.beginning("", &open)]
    })
    .await;
}

#[tokio::test]
async fn atk_015_another_encoding() {
    everywhere(|letter| {
        let (header, claims) = (letter.header.to_string(), letter.claims.to_string());
        let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let bom = |text: &str| [b"\xef\xbb\xbf", text.as_bytes()].concat();
        vec![
            sign_raw(letter.key, &utf_16(&header), claims.as_bytes()),
            sign_raw(letter.key, header.as_bytes(), &utf_16(&claims)),
            sign_raw(letter.key, &bom(&header), claims.as_bytes()),
            sign_raw(letter.key, header.as_bytes(), &bom(&claims)),
            letter.beginning("", "\"note\":\"\\ud800\","),
            letter.beginning("", "\"note\":\"\0\","),
            letter.beginning("", "\"\\udc00\":1,"),
        ]
    })
    .await;
}

/// The JWT with a MAC under that secret.
fn with_mac(letter: &Letter<'_>, secret: &[u8]) -> String {
    let jwt = letter.with_head("alg", "HS256");
    let (input, _) = jwt.rsplit_once('.').expect("three parts");
    resigned(&jwt, &HmacKey::new(secret).mac(&[input.as_bytes()]))
}

#[tokio::test]
async fn atk_018_atk_019_no_signature_and_a_mac_under_a_public_key() {
    everywhere(|letter| {
        let public = jwk(letter.key);
        let x = base64url::decode(public["x"].as_str().expect("x")).expect("base64url");
        let (der, pem, json) = (spki(&public), pem(&public).into_bytes(), public.to_string().into_bytes());
        let mut all: Vec<String> =
            ["none", "None", "nOnE"].map(|name| letter.with_head("alg", name)).to_vec();
        all.push(resigned(&letter.with_head("alg", "none"), &[]));
        all.extend([&b""[..], &json, &pem, &der, &der[26..], &x].map(|secret| with_mac(letter, secret)));
        all
    })
    .await;
}

#[tokio::test]
async fn atk_020_the_key_does_not_choose_the_algorithm() {
    both(async |at| {
        let mut says = jwk(&at.stage.key);
        says["alg"] = "ES256".into();
        let mut unnamed = at.good().head("jwk", says.clone());
        unnamed.header.as_object_mut().expect("an object").remove("alg");
        at.refuses("DPOP-ALG-04", &at.sign(&unnamed)).await;
        at.refuses("DPOP-ALG-03", &at.sign(&at.good().head("jwk", says.clone()).head("alg", "HS256"))).await;
        says["alg"] = "HS256".into();
        at.refuses("DPOP-JWK-12", &at.sign(&at.good().head("jwk", says))).await;
    })
    .await;
}

#[tokio::test]
async fn atk_028_a_giant_key_costs_nothing() {
    both(async |at| {
        let key = rsa(Algorithm::Ps256);
        for (octets, row) in [(4096, "DPOP-JWK-08"), (8192, "DPOP-HDR-10")] {
            let mut giant = jwk(&key);
            giant["n"] = base64url::encode(&vec![0xc5; octets]).into();
            at.refuses(row, &at.good_by(&key).head("jwk", giant).sign(&key)).await;
        }
        let mut exponent = jwk(&key);
        exponent["e"] = base64url::encode(&[0xc5; 2048]).into();
        at.refuses("DPOP-JWK-09", &at.good_by(&key).head("jwk", exponent).sign(&key)).await;
    })
    .await;
}

#[tokio::test]
async fn atk_033_atk_034_the_header_names_no_key_that_is_believed() {
    let canary = TcpListener::bind("127.0.0.1:0").expect("a port");
    canary.set_nonblocking(true).expect("non-blocking");
    let url = format!("http://{}/keys", canary.local_addr().expect("an address"));
    let thief = new_key();
    everywhere(|letter| {
        let mut all = Vec::new();
        for (name, value) in [
            ("jku", json!(url)),
            ("x5u", json!(url)),
            ("x5c", json!(["MIIB"])),
            ("kid", json!("../../dev/null")),
            ("kid", json!("x' OR '1'='1")),
            ("kid", json!(url)),
        ] {
            let mut header = letter.header.clone();
            header[name] = value;
            // By the thief's key, whether the header shows it or not.
            all.push(sign_raw(&thief, header.to_string().as_bytes(), letter.claims.to_string().as_bytes()));
        }
        if letter.header["typ"] != "dpop+jwt" {
            let mut header = letter.header.clone();
            header["jwk"] = jwk(&thief);
            all.push(sign_raw(&thief, header.to_string().as_bytes(), letter.claims.to_string().as_bytes()));
        }
        all
    })
    .await;
    assert_eq!(canary.accept().expect_err("nobody came").kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn atk_038_a_letter_for_another_door() {
    let doors = Doors::new().await;
    let token = doors.token().sign();
    let proof = doors.proof().sign();
    let id_token = doors.world.tokens().await.text("id_token");
    let assertion = doors.assertion().sign();
    for other in [&token, &id_token, &assertion] {
        assert_e_as(&doors.shows_proof(other).await);
        doors.api.assert_told("invalid_dpop_proof", &doors.shows_at_api(&token, other).await);
    }
    for other in [&proof, &id_token, &assertion] {
        doors.api.assert_told("invalid_token", &doors.shows_token(other).await);
    }
    for other in [&proof, &id_token, &token] {
        assert_eq!(doors.shows_assertion(other).await.error(), (401, "invalid_client".to_owned()));
    }
}

#[tokio::test]
async fn atk_039_a_proof_for_another_method() {
    let api = Api::new();
    let token = api.token();
    for (sent, made_for) in [("DELETE", "GET"), ("GET", "PUT"), ("GET", "get"), ("HEAD", "GET")] {
        let proof = api.proof(made_for, "/r", &token).sign(&api.key);
        let answer = api.call(api.request(sent, "/r", &token, &proof)).await;
        api.assert_told("invalid_dpop_proof", &answer);
    }
}

#[tokio::test]
async fn atk_048_a_captured_proof_does_not_pay_twice() {
    let api = Api::new();
    let token = api.token();
    let proof = api.proof("POST", "/pay", &token).sign(&api.key);
    let pay = |to: &str| api.request("POST", &format!("/pay?to={to}"), &token, &proof);
    assert_eq!(api.call(pay("a")).await.status, 200);
    api.refuses("DPOP-JTI-04", pay("b")).await;
    api.refuses("DPOP-JTI-04", pay("a")).await;
}

#[tokio::test]
async fn atk_051_games_with_time() {
    both(async |at| {
        let now = at.now();
        let (header, claims) = (at.good().header.to_string(), at.good().claims.to_string());
        for (row, iat) in [
            ("DPOP-IAT-02", (now - 3600).to_string()),
            ("DPOP-IAT-04", (now + 3600).to_string()),
            ("DPOP-IAT-02", "0".to_owned()),
            ("DPOP-IAT-02", "-0".to_owned()),
            ("DPOP-IAT-04", (1_u64 << 31).to_string()),
            ("DPOP-IAT-04", (1_u64 << 32).to_string()),
            ("DPOP-IAT-01", (1_u64 << 63).to_string()),
            ("DPOP-IAT-01", u64::MAX.to_string()),
            ("DPOP-IAT-01", "-1800000000".to_owned()),
            ("DPOP-IAT-01", "1e308".to_owned()),
            ("DPOP-IAT-04", "1e12".to_owned()),
            ("DPOP-IAT-04", (now * 1000).to_string()),
        ] {
            let odd = claims.replacen(&format!("\"iat\":{now}"), &format!("\"iat\":{iat}"), 1);
            assert_ne!(odd, claims);
            at.refuses(row, &at.sign_raw(header.as_bytes(), odd.as_bytes())).await;
        }
    })
    .await;
}

#[tokio::test]
async fn atk_060_nobody_can_use_up_the_jti_of_another() {
    both(async |at| {
        let victim = at.sign(&at.good().claim("jti", "observed"));
        let thief = new_key();
        let first = at.good_by(&thief).claim("jti", "observed").sign(&thief);
        if at.is_resource() {
            at.assert_challenge("invalid_token", &at.show(&[first.as_bytes()]).await);
        }
        at.refuses("DPOP-SIG-01", &resigned(&victim, &signature_of(&first))).await;
        let theirs = Forge::new(&thief, "POST", TOKEN, at.stage.world.now()).claim("jti", "observed");
        let answer = at.stage.world.client_credentials(Some(&theirs.sign(&thief))).await;
        assert_eq!(answer.status, 200, "the thief's own proof is good: {answer:?}");
        at.takes(&victim).await;
    })
    .await;
}

#[tokio::test]
async fn atk_062_proofs_made_in_advance() {
    both(async |at| {
        for months in 1..4 {
            let ahead = at.good().claim("iat", at.now() + months * 30 * 86_400);
            at.refuses("DPOP-IAT-04", &at.sign(&ahead)).await;
        }
    })
    .await;
    let stage = Stage::with_nonces().await;
    stage
        .play(async |at| {
            let later = at.stage.world.now().plus_secs(30 * 86_400);
            let of_then = at.stage.world.provider.nonces.issue(later.plus_secs(61)).to_string();
            let guessed = &of_then[..8];
            for nonce in [guessed, "made-up"] {
                at.challenges("DPOP-NON-02", &at.sign(&at.good().nonce(nonce))).await;
            }
            at.challenges("DPOP-NON-01", &at.sign(&at.good().without("nonce"))).await;
        })
        .await;
}

#[tokio::test]
async fn atk_065_a_nonce_of_another_type() {
    let stage = Stage::with_nonces().await;
    stage
        .play(async |at| {
            for nonce in
                [json!(["x"]), json!({}), json!([at.stage.nonce]), json!({ "nonce": at.stage.nonce })]
            {
                at.refuses("DPOP-JWS-07", &at.sign(&at.good().claim("nonce", nonce))).await;
            }
            at.refuses("DPOP-HDR-10", &at.sign(&at.good().nonce(&"x".repeat(1024 * 1024)))).await;
        })
        .await;
}
