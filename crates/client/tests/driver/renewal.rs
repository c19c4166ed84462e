//! Renewals that go wrong, or meet what others did meanwhile.

use crate::mock::{INVALID_TOKEN, Mock, Parts, TOKENS, client, get, reply, session, transport};
use bytes::Bytes;
use keybound_client::api::{Api, ApiSettings, Place};
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::resource_exchange::ResourceError;
use keybound_client::session::Session;
use keybound_client::session_store::SessionStore;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::identifier::Issuer;
use parking_lot::Mutex;
use std::path::PathBuf;

const LONG_AGO: Option<UnixTime> = Some(UnixTime::from_secs(1_000));

/// A provider that rotates refresh tokens, `refresh-1` and so on, and a resource that takes the token of the last one.
async fn rotating(when_asked: impl Fn() + Send + Sync + 'static) -> Mock {
    let latest = Mutex::new(1);
    Mock::start(move |seen, _| {
        let mut latest = latest.lock();
        if seen.target != "/token" {
            let good = format!("DPoP token-{latest}");
            return if seen.authorization() == Some(&good) {
                reply(200, &[], "")
            } else {
                reply(401, &[INVALID_TOKEN, ("DPoP-Nonce", "n")], "")
            };
        }
        if seen.form().get("refresh_token") != Some(&format!("refresh-{latest}")) {
            return reply(400, &[], r#"{"error":"invalid_grant"}"#);
        }
        when_asked();
        *latest += 1;
        let (token, refresh) = (format!("token-{latest}"), format!("refresh-{latest}"));
        reply(200, &[], &TOKENS.replace("token-2", &token).replace("refresh-2", &refresh))
    })
    .await
}

struct Kept {
    folder: tempfile::TempDir,
    store: SessionStore,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SessionStore::open(folder.path().join("sessions")).expect("a store");
        Self { folder, store }
    }

    fn place(&self) -> Option<Place> {
        Some(Place { store: self.store.clone(), name: "work".to_owned() })
    }

    fn paths(&self) -> (PathBuf, PathBuf) {
        (self.folder.path().join("sessions"), self.folder.path().join("away"))
    }
}

/// A session that has expired, and calls with it.
fn expired(mock: &Mock, place: Option<Place>, change: impl FnOnce(&mut Session)) -> (Api, Session) {
    let client = client(&mock.origin, ClientAuth::None);
    let prover = client.prover().clone();
    let mut session = session(&prover, &mock.origin, &mock.origin);
    session.tokens.expires_at = LONG_AGO;
    change(&mut session);
    let settings = ApiSettings { renewal: Some(client), place, ..ApiSettings::default() };
    (Api::new(transport(), prover, session.clone(), settings).expect("an API"), session)
}

fn targets(mock: &Mock) -> Vec<String> {
    mock.seen().into_iter().map(|seen| seen.target).collect()
}

#[tokio::test]
async fn cl_tok_06_who_waits_for_a_renewal_that_fails_does_not_try_again() {
    let mock = rotating(|| ()).await;
    let used = |session: &mut Session| session.tokens.refresh_token = Some(Secret::new("used"));
    let (api, _) = expired(&mock, None, used);
    let calls = (0..20).map(|_| {
        let (api, url) = (api.clone(), format!("{}/x", mock.origin));
        tokio::spawn(async move { api.send(get(url)).await })
    });
    for call in Vec::from_iter(calls) {
        let refused = call.await.expect("joined").expect_err("refused").to_string();
        assert!(refused.contains("log in again"), "{refused}");
    }
    assert_eq!(targets(&mock), ["/token"]);
    // Who comes later does.
    api.send(get(format!("{}/x", mock.origin))).await.expect_err("refused");
    assert_eq!(targets(&mock), ["/token", "/token"]);
}

#[tokio::test]
async fn cl_tok_10_what_another_process_has_renewed_long_ago_is_renewed_again() {
    let (mock, kept) = (rotating(|| ()).await, Kept::new());
    let (api, session) = expired(&mock, kept.place(), |_| ());
    let mut other = session;
    other.tokens.access_token = Secret::new("token-0");
    kept.store.save("work", &other).expect("saved");
    let answer = api.send(get(format!("{}/x", mock.origin))).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(targets(&mock), ["/token", "/x"]);
}

#[tokio::test]
async fn cl_tok_05_tokens_that_cannot_be_kept_are_not_lost() {
    let kept = Kept::new();
    let (here, away) = kept.paths();
    let first = Mutex::new(Some(()));
    let rename = {
        let (here, away) = (here.clone(), away.clone());
        move || {
            if first.lock().take().is_some() {
                std::fs::rename(&here, &away).expect("renamed");
            }
        }
    };
    let mock = rotating(rename).await;
    let (api, session) = expired(&mock, kept.place(), |_| ());
    kept.store.save("work", &session).expect("saved");
    let url = || format!("{}/x", mock.origin);
    let told = api.send(get(url())).await;
    assert!(matches!(told, Err(ClientError::SessionStore(_))), "{told:?}");
    std::fs::rename(&away, &here).expect("renamed");
    // The file still holds `refresh-1`, which the server has rotated.
    assert_eq!(api.send(get(url())).await.expect("an answer").status(), 200);
    let renewed = api.renew(&api.session()).await.expect("renewed");
    assert_eq!(renewed.tokens.refresh_token, Some(Secret::new("refresh-3")));
    assert_eq!(kept.store.load("work").expect("loaded"), *renewed);
    // What others put there afterwards counts.
    let mut other = session;
    other.tokens.access_token = Secret::new("token-3b");
    other.tokens.expires_at = None;
    kept.store.save("work", &other).expect("saved");
    assert_eq!(*api.renew(&renewed).await.expect("renewed"), other);
}

#[tokio::test]
async fn cl_tok_05_another_servers_refresh_token_is_not_sent_to_this_one() {
    let (mock, kept) = (rotating(|| ()).await, Kept::new());
    let (api, mut other) = expired(&mock, kept.place(), |_| ());
    other.issuer = Issuer::parse("https://other.example").expect("an issuer");
    other.tokens.access_token = Secret::new("token-of-another");
    kept.store.save("work", &other).expect("saved");
    let refused = api.send(get(format!("{}/x", mock.origin))).await;
    assert!(matches!(refused, Err(ClientError::Resource(ResourceError::OtherLogin { .. }))), "{refused:?}");
    assert!(mock.seen().is_empty());
    let client = client(&mock.origin, ClientAuth::None);
    let prover = client.prover().clone();
    let session = session(&prover, "https://other.example", &mock.origin);
    let settings = ApiSettings { renewal: Some(client), ..ApiSettings::default() };
    let refused = Api::new(transport(), prover, session, settings);
    assert!(matches!(refused, Err(ResourceError::OtherLogin { .. })), "{refused:?}");
}

#[tokio::test]
async fn cl_non_12_cl_tok_10_a_token_that_is_renewed_before_a_stream_goes_with_the_stream() {
    let mock = rotating(|| ()).await;
    let (api, _) = expired(&mock, None, |session| {
        session.tokens.expires_at = None;
        session.tokens.access_token = Secret::new("token-0");
    });
    let body = Parts(40, Bytes::from(vec![b'x'; 4096]));
    let request = http::Request::put(format!("{}/x", mock.origin)).body(body).expect("a request");
    let answer = api.send_streaming(request).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let methods = Vec::from_iter(mock.seen().into_iter().map(|seen| seen.method));
    assert_eq!(methods, ["HEAD", "POST", "PUT"]);
}
