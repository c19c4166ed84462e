//! A client that nobody wrote down: it registers itself, signs in, and signs out again.

use crate::peer::Peer;
use serde_json::json;

#[tokio::test]
async fn oidc_dcr_01_oidc_lgo_08_openid_client_registers_signs_in_and_signs_out() {
    let played = Peer::Node("openid_client.mjs").play_registering("registered").await;
    let report = &played.report;
    assert_eq!(report["client"]["dpop_bound_access_tokens"], true, "{report:#}");
    assert_eq!(report["id"]["aud"], report["client"]["client_id"], "{report:#}");
    // OpenID Connect Registration §2: a client that names no algorithm gets this one.
    assert_eq!(report["algorithm"], "RS256", "{report:#}");
    for userinfo in report["userinfo"].as_array().expect("an array") {
        assert_eq!(userinfo["sub"], report["id"]["sub"], "{report:#}");
        assert_eq!(userinfo["email"], "alice@example.org", "{report:#}");
    }
    assert_eq!(report["left"], json!({ "state": "bye" }), "{report:#}");
    assert_eq!(report["silent"], "login_required", "{report:#}");
    assert_eq!(report["dead"], "invalid_grant", "{report:#}");
}
