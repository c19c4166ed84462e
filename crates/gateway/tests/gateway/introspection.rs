//! An issuer that is asked about tokens, as an operator writes it.

use crate::world::{Heard, PUBLIC, Upstream, World, key_set, serve};
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use keybound_gateway::config::{Config, KeysFrom};
use keybound_oauth::form::Form;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

fn file(folder: &Path, name: &str, content: &str, mode: u32) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permitted");
    path.to_string_lossy().into_owned()
}

fn toml(issuer: &str, introspection: &str) -> String {
    format!(
        "public_url = {PUBLIC:?}\nupstream = \"http://127.0.0.1:1\"\n[nonce]\nmode = \"off\"\n\
         [[issuer]]\nurl = \"https://issuer.example\"\n{issuer}\n{introspection}"
    )
}

#[test]
fn how_an_issuer_is_asked_is_read_strictly() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = file(folder.path(), "secret", "s3cret\n", 0o600);
    let open = file(folder.path(), "open", "s3cret\n", 0o644);
    let empty = file(folder.path(), "empty", "\n", 0o600);
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let key = file(folder.path(), "key", &key.to_private_jwk().expect("a JWK"), 0o600);
    let section = |more: &str| format!("[issuer.introspection]\nclient_id = \"api\"\n{more}");
    let by_secret = format!("client_secret_file = {secret:?}");
    for (issuer, more, every) in [
        ("tokens = \"opaque\"", by_secret.clone(), true),
        ("", by_secret.clone(), false),
        ("revocation = \"introspect\"", by_secret.clone(), true),
        ("tokens = \"jwt\"", format!("{by_secret}\nauth_method = \"client_secret_post\""), false),
        ("", format!("key_file = {key:?}\nkey_id = \"k\"\nsigned = true\nstaleness_secs = 0"), false),
        ("", format!("{by_secret}\nendpoint = \"https://issuer.example/i\"\ntoken_prefix = \"x_\""), false),
    ] {
        let config = Config::parse(&toml(issuer, &section(&more))).expect(&more);
        assert_eq!(config.issuers[0].asked.as_ref().map(|asked| asked.every), Some(every), "{issuer} {more}");
        assert!(!format!("{config:?}").contains("s3cret"));
    }
    for (issuer, introspection, told) in [
        ("tokens = \"opaque\"", String::new(), "issuer.introspection"),
        ("revocation = \"introspect\"", String::new(), "issuer.introspection"),
        ("revocation = \"none\"", section(&by_secret), "revocation"),
        ("", section(""), "auth_method"),
        ("", section(&format!("{by_secret}\nkey_file = {key:?}")), "keep one"),
        ("", section(&format!("{by_secret}\nauth_method = \"private_key_jwt\"")), "key_file"),
        ("", section(&format!("key_file = {key:?}\nauth_method = \"client_secret_basic\"")), "secret"),
        ("", section(&format!("client_secret_file = {open:?}")), "chmod 600"),
        ("", section(&format!("client_secret_file = {empty:?}")), "empty"),
        ("", section(&format!("key_file = {secret:?}")), "key_file"),
        ("", section("client_secret_file = \"/nowhere/secret\""), "nowhere"),
        ("", section(&format!("{by_secret}\nstaleness_secs = 301")), "0 to 300"),
        ("", section(&format!("{by_secret}\nendpoint = \"http://issuer.example/i\"")), "endpoint"),
        ("", section(&format!("{by_secret}\nsecret = \"x\"")), "secret"),
    ] {
        let error = Config::parse(&toml(issuer, &introspection)).expect_err(&introspection).to_string();
        assert!(error.contains(told) && !error.contains("s3cret"), "{introspection}: {error}");
    }
}

/// An issuer with metadata, keys and an introspection endpoint; what it was asked, and what it says.
struct Issuer {
    url: String,
    says: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn issuer(key: &SigningKey) -> Issuer {
    let (keys, own_url) = (key_set(key).to_json(), Arc::new(OnceLock::<String>::new()));
    let (known, says) = (Arc::clone(&own_url), Arc::new(Mutex::new("{\"active\":false}".to_owned())));
    let (asked, said) = (Arc::new(Mutex::new(Vec::new())), Arc::clone(&says));
    let log = Arc::clone(&asked);
    let address = serve(move |request: http::Request<hyper::body::Incoming>| {
        let (url, keys) = (known.get().expect("known by now").clone(), keys.clone());
        let (said, log) = (Arc::clone(&said), Arc::clone(&log));
        async move {
            let body = match request.uri().path() {
                "/.well-known/oauth-authorization-server" => format!(
                    "{{\"issuer\":{url:?},\"jwks_uri\":\"{url}/keys\",\"introspection_endpoint\":\"{url}/ask\"}}"
                ),
                "/keys" => keys,
                _ => {
                    let form = request.into_body().collect().await.expect("a body").to_bytes();
                    log.lock().expect("a lock").push(String::from_utf8_lossy(&form).into_owned());
                    said.lock().expect("a lock").clone()
                }
            };
            Response::new(Full::new(Bytes::from(body)))
        }
    })
    .await;
    let url = own_url.get_or_init(|| format!("http://{address}")).clone();
    Issuer { url, says, asked }
}

async fn call(world: &World, token: &str) -> Heard {
    let credentials = world.credentials_with(token, "GET", "/a", None);
    world.ask(&format!("GET /a HTTP/1.1\r\nHost: h\r\n{credentials}\r\n")).await
}

#[tokio::test]
async fn rs_int_01_rs_chk_04_an_issuer_is_asked_as_its_metadata_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = file(folder.path(), "secret", "s3cret\n", 0o600);
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let (issuer, upstream) = (issuer(&key).await, Upstream::start(200, &[]).await);
    let rest = format!("upstream = \"http://{}\"\n[nonce]\nmode = \"off\"", upstream.address);
    let asking = format!(
        "public_url = {PUBLIC:?}\nupstream = \"http://127.0.0.1:1\"\n[[issuer]]\nurl = {:?}\n\
         revocation = \"introspect\"\n[issuer.introspection]\nclient_id = \"api\"\n\
         client_secret_file = {secret:?}\nauth_method = \"client_secret_post\"",
        issuer.url
    );
    let asked = Config::parse(&asking).expect("a configuration").issuers.remove(0).asked;
    let world = World::with_issuer(key, (KeysFrom::Metadata, asked), &issuer.url, PUBLIC, &rest).await;
    let token = world.token_of(&issuer.url, "read", true);
    let exp = world.clock.secs() + 600;
    let jkt = world.client_key_thumbprint();
    let active = format!(
        "{{\"active\":true,\"sub\":\"bob\",\"aud\":\"{PUBLIC}/\",\"exp\":{exp},\"cnf\":{{\"jkt\":{jkt:?}}}}}"
    );
    *issuer.says.lock().expect("a lock") = active;
    assert_eq!(call(&world, &token).await.status, 200);
    assert_eq!(call(&world, "opaque").await.status, 200);
    assert_eq!(upstream.seen()[1].all("keybound-subject"), ["bob"]);
    let form = Form::parse(issuer.asked.lock().expect("a lock")[1].as_bytes()).expect("a form");
    assert_eq!((form.get("token"), form.get("client_id")), (Some("opaque"), Some("api")));
    assert_eq!(form.get("client_secret"), Some("s3cret"));
    *issuer.says.lock().expect("a lock") = "{\"active\":false}".to_owned();
    world.clock.turn(30);
    for revoked in [token.as_str(), "opaque"] {
        let heard = call(&world, revoked).await;
        assert_eq!(heard.status, 401);
        assert!(heard.all("www-authenticate")[0].contains("invalid_token"));
    }
    assert_eq!(upstream.seen().len(), 2);
}
