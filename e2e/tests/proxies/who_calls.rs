//! What goes through, and what is told on both sides.

use crate::behind_each_proxy;
use crate::proxy::Proxy;
use crate::stage::Stage;
use keybound_e2e::forge::jkt;

behind_each_proxy! {
    bcp_prx_03_rs_gw_01_rs_gw_03_only_we_say_who_calls
    what_we_do_not_say_nobody_says
    a_public_path_passes_and_nobody_is_named
    a_path_that_is_only_looked_on_passes_and_nobody_is_named
    rs_prm_05_everybody_may_know_what_the_api_wants
    the_request_goes_on_as_it_came
    as_non_08_the_next_nonce_comes_with_a_yes
    http_2_is_the_same
    pages_of_listed_origins_may_call
}

/// What a caller might say in our place.
const CLAIMED: [&str; 12] = [
    "Keybound-Subject",
    "Keybound-Issuer",
    "keybound-client-id",
    "Keybound-Scope",
    "KEYBOUND-JKT",
    "Keybound_Subject",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "Forwarded",
    "Client-Cert",
    "Client-Cert-Chain",
    "X-Forwarded-Proto",
];

async fn bcp_prx_03_rs_gw_01_rs_gw_03_only_we_say_who_calls(proxy: Proxy) {
    let stage = Stage::behind(proxy).await;
    let mut call = stage.good("GET", "/orders/1", "orders more").await;
    for name in CLAIMED {
        call = call.field(name, "mallory");
    }
    let answer = call.send().await;
    assert_eq!(answer.status, 200, "{answer:?} {}", stage.complaints());
    assert_eq!(answer.header("x-api"), ["it"]);
    let [seen] = &stage.at_api.all()[..] else { panic!("one request") };
    assert_eq!(seen.one("keybound-subject"), "alice%20d'or");
    assert!(seen.one("keybound-issuer").starts_with("http://127.0.0.1:"));
    assert_eq!(seen.one("keybound-client-id"), "app");
    assert_eq!(seen.one("keybound-scope"), "orders more");
    assert_eq!(seen.one("keybound-jkt"), jkt(&stage.key));
    for name in ["authorization", "dpop", "keybound_subject"] {
        assert!(seen.header(name).is_empty(), "{name}: {seen:?}");
    }
    for (name, value) in &seen.headers {
        assert!(!value.to_str().expect("text").contains("mallory"), "{name}: {value:?}");
    }
}

/// A token that names no client: then none is named, whatever the caller says.
async fn what_we_do_not_say_nobody_says(proxy: Proxy) {
    let stage = Stage::with(proxy, |text| text.replace("issuer = ", "dpop = \"allowed\"\nissuer = ")).await;
    let token = stage.token_with("", |claims| {
        claims.as_object_mut().expect("an object").remove("cnf");
    });
    let call = stage.call("GET", "/").field("Authorization", &format!("Bearer {token}"));
    let answer = call.field("Keybound-Jkt", "mallory").field("DPoP", "stray").send().await;
    assert_eq!(answer.status, 200, "{answer:?} {}", stage.complaints());
    let [seen] = &stage.at_api.all()[..] else { panic!("one request") };
    assert_eq!(seen.one("keybound-subject"), "alice%20d'or");
    for name in ["keybound-jkt", "authorization", "dpop"] {
        assert!(seen.header(name).iter().all(String::is_empty), "{name}: {seen:?}");
    }
}

async fn a_public_path_passes_and_nobody_is_named(proxy: Proxy) {
    let public =
        "[[route]]\npath = \"/open\"\npublic = true\n\n[[route]]\npath = \"/read\"\nmethods = [\"GET\"]\n";
    let stage = Stage::with(proxy, |text| format!("{text}\n{public}")).await;
    let mut call = stage.call("POST", "/open/door").body("x");
    for name in CLAIMED {
        call = call.field(name, "mallory");
    }
    let answer = call.send().await;
    assert_eq!(answer.status, 200, "{answer:?} {}", stage.complaints());
    let [seen] = &stage.at_api.all()[..] else { panic!("one request") };
    for (name, value) in &seen.headers {
        assert!(!name.as_str().starts_with("keybound") || value.is_empty(), "{name}: {value:?}");
        assert!(!value.to_str().expect("text").contains("mallory"), "{name}: {value:?}");
    }
    let written = stage.good("POST", "/read", "").await.send().await;
    assert_eq!((written.status.as_u16(), written.header("allow")), (405, vec!["GET".to_owned()]));
    let early = stage.good("GET", "/read", "").await.field("Early-Data", "1").send().await;
    assert_eq!((early.status.as_u16(), stage.at_api.all().len()), (425, 1), "{early:?}");
}

async fn a_path_that_is_only_looked_on_passes_and_nobody_is_named(proxy: Proxy) {
    let observed = "[[route]]\npath = \"/watched\"\ndpop = \"observe\"\n";
    let stage = Stage::with(proxy, |text| format!("{text}\n{observed}")).await;
    for good in [true, false] {
        let call = if good { stage.good("GET", "/watched", "").await } else { stage.call("GET", "/watched") };
        let call = CLAIMED.iter().fold(call, |call, name| call.field(name, "mallory"));
        let answer = call.send().await;
        assert_eq!(answer.status, 200, "{answer:?} {}", stage.complaints());
        let seen = stage.at_api.all().pop().expect("a request");
        for (name, value) in &seen.headers {
            assert!(!name.as_str().starts_with("keybound") || value.is_empty(), "{name}: {value:?}");
            assert!(!value.to_str().expect("text").contains("mallory"), "{name}: {value:?}");
        }
    }
}

async fn rs_prm_05_everybody_may_know_what_the_api_wants(proxy: Proxy) {
    let stage = Stage::behind(proxy).await;
    let challenged = stage.call("GET", "/orders").send().await;
    let url = challenged.challenges()[0].get("resource_metadata").expect("a URL").to_owned();
    let path = url.strip_prefix(&stage.origin).expect("a path here");
    let answer = stage.call("GET", path).send().await;
    assert_eq!(answer.status, 200, "{answer:?} {}", stage.complaints());
    assert_eq!(answer.json()["dpop_bound_access_tokens_required"], true, "{answer:?}");
    let below = stage.call("GET", &format!("{path}/../../admin")).send().await;
    assert!(!below.status.is_success(), "{below:?}");
    assert!(stage.at_api.all().is_empty());
}

async fn the_request_goes_on_as_it_came(proxy: Proxy) {
    let stage = Stage::behind(proxy).await;
    let long = "x".repeat(100_000);
    for (method, target, body) in [
        ("POST", "/orders/new?a=%zz&b=/../%2F//&c=%C3%A9;'()*!$,~", "{\"a\":1}"),
        ("PUT", "/a;b=c,d/%C3%A9/~x", long.as_str()),
        ("DELETE", "/a?", ""),
        ("GET", "/a/b.c/..d?%2e%2e", ""),
        ("HEAD", "/orders", ""),
    ] {
        let answer = stage.good(method, target, "orders").await.body(body).send().await;
        assert_eq!(answer.status, 200, "{method} {target}: {answer:?} {}", stage.complaints());
        let seen = stage.at_api.all().pop().expect("a request");
        assert_eq!((seen.method.as_str(), seen.target.to_string().as_str()), (method, target));
        assert_eq!(seen.body, body.as_bytes());
    }
}

async fn as_non_08_the_next_nonce_comes_with_a_yes(proxy: Proxy) {
    let stage = Stage::behind(proxy).await;
    let fresh = stage.good("GET", "/", "").await.send().await;
    assert_eq!(fresh.status, 200, "{fresh:?}");
    assert!(fresh.header("dpop-nonce").is_empty(), "{fresh:?}");
    let old = stage.good("GET", "/", "").await;
    stage.clock.pass(60);
    let answer = old.send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let nonce = answer.nonce();
    assert!(nonce != "of-the-api" && nonce == stage.nonce().await, "{answer:?}");
    assert!(answer.header("cache-control").iter().any(|line| line.contains("no-store")), "{answer:?}");
    let vary = answer.header("vary").join(", ").to_ascii_lowercase();
    assert!(vary.contains("authorization") && vary.contains("dpop"), "{answer:?}");
}

async fn http_2_is_the_same(proxy: Proxy) {
    let stage = Stage::behind(proxy).await;
    let call = stage.good("POST", "/orders?a=b", "orders").await.body("some").by_http2();
    let answer = call.field("keybound-subject", "mallory").send().await;
    assert_eq!(answer.status, 200, "{answer:?} {}", stage.complaints());
    let [seen] = &stage.at_api.all()[..] else { panic!("one request") };
    assert_eq!((seen.one("keybound-subject").as_str(), &seen.body[..]), ("alice%20d'or", &b"some"[..]));
    let none = stage.call("POST", "/orders").by_http2().send().await;
    assert_eq!((none.status.as_u16(), none.challenges().len()), (401, 1), "{none:?}");
}

async fn pages_of_listed_origins_may_call(proxy: Proxy) {
    let listed = "[cors]\norigins = [\"https://app.example\"]\n\n# Where it is asked";
    let stage = Stage::with(proxy, |text| text.replace("# Where it is asked", listed)).await;
    let preflight = stage.call("OPTIONS", "/orders").field("Origin", "https://app.example");
    let preflight = preflight.field("Access-Control-Request-Method", "GET").send().await;
    assert_eq!(preflight.status, 204, "{preflight:?} {}", stage.complaints());
    assert_eq!(preflight.header("access-control-allow-origin"), ["https://app.example"]);
    assert_eq!(preflight.header("access-control-allow-methods"), ["GET"]);
    assert!(preflight.header("access-control-allow-headers")[0].contains("DPoP"));
    assert!(stage.at_api.all().is_empty(), "a preflight is answered by us");
    let refused = stage.call("GET", "/orders").field("Origin", "https://app.example").send().await;
    assert_eq!(refused.status, 401);
    let passed =
        stage.good("GET", "/orders", "orders").await.field("Origin", "https://app.example").send().await;
    assert_eq!(passed.status, 200, "{passed:?}");
    for answer in [refused, passed] {
        assert_eq!(answer.header("access-control-allow-origin"), ["https://app.example"], "{answer:?}");
        let exposed = answer.header("access-control-expose-headers").join(", ");
        assert!(exposed.contains("DPoP-Nonce") && exposed.contains("WWW-Authenticate"), "{answer:?}");
    }
}
