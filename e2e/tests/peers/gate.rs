//! Clients of other people call an API through our gateway: challenged once, served, and refused whatever is not as it
//! should be.

use crate::peer::{Peer, Played};
use keybound_oauth::identifier::ResourceId;
use keybound_oauth::resource_metadata::ResourceMetadata;
use serde_json::{Value, json};

/// The first call lacks the nonce, the next ones have it, and the API saw these alone, without any token.
fn assert_served(played: &Played) {
    let report = &played.report;
    assert_told(&report["first"], "use_dpop_nonce", report);
    for served in report["served"].as_array().expect("an array") {
        assert_eq!(
            (&served["status"], &served["body"]),
            (&json!(200), &json!({ "orders": [] })),
            "{report:#}"
        );
    }
    let at_api = played.servers.at_api.all();
    assert!(
        at_api.iter().all(|call| call.header("authorization").is_empty() && call.header("dpop").is_empty())
    );
    assert!(
        at_api.iter().all(|call| call.one("keybound-jkt") == report["jkt"].as_str().expect("a thumbprint"))
    );
}

fn assert_told(answer: &Value, error: &str, report: &Value) {
    let told = (answer["status"].as_u64(), answer["scheme"].as_str(), answer["error"].as_str());
    let scheme = told.1.map(str::to_ascii_lowercase);
    assert_eq!((told.0, scheme.as_deref(), told.2), (Some(401), Some("dpop"), Some(error)), "{report:#}");
}

#[tokio::test]
async fn rs_sch_01_rs_chl_03_rs_chl_04_proofs_of_the_dpop_package() {
    let played = Peer::Node("dpop.mjs").play("gate", "secret").await;
    assert_served(&played);
    let refused = &played.report["refused"];
    for (what, error) in [
        ("again", "invalid_dpop_proof"),
        ("otherMethod", "invalid_dpop_proof"),
        ("sentAsPost", "invalid_dpop_proof"),
        ("otherUrl", "invalid_dpop_proof"),
        ("otherToken", "invalid_dpop_proof"),
        ("noToken", "invalid_dpop_proof"),
        ("otherKey", "invalid_token"),
        ("otherNonce", "use_dpop_nonce"),
        ("bearer", "invalid_token"),
        ("bearerAlone", "invalid_token"),
        ("noProof", "invalid_dpop_proof"),
    ] {
        assert_told(&refused[what], error, &played.report);
    }
    // Three, and the one that was sent again.
    assert_eq!(played.servers.at_api.all().len(), 4);
}

#[tokio::test]
async fn rs_sch_01_rs_chl_03_huskarl_goes_through_the_gateway() {
    let played = Peer::Rust("huskarl-peer").play("gate", "secret").await;
    assert_served(&played);
    for what in ["otherMethod", "sentAsPost", "otherUrl"] {
        assert_told(&played.report["refused"][what], "invalid_dpop_proof", &played.report);
    }
    assert_eq!(played.servers.at_api.all().len(), 3);
}

#[tokio::test]
async fn rs_prm_01_rs_prm_05_oauth4webapi_finds_the_server_by_the_metadata_of_the_resource() {
    let played = Peer::Node("oauth4webapi.mjs").play("gate", "secret").await;
    assert_served(&played);
    let (report, servers) = (&played.report, &played.servers);
    for (what, error) in [
        ("sentAsPost", "invalid_dpop_proof"),
        ("otherKey", "invalid_token"),
        ("bearerAlone", "invalid_token"),
    ] {
        assert_told(&report["refused"][what], error, report);
    }
    let resource = ResourceId::parse(&format!("{}/", servers.api)).expect("a resource");
    let url = resource.metadata_url().expect("a URL");
    assert_eq!(report["first"]["metadata"], json!(url.as_str()), "{report:#}");
    let metadata = ResourceMetadata::parse(report["metadata"].to_string().as_bytes(), &resource);
    let metadata = metadata.unwrap_or_else(|error| panic!("{error}: {report:#}"));
    assert_eq!(metadata.authorization_servers[0].as_str(), servers.issuer);
    assert_eq!(metadata.bearer_methods_supported, Some(Vec::new()));
    assert_eq!(metadata.dpop_bound_access_tokens_required, Some(true));
    assert_eq!(metadata.scopes_supported, ["read"]);
}
