//! What the gateway publishes of the API behind it.

use crate::world::{Upstream, World};
use serde_json::{Value, json};

const PATH: &str = "/.well-known/oauth-protected-resource";

/// The document at that path, which a page of any origin may read.
async fn document(world: &World, path: &str) -> Value {
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nOrigin: https://page.example\r\n\r\n");
    let heard = world.ask(&request).await;
    assert_eq!((heard.status, heard.all("content-type")), (200, vec!["application/json"]), "{path}");
    assert_eq!(heard.all("access-control-allow-origin"), ["*"]);
    assert_eq!(heard.all("cache-control"), ["public, max-age=300"]);
    serde_json::from_str(&heard.body).expect("JSON")
}

#[tokio::test]
async fn rs_prm_01_rs_prm_03_rs_prm_07_the_api_is_described_by_its_configuration() {
    let upstream = Upstream::start(200, &[]).await;
    let more = "scopes = [\"api\"]\n[metadata]\nname = { en = \"Orders\", de = \"Bestellungen\" }\n\
                documentation = \"https://api.example/docs\"\n[cors]\norigins = [\"https://app.example\"]\n\
                [[route]]\npath = \"/admin\"\nscopes = [\"admin\"]";
    let world = World::start(upstream.address, more).await;
    let expected = json!({
        "resource": "https://api.example/",
        "authorization_servers": ["https://issuer.example"],
        "scopes_supported": ["admin", "api"],
        "bearer_methods_supported": [],
        "dpop_signing_alg_values_supported": ["ES256", "PS256", "EdDSA", "Ed25519"],
        "dpop_bound_access_tokens_required": true,
        "resource_name": "Orders",
        "resource_name#de": "Bestellungen",
        "resource_name#en": "Orders",
        "resource_documentation": "https://api.example/docs",
    });
    assert_eq!(document(&world, PATH).await, expected);
    let refused = world.ask("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let named = format!("resource_metadata=\"https://api.example{PATH}\"");
    assert!(refused.all("www-authenticate")[0].contains(&named), "RS-PRM-05: {refused:?}");
    // What a page asks before it asks with a header of its own.
    let preflight = "Origin: https://page.example\r\nAccess-Control-Request-Method: GET\r\n";
    let heard = world.ask(&format!("OPTIONS {PATH} HTTP/1.1\r\nHost: h\r\n{preflight}\r\n")).await;
    assert_eq!((heard.status, heard.all("access-control-allow-origin")), (204, vec!["*"]));
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn rs_prm_03_bearer_tokens_are_named_where_they_are_taken() {
    let world = World::start(([127, 0, 0, 1], 1).into(), "dpop = \"allowed\"").await;
    let document = document(&world, PATH).await;
    assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    assert_eq!(document["dpop_bound_access_tokens_required"], false);
    assert_eq!(document.get("scopes_supported"), None);
}

#[tokio::test]
async fn rs_prm_02_rs_prm_08_each_identifier_has_a_document_at_its_place() {
    let rest = "audience = [\"urn:api\", \"https://api.example/v1\", \"https://api.example/v2/\", \
                \"https://other.example/v3\"]\nupstream = \"http://127.0.0.1:1\"\n[metadata]\nname = \"Both\"";
    let rest = format!("{rest}\n[nonce]\nmode = \"off\"");
    let world = World::start_at("https://api.example", &rest).await;
    for (path, resource) in [("/v1", "https://api.example/v1"), ("/v2/", "https://api.example/v2/")] {
        let document = document(&world, &format!("{PATH}{path}")).await;
        assert_eq!((&document["resource"], &document["resource_name"]), (&json!(resource), &json!("Both")));
    }
    // Of these nothing is published here: no document may name another resource than the one it was asked for.
    for path in ["", "/", "/v1/", "/v2", "/v3", "/v1?a=b", "//v1", "/v1/../v1"] {
        let heard = world.ask(&format!("GET {PATH}{path} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        assert!(matches!(heard.status, 400 | 401), "{path}: {heard:?}");
    }
}

#[tokio::test]
async fn rs_gw_05_nothing_is_published_to_a_request_with_two_readings() {
    let world = World::start(([127, 0, 0, 1], 1).into(), "").await;
    let twice = format!("GET {PATH} HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n");
    assert_eq!(world.ask(&twice).await.status, 400);
    let other = format!("DELETE {PATH} HTTP/1.1\r\nHost: h\r\n\r\n");
    let heard = world.ask(&other).await;
    assert_eq!((heard.status, heard.all("allow")), (405, vec!["GET, HEAD"]));
}

#[tokio::test]
async fn nothing_is_published_where_the_operator_says_so() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "[metadata]\npublish = false").await;
    let heard = world.ask(&format!("GET {PATH} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
    assert_eq!(heard.status, 401);
    assert!(!heard.all("www-authenticate")[0].contains("resource_metadata"), "{heard:?}");
    assert_eq!(world.get(PATH, "").await.body, "from upstream");
}
