//! Who calls, in a JWT that the upstream verifies by the gateway's keys (RS-GW-04).

use crate::world::{PUBLIC, Upstream, World};
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::jws::UnverifiedJwt;
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::time::Clock;
use keybound_gateway::Config;
use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

const KEYS: &str = "/.well-known/keybound-assertion-keys";

async fn start(upstream: &Upstream, more: &str) -> World {
    let rest = format!(
        "upstream = \"http://{}\"\nidentity = \"assertion\"\n[nonce]\nmode = \"off\"\n{more}",
        upstream.address
    );
    World::start_at(PUBLIC, &rest).await
}

async fn keys(world: &World) -> KeySet {
    let heard = world.ask(&format!("GET {KEYS} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
    assert_eq!((heard.status, heard.all("content-type")), (200, vec!["application/jwk-set+json"]));
    KeySet::parse(heard.body.as_bytes()).expect("a key set")
}

/// What an upstream would do: find the key, verify, read the claims.
fn verified(assertion: &str, keys: &KeySet) -> Value {
    let jwt = UnverifiedJwt::parse(assertion).expect("a JWT");
    let kid = jwt.kid().expect("a header").expect("a kid");
    let (key, algorithms) =
        (keys.iter().find(|key| key.kid.as_deref() == Some(&kid)), AlgorithmSet::of(&[Algorithm::Es256]));
    let candidates = key.map(|key| &key.key);
    let good = jwt.verify(algorithms, candidates.into_iter()).expect("a good signature");
    serde_json::from_slice(good.payload()).expect("claims")
}

#[tokio::test]
async fn rs_gw_04_an_assertion_says_who_calls_and_can_be_verified() {
    let upstream = Upstream::start(200, &[]).await;
    let world = start(&upstream, "").await;
    assert_eq!(world.get("/a", "Keybound-Assertion: spoofed\r\n").await.status, 200);
    let seen = upstream.only();
    assert!(seen.all("keybound-subject").is_empty(), "and nothing says it in the clear");
    let [assertion] = seen.all("keybound-assertion")[..] else { panic!("one assertion") };
    let claims = verified(assertion, &keys(&world).await);
    assert_eq!(claims["iss"], PUBLIC);
    assert_eq!(claims["aud"], format!("http://{}", upstream.address));
    assert_eq!(claims["token_iss"], "https://issuer.example");
    assert_eq!((&claims["sub"], &claims["client_id"]), (&"alice d'or %".into(), &"app".into()));
    assert_eq!(claims["scope"], "read");
    assert_eq!(claims["cnf"]["jkt"], world.client_key.public_jwk().thumbprint().to_string());
    let (iat, exp) = (claims["iat"].as_u64().expect("iat"), claims["exp"].as_u64().expect("exp"));
    assert!(exp - iat <= 60 && world.clock.unix().as_secs() - iat < 30, "{claims}");
}

#[tokio::test]
async fn rs_gw_04_an_assertion_is_made_once_for_some_seconds_and_token() {
    let upstream = Upstream::start(200, &[]).await;
    let world = start(&upstream, "").await;
    let ask = async |token: &str| {
        let credentials = world.credentials_with(token, "GET", "/a", None);
        assert_eq!(world.ask(&format!("GET /a HTTP/1.1\r\nHost: h\r\n{credentials}\r\n")).await.status, 200);
        upstream.seen().last().expect("a request").all("keybound-assertion")[0].to_owned()
    };
    let (token, short) = (world.token(), world.token_for(90));
    let first = ask(&token).await;
    assert_eq!(ask(&token).await, first);
    assert_ne!(ask(&short).await, first, "another token");
    world.clock.turn(50);
    let later = ask(&token).await;
    assert_ne!(later, first);
    let claims = verified(&ask(&short).await, &keys(&world).await);
    let left = claims["exp"].as_u64().expect("exp") - claims["iat"].as_u64().expect("iat");
    assert!(left <= 40, "never longer than the token: {claims}");
}

#[tokio::test]
async fn rs_gw_04_an_assertion_is_for_one_upstream() {
    let (one, other) = (Upstream::start(200, &[]).await, Upstream::start(200, &[]).await);
    let world =
        start(&one, &format!("[[route]]\npath = \"/b\"\nupstream = \"http://{}\"", other.address)).await;
    let token = world.token();
    for path in ["/a", "/b"] {
        let credentials = world.credentials_with(&token, "GET", path, None);
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{credentials}\r\n");
        assert_eq!(world.ask(&request).await.status, 200);
    }
    for upstream in [one, other] {
        let claims = verified(upstream.only().all("keybound-assertion")[0], &keys(&world).await);
        assert_eq!(claims["aud"], format!("http://{}", upstream.address));
    }
}

#[tokio::test]
async fn a_key_from_a_file_stays_the_same() {
    let upstream = Upstream::start(200, &[]).await;
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("assertion.jwk");
    std::fs::write(&file, key.to_private_jwk().expect("a JWK").as_bytes()).expect("written");
    let permit = |mode| std::fs::set_permissions(&file, Permissions::from_mode(mode)).expect("permissions");
    let named = format!("[assertion]\nkey_file = {:?}", file.to_str().expect("a path"));
    permit(0o640);
    let config = format!(
        "public_url = {PUBLIC:?}\nissuer = \"https://i\"\nupstream = \"http://127.0.0.1:1\"\n{named}"
    );
    let error = Config::parse(&config).expect_err("others can read it").to_string();
    assert!(error.contains("assertion.jwk: others may read it (mode 640)"), "{error}");
    permit(0o600);
    let world = start(&upstream, &named).await;
    let kid = key.public_jwk().thumbprint().to_string();
    assert!(keys(&world).await.has_kid(&kid));
}

#[tokio::test]
async fn rs_gw_04_a_key_is_kept_over_a_reload_unless_there_is_another() {
    let upstream = Upstream::start(200, &[]).await;
    let world = start(&upstream, "").await;
    let published = async || world.ask(&format!("GET {KEYS} HTTP/1.1\r\nHost: h\r\n\r\n")).await.body;
    let (first, folder) = (published().await, tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("assertion.jwk");
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    std::fs::write(&file, key.to_private_jwk().expect("a JWK").as_bytes()).expect("written");
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("permissions");
    let reload = |more: &str| {
        let config = format!(
            "public_url = {PUBLIC:?}\nissuer = \"https://i\"\naudience = \"{PUBLIC}/\"\nidentity = \"assertion\"\n\
             upstream = \"http://{}\"\n[nonce]\nmode = \"off\"\n{more}",
            upstream.address
        );
        world.service.reload(&Config::parse(&config).expect("a configuration")).expect("taken");
    };
    reload("");
    assert_eq!(published().await, first);
    reload(&format!("[assertion]\nkey_file = {:?}", file.to_str().expect("a path")));
    assert!(published().await.contains(&key.public_jwk().thumbprint().to_string()));
}

#[tokio::test]
async fn keys_are_published_only_where_they_are_used() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "").await;
    assert_eq!(world.ask(&format!("GET {KEYS} HTTP/1.1\r\nHost: h\r\n\r\n")).await.status, 401);
    assert!(upstream.seen().is_empty());
}
