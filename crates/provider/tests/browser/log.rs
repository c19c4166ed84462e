//! What the log says, and what it must not.

use crate::common::{CALLBACK, CHALLENGE, PASSWORD, World, query};
use keybound_oauth::pushed::PushedResponse;
use serde_json::json;
use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// A second subscriber, which hears nothing: where there is one only, whether an event is of interest is asked of the
/// thread that comes by it first, and remembered for all.
static SILENT: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));

/// Everything that this thread logs, as JSON lines would have it.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn open() -> (Self, DefaultGuard) {
        LazyLock::force(&SILENT);
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn as_pkc_06_a_constant_challenge_is_flagged() {
    let world = World::open().await;
    let (log, _guard) = Log::open();
    let mut browser = world.browser();
    browser.allow(&[]).await;
    assert!(!log.text().contains("constant_challenge"));
    let other = CHALLENGE.replace("cM", "c8");
    let page = browser.ask(&[("code_challenge", &other)]).await;
    browser.press(&page, "allow").await.answer();
    assert!(!log.text().contains("constant_challenge"));
    let page = browser.ask(&[("state", "another")]).await;
    assert!(browser.press(&page, "allow").await.answer().form.has("code"), "flagged, not refused");
    let flagged = log.text().lines().filter(|line| line.contains("constant_challenge")).count();
    assert_eq!(flagged, 1);
}

#[tokio::test]
async fn ops_log_02_sign_ins_and_answers_are_audited() {
    let world = World::open().await;
    let (log, _guard) = Log::open();
    let mut browser = world.browser();
    let page = browser.ask(&[]).await;
    browser.sign_in(&page, "ada", "wrong").await;
    let page = browser.reach_consent(&[]).await;
    browser.press(&page, "deny").await;
    browser.press(&page, "allow").await;
    browser.ask(&[("scope", "unknown")]).await;
    let (request, csrf) = (page.field("request"), page.field("csrf"));
    let fields = [("request", request.as_str()), ("csrf", &csrf), ("allow", "1"), ("remember", "1")];
    browser.post("/consent", &fields).await;
    browser.ask(&[]).await;
    let answers = ["consent_refused", "consent_given", "consent_remembered", "consent_used"];
    for event in ["sign_in_failed", "signed_in", "refused"].iter().chain(&answers) {
        assert!(log.text().contains(&format!("event=\"{event}\"")), "{event}: {}", log.text());
    }
}

#[tokio::test]
async fn oidc_aut_23_a_code_without_a_challenge_is_audited() {
    let old = json!({"client_id": "old", "redirect_uris": [CALLBACK], "legacy_oidc": true});
    let world = World::with_clients(&[old]).await;
    let (log, _guard) = Log::open();
    old_client_gets_a_code(&world, &[]).await;
    assert!(!log.text().contains("no_challenge"), "it has one");
    old_client_gets_a_code(&world, &[("code_challenge", ""), ("code_challenge_method", "")]).await;
    let text = log.text();
    let told = text.lines().find(|line| line.contains("event=\"no_challenge\"")).expect("an event");
    assert!(told.contains("client_id=\"old\"") && told.contains("OIDC-AUT-23"), "{told}");
}

async fn old_client_gets_a_code(world: &World, changes: &[(&str, &str)]) {
    let changes = [&[("client_id", "old")], changes].concat();
    assert!(world.browser().allow(&changes).await.form.has("code"));
}

#[tokio::test]
async fn ops_log_01_no_secret_and_no_name_is_in_the_log() {
    let world = World::open().await;
    let (log, _guard) = Log::open();
    let mut browser = world.browser();
    let page = browser.ask(&[("nonce", "canary-nonce")]).await;
    browser.sign_in(&page, "ada", "canary-wrong").await;
    let answer = browser.allow(&[("nonce", "canary-nonce"), ("state", "canary-state")]).await;
    let text = log.text();
    assert!(text.contains("signed_in"));
    let mut secrets = vec![PASSWORD, "canary", "subject-of-ada", "\"ada\"", answer.get("code")];
    secrets.extend(browser.cookies.values().map(String::as_str));
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[tokio::test]
async fn ops_log_01_no_reference_to_a_pushed_request_is_in_the_log() {
    let world = World::open().await;
    let (log, _guard) = Log::open();
    let mut browser = world.browser();
    let request = http::Request::post("/par")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(query(&[("state", "canary-state")]).into())
        .unwrap();
    let page = browser.send(request).await;
    let pushed = PushedResponse::parse(page.body.as_bytes()).unwrap();
    let reference = pushed.request_uri.reveal().rsplit_once('.').unwrap().1;
    for client_id in ["app", "nobody", "app"] {
        let uri = pushed.request_uri.reveal();
        browser.get(&format!("/authorize?client_id={client_id}&request_uri={uri}")).await;
        world.clock.turn(60);
    }
    let text = log.text();
    assert!(text.contains("event=\"pushed\"") && text.contains("AS-PAR-11"), "{text}");
    assert!(!text.contains(reference) && !text.contains("canary"), "{text}");
}

#[tokio::test]
async fn ops_log_04_what_came_is_escaped() {
    let world = World::open().await;
    let (log, _guard) = Log::open();
    let mut browser = world.browser();
    browser.ask(&[("client_id", "a\u{1b}[31m\r\nb")]).await;
    browser.ask(&[("redirect_uri", "https://evil.example/\u{1b}]0;x\u{7}\n")]).await;
    let text = log.text();
    assert_eq!(text.lines().count(), 2, "one line an event: {text}");
    assert!(text.contains("evil.example") && text.contains("nearest: https://app.example/cb"));
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}') && !text.contains('\r'));
}
