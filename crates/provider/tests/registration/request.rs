//! The registration request and what is answered (RFC 7591 §3).

use crate::program::{
    CALLBACK, OPEN, basic, call, code, code_fields, confidential, key_set, new_key, public, register,
    registered, sign_in, text, token, with, world, world_of,
};
use http::{Method, StatusCode};
use keybound_dpop::time::UnixTime;
use keybound_oauth::client_metadata::ProfileName;
use keybound_oauth::error::ErrorCode;
use keybound_provider::config::ConfigFile;
use keybound_provider::refusal::Refusal;
use keybound_provider::registration::record;
use serde_json::{Value, json};

#[tokio::test]
async fn as_dcr_03_oidc_dcr_01_a_client_registers_and_works() {
    let world = world(OPEN).await;
    let page = register(&world, &public()).await;
    assert_eq!(page.status, StatusCode::CREATED, "{}", page.body);
    assert_eq!(page.header("cache-control"), "no-store");
    let client = page.json();
    let client_id = text(&client, "client_id");
    assert_eq!(client["client_id_issued_at"], json!(1_800_000_000));
    assert_eq!(
        client["registration_client_uri"],
        json!(format!("http://localhost:8080/register/{client_id}"))
    );
    assert!(!text(&client, "registration_access_token").is_empty());
    for (name, value) in public().as_object().unwrap() {
        assert_eq!(&client[name], value, "{name}");
    }
    assert!(client.get("client_secret").is_none() && client.get("client_secret_expires_at").is_none());
    let key = new_key();
    let tokens = sign_in(&world, &key, &client_id).await;
    assert_eq!(tokens["token_type"], "DPoP");
}

#[tokio::test]
async fn as_dcr_03_a_secret_is_made_here_and_shown_once() {
    let world = world(OPEN).await;
    let chosen = json!({
        "redirect_uris": [CALLBACK], "client_secret": "chosen", "client_id": "mine",
        "id_token_signed_response_alg": "ES256",
    });
    let client = registered(&world, &chosen).await;
    // RFC 7591 §2: the default of a registration.
    assert_eq!(client["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(client["client_secret_expires_at"], 0);
    let (client_id, secret) = (text(&client, "client_id"), text(&client, "client_secret"));
    assert!(client_id != "mine" && secret.len() == 43, "{client}");
    assert!(client.get("client_secret_sha256").is_none(), "{client}");

    let code = code(&world, &client_id, CALLBACK).await;
    let fields: Vec<_> =
        code_fields(&code, &client_id).into_iter().filter(|(name, _)| *name != "client_id").collect();
    let key = new_key();
    let wrong = token(&world, &key, &fields, Some(&basic(&client_id, "chosen"))).await;
    assert_eq!(wrong.refusal(), (401, "invalid_client".to_owned()));
    let right = token(&world, &key, &fields, Some(&basic(&client_id, &secret))).await;
    assert_eq!(right.status, StatusCode::OK, "{}", right.body);
}

/// DEC-28: RS256 where nothing is registered, with a key that is made when the first such client comes.
#[tokio::test]
async fn oidc_idt_04_a_client_that_names_no_algorithm_gets_id_tokens_by_rs256() {
    let world = world(OPEN).await;
    let mut metadata = public();
    metadata.as_object_mut().unwrap().remove("id_token_signed_response_alg");
    let client_id = text(&registered(&world, &metadata).await, "client_id");
    world.provider.tend_keys().await;
    let mut browser = world.browser();
    let changes = [("client_id", client_id.as_str()), ("redirect_uri", CALLBACK), ("scope", "openid")];
    let page = browser.ask(&changes).await;
    let page = browser.sign_in(&page, "ada", crate::common::PASSWORD).await;
    let page = browser.get(page.location().strip_prefix("http://localhost:8080").unwrap()).await;
    let answer = browser.press(&page, "allow").await.answer();
    let tokens = token(&world, &new_key(), &code_fields(answer.get("code"), &client_id), None).await.json();
    let id_token = text(&tokens, "id_token");
    let jwt = keybound_dpop::jose::jws::UnverifiedJwt::parse(&id_token).unwrap();
    assert_eq!(jwt.header().unwrap().string("alg"), Ok(Some("RS256")));
}

#[tokio::test]
async fn as_dcr_03_a_secret_that_ends_has_ended() {
    let world = world(&format!("{OPEN}secret_days = 1\n")).await;
    let client = registered(&world, &confidential()).await;
    assert_eq!(client["client_secret_expires_at"], json!(1_800_000_000 + 86_400));
    let basic = basic(&text(&client, "client_id"), &text(&client, "client_secret"));
    let fields = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let key = new_key();
    assert_eq!(token(&world, &key, &fields, Some(&basic)).await.refusal().1, "invalid_grant");
    world.clock.turn(86_400);
    assert_eq!(token(&world, &key, &fields, Some(&basic)).await.refusal().1, "invalid_client");
}

#[tokio::test]
async fn as_dcr_01_tokens_are_bound_unless_the_provider_lets_clients_choose() {
    let member = "dpop_bound_access_tokens";
    let strict = world(OPEN).await;
    let client = registered(&strict, &public()).await;
    assert_eq!(client[member], true, "left out, the answer tells");
    assert_eq!(registered(&strict, &with(public(), member, json!(true))).await[member], true);
    let bearer = with(public(), member, json!(false));
    let refused = register(&strict, &bearer).await;
    assert_eq!(refused.refusal(), (400, "invalid_client_metadata".to_owned()));
    assert!(refused.has("write true"), "{}", refused.body);
    // Enforced: no token without a proof.
    let client_id = text(&client, "client_id");
    let code = code(&strict, &client_id, CALLBACK).await;
    let page = strict.browser().post("/token", &code_fields(&code, &client_id)).await;
    assert_eq!(page.refusal(), (400, "invalid_dpop_proof".to_owned()));

    let allowed = world(&format!("{OPEN}dpop = \"allowed\"\n")).await;
    assert_eq!(registered(&allowed, &public()).await[member], true);
    assert_eq!(registered(&allowed, &bearer).await[member], false);
    let if_asked = world(&format!("{OPEN}dpop = \"if_asked\"\n")).await;
    assert_eq!(registered(&if_asked, &public()).await[member], false);
    assert_eq!(registered(&if_asked, &with(public(), member, json!(true))).await[member], true);
}

#[tokio::test]
async fn as_dcr_02_atk_094_true_as_a_text_is_no_boolean() {
    for dpop in ["required", "allowed", "if_asked"] {
        let world = world(&format!("{OPEN}dpop = \"{dpop}\"\n")).await;
        let page = register(&world, &with(public(), "dpop_bound_access_tokens", json!("true"))).await;
        assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()), "{dpop}");
    }
}

#[tokio::test]
async fn as_dcr_04_oidc_dcr_02_atk_093_redirect_uris_that_cannot_be_registered() {
    let world = world(OPEN).await;
    for bad in [
        "https://shop.example/cb#f",
        "https://shop.example/cb#",
        "/cb",
        "http://shop.example/cb",
        "https://*.shop.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "com.example.shop:/cb",
        "https://user@shop.example/cb",
        "",
    ] {
        let page = register(&world, &with(public(), "redirect_uris", json!([CALLBACK, bad]))).await;
        assert_eq!(page.refusal(), (400, "invalid_redirect_uri".to_owned()), "{bad}");
        assert!(bad.len() < 5 || !page.has(bad), "{}", page.body);
    }
    for bad in [json!([]), json!(CALLBACK), json!([1]), json!(vec![CALLBACK; 33])] {
        let page = register(&world, &with(public(), "redirect_uris", bad)).await;
        assert_eq!(page.refusal(), (400, "invalid_redirect_uri".to_owned()));
    }
    let native = with(public(), "application_type", json!("native"));
    registered(
        &world,
        &with(native, "redirect_uris", json!(["com.example.shop:/cb", "http://127.0.0.1/cb"])),
    )
    .await;
}

#[tokio::test]
async fn as_dcr_05_atk_093_keys_are_public_and_in_one_place() {
    let world = world_of("https://id.example", "[registration]\nmode = \"open\"\n").await;
    let keys = key_set(&new_key(), "k");
    let signed = with(public(), "token_endpoint_auth_method", json!("private_key_jwt"));
    registered(&world, &with(signed.clone(), "jwks", keys.clone())).await;
    let mut private = keys.clone();
    private["keys"][0]["d"] = json!("AQAB");
    let both = with(with(signed.clone(), "jwks", keys), "jwks_uri", json!("https://shop.example/jwks"));
    for bad in [
        signed.clone(),
        both,
        with(signed.clone(), "jwks", private),
        with(signed.clone(), "jwks", json!({"keys": [{"kty": "oct", "k": "AAAA"}]})),
        with(signed.clone(), "jwks_uri", json!("http://shop.example/jwks")),
        with(signed.clone(), "jwks_uri", json!("http://127.0.0.1/jwks")),
    ] {
        let page = register(&world, &bad).await;
        assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()), "{bad}");
    }
    for name in
        ["logo_uri", "policy_uri", "tos_uri", "client_uri", "sector_identifier_uri", "backchannel_logout_uri"]
    {
        let page = register(&world, &with(public(), name, json!("http://localhost/x"))).await;
        assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()), "{name}");
    }
    let page = register(&world, &with(public(), "request_uris", json!(["http://localhost/x"]))).await;
    assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()));
}

#[tokio::test]
async fn as_dcr_06_grant_types_and_response_types_go_together() {
    let world = world(OPEN).await;
    let machine = with(public(), "grant_types", json!(["client_credentials"]));
    for bad in [
        with(machine.clone(), "response_types", json!(["code"])),
        with(public(), "response_types", json!([])),
        with(public(), "response_types", json!(["code", "id_token"])),
        with(public(), "grant_types", json!(["authorization_code", "implicit"])),
        // Tokens for strangers without a user are for an operator to allow.
        with(machine, "token_endpoint_auth_method", json!("client_secret_basic")),
    ] {
        let page = register(&world, &bad).await;
        assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()), "{bad}");
    }
    let client = registered(&world, &json!({"redirect_uris": [CALLBACK]})).await;
    assert_eq!(
        (&client["grant_types"], &client["response_types"]),
        (&json!(["authorization_code"]), &json!(["code"]))
    );
}

#[tokio::test]
async fn as_dcr_07_what_is_unknown_or_an_operators_is_as_if_it_were_not_there() {
    let world = world(OPEN).await;
    let greedy = json!({
        "redirect_uris": [CALLBACK], "foo": 1, "client_name#de": "Der Laden", "legacy_oidc": true,
        "errors": "redirect", "resources": [], "may_act": "somebody", "client_secret_sha256": "x",
        "scope": "openid read introspect client_registration admin",
    });
    let client = registered(&world, &greedy).await;
    for name in ["foo", "client_name#de", "resources", "may_act", "client_secret_sha256"] {
        assert!(client.get(name).is_none(), "{name}");
    }
    assert_eq!((&client["legacy_oidc"], &client["errors"]), (&json!(false), &json!("page")));
    assert_eq!(client["scope"], "openid read", "what such clients may not have is left out");
    let all = registered(&world, &public()).await;
    assert!(text(&all, "scope").split(' ').any(|token| token == "read"), "{all}");
    assert_eq!(register(&world, &with(public(), "scope", json!("admin"))).await.refusal().0, 400);
}

#[tokio::test]
async fn bcp_red_05_a_client_cannot_have_errors_sent_by_redirect() {
    let world = world(OPEN).await;
    let client = registered(&world, &with(public(), "errors", json!("redirect"))).await;
    let client_id = text(&client, "client_id");
    let changes = [("client_id", client_id.as_str()), ("redirect_uri", CALLBACK), ("scope", "nothing")];
    let page = world.browser().ask(&changes).await;
    assert_eq!(page.shown_error(), "invalid_scope");
}

#[tokio::test]
async fn a_body_has_one_reading_and_an_end() {
    let world = world(OPEN).await;
    let json = ("content-type", "application/json");
    let post = |headers: Vec<(&'static str, &'static str)>, body: String| {
        let world = &world;
        async move { call(world, Method::POST, "/register", &headers, body).await.refusal() }
    };
    let twice = format!("{{\"redirect_uris\":[\"{CALLBACK}\"],\"redirect_uris\":[\"{CALLBACK}\"]}}");
    for bad in [twice, "[]".to_owned(), String::new(), "{".to_owned()] {
        assert_eq!(post(vec![json], bad).await, (400, "invalid_client_metadata".to_owned()));
    }
    let form = ("content-type", "application/x-www-form-urlencoded");
    assert_eq!(post(vec![form], public().to_string()).await.0, 400);
    assert_eq!(post(vec![], public().to_string()).await.0, 400);
    let large = with(public(), "foo", json!("x".repeat(70_000)));
    assert_eq!(post(vec![json], large.to_string()).await.0, 413);
    let heavy = with(public(), "contacts", json!(vec!["x".repeat(100); 100]));
    assert_eq!(post(vec![json], heavy.to_string()).await, (400, "invalid_client_metadata".to_owned()));
    assert_eq!(call(&world, Method::GET, "/register", &[], "").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn as_dcr_13_as_cimd_09_identifiers_are_ours_and_look_like_no_user() {
    let world = world(OPEN).await;
    for _ in 0..20 {
        let client_id = text(&registered(&world, &public()).await, "client_id");
        let random = client_id.strip_prefix("client-").expect("a prefix that no `sub` of ours has");
        assert!(random.len() == 32 && random.bytes().all(|byte| byte.is_ascii_hexdigit()), "{client_id}");
    }
    for bad in [json!("a\nb"), json!(""), json!("x".repeat(101)), json!(7)] {
        let page = register(&world, &with(public(), "client_name", bad)).await;
        assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()));
    }
}

#[tokio::test]
async fn metadata_name_the_endpoint_where_there_is_one() {
    let metadata = async |more: &str| {
        let page = world(more).await.browser().get("/.well-known/openid-configuration").await;
        (
            page.json()["registration_endpoint"].clone(),
            page.json()["client_id_metadata_document_supported"].clone(),
        )
    };
    assert_eq!(metadata("").await, (Value::Null, Value::Null));
    assert_eq!(metadata(OPEN).await, (json!("http://localhost:8080/register"), Value::Null));
    assert_eq!(metadata("[client_id_metadata]\nmode = \"on\"").await, (Value::Null, json!(true)));
    let off = world("").await;
    assert_eq!(register(&off, &public()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(call(&off, Method::GET, "/register/x", &[], "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_registered_algorithm_of_assertions_is_the_only_one() {
    let world = world(OPEN).await;
    let key = new_key();
    let signed = with(public(), "token_endpoint_auth_method", json!("private_key_jwt"));
    let signed = with(signed, "jwks", key_set(&key, "k"));
    for (algorithm, error) in [("ES256", "invalid_grant"), ("PS256", "invalid_client")] {
        let client =
            registered(&world, &with(signed.clone(), "token_endpoint_auth_signing_alg", json!(algorithm)))
                .await;
        let client_id = text(&client, "client_id");
        let assertion = crate::token::assertion(&world, &key, &client_id);
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", "x"),
            ("client_assertion_type", keybound_oauth::client_auth::ASSERTION_TYPE),
            ("client_assertion", assertion.as_str()),
        ];
        assert_eq!(token(&world, &new_key(), &fields, None).await.refusal().1, error, "{algorithm}");
    }
    let page = register(&world, &with(signed, "token_endpoint_auth_signing_alg", json!("HS256"))).await;
    assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()));
}

/// Tokens from the front channel are not offered, to nobody (RFC 9700 §2.1.2).
#[tokio::test]
async fn oidc_dcr_07_response_types_of_the_implicit_flow_are_refused() {
    let world = world(OPEN).await;
    let metadata = world.browser().get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["response_types_supported"], json!(["code"]));
    for types in [json!(["id_token"]), json!(["id_token token"]), json!(["code", "id_token"])] {
        let page = register(&world, &with(public(), "response_types", types)).await;
        assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()));
    }
}

#[test]
fn fapi_as_03_a_provider_with_a_profile_registers_what_fits_it() {
    let config = "issuer = \"https://id.example\"\nprofile = \"fapi2\"\n[registration]\nmode = \"open\"";
    let config = ConfigFile::parse(config, "test").unwrap().check().unwrap();
    let settle = |metadata: Value| {
        record::settle(&config, metadata.as_object().unwrap().clone(), None, UnixTime::from_secs(1))
    };
    let Err(Refusal::Denied(refused)) = settle(confidential()) else { unreachable!("refused") };
    assert!(refused.code == ErrorCode::InvalidClientMetadata && refused.wire.contains("private_key_jwt"));
    let signed = with(public(), "token_endpoint_auth_method", json!("private_key_jwt"));
    let settled = settle(with(signed, "jwks", key_set(&new_key(), "k"))).unwrap();
    assert_eq!(settled.metadata.profile, ProfileName::Fapi2);
}

/// For certification runs, whose clients of the Basic profile know neither PKCE nor proofs (OIDC-AUT-23).
#[tokio::test]
async fn oidc_aut_23_an_operator_may_let_all_registered_clients_be_old() {
    let config = format!("{OPEN}legacy_oidc = true\ndpop = \"if_asked\"\n");
    let world = world(&config).await;
    let client = registered(&world, &public()).await;
    assert_eq!((&client["legacy_oidc"], &client["dpop_bound_access_tokens"]), (&json!(true), &json!(false)));
    let client_id = text(&client, "client_id");
    let changes = [
        ("client_id", client_id.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_challenge", ""),
        ("code_challenge_method", ""),
    ];
    assert!(world.browser().ask(&changes).await.asks_to_sign_in());
}

#[tokio::test]
async fn ops_cors_01_pages_of_other_origins_register_and_manage() {
    let world = world(OPEN).await;
    for (path, method) in
        [("/register", "POST"), ("/register/client-1", "PUT"), ("/register/client-1", "DELETE")]
    {
        let headers = [("origin", "https://spa.example"), ("access-control-request-method", method)];
        let page = call(&world, Method::OPTIONS, path, &headers, "").await;
        assert_eq!(page.header("access-control-allow-methods"), method);
        assert_eq!(page.header("access-control-allow-origin"), "*");
    }
    let origin = [("origin", "https://spa.example")];
    let page = crate::program::register_with(&world, &public(), &origin).await;
    assert_eq!((page.status, page.header("access-control-allow-origin")), (StatusCode::CREATED, "*"));
}

/// The first client that names no algorithm is not sent away while a key is made.
#[tokio::test]
async fn oidc_idt_04_the_key_of_rs256_is_there_before_the_first_client() {
    for (config, is_there) in [(OPEN, true), ("", false)] {
        let world = world(config).await;
        let keys = call(&world, Method::GET, "/jwks", &[], Vec::new()).await.json();
        let algorithms: Vec<&Value> =
            keys["keys"].as_array().unwrap().iter().map(|key| &key["alg"]).collect();
        assert_eq!(algorithms.contains(&&json!("RS256")), is_there, "{keys}");
    }
}
