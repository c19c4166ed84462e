//! What is fetched from the URLs of a client.

use crate::common::query;
use crate::program::{
    CALLBACK, OPEN, key_set, new_key, public, register, registered, text, token, with, world, world_of,
};
use crate::site::Site;
use crate::token::assertion;
use axum::body::Body;
use http::{Request, StatusCode};
use keybound_dpop::time::Clock;
use keybound_oauth::client_auth::ASSERTION_TYPE;
use keybound_provider::registry::add_client;
use serde_json::json;
use tokio::task::JoinSet;
use tower::ServiceExt;

#[tokio::test]
async fn as_dcr_09_oidc_dcr_04_the_sector_document_lists_all_redirect_uris() {
    let (site, world) = (Site::open().await, world(OPEN).await);
    let other = "https://other.example/cb";
    let both = json!([CALLBACK, other, "https://more.example/cb"]).to_string();
    for (path, status, body, expected) in [
        ("/good", 200, both.clone(), (201, "")),
        ("/one", 200, json!([CALLBACK]).to_string(), (400, "invalid_client_metadata")),
        (
            "/object",
            200,
            json!({"redirect_uris": [CALLBACK, other]}).to_string(),
            (400, "invalid_client_metadata"),
        ),
        ("/numbers", 200, json!([CALLBACK, other, 7]).to_string(), (400, "invalid_client_metadata")),
        ("/nothing", 200, String::new(), (400, "invalid_client_metadata")),
        ("/created", 201, both.clone(), (400, "invalid_client_metadata")),
        ("/large", 200, format!("{both}{}", " ".repeat(40_000)), (400, "invalid_client_metadata")),
    ] {
        let uri = site.answer_with(path, status, &[], body);
        let metadata = with(public(), "redirect_uris", json!([CALLBACK, other]));
        let page = register(&world, &with(metadata, "sector_identifier_uri", uri.clone().into())).await;
        assert_eq!(page.refusal(), (expected.0, expected.1.to_owned()), "{path}");
        assert!(expected.0 == 201 || !page.has(&uri), "{}", page.body);
    }
    let elsewhere = site.answer_with("/moved", 302, &[("location", "/good")], "");
    for uri in [site.url("/missing"), elsewhere] {
        let page = register(&world, &with(public(), "sector_identifier_uri", uri.into())).await;
        assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()));
    }
}

#[tokio::test]
async fn as_dcr_09_a_sector_document_is_not_fetched_from_inside() {
    let world = world_of("https://id.example", "[registration]\nmode = \"open\"\n").await;
    for host in ["127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]", "localhost"] {
        let uri = format!("https://{host}/sector.json");
        let page = register(&world, &with(public(), "sector_identifier_uri", uri.into())).await;
        assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()), "{host}");
    }
}

#[tokio::test]
async fn as_dcr_09_oidc_idt_02_only_a_redirect_uri_leads_into_a_sector() {
    let (site, world) = (Site::open().await, world(OPEN).await);
    let sector = site.put("/sector", json!([CALLBACK]).to_string());
    let pairwise = with(public(), "subject_type", json!("pairwise"));
    let by_document = with(pairwise.clone(), "sector_identifier_uri", sector.into());
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    for metadata in [pairwise, by_document] {
        registered(&world, &metadata).await;
        let both = with(metadata.clone(), "grant_types", json!(["authorization_code", device]));
        let alone = with(metadata, "grant_types", json!([device]));
        for anywhere in [both, alone] {
            let page = register(&world, &anywhere).await;
            assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()), "{anywhere}");
        }
    }
}

#[tokio::test]
async fn oidc_dcr_03_keys_at_a_jwks_uri_can_change() {
    let (site, world) = (Site::open().await, world(OPEN).await);
    let (old, new) = (new_key(), new_key());
    let uri = site.put("/jwks", key_set(&old, "old").to_string());
    let metadata = with(public(), "token_endpoint_auth_method", json!("private_key_jwt"));
    let client = registered(&world, &with(metadata, "jwks_uri", uri.into())).await;
    let client_id = text(&client, "client_id");
    let answer = async |key, kid: &str| {
        let jwt = match kid {
            "" => assertion(&world, key, &client_id),
            kid => crate::documents::assertion_named(&world, key, kid, &client_id),
        };
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", "x"),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", jwt.as_str()),
        ];
        token(&world, &new_key(), &fields, None).await.refusal().1
    };
    assert_eq!(answer(&old, "old").await, "invalid_grant", "the client is known");
    assert_eq!(answer(&new, "new").await, "invalid_client");
    site.put("/jwks", key_set(&new, "new").to_string());
    world.clock.turn(61);
    assert_eq!(answer(&new, "new").await, "invalid_grant", "a `kid` that is not known is looked for");
    assert_eq!(answer(&old, "old").await, "invalid_client");
}

#[tokio::test]
async fn as_jar_07_ops_lim_06_slow_sites_of_strangers_keep_no_operators_client_waiting() {
    let (site, world) = (Site::open().await, world(OPEN).await);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = format!("http://{}/request", silent.local_addr().unwrap());
    let stranger = registered(&world, &with(public(), "request_uris", json!([slow]))).await;
    let stranger = text(&stranger, "client_id");
    let at_site = site.put("/request", "no request object");
    let own = with(with(public(), "client_id", json!("own")), "request_uris", json!([at_site]));
    add_client(&world.provider.store, own, world.clock.unix()).await.unwrap();

    let changes = [("client_id", stranger.as_str()), ("request_uri", slow.as_str())];
    let (mut waiting, mut connections) = (JoinSet::new(), Vec::new());
    for _ in 0..16 {
        let request = Request::get(format!("/authorize?{}", query(&changes))).body(Body::empty()).unwrap();
        waiting.spawn(world.router.clone().oneshot(request));
        connections.push(silent.accept().await.unwrap());
    }
    assert_eq!(world.browser().ask(&changes).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let page = world.browser().ask(&[("client_id", "own"), ("request_uri", &at_site)]).await;
    assert_ne!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{}", page.body);
    assert_eq!(site.asked("/request"), 1);
}
