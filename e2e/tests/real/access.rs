//! The pages for people who use no mouse, or no eyes. What is asked is asked of the browser's own accessibility tree,
//! with scripts off.

use crate::browser::{Browser, Scripts};
use crate::pages::Parties;
use keybound_e2e::servers::{CLIENT_ID, PASSWORD, USERNAME};
use serde_json::{Value, json};
use thirtyfour::prelude::*;

/// What must be true of any page, as an expression that gives what is wrong.
const WRONG: &str = r#"(() => {
    const wrong = [];
    const must = (holds, what) => { if (!holds) wrong.push(what); };
    must(document.documentElement.lang, "no lang");
    must(document.title.trim(), "no title");
    must(document.querySelectorAll("h1").length === 1, "not one h1");
    must(document.querySelectorAll("main").length === 1, "not one main");
    must(document.querySelector("meta[name=viewport]"), "no viewport");
    for (const control of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
        must(control.labels.length === 1 && control.labels[0].textContent.trim(), `no label: ${control.id}`);
        must(control.autocomplete, `no autocomplete: ${control.id}`);
    }
    for (const button of document.querySelectorAll("button")) must(button.textContent.trim(), `no text: ${button.id}`);
    for (const image of document.querySelectorAll("img, svg"))
        must(image.alt !== undefined || image.ariaHidden === "true" || image.ariaLabel, "an image without text");
    for (const part of document.querySelectorAll("[aria-describedby], [aria-labelledby]"))
        for (const name of ["aria-describedby", "aria-labelledby"])
            for (const id of (part.getAttribute(name) || "").split(" ").filter(Boolean))
                must(document.getElementById(id), `${name} names nothing: ${id}`);
    const ids = [...document.querySelectorAll("[id]")].map(element => element.id);
    must(new Set(ids).size === ids.length, "an id twice");
    return wrong;
})()"#;

/// The id of the element that has the focus.
const FOCUSED: &str = "document.activeElement.id";

async fn assert_accessible(browser: &Browser, page: &str) {
    assert_eq!(browser.evaluate(WRONG).await, json!([]), "{page}");
    let tree = browser.devtools("Accessibility.getFullAXTree", json!({})).await;
    let nodes = tree["nodes"].as_array().expect("nodes");
    let is_control =
        |node: &&Value| ["button", "textbox", "link"].iter().any(|role| node["role"]["value"] == *role);
    let controls: Vec<&Value> = nodes.iter().filter(is_control).collect();
    let named = |node: &&Value| node["name"]["value"].as_str().is_some_and(|name| !name.trim().is_empty());
    assert!(controls.iter().all(named), "{page}: {controls:#?}");
}

#[tokio::test]
async fn every_page_is_named_structured_and_labelled() {
    let (parties, browser) = (Parties::start().await, Browser::with(Scripts::Off).await);
    browser.goto(parties.ask(CLIENT_ID, "no-such-scope", "s")).await.expect("a page");
    browser.element("return").await;
    assert_accessible(&browser, "return").await;
    browser.goto(parties.authorize("s")).await.expect("a page");
    browser.element("login").await;
    assert_accessible(&browser, "sign-in").await;
    browser.sign_in(USERNAME, "wrong").await;
    let error = browser.element("error").await;
    assert_eq!(error.attr("role").await.expect("an answer").as_deref(), Some("alert"), "it is read out");
    assert_accessible(&browser, "sign-in with an error").await;
    browser.element("password").await.send_keys(PASSWORD).await.expect("typed");
    browser.click("login").await;
    browser.element("allow").await;
    assert_accessible(&browser, "consent").await;
    browser.goto(parties.ask("nobody", "openid", "s")).await.expect("a page");
    browser.element("error").await;
    assert_accessible(&browser, "error").await;
    browser.goto(&parties.servers.issuer).await.expect("a page");
    assert_accessible(&browser, "front").await;
    browser.close().await;
}

#[tokio::test]
async fn the_keyboard_is_enough() {
    let (parties, browser) = (Parties::start().await, Browser::with(Scripts::Off).await);
    browser.goto(parties.authorize("s")).await.expect("a page");
    browser.element("login").await;
    assert_eq!(browser.evaluate(FOCUSED).await, "username", "one can begin to type");
    type_keys(&browser, USERNAME).await;
    for id in ["password", "login"] {
        type_keys(&browser, Key::Tab).await;
        assert_eq!(browser.evaluate(FOCUSED).await, id);
        let outline = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle").await;
        assert_eq!(outline, "solid", "the focus is seen at {id}");
    }
    // Back to the password, and Enter sends the form from there.
    browser
        .action_chain()
        .key_down(Key::Shift)
        .send_keys(Key::Tab)
        .key_up(Key::Shift)
        .perform()
        .await
        .expect("typed");
    assert_eq!(browser.evaluate(FOCUSED).await, "password");
    type_keys(&browser, PASSWORD).await;
    type_keys(&browser, Key::Enter).await;
    browser.element("allow").await;
    for id in ["allow", "deny", "switch"] {
        type_keys(&browser, Key::Tab).await;
        assert_eq!(browser.evaluate(FOCUSED).await, id);
    }
    for _ in ["deny", "allow"] {
        browser
            .action_chain()
            .key_down(Key::Shift)
            .send_keys(Key::Tab)
            .key_up(Key::Shift)
            .perform()
            .await
            .expect("typed");
    }
    type_keys(&browser, Key::Enter).await;
    browser.element("arrived").await;
    parties.code("s");
    browser.close().await;
}

/// Types where the focus is.
async fn type_keys(browser: &Browser, keys: impl Into<TypingData>) {
    browser.action_chain().send_keys(keys).perform().await.expect("typed");
}
