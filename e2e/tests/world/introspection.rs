//! AS-INT: what stands behind a token, for who may know.

use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::jws::{self, UnverifiedJwt};
use keybound_dpop::jose::key_set::KeySet;
use keybound_e2e::answer::{assert_uncacheable_json, part};
use keybound_e2e::forge::{jkt, new_key};
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Forge, Settings, World};
use keybound_oauth::form::FormWriter;
use keybound_oauth::id_token::{Expected, check};
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::introspection::{IntrospectionResponse, MEDIA_TYPE};
use keybound_provider::signing_keys::KeyUse;
use serde_json::json;

#[track_caller]
fn assert_inactive(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json(), json!({ "active": false }), "{answer:?}");
    assert_uncacheable_json(answer);
}

/// A token of the client `api` for the endpoint itself.
async fn access(world: &World, scope: &str) -> Answer {
    let form = FormWriter::new()
        .pair("grant_type", "client_credentials")
        .optional("scope", Some(scope).filter(|scope| !scope.is_empty()))
        .pair("resource", INTROSPECT);
    let headers = [("authorization", basic("api", SECRET)), ("dpop", world.proof().sign(&world.key))];
    world.post(form, &borrow(&headers)).await
}

/// Asks about a token by showing another.
async fn ask_by_token(
    world: &World,
    (scheme, shown): (&str, &str),
    proof: Option<&str>,
    token: &str,
) -> Answer {
    let headers = with_proof(vec![("authorization", format!("{scheme} {shown}"))], proof);
    world.send(post(INTROSPECT, FormWriter::new().pair("token", token), &borrow(&headers))).await
}

#[tokio::test]
async fn as_int_01_as_int_02_the_binding_is_told() {
    let world = World::new().await;
    let tokens = [("api", world.tokens().await), ("opaque-api", world.opaque_tokens().await)];
    for (caller, answer) in tokens {
        let told = world.introspect(caller, &answer.text("access_token")).await;
        assert_uncacheable_json(&told);
        let told = told.json();
        assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("DPoP")), "{caller}");
        assert_eq!(told["cnf"], json!({ "jkt": jkt(&world.key) }));
        assert_eq!((&told["sub"], &told["scope"]), (&json!("subject-of-alice"), &json!("openid email read")));
        assert_eq!(told["exp"], world.now().as_secs() + 600);
    }
    let form = client_credentials_form().pair("client_id", "poster").pair("client_secret", SECRET);
    let bearer = world.post(form.pair("resource", OPAQUE_API), &[]).await.text("access_token");
    let told = world.introspect("opaque-api", &bearer).await.json();
    assert_eq!((&told["token_type"], told.get("cnf")), (&json!("Bearer"), None));
}

#[tokio::test]
async fn as_int_03_as_tok_15_no_proof_is_asked_for_and_a_header_is_not_looked_at() {
    let world = World::with(Settings::with_nonces()).await;
    let code = world.code("app").await;
    let nonce = world.redeem(&code, Some(&world.proof().sign(&world.key))).await.nonce();
    let token =
        world.redeem(&code, Some(&world.proof().nonce(&nonce).sign(&world.key))).await.text("access_token");
    for headers in [vec![], vec![("dpop", "broken")], vec![("dpop", "a"), ("dpop", "b")]] {
        let caller = basic("api", SECRET);
        let headers: Vec<_> = headers.into_iter().chain([("authorization", caller.as_str())]).collect();
        for endpoint in [INTROSPECT, REVOKE] {
            let form = FormWriter::new().pair("token", if endpoint == REVOKE { "unknown" } else { &token });
            let answer = world.send(post(endpoint, form, &headers)).await;
            assert_eq!(answer.status, 200, "{endpoint} {answer:?}");
            assert!(answer.header("dpop-nonce").is_empty());
            assert!(endpoint == REVOKE || answer.json()["active"] == true, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn as_int_04_atk_096_only_the_resource_and_the_owner_learn_anything() {
    let world = World::new().await;
    let token = world.tokens().await.text("access_token");
    let opaque = world.opaque_tokens().await.text("access_token");
    let own = world.client_credentials(Some(&world.proof().sign(&world.key))).await.text("access_token");
    for (caller, token, is_told) in [
        ("api", &token, true),
        ("opaque-api", &token, false),
        ("service", &token, false),
        ("opaque-api", &opaque, true),
        ("api", &opaque, false),
        ("service", &own, true),
        ("api", &own, true),
        ("opaque-api", &own, false),
    ] {
        let answer = world.introspect(caller, token).await;
        match is_told {
            true => assert_eq!(answer.json()["active"], true, "{caller}"),
            false => assert_inactive(&answer),
        }
    }
    let form = || FormWriter::new().pair("token", &token);
    let anonymous = world.send(post(INTROSPECT, form(), &[])).await;
    let public = world.send(post(INTROSPECT, form().pair("client_id", "app"), &[])).await;
    let guessed = [("authorization", basic("api", "guessed"))];
    let guessed = world.send(post(INTROSPECT, form(), &borrow(&guessed))).await;
    for answer in [anonymous, public, guessed] {
        assert_eq!(answer.error(), (401, "invalid_client".to_owned()), "{answer:?}");
    }
}

#[tokio::test]
async fn as_int_05_what_is_not_good_is_inactive_and_no_more() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let token = tokens.text("access_token");
    let (signed, _) = token.rsplit_once('.').expect("a signature");
    let forged = format!("{signed}.{}", "A".repeat(86));
    let opaque = world.opaque_tokens().await.text("access_token");
    let wrong_secret = format!("{}.{}", opaque.split('.').next().expect("an id"), "A".repeat(43));
    for (caller, bad) in [
        ("api", "x"),
        ("api", "a.b.c"),
        ("api", &forged),
        ("api", &tokens.text("id_token")),
        ("opaque-api", &wrong_secret),
        ("opaque-api", &format!("{opaque}A")),
    ] {
        assert_inactive(&world.introspect(caller, bad).await);
    }
    // Signed by us, and no access token of ours.
    let signer = world.provider.signing_keys.signer(KeyUse::Tokens, Algorithm::Es256, world.now());
    let key = signer.expect("a key");
    let mut elsewhere = part(&token, 1);
    elsewhere["iss"] = json!("https://other.example");
    for (typ, claims) in [("JWT", part(&token, 1)), ("at+jwt", elsewhere)] {
        let odd = jws::sign(&key.key, typ, Some(&key.kid), claims.to_string().as_bytes()).expect("signed");
        assert_inactive(&world.introspect("api", &odd).await);
    }
    // A key for answers is no key for tokens (OPS-KEY-04).
    let signer = world.provider.signing_keys.signer(KeyUse::Messages, Algorithm::Es256, world.now());
    let key = signer.expect("a key");
    let claims = part(&token, 1).to_string();
    let odd = jws::sign(&key.key, "at+jwt", Some(&key.kid), claims.as_bytes()).expect("signed");
    assert_inactive(&world.introspect("api", &odd).await);
    let revoked = world.tokens().await.text("access_token");
    assert_eq!(world.revoke(&revoked).await.status, 200);
    assert_inactive(&world.introspect("api", &revoked).await);
    world.clock.pass(599);
    assert_eq!(world.introspect("api", &token).await.json()["active"], true);
    world.clock.pass(1);
    assert_inactive(&world.introspect("api", &token).await);
    assert_inactive(&world.introspect("opaque-api", &opaque).await);
}

#[tokio::test]
async fn a_removed_client_leaves_no_token_behind() {
    let world = World::new().await;
    let own = world.client_credentials(Some(&world.proof().sign(&world.key))).await.text("access_token");
    assert_eq!(world.introspect("api", &own).await.json()["active"], true);
    world.store.remove_client("service", world.now()).await.expect("removed");
    world.clock.pass(1);
    assert_inactive(&world.introspect("api", &own).await);
}

#[tokio::test]
async fn as_int_04_a_removed_client_asks_no_more_with_a_token_that_it_still_has() {
    let world = World::new().await;
    let token = world.tokens().await.text("access_token");
    let own = access(&world, "introspect").await.text("access_token");
    let proof = || Forge::new(&world.key, "POST", INTROSPECT, world.now()).token(&own).sign(&world.key);
    let before = ask_by_token(&world, ("DPoP", &own), Some(&proof()), &token).await;
    assert_eq!(before.json()["active"], true, "{before:?}");
    world.store.remove_client("api", world.now()).await.expect("removed");
    world.clock.pass(1);
    let after = ask_by_token(&world, ("DPoP", &own), Some(&proof()), &token).await;
    assert_eq!((after.status.as_u16(), after.challenges()[0].get("error")), (401, Some("invalid_token")));
}

#[tokio::test]
async fn as_int_06_a_posted_form_and_nothing_else() {
    let world = World::new().await;
    let caller = basic("api", SECRET);
    let got = world.send(get(INTROSPECT, &[("authorization", &caller)])).await;
    assert_eq!((got.status.as_u16(), got.header("allow")), (405, vec!["POST".to_owned()]));
    let without = world.send(post(INTROSPECT, FormWriter::new(), &[("authorization", &caller)])).await;
    assert_eq!(without.error(), (400, "invalid_request".to_owned()));
    let in_query = post(&format!("{INTROSPECT}?token=x"), FormWriter::new(), &[("authorization", &caller)]);
    assert_eq!(world.send(in_query).await.error(), (400, "invalid_request".to_owned()));
    let mut json = post(INTROSPECT, FormWriter::new(), &[("authorization", &caller)]);
    json.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
    assert_eq!(world.send(json).await.error(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn as_int_07_fms_06_a_response_is_signed_on_request() {
    let world = World::new().await;
    let token = world.tokens().await.text("access_token");
    let keys = KeySet::parse(&world.send(get(&format!("{ISSUER}/jwks"), &[])).await.body).expect("a JWK set");
    let caller = basic("api", SECRET);
    for (token, is_active) in [(token.as_str(), true), ("unknown", false)] {
        let accept = format!("application/json, {MEDIA_TYPE};q=0.9");
        let headers = [("authorization", caller.as_str()), ("accept", accept.as_str())];
        let answer = world.send(post(INTROSPECT, FormWriter::new().pair("token", token), &headers)).await;
        assert_eq!(answer.header("content-type"), [MEDIA_TYPE]);
        assert_eq!(answer.header("cache-control"), ["no-store"]);
        let text = String::from_utf8(answer.body.to_vec()).expect("a JWT");
        let (header, claims) = (part(&text, 0), part(&text, 1));
        assert_eq!(header["typ"], "token-introspection+jwt");
        let mut names: Vec<&String> = claims.as_object().expect("an object").keys().collect();
        names.sort();
        assert_eq!(names, ["aud", "iat", "iss", "token_introspection"], "neither sub nor exp");
        assert_eq!((&claims["aud"], &claims["iat"]), (&json!("api"), &json!(world.now().as_secs())));
        assert_eq!(claims["token_introspection"]["active"], is_active);

        let jwt = UnverifiedJwt::parse(&text).expect("a JWT");
        let jwt = jwt.verify(AlgorithmSet::default(), keys.iter().map(|named| &named.key)).expect("verified");
        assert!(IntrospectionResponse::read_jwt(&jwt, ISSUER, "api").is_ok());
        let as_id_token = Expected {
            issuer: &Issuer::parse(ISSUER).expect("an issuer"),
            client_id: &ClientId::parse("api").expect("a client"),
            nonce: None,
            access_token: None,
            max_age_secs: None,
            claims: None,
            code: None,
            now: world.now(),
            skew_secs: 60,
        };
        assert!(check(&jwt, &as_id_token).is_err(), "not to be taken for an ID token");
        assert_inactive(&world.introspect("api", &text).await);
    }
    let headers = [("authorization", caller.as_str()), ("accept", "application/json")];
    let plain = world.send(post(INTROSPECT, FormWriter::new().pair("token", &token), &headers)).await;
    assert_uncacheable_json(&plain);
}

#[tokio::test]
async fn as_int_08_the_rules_of_a_resource_hold_for_the_callers_own_token() {
    let world = World::with(Settings::with_nonces()).await;
    let asked = access(&world, "introspect").await;
    let nonce = asked.nonce();
    let proof =
        |token: &str| Forge::new(&world.key, "POST", INTROSPECT, world.now()).token(token).nonce(&nonce);
    let headers =
        [("authorization", basic("api", SECRET)), ("dpop", world.proof().nonce(&nonce).sign(&world.key))];
    let form = FormWriter::new().pair("grant_type", "client_credentials").pair("scope", "introspect");
    let own = world.post(form.pair("resource", INTROSPECT), &borrow(&headers)).await.text("access_token");
    let code = world.code("app").await;
    let token =
        world.redeem(&code, Some(&world.proof().nonce(&nonce).sign(&world.key))).await.text("access_token");

    let good = proof(&own).sign(&world.key);
    let answer = ask_by_token(&world, ("DPoP", &own), Some(&good), &token).await;
    assert_eq!(answer.json()["cnf"]["jkt"], jkt(&world.key), "{answer:?}");
    let elsewhere =
        ask_by_token(&world, ("DPoP", &own), Some(&proof(&own).sign(&world.key)), "unknown").await;
    assert_inactive(&elsewhere);

    let thief = new_key();
    let stolen = Forge::new(&thief, "POST", INTROSPECT, world.now()).token(&own).nonce(&nonce).sign(&thief);
    for (scheme, shown, proof, error) in [
        ("Bearer", &own, None, "invalid_token"),
        ("Bearer", &own, Some(proof(&own).sign(&world.key)), "invalid_token"),
        ("DPoP", &own, None, "invalid_dpop_proof"),
        ("DPoP", &own, Some(good.clone()), "invalid_dpop_proof"),
        ("DPoP", &own, Some(stolen), "invalid_token"),
        ("DPoP", &own, Some(proof(&own).without("nonce").sign(&world.key)), "use_dpop_nonce"),
        ("DPoP", &token, Some(proof(&token).sign(&world.key)), "invalid_token"),
    ] {
        let answer = ask_by_token(&world, (scheme, shown), proof.as_deref(), &token).await;
        let told: Vec<_> =
            answer.challenges().iter().filter_map(|c| c.get("error").map(str::to_owned)).collect();
        assert_eq!((answer.status.as_u16(), told), (401, vec![error.to_owned()]), "{scheme} {answer:?}");
    }
}

#[tokio::test]
async fn as_int_08_a_token_for_introspection_needs_its_scope_and_its_client() {
    let world = World::new().await;
    let proof = |token: &str| Forge::new(&world.key, "POST", INTROSPECT, world.now()).token(token);
    let without_scope = access(&world, "").await.text("access_token");
    let shown = proof(&without_scope).sign(&world.key);
    let answer = ask_by_token(&world, ("DPoP", &without_scope), Some(&shown), "x").await;
    assert_eq!(
        (answer.status.as_u16(), answer.challenges()[0].get("error")),
        (403, Some("insufficient_scope"))
    );

    let form = client_credentials_form().pair("resource", INTROSPECT);
    let headers = [("authorization", basic("service", SECRET)), ("dpop", world.proof().sign(&world.key))];
    let nobody = world.post(form, &borrow(&headers)).await;
    assert_eq!(nobody.error(), (400, "invalid_target".to_owned()), "`service` is no resource");

    let own = access(&world, "introspect").await.text("access_token");
    let form = FormWriter::new().pair("token", &own);
    let headers = [("authorization", basic("api", SECRET))];
    assert_eq!(world.send(post(REVOKE, form, &borrow(&headers))).await.status, 200);
    let revoked = ask_by_token(&world, ("DPoP", &own), Some(&proof(&own).sign(&world.key)), "x").await;
    assert_eq!((revoked.status.as_u16(), revoked.challenges()[0].get("error")), (401, Some("invalid_token")));
}

#[tokio::test]
async fn as_int_09_a_refresh_token_is_told_to_its_owner_with_its_binding() {
    let world = World::new().await;
    let code = world.code("service").await;
    let headers = [("authorization", basic("service", SECRET)), ("dpop", world.proof().sign(&world.key))];
    let confidential = world.post(code_form(&code), &borrow(&headers)).await.text("refresh_token");
    let told = world.introspect("service", &confidential).await.json();
    assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!("service")));
    assert!(told.get("cnf").is_none(), "bound by client authentication");
    assert!(told.get("token_type").is_none(), "not a way to present it");
    assert_inactive(&world.introspect("api", &confidential).await);

    // A public client cannot ask; one that became confidential can.
    let public = world.tokens().await.text("refresh_token");
    assert_inactive(&world.introspect("api", &public).await);
    let client = json!({ "client_id": "app", "client_secret": SECRET, "redirect_uris": [REDIRECT_URI] });
    keybound_provider::registry::add_client(&world.store, client, world.now()).await.expect("a client");
    world.clock.pass(1);
    assert_eq!(world.introspect("app", &public).await.json()["cnf"], json!({ "jkt": jkt(&world.key) }));
}

#[tokio::test]
async fn as_md_08_as_md_07_metadata_name_both_endpoints() {
    let world = World::new().await;
    let metadata = world.send(get(&format!("{ISSUER}/.well-known/openid-configuration"), &[])).await.json();
    assert_eq!(
        (&metadata["introspection_endpoint"], &metadata["revocation_endpoint"]),
        (&json!(INTROSPECT), &json!(REVOKE))
    );
    let list = |name: &str| metadata[name].as_array().cloned().unwrap_or_default();
    let of_callers = list("introspection_endpoint_auth_methods_supported");
    assert!(!of_callers.contains(&json!("none")) && of_callers.contains(&json!("DPoP")), "{of_callers:?}");
    assert!(list("revocation_endpoint_auth_methods_supported").contains(&json!("none")));
    for name in ["introspection", "revocation"] {
        let algorithms = list(&format!("{name}_endpoint_auth_signing_alg_values_supported"));
        assert!(algorithms.contains(&json!("ES256")) && !algorithms.contains(&json!("none")), "{name}");
    }
    let signed_with = ["ES256", "EdDSA", "PS256", "RS256"].map(|algorithm| json!(algorithm));
    assert_eq!(list("introspection_signing_alg_values_supported"), signed_with);
}
