//! A page calls the API from another origin, in a real browser that keeps the rules of Fetch: with a key that no script can
//! read, through the gateway, and back.

use crate::browser::Browser;
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::any;
use keybound_dpop::time::Clock;
use keybound_e2e::Servers;
use keybound_e2e::clock::AheadClock;
use keybound_e2e::servers::{CLIENT_ID, Exchange, PASSWORD, USERNAME, public_client, serve};
use serde_json::{Value, json};
use std::sync::Arc;

const PAGE: &str = include_str!("cross_origin.html");
/// The example of the guide, as it is.
const SCRIPT: &str = include_str!("../../../docs/examples/browser/dpop.js");

/// A server of pages on a port, and so an origin, of its own.
async fn pages() -> String {
    let page = |uri: Uri| async move {
        let (kind, text) = match uri.path() {
            "/dpop.js" => ("text/javascript", SCRIPT),
            _ => ("text/html; charset=utf-8", PAGE),
        };
        ([(CONTENT_TYPE, kind)], text).into_response()
    };
    serve("pages", any(page)).await.0
}

/// A page whose origin may call, and a browser that shows it.
struct Stage {
    servers: Servers,
    clock: Arc<AheadClock>,
    origin: String,
    browser: Browser,
}

impl Stage {
    async fn set() -> Self {
        let (origin, clock) = (pages().await, Arc::new(AheadClock::start()));
        let gate = format!(
            "[cors]\norigins = [\"{origin}\"]\n[[route]]\npath = \"/admin\"\nscopes = [\"admin\"]\n\
             [[route]]\npath = \"/away\"\nupstream = \"http://127.0.0.1:1\"\n"
        );
        let gate = (gate.as_str(), Arc::clone(&clock) as Arc<dyn Clock>);
        let servers = Servers::behind(vec![public_client()], "", gate).await;
        Self { servers, clock, origin, browser: Browser::open().await }
    }

    /// Signs in; gives what the page got for its code.
    async fn sign_in(&self) -> Value {
        self.show(&self.origin).await;
        let setting = json!({
            "issuer": self.servers.issuer, "client_id": CLIENT_ID, "resource": format!("{}/", self.servers.api),
        });
        let url = self.page(&format!("start({setting})")).await;
        self.browser.goto(url.as_str().expect("a URL")).await.expect("a page");
        self.browser.sign_in(USERNAME, PASSWORD).await;
        self.browser.click("allow").await;
        self.browser.element("page").await;
        self.page("finish()").await
    }

    /// Goes to a page of that origin.
    async fn show(&self, origin: &str) {
        self.browser.goto(format!("{origin}/")).await.expect("a page");
        self.browser.element("page").await;
    }

    /// What a function of the page gives.
    async fn page(&self, call: &str) -> Value {
        self.browser.evaluate_later(&format!("page.{call}")).await
    }

    /// What the page can read of the answer to a call of that path.
    async fn call(&self, path: &str, token: &Value) -> Value {
        self.page(&format!("call(\"{}{path}\", {token})", self.servers.api)).await
    }

    /// The gateway's answers to those requests.
    fn heard(&self, method: &str) -> Vec<Arc<Exchange>> {
        self.servers.at_gateway.all().into_iter().filter(|exchange| exchange.method == method).collect()
    }
}

#[tokio::test]
async fn ops_cors_02_rs_chl_12_cl_brw_03_a_page_reads_the_nonce_and_then_its_data() {
    let stage = Stage::set().await;
    let tokens = stage.sign_in().await;
    let token = &tokens["access_token"];
    assert_eq!(tokens["token_type"], "DPoP", "{tokens}");
    let bound =
        stage.servers.at_provider.at("/token").pop().expect("a request").answer.claims("access_token");
    assert_eq!(bound["cnf"]["jkt"], tokens["jkt"], "the key that was there before the sign-in");

    // Once only: the challenge can be read, nonce and all.
    let url = format!("{}/orders?page=1", stage.servers.api);
    let first = stage.page(&format!("call(\"{url}\", {token}, true)")).await;
    assert_eq!(first["status"], 401, "{first}");
    assert!(
        first["challenge"].as_str().is_some_and(|line| line.contains("error=\"use_dpop_nonce\"")),
        "{first}"
    );
    assert!(first["nonce"].as_str().is_some_and(|nonce| !nonce.is_empty()), "{first}");

    // As the guide has it: once more, with the nonce.
    let served = stage.call("/orders?page=1", token).await;
    assert_eq!((&served["status"], &served["body"]), (&json!(200), &json!("{\"orders\":[]}")), "{served}");
    assert_eq!(stage.call("/orders", token).await["status"], 200);
    let statuses: Vec<u16> = stage.heard("GET").iter().map(|call| call.answer.status.as_u16()).collect();
    assert_eq!(statuses, [401, 401, 200, 200]);

    // A new nonce on a good answer can be read too, and is used.
    stage.clock.put_forward(60);
    let renewed = stage.call("/orders", token).await;
    assert!(renewed["status"] == 200 && renewed["nonce"].is_string(), "{renewed}");
    assert_ne!(renewed["nonce"], first["nonce"]);
    assert_eq!(stage.call("/orders", token).await["nonce"], Value::Null);

    let preflights = stage.heard("OPTIONS");
    let asked = preflights[0].one("access-control-request-headers");
    assert_eq!((preflights[0].answer.status.as_u16(), asked.as_str()), (204, "authorization,dpop"));
    assert!(stage.servers.at_api.all().iter().all(|call| call.method == "GET"), "the API saw no preflight");
    assert_eq!(
        stage.page("steal()").await,
        json!({ "extractable": false, "exported": ["InvalidAccessError", "InvalidAccessError"] })
    );
    stage.browser.close().await;
}

#[tokio::test]
async fn ops_cors_03_a_page_reads_why_it_is_refused() {
    let stage = Stage::set().await;
    let token = stage.sign_in().await["access_token"].clone();
    assert_eq!(stage.call("/orders", &token).await["status"], 200);
    for (path, token, status, told) in [
        ("/orders", &json!("no.such.token"), 401, "invalid_token"),
        ("/orders", &json!("no token"), 400, "invalid_request"),
        ("/admin", &token, 403, "insufficient_scope"),
        ("/away", &token, 502, "bad_gateway"),
        ("/.well-known/oauth-protected-resource", &token, 200, "bearer_methods_supported"),
    ] {
        let heard = stage.call(path, token).await;
        assert_eq!(heard["status"], status, "{path}: {heard}");
        assert!(heard["body"].as_str().is_some_and(|body| body.contains(told)), "{path}: {heard}");
    }
    stage.browser.close().await;
}

#[tokio::test]
async fn ops_cors_04_atk_113_a_page_of_an_unknown_origin_gets_nothing() {
    let stage = Stage::set().await;
    let token = stage.sign_in().await["access_token"].clone();
    assert_eq!(stage.call("/orders", &token).await["status"], 200);
    let served = stage.servers.at_api.all().len();
    stage.show(&pages().await).await;
    assert_eq!(stage.call("/orders", &token).await, json!({ "error": "TypeError" }));
    // The browser asked whether it may, was not told that it may, and did not send the token.
    let last = stage.servers.at_gateway.all().pop().expect("a request");
    assert_eq!((last.method.as_str(), last.answer.status.as_u16()), ("OPTIONS", 204));
    assert!(last.answer.header("access-control-allow-origin").is_empty(), "{last:?}");
    // Without a preflight nothing but a plain request can be sent, and its answer cannot be read.
    let plain = format!("fetch(\"{}/orders\").then(() => \"read\", error => error.name)", stage.servers.api);
    assert_eq!(stage.browser.evaluate_later(&plain).await, "TypeError");
    assert_eq!(stage.servers.at_api.all().len(), served);
    stage.browser.close().await;
}
