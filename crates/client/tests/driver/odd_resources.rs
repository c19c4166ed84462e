//! Resources that answer with what they must not, or with what is made to confuse.

use crate::mock::{CHALLENGE, Mock, TOKENS, api, client, get, reply, session, transport};
use keybound_client::api::{Api, ApiSettings};
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::redirect::Redirects;
use keybound_client::resource_refused;
use keybound_dpop::time::UnixTime;
use keybound_oauth::token::TokenType;

#[tokio::test]
async fn atk_120_a_bearer_token_where_a_bound_one_was_asked_for() {
    for (token_type, is_taken) in [("Bearer", false), ("bearer", false), ("N_A", false), ("dPoP", true)] {
        let tokens = TOKENS.replace("\"DPoP\"", &format!("\"{token_type}\""));
        let mock = Mock::start(move |seen, _| match (seen.target.as_str(), seen.authorization()) {
            ("/token", _) => reply(200, &[], &tokens),
            (_, Some("DPoP token-2")) => reply(200, &[], ""),
            _ => reply(401, &[("WWW-Authenticate", r#"DPoP error="invalid_token""#)], ""),
        })
        .await;
        let client = client(&mock.origin, ClientAuth::None);
        let (prover, session) =
            (client.prover().clone(), session(client.prover(), &mock.origin, &mock.origin));
        let settings = ApiSettings { renewal: Some(client), ..ApiSettings::default() };
        let api = Api::new(transport(), prover, session, settings).expect("an API");
        let answer = api.send(get(format!("{}/x", mock.origin))).await;
        assert_eq!(answer.is_ok(), is_taken, "{token_type}: {answer:?}");
        let is_bearer = |line: Option<&str>| line.is_some_and(|line| line.starts_with("Bearer"));
        assert!(mock.seen().iter().all(|seen| !is_bearer(seen.authorization())));
    }
}

#[tokio::test]
async fn atk_121_cl_tok_03_a_challenge_for_bearer_tokens_alone_is_no_reason_to_send_one() {
    const BAITS: [&[(&str, &str)]; 3] = [
        &[("WWW-Authenticate", r#"Bearer realm="x""#)],
        &[("WWW-Authenticate", r#"Bearer error="invalid_token""#)],
        &[("WWW-Authenticate", r#"Bearer error="invalid_request", error_description="send a bearer token""#)],
    ];
    for bait in BAITS {
        let mock = Mock::start(move |_, _| reply(401, bait, "")).await;
        let answer = api(&mock.origin, ApiSettings::default()).send(get(format!("{}/x", mock.origin))).await;
        let answer = answer.expect("an answer");
        let seen = mock.seen();
        assert_eq!((answer.status().as_u16(), seen.len()), (401, 1));
        assert_eq!(seen[0].authorization(), Some("DPoP token-1"));
        resource_refused::judge(&answer, UnixTime::from_secs(0)).expect_err("refused");
    }
}

#[tokio::test]
async fn cl_non_04_a_request_with_a_bearer_token_is_not_sent_again_for_a_nonce() {
    for given in [&[CHALLENGE, ("DPoP-Nonce", "n")][..], &[CHALLENGE]] {
        let mock = Mock::start(move |_, _| reply(401, given, "")).await;
        let prover = crate::mock::prover();
        let mut session = session(&prover, &mock.origin, &mock.origin);
        session.tokens.token_type = TokenType::Bearer;
        let api = Api::new(transport(), prover, session, ApiSettings::default()).expect("an API");
        let answer = api.send(get(format!("{}/x", mock.origin))).await.expect("an answer");
        assert_eq!((answer.status().as_u16(), mock.seen().len()), (401, 1));
    }
}

#[tokio::test]
async fn atk_122_cl_red_03_a_redirect_to_another_origin_takes_nothing_along() {
    let evil = Mock::start(|_, _| reply(200, &[], "")).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/x", evil.origin);
        let mock = Mock::start(move |_, _| reply(status, &[("Location", &location)], "")).await;
        let settings = ApiSettings { redirects: Redirects::SameOrigin, ..ApiSettings::default() };
        let answer = api(&mock.origin, settings).send(get(format!("{}/x", mock.origin))).await;
        assert_eq!(answer.expect("an answer").status(), status);
        let refused = client(&mock.origin, ClientAuth::None).client_credentials(None, Vec::new()).await;
        assert!(matches!(refused, Err(ClientError::Token(_))), "{refused:?}");
    }
    assert!(evil.seen().is_empty());
}

/// The challenge is found or not, and nothing is sent more than twice.
#[tokio::test]
async fn atk_123_challenges_that_are_made_to_confuse() {
    let many = format!("{}DPoP error=\"use_dpop_nonce\"", "Basic realm=\"x\", ".repeat(20));
    let too_many = format!("{}DPoP error=\"use_dpop_nonce\"", "Basic realm=\"x\", ".repeat(5000));
    let long = format!("Basic realm=\"{}\", DPoP error=\"use_dpop_nonce\"", "\\\"".repeat(50_000));
    let open = format!("DPoP error=\"use_dpop_nonce, {}", "a=\"".repeat(20_000));
    let commas = ",".repeat(100_000);
    for (line, is_found) in [
        (many, true),
        (too_many, false),
        (long, true),
        (open, false),
        (commas, false),
        (r#"Negotiate abc==, DPoP x="a,b", error="use_dpop_nonce", Bearer"#.to_owned(), true),
        (r#"Basic realm="DPoP error=\"use_dpop_nonce\"""#.to_owned(), false),
        (r#"DPoP realm="x" error="use_dpop_nonce""#.to_owned(), false),
        (r#"DPoP abc==, error="use_dpop_nonce", DPoP error=use_dpop_nonce"#.to_owned(), true),
    ] {
        let shown = line.chars().take(60).collect::<String>();
        let mock = Mock::start(move |seen, _| match seen.nonce() {
            Some(_) => reply(200, &[], ""),
            None => reply(401, &[("WWW-Authenticate", &line), ("DPoP-Nonce", "n")], ""),
        })
        .await;
        let answer = api(&mock.origin, ApiSettings::default()).send(get(format!("{}/x", mock.origin))).await;
        let answer = answer.expect("an answer");
        let (status, sent) = if is_found { (200, 2) } else { (401, 1) };
        assert_eq!((answer.status().as_u16(), mock.seen().len()), (status, sent), "{shown}");
        let told = resource_refused::judge(&answer, UnixTime::from_secs(0));
        assert_eq!(told.is_ok(), is_found, "{shown}");
    }
    let lines = vec![("WWW-Authenticate", "Basic realm=\"x\""); 60];
    let mock = Mock::start(move |_, _| reply(401, &[lines.as_slice(), &[CHALLENGE]].concat(), "")).await;
    let answer = api(&mock.origin, ApiSettings::default()).send(get(format!("{}/x", mock.origin))).await;
    assert_eq!(answer.expect("an answer").status(), 401);
}
