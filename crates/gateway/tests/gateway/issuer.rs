//! Where the issuer's keys come from.

use crate::world::{Heard, PUBLIC, Upstream, World, key_set, serve};
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use keybound_gateway::config::{Config, KeysFrom};
use keybound_oauth::identifier::Endpoint;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpListener;

/// A gateway whose issuer publishes metadata at this one of its well-known URLs, and keys.
async fn with_issuer(well_known: &'static str, by_url: bool) -> (World, String) {
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let (keys, own_url) = (key_set(&key).to_json(), Arc::new(OnceLock::<String>::new()));
    let known = Arc::clone(&own_url);
    let address = serve(move |request| {
        let url = known.get().expect("known by now");
        let (status, body) = match request.uri().path() {
            path if path == well_known => {
                (200, format!("{{\"issuer\":{url:?},\"jwks_uri\":\"{url}/keys\"}}"))
            }
            "/keys" => (200, keys.clone()),
            _ => (404, String::new()),
        };
        let response = Response::builder().status(status).body(Full::new(Bytes::from(body)));
        async move { response.expect("a response") }
    })
    .await;
    let issuer = own_url.get_or_init(|| format!("http://{address}")).clone();
    let from = match by_url {
        true => KeysFrom::Url(Endpoint::parse(&format!("{issuer}/keys")).expect("a URL")),
        false => KeysFrom::Metadata,
    };
    let upstream = Upstream::start(200, &[]).await;
    let rest = format!("upstream = \"http://{}\"\n[nonce]\nmode = \"off\"", upstream.address);
    (World::with_keys(key, from, &issuer, PUBLIC, &rest).await, issuer)
}

async fn ask(world: &World, issuer: &str) -> Heard {
    let token = world.token_of(issuer, "read", true);
    let credentials = world.credentials_with(&token, "GET", "/a", None);
    world.ask(&format!("GET /a HTTP/1.1\r\nHost: h\r\n{credentials}\r\n")).await
}

#[tokio::test]
async fn rs_chk_02_keys_are_found_by_the_issuer_s_metadata() {
    for well_known in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let (world, issuer) = with_issuer(well_known, false).await;
        assert_eq!(ask(&world, &issuer).await.status, 200, "{well_known}");
    }
}

#[tokio::test]
async fn rs_chk_02_keys_are_found_by_their_url() {
    let (world, issuer) = with_issuer("/none", true).await;
    assert_eq!(ask(&world, &issuer).await.status, 200);
    let stranger = ask(&world, "https://issuer.example").await;
    assert_eq!(stranger.status, 401);
}

#[tokio::test]
async fn keys_that_cannot_be_had_are_503_and_not_the_caller_s_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let issuer = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let upstream = Upstream::start(200, &[]).await;
    let rest = format!("upstream = \"http://{}\"", upstream.address);
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let world = World::with_keys(key, KeysFrom::Metadata, &issuer, PUBLIC, &rest).await;
    for _ in 0..2 {
        let heard = ask(&world, &issuer).await;
        assert_eq!((heard.status, heard.all("retry-after").len()), (503, 1));
        assert!(heard.body.contains("temporarily_unavailable") && !heard.body.contains("127.0.0.1"));
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn keys_can_come_from_a_file() {
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), key_set(&key).to_json()).expect("written");
    let toml = |path: &str| {
        format!(
            "public_url = {PUBLIC:?}\nupstream = \"http://127.0.0.1:1\"\n\
             [[issuer]]\nurl = \"https://issuer.example\"\njwks_file = {path:?}"
        )
    };
    let config = Config::parse(&toml(&file.path().to_string_lossy())).expect("a configuration");
    assert!(matches!(&config.issuers[0].keys, KeysFrom::Fixed(keys) if keys.has_kid("k1")));
    assert!(Config::parse(&toml("/nowhere/keys.json")).is_err());
}
