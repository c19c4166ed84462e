//! Secrets on the side (RFC 9700 §4.3): not in what is logged, said or shown while everything goes wrong.

use crate::server::{Hostile, says};
use crate::victim::{CODE, REFRESH, SECRETS, TOKEN, begin, client, get, post, session, tokens, transport};
use keybound_client::api::{Api, ApiSettings, Place};
use keybound_client::session_store::SessionStore;
use keybound_dpop::secret::Secret;
use keybound_e2e::lines::{Lines, hear};
use serde_json::json;
use std::fmt::Debug;
use tempfile::TempDir;

/// What an error says, in both ways.
fn shown<T: Debug, E: std::error::Error>(result: Result<T, E>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{error} {error:?} {:?}", error.source()),
    }
}

/// A server says all there is to say, each with the secrets that it was told, and the client tells of it.
#[tokio::test]
async fn cl_tok_09_cl_key_02_ops_log_01_atk_126_nothing_secret_is_said_on_the_side() {
    hear();
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let statuses = [200, 200, 400, 401, 403, 404, 429, 500, 503, 302];
    let hostile = Hostile::start(move |_, before| {
        let status = statuses[before % statuses.len()];
        let echo = json!({
            "error": "invalid_grant", "access_token": TOKEN, "refresh_token": REFRESH, "id_token": CODE,
            "token_type": if before % 4 == 0 { "DPoP" } else { "Bearer" },
        });
        let nonce = format!("n{before}");
        if before == 0 {
            return says(400, &[("DPoP-Nonce", &nonce)], r#"{"error":"use_dpop_nonce"}"#);
        }
        let challenge = [
            ("WWW-Authenticate", r#"DPoP error="invalid_token""#),
            ("DPoP-Nonce", &nonce),
            ("Location", "/x"),
        ];
        says(status, &challenge, &echo.to_string())
    })
    .await;
    let folder = TempDir::new().expect("a folder");
    let store = SessionStore::open(folder.path().join("sessions")).expect("a store");
    let client = client(&hostile.origin);
    let session = session(client.prover(), &hostile.origin, &[&hostile.origin]);
    store.save("default", &session).expect("saved");
    let place = Some(Place { store: store.clone(), name: "default".to_owned() });
    let renewing = ApiSettings { renewal: Some(client.clone()), place, ..ApiSettings::default() };
    let api = Api::new(transport(), client.prover().clone(), session.clone(), renewing).expect("an API");
    let mut told = format!("{client:?} {api:?} {session:?} {:?}", tokens());
    for _ in 0..statuses.len() {
        let (login, sent) = begin(&client).await;
        told.push_str(&format!("{login:?} {}", login.url()));
        let query =
            Secret::new(format!("code={CODE}&state={}&iss={}", sent.state.expect("a state"), hostile.origin));
        told.push_str(&shown(client.finish_login(login, &query).await));
        told.push_str(&shown(client.refresh(&tokens()).await));
        let status = |response: http::Response<_>| response.status();
        told.push_str(&shown(api.send(get(&hostile.origin)).await.map(status)));
        told.push_str(&shown(api.send(post(&hostile.origin)).await.map(status)));
    }
    let logged = lines.take();
    assert!(logged.contains("connecting to 127.0.0.1"), "something is logged: {logged}");
    let asked = hostile.asked();
    let proofs = asked.iter().flat_map(|one| one.header("dpop"));
    for secret in SECRETS.into_iter().chain(proofs) {
        assert!(!told.contains(secret), "`{secret}` is told: {told}");
        assert!(!logged.contains(secret), "`{secret}` is logged");
    }
    // And never in a URL.
    for one in hostile.asked() {
        assert!(SECRETS.iter().all(|secret| !one.target().contains(secret)), "{one:?}");
    }
    for (name, mode, _) in crate::keys::files(folder.path()) {
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}
