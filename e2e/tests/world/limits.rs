//! OPS-LIM: how much may be asked, and what it costs us.

use crate::logs::Capture;
use axum::body::Body;
use http::Request;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use keybound_e2e::forge::new_key;
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Settings, World};
use keybound_oauth::client_auth::{ASSERTION_TYPE, sign_assertion};
use keybound_oauth::form::FormWriter;
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_provider::metrics::ClientCheck;
use std::net::SocketAddr;

fn limited(lines: &str) -> Settings {
    Settings { config: format!("{}[limits]\n{lines}\n", Settings::default().config) }
}

/// A request as it comes over a connection from there.
fn from(peer: &str, mut request: Request<Body>) -> Request<Body> {
    let address: SocketAddr = format!("{peer}:1000").parse().expect("an address");
    request.extensions_mut().insert(address);
    request
}

fn junk() -> Request<Body> {
    post(TOKEN, client_credentials_form().pair("client_id", "nobody"), &[])
}

async fn status(world: &World, request: Request<Body>) -> u16 {
    world.send(request).await.status.as_u16()
}

#[track_caller]
fn assert_too_many(answer: &Answer) {
    assert_eq!(answer.error(), (429, "temporarily_unavailable".to_owned()), "{answer:?}");
    let wait: u64 = answer.header("retry-after")[0].parse().expect("seconds");
    assert!(wait > 0, "{answer:?}");
}

#[tokio::test]
async fn ops_lim_05_an_address_that_asks_too_often_is_answered_429() {
    let world = World::with(limited("address_per_minute = 60")).await;
    let mut let_through = 0;
    while status(&world, from("192.0.2.1", junk())).await == 401 {
        let_through += 1;
    }
    assert_eq!(let_through, 10, "ten seconds' worth at once");
    let logs = Capture::start();
    let answer = world.send(from("192.0.2.1", junk())).await;
    assert_too_many(&answer);
    assert!(logs.text().contains("rate_limited"), "{}", logs.text());
    for endpoint in ["/token", "/par"] {
        let url = format!("{ISSUER}{endpoint}");
        assert_eq!(
            status(&world, from("192.0.2.1", post(&url, FormWriter::new(), &[]))).await,
            429,
            "{endpoint}"
        );
    }
    assert_eq!(status(&world, from("192.0.2.2", junk())).await, 401, "another address");
    assert_eq!(
        status(&world, from("192.0.2.1", get(&format!("{ISSUER}/jwks"), &[]))).await,
        200,
        "not counted"
    );
    world.clock.pass(1);
    assert_eq!(status(&world, from("192.0.2.1", junk())).await, 401);
    assert_eq!(status(&world, from("192.0.2.1", junk())).await, 429);
}

#[tokio::test]
async fn ops_lim_05_a_client_that_asks_too_often_is_answered_429_and_nobody_else_can_use_its_share() {
    let world = World::with(limited("client_per_minute = 60")).await;
    for _ in 0..50 {
        let wrong = [("authorization", basic("service", "wrong"))];
        assert_eq!(world.post(client_credentials_form(), &borrow(&wrong)).await.status, 401);
    }
    let ask = || async { world.client_credentials(Some(&world.proof().sign(&world.key))).await };
    for _ in 0..10 {
        assert_eq!(ask().await.status, 200);
    }
    assert_too_many(&ask().await);
    let other = world.with_assertion(world.assertion().reveal(), Some(&world.proof().sign(&world.key))).await;
    assert_eq!(other.status, 200, "another client");
    world.clock.pass(1);
    assert_eq!(ask().await.status, 200);
}

#[tokio::test]
async fn ops_lim_05_by_default_nobody_notices() {
    let world = World::new().await;
    for _ in 0..900 {
        assert_eq!(status(&world, from("192.0.2.1", junk())).await, 401);
    }
}

#[tokio::test]
async fn bcp_prx_01_behind_a_listed_proxy_callers_are_counted_each() {
    let world = World::with(limited("address_per_minute = 60")).await;
    let through = |caller: &str| {
        let mut request = from("10.0.0.1", junk());
        request.headers_mut().insert("x-forwarded-for", caller.parse().expect("a value"));
        request
    };
    // Nobody has listed it: whatever it says, it is the one who asks.
    for n in 0..10 {
        assert_eq!(status(&world, through(&format!("198.51.100.{n}"))).await, 401);
    }
    assert_eq!(status(&world, through("198.51.100.99")).await, 429);

    let mut file = config(&limited("address_per_minute = 60").config);
    file.trusted_proxies = vec!["10.0.0.0/8".to_owned()];
    let world = World::configured(file).await;
    for n in 0..30 {
        assert_eq!(status(&world, through(&format!("198.51.100.{n}"))).await, 401, "each by its own");
    }
    for _ in 0..9 {
        status(&world, through("203.0.113.66, 198.51.100.1")).await;
    }
    assert_eq!(
        status(&world, through("203.0.113.67, 198.51.100.1")).await,
        429,
        "what it wrote itself is not believed"
    );
}

/// What a stranger can send, of every kind that there is, grows nothing that is kept.
#[tokio::test]
async fn ops_lim_06_a_flood_of_strangers_leaves_nothing_behind() {
    let world = World::with(Settings::with_nonces()).await;
    let stranger = new_key();
    let users = world.store.users("", 100).await.expect("users").len();
    let before = (world.provider.replay.len(), world.store.version().await.expect("a version"), users);
    for n in 0..200 {
        let proof = world.proof().claim("jti", format!("flood {n}")).sign(&world.key);
        let assertion = assertion_of(&stranger, &format!("nobody-{n}"), &world);
        let forged = assertion_of(&stranger, "signed", &world);
        let code = format!("{}.{}", "0".repeat(22), "A".repeat(43));
        for form in [
            client_credentials_form().pair("client_id", &format!("nobody-{n}")),
            with_assertion(&assertion),
            with_assertion(&forged),
            code_form(&keybound_dpop::secret::Secret::new(code.as_str())).pair("client_id", "app"),
            refresh_form(&code).pair("client_id", "app"),
            FormWriter::new().pair("grant_type", &format!("unknown-{n}")),
        ] {
            let answer = world.post(form, &[("dpop", proof.as_str())]).await;
            assert!(answer.status.is_client_error(), "{answer:?}");
        }
        let pushed = FormWriter::new().pair("client_id", &format!("nobody-{n}"));
        assert!(world.send(post(&format!("{ISSUER}/par"), pushed, &[])).await.status.is_client_error());
        world.userinfo("DPoP", "no.such.token", Some(&proof)).await;
        world.send(get(&format!("{ISSUER}/authorize?client_id=nobody-{n}"), &[])).await;
    }
    let users = world.store.users("", 100).await.expect("users").len();
    let after = (world.provider.replay.len(), world.store.version().await.expect("a version"), users);
    assert_eq!(before, after);
}

fn assertion_of(key: &SigningKey, client_id: &str, world: &World) -> String {
    let client_id = ClientId::parse(client_id).expect("a client_id");
    let issuer = Issuer::parse(ISSUER).expect("an issuer");
    sign_assertion(key, None, &client_id, &issuer, world.now(), "jti").expect("signed").reveal().to_owned()
}

fn with_assertion(assertion: &str) -> FormWriter {
    client_credentials_form()
        .pair("client_assertion_type", ASSERTION_TYPE)
        .pair("client_assertion", assertion)
}

/// Work is counted, because time cannot be.
#[tokio::test]
async fn ops_lim_07_an_unknown_client_is_as_much_work_as_a_known_one() {
    let world = World::new().await;
    let work = || {
        [ClientCheck::Secret, ClientCheck::Assertion].map(|check| world.provider.metrics.client_checks(check))
    };
    let cost = |form: FormWriter, headers: Vec<(&'static str, String)>| {
        let (world, before) = (&world, work());
        async move {
            assert_eq!(world.post(form, &borrow(&headers)).await.status, 401);
            let after = work();
            [after[0] - before[0], after[1] - before[1]]
        }
    };
    let by_header = |id: &str| vec![("authorization", basic(id, "wrong"))];
    let known = cost(client_credentials_form(), by_header("service")).await;
    assert_eq!((known, cost(client_credentials_form(), by_header("nobody")).await), ([1, 0], [1, 0]));
    let in_body = |id: &str| client_credentials_form().pair("client_id", id).pair("client_secret", "wrong");
    let known = cost(in_body("poster"), Vec::new()).await;
    assert_eq!((known, cost(in_body("nobody"), Vec::new()).await), ([1, 0], [1, 0]));
    let stranger = new_key();
    let known = cost(with_assertion(&assertion_of(&stranger, "signed", &world)), Vec::new()).await;
    assert_eq!(known, [0, 1]);
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Ps256] {
        let key = SigningKey::generate(algorithm).expect("a key");
        let unknown = cost(with_assertion(&assertion_of(&key, "nobody", &world)), Vec::new()).await;
        assert_eq!(unknown, known, "{algorithm}");
    }
}

#[tokio::test]
async fn ops_lim_01_what_is_too_much_is_refused() {
    let world = World::new().await;
    let large = client_credentials_form().pair("scope", &"x".repeat(64 * 1024));
    assert_eq!(world.post(large, &[("authorization", &basic("service", SECRET))]).await.status, 413);
    let many = (0..2000).fold(client_credentials_form(), |form, n| form.pair(&format!("p{n}"), "x"));
    let answer = world.post(many, &[("authorization", &basic("service", SECRET))]).await;
    assert!(answer.status.is_client_error(), "{answer:?}");
}
