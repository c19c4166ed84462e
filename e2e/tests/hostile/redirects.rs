//! Redirects that would carry something off (RFC 9110 §15.4).

use crate::nonces::TOKENS;
use crate::server::{Hostile, says};
use crate::victim::{
    CLIENT_SECRET, CODE, REDIRECT_URI, SECRETS, api, begin, client, client_of, get, layered, metadata, post,
    tokens, transport,
};
use keybound_client::api::ApiSettings;
use keybound_client::client::Client;
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::flow::ask::TokenAsk;
use keybound_client::flow::authorization_code::LoginAsk;
use keybound_client::redirect::Redirects;
use keybound_client::token_endpoint::TokenError;
use keybound_client::tokens::Tokens;
use keybound_dpop::secret::Secret;
use keybound_oauth::identifier::Issuer;
use keybound_oauth::scope::Scope;

const STATUSES: [u16; 8] = [300, 301, 302, 303, 304, 305, 307, 308];

/// Where a thief would like it to be sent.
fn destinations(thief: &Hostile) -> Vec<String> {
    let authority = thief.origin.strip_prefix("http://").expect("an origin");
    vec![
        format!("{}/taken", thief.origin),
        format!("//{authority}/taken"),
        format!("http://x:y@{authority}/taken"),
        format!("http:\\\\{authority}\\taken"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://evil.example/".to_owned(),
        "https://evil.example/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ]
}

#[tokio::test]
async fn cl_red_04_atk_122_no_redirect_of_the_token_endpoint_is_followed() {
    let thief = Hostile::empty().await;
    for to in destinations(&thief).into_iter().chain(["/elsewhere".to_owned()]) {
        for status in STATUSES {
            let location = to.clone();
            let hostile = Hostile::start(move |_, _| says(status, &[("Location", &location)], TOKENS)).await;
            let client = client(&hostile.origin);
            let (login, sent) = begin(&client).await;
            let state = sent.state.expect("a state");
            let answer = Secret::new(format!("code={CODE}&state={state}&iss={}", hostile.origin));
            for refused in [
                client.client_credentials(None, Vec::new()).await,
                client.refresh(&tokens()).await,
                client.finish_login(login, &answer).await,
            ] {
                let is_told = matches!(&refused, Err(ClientError::Token(TokenError::Redirected(told))) if *told == status);
                assert!(is_told, "{status} {to}: {refused:?}");
            }
            assert_eq!(hostile.asked().len(), 3, "{status} {to}");
        }
    }
    assert_eq!(thief.asked().len(), 0, "{:?}", thief.asked());
}

#[tokio::test]
async fn cl_red_01_cl_red_03_atk_122_a_redirect_of_a_resource_carries_nothing_elsewhere() {
    let thief = Hostile::empty().await;
    for to in destinations(&thief) {
        for status in STATUSES {
            let location = to.clone();
            let hostile = Hostile::start(move |_, _| says(status, &[("Location", &location)], "")).await;
            for redirects in [Redirects::Surface, Redirects::SameOrigin] {
                let api = api(&hostile, ApiSettings { redirects, ..ApiSettings::default() });
                for request in [get(&hostile.origin), post(&hostile.origin)] {
                    let answer = api.send(request).await.expect("an answer");
                    assert_eq!(answer.status(), status, "{to}");
                    assert_eq!(answer.headers()["location"], to.as_str());
                }
            }
            assert_eq!(hostile.asked().len(), 4, "{status} {to}");
        }
    }
    assert_eq!(thief.asked().len(), 0, "{:?}", thief.asked());
}

/// Nor is one followed within the origin, unless that is asked for.
#[tokio::test]
async fn cl_red_01_atk_122_a_redirect_is_the_callers_to_see() {
    for status in STATUSES {
        let hostile = Hostile::start(move |_, _| says(status, &[("Location", "/elsewhere")], "")).await;
        let api = api(&hostile, ApiSettings::default());
        for request in [get(&hostile.origin), post(&hostile.origin)] {
            let answer = api.send(request).await.expect("an answer");
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()["location"], "/elsewhere", "{status}");
        }
        assert_eq!(hostile.asked().len(), 2, "{status}");
    }
}

/// Within one origin a redirect is a new request, and there is an end to them.
#[tokio::test]
async fn cl_red_02_atk_122_redirects_in_a_circle_end() {
    let hostile =
        Hostile::start(|_, before| says(307, &[("Location", &format!("/orders?{before}"))], "")).await;
    let settings = ApiSettings { redirects: Redirects::SameOrigin, ..ApiSettings::default() };
    let answer = api(&hostile, settings).send(post(&hostile.origin)).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), hostile.asked().len()), (307, 6));
    let proofs: std::collections::HashSet<_> =
        hostile.asked().iter().map(|one| one.header("dpop")[0].to_owned()).collect();
    assert_eq!(proofs.len(), 6);
}

/// Metadata and keys are read where they were asked for, or not at all.
#[tokio::test]
async fn ops_ssrf_01_atk_122_atk_128_metadata_and_keys_are_not_fetched_elsewhere() {
    let thief = Hostile::start(|asked, _| {
        let host = asked.header("host")[0].to_owned();
        says(200, &[], &metadata(&format!("http://{host}")).to_string())
    })
    .await;
    for to in destinations(&thief) {
        for status in STATUSES {
            let location = to.clone();
            let hostile = Hostile::start(move |asked, _| match asked.target() {
                "/token" => {
                    says(200, &[], r#"{"access_token":"a","token_type":"DPoP","id_token":"e30.e30.AA"}"#)
                }
                _ => says(status, &[("Location", &location)], ""),
            })
            .await;
            let found = transport().discover(&Issuer::parse(&hostile.origin).expect("an issuer")).await;
            assert!(matches!(found, Err(ClientError::Discover(_))), "{status} {to}: {found:?}");
            assert_eq!(hostile.asked().len(), 2);
            let client = client(&hostile.origin);
            let (login, sent) = begin(&client).await;
            let state = sent.state.expect("a state");
            let answer = Secret::new(format!("code={CODE}&state={state}&iss={}", hostile.origin));
            let refused = client.finish_login(login, &answer).await;
            assert!(refused.is_err(), "{status} {to}: {refused:?}");
            assert!(hostile.at("/jwks").len() <= 1, "{status} {to}");
        }
    }
    assert_eq!(thief.asked().len(), 0, "{:?}", thief.asked());
    thief.assert_knows_none_of(&SECRETS);
}

/// Nor is any other endpoint's redirect followed: a pushed request, a device, a token that is given back, UserInfo.
#[tokio::test]
async fn cl_red_04_atk_122_no_redirect_of_any_endpoint_is_followed() {
    let thief = Hostile::empty().await;
    for to in destinations(&thief) {
        for status in STATUSES {
            let location = to.clone();
            let body =
                r#"{"request_uri":"urn:x","expires_in":60,"sub":"ada","device_code":"d","user_code":"u"}"#;
            let hostile = Hostile::start(move |_, _| says(status, &[("Location", &location)], body)).await;
            let client = everywhere(&hostile.origin);
            let ask = LoginAsk { scope: Scope::parse("read").ok(), ..LoginAsk::default() };
            let signed_in = Tokens { subject: Some("ada".to_owned()), ..tokens() };
            for (what, refused) in [
                ("pushed", client.begin_login(ask, REDIRECT_URI).await.map(drop)),
                ("device", client.begin_device(TokenAsk::default()).await.map(drop)),
                ("userinfo", client.userinfo(&signed_in).await.map(drop)),
                ("revoked", client.revoke_all(&signed_in).await),
            ] {
                assert!(refused.is_err(), "{what}: {status} {to}");
            }
            // Both tokens are given back, each by a request of its own.
            assert_eq!(hostile.asked().len(), 5, "{status} {to}: {:?}", hostile.asked());
        }
    }
    assert_eq!(thief.asked().len(), 0, "{:?}", thief.asked());
}

/// A client at a server that has every endpoint.
fn everywhere(origin: &str) -> Client {
    let mut document = metadata(origin);
    for (name, path) in [
        ("pushed_authorization_request_endpoint", "par"),
        ("device_authorization_endpoint", "device"),
        ("userinfo_endpoint", "userinfo"),
        ("revocation_endpoint", "revoke"),
    ] {
        document[name] = format!("{origin}/{path}").into();
    }
    client_of(&document, ClientAuth::SecretBasic(Secret::new(CLIENT_SECRET)))
}

/// The same resource through the tower layer: the redirect is the caller's, with nothing of ours in it.
#[tokio::test]
async fn cl_red_01_cl_red_03_atk_122_the_middleware_follows_no_redirect() {
    let thief = Hostile::empty().await;
    for to in destinations(&thief) {
        let location = to.clone();
        let hostile = Hostile::start(move |_, _| says(307, &[("Location", &location)], "")).await;
        let answer = layered(&hostile, post(&hostile.origin)).await.expect("an answer");
        assert_eq!((answer.status().as_u16(), hostile.asked().len()), (307, 1), "{to}");
        let elsewhere = layered(&hostile, post(&thief.origin)).await;
        assert!(elsewhere.is_err(), "the token is not for that origin");
    }
    assert_eq!(thief.asked().len(), 0, "{:?}", thief.asked());
}
