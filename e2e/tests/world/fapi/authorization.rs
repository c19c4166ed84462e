//! FAPI-AZ: the way through the browser.

use super::{allowed, ask, assert_error, authorize, by, code, metadata, push, tokens};
use keybound_e2e::World;
use keybound_e2e::world::*;
use keybound_oauth::form::{Form, FormWriter};
use serde_json::json;

/// The usual request with a parameter changed: an empty value leaves it out.
fn changed(name: &str, value: &str) -> FormWriter {
    let usual = Form::parse(authorization_form().finish().as_bytes()).expect("a form");
    let names = [
        "response_type",
        "redirect_uri",
        "scope",
        "resource",
        "state",
        "code_challenge",
        "code_challenge_method",
    ];
    let mut form = FormWriter::new();
    for known in names.into_iter().filter(|known| *known != name) {
        form = form.optional(known, usual.get(known));
    }
    if value.is_empty() { form } else { form.pair(name, value) }
}

#[tokio::test]
async fn fapi_az_01_code_is_the_only_response_type() {
    let world = World::fapi2("").await;
    for response_type in ["token", "id_token", "code id_token", "code token", "code id_token token", "none"] {
        let form = by(&world, "signed", changed("response_type", response_type));
        assert_error(&push(&world, form).await, 400, "unsupported_response_type");
    }
    let form = by(&world, "signed", changed("response_type", ""));
    assert_error(&push(&world, form).await, 400, "invalid_request");
    assert_eq!(metadata(&world).await["response_types_supported"], json!(["code"]));
}

#[tokio::test]
async fn fapi_az_02_requests_are_pushed_and_their_client_authenticates() {
    let world = World::fapi2("").await;
    let plain = authorization_form().pair("client_id", "signed");
    let page = world.send(get(&format!("{AUTHORIZE}?{}", plain.finish()), &[])).await;
    let body = String::from_utf8_lossy(&page.body).into_owned();
    assert!(page.status == 400 && body.contains("invalid_request"), "{page:?}");
    let silent = authorization_form().pair("client_id", "signed").pair("prompt", "none");
    let answer = world.send(get(&format!("{AUTHORIZE}?{}", silent.finish()), &[])).await;
    assert!(answer.header("location").join("").contains("error=invalid_request"), "{answer:?}");
    let unauthenticated = authorization_form().pair("client_id", "signed");
    assert_error(&push(&world, unauthenticated).await, 401, "invalid_client");
    let metadata = metadata(&world).await;
    assert_eq!(metadata["require_pushed_authorization_requests"], json!(true));
    assert_eq!(metadata["pushed_authorization_request_endpoint"], PUSHED);
}

#[tokio::test]
async fn fapi_az_03_bcp_inj_02_atk_088_a_challenge_by_s256_is_required() {
    let world = World::fapi2("").await;
    for (name, value) in [
        ("code_challenge", ""),
        ("code_challenge_method", ""),
        ("code_challenge_method", "plain"),
        ("code_challenge", "too-short"),
    ] {
        let form = by(&world, "signed", changed(name, value));
        assert_error(&push(&world, form).await, 400, "invalid_request");
    }
    let code = code(&world).await;
    let without = FormWriter::new()
        .pair("grant_type", "authorization_code")
        .pair("code", code.reveal())
        .pair("redirect_uri", REDIRECT_URI);
    assert_error(&ask(&world, "signed", without).await, 400, "invalid_grant");
    // Stripped on the way, and the honest client's verifier comes all the same.
    let stripped = world.code_with("signed", |code| code.code_challenge = None).await;
    assert_error(&ask(&world, "signed", code_form(&stripped)).await, 400, "invalid_grant");
}

#[tokio::test]
async fn fapi_az_04_a_pushed_request_says_where_the_answer_goes() {
    let world = World::fapi2("").await;
    let form = || changed("redirect_uri", "");
    assert_error(&push(&world, by(&world, "signed", form())).await, 400, "invalid_request");
    let standard = World::new().await;
    let pushed = push(&standard, by(&standard, "signed", form())).await;
    assert_eq!(pushed.status, 201, "elsewhere the only one that is registered is meant");
}

#[tokio::test]
async fn fapi_az_05_the_answer_names_the_issuer() {
    let world = World::fapi2("").await;
    assert_eq!(allowed(&world).await.get("iss"), Some(ISSUER));
    assert_eq!(metadata(&world).await["authorization_response_iss_parameter_supported"], json!(true));
}

#[tokio::test]
async fn fapi_az_06_http_is_no_redirect_uri() {
    let world = World::fapi2("").await;
    for uri in ["http://app.example/callback", "http://127.0.0.1/callback"] {
        let form = by(&world, "signed", changed("redirect_uri", uri));
        assert_error(&push(&world, form).await, 400, "invalid_request");
    }
}

#[tokio::test]
async fn fapi_az_07_used_codes_are_refused() {
    let world = World::fapi2("").await;
    let code = code(&world).await;
    let first = ask(&world, "signed", code_form(&code)).await;
    assert_eq!(first.status, 200, "{first:?}");
    assert_error(&ask(&world, "signed", code_form(&code)).await, 400, "invalid_grant");
    let refresh = refresh_form(&first.text("refresh_token"));
    assert_error(&ask(&world, "signed", refresh).await, 400, "invalid_grant");
}

#[tokio::test]
async fn fapi_az_08_redirects_are_303() {
    let world = World::fapi2("").await;
    let pushed = push(&world, by(&world, "signed", authorization_form().pair("prompt", "none"))).await;
    let answer = world.send(get(&authorize("signed", &pushed), &[])).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    assert!(answer.header("location").join("").contains("error=login_required"), "{answer:?}");
}

#[tokio::test]
async fn fapi_az_09_a_reference_ends_before_ten_minutes() {
    let world = World::fapi2("").await;
    let pushed = push(&world, by(&world, "signed", authorization_form())).await;
    assert_eq!(pushed.json()["expires_in"], 90);
    let longest = World::fapi2("[lifetimes]\npushed_request_secs = 599").await;
    let pushed = push(&longest, by(&longest, "signed", authorization_form())).await;
    assert_eq!(pushed.json()["expires_in"], 599);
    longest.clock.pass(600);
    let late = longest.hands().allow(&authorize("signed", &pushed)).await;
    assert!(late.expect_err("a page").contains("invalid_request"));
}

#[tokio::test]
async fn fapi_az_11_nonces_of_64_characters_and_more_come_back_whole() {
    let world = World::fapi2("").await;
    for length in [1, 64, 384] {
        let nonce = "n".repeat(length);
        let form = authorization_form().pair("nonce", &nonce);
        let pushed = push(&world, by(&world, "signed", form)).await;
        let answer = world.hands().allow(&authorize("signed", &pushed)).await.expect("allowed");
        let code = Form::parse_query(&answer).expect("a form").secret("code").expect("a code");
        let tokens = ask(&world, "signed", code_form(&code)).await;
        assert_eq!(tokens.claims("id_token")["nonce"], nonce, "{length}");
    }
}

#[tokio::test]
async fn fapi_az_12_the_user_is_named_by_an_id_token() {
    let world = World::fapi2("").await;
    assert_eq!(tokens(&world).await.claims("id_token")["sub"], "subject-of-alice");
}
