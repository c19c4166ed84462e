//! DPOP-JWS and DPOP-TYP: what a proof looks like.

use super::stage::{Place, both, sign_raw};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::signer::Signer;
use keybound_dpop::proof::create::NewProof;
use keybound_e2e::answer::part;
use keybound_e2e::world::*;
use serde_json::{Value, json};

#[tokio::test]
async fn dpop_jws_01_atk_004_three_parts_and_no_empty_one() {
    both(async |at| {
        let good = at.sign(&at.good());
        let [h, p, s]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().expect("three parts");
        for bad in [
            h.to_owned(),
            format!("{h}.{p}"),
            format!("{h}.{p}.{s}.{s}"),
            format!("{h}.{p}.{s}.{s}.{s}"),
            format!(".{p}.{s}"),
            format!("{h}..{s}"),
            format!("{h}.{p}."),
            "..".to_owned(),
            "abc".to_owned(),
            "a..c".to_owned(),
        ] {
            at.refuses("DPOP-JWS-01", &bad).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_jws_02_nothing_encrypted_or_nested() {
    both(async |at| {
        let good = at.sign(&at.good());
        let header = json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT" }).to_string();
        let part = |bytes: &[u8]| base64url::encode(bytes);
        let (key, iv, tag) = (part(&[7; 256]), part(&[7; 12]), part(&[7; 16]));
        let jwe = format!("{}.{key}.{iv}.{}.{tag}", part(header.as_bytes()), part(good.as_bytes()));
        at.refuses("DPOP-JWS-01", &jwe).await;
        let outer = at.good().head("cty", "JWT").header.to_string();
        at.refuses("DPOP-JWS-05", &at.sign_raw(outer.as_bytes(), good.as_bytes())).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_jws_03_atk_006_no_json_serialization() {
    both(async |at| {
        let good = at.sign(&at.good());
        let [h, p, s]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().expect("three parts");
        let flattened = json!({ "protected": h, "payload": p, "signature": s });
        let general = json!({ "payload": p, "signatures": [{ "protected": h, "signature": s }] });
        let bad = base64url::encode(&[1; 64]);
        let one_verifies = json!({ "payload": p, "signatures": [
            { "protected": h, "signature": bad }, { "protected": h, "signature": s },
        ] });
        for json in [flattened, general, one_verifies] {
            at.refuses("DPOP-JWS-01", &base64url::encode(json.to_string().as_bytes())).await;
            at.refuses("DPOP-HDR-06", &json.to_string()).await;
        }
    })
    .await;
}

/// The same octets in another spelling: one of the unused bits of the last character set.
fn with_trailing_bit(part: &str) -> Option<String> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = *part.as_bytes().last()?;
    let next = alphabet[(alphabet.iter().position(|known| *known == last)? + 1) % 64];
    (!part.len().is_multiple_of(4)).then(|| format!("{}{}", &part[..part.len() - 1], char::from(next)))
}

/// The same JWT with its signature in another spelling.
pub fn respelled(jwt: &str) -> String {
    let (input, signature) = jwt.rsplit_once('.').expect("three parts");
    format!("{input}.{}", with_trailing_bit(signature).expect("unused bits"))
}

#[tokio::test]
async fn dpop_jws_04_only_canonical_base64url() {
    both(async |at| {
        let (mut seen_plus, mut seen_slash, mut seen_bits) = (0, 0, [0; 3]);
        for padding in 0..24 {
            let good = at.sign(&at.good().claim("padding", "x".repeat(padding)));
            let parts: Vec<&str> = good.split('.').collect();
            let replaced = |index: usize, part: String| {
                let mut parts = parts.clone();
                parts[index] = &part;
                parts.join(".")
            };
            for index in 0..3 {
                at.refuses(
                    "DPOP-JWS-04",
                    &replaced(index, format!("{}A", &parts[index][..parts[index].len() / 4 * 4])),
                )
                .await;
                if let Some(other) = with_trailing_bit(parts[index]) {
                    seen_bits[index] += 1;
                    at.refuses("DPOP-JWS-04", &replaced(index, other)).await;
                }
            }
            at.refuses("DPOP-JWS-04", &format!("{good}=")).await;
            at.refuses("DPOP-JWS-04", &format!("{good}==")).await;
            if good.contains('-') {
                seen_plus += 1;
                at.refuses("DPOP-JWS-04", &good.replacen('-', "+", 1)).await;
            }
            if good.contains('_') {
                seen_slash += 1;
                at.refuses("DPOP-JWS-04", &good.replacen('_', "/", 1)).await;
            }
        }
        assert!(seen_plus > 0 && seen_slash > 0 && seen_bits[1] > 0 && seen_bits[2] > 0);
    })
    .await;
}

#[tokio::test]
async fn dpop_jws_05_json_objects_in_utf_8() {
    both(async |at| {
        let (header, claims) = (at.good().header.to_string(), at.good().claims.to_string());
        let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let bom = |text: &str| [b"\xef\xbb\xbf", text.as_bytes()].concat();
        let latin_1 = claims.replacen("POST", "P\u{1}ST", 1).replacen("GET", "G\u{1}T", 1);
        let latin_1: Vec<u8> = latin_1.bytes().map(|byte| if byte == 1 { 0xe9 } else { byte }).collect();
        let good = (header.as_bytes().to_vec(), claims.as_bytes().to_vec());
        let bad_headers =
            [utf_16(&header), bom(&header), b"[]".to_vec(), b"null".to_vec(), b"\"x\"".to_vec()];
        let bad_claims = [
            utf_16(&claims),
            bom(&claims),
            latin_1,
            b"[]".to_vec(),
            b"\"x\"".to_vec(),
            b"null".to_vec(),
            b"7".to_vec(),
            format!("{claims} {{}}").into_bytes(),
            claims.replacen('{', "{\"lone\":\"\\ud800\",", 1).into_bytes(),
            claims.replacen('{', "{\"nul\":\"\0\",", 1).into_bytes(),
        ];
        let bad = bad_headers.map(|header| (header, good.1.clone())).into_iter();
        for (header, claims) in bad.chain(bad_claims.map(|claims| (good.0.clone(), claims))) {
            at.refuses("DPOP-JWS-05", &at.sign_raw(&header, &claims)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_jws_06_no_member_twice() {
    both(async |at| {
        let (header, claims) = (at.good().header.to_string(), at.good().claims.to_string());
        for (from, to) in [
            ("{", "{\"alg\":\"none\","),
            ("{", "{\"typ\":\"JWT\","),
            ("\"crv\":", "\"x\":\"AAAA\",\"crv\":"),
            ("\"crv\":", "\"crv\":\"P-256\",\"crv\":"),
        ] {
            let twice = header.replacen(from, to, 1);
            assert_ne!(twice, header);
            at.refuses("DPOP-JWS-06", &at.sign_raw(twice.as_bytes(), claims.as_bytes())).await;
        }
        for more in ["\"htu\":\"https://evil.example/\",", "\"h\\u0074u\":\"\",", "\"a\":{\"b\":1,\"b\":1},"]
        {
            let twice = claims.replacen('{', &format!("{{{more}"), 1);
            at.refuses("DPOP-JWS-06", &at.sign_raw(header.as_bytes(), twice.as_bytes())).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_jws_07_a_wrong_type_is_not_an_absent_member() {
    both(async |at| {
        for (row, claim, value) in [
            ("DPOP-IAT-01", "iat", json!(at.now().to_string())),
            ("DPOP-IAT-01", "iat", json!(null)),
            ("DPOP-JTI-01", "jti", json!(1)),
            ("DPOP-JWS-07", "htm", json!([at.method()])),
            ("DPOP-JWS-07", "htu", json!({ "htu": at.url() })),
            ("DPOP-JWS-07", "nonce", json!({})),
            ("DPOP-JWS-07", "nonce", json!(null)),
            ("DPOP-JWS-07", "ath", json!(null)),
            ("DPOP-JWS-07", "exp", json!("x")),
            ("DPOP-JWS-07", "exp", json!(null)),
            ("DPOP-JWS-07", "nbf", json!([])),
        ] {
            at.refuses(row, &at.sign(&at.good().claim(claim, value))).await;
        }
        for (row, member, value) in [
            ("DPOP-TYP-01", "typ", json!(["dpop+jwt"])),
            ("DPOP-ALG-01", "alg", json!(["ES256"])),
            ("DPOP-JWK-01", "jwk", json!([])),
        ] {
            at.refuses(row, &at.sign(&at.good().head(member, value))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_jws_08_nothing_is_critical() {
    both(async |at| {
        for crit in [json!(["exp"]), json!([]), json!("x"), json!(null), json!(["alg"])] {
            at.refuses("DPOP-JWS-08", &at.sign(&at.good().head("crit", crit))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_jws_09_no_unencoded_payload() {
    both(async |at| {
        let unencoded = at.good().head("b64", false);
        at.refuses("DPOP-JWS-09", &at.sign(&unencoded)).await;
        at.refuses("DPOP-JWS-09", &at.sign(&unencoded.head("crit", json!(["b64"])))).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_jws_10_what_is_not_known_is_not_looked_at() {
    both(async |at| {
        let more = at.good().head("tx_id", "7").head("kid", "x").claim("tx_id", json!({ "a": [1, null] }));
        at.takes(&at.sign(&more.claim("iss", "app").claim("sub", "app").claim("aud", TOKEN))).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_jws_11_depth_and_width_are_bounded() {
    both(async |at| {
        let header = at.good().header.to_string();
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let claims =
            |value: &str| at.good().claims.to_string().replacen('{', &format!("{{\"deep\":{value},"), 1);
        at.takes(&at.sign_raw(header.as_bytes(), claims(&nested(15)).as_bytes())).await;
        for deep in [16, 2500] {
            let bad = at.sign_raw(header.as_bytes(), claims(&nested(deep)).as_bytes());
            at.refuses("DPOP-JWS-11", &bad).await;
        }
        let open_only = at.sign_raw(header.as_bytes(), claims(&"[".repeat(2500)).as_bytes());
        at.refuses("DPOP-JWS-11", &open_only).await;
        let in_key = header.replacen("\"crv\":", &format!("\"deep\":{},\"crv\":", nested(1000)), 1);
        at.refuses("DPOP-JWS-11", &at.sign_raw(in_key.as_bytes(), at.good().claims.to_string().as_bytes()))
            .await;
        let wide: Vec<String> = (0..129).map(|index| format!("\"m{index}\":0")).collect();
        let wide = format!("{{{}}}", wide.join(","));
        at.refuses("DPOP-JWS-11", &at.sign_raw(header.as_bytes(), claims(&wide).as_bytes())).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_jws_12_atk_037_nothing_required_may_be_missing() {
    both(async |at| {
        let mut claims = vec!["jti", "htm", "htu", "iat"];
        if at.is_resource() {
            claims.push("ath");
        }
        for claim in claims {
            let row = if claim == "ath" { "DPOP-ATH-01" } else { "DPOP-JWS-12" };
            at.refuses(row, &at.sign(&at.good().without(claim))).await;
        }
        for (row, member) in [("DPOP-TYP-02", "typ"), ("DPOP-ALG-04", "alg"), ("DPOP-JWK-01", "jwk")] {
            let mut bad = at.good();
            bad.header.as_object_mut().expect("an object").remove(member);
            at.refuses(row, &at.sign(&bad)).await;
        }
    })
    .await;
    let stage = super::stage::Stage::with_nonces().await;
    stage
        .play(async |at| {
            at.challenges("DPOP-NON-01", &at.sign(&at.good().without("nonce"))).await;
        })
        .await;
}

#[tokio::test]
async fn dpop_jws_13_atk_052_nothing_more_is_required() {
    both(async |at| {
        let good = at.good();
        let mut names: Vec<&String> = good.claims.as_object().expect("an object").keys().collect();
        names.retain(|name| !(at.is_resource() && *name == "ath"));
        names.sort();
        assert_eq!(names, ["htm", "htu", "iat", "jti"]);
        at.takes(&at.sign(&good)).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_jws_14_exp_and_nbf_hold_where_they_are_present() {
    both(async |at| {
        let now = at.now();
        at.takes(&at.sign(&at.good().claim("nbf", now).claim("exp", now + 300))).await;
        at.takes(&at.sign(&at.good().claim("exp", now - 29))).await;
        at.takes(&at.sign(&at.good().claim("nbf", now + 30))).await;
        for (claim, time) in [("exp", now - 3600), ("exp", now - 30), ("nbf", now + 31), ("nbf", now + 3600)]
        {
            at.refuses("DPOP-JWS-14", &at.sign(&at.good().claim(claim, time))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_typ_01_the_type_is_dpop_jwt() {
    both(async |at| {
        for typ in
            ["JWT", "at+jwt", "dpop+jwt+x", "dpop", "", "dpop+jwt ", "text/dpop+jwt", "application/jwt"]
        {
            at.refuses("DPOP-TYP-01", &at.sign(&at.good().head("typ", typ))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_typ_02_the_type_is_present() {
    both(async |at| {
        let mut bad = at.good();
        bad.header.as_object_mut().expect("an object").remove("typ");
        at.refuses("DPOP-TYP-02", &at.sign(&bad)).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_typ_03_media_types_have_a_long_form_and_no_case() {
    both(async |at| {
        for typ in ["application/dpop+jwt", "DPOP+JWT", "Application/DPoP+JWT", "dpop+jwt"] {
            at.takes(&at.sign(&at.good().head("typ", typ))).await;
        }
        let (entropy, iat) = ([1; 16], at.stage.world.now());
        let new = NewProof { method: at.method(), htu: at.url(), token: None, nonce: None, entropy, iat };
        let sent = new.prepare(Algorithm::Es256, at.stage.key.public_jwk()).finish(b"signature");
        assert_eq!(part(&sent, 0)["typ"], "dpop+jwt", "what our clients write");
    })
    .await;
}

/// A JWT of another kind, signed with the key that a proof would be signed with, and with that key in its header.
fn of_another_kind(typ: &str, at: &super::stage::At) -> String {
    let header = at.good().head("typ", typ).header;
    let claims = json!({ "iss": "signed", "sub": "signed", "aud": ISSUER, "jti": "1", "exp": at.now() + 60 });
    sign_raw(&at.stage.key, header.to_string().as_bytes(), claims.to_string().as_bytes())
}

#[tokio::test]
async fn dpop_typ_04_no_other_jwt_is_a_proof_and_no_proof_another_jwt() {
    both(async |at| {
        let assertion = at.stage.world.assertion();
        at.refuses("DPOP-TYP-", assertion.reveal()).await;
        at.refuses("DPOP-TYP-01", &at.stage.token).await;
        for typ in ["JWT", "client-authentication+jwt", "oauth-authz-req+jwt", "at+jwt"] {
            at.refuses("DPOP-TYP-01", &of_another_kind(typ, at)).await;
        }
        let proof = at.sign(&at.good());
        let told: (u16, Value) = match at.place {
            Place::Token => {
                let answer = at.stage.world.with_assertion(&proof, Some(&at.sign(&at.good()))).await;
                (answer.status.as_u16(), answer.json()["error"].clone())
            }
            Place::UserInfo => {
                let answer = at.stage.world.userinfo("DPoP", &proof, Some(&at.sign(&at.good()))).await;
                at.assert_challenge("invalid_token", &answer);
                return;
            }
        };
        assert_eq!(told, (401, json!("invalid_client")));
    })
    .await;
}
