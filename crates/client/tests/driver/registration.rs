//! Registration and its management, as odd servers have them.

use crate::mock::{Mock, START, metadata, prover, reply, transport};
use keybound_client::client_auth::{ClientAuth, Identity};
use keybound_client::error::ClientError;
use keybound_client::flow::registration::{InitialAccess, Registration, RegistrationUnusable};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::identifier::Issuer;
use keybound_oauth::provider_metadata::ProviderMetadata;
use keybound_oauth::registration::RegistrationRequest;
use serde_json::{Value, json};
use std::sync::Arc;

const NOW: UnixTime = UnixTime::from_secs(START);

fn server(origin: &str) -> ProviderMetadata {
    let issuer = Issuer::parse(origin).expect("an issuer");
    ProviderMetadata::parse(metadata(origin).to_string().as_bytes(), &issuer).expect("metadata")
}

fn request(metadata: &Value) -> RegistrationRequest {
    let metadata = metadata.as_object().expect("an object").clone();
    RegistrationRequest { metadata, software_statement: None }
}

fn registered(more: &Value) -> Registration {
    let mut all = json!({ "client_id": "c1", "client_id_issued_at": START });
    for (name, value) in more.as_object().expect("an object") {
        all[name] = value.clone();
    }
    Registration::parse(all.to_string().as_bytes()).expect("a registration")
}

fn identity(more: &Value) -> Result<Identity, RegistrationUnusable> {
    registered(more).identity(None, NOW)
}

#[tokio::test]
async fn as_dcr_03_what_is_registered_yields_a_client() {
    let mock = Mock::start(|_, _| {
        let body = json!({ "client_id": "c1", "client_secret": "hunter2", "client_secret_expires_at": 0,
            "token_endpoint_auth_method": "client_secret_post", "client_name": "App", "odd": [1] });
        reply(201, &[], &body.to_string())
    })
    .await;
    let asked = request(&json!({ "client_name": "App", "redirect_uris": ["http://127.0.0.1/callback"] }));
    let access = InitialAccess::Bearer(Secret::new("initial"));
    let registration =
        transport().register(&server(&mock.origin), &asked, &access).await.expect("registered");
    let seen = &mock.seen()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/register"));
    assert_eq!(seen.authorization(), Some("Bearer initial"));
    assert!(!seen.headers.contains_key("DPoP"));
    assert_eq!(seen.headers["Content-Type"], "application/json");
    assert_eq!(serde_json::from_slice::<Value>(&seen.body).expect("JSON"), Value::Object(asked.metadata));
    let identity = registration.identity(None, NOW).expect("a client");
    assert_eq!(identity.client_id.as_str(), "c1");
    assert!(matches!(&identity.auth, ClientAuth::SecretPost(secret) if secret.reveal() == "hunter2"));
    assert!(!format!("{registration:?}").contains("hunter2"));
    let kept = Registration::parse(registration.to_json().reveal().as_bytes()).expect("read back");
    assert_eq!(kept, registration);
}

#[tokio::test]
async fn as_dcr_14_a_bound_initial_token_goes_with_a_proof_and_open_registration_with_nothing() {
    let mock = Mock::start(|_, before| match before {
        0 => reply(401, &[("DPoP-Nonce", "n"), crate::mock::CHALLENGE], ""),
        _ => reply(200, &[], r#"{"client_id":"c1","token_endpoint_auth_method":"none"}"#),
    })
    .await;
    let (server, asked) = (server(&mock.origin), request(&json!({})));
    let bound = InitialAccess::Bound(Secret::new("initial"), prover());
    let registration = transport().register(&server, &asked, &bound).await.expect("registered");
    assert!(!registration.identity(None, NOW).expect("a client").is_confidential());
    let seen = &mock.seen()[1];
    assert_eq!((seen.authorization(), seen.nonce().as_deref()), (Some("DPoP initial"), Some("n")));
    assert!(seen.proof()["ath"].is_string());
    transport().register(&server, &asked, &InitialAccess::Open).await.expect("registered");
    assert_eq!(mock.seen()[2].authorization(), None);
}

#[tokio::test]
async fn as_dcr_11_a_registration_is_read_changed_and_ended_with_its_own_token() {
    let mock = Mock::start(|seen, before| match (seen.method.as_str(), before) {
        ("GET", _) => reply(200, &[], r#"{"client_id":"c1","client_name":"Read"}"#),
        ("PUT", _) => {
            let host = seen.headers["Host"].to_str().expect("ASCII");
            let body = json!({ "client_id": "c1", "client_name": "Changed", "client_secret": "s2",
                "client_secret_expires_at": 0, "registration_access_token": "t2",
                "registration_client_uri": format!("http://{host}/register/c1") });
            reply(200, &[], &body.to_string())
        }
        ("DELETE", _) => reply(204, &[], ""),
        _ => reply(500, &[], ""),
    })
    .await;
    let first = registered(&json!({ "client_secret": "s1", "registration_access_token": "t1",
        "registration_client_uri": format!("{}/register/c1", mock.origin) }));
    let read = transport().read_registration(&first).await.expect("read");
    let name = |of: &Registration| of.information().metadata["client_name"].clone();
    assert_eq!(name(&read), "Read");
    assert_eq!(
        read.information().management,
        first.information().management,
        "stays where nothing new comes"
    );
    assert_eq!(read.information().client_secret, Some(Secret::new("s1")));
    let changed = request(&json!({ "client_name": "Changed" }));
    let changed = transport().update_registration(&read, &changed).await.expect("changed");
    assert_eq!(
        (name(&changed), &changed.information().client_secret),
        ("Changed".into(), &Some(Secret::new("s2")))
    );
    transport().delete_registration(&changed).await.expect("ended");
    let seen = mock.seen();
    let sent: Value = serde_json::from_slice(&seen[1].body).expect("JSON");
    assert_eq!(sent, json!({ "client_name": "Changed", "client_id": "c1", "client_secret": "s1" }));
    let tokens: Vec<_> = seen.iter().map(|seen| seen.authorization()).collect();
    assert_eq!(tokens, [Some("Bearer t1"), Some("Bearer t1"), Some("Bearer t2")]);
    assert!(seen.iter().all(|seen| seen.target == "/register/c1"));
}

#[tokio::test]
async fn as_dcr_11_the_registration_of_another_client_is_not_taken_for_ours() {
    let mock = Mock::start(|_, _| reply(200, &[], r#"{"client_id":"evil","client_secret":"e"}"#)).await;
    let ours = registered(&json!({ "client_secret": "s1", "registration_access_token": "t1",
        "registration_client_uri": format!("{}/register/c1", mock.origin) }));
    let refused = transport().read_registration(&ours).await;
    assert!(matches!(refused, Err(ClientError::Registration(RegistrationUnusable::OtherClient))));
}

#[test]
fn as_dcr_03_what_is_missing_is_told() {
    let secret = |expires: u64| json!({ "client_secret": "s", "client_secret_expires_at": expires });
    let method = |name: &str| json!({ "token_endpoint_auth_method": name });
    assert!(
        matches!(identity(&secret(0)).expect("a client").auth, ClientAuth::SecretBasic(_)),
        "the default"
    );
    assert!(identity(&secret(START + 1)).is_ok());
    for (more, error) in [
        (secret(START), RegistrationUnusable::SecretExpired),
        (json!({}), RegistrationUnusable::NoSecret),
        (method("private_key_jwt"), RegistrationUnusable::NoKey),
        (method("client_secret_jwt"), RegistrationUnusable::Method),
    ] {
        assert_eq!(identity(&more).expect_err("refused"), error, "{more}");
    }
    let tls = identity(&method("self_signed_tls_client_auth")).expect("a client");
    assert!(matches!(tls.auth, ClientAuth::TlsCertificate));
    let key = Arc::new(SigningKey::generate(Algorithm::Es256).expect("a key"));
    let with_key = registered(&method("private_key_jwt")).identity(Some((key, None)), NOW).expect("a client");
    assert!(matches!(with_key.auth, ClientAuth::PrivateKeyJwt { .. }));
}

#[tokio::test]
async fn as_dcr_11_refusals_of_the_registration_endpoint_are_told_with_what_to_do() {
    for (status, headers, body, says) in [
        (
            400,
            &[][..],
            r#"{"error":"invalid_redirect_uri","error_description":"no fragment"}"#,
            "no fragment",
        ),
        (401, &[("WWW-Authenticate", r#"Bearer error="invalid_token""#)], "", "initial access token"),
        (403, &[], "<html>", "registration_endpoint"),
        (201, &[], "<html>", "cannot be used"),
        (201, &[], r#"{"client_id":"c","registration_access_token":"t"}"#, "go together"),
    ] {
        let mock = Mock::start(move |_, _| reply(status, headers, body)).await;
        let access = InitialAccess::Open;
        let told = transport().register(&server(&mock.origin), &request(&json!({})), &access).await;
        let told = told.expect_err("refused").to_string();
        assert!(told.contains(says), "{told}");
    }
    let unmanaged = transport().read_registration(&registered(&json!({}))).await;
    assert!(matches!(unmanaged, Err(ClientError::Registration(RegistrationUnusable::NotManaged))));
}
