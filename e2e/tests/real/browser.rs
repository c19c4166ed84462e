//! A real browser without a window: Chromium, driven over WebDriver by a ChromeDriver of its own.

use crate::process::{Running, within};
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use thirtyfour::prelude::*;
use thirtyfour::{ChromeCapabilities, ChromiumLikeCapabilities, LoggingPrefsLogLevel};
use tokio::process::Command;

const CHROMIUM: &str = "/usr/bin/chromium";
const CHROMEDRIVER: &str = "/usr/bin/chromedriver";

/// What it needs to run anywhere, to call nobody, and to end with its driver: then the pipe between them breaks.
const FLAGS: [&str; 9] = [
    "--remote-debugging-pipe",
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// How long an element may take to appear, and how often to look.
const APPEARS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_millis(20));

/// A browser with a profile of its own.
pub(crate) struct Browser {
    driver: WebDriver,
    _chromedriver: Running,
    _profile: TempDir,
}

/// Whether pages may run scripts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scripts {
    On,
    Off,
}

impl Browser {
    pub(crate) async fn open() -> Self {
        Self::with(Scripts::On).await
    }

    pub(crate) async fn with(scripts: Scripts) -> Self {
        let mut chromedriver = start_chromedriver();
        let line = chromedriver.says("started successfully on port").await;
        let port = line.trim_end_matches('.').rsplit(' ').next().expect("a port");
        let profile = tempfile::tempdir().expect("a folder");
        let capabilities = capabilities(&profile, scripts).expect("capabilities");
        let server = format!("http://127.0.0.1:{port}");
        let driver = within("a browser", WebDriver::new(server, capabilities)).await;
        let driver = driver.unwrap_or_else(|error| panic!("{CHROMIUM} does not start: {error}"));
        Self { driver, _chromedriver: chromedriver, _profile: profile }
    }

    /// The element with that id, once it is there.
    pub(crate) async fn element(&self, id: &str) -> WebElement {
        let (patience, interval) = APPEARS;
        let found = self.driver.query(By::Id(id)).wait(patience, interval).first().await;
        match found {
            Ok(element) => element,
            Err(error) => panic!("no #{id}: {error}\n{}", self.source().await.unwrap_or_default()),
        }
    }

    /// Whether an element with that id is there now.
    pub(crate) async fn has(&self, id: &str) -> bool {
        !self.driver.find_all(By::Id(id)).await.expect("an answer").is_empty()
    }

    pub(crate) async fn click(&self, id: &str) {
        self.element(id).await.click().await.expect("clicked");
    }

    /// Types name and password and presses the button.
    pub(crate) async fn sign_in(&self, username: &str, password: &str) {
        self.element("username").await.send_keys(username).await.expect("typed");
        self.element("password").await.send_keys(password).await.expect("typed");
        self.click("login").await;
    }

    /// What an expression is in this page, evaluated by the debugger, also where pages may run no scripts.
    pub(crate) async fn evaluate(&self, expression: &str) -> serde_json::Value {
        let params = serde_json::json!({ "expression": expression, "returnByValue": true });
        let answer = self.devtools("Runtime.evaluate", params).await;
        assert!(answer.get("exceptionDetails").is_none(), "{answer}");
        answer["result"]["value"].clone()
    }

    /// The same of a promise, once it is kept.
    pub(crate) async fn evaluate_later(&self, expression: &str) -> serde_json::Value {
        let params =
            serde_json::json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.devtools("Runtime.evaluate", params).await;
        assert!(answer.get("exceptionDetails").is_none(), "{answer}");
        answer["result"]["value"].clone()
    }

    /// Calls a method of the Chrome DevTools Protocol.
    pub(crate) async fn devtools(&self, method: &str, params: serde_json::Value) -> serde_json::Value {
        self.driver.cdp().send_raw(method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Closes it, and waits until it no longer writes to its profile.
    pub(crate) async fn close(self) {
        let process = self.driver.handle().capabilities().get("goog:processID").cloned().expect("a process");
        self.driver.clone().quit().await.expect("closed");
        let process = Path::new("/proc").join(process.to_string());
        let gone = async {
            while process.exists() {
                tokio::time::sleep(APPEARS.1).await;
            }
        };
        within("the browser's end", gone).await;
    }
}

impl Drop for Browser {
    /// After a panic nobody is asked: the driver is killed, and the browser ends with it.
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.driver.clone().leak();
    }
}

impl Deref for Browser {
    type Target = WebDriver;

    fn deref(&self) -> &WebDriver {
        &self.driver
    }
}

/// On a port that it picks and names itself.
fn start_chromedriver() -> Running {
    Running::start(Command::new(CHROMEDRIVER).arg("--port=0")).unwrap_or_else(|error| {
        panic!("{CHROMEDRIVER} does not start ({error}): `cargo xtask setup` installs it");
    })
}

fn capabilities(profile: &TempDir, scripts: Scripts) -> WebDriverResult<ChromeCapabilities> {
    assert!(Path::new(CHROMIUM).exists(), "{CHROMIUM} is missing: `cargo xtask setup` installs it");
    let mut capabilities = DesiredCapabilities::chrome();
    capabilities.set_binary(CHROMIUM)?;
    capabilities.set_browser_log_level(LoggingPrefsLogLevel::All)?;
    for flag in FLAGS {
        capabilities.add_arg(flag)?;
    }
    capabilities.add_arg(&format!("--user-data-dir={}", profile.path().display()))?;
    if scripts == Scripts::Off {
        let off = serde_json::json!({ "profile.managed_default_content_settings.javascript": 2 });
        capabilities.add_experimental_option("prefs", off)?;
    }
    Ok(capabilities)
}
