//! A client acts for itself: it authenticates with a secret or a key, and proves another key besides. It asks about its
//! token, and ends it.

use crate::peer::{Peer, Played, assert_challenged_once, assert_orders};

fn assert_served(played: &Played) {
    let requests = played.token_requests("client_credentials");
    assert_challenged_once(&requests);
    played.assert_bound(&requests.last().expect("a request").answer);
    assert_orders(played, 1);
    let ended = played.servers.at_provider.at("/revoke");
    assert_eq!(ended.last().expect("a revocation").answer.status, 200, "{ended:?}");
}

/// The same, and the peer was told what stands behind its token, and that nothing does in the end.
fn assert_served_and_told(played: &Played) {
    assert_served(played);
    let (report, told) = (&played.report, &played.report["told"]);
    assert_eq!(told["before"]["active"], true, "{report:#}");
    assert_eq!(told["before"]["token_type"], "DPoP", "{report:#}");
    assert_eq!(told["before"]["cnf"]["jkt"], report["jkt"], "{report:#}");
    assert_eq!(told["after"]["active"], false, "{report:#}");
}

#[tokio::test]
async fn openid_client_with_client_secret_basic() {
    assert_served_and_told(&Peer::Node("openid_client.mjs").play("secret", "secret").await);
}

#[tokio::test]
async fn openid_client_with_private_key_jwt() {
    assert_served_and_told(&Peer::Node("openid_client.mjs").play("key", "key").await);
}

#[tokio::test]
async fn oauth4webapi_with_client_secret_basic() {
    assert_served_and_told(&Peer::Node("oauth4webapi.mjs").play("secret", "secret").await);
}

#[tokio::test]
async fn oauth4webapi_with_private_key_jwt() {
    assert_served_and_told(&Peer::Node("oauth4webapi.mjs").play("key", "key").await);
}

#[tokio::test]
async fn requests_oauth2client_with_client_secret_basic() {
    assert_served_and_told(&Peer::Python("requests_oauth2client_peer.py").play("secret", "plain").await);
}

#[tokio::test]
async fn requests_oauth2client_with_private_key_jwt() {
    assert_served_and_told(&Peer::Python("requests_oauth2client_peer.py").play("key", "key").await);
}

#[tokio::test]
async fn huskarl_with_client_secret_basic() {
    assert_served(&Peer::Rust("huskarl-peer").play("secret", "secret").await);
}

#[tokio::test]
async fn huskarl_with_private_key_jwt() {
    assert_served(&Peer::Rust("huskarl-peer").play("key", "key").await);
}
