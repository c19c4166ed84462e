//! Which authorization requests are good, and whom the others are told.

use crate::common::{CALLBACK, CHALLENGE, World, query};
use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::json;

const PAGE: StatusCode = StatusCode::BAD_REQUEST;

#[tokio::test]
async fn as_aut_01_get_and_post_lead_to_the_same_page() {
    let world = World::open().await;
    let mut browser = world.browser();
    let by_get = browser.ask(&[]).await;
    assert!(by_get.asks_to_sign_in());
    let fields = [
        ("client_id", "app"),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "read"),
        ("state", "s t&a=te"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let redirect = browser.post_from("cross-site", "/authorize", &fields).await;
    assert_eq!(redirect.status, StatusCode::SEE_OTHER);
    let by_post = browser.follow(&redirect).await;
    assert!(by_post.asks_to_sign_in());
    assert_eq!(by_post.field("request"), by_get.field("request"));
}

#[tokio::test]
async fn as_aut_02_atk_129_another_redirect_uri_is_told_on_a_page() {
    let world = World::open().await;
    for bad in [
        "https://app.example/cb?x=1",
        "https://app.example/CB",
        "https://app.example/cb/more",
        "https://app.example/cb/",
        "https://sub.app.example/cb",
        "https://app.example:443/cb",
        "https://evil.example/cb",
    ] {
        let page = world.browser().ask(&[("redirect_uri", bad)]).await;
        assert_eq!((page.status, page.location()), (PAGE, ""), "{bad}");
        assert!(!page.has(bad), "what came is not repeated");
    }
}

#[tokio::test]
async fn as_aut_03_no_redirect_for_an_invalid_client_or_redirect_uri() {
    let world = World::open().await;
    for changes in [
        [("client_id", "")],
        [("client_id", "nobody")],
        [("client_id", "app\u{0}")],
        [("redirect_uri", "https://evil.example/")],
        [("redirect_uri", "not a uri")],
    ] {
        for prompt in ["", "none"] {
            let page = world.browser().ask(&[changes[0], ("prompt", prompt)]).await;
            assert_eq!((page.status, page.shown_error()), (PAGE, "invalid_request"), "{changes:?}");
            assert!(page.header("content-type").starts_with("text/html"));
            assert!(!page.has("<form"), "nothing leads on");
        }
    }
}

#[tokio::test]
async fn as_aut_06_unknown_is_ignored_repeated_is_refused_response_type_is_needed() {
    let world = World::open().await;
    assert!(world.browser().ask(&[("foo", "bar")]).await.asks_to_sign_in());

    for repeated in ["state=a", "client_id=app", "redirect_uri=https%3A%2F%2Fapp.example%2Fcb", "scope=read"]
    {
        let page = world.browser().get(&format!("/authorize?{}&{repeated}", query(&[]))).await;
        assert_eq!((page.status, page.shown_error()), (PAGE, "invalid_request"), "{repeated}");
    }
    let page = world.browser().ask(&[("response_type", "")]).await;
    assert_eq!((page.status, page.shown_error()), (PAGE, "invalid_request"));
}

#[tokio::test]
async fn as_aut_11_no_other_origin_may_call() {
    let world = World::open().await;
    for method in ["OPTIONS", "GET"] {
        let request = Request::builder()
            .method(method)
            .uri(format!("/authorize?{}", query(&[])))
            .header("origin", "https://evil.example")
            .header("access-control-request-method", "GET")
            .body(Body::empty())
            .unwrap();
        let page = world.browser().send(request).await;
        let cors = page.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
        assert_eq!(cors, None, "{method}");
    }
}

#[tokio::test]
async fn as_aut_12_atk_080_no_token_from_the_authorization_endpoint() {
    let world = World::open().await;
    for response_type in ["token", "code token", "id_token", "code id_token token", "none", "CODE"] {
        let page = world.browser().ask(&[("response_type", response_type)]).await;
        assert_eq!((page.status, page.shown_error()), (PAGE, "unsupported_response_type"), "{response_type}");
    }
}

#[tokio::test]
async fn as_aut_14_errors_go_to_a_page_unless_somebody_is_signed_in_or_the_client_wants_them() {
    let eager = json!({"client_id": "eager", "redirect_uris": [CALLBACK], "errors": "redirect"});
    let world = World::with_clients(&[eager]).await;
    let faulty = [("scope", "unknown")];

    let mut browser = world.browser();
    let page = browser.ask(&faulty).await;
    assert_eq!((page.status, page.shown_error()), (PAGE, "invalid_scope"));
    let (request, csrf) = (page.field("request"), page.field("csrf"));
    let answer = browser.post("/return", &[("request", &request), ("csrf", &csrf)]).await.answer();
    assert_eq!((answer.place.as_str(), answer.get("error")), (CALLBACK, "invalid_scope"));
    assert_eq!((answer.get("state"), answer.get("iss")), ("s t&a=te", "https://id.example"));
    let other = world.browser().post("/return", &[("request", &request), ("csrf", &csrf)]).await;
    assert_eq!(other.status, StatusCode::FORBIDDEN, "the button is this browser's");

    let silent = browser.ask(&[faulty[0], ("prompt", "none")]).await.answer();
    assert_eq!(silent.get("error"), "invalid_scope");
    let eager = browser.ask(&[faulty[0], ("client_id", "eager")]).await.answer();
    assert_eq!(eager.get("error"), "invalid_scope");

    browser.reach_consent(&[]).await;
    let signed_in = browser.ask(&faulty).await.answer();
    assert_eq!((signed_in.place.as_str(), signed_in.get("error")), (CALLBACK, "invalid_scope"));
}

#[tokio::test]
async fn bcp_red_05_atk_132_who_registered_themselves_get_no_error_before_a_user_has_seen_it() {
    let own = json!({"client_id": "own", "redirect_uris": ["https://phish.example/"], "errors": "redirect",
        "self_registered": true});
    let world = World::with_clients(&[own]).await;
    let client = [("client_id", "own"), ("redirect_uri", "https://phish.example/"), ("scope", "unknown")];
    for prompt in ["", "none", "none login", "create"] {
        let mut browser = world.browser();
        let page = browser.ask(&[&client[..], &[("prompt", prompt)]].concat()).await;
        assert_eq!((page.status, page.location()), (PAGE, ""), "{prompt}");
        assert!(!page.shown_error().is_empty() && !page.has("<script"));
        let answer = browser.press_at("/return", &page, "return").await.answer();
        assert_eq!(answer.place, "https://phish.example/", "the button still goes there");
    }
    let silent = [client[0], client[1], ("prompt", "none")];
    let silent = world.browser().ask(&silent).await.answer();
    assert_eq!(silent.get("error"), "login_required", "no page where nothing is faulty (OIDC-AUT-06)");
}

#[tokio::test]
async fn as_aut_16_http_is_for_loopback_hosts_of_native_applications() {
    let native = json!({
        "client_id": "native",
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/cb", "com.example.app:/cb"],
    });
    let world = World::with_clients(&[native]).await;
    for (redirect_uri, is_good) in [
        ("http://127.0.0.1/cb", true),
        ("http://127.0.0.1:5555/cb", true),
        ("com.example.app:/cb", true),
        ("http://app.example/cb", false),
        ("http://192.0.2.1/cb", false),
    ] {
        let page = world.browser().ask(&[("client_id", "native"), ("redirect_uri", redirect_uri)]).await;
        assert_eq!(page.asks_to_sign_in(), is_good, "{redirect_uri}");
    }
    let page = world.browser().ask(&[("redirect_uri", "http://app.example/cb")]).await;
    assert_eq!(page.status, PAGE);
}

#[tokio::test]
async fn as_pkc_01_atk_088_a_challenge_is_required_of_everybody() {
    let confidential = json!({
        "client_id": "confidential",
        "client_secret": "a secret of some length",
        "redirect_uris": [CALLBACK],
    });
    let old = json!({"client_id": "old", "redirect_uris": [CALLBACK], "legacy_oidc": true});
    let world = World::with_clients(&[confidential, old]).await;
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    for (client_id, is_good) in [("app", false), ("confidential", false), ("old", true)] {
        let page = world.browser().ask(&[without[0], without[1], ("client_id", client_id)]).await;
        match is_good {
            true => assert!(page.asks_to_sign_in(), "{client_id}"),
            false => assert_eq!(page.shown_error(), "invalid_request", "{client_id}"),
        }
    }
    assert!(world.browser().ask(&[("client_id", "old")]).await.asks_to_sign_in(), "RFC 7636 works for all");
}

#[tokio::test]
async fn as_pkc_02_atk_088_s256_is_the_only_method() {
    let old = json!({"client_id": "old", "redirect_uris": [CALLBACK], "legacy_oidc": true});
    let world = World::with_clients(&[old]).await;
    for client_id in ["app", "old"] {
        for method in ["", "plain", "s256", "S512"] {
            let changes = [("client_id", client_id), ("code_challenge_method", method)];
            let page = world.browser().ask(&changes).await;
            assert_eq!((page.status, page.shown_error()), (PAGE, "invalid_request"), "{client_id} {method}");
        }
        let changes = [("client_id", client_id), ("code_challenge", "")];
        assert_eq!(world.browser().ask(&changes).await.shown_error(), "invalid_request");
    }
}

#[tokio::test]
async fn as_pkc_03_a_challenge_has_43_characters_of_base64url() {
    let world = World::open().await;
    let (long, padded, plain) =
        (format!("{CHALLENGE}A"), format!("{CHALLENGE}="), CHALLENGE.replace('-', "+"));
    for bad in [CHALLENGE.trim_end_matches('M'), &long, &padded, &plain, "a"] {
        let page = world.browser().ask(&[("code_challenge", bad)]).await;
        assert_eq!((page.status, page.shown_error()), (PAGE, "invalid_request"), "{bad}");
    }
}

#[tokio::test]
async fn as_cod_04_a_malformed_dpop_jkt_is_invalid_request() {
    let world = World::open().await;
    let mut browser = world.browser();
    browser.reach_consent(&[]).await;
    for bad in ["abc", CHALLENGE.trim_end_matches('M'), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"] {
        let answer = browser.ask(&[("dpop_jkt", bad)]).await.answer();
        assert_eq!(answer.get("error"), "invalid_request", "{bad}");
    }
}

#[tokio::test]
async fn as_res_01_only_known_resources() {
    let narrow = json!({
        "client_id": "narrow",
        "redirect_uris": [CALLBACK],
        "resources": ["https://other.example/"],
    });
    let world = World::with_clients(&[narrow]).await;
    for (client_id, resource, scope, is_good) in [
        ("app", "https://api.example/", "read", true),
        ("app", "https://api.example", "read", false),
        ("app", "https://unknown.example/", "read", false),
        ("app", "relative", "read", false),
        ("app", "https://api.example/#a", "read", false),
        ("narrow", "https://other.example/", "other", true),
        ("narrow", "https://api.example/", "read", false),
    ] {
        let changes = [("client_id", client_id), ("resource", resource), ("scope", scope)];
        let page = world.browser().ask(&changes).await;
        match is_good {
            true => assert!(page.asks_to_sign_in(), "{client_id} {resource}"),
            false => assert_eq!(page.shown_error(), "invalid_target", "{client_id} {resource}"),
        }
    }
}

#[tokio::test]
async fn bcp_red_01_atk_129_redirect_uris_match_as_whole_strings() {
    let world = World::open().await;
    for bad in [
        "https://app.example/%63b",
        "https://app.example/%2e/cb",
        "https://app.example/x/../cb",
        "https://app.example//cb",
        "https://app.example\\@evil.example/cb",
        "https://app.example@evil.example/cb",
        "https://user@app.example/cb",
        "https://app.example.evil.example/cb",
        "https://app.example./cb",
        "https://APP.example/cb",
        "HTTPS://app.example/cb",
        "http://app.example/cb",
        "https://app.example:8443/cb",
        "https://app.example/cb#",
        "https://app.example/cb#fragment",
        "https://app.example/cb?",
        "https://app.example/cb%00",
        "https://app.example/cb ",
        "//app.example/cb",
        "/cb",
        "javascript:alert(1)",
        "data:text/html,x",
    ] {
        let page = world.browser().ask(&[("redirect_uri", bad), ("prompt", "none")]).await;
        assert_eq!((page.status, page.location()), (PAGE, ""), "{bad}");
    }
}

#[tokio::test]
async fn bcp_red_02_atk_130_the_port_is_free_on_loopback_hosts_as_registered() {
    let native = json!({
        "client_id": "native",
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1:3000/cb"],
    });
    let web = json!({"client_id": "web", "redirect_uris": ["http://127.0.0.1:3000/cb"]});
    let world = World::with_clients(&[native, web]).await;
    for (client_id, redirect_uri, is_good) in [
        ("native", "http://127.0.0.1:5555/cb", true),
        ("native", "http://localhost:5555/cb", false),
        ("native", "http://127.0.0.1.evil:5555/cb", false),
        ("native", "http://127.0.0.1.evil/", false),
        ("native", "http://localhost@evil/", false),
        ("native", "http://localhost@evil.example:5555/cb", false),
        ("native", "http://127.0.0.1:5555@evil.example/cb", false),
        ("native", "http://127.0.0.1:3000\\@evil.example/cb", false),
        ("native", "http://2130706433:5555/cb", false),
        ("native", "http://127.1:5555/cb", false),
        ("native", "http://127.0.0.2:5555/cb", false),
        ("web", "http://127.0.0.1:3000/cb", true),
        ("web", "http://127.0.0.1:5555/cb", false),
    ] {
        let page = world.browser().ask(&[("client_id", client_id), ("redirect_uri", redirect_uri)]).await;
        assert_eq!(page.asks_to_sign_in(), is_good, "{client_id} {redirect_uri}");
        assert!(is_good || page.status == PAGE && page.location().is_empty(), "{redirect_uri}");
    }
}

#[tokio::test]
async fn bcp_red_04_atk_131_no_parameter_of_another_name_leads_anywhere() {
    let world = World::open().await;
    let mut browser = world.browser();
    for name in
        ["return_to", "next", "continue", "url", "redirect", "rd", "target", "post_logout_redirect_uri"]
    {
        assert!(!browser.ask(&[(name, "//evil.example")]).await.has("action=\"//"), "{name}");
        let page = browser.reach_consent(&[(name, "https://evil.example/")]).await;
        for button in ["allow", "deny"] {
            assert_eq!(browser.press(&page, button).await.answer().place, CALLBACK, "{name}");
        }
        browser.cookies.clear();
        let page =
            browser.post(&format!("/login?{name}=https://evil.example/"), &[(name, "//evil.example")]).await;
        assert_eq!((page.status, page.location()), (StatusCode::FORBIDDEN, ""), "{name}");
    }
}

#[tokio::test]
async fn bcp_red_06_a_silent_error_goes_to_redirect_uris_of_known_clients_only() {
    let world = World::open().await;
    let known = world.browser().ask(&[("prompt", "none")]).await.answer();
    assert_eq!((known.place.as_str(), known.get("error")), (CALLBACK, "login_required"));
    let unknown = world.browser().ask(&[("prompt", "none"), ("client_id", "nobody")]).await;
    assert_eq!((unknown.status, unknown.location()), (PAGE, ""));
}

#[tokio::test]
async fn ops_lim_06_a_visitor_grows_nothing() {
    let world = World::open().await;
    let rows = || {
        let db = rusqlite::Connection::open(world.folder.path().join("keybound.sqlite")).unwrap();
        let tables: Vec<String> = db
            .prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let count = |table: &String| -> i64 {
            db.query_row(&format!("select count(*) from \"{table}\""), [], |row| row.get(0)).unwrap()
        };
        tables.iter().map(count).sum::<i64>()
    };
    let before = rows();
    assert!(before > 0);
    for n in 0..50 {
        let mut browser = world.browser();
        let page = browser.ask(&[("state", &n.to_string())]).await;
        assert!(page.asks_to_sign_in());
        browser.sign_in(&page, "nobody", "x").await;
        browser.ask(&[("scope", "unknown")]).await;
    }
    assert_eq!(rows(), before);
}
