//! A person signs in: discovery, code with PKCE and proof, ID token, UserInfo, refresh, and calls of a guarded API.

use crate::peer::{Peer, Played};
use crate::peer::{assert_challenged_once, assert_orders};
use keybound_e2e::servers::CLIENT_ID;

/// What each peer has to have seen, and what we have to have seen of it.
fn assert_signed_in(played: &Played) {
    let (report, servers) = (&played.report, &played.servers);
    assert_eq!(report["id"]["iss"], servers.issuer, "{report:#}");
    assert_eq!(report["id"]["aud"], CLIENT_ID, "{report:#}");
    assert_eq!(report["userinfo"]["sub"], report["id"]["sub"], "{report:#}");
    assert_eq!(report["userinfo"]["email"], "alice@example.org", "{report:#}");
    let code = played.token_requests("authorization_code");
    assert_challenged_once(&code);
    let refresh = played.token_requests("refresh_token");
    let refreshed = refresh.last().expect("a refresh");
    for tokens in [code.last().expect("a request"), refreshed] {
        played.assert_bound(&tokens.answer);
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
