//! DPOP-ALG: with what a proof is signed.

use super::stage::{Stage, both, jwk, key_for, resigned, rsa};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::HmacKey;
use keybound_dpop::jose::signer::SigningKey;
use keybound_e2e::forge::jkt;
use serde_json::Value;

#[tokio::test]
async fn dpop_alg_01_names_are_exact_and_on_the_list() {
    both(async |at| {
        for name in ["es256", "ES256 ", "Es256", "XX", "", "ES256K", "ES257", "EC", "SHA256withECDSA"] {
            at.refuses("DPOP-ALG-01", &at.sign(&at.good().head("alg", name))).await;
        }
        at.refuses("DPOP-ALG-03", &at.sign(&at.good().head("alg", "HS256"))).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_alg_02_none_is_none_in_any_case() {
    both(async |at| {
        for name in ["none", "None", "NONE", "nOnE", "nonE"] {
            let unsigned = at.sign(&at.good().head("alg", name));
            at.refuses("DPOP-ALG-02", &unsigned).await;
            at.refuses("DPOP-ALG-02", &resigned(&unsigned, &[0])).await;
            at.refuses("DPOP-JWS-01", &resigned(&unsigned, &[])).await;
        }
    })
    .await;
}

/// `SubjectPublicKeyInfo` of a P-256 key (RFC 5480).
pub fn spki(key: &Value) -> Vec<u8> {
    const PREFIX: &[u8] = &[
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ];
    [PREFIX, &member(key, "x"), &member(key, "y")].concat()
}

/// The same as PEM (RFC 7468).
pub fn pem(key: &Value) -> String {
    let text = data_encoding::BASE64.encode(&spki(key));
    format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
}

/// The octets of a member of a key.
fn member(key: &Value, name: &str) -> Vec<u8> {
    base64url::decode(key[name].as_str().expect("a member")).expect("base64url")
}

#[tokio::test]
async fn dpop_alg_03_no_mac_whatever_its_key() {
    both(async |at| {
        let own = jwk(&at.stage.key);
        let modulus = jwk(&rsa(Algorithm::Ps256));
        let secrets = [
            (&own, own.to_string().into_bytes()),
            (&own, pem(&own).into_bytes()),
            (&own, Vec::new()),
            (&modulus, member(&modulus, "n")),
            (&modulus, modulus.to_string().into_bytes()),
        ];
        for (jwk, secret) in secrets {
            for name in ["HS256", "HS384", "HS512"] {
                let proof = at.sign(&at.good().head("alg", name).head("jwk", jwk.clone()));
                let (input, _) = proof.rsplit_once('.').expect("three parts");
                let mac = HmacKey::new(&secret).mac(&[input.as_bytes()]);
                at.refuses("DPOP-ALG-03", &resigned(&proof, &mac)).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_alg_04_the_algorithm_is_named() {
    both(async |at| {
        let mut bad = at.good().head("alg2", "ES256");
        bad.header.as_object_mut().expect("an object").remove("alg");
        at.refuses("DPOP-ALG-04", &at.sign(&bad)).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_alg_05_atk_022_what_is_registered_is_not_yet_accepted() {
    both(async |at| {
        for name in ["ES256K", "RS1"] {
            at.refuses("DPOP-ALG-01", &at.sign(&at.good().head("alg", name))).await;
        }
        for algorithm in [Algorithm::Es384, Algorithm::Es512] {
            let key = key_for(algorithm);
            at.refuses("DPOP-ALG-05", &at.good_by(&key).sign(&key)).await;
        }
        for algorithm in
            [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps384, Algorithm::Ps512]
        {
            let key = rsa(algorithm);
            at.refuses("DPOP-ALG-05", &at.good_by(&key).sign(&key)).await;
        }
    })
    .await;
}

const ALL: &str = "ES256 PS256 EdDSA Ed25519 ES384 ES512 PS384 PS512 RS256 RS384 RS512";

#[tokio::test]
async fn dpop_alg_06_the_algorithm_belongs_to_the_key() {
    let stage = Stage::taking(ALL, key_for(Algorithm::Es384)).await;
    stage
        .play(async |at| {
            let keys: [(SigningKey, &[&str]); 5] = [
                (key_for(Algorithm::Es256), &["ES384", "ES512", "PS256", "RS256", "EdDSA", "Ed25519"]),
                (key_for(Algorithm::Es384), &["ES256", "ES512", "PS384", "EdDSA"]),
                (key_for(Algorithm::Es512), &["ES256", "ES384", "RS512", "Ed25519"]),
                (rsa(Algorithm::Ps256), &["ES256", "EdDSA", "Ed25519", "ES384"]),
                (key_for(Algorithm::EdDsa), &["ES256", "PS256", "RS256", "ES512"]),
            ];
            for (key, strangers) in &keys {
                for name in *strangers {
                    at.refuses("DPOP-ALG-06", &at.good_by(key).head("alg", *name).sign(key)).await;
                }
            }
            at.takes(&at.sign(&at.good())).await;
        })
        .await;
    for algorithm in [Algorithm::Es512, Algorithm::EdDsa] {
        Stage::taking(ALL, key_for(algorithm)).await.play(async |_| ()).await;
    }
}

#[tokio::test]
async fn dpop_alg_07_the_default_list_and_what_is_asked_for_besides() {
    for key in [key_for(Algorithm::Es256), rsa(Algorithm::Ps256), key_for(Algorithm::EdDsa)] {
        Stage::by(key).await.play(async |_| ()).await;
    }
    both(async |at| {
        let key = rsa(Algorithm::Rs256);
        at.refuses("DPOP-ALG-05", &at.good_by(&key).sign(&key)).await;
    })
    .await;
    let stage = Stage::taking("RS256", rsa(Algorithm::Rs256)).await;
    stage
        .play(async |at| {
            let key = key_for(Algorithm::Es256);
            at.refuses("DPOP-ALG-05", &at.good_by(&key).sign(&key)).await;
        })
        .await;
    for algorithm in [Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps384, Algorithm::Ps512] {
        Stage::taking(ALL, rsa(algorithm)).await.play(async |_| ()).await;
    }
}

#[tokio::test]
async fn dpop_alg_08_two_names_for_ed25519() {
    let stage = Stage::by(key_for(Algorithm::EdDsa)).await;
    stage
        .play(async |at| {
            for name in ["EdDSA", "Ed25519"] {
                let answer = at.takes(&at.sign(&at.good().head("alg", name))).await;
                if !at.is_resource() {
                    assert_eq!(answer.claims("access_token")["cnf"]["jkt"], jkt(&at.stage.key));
                }
            }
        })
        .await;
}

#[tokio::test]
async fn dpop_alg_09_no_other_okp_curve() {
    both(async |at| {
        let key = key_for(Algorithm::EdDsa);
        for (curve, octets) in [("Ed448", 57), ("X25519", 32), ("X448", 56), ("P-256", 32), ("ed25519", 32)] {
            let mut other = jwk(&key);
            other["crv"] = curve.into();
            other["x"] = base64url::encode(&vec![7; octets]).into();
            at.refuses("DPOP-ALG-09", &at.good_by(&key).head("jwk", other).sign(&key)).await;
        }
    })
    .await;
}
