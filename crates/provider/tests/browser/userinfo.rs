//! UserInfo as a relying party calls it.

use crate::common::{Page, World};
use crate::relying_party::{self as rp, call_userinfo, metadata, tokens, verified, world};
use http::{Method, Request};
use keybound_oauth::form::FormWriter;
use serde_json::{Value, json};

async fn send(world: &World, method: Method, headers: &[(&str, &str)]) -> Page {
    let request = Request::builder().method(method).uri("/userinfo");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    world.browser().send(request.body(String::new().into()).unwrap()).await
}

#[tokio::test]
async fn oidc_ui_01_oidc_ui_02_get_and_post_and_a_bearer_token_in_the_body() {
    let world = world(json!({}), json!({"email": "ada@example.com"})).await;
    let tokens = tokens(&world, &[("scope", "openid email")]).await;
    let token = tokens.text("access_token");
    let bearer = format!("Bearer {token}");
    let in_body = rp::post(&world, "/userinfo", FormWriter::new().pair("access_token", token), &[]).await;
    for page in [
        send(&world, Method::GET, &[("authorization", &bearer)]).await,
        send(&world, Method::POST, &[("authorization", &bearer)]).await,
        in_body,
    ] {
        assert_eq!(page.status, 200, "{}", page.body);
        assert_eq!(
            (page.header("content-type"), page.header("cache-control")),
            ("application/json", "no-store")
        );
        let claims: Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!(claims, json!({"sub": tokens.id_token(&world)["sub"], "email": "ada@example.com"}));
    }
}

#[tokio::test]
async fn oidc_ui_03_a_client_that_is_registered_for_it_gets_a_signed_answer() {
    for algorithm in ["RS256", "ES256", "PS256", "EdDSA"] {
        let registered = json!({"userinfo_signed_response_alg": algorithm});
        let world = world(registered, json!({"email": "ada@example.com"})).await;
        let tokens = tokens(&world, &[("scope", "openid email")]).await;
        let page = call_userinfo(&world, tokens.text("access_token")).await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "application/jwt"));
        assert_eq!(page.header("cache-control"), "no-store");
        let (header, claims) = verified(&world, &page.body);
        assert_eq!(header["alg"], algorithm);
        let expected = json!({
            "sub": "subject-of-ada", "email": "ada@example.com", "iss": "https://id.example", "aud": "rp",
        });
        assert_eq!(claims, expected);
        let (of_id_token, _) = tokens.verified(&world, "id_token");
        assert_ne!(
            header["kid"], of_id_token["kid"],
            "what is signed for one purpose is not taken for another"
        );
        let unsent = call_userinfo(&world, &page.body).await;
        assert_eq!(unsent.status, 401, "it is no access token");
    }
}

#[tokio::test]
async fn oidc_ui_04_errors_are_those_of_bearer_tokens() {
    let world = World::with_clients(&[metadata(json!({}))]).await;
    let tokens = tokens(&world, &[("scope", "openid")]).await;
    let nothing = send(&world, Method::GET, &[]).await;
    assert_eq!(nothing.status, 401);
    assert!(!nothing.header("www-authenticate").contains("error="), "{}", nothing.header("www-authenticate"));
    world.clock.turn(601);
    for token in [tokens.text("access_token"), "garbage", tokens.text("id_token")] {
        let page = call_userinfo(&world, token).await;
        assert_eq!(page.status, 401);
        let challenges: Vec<&str> =
            page.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect();
        assert!(
            challenges.iter().any(|challenge| challenge.contains("error=\"invalid_token\"")),
            "{challenges:?}"
        );
    }
}

#[tokio::test]
async fn oidc_ui_05_pages_of_every_origin_may_call() {
    let world = world(json!({}), json!({})).await;
    let preflight = [
        ("origin", "https://spa.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "authorization,dpop"),
    ];
    let page = send(&world, Method::OPTIONS, &preflight).await;
    assert!(page.status.is_success());
    assert_eq!(page.header("access-control-allow-origin"), "*");
    let allowed = page.header("access-control-allow-headers").to_ascii_lowercase();
    assert!(allowed.contains("authorization") && allowed.contains("dpop"), "{allowed}");
    let tokens = tokens(&world, &[]).await;
    let bearer = format!("Bearer {}", tokens.text("access_token"));
    let page =
        send(&world, Method::GET, &[("origin", "https://spa.example"), ("authorization", &bearer)]).await;
    assert_eq!((page.status.as_u16(), page.header("access-control-allow-origin")), (200, "*"));
}

#[tokio::test]
async fn oidc_ui_06_a_token_of_a_client_that_left_or_is_no_longer_marked_is_refused() {
    let world = world(json!({}), json!({})).await;
    let tokens = tokens(&world, &[]).await;
    let strict = json!({"legacy_oidc": false, "dpop_bound_access_tokens": false});
    for change in [Some(strict), None] {
        let store = &world.provider.store;
        match change {
            Some(change) => {
                let mut client = store.find_client("rp").await.unwrap().unwrap();
                client.metadata = metadata(change);
                store.upsert_client(client).await.unwrap();
            }
            None => assert!(store.remove_client("rp", world.provider.unix()).await.unwrap()),
        }
        world.clock.turn(1);
        assert_eq!(call_userinfo(&world, tokens.text("access_token")).await.status, 401);
    }
}
