//! Connecting a device (RFC 8628 §3.3).

use crate::common::{Browser, PASSWORD, Page, World};
use crate::log::Log;
use http::StatusCode;
use keybound_oauth::device::UserCode;
use keybound_provider::store::{DeviceCode, DeviceCodeState};
use serde_json::{Value, json};
use std::net::SocketAddr;

async fn world() -> World {
    let tv = json!({
        "client_id": "tv",
        "client_name": "The TV",
        "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"],
    });
    World::with_clients(&[tv]).await
}

/// What the device is told.
async fn device(world: &World) -> Value {
    let fields = [("client_id", "tv"), ("scope", "openid read"), ("resource", "https://api.example/")];
    let page = world.browser().post("/device_authorization", &fields).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    serde_json::from_str(&page.body).unwrap()
}

fn user_code(device: &Value) -> String {
    device["user_code"].as_str().unwrap().to_owned()
}

async fn record(world: &World, user_code: &str) -> DeviceCode {
    let code = UserCode::parse(user_code).unwrap();
    world.provider.store.device_code_by_user_code(&code).await.unwrap().unwrap()
}

/// Types a code into the form on the page.
async fn enter(browser: &mut Browser<'_>, page: &Page, code: &str) -> Page {
    browser.post("/device", &[("csrf", &page.field("csrf")), ("user_code", code)]).await
}

async fn sign_in(browser: &mut Browser<'_>, page: &Page, password: &str) -> Page {
    let (request, csrf) = (page.field("request"), page.field("csrf"));
    let fields =
        [("request", request.as_str()), ("csrf", &csrf), ("username", "ada"), ("password", password)];
    browser.post("/device/login", &fields).await
}

pub(crate) async fn press(browser: &mut Browser<'_>, page: &Page, button: &str) -> Page {
    let (request, csrf) = (page.field("request"), page.field("csrf"));
    browser.post("/device/consent", &[("request", &request), ("csrf", &csrf), (button, "1")]).await
}

/// Enters the code, signs in, and gives the page that asks.
pub(crate) async fn reach_consent(browser: &mut Browser<'_>, code: &str) -> Page {
    let page = browser.get("/device").await;
    let page = enter(browser, &page, code).await;
    assert!(page.asks_to_sign_in() && page.has("The TV"), "{}", page.body);
    let page = sign_in(browser, &page, PASSWORD).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
    let page = browser.follow(&page).await;
    assert!(page.asks_for_consent(), "{}", page.body);
    page
}

#[tokio::test]
async fn as_dev_07_the_page_shows_code_client_and_scope_and_asks() {
    let world = world().await;
    let code = user_code(&device(&world).await);
    let mut browser = world.browser();
    let page = reach_consent(&mut browser, &code).await;
    for shown in [code.as_str(), "The TV", "Recognize you", "Use <bdi>read</bdi>", "ada", "<code>tv</code>"] {
        assert!(page.has(shown), "{shown} in {}", page.body);
    }
    assert_eq!(record(&world, &code).await.state, DeviceCodeState::Pending, "nothing was allowed yet");
    let done = press(&mut browser, &page, "allow").await;
    assert!(done.status == StatusCode::OK && done.has("id=\"done\""), "{}", done.body);
    let DeviceCodeState::Allowed(approval) = record(&world, &code).await.state else { panic!("not allowed") };
    assert_eq!(approval.subject, "subject-of-ada");
    let again = press(&mut browser, &page, "deny").await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY, "it is answered");
    assert!(matches!(record(&world, &code).await.state, DeviceCodeState::Allowed(_)));
}

#[tokio::test]
async fn as_dev_07_who_denies_gives_nothing() {
    let world = world().await;
    let code = user_code(&device(&world).await);
    let mut browser = world.browser();
    let page = reach_consent(&mut browser, &code).await;
    let done = press(&mut browser, &page, "deny").await;
    assert!(done.has("not connected"), "{}", done.body);
    assert_eq!(record(&world, &code).await.state, DeviceCodeState::Denied);
}

#[tokio::test]
async fn as_dev_07_atk_091_a_link_with_the_code_fills_it_in_and_no_more() {
    let world = world().await;
    let device = device(&world).await;
    let code = user_code(&device);
    let mut browser = world.browser();
    let link = device["verification_uri_complete"].as_str().unwrap().replace("https://id.example", "");
    for is_signed_in in [false, true] {
        if is_signed_in {
            browser.reach_consent(&[]).await;
        }
        let page = browser.get(&link).await;
        assert!(page.has("id=\"continue\"") && !page.has("id=\"allow\""), "{}", page.body);
        assert_eq!(page.field("user_code"), code);
        assert!(page.has("only if your device shows this very code"));
        let forged = format!("{link}&keybound_signed_in=1800000000.{}", "A".repeat(43));
        assert!(!browser.get(&forged).await.has("id=\"allow\""));
    }
    let page = browser.get(&link).await;
    let page = enter(&mut browser, &page, &page.field("user_code")).await;
    assert!(page.asks_for_consent() && page.has(&code) && page.has("your own device shows this code now"));
    assert_eq!(record(&world, &code).await.state, DeviceCodeState::Pending);
}

#[tokio::test]
async fn as_dev_06_codes_are_read_in_any_writing() {
    let world = world().await;
    let code = user_code(&device(&world).await);
    let mut browser = world.browser();
    let page = browser.get("/device").await;
    for typed in [code.to_lowercase(), code.replace('-', ""), format!(" {} ", code.replace('-', " "))] {
        let page = enter(&mut browser, &page, &typed).await;
        assert!(page.asks_to_sign_in(), "{typed}");
    }
}

#[tokio::test]
async fn as_dev_06_atk_092_guessing_is_slowed_down() {
    let world = world().await;
    let code = user_code(&device(&world).await);
    let mut browser = world.browser();
    let page = browser.get("/device").await;
    for _ in 0..5 {
        let wrong = enter(&mut browser, &page, "BBBB-BBBB").await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(wrong.has("not known, or its time is over"), "{}", wrong.body);
    }
    for typed in ["BBBB-BBBB", code.as_str()] {
        let throttled = enter(&mut browser, &page, typed).await;
        assert_eq!((throttled.status, throttled.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
    }
    world.clock.turn(1);
    assert!(enter(&mut browser, &page, &code).await.asks_to_sign_in());
}

#[tokio::test]
async fn as_dev_06_atk_092_new_browsers_of_one_address_do_not_help() {
    let world = world().await;
    let code = user_code(&device(&world).await);
    let mut statuses = Vec::new();
    for _ in 0..51 {
        let mut browser = world.browser();
        let page = browser.get("/device").await;
        statuses.push(enter(&mut browser, &page, "nonsense").await.status);
    }
    assert!(statuses[..50].iter().all(|status| *status == StatusCode::UNPROCESSABLE_ENTITY));
    assert_eq!(statuses[50], StatusCode::TOO_MANY_REQUESTS);
    let mut elsewhere = world.browser();
    elsewhere.peer = SocketAddr::from(([192, 0, 2, 2], 1));
    reach_consent(&mut elsewhere, &code).await;
}

#[tokio::test]
async fn as_dev_06_atk_092_a_form_that_was_got_without_a_code_tries_none() {
    let world = world().await;
    let code = user_code(&device(&world).await);
    let mut browser = world.browser();
    for tried in ["BBBB-BBBB", code.as_str()] {
        let page = browser.ask(&[("user_code", tried)]).await;
        assert!(page.asks_to_sign_in(), "{}", page.body);
        let refused = sign_in(&mut browser, &page, "wrong").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{tried}");
    }
}

#[tokio::test]
async fn as_dev_06_a_code_is_good_once_and_for_ten_minutes() {
    let world = world().await;
    let (first, second) = (user_code(&device(&world).await), user_code(&device(&world).await));
    let mut browser = world.browser();
    let page = reach_consent(&mut browser, &first).await;
    press(&mut browser, &page, "deny").await;
    let form = browser.get("/device").await;
    let used = enter(&mut browser, &form, &first).await;
    assert_eq!(used.status, StatusCode::UNPROCESSABLE_ENTITY);
    let open = enter(&mut browser, &form, &second).await;
    assert!(open.asks_for_consent());
    world.clock.turn(600);
    let late = press(&mut browser, &open, "allow").await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(record(&world, &second).await.state, DeviceCodeState::Pending);
}

#[tokio::test]
async fn bcp_ui_06_forms_for_devices_are_bound_to_browser_session_and_code() {
    let world = world().await;
    let (ours, theirs) = (user_code(&device(&world).await), user_code(&device(&world).await));
    let (mut browser, mut other) = (world.browser(), world.browser());
    let their_form = other.get("/device").await;
    browser.get("/device").await;
    let refused = enter(&mut browser, &their_form, &ours).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "the form of another browser");
    let csrf = their_form.field("csrf");
    let refused = other.post_from("cross-site", "/device", &[("csrf", &csrf), ("user_code", &theirs)]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);

    let our_page = reach_consent(&mut browser, &ours).await;
    let their_page = reach_consent(&mut other, &theirs).await;
    assert_eq!(press(&mut browser, &their_page, "allow").await.status, StatusCode::FORBIDDEN);
    let (csrf, request) = (our_page.field("csrf"), their_page.field("request"));
    let fields = [("request", request.as_str()), ("csrf", &csrf), ("allow", "1")];
    let refused = browser.post("/device/consent", &fields).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "what was allowed is what was shown");
    let refused = browser.post("/consent", &fields).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "what it carries is no authorization request");
    for code in [ours, theirs] {
        assert_eq!(record(&world, &code).await.state, DeviceCodeState::Pending);
    }
}

#[tokio::test]
async fn somebody_else_can_sign_in_and_wrong_passwords_are_told() {
    let world = world().await;
    let code = user_code(&device(&world).await);
    let mut browser = world.browser();
    browser.reach_consent(&[]).await;
    let form = browser.get("/device").await;
    let page = enter(&mut browser, &form, &code).await;
    let page = press(&mut browser, &page, "switch").await;
    assert!(page.asks_to_sign_in());
    let page = sign_in(&mut browser, &page, "wrong").await;
    assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.has("is not right"), "{}", page.body);
    let page = sign_in(&mut browser, &page, PASSWORD).await;
    assert!(browser.follow(&page).await.asks_for_consent());
}

#[tokio::test]
async fn pages_for_devices_have_the_headers_of_all_pages() {
    let world = world().await;
    let code = user_code(&device(&world).await);
    let mut browser = world.browser();
    let form = browser.get("/device?user_code=BCDF-GHJK").await;
    let sign_in_page = enter(&mut browser, &form, &code).await;
    let wrong = enter(&mut browser, &form, "wrong").await;
    let page = sign_in(&mut browser, &sign_in_page, PASSWORD).await;
    let consent = browser.follow(&page).await;
    let done = press(&mut browser, &consent, "allow").await;
    for (name, page) in
        [("form", form), ("sign in", sign_in_page), ("wrong", wrong), ("consent", consent), ("done", done)]
    {
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && policy.ends_with("form-action 'self'"), "{name}");
        assert_eq!(page.header("x-frame-options"), "DENY", "{name}");
        assert_eq!(page.header("cache-control"), "no-store", "{name}");
        assert!(!page.has("<script") && !page.has("style="), "{name}");
    }
}

#[tokio::test]
async fn ops_log_01_codes_for_devices_are_not_in_the_log() {
    let world = world().await;
    let (log, _guard) = Log::open();
    let device = device(&world).await;
    let code = user_code(&device);
    let mut browser = world.browser();
    let form = browser.get(&format!("/device?user_code={code}")).await;
    enter(&mut browser, &form, "BBBB-BBBB").await;
    let page = reach_consent(&mut browser, &code).await;
    press(&mut browser, &page, "allow").await;
    let text = log.text();
    assert!(text.contains("consent_given") && text.contains("AS-DEV-06"), "{text}");
    let secret = device["device_code"].as_str().unwrap().split('.').nth(1).unwrap();
    for hidden in [code.as_str(), &code.replace('-', ""), "BBBB", secret, "ada"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
}
