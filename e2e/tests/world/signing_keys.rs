//! OPS-KEY, AS-AT-02 and -03, OIDC-IDT-04: what is signed with what, and how keys come and go.

use http::StatusCode;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::jws::UnverifiedJwt;
use keybound_dpop::jose::key_set::KeySet;
use keybound_e2e::answer::part;
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Settings, World};
use keybound_provider::profile::Profile;
use keybound_provider::registry::{add_client, sync_clients};
use keybound_provider::signing_keys::command::{KeyError, Pace, retire, rotate};
use keybound_provider::signing_keys::{JWKS_MAX_AGE_SECS, KeyUse};
use keybound_provider::store::{Client, ClientSource};
use serde_json::{Value, json};
use std::collections::HashSet;

const DAY: u64 = 24 * 3600;

fn signing(lines: &str) -> Settings {
    Settings { config: format!("{}[signing]\n{lines}\n", Settings::default().config) }
}

async fn jwks(world: &World) -> Answer {
    world.send(get(&format!("{ISSUER}/jwks"), &[])).await
}

async fn kids(world: &World) -> HashSet<String> {
    let keys = jwks(world).await.json();
    let keys = keys["keys"].as_array().expect("keys").iter();
    keys.map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}

/// The `kid` of a token.
fn kid_of(token: &str) -> String {
    part(token, 0)["kid"].as_str().expect("a kid").to_owned()
}

/// Whether the published keys verify the token.
async fn verifies(world: &World, token: &str) -> bool {
    let keys = KeySet::parse(&jwks(world).await.body).expect("a JWK set");
    let jwt = UnverifiedJwt::parse(token).expect("a JWT");
    let algorithm = Algorithm::parse(part(token, 0)["alg"].as_str().expect("alg")).expect("known");
    let kid = jwt.kid().expect("a header");
    jwt.verify(AlgorithmSet::of(&[algorithm]), keys.candidates(kid.as_deref(), algorithm)).is_ok()
}

/// What the provider does by itself, once a second.
async fn look(world: &World) {
    world.provider.reload_keys().await;
    world.provider.tend_keys().await;
}

async fn access_token(world: &World) -> String {
    world.client_credentials(Some(&world.proof().sign(&world.key))).await.text("access_token")
}

#[tokio::test]
async fn as_at_02_as_at_03_access_tokens_are_signed_as_configured() {
    for algorithm in ["ES256", "EdDSA", "PS256", "RS256"] {
        let world = World::with(signing(&format!("access_tokens = \"{algorithm}\""))).await;
        let tokens = world.tokens().await;
        assert_eq!(tokens.jose_header("access_token")["alg"], algorithm);
        assert_eq!(tokens.jose_header("id_token")["alg"], "ES256", "as the client is registered");
        let token = tokens.text("access_token");
        assert!(verifies(&world, &token).await, "{algorithm}");
        let proof = world.userinfo_proof(&token).sign(&world.key);
        assert_eq!(world.userinfo("DPoP", &token, Some(&proof)).await.status, 200, "{algorithm}");
    }
    for weak in ["none", "HS256", "ES512"] {
        assert!(config(&format!("[signing]\naccess_tokens = \"{weak}\"")).check().is_err(), "{weak}");
    }
}

#[tokio::test]
async fn as_md_07_the_algorithms_are_listed() {
    let world = World::new().await;
    let metadata = world.send(get(&format!("{ISSUER}/.well-known/openid-configuration"), &[])).await.json();
    assert_eq!(
        metadata["id_token_signing_alg_values_supported"],
        json!(["ES256", "EdDSA", "PS256", "RS256"])
    );
}

#[tokio::test]
async fn oidc_idt_04_the_id_token_is_signed_as_the_client_is_registered() {
    let world = World::new().await;
    for algorithm in ["EdDSA", "PS256", "RS256"] {
        let client = json!({ "client_id": algorithm, "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code"], "id_token_signed_response_alg": algorithm });
        add_client(&world.store, client, world.now()).await.expect("a client");
        world.clock.pass(1);
        let code = world.code(algorithm).await;
        let ask = || async {
            let form = code_form(&code).pair("client_id", algorithm);
            world.post(form, &[("dpop", &world.proof().sign(&world.key))]).await
        };
        // The key is made when it is first wanted, beside the requests, and the code is still good then.
        let early = ask().await;
        assert_eq!(early.error(), (503, "temporarily_unavailable".to_owned()), "{early:?}");
        assert_eq!(early.header("retry-after").len(), 1);
        look(&world).await;
        let tokens = ask().await;
        assert_eq!(tokens.jose_header("id_token")["alg"], algorithm, "{tokens:?}");
        assert_eq!(tokens.jose_header("access_token")["alg"], "ES256");
        assert!(verifies(&world, &tokens.text("id_token")).await);
    }
    for wrong in ["none", "HS256", "ES384"] {
        let client = json!({ "client_id": "wrong", "redirect_uris": [REDIRECT_URI],
            "id_token_signed_response_alg": wrong });
        assert!(add_client(&world.store, client, world.now()).await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn oidc_idt_04_a_client_that_registered_itself_gets_rs256_by_default() {
    let world = World::new().await;
    let metadata = json!({ "client_id": "self", "redirect_uris": [REDIRECT_URI], "response_types": ["code"],
        "grant_types": ["authorization_code"], "token_endpoint_auth_method": "none" });
    let source = ClientSource::Registered;
    let client = Client { client_id: "self".to_owned(), metadata, source, created_at: world.now() };
    world.store.upsert_client(client).await.expect("written");
    look(&world).await;
    let code = world.code("self").await;
    let form = code_form(&code).pair("client_id", "self");
    let tokens = world.post(form, &[("dpop", &world.proof().sign(&world.key))]).await;
    assert_eq!(tokens.jose_header("id_token")["alg"], "RS256", "{tokens:?}");
}

#[tokio::test]
async fn ops_key_04_each_purpose_and_algorithm_has_a_key_of_its_own() {
    let world = World::with(signing("access_tokens = \"RS256\"")).await;
    let now = world.now();
    let keys = &world.provider.signing_keys;
    let signer = |key_use, algorithm| keys.signer(key_use, algorithm, now).map(|key| key.kid.clone());
    assert!(signer(KeyUse::Messages, Algorithm::Ps256).is_err(), "not made before it is wanted");
    look(&world).await;
    let kids: HashSet<String> = [
        (KeyUse::Tokens, Algorithm::Es256),
        (KeyUse::Tokens, Algorithm::Rs256),
        (KeyUse::Messages, Algorithm::Es256),
        (KeyUse::Messages, Algorithm::Ps256),
    ]
    .into_iter()
    .map(|(key_use, algorithm)| signer(key_use, algorithm).expect("a key"))
    .collect();
    assert_eq!(kids.len(), 4);
    assert!(signer(KeyUse::Tokens, Algorithm::Es512).is_err());
    // What signs messages vouches for no token.
    let tokens = keys.key_set_of(KeyUse::Tokens, now);
    let message_key = signer(KeyUse::Messages, Algorithm::Es256).expect("a key");
    assert!(!tokens.has_kid(&message_key) && keys.key_set(now).has_kid(&message_key));
}

/// A key in use, a successor by schedule, and the first tokens after it, on one line of time.
#[tokio::test]
async fn ops_key_01_atk_147_rotation_by_schedule_is_noticed_by_nobody() {
    let world = World::with(signing("rotate_days = 30")).await;
    let first = kid_of(&access_token(&world).await);
    let before = kids(&world).await;
    world.clock.pass(30 * DAY - 60);
    look(&world).await;
    assert_eq!(kids(&world).await, before, "not yet");
    world.clock.pass(60);
    look(&world).await;
    let published = kids(&world).await;
    assert!(published.is_superset(&before) && published.len() == 2 * before.len(), "{published:?}");

    // Whoever read the set just before the change keeps it for as long as it may.
    world.clock.pass(JWKS_MAX_AGE_SECS);
    look(&world).await;
    let token = access_token(&world).await;
    assert_eq!(kid_of(&token), first, "every cache still has it");
    world.clock.pass(60);
    look(&world).await;
    let last_of_first = token;
    let next = kid_of(&access_token(&world).await);
    assert!(next != first && published.contains(&next), "known to every cache by now");

    // The old key stays as long as its last token.
    let lives = part(&last_of_first, 1)["exp"].as_u64().expect("exp") - world.now().as_secs();
    world.clock.pass(lives);
    look(&world).await;
    assert!(verifies(&world, &last_of_first).await, "to its last second");
    world.clock.pass(3 * 60);
    look(&world).await;
    let after = kids(&world).await;
    assert!(!after.contains(&first) && after.contains(&next), "{after:?}");
    let stored = world.store.signing_keys().await.expect("keys");
    let old = stored.iter().find(|key| key.kid == first).expect("its row stays: no kid comes twice");
    assert!(old.pkcs8.reveal().is_empty(), "the private half is wiped");
    assert_eq!(kid_of(&access_token(&world).await), next);
}

#[tokio::test]
async fn ops_key_01_rotation_by_command_is_seen_by_a_provider_that_runs() {
    let world = World::new().await;
    let first = kid_of(&access_token(&world).await);
    let lives = world.provider.config.key_lives();
    let version = world.store.version().await.expect("a version");
    let changes = rotate(&world.store, Some(Algorithm::Es256), Pace::Orderly, lives, world.now()).await;
    assert_eq!(changes.expect("rotated").len(), 2, "one for each purpose");
    assert!(world.store.version().await.expect("a version") > version, "how the provider notices");
    let again = rotate(&world.store, None, Pace::Orderly, lives, world.now()).await;
    assert_eq!(again.expect("nothing to do"), [], "their successors are there already");
    let none = rotate(&world.store, Some(Algorithm::Rs256), Pace::Orderly, lives, world.now()).await;
    assert_eq!(none, Err(KeyError::Nothing));
    look(&world).await;
    assert_eq!(kid_of(&access_token(&world).await), first);
    world.clock.pass(6 * 60);
    assert_ne!(kid_of(&access_token(&world).await), first, "it needs no second look");
}

#[tokio::test]
async fn oidc_dcr_06_a_key_that_is_rotated_on_demand_stays_published_beside_the_new_one() {
    let world = World::new().await;
    let old = kid_of(&access_token(&world).await);
    let lives = world.provider.config.key_lives();
    rotate(&world.store, None, Pace::Orderly, lives, world.now()).await.expect("rotated");
    look(&world).await;
    world.clock.pass(6 * 60);
    let new = kid_of(&access_token(&world).await);
    let published = world.send(get("https://as.example/jwks", &[])).await;
    let published = published.json()["keys"].as_array().expect("keys").clone();
    for kid in [old, new] {
        assert!(published.iter().any(|key| key["kid"] == *kid), "{kid}");
    }
}

#[tokio::test]
async fn in_an_emergency_the_old_key_is_out_at_once() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let stolen = tokens.text("access_token");
    let userinfo = |token: String| {
        let proof = world.userinfo_proof(&token).sign(&world.key);
        let world = &world;
        async move { world.userinfo("DPoP", &token, Some(&proof)).await.status }
    };
    assert_eq!(userinfo(stolen.clone()).await, StatusCode::OK);
    let lives = world.provider.config.key_lives();
    rotate(&world.store, None, Pace::AtOnce, lives, world.now()).await.expect("rotated");
    look(&world).await;
    assert!(!kids(&world).await.contains(&kid_of(&stolen)));
    assert_eq!(userinfo(stolen).await, StatusCode::UNAUTHORIZED);
    // The refresh token is not the key's: clients go on.
    let fresh = world.refresh(&tokens.text("refresh_token"), Some(&world.proof().sign(&world.key))).await;
    assert_eq!(userinfo(fresh.text("access_token")).await, StatusCode::OK);
}

#[tokio::test]
async fn in_an_emergency_userinfo_goes_by_the_new_keys_before_others_are_made() {
    let world = World::new().await;
    let old = world.tokens().await.text("access_token");
    let lives = world.provider.config.key_lives();
    rotate(&world.store, None, Pace::AtOnce, lives, world.now()).await.expect("rotated");
    world.provider.reload_keys().await;
    let new = world.tokens().await.text("access_token");
    for (token, status) in [(old, 401), (new, 200)] {
        let proof = world.userinfo_proof(&token).sign(&world.key);
        assert_eq!(world.userinfo("DPoP", &token, Some(&proof)).await.status, status);
    }
}

#[tokio::test]
async fn a_key_that_signs_cannot_be_retired_and_one_that_does_not_can() {
    let world = World::new().await;
    let first = kid_of(&access_token(&world).await);
    let now = world.now();
    assert_eq!(retire(&world.store, &first, now).await, Err(KeyError::InUse(first.clone())));
    assert_eq!(retire(&world.store, "none", now).await, Err(KeyError::Unknown("none".to_owned())));
    rotate(&world.store, None, Pace::Orderly, world.provider.config.key_lives(), now).await.expect("rotated");
    assert_eq!(retire(&world.store, &first, now).await, Err(KeyError::InUse(first.clone())), "still");
    world.clock.pass(6 * 60);
    assert_eq!(retire(&world.store, &first, world.now()).await, Ok(()));
    assert_eq!(retire(&world.store, &first, world.now()).await, Err(KeyError::Gone(first.clone())));
    look(&world).await;
    assert!(!kids(&world).await.contains(&first));
    access_token(&world).await;
}

#[tokio::test]
async fn ops_key_02_fapi_cry_04_kids_are_thumbprints_and_no_header_points_elsewhere() {
    let world = World::with(signing("access_tokens = \"PS256\"")).await;
    let set = jwks(&world).await;
    let keys = KeySet::parse(&set.body).expect("a JWK set");
    let mut seen = HashSet::new();
    for named in keys.iter() {
        let kid = named.kid.clone().expect("a kid");
        assert_eq!(kid, named.key.thumbprint().to_string());
        assert!(seen.insert(kid), "no kid twice");
    }
    assert_eq!(seen.len(), set.json()["keys"].as_array().expect("keys").len(), "every key can be read");
    let tokens = world.tokens().await;
    for header in [tokens.jose_header("access_token"), tokens.jose_header("id_token")] {
        let members: Vec<&String> = header.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["typ", "alg", "kid"], "no jku, no x5u, no jwk");
    }
}

#[tokio::test]
async fn fapi_cry_01_fapi_cry_02_keys_are_strong() {
    let world = World::with(signing("access_tokens = \"RS256\"")).await;
    let keys = jwks(&world).await.json();
    for key in keys["keys"].as_array().expect("keys") {
        match key["kty"].as_str() {
            Some("RSA") => assert!(key["n"].as_str().expect("n").len() >= 2048 / 6, "{key}"),
            Some("EC") => assert_eq!(key["crv"], "P-256"),
            _ => assert_eq!(key["crv"], "Ed25519"),
        }
    }
}

#[tokio::test]
async fn ops_key_03_the_key_set_is_public_and_may_be_kept_for_a_while() {
    let world = World::with(signing("access_tokens = \"RS256\"")).await;
    let set = world.send(get(&format!("{ISSUER}/jwks"), &[("origin", "https://app.example")])).await;
    for key in set.json()["keys"].as_array().expect("keys") {
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert_eq!(key.get(private), None::<&Value>, "{private}");
        }
        assert_eq!(key["use"], "sig");
    }
    assert_eq!(set.header("cache-control"), [format!("public, max-age={JWKS_MAX_AGE_SECS}")]);
    assert_eq!(set.header("access-control-allow-origin"), ["*"]);
    let tag = set.header("etag").remove(0);
    let ask = |tag: String| {
        let world = &world;
        async move { world.send(get(&format!("{ISSUER}/jwks"), &[("if-none-match", &tag)])).await }
    };
    for same in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let answer = ask(same).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0), "{answer:?}");
        assert_eq!(answer.header("etag"), [tag.as_str()]);
        assert_eq!(answer.header("cache-control"), [format!("public, max-age={JWKS_MAX_AGE_SECS}")]);
    }
    assert_eq!(ask("\"other\"".to_owned()).await.status, 200);
    let lives = world.provider.config.key_lives();
    rotate(&world.store, None, Pace::Orderly, lives, world.now()).await.expect("rotated");
    look(&world).await;
    let changed = ask(tag.clone()).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), [tag]);
}

#[tokio::test]
async fn a_resource_may_want_its_tokens_signed_otherwise() {
    let settings = Settings { config: format!("signing_alg = \"EdDSA\"\n{}", Settings::default().config) };
    // The lines come after the last resource, which is the old API.
    let world = World::with(settings).await;
    let form = |resource: &str| {
        client_credentials_form()
            .pair("client_id", "poster")
            .pair("client_secret", SECRET)
            .pair("resource", resource)
    };
    let proof = || world.proof().sign(&world.key);
    let old = world.post(form(OLD_API), &[("dpop", &proof())]).await;
    assert_eq!(old.jose_header("access_token")["alg"], "EdDSA", "{old:?}");
    let other = world.post(form(API), &[("dpop", &proof())]).await;
    assert_eq!(other.jose_header("access_token")["alg"], "ES256");
    let both = world.post(form(API).pair("resource", OLD_API), &[("dpop", &proof())]).await;
    assert_eq!(both.jose_header("access_token")["alg"], "ES256", "they do not agree");
}

#[tokio::test]
async fn clients_of_a_file_may_name_an_algorithm() {
    let world = World::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("clients.json");
    let file = json!([{ "client_id": "filed", "redirect_uris": [REDIRECT_URI],
        "id_token_signed_response_alg": "EdDSA" }]);
    std::fs::write(&path, file.to_string()).expect("written");
    let synced = sync_clients(&world.store, Profile::STANDARD, &path, world.now()).await;
    assert_eq!(synced, Ok(1));
}
