//! The client over `reqwest`.

use crate::mock::{CHALLENGE, Mock, Parts, client, reply, session};
use bytes::Bytes;
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::middleware::{DpopClient, SendError};
use keybound_client::resource_exchange::ResourceError;
use keybound_client::shared_session::{SharedSession, Upkeep};
use std::time::Duration;

#[expect(clippy::disallowed_methods, reason = "the builder is what a caller of DpopClient brings")]
fn dpop_client(origin: &str) -> DpopClient {
    let client = client(origin, ClientAuth::None);
    let session = session(client.prover(), origin, origin);
    let shared = SharedSession::new(client.prover().clone(), session, Upkeep::default()).expect("a session");
    // Whatever the builder was told about redirects.
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::limited(3));
    DpopClient::build(builder, shared).expect("a client")
}

#[tokio::test]
async fn cl_non_01_cl_prf_01_a_request_of_reqwest_is_sent_again_with_a_new_proof() {
    let mock = Mock::start(|seen, _| match seen.nonce().as_deref() {
        Some("n") => reply(200, &[("DPoP-Nonce", "n2")], &String::from_utf8_lossy(&seen.body)),
        Some("n2") => reply(200, &[], "second"),
        _ => reply(401, &[CHALLENGE, ("DPoP-Nonce", "n")], ""),
    })
    .await;
    let client = dpop_client(&mock.origin);
    let post = || client.http().post(format!("{}/x?q=1", mock.origin)).timeout(Duration::from_secs(30));
    let answer = client.execute(post().body("all").build().expect("a request")).await.expect("an answer");
    assert_eq!(answer.text().await.expect("a body"), "all");
    let answer = client.execute(post().build().expect("a request")).await.expect("an answer");
    assert_eq!(answer.text().await.expect("a body"), "second");
    let seen = mock.seen();
    assert_eq!(seen.len(), 3);
    assert_ne!(seen[0].proof()["jti"], seen[1].proof()["jti"]);
    for seen in seen {
        assert_eq!(seen.proof()["htu"], format!("{}/x", mock.origin));
        assert_eq!((seen.target.as_str(), seen.authorization()), ("/x?q=1", Some("DPoP token-1")));
    }
}

#[tokio::test]
async fn cl_non_12_a_stream_of_reqwest_follows_a_request_that_brings_the_nonce() {
    let mock = Mock::start(|seen, _| match seen.nonce() {
        Some(_) => reply(200, &[], &seen.body.len().to_string()),
        None => reply(401, &[CHALLENGE, ("DPoP-Nonce", "n")], ""),
    })
    .await;
    let client = dpop_client(&mock.origin);
    let body = reqwest::Body::wrap(Parts(1000, Bytes::from_static(&[0; 1000])));
    let request = client.http().put(format!("{}/x", mock.origin)).body(body).build().expect("a request");
    let answer = client.execute(request).await.expect("an answer");
    assert_eq!(answer.text().await.expect("a body"), "1000000");
    let methods = Vec::from_iter(mock.seen().into_iter().map(|seen| seen.method));
    assert_eq!(methods, ["HEAD", "PUT"]);
}

#[tokio::test]
async fn cl_red_01_cl_red_03_atk_122_reqwest_follows_no_redirect_whatever_its_builder_was_told() {
    let other = Mock::start(|_, _| reply(200, &[], "")).await;
    let location = format!("{}/x", other.origin);
    let mock = Mock::start(move |_, _| reply(307, &[("Location", &location)], "")).await;
    let client = dpop_client(&mock.origin);
    let get = |url: String| client.execute(client.http().get(url).build().expect("a request"));
    let answer = get(format!("{}/x", mock.origin)).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), mock.seen().len()), (307, 1));
    let refused = get(format!("{}/x", other.origin)).await;
    let Err(SendError::Client(ClientError::Resource(ResourceError::Origin(_)))) = refused else {
        panic!("{refused:?}");
    };
    assert!(other.seen().is_empty());
}
