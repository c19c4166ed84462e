//! Request objects: by value, by reference, pushed.

use crate::common::{Browser, CALLBACK, CHALLENGE, PASSWORD, Page, World};
use http::StatusCode;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::jws;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_oauth::form::FormWriter;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
const TYP: &str = "oauth-authz-req+jwt";
const NOW: u64 = 1_800_000_000;

/// A client with a key, and the claims of its usual request object.
struct Client {
    key: SigningKey,
    metadata: Value,
}

impl Client {
    fn new(algorithm: Algorithm) -> Self {
        let key = SigningKey::generate(algorithm).unwrap();
        let jwk: Value = serde_json::from_str(&key.public_jwk().to_json()).unwrap();
        let metadata = json!({"client_id": "signer", "redirect_uris": [CALLBACK, "https://app.example/other"],
                              "jwks": {"keys": [jwk]}});
        Self { key, metadata }
    }

    /// With a member of its metadata set.
    fn with(mut self, member: &str, value: Value) -> Self {
        self.metadata.as_object_mut().unwrap().insert(member.to_owned(), value);
        self
    }

    async fn world(&self) -> World {
        World::with_clients(std::slice::from_ref(&self.metadata)).await
    }

    fn sign(&self, changes: Value) -> String {
        sign(&self.key, TYP, changes)
    }
}

/// The usual request object with some claims changed; `null` leaves one out.
fn sign(key: &SigningKey, typ: &str, changes: Value) -> String {
    let mut claims = json!({
        "iss": "signer", "aud": "https://id.example", "client_id": "signer", "response_type": "code",
        "redirect_uri": CALLBACK, "scope": "read", "state": "inside", "code_challenge": CHALLENGE,
        "code_challenge_method": "S256", "nbf": NOW, "exp": NOW + 300,
    });
    let all = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        all.insert(name.clone(), value.clone());
    }
    all.retain(|_, value| !value.is_null());
    jws::sign(key, typ, None, claims.to_string().as_bytes()).unwrap()
}

/// Opens the authorization endpoint with an object, and with parameters beside it.
async fn ask(browser: &mut Browser<'_>, object: &str, beside: &[(&str, &str)]) -> Page {
    let form = FormWriter::new().pair("client_id", "signer").pair("request", object);
    let form = beside.iter().fold(form, |form, (name, value)| form.pair(name, value));
    browser.get(&format!("/authorize?{}", form.finish())).await
}

async fn push(world: &World, form: FormWriter) -> (u16, Value) {
    let request = http::Request::post("/par")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.pair("client_id", "signer").finish().into())
        .unwrap();
    let page = world.browser().send(request).await;
    (page.status.as_u16(), serde_json::from_str(&page.body).unwrap())
}

/// Goes on from the page to sign in to the client's answer.
async fn allow(browser: &mut Browser<'_>, page: &Page) -> crate::common::Answer {
    assert!(page.asks_to_sign_in(), "{}", page.body);
    let page = browser.sign_in(page, "ada", PASSWORD).await;
    let page = browser.follow(&page).await;
    browser.press(&page, "allow").await.answer()
}

#[tokio::test]
async fn as_jar_01_oidc_ro_01_oidc_ro_02_only_what_is_inside_counts() {
    let client = Client::new(Algorithm::Es256);
    let world = client.world().await;
    let mut browser = world.browser();
    let object = client.sign(json!({"nonce": "inside", "state": null, "prompt": "login", "max_age": 10}));
    let beside = [
        ("state", "outside"),
        ("nonce", "outside"),
        ("scope", "write"),
        ("redirect_uri", "https://app.example/other"),
        ("response_type", "token"),
        ("response_mode", "fragment"),
        ("prompt", "none"),
        ("resource", "urn:x"),
    ];
    let page = ask(&mut browser, &object, &beside).await;
    let answer = allow(&mut browser, &page).await;
    assert_eq!((answer.place.as_str(), answer.form.has("state")), (CALLBACK, false));
    let code = world.code(answer.get("code")).await;
    assert_eq!(
        (code.nonce.as_deref(), code.scope.as_slice()),
        (Some("inside"), ["read".to_owned()].as_slice())
    );
    assert_eq!(code.code_challenge.as_deref(), Some(CHALLENGE));

    let faulty = client.sign(json!({"scope": "unknown"}));
    let answer = ask(&mut browser, &faulty, &[("state", "outside")]).await.answer();
    assert_eq!((answer.get("error"), answer.get("state")), ("invalid_scope", "inside"));
    let both =
        ask(&mut world.browser(), &object, &[("redirect_uri", CALLBACK), ("request_uri", "urn:a")]).await;
    assert_eq!(both.shown_error(), "invalid_request");
}

#[tokio::test]
async fn as_jar_02_atk_087_only_the_clients_own_key_signs() {
    let client = Client::new(Algorithm::Es256);
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    let world = client.world().await;
    let good = client.sign(json!({}));
    assert!(ask(&mut world.browser(), &good, &[]).await.asks_to_sign_in());
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload) = (parts.first().unwrap(), parts.get(1).unwrap());
    let none = keybound_dpop::jose::base64url::encode(br#"{"alg":"none"}"#);
    for bad in [
        sign(&other, TYP, json!({})),
        format!("{none}.{payload}."),
        format!("{none}.{payload}.AAAA"),
        format!("{header}.{payload}.AAAA"),
        "rubbish".to_owned(),
    ] {
        let page = ask(&mut world.browser(), &bad, &[("redirect_uri", CALLBACK)]).await;
        assert_eq!(page.shown_error(), "invalid_request_object", "{bad}");
        let page = ask(&mut world.browser(), &bad, &[]).await;
        assert_eq!(
            (page.shown_error(), page.has("<form")),
            ("invalid_request_object", false),
            "nobody to tell"
        );
    }
}

#[tokio::test]
async fn as_jar_02_fms_03_the_registered_algorithm_and_no_other() {
    for (client, status) in [
        (Client::new(Algorithm::Rs256), 201),
        (Client::new(Algorithm::Rs256).with("require_signed_request_object", json!(true)), 400),
        (Client::new(Algorithm::Es256).with("request_object_signing_alg", json!("ES256")), 201),
        (Client::new(Algorithm::Es256).with("request_object_signing_alg", json!("PS256")), 400),
        (Client::new(Algorithm::EdDsa).with("require_signed_request_object", json!(true)), 201),
        (Client::new(Algorithm::Es384), 400),
    ] {
        let world = client.world().await;
        let (came, body) = push(&world, FormWriter::new().pair("request", &client.sign(json!({})))).await;
        assert_eq!(came, status, "{} {body}", client.metadata);
        if status == 400 {
            assert_eq!(body["error"], "invalid_request_object");
        }
    }
}

#[tokio::test]
async fn as_jar_03_as_jar_04_as_jar_05_each_defect_is_invalid_request_object() {
    let client = Client::new(Algorithm::Es256);
    let world = client.world().await;
    let own = json!({});
    for (typ, changes) in [
        (TYP, json!({"client_id": "app"})),
        (TYP, json!({"client_id": null})),
        (TYP, json!({"iss": "app"})),
        (TYP, json!({"iss": null})),
        (TYP, json!({"aud": "https://other.example"})),
        (TYP, json!({"aud": null})),
        (TYP, json!({"sub": "signer"})),
        (TYP, json!({"request": "a.b.c"})),
        (TYP, json!({"request_uri": "urn:a"})),
        (TYP, json!({"exp": NOW})),
        (TYP, json!({"nbf": NOW + 61})),
        (TYP, json!({"state": 7})),
        ("dpop+jwt", own.clone()),
        ("at+jwt", own.clone()),
        ("client-authentication+jwt", own.clone()),
    ] {
        let object = sign(&client.key, typ, changes.clone());
        let page = ask(&mut world.browser(), &object, &[("redirect_uri", CALLBACK)]).await;
        assert_eq!(page.shown_error(), "invalid_request_object", "{typ} {changes}");
        let (status, body) = push(&world, FormWriter::new().pair("request", &object)).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request_object")), "{typ} {changes}");
    }
    for typ in [TYP, "application/oauth-authz-req+jwt", "JWT"] {
        let page = ask(&mut world.browser(), &sign(&client.key, typ, own.clone()), &[]).await;
        assert!(page.asks_to_sign_in(), "{typ}");
    }
}

#[tokio::test]
async fn as_jar_06_each_error_code_has_its_trigger() {
    let client =
        Client::new(Algorithm::Es256).with("request_uris", json!(["https://app.example/request.jwt"]));
    let world = client.world().await;
    let object = client.sign(json!({}));
    for (client_id, name, value, error) in [
        ("app", "request", object.as_str(), "request_not_supported"),
        ("app", "request_uri", "https://app.example/request.jwt", "request_uri_not_supported"),
        ("signer", "request_uri", "https://app.example/other.jwt", "invalid_request_uri"),
        ("signer", "request_uri", "urn:ietf:params:oauth:request_uri:x", "invalid_request_uri"),
        ("signer", "request", "a.b.c", "invalid_request_object"),
    ] {
        let form =
            FormWriter::new().pair("client_id", client_id).pair("redirect_uri", CALLBACK).pair(name, value);
        let page = world.browser().get(&format!("/authorize?{}", form.finish())).await;
        assert_eq!((page.status, page.shown_error()), (StatusCode::BAD_REQUEST, error), "{client_id} {name}");
    }
}

#[tokio::test]
async fn as_jar_08_what_is_encrypted_is_refused() {
    let client = Client::new(Algorithm::Es256);
    let world = client.world().await;
    let (status, body) =
        push(&world, FormWriter::new().pair("request", "eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d")).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request_object")));
    let page = world.browser().get("/.well-known/openid-configuration").await;
    assert!(!page.has("request_object_encryption"), "nothing is offered");
}

#[tokio::test]
async fn as_cod_05_atk_072_the_key_of_the_code_is_inside() {
    let client = Client::new(Algorithm::Es256);
    let world = client.world().await;
    let (with, without) = (client.sign(json!({"dpop_jkt": JKT})), client.sign(json!({})));
    for (object, outside, good) in
        [(&with, "", true), (&with, JKT, true), (&with, CHALLENGE, false), (&without, JKT, false)]
    {
        let mut browser = world.browser();
        let page = ask(&mut browser, object, &[("dpop_jkt", outside), ("redirect_uri", CALLBACK)]).await;
        let form = FormWriter::new().pair("request", object).pair("dpop_jkt", outside);
        let (status, body) = push(&world, form).await;
        if good {
            let answer = allow(&mut browser, &page).await;
            assert_eq!(world.code(answer.get("code")).await.dpop_jkt.as_deref(), Some(JKT));
            assert_eq!(status, 201, "{body}");
        } else {
            assert_eq!(page.shown_error(), "invalid_request", "{outside}");
            assert_eq!((status, &body["error"]), (400, &json!("invalid_request")));
        }
    }
}

#[tokio::test]
async fn fms_01_a_client_that_must_sign_sends_no_bare_parameters() {
    let client = Client::new(Algorithm::Es256).with("require_signed_request_object", json!(true));
    let world = client.world().await;
    let bare = [("client_id", "signer")];
    let page = world.browser().ask(&bare).await;
    assert_eq!((page.status, page.shown_error()), (StatusCode::BAD_REQUEST, "invalid_request"));
    let plain = FormWriter::new().pair("response_type", "code").pair("redirect_uri", CALLBACK);
    let (status, body) = push(&world, plain).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")));

    let (status, body) = push(&world, FormWriter::new().pair("request", &client.sign(json!({})))).await;
    assert_eq!(status, 201, "{body}");
    let uri = body["request_uri"].as_str().unwrap();
    let query = FormWriter::new().pair("client_id", "signer").pair("request_uri", uri).finish();
    let mut browser = world.browser();
    let page = browser.get(&format!("/authorize?{query}")).await;
    assert_eq!(allow(&mut browser, &page).await.get("state"), "inside");
}

#[tokio::test]
async fn fms_02_atk_087_times_of_a_client_that_must_sign_are_there_and_near() {
    let client = Client::new(Algorithm::Es256).with("require_signed_request_object", json!(true));
    let world = client.world().await;
    for (changes, status) in [
        (json!({}), 201),
        (json!({"nbf": NOW + 10}), 201),
        (json!({"nbf": null}), 400),
        (json!({"exp": null}), 400),
        (json!({"exp": NOW - 1}), 400),
        (json!({"nbf": NOW - 3601}), 400),
        (json!({"exp": NOW + 3601}), 400),
        (json!({"nbf": NOW + 100}), 400),
        (json!({"aud": ["https://id.example", "https://other.example"]}), 201),
        (json!({"aud": "https://other.example"}), 400),
    ] {
        let (came, body) =
            push(&world, FormWriter::new().pair("request", &client.sign(changes.clone()))).await;
        assert_eq!(came, status, "{changes} {body}");
    }
}

#[tokio::test]
async fn an_object_that_was_in_time_can_be_finished() {
    let client = Client::new(Algorithm::Es256);
    let world = client.world().await;
    let object = client.sign(json!({}));
    let mut browser = world.browser();
    let page = ask(&mut browser, &object, &[]).await;
    world.clock.turn(301);
    assert_eq!(ask(&mut world.browser(), &object, &[]).await.shown_error(), "invalid_request_object");
    assert!(allow(&mut browser, &page).await.form.has("code"));
}

#[tokio::test]
async fn as_par_14_where_pushing_is_required_an_object_is_not_enough() {
    let client = Client::new(Algorithm::Es256).with("require_pushed_authorization_requests", json!(true));
    let world = client.world().await;
    let page = ask(&mut world.browser(), &client.sign(json!({})), &[("redirect_uri", CALLBACK)]).await;
    assert_eq!(page.shown_error(), "invalid_request");
}

/// A web server of the client that answers every request with one text.
struct Shelf {
    url: String,
    text: Arc<Mutex<String>>,
    requests: Arc<AtomicUsize>,
}

impl Shelf {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/request.jwt", listener.local_addr().unwrap());
        let shelf = Self { url, text: Arc::default(), requests: Arc::default() };
        let (text, requests) = (Arc::clone(&shelf.text), Arc::clone(&shelf.requests));
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                requests.fetch_add(1, Ordering::Relaxed);
                let _ = stream.read(&mut [0; 4096]);
                let text = text.lock().unwrap().clone();
                let (head, body) = text.split_once('|').unwrap_or(("200 OK", &text));
                let _ = write!(
                    stream,
                    "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        shelf
    }

    fn put(&self, text: &str) {
        text.clone_into(&mut self.text.lock().unwrap());
    }
}

async fn ask_by_reference(browser: &mut Browser<'_>, uri: &str) -> Page {
    let form =
        FormWriter::new().pair("client_id", "signer").pair("redirect_uri", CALLBACK).pair("request_uri", uri);
    browser.get(&format!("/authorize?{}", form.finish())).await
}

#[tokio::test]
async fn as_jar_07_oidc_ro_03_an_object_is_fetched_once_from_where_it_is_registered() {
    let shelf = Shelf::open();
    let client = Client::new(Algorithm::Rs256).with("request_uris", json!([shelf.url]));
    let world = client.world().await;
    shelf.put(&client.sign(json!({"scope": "read"})));
    let mut browser = world.browser();
    let page = ask_by_reference(&mut browser, &format!("{}#hash", shelf.url)).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
    let page = browser.follow(&page).await;
    shelf.put(&client.sign(json!({"scope": "read write"})));
    let answer = allow(&mut browser, &page).await;
    assert_eq!(world.code(answer.get("code")).await.scope, ["read"], "what was shown is what is granted");
    assert_eq!(shelf.requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn as_jar_07_nothing_else_is_fetched() {
    let shelf = Shelf::open();
    let elsewhere = json!(["https://app.example/request.jwt"]);
    for client in [
        Client::new(Algorithm::Es256),
        Client::new(Algorithm::Es256).with("request_uris", elsewhere.clone()),
        Client::new(Algorithm::Es256)
            .with("request_uris", json!([shelf.url]))
            .with("require_pushed_authorization_requests", json!(true)),
    ] {
        let world = client.world().await;
        shelf.put(&client.sign(json!({})));
        let page = ask_by_reference(&mut world.browser(), &shelf.url).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{}", client.metadata);
        let (status, body) = push(&world, FormWriter::new().pair("request_uri", &shelf.url)).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_request")));
    }
    assert_eq!(shelf.requests.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn as_jar_07_what_cannot_be_had_is_invalid_request_uri() {
    let shelf = Shelf::open();
    let client = Client::new(Algorithm::Es256).with("request_uris", json!([shelf.url]));
    let world = client.world().await;
    let object = client.sign(json!({}));
    for (answer, error) in [
        (format!("404 Not Found|{object}"), "invalid_request_uri"),
        (format!("302 Found\r\nlocation: {}|{object}", shelf.url), "invalid_request_uri"),
        (client.sign(json!({"state": "x".repeat(6 * 1024)})), "invalid_request_uri"),
    ] {
        shelf.put(&answer);
        let page = ask_by_reference(&mut world.browser(), &shelf.url).await;
        assert_eq!((page.status, page.shown_error()), (StatusCode::BAD_REQUEST, error));
    }
    shelf.put("a.b.c");
    let mut browser = world.browser();
    let page = ask_by_reference(&mut browser, &shelf.url).await;
    assert_eq!(browser.follow(&page).await.shown_error(), "invalid_request_object");
}

#[tokio::test]
async fn as_jar_07_the_metadata_says_what_is_taken() {
    let world = World::open().await;
    let page = world.browser().get("/.well-known/oauth-authorization-server").await;
    let metadata: Value = serde_json::from_str(&page.body).unwrap();
    for flag in
        ["request_parameter_supported", "request_uri_parameter_supported", "require_request_uri_registration"]
    {
        assert_eq!(metadata[flag], json!(true), "{flag}");
    }
    let algorithms = json!(["ES256", "PS256", "EdDSA", "Ed25519", "RS256"]);
    assert_eq!(metadata["request_object_signing_alg_values_supported"], algorithms);
}
