//! Consent in detail (RFC 9396 §7.1).

use crate::common::{Page, World};
use http::StatusCode;
use keybound_oauth::device::UserCode;
use keybound_provider::store::DeviceCodeState;
use serde_json::{Value, json};

const CONFIG: &str = r#"
issuer = "https://id.example"

[[resource]]
identifier = "https://bank.example/"
default = true
scopes = ["read"]

[[resource.authorization_details]]
type = "payment"
description = "Pay from your account"
actions = ["start", "status"]
required = { amount = "object", to = "string" }

[[resource.authorization_details]]
type = "balance"
description = "See what is in your account"

[[resource]]
identifier = "https://shop.example/"

[[resource.authorization_details]]
type = "order"
description = "Order for you"
"#;

const DETAILS: &str = r#"[
    {"type":"payment","actions":["start"],"amount":{"currency":"EUR","value":"12.50"},"to":"<b>Ada</b>"},
    {"type":"balance"}
]"#;

async fn world() -> World {
    let tv = json!({
        "client_id": "tv",
        "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"],
    });
    World::with(CONFIG, &[tv]).await
}

/// The fields of the consent form, with these boxes ticked.
fn fields(page: &Page, ticked: &[&str]) -> Vec<(String, String)> {
    let mut fields = vec![
        ("request".to_owned(), page.field("request")),
        ("csrf".to_owned(), page.field("csrf")),
        ("allow".to_owned(), "1".to_owned()),
    ];
    fields.extend(ticked.iter().map(|name| ((*name).to_owned(), "1".to_owned())));
    fields
}

fn borrow(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test]
async fn as_res_05_consent_shows_each_detail_in_words() {
    let world = world().await;
    let page = world.browser().reach_consent(&[("authorization_details", DETAILS)]).await;
    for shown in [
        "Pay from your account",
        "See what is in your account",
        "currency: EUR; value: 12.50",
        "&#60;b&#62;Ada&#60;/b&#62;",
        "name=\"detail_0\" value=\"1\" checked",
        "name=\"detail_1\" value=\"1\" checked",
    ] {
        assert!(page.has(shown), "{shown} in {}", page.body);
    }
    assert!(!page.has("<b>Ada"));
    let plain = world.browser().reach_consent(&[]).await;
    assert!(!plain.has("In detail") && !plain.has("name=\"detail_"));
}

#[tokio::test]
async fn as_res_05_what_the_user_unticks_is_not_granted() {
    let world = world().await;
    let types = [("detail_0", "payment"), ("detail_1", "balance")];
    for ticked in [vec!["detail_0", "detail_1"], vec!["detail_1"], vec![]] {
        let mut browser = world.browser();
        let page = browser.reach_consent(&[("authorization_details", DETAILS)]).await;
        let answer = browser.post("/consent", &borrow(&fields(&page, &ticked))).await.answer();
        let code = world.code(answer.get("code")).await;
        let granted: Vec<&str> = code.authorization_details.iter().map(|one| one.detail_type()).collect();
        let expected: Vec<&str> =
            types.iter().filter(|(name, _)| ticked.contains(name)).map(|(_, of)| *of).collect();
        assert_eq!(granted, expected, "{ticked:?}");
        assert_eq!(code.scope, ["read"]);
    }
}

#[tokio::test]
async fn as_res_05_who_unticks_all_that_was_asked_for_says_no() {
    let world = world().await;
    let mut browser = world.browser();
    let page = browser.reach_consent(&[("authorization_details", DETAILS), ("scope", "")]).await;
    let answer = browser.post("/consent", &borrow(&fields(&page, &[]))).await.answer();
    assert_eq!(answer.get("error"), "access_denied");
    let page = browser.ask(&[("authorization_details", DETAILS), ("scope", "")]).await;
    let answer = browser.post("/consent", &borrow(&fields(&page, &["detail_1", "detail_7"]))).await.answer();
    let code = world.code(answer.get("code")).await;
    assert_eq!(code.authorization_details.to_json(), json!([{ "type": "balance" }]));
}

#[tokio::test]
async fn as_res_03_the_authorization_endpoint_refuses_unknown_types_and_wrong_members() {
    let world = world().await;
    let mut browser = world.browser();
    for bad in [
        "{}",
        r#"[{"type":"other"}]"#,
        r#"[{"type":"payment","actions":["start"]}]"#,
        r#"[{"type":"balance","x":1}]"#,
    ] {
        let page = browser.ask(&[("authorization_details", bad)]).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(page.shown_error(), "invalid_authorization_details", "{bad}");
    }
}

#[tokio::test]
async fn as_res_05_devices_are_allowed_in_detail_too() {
    let world = world().await;
    let mut browser = world.browser();
    browser.reach_consent(&[]).await;
    let form = [("client_id", "tv"), ("authorization_details", DETAILS)];
    let device: Value =
        serde_json::from_str(&browser.post("/device_authorization", &form).await.body).unwrap();
    let code = device["user_code"].as_str().unwrap();
    let page = browser.get("/device").await;
    let page = browser.post("/device", &[("csrf", &page.field("csrf")), ("user_code", code)]).await;
    assert!(page.asks_for_consent() && page.has("Pay from your account"), "{}", page.body);
    let done = browser.post("/device/consent", &borrow(&fields(&page, &["detail_1"]))).await;
    assert!(done.has("id=\"done\""), "{}", done.body);
    let code = UserCode::parse(code).unwrap();
    let record = world.provider.store.device_code_by_user_code(&code).await.unwrap().unwrap();
    let DeviceCodeState::Allowed(approval) = record.state else { panic!("not allowed") };
    assert_eq!(approval.authorization_details.to_json(), json!([{ "type": "balance" }]));
}

#[tokio::test]
async fn as_res_03_details_survive_the_way_through_the_pages() {
    let world = world().await;
    let mut browser = world.browser();
    let page = browser.reach_consent(&[("authorization_details", DETAILS)]).await;
    let answer = browser.post("/consent", &borrow(&fields(&page, &["detail_0", "detail_1"]))).await.answer();
    let code = world.code(answer.get("code")).await;
    let asked: Value = serde_json::from_str(DETAILS).unwrap();
    assert_eq!(code.authorization_details.to_json(), asked);
    assert_eq!(code.resources, ["https://bank.example/"]);
}

#[tokio::test]
async fn as_res_05_a_resource_whose_details_are_all_unticked_is_not_granted() {
    let world = world().await;
    let details = r#"[{"type":"balance"},{"type":"order"}]"#;
    let (bank, shop) = ("https://bank.example/", "https://shop.example/");
    for (scope, ticked, granted) in [
        ("", vec!["detail_0", "detail_1"], vec![bank, shop]),
        ("", vec!["detail_0"], vec![bank]),
        ("", vec!["detail_1"], vec![shop]),
        ("read", vec!["detail_1"], vec![bank, shop]),
        ("read", vec![], vec![bank]),
        ("openid", vec!["detail_1"], vec![shop]),
        ("openid", vec![], vec![]),
    ] {
        let mut browser = world.browser();
        let page = browser.reach_consent(&[("authorization_details", details), ("scope", scope)]).await;
        let answer = browser.post("/consent", &borrow(&fields(&page, &ticked))).await.answer();
        let code = world.code(answer.get("code")).await;
        assert_eq!(code.resources, granted, "{scope} {ticked:?}");
    }
}

#[tokio::test]
async fn as_res_05_a_device_is_not_granted_a_resource_whose_details_are_all_unticked() {
    let config = CONFIG.replace("[[resource]]", "[[resource]]\ndpop = \"allowed\"");
    let tv = json!({
        "client_id": "tv",
        "dpop_bound_access_tokens": false,
        "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"],
    });
    let world = World::with(&config, &[tv]).await;
    let mut browser = world.browser();
    browser.reach_consent(&[]).await;
    let details = r#"[{"type":"balance"},{"type":"order"}]"#;
    let form = [("client_id", "tv"), ("authorization_details", details)];
    let device: Value =
        serde_json::from_str(&browser.post("/device_authorization", &form).await.body).unwrap();
    let page = browser.get("/device").await;
    let code = device["user_code"].as_str().unwrap();
    let page = browser.post("/device", &[("csrf", &page.field("csrf")), ("user_code", code)]).await;
    let done = browser.post("/device/consent", &borrow(&fields(&page, &["detail_0"]))).await;
    assert!(done.has("id=\"done\""), "{}", done.body);
    let grant_type = "urn:ietf:params:oauth:grant-type:device_code";
    let device_code = device["device_code"].as_str().unwrap();
    let form = [("grant_type", grant_type), ("client_id", "tv"), ("device_code", device_code)];
    let tokens: Value = serde_json::from_str(&browser.post("/token", &form).await.body).unwrap();
    let token = tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}"));
    let claims: Value = serde_json::from_slice(
        &keybound_dpop::jose::base64url::decode(token.split('.').nth(1).unwrap()).unwrap(),
    )
    .unwrap();
    assert_eq!(claims["aud"], "https://bank.example/");
}
