//! Who is signed out by which ID token (OpenID Connect RP-Initiated Logout 1.0 §2).

use super::logout::{
    BYE, SESSION, assert_asks, assert_done, assert_faulty, claims, confirm, id_token, is_signed_in, log_out,
    sign_in_at, world,
};
use crate::common::PASSWORD;
use http::StatusCode;
use http::header::SET_COOKIE;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::jws;
use keybound_dpop::jose::signer::SigningKey;
use keybound_provider::signing_keys::KeyUse;

#[tokio::test]
async fn oidc_lgo_08_an_id_token_of_this_session_ends_it_at_once() {
    let world = world().await;
    let (mut browser, mut elsewhere) = (world.browser(), world.browser());
    id_token(&mut elsewhere).await;
    let hint = id_token(&mut browser).await;
    let cookie = browser.cookies[SESSION].clone();
    let parameters = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE), ("state", "s &=")];
    let page = log_out(&mut browser, &parameters).await;
    assert_eq!(
        (page.status, page.location()),
        (StatusCode::SEE_OTHER, "https://rp.example/bye?state=s+%26%3D")
    );
    let cleared = page.headers.get(SET_COOKIE).unwrap().to_str().unwrap();
    assert_eq!(cleared, "__Host-keybound=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure");
    assert!(!browser.cookies.contains_key(SESSION));
    assert!(!is_signed_in(&mut browser).await);
    browser.cookies.insert(SESSION.to_owned(), cookie);
    assert!(!is_signed_in(&mut browser).await, "it ended at the server");
    assert!(is_signed_in(&mut elsewhere).await, "another browser");
}

#[tokio::test]
async fn oidc_lgo_02_an_expired_id_token_is_as_good_and_so_is_one_from_before_a_new_sign_in() {
    let world = world().await;
    let mut browser = world.browser();
    let hint = id_token(&mut browser).await;
    world.clock.turn(3 * 3600);
    assert!(claims(&hint)["exp"].as_u64().unwrap() < world.provider.unix().as_secs());
    browser.reach_consent(&[("prompt", "login")]).await;
    let page = log_out(&mut browser, &[("id_token_hint", &hint), ("client_id", "rp")]).await;
    assert_done(&page);
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn oidc_lgo_02_atk_140_a_forged_hint_is_a_page_and_no_redirect() {
    let world = world().await;
    let mut browser = world.browser();
    let answer = sign_in_at(&mut browser, "rp", "openid").await;
    let (good, access_token) =
        (answer["id_token"].as_str().unwrap(), answer["access_token"].as_str().unwrap());
    let parts: Vec<&str> = good.split('.').collect();
    let none = format!("{}.{}.", base64url::encode(br#"{"alg":"none","typ":"JWT"}"#), parts[1]);
    let empty_signature = format!("{}{}", none, base64url::encode(b"x"));
    let mut changed = claims(good);
    changed["sub"] = "subject-of-bob".into();
    let changed = format!("{}.{}.{}", parts[0], base64url::encode(changed.to_string().as_bytes()), parts[2]);
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let kid = world.provider.signing_keys.signer(KeyUse::Tokens, Algorithm::Es256, world.provider.unix());
    let kid = kid.unwrap().kid.clone();
    let forged = |kid| jws::sign(&stranger, "JWT", kid, claims(good).to_string().as_bytes()).unwrap();
    let (same_kid, no_kid, other_kid) = (forged(Some(&kid)), forged(None), forged(Some("other")));
    for hint in
        [&none, &empty_signature, &changed, &same_kid, &no_kid, &other_kid, access_token, "a.b.c", "x"]
    {
        let parameters = [("id_token_hint", hint), ("post_logout_redirect_uri", BYE), ("state", "s")];
        let page = log_out(&mut browser, &parameters).await;
        assert_faulty(&page);
        assert!(page.has("id=\"logout\""), "who wants to sign out can");
        assert!(is_signed_in(&mut browser).await, "{hint}");
        assert_faulty(&log_out(&mut world.browser(), &parameters).await);
    }
    let page = log_out(&mut browser, &[("id_token_hint", "x"), ("post_logout_redirect_uri", BYE)]).await;
    assert_done(&confirm(&mut browser, &page).await);
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn oidc_lgo_02_atk_140_client_id_must_be_the_hints() {
    let world = world().await;
    let mut browser = world.browser();
    let hint = id_token(&mut browser).await;
    for client_id in ["rp2", "unknown", "rp "] {
        let parameters =
            [("id_token_hint", hint.as_str()), ("client_id", client_id), ("post_logout_redirect_uri", BYE)];
        assert_faulty(&log_out(&mut browser, &parameters).await);
    }
    assert!(world.provider.store.remove_client("rp", world.provider.unix()).await.unwrap());
    world.clock.turn(1);
    assert_faulty(&log_out(&mut browser, &[("id_token_hint", &hint)]).await);
    assert!(is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn oidc_lgo_03_a_hint_of_another_session_or_user_is_a_question() {
    let world = world().await;
    let (mut browser, mut other) = (world.browser(), world.browser());
    let hint = id_token(&mut other).await;
    id_token(&mut browser).await;
    let parameters = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE)];
    let page = log_out(&mut browser, &parameters).await;
    assert_asks(&page);
    assert!(page.has("ada") && page.has("A &#60;b&#62;Relying&#60;/b&#62; Party"), "{}", page.body);
    assert!(page.header("content-security-policy").contains("form-action 'self' https://rp.example"));
    assert!(is_signed_in(&mut browser).await);

    let page = browser.ask(&[("prompt", "login")]).await;
    browser.sign_in(&page, "bob", PASSWORD).await;
    let page = log_out(&mut browser, &parameters).await;
    assert_asks(&page);
    assert_eq!(confirm(&mut browser, &page).await.location(), BYE, "a hint of ours leads back");
    assert!(!is_signed_in(&mut browser).await && is_signed_in(&mut other).await);
}

#[tokio::test]
async fn oidc_lgo_03_who_is_signed_out_already_goes_back_at_once() {
    let world = world().await;
    let mut browser = world.browser();
    let hint = id_token(&mut browser).await;
    let parameters = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE)];
    for _ in 0..2 {
        assert_eq!(log_out(&mut browser, &parameters).await.location(), BYE);
    }
}
