//! FAPI-AS and FAPI-NET: the server in general.

use super::{
    allowed, ask, assert_error, asserted, assertion_claims, authorize, by, code, metadata, push, tokens,
};
use keybound_e2e::World;
use keybound_e2e::answer::assert_e_as;
use keybound_e2e::forge::{jkt, new_key};
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Forge};
use keybound_oauth::form::FormWriter;
use keybound_provider::store::{Client, ClientSource};
use serde_json::json;

#[tokio::test]
async fn fapi_as_01_metadata_are_at_both_places() {
    let world = World::fapi2("").await;
    let oauth =
        world.send(get(&format!("{ISSUER}/.well-known/oauth-authorization-server"), &[])).await.json();
    assert_eq!(oauth, metadata(&world).await);
    assert_eq!(oauth["issuer"], ISSUER);
}

#[tokio::test]
async fn fapi_as_02_there_is_no_password_grant() {
    let world = World::fapi2("").await;
    let form =
        FormWriter::new().pair("grant_type", "password").pair("username", "alice").pair("password", PASSWORD);
    assert_error(&ask(&world, "signed", form).await, 400, "unsupported_grant_type");
}

/// A client that was stored before the switch, or by a hand of somebody else.
async fn store(world: &World, metadata: serde_json::Value) {
    let client_id = metadata["client_id"].as_str().expect("a client_id").to_owned();
    let client = Client { client_id, metadata, source: ClientSource::Command, created_at: world.now() };
    world.store.upsert_client(client).await.expect("stored");
}

#[tokio::test]
async fn fapi_as_03_fapi_as_05_public_clients_and_shared_secrets_are_not_served() {
    let world = World::fapi2("").await;
    let proof = world.proof().sign(&world.key);
    let headers = [("dpop", proof.as_str())];
    store(&world, json!({ "client_id": "public", "redirect_uris": [REDIRECT_URI] })).await;
    let public = code_form(&world.code("public").await).pair("client_id", "public");
    assert_error(&world.post(public, &headers).await, 401, "invalid_client");
    for method in ["client_secret_basic", "client_secret_post"] {
        store(
            &world,
            json!({ "client_id": "secret", "grant_types": ["client_credentials"], "client_secret": SECRET,
                    "token_endpoint_auth_method": method }),
        )
        .await;
        world.clock.pass(1);
        let basic = basic("secret", SECRET);
        let proof = world.proof().sign(&world.key);
        let answer = match method {
            "client_secret_basic" => {
                world.post(client_credentials_form(), &[("authorization", &basic), ("dpop", &proof)]).await
            }
            _ => {
                let form =
                    client_credentials_form().pair("client_id", "secret").pair("client_secret", SECRET);
                world.post(form, &[("dpop", &proof)]).await
            }
        };
        assert_error(&answer, 401, "invalid_client");
    }
    let metadata = metadata(&world).await;
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], json!(["private_key_jwt"]));
}

#[tokio::test]
async fn fapi_as_03_a_client_that_the_profile_does_not_serve_is_told_so_when_it_is_added() {
    let world = World::fapi2("").await;
    let public = json!({ "client_id": "public", "redirect_uris": [REDIRECT_URI] });
    let profile = world.provider.config.profile;
    let add = keybound_provider::registry::add_client_under(&world.store, profile, public, world.now());
    let told = add.await.expect_err("refused").to_string();
    assert!(told.contains("private_key_jwt") && told.contains("FAPI-AS-03"), "{told}");
}

#[tokio::test]
async fn ops_dep_01_a_provider_with_a_client_that_its_profile_does_not_serve_does_not_start() {
    let world = World::new().await;
    let text = format!("issuer = \"{ISSUER}\"\nprofile = \"fapi2\"\n");
    let config =
        keybound_provider::config::ConfigFile::parse(&text, "x").expect("TOML").check().expect("safe");
    let provider =
        keybound_provider::provider::Provider::open(config, world.store.clone(), world.clock.clone()).await;
    let told = provider.expect_err("public clients").to_string();
    assert!(told.starts_with("client `") && told.contains("fapi2"), "{told}");
}

#[tokio::test]
async fn fapi_as_04_bcp_tok_01_no_token_without_a_proof() {
    let world = World::fapi2("").await;
    let code = code(&world).await;
    assert_e_as(&world.post(by(&world, "signed", code_form(&code)), &[]).await);
    assert_e_as(&world.post(by(&world, "signed", client_credentials_form()), &[]).await);
    let tokens = ask(&world, "signed", code_form(&code)).await;
    assert_eq!(tokens.claims("access_token")["cnf"]["jkt"], jkt(&world.key));
    assert_eq!(tokens.claims("access_token")["aud"], json!([API, ISSUER]), "and for its resources alone");
    let refresh = refresh_form(&tokens.text("refresh_token"));
    assert_e_as(&world.post(by(&world, "signed", refresh), &[]).await);
}

#[tokio::test]
async fn fapi_as_06_nothing_forwards_to_where_it_is_told() {
    let world = World::fapi2("").await;
    for redirect_uri in ["https://evil.example/", "https://app.example/callback/../x", "//evil.example"] {
        let form = FormWriter::new()
            .pair("response_type", "code")
            .pair("redirect_uri", redirect_uri)
            .pair("code_challenge", &challenge(VERIFIER))
            .pair("code_challenge_method", "S256");
        assert_error(&push(&world, by(&world, "signed", form)).await, 400, "invalid_request");
        let query = FormWriter::new().pair("client_id", "signed").pair("redirect_uri", redirect_uri).finish();
        let page = world.send(get(&format!("{AUTHORIZE}?{query}"), &[])).await;
        assert!(page.status == 400 && page.header("location").is_empty(), "{page:?}");
    }
    for path in ["/login", "/consent", "/return"] {
        for name in ["return_to", "redirect_uri", "next", "url"] {
            let form = FormWriter::new().pair(name, "https://evil.example/");
            let answer = world
                .send(post(&format!("{ISSUER}{path}"), form, &[("sec-fetch-site", "same-origin")]))
                .await;
            let to = answer.header("location").join("");
            assert!(to.is_empty() || to == format!("{AUTHORIZE}?"), "{path} {name}: {to}");
        }
    }
}

#[tokio::test]
async fn as_par_16_fapi_as_07_as_ca_05_atk_083_the_audience_of_assertions_by_profile_and_endpoint() {
    let standard = World::new().await;
    let fapi = World::fapi2("").await;
    let profiles = [(&standard, true), (&fapi, false)];
    for (world, tolerant) in profiles {
        let audiences = [
            (json!(ISSUER), true, true),
            (json!([ISSUER]), tolerant, tolerant),
            (json!(TOKEN), tolerant, tolerant),
            (json!(PUSHED), false, tolerant),
            (json!([ISSUER, "https://elsewhere.example"]), tolerant, tolerant),
            (json!("https://elsewhere.example"), false, false),
            (json!(USERINFO), false, false),
        ];
        for (audience, at_token, at_par) in audiences {
            let show = |form| {
                let mut claims = assertion_claims(world, "signed");
                claims["aud"] = audience.clone();
                asserted(form, &world.client_key, &claims)
            };
            let proof = world.proof().sign(&world.key);
            let tokens = world.post(show(client_credentials_form()), &[("dpop", &proof)]).await;
            let pushed = push(world, show(authorization_form())).await;
            for (answer, taken) in [(tokens, at_token), (pushed, at_par)] {
                match taken {
                    true => assert!(answer.status.is_success(), "{audience}: {answer:?}"),
                    false => assert_error(&answer, 401, "invalid_client"),
                }
            }
        }
    }
}

#[tokio::test]
async fn fapi_as_08_as_rt_08_refresh_tokens_stay_as_they_are() {
    let world = World::fapi2("").await;
    let refresh = tokens(&world).await.text("refresh_token");
    for _ in 0..3 {
        world.clock.pass(3600);
        let answer = ask(&world, "signed", refresh_form(&refresh)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.json().get("refresh_token").is_none());
    }
}

#[tokio::test]
async fn as_rt_08_where_rotation_is_switched_on_the_one_before_works_for_a_minute() {
    let world = World::fapi2("[refresh_tokens]\nrotate = \"always\"").await;
    let refresh = async |token: &str| ask(&world, "signed", refresh_form(token)).await;
    let first = tokens(&world).await.text("refresh_token");
    let second = refresh(&first).await.text("refresh_token");
    world.clock.pass(30);
    assert_eq!(refresh(&first).await.status, 200, "an answer that was lost is no theft");
    world.clock.pass(30);
    assert_eq!(refresh(&first).await.status, 200, "60 s are within the minute");
    let third = refresh(&second).await.text("refresh_token");
    world.clock.pass(61);
    assert_error(&refresh(&second).await, 400, "invalid_grant");
    assert_error(&refresh(&third).await, 400, "invalid_grant");
}

#[tokio::test]
async fn as_rt_03_rotated_tokens_of_public_clients_stay_bound() {
    let rotating = "[nonce]\nmode = \"off\"\n[refresh_tokens]\nrotate = \"always\"\n";
    let world = World::with(keybound_e2e::Settings { config: rotating.to_owned() }).await;
    let first = world.tokens().await.text("refresh_token");
    let second = world.refresh(&first, Some(&world.proof().sign(&world.key))).await.text("refresh_token");
    let thief = new_key();
    let stolen = Forge::new(&thief, "POST", TOKEN, world.now()).sign(&thief);
    assert_error(&world.refresh(&second, Some(&stolen)).await, 400, "invalid_grant");
    assert_e_as(&world.refresh(&second, None).await);
    assert_eq!(world.refresh(&second, Some(&world.proof().sign(&world.key))).await.status, 200);
}

#[tokio::test]
async fn fapi_as_09_codes_end_after_a_minute() {
    let world = World::fapi2("").await;
    let late = code(&world).await;
    world.clock.pass(61);
    assert_error(&ask(&world, "signed", code_form(&late)).await, 400, "invalid_grant");
    let short = World::fapi2("[lifetimes]\ncode_secs = 10").await;
    let late = code(&short).await;
    short.clock.pass(11);
    assert_error(&ask(&short, "signed", code_form(&late)).await, 400, "invalid_grant");
}

#[tokio::test]
async fn fapi_as_10_a_code_is_bound_to_the_key_that_was_pushed() {
    let world = World::fapi2("").await;
    let own = jkt(&world.key);
    for by_proof in [false, true] {
        let form = authorization_form().optional("dpop_jkt", (!by_proof).then_some(own.as_str()));
        let proof = by_proof.then(|| world.pushed_proof().sign(&world.key));
        let headers = with_proof(Vec::new(), proof.as_deref());
        let pushed = world.send(post(PUSHED, by(&world, "signed", form), &borrow(&headers))).await;
        let answer = world.hands().allow(&authorize("signed", &pushed)).await.expect("allowed");
        let code =
            keybound_oauth::form::Form::parse_query(&answer).expect("a form").secret("code").expect("a code");
        let thief = new_key();
        let foreign = Forge::new(&thief, "POST", TOKEN, world.now()).sign(&thief);
        let form = by(&world, "signed", code_form(&code));
        assert_error(&world.post(form, &[("dpop", &foreign)]).await, 400, "invalid_grant");
        assert_eq!(ask(&world, "signed", code_form(&code)).await.status, 200);
    }
}

#[tokio::test]
async fn fapi_as_11_what_is_a_little_ahead_is_taken_and_what_is_far_ahead_is_not() {
    let world = World::fapi2("").await;
    let now = world.now().as_secs();
    for (ahead, taken) in [(0, true), (8, true), (10, true), (61, false), (3600, false)] {
        for claim in ["iat", "nbf"] {
            let mut claims = assertion_claims(&world, "signed");
            claims[claim] = json!(now + ahead);
            claims["exp"] = json!(now + 3600);
            let form = asserted(client_credentials_form(), &world.client_key, &claims);
            let answer = world.post(form, &[("dpop", &world.proof().sign(&world.key))]).await;
            assert_eq!(answer.status == 200, taken, "assertion, {claim} {ahead} s ahead: {answer:?}");
        }
        let proof = world.proof().claim("iat", now + ahead).sign(&world.key);
        let answer = world.post(by(&world, "signed", client_credentials_form()), &[("dpop", &proof)]).await;
        assert_eq!(answer.status == 200, taken, "proof, {ahead} s ahead: {answer:?}");
    }
}

#[tokio::test]
async fn fapi_as_12_a_token_says_no_more_than_was_granted() {
    let world = World::fapi2("").await;
    let answer = tokens(&world).await;
    assert_eq!(
        answer.claims("access_token")["scope"],
        "openid email read",
        "never `write`, which was not asked for"
    );
    let narrowed = refresh_form(&answer.text("refresh_token")).pair("scope", "read");
    let narrowed = ask(&world, "signed", narrowed).await;
    assert_eq!(
        (narrowed.claims("access_token")["scope"].as_str(), narrowed.text("scope").as_str()),
        (Some("read"), "read")
    );
    assert_eq!(narrowed.claims("access_token")["aud"], API);
}

#[tokio::test]
async fn as_rt_05_atk_077_a_refresh_token_is_its_clients_alone() {
    let world = World::fapi2("").await;
    let refresh = tokens(&world).await.text("refresh_token");
    assert_error(&ask(&world, "signed-too", refresh_form(&refresh)).await, 400, "invalid_grant");
    assert_eq!(ask(&world, "signed", refresh_form(&refresh)).await.status, 200, "and is still good");
}

#[tokio::test]
async fn as_rt_06_a_confidential_client_authenticates_to_refresh() {
    let world = World::fapi2("").await;
    let refresh = tokens(&world).await.text("refresh_token");
    let proof = world.proof().sign(&world.key);
    for form in [refresh_form(&refresh), refresh_form(&refresh).pair("client_id", "signed")] {
        assert_error(&world.post(form, &[("dpop", &proof)]).await, 401, "invalid_client");
    }
}

async fn page(world: &World) -> Answer {
    let pushed = push(world, by(world, "signed", authorization_form())).await;
    world.send(get(&authorize("signed", &pushed), &[("origin", "https://evil.example")])).await
}

#[tokio::test]
async fn fapi_net_06_pages_and_answers_ask_for_https_from_now_on() {
    let world = World::fapi2("").await;
    let answers = [page(&world).await, world.send(get(ISSUER, &[])).await, tokens(&world).await];
    for answer in answers {
        let hsts = answer.header("strict-transport-security");
        let secs = hsts.first().and_then(|text| text.strip_prefix("max-age=")).expect("HSTS");
        assert!(secs.parse::<u64>().expect("seconds") >= 31_536_000, "{hsts:?}");
    }
}

#[tokio::test]
async fn fapi_net_07_no_other_origin_reads_the_authorization_endpoint() {
    let world = World::fapi2("").await;
    assert!(page(&world).await.header("access-control-allow-origin").is_empty());
    for method in ["GET", "POST", "HEAD", "OPTIONS", "PUT"] {
        let request = http::Request::builder()
            .method(method)
            .uri(AUTHORIZE)
            .header("origin", "https://evil.example")
            .header("access-control-request-method", "GET");
        let answer = world.send(request.body(axum::body::Body::empty()).expect("a request")).await;
        let cors: Vec<_> =
            answer.headers.keys().filter(|name| name.as_str().starts_with("access-control-")).collect();
        assert!(cors.is_empty(), "{method}: {cors:?}");
    }
}

#[test]
fn fapi_net_08_deployers_are_told_of_dnssec_and_caa() {
    let guide = include_str!("../../../../docs/provider.md");
    assert!(guide.contains("DNSSEC") && guide.contains("CAA"));
}

#[test]
fn bcp_inj_04_mix_up_is_not_left_to_redirect_uris() {
    let choices = include_str!("../../../../docs/choices.md");
    assert!(choices.contains("BCP-INJ-04") && choices.contains("which is in every answer (RFC 9207)"));
}

#[tokio::test]
async fn bcp_inj_01_a_code_in_another_session_is_of_no_use() {
    let world = World::fapi2("").await;
    let stolen = allowed(&world).await.secret("code").expect("a code");
    let form = FormWriter::new()
        .pair("grant_type", "authorization_code")
        .pair("code", stolen.reveal())
        .pair("redirect_uri", REDIRECT_URI)
        .pair("code_verifier", "the-verifier-of-the-session-of-the-attacker-himself");
    assert_error(&ask(&world, "signed", form).await, 400, "invalid_grant");
}
