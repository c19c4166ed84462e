//! Servers that pass for others: mix-up (RFC 9700 §4.4, RFC 9207), and metadata of another (RFC 8414 §3.3).

use crate::nonces::TOKENS;
use crate::server::{Hostile, says};
use crate::victim::{CODE, SECRETS, begin, client, client_of, metadata, settings, transport};
use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::flow::authorization_code::RedirectRefused;
use keybound_dpop::secret::Secret;
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::identifier::{Issuer, ResourceId};
use serde_json::{Value, json};

/// The user meant to sign in at the attacker's server, which sent the browser on to an honest one. The code that comes
/// back is the honest one's, and does not reach the attacker's token endpoint.
#[tokio::test]
async fn cl_flw_03_bcp_inj_03_atk_115_a_code_of_another_server_is_not_redeemed_here() {
    let honest = Hostile::empty().await;
    let attacker = Hostile::start(|_, _| says(200, &[], TOKENS)).await;
    for promises_iss in [true, false] {
        let mut document = metadata(&attacker.origin);
        document["authorization_endpoint"] = format!("{}/authorize", honest.origin).into();
        document["authorization_response_iss_parameter_supported"] = promises_iss.into();
        let secret = Secret::new(crate::victim::CLIENT_SECRET);
        let client = client_of(&document, ClientAuth::SecretBasic(secret));
        for iss in [honest.origin.clone(), format!("{}/", attacker.origin), attacker.origin.to_uppercase()] {
            let (login, sent) = begin(&client).await;
            let query = format!("code={CODE}&state={}&iss={iss}", sent.state.expect("a state"));
            let refused = client.finish_login(login, &Secret::new(query)).await;
            let is_mix_up = matches!(refused, Err(ClientError::Redirect(RedirectRefused::Issuer { .. })));
            assert!(is_mix_up, "{iss}: {refused:?}");
        }
        if promises_iss {
            let (login, sent) = begin(&client).await;
            let query = format!("code={CODE}&state={}", sent.state.expect("a state"));
            let refused = client.finish_login(login, &Secret::new(query)).await;
            let is_missing =
                matches!(refused, Err(ClientError::Redirect(RedirectRefused::IssuerMissing { .. })));
            assert!(is_missing, "{refused:?}");
        }
    }
    assert_eq!((attacker.asked().len(), honest.asked().len()), (0, 0));
}

/// A login ends where it was begun, and with the key that began it, whatever the answer says.
#[tokio::test]
async fn cl_flw_03_cl_flw_09_atk_115_a_login_that_was_begun_elsewhere_does_not_end_here() {
    let (honest, attacker) = (Hostile::empty().await, Hostile::start(|_, _| says(200, &[], TOKENS)).await);
    // Each client of these has a key of its own.
    for (other, expected) in [(client(&attacker.origin), "issuer"), (client(&honest.origin), "key")] {
        let (login, sent) = begin(&client(&honest.origin)).await;
        let query = format!("code={CODE}&state={}&iss={}", sent.state.expect("a state"), honest.origin);
        let refused = other.finish_login(login, &Secret::new(query)).await;
        let is_other = matches!(&refused, Err(ClientError::Redirect(RedirectRefused::OtherClient(what))) if *what == expected);
        assert!(is_other, "{refused:?}");
    }
    assert_eq!((attacker.asked().len(), honest.asked().len()), (0, 0));
}

/// Not even an error is believed before it is known whose it is (RFC 9207 §2.4).
#[tokio::test]
async fn cl_flw_04_atk_115_an_error_of_another_server_is_a_mix_up() {
    let attacker = Hostile::empty().await;
    let client = client(&attacker.origin);
    let (login, sent) = begin(&client).await;
    let state = sent.state.expect("a state");
    let query = format!("error=access_denied&error_description=x&state={state}&iss=https%3A%2F%2Fid.example");
    let refused = client.finish_login(login, &Secret::new(query)).await;
    assert!(matches!(refused, Err(ClientError::Redirect(RedirectRefused::Issuer { .. }))), "{refused:?}");
    assert_eq!(attacker.asked().len(), 0);
}

#[tokio::test]
async fn cl_dsc_01_atk_116_metadata_of_another_issuer_is_refused() {
    type Spoil = fn(&mut Value, &str);
    let spoil: Vec<(&str, Spoil)> = vec![
        ("another", |document, _| document["issuer"] = "https://id.example".into()),
        ("a slash", |document, origin| document["issuer"] = format!("{origin}/").into()),
        ("case", |document, origin| document["issuer"] = origin.to_uppercase().into()),
        ("none", |document, _| drop(document.as_object_mut().expect("an object").remove("issuer"))),
        ("two", |document, origin| document["issuer"] = json!([origin, "https://id.example"])),
        ("insecure", |document, _| document["token_endpoint"] = "http://evil.example/token".into()),
        ("no web", |document, _| document["token_endpoint"] = "file:///etc/passwd".into()),
        ("keys", |document, _| document["jwks_uri"] = "http://169.254.169.254/keys".into()),
        ("script", |document, _| document["authorization_endpoint"] = "javascript:alert(1)".into()),
    ];
    for (what, spoil) in spoil {
        let hostile = Hostile::start(move |asked, _| {
            let origin = format!("http://{}", asked.header("host")[0]);
            let mut document = metadata(&origin);
            spoil(&mut document, &origin);
            says(200, &[("Content-Type", "application/json")], &document.to_string())
        })
        .await;
        let found = transport().discover(&Issuer::parse(&hostile.origin).expect("an issuer")).await;
        assert!(matches!(found, Err(ClientError::Discover(_))), "{what}: {found:?}");
        // Nothing but a well-known document was asked for.
        for one in hostile.asked() {
            assert!(one.target().starts_with("/.well-known/"), "{what}: {one:?}");
            assert!(
                one.header("dpop").is_empty() && one.header("authorization").is_empty(),
                "{what}: {one:?}"
            );
        }
        hostile.assert_knows_none_of(&SECRETS);
    }
}

/// `issuer` twice: the second one would be what another reader takes.
#[tokio::test]
async fn cl_dsc_01_atk_116_metadata_with_two_readings_is_refused() {
    let hostile = Hostile::start(|asked, _| {
        let origin = format!("http://{}", asked.header("host")[0]);
        let document = metadata(&origin).to_string().replacen('{', "{\"issuer\":\"https://id.example\",", 1);
        says(200, &[], &document)
    })
    .await;
    let found = transport().discover(&Issuer::parse(&hostile.origin).expect("an issuer")).await;
    assert!(matches!(found, Err(ClientError::Discover(_))), "{found:?}");
}

/// A hostile resource says whose tokens it takes: nobody is believed whom the caller does not accept, and metadata of
/// another resource, or from where no stranger may send us, are not used (RFC 9728 §3.3, §7.6, §7.7).
#[tokio::test]
async fn cl_dsc_02_cl_dsc_03_cl_dsc_04_atk_116_a_resource_does_not_choose_the_server() {
    let hostile = Hostile::start(|asked, before| {
        let origin = format!("http://{}", asked.header("host")[0]);
        let (resource, server) = match before {
            0 => (origin.clone(), "https://evil.example".to_owned()),
            1 => ("https://api.example".to_owned(), origin.clone()),
            2 => (format!("{origin}/"), origin.clone()),
            _ => (format!("{origin}/orders"), origin.clone()),
        };
        says(200, &[], &json!({ "resource": resource, "authorization_servers": [server] }).to_string())
    })
    .await;
    let nearby = Settings { strangers_may_name_loopback: true, ..settings() };
    let nearby = Fetcher::for_strangers(&nearby).expect("a fetcher");
    let resource = ResourceId::parse(&hostile.origin).expect("a resource");
    let accepted = [Issuer::parse(&hostile.origin).expect("an issuer")];
    for _ in 0..4 {
        let refused = transport().discover_resource(&nearby, &resource, None, &accepted).await;
        assert!(matches!(refused, Err(ClientError::DiscoverResource(_))), "{refused:?}");
    }
    assert_eq!(hostile.asked().len(), 4, "no server was asked for its metadata");
    // Where the challenge points is a stranger's word.
    let strangers = Fetcher::for_strangers(&settings()).expect("a fetcher");
    for url in [
        format!("{}/metadata", hostile.origin),
        "https://169.254.169.254/latest".to_owned(),
        "https://localhost/metadata".to_owned(),
        "file:///etc/passwd".to_owned(),
        "not a URL".to_owned(),
    ] {
        let mut answer = HeaderMap::new();
        let challenge = format!("DPoP resource_metadata=\"{url}\"");
        answer.insert(WWW_AUTHENTICATE, challenge.parse().expect("a value"));
        let refused = transport().discover_resource(&strangers, &resource, Some(&answer), &accepted).await;
        assert!(refused.is_err(), "{url}: {refused:?}");
    }
    assert_eq!(hostile.asked().len(), 4);
}
