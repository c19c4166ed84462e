//! Open registration keeps within bounds (RFC 7591 §5).

use crate::common::World;
use crate::program::{
    OPEN, basic, confidential, new_key, public, register, register_with, registered, sign_in, text, token,
    with, world,
};
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN, RETRY_AFTER};
use keybound_dpop::time::Clock;
use keybound_provider::registration::admission::make_initial_token;
use serde_json::json;
use std::net::SocketAddr;

const FAST: &str = "[limits]\nregistrations_per_minute = 0\n";

async fn register_from(world: &World, address: [u8; 4]) -> StatusCode {
    let mut browser = world.browser();
    browser.peer = SocketAddr::from((address, 1000));
    let request = http::Request::post("/register")
        .header(CONTENT_TYPE, "application/json")
        .body(public().to_string().into())
        .unwrap();
    let page = browser.send(request).await;
    assert!(page.status != StatusCode::TOO_MANY_REQUESTS || page.headers.contains_key(RETRY_AFTER));
    page.status
}

#[tokio::test]
async fn as_dcr_12_one_address_registers_at_a_rate() {
    let world = world(&format!("{OPEN}[limits]\nregistrations_per_minute = 6\n")).await;
    assert_eq!(register_from(&world, [192, 0, 2, 7]).await, StatusCode::CREATED);
    assert_eq!(register_from(&world, [192, 0, 2, 7]).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(register_from(&world, [192, 0, 2, 8]).await, StatusCode::CREATED, "others");
    world.clock.turn(10);
    assert_eq!(register_from(&world, [192, 0, 2, 7]).await, StatusCode::CREATED);
    // Who has a token is known.
    let token = make_initial_token(&world.provider.store, 5, 60, world.clock.unix()).await.unwrap();
    for _ in 0..5 {
        let bearer = format!("Bearer {}", token.reveal());
        let page = register_with(&world, &public(), &[("authorization", &bearer)]).await;
        assert_eq!(page.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn as_dcr_12_changes_have_a_rate_too() {
    let world = world(&format!("{OPEN}[limits]\nregistrations_per_minute = 6\n")).await;
    let client = registered(&world, &public()).await;
    let path = format!("/register/{}", text(&client, "client_id"));
    let change = async |token: &str| {
        let mut browser = world.browser();
        browser.peer = SocketAddr::from(([192, 0, 2, 7], 1000));
        let body = with(public(), "client_id", client["client_id"].clone());
        let request = http::Request::put(&path)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(body.to_string().into())
            .unwrap();
        browser.send(request).await.status
    };
    let token = text(&client, "registration_access_token");
    assert_eq!(change("x").await, StatusCode::UNAUTHORIZED);
    assert_eq!(change(&token).await, StatusCode::OK);
    assert_eq!(change(&token).await, StatusCode::TOO_MANY_REQUESTS);
    world.clock.turn(10);
    assert_eq!(change(&token).await, StatusCode::OK);
}

#[tokio::test]
async fn as_dcr_12_ops_lim_06_there_is_room_for_so_many() {
    let world = world(&format!("{OPEN}max_clients = 3\n{FAST}")).await;
    for _ in 0..3 {
        registered(&world, &public()).await;
    }
    let page = register(&world, &public()).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{}", page.body);
    assert_eq!(world.provider.store.clients().await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_stranger_that_fits_no_longer_keeps_nobody_else_out() {
    let stranger = json!({"client_id": "client-old", "redirect_uris": ["http://shop.example/cb"], "self_registered": true});
    let world = World::with("issuer = \"http://localhost:8080\"", &[stranger]).await;
    let (clients, store, now) = (&world.provider.clients, &world.provider.store, world.clock.now());
    assert!(clients.find(store, "client-old", now).await.unwrap().is_none());
    assert!(clients.find(store, "app", now).await.unwrap().is_some());
}

#[tokio::test]
async fn as_dcr_12_who_is_not_used_is_forgotten() {
    let world = world(&format!("{OPEN}{FAST}")).await;
    let (used, unused) = (registered(&world, &public()).await, registered(&world, &public()).await);
    sign_in(&world, &new_key(), &text(&used, "client_id")).await;
    let store = &world.provider.store;
    let (start, day) = (world.clock.unix(), 86_400);
    assert_eq!(store.forget_clients(start.minus_secs(1), start).await.unwrap(), 0);
    assert_eq!(store.forget_clients(start.plus_secs(day), start.plus_secs(2 * day)).await.unwrap(), 1);
    world.clock.turn(1);
    assert!(store.find_client(&text(&unused, "client_id")).await.unwrap().is_none());
    assert!(store.find_client(&text(&used, "client_id")).await.unwrap().is_some(), "it has a grant");
    let found = world.provider.clients.find(store, &text(&unused, "client_id"), world.clock.now()).await;
    assert!(found.unwrap().is_none(), "also from memory");
    assert!(store.find_client("app").await.unwrap().is_some(), "an operator's stays");
    store.touch_clients(vec![text(&used, "client_id")], start.plus_secs(9 * day)).await.unwrap();
}

#[tokio::test]
async fn as_dcr_12_a_public_client_that_gets_tokens_is_used() {
    let world = world(&format!("{OPEN}{FAST}")).await;
    let only_codes = with(public(), "grant_types", json!(["authorization_code"]));
    let client_id = text(&registered(&world, &only_codes).await, "client_id");
    let fields = [("grant_type", "authorization_code"), ("code", "x"), ("client_id", client_id.as_str())];
    token(&world, &new_key(), &fields, None).await;
    assert_eq!(world.provider.clients.take_used(), [""; 0], "anybody can say a name");
    sign_in(&world, &new_key(), &client_id).await;
    assert_eq!(world.provider.clients.take_used(), [client_id.as_str()]);
}

#[tokio::test]
async fn as_dcr_12_who_shows_who_it_is_is_used() {
    let world = world(&format!("{OPEN}{FAST}")).await;
    let client = registered(&world, &confidential()).await;
    let (client_id, secret) = (text(&client, "client_id"), text(&client, "client_secret"));
    let fields = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let ask = async |secret: &str| {
        token(&world, &new_key(), &fields, Some(&basic(&client_id, secret))).await;
        world.provider.clients.take_used()
    };
    assert_eq!(ask("wrong").await, [""; 0]);
    assert_eq!(ask(&secret).await, [client_id.as_str()]);
    assert_eq!(ask(&secret).await, [""; 0], "once in a while is enough");
    world.clock.turn(7 * 60 * 60);
    assert_eq!(ask(&secret).await, [client_id.as_str()]);
}

#[tokio::test]
async fn ops_lim_05_ops_cors_03_what_clients_post_is_counted_by_address() {
    let world =
        world(&format!("{OPEN}[limits]\naddress_per_minute = 6\nregistrations_per_minute = 0\n")).await;
    let ask = async |method: &str, path: &str, last: u8| {
        let mut browser = world.browser();
        browser.peer = SocketAddr::from(([192, 0, 2, last], 1000));
        let request =
            http::Request::builder().method(method).uri(path).header(ORIGIN, "https://page.example");
        let page = browser.send(request.body(axum::body::Body::empty()).unwrap()).await;
        (
            page.status == StatusCode::TOO_MANY_REQUESTS,
            page.headers.contains_key("access-control-allow-origin"),
        )
    };
    let paths = ["/token", "/par", "/revoke", "/introspect", "/register", "/device_authorization"];
    for (path, last) in paths.into_iter().zip(10_u8..) {
        let is_readable = path != "/introspect";
        assert_eq!(ask("POST", path, last).await, (false, is_readable), "{path}");
        assert_eq!(ask("POST", path, last).await, (true, is_readable), "{path}");
        assert_eq!(ask("POST", path, last + 100).await, (false, is_readable), "{path} for others");
        assert!(!ask("GET", path, last).await.0, "{path} that is read");
    }
    for _ in 0..3 {
        assert_eq!(
            ask("POST", "/userinfo", 1).await,
            (false, true),
            "one service calls it for all of its users"
        );
    }
}
