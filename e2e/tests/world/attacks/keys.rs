//! Attacks with keys, beside those that a row of DPOP-JWK and DPOP-SIG is enough for.

use crate::proofs::stage::{both, jwk, key_for, rsa};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use serde_json::{Value, json};

#[tokio::test]
async fn atk_021_a_curve_that_the_algorithm_has_not() {
    both(async |at| {
        let p_384 = key_for(Algorithm::Es384);
        at.refuses("DPOP-ALG-06", &at.good_by(&p_384).head("alg", "ES256").sign(&p_384)).await;
        let mut bitcoin = jwk(&at.stage.key);
        bitcoin["crv"] = "secp256k1".into();
        at.refuses("DPOP-JWK-07", &at.sign(&at.good().head("jwk", bitcoin))).await;
        let ed25519 = key_for(Algorithm::EdDsa);
        let mut x25519 = jwk(&ed25519);
        x25519["crv"] = "X25519".into();
        for name in ["EdDSA", "Ed25519"] {
            let proof = at.good_by(&ed25519).head("alg", name).head("jwk", x25519.clone());
            at.refuses("DPOP-ALG-09", &proof.sign(&ed25519)).await;
        }
    })
    .await;
}

/// The members in another order.
fn backwards(key: &Value) -> Value {
    key.as_object()
        .expect("an object")
        .iter()
        .rev()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// That the key is still the same is what `takes` looks at: the token is bound to the stage's key, or was.
#[tokio::test]
async fn atk_035_one_key_has_one_thumbprint() {
    both(async |at| {
        let key = jwk(&at.stage.key);
        let other_order = backwards(&key);
        assert_ne!(other_order.to_string(), key.to_string());
        let mut more = key.clone();
        more["kid"] = "another".into();
        more["x5t"] = "AAAA".into();
        for alias in [other_order, more] {
            at.takes(&at.sign(&at.good().head("jwk", alias))).await;
        }
        let (header, claims) = (at.good().header.to_string(), at.good().claims.to_string());
        let spaced = header.replace(':', " : ").replace(',', " ,\n\t");
        at.takes(&at.sign_raw(spaced.as_bytes(), claims.as_bytes())).await;
        let claims = at.good().claims.to_string();
        let escaped = header.replacen("\"crv\"", "\"\\u0063rv\"", 1);
        assert_ne!(escaped, header);
        at.takes(&at.sign_raw(escaped.as_bytes(), claims.as_bytes())).await;

        let long = |key: &Value, name: &str| {
            let octets = base64url::decode(key[name].as_str().expect("a member")).expect("base64url");
            json!(base64url::encode(&[&[0], &octets[..]].concat()))
        };
        for name in ["x", "y"] {
            let mut other = key.clone();
            other[name] = long(&key, name);
            at.refuses("DPOP-JWK-05", &at.sign(&at.good().head("jwk", other))).await;
        }
        let rsa = rsa(Algorithm::Ps256);
        for name in ["n", "e"] {
            let mut other = jwk(&rsa);
            other[name] = long(&jwk(&rsa), name);
            at.refuses("DPOP-JWK-10", &at.good_by(&rsa).head("jwk", other).sign(&rsa)).await;
        }
    })
    .await;
}
