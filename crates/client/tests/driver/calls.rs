//! Calls to resources: tokens, renewal, redirects, and what is told when the key does not fit.

use crate::mock::{INVALID_TOKEN, Mock, TOKENS, api, client, get, reply, session, transport};
use keybound_client::api::{Api, ApiSettings, Place};
use keybound_client::client::Client;
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::redirect::Redirects;
use keybound_client::resource_exchange::ResourceError;
use keybound_client::session::Session;
use keybound_client::session_store::SessionStore;
use keybound_client::token_endpoint::TokenError;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_dpop::token_hash::TokenHash;

/// A provider and a resource in one: tokens beside `token-2` are refused.
async fn renewing() -> Mock {
    Mock::start(|seen, _| match (seen.target.as_str(), seen.authorization()) {
        ("/token", _) if seen.form().get("refresh_token") == Some("refresh-1") => reply(200, &[], TOKENS),
        ("/token", _) => reply(400, &[], r#"{"error":"invalid_grant"}"#),
        (_, Some("DPoP token-2")) => reply(200, &[], ""),
        _ => reply(401, &[INVALID_TOKEN], ""),
    })
    .await
}

fn renewable(mock: &Mock, settings: ApiSettings) -> (Api, Client, Session) {
    let client = client(&mock.origin, ClientAuth::None);
    let session = session(client.prover(), &mock.origin, &mock.origin);
    let settings = ApiSettings { renewal: Some(client.clone()), ..settings };
    let api = Api::new(transport(), client.prover().clone(), session.clone(), settings).expect("an API");
    (api, client, session)
}

fn token_calls(mock: &Mock) -> usize {
    mock.seen().iter().filter(|seen| seen.target == "/token").count()
}

#[tokio::test]
async fn cl_tok_02_a_resource_request_has_scheme_proof_and_ath() {
    let mock = Mock::start(|_, _| reply(200, &[], "yes")).await;
    let answer = api(&mock.origin, ApiSettings::default()).send(get(format!("{}/a?b=c", mock.origin))).await;
    assert_eq!(answer.expect("an answer").body().as_ref(), b"yes");
    let seen = &mock.seen()[0];
    assert_eq!((seen.target.as_str(), seen.authorization()), ("/a?b=c", Some("DPoP token-1")));
    assert_eq!(seen.proof()["ath"], TokenHash::of("token-1").ath());
    assert_eq!(seen.proof()["htu"], format!("{}/a", mock.origin));
}

#[tokio::test]
async fn cl_tok_03_a_bound_token_is_never_tried_as_bearer() {
    let both = [INVALID_TOKEN, ("WWW-Authenticate", "Bearer error=\"invalid_token\"")];
    let mock = Mock::start(move |_, _| reply(401, &both, "")).await;
    let answer = api(&mock.origin, ApiSettings::default()).send(get(format!("{}/a", mock.origin))).await;
    assert_eq!(answer.expect("an answer").status(), 401);
    let schemes: Vec<_> = mock.seen().iter().map(|seen| seen.authorization().map(str::to_owned)).collect();
    assert_eq!(schemes, [Some("DPoP token-1".to_owned())]);
}

#[tokio::test]
async fn cl_tok_06_parallel_refusals_make_one_refresh() {
    let mock = renewing().await;
    let (api, ..) = renewable(&mock, ApiSettings::default());
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (api, url) = (api.clone(), format!("{}/x", mock.origin));
            tokio::spawn(async move { api.send(get(url)).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.expect("joined").expect("an answer").status(), 200);
    }
    assert_eq!(token_calls(&mock), 1);
}

#[tokio::test]
async fn cl_tok_10_a_refused_token_is_renewed_once() {
    let mock = Mock::start(|seen, _| match seen.target.as_str() {
        "/token" => reply(200, &[], TOKENS),
        _ => reply(401, &[INVALID_TOKEN], ""),
    })
    .await;
    let (api, ..) = renewable(&mock, ApiSettings::default());
    let answer = api.send(get(format!("{}/x", mock.origin))).await.expect("an answer");
    assert_eq!(answer.status(), 401);
    assert_eq!((mock.seen().len(), token_calls(&mock)), (3, 1));
}

#[tokio::test]
async fn cl_tok_10_an_expired_token_is_renewed_before_it_is_sent() {
    let mock = renewing().await;
    let (_, client, mut session) = renewable(&mock, ApiSettings::default());
    session.tokens.expires_at = Some(UnixTime::from_secs(1_000));
    let settings = ApiSettings { renewal: Some(client.clone()), ..ApiSettings::default() };
    let api = Api::new(transport(), client.prover().clone(), session, settings).expect("an API");
    api.send(get(format!("{}/x", mock.origin))).await.expect("an answer");
    let targets: Vec<_> = mock.seen().iter().map(|seen| seen.target.clone()).collect();
    assert_eq!(targets, ["/token", "/x"]);
}

#[tokio::test]
async fn cl_tok_05_two_processes_refresh_once_and_the_new_tokens_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SessionStore::open(folder.path().join("sessions")).expect("a store");
    let place = Some(Place { store: store.clone(), name: "work".to_owned() });
    let mock = renewing().await;
    let (one, client, session) =
        renewable(&mock, ApiSettings { place: place.clone(), ..ApiSettings::default() });
    store.save("work", &session).expect("saved");
    let settings = ApiSettings { place, renewal: Some(client.clone()), ..ApiSettings::default() };
    let other = Api::new(transport(), client.prover().clone(), session, settings).expect("an API");
    let url = format!("{}/x", mock.origin);
    let (first, second) = tokio::join!(one.send(get(url.clone())), other.send(get(url)));
    assert_eq!(
        (first.expect("an answer").status(), second.expect("an answer").status()),
        (200.try_into().expect("a status"), 200.try_into().expect("a status"))
    );
    assert_eq!(token_calls(&mock), 1);
    let kept = store.load("work").expect("loaded");
    assert_eq!(kept.tokens.access_token, Secret::new("token-2"));
    assert_eq!(kept.tokens.refresh_token, Some(Secret::new("refresh-2")));
    assert_eq!((*one.session()).clone(), kept);
    assert_eq!((*other.session()).clone(), kept);
}

#[tokio::test]
async fn cl_tok_05_a_caller_who_goes_away_loses_no_tokens() {
    let mock = renewing().await;
    let (api, _, stale) = renewable(&mock, ApiSettings::default());
    let mut call = Box::pin(api.renew(&stale));
    // One poll starts the renewal; then the caller is gone.
    std::future::poll_fn(|cx| {
        assert!(call.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    drop(call);
    let renewed = api.renew(&stale).await.expect("renewed");
    assert_eq!(renewed.tokens.access_token, Secret::new("token-2"));
    assert_eq!(token_calls(&mock), 1);
}

#[tokio::test]
async fn a_refused_refresh_is_told() {
    let mock = renewing().await;
    let (_, client, mut session) = renewable(&mock, ApiSettings::default());
    session.tokens.refresh_token = Some(Secret::new("used"));
    let settings = ApiSettings { renewal: Some(client.clone()), ..ApiSettings::default() };
    let api = Api::new(transport(), client.prover().clone(), session, settings).expect("an API");
    let refused = api.send(get(format!("{}/x", mock.origin))).await.expect_err("refused");
    assert!(matches!(refused, ClientError::Token(TokenError::Refused { .. })));
    assert!(refused.to_string().contains("log in again"), "{refused}");
}

#[tokio::test]
async fn cl_red_01_redirects_are_surfaced() {
    let mock = Mock::start(|_, _| reply(302, &[("Location", "/next")], "")).await;
    let answer = api(&mock.origin, ApiSettings::default()).send(get(format!("{}/x", mock.origin))).await;
    assert_eq!(answer.expect("an answer").headers().get("Location").expect("a location"), "/next");
    assert_eq!(mock.seen().len(), 1);
}

#[tokio::test]
async fn cl_red_02_followed_redirects_have_new_proofs() {
    let mock = Mock::start(|seen, _| match seen.target.as_str() {
        "/moved" => reply(308, &[("Location", "/there?q=1")], ""),
        "/there?q=1" => reply(303, &[("Location", "/see")], ""),
        "/see" => reply(200, &[], ""),
        _ => reply(302, &[("Location", "/loop")], ""),
    })
    .await;
    let api = api(&mock.origin, ApiSettings { redirects: Redirects::SameOrigin, ..ApiSettings::default() });
    let mut request = get(format!("{}/moved", mock.origin));
    *request.method_mut() = http::Method::POST;
    *request.body_mut() = "body".into();
    assert_eq!(api.send(request).await.expect("an answer").status(), 200);
    let seen = mock.seen();
    let sent: Vec<_> = seen.iter().map(|seen| (seen.method.as_str(), seen.body.as_ref())).collect();
    assert_eq!(sent, [("POST", &b"body"[..]), ("POST", &b"body"[..]), ("GET", &b""[..])]);
    for (seen, path) in seen.iter().zip(["/moved", "/there", "/see"]) {
        assert_eq!(seen.proof()["htu"], format!("{}{path}", mock.origin));
        assert_eq!(seen.proof()["htm"], seen.method.as_str());
    }
    let looping = api.send(get(format!("{}/loop", mock.origin))).await.expect("an answer");
    assert_eq!((looping.status().as_u16(), mock.seen().len()), (302, 3 + 6));
}

#[tokio::test]
async fn cl_red_03_another_origin_gets_neither_token_nor_proof() {
    let other = Mock::start(|_, _| reply(200, &[], "")).await;
    let location = format!("{}/x", other.origin);
    let mock = Mock::start(move |_, _| reply(307, &[("Location", &location)], "")).await;
    let api = api(&mock.origin, ApiSettings { redirects: Redirects::SameOrigin, ..ApiSettings::default() });
    assert_eq!(api.send(get(format!("{}/x", mock.origin))).await.expect("an answer").status(), 307);
    let refused = api.send(get(format!("{}/x", other.origin))).await;
    assert!(matches!(refused, Err(ClientError::Resource(ResourceError::Origin(_)))));
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn cl_prf_09_the_key_is_not_changed_silently() {
    let refusal = ("WWW-Authenticate", r#"DPoP error="invalid_dpop_proof", algs="PS256""#);
    let mock = Mock::start(move |_, _| reply(401, &[refusal], "")).await;
    let refused = api(&mock.origin, ApiSettings::default()).send(get(format!("{}/x", mock.origin))).await;
    assert!(refused.expect_err("refused").to_string().contains("PS256"));
    assert_eq!(mock.seen().len(), 1);
}

#[tokio::test]
async fn cl_key_03_a_session_is_of_use_with_its_own_key_only() {
    let (own, other) = (crate::mock::prover(), crate::mock::prover());
    let session = session(&own, "https://id.example", "https://api.example");
    let refused = Api::new(transport(), other, session, ApiSettings::default());
    assert!(matches!(refused, Err(ResourceError::WrongKey { .. })));
}
