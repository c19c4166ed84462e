//! Sessions, forms and passwords.

use crate::common::{CALLBACK, CHALLENGE, PASSWORD, Page, World};
use axum::body::Body;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{Request, StatusCode};
use keybound_oauth::form::FormWriter;
use keybound_provider::store::Credential;
use std::net::SocketAddr;

const SESSION: &str = "__Host-keybound";

fn cookies(page: &Page) -> Vec<&str> {
    page.headers.get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap()).collect()
}

#[tokio::test]
async fn bcp_ui_04_cookies_are_for_this_host_and_for_http_only() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.ask(&[]).await;
    assert_eq!(cookies(&page).len(), 1);
    let signed_in = browser.sign_in(&page, "ada", PASSWORD).await;
    for (cookie, name) in cookies(&page)
        .into_iter()
        .zip(["__Host-keybound-form="])
        .chain(cookies(&signed_in).into_iter().zip(["__Host-keybound="]))
    {
        assert!(cookie.starts_with(name), "{cookie}");
        let attributes: Vec<&str> = cookie.split("; ").skip(1).collect();
        assert_eq!(attributes, ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"]);
    }
}

#[tokio::test]
async fn bcp_ui_04_on_plain_http_cookies_lose_the_prefix_and_nothing_else() {
    let config = "issuer = \"http://127.0.0.1:8080/tenant\"\n[[resource]]\nidentifier = \"urn:a\"\nscopes = [\"read\"]\n";
    let world = World::with(config, &[]).await;
    let mut browser = world.browser();
    let page = browser.get(&format!("/tenant/authorize?{}", crate::common::query(&[]))).await;
    assert!(page.asks_to_sign_in() && page.has("action=\"/tenant/login\""));
    let attributes: Vec<&str> = cookies(&page)[0].split("; ").collect();
    assert!(attributes[0].starts_with("keybound-form="));
    assert_eq!(attributes[1..], ["Path=/", "HttpOnly", "SameSite=Lax"]);
    assert_eq!(page.header("strict-transport-security"), "");
}

#[tokio::test]
async fn bcp_ui_04_atk_136_a_sign_in_begins_a_session_under_a_new_id() {
    let world = World::open().await;
    let mut browser = world.browser();
    let planted = format!("{}.{}", "A".repeat(22), "A".repeat(43));
    browser.cookies.insert(SESSION.to_owned(), planted.clone());
    browser.reach_consent(&[]).await;
    let first = browser.cookies[SESSION].clone();
    assert_ne!(first, planted);
    browser.reach_consent(&[("prompt", "login")]).await;
    let second = browser.cookies[SESSION].clone();
    assert_ne!(second, first);
    browser.cookies.insert(SESSION.to_owned(), first);
    assert!(browser.ask(&[]).await.asks_to_sign_in(), "the session before is gone");
}

#[tokio::test]
async fn bcp_ui_04_the_server_ends_sessions() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.reach_consent(&[]).await;
    let (id, hash) = Credential::parse(&browser.cookies[SESSION]).unwrap();
    let session = world.provider.store.find_session(id, &hash).await.unwrap().unwrap();
    let life_secs = session.expires_at.since(world.provider.unix()).as_secs();
    world.clock.turn(life_secs - 1);
    assert!(browser.ask(&[]).await.asks_for_consent());
    world.clock.turn(1);
    assert!(browser.ask(&[]).await.asks_to_sign_in());
    let late = browser.press(&page, "allow").await;
    assert!(browser.follow(&late).await.asks_to_sign_in(), "no code without a session");
}

#[tokio::test]
async fn bcp_ui_05_a_request_by_cross_site_post_gets_its_cookies_after_a_redirect() {
    let world = World::open().await;
    let mut browser = world.browser();
    browser.reach_consent(&[]).await;
    let lax = std::mem::take(&mut browser.cookies);
    let fields = [
        ("client_id", "app"),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "read"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let page = browser.post_from("cross-site", "/authorize", &fields).await;
    assert_eq!((page.status, cookies(&page).len()), (StatusCode::SEE_OTHER, 0));
    browser.cookies = lax;
    assert!(browser.follow(&page).await.asks_for_consent(), "the browser sends them with the GET");
    browser.cookies.clear();
    assert!(browser.follow(&page).await.asks_to_sign_in());
}

#[tokio::test]
async fn bcp_ui_06_forms_of_other_sites_are_refused() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.ask(&[]).await;
    let (request, csrf) = (page.field("request"), page.field("csrf"));
    let sign_in =
        [("request", request.as_str()), ("csrf", &csrf), ("username", "ada"), ("password", PASSWORD)];
    for site in ["cross-site", "same-site", "none"] {
        let page = browser.post_from(site, "/login", &sign_in).await;
        assert_eq!((page.status, page.location()), (StatusCode::FORBIDDEN, ""), "{site}");
    }
    let consent = browser.reach_consent(&[]).await;
    let (request, csrf) = (consent.field("request"), consent.field("csrf"));
    let allow = [("request", request.as_str()), ("csrf", &csrf), ("allow", "1")];
    for path in ["/consent", "/return"] {
        let page = browser.post_from("cross-site", path, &allow).await;
        assert_eq!((page.status, page.location()), (StatusCode::FORBIDDEN, ""), "{path}");
    }
    assert!(browser.post("/consent", &allow).await.answer().form.has("code"));
}

#[tokio::test]
async fn bcp_ui_06_origin_counts_where_the_browser_says_nothing_of_the_site() {
    let world = World::open().await;
    for (origin, is_ours) in [("https://evil.example", false), ("https://id.example", true), ("null", true)] {
        let mut browser = world.browser();
        let page = browser.ask(&[]).await;
        let form = FormWriter::new()
            .pair("request", &page.field("request"))
            .pair("csrf", &page.field("csrf"))
            .pair("username", "ada")
            .pair("password", PASSWORD);
        let request = Request::post("/login")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("origin", origin)
            .body(Body::from(form.finish()))
            .unwrap();
        let expected = if is_ours { StatusCode::SEE_OTHER } else { StatusCode::FORBIDDEN };
        assert_eq!(browser.send(request).await.status, expected, "{origin}");
    }
}

#[tokio::test]
async fn bcp_ui_06_tokens_are_bound_to_browser_session_and_request() {
    let world = World::open().await;
    let (mut ours, mut theirs) = (world.browser(), world.browser());
    let (our_page, their_page) = (ours.ask(&[]).await, theirs.ask(&[]).await);
    assert_eq!(ours.sign_in(&their_page, "ada", PASSWORD).await.status, StatusCode::FORBIDDEN);
    let stale = world.browser().sign_in(&our_page, "ada", PASSWORD).await;
    assert_eq!(stale.status, StatusCode::FORBIDDEN, "without the cookie");

    let (our_page, their_page) = (ours.reach_consent(&[]).await, theirs.reach_consent(&[]).await);
    assert_eq!(ours.press(&their_page, "allow").await.status, StatusCode::FORBIDDEN);
    let changed = our_page.field("request").replace("scope=read", "scope=read+write");
    assert_ne!(changed, our_page.field("request"));
    let csrf = our_page.field("csrf");
    let page = ours.post("/consent", &[("request", &changed), ("csrf", &csrf), ("allow", "1")]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "what was allowed is what was shown");
    let page = ours.post("/consent", &[("request", &our_page.field("request")), ("allow", "1")]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "no token");
    let faulty = our_page.field("request").replace("response_type=code", "response_type=token");
    let told = ours.post("/consent", &[("request", &faulty), ("allow", "1")]).await;
    assert_eq!(told.answer().form.get("error"), Some("unsupported_response_type"), "as where it came from");
    world.clock.turn(3601);
    assert_eq!(ours.press(&our_page, "allow").await.status, StatusCode::FORBIDDEN, "an old page");
}

#[tokio::test]
async fn bcp_ui_07_atk_139_a_wrong_password_and_an_unknown_user_look_the_same() {
    let world = World::open().await;
    let mut bodies = Vec::new();
    for (username, password) in [("ada", "wrong"), ("eve", PASSWORD)] {
        let mut browser = world.browser();
        let page = browser.ask(&[]).await;
        let page = browser.sign_in(&page, username, password).await;
        assert_eq!((page.status, cookies(&page).len()), (StatusCode::UNPROCESSABLE_ENTITY, 0));
        let csrf = page.field("csrf");
        bodies.push(page.body.replace(&csrf, "").replace(username, ""));
    }
    assert_eq!(bodies[0], bodies[1]);
    assert!(bodies[0].contains("Username or password is not right."));
}

#[tokio::test]
async fn bcp_ui_07_atk_139_guessing_is_slowed_down() {
    let world = World::open().await;
    for username in ["ada", "nobody"] {
        let mut browser = world.browser();
        let page = browser.ask(&[]).await;
        for _ in 0..5 {
            let answer = browser.sign_in(&page, username, "wrong").await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        let throttled = browser.sign_in(&page, username, PASSWORD).await;
        assert_eq!((throttled.status, throttled.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
        assert!(throttled.has("id=\"error\""), "the form is still there");
    }
    let mut elsewhere = world.browser();
    elsewhere.peer = SocketAddr::from(([192, 0, 2, 2], 1));
    elsewhere.reach_consent(&[]).await;
    world.clock.turn(1);
    world.browser().reach_consent(&[]).await;
}

#[tokio::test]
async fn bcp_ui_10_atk_133_credentials_are_never_in_urls() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.ask(&[]).await;
    assert!(page.has("method=\"post\"") && !page.has("method=\"get\""));
    let redirect = browser.sign_in(&page, "ada", PASSWORD).await;
    assert_eq!(redirect.status, StatusCode::SEE_OTHER);
    let url = crate::common::decoded(redirect.location());
    assert!(!url.contains(PASSWORD) && !url.contains("password") && !url.contains("ada"), "{url}");
    assert!(!url.contains(&browser.cookies[SESSION]));
    let by_get = browser.get(&format!("/login?username=ada&password={}", "x")).await;
    assert_eq!(by_get.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn somebody_else_can_sign_in_from_the_consent_page() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.reach_consent(&[]).await;
    assert!(page.has("ada"));
    let page = browser.press(&page, "switch").await;
    assert!(page.asks_to_sign_in());
    let page = browser.sign_in(&page, "bob", PASSWORD).await;
    let page = browser.follow(&page).await;
    let answer = browser.press(&page, "allow").await.answer();
    assert_eq!(world.code(answer.get("code")).await.subject, "subject-of-bob");
}
