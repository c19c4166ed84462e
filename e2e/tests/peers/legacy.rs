//! Clients that know OpenID Connect and nothing of proofs: for them an operator registers `legacy_oidc`.

use crate::peer::Peer;
use serde_json::json;

/// Signed in with checks of their own, the same user at UserInfo before and after a refresh, and signed out.
async fn assert_signs_in(peer: Peer) {
    let played = peer.play("legacy", "legacy").await;
    let (report, issuer) = (&played.report, &played.servers.issuer);
    assert_eq!(report["id"]["iss"], json!(issuer), "{report:#}");
    for userinfo in report["userinfo"].as_array().expect("an array") {
        assert_eq!(userinfo["sub"], report["id"]["sub"], "{report:#}");
        assert_eq!(userinfo["email"], "alice@example.org", "{report:#}");
    }
    assert_eq!(report["left"], "http://127.0.0.1:9/callback?state=bye", "{report:#}");
    let at_token = played.servers.at_provider.at("/token");
    let statuses: Vec<u16> = at_token.iter().map(|exchange| exchange.answer.status.as_u16()).collect();
    assert_eq!(statuses, [200, 200], "{at_token:#?}");
    assert!(at_token.iter().all(|exchange| exchange.header("dpop").is_empty()));
    assert!(at_token.iter().all(|exchange| exchange.answer.text("token_type") == "Bearer"));
}

#[tokio::test]
async fn oidc_aut_23_oidc_lgo_06_authlib_signs_in_refreshes_and_signs_out() {
    assert_signs_in(Peer::Python("authlib_peer.py")).await;
}

#[tokio::test]
async fn oidc_aut_23_oidc_lgo_06_openidconnect_signs_in_refreshes_and_signs_out() {
    assert_signs_in(Peer::Rust("openidconnect-peer")).await;
}
