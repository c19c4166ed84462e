//! How a token may come (RS-SCH), and that a bound one never comes as Bearer (RS-DWN).

use crate::world::{URL, World, dpop, get, get_at};
use http::Request;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::target::Target;
use keybound_resource::{DpopUse, Reason};
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

#[tokio::test]
async fn rs_sch_01_a_bound_token_with_its_proof_gets_in() {
    let world = World::new();
    let token = world.token();
    let access = world.check(dpop(&token, &world.proof(&token))).await.expect("access");
    assert_eq!((access.subject(), access.client_id()), ("alice", Some("app")));
    assert_eq!(access.jkt(), Some(&world.client_key.public_jwk().thumbprint()));
    assert!(access.scope().contains("read"));
    assert_eq!(access.claims()["jti"], "t1");
    let no_proof = world.refused(get(&[("authorization", &format!("DPoP {token}"))])).await;
    assert_eq!(no_proof.told(), (401, vec![("DPoP", Some("invalid_dpop_proof"))]));
}

#[tokio::test]
async fn rs_sch_02_the_scheme_is_read_without_regard_to_case() {
    let world = World::new();
    let token = world.token();
    for scheme in ["dpop", "DPOP", "dPoP"] {
        let proof = world.proof(&token);
        let request = get(&[("authorization", &format!("{scheme} {token}")), ("DPOP", &proof)]);
        assert!(world.check(request).await.is_ok(), "{scheme}");
    }
}

#[tokio::test]
async fn rs_sch_03_spaces_separate_and_nothing_else_does() {
    let world = World::new();
    let token = world.token();
    let proof = world.proof(&token);
    let ask = |value: String| get(&[("authorization", &value), ("dpop", &proof)]);
    for value in [format!("DPoP\t{token}"), format!("DPoP \"{token}\""), format!("DPoP {token},{token}")] {
        assert_eq!(world.refused(ask(value)).await.told(), (400, vec![("DPoP", Some("invalid_request"))]));
    }
    assert!(world.check(ask(format!("DPoP  {token}"))).await.is_ok());
}

#[tokio::test]
async fn rs_sch_04_two_tokens_are_one_too_many() {
    let world = mixed();
    let token = world.token();
    let (with_scheme, proof) = (format!("DPoP {token}"), world.proof(&token));
    let both = vec![("DPoP", Some("invalid_request")), ("Bearer", Some("invalid_request"))];
    let two = [("authorization", with_scheme.as_str()), ("authorization", "Bearer x"), ("dpop", &proof)];
    assert_eq!(world.refused(get(&two)).await.told(), (400, both));

    let (parts, ()) = dpop(&token, &proof).into_parts();
    let target = Target::parse(URL).expect("a target");
    let form = Some(b"a=b&access_token=x".as_slice());
    let rejection = world.guard.check_with_form(&parts, form, &target).await.expect_err("refused");
    assert_eq!(rejection.status(), 400);
    assert!(world.guard.check_with_form(&parts, Some(b"a=b"), &target).await.is_ok());
}

#[tokio::test]
async fn rs_sch_05_a_token_in_the_query_is_not_read() {
    let world = mixed();
    let token = world.bearer_token();
    let alone = world.refused(get_at(&format!("/things?access_token={token}"), &[])).await;
    assert_eq!(alone.told(), (401, vec![("DPoP", None), ("Bearer", None)]));
    let header = format!("Bearer {token}");
    let beside = world.refused(get_at("/things?a&access_token=x", &[("authorization", &header)])).await;
    assert_eq!(beside.told(), (400, vec![("DPoP", None), ("Bearer", Some("invalid_request"))]));
}

#[tokio::test]
async fn rs_sch_06_a_token_in_a_form_is_not_read() {
    let world = mixed();
    let form = format!("access_token={}", world.bearer_token());
    let (parts, ()) = get(&[("content-type", "application/x-www-form-urlencoded")]).into_parts();
    let target = Target::parse(URL).expect("a target");
    let rejection =
        world.guard.check_with_form(&parts, Some(form.as_bytes()), &target).await.expect_err("no");
    assert_eq!((rejection.status().as_u16(), rejection.reason()), (401, &Reason::NoCredentials));
}

#[tokio::test]
async fn rs_sch_07_proxy_authorization_is_not_ours() {
    let world = World::new();
    let token = world.token();
    let fields = [("proxy-authorization", format!("DPoP {token}")), ("dpop", world.proof(&token))];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let refused = world.refused(get(&fields)).await;
    assert_eq!(refused.told(), (401, vec![("DPoP", None)]));
    assert!(!refused.response.headers().contains_key("proxy-authenticate"));
}

#[tokio::test]
async fn rs_sch_08_a_proof_beside_an_unbound_token_is_not_looked_at() {
    let world = mixed();
    let header = format!("Bearer {}", world.bearer_token());
    let access = world.check(get(&[("authorization", &header), ("dpop", "junk")])).await.expect("access");
    assert_eq!(access.jkt(), None);
}

#[tokio::test]
async fn rs_sch_09_a_proof_alone_is_nobody() {
    let world = World::new();
    let refused = world.refused(get(&[("dpop", &world.proof("x"))])).await;
    assert_eq!(refused.told(), (401, vec![("DPoP", None)]));
}

#[tokio::test]
async fn rs_dwn_01_a_bound_token_is_not_taken_as_bearer() {
    for (world, expected) in [
        (World::new(), vec![("DPoP", Some("invalid_token"))]),
        (mixed(), vec![("DPoP", None), ("Bearer", Some("invalid_token"))]),
    ] {
        let token = world.token();
        let with_proof =
            get(&[("authorization", &format!("Bearer {token}")), ("dpop", &world.proof(&token))]);
        for request in [bearer(&token), with_proof] {
            let refused = world.refused(request).await;
            assert_eq!(refused.told(), (401, expected.clone()));
            assert!(refused.challenges[0].get("algs").is_some());
        }
    }
}

#[tokio::test]
async fn rs_dwn_02_the_token_decides_and_not_the_scheme() {
    let world = mixed();
    let bound = world.check(bearer(&world.token())).await.expect_err("a downgrade");
    assert_eq!(bound.reason(), &Reason::Downgrade);
    let token = world.bearer_token();
    let unbound = world.check(dpop(&token, &world.proof(&token))).await.expect_err("not bound");
    assert_eq!(unbound.reason(), &Reason::Unbound);
}

#[tokio::test]
async fn rs_dwn_03_unbound_tokens_by_policy_only() {
    let world = mixed();
    assert!(world.check(bearer(&world.bearer_token())).await.is_ok());
    let strict = World::new();
    let refused = strict.refused(bearer(&strict.bearer_token())).await;
    assert_eq!(refused.told(), (401, vec![("DPoP", Some("invalid_token"))]));
}

#[tokio::test]
async fn rs_dwn_04_the_binding_is_the_verified_token_s() {
    let world = World::new();
    let thief = SigningKey::generate(Algorithm::Es256).expect("a key");
    let token = world.token();
    let jkt = thief.public_jwk().thumbprint().to_string();
    let authorization = format!("DPoP {token}");
    let proof = world.proof_with(&thief, &token, None);
    let claimed =
        get(&[("authorization", &authorization), ("dpop", &proof), ("keybound-jkt", &jkt), ("cnf", &jkt)]);
    assert_eq!(world.refused(claimed).await.told(), (401, vec![("DPoP", Some("invalid_token"))]));

    let mut claims = world.claims();
    claims["cnf"] = json!({ "jkt": jkt });
    let (head, rest) = token.split_once('.').expect("a JWT");
    let signature = rest.split_once('.').expect("a JWT").1;
    let payload = keybound_dpop::jose::base64url::encode(claims.to_string().as_bytes());
    let forged = format!("{head}.{payload}.{signature}");
    let request = dpop(&forged, &world.proof_with(&thief, &forged, None));
    assert_eq!(world.refused(request).await.told(), (401, vec![("DPoP", Some("invalid_token"))]));
}

#[tokio::test]
async fn rs_dwn_06_tokens_bound_to_certificates_are_not_bearer_tokens() {
    let world = mixed();
    let mut claims = world.unbound_claims();
    claims["cnf"] = json!({ "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" });
    let refused = world.refused(bearer(&world.sign(&claims))).await;
    assert_eq!(refused.told(), (401, vec![("DPoP", None), ("Bearer", Some("invalid_token"))]));
}
