//! Nonces of a server that plays with them (RFC 9449 §8, §9).

use crate::server::{Asked, Hostile, Says, says};
use crate::victim::{SECRETS, TOKEN, api, client, get, layered, post};
use keybound_client::api::ApiSettings;
use keybound_client::error::ClientError;
use keybound_client::nonce_rule::NonceError;
use std::collections::HashSet;

pub(crate) const TOKENS: &str = r#"{"access_token":"new","token_type":"DPoP"}"#;
const USE_NONCE: &str = r#"{"error":"use_dpop_nonce"}"#;
const CHALLENGE: (&str, &str) = ("WWW-Authenticate", r#"DPoP error="use_dpop_nonce""#);

/// A challenge with these header lines, in either role.
fn challenge(asked: &Asked, lines: &[(&str, &str)]) -> Says {
    match asked.target() {
        "/token" => says(400, lines, USE_NONCE),
        _ => says(401, &[&[CHALLENGE], lines].concat(), ""),
    }
}

fn jtis(hostile: &Hostile) -> HashSet<String> {
    hostile.asked().iter().map(|one| one.proof()["jti"].to_string()).collect()
}

/// A nonce on every answer costs nothing: the next proof has it, and no request is sent for its sake.
#[tokio::test]
async fn cl_non_07_atk_067_a_nonce_on_every_answer_costs_no_request() {
    let hostile = Hostile::start(|asked, before| {
        let nonce = format!("n{before}");
        match (asked.target(), before % 2) {
            ("/token", 0) => says(200, &[("DPoP-Nonce", &nonce)], TOKENS),
            ("/token", _) => says(400, &[("DPoP-Nonce", &nonce)], r#"{"error":"invalid_grant"}"#),
            _ => says([200, 403, 500][before % 3], &[("DPoP-Nonce", &nonce)], ""),
        }
    })
    .await;
    let client = client(&hostile.origin);
    for _ in 0..6 {
        let _ = client.client_credentials(None, Vec::new()).await;
    }
    let nonces: Vec<_> = hostile.asked().iter().filter_map(Asked::nonce).collect();
    assert_eq!(nonces, ["n0", "n1", "n2", "n3", "n4"]);
    let api = api(&hostile, ApiSettings::default());
    for _ in 0..6 {
        api.send(get(&hostile.origin)).await.expect("an answer");
    }
    let nonces: Vec<_> = hostile.at("/orders").iter().filter_map(Asked::nonce).collect();
    assert_eq!(nonces, ["n6", "n7", "n8", "n9", "n10"]);
    assert_eq!(jtis(&hostile).len(), 12);
}

#[tokio::test]
async fn cl_non_04_atk_066_a_nonce_that_never_satisfies_ends_after_two_requests() {
    let always_new = |asked: &Asked, before: usize| {
        let nonce = format!("n{before}");
        challenge(asked, &[("DPoP-Nonce", &nonce)])
    };
    let always_the_same = |asked: &Asked, _: usize| challenge(asked, &[("DPoP-Nonce", "same")]);
    for (hostile, expected) in [
        (Hostile::start(always_new).await, NonceError::AskedAgain),
        (Hostile::start(always_the_same).await, NonceError::Same),
    ] {
        let client = client(&hostile.origin);
        let refused = client.client_credentials(None, Vec::new()).await;
        assert!(matches!(refused, Err(ClientError::Nonce(error)) if error == expected), "{refused:?}");
        assert_eq!(hostile.asked().len(), 2);
        let refused = api(&hostile, ApiSettings::default()).send(get(&hostile.origin)).await;
        assert!(matches!(refused, Err(ClientError::Nonce(error)) if error == expected), "{refused:?}");
        assert_eq!(hostile.at("/orders").len(), 2);
        assert!(layered(&hostile, post(&hostile.origin)).await.is_err(), "through the middleware");
        assert_eq!(hostile.at("/orders").len(), 4);
        assert_eq!(jtis(&hostile).len(), 6);
    }
}

#[tokio::test]
async fn cl_non_05_atk_066_no_nonce_several_or_an_illegal_one_ends_at_once() {
    let long = "n".repeat(100_000);
    let broken: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        vec![("DPoP-Nonce", "a"), ("dpop-nonce", "b")],
        vec![("DPoP-Nonce", "a"), ("DPoP-Nonce", "a")],
        vec![("DPoP-Nonce", "")],
        vec![("DPoP-Nonce", "a b")],
        vec![("DPoP-Nonce", "a\"b")],
        vec![("DPoP-Nonce", "a\\b")],
        vec![("DPoP-Nonce", "a\tb")],
        vec![("DPoP-Nonce", "ä")],
        vec![("DPoP-Nonce", &long)],
    ];
    for lines in broken {
        let shown = format!("{:.60}", format!("{lines:?}"));
        let owned: Vec<(String, String)> =
            lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let hostile = Hostile::start(move |asked, _| {
            let lines: Vec<_> = owned.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            challenge(asked, &lines)
        })
        .await;
        for _ in 0..2 {
            let refused = client(&hostile.origin).client_credentials(None, Vec::new()).await;
            assert!(matches!(refused, Err(ClientError::Nonce(_))), "{shown}: {refused:?}");
            let refused = api(&hostile, ApiSettings::default()).send(get(&hostile.origin)).await;
            assert!(matches!(refused, Err(ClientError::Nonce(_))), "{shown}: {refused:?}");
        }
        assert_eq!(hostile.asked().len(), 4, "{shown}");
        assert!(hostile.asked().iter().all(|one| one.nonce().is_none()), "{shown}");
    }
}

/// What a resource gives for a nonce goes back there alone, and into nothing but a proof.
#[tokio::test]
async fn cl_non_06_atk_067_a_planted_nonce_does_not_travel() {
    let planting = |_: &Asked, _: usize| says(200, &[("DPoP-Nonce", "planted")], TOKENS);
    let (one, other) = (Hostile::start(planting).await, Hostile::empty().await);
    let client = client(&one.origin);
    client.client_credentials(None, Vec::new()).await.expect("tokens");
    let session = crate::victim::session(client.prover(), &one.origin, &[&one.origin, &other.origin]);
    let transport = crate::victim::transport();
    let api =
        keybound_client::api::Api::new(transport, client.prover().clone(), session, ApiSettings::default())
            .expect("an API");
    api.send(get(&one.origin)).await.expect("an answer");
    api.send(get(&other.origin)).await.expect("an answer");
    assert_eq!(one.at("/orders")[0].nonce(), None, "a nonce of the token endpoint");
    assert_eq!(other.asked()[0].nonce(), None, "a nonce of another server");
    other.assert_knows_none_of(&SECRETS.map(|secret| if secret == TOKEN { "planted" } else { secret }));
}
