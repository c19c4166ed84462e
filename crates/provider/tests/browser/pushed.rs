//! Pushed authorization requests: what a client sends ahead, and what the browser brings of it.

use crate::common::{Browser, CALLBACK, CHALLENGE, PASSWORD, Page, World, query};
use http::StatusCode;
use keybound_oauth::form::FormWriter;
use keybound_oauth::pushed::PushedResponse;
use serde_json::{Value, json};

const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

/// What the endpoint says to the usual request, changed.
async fn push(world: &World, changes: &[(&str, &str)]) -> Page {
    post(world, &query(changes)).await
}

async fn post(world: &World, body: &str) -> Page {
    let request = http::Request::post("/par")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.to_owned().into())
        .unwrap();
    world.browser().send(request).await
}

fn error(page: &Page) -> (u16, String) {
    let body: Value = serde_json::from_str(&page.body).unwrap();
    (page.status.as_u16(), body.get("error").and_then(Value::as_str).unwrap().to_owned())
}

/// The query that a browser comes with, after the usual request was pushed, changed.
async fn pushed(world: &World, changes: &[(&str, &str)]) -> String {
    let page = push(world, changes).await;
    assert_eq!(page.status, StatusCode::CREATED, "{}", page.body);
    let request_uri = PushedResponse::parse(page.body.as_bytes()).unwrap().request_uri;
    let client_id = changes.iter().find(|(name, _)| *name == "client_id").map_or("app", |(_, value)| *value);
    FormWriter::new().pair("client_id", client_id).pair("request_uri", request_uri.reveal()).finish()
}

async fn open(browser: &mut Browser<'_>, query: &str) -> Page {
    browser.get(&format!("/authorize?{query}")).await
}

/// Goes on from the page to sign in to the one to allow.
async fn sign_in(browser: &mut Browser<'_>, page: &Page) -> Page {
    assert!(page.asks_to_sign_in(), "{}", page.body);
    let page = browser.sign_in(page, "ada", PASSWORD).await;
    let page = browser.follow(&page).await;
    assert!(page.asks_for_consent(), "{}", page.body);
    page
}

#[track_caller]
fn assert_unusable(page: &Page) {
    assert_eq!((page.status, page.shown_error()), (StatusCode::BAD_REQUEST, "invalid_request_uri"));
    assert!(!page.has("<form"), "nothing leads on");
}

#[tokio::test]
async fn as_par_07_as_par_12_the_answer_is_201_with_a_reference_that_lives_for_90_seconds() {
    let world = World::open().await;
    let page = push(&world, &[]).await;
    assert_eq!(page.status, StatusCode::CREATED);
    assert_eq!((page.header("content-type"), page.header("pragma")), ("application/json", "no-cache"));
    assert_eq!(page.header("cache-control"), "no-cache, no-store");
    let body: Value = serde_json::from_str(&page.body).unwrap();
    assert_eq!(body["expires_in"], json!(90));
    assert_eq!(body.as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn oidc_aut_07_as_par_10_a_silent_answer_uses_the_pushed_request_up() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.reach_consent(&[]).await;
    let (request, csrf) = (page.field("request"), page.field("csrf"));
    let fields = [("request", request.as_str()), ("csrf", &csrf), ("allow", "1"), ("remember", "1")];
    assert!(browser.post("/consent", &fields).await.answer().form.has("code"));
    for prompt in ["none", ""] {
        let query = pushed(&world, &[("prompt", prompt)]).await;
        assert!(open(&mut browser, &query).await.answer().form.has("code"));
        assert_unusable(&open(&mut browser, &query).await);
    }
}

#[tokio::test]
async fn bcp_ui_06_as_par_10_a_form_that_is_refused_leaves_the_pushed_request_unused() {
    let world = World::open().await;
    let mut browser = world.browser();
    let other = browser.reach_consent(&[]).await;
    let query = pushed(&world, &[]).await;
    for csrf in ["", &other.field("csrf")] {
        for button in ["allow", "deny", "switch"] {
            let fields = [("request", query.as_str()), ("csrf", csrf), (button, "1")];
            assert_eq!(browser.post("/consent", &fields).await.status, StatusCode::FORBIDDEN, "{button}");
        }
    }
    let page = open(&mut browser, &query).await;
    assert!(browser.press(&page, "allow").await.answer().form.has("code"));
}

#[tokio::test]
async fn oidc_aut_13_a_pushed_request_chooses_the_language_of_the_pages() {
    let world = World::open().await;
    let query = pushed(&world, &[("ui_locales", "fr de")]).await;
    let mut browser = world.browser();
    let page = open(&mut browser, &query).await;
    assert_eq!(page.header("content-language"), "de");
    assert_eq!(sign_in(&mut browser, &page).await.header("content-language"), "de");
}

#[tokio::test]
async fn as_par_08_the_reference_cannot_be_guessed() {
    let world = World::open().await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let page = push(&world, &[]).await;
        let uri = PushedResponse::parse(page.body.as_bytes()).unwrap().request_uri;
        let reference = uri.reveal().strip_prefix("urn:ietf:params:oauth:request_uri:").expect("the prefix");
        let (id, secret) = reference.split_once('.').expect("an id and a secret");
        assert_eq!(secret.len(), 43, "256 bits");
        assert!(seen.insert(secret.to_owned()));
        let guess =
            format!("client_id=app&request_uri=urn:ietf:params:oauth:request_uri:{id}.{}", "A".repeat(43));
        assert_unusable(&open(&mut world.browser(), &guess).await);
    }
}

#[tokio::test]
async fn as_par_15_client_and_reference_are_all_that_is_needed() {
    let world = World::open().await;
    let query = pushed(&world, &[("nonce", "n-1")]).await;
    let mut browser = world.browser();
    let page = open(&mut browser, &query).await;
    let page = sign_in(&mut browser, &page).await;
    let answer = browser.press(&page, "allow").await.answer();
    assert_eq!((answer.place.as_str(), answer.get("state")), (CALLBACK, "s t&a=te"));
    let code = world.code(answer.get("code")).await;
    assert_eq!(code.code_challenge.as_deref(), Some(CHALLENGE));
    assert_eq!((code.nonce.as_deref(), code.scope.as_slice()), (Some("n-1"), ["read".to_owned()].as_slice()));
}

#[tokio::test]
async fn as_par_17_what_stands_beside_the_reference_has_no_effect() {
    let world = World::open().await;
    let changes = [("state", ""), ("nonce", "inside")];
    let query = pushed(&world, &changes).await
        + "&state=outside&nonce=outside&scope=write&prompt=none&response_type=token&dpop_jkt="
        + JKT
        + "&redirect_uri=https%3A%2F%2Fevil.example%2F&code_challenge=x&resource=urn:x";
    let mut browser = world.browser();
    let page = open(&mut browser, &query).await;
    let page = sign_in(&mut browser, &page).await;
    let answer = browser.press(&page, "allow").await.answer();
    assert_eq!((answer.place.as_str(), answer.form.has("state")), (CALLBACK, false));
    let code = world.code(answer.get("code")).await;
    assert_eq!((code.nonce.as_deref(), code.dpop_jkt.as_deref()), (Some("inside"), None));
    assert_eq!(code.scope, ["read"]);
}

#[tokio::test]
async fn as_par_09_atk_085_a_reference_is_its_clients_alone() {
    let other = json!({"client_id": "other", "redirect_uris": [CALLBACK]});
    let world = World::with_clients(&[other]).await;
    let query = pushed(&world, &[]).await;
    let mut browser = world.browser();
    assert_unusable(&open(&mut browser, &query.replace("client_id=app", "client_id=other")).await);
    let page = open(&mut browser, &query).await;
    sign_in(&mut browser, &page).await;
    assert_unusable(&open(&mut browser, &query.replace("client_id=app", "client_id=other")).await);
}

#[tokio::test]
async fn as_par_10_atk_086_a_reference_is_used_when_the_client_is_answered_and_not_before() {
    let world = World::open().await;
    for button in ["allow", "deny"] {
        let query = pushed(&world, &[]).await;
        let mut browser = world.browser();
        let first = open(&mut browser, &query).await;
        open(&mut browser, &query).await;
        assert!(open(&mut world.browser(), &query).await.asks_to_sign_in(), "another browser");
        let page = sign_in(&mut browser, &first).await;
        assert_eq!(browser.press(&page, button).await.status, StatusCode::SEE_OTHER);
        for again in ["allow", "deny"] {
            assert_unusable(&browser.press(&page, again).await);
        }
        assert_unusable(&open(&mut browser, &query).await);
        assert_unusable(&open(&mut world.browser(), &query).await);
    }
}

#[tokio::test]
async fn as_par_10_of_two_answers_at_once_one_counts() {
    let world = World::open().await;
    let query = pushed(&world, &[]).await;
    let (mut one, mut two) = (world.browser(), world.browser());
    let (page_one, page_two) = (open(&mut one, &query).await, open(&mut two, &query).await);
    let (page_one, page_two) = (sign_in(&mut one, &page_one).await, sign_in(&mut two, &page_two).await);
    let (one, two) = tokio::join!(one.press(&page_one, "allow"), two.press(&page_two, "allow"));
    let answered = [&one, &two].into_iter().filter(|page| page.status == StatusCode::SEE_OTHER).count();
    assert_eq!(answered, 1, "{one:?} {two:?}");
}

#[tokio::test]
async fn as_par_11_an_expired_reference_begins_nothing() {
    let world = World::open().await;
    let query = pushed(&world, &[]).await;
    world.clock.turn(89);
    assert!(open(&mut world.browser(), &query).await.asks_to_sign_in());
    world.clock.turn(1);
    assert_unusable(&open(&mut world.browser(), &query).await);
    for never in ["", "urn:ietf:params:oauth:request_uri:", "urn:ietf:params:oauth:request_uri:a.b"] {
        let page = open(&mut world.browser(), &format!("client_id=app&request_uri={never}x")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{never}");
    }
}

#[tokio::test]
async fn as_par_11_who_came_in_time_can_finish() {
    let world = World::open().await;
    let query = pushed(&world, &[("prompt", "login")]).await;
    let mut browser = world.browser();
    let page = open(&mut browser, &query).await;
    world.clock.turn(1200);
    let wrong = browser.sign_in(&page, "ada", "wrong").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = browser.sign_in(&wrong, "ada", PASSWORD).await;
    let signed_in = page.location().to_owned();
    let page = browser.follow(&page).await;
    assert!(page.asks_for_consent(), "{}", page.body);
    assert_unusable(&open(&mut browser, &query).await);
    let own = signed_in.strip_prefix("https://id.example").unwrap();
    assert_unusable(&world.browser().get(own).await);
    world.clock.turn(1200);
    assert_eq!(browser.press(&page, "allow").await.status, StatusCode::SEE_OTHER);

    let query = pushed(&world, &[("prompt", "login")]).await;
    let page = open(&mut browser, &query).await;
    world.clock.turn(2400);
    let page = browser.sign_in(&page, "ada", PASSWORD).await;
    let page = browser.follow(&page).await;
    world.clock.turn(1290);
    assert_unusable(&browser.press(&page, "allow").await);
}

#[tokio::test]
async fn as_par_14_where_pushing_is_required_plain_requests_are_refused() {
    let strict = json!({"client_id": "strict", "redirect_uris": [CALLBACK], "require_pushed_authorization_requests": true});
    let config = "issuer = \"https://id.example\"\nrequire_pushed_authorization_requests = true\n\
                  [[resource]]\nidentifier = \"urn:a\"\nscopes = [\"read\"]\n";
    let by_client = World::with_clients(&[strict]).await;
    let by_server = World::with(config, &[]).await;
    for (world, client_id) in [(&by_client, "strict"), (&by_server, "app")] {
        let page = world.browser().ask(&[("client_id", client_id)]).await;
        assert_eq!((page.status, page.shown_error()), (StatusCode::BAD_REQUEST, "invalid_request"));
        let mut browser = world.browser();
        let query = pushed(world, &[("client_id", client_id)]).await;
        let page = open(&mut browser, &query).await;
        sign_in(&mut browser, &page).await;
        let answer = browser.ask(&[("client_id", client_id)]).await.answer();
        assert_eq!((answer.get("error"), answer.get("state")), ("invalid_request", "s t&a=te"));
    }
    assert!(by_client.browser().ask(&[]).await.asks_to_sign_in(), "others may ask as before");
}

#[tokio::test]
async fn as_par_05_a_pushed_request_refers_to_no_other() {
    let world = World::open().await;
    let query = pushed(&world, &[]).await;
    let request_uri = query.rsplit_once('=').unwrap().1.replace("%3A", ":");
    for uri in [request_uri.as_str(), "https://app.example/request.jwt"] {
        assert_eq!(error(&push(&world, &[("request_uri", uri)]).await), (400, "invalid_request".to_owned()));
    }
}

#[tokio::test]
async fn as_par_06_a_pushed_request_is_judged_like_any_other() {
    let world = World::open().await;
    for (changes, code) in [
        (vec![("redirect_uri", "https://evil.example/")], "invalid_request"),
        (vec![("response_type", "token")], "unsupported_response_type"),
        (vec![("response_type", "")], "invalid_request"),
        (vec![("scope", "unknown")], "invalid_scope"),
        (vec![("resource", "urn:x")], "invalid_target"),
        (vec![("code_challenge", "")], "invalid_request"),
        (vec![("code_challenge_method", "plain")], "invalid_request"),
        (vec![("code_challenge_method", "")], "invalid_request"),
        (vec![("prompt", "none login")], "invalid_request"),
        (vec![("dpop_jkt", "short")], "invalid_request"),
        (vec![("response_mode", "fragment")], "invalid_request"),
        (vec![("registration", "{}")], "registration_not_supported"),
    ] {
        let page = push(&world, &changes).await;
        assert_eq!(error(&page), (400, code.to_owned()), "{changes:?}");
        assert_eq!((page.header("cache-control"), page.location()), ("no-store", ""));
    }
}

#[tokio::test]
async fn as_par_13_post_only_and_bounded() {
    let world = World::open().await;
    for method in ["GET", "PUT", "DELETE"] {
        let request =
            http::Request::builder().method(method).uri("/par").body(axum::body::Body::empty()).unwrap();
        let page = world.browser().send(request).await;
        assert_eq!((page.status, page.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST"), "{method}");
    }
    for state in [17 * 1024, 70 * 1024] {
        let page = push(&world, &[("state", &"x".repeat(state))]).await;
        assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE, "{state}");
    }
    let query = pushed(&world, &[("state", &"x".repeat(15 * 1024))]).await;
    assert!(open(&mut world.browser(), &query).await.asks_to_sign_in(), "longer than a URL may be");
    for _ in 0..200 {
        push(&world, &[]).await;
    }
    let page = push(&world, &[]).await;
    assert_eq!((page.status, page.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "60"));
    world.clock.turn(60);
    assert_eq!(push(&world, &[]).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn as_cod_07_a_client_may_be_held_to_name_the_key_of_its_codes() {
    let held = json!({"client_id": "held", "redirect_uris": [CALLBACK], "require_dpop_jkt": true});
    let world = World::with_clients(&[held]).await;
    let client = ("client_id", "held");
    assert_eq!(world.browser().ask(&[client]).await.shown_error(), "invalid_request");
    assert!(world.browser().ask(&[client, ("dpop_jkt", JKT)]).await.asks_to_sign_in());
    assert_eq!(error(&push(&world, &[client]).await), (400, "invalid_request".to_owned()));
    assert_eq!(push(&world, &[client, ("dpop_jkt", JKT)]).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn as_md_06_the_metadata_names_the_endpoint_and_whether_it_must_be_used() {
    let world = World::open().await;
    let page = world.browser().get("/.well-known/oauth-authorization-server").await;
    let metadata: Value = serde_json::from_str(&page.body).unwrap();
    assert_eq!(metadata["pushed_authorization_request_endpoint"], "https://id.example/par");
    assert_eq!(metadata["require_pushed_authorization_requests"], json!(false));
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], json!(true));
    let config = "issuer = \"https://id.example\"\nrequire_pushed_authorization_requests = true\n";
    let page = World::with(config, &[]).await.browser().get("/.well-known/openid-configuration").await;
    let metadata: Value = serde_json::from_str(&page.body).unwrap();
    assert_eq!(metadata["require_pushed_authorization_requests"], json!(true));
}

#[tokio::test]
async fn ops_lim_06_what_has_ended_is_swept() {
    let world = World::open().await;
    push(&world, &[]).await;
    let swept = async |world: &World| world.provider.store.sweep(world.provider.unix()).await.unwrap().pushed;
    world.clock.turn(3689);
    assert_eq!(swept(&world).await, 0);
    world.clock.turn(1);
    assert_eq!(swept(&world).await, 1);
}
