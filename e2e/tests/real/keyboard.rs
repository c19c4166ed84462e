//! The pages with the keyboard alone, in a browser without scripts.

use crate::browser::{Browser, Scripts};
use crate::pages::Parties;
use crate::studio::listen;
use keybound_e2e::servers::{PASSWORD, USERNAME};
use keybound_oauth::form::encode;
use serde_json::json;

/// Keys on the way to an element, at the most.
const PATIENCE: usize = 20;

async fn press(browser: &Browser, keys: impl AsRef<str>) {
    browser.action_chain().send_keys(keys.as_ref()).perform().await.expect("pressed");
}

/// Where the keyboard is; it has to be seen there.
async fn focused(browser: &Browser) -> String {
    let seen = "(at => at === document.body || getComputedStyle(at).outlineStyle !== 'none')(document.activeElement)";
    assert_eq!(browser.evaluate(seen).await, true, "the focus is seen");
    browser.evaluate("document.activeElement.id").await.as_str().unwrap_or_default().to_owned()
}

/// Goes on to the element with Tab; gives the elements on the way.
async fn tab_to(browser: &Browser, id: &str) -> Vec<String> {
    browser.element(id).await;
    let mut way = Vec::new();
    for _ in 0..PATIENCE {
        press(browser, "\u{e004}").await;
        let at = focused(browser).await;
        if at == id {
            return way;
        }
        way.push(at);
    }
    panic!("Tab does not come to #{id}: {way:?}");
}

const ENTER: &str = "\u{e007}";
const SPACE: &str = " ";

/// Types name and password where the keyboard is already.
async fn sign_in(browser: &Browser) {
    browser.element("login").await;
    assert_eq!(focused(browser).await, "username", "one can type at once");
    press(browser, USERNAME).await;
    assert!(tab_to(browser, "password").await.is_empty(), "the password is next");
    press(browser, PASSWORD).await;
}

#[tokio::test]
async fn bcp_ui_02_sign_in_and_consent_need_no_mouse_and_no_scripts() {
    let (parties, browser) = (Parties::start().await, Browser::with(Scripts::Off).await);
    browser.goto(parties.authorize("s")).await.expect("a page");
    browser.element("login").await;
    press(&browser, USERNAME).await;
    tab_to(&browser, "password").await;
    press(&browser, format!("wrong{ENTER}")).await;
    browser.element("error").await;
    assert_eq!(focused(&browser).await, "password", "what has to be typed again");
    press(&browser, PASSWORD).await;
    assert!(tab_to(&browser, "login").await.is_empty());
    press(&browser, ENTER).await;
    let way = tab_to(&browser, "allow").await;
    assert!(!way.contains(&"deny".to_owned()), "{way:?}");
    assert_eq!(tab_to(&browser, "deny").await, [""; 0]);
    assert_eq!(tab_to(&browser, "switch").await, [""; 0]);
    press(&browser, ENTER).await;
    sign_in(&browser).await;
    press(&browser, ENTER).await;
    tab_to(&browser, "allow").await;
    listen(&browser, "sign-in and consent").await;
    press(&browser, ENTER).await;
    browser.element("arrived").await;
    parties.code("s");
    browser.close().await;
}

#[tokio::test]
async fn as_res_05_boxes_are_unticked_with_the_keyboard() {
    let (parties, browser) = (Parties::start().await, Browser::with(Scripts::Off).await);
    let job = json!({ "type": "print_job", "actions": ["print"], "album": "A", "price": {} });
    let details = encode(&json!([job, job]).to_string());
    browser
        .goto(format!("{}&authorization_details={details}", parties.authorize("s")))
        .await
        .expect("a page");
    sign_in(&browser).await;
    press(&browser, ENTER).await;
    tab_to(&browser, "detail_0").await;
    press(&browser, SPACE).await;
    let ticked = "[...document.querySelectorAll('[type=checkbox]')].filter(box => box.checked).map(box => box.id).join()";
    let before = browser.evaluate(ticked).await;
    assert!(!before.as_str().expect("ids").contains("detail_0"), "{before}");
    tab_to(&browser, "allow").await;
    press(&browser, ENTER).await;
    browser.element("arrived").await;
    parties.code("s");
    browser.close().await;
}

#[tokio::test]
async fn as_dev_07_a_device_is_connected_without_mouse_and_scripts() {
    let (parties, browser) = (Parties::start().await, Browser::with(Scripts::Off).await);
    let device = parties.device().await;
    browser.goto(format!("{}/device", parties.servers.issuer)).await.expect("a page");
    browser.element("continue").await;
    assert_eq!(focused(&browser).await, "user_code");
    press(&browser, format!("BCDF{ENTER}")).await;
    let is_told = "document.getElementById('user_code').validity.patternMismatch";
    assert_eq!(browser.evaluate(is_told).await, true, "the browser tells that letters are missing");
    press(&browser, "\u{e003}".repeat(4)).await;
    press(&browser, device.user_code.reveal().to_lowercase() + ENTER).await;
    sign_in(&browser).await;
    press(&browser, ENTER).await;
    tab_to(&browser, "allow").await;
    listen(&browser, "device").await;
    press(&browser, ENTER).await;
    browser.element("done").await;
    browser.close().await;
}
