//! The gateway before an API whose tokens another provider issues.

use crate::peer::Peer;
use keybound_e2e::servers::Gate;
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// What the API's client is known by at the issuer.
const API_SECRET: &str = "a secret of the API";

/// Tokens of that form reach the API from whom they belong to, and nobody else comes through.
async fn assert_guarded(flow: &str, more: &str) -> Value {
    let gate = Gate::build().await;
    let (api, at_api) = (gate.api.clone(), gate.at_api.clone());
    let setting = json!({
        "resource": format!("{api}/"), "orders": format!("{api}/orders?page=1"), "api_secret": API_SECRET,
    });
    let report = Peer::Node("oidc_provider.mjs").play_issuing(flow, gate, &setting, more).await;
    let served = json!({ "status": 200, "body": { "orders": [] } });
    assert_eq!(report["served"], json!([served, served]), "{report:#}");
    for (what, status, error) in [
        ("stolen", 401, "invalid_token"),
        ("bearer", 401, "invalid_token"),
        ("unbound", 401, "invalid_token"),
        ("elsewhere", 401, "invalid_token"),
        ("made", 401, "invalid_token"),
        ("small", 403, "insufficient_scope"),
    ] {
        assert_eq!(
            report["refused"][what],
            json!({ "status": status, "error": error }),
            "{what}: {report:#}"
        );
    }
    let seen = at_api.all();
    assert_eq!(seen.len(), 2, "{seen:#?}");
    for call in seen {
        assert_eq!(call.one("keybound-jkt"), report["jkt"].as_str().expect("a thumbprint"));
        assert_eq!(
            (call.one("keybound-client-id").as_str(), call.one("keybound-scope").as_str()),
            ("peer", "read")
        );
    }
    report
}

#[tokio::test]
async fn rs_chk_01_rs_dwn_01_dpop_cnf_01_signed_tokens_of_oidc_provider() {
    let report = assert_guarded("jwt", "").await;
    assert_eq!(report["format"], 3, "{report:#}");
}

#[tokio::test]
async fn rs_int_03_rs_chk_04_dpop_cnf_01_opaque_tokens_of_oidc_provider_also_revoked_ones() {
    let folder = TempDir::new().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, API_SECRET).expect("written");
    std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("permitted");
    let more = format!(
        "tokens = \"opaque\"\n[issuer.introspection]\nclient_id = \"api\"\nclient_secret_file = {secret:?}\n\
         staleness_secs = 0\n"
    );
    let report = assert_guarded("opaque", &more).await;
    assert_eq!(report["format"], 1, "{report:#}");
    assert_eq!(report["revoked"], json!({ "status": 401, "error": "invalid_token" }), "{report:#}");
}
