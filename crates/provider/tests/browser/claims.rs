//! Which claims are told: by scope, and by name.

use crate::common::{Answer, CALLBACK, CHALLENGE, PASSWORD, Page};
use crate::relying_party::{self as rp, allow, call_userinfo, know, redeem, refresh, tokens, told, world};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::jws;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_oauth::form::FormWriter;
use serde_json::{Map, Value, json};

const ACR: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";

fn ada() -> Value {
    json!({
        "name": "Ada Lovelace", "given_name": "Ada", "nickname": "Countess", "name#fr": "Ada de Lovelace",
        "updated_at": 1_700_000_000, "picture": "https://a.example/p", "email": "ada@example.com",
        "email_verified": true, "address": {"street_address": "Main St", "country": "UK"},
        "phone_number": "+44 20", "phone_number_verified": false,
    })
}

fn names(claims: &Map<String, Value>) -> Vec<&str> {
    let mut names: Vec<&str> = claims.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn oidc_clm_01_oidc_ui_06_oidc_ui_07_each_scope_lets_out_its_claims_and_no_more() {
    let world = world(json!({}), ada()).await;
    for (scope, expected) in [
        ("openid", vec![]),
        ("openid profile", vec!["given_name", "name", "nickname", "picture", "updated_at"]),
        ("openid email", vec!["email", "email_verified"]),
        ("openid address", vec!["address"]),
        ("openid phone", vec!["phone_number", "phone_number_verified"]),
    ] {
        let tokens = tokens(&world, &[("scope", scope)]).await;
        let claims = told(&world, &tokens).await;
        assert_eq!(names(&claims), expected, "{scope}");
        for (name, value) in &claims {
            assert_eq!(*value, ada()[name], "{scope}");
        }
        let id_token = tokens.id_token(&world);
        assert!(expected.iter().all(|name| id_token.get(*name).is_none()), "they are told at UserInfo");
    }
}

#[tokio::test]
async fn oidc_clm_03_oidc_clm_04_claims_by_name_are_told_where_they_were_asked_for() {
    let world = world(json!({}), ada()).await;
    let claims = r#"{"userinfo": {"email": {"essential": true}, "birthdate": null, "groups": null},
                     "id_token": {"given_name": null, "phone_number_verified": {"value": false},
                                  "nickname": {"values": ["Other"]}}, "other": {}}"#;
    let first = tokens(&world, &[("claims", claims)]).await;
    assert_eq!(names(&told(&world, &first).await), ["email"]);
    let id_token = first.id_token(&world);
    assert_eq!((&id_token["given_name"], &id_token["phone_number_verified"]), (&json!("Ada"), &json!(false)));
    for absent in ["email", "nickname", "groups", "birthdate"] {
        assert!(id_token.get(absent).is_none(), "{absent}");
    }
    let (_, access) = first.verified(&world, "access_token");
    assert!(!access.to_string().contains("ada@") && access.get("claims").is_none(), "{access}");
    know(&world, json!({"email": "countess@example.com", "given_name": "Augusta"})).await;
    let again = refresh(&world, first.text("refresh_token")).await;
    assert_eq!(again.id_token(&world)["given_name"], "Augusta");
    assert_eq!(told(&world, &again).await["email"], "countess@example.com");
}

#[tokio::test]
async fn oidc_clm_03_what_cannot_be_read_is_told_to_the_client() {
    let world = world(json!({"errors": "redirect"}), json!({})).await;
    for bad in ["x", "[]", r#"{"userinfo":1}"#, r#"{"userinfo":{"email":null,"email":null}}"#] {
        let asked = [("client_id", "rp"), ("scope", "openid"), ("claims", bad)];
        assert_eq!(world.browser().ask(&asked).await.answer().get("error"), "invalid_request", "{bad}");
    }
}

#[tokio::test]
async fn oidc_ui_06_a_client_gets_no_claim_whose_scope_it_may_not_ask_for() {
    let world = world(json!({"scope": "openid email"}), ada()).await;
    let claims = r#"{"userinfo":{"email":null,"phone_number":null},"id_token":{"name":null,"email":null}}"#;
    let tokens = tokens(&world, &[("claims", claims)]).await;
    assert_eq!(names(&told(&world, &tokens).await), ["email"]);
    let id_token = tokens.id_token(&world);
    assert!(id_token.get("name").is_none() && id_token["email"] == "ada@example.com");
}

#[tokio::test]
async fn oidc_ui_06_the_user_sees_what_is_asked_for_by_name() {
    let world = world(json!({}), ada()).await;
    let asked = [("client_id", "rp"), ("scope", "openid")];
    let page = world.browser().reach_consent(&asked).await;
    assert!(!page.has("e-mail address") && !page.has("phone number"), "{}", page.body);
    let claims = ("claims", r#"{"userinfo":{"email":null},"id_token":{"phone_number":null}}"#);
    let page = world.browser().reach_consent(&[&asked[..], &[claims]].concat()).await;
    assert!(page.has("e-mail address") && page.has("phone number"), "{}", page.body);
}

#[tokio::test]
async fn oidc_clm_03_claims_are_told_in_the_languages_that_were_asked_for() {
    let world = world(json!({}), ada()).await;
    let by_locale = tokens(&world, &[("scope", "openid profile"), ("claims_locales", "de fr-CA fr")]).await;
    assert_eq!(told(&world, &by_locale).await["name#fr"], "Ada de Lovelace");
    let by_name = tokens(&world, &[("claims", r#"{"id_token":{"name#FR":null,"name#de":null}}"#)]).await;
    let id_token = by_name.id_token(&world);
    assert_eq!(id_token["name#fr"], "Ada de Lovelace");
    assert!(id_token.get("name").is_none() && id_token.get("name#de").is_none());
    let not_asked = tokens(&world, &[("scope", "openid profile")]).await;
    assert!(!told(&world, &not_asked).await.contains_key("name#fr"));
}

#[tokio::test]
async fn oidc_clm_03_claims_may_be_pushed_and_signed() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let jwk: Value = serde_json::from_str(&key.public_jwk().to_json()).unwrap();
    let world = world(json!({"jwks": {"keys": [jwk]}}), ada()).await;
    let claims = json!({"userinfo": {"email": null}, "id_token": {"given_name": null}});
    let base = FormWriter::new().pair("client_id", "rp");
    let pushed =
        crate::common::query(&[("client_id", "rp"), ("scope", "openid"), ("claims", &claims.to_string())]);
    let object = json!({
        "iss": "rp", "aud": "https://id.example", "client_id": "rp", "response_type": "code", "scope": "openid",
        "redirect_uri": CALLBACK, "code_challenge": CHALLENGE, "code_challenge_method": "S256", "claims": claims,
    });
    let object = jws::sign(&key, "oauth-authz-req+jwt", None, object.to_string().as_bytes()).unwrap();
    let request = http::Request::post("/par")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", rp::basic("rp"))
        .body(pushed.into())
        .unwrap();
    let answer: Value = serde_json::from_str(&world.browser().send(request).await.body).unwrap();
    let by_reference = base.pair("request_uri", answer["request_uri"].as_str().unwrap());
    let by_value = FormWriter::new().pair("client_id", "rp").pair("request", &object);
    for query in [by_reference, by_value] {
        let mut browser = world.browser();
        let page = browser.get(&format!("/authorize?{}", query.finish())).await;
        let answer = finish(&mut browser, &page, "ada").await.answer();
        let tokens = redeem(&world, answer.get("code")).await;
        assert_eq!(names(&told(&world, &tokens).await), ["email"]);
        assert_eq!(tokens.id_token(&world)["given_name"], "Ada");
    }
}

/// Signs in, and allows where that is asked.
async fn finish(browser: &mut crate::common::Browser<'_>, page: &Page, who: &str) -> Page {
    assert!(page.asks_to_sign_in(), "{}", page.body);
    let page = browser.sign_in(page, who, PASSWORD).await;
    let page = browser.follow(&page).await;
    if page.asks_for_consent() { browser.press(&page, "allow").await } else { page }
}

#[tokio::test]
async fn oidc_clm_03_a_sub_by_value_is_answered_for_that_user_alone() {
    let world = world(json!({}), json!({})).await;
    for place in ["id_token", "userinfo"] {
        let claims = json!({ place: {"sub": {"value": "subject-of-ada"}} }).to_string();
        let asked = [("client_id", "rp"), ("scope", "openid"), ("claims", claims.as_str())];
        let silent = [&asked[..], &[("prompt", "none")]].concat();
        let mut browser = world.browser();
        let page = browser.ask(&asked).await;
        let denied = finish(&mut browser, &page, "bob").await.answer();
        assert_eq!(denied.get("error"), "login_required", "{place}");
        assert_eq!(browser.ask(&silent).await.answer().get("error"), "login_required");
        let page = browser.ask(&asked).await;
        let answer = finish(&mut browser, &page, "ada").await.answer();
        assert_eq!(redeem(&world, answer.get("code")).await.id_token(&world)["sub"], "subject-of-ada");
        assert!(browser.ask(&asked).await.asks_for_consent(), "ada is signed in");
    }
}

#[tokio::test]
async fn oidc_aut_06_a_client_that_was_let_know_nothing_does_not_learn_who_is_there() {
    let world = world(json!({}), json!({})).await;
    let mut browser = world.browser();
    let page = browser.reach_consent(&[("client_id", "rp"), ("scope", "openid")]).await;
    for place in ["id_token", "userinfo"] {
        let mut told = Vec::new();
        for sub in [json!({"value": "subject-of-ada"}), json!({"values": ["subject-of-bob"]})] {
            let claims = json!({ place: {"sub": sub} }).to_string();
            let asked =
                [("client_id", "rp"), ("scope", "openid"), ("prompt", "none"), ("claims", claims.as_str())];
            let answer = browser.ask(&asked).await.answer();
            told.push([answer.get("error").to_owned(), answer.get("error_description").to_owned()]);
        }
        assert_eq!(told[0], told[1], "{place}");
        assert_eq!(told[0][0], "login_required");
    }
    let fields = [("request", page.field("request")), ("csrf", page.field("csrf"))];
    let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
    let fields: Vec<_> = fields.chain([("allow", "1"), ("remember", "1")]).collect();
    assert!(browser.post("/consent", &fields).await.answer().form.has("code"));
    for (sub, is_there) in [("subject-of-ada", true), ("subject-of-bob", false)] {
        let claims = json!({"id_token": {"sub": {"value": sub}}}).to_string();
        let asked =
            [("client_id", "rp"), ("scope", "openid"), ("prompt", "none"), ("claims", claims.as_str())];
        assert_eq!(browser.ask(&asked).await.answer().form.has("code"), is_there, "{sub}");
    }
}

#[tokio::test]
async fn oidc_clm_05_an_essential_acr_that_cannot_be_had_is_an_error_and_a_wish_is_not() {
    let world = world(json!({"errors": "redirect"}), json!({})).await;
    let claims = |acr: Value| json!({"id_token": {"acr": acr}}).to_string();
    let ask = |acr: Value| {
        let (world, claims) = (&world, claims(acr));
        async move {
            let asked = [("client_id", "rp"), ("scope", "openid"), ("claims", claims.as_str())];
            world.browser().ask(&asked).await
        }
    };
    for demanded in
        [json!({"essential": true, "value": "urn:other"}), json!({"essential": true, "values": ["1", "2"]})]
    {
        let answer: Answer = ask(demanded).await.answer();
        assert_eq!(answer.get("error"), "unmet_authentication_requirements");
        assert_eq!(answer.get("state"), "s t&a=te");
    }
    let demanded = claims(json!({"essential": true, "value": "urn:other"}));
    let page = world.browser().ask(&[("client_id", "rp"), ("scope", "read"), ("claims", &demanded)]).await;
    assert!(page.asks_to_sign_in(), "without `openid` there is no such request");
    for wish in
        [json!(null), json!({"values": ["urn:other"]}), json!({"essential": true, "values": ["1", ACR]})]
    {
        assert!(ask(wish.clone()).await.asks_to_sign_in(), "{wish}");
    }
    let demanded = claims(json!({"essential": true, "value": ACR}));
    assert_eq!(tokens(&world, &[("claims", &demanded)]).await.id_token(&world)["acr"], ACR);
}

#[tokio::test]
async fn oidc_ui_06_what_is_revoked_tells_nothing() {
    let world = world(json!({}), ada()).await;
    let answer = allow(&world, &[("scope", "openid email")]).await;
    let tokens = redeem(&world, answer.get("code")).await;
    assert_eq!(names(&told(&world, &tokens).await), ["email", "email_verified"]);
    redeem(&world, answer.get("code")).await;
    assert_eq!(call_userinfo(&world, tokens.text("access_token")).await.status, 401, "the code came twice");
    let removed = rp::tokens(&world, &[]).await;
    assert!(world.provider.store.remove_user("ada", world.provider.unix()).await.unwrap());
    assert_eq!(call_userinfo(&world, removed.text("access_token")).await.status, 401);
}
