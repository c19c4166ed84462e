//! A program that registers itself and asks for tokens.

use crate::common::{Browser, PASSWORD, Page, World};
use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::nonce::Nonce;
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::time::Clock;
use keybound_oauth::form::FormWriter;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

pub(crate) const CALLBACK: &str = "https://shop.example/cb";
/// Of RFC 7636 appendix B; its challenge is that of the common request.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A provider on a loopback issuer, so that URLs of strangers may lead to a site of the test.
pub(crate) async fn world(more: &str) -> World {
    world_of("http://localhost:8080", more).await
}

pub(crate) async fn world_of(issuer: &str, more: &str) -> World {
    let config = format!(
        "issuer = \"{issuer}\"\n[[resource]]\nidentifier = \"https://api.example/\"\nscopes = [\"read\"]\n{more}"
    );
    World::with(&config, &[]).await
}

/// Where everybody registers.
pub(crate) const OPEN: &str = "[registration]\nmode = \"open\"\nloopback_urls = true\n";

pub(crate) fn public() -> Value {
    json!({
        "client_name": "The Shop", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"], "id_token_signed_response_alg": "ES256",
    })
}

/// The same, with a secret.
pub(crate) fn confidential() -> Value {
    with(public(), "token_endpoint_auth_method", json!("client_secret_basic"))
}

pub(crate) fn with(mut metadata: Value, name: &str, value: Value) -> Value {
    metadata[name] = value;
    metadata
}

pub(crate) fn key_set(key: &SigningKey, kid: &str) -> Value {
    let mut jwk: Value = serde_json::from_str(&key.public_jwk().to_json()).unwrap();
    jwk["kid"] = kid.into();
    json!({ "keys": [jwk] })
}

pub(crate) fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

pub(crate) async fn call(
    world: &World,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Page {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut browser = world.browser();
    browser.peer = another_address();
    browser.send(request.body(body.into()).unwrap()).await
}

/// Every call comes from somewhere else, so that limits by address do not count here.
fn another_address() -> SocketAddr {
    static LAST: AtomicU32 = AtomicU32::new(0);
    SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + LAST.fetch_add(1, Relaxed)), 1000))
}

/// Registers with those headers besides.
pub(crate) async fn register_with(world: &World, metadata: &Value, headers: &[(&str, &str)]) -> Page {
    let mut all = vec![(CONTENT_TYPE.as_str(), "application/json")];
    all.extend(headers);
    call(world, Method::POST, "/register", &all, metadata.to_string()).await
}

pub(crate) async fn register(world: &World, metadata: &Value) -> Page {
    register_with(world, metadata, &[]).await
}

/// Registers; what was answered.
pub(crate) async fn registered(world: &World, metadata: &Value) -> Value {
    let page = register(world, metadata).await;
    assert_eq!(page.status, StatusCode::CREATED, "{}", page.body);
    page.json()
}

impl Page {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| Value::String(self.body.clone()))
    }

    /// Status and error code.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let json = self.json();
        (self.status.as_u16(), json["error"].as_str().unwrap_or_default().to_owned())
    }
}

pub(crate) fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {value}")).to_owned()
}

/// A proof for that endpoint.
pub(crate) fn proof(
    world: &World,
    key: &SigningKey,
    (method, htu): (&str, &str),
    token: Option<&str>,
    nonce: Option<&str>,
) -> String {
    let nonce = nonce.map(|nonce| Nonce::parse(nonce).unwrap());
    let token = token.map(keybound_dpop::token_hash::TokenHash::of);
    let iat = world.clock.unix();
    let entropy = random().unwrap();
    NewProof { method, htu, token, nonce: nonce.as_ref(), entropy, iat }.sign(key).unwrap()
}

/// Posts a form to the token endpoint with a proof, and again with the nonce that is asked for.
pub(crate) async fn token(
    world: &World,
    key: &SigningKey,
    fields: &[(&str, &str)],
    basic: Option<&str>,
) -> Page {
    let htu = format!("{}/token", world.provider.config.issuer.as_str());
    let form = fields.iter().fold(FormWriter::new(), |form, (name, value)| form.pair(name, value)).finish();
    let mut nonce = None;
    for _ in 0..2 {
        let proof = proof(world, key, ("POST", &htu), None, nonce.as_deref());
        let mut headers =
            vec![(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded"), ("dpop", &proof)];
        headers.extend(basic.map(|basic| (AUTHORIZATION.as_str(), basic)));
        let page = call(world, Method::POST, "/token", &headers, form.clone()).await;
        if page.refusal().1 != "use_dpop_nonce" {
            return page;
        }
        nonce = Some(page.header("dpop-nonce").to_owned());
    }
    panic!("challenged twice")
}

/// The request of that client, up to the page that asks for consent.
pub(crate) async fn reach_consent(browser: &mut Browser<'_>, client_id: &str, callback: &str) -> Page {
    let changes = [("client_id", client_id), ("redirect_uri", callback)];
    let page = browser.ask(&changes).await;
    assert!(page.asks_to_sign_in(), "{}", page.body);
    let page = browser.sign_in(&page, "ada", PASSWORD).await;
    let issuer = browser.world.provider.config.issuer.as_str().to_owned();
    let own = page.location().strip_prefix(&issuer).expect("our own address").to_owned();
    let page = browser.get(&own).await;
    assert!(page.asks_for_consent(), "{}", page.body);
    page
}

/// A code for that client.
pub(crate) async fn code(world: &World, client_id: &str, callback: &str) -> String {
    let mut browser = world.browser();
    let page = reach_consent(&mut browser, client_id, callback).await;
    let answer = browser.press(&page, "allow").await.answer();
    assert_eq!(answer.place, callback);
    answer.get("code").to_owned()
}

/// Tokens for a public client, from sign-in to the token endpoint.
pub(crate) async fn sign_in(world: &World, key: &SigningKey, client_id: &str) -> Value {
    let code = code(world, client_id, CALLBACK).await;
    let page = token(world, key, &code_fields(&code, client_id), None).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.json()
}

pub(crate) fn code_fields<'a>(code: &'a str, client_id: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

pub(crate) async fn refresh(world: &World, key: &SigningKey, client_id: &str, token: &str) -> Page {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", client_id)];
    self::token(world, key, &fields, None).await
}

pub(crate) fn basic(client_id: &str, secret: &str) -> String {
    format!("Basic {}", data_encoding::BASE64.encode(format!("{client_id}:{secret}").as_bytes()))
}
