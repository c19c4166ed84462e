//! The guard in services: what a route asks for in a tower stack, an access as a handler's argument, what is remembered.

use crate::world::{API, ISSUER, Refused, URL, World, dpop, get_at};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response};
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::target::Target;
use keybound_dpop::time::UnixTime;
use keybound_dpop::token_hash::TokenHash;
use keybound_oauth::scope::Scope;
use keybound_resource::{Authentication, Demand, GuardLayer, PublicUrl, TokenId, TokenProfile};
use serde_json::json;
use std::sync::Arc;
use tower::ServiceExt;

fn layer(world: &World) -> GuardLayer {
    GuardLayer::new(Arc::clone(&world.guard), PublicUrl::parse(API).expect("a URL"))
}

async fn call(app: &Router, request: Request<()>) -> Response<Body> {
    app.clone().oneshot(request.map(|()| Body::empty())).await.expect("an answer")
}

#[tokio::test]
async fn rs_chk_05_rs_stp_01_a_route_in_a_stack_asks_for_its_own() {
    let world = World::new();
    let authentication = Some(Authentication { acr_values: vec!["phr".to_owned()], max_age_secs: None });
    let demand = Demand {
        authentication,
        scope: Scope::parse("write").expect("a scope"),
        ..world.guard.demand().clone()
    };
    let app = Router::new().route("/things", get(|| async { "let in" })).layer(layer(&world).asking(demand));
    let token = world.token();
    let refused = call(&app, dpop(&token, &world.proof(&token))).await;
    let line = refused.headers()["www-authenticate"].to_str().expect("ASCII");
    assert_eq!(refused.status(), 401);
    assert!(
        line.contains("error=\"insufficient_user_authentication\"") && line.contains("acr_values=\"phr\"")
    );
    let mut claims = world.claims();
    claims["acr"] = json!("phr");
    let strong = world.sign(&claims);
    assert_eq!(call(&app, dpop(&strong, &world.proof(&strong))).await.status(), 200);
    claims["scope"] = json!("read");
    let narrow = world.sign(&claims);
    assert_eq!(call(&app, dpop(&narrow, &world.proof(&narrow))).await.status(), 403);
}

#[tokio::test]
async fn rs_stp_01_rs_chk_05_a_handler_asks_for_what_only_it_can_know() {
    let world = World::new();
    let mut claims = world.claims();
    claims["authorization_details"] = json!([{ "type": "payment", "limit": 100 }]);
    claims["auth_time"] = json!(world.now() - 60);
    let token = world.sign(&claims);
    let access = world.check(dpop(&token, &world.proof(&token))).await.expect("let in");
    let (parts, ()) = get_at("/things", &[]).into_parts();
    assert_eq!((access.acr(), access.auth_time().map(|at| at.as_secs())), (None, Some(world.now() - 60)));

    let lately = |secs| Authentication { acr_values: Vec::new(), max_age_secs: Some(secs) };
    assert!(world.guard.require_authentication(&access, &lately(60), &parts).is_ok());
    let refused = world.guard.require_authentication(&access, &lately(59), &parts).expect_err("too old");
    let refused = Refused::of(refused);
    assert_eq!(refused.told(), (401, vec![("DPoP", Some("insufficient_user_authentication"))]));
    assert_eq!(refused.challenges[0].get("max_age"), Some("59"));

    let limit = |least: u64| {
        move |detail: &keybound_oauth::authorization_details::AuthorizationDetail| {
            detail.get("limit").and_then(serde_json::Value::as_u64).is_some_and(|limit| limit >= least)
        }
    };
    assert!(world.guard.require_detail(&access, "payment", limit(100), &parts).is_ok());
    for (detail_type, least) in [("payment", 101), ("account", 1)] {
        let refused = world.guard.require_detail(&access, detail_type, limit(least), &parts);
        let refused = Refused::of(refused.expect_err("too little"));
        assert_eq!(refused.told(), (403, vec![("DPoP", Some("insufficient_scope"))]));
    }
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn rs_chk_06_a_handler_that_takes_an_access_has_a_guard_in_front() {
    let world = World::new();
    let handler = |access: keybound_resource::Access| async move { access.subject().to_owned() };
    let bare = Router::new().route("/things", get(handler));
    let token = world.token();
    let unguarded = call(&bare, dpop(&token, &world.proof(&token))).await;
    assert_eq!(
        (unguarded.status().as_u16(), &unguarded.headers()["cache-control"]),
        (500, &"no-store".parse().expect("a value"))
    );
    let app = bare.layer(layer(&world));
    let answer = call(&app, dpop(&token, &world.proof(&token))).await;
    let body = axum::body::to_bytes(answer.into_body(), 100).await.expect("a body");
    assert_eq!(&body[..], b"alice");
    assert_eq!(call(&app, get_at("/things", &[])).await.status(), 401);
}

#[tokio::test]
async fn rs_chl_05_a_grpc_call_is_refused_by_its_head_alone() {
    let world = World::new();
    let app = Router::new().route("/things", get(|| async { "let in" })).layer(layer(&world));
    for (media_type, has_body) in [("application/grpc+proto", false), ("application/json", true)] {
        let request = get_at("/things", &[("authorization", "DPoP x"), ("content-type", media_type)]);
        let answer = call(&app, request).await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers().contains_key("content-type")),
            (401, has_body)
        );
        let body = axum::body::to_bytes(answer.into_body(), 1000).await.expect("a body");
        assert_eq!(body.is_empty(), !has_body);
    }
}

#[tokio::test]
async fn rs_chk_08_what_is_remembered_of_a_token_ends_with_it() {
    let world = World::with(|config| {
        config.nonce = None;
        config.remembered_tokens = 100;
    });
    let token = world.token();
    let hash = TokenHash::of(&token);
    let access = world.check(dpop(&token, &world.proof(&token))).await.expect("let in");
    assert!(world.guard.remembers(&hash) && access.token_hash().is_ath(&hash.ath()));
    world.guard.forget(&hash);
    assert!(!world.guard.remembers(&hash));
    assert!(world.check(dpop(&token, &world.proof(&token))).await.is_ok() && world.guard.remembers(&hash));
    world.clock.turn(600);
    assert!(world.check(dpop(&token, &world.proof(&token))).await.is_err());
    assert!(!world.guard.remembers(&hash), "it has expired");

    let mut forged = token.clone();
    forged.replace_range(forged.len() - 4.., "AAAA");
    assert!(world.check(dpop(&forged, &world.proof(&forged))).await.is_err());
    assert!(!world.guard.remembers(&TokenHash::of(&forged)), "a bad one is not remembered");
}

#[tokio::test]
async fn rs_chk_04_rs_chk_08_a_guard_in_the_place_of_another_knows_what_it_knew_as_far_as_it_is_told_the_same()
 {
    let world = World::new();
    let (kept, cut_off) = (
        world.token(),
        world.sign(&json!({ "x": 1, "iss": ISSUER, "sub": "a", "aud": API,
        "client_id": "app", "exp": world.now() + 600, "cnf": world.claims()["cnf"] })),
    );
    for token in [&kept, &cut_off] {
        assert!(world.check(dpop(token, &world.proof(token))).await.is_ok());
    }
    assert!(world.guard.deny(TokenId::of(&cut_off), UnixTime::from_secs(world.now() + 600)));
    let config = || world.guard.config().clone();
    let next = world.guard.succeeding(config()).expect("a guard");
    assert!(next.remembers(&TokenHash::of(&kept)));
    let target = Target::parse(URL).expect("a target");
    let used = world.proof(&kept);
    let parts = |token: &str, proof: &str| dpop(token, proof).into_parts().0;
    assert!(world.check(dpop(&kept, &used)).await.is_ok());
    for (token, proof, row) in [(&cut_off, world.proof(&cut_off), "RS-CHK-04"), (&kept, used, "DPOP-JTI-04")]
    {
        let refused = next.check(&parts(token, &proof), &target).await.expect_err("refused");
        assert_eq!(refused.reason().row(), row);
    }

    let mut stricter = config();
    stricter.token_algorithms = AlgorithmSet::of(&[Algorithm::EdDsa]);
    let mut other = config();
    other.issuers[0].issuer = "https://b.example".to_owned();
    let mut profile = config();
    profile.issuers[0].tokens = TokenProfile::Jwt;
    for changed in [stricter, other, profile] {
        let next = world.guard.succeeding(changed).expect("a guard");
        assert!(!next.remembers(&TokenHash::of(&kept)), "it is judged anew");
    }
}
