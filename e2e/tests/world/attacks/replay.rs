//! Attacks with a used proof and with the memory of used proofs: sent again, after a restart, over a clock that is set,
//! and with the memory full.

use crate::proofs::api::Api;
use crate::proofs::stage::{both, resigned};
use axum::Router;
use axum::body::Body;
use http::Request;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::nonce::NonceKeys;
use keybound_dpop::replay::MemoryLog;
use keybound_dpop::time::Clock;
use keybound_e2e::answer::{assert_e_as, assert_n_as};
use keybound_e2e::forge::new_key;
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Forge, Settings, World};
use keybound_provider::provider::Provider;
use keybound_provider::service::service;
use std::sync::Arc;
use tower::ServiceExt;

/// Another process over a World's store: a second node, or the first one after a restart.
struct Node {
    provider: Arc<Provider>,
    router: Router,
}

impl Node {
    async fn over(world: &World, settings: &Settings) -> Self {
        Self::with(world, settings, |_| {}).await
    }

    async fn with(world: &World, settings: &Settings, change: impl FnOnce(&mut Provider)) -> Self {
        let config = config(&settings.config).check().expect("a configuration");
        let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
        let mut provider = Provider::open(config, world.store.clone(), clock).await.expect("a provider");
        change(Arc::get_mut(&mut provider).expect("nobody else has it yet"));
        let router = service(&provider).into();
        Self { provider, router }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        Answer::read(self.router.clone().oneshot(request).await.expect("an answer")).await
    }
}

/// A token request by the client `service`, for itself.
fn token_request(proof: &str) -> Request<Body> {
    let headers = with_proof(vec![("authorization", basic("service", SECRET))], Some(proof));
    post(TOKEN, client_credentials_form(), &borrow(&headers))
}

/// A request to UserInfo.
fn userinfo_request(token: &str, proof: &str) -> Request<Body> {
    let headers = with_proof(vec![("authorization", format!("DPoP {token}"))], Some(proof));
    get(USERINFO, &borrow(&headers))
}

/// `E-RS`
#[track_caller]
fn assert_e_rs(answer: &Answer) {
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(answer.challenges()[0].get("error"), Some("invalid_dpop_proof"), "{answer:?}");
}

/// `N-RS`
#[track_caller]
fn assert_n_rs(answer: &Answer) {
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(answer.challenges()[0].get("error"), Some("use_dpop_nonce"), "{answer:?}");
    answer.nonce();
}

#[tokio::test]
async fn atk_053_the_whole_request_once_more() {
    for settings in [Settings::default(), Settings::with_nonces()] {
        let world = World::with(settings).await;
        let nonce =
            world.provider.uses_nonces().then(|| world.provider.nonces.issue(world.now()).to_string());
        let signed = |proof: Forge| match &nonce {
            Some(nonce) => proof.nonce(nonce).sign(&world.key),
            None => proof.sign(&world.key),
        };
        let tokens = world.redeem(&world.code("app").await, Some(&signed(world.proof()))).await;
        let token = tokens.text("access_token");
        let (at_token, at_userinfo) = (signed(world.proof()), signed(world.userinfo_proof(&token)));
        assert_eq!(world.send(token_request(&at_token)).await.status, 200);
        assert_eq!(world.send(userinfo_request(&token, &at_userinfo)).await.status, 200);
        for _ in 0..2 {
            assert_e_as(&world.send(token_request(&at_token)).await);
            assert_e_rs(&world.send(userinfo_request(&token, &at_userinfo)).await);
            world.clock.pass(10);
        }
    }
    let api = Api::new();
    let token = api.token();
    let proof = api.proof("POST", "/pay", &token).sign(&api.key);
    assert_eq!(api.call(api.request("POST", "/pay", &token, &proof)).await.status, 200);
    api.refuses("DPOP-JTI-04", api.request("POST", "/pay", &token, &proof)).await;
}

/// Nodes that do not share their memory do not share their nonces either. Where nonces are off, only one node is right.
#[tokio::test]
async fn atk_055_a_proof_with_a_nonce_is_for_the_node_that_gave_it() {
    let settings = Settings::with_nonces();
    let world = World::with(settings.clone()).await;
    let other = Node::over(&world, &settings).await;
    let nonce = world.provider.nonces.issue(world.now()).to_string();
    let proof = world.proof().nonce(&nonce).sign(&world.key);
    assert_eq!(world.send(token_request(&proof)).await.status, 200);
    assert_n_as(&other.send(token_request(&proof)).await);
    let proof = world.proof().nonce(&nonce).sign(&world.key);
    let tokens = world.redeem(&world.code("app").await, Some(&proof)).await;
    let token = tokens.text("access_token");
    let proof = world.userinfo_proof(&token).nonce(&nonce).sign(&world.key);
    assert_eq!(world.send(userinfo_request(&token, &proof)).await.status, 200);
    assert_n_rs(&other.send(userinfo_request(&token, &proof)).await);
}

#[tokio::test]
async fn atk_056_again_after_a_restart() {
    let settings = Settings::default();
    let world = World::with(settings.clone()).await;
    world.clock.pass(600);
    for offset in [-299, 0, 30] {
        let token = world.tokens().await.text("access_token");
        let iat = world.now().as_secs().saturating_add_signed(offset);
        let at_token = world.proof().claim("iat", iat).sign(&world.key);
        let at_userinfo = world.userinfo_proof(&token).claim("iat", iat).sign(&world.key);
        assert_eq!(world.send(token_request(&at_token)).await.status, 200);
        assert_eq!(world.send(userinfo_request(&token, &at_userinfo)).await.status, 200);
        let restarted = Node::over(&world, &settings).await;
        assert!(restarted.provider.replay.is_empty());
        for secs in [0, 1, 30, 100, 150] {
            world.clock.pass(secs);
            assert_e_as(&restarted.send(token_request(&at_token)).await);
            assert_e_rs(&restarted.send(userinfo_request(&token, &at_userinfo)).await);
        }
        assert_eq!(restarted.send(token_request(&world.proof().sign(&world.key))).await.status, 200);
    }
}

#[tokio::test]
async fn atk_056_again_after_a_restart_with_nonces() {
    let settings = Settings::with_nonces();
    let world = World::with(settings.clone()).await;
    let nonce = world.provider.nonces.issue(world.now()).to_string();
    let with_nonce = |proof: Forge, nonce: &str| proof.nonce(nonce).sign(&world.key);
    let tokens = world.redeem(&world.code("app").await, Some(&with_nonce(world.proof(), &nonce))).await;
    let token = tokens.text("access_token");
    let at_token = with_nonce(world.proof(), &nonce);
    let at_userinfo = with_nonce(world.userinfo_proof(&token), &nonce);
    assert_eq!(world.send(token_request(&at_token)).await.status, 200);
    assert_eq!(world.send(userinfo_request(&token, &at_userinfo)).await.status, 200);
    let restarted = Node::over(&world, &settings).await;
    let fresh = assert_n_as(&restarted.send(token_request(&at_token)).await);
    assert_n_rs(&restarted.send(userinfo_request(&token, &at_userinfo)).await);
    assert_eq!(restarted.send(token_request(&with_nonce(world.proof(), &fresh))).await.status, 200);
}

#[tokio::test]
async fn atk_056_again_after_a_restart_of_an_api() {
    let mut api = Api::new();
    api.clock.pass(600);
    let token = api.token();
    let proof = api.proof("GET", "/r", &token).sign(&api.key);
    assert_eq!(api.call(api.request("GET", "/r", &token, &proof)).await.status, 200);
    api.restart(None);
    for secs in [0, 31, 200, 100] {
        api.clock.pass(secs);
        let answer = api.call(api.request("GET", "/r", &token, &proof)).await;
        api.assert_told("invalid_dpop_proof", &answer);
    }
    assert_eq!(api.get(&token).await.status, 200);

    let of_run = |run: u8| Some(NonceKeys::new([7; 32], "api", Some([run; 16])));
    api.restart(of_run(1));
    let nonce = api.get(&token).await.nonce();
    let proof = api.proof("GET", "/r", &token).nonce(&nonce).sign(&api.key);
    assert_eq!(api.call(api.request("GET", "/r", &token, &proof)).await.status, 200);
    api.restart(of_run(2));
    let answer = api.call(api.request("GET", "/r", &token, &proof)).await;
    api.assert_told("use_dpop_nonce", &answer);
}

#[tokio::test]
async fn atk_057_a_clock_that_is_set_back_revives_nothing() {
    for (passed, back) in [(305, 300), (605, 600), (2000, 1995), (90_000, 89_995)] {
        let world = World::new().await;
        world.clock.pass(600);
        let token = world.tokens().await.text("access_token");
        let at_token = world.proof().sign(&world.key);
        let at_userinfo = world.userinfo_proof(&token).sign(&world.key);
        assert_eq!(world.send(token_request(&at_token)).await.status, 200);
        assert_eq!(world.send(userinfo_request(&token, &at_userinfo)).await.status, 200);
        for _ in 0..10 {
            world.clock.pass(passed / 10);
            // Others come and go, so that old records are swept out.
            for _ in 0..20 {
                let other = world.proof().sign(&world.key);
                assert_eq!(world.send(token_request(&other)).await.status, 200);
            }
        }
        world.clock.set_back(back);
        assert_e_as(&world.send(token_request(&at_token)).await);
        assert_e_rs(&world.send(userinfo_request(&token, &at_userinfo)).await);
    }
}

/// A proof for the token endpoint by a key that nobody has seen.
fn strange(world: &World, key: &SigningKey) -> Forge {
    Forge::new(key, "POST", TOKEN, world.now())
}

#[tokio::test]
async fn atk_059_a_flood_of_proofs_pushes_nothing_out() {
    const CAPACITY: usize = 24;
    let settings = Settings::default();
    let world = World::with(settings.clone()).await;
    let started = world.clock.now();
    let small = |provider: &mut Provider| provider.replay = Arc::new(MemoryLog::new(CAPACITY, started));
    let node = Node::with(&world, &settings, small).await;
    world.clock.pass(31);
    let victim = world.proof().sign(&world.key);
    assert_eq!(node.send(token_request(&victim)).await.status, 200);
    for _ in 0..200 {
        let junk = resigned(&strange(&world, &new_key()).sign(&world.key), &[1; 64]);
        assert_e_as(&node.send(token_request(&junk)).await);
    }
    assert_eq!(node.provider.replay.len(), 1, "junk is not recorded");
    let mut statuses = Vec::new();
    for _ in 0..100 {
        let key = new_key();
        let answer = node.send(token_request(&strange(&world, &key).sign(&key))).await;
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), CAPACITY - 1);
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 100 - (CAPACITY - 1));
    assert_eq!(node.provider.replay.len(), CAPACITY);
    assert_e_as(&node.send(token_request(&victim)).await);
}

/// The log in memory fails in one way: it is full.
#[tokio::test]
async fn atk_061_without_a_log_nobody_is_let_in() {
    let settings = Settings::default();
    let world = World::with(settings.clone()).await;
    let none = |provider: &mut Provider| provider.replay = Arc::new(MemoryLog::new(0, world.clock.now()));
    let node = Node::with(&world, &settings, none).await;
    world.clock.pass(31);
    let code = world.code("app").await;
    let redeem = |proof: &str| post(TOKEN, code_form(&code).pair("client_id", "app"), &[("dpop", proof)]);
    for request in [redeem(&world.proof().sign(&world.key)), token_request(&world.proof().sign(&world.key))] {
        let answer = node.send(request).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.header("retry-after").len(), 1, "{answer:?}");
        assert_eq!(answer.header("cache-control"), ["no-store"], "{answer:?}");
        assert!(answer.json().get("access_token").is_none(), "{answer:?}");
    }
    let healthy = world.send(redeem(&world.proof().sign(&world.key))).await;
    assert_eq!(healthy.status, 200, "the code was not spent: {healthy:?}");
}

#[tokio::test]
async fn atk_068_a_request_that_the_network_copied() {
    both(async |at| {
        let proof = at.sign(&at.good());
        at.takes(&proof).await;
        let mut copy = at.request(&[proof.as_bytes()]);
        copy.headers_mut().insert("early-data", http::HeaderValue::from_static("1"));
        at.assert_refused("DPOP-JTI-04", &at.send(copy).await);
    })
    .await;
}
