//! Which request it is: the path, the method and the host are those that came, whatever else is said.

use crate::behind_each_proxy;
use crate::proxy::Proxy;
use crate::stage::Stage;

behind_each_proxy! {
    rs_gw_11_atk_045_atk_046_the_path_that_is_judged_is_the_path_that_goes_on
    bcp_prx_01_atk_044_callers_do_not_say_what_they_ask_for
    bcp_prx_01_only_listed_proxies_may_ask
}

/// Each could be read as `/admin`, which asks for a scope that the token has not, or as something else.
const PATHS: [&str; 16] = [
    "/orders/../admin",
    "/orders/..;/admin",
    "/./admin",
    "/orders/%2e%2e/admin",
    "/orders/.%2E/admin",
    "/orders%2f..%2fadmin",
    "/orders%2F..%2Fadmin",
    "/orders/%2e%2e%2fadmin",
    "//admin",
    "/orders//../admin",
    "///admin",
    "/orders/..%5cadmin",
    "/%61dmin",
    "/admin%2fdelete",
    "/orders/%00/admin",
    "/orders/..",
];

async fn rs_gw_11_atk_045_atk_046_the_path_that_is_judged_is_the_path_that_goes_on(proxy: Proxy) {
    let stage = Stage::behind(proxy).await;
    let nonce = stage.nonce().await;
    let token = stage.token("orders");
    for path in PATHS {
        let call = |proof: &str| stage.call("GET", path).credentials(&token, proof);
        for htu in [path, "/admin", "/orders"] {
            let answer = call(&stage.proof("GET", htu, &token).nonce(&nonce).sign(&stage.key)).send().await;
            assert_eq!(answer.status, 400, "{path}: {answer:?} {}", stage.complaints());
        }
    }
    assert!(stage.at_api.all().is_empty());
    let admin = stage.good("GET", "/admin", "orders").await.send().await;
    assert_eq!(admin.status, 403, "{admin:?}");
}

async fn bcp_prx_01_atk_044_callers_do_not_say_what_they_ask_for(proxy: Proxy) {
    let stage = Stage::behind(proxy).await;
    let said = [
        ("X-Original-Method", "GET"),
        ("X-Original-URI", "/orders"),
        ("X-Original-URL", "/orders"),
        ("X-Original-Host", "api.example"),
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Uri", "/orders"),
        ("X-Forwarded-Host", "api.example"),
        ("X-Envoy-Original-Path", "/orders"),
        ("X-Rewrite-URL", "/orders"),
    ];
    let nonce = stage.nonce().await;
    let token = stage.token("orders");
    for claimed in ["/orders", "/admin"] {
        let proof = stage.proof("GET", claimed, &token).nonce(&nonce).sign(&stage.key);
        let mut call = stage.call("POST", "/admin").credentials(&token, &proof).body("x");
        for (name, value) in said {
            call = call.field(name, value);
        }
        let answer = call.send().await;
        assert_eq!(answer.status, 401, "{answer:?} {}", stage.complaints());
        assert_eq!(answer.challenges()[0].get("error"), Some("invalid_dpop_proof"), "{answer:?}");
    }
    let mut call = stage.good("POST", "/admin", "orders").await;
    for (name, value) in said {
        call = call.field(name, value);
    }
    assert_eq!(call.send().await.status, 403);
    let elsewhere = stage.good("GET", "/orders", "orders").await.field("Host", "evil.example").send().await;
    // Caddy knows no site of that name, and says so with an empty 200.
    assert!(elsewhere.status != 200 || proxy == Proxy::Caddy, "{elsewhere:?}");
    assert!(stage.at_api.all().is_empty());
}

async fn bcp_prx_01_only_listed_proxies_may_ask(proxy: Proxy) {
    let stage = Stage::behind(proxy).await;
    let (nonce, token) = (stage.nonce().await, stage.token("orders"));
    let mut statuses = Vec::new();
    for peer in ["127.0.0.2", "127.0.0.1"] {
        let proof = stage.proof("GET", "/orders", &token).nonce(&nonce).sign(&stage.key);
        let answer = stage.ask_directly(proxy, peer, &token, &proof).await;
        let told = answer.to_ascii_lowercase().contains("keybound-subject: alice");
        statuses.push((answer.split(' ').nth(1).unwrap_or_default().to_owned(), told));
    }
    let listed = ("200".to_owned(), true);
    assert_eq!(statuses, [("403".to_owned(), false), listed]);
}
