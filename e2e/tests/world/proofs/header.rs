//! DPOP-HDR: how a proof travels.

use super::stage::{At, Place, Stage, both, key_for};
use axum::body::Body;
use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use keybound_dpop::header::ProofHeader;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::proof::check::{Expected, Policy, verify};
use keybound_dpop::proof::error::Check;
use keybound_dpop::target::Target;
use keybound_dpop::time::UnixTime;
use keybound_e2e::forge::new_key;
use keybound_e2e::world::*;
use serde_json::json;

#[tokio::test]
async fn dpop_hdr_01_the_name_has_no_case() {
    both(async |at| {
        for name in ["dpop", "DPOP", "DPoP"] {
            let mut request = match at.place {
                Place::Token => {
                    let code = at.stage.world.code("app").await;
                    post(TOKEN, code_form(&code).pair("client_id", "app"), &[])
                }
                Place::UserInfo => at.request(&[]),
            };
            let value = HeaderValue::try_from(at.sign(&at.good())).expect("a value");
            request.headers_mut().insert(HeaderName::from_bytes(name.as_bytes()).expect("a name"), value);
            at.assert_taken(&at.send(request).await);
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_hdr_02_more_than_one_line_is_refused() {
    both(async |at| {
        let (one, two) = (at.sign(&at.good()), at.sign(&at.good()));
        at.refuses_lines("DPOP-HDR-02", &[one.as_bytes(), one.as_bytes()]).await;
        at.refuses_lines("DPOP-HDR-02", &[one.as_bytes(), two.as_bytes()]).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_hdr_03_atk_002_two_proofs_joined_by_a_comma_are_refused() {
    both(async |at| {
        let (one, two) = (at.sign(&at.good()), at.sign(&at.good()));
        for comma in [", ", ",", " ,"] {
            at.refuses("DPOP-HDR-06", &format!("{one}{comma}{two}")).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_hdr_04_atk_001_no_line_is_the_first_or_the_last() {
    both(async |at| {
        let (good, forged) = (at.sign(&at.good()), at.good().sign(&new_key()));
        at.refuses_lines("DPOP-HDR-02", &[good.as_bytes(), forged.as_bytes()]).await;
        at.refuses_lines("DPOP-HDR-02", &[forged.as_bytes(), good.as_bytes()]).await;
        at.refuses_lines("DPOP-HDR-02", &[good.as_bytes(), b"", b""]).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_hdr_05_atk_003_an_empty_header_is_a_bad_proof_and_not_an_absent_one() {
    both(async |at| {
        for empty in ["", " ", " \t "] {
            at.refuses("DPOP-HDR-05", empty).await;
        }
    })
    .await;
    let world = keybound_e2e::World::new().await;
    let poster = client_credentials_form()
        .pair("client_id", "poster")
        .pair("client_secret", SECRET)
        .pair("resource", MIXED_API);
    let answer = world.post(poster, &[("dpop", "")]).await;
    keybound_e2e::answer::assert_e_as(&answer);
}

#[tokio::test]
async fn dpop_hdr_06_only_token68() {
    both(async |at| {
        let good = at.sign(&at.good());
        let (head, tail) = good.split_at(good.len() / 2);
        for odd in ["\"", " ", "\t", "\u{e9}", ";", "%", ":", "\u{80}"] {
            at.refuses("DPOP-HDR-06", &format!("{head}{odd}{tail}")).await;
        }
        at.refuses("DPOP-HDR-06", &format!("\"{good}\"")).await;
        at.refuses("DPOP-HDR-06", &format!("DPoP {good}")).await;
        at.refuses("DPOP-HDR-06", "=").await;
        at.refuses_lines("DPOP-HDR-06", &[&[good.as_bytes(), b"\xff"].concat()]).await;
    })
    .await;
}

#[test]
fn dpop_hdr_06_what_http_cannot_carry_is_refused_by_both() {
    let target = Target::parse(TOKEN).expect("a target");
    let policy = Policy::default();
    let expected = Expected { method: "POST", target: &target, token: None, nonce: None, policy: &policy };
    for odd in [&b"a.b\0.c"[..], b"a.b\r\n c.d", b"a.b\n.c", b"a.b\x7f.c"] {
        assert!(HeaderValue::from_bytes(odd).is_err());
        let refusal = verify(ProofHeader::One(odd), &expected, UnixTime::from_secs(0)).expect_err("refused");
        assert_eq!(refusal.check(), Check::HeaderCharacters);
    }
}

#[tokio::test]
async fn dpop_hdr_07_the_value_has_case() {
    both(async |at| {
        let good = at.sign(&at.good());
        at.refuses("DPOP-JWS-", &good.to_lowercase()).await;
        at.refuses("DPOP-JWS-", &good.to_uppercase()).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_hdr_08_where_a_proof_is_needed_none_is_refused() {
    both(async |at| at.refuses_lines("DPOP-HDR-08", &[]).await).await;
}

/// The same request with the proof in some other place.
fn elsewhere(at: &At, proof: &str) -> Vec<Request<Body>> {
    let mut in_query = at.request(&[]);
    *in_query.uri_mut() = format!("{}?dpop={proof}&DPoP={proof}", at.url()).parse().expect("a URI");
    let mut in_cookie = at.request(&[]);
    let cookie = HeaderValue::try_from(format!("dpop={proof}; DPoP={proof}")).expect("a value");
    in_cookie.headers_mut().insert(COOKIE, cookie);
    let mut in_other_field = at.request(&[]);
    let value = HeaderValue::try_from(proof).expect("a value");
    in_other_field.headers_mut().insert("x-dpop", value.clone());
    in_other_field.headers_mut().insert("dpop-proof", value.clone());
    let mut trailers = HeaderMap::new();
    trailers.insert("dpop", value);
    let (parts, body) = at.request(&[]).into_parts();
    let in_trailer =
        Request::from_parts(parts, Body::new(body.with_trailers(std::future::ready(Some(Ok(trailers))))));
    vec![in_query, in_cookie, in_other_field, in_trailer]
}

#[tokio::test]
async fn dpop_hdr_09_atk_017_a_proof_in_another_place_is_not_read() {
    both(async |at| {
        for request in elsewhere(at, &at.sign(&at.good())) {
            at.assert_refused("DPOP-HDR-08", &at.send(request).await);
        }
        let mut in_form = at.request(&[]);
        let (parts, body) = std::mem::replace(&mut in_form, Request::new(Body::empty())).into_parts();
        let form = body.collect().await.expect("a body").to_bytes();
        let form = [&form[..], b"&dpop=", at.sign(&at.good()).as_bytes()].concat();
        let in_form = Request::from_parts(parts, Body::new(Full::new(Bytes::from(form))));
        at.assert_refused("DPOP-HDR-08", &at.send(in_form).await);
    })
    .await;
}

/// A good proof of just about that many octets: base64url has no text of every length.
fn of_length(at: &At, wanted: std::ops::RangeInclusive<usize>) -> String {
    let spare = wanted.start() - at.sign(&at.good().claim("padding", "")).len();
    (spare * 3 / 4 - 4..)
        .map(|padding| at.sign(&at.good().claim("padding", "x".repeat(padding))))
        .find(|proof| proof.len() >= *wanted.start())
        .filter(|proof| wanted.contains(&proof.len()))
        .expect("a proof of that length")
}

#[tokio::test]
async fn dpop_hdr_10_atk_016_eight_kibibytes_and_no_more() {
    let stage = Stage::by(key_for(Algorithm::EdDsa)).await;
    stage
        .play(async |at| {
            at.takes(&of_length(at, 8190..=8192)).await;
            at.refuses("DPOP-HDR-10", &of_length(at, 8193..=8196)).await;
            at.refuses("DPOP-HDR-10", &"x".repeat(9 * 1024)).await;
            at.refuses("DPOP-HDR-10", &"x".repeat(1024 * 1024)).await;
            let chain = json!(vec!["M".repeat(1000); 500]);
            at.refuses("DPOP-HDR-10", &at.sign(&at.good().head("x5c", chain))).await;
        })
        .await;
}
