//! Logout as a browser sees it (OpenID Connect RP-Initiated Logout 1.0).

use crate::common::{Browser, CALLBACK, Page, World, query};
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use keybound_dpop::jose::base64url;
use keybound_oauth::form::FormWriter;
use keybound_provider::store::{Client, ClientSource};
use serde_json::{Value, json};

pub(crate) const SESSION: &str = "__Host-keybound";
pub(crate) const BYE: &str = "https://rp.example/bye";
/// The verifier of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A relying party that gets bearer tokens for UserInfo, and refresh tokens.
fn relying_party(client_id: &str) -> Value {
    json!({
        "client_id": client_id, "client_name": "A <b>Relying</b> Party", "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": [BYE, "https://rp.example/bye?x=1"], "legacy_oidc": true,
        "grant_types": ["authorization_code", "refresh_token"],
    })
}

pub(crate) async fn world() -> World {
    World::with_clients(&[relying_party("rp"), relying_party("rp2")]).await
}

/// The answer of the token endpoint.
async fn tokens(browser: &mut Browser<'_>, form: FormWriter) -> (StatusCode, Value) {
    let request = Request::post("/token")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form.finish().into())
        .unwrap();
    let page = browser.send(request).await;
    (page.status, serde_json::from_str(&page.body).unwrap())
}

async fn redeem(browser: &mut Browser<'_>, client_id: &str, code: &str) -> (StatusCode, Value) {
    let form = FormWriter::new()
        .pair("grant_type", "authorization_code")
        .pair("code", code)
        .pair("redirect_uri", CALLBACK)
        .pair("code_verifier", VERIFIER)
        .pair("client_id", client_id);
    tokens(browser, form).await
}

async fn refresh(browser: &mut Browser<'_>, token: &Value) -> StatusCode {
    let form = FormWriter::new()
        .pair("grant_type", "refresh_token")
        .pair("refresh_token", token.as_str().unwrap())
        .pair("client_id", "rp");
    tokens(browser, form).await.0
}

/// Tokens for a client in this browser's session; begins one, as `ada`, where there is none.
pub(crate) async fn sign_in_at(browser: &mut Browser<'_>, client_id: &str, scope: &str) -> Value {
    let changes = [("client_id", client_id), ("scope", scope)];
    let page = browser.ask(&changes).await;
    let page = match page.asks_for_consent() {
        true => page,
        false => browser.reach_consent(&changes).await,
    };
    let code = browser.press(&page, "allow").await.answer().get("code").to_owned();
    let (status, json) = redeem(browser, client_id, &code).await;
    assert_eq!(status, StatusCode::OK, "{json}");
    json
}

pub(crate) async fn id_token(browser: &mut Browser<'_>) -> String {
    let tokens = sign_in_at(browser, "rp", "openid").await;
    tokens.get("id_token").and_then(Value::as_str).unwrap().to_owned()
}

pub(crate) fn claims(jwt: &str) -> Value {
    serde_json::from_slice(&base64url::decode(jwt.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

pub(crate) async fn log_out(browser: &mut Browser<'_>, parameters: &[(&str, &str)]) -> Page {
    let form = parameters.iter().fold(FormWriter::new(), |form, (name, value)| form.pair(name, value));
    browser.get(&format!("/logout?{}", form.finish())).await
}

pub(crate) async fn confirm(browser: &mut Browser<'_>, page: &Page) -> Page {
    let (request, csrf) = (page.field("request"), page.field("csrf"));
    browser.post("/logout/confirm", &[("request", &request), ("csrf", &csrf), ("logout", "1")]).await
}

pub(crate) async fn is_signed_in(browser: &mut Browser<'_>) -> bool {
    let answer = browser.ask(&[("scope", "openid"), ("prompt", "none")]).await.answer();
    let error = answer.get("error");
    assert!(["login_required", "consent_required", ""].contains(&error), "{error}");
    error != "login_required"
}

#[track_caller]
pub(crate) fn assert_asks(page: &Page) {
    assert_eq!((page.status, page.location()), (StatusCode::OK, ""), "{}", page.body);
    assert!(page.has("id=\"logout\"") && !page.has("id=\"error\""), "{}", page.body);
}

#[track_caller]
pub(crate) fn assert_done(page: &Page) {
    assert_eq!((page.status, page.location()), (StatusCode::OK, ""), "{}", page.body);
    let is_done = page.has("You are signed out") || page.has("Sie sind abgemeldet");
    assert!(is_done && page.has("id=\"done\""), "{}", page.body);
}

/// A page that says what is wrong, and leads nowhere.
#[track_caller]
pub(crate) fn assert_faulty(page: &Page) {
    assert_eq!((page.status, page.shown_error()), (StatusCode::BAD_REQUEST, "invalid_request"));
}

#[tokio::test]
async fn oidc_lgo_01_the_endpoint_is_in_the_metadata_and_takes_get_and_post() {
    let world = world().await;
    let mut browser = world.browser();
    let metadata: Value =
        serde_json::from_str(&browser.get("/.well-known/openid-configuration").await.body).unwrap();
    assert_eq!(metadata["end_session_endpoint"], "https://id.example/logout");
    let hint = id_token(&mut browser).await;
    let by_get = log_out(&mut browser, &[("id_token_hint", &hint)]).await;
    assert_done(&by_get);
    let hint = id_token(&mut browser).await;
    let by_post = browser.post("/logout", &[("id_token_hint", &hint)]).await;
    assert_eq!(by_post.status, StatusCode::SEE_OTHER);
    assert_done(&browser.follow(&by_post).await);
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn oidc_lg2_02_oidc_lg2_03_oidc_lg2_04_what_is_not_offered_is_not_named() {
    let world = world().await;
    let page = world.browser().get("/.well-known/openid-configuration").await;
    let metadata: Value = serde_json::from_str(&page.body).unwrap();
    for name in ["backchannel_logout_supported", "backchannel_logout_session_supported"] {
        assert_eq!(metadata[name], true, "{name}");
    }
    for name in ["frontchannel_logout", "check_session_iframe", "session_state", "initiate_login_uri"] {
        assert!(!page.body.contains(name), "{name}");
    }
}

#[tokio::test]
async fn bcp_red_05_atk_132_who_registered_itself_sends_nobody_on_who_did_not_sign_out() {
    let world = world().await;
    let mut metadata = relying_party("rp");
    metadata["id_token_signed_response_alg"] = json!("ES256");
    let client_id = "rp".to_owned();
    let client =
        Client { client_id, metadata, source: ClientSource::Registered, created_at: world.provider.unix() };
    world.provider.store.upsert_client(client).await.unwrap();
    world.clock.turn(1);
    let mut browser = world.browser();
    let hint = id_token(&mut browser).await;
    let parameters =
        [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE), ("state", "\"><i>")];
    let back = "https://rp.example/bye?state=%22%3E%3Ci%3E";
    let page = log_out(&mut world.browser(), &parameters).await;
    assert_done(&page);
    assert!(page.has(&format!("href=\"{back}\"")), "the user may go on: {}", page.body);
    assert!(page.has("A &#60;b&#62;Relying&#60;/b&#62; Party"), "{}", page.body);
    assert_eq!(log_out(&mut browser, &parameters).await.location(), back, "who was there signs out");
    let alone = [("id_token_hint", hint.as_str())];
    assert!(!log_out(&mut browser, &alone).await.has("href=\"https://rp.example"));
}

#[tokio::test]
async fn oidc_lgo_04_atk_131_only_a_registered_uri_leads_anywhere() {
    let world = world().await;
    let mut browser = world.browser();
    let hint = id_token(&mut browser).await;
    for uri in [
        "https://rp.example/bye/",
        "https://rp.example/bye?",
        "https://rp.example/bye?foo=bar",
        "https://rp.example/bye#x",
        "https://rp.example/BYE",
        "https://RP.example/bye",
        "https://rp.example:443/bye",
        "https://rp.example/bye%20",
        "https://evil.example/bye",
        "//evil.example",
        "javascript:alert(1)",
        CALLBACK,
    ] {
        let parameters =
            [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", uri), ("state", "s")];
        let page = log_out(&mut browser, &parameters).await;
        assert_faulty(&page);
        assert!(!page.has("evil") && is_signed_in(&mut browser).await, "{uri}");
        let page = confirm(&mut browser, &page).await;
        assert_done(&page);
        sign_in_at(&mut browser, "rp", "openid").await;
    }
    let hint = id_token(&mut browser).await;
    let with_query = "https://rp.example/bye?x=1";
    let parameters =
        [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", with_query), ("state", "s")];
    assert_eq!(log_out(&mut browser, &parameters).await.location(), "https://rp.example/bye?x=1&state=s");
}

#[tokio::test]
async fn oidc_lgo_05_atk_131_without_a_hint_nobody_is_sent_anywhere() {
    let world = world().await;
    let mut browser = world.browser();
    let bare = [("post_logout_redirect_uri", BYE), ("state", "s")];
    let named = [("client_id", "rp"), ("post_logout_redirect_uri", BYE), ("state", "s")];
    for parameters in [&bare[..], &named[..]] {
        assert_done(&log_out(&mut browser, parameters).await);
        id_token(&mut browser).await;
        let page = log_out(&mut browser, parameters).await;
        assert_asks(&page);
        assert!(
            page.header("content-security-policy").contains("form-action 'self';")
                || page.header("content-security-policy").ends_with("form-action 'self'")
        );
        assert_done(&confirm(&mut browser, &page).await);
        assert!(!is_signed_in(&mut browser).await);
    }
}

#[tokio::test]
async fn oidc_lgo_06_state_is_absent_where_it_was_absent() {
    let world = world().await;
    let mut browser = world.browser();
    for (state, location) in [(None, BYE.to_owned()), (Some("a b"), format!("{BYE}?state=a+b"))] {
        let hint = id_token(&mut browser).await;
        let mut parameters = vec![("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE)];
        parameters.extend(state.map(|state| ("state", state)));
        assert_eq!(log_out(&mut browser, &parameters).await.location(), location);
    }
}

#[tokio::test]
async fn oidc_lgo_07_a_request_with_nothing_signs_out_after_a_question() {
    let world = world().await;
    let mut browser = world.browser();
    for path in ["/logout", "/logout?state=s", "/logout?logout_hint=ada&ui_locales=de%20en"] {
        assert_done(&browser.get(path).await);
        id_token(&mut browser).await;
        let page = browser.get(path).await;
        assert_asks(&page);
        assert!(is_signed_in(&mut browser).await, "nothing is done by asking");
        assert_eq!(page.has(">Abmelden</button>"), path.contains("ui_locales"), "{}", page.body);
        assert_done(&confirm(&mut browser, &page).await);
        assert!(!is_signed_in(&mut browser).await);
        let late = confirm(&mut browser, &page).await;
        assert_done(&browser.follow(&late).await);
    }
    let hint = id_token(&mut browser).await;
    assert_done(&log_out(&mut browser, &[("id_token_hint", &hint), ("state", "s")]).await);
    let repeated = browser.get("/logout?state=a&state=b").await;
    assert_eq!(repeated.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn oidc_lgo_09_bcp_ui_06_the_answer_must_come_from_our_own_page() {
    let world = world().await;
    let (mut browser, mut other) = (world.browser(), world.browser());
    id_token(&mut browser).await;
    id_token(&mut other).await;
    let page = browser.get("/logout?state=s").await;
    let (request, csrf) = (page.field("request"), page.field("csrf"));
    let fields = [("request", request.as_str()), ("csrf", csrf.as_str()), ("logout", "1")];
    for site in ["cross-site", "same-site", "none"] {
        let answer = browser.post_from(site, "/logout/confirm", &fields).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::FORBIDDEN, ""), "{site}");
    }
    let of_another = other.get("/logout?state=s").await.field("csrf");
    for (request, csrf) in [("state=s", ""), ("state=s", of_another.as_str()), ("state=t", csrf.as_str())] {
        let answer = browser.post("/logout/confirm", &[("request", request), ("csrf", csrf)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{request} {csrf}");
    }
    assert!(is_signed_in(&mut browser).await);
    assert_eq!(browser.get("/logout/confirm").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_done(&browser.post("/logout/confirm", &fields).await);
}

#[tokio::test]
async fn atk_135_no_form_of_another_site_consents_connects_or_signs_out() {
    let world = world().await;
    let mut browser = world.browser();
    let consent = browser.reach_consent(&[]).await;
    let device = browser.get("/device").await;
    let logout = browser.get("/logout").await;
    for (path, page) in [("/consent", &consent), ("/device", &device), ("/logout/confirm", &logout)] {
        let csrf = page.field("csrf");
        let request = if path == "/device" { String::new() } else { page.field("request") };
        let fields = [("request", request.as_str()), ("csrf", csrf.as_str()), ("allow", "1")];
        let forged = browser.post_from("cross-site", path, &fields).await;
        assert_eq!((forged.status, forged.location()), (StatusCode::FORBIDDEN, ""), "{path}");
        let guessed = browser.post(path, &[("request", request.as_str()), ("allow", "1")]).await;
        assert_eq!(guessed.status, StatusCode::FORBIDDEN, "{path} without a token");
    }
    let answer = browser.post_from("cross-site", "/device/consent", &[("allow", "1")]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn bcp_ui_05_a_logout_by_cross_site_post_gets_its_cookies_after_a_redirect() {
    let world = world().await;
    let mut browser = world.browser();
    let hint = id_token(&mut browser).await;
    let lax = std::mem::take(&mut browser.cookies);
    let fields = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE), ("state", "s")];
    let page = browser.post_from("cross-site", "/logout", &fields).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    browser.cookies = lax;
    assert_eq!(browser.follow(&page).await.location(), format!("{BYE}?state=s"));
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn oidc_lgo_09_refresh_tokens_end_with_the_session_unless_they_are_for_offline_use() {
    let world = world().await;
    let mut browser = world.browser();
    let online = sign_in_at(&mut browser, "rp", "openid").await;
    let offline = sign_in_at(&mut browser, "rp", "openid offline_access").await;
    let elsewhere = sign_in_at(&mut world.browser(), "rp", "openid").await;
    let page = browser.ask(&[("client_id", "rp"), ("scope", "openid")]).await;
    let pending = browser.press(&page, "allow").await.answer().get("code").to_owned();
    let hint = online["id_token"].as_str().unwrap();
    assert_done(&log_out(&mut browser, &[("id_token_hint", hint)]).await);
    for (tokens, status) in
        [(&online, StatusCode::BAD_REQUEST), (&offline, StatusCode::OK), (&elsewhere, StatusCode::OK)]
    {
        assert_eq!(refresh(&mut browser, &tokens["refresh_token"]).await, status);
    }
    let (status, json) = redeem(&mut browser, "rp", &pending).await;
    assert_eq!((status, &json["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")), "a code, too");
}

#[tokio::test]
async fn oidc_lg2_01_sid_is_of_one_session_and_one_client() {
    let world = world().await;
    let (mut browser, mut other) = (world.browser(), world.browser());
    let sid = async |browser: &mut Browser<'_>, client_id| {
        let tokens = sign_in_at(browser, client_id, "openid").await;
        claims(tokens["id_token"].as_str().unwrap())["sid"].as_str().unwrap().to_owned()
    };
    let first = sid(&mut browser, "rp").await;
    assert_eq!(first.len(), 22);
    assert_eq!(sid(&mut browser, "rp").await, first);
    assert_ne!(sid(&mut browser, "rp2").await, first, "clients cannot compare");
    assert_ne!(sid(&mut other, "rp").await, first);
    let session = browser.cookies[SESSION].split('.').next().unwrap().to_owned();
    assert!(!first.contains(&session) && query(&[]) != first);
}
