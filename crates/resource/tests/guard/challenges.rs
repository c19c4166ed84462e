//! What a refusal looks like on the wire (RS-CHL).

use crate::world::{Refused, URL, World, dpop, get};
use http::Request;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::signer::SigningKey;
use keybound_oauth::scope::Scope;
use keybound_resource::DpopUse;
use serde_json::json;

fn mixed() -> World {
    World::with(|config| {
        config.nonce = None;
        config.dpop = DpopUse::Allowed;
    })
}

fn bearer(token: &str) -> Request<()> {
    get(&[("authorization", &format!("Bearer {token}"))])
}

/// One refusal of each kind.
async fn of_each_kind(world: &World) -> Vec<Refused> {
    let token = world.token();
    let stranger = SigningKey::generate(Algorithm::Es256).expect("a key");
    let access = world.check(dpop(&token, &world.proof(&token))).await.expect("access");
    let scope = Scope::parse("admin").expect("a scope");
    let (parts, ()) = get(&[]).into_parts();
    vec![
        world.refused(get(&[])).await,
        world.refused(get(&[("authorization", "DPoP")])).await,
        world.refused(get(&[("authorization", "DPoP a"), ("authorization", "Bearer b")])).await,
        world.refused(dpop("abc", "x")).await,
        world.refused(dpop(&token, "junk")).await,
        world.refused(dpop(&token, &world.proof_with(&stranger, &token, None))).await,
        world.refused(bearer(&token)).await,
        Refused::of(world.guard.require_scope(&access, &scope, &parts).expect_err("too small")),
    ]
}

#[tokio::test]
async fn rs_chl_01_no_credentials_no_error() {
    let world = World::new();
    for fields in [vec![], vec![("authorization", "Basic dTpw")]] {
        let refused = world.refused(get(&fields)).await;
        assert_eq!(refused.told(), (401, vec![("DPoP", None)]));
        assert_eq!(refused.lines, ["DPoP algs=\"ES256 PS256 EdDSA Ed25519\""]);
    }
}

#[tokio::test]
async fn rs_chl_02_every_dpop_challenge_names_the_accepted_algorithms() {
    let world = World::with(|config| {
        config.dpop = DpopUse::Allowed;
        config.nonce = None;
        config.proof.algorithms = AlgorithmSet::of(&[Algorithm::Es256, Algorithm::EdDsa]);
    });
    for refused in of_each_kind(&world).await {
        let dpop = refused.challenges.first().expect("a challenge");
        assert_eq!((dpop.scheme.as_str(), dpop.get("algs")), ("DPoP", Some("ES256 EdDSA")));
    }
}

#[tokio::test]
async fn rs_chl_03_a_bad_proof_is_invalid_dpop_proof() {
    let world = World::new();
    let token = world.token();
    let other_method = world.proof_for("POST", URL, &world.client_key, &token, None);
    let other_token = world.proof("other");
    for proof in ["", "a.b.c", &other_method, &other_token] {
        let refused = world.refused(dpop(&token, proof)).await;
        assert_eq!(refused.told(), (401, vec![("DPoP", Some("invalid_dpop_proof"))]), "{proof}");
    }
    let proof = world.proof(&token);
    let twice = get(&[("authorization", &format!("DPoP {token}")), ("dpop", &proof), ("dpop", &proof)]);
    assert_eq!(world.refused(twice).await.told(), (401, vec![("DPoP", Some("invalid_dpop_proof"))]));
    assert!(world.check(dpop(&token, &proof)).await.is_ok(), "nothing of it was recorded");
    let again = world.refused(dpop(&token, &proof)).await;
    assert_eq!(again.told(), (401, vec![("DPoP", Some("invalid_dpop_proof"))]));
}

#[tokio::test]
async fn rs_chl_04_a_bad_token_or_another_key_is_invalid_token() {
    let world = World::new();
    let expected = (401, vec![("DPoP", Some("invalid_token"))]);
    let token = world.token();
    let stranger = SigningKey::generate(Algorithm::Es256).expect("a key");
    let by_stranger = dpop(&token, &world.proof_with(&stranger, &token, None));
    assert_eq!(world.refused(by_stranger).await.told(), expected);
    assert_eq!(world.refused(dpop("opaque", &world.proof("opaque"))).await.told(), expected);
    world.clock.turn(601);
    assert_eq!(world.refused(dpop(&token, &world.proof(&token))).await.told(), expected);
}

#[tokio::test]
async fn rs_chl_05_a_malformed_request_is_400() {
    let world = World::new();
    for fields in [
        vec![("authorization", "DPoP")],
        vec![("authorization", "Bearer a b")],
        vec![("authorization", "DPoP a"), ("authorization", "DPoP a")],
    ] {
        assert_eq!(world.refused(get(&fields)).await.told(), (400, vec![("DPoP", Some("invalid_request"))]));
    }
}

#[tokio::test]
async fn rs_chl_06_descriptions_hold_no_text_of_the_caller() {
    let world = World::new();
    let token = world.token();
    let evil = "canary\"\\\r\n\u{e9}";
    let claims = json!({ "jti": "1", "htm": evil, "htu": URL, "iat": world.now(), "ath": "x" });
    let mut all = of_each_kind(&world).await;
    all.push(world.refused(dpop(&token, &world.odd_proof(&claims))).await);
    for refused in all {
        for line in &refused.lines {
            assert!(!line.contains("canary") && !line.contains('\\'), "{line}");
        }
        for description in refused.challenges.iter().filter_map(|c| c.get("error_description")) {
            let allowed = |byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(description.bytes().all(allowed), "{description}");
        }
    }
}

#[tokio::test]
async fn rs_chl_07_who_is_challenged_for_what() {
    let world = mixed();
    let token = world.token();
    assert_eq!(world.refused(dpop(&token, "x")).await.told().1, [("DPoP", Some("invalid_dpop_proof"))]);
    assert_eq!(world.refused(get(&[])).await.told().1, [("DPoP", None), ("Bearer", None)]);
    let downgrade = world.refused(bearer(&token)).await;
    assert_eq!(downgrade.told().1, [("DPoP", None), ("Bearer", Some("invalid_token"))]);
}

#[tokio::test]
async fn rs_chl_08_each_attribute_stands_once() {
    let world = World::with(|config| {
        config.realm = Some("things".to_owned());
        config.scope = Scope::parse("read").ok();
        config.dpop = DpopUse::Allowed;
        config.nonce = None;
    });
    for refused in of_each_kind(&world).await {
        for line in &refused.lines {
            for name in ["realm=", "scope=", "error=", "error_description=", "algs="] {
                assert!(line.matches(&format!(" {name}")).count() <= 1, "{line}");
            }
            assert!(line.contains("realm=\"things\"") && line.contains("scope="), "{line}");
        }
    }
}

#[tokio::test]
async fn rs_chl_09_two_challenges_are_two_lines_dpop_first() {
    let refused = mixed().refused(get(&[])).await;
    let starts: Vec<&str> = refused.lines.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(starts, ["DPoP", "Bearer"]);
}

#[tokio::test]
async fn rs_chl_10_refusals_are_not_stored() {
    for refused in of_each_kind(&mixed()).await {
        assert_eq!(refused.response.headers()["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn rs_chl_11_other_statuses_are_challenged_as_well() {
    for refused in of_each_kind(&World::new()).await {
        assert!(!refused.lines.is_empty(), "{}", refused.status);
    }
}

#[tokio::test]
async fn rs_chk_05_a_small_scope_is_403_and_told_what_is_missing() {
    let world = World::new();
    let token = world.token();
    let access = world.check(dpop(&token, &world.proof(&token))).await.expect("access");
    let (parts, ()) = get(&[]).into_parts();
    let ask =
        |scope: &str| world.guard.require_scope(&access, &Scope::parse(scope).expect("a scope"), &parts);
    assert!(ask("write").is_ok());
    let refused = Refused::of(ask("write admin").expect_err("too small"));
    assert_eq!(refused.told(), (403, vec![("DPoP", Some("insufficient_scope"))]));
    assert_eq!(refused.challenges[0].get("scope"), Some("write admin"));
}
