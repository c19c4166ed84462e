//! OPS-CORS and OPS-CACHE: what pages of other origins, and caches, may do.

use axum::body::Body;
use http::Request;
use keybound_e2e::world::*;
use keybound_e2e::{Settings, World};

const ORIGIN: (&str, &str) = ("origin", "https://app.example");
const FOR_CLIENTS: [&str; 7] = [
    "/token",
    "/revoke",
    "/par",
    "/userinfo",
    "/jwks",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
];
const FOR_BROWSERS: [&str; 3] = ["/authorize", "/login", "/consent"];
/// Called by servers; no page of another origin has business there.
const FOR_SERVERS: [&str; 1] = ["/introspect"];

fn preflight(path: &str) -> Request<Body> {
    Request::options(format!("{ISSUER}{path}"))
        .header(ORIGIN.0, ORIGIN.1)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "dpop,authorization,content-type")
        .body(Body::empty())
        .expect("a request")
}

#[tokio::test]
async fn ops_cors_01_endpoints_for_clients_are_open_and_pages_are_not() {
    let world = World::new().await;
    for path in FOR_CLIENTS {
        let answer = world.send(preflight(path)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("access-control-allow-origin")),
            (204, vec!["*".to_owned()]),
            "{path}"
        );
    }
    for path in FOR_BROWSERS.iter().chain(&FOR_SERVERS) {
        let answer = world.send(preflight(path)).await;
        assert!(answer.header("access-control-allow-origin").is_empty(), "{path}");
        let answer = world.send(get(&format!("{ISSUER}{path}"), &[ORIGIN])).await;
        assert!(answer.header("access-control-allow-origin").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn ops_cors_02_proofs_may_be_sent_and_nonces_read() {
    let world = World::new().await;
    let allowed =
        world.send(preflight("/token")).await.header("access-control-allow-headers").join(",").to_lowercase();
    for name in ["dpop", "authorization", "content-type"] {
        assert!(allowed.contains(name), "{allowed}");
    }
    let headers = [
        ("authorization", basic("service", SECRET)),
        ("dpop", world.proof().sign(&world.key)),
        (ORIGIN.0, ORIGIN.1.to_owned()),
    ];
    let answer = world.post(client_credentials_form(), &borrow(&headers)).await;
    assert_eq!(answer.status, 200);
    let exposed = answer.header("access-control-expose-headers").join(",");
    assert!(exposed.contains("DPoP-Nonce") && exposed.contains("WWW-Authenticate"), "{exposed}");
}

#[tokio::test]
async fn ops_cors_03_errors_are_readable_too() {
    let world = World::with(Settings::with_nonces()).await;
    let answers = [
        world.post(client_credentials_form(), &[ORIGIN]).await,
        world.send(get(TOKEN, &[ORIGIN])).await,
        world.send(get(USERINFO, &[ORIGIN])).await,
    ];
    for answer in answers {
        assert!(answer.status.is_client_error());
        assert_eq!(answer.header("access-control-allow-origin"), ["*"], "{answer:?}");
        assert!(answer.header("access-control-expose-headers")[0].contains("DPoP-Nonce"), "{answer:?}");
    }
}

#[tokio::test]
async fn ops_cors_04_never_with_credentials() {
    let world = World::new().await;
    for path in FOR_CLIENTS.iter().chain(&FOR_BROWSERS) {
        for answer in
            [world.send(preflight(path)).await, world.send(get(&format!("{ISSUER}{path}"), &[ORIGIN])).await]
        {
            assert!(answer.header("access-control-allow-credentials").is_empty(), "{path}");
        }
    }
}

#[tokio::test]
async fn ops_cors_05_answers_vary_and_preflights_are_kept_for_a_bounded_time() {
    let world = World::new().await;
    let answer = world.send(preflight("/token")).await;
    assert!(answer.header("vary").join(",").contains("Origin"));
    let max_age: u64 = answer.header("access-control-max-age")[0].parse().expect("a number");
    assert!((1..=86_400).contains(&max_age));
}

#[tokio::test]
async fn ops_cache_01_private_answers_are_not_stored() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let token = tokens.text("access_token");
    let userinfo = world.userinfo("DPoP", &token, Some(&world.userinfo_proof(&token).sign(&world.key))).await;
    let introspected = world.introspect("api", &token).await;
    let answers =
        [tokens, userinfo, introspected, world.send(get(USERINFO, &[])).await, world.revoke(&token).await];
    for answer in answers {
        assert_eq!(answer.header("cache-control"), ["no-store"], "{answer:?}");
    }
}

#[tokio::test]
async fn ops_cache_02_an_answer_with_a_nonce_is_not_stored() {
    let world = World::with(Settings::with_nonces()).await;
    let answer = world.client_credentials(Some(&world.proof().sign(&world.key))).await;
    answer.nonce();
    assert_eq!(answer.header("cache-control"), ["no-store"]);
}

#[tokio::test]
async fn ops_cache_03_userinfo_varies_by_what_it_is_asked_with() {
    let world = World::new().await;
    let token = world.tokens().await.text("access_token");
    let answer = world.userinfo("DPoP", &token, Some(&world.userinfo_proof(&token).sign(&world.key))).await;
    let vary = answer.header("vary").join(",");
    assert!(vary.contains("Authorization") && vary.contains("DPoP"), "{vary}");
}

#[tokio::test]
async fn ops_cache_04_metadata_and_keys_may_be_kept() {
    let world = World::new().await;
    for path in ["/jwks", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let answer = world.send(get(&format!("{ISSUER}{path}"), &[])).await;
        assert_eq!(answer.header("cache-control"), ["public, max-age=300"], "{path}");
    }
}

#[tokio::test]
async fn as_md_02_as_md_03_as_md_04_both_documents_are_one() {
    let world = World::new().await;
    let [oauth, openid] = ["oauth-authorization-server", "openid-configuration"]
        .map(|name| get(&format!("{ISSUER}/.well-known/{name}"), &[]));
    let (oauth, openid) = (world.send(oauth).await.json(), world.send(openid).await.json());
    assert_eq!(oauth, openid);
    assert_eq!(oauth["issuer"], ISSUER);
    assert_eq!(
        oauth["dpop_signing_alg_values_supported"],
        serde_json::json!(["ES256", "PS256", "EdDSA", "Ed25519"])
    );
}
