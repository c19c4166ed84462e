//! OIDC-LG2-01: what clients hear of a logout (OpenID Connect Back-Channel Logout 1.0), on sockets of this machine.

use axum::routing::{MethodRouter, any};
use http::StatusCode;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::jws::UnverifiedJwt;
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::secret::Secret;
use keybound_e2e::servers::{Exchange, Record, serve};
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Hands, World};
use keybound_oauth::form::{Form, FormWriter};
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::logout::{Ended, Expected, LogoutTokenClaims, check};
use keybound_provider::logout::{PAUSES_SECS, deliver_due};
use keybound_provider::provider::Provider;
use keybound_provider::registry::add_client;
use keybound_provider::service::maintain;
use keybound_provider::store::{Client, ClientSource, LogoutNotice};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::TcpSocket;
use tokio::sync::Notify;

/// A relying party that wants to be told at that place.
fn relying_party(client_id: &str, told_at: &str) -> Value {
    json!({ "client_id": client_id, "redirect_uris": [REDIRECT_URI], "legacy_oidc": true,
            "backchannel_logout_uri": format!("{told_at}/logged-out?from=op") })
}

/// A client's server, which answers with these statuses in turn, the last for ever.
async fn receiver(statuses: &[u16]) -> (String, Record) {
    let statuses = Arc::new(Mutex::new(statuses.to_vec()));
    serve("client", any(move || async move { next_status(&statuses) })).await
}

fn next_status(statuses: &Mutex<Vec<u16>>) -> StatusCode {
    let mut statuses = statuses.lock();
    let status = if statuses.len() > 1 { statuses.remove(0) } else { statuses[0] };
    StatusCode::from_u16(status).expect("a status")
}

/// A client's server that takes a request and never answers; it says when one has come.
async fn silent_receiver() -> (String, Arc<Notify>) {
    let asked = Arc::new(Notify::new());
    let tell = Arc::clone(&asked);
    let silent: MethodRouter = any(move || async move {
        tell.notify_one();
        std::future::pending::<StatusCode>().await
    });
    (serve("silent client", silent).await.0, asked)
}

/// An origin at which nobody listens, and what keeps it so.
fn nobody() -> (String, TcpSocket) {
    let door = TcpSocket::new_v4().expect("a socket");
    door.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    (format!("http://{}", door.local_addr().expect("an address")), door)
}

async fn world(clients: &[Value]) -> World {
    let world = World::new().await;
    for client in clients {
        add_client(&world.store, client.clone(), world.now()).await.expect("a client");
    }
    world.provider.reload_keys().await;
    world.provider.tend_keys().await;
    world
}

/// Signs in at a client, or uses the sign-in that is there; the tokens.
async fn sign_in(world: &World, hands: &mut Hands, client_id: &str) -> Answer {
    let form = FormWriter::new()
        .pair("response_type", "code")
        .pair("client_id", client_id)
        .pair("redirect_uri", REDIRECT_URI)
        .pair("scope", "openid")
        .pair("code_challenge", &challenge(VERIFIER))
        .pair("code_challenge_method", "S256");
    let answer = hands.allow(&format!("{AUTHORIZE}?{}", form.finish())).await.expect("allowed");
    let code = Form::parse_query(&answer).expect("a form").secret("code").expect("a code");
    let tokens = world.post(code_form(&code).pair("client_id", client_id), &[]).await;
    assert_eq!(tokens.status, 200, "{tokens:?}");
    tokens
}

async fn log_out(hands: &mut Hands, hint: &str) {
    let query = FormWriter::new().pair("id_token_hint", hint).finish();
    let page = hands.visit(&format!("{ISSUER}/logout?{query}")).await;
    assert!(String::from_utf8_lossy(&page.body).contains("You are signed out"), "{page:?}");
}

async fn deliver(world: &World) {
    deliver_due(Arc::clone(&world.provider)).await;
}

/// What is left to be told, whenever it is due.
async fn left(world: &World) -> Vec<LogoutNotice> {
    world.store.due_logout_notices(world.now().plus_secs(1_000_000), 1000).await.expect("notices")
}

fn logout_token(exchange: &Exchange) -> Secret {
    Form::parse(&exchange.body).expect("a form").secret("logout_token").expect("a token")
}

/// What a client makes of a token, with the keys that it has fetched.
async fn verified(world: &World, client_id: &str, token: &Secret) -> (Value, LogoutTokenClaims) {
    let keys = world.send(get(&format!("{ISSUER}/jwks"), &[])).await;
    let keys = KeySet::parse(&keys.body).expect("keys");
    let jwt = UnverifiedJwt::parse(token.reveal()).expect("a JWT");
    let header = keybound_e2e::answer::part(token.reveal(), 0);
    let algorithm = Algorithm::parse(header["alg"].as_str().expect("alg")).expect("an algorithm");
    let candidates = keys.candidates(header["kid"].as_str(), algorithm);
    let verified = jwt.verify(AlgorithmSet::of(&[algorithm]), candidates).expect("our signature");
    let (issuer, client_id) =
        (Issuer::parse(ISSUER).expect("an issuer"), ClientId::parse(client_id).expect("it"));
    let expected = Expected { issuer: &issuer, client_id: &client_id, now: world.now(), skew_secs: 0 };
    (header, check(&verified, &expected).expect("a good logout token"))
}

#[track_caller]
fn assert_counted(world: &World, result: &str, count: u64) {
    let mut registry = Registry::default();
    world.provider.metrics.register(&mut registry);
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, &registry).expect("a page");
    let line = format!("provider_logout_notices_total{{result=\"{result}\"}} {count}");
    assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
}

#[tokio::test]
async fn oidc_lg2_01_every_client_of_the_session_is_told_with_a_token_under_our_published_keys() {
    let ((one, at_one), (two, at_two)) = (receiver(&[200]).await, receiver(&[204]).await);
    let mut edwards = relying_party("two", &two);
    edwards["id_token_signed_response_alg"] = json!("EdDSA");
    edwards["subject_type"] = json!("pairwise");
    let untold = json!({ "client_id": "untold", "redirect_uris": [REDIRECT_URI], "legacy_oidc": true });
    let world = world(&[relying_party("one", &one), edwards, untold]).await;
    let (mut hands, mut elsewhere) = (world.hands(), world.hands());
    let first = sign_in(&world, &mut hands, "one").await;
    let second = sign_in(&world, &mut hands, "two").await;
    sign_in(&world, &mut hands, "untold").await;
    let other_session = sign_in(&world, &mut elsewhere, "one").await;
    assert_ne!(first.claims("id_token")["sub"], second.claims("id_token")["sub"]);
    log_out(&mut hands, &second.text("id_token")).await;
    assert_eq!(at_one.all().len(), 0, "the logout did not wait for it");
    deliver(&world).await;
    deliver(&world).await;
    for (client_id, record, tokens, alg) in
        [("one", &at_one, &first, "ES256"), ("two", &at_two, &second, "EdDSA")]
    {
        let told = record.all();
        assert_eq!(told.len(), 1, "{client_id} once");
        assert_eq!(
            (told[0].method.as_str(), told[0].target.to_string().as_str()),
            ("POST", "/logged-out?from=op")
        );
        assert_eq!(told[0].one("content-type"), "application/x-www-form-urlencoded");
        let (header, claims) = verified(&world, client_id, &logout_token(&told[0])).await;
        assert_eq!((header["typ"].as_str(), header["alg"].as_str()), (Some("logout+jwt"), Some(alg)));
        let id_token = tokens.claims("id_token");
        let sid = id_token["sid"].as_str().expect("a sid").to_owned();
        assert_ne!(sid, other_session.claims("id_token")["sid"]);
        let sub = id_token["sub"].as_str().map(str::to_owned);
        assert_eq!(claims.ended, Ended::Session { sid, sub });
        assert_eq!(claims.exp, world.now().plus_secs(120));
    }
    assert_eq!(left(&world).await, []);
    assert_counted(&world, "delivered", 2);
}

#[tokio::test]
async fn oidc_lg2_01_a_client_that_fails_is_told_again_after_a_while() {
    let (there, record) = receiver(&[500, 302, 200]).await;
    let world = world(&[relying_party("rp", &there)]).await;
    let mut hands = world.hands();
    let tokens = sign_in(&world, &mut hands, "rp").await;
    log_out(&mut hands, &tokens.text("id_token")).await;
    for (tries, pause) in [(1, PAUSES_SECS[0]), (2, PAUSES_SECS[1])] {
        deliver(&world).await;
        deliver(&world).await;
        assert_eq!(record.all().len(), tries);
        world.clock.pass(pause - 1);
        deliver(&world).await;
        assert_eq!(record.all().len(), tries, "not before {pause} s");
        world.clock.pass(1);
    }
    deliver(&world).await;
    let told = record.all();
    assert_eq!((told.len(), left(&world).await), (3, vec![]));
    let (_, last) = verified(&world, "rp", &logout_token(&told[2])).await;
    let ids = [&told[0], &told[1]].map(|told| keybound_e2e::answer::part(logout_token(told).reveal(), 1));
    assert!(ids.iter().all(|claims| claims["jti"] != last.jti.as_str()), "each token is a new one");
    assert_counted(&world, "failed", 2);
    assert_counted(&world, "delivered", 1);
}

#[tokio::test]
async fn oidc_lg2_01_a_client_that_is_away_is_given_up_after_five_tries() {
    let (there, _door) = nobody();
    let world = world(&[relying_party("rp", &there)]).await;
    let mut hands = world.hands();
    let tokens = sign_in(&world, &mut hands, "rp").await;
    log_out(&mut hands, &tokens.text("id_token")).await;
    for (tries, pause) in (1..).zip(PAUSES_SECS) {
        deliver(&world).await;
        assert_eq!(left(&world).await[0].tries, tries);
        world.clock.pass(pause);
    }
    deliver(&world).await;
    assert_eq!(left(&world).await, []);
    assert_counted(&world, "failed", 4);
    assert_counted(&world, "given_up", 1);
}

#[tokio::test]
async fn oidc_lg2_01_a_client_that_does_not_answer_holds_up_neither_the_logout_nor_other_clients() {
    let ((silent, asked), (there, record)) = (silent_receiver().await, receiver(&[200]).await);
    // Another spelling of this machine, and so another host.
    let there = there.replace("127.0.0.1", "localhost");
    let world = world(&[relying_party("silent", &silent), relying_party("rp", &there)]).await;
    for _ in 0..6 {
        let mut hands = world.hands();
        let tokens = sign_in(&world, &mut hands, "silent").await;
        log_out(&mut hands, &tokens.text("id_token")).await;
    }
    let waiting = tokio::spawn(deliver_due(Arc::clone(&world.provider)));
    asked.notified().await;
    let mut hands = world.hands();
    let tokens = sign_in(&world, &mut hands, "rp").await;
    log_out(&mut hands, &tokens.text("id_token")).await;
    deliver(&world).await;
    assert_eq!(record.all().len(), 1);
    assert!(!waiting.is_finished());
    assert_eq!(left(&world).await.len(), 6, "still to be told, should we end now");
    waiting.abort();
}

#[tokio::test]
async fn oidc_lg2_01_a_restart_loses_no_notice() {
    let (there, record) = receiver(&[200]).await;
    let world = world(&[relying_party("rp", &there)]).await;
    let mut hands = world.hands();
    let tokens = sign_in(&world, &mut hands, "rp").await;
    log_out(&mut hands, &tokens.text("id_token")).await;
    let config = config("[nonce]\nmode = \"off\"\n").check().expect("a configuration");
    let clock = Arc::<keybound_e2e::TurnedClock>::clone(&world.clock);
    let restarted = Provider::open(config, world.store.clone(), clock).await.expect("a provider");
    deliver_due(restarted).await;
    let (_, claims) = verified(&world, "rp", &logout_token(&record.all()[0])).await;
    let sid = tokens.claims("id_token")["sid"].as_str().expect("a sid").to_owned();
    assert!(
        matches!(claims.ended, Ended::Session { sid: told, .. } if told == sid),
        "the same after a restart"
    );
}

#[tokio::test]
async fn oidc_lg2_01_a_user_who_is_removed_is_signed_out_everywhere() {
    let (there, record) = receiver(&[200]).await;
    let world = world(&[relying_party("rp", &there)]).await;
    for _ in 0..2 {
        sign_in(&world, &mut world.hands(), "rp").await;
    }
    assert!(world.store.remove_user(&world.user.username, world.now()).await.expect("written"));
    deliver(&world).await;
    assert_eq!(record.all().len(), 2);
}

#[tokio::test]
async fn oidc_lg2_01_a_client_that_registered_itself_cannot_send_us_inside() {
    let (there, record) = receiver(&[200]).await;
    let world = world(&[]).await;
    let inside = there.replace("http://", "https://");
    for (client_id, place) in [("loopback", &there), ("inside", &inside)] {
        let mut metadata = relying_party(client_id, place);
        metadata["id_token_signed_response_alg"] = json!("ES256");
        let client = Client {
            client_id: client_id.to_owned(),
            metadata,
            source: ClientSource::Registered,
            created_at: world.now(),
        };
        world.store.upsert_client(client).await.expect("written");
    }
    world.provider.reload_keys().await;
    world.provider.tend_keys().await;
    let mut hands = world.hands();
    let tokens = sign_in(&world, &mut hands, "loopback").await;
    sign_in(&world, &mut hands, "inside").await;
    log_out(&mut hands, &tokens.text("id_token")).await;
    deliver(&world).await;
    assert_eq!((record.all().len(), left(&world).await.len()), (0, 2));
    assert_counted(&world, "failed", 2);
}

#[tokio::test]
async fn oidc_lg2_01_a_client_that_is_gone_is_told_nothing() {
    let (there, record) = receiver(&[200]).await;
    let world = world(&[relying_party("rp", &there), relying_party("rp2", &there)]).await;
    let mut hands = world.hands();
    let tokens = sign_in(&world, &mut hands, "rp").await;
    sign_in(&world, &mut hands, "rp2").await;
    log_out(&mut hands, &tokens.text("id_token")).await;
    assert!(world.store.remove_client("rp2", world.now()).await.expect("written"));
    world.clock.pass(1);
    deliver(&world).await;
    assert_eq!((record.all().len(), left(&world).await.len()), (1, 0));
    assert_counted(&world, "given_up", 1);
}

#[tokio::test]
async fn oidc_lg2_01_the_running_service_tells_clients_by_itself() {
    let told = Arc::new(Notify::new());
    let tell = Arc::clone(&told);
    let (there, _) = serve("client", any(move || async move { tell.notify_one() })).await;
    let world = world(&[relying_party("rp", &there)]).await;
    let service = tokio::spawn(maintain(Arc::clone(&world.provider)));
    let mut hands = world.hands();
    let tokens = sign_in(&world, &mut hands, "rp").await;
    log_out(&mut hands, &tokens.text("id_token")).await;
    told.notified().await;
    service.abort();
}
