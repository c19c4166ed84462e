//! How the pages look, and whether everybody can use them: each is examined in light and dark, wide and narrow.

use crate::browser::Browser;
use crate::pages::Parties;
use crate::studio::{complaints, findings, look, look_closer};
use keybound_e2e::servers::{PASSWORD, USERNAME};
use keybound_oauth::form::encode;
use serde_json::json;

#[tokio::test]
async fn bcp_ui_02_oidc_aut_13_sign_in_and_consent_can_be_read_and_used_by_everybody() {
    let (parties, browser) = (Parties::start().await, Browser::open().await);
    browser.goto(&parties.servers.issuer).await.expect("a page");
    look(&browser, "front").await;
    for language in ["en", "de"] {
        browser.delete_all_cookies().await.expect("forgotten");
        let name = |page: &str| format!("{page}-{language}");
        let request = format!("{}&ui_locales={language}", parties.authorize("s"));
        browser.goto(request).await.expect("a page");
        browser.element("login").await;
        assert_eq!(browser.evaluate("document.documentElement.lang").await, language);
        look(&browser, &name("sign-in")).await;
        look_closer(&browser, &name("sign-in")).await;
        browser.sign_in(USERNAME, "wrong").await;
        browser.element("error").await;
        look(&browser, &name("sign-in-error")).await;
        browser.element("password").await.send_keys(PASSWORD).await.expect("typed");
        browser.click("login").await;
        browser.element("allow").await;
        look(&browser, &name("consent")).await;
        look_closer(&browser, &name("consent")).await;
    }
    browser.goto(parties.authorize("s") + "&prompt=select_account").await.expect("a page");
    browser.element("switch").await;
    look(&browser, "account").await;
    browser.goto(parties.ask("nobody", "openid", "s")).await.expect("a page");
    browser.element("error").await;
    look(&browser, "error").await;
    browser.goto(format!("{}/logout", parties.servers.issuer)).await.expect("a page");
    browser.element("logout").await;
    look(&browser, "logout").await;
    browser.click("logout").await;
    browser.element("done").await;
    look(&browser, "signed-out").await;
    browser.close().await;
}

#[tokio::test]
async fn as_dev_07_bcp_ui_02_the_pages_for_devices_can_be_used_by_everybody() {
    let (parties, browser) = (Parties::start().await, Browser::open().await);
    let device = parties.device().await;
    browser.goto(format!("{}/device", parties.servers.issuer)).await.expect("a page");
    browser.element("user_code").await.send_keys("bbbb-bbbb").await.expect("typed");
    browser.click("continue").await;
    browser.element("error").await;
    look(&browser, "device-error").await;
    browser.goto(device.verification_uri_complete.expect("a link").as_str()).await.expect("a page");
    browser.element("continue").await;
    look(&browser, "device").await;
    look_closer(&browser, "device").await;
    browser.click("continue").await;
    browser.sign_in(USERNAME, PASSWORD).await;
    browser.element("allow").await;
    assert_eq!(browser.element("code").await.text().await.expect("text"), device.user_code.reveal());
    look(&browser, "device-consent").await;
    browser.click("allow").await;
    browser.element("done").await;
    look(&browser, "device-done").await;
    browser.close().await;
}

#[tokio::test]
async fn as_res_05_consent_in_detail_fits_and_boxes_can_be_unticked() {
    let (parties, browser) = (Parties::start().await, Browser::open().await);
    let job = |album: &str| {
        json!({ "type": "print_job", "actions": ["print", "ship"], "album": album,
                "price": { "amount": "12.50", "currency": "EUR" } })
    };
    let details = json!([job("Summer in the mountains"), job("Winter")]).to_string();
    let details = encode(&details);
    browser
        .goto(format!("{}&authorization_details={details}", parties.authorize("s")))
        .await
        .expect("a page");
    browser.sign_in(USERNAME, PASSWORD).await;
    browser.element("allow").await;
    browser.click("detail_1").await;
    look(&browser, "consent-details").await;
    browser.click("allow").await;
    browser.element("arrived").await;
    parties.code("s");
    browser.close().await;
}

#[tokio::test]
async fn bcp_ui_02_the_pages_that_lead_back_to_the_client_can_be_used_by_everybody() {
    let (parties, browser) = (Parties::start().await, Browser::open().await);
    // So that the form stays to be looked at.
    let stay = json!({ "source": "HTMLFormElement.prototype.submit = () => {}" });
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", stay).await;
    browser.goto(parties.ask("app", "no-such-scope", "s")).await.expect("a page");
    browser.element("return").await;
    look(&browser, "return").await;
    browser.goto(parties.authorize("s") + "&response_mode=form_post").await.expect("a page");
    browser.sign_in(USERNAME, PASSWORD).await;
    browser.click("deny").await;
    browser.element("continue").await;
    look(&browser, "form-post").await;
    browser.close().await;
}

#[tokio::test]
async fn the_pages_carry_the_name_and_the_colours_of_the_operator() {
    let parties = Parties::branded().await;
    let browser = Browser::open().await;
    browser.goto(parties.authorize("s")).await.expect("a page");
    browser.element("login").await;
    let drawn = "(logo => logo.complete && logo.naturalWidth > 0 && logo.height <= 48)(document.querySelector('.logo'))";
    assert_eq!(browser.evaluate(drawn).await, true, "the picture is there, and not too large");
    let colour = "getComputedStyle(document.querySelector('.primary')).backgroundColor";
    assert_eq!(browser.evaluate(colour).await, "rgb(122, 0, 25)");
    assert!(browser.title().await.expect("a title").ends_with("Acme Photos"));
    look(&browser, "branded-sign-in").await;
    look_closer(&browser, "branded-sign-in").await;
    browser.close().await;
}

/// Else all of this would show nothing.
#[tokio::test]
async fn bcp_ui_02_the_examiners_see_what_is_wrong() {
    let (parties, browser) = (Parties::start().await, Browser::open().await);
    browser.goto(parties.authorize("s")).await.expect("a page");
    browser.element("login").await;
    assert!(findings(&browser).await.is_empty() && complaints(&browser).await.is_empty());
    browser.evaluate("document.querySelector('label[for=username]').remove()").await;
    browser.evaluate("document.querySelector('h1').style.color = '#999'").await;
    let found: Vec<String> =
        findings(&browser).await.iter().map(|finding| finding["id"].to_string()).collect();
    assert_eq!(found, ["\"color-contrast\"", "\"label\""]);
    let foreign = "document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/x.png' }))";
    let inline = "document.body.append(Object.assign(document.createElement('script'), { text: 'document.title = 1' }))";
    for (broken, directive) in [(foreign, "img-src"), (inline, "script-src")] {
        browser.evaluate(broken).await;
        let said = complaints(&browser).await;
        assert!(
            said.iter().any(|message| message.contains("Content Security Policy")),
            "{directive}: {said:?}"
        );
    }
    assert_ne!(browser.title().await.expect("a title"), "1");
    browser.close().await;
}
