//! How the pages look: pictures of each, in light and dark, wide and narrow, and what can be measured of them. The
//! pictures are in `target/screenshots`.

use crate::binary;
use crate::browser::Browser;
use crate::pages::Parties;
use keybound_e2e::servers::{PASSWORD, USERNAME};
use keybound_oauth::form::encode;
use serde_json::{Value, json};
use std::path::PathBuf;

/// The least contrast of text (WCAG 2.2, 1.4.3, level AA).
const LEAST_CONTRAST: f64 = 4.5;

/// The lowest contrast between a text and what is behind it, and where that is.
const CONTRAST: &str = r#"(() => {
    const channels = colour => colour.match(/[\d.]+/g).map(Number);
    const linear = part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const luminance = ([r, g, b]) => [r, g, b].map(part => linear(part / 255))
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
    const behind = element => {
        for (let at = element; at; at = at.parentElement) {
            const colour = channels(getComputedStyle(at).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const texts = [...document.body.querySelectorAll("*")].filter(element =>
        [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim()));
    const measured = texts.map(element => {
        const [low, high] = [channels(getComputedStyle(element).color), behind(element)].map(luminance).sort((a, b) => a - b);
        return { contrast: (high + 0.05) / (low + 0.05), where: element.outerHTML.slice(0, 80) };
    });
    return measured.sort((a, b) => a.contrast - b.contrast)[0];
})()"#;

/// The pictures of one page.
async fn picture(browser: &Browser, page: &str) {
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.devtools("Emulation.setEmulatedMedia", features).await;
        for width in [1280, 390] {
            let size =
                json!({ "width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width == 390 });
            browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
            let what = format!("{page}-{scheme}-{width}");
            browser.screenshot(&folder().join(format!("{what}.png"))).await.expect("a picture");
            let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(browser.evaluate(overflow).await, 0, "{what} scrolls sideways");
            let lowest = browser.evaluate(CONTRAST).await;
            assert!(
                lowest["contrast"].as_f64().is_some_and(|contrast| contrast >= LEAST_CONTRAST),
                "{what}: {lowest}"
            );
        }
        grounds.push(browser.evaluate("getComputedStyle(document.body).backgroundColor").await);
    }
    let [light, dark]: [Value; 2] = grounds.try_into().expect("two");
    assert_ne!(light, dark, "{page} is the same in light and in dark");
}

fn folder() -> PathBuf {
    let folder = binary::target().join("screenshots");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[tokio::test]
async fn the_pages_fit_and_can_be_read_in_light_and_dark_wide_and_narrow() {
    let (parties, browser) = (Parties::start().await, Browser::open().await);
    browser.goto(&parties.servers.issuer).await.expect("a page");
    picture(&browser, "front").await;
    browser.goto(parties.authorize("s")).await.expect("a page");
    browser.element("login").await;
    picture(&browser, "sign-in").await;
    browser.sign_in(USERNAME, "wrong").await;
    browser.element("error").await;
    picture(&browser, "sign-in-error").await;
    browser.element("password").await.send_keys(PASSWORD).await.expect("typed");
    browser.click("login").await;
    browser.element("allow").await;
    picture(&browser, "consent").await;
    browser.goto(parties.ask("nobody", "openid", "s")).await.expect("a page");
    browser.element("error").await;
    picture(&browser, "error").await;
    browser.close().await;
}

#[tokio::test]
async fn as_dev_07_the_pages_for_devices_fit_too() {
    let (parties, browser) = (Parties::start().await, Browser::open().await);
    let device = parties.device().await;
    browser.goto(format!("{}/device", parties.servers.issuer)).await.expect("a page");
    browser.element("user_code").await.send_keys("wrong").await.expect("typed");
    browser.click("continue").await;
    browser.element("error").await;
    picture(&browser, "device-error").await;
    browser.goto(device.verification_uri_complete.expect("a link").as_str()).await.expect("a page");
    browser.element("continue").await;
    picture(&browser, "device").await;
    browser.click("continue").await;
    browser.sign_in(USERNAME, PASSWORD).await;
    browser.element("allow").await;
    assert_eq!(browser.element("code").await.text().await.expect("text"), device.user_code.reveal());
    picture(&browser, "device-consent").await;
    browser.click("allow").await;
    browser.element("done").await;
    picture(&browser, "device-done").await;
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
    picture(&browser, "consent-details").await;
    browser.click("allow").await;
    browser.element("arrived").await;
    parties.code("s");
    browser.close().await;
}

#[tokio::test]
async fn the_page_that_carries_an_error_back_fits_too() {
    let (parties, browser) = (Parties::start().await, Browser::open().await);
    browser.goto(parties.ask("app", "no-such-scope", "s")).await.expect("a page");
    browser.element("return").await;
    picture(&browser, "return").await;
    browser.close().await;
}
