//! Part I of the requirements: the eight steps, and each row that they are held to.

use crate::seed_play::{Played, played};
use keybound_dpop::challenge::Challenge;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::sha256;
use keybound_dpop::token_hash::TokenHash;
use keybound_e2e::Answer;
use keybound_e2e::answer::{assert_e_as, assert_n_as, assert_uncacheable_json, part};
use keybound_e2e::servers::Exchange;
use keybound_oauth::form::Form;
use serde_json::{Value, json};

/// Header and claims of the proof in a request.
fn proof(exchange: &Exchange) -> (Value, Value) {
    let proof = exchange.one("dpop");
    (part(&proof, 0), part(&proof, 1))
}

fn form(exchange: &Exchange) -> Form {
    Form::parse(&exchange.body).expect("a form")
}

fn access_token(played: &Played) -> String {
    played.at_token[1].answer.text("access_token")
}

/// Requirements 0.3: 401 with that error on a challenge of that scheme.
#[track_caller]
fn assert_401(answer: &Answer, scheme: &str, error: &str) {
    assert_eq!(answer.status.as_u16(), 401, "{answer:?}");
    let challenges = answer.challenges();
    let is_it = |challenge: &&Challenge| challenge.scheme.eq_ignore_ascii_case(scheme);
    let told = challenges.iter().filter(is_it).find_map(|challenge| challenge.get("error"));
    assert_eq!(told, Some(error), "{answer:?}");
}

#[tokio::test]
async fn seed_flow() {
    let played = played().await;
    let (first, second) = (&played.at_token[0], &played.at_token[1]);
    // 1, 2, 3: a key, a proof with its public half, and the token request with it.
    assert_eq!((first.method.as_str(), first.target.path()), ("POST", "/token"));
    assert_eq!(proof(first).0["jwk"], played.public_jwk);
    assert_eq!(proof(first).1.get("nonce"), None);
    // 4, 5: a nonce is asked for, and comes with a proof that is new in all else.
    let nonce = assert_n_as(&first.answer);
    assert_eq!(proof(second).1["nonce"], nonce);
    assert_ne!(proof(second).1["jti"], proof(first).1["jti"]);
    // 6: the token is bound to the key.
    assert_eq!(second.answer.status.as_u16(), 200);
    assert_eq!(second.answer.claims("access_token")["cnf"], json!({ "jkt": played.jkt }));
    // 7: the call, after the resource server asked for a nonce of its own.
    let [challenged, call] = played.at_gateway.as_slice() else { panic!("{:?}", played.at_gateway) };
    assert_401(&challenged.answer, "DPoP", "use_dpop_nonce");
    assert_eq!(call.one("authorization"), format!("DPoP {}", access_token(played)));
    assert_eq!(proof(call).1["nonce"], challenged.answer.nonce());
    // 8: it is let through, once.
    assert_eq!(call.answer.status.as_u16(), 200);
    assert_eq!(call.answer.json(), json!({ "orders": [] }));
    assert_eq!(played.at_api.len(), 1, "{:?}", played.at_api);
}

#[tokio::test]
async fn cl_key_01_the_key_is_of_a_kind_that_the_server_lists() {
    let played = played().await;
    let algorithm = proof(&played.at_token[0]).0["alg"].clone();
    assert_eq!(algorithm, "ES256");
    assert!(played.listed.as_array().expect("a list").contains(&algorithm), "{}", played.listed);
}

#[tokio::test]
async fn cl_key_02_the_private_key_never_leaves_the_client() {
    let played = played().await;
    let d = played.private_jwk["d"].as_str().expect("a private half");
    assert!(!played.debug.contains(d), "{}", played.debug);
    assert!(played.debug.contains(&played.jkt), "the thumbprint is shown: {}", played.debug);
    for exchange in &played.all {
        let heads = format!("{} {:?} {:?}", exchange.target, exchange.headers, exchange.answer.headers);
        let bodies = [exchange.body.as_ref(), exchange.answer.body.as_ref()].map(String::from_utf8_lossy);
        let proofs =
            exchange.header("dpop").iter().map(|proof| part(proof, 0).to_string()).collect::<String>();
        assert!(!format!("{heads}{bodies:?}{proofs}").contains(d), "{exchange:?}");
    }
}

#[tokio::test]
async fn cl_key_06_the_key_signs_proofs_and_nothing_else() {
    let played = played().await;
    for exchange in &played.at_token {
        assert!(exchange.header("authorization").is_empty(), "{exchange:?}");
        let form = form(exchange);
        for parameter in ["client_assertion", "client_secret", "request"] {
            assert_eq!(form.get(parameter), None, "{exchange:?}");
        }
    }
}

#[tokio::test]
async fn cl_prf_01_every_request_has_a_jti_of_its_own_and_the_time() {
    let played = played().await;
    let calls = played.at_token.iter().chain(&played.at_gateway);
    let claims: Vec<Value> = calls.map(|call| proof(call).1).collect();
    let mut all: Vec<&str> = claims.iter().map(|claims| claims["jti"].as_str().expect("jti")).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|jti| base64url::decode(jti).expect("base64url").len() * 8 >= 96), "{all:?}");
    assert!(claims.iter().map(|claims| claims["iat"].as_u64().expect("iat")).is_sorted());
}

#[tokio::test]
async fn cl_prf_02_method_and_url_as_sent_without_the_query() {
    let played = played().await;
    let (_, token) = proof(&played.at_token[1]);
    assert_eq!((&token["htm"], &token["htu"]), (&json!("POST"), &json!(format!("{}/token", played.issuer))));
    let call = &played.at_gateway[1];
    assert_eq!(call.target.path_and_query().expect("a target").as_str(), "/orders?page=1");
    let (_, claims) = proof(call);
    assert_eq!((&claims["htm"], &claims["htu"]), (&json!("GET"), &json!(format!("{}/orders", played.api))));
}

#[tokio::test]
async fn cl_prf_04_dpop_ath_01_the_tokens_hash_at_the_resource_and_only_there() {
    let played = played().await;
    assert!(played.at_token.iter().all(|call| proof(call).1.get("ath").is_none()));
    let expected = base64url::encode(&sha256(access_token(played).as_bytes()));
    assert_eq!(TokenHash::of(&access_token(played)).ath(), expected);
    assert!(played.at_gateway.iter().all(|call| proof(call).1["ath"] == expected));
    for bad in ["no ath", "wrong ath"] {
        assert_401(played.tried(bad), "DPoP", "invalid_dpop_proof");
    }
}

#[tokio::test]
async fn cl_prf_05_dpop_typ_01_dpop_jwk_01_dpop_jwk_02_the_header_is_typ_alg_and_a_bare_public_key() {
    let played = played().await;
    let expected = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": played.public_jwk });
    assert!(expected["jwk"].get("d").is_none());
    for call in played.at_token.iter().chain(&played.at_gateway) {
        assert_eq!(proof(call).0, expected);
    }
}

#[tokio::test]
async fn cl_prf_07_dpop_hdr_01_one_dpop_header_a_request() {
    let played = played().await;
    for call in played.at_token.iter().chain(&played.at_gateway) {
        assert_eq!(call.header("dpop").len(), 1, "{call:?}");
    }
}

#[tokio::test]
async fn dpop_non_01_as_err_02_as_non_03_no_nonce_no_token_but_a_nonce() {
    let played = played().await;
    let nonce = assert_n_as(&played.at_token[0].answer);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    assert!((1..=64).contains(&nonce.len()) && nonce.bytes().all(fits), "{nonce}");
    let at_resource = &played.at_gateway[0].answer;
    assert_401(at_resource, "DPoP", "use_dpop_nonce");
    assert_ne!(at_resource.nonce(), nonce, "each server has its own");
}

#[tokio::test]
async fn as_non_04_never_more_than_one_nonce() {
    for exchange in &played().await.all {
        assert!(exchange.answer.header("dpop-nonce").len() <= 1, "{exchange:?}");
    }
}

#[tokio::test]
async fn as_non_05_the_challenge_costs_nothing() {
    let played = played().await;
    let (first, second) = (&played.at_token[0], &played.at_token[1]);
    assert_eq!(first.body, second.body, "the same request, the same code");
    assert_eq!((first.answer.status.as_u16(), second.answer.status.as_u16()), (400, 200));
}

#[tokio::test]
async fn cl_non_03_cl_non_04_once_more_with_all_anew_and_never_a_third_time() {
    let played = played().await;
    for [first, second] in [&played.at_token, &played.at_gateway].map(|calls| {
        <[_; 2]>::try_from(calls.clone()).unwrap_or_else(|calls| panic!("two requests: {calls:?}"))
    }) {
        let (before, after) = (proof(&first).1, proof(&second).1);
        assert_eq!(before.get("nonce"), None);
        assert_eq!(after["nonce"], first.answer.nonce());
        assert_ne!(after["jti"], before["jti"]);
        assert!(after["iat"].as_u64() >= before["iat"].as_u64());
    }
}

#[tokio::test]
async fn cl_non_06_a_nonce_goes_back_to_its_server_alone() {
    let played = played().await;
    assert!(played.at_gateway.iter().all(|call| proof(call).1["nonce"] != played.at_token[0].answer.nonce()));
}

#[tokio::test]
async fn dpop_jti_09_dpop_jti_04_a_challenged_proof_is_not_used_up_and_a_used_one_is() {
    let played = played().await;
    assert_eq!(played.tried("refresh").status.as_u16(), 200, "{:?}", played.tried("refresh"));
    assert_e_as(played.tried("refresh with the same proof"));
    assert_401(played.tried("the recorded proof again"), "DPoP", "invalid_dpop_proof");
}

#[tokio::test]
async fn dpop_sig_01_one_bit_anywhere_is_too_much() {
    let played = played().await;
    for bent in ["token: bent header", "token: bent payload", "token: bent signature"] {
        assert_e_as(played.tried(bent));
    }
    assert_401(played.tried("resource: bent signature"), "DPoP", "invalid_dpop_proof");
}

#[tokio::test]
async fn as_tok_01_as_tok_07_as_tok_08_the_answer_says_dpop_and_is_not_kept() {
    let played = played().await;
    for answer in [&played.at_token[1].answer, played.tried("refresh")] {
        assert_eq!((answer.status.as_u16(), answer.text("token_type").as_str()), (200, "DPoP"));
        assert_eq!(answer.claims("access_token")["cnf"], json!({ "jkt": played.jkt }));
    }
    for call in &played.at_token {
        assert_uncacheable_json(&call.answer);
    }
    assert_eq!(played.at_token[1].answer.header("pragma"), ["no-cache"]);
}

#[tokio::test]
async fn as_at_01_the_access_token() {
    let played = played().await;
    let answer = &played.at_token[1].answer;
    assert_eq!(answer.jose_header("access_token")["typ"], "at+jwt");
    let claims = answer.claims("access_token");
    assert_eq!(claims["iss"], played.issuer);
    assert_eq!(claims["aud"], json!([format!("{}/", played.api), played.issuer]));
    assert_eq!(claims["client_id"], "app");
    assert!(claims["sub"].is_string() && claims["jti"].is_string());
    assert!(claims["iat"].as_u64().expect("iat") < claims["exp"].as_u64().expect("exp"));
}

#[tokio::test]
async fn as_rt_01_the_refresh_token_is_bound_to_the_key() {
    let played = played().await;
    let answer = played.tried("refresh with another key");
    assert_eq!(answer.error(), (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn cl_tok_02_rs_sch_01_the_token_goes_out_as_dpop_with_a_proof_only() {
    let played = played().await;
    for call in &played.at_gateway {
        assert_eq!(call.one("authorization"), format!("DPoP {}", access_token(played)));
        assert_eq!(call.header("dpop").len(), 1);
    }
    assert_401(played.tried("no proof"), "DPoP", "invalid_dpop_proof");
}

#[tokio::test]
async fn rs_chk_01_a_token_that_the_issuer_did_not_sign() {
    assert_401(played().await.tried("a bent token"), "DPoP", "invalid_token");
}

#[tokio::test]
async fn rs_chk_06_what_is_refused_does_not_reach_the_api() {
    let played = played().await;
    let refused = played.all.iter().filter(|exchange| exchange.answer.status.as_u16() == 401).count();
    assert_eq!(refused, 1 + 9, "the challenge, and nine tries");
    assert_eq!(played.at_api.len(), 1);
    assert!(played.at_api[0].header("authorization").is_empty(), "the token stays at the gateway");
}

#[tokio::test]
async fn dpop_cnf_01_another_key_than_the_tokens() {
    assert_401(played().await.tried("a key of one's own"), "DPoP", "invalid_token");
}

#[tokio::test]
async fn dpop_cnf_02_the_thumbprint_is_of_the_required_members() {
    let played = played().await;
    let jwk = &played.public_jwk;
    let canonical =
        format!(r#"{{"crv":{},"kty":{},"x":{},"y":{}}}"#, jwk["crv"], jwk["kty"], jwk["x"], jwk["y"]);
    let expected = base64url::encode(&sha256(canonical.as_bytes()));
    assert_eq!(played.at_token[1].answer.claims("access_token")["cnf"]["jkt"], expected);
}

#[tokio::test]
async fn rs_dwn_01_a_bound_token_is_no_bearer_token() {
    let played = played().await;
    for bad in ["as bearer", "as bearer with a proof"] {
        let answer = played.tried(bad);
        assert_401(answer, "DPoP", "invalid_token");
        assert!(answer.challenges().iter().all(|challenge| challenge.scheme == "DPoP"), "{answer:?}");
    }
}
