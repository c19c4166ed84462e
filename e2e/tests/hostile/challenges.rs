//! Challenges that were made to be misread (RFC 9110 §11.6.1).

use crate::server::{Hostile, Says, head, says};
use crate::victim::{TOKEN, api, get};
use http::Response;
use keybound_client::api::ApiSettings;
use keybound_client::error::ClientError;
use std::time::Duration;
use tokio::time::timeout;

/// Longer than any of these keeps the client, and less than a time that grows with the square of their length.
const BOUND: Duration = Duration::from_secs(30);

/// Calls a resource that answers the first request with these lines and the second with 200. Gives the status, or what
/// went wrong, and how many requests came.
async fn call(lines: Vec<String>) -> (Result<u16, ClientError>, usize) {
    let hostile = Hostile::start(move |_, before| match before {
        0 => {
            let lines: Vec<_> = lines.iter().map(|line| ("WWW-Authenticate", line.as_str())).collect();
            says(401, &[&lines[..], &[("DPoP-Nonce", "n")]].concat(), "")
        }
        _ => says(200, &[], ""),
    })
    .await;
    let api = api(&hostile, ApiSettings::default());
    let answer = timeout(BOUND, api.send(get(&hostile.origin))).await.expect("read in time");
    for one in hostile.asked() {
        assert_eq!(one.header("authorization"), [format!("DPoP {TOKEN}")]);
        assert_eq!(one.header("dpop").len(), 1);
    }
    (answer.map(|response: Response<_>| response.status().as_u16()), hostile.asked().len())
}

#[tokio::test]
async fn cl_non_13_atk_123_the_challenge_is_found_in_bad_company() {
    for line in [
        r#"Negotiate abc==, DPoP x="a,b", error="use_dpop_nonce", Bearer"#,
        r#"Negotiate YWJj, dpop ERROR=use_dpop_nonce"#,
        r#"Basic realm="DPoP error=\"invalid_token\"", DPoP error="use_dpop_nonce""#,
        r#", ,, DPoP , error="use_dpop_nonce""#,
        r#"Bearer realm="a\\", DPoP algs="ES256", error="use_dpop_nonce", error="invalid_token""#,
        r#"DPoP error="use_dpop_nonce", error_description="unbalanced"#,
        r#"a/b=, ==, DPoP error = "use_dpop_nonce""#,
    ] {
        let (status, count) = call(vec![line.to_owned()]).await;
        assert!(matches!(status, Ok(200)) && count == 2, "{line}: {status:?} after {count}");
    }
    let lines =
        vec!["Bearer".to_owned(), "Negotiate".to_owned(), r#"DPoP error="use_dpop_nonce""#.to_owned()];
    assert!(matches!(call(lines).await, (Ok(200), 2)));
}

#[tokio::test]
async fn cl_non_13_atk_123_what_only_looks_like_the_challenge_is_none() {
    for line in [
        r#"Bearer error="use_dpop_nonce""#,
        r#"Bearer realm="x, DPoP error=use_dpop_nonce""#,
        r#"DPoPX error="use_dpop_nonce""#,
        r#"DPoP error="use_dpop_nonce"#,
        r#"DPoP error="invalid_token", error="use_dpop_nonce""#,
        r#"DPoP, Bearer error="use_dpop_nonce""#,
        r#"error="use_dpop_nonce""#,
        r#""DPoP" error="use_dpop_nonce""#,
        r#"DPoP error="USE_DPOP_NONCE""#,
    ] {
        let (status, count) = call(vec![line.to_owned()]).await;
        assert!(matches!(status, Ok(401)) && count == 1, "{line}: {status:?} after {count}");
    }
}

/// A header of 100 KiB, whatever is in it, is read in time that does not grow with its square.
#[tokio::test]
async fn ops_lim_08_atk_123_a_hundred_kibibytes_of_challenge() {
    let dpop = r#"DPoP error="use_dpop_nonce""#;
    let filled = |text: &str| text.repeat(100 * 1024 / text.len());
    for filling in [
        "a",
        ",",
        "\"",
        "\\",
        "=",
        "a=\"",
        "a=\"b\", ",
        "Bearer x=\"\\\"\", ",
        "Basic, ",
        "x=y,",
        "DPoP ",
        " ",
    ] {
        for line in [format!("{} {dpop}", filled(filling)), format!("{dpop}, {}", filled(filling))] {
            let (status, count) = call(vec![line]).await;
            let is_bounded = matches!((&status, count), (Ok(401), 1) | (Ok(200), 2));
            assert!(is_bounded, "{filling}: {status:?} after {count}");
        }
    }
    // The one that comes first is found, whatever comes after.
    assert!(matches!(call(vec![format!("{dpop}, {}", filled("Basic, "))]).await, (Ok(200), 2)));
}

/// A hundred lines are too many for nobody; a head without end is no answer.
#[tokio::test]
async fn ops_lim_08_atk_123_a_head_without_end() {
    let flood: Vec<fn() -> Says> =
        vec![|| Says::Flood([head(401, &[]), b"WWW-Authenticate: DPoP ".to_vec()].concat()), || {
            let line = b"WWW-Authenticate: DPoP error=\"use_dpop_nonce\"\r\n".repeat(100_000);
            Says::Octets([head(401, &[]), line, b"\r\n".to_vec()].concat())
        }];
    for make in flood {
        let hostile = Hostile::start(move |_, _| make()).await;
        let api = api(&hostile, ApiSettings::default());
        let answer = timeout(BOUND, api.send(get(&hostile.origin))).await.expect("read in time");
        assert!(matches!(answer, Err(ClientError::Fetch(_))), "{:?}", answer.map(|_| "an answer"));
        assert_eq!(hostile.asked().len(), 1);
        assert!(hostile.said() < 32 << 20, "{} octets", hostile.said());
    }
}
