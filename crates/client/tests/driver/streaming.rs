//! Bodies that are sent and read as they come.

use crate::mock::{CHALLENGE, INVALID_TOKEN, Mock, Parts, TOKENS, api, client, reply, session, transport};
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use keybound_client::api::{Api, ApiSettings};
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::redirect::Redirects;
use keybound_client::resource_exchange::ResourceError;
use keybound_client::resource_refused;
use keybound_fetch::Streaming;

async fn length(mut answer: Streaming) -> usize {
    let mut length = 0;
    while let Some(chunk) = answer.chunk().await.expect("a part") {
        length += chunk.len();
    }
    length
}

fn post<B>(url: String, body: B) -> Request<B> {
    Request::post(url).body(body).expect("a request")
}

const PART: Bytes = Bytes::from_static(&[b'x'; 1024]);

#[tokio::test]
async fn cl_non_12_uploads_and_downloads_of_any_size() {
    let mock = Mock::start(|seen, _| match (seen.method.as_str(), seen.nonce()) {
        ("HEAD", _) => reply(405, &[("DPoP-Nonce", "n")], ""),
        (_, Some(_)) => Response::new(Body::new(Parts(seen.body.len() / PART.len() * 16, PART))),
        _ => reply(401, &[CHALLENGE, ("DPoP-Nonce", "n")], ""),
    })
    .await;
    let api = api(&mock.origin, ApiSettings { max_body_bytes: 10, ..ApiSettings::default() });
    let answer = api.send_streaming(post(format!("{}/x", mock.origin), Parts(1000, PART))).await;
    assert_eq!(length(answer.expect("an answer")).await, 16 * 1000 * PART.len());
    assert_eq!(mock.seen().len(), 2);
}

#[tokio::test]
async fn cl_non_12_a_token_that_is_refused_under_a_long_body_is_renewed_and_told() {
    let mock = Mock::start(|seen, _| match (seen.target.as_str(), seen.authorization()) {
        ("/token", _) => reply(200, &[], TOKENS),
        (_, Some("DPoP token-2")) => reply(200, &[], ""),
        // As a server that does not look at the token of a HEAD.
        _ if seen.method == "HEAD" => reply(404, &[], ""),
        _ => reply(401, &[INVALID_TOKEN], ""),
    })
    .await;
    let client = client(&mock.origin, ClientAuth::None);
    let session = session(client.prover(), &mock.origin, &mock.origin);
    let prover = client.prover().clone();
    let settings = ApiSettings { renewal: Some(client), ..ApiSettings::default() };
    let api = Api::new(transport(), prover, session, settings).expect("an API");
    let send = || api.send_streaming(post(format!("{}/x", mock.origin), Parts(1000, PART)));
    let refused = send().await;
    assert!(matches!(refused, Err(ClientError::Resource(ResourceError::ResendNeeded(_)))), "{refused:?}");
    assert_eq!(send().await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn cl_red_02_a_redirect_of_a_stream_is_followed_where_no_body_goes_along() {
    let mock = Mock::start(|seen, _| match seen.target.as_str() {
        "/done" => reply(303, &[("Location", "/see")], ""),
        "/moved" => reply(308, &[("Location", "/see")], ""),
        _ => reply(200, &[], &seen.method),
    })
    .await;
    let api = api(&mock.origin, ApiSettings { redirects: Redirects::SameOrigin, ..ApiSettings::default() });
    let send = |path: &str| api.send_streaming(post(format!("{}{path}", mock.origin), Full::new(PART)));
    let seen_other = send("/done").await.expect("an answer");
    assert_eq!((seen_other.status().as_u16(), length(seen_other).await), (200, 3));
    assert_eq!(send("/moved").await.expect("an answer").status(), 308);
    let last = mock.seen().into_iter().find(|seen| seen.target == "/see").expect("one");
    assert_eq!((last.proof()["htm"].as_str(), last.body.len()), (Some("GET"), 0));
}

#[tokio::test]
async fn a_refusal_of_a_stream_says_what_to_do() {
    let line = ("WWW-Authenticate", r#"DPoP error="insufficient_scope", scope="write""#);
    let mock = Mock::start(move |_, _| reply(403, &[line], "")).await;
    let api = api(&mock.origin, ApiSettings::default());
    let answer = api.send_streaming(post(format!("{}/x", mock.origin), Full::new(PART))).await;
    let told = resource_refused::judge(&answer.expect("an answer"), api.shared_session().prover().now());
    assert!(told.expect_err("refused").to_string().contains("the scope `write`"));
}
