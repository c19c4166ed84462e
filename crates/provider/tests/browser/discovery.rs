//! What the provider says of itself.

use crate::common::{Page, World};
use crate::relying_party::{metadata, world};
use http::StatusCode;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::key_set::KeySet;
use serde_json::{Value, json};

async fn discover(world: &World) -> Value {
    let page = world.browser().get("/.well-known/openid-configuration").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "application/json"));
    serde_json::from_str(&page.body).unwrap()
}

fn list<'d>(document: &'d Value, name: &str) -> Vec<&'d str> {
    document[name].as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

#[tokio::test]
async fn oidc_dsc_01_what_must_be_there_is_there() {
    let document = discover(&World::open().await).await;
    assert_eq!(document["issuer"], "https://id.example");
    for (name, path) in
        [("authorization_endpoint", "/authorize"), ("token_endpoint", "/token"), ("jwks_uri", "/jwks")]
    {
        assert_eq!(document[name], format!("https://id.example{path}"), "{name}");
    }
    assert_eq!(list(&document, "response_types_supported"), ["code"]);
    assert_eq!(list(&document, "subject_types_supported"), ["public", "pairwise"]);
    assert!(list(&document, "id_token_signing_alg_values_supported").contains(&"RS256"));
}

#[tokio::test]
async fn oidc_dsc_02_oidc_clm_04_scopes_claims_and_userinfo_are_told() {
    let document = discover(&World::open().await).await;
    for scope in ["openid", "profile", "email", "address", "phone"] {
        assert!(list(&document, "scopes_supported").contains(&scope), "{scope}");
    }
    assert_eq!(document["userinfo_endpoint"], "https://id.example/userinfo");
    assert_eq!(document["claims_parameter_supported"], true);
    for claim in
        ["sub", "auth_time", "acr", "name", "email_verified", "address", "phone_number", "updated_at"]
    {
        assert!(list(&document, "claims_supported").contains(&claim), "{claim}");
    }
    let acr = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";
    assert_eq!(list(&document, "acr_values_supported"), [acr]);
    let algorithms = list(&document, "userinfo_signing_alg_values_supported");
    assert_eq!(algorithms, list(&document, "id_token_signing_alg_values_supported"));
}

#[tokio::test]
async fn oidc_aut_05_oidc_idt_06_oidc_idt_08_oidc_idt_11_what_is_not_offered_is_not_in_the_document() {
    let document = discover(&World::open().await).await;
    let text = document.to_string();
    for absent in ["none\"", "HS256", "encryption", "id_token token", "code id_token", "implicit", "fragment"]
    {
        let text = text
            .replace("\"prompt_values_supported\":[\"none\"", "")
            .replace("[\"none\",\"client", "[\"client");
        assert!(!text.contains(absent), "{absent}: {text}");
    }
}

#[tokio::test]
async fn oidc_dsc_03_keys_are_public_named_apart_and_of_good_size() {
    let all = ["RS256", "ES256", "PS256", "EdDSA"];
    let clients: Vec<Value> = all
        .iter()
        .map(|algorithm| {
            let members =
                json!({"id_token_signed_response_alg": algorithm, "userinfo_signed_response_alg": algorithm});
            let mut client = metadata(members);
            client["client_id"] = (*algorithm).into();
            client
        })
        .collect();
    let world = World::with_clients(&clients).await;
    let page = world.browser().get("/jwks").await;
    assert!(KeySet::parse(page.body.as_bytes()).is_ok());
    let document: Value = serde_json::from_str(&page.body).unwrap();
    let keys = document["keys"].as_array().unwrap();
    let mut kids: Vec<&str> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert!(kids.len() >= 8, "one for each algorithm and purpose");
    kids.sort_unstable();
    let count = kids.len();
    kids.dedup();
    assert_eq!(kids.len(), count, "no kid stands twice");
    for key in keys {
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(key.get(private).is_none(), "{private}");
        }
        assert_eq!(key["use"], "sig");
        if key["kty"] == "RSA" {
            let modulus = base64url::decode(key["n"].as_str().unwrap()).unwrap();
            assert!(modulus.len() * 8 >= 2048 && modulus[0] != 0);
        }
    }
}

async fn finger(world: &World, query: &str) -> Page {
    world.browser().get(&format!("/.well-known/webfinger?{query}")).await
}

#[tokio::test]
async fn oidc_dsc_04_webfinger_leads_to_the_issuer() {
    let world = world(json!({}), json!({})).await;
    let relation = "http%3A%2F%2Fopenid.net%2Fspecs%2Fconnect%2F1.0%2Fissuer";
    for (resource, subject) in [
        ("acct%3Aada%40id.example", "acct:ada@id.example"),
        ("acct%3Anobody%40id.example", "acct:nobody@id.example"),
        ("https%3A%2F%2Fid.example%2Fada", "https://id.example/ada"),
        // RFC 7033 §4.1: percent-encoded, which leaves a plus as it is.
        ("acct:ada+shop@id.example", "acct:ada+shop@id.example"),
        ("acct:ada%2Bshop@id.example", "acct:ada+shop@id.example"),
        ("acct:ada%20shop@id.example", "acct:ada shop@id.example"),
    ] {
        let page = finger(&world, &format!("resource={resource}&rel={relation}")).await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "application/jrd+json"));
        assert_eq!(page.header("access-control-allow-origin"), "*");
        let link = json!({"rel": "http://openid.net/specs/connect/1.0/issuer", "href": "https://id.example"});
        let told: Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!(told, json!({"subject": subject, "links": [link]}));
    }
    let others = finger(&world, "resource=acct:ada@id.example&rel=a&rel=b").await;
    assert_eq!(serde_json::from_str::<Value>(&others.body).unwrap()["links"], json!([]));
    for (query, status) in [
        ("", StatusCode::BAD_REQUEST),
        ("resource=ada", StatusCode::BAD_REQUEST),
        ("resource=acct:a@id.example&resource=acct:b@id.example", StatusCode::BAD_REQUEST),
        ("resource=acct:ada@mail.example", StatusCode::NOT_FOUND),
        ("resource=https://other.example/", StatusCode::NOT_FOUND),
    ] {
        let page = finger(&world, query).await;
        assert_eq!(page.status, status, "{query}");
        assert!(!page.body.contains("mail.example") && !page.body.contains("other.example"));
    }
}
