//! DPOP-ATH and DPOP-CNF: proof, token and key belong together.

use super::api::Api;
use super::stage::{Place, Stage, both, jwk, key_for, rsa};
use keybound_dpop::header::ProofHeader;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::{random, sha256, sha512};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::nonce::NonceKeys;
use keybound_dpop::proof::check::{BoundToken, Expected, NonceUse, Policy, verify};
use keybound_dpop::proof::error::Check;
use keybound_dpop::replay::{MemoryLog, ReplaySalt};
use keybound_dpop::target::Target;
use keybound_dpop::time::Clock;
use keybound_dpop::token_hash::TokenHash;
use keybound_e2e::forge::{jkt, new_key};
use keybound_e2e::world::*;
use keybound_e2e::{Forge, TurnedClock, World};
use serde_json::json;

#[tokio::test]
async fn dpop_ath_01_atk_050_the_hash_of_the_token() {
    both(async |at| {
        if at.place == Place::Token {
            return;
        }
        let token = &at.stage.token;
        let digest = sha256(token.as_bytes());
        let good = base64url::encode(&digest);
        at.refuses("DPOP-ATH-01", &at.sign(&at.good().without("ath"))).await;
        for ath in [
            "",
            "x",
            &good[..42],
            &format!("{good}="),
            &good.to_lowercase(),
            &data_encoding::HEXLOWER.encode(&digest),
            &data_encoding::BASE64.encode(&digest),
            &base64url::encode(&sha512(token.as_bytes())),
            &base64url::encode(&sha256(format!("DPoP {token}").as_bytes())),
            &base64url::encode(&sha256(b"")),
            token,
        ] {
            at.refuses("DPOP-ATH-01", &at.sign(&at.good().claim("ath", ath))).await;
        }
        at.takes(&at.sign(&at.good().claim("ath", good))).await;
    })
    .await;
}

#[test]
fn dpop_ath_02_the_hash_is_over_the_token_as_it_came() {
    let (key, clock) = (new_key(), TurnedClock::default());
    let (now, target, policy) = (clock.unix(), Target::parse(USERINFO).expect("a target"), Policy::default());
    let judge = |sent: &str, hashed: &str| {
        let bound = BoundToken { hash: TokenHash::of(sent), jkt: key.public_jwk().thumbprint() };
        let expected =
            Expected { method: "GET", target: &target, token: Some(bound), nonce: None, policy: &policy };
        let proof = Forge::new(&key, "GET", USERINFO, now).token(hashed).sign(&key);
        verify(ProofHeader::One(proof.as_bytes()), &expected, now)
            .map(|_| ())
            .map_err(|refusal| refusal.check())
    };
    let opaque = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU+/==";
    assert_eq!(judge(opaque, opaque), Ok(()));
    assert_eq!(judge(opaque, opaque.trim_end_matches('=')), Err(Check::Ath));
    assert_eq!(judge("YWJj", "abc"), Err(Check::Ath), "not over what it decodes to");
}

#[tokio::test]
async fn dpop_ath_03_atk_049_a_proof_is_for_one_token() {
    let world = World::new().await;
    let (one, two) = (world.tokens().await.text("access_token"), world.tokens().await.text("access_token"));
    for (sent, hashed, status) in [(&one, &two, 401), (&two, &one, 401), (&one, &one, 200), (&two, &two, 200)]
    {
        let proof = world.userinfo_proof(hashed).sign(&world.key);
        assert_eq!(world.userinfo("DPoP", sent, Some(&proof)).await.status.as_u16(), status);
    }
}

#[tokio::test]
async fn dpop_ath_04_the_token_endpoint_asks_for_none() {
    let world = World::new().await;
    let proof = world.proof();
    assert!(proof.claims.get("ath").is_none());
    assert_eq!(world.client_credentials(Some(&proof.sign(&world.key))).await.status, 200);
}

#[tokio::test]
async fn dpop_ath_05_the_token_endpoint_looks_at_none() {
    let world = World::new().await;
    for ath in ["junk", "", "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"] {
        let proof = world.proof().claim("ath", ath).sign(&world.key);
        assert_eq!(world.client_credentials(Some(&proof)).await.status, 200);
    }
}

#[tokio::test]
async fn dpop_cnf_01_the_key_of_the_proof_is_the_key_of_the_token() {
    both(async |at| {
        let thief = new_key();
        let proof = at.good_by(&thief).sign(&thief);
        match at.place {
            Place::UserInfo => at.assert_challenge("invalid_token", &at.show(&[proof.as_bytes()]).await),
            Place::Token => {
                let world = &at.stage.world;
                let bound = world.code_with("app", |code| code.dpop_jkt = Some(jkt(&at.stage.key))).await;
                assert_eq!(
                    world.redeem(&bound, Some(&proof)).await.error(),
                    (400, "invalid_grant".to_owned())
                );
            }
        }
    })
    .await;
}

/// The thumbprint, put together by hand from RFC 7638 §3.2.
fn by_hand(key: &SigningKey, members: &[&str]) -> String {
    let jwk = jwk(key);
    let parts: Vec<String> = members.iter().map(|name| format!("\"{name}\":{}", jwk[*name])).collect();
    base64url::encode(&sha256(format!("{{{}}}", parts.join(",")).as_bytes()))
}

#[tokio::test]
async fn dpop_cnf_02_thumbprints_are_those_of_rfc_7638() {
    let keys: [(SigningKey, &[&str]); 3] = [
        (key_for(Algorithm::Es256), &["crv", "kty", "x", "y"]),
        (rsa(Algorithm::Ps256), &["e", "kty", "n"]),
        (key_for(Algorithm::EdDsa), &["crv", "kty", "x"]),
    ];
    for (key, members) in keys {
        let wanted = by_hand(&key, members);
        let stage = Stage::by(key).await;
        let claims = keybound_e2e::answer::part(&stage.token, 1);
        assert_eq!(claims["cnf"], json!({ "jkt": wanted }));
        stage.play(async |_| ()).await;
    }
}

#[tokio::test]
async fn dpop_cnf_03_a_malformed_thumbprint_makes_a_token_of_no_use() {
    let api = Api::new();
    let good = jkt(&api.key);
    let raw = base64url::decode(&good).expect("base64url");
    for bad in [
        json!(format!("{good}=")),
        json!(&good[..42]),
        json!(data_encoding::BASE64.encode(&raw)),
        json!(data_encoding::HEXLOWER.encode(&raw)),
        json!(""),
        json!(7),
        json!([good]),
        json!(null),
    ] {
        let token = api.sign(&api.claims(json!({ "jkt": bad })));
        api.assert_told("invalid_token", &api.get(&token).await);
    }
    assert_eq!(api.get(&api.token()).await.status, 200);
}

#[tokio::test]
async fn dpop_cnf_04_a_bearer_token_is_no_dpop_token() {
    let api = Api::new();
    let mut unbound = api.claims(json!({}));
    api.assert_told("invalid_token", &api.get(&api.sign(&unbound)).await);
    unbound.as_object_mut().expect("an object").remove("cnf");
    api.assert_told("invalid_token", &api.get(&api.sign(&unbound)).await);
}

#[tokio::test]
async fn dpop_cnf_05_confirmations_that_we_know_and_others() {
    let api = Api::new();
    let good = jkt(&api.key);
    for (cnf, status) in [
        (json!({ "jkt": good }), 200),
        (json!({ "jkt": good, "kid": "x" }), 200),
        (json!({ "jkt": good, "urn:own": { "a": 1 } }), 200),
        (json!({ "jkt": good, "x5t#S256": "AAAA" }), 401),
        (json!({ "x5t#S256": "AAAA" }), 401),
        (json!({ "jwk": { "kty": "EC" } }), 401),
        (json!({ "kid": "x" }), 401),
        (json!("x"), 401),
        (json!(null), 401),
    ] {
        let token = api.sign(&api.claims(cnf.clone()));
        let answer = api.get(&token).await;
        assert_eq!(answer.status.as_u16(), status, "{cnf}");
        if status == 401 {
            api.assert_told("invalid_token", &answer);
        }
    }
}

/// That only [`verify`] makes a verified proof is a compile-fail test beside its definition.
#[test]
fn dpop_cnf_06_what_was_verified_carries_what_was_found() {
    let (key, clock, policy) = (key_for(Algorithm::EdDsa), TurnedClock::default(), Policy::default());
    let (now, target) = (clock.now(), Target::parse(TOKEN).expect("a target"));
    let nonces = NonceKeys::new(random().expect("entropy"), "as", None);
    let nonce = nonces.issue(now.unix.minus_secs(60)).to_string();
    let proof =
        Forge::new(&key, "POST", TOKEN, now.unix.minus_secs(7)).nonce(&nonce).claim("jti", "one").sign(&key);
    let expected =
        Expected { method: "POST", target: &target, token: None, nonce: Some(&nonces), policy: &policy };
    let verified = verify(ProofHeader::One(proof.as_bytes()), &expected, now.unix).expect("verified");
    assert_eq!(*verified.jkt(), key.public_jwk().thumbprint());
    let entry = verified.replay_entry(&ReplaySalt::new([1; 32]), ISSUER);
    let fresh = verified.after(MemoryLog::new(10, now).record(entry, now)).expect("fresh");
    assert_eq!(
        (fresh.jti(), fresh.iat(), fresh.algorithm()),
        ("one", now.unix.minus_secs(7), Algorithm::EdDsa)
    );
    assert_eq!(*fresh.jkt(), key.public_jwk().thumbprint());
    assert!(matches!(fresh.nonce(), NonceUse::Accepted { current: false, .. }) && fresh.wants_new_nonce());
}
