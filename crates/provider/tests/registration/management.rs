//! Reading, replacing and removing a registration (RFC 7592 §2).

use crate::common::{PASSWORD, Page, World};
use crate::program::{
    CALLBACK, OPEN, basic, call, confidential, key_set, new_key, public, refresh, register, registered,
    sign_in, text, token, with, world,
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

async fn manage(world: &World, method: Method, client: &Value, token: &str, body: &Value) -> Page {
    let uri = text(client, "registration_client_uri");
    let path = uri.strip_prefix("http://localhost:8080").unwrap().to_owned();
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    call(world, method, &path, &headers, body).await
}

async fn own(world: &World, method: Method, client: &Value, body: &Value) -> Page {
    manage(world, method, client, &text(client, "registration_access_token"), body).await
}

fn change(client: &Value, metadata: Value) -> Value {
    with(metadata, "client_id", client["client_id"].clone())
}

#[tokio::test]
async fn as_dcr_11_a_client_reads_what_is_registered() {
    let world = world(OPEN).await;
    let client = registered(&world, &public()).await;
    let page = own(&world, Method::GET, &client, &Value::Null).await;
    assert_eq!((page.status, page.header("cache-control")), (StatusCode::OK, "no-store"));
    assert_eq!(page.json(), client);
    // Of a secret there is only the digest: it is told once.
    let secret = registered(&world, &confidential()).await;
    let read = own(&world, Method::GET, &secret, &Value::Null).await.json();
    assert!(read.get("client_secret").is_none() && read["client_secret_expires_at"] == 0, "{read}");
}

#[tokio::test]
async fn as_dcr_11_a_bad_token_and_an_unknown_client_look_the_same() {
    let world = world(OPEN).await;
    let (client, other) = (registered(&world, &public()).await, registered(&world, &public()).await);
    let theirs = text(&other, "registration_access_token");
    let unknown =
        with(client.clone(), "registration_client_uri", json!("http://localhost:8080/register/nobody"));
    let mut bodies = Vec::new();
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        for (client, token) in
            [(&client, theirs.as_str()), (&unknown, theirs.as_str()), (&client, "nonsense"), (&client, "")]
        {
            let page = manage(&world, method.clone(), client, token, &change(client, public())).await;
            assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{method} {token}");
            assert!(page.header("www-authenticate").starts_with("Bearer "), "{:?}", page.headers);
            bodies.push(page.body);
        }
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    assert_eq!(own(&world, Method::GET, &client, &Value::Null).await.status, StatusCode::OK);
}

#[tokio::test]
async fn as_dcr_11_a_change_replaces_all_and_holds_at_once() {
    let world = world(OPEN).await;
    let client = registered(&world, &with(public(), "tos_uri", json!("https://shop.example/tos"))).await;
    let client_id = text(&client, "client_id");
    let elsewhere = "https://shop.example/elsewhere";
    let changed = with(public(), "redirect_uris", json!([elsewhere]));
    let page = own(&world, Method::PUT, &client, &change(&client, changed)).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let json = page.json();
    assert_eq!(json["redirect_uris"], json!([elsewhere]));
    assert!(json.get("tos_uri").is_none(), "{json}");
    for name in ["client_id", "client_id_issued_at", "registration_access_token", "registration_client_uri"] {
        assert_eq!(json[name], client[name], "{name}");
    }
    let ask = async |callback| {
        let changes = [("client_id", client_id.as_str()), ("redirect_uri", callback)];
        world.browser().ask(&changes).await.asks_to_sign_in()
    };
    assert!(ask(elsewhere).await && !ask(CALLBACK).await);
}

#[tokio::test]
async fn as_dcr_11_neither_identifier_nor_secret_are_the_clients_to_choose() {
    let world = world(OPEN).await;
    let client = registered(&world, &confidential()).await;
    let metadata = confidential;
    let good = || change(&client, metadata());
    for bad in [
        metadata(),
        with(metadata(), "client_id", json!("another")),
        with(good(), "client_secret", json!("chosen")),
        with(good(), "client_secret", json!(7)),
        with(good(), "registration_access_token", client["registration_access_token"].clone()),
        with(good(), "client_id_issued_at", json!(1)),
        with(good(), "redirect_uris", json!(["https://shop.example/cb#f"])),
    ] {
        let page = own(&world, Method::PUT, &client, &bad).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let same = with(good(), "client_secret", client["client_secret"].clone());
    let page = own(&world, Method::PUT, &client, &same).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert!(page.json().get("client_secret").is_none(), "the secret is the same: {}", page.body);
    let basic = basic(&text(&client, "client_id"), &text(&client, "client_secret"));
    let fields = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    assert_eq!(token(&world, &new_key(), &fields, Some(&basic)).await.refusal().1, "invalid_grant");
}

#[tokio::test]
async fn as_dcr_11_a_secret_that_ends_is_made_anew_by_a_change() {
    let world = world(&format!("{OPEN}secret_days = 30\n")).await;
    let client = registered(&world, &confidential()).await;
    world.clock.turn(86_400 * 20);
    let renewed = own(&world, Method::PUT, &client, &change(&client, confidential())).await.json();
    assert_ne!(renewed["client_secret"], client["client_secret"]);
    assert_eq!(renewed["client_secret_expires_at"], json!(1_800_000_000 + 86_400 * 50));
    let fields = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    for (secret, error) in [(&renewed, "invalid_grant"), (&client, "invalid_client")] {
        let basic = basic(&text(&client, "client_id"), &text(secret, "client_secret"));
        assert_eq!(token(&world, &new_key(), &fields, Some(&basic)).await.refusal().1, error);
    }
}

#[tokio::test]
async fn as_dcr_11_atk_094_a_stolen_token_does_not_unbind_a_client() {
    for dpop in ["required", "allowed"] {
        let world = world(&format!("{OPEN}dpop = \"{dpop}\"\n")).await;
        let client = registered(&world, &public()).await;
        for value in [json!(false), json!("true"), json!(0)] {
            let weaker = change(&client, with(public(), "dpop_bound_access_tokens", value));
            let page = own(&world, Method::PUT, &client, &weaker).await;
            assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()), "{dpop} {weaker}");
        }
        let read = own(&world, Method::GET, &client, &Value::Null).await.json();
        assert_eq!(read["dpop_bound_access_tokens"], true);
    }
    let world = world(&format!("{OPEN}dpop = \"if_asked\"\n")).await;
    let client = registered(&world, &with(public(), "dpop_bound_access_tokens", json!(true))).await;
    let page = own(&world, Method::PUT, &client, &change(&client, public())).await;
    assert_eq!(page.json()["dpop_bound_access_tokens"], false, "{}", page.body);
}

#[tokio::test]
async fn as_dcr_11_oidc_idt_02_a_change_does_not_make_another_of_the_user() {
    let world = world(OPEN).await;
    let elsewhere = with(public(), "redirect_uris", json!(["https://other.example/cb"]));
    let pairwise = |metadata| with(metadata, "subject_type", json!("pairwise"));
    for (before, after, status) in [
        (public(), pairwise(public()), 400),
        (public(), elsewhere.clone(), 200),
        (pairwise(public()), public(), 400),
        (pairwise(public()), pairwise(elsewhere), 400),
        (pairwise(public()), pairwise(with(public(), "client_name", json!("New"))), 200),
    ] {
        let client = registered(&world, &before).await;
        let page = own(&world, Method::PUT, &client, &change(&client, after.clone())).await;
        assert_eq!(page.status, status, "{before} {after} {}", page.body);
    }
}

#[tokio::test]
async fn as_dcr_11_who_changes_while_the_user_reads_gets_no_more_than_was_read() {
    let back = ("redirect_uri", CALLBACK);
    let claims = ("claims", r#"{"userinfo":{"email":null}}"#);
    for (member, before, after, asked, words) in [
        ("scope", "openid", "openid email", [("scope", "openid"), claims, back], "See your e-mail address"),
        (
            "grant_types",
            "authorization_code",
            "authorization_code refresh_token",
            [("scope", "openid offline_access"), ("state", "s"), back],
            "while you are signed out",
        ),
        (
            "redirect_uris",
            CALLBACK,
            "https://other.example/cb",
            [("scope", "openid"), ("state", "s"), ("redirect_uri", "")],
            "<code>other.example</code>",
        ),
    ] {
        let value = |text: &str| match member {
            "scope" => json!(text),
            _ => json!(text.split(' ').collect::<Vec<_>>()),
        };
        let world = world(OPEN).await;
        let client = registered(&world, &with(public(), member, value(before))).await;
        let client_id = text(&client, "client_id");
        let mut browser = world.browser();
        let asked = [&[("client_id", client_id.as_str())][..], &asked[..]].concat();
        let page = browser.ask(&asked).await;
        browser.sign_in(&page, "ada", PASSWORD).await;
        let page = browser.ask(&asked).await;
        assert!(page.asks_for_consent() && !page.has(words), "{}", page.body);
        let changed = change(&client, with(public(), member, value(after)));
        assert_eq!(own(&world, Method::PUT, &client, &changed).await.status, StatusCode::OK);
        assert_eq!(browser.press(&page, "allow").await.status, StatusCode::FORBIDDEN, "{member}");
        let page = browser.ask(&asked).await;
        assert!(page.has(words), "{}", page.body);
        assert!(browser.press(&page, "allow").await.answer().form.has("code"), "{member}");
    }
}

#[tokio::test]
async fn as_dcr_11_atk_094_a_client_goes_on_authenticating() {
    let world = world(OPEN).await;
    let client = registered(&world, &confidential()).await;
    let page = own(&world, Method::PUT, &client, &change(&client, public())).await;
    assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()), "{}", page.body);
    let by_key = with(public(), "token_endpoint_auth_method", json!("private_key_jwt"));
    let by_key = with(by_key, "jwks", key_set(&new_key(), "k"));
    let page = own(&world, Method::PUT, &client, &change(&client, by_key)).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let public_before = registered(&world, &public()).await;
    let page = own(&world, Method::PUT, &public_before, &change(&public_before, confidential())).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
}

#[tokio::test]
async fn oidc_idt_02_as_dcr_11_no_client_gets_at_the_sub_of_a_sector_that_is_not_its_own() {
    let world = world(OPEN).await;
    let pairwise = || with(public(), "subject_type", json!("pairwise"));
    let codes = json!(["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"]);
    let page = register(&world, &with(pairwise(), "grant_types", codes.clone())).await;
    assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()), "no redirect shows its host");
    registered(&world, &with(public(), "grant_types", codes)).await;
    for before in [public(), pairwise()] {
        let client = registered(&world, &before).await;
        let elsewhere = with(pairwise(), "redirect_uris", json!(["https://other.example/cb"]));
        let page = own(&world, Method::PUT, &client, &change(&client, elsewhere)).await;
        assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()), "{before}");
    }
    let client = registered(&world, &public()).await;
    let page = own(&world, Method::PUT, &client, &change(&client, pairwise())).await;
    assert_eq!(page.refusal().0, 400, "it may have tokens by another way than this host");
    let client = registered(&world, &pairwise()).await;
    let here = with(pairwise(), "redirect_uris", json!(["https://shop.example/other"]));
    assert_eq!(own(&world, Method::PUT, &client, &change(&client, here)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn as_dcr_11_removal_ends_the_client_and_what_it_was_given() {
    let world = world(OPEN).await;
    let client = registered(&world, &public()).await;
    let client_id = text(&client, "client_id");
    let key = new_key();
    let tokens = sign_in(&world, &key, &client_id).await;
    let refresh_token = text(&tokens, "refresh_token");
    assert_eq!(refresh(&world, &key, &client_id, &refresh_token).await.status, StatusCode::OK);

    let page = own(&world, Method::DELETE, &client, &Value::Null).await;
    assert_eq!((page.status, page.body.as_str()), (StatusCode::NO_CONTENT, ""));
    assert_eq!(refresh(&world, &key, &client_id, &refresh_token).await.refusal().1, "invalid_client");
    assert_eq!(own(&world, Method::GET, &client, &Value::Null).await.status, StatusCode::UNAUTHORIZED);
    let grant = keybound_provider::issue::grant_of(&jti(&tokens)).expect("a grant");
    assert!(world.provider.store.is_revoked(Some(grant), &jti(&tokens)).await.unwrap());
    let changes = [("client_id", client_id.as_str()), ("redirect_uri", CALLBACK)];
    assert_eq!(world.browser().ask(&changes).await.shown_error(), "invalid_request");
}

fn jti(tokens: &Value) -> String {
    let access = text(tokens, "access_token");
    let jwt = keybound_dpop::jose::jws::UnverifiedJwt::parse(&access).unwrap();
    jwt.claims().unwrap().string("jti").unwrap().unwrap().to_owned()
}

#[tokio::test]
async fn as_dcr_11_who_is_taken_over_by_an_operator_manages_itself_no_longer() {
    let world = world(OPEN).await;
    let client = registered(&world, &public()).await;
    let taken = change(&client, json!({"redirect_uris": [CALLBACK], "client_name": "Ours"}));
    keybound_provider::registry::add_client(&world.provider.store, taken, world.provider.unix())
        .await
        .unwrap();
    assert_eq!(own(&world, Method::GET, &client, &Value::Null).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(own(&world, Method::DELETE, &client, &Value::Null).await.status, StatusCode::UNAUTHORIZED);
}
