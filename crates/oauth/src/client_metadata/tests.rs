use super::*;
use keybound_dpop::jose::key_set::NamedKey;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::secret::Secret;
use serde_json::json;

fn public() -> Value {
    json!({ "client_id": "app", "redirect_uris": ["https://app.example/cb"] })
}

fn with(mut metadata: Value, member: &str, value: Value) -> Value {
    metadata[member] = value;
    metadata
}

fn refused(metadata: &Value) -> MetadataError {
    ClientMetadata::parse(metadata).expect_err(&metadata.to_string())
}

fn key_set() -> Value {
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let named = NamedKey {
        kid: Some("k".to_owned()),
        algorithm: Some(Algorithm::Es256),
        key: key.public_jwk().clone(),
    };
    write::json_of(&KeySet::of(vec![named]))
}

#[test]
fn defaults_are_those_of_the_standards() {
    let client = ClientMetadata::parse(&public()).expect("a client");
    assert!(client.is_public() && client.dpop_bound_access_tokens && !client.legacy_oidc);
    assert_eq!(client.grant_types, [GrantType::AuthorizationCode]);
    assert_eq!(client.response_types(), ["code"]);
    assert_eq!(client.application_type, ApplicationType::Web);
    assert_eq!(client.errors, ErrorDisplay::Page);
    let client = ClientMetadata::parse(&with(public(), "client_secret", json!("s3cret"))).expect("a client");
    assert_eq!(client.token_endpoint_auth_method, AuthMethod::ClientSecretBasic);
    assert!(client.client_secret.is_some_and(|secret| secret.accepts(&Secret::new("s3cret"))));
}

#[test]
fn what_is_written_is_read_back() {
    let full = json!({
        "client_id": "app", "client_name": "App", "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/cb", "com.example.app:/cb"],
        "post_logout_redirect_uris": ["https://app.example/bye"],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"], "response_types": ["code"],
        "token_endpoint_auth_method": "private_key_jwt", "jwks": key_set(), "scope": "openid read",
        "dpop_bound_access_tokens": false, "id_token_signed_response_alg": "EdDSA",
        "introspection_signed_response_alg": "ES256", "may_act": "gateway", "contacts": ["ops@example"],
        "client_uri": "https://app.example/", "logo_uri": "https://app.example/logo.png",
        "policy_uri": "https://app.example/policy", "tos_uri": "https://app.example/tos",
        "resources": ["https://api.example/"], "authorization_details_types": ["pay"],
        "legacy_oidc": true, "errors": "redirect",
        "require_pushed_authorization_requests": true, "require_dpop_jkt": true,
        "authorization_signed_response_alg": "ES256",
        "request_object_signing_alg": "PS256", "require_signed_request_object": true,
        "request_uris": ["https://app.example/request.jwt"]
    });
    let hashed = ClientSecret::new("s3cret").to_hashed().to_member().1;
    let by_digest = with(with(public(), "client_secret_sha256", json!(hashed)), "resources", json!([]));
    for metadata in [full, public(), by_digest] {
        let client = ClientMetadata::parse(&metadata).expect("a client");
        let written = client.to_json();
        assert_eq!(ClientMetadata::parse(&written), Ok(client));
        for (name, value) in metadata.as_object().expect("an object") {
            assert_eq!(&written[name], value, "{name}");
        }
    }
}

#[test]
fn as_dcr_02_dpop_bound_access_tokens_is_a_boolean() {
    let error = refused(&with(public(), "dpop_bound_access_tokens", json!("true")));
    assert_eq!((error.member, error.code()), ("dpop_bound_access_tokens", ErrorCode::InvalidClientMetadata));
}

#[test]
fn as_dcr_04_redirect_uris_are_validated() {
    for bad in [
        "https://app.example/cb#f",
        "/cb",
        "http://app.example/cb",
        "https://*.example/cb",
        "com.example.app:/cb",
        "javascript:alert(1)",
    ] {
        let error = refused(&with(public(), "redirect_uris", json!([bad])));
        assert_eq!((error.member, error.code()), ("redirect_uris", ErrorCode::InvalidRedirectUri), "{bad}");
        assert!(!error.to_string().contains(bad), "{error}");
    }
    for bad in [json!([]), json!("https://app.example/cb"), json!([1])] {
        assert_eq!(refused(&with(public(), "redirect_uris", bad)).member, "redirect_uris");
    }
}

#[test]
fn as_dcr_05_keys_by_value_or_by_reference_and_never_private() {
    let by_key = with(public(), "token_endpoint_auth_method", json!("private_key_jwt"));
    assert_eq!(refused(&by_key).member, "jwks");
    assert_eq!(refused(&with(by_key.clone(), "jwks", json!({ "keys": [] }))).member, "jwks");
    let by_value = with(by_key, "jwks", key_set());
    assert!(ClientMetadata::parse(&by_value).is_ok());
    assert_eq!(
        refused(&with(by_value.clone(), "jwks_uri", json!("https://app.example/jwks"))).member,
        "jwks"
    );
    assert_eq!(refused(&with(public(), "jwks_uri", json!("http://app.example/jwks"))).member, "jwks_uri");
    let mut private = by_value.clone();
    private["jwks"]["keys"][0]["d"] = json!("AQAB");
    assert_eq!(refused(&private).member, "jwks");
    let symmetric = with(by_value, "jwks", json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] }));
    assert_eq!(refused(&symmetric).code(), ErrorCode::InvalidClientMetadata);
}

#[test]
fn as_dcr_06_grant_types_and_response_types_go_together() {
    let secret = with(public(), "client_secret", json!("s3cret"));
    let machine = with(secret.clone(), "grant_types", json!(["client_credentials"]));
    assert!(ClientMetadata::parse(&machine).is_ok_and(|client| client.response_types().is_empty()));
    assert!(ClientMetadata::parse(&with(machine.clone(), "response_types", json!([]))).is_ok());
    for (metadata, types) in
        [(machine, json!(["code"])), (secret.clone(), json!([])), (secret, json!(["token"]))]
    {
        assert_eq!(refused(&with(metadata, "response_types", types)).member, "response_types");
    }
    for bad in [json!(["password"]), json!(["implicit"]), json!([]), json!("authorization_code")] {
        assert_eq!(refused(&with(public(), "grant_types", bad)).member, "grant_types");
    }
}

#[test]
fn as_dcr_07_unknown_members_are_ignored() {
    let client = ClientMetadata::parse(&with(public(), "foo", json!(1))).expect("a client");
    assert!(client.to_json().get("foo").is_none());
}

#[test]
fn as_ca_12_public_clients_and_secrets() {
    assert_eq!(refused(&with(public(), "grant_types", json!(["client_credentials"]))).member, "grant_types");
    for method in ["client_secret_basic", "client_secret_post"] {
        let error = refused(&with(public(), "token_endpoint_auth_method", json!(method)));
        assert_eq!(error.member, "client_secret");
    }
    let odd = with(with(public(), "client_secret", json!("s")), "token_endpoint_auth_method", json!("none"));
    assert_eq!(refused(&odd).member, "client_secret");
}

#[test]
fn bcp_red_02_only_native_clients_choose_the_port() {
    let loopback = with(public(), "redirect_uris", json!(["http://127.0.0.1/cb"]));
    let web = ClientMetadata::parse(&loopback).expect("a client");
    let native =
        ClientMetadata::parse(&with(loopback, "application_type", json!("native"))).expect("a client");
    assert!(web.find_redirect_uri("http://127.0.0.1:5555/cb").is_none());
    let found = native.find_redirect_uri("http://127.0.0.1:5555/cb").expect("found");
    assert_eq!(found.as_str(), "http://127.0.0.1:5555/cb");
    assert!(native.find_redirect_uri("http://127.0.0.1.evil:5555/cb").is_none());
}

#[test]
fn fapi_net_09_use_mtls_endpoint_aliases_is_taken_and_echoed() {
    for value in [Value::Bool(true), Value::Bool(false)] {
        let client = ClientMetadata::parse(&with(public(), "use_mtls_endpoint_aliases", value.clone()))
            .expect("taken");
        assert_eq!(client.to_json()["use_mtls_endpoint_aliases"], value);
    }
    let silent = ClientMetadata::parse(&public()).expect("taken").to_json();
    assert!(silent.get("use_mtls_endpoint_aliases").is_none());
    let error = refused(&with(public(), "use_mtls_endpoint_aliases", Value::from("yes")));
    assert_eq!(error.member, "use_mtls_endpoint_aliases");
}

#[test]
fn as_mtl_01_as_mtl_02_no_client_is_registered_for_certificates() {
    for method in ["tls_client_auth", "self_signed_tls_client_auth"] {
        let error = refused(&with(public(), "token_endpoint_auth_method", Value::from(method)));
        assert_eq!(
            (error.member, error.code().as_str()),
            ("token_endpoint_auth_method", "invalid_client_metadata")
        );
    }
}

#[test]
fn what_an_openid_client_registers_is_written_as_it_was_read() {
    let members = json!({
        "token_endpoint_auth_signing_alg": "ES256", "subject_type": "pairwise",
        "sector_identifier_uri": "https://app.example/sector.json", "userinfo_signed_response_alg": "RS256",
        "default_max_age": 600, "require_auth_time": true, "default_acr_values": ["1"],
        "backchannel_logout_uri": "https://app.example/bye", "backchannel_logout_session_required": true,
        "software_id": "calendar", "software_version": "2.1",
    });
    let mut written = public();
    written.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
    let again = ClientMetadata::parse(&written).expect("a client").to_json();
    for (name, value) in members.as_object().expect("an object") {
        assert_eq!(again.get(name), Some(value), "{name}");
    }
    for (name, value) in [("subject_type", json!("secret")), ("default_max_age", json!("600"))] {
        assert_eq!(refused(&with(public(), name, value)).member, name);
    }
}

#[test]
fn oidc_idt_02_a_pairwise_client_has_one_sector() {
    let client = |members: Value| {
        let mut client = public();
        client.as_object_mut().expect("an object").insert("subject_type".to_owned(), json!("pairwise"));
        client.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        ClientMetadata::parse(&client)
    };
    let sector = json!("https://sector.example/uris.json");
    for (members, sector) in [
        (json!({"redirect_uris": ["https://App.example/cb", "https://app.example:8443/cb2"]}), "app.example"),
        (json!({"redirect_uris": ["https://[2001:db8::1]/cb"]}), "[2001:db8::1]"),
        (
            json!({"redirect_uris": ["https://a.example/cb", "https://b.example/cb"],
                   "sector_identifier_uri": sector}),
            "sector.example",
        ),
        (
            json!({"application_type": "native", "redirect_uris": ["com.example.app:/cb"],
                   "sector_identifier_uri": sector}),
            "sector.example",
        ),
    ] {
        let client = client(members).expect("a client");
        assert_eq!(client.sector().as_deref(), Some(sector));
    }
    for members in [
        json!({"redirect_uris": ["https://a.example/cb", "https://b.example/cb"]}),
        json!({"redirect_uris": ["http://127.0.0.1/cb"]}),
        json!({"application_type": "native", "redirect_uris": ["com.example.app://cb"]}),
        json!({"redirect_uris": [], "grant_types": ["refresh_token"]}),
    ] {
        let error = client(members.clone()).expect_err("refused");
        assert_eq!(error.member, "sector_identifier_uri", "{members}");
    }
}

#[test]
fn oidc_idt_11_encryption_is_refused_at_registration() {
    for what in ["id_token", "userinfo", "authorization", "introspection"] {
        for end in ["alg", "enc"] {
            let member = format!("{what}_encrypted_response_{end}");
            let error = refused(&with(public(), &member, json!("RSA-OAEP")));
            assert_eq!((error.member, error.code().as_str()), (member.as_str(), "invalid_client_metadata"));
        }
    }
    for member in ["request_object_encryption_alg", "request_object_encryption_enc"] {
        assert_eq!(refused(&with(public(), member, json!("dir"))).member, member);
    }
}

#[test]
fn oidc_idt_06_unsigned_id_tokens_are_not_offered() {
    for member in ["id_token_signed_response_alg", "userinfo_signed_response_alg"] {
        for name in ["none", "HS256"] {
            assert_eq!(refused(&with(public(), member, json!(name))).member, member, "{name}");
        }
    }
}

#[test]
fn oidc_idt_08_hybrid_is_not_offered() {
    for response_type in ["code id_token", "id_token", "code token", "none"] {
        let error = refused(&with(public(), "response_types", json!([response_type])));
        assert_eq!(error.member, "response_types", "{response_type}");
    }
}
