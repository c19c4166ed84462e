//! A person signs in: discovery, code with PKCE and proof, ID token, UserInfo, refresh, and calls of a guarded API.

use crate::peer::{Peer, Played, assert_challenged_once, assert_orders};
use keybound_e2e::servers::CLIENT_ID;
use keybound_oauth::form::Form;

/// What each peer has to have seen, and what we have to have seen of it.
fn assert_signed_in(played: &Played) {
    assert_challenged_once(&played.token_requests("authorization_code"));
    assert!(played.servers.at_provider.at("/par").is_empty());
    assert_served(played);
}

/// The same, and the request was pushed, with a proof: the nonce is known from there.
fn assert_pushed_and_signed_in(played: &Played) {
    assert_challenged_once(&played.servers.at_provider.at("/par"));
    assert_eq!(played.token_requests("authorization_code").len(), 1);
    let opened = played.servers.at_provider.at("/authorize").remove(0);
    let query = Form::parse(opened.target.query().expect("a query").as_bytes()).expect("parameters");
    assert!(query.get("request_uri").is_some() && query.get("scope").is_none(), "{opened:?}");
    assert_served(played);
}

fn assert_served(played: &Played) {
    let (report, servers) = (&played.report, &played.servers);
    assert_eq!(report["id"]["iss"], servers.issuer, "{report:#}");
    assert_eq!(report["id"]["aud"], CLIENT_ID, "{report:#}");
    assert_eq!(report["userinfo"]["sub"], report["id"]["sub"], "{report:#}");
    assert_eq!(report["userinfo"]["email"], "alice@example.org", "{report:#}");
    for grant_type in ["authorization_code", "refresh_token"] {
        let requests = played.token_requests(grant_type);
        played.assert_bound(&requests.last().expect("a request").answer);
    }
    assert_orders(played, 2);
}

#[tokio::test]
async fn openid_client_signs_in_refreshes_and_calls() {
    assert_signed_in(&Peer::Node("openid_client.mjs").play("public", CLIENT_ID).await);
}

#[tokio::test]
async fn oauth4webapi_signs_in_refreshes_and_calls() {
    assert_signed_in(&Peer::Node("oauth4webapi.mjs").play("public", CLIENT_ID).await);
}

#[tokio::test]
async fn requests_oauth2client_signs_in_refreshes_and_calls() {
    assert_signed_in(&Peer::Python("requests_oauth2client_peer.py").play("public", CLIENT_ID).await);
}

#[tokio::test]
async fn huskarl_signs_in_refreshes_and_calls() {
    assert_signed_in(&Peer::Rust("huskarl-peer").play("public", CLIENT_ID).await);
}

#[tokio::test]
async fn the_fetch_of_atproto_signs_in_refreshes_and_calls() {
    assert_signed_in(&Peer::Node("atproto.mjs").play("public", CLIENT_ID).await);
}

#[tokio::test]
async fn openid_client_pushes_its_request() {
    assert_pushed_and_signed_in(&Peer::Node("openid_client.mjs").play("pushed", CLIENT_ID).await);
}

#[tokio::test]
async fn oauth4webapi_pushes_its_request() {
    assert_pushed_and_signed_in(&Peer::Node("oauth4webapi.mjs").play("pushed", CLIENT_ID).await);
}

#[tokio::test]
async fn requests_oauth2client_pushes_its_request() {
    assert_pushed_and_signed_in(
        &Peer::Python("requests_oauth2client_peer.py").play("pushed", CLIENT_ID).await,
    );
}

#[tokio::test]
async fn huskarl_pushes_its_request() {
    assert_pushed_and_signed_in(&Peer::Rust("huskarl-peer").play("pushed", CLIENT_ID).await);
}
