//! The ways in which the answer travels: query, form, signed or not.

use crate::common::{Answer, CALLBACK, PASSWORD, Page, World, query};
use http::StatusCode;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::secret::Secret;
use keybound_oauth::authorization::AuthorizationResponse;
use keybound_oauth::form::{Form, FormWriter};
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::jarm::{Expected, verify};
use serde_json::{Value, json};

/// What the form of the page would post.
fn posted(page: &Page) -> Answer {
    assert_eq!((page.status, page.location()), (StatusCode::OK, ""), "{}", page.body);
    let (_, after) = page.body.split_once("<form method=\"post\" action=\"").expect("a form");
    let (place, after) = after.split_once('"').unwrap();
    let (inside, _) = after.split_once("</form>").unwrap();
    let names = inside.split("name=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let form = names.fold(FormWriter::new(), |form, name| form.pair(name, &page.field(name)));
    Answer { place: place.replace("&#38;", "&"), form: Form::parse(form.finish().as_bytes()).unwrap() }
}

/// Checks a signed answer as the client would.
fn read(world: &World, client_id: &str, answer: &Answer) -> AuthorizationResponse {
    assert_eq!(answer.form.names().collect::<Vec<_>>(), ["response"], "nothing stands outside");
    let expected = Expected {
        issuer: &Issuer::parse("https://id.example").unwrap(),
        client_id: &ClientId::parse(client_id).unwrap(),
        algorithm: Algorithm::Es256,
        keys: &world.provider.signing_keys.key_set(world.provider.unix()),
        now: world.provider.unix(),
        skew_secs: 0,
    };
    verify(&answer.form.secret("response").unwrap(), &expected).expect("a signed answer")
}

#[tokio::test]
async fn oidc_fp_01_the_answer_is_a_form_that_sends_itself() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.reach_consent(&[("response_mode", "form_post")]).await;
    let page = browser.press(&page, "allow").await;
    let answer = posted(&page);
    assert_eq!((answer.place.as_str(), answer.get("state")), (CALLBACK, "s t&a=te"));
    assert_eq!(answer.get("iss"), "https://id.example");
    assert_eq!(world.code(answer.get("code")).await.client_id, "app");
    assert!(page.has("<script>document.forms[0].submit()</script>"));
    assert!(!page.has("name=\"submit\"") && page.body.matches("<form").count() == 1);
}

#[tokio::test]
async fn oidc_fp_02_atk_138_values_are_escaped_and_nothing_is_kept() {
    let world = World::open().await;
    let evil = "\"><script>alert(1)</script>&#34;'";
    let mut browser = world.browser();
    let page = browser.reach_consent(&[("response_mode", "form_post"), ("state", evil)]).await;
    let page = browser.press(&page, "allow").await;
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.body.matches("<script").count(), 1);
    assert!(!page.has("alert(1)</script>"), "{}", page.body);
    assert_eq!(posted(&page).get("state"), evil);
}

#[tokio::test]
async fn oidc_fp_03_atk_138_the_policy_allows_this_form_this_script_and_a_button() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.reach_consent(&[("response_mode", "form_post")]).await;
    let page = browser.press(&page, "allow").await;
    let script = page.body.split_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
    let hash = keybound_dpop::jose::crypto::sha256(script.as_bytes());
    let hash = base64url::encode(&hash).replace('-', "+").replace('_', "/");
    let expected = format!(
        "default-src 'none'; script-src 'sha256-{hash}='; style-src 'self'; img-src 'self' data:; base-uri 'none'; \
         frame-ancestors 'none'; form-action 'self' https://app.example"
    );
    assert_eq!(page.header("content-security-policy"), expected);
    assert_eq!((page.header("x-frame-options"), page.header("referrer-policy")), ("DENY", "no-referrer"));
    assert!(page.has("<button class=\"primary\" id=\"continue\">"), "for browsers without scripts");
}

#[tokio::test]
async fn oidc_fp_04_errors_travel_in_the_same_mode() {
    let world = World::open().await;
    let mode = ("response_mode", "form_post");
    let mut browser = world.browser();
    let silent = browser.ask(&[mode, ("prompt", "none")]).await;
    assert_eq!(posted(&silent).get("error"), "login_required");
    let page = browser.ask(&[mode, ("scope", "unknown")]).await;
    let (request, csrf) = (page.field("request"), page.field("csrf"));
    let returned = browser.post("/return", &[("request", &request), ("csrf", &csrf)]).await;
    assert_eq!(posted(&returned).get("error"), "invalid_scope");
    let page = browser.reach_consent(&[mode]).await;
    let denied = posted(&browser.press(&page, "deny").await);
    assert_eq!((denied.get("error"), denied.get("state")), ("access_denied", "s t&a=te"));
    let faulty = posted(&browser.ask(&[mode, ("scope", "unknown")]).await);
    assert_eq!((faulty.get("error"), faulty.place.as_str()), ("invalid_scope", CALLBACK));
}

#[tokio::test]
async fn oidc_fp_05_a_code_comes_in_the_query_unless_told_otherwise_and_never_in_a_fragment() {
    let native = json!({"client_id": "native", "application_type": "native",
                        "redirect_uris": ["com.example.app:/cb"]});
    let world = World::with_clients(&[native]).await;
    let mut browser = world.browser();
    for mode in ["", "query"] {
        let page = browser.ask(&[("response_mode", mode), ("prompt", "login")]).await;
        let page = browser.sign_in(&page, "ada", PASSWORD).await;
        let page = browser.follow(&page).await;
        assert!(browser.press(&page, "allow").await.location().starts_with("https://app.example/cb?code="));
    }
    for mode in ["fragment", "fragment.jwt", "web_message", "FORM_POST"] {
        let answer = browser.ask(&[("response_mode", mode)]).await.answer();
        assert_eq!(answer.get("error"), "invalid_request", "{mode}");
    }
    let on_device = [("client_id", "native"), ("redirect_uri", "com.example.app:/cb")];
    for mode in ["form_post", "form_post.jwt"] {
        let page = browser.ask(&[on_device[0], on_device[1], ("response_mode", mode)]).await;
        assert!(page.location().starts_with("com.example.app:/cb?"), "{mode}: {}", page.body);
    }
}

#[tokio::test]
async fn fms_04_signed_answers_are_for_this_client_and_for_minutes() {
    let world = World::open().await;
    for (mode, is_posted) in [("jwt", false), ("query.jwt", false), ("form_post.jwt", true)] {
        let mut browser = world.browser();
        let page = browser.reach_consent(&[("response_mode", mode)]).await;
        let (denied, allowed) = (browser.press(&page, "deny").await, browser.press(&page, "allow").await);
        let answer = |page: &Page| if is_posted { posted(page) } else { page.answer() };
        let response = read(&world, "app", &answer(&allowed));
        assert_eq!(response.state.as_deref(), Some("s t&a=te"));
        let code = response.outcome.expect("a code");
        assert_eq!(world.code(code.reveal()).await.redirect_uri, CALLBACK);
        let denied = read(&world, "app", &answer(&denied));
        assert_eq!(denied.outcome.expect_err("an error").error, "access_denied");

        let jwt = answer(&allowed).get("response").to_owned();
        let claims: Value =
            serde_json::from_slice(&base64url::decode(jwt.split('.').nth(1).unwrap()).unwrap()).unwrap();
        let now = world.provider.unix().as_secs();
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!("https://id.example"), &json!("app")));
        let exp = claims["exp"].as_u64().unwrap();
        assert!(now < exp && exp <= now + 600, "{claims}");
    }
}

#[tokio::test]
async fn fms_04_a_pushed_request_chooses_its_mode() {
    let world = World::open().await;
    let body = query(&[("response_mode", "jwt")]);
    let request = http::Request::post("/par")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.into())
        .unwrap();
    let mut browser = world.browser();
    let pushed = browser.send(request).await;
    let pushed: Value = serde_json::from_str(&pushed.body).unwrap();
    let query = FormWriter::new()
        .pair("client_id", "app")
        .pair("request_uri", pushed["request_uri"].as_str().unwrap());
    let page = browser.get(&format!("/authorize?{}&response_mode=query", query.finish())).await;
    let page = browser.sign_in(&page, "ada", PASSWORD).await;
    let page = browser.follow(&page).await;
    let answer = browser.press(&page, "allow").await.answer();
    assert!(read(&world, "app", &answer).outcome.is_ok_and(|code: Secret| !code.is_empty()));
}

#[tokio::test]
async fn fms_05_the_metadata_lists_modes_and_algorithms() {
    let world = World::open().await;
    let page = world.browser().get("/.well-known/openid-configuration").await;
    let metadata: Value = serde_json::from_str(&page.body).unwrap();
    let modes = json!(["query", "form_post", "jwt", "query.jwt", "form_post.jwt"]);
    assert_eq!(metadata["response_modes_supported"], modes);
    let algorithms = json!(["ES256", "EdDSA", "PS256", "RS256"]);
    assert_eq!(metadata["authorization_signing_alg_values_supported"], algorithms);
}
