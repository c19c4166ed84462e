//! Several authorization servers, one of them evil (RFC 9700 §4.4); and other programs on this machine (RFC 8252 §8).

use crate::mock::{Mock, TOKENS, client, client_at, reply};
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::flow::authorization_code::{LoginAsk, PendingLogin, RedirectRefused};
use keybound_client::loopback::Loopback;
use keybound_dpop::secret::Secret;
use keybound_oauth::form::Form;
use serde_json::json;
use std::time::Duration;

fn state(login: &PendingLogin) -> String {
    let query = login.url().split_once('?').expect("a query").1;
    Form::parse_query(query).expect("a form").get("state").expect("a state").to_owned()
}

/// The evil server sends the browser on to the honest one, with the client's name there and the `state` of the login: so
/// the honest server's code comes back to a login that was begun at the evil one, which would get it.
#[tokio::test]
async fn bcp_inj_03_atk_115_the_honest_servers_code_does_not_go_to_the_evil_one() {
    let honest = Mock::start(|_, _| reply(200, &[], TOKENS)).await;
    let evil = Mock::start(|_, _| reply(200, &[], TOKENS)).await;
    for evil_promises in [true, false] {
        let metadata = json!({ "authorization_response_iss_parameter_supported": evil_promises });
        let at_evil = client_at(&evil.origin, metadata, ClientAuth::None);
        for outcome in ["code=honest", "error=access_denied"] {
            let login =
                at_evil.begin_login(LoginAsk::default(), "http://127.0.0.1:1/cb").await.expect("begun");
            let answer = format!("{outcome}&state={}&iss={}", state(&login), honest.origin);
            let refused = at_evil.finish_login(login, &Secret::new(answer)).await;
            let Err(ClientError::Redirect(RedirectRefused::Issuer { expected })) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!(expected.as_str(), evil.origin);
        }
    }
    assert!(evil.seen().is_empty() && honest.seen().is_empty());
}

/// A login that was begun at one server is not ended at another, even where the host program mixes them up itself.
#[tokio::test]
async fn bcp_inj_03_the_issuer_is_kept_with_each_login() {
    let honest = Mock::start(|_, _| reply(200, &[], TOKENS)).await;
    let evil = Mock::start(|_, _| reply(200, &[], TOKENS)).await;
    let at_honest = client(&honest.origin, ClientAuth::None);
    let at_evil = client(&evil.origin, ClientAuth::None).with_prover(at_honest.prover().clone());
    let login = at_honest.begin_login(LoginAsk::default(), "http://127.0.0.1:1/cb").await.expect("begun");
    let answer = Secret::new(format!("code=honest&state={}&iss={}", state(&login), honest.origin));
    let kept = PendingLogin::parse(login.to_json().as_bytes()).expect("kept");
    let refused = at_evil.finish_login(login, &answer).await;
    let is_told = matches!(&refused, Err(ClientError::Redirect(RedirectRefused::OtherClient("issuer"))));
    assert!(is_told, "{refused:?}");
    assert!(evil.seen().is_empty());
    at_honest.finish_login(kept, &answer).await.expect("tokens");
}

/// Another program on this machine comes first, or second, with an answer of its own.
#[tokio::test]
async fn atk_127_cl_flw_11_another_program_at_the_listener_gets_nothing() {
    let mock = Mock::start(|_, _| reply(200, &[], TOKENS)).await;
    let client = client(&mock.origin, ClientAuth::None);
    let mut loopback = Loopback::listen("/cb").await.expect("a listener");
    let login = client.begin_login(LoginAsk::default(), loopback.redirect_uri()).await.expect("begun");
    let fetcher =
        keybound_fetch::Fetcher::for_operator(&keybound_fetch::Settings::default()).expect("a fetcher");
    let hit = |query: String| fetcher.send(crate::mock::get(format!("{}?{query}", loopback.redirect_uri())));
    let first = hit(format!("code=planted&state=guessed&iss={}", mock.origin)).await.expect("an answer");
    assert_eq!(first.status(), 303);
    let genuine = format!("code=genuine&state={}&iss={}", state(&login), mock.origin);
    assert_eq!(hit(genuine).await.expect("an answer").status(), 410);
    let query = loopback.response(Duration::from_secs(5)).await.expect("a response");
    let refused = client.finish_login(login, &query).await;
    assert!(matches!(refused, Err(ClientError::Redirect(RedirectRefused::State))), "{refused:?}");
    assert!(mock.seen().is_empty(), "no code was sent");
}
