//! Nonces (RFC 9449 §8, §9): learnt from any answer, followed once, kept apart.

use crate::mock::{CHALLENGE, Mock, START, TOKENS, USE_NONCE, api, client, get, reply, session, transport};
use keybound_client::api::{Api, ApiSettings};
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::nonce_rule::NonceError;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use keybound_oauth::client_auth::AssertionClaims;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::test]
async fn cl_non_01_nonces_are_followed_at_both_kinds_of_server() {
    let mock = Mock::start(|seen, _| match (seen.target.as_str(), seen.nonce().as_deref()) {
        ("/token", Some("as-nonce")) => reply(200, &[], TOKENS),
        ("/token", _) => reply(400, &[("DPoP-Nonce", "as-nonce")], USE_NONCE),
        (_, Some("rs-nonce")) => reply(200, &[], "yes"),
        _ => reply(401, &[CHALLENGE, ("DPoP-Nonce", "rs-nonce")], ""),
    })
    .await;
    let client = client(&mock.origin, ClientAuth::None);
    let tokens = client.client_credentials(None, Vec::new()).await.expect("tokens");
    let mut session = session(client.prover(), &mock.origin, &mock.origin);
    session.tokens = tokens;
    let api =
        Api::new(transport(), client.prover().clone(), session, ApiSettings::default()).expect("an API");
    let answer = api.send(get(format!("{}/things", mock.origin))).await.expect("an answer");
    assert_eq!(answer.body().as_ref(), b"yes");
    assert_eq!(mock.seen().len(), 4);
}

#[tokio::test]
async fn cl_non_02_challenges_in_any_company_are_recognised() {
    const NONCE: (&str, &str) = ("DPoP-Nonce", "n");
    const WAYS: [&[(&str, &str)]; 4] = [
        &[("WWW-Authenticate", r#"Bearer realm="a, b", dpop ERROR="use_dpop_nonce""#), NONCE],
        &[("WWW-Authenticate", "Bearer error=\"invalid_token\""), CHALLENGE, NONCE],
        &[CHALLENGE, ("WWW-Authenticate", "Basic realm=\"x\""), NONCE],
        &[("WWW-Authenticate", r#"Negotiate abc==, DPoP x="a,b", error="use_dpop_nonce", Bearer"#), NONCE],
    ];
    for way in WAYS {
        let mock = Mock::start(move |seen, _| match seen.nonce() {
            Some(_) => reply(200, &[], ""),
            None => reply(401, way, ""),
        })
        .await;
        let answer = api(&mock.origin, ApiSettings::default()).send(get(format!("{}/x", mock.origin))).await;
        assert_eq!(answer.expect("an answer").status(), 200, "{way:?}");
        assert_eq!(mock.seen().len(), 2);
    }
}

#[tokio::test]
async fn cl_non_03_the_second_sending_is_made_anew() {
    let used = Mutex::new(HashSet::new());
    let mock = Mock::start(move |seen, _| {
        let form = seen.form();
        let assertion = form.get("client_assertion").expect("an assertion");
        let jwt = keybound_dpop::jose::jws::UnverifiedJwt::parse(assertion).expect("a JWT");
        let claims = AssertionClaims::read(&jwt.claims().expect("claims")).expect("claims");
        if !used.lock().insert(claims.jti.expect("jti")) {
            return reply(401, &[], r#"{"error":"invalid_client","error_description":"assertion reused"}"#);
        }
        match seen.nonce() {
            None => reply(400, &[("DPoP-Nonce", "n")], USE_NONCE),
            Some(_) => reply(200, &[], TOKENS),
        }
    })
    .await;
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let client = client(&mock.origin, ClientAuth::PrivateKeyJwt { signer: Arc::new(key), kid: None });
    client.client_credentials(None, Vec::new()).await.expect("tokens");
    let seen = mock.seen();
    assert_eq!(seen.len(), 2);
    let (first, second) = (seen[0].proof(), seen[1].proof());
    assert_ne!(first["jti"], second["jti"]);
    assert!(first["iat"].as_u64() >= Some(START) && first["iat"].as_u64() < second["iat"].as_u64());
    assert_eq!((seen[0].nonce(), seen[1].nonce().as_deref()), (None, Some("n")));
}

#[tokio::test]
async fn cl_non_04_atk_066_one_retry_only() {
    let mock = Mock::start(|seen, before| {
        let nonce = format!("n{before}");
        match seen.target.as_str() {
            "/token" => reply(400, &[("DPoP-Nonce", &nonce)], USE_NONCE),
            _ => reply(401, &[CHALLENGE, ("DPoP-Nonce", &nonce)], ""),
        }
    })
    .await;
    let at_as = client(&mock.origin, ClientAuth::None).client_credentials(None, Vec::new()).await;
    assert!(matches!(at_as, Err(ClientError::Nonce(NonceError::AskedAgain))), "{at_as:?}");
    assert_eq!(mock.seen().len(), 2);
    let at_rs = api(&mock.origin, ApiSettings::default()).send(get(format!("{}/x", mock.origin))).await;
    assert!(matches!(at_rs, Err(ClientError::Nonce(NonceError::AskedAgain))), "{at_rs:?}");
    assert_eq!(mock.seen().len(), 4);
}

#[tokio::test]
async fn cl_non_04_atk_066_the_same_nonce_again_is_no_reason_to_go_on() {
    let mock = Mock::start(|_, _| reply(401, &[CHALLENGE, ("DPoP-Nonce", "n")], "")).await;
    let answer = api(&mock.origin, ApiSettings::default()).send(get(format!("{}/x", mock.origin))).await;
    assert!(matches!(answer, Err(ClientError::Nonce(NonceError::Same))), "{answer:?}");
    assert_eq!(mock.seen().len(), 2);
}

#[tokio::test]
async fn cl_non_04_an_expired_nonce_is_replaced() {
    let current = Arc::new(AtomicUsize::new(0));
    let at_server = Arc::clone(&current);
    let mock = Mock::start(move |seen, _| {
        let nonce = format!("n{}", at_server.load(Ordering::SeqCst));
        if seen.nonce().as_ref() == Some(&nonce) {
            reply(200, &[], "")
        } else {
            reply(401, &[CHALLENGE, ("DPoP-Nonce", &nonce)], "")
        }
    })
    .await;
    let api = api(&mock.origin, ApiSettings::default());
    for expected in [2, 3, 5] {
        api.send(get(format!("{}/x", mock.origin))).await.expect("an answer");
        assert_eq!(mock.seen().len(), expected);
        current.store(expected / 3, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn cl_non_05_atk_066_a_broken_challenge_is_an_error_and_not_retried() {
    let broken: [(&[(&str, &str)], NonceError); 4] = [
        (&[], NonceError::Missing),
        (&[("DPoP-Nonce", "a"), ("DPoP-Nonce", "b")], NonceError::Several),
        (&[("DPoP-Nonce", "a\"b")], NonceError::Malformed),
        (&[("DPoP-Nonce", "a b")], NonceError::Malformed),
    ];
    for (given, expected) in broken {
        let mock = Mock::start(move |seen, _| match seen.target.as_str() {
            "/token" => reply(400, given, USE_NONCE),
            _ => reply(401, &[given, &[CHALLENGE]].concat(), ""),
        })
        .await;
        let at_as = client(&mock.origin, ClientAuth::None).client_credentials(None, Vec::new()).await;
        assert!(matches!(at_as, Err(ClientError::Nonce(error)) if error == expected), "{given:?}");
        assert_eq!(mock.seen().len(), 1);
        let at_rs = api(&mock.origin, ApiSettings::default()).send(get(format!("{}/x", mock.origin))).await;
        assert!(matches!(at_rs, Err(ClientError::Nonce(error)) if error == expected), "{given:?}");
        assert_eq!(mock.seen().len(), 2);
    }
}

#[tokio::test]
async fn cl_non_06_atk_067_two_roles_on_one_origin_keep_two_nonces() {
    let mock = Mock::start(|seen, _| match seen.target.as_str() {
        "/token" => reply(200, &[("DPoP-Nonce", "of-the-as")], TOKENS),
        _ => reply(200, &[("DPoP-Nonce", "of-the-rs")], ""),
    })
    .await;
    let other = Mock::start(|_, _| reply(200, &[("DPoP-Nonce", "planted")], "")).await;
    let client = client(&mock.origin, ClientAuth::None);
    let mut session = session(client.prover(), &mock.origin, &mock.origin);
    session.origins = keybound_client::session::Origins::of([mock.origin.as_str(), other.origin.as_str()])
        .expect("origins");
    let api =
        Api::new(transport(), client.prover().clone(), session, ApiSettings::default()).expect("an API");
    for _ in 0..2 {
        client.client_credentials(None, Vec::new()).await.expect("tokens");
        api.send(get(format!("{}/x", mock.origin))).await.expect("an answer");
        api.send(get(format!("{}/x", other.origin))).await.expect("an answer");
    }
    let nonces: Vec<_> = mock.seen().iter().map(crate::mock::Seen::nonce).collect();
    let (of_as, of_rs) = (Some("of-the-as".to_owned()), Some("of-the-rs".to_owned()));
    assert_eq!(nonces, [None, None, of_as, of_rs]);
    let elsewhere: Vec<_> = other.seen().iter().map(crate::mock::Seen::nonce).collect();
    assert_eq!(elsewhere, [None, Some("planted".to_owned())]);
}

#[tokio::test]
async fn cl_non_07_a_nonce_in_any_answer_replaces_the_one_before() {
    let mock = Mock::start(|_, before| {
        let status = [200, 204, 302, 403, 404, 500, 401][before % 7];
        reply(status, &[("DPoP-Nonce", &format!("n{before}"))], "")
    })
    .await;
    let api = api(&mock.origin, ApiSettings::default());
    for _ in 0..8 {
        api.send(get(format!("{}/x", mock.origin))).await.expect("an answer");
    }
    let nonces: Vec<_> = mock.seen().iter().filter_map(crate::mock::Seen::nonce).collect();
    assert_eq!(nonces, ["n0", "n1", "n2", "n3", "n4", "n5", "n6"]);
}

#[tokio::test]
async fn cl_non_07_a_nonce_on_the_token_response_is_learnt() {
    let mock = Mock::start(|_, before| match before {
        0 => reply(200, &[("DPoP-Nonce", "next")], TOKENS),
        1 => reply(400, &[("DPoP-Nonce", "later")], r#"{"error":"invalid_grant"}"#),
        _ => reply(200, &[("DPoP-Nonce", "a"), ("DPoP-Nonce", "b")], TOKENS),
    })
    .await;
    let client = client(&mock.origin, ClientAuth::None);
    for _ in 0..4 {
        let _ = client.client_credentials(None, Vec::new()).await;
    }
    let nonces: Vec<_> = mock.seen().iter().filter_map(crate::mock::Seen::nonce).collect();
    assert_eq!(nonces, ["next", "later", "later"]);
}

#[tokio::test]
async fn cl_non_08_no_nonce_before_one_was_received() {
    let mock = Mock::start(|_, _| reply(200, &[], TOKENS)).await;
    let client = client(&mock.origin, ClientAuth::None);
    let api = api(&mock.origin, ApiSettings::default());
    for _ in 0..2 {
        client.client_credentials(None, Vec::new()).await.expect("tokens");
        api.send(get(format!("{}/x", mock.origin))).await.expect("an answer");
    }
    assert_eq!(mock.seen().len(), 4);
    assert!(mock.seen().iter().all(|seen| seen.proof().get("nonce").is_none()));
}

#[tokio::test]
async fn cl_non_09_parallel_calls_over_a_rotation_all_succeed() {
    let mock = Mock::start(|seen, before| {
        let nonce = if before < 25 { "old" } else { "new" };
        match (seen.nonce().as_deref(), nonce) {
            (Some("new"), _) | (Some("old"), "old") => reply(200, &[], ""),
            _ => reply(401, &[CHALLENGE, ("DPoP-Nonce", nonce)], ""),
        }
    })
    .await;
    let api = api(&mock.origin, ApiSettings::default());
    api.send(get(format!("{}/x", mock.origin))).await.expect("an answer");
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (api, url) = (api.clone(), format!("{}/x", mock.origin));
            tokio::spawn(async move { api.send(get(url)).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.expect("joined").expect("an answer").status(), 200);
    }
}

#[tokio::test]
async fn cl_prf_07_one_proof_on_the_second_sending_too() {
    let mock = Mock::start(|seen, _| match seen.nonce() {
        Some(_) => reply(200, &[], ""),
        None => reply(401, &[CHALLENGE, ("DPoP-Nonce", "n")], ""),
    })
    .await;
    let mut request = get(format!("{}/x?page=2", mock.origin));
    request.headers_mut().append("DPoP", http::HeaderValue::from_static("old"));
    request.headers_mut().append("Authorization", http::HeaderValue::from_static("Bearer old"));
    api(&mock.origin, ApiSettings::default()).send(request).await.expect("an answer");
    let seen = mock.seen();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert_eq!(seen.proof()["htu"], format!("{}/x", mock.origin));
        assert_eq!(seen.headers.get_all("Authorization").iter().count(), 1);
        assert_eq!(seen.authorization(), Some("DPoP token-1"));
    }
}
