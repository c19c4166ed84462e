//! Clients whose `client_id` is the URL of their metadata.

use crate::common::{Browser, Page, World, query};
use crate::program::{
    CALLBACK, code, code_fields, key_set, new_key, reach_consent, refresh, text, token, with, world, world_of,
};
use crate::site::Site;
use axum::body::Body;
use http::{Request, StatusCode};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::time::Clock;
use keybound_oauth::claims_request::ClaimsRequest;
use keybound_oauth::client_auth::{ASSERTION_TYPE, sign_assertion};
use keybound_oauth::identifier::ClientId;
use keybound_provider::logout::deliver_due;
use keybound_provider::store::{CREDENTIAL_ENTROPY, Credential, Grant, Id, Session, Write};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;
use tower::ServiceExt;

const ON: &str = "[registration]\nloopback_urls = true\n[client_id_metadata]\nmode = \"on\"\n";

pub(crate) fn assertion_named(world: &World, key: &SigningKey, kid: &str, client_id: &str) -> String {
    let (id, issuer) = (ClientId::parse(client_id).unwrap(), &world.provider.config.issuer);
    let jti = base64url::encode(&random::<16>().unwrap());
    sign_assertion(key, Some(kid), &id, issuer, world.clock.unix(), &jti).unwrap().reveal().to_owned()
}

/// What stands at that path of the site, when it is right.
fn document(site: &Site, path: &str) -> Value {
    json!({
        "client_id": site.url(path), "client_name": "The Shop", "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
    })
}

async fn ask(world: &World, client_id: &str, callback: &str) -> Page {
    Browser::ask(&mut world.browser(), &[("client_id", client_id), ("redirect_uri", callback)]).await
}

#[tokio::test]
async fn as_cimd_02_as_cimd_05_a_document_is_a_client_from_sign_in_to_refresh() {
    let (site, world) = (Site::open().await, world(ON).await);
    let client_id = site.put("/client", document(&site, "/client").to_string());
    let key = new_key();
    let tokens = crate::program::sign_in(&world, &key, &client_id).await;
    let refreshed = refresh(&world, &key, &client_id, &text(&tokens, "refresh_token")).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.body);
    assert_eq!(site.asked("/client"), 1, "it is kept for a while");
    for bad in ["https://shop.example/cb2", "https://shop.example/cb/", "https://shop.example/cb?x"] {
        let page = ask(&world, &client_id, bad).await;
        assert!(page.location().is_empty() && !page.asks_to_sign_in(), "{bad}");
    }
}

#[tokio::test]
async fn as_cimd_02_as_cimd_03_as_cimd_04_atk_095_documents_that_are_not_taken() {
    let (site, world) = (Site::open().await, world(ON).await);
    let good = |path: &str| document(&site, path);
    let secret = |path: &str, method: &str| with(good(path), "token_endpoint_auth_method", method.into());
    for (path, status, body) in [
        ("/other", 200, good("/another").to_string()),
        ("/slash", 200, good("/slash/").to_string()),
        ("/nameless", 200, json!({"redirect_uris": [CALLBACK]}).to_string()),
        ("/created", 201, good("/created").to_string()),
        ("/moved", 302, good("/moved").to_string()),
        ("/failed", 500, good("/failed").to_string()),
        ("/large", 200, with(good("/large"), "x", "x".repeat(6 * 1024).into()).to_string()),
        ("/html", 200, "<html>".to_owned()),
        ("/twice", 200, good("/twice").to_string().replacen('{', "{\"client_name\":\"x\",", 1)),
        ("/basic", 200, secret("/basic", "client_secret_basic").to_string()),
        ("/post", 200, secret("/post", "client_secret_post").to_string()),
        ("/mac", 200, secret("/mac", "client_secret_jwt").to_string()),
        ("/secret", 200, with(good("/secret"), "client_secret", json!("s")).to_string()),
        ("/ends", 200, with(good("/ends"), "client_secret_expires_at", json!(0)).to_string()),
        (
            "/sector",
            200,
            with(good("/sector"), "sector_identifier_uri", json!("https://a.example/s")).to_string(),
        ),
        ("/pairwise", 200, with(good("/pairwise"), "subject_type", json!("pairwise")).to_string()),
        ("/redirect", 200, with(good("/redirect"), "redirect_uris", json!(["/cb"])).to_string()),
        ("/bearer", 200, with(good("/bearer"), "dpop_bound_access_tokens", json!(false)).to_string()),
    ] {
        // As seldom as one host is asked.
        world.clock.turn(10);
        let client_id = site.answer_with(path, status, &[("location", "/good")], body);
        let page = ask(&world, &client_id, CALLBACK).await;
        assert_eq!(page.shown_error(), "invalid_request", "{path}");
        assert!(page.has("a document that can be fetched"), "{}", page.body);
        assert_eq!(site.asked(path), 1);
        // Nothing is remembered of it.
        site.put(path, good(path).to_string());
        assert!(ask(&world, &client_id, CALLBACK).await.asks_to_sign_in(), "{path}");
    }
    assert_eq!(site.asked("/good"), 0, "redirects are not followed");
}

#[tokio::test]
async fn as_cimd_01_as_cimd_02_atk_095_urls_that_are_not_fetched() {
    let on = "[client_id_metadata]\nmode = \"on\"\n";
    let world = world_of("https://id.example", on).await;
    for bad in [
        "http://shop.example/client",
        "https://shop.example",
        "https://shop.example/a/../client",
        "https://shop.example/client#f",
        "https://user@shop.example/client",
        "https://127.0.0.1/client",
        "https://169.254.169.254/client",
        "https://[::1]/client",
        "https://localhost/client",
    ] {
        let page = ask(&world, bad, CALLBACK).await;
        assert_eq!((page.shown_error(), page.status), ("invalid_request", StatusCode::BAD_REQUEST), "{bad}");
        assert!(!page.has("shop.example"), "{}", page.body);
    }
}

#[tokio::test]
async fn as_cimd_06_errors_are_not_kept_and_successes_only_within_bounds() {
    let (site, world) = (Site::open().await, world(&format!("{ON}min_secs = 60\nmax_secs = 120\n")).await);
    let good = document(&site, "/flaps").to_string();
    let client_id = site.answer_with("/flaps", 503, &[("cache-control", "max-age=600")], "");
    let is_good = async || ask(&world, &client_id, CALLBACK).await.asks_to_sign_in();
    assert!(!is_good().await);
    site.answer_with("/flaps", 200, &[("cache-control", "max-age=600")], &good);
    assert!(is_good().await, "the error was not kept");
    site.answer_with("/flaps", 500, &[], "");
    world.clock.turn(119);
    assert!(is_good().await, "as long as it said, up to our bound");
    world.clock.turn(2);
    assert!(!is_good().await, "and no longer");
    site.answer_with("/flaps", 200, &[("cache-control", "no-store")], &good);
    assert!(is_good().await);
    let asked = site.asked("/flaps");
    world.clock.turn(59);
    assert!(
        is_good().await && site.asked("/flaps") == asked,
        "our least, so that nobody has us ask again and again"
    );
    world.clock.turn(2);
    assert!(is_good().await && site.asked("/flaps") == asked + 1);
}

#[tokio::test]
async fn as_cimd_06_what_is_kept_is_bounded() {
    let (site, world) = (Site::open().await, world(&format!("{ON}max_documents = 2\n")).await);
    for path in ["/a", "/b", "/c", "/c"] {
        world.clock.turn(1);
        let client_id = site.put(path, document(&site, path).to_string());
        assert!(ask(&world, &client_id, CALLBACK).await.asks_to_sign_in());
    }
    assert_eq!((site.asked("/c"), site.asked("/b")), (1, 1));
    assert!(ask(&world, &site.url("/a"), CALLBACK).await.asks_to_sign_in());
    assert_eq!(site.asked("/a"), 2, "the oldest made room");
}

#[tokio::test]
async fn as_cimd_06_who_come_at_once_share_one_fetch() {
    let (site, world) = (Site::open().await, world(ON).await);
    let client_id = site.put("/c", document(&site, "/c").to_string());
    let one = || async { ask(&world, &client_id, CALLBACK).await.asks_to_sign_in() };
    assert_eq!(tokio::join!(one(), one(), one()), (true, true, true));
    assert_eq!(site.asked("/c"), 1);
}

#[tokio::test]
async fn as_cimd_02_one_host_is_asked_at_a_rate() {
    let (site, world) = (Site::open().await, world(ON).await);
    let mut refused = 0;
    for number in 0..40 {
        let page = ask(&world, &site.url(&format!("/{number}")), CALLBACK).await;
        refused += usize::from(page.status == StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!((15..=25).contains(&refused), "{refused} of 40");
}

#[tokio::test]
async fn as_cimd_02_ops_lim_06_so_many_are_fetched_at_one_time() {
    let world = world(ON).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let at_host = |number: u32| format!("http://h{number}.localhost:{port}/client");
    let (mut waiting, mut connections) = (JoinSet::new(), Vec::new());
    for number in 0..16 {
        let changes = [("client_id", at_host(number))];
        let query = query(&changes.each_ref().map(|(name, value)| (*name, value.as_str())));
        let request = Request::get(format!("/authorize?{query}")).body(Body::empty()).unwrap();
        waiting.spawn(world.router.clone().oneshot(request));
        connections.push(silent.accept().await.unwrap());
    }
    let page = ask(&world, &at_host(16), CALLBACK).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{}", page.body);
}

#[tokio::test]
async fn as_cimd_04_a_document_may_name_keys_and_authenticate_with_them() {
    let (site, world) = (Site::open().await, world(ON).await);
    let key = new_key();
    let signed = with(document(&site, "/signed"), "token_endpoint_auth_method", json!("private_key_jwt"));
    let client_id = site.put("/signed", with(signed, "jwks", key_set(&key, "k")).to_string());
    // What was signed before the provider began may have been used before it began.
    world.clock.turn(1);
    let code = code(&world, &client_id, CALLBACK).await;
    let by = async |assertion: String| {
        let mut fields = code_fields(&code, &client_id).to_vec();
        fields.extend([("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())]);
        token(&world, &key, &fields, None).await
    };
    let stranger = assertion_named(&world, &new_key(), "k", &client_id);
    assert_eq!(by(stranger).await.refusal().1, "invalid_client");
    // The challenge for a nonce does not use the assertion up.
    let page = by(assertion_named(&world, &key, "k", &client_id)).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
}

#[tokio::test]
async fn as_cimd_02_pushed_requests_and_devices_know_documents_too() {
    let (site, world) = (Site::open().await, world(ON).await);
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    let metadata = with(document(&site, "/tv"), "grant_types", json!(["authorization_code", device]));
    let client_id = site.put("/tv", metadata.to_string());
    let query = query(&[("client_id", &client_id), ("redirect_uri", CALLBACK)]);
    let form = keybound_oauth::form::Form::parse_query(&query).unwrap();
    let fields: Vec<(&str, &str)> =
        ["client_id", "response_type", "redirect_uri", "scope", "code_challenge", "code_challenge_method"]
            .map(|name| (name, form.get(name).unwrap()))
            .to_vec();
    let pushed = world.browser().post("/par", &fields).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{}", pushed.body);
    let begun =
        world.browser().post("/device_authorization", &[("client_id", &client_id), ("scope", "read")]).await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.body);
}

#[tokio::test]
async fn oidc_idt_02_a_document_is_in_the_sector_of_its_own_host() {
    let (site, world) = (Site::open().await, world(ON).await);
    let pairwise = |path: &str| with(document(&site, path), "subject_type", json!("pairwise"));
    let client_id = site.put("/other", pairwise("/other").to_string());
    let page = ask(&world, &client_id, CALLBACK).await;
    assert_eq!(page.shown_error(), "invalid_request", "it would see users by the `sub` of shop.example");
    let own = "https://127.0.0.1/cb";
    let client_id = site.put("/own", with(pairwise("/own"), "redirect_uris", json!([own])).to_string());
    assert!(ask(&world, &client_id, own).await.asks_to_sign_in());
}

#[tokio::test]
async fn as_cimd_07_the_page_that_asks_shows_the_host() {
    let (site, world) = (Site::open().await, world(ON).await);
    let client_id = site.put("/client", document(&site, "/client").to_string());
    let page = reach_consent(&mut world.browser(), &client_id, CALLBACK).await;
    assert!(page.has("known by its address alone: <bdi>127.0.0.1</bdi>"), "{}", page.body);
}

#[tokio::test]
async fn as_cimd_08_new_keys_and_redirect_uris_hold_and_refresh_tokens_need_the_keys_of_now() {
    let (site, world) = (Site::open().await, world(ON).await);
    let (old, new, proof_key) = (new_key(), new_key(), new_key());
    let signed = with(document(&site, "/c"), "token_endpoint_auth_method", json!("private_key_jwt"));
    let client_id = site.put("/c", with(signed.clone(), "jwks", key_set(&old, "old")).to_string());
    world.clock.turn(1);
    let code = code(&world, &client_id, CALLBACK).await;
    let with_key = async |fields: &[(&str, &str)], key: &SigningKey, kid: &str| {
        let assertion = assertion_named(&world, key, kid, &client_id);
        let mut fields = fields.to_vec();
        fields.extend([("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())]);
        token(&world, &proof_key, &fields, None).await
    };
    let tokens = with_key(&code_fields(&code, &client_id), &old, "old").await.json();
    let refresh_token = text(&tokens, "refresh_token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
    assert_eq!(with_key(&fields, &old, "old").await.status, StatusCode::OK);

    let moved = with(signed, "redirect_uris", json!(["https://shop.example/moved"]));
    site.put("/c", with(moved, "jwks", key_set(&new, "new")).to_string());
    world.clock.turn(61);
    assert_eq!(with_key(&fields, &old, "old").await.refusal().1, "invalid_client");
    assert_eq!(with_key(&fields, &new, "new").await.status, StatusCode::OK);
    // What only its authentication protected is not for whoever found it.
    let public = with(document(&site, "/c"), "redirect_uris", json!(["https://shop.example/moved"]));
    site.put("/c", public.to_string());
    world.clock.turn(61);
    let found = refresh(&world, &new_key(), &client_id, &refresh_token).await;
    assert_eq!(found.refusal(), (400, "invalid_grant".to_owned()), "{}", found.body);
    assert!(!ask(&world, &client_id, CALLBACK).await.asks_to_sign_in());
}

#[tokio::test]
async fn as_cimd_02_only_hosts_that_are_listed_are_asked() {
    let (site, world) = (Site::open().await, world(&format!("{ON}hosts = [\"app.example\"]\n")).await);
    let client_id = site.put("/client", document(&site, "/client").to_string());
    assert_eq!(ask(&world, &client_id, CALLBACK).await.shown_error(), "invalid_request");
    assert_eq!(site.asked("/client"), 0);
}

#[tokio::test]
async fn off_a_url_is_no_client() {
    let (site, world) = (Site::open().await, world("[registration]\nloopback_urls = true\n").await);
    let client_id = site.put("/client", document(&site, "/client").to_string());
    assert_eq!(ask(&world, &client_id, CALLBACK).await.shown_error(), "invalid_request");
    assert_eq!(site.asked("/client"), 0);
}

/// A host whose documents cannot be had keeps no more of those who tell of logouts than a receiver that is silent.
#[tokio::test]
async fn oidc_lg2_01_a_host_that_is_silent_does_not_keep_all_messengers() {
    let world = world(ON).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let (store, now) = (&world.provider.store, world.provider.unix());
    let id = |n: u8| Id::mint(now, &[n; 10]);
    let (session_id, _, secret_hash) = Credential::mint(now, &[0; CREDENTIAL_ENTROPY]);
    let session = Session {
        id: session_id,
        secret_hash,
        subject: "subject-of-ada".to_owned(),
        auth_time: now,
        acr: None,
        created_at: now,
        last_seen_at: now,
        expires_at: now.plus_secs(60),
    };
    let mut writes = vec![Write::InsertSession(session)];
    writes.extend((0..40).map(|n| {
        Write::InsertGrant(Grant {
            id: id(n),
            client_id: format!("http://127.0.0.1:{port}/{n}"),
            subject: Some("subject-of-ada".to_owned()),
            session_id: Some(session_id),
            created_at: now,
            revoked_at: None,
            session_ended_at: None,
            claims: ClaimsRequest::default(),
        })
    }));
    writes.push(Write::EndSession { id: session_id, at: now });
    store.write(writes).await.unwrap();
    let under_way = deliver_due(std::sync::Arc::clone(&world.provider));
    assert!(tokio::time::timeout(Duration::from_secs(1), under_way).await.is_err(), "some wait for it");
    let due = store.due_logout_notices(now, 100).await.unwrap();
    assert_eq!((due.len(), due.iter().map(|notice| notice.tries).max()), (40, Some(0)), "no try was lost");
}
