//! The pages of the provider in a real browser, and the way back to the client.

use crate::browser::{Browser, Scripts};
use axum::response::Html;
use axum::routing::any;
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use keybound_e2e::Servers;
use keybound_e2e::servers::{CLIENT_ID, PASSWORD, Record, USERNAME, public_client, serve};
use keybound_e2e::world::{VERIFIER, challenge};
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::device::DeviceAuthorizationResponse;
use keybound_oauth::form::{Form, FormWriter};
use thirtyfour::prelude::*;

/// What the client shows to whom comes back; its script tells whether there are scripts.
const CLIENT_PAGE: &str = "<!doctype html><html lang=\"en\"><title>still</title><h1 id=\"arrived\">Client</h1>\
                           <script>document.title = \"moved\"</script>";

/// Provider, API, and a client that waits for its answer.
pub(crate) struct Parties {
    pub(crate) servers: Servers,
    client: String,
    at_client: Record,
}

impl Parties {
    pub(crate) async fn start() -> Self {
        let servers = Servers::start().await;
        let (client, at_client) = serve("client", any(|| async { Html(CLIENT_PAGE) })).await;
        Self { servers, client, at_client }
    }

    /// The same, under a name and in colours of an operator's.
    pub(crate) async fn branded() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let logo = |name: &str, colour: &str| {
            let path = folder.path().join(name);
            let drawn = format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 60 20\" width=\"120\" height=\"40\">\
                 <rect width=\"60\" height=\"20\" rx=\"4\" fill=\"{colour}\"/></svg>"
            );
            std::fs::write(&path, drawn).expect("a picture");
            path.display().to_string()
        };
        let pages = format!(
            "[pages]\nname = \"Acme Photos\"\naccent = \"#7a0019\"\nlogo = {:?}\nlogo_dark = {:?}\n\
             imprint = \"https://acme.example/imprint\"\nprivacy = \"https://acme.example/privacy\"\n\
             help = \"https://acme.example/help\"\n",
            logo("logo.svg", "#7a0019"),
            logo("dark.svg", "#f0c0c8"),
        );
        let servers = Servers::configured(vec![public_client()], &pages).await;
        let (client, at_client) = serve("client", any(|| async { Html(CLIENT_PAGE) })).await;
        Self { servers, client, at_client }
    }

    /// The URL that the client sends the browser to.
    pub(crate) fn authorize(&self, state: &str) -> String {
        self.ask(CLIENT_ID, "openid read", state)
    }

    pub(crate) fn ask(&self, client_id: &str, scope: &str, state: &str) -> String {
        let query = FormWriter::new()
            .pair("response_type", "code")
            .pair("client_id", client_id)
            .pair("redirect_uri", &format!("{}/callback", self.client))
            .pair("scope", scope)
            .pair("resource", &format!("{}/", self.servers.api))
            .pair("state", state)
            .pair("code_challenge", &challenge(VERIFIER))
            .pair("code_challenge_method", "S256");
        format!("{}/authorize?{}", self.servers.issuer, query.finish())
    }

    /// What a device is told that asks for somebody to sign in.
    pub(crate) async fn device(&self) -> DeviceAuthorizationResponse {
        let form = FormWriter::new()
            .pair("client_id", CLIENT_ID)
            .pair("scope", "openid read")
            .pair("resource", &format!("{}/", self.servers.api));
        let request = Request::post(format!("{}/device_authorization", self.servers.issuer))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form.finish()))
            .expect("a request");
        let fetcher = Fetcher::for_operator(&Settings::default()).expect("an HTTP client");
        let response = fetcher.send(request).await.expect("an answer");
        DeviceAuthorizationResponse::parse(response.body()).expect("a response")
    }

    /// What the client was told last.
    fn told(&self) -> Form {
        let told = self.at_client.at("/callback").pop().expect("the client was called");
        Form::parse(told.target.query().unwrap_or_default().as_bytes()).expect("a query")
    }

    /// The code that the client got, with its state and the issuer beside it.
    #[track_caller]
    pub(crate) fn code(&self, state: &str) -> String {
        let told = self.told();
        assert_eq!(told.get("state"), Some(state), "{told:?}");
        assert_eq!(told.get("iss"), Some(self.servers.issuer.as_str()), "{told:?}");
        assert_eq!(told.get("error"), None, "{told:?}");
        told.get("code").expect("a code").to_owned()
    }
}

/// Signs in, allows, and arrives at the client.
async fn arrive(browser: &Browser, parties: &Parties, state: &str) -> String {
    browser.goto(parties.authorize(state)).await.expect("a page");
    browser.sign_in(USERNAME, PASSWORD).await;
    browser.click("allow").await;
    browser.element("arrived").await;
    parties.code(state)
}

#[tokio::test]
async fn bcp_ui_02_as_aut_04_as_aut_05_the_browser_brings_code_state_and_issuer_to_the_client() {
    let (parties, browser) = (Parties::start().await, Browser::open().await);
    let state = "a state with ünusual+characters &=";
    assert!(!arrive(&browser, &parties, state).await.is_empty());
    assert_eq!(browser.title().await.expect("a title"), "moved", "pages run scripts in this browser");
    browser.close().await;
}

#[tokio::test]
async fn a_wrong_password_is_told_and_the_page_stays() {
    let (parties, browser) = (Parties::start().await, Browser::open().await);
    browser.goto(parties.authorize("s")).await.expect("a page");
    assert!(!browser.has("error").await);
    browser.sign_in(USERNAME, "not the password").await;
    let error = browser.element("error").await.text().await.expect("text");
    assert!(!error.is_empty());
    let username = browser.element("username").await;
    assert_eq!(
        username.prop("value").await.expect("a value").as_deref(),
        Some(USERNAME),
        "what was typed stays"
    );
    browser.element("password").await.send_keys(PASSWORD).await.expect("typed");
    browser.click("login").await;
    browser.click("allow").await;
    browser.element("arrived").await;
    parties.code("s");
    browser.close().await;
}

#[tokio::test]
async fn as_aut_15_as_aut_04_who_denies_sends_access_denied_to_the_client() {
    let (parties, browser) = (Parties::start().await, Browser::open().await);
    browser.goto(parties.authorize("the state")).await.expect("a page");
    browser.sign_in(USERNAME, PASSWORD).await;
    browser.click("deny").await;
    browser.element("arrived").await;
    let told = parties.told();
    assert_eq!(told.get("error"), Some("access_denied"), "{told:?}");
    assert_eq!(told.get("state"), Some("the state"));
    assert_eq!(told.get("iss"), Some(parties.servers.issuer.as_str()));
    assert_eq!(told.get("code"), None);
    browser.close().await;
}

#[tokio::test]
async fn nothing_needs_javascript() {
    let (parties, browser) = (Parties::start().await, Browser::with(Scripts::Off).await);
    assert!(!arrive(&browser, &parties, "s").await.is_empty());
    assert_eq!(browser.title().await.expect("a title"), "still", "pages run no scripts in this browser");
    browser.close().await;
}

#[tokio::test]
async fn oidc_fp_01_oidc_fp_03_a_form_brings_the_answer_by_itself_or_by_its_button() {
    let parties = Parties::start().await;
    for scripts in [Scripts::On, Scripts::Off] {
        let browser = Browser::with(scripts).await;
        let state = "\"><script>document.title = 'no'</script>";
        browser.goto(parties.authorize(state) + "&response_mode=form_post").await.expect("a page");
        browser.sign_in(USERNAME, PASSWORD).await;
        browser.click("allow").await;
        if scripts == Scripts::Off {
            browser.click("continue").await;
        }
        browser.element("arrived").await;
        let posted = parties.at_client.at("/callback").pop().expect("the client was called");
        assert_eq!((posted.method.as_str(), posted.target.query()), ("POST", None));
        let told = Form::parse(&posted.body).expect("a form");
        assert_eq!(
            (told.get("state"), told.get("iss")),
            (Some(state), Some(parties.servers.issuer.as_str()))
        );
        assert!(told.has("code"), "{told:?}");
        browser.close().await;
    }
}

#[tokio::test]
async fn bcp_ui_04_who_is_signed_in_is_asked_for_consent_only() {
    let (parties, browser) = (Parties::start().await, Browser::open().await);
    let first = arrive(&browser, &parties, "first").await;
    browser.goto(parties.authorize("second")).await.expect("a page");
    browser.element("allow").await;
    assert!(!browser.has("password").await);
    assert_eq!(browser.evaluate("document.cookie").await, "", "no script reads the session");
    let cookies = browser.get_all_cookies().await.expect("cookies");
    assert!(!cookies.is_empty());
    for cookie in cookies {
        assert_eq!(cookie.same_site, Some(SameSite::Lax), "{cookie:?}");
    }
    browser.click("allow").await;
    browser.element("arrived").await;
    assert_ne!(parties.code("second"), first);
    browser.close().await;
}

#[tokio::test]
async fn as_aut_14_bcp_red_05_a_faulty_request_shows_a_page_and_goes_back_by_its_button() {
    let (parties, browser) = (Parties::start().await, Browser::open().await);
    browser.goto(parties.ask(CLIENT_ID, "no-such-scope", "s")).await.expect("a page");
    assert!(browser.element("error").await.text().await.expect("text").contains("invalid_scope"));
    assert!(parties.at_client.all().is_empty(), "the browser was not sent away by itself");
    browser.click("return").await;
    browser.element("arrived").await;
    let told = parties.told();
    assert_eq!((told.get("error"), told.get("state")), (Some("invalid_scope"), Some("s")), "{told:?}");
    browser.close().await;
}

#[tokio::test]
async fn as_aut_03_an_unknown_client_gets_nobody_sent_anywhere() {
    let (parties, browser) = (Parties::start().await, Browser::open().await);
    browser.goto(parties.ask("nobody", "openid", "s")).await.expect("a page");
    assert!(!browser.element("error").await.text().await.expect("text").is_empty());
    assert!(!browser.has("return").await);
    let links = browser.evaluate("document.querySelectorAll('a, form').length").await;
    assert_eq!(links, 0);
    assert!(parties.at_client.all().is_empty());
    browser.close().await;
}

#[tokio::test]
async fn bcp_ui_01_a_framed_page_shows_nothing() {
    let (parties, browser) = (Parties::start().await, Browser::open().await);
    let (harmless, _) = serve("harmless", any(|| async { Html("<p id=\"inside\">seen</p>") })).await;
    let page = format!(
        "<!doctype html><title>frames</title><iframe id=\"harmless\" src=\"{harmless}/\"></iframe>\
         <iframe id=\"framed\" src=\"{}\"></iframe>",
        parties.authorize("s").replace('&', "&amp;")
    );
    let (foreign, _) = serve("foreign", any(move || std::future::ready(Html(page.clone())))).await;
    // The page is there when all its frames are.
    browser.goto(&foreign).await.expect("a page");
    browser.element("harmless").await.enter_frame().await.expect("a frame");
    assert_eq!(browser.element("inside").await.text().await.expect("text"), "seen", "frames work");
    browser.enter_default_frame().await.expect("the page");
    browser.element("framed").await.enter_frame().await.expect("a frame");
    for id in ["username", "password", "login"] {
        assert!(!browser.has(id).await, "{id}");
    }
    assert_eq!(parties.servers.at_provider.at("/authorize").len(), 1, "the frame did ask");
    browser.close().await;
}
