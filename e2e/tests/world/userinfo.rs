//! AS-UI: UserInfo is a protected resource like any other.

use keybound_e2e::forge::new_key;
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Forge, Settings, World};

#[track_caller]
fn assert_refused(answer: &Answer, error: &str) {
    let challenges = answer.challenges();
    assert_eq!((answer.status.as_u16(), challenges.len()), (401, 1), "{answer:?}");
    assert!(challenges[0].is("DPoP"), "{answer:?}");
    assert_eq!(challenges[0].get("error"), Some(error), "{answer:?}");
    assert_eq!(answer.header("cache-control"), ["no-store"]);
}

#[tokio::test]
async fn as_ui_01_atk_100_all_rules_of_a_resource_hold() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let token = tokens.text("access_token");
    let good = world.userinfo_proof(&token);
    let answer = world.userinfo("DPoP", &token, Some(&good.sign(&world.key))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.json(),
        serde_json::json!({ "sub": "subject-of-alice", "email": "alice@example.org", "email_verified": true })
    );
    let replayed = world.userinfo("DPoP", &token, Some(&good.sign(&world.key))).await;
    assert_refused(&replayed, "invalid_dpop_proof");
    let thief = new_key();
    let of_thief = Forge::new(&thief, "GET", USERINFO, world.now()).token(&token).sign(&thief);
    assert_refused(&world.userinfo("DPoP", &token, Some(&of_thief)).await, "invalid_token");
    for bad in [
        world.userinfo_proof(&token).without("ath"),
        world.userinfo_proof("another token"),
        world.userinfo_proof(&token).claim("htm", "POST"),
        world.userinfo_proof(&token).claim("htu", TOKEN),
    ] {
        let answer = world.userinfo("DPoP", &token, Some(&bad.sign(&world.key))).await;
        assert_refused(&answer, "invalid_dpop_proof");
    }
    assert_refused(&world.userinfo("DPoP", &token, None).await, "invalid_dpop_proof");
}

#[tokio::test]
async fn as_ui_02_get_and_post_and_no_bound_token_in_a_form() {
    let world = World::new().await;
    let token = world.tokens().await.text("access_token");
    let proof = Forge::new(&world.key, "POST", USERINFO, world.now()).token(&token).sign(&world.key);
    let headers = [("authorization", format!("DPoP {token}")), ("dpop", proof)];
    let form = keybound_oauth::form::FormWriter::new;
    assert_eq!(world.send(post(USERINFO, form(), &borrow(&headers))).await.status, 200);
    let in_form = form().pair("access_token", &token);
    assert_refused(&world.send(post(USERINFO, in_form, &[])).await, "invalid_token");
}

#[tokio::test]
async fn as_ui_03_a_bound_token_as_bearer_is_refused() {
    let world = World::new().await;
    let token = world.tokens().await.text("access_token");
    let proof = world.userinfo_proof(&token).sign(&world.key);
    for proof in [None, Some(proof.as_str())] {
        let answer = world.userinfo("Bearer", &token, proof).await;
        assert_eq!(answer.status, 401);
        let told =
            answer.challenges().iter().any(|challenge| challenge.get("error") == Some("invalid_token"));
        assert!(told, "{answer:?}");
    }
}

#[tokio::test]
async fn as_ui_04_errors_are_challenges() {
    let world = World::with(Settings::with_nonces()).await;
    let answer = world.send(get(USERINFO, &[])).await;
    assert_eq!((answer.status.as_u16(), answer.challenges()[0].get("error")), (401, None), "{answer:?}");
    let code = world.code("app").await;
    let nonce = world.redeem(&code, Some(&world.proof().sign(&world.key))).await.nonce();
    let token =
        world.redeem(&code, Some(&world.proof().nonce(&nonce).sign(&world.key))).await.text("access_token");
    let answer = world.userinfo("DPoP", &token, Some(&world.userinfo_proof(&token).sign(&world.key))).await;
    assert_refused(&answer, "use_dpop_nonce");
    answer.nonce();
}

#[tokio::test]
async fn a_token_of_a_client_for_itself_is_for_no_user() {
    let world = World::new().await;
    let own = world.client_credentials(Some(&world.proof().sign(&world.key))).await.text("access_token");
    let proof = world.userinfo_proof(&own).sign(&world.key);
    assert_refused(&world.userinfo("DPoP", &own, Some(&proof)).await, "invalid_token");
}

/// Signatures over HTTP messages (RFC 9421) are not offered: nothing names them, and one that comes is not looked at.
#[tokio::test]
async fn fms_07_message_signatures_are_not_offered() {
    let world = World::new().await;
    let metadata = world.send(get(&format!("{ISSUER}/.well-known/openid-configuration"), &[])).await.json();
    let names: Vec<&String> = metadata.as_object().expect("an object").keys().collect();
    assert!(
        !names.iter().any(|name| name.contains("message_sign") || name.contains("http_sign")),
        "{names:?}"
    );
    let code = world.code("app").await;
    let answer = world.redeem(&code, Some(&world.proof().sign(&world.key))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
    for junk in ["sig=:AAAA:", "sig1=:!:"] {
        let proof = world.userinfo_proof(&token).sign(&world.key);
        let authorization = format!("DPoP {token}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("dpop", proof.as_str()),
            ("signature", junk),
            ("signature-input", "sig=(\"@method\");created=1;tag=\"fapi-2-request\""),
        ];
        let answer = world.send(get(USERINFO, &headers)).await;
        assert_eq!((answer.status.as_u16(), answer.header("signature").len()), (200, 0), "{answer:?}");
    }
}
