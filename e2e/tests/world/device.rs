//! AS-DEV: devices that have somebody sign in elsewhere (RFC 8628), and the key that their code is bound to.

use http::Method;
use keybound_dpop::secret::Secret;
use keybound_e2e::answer::{assert_e_as, assert_n_as, assert_uncacheable_json};
use keybound_e2e::forge::{jkt, new_key};
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Forge, Settings, World};
use keybound_oauth::claims_request::ClaimsRequest;
use keybound_oauth::device::{DeviceAuthorizationResponse, UserCode};
use keybound_oauth::form::FormWriter;
use keybound_provider::device::MAX_PENDING;
use keybound_provider::registry::add_client;
use keybound_provider::store::{Approval, Decided, DeviceCode, Grant, Id, Verdict, Write};
use serde_json::json;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A World with two devices: `tv`, which is public, and `box`, which has a secret.
async fn world_with(settings: Settings) -> World {
    let world = World::with(settings).await;
    let grants = json!([GRANT_TYPE, "refresh_token"]);
    let tv = json!({ "client_id": "tv", "grant_types": grants });
    let boxed = json!({ "client_id": "box", "grant_types": grants, "client_secret": SECRET });
    for client in [tv, boxed] {
        add_client(&world.store, client, world.now()).await.expect("a client");
    }
    world.clock.pass(1);
    world
}

async fn world() -> World {
    world_with(Settings::default()).await
}

async fn ask(world: &World, form: FormWriter, headers: &[(&str, &str)]) -> Answer {
    world.send(post(DEVICE_AUTHORIZATION, form, headers)).await
}

/// What the client `tv` is told, without a proof or with one.
async fn begin(world: &World, proof: Option<&str>) -> DeviceAuthorizationResponse {
    let form = FormWriter::new().pair("client_id", "tv").pair("scope", "openid read").pair("resource", API);
    let answer = ask(world, form, &borrow(&with_proof(Vec::new(), proof))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    DeviceAuthorizationResponse::parse(&answer.body).expect("a response")
}

/// A good proof for the device authorization endpoint by the World's key.
fn device_proof(world: &World) -> Forge {
    Forge::new(&world.key, "POST", DEVICE_AUTHORIZATION, world.now())
}

fn poll_form(device_code: &Secret) -> FormWriter {
    FormWriter::new().pair("grant_type", GRANT_TYPE).pair("device_code", device_code.reveal())
}

/// A poll by `tv`.
async fn poll(world: &World, device_code: &Secret, proof: Option<&str>) -> Answer {
    let form = poll_form(device_code).pair("client_id", "tv");
    world.post(form, &borrow(&with_proof(Vec::new(), proof))).await
}

/// A poll by `tv` with a new proof by the World's key.
async fn poll_well(world: &World, device_code: &Secret) -> Answer {
    poll(world, device_code, Some(&world.proof().sign(&world.key))).await
}

/// The user's answer, as the pages would leave it.
pub(super) async fn answer(world: &World, codes: &DeviceAuthorizationResponse, is_allowed: bool) {
    let code = UserCode::parse(codes.user_code.reveal()).expect("a user code");
    let (now, subject) = (world.now(), world.user.subject.clone());
    let grant_id = Id::mint(now, &keybound_dpop::jose::crypto::random().expect("entropy"));
    let decide = move |code: &DeviceCode| {
        let grant = Grant {
            id: grant_id,
            client_id: code.client_id.clone(),
            subject: Some(subject.clone()),
            session_id: None,
            created_at: now,
            revoked_at: None,
            session_ended_at: None,
            claims: ClaimsRequest::default(),
        };
        let approval = Approval {
            grant_id,
            subject: subject.clone(),
            auth_time: now,
            acr: None,
            authorization_details: code.authorization_details.clone(),
        };
        let writes = match is_allowed {
            true => vec![Write::InsertGrant(grant), Write::AllowDevice { id: code.id, approval }],
            false => vec![Write::DenyDevice { id: code.id }],
        };
        Verdict::<(), ()>::Take { writes, out: () }
    };
    assert_eq!(world.store.answer_device_code(code, decide).await, Ok(Decided::Taken(())));
}

#[track_caller]
fn assert_error(answer: &Answer, error: &str) {
    assert_eq!(answer.error(), (400, error.to_owned()), "{answer:?}");
    assert_uncacheable_json(answer);
}

#[tokio::test]
async fn as_dev_01_the_response_names_both_codes_and_the_place() {
    let world = world().await;
    let form = FormWriter::new().pair("client_id", "tv").pair("scope", "read");
    let answer = ask(&world, form, &[]).await;
    assert_uncacheable_json(&answer);
    let json = answer.json();
    assert_eq!(json["verification_uri"], "https://as.example/device");
    assert_eq!((json["expires_in"].as_u64(), json["interval"].as_u64()), (Some(600), Some(5)));
    let user_code = answer.text("user_code");
    let complete = format!("https://as.example/device?user_code={user_code}");
    assert_eq!(json["verification_uri_complete"], complete);
    assert_eq!(user_code.len(), 9);
    assert!(UserCode::parse(&user_code).is_some(), "{user_code}");
    assert_eq!(answer.text("device_code").len(), 66);

    let metadata = world.send(get(&format!("{ISSUER}/.well-known/openid-configuration"), &[])).await.json();
    assert_eq!(metadata["device_authorization_endpoint"], DEVICE_AUTHORIZATION);
    assert!(metadata["grant_types_supported"].as_array().expect("a list").contains(&json!(GRANT_TYPE)));
}

#[tokio::test]
async fn the_device_endpoint_judges_client_grant_type_scope_and_resource() {
    let world = world().await;
    let form = |client: &str| FormWriter::new().pair("client_id", client).pair("scope", "read");
    assert_error(&ask(&world, form("app"), &[]).await, "unauthorized_client");
    assert_eq!(ask(&world, form("box"), &[]).await.error(), (401, "invalid_client".to_owned()));
    assert_eq!(ask(&world, form("nobody"), &[]).await.error(), (401, "invalid_client".to_owned()));
    let headers = [("authorization", basic("box", SECRET))];
    assert_eq!(ask(&world, FormWriter::new().pair("scope", "read"), &borrow(&headers)).await.status, 200);
    let unknown = FormWriter::new().pair("client_id", "tv").pair("scope", "unknown");
    assert_error(&ask(&world, unknown, &[]).await, "invalid_scope");
    let foreign = form("tv").pair("resource", "https://foreign.example/");
    assert_error(&ask(&world, foreign, &[]).await, "invalid_target");
    assert_error(&ask(&world, form("tv").pair("dpop_jkt", "short"), &[]).await, "invalid_request");
    let by_get = http::Request::builder().method(Method::GET).uri(DEVICE_AUTHORIZATION);
    let answer = world.send(by_get.body(axum::body::Body::empty()).expect("a request")).await;
    assert_eq!(answer.error(), (405, "invalid_request".to_owned()));
}

#[tokio::test]
async fn as_dev_02_a_poll_waits_slows_down_and_ends() {
    let world = world().await;
    let codes = begin(&world, None).await;
    let code = &codes.device_code;
    assert_error(&poll_well(&world, code).await, "authorization_pending");
    world.clock.pass(3);
    assert_error(&poll_well(&world, code).await, "slow_down");
    // From now on it is 10 s.
    world.clock.pass(6);
    assert_error(&poll_well(&world, code).await, "slow_down");
    world.clock.pass(15);
    assert_error(&poll_well(&world, code).await, "authorization_pending");
    world.clock.pass(15);
    assert_error(&poll_well(&world, code).await, "authorization_pending");
    world.clock.pass(600);
    assert_error(&poll_well(&world, code).await, "expired_token");

    let denied = begin(&world, None).await;
    answer(&world, &denied, false).await;
    assert_error(&poll_well(&world, &denied.device_code).await, "access_denied");

    let late = begin(&world, None).await;
    answer(&world, &late, true).await;
    world.clock.pass(600);
    assert_error(&poll_well(&world, &late.device_code).await, "expired_token");
    assert_error(&poll_well(&world, &Secret::new("nonsense")).await, "invalid_grant");
}

#[tokio::test]
async fn as_dev_03_the_poll_that_yields_tokens_binds_them() {
    let world = world().await;
    let codes = begin(&world, None).await;
    let proof = world.proof().sign(&world.key);
    assert_error(&poll(&world, &codes.device_code, Some(&proof)).await, "authorization_pending");
    answer(&world, &codes, true).await;
    world.clock.pass(5);
    assert_e_as(&poll(&world, &codes.device_code, Some(&proof)).await);
    assert_e_as(&poll(&world, &codes.device_code, None).await);
    let other = new_key();
    let other_proof = Forge::new(&other, "POST", TOKEN, world.now()).sign(&other);
    let tokens = poll(&world, &codes.device_code, Some(&other_proof)).await;
    assert_eq!(tokens.status, 200, "an unbound code takes any key: {tokens:?}");
    assert_eq!(tokens.text("token_type"), "DPoP");
    let claims = tokens.claims("access_token");
    assert_eq!(claims["cnf"]["jkt"], jkt(&other));
    assert_eq!(
        (claims["sub"].as_str(), claims["client_id"].as_str()),
        (Some("subject-of-alice"), Some("tv"))
    );
    assert_eq!(tokens.text("scope"), "openid read");
    assert_eq!(tokens.claims("id_token")["sub"], "subject-of-alice");
    assert!(tokens.claims("id_token").get("nonce").is_none());
}

#[tokio::test]
async fn as_dev_04_dec_17_a_proof_or_dpop_jkt_binds_the_device_code() {
    let world = world().await;
    let by_proof = begin(&world, Some(&device_proof(&world).sign(&world.key))).await;
    let form = FormWriter::new().pair("client_id", "tv").pair("scope", "read");
    let by_name = ask(&world, form.pair("dpop_jkt", &jkt(&world.key)), &[]).await;
    let by_name = DeviceAuthorizationResponse::parse(&by_name.body).expect("a response");
    let other = new_key();
    for codes in [by_proof, by_name] {
        let proof = || Forge::new(&other, "POST", TOKEN, world.now()).sign(&other);
        assert_error(&poll(&world, &codes.device_code, Some(&proof())).await, "invalid_grant");
        assert_error(&poll_well(&world, &codes.device_code).await, "authorization_pending");
        answer(&world, &codes, true).await;
        assert_error(&poll(&world, &codes.device_code, Some(&proof())).await, "invalid_grant");
        assert_e_as(&poll(&world, &codes.device_code, None).await);
        let tokens = poll_well(&world, &codes.device_code).await;
        assert_eq!(tokens.claims("access_token")["cnf"]["jkt"], jkt(&world.key));
    }
}

#[tokio::test]
async fn as_dev_04_the_proof_with_the_device_request_is_checked_in_full() {
    let world = world().await;
    let form = || FormWriter::new().pair("client_id", "tv").pair("scope", "read");
    for (name, proof) in [
        ("for the token endpoint", world.proof().sign(&world.key)),
        ("another method", device_proof(&world).claim("htm", "GET").sign(&world.key)),
        ("old", device_proof(&world).claim("iat", world.now().as_secs() - 400).sign(&world.key)),
        ("another signer", device_proof(&world).sign(&new_key())),
        ("junk", "junk".to_owned()),
    ] {
        let answer = ask(&world, form(), &[("dpop", &proof)]).await;
        assert_eq!(answer.error(), (400, "invalid_dpop_proof".to_owned()), "{name}");
    }
    let proof = device_proof(&world).sign(&world.key);
    assert_eq!(ask(&world, form(), &[("dpop", &proof)]).await.status, 200);
    assert_e_as(&ask(&world, form(), &[("dpop", &proof)]).await);
    let proof = device_proof(&world).sign(&world.key);
    let contradicting = form().pair("dpop_jkt", &jkt(&new_key()));
    assert_error(&ask(&world, contradicting, &[("dpop", &proof)]).await, "invalid_request");
}

#[tokio::test]
async fn as_dev_04_a_bound_code_needs_its_proof_also_of_a_client_that_may_have_bearer_tokens() {
    let world = world().await;
    let old = json!({ "client_id": "old", "grant_types": [GRANT_TYPE], "dpop_bound_access_tokens": false });
    add_client(&world.store, old, world.now()).await.expect("a client");
    let form = FormWriter::new().pair("client_id", "old").pair("resource", MIXED_API).pair("scope", "read");
    let proof = device_proof(&world).sign(&world.key);
    let bound = ask(&world, form, &[("dpop", &proof)]).await;
    let bound = DeviceAuthorizationResponse::parse(&bound.body).expect("a response");
    answer(&world, &bound, true).await;
    let poll = || poll_form(&bound.device_code).pair("client_id", "old");
    assert_e_as(&world.post(poll(), &[]).await);
    let proof = world.proof().sign(&world.key);
    let tokens = world.post(poll(), &[("dpop", &proof)]).await;
    assert_eq!((tokens.status.as_u16(), tokens.text("token_type")), (200, "DPoP".to_owned()));
}

#[tokio::test]
async fn as_dev_05_as_non_05_a_nonce_challenge_is_no_poll() {
    let world = world_with(Settings::with_nonces()).await;
    let form = || FormWriter::new().pair("client_id", "tv").pair("scope", "read");
    let challenged = device_proof(&world).sign(&world.key);
    let nonce = assert_n_as(&ask(&world, form(), &[("dpop", &challenged)]).await);
    let proof = device_proof(&world).nonce(&nonce).sign(&world.key);
    let codes = ask(&world, form(), &[("dpop", &proof)]).await;
    let codes = DeviceAuthorizationResponse::parse(&codes.body).expect("a response");
    let code = &codes.device_code;

    let nonce = assert_n_as(&poll_well(&world, code).await);
    let with_nonce = |nonce: &str| world.proof().nonce(nonce).sign(&world.key);
    let pending = poll(&world, code, Some(&with_nonce(&nonce))).await;
    assert_error(&pending, "authorization_pending");
    // The challenges between two polls do not move the clock of either.
    world.clock.pass(5);
    for _ in 0..3 {
        assert_n_as(&poll_well(&world, code).await);
    }
    assert_error(&poll(&world, code, Some(&with_nonce(&nonce))).await, "authorization_pending");
    let slowed = poll(&world, code, Some(&with_nonce(&nonce))).await;
    assert_error(&slowed, "slow_down");
    world.clock.pass(200);
    assert_error(&poll(&world, code, Some(&with_nonce(&nonce))).await, "use_dpop_nonce");
    let nonce = slowed.nonce();
    assert_ne!(nonce, "", "who waits is told a nonce for the next time");
    let fresh = assert_n_as(&poll(&world, code, Some(&with_nonce(&nonce))).await);
    answer(&world, &codes, true).await;
    assert_eq!(poll(&world, code, Some(&with_nonce(&fresh))).await.status, 200);
}

#[tokio::test]
async fn as_dev_06_a_device_code_is_good_once() {
    let world = world().await;
    let codes = begin(&world, None).await;
    answer(&world, &codes, true).await;
    let tokens = poll_well(&world, &codes.device_code).await;
    let refresh = tokens.text("refresh_token");
    assert_error(&poll_well(&world, &codes.device_code).await, "invalid_grant");
    let form = refresh_form(&refresh).pair("client_id", "tv");
    let proof = world.proof().sign(&world.key);
    assert_error(&world.post(form, &[("dpop", &proof)]).await, "invalid_grant");
}

#[tokio::test]
async fn as_dev_08_refresh_tokens_of_public_devices_are_bound() {
    let world = world().await;
    let codes = begin(&world, None).await;
    answer(&world, &codes, true).await;
    let refresh = poll_well(&world, &codes.device_code).await.text("refresh_token");
    let form = || refresh_form(&refresh).pair("client_id", "tv");
    let other = new_key();
    let stolen = Forge::new(&other, "POST", TOKEN, world.now()).sign(&other);
    assert_error(&world.post(form(), &[("dpop", &stolen)]).await, "invalid_grant");
    assert_e_as(&world.post(form(), &[]).await);
    let proof = world.proof().sign(&world.key);
    assert_eq!(world.post(form(), &[("dpop", &proof)]).await.status, 200);
}

#[tokio::test]
async fn atk_090_a_stolen_device_code_is_of_no_use() {
    let world = world().await;
    let codes = begin(&world, Some(&device_proof(&world).sign(&world.key))).await;
    let victims = world.proof().sign(&world.key);
    assert_error(&poll(&world, &codes.device_code, Some(&victims)).await, "authorization_pending");
    answer(&world, &codes, true).await;
    let thief = new_key();
    let own = Forge::new(&thief, "POST", TOKEN, world.now()).sign(&thief);
    assert_error(&poll(&world, &codes.device_code, Some(&own)).await, "invalid_grant");
    assert_e_as(&poll(&world, &codes.device_code, Some(&victims)).await);
    let headers = [("authorization", basic("box", SECRET)), ("dpop", world.proof().sign(&world.key))];
    let foreign = world.post(poll_form(&codes.device_code), &borrow(&headers)).await;
    assert_error(&foreign, "invalid_grant");
    assert_eq!(poll_well(&world, &codes.device_code).await.status, 200, "none of it spoiled the code");
}

#[tokio::test]
async fn ops_lim_06_device_codes_are_capped() {
    let world = world().await;
    let form = || FormWriter::new().pair("client_id", "tv").pair("scope", "read");
    for _ in 0..MAX_PENDING {
        assert_eq!(ask(&world, form(), &[]).await.status, 200);
    }
    let refused = ask(&world, form(), &[]).await;
    assert_eq!(refused.error(), (429, "temporarily_unavailable".to_owned()), "{refused:?}");
    assert_eq!(refused.header("retry-after").len(), 1);
    let headers = [("authorization", basic("box", SECRET))];
    let other = ask(&world, FormWriter::new().pair("scope", "read"), &borrow(&headers)).await;
    assert_eq!(other.status, 200, "another client has codes of its own");
    world.clock.pass(601);
    assert_eq!(ask(&world, form(), &[]).await.status, 200);
}

#[tokio::test]
async fn a_withdrawn_consent_ends_the_device_code() {
    let world = world().await;
    let codes = begin(&world, None).await;
    answer(&world, &codes, true).await;
    let subject = world.user.subject.clone();
    let write = Write::RevokeGrantsOf { subject, client_id: None, at: world.now() };
    world.store.write(vec![write]).await.expect("written");
    assert_error(&poll_well(&world, &codes.device_code).await, "expired_token");
}

#[tokio::test]
async fn oidc_idt_04_a_device_code_is_not_spent_while_the_key_of_its_id_token_is_made() {
    let world = world().await;
    let tv =
        json!({ "client_id": "tv", "grant_types": [GRANT_TYPE], "id_token_signed_response_alg": "EdDSA" });
    add_client(&world.store, tv, world.now()).await.expect("a client");
    world.clock.pass(1);
    let codes = begin(&world, None).await;
    answer(&world, &codes, true).await;
    let early = poll_well(&world, &codes.device_code).await;
    assert_eq!(early.error(), (503, "temporarily_unavailable".to_owned()), "{early:?}");
    world.provider.reload_keys().await;
    world.provider.tend_keys().await;
    let tokens = poll_well(&world, &codes.device_code).await;
    assert_eq!(tokens.jose_header("id_token")["alg"], "EdDSA", "{tokens:?}");
}
