//! Guards of other people take our access tokens from whom they belong to, and from nobody else.

use crate::peer::Peer;
use serde_json::json;

#[tokio::test]
async fn express_oauth2_jwt_bearer_accepts_our_token_with_its_key_only() {
    let report = Peer::Node("guards.mjs").play("express", "secret").await.report;
    assert_eq!(report["served"], json!({ "status": 200, "body": { "client": "secret" } }), "{report:#}");
    for refused in ["stolen", "bearer"] {
        assert!(matches!(report[refused]["status"].as_u64(), Some(400 | 401)), "{refused}: {report:#}");
    }
    assert_eq!(report["stolen"]["error"], json!(["invalid_token"]), "{report:#}");
}

#[tokio::test]
async fn oauth4webapi_accepts_our_token_with_its_key_only() {
    let report = Peer::Node("guards.mjs").play("validator", "secret").await.report;
    assert_eq!(report["served"], json!({ "client": "secret" }), "{report:#}");
    assert_eq!(report["stolen"]["claim"], "cnf.jkt", "{report:#}");
    assert_eq!(report["bearer"]["code"], "OAUTH_INVALID_RESPONSE", "{report:#}");
}
