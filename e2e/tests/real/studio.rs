//! Pages under examination: pictures of each, in light and dark, wide and narrow, and what a machine can say of them. The
//! pictures are in `target/screenshots`.

use crate::binary;
use crate::browser::Browser;
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A window of a desk, and the narrowest that WCAG asks for (2.2, 1.4.10).
const WIDTHS: [u32; 2] = [1280, 320];
const HEIGHT: u32 = 844;

/// What axe finds in this page, by its worst first.
const FINDINGS: &str = "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.map(
    ({ id, impact, help, nodes }) => ({ id, impact, help, where: nodes.map(node => node.html).slice(0, 3) })))";

/// How far the page goes beyond its window.
const OVERFLOW: &str = "document.documentElement.scrollWidth - document.documentElement.clientWidth";

/// Looks at the page in each light and width.
pub(crate) async fn look(browser: &Browser, page: &str) {
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        emulate(browser, &[("prefers-color-scheme", scheme)]).await;
        for width in WIDTHS {
            resize(browser, width).await;
            let what = format!("{page}-{scheme}-{width}");
            picture(browser, &what).await;
            assert_eq!(browser.evaluate(OVERFLOW).await, 0, "{what} scrolls sideways");
            let found = findings(browser).await;
            assert!(found.is_empty(), "{what}: {found:#?}");
        }
        grounds.push(browser.evaluate("getComputedStyle(document.body).backgroundColor").await);
    }
    assert_ne!(grounds.first(), grounds.last(), "{page} is the same in light and in dark");
    emulate(browser, &[]).await;
    listen(browser, page).await;
}

/// Looks at the page with large text, with colours of the user's own, and without motion.
pub(crate) async fn look_closer(browser: &Browser, page: &str) {
    resize(browser, 640).await;
    browser.evaluate("document.documentElement.style.fontSize = '200%'").await;
    picture(browser, &format!("{page}-large-text")).await;
    assert_eq!(browser.evaluate(OVERFLOW).await, 0, "{page} scrolls sideways with large text");
    browser.evaluate("document.documentElement.style.fontSize = ''").await;
    emulate(browser, &[("forced-colors", "active")]).await;
    picture(browser, &format!("{page}-forced-colours")).await;
    emulate(browser, &[("prefers-reduced-motion", "reduce")]).await;
    let moving =
        "[...document.querySelectorAll('*')].filter(element => { const style = getComputedStyle(element);
        return style.transitionDuration !== '0s' || style.animationName !== 'none'; }).length";
    assert_eq!(browser.evaluate(moving).await, 0, "{page} moves");
    emulate(browser, &[]).await;
}

/// What axe says that is serious.
pub(crate) async fn findings(browser: &Browser) -> Vec<Value> {
    if browser.evaluate("typeof axe").await == "undefined" {
        browser.evaluate(axe()).await;
    }
    let found = browser.evaluate_later(FINDINGS).await;
    let is_serious = |finding: &Value| matches!(finding["impact"].as_str(), Some("serious" | "critical"));
    found.as_array().expect("findings").iter().filter(|finding| is_serious(finding)).cloned().collect()
}

/// Fails where the console has said since the last time that the policy stopped something (BCP-UI-02), or anything else
/// that is wrong.
pub(crate) async fn listen(browser: &Browser, page: &str) {
    let said = complaints(browser).await;
    assert!(said.is_empty(), "{page}: {said:#?}");
}

/// What the console has complained of since the last time. That a page came with an error is none.
pub(crate) async fn complaints(browser: &Browser) -> Vec<String> {
    let log = browser.browser_log().await.expect("a log");
    let is_answer = |message: &str| message.contains("the server responded with a status of 4");
    let said = log.into_iter().filter(|entry| entry.level == "SEVERE").map(|entry| entry.message);
    said.filter(|message| !is_answer(message)).collect()
}

async fn emulate(browser: &Browser, features: &[(&str, &str)]) {
    let features: Vec<Value> =
        features.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    browser.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
}

async fn resize(browser: &Browser, width: u32) {
    let is_phone = width < 600;
    let size = json!({ "width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": is_phone });
    browser.devtools("Emulation.setDeviceMetricsOverride", size).await;
}

async fn picture(browser: &Browser, what: &str) {
    let whole = json!({ "format": "png", "captureBeyondViewport": true });
    let taken = browser.devtools("Page.captureScreenshot", whole).await;
    let png = BASE64.decode(taken["data"].as_str().expect("a picture").as_bytes()).expect("Base64");
    std::fs::write(folder().join(format!("{what}.png")), png).expect("a file");
}

fn folder() -> PathBuf {
    let folder = binary::target().join("screenshots");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// The examiner, which the debugger brings in: no policy is bypassed for it.
fn axe() -> &'static str {
    static AXE: OnceLock<String> = OnceLock::new();
    AXE.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder");
        let file = root.join("target/peers/npm/node_modules/axe-core/axe.min.js");
        let source = std::fs::read_to_string(&file);
        source.unwrap_or_else(|error| panic!("{}: {error}: `cargo xtask setup` installs it", file.display()))
    })
}
