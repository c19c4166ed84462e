//! What a caller says to be taken for somebody else, or for nobody, or for another request than the one that was judged.

use crate::behind_each_proxy;
use crate::proxy::Proxy;
use crate::stage::Stage;

behind_each_proxy! {
    rs_gw_01_bcp_prx_03_words_of_proxies_are_no_callers_words
    rs_gw_03_a_caller_cannot_hide_who_calls
    rs_gw_11_atk_045_octets_that_no_path_holds_are_not_rewritten
}

/// Some frameworks take the path or the peer from these.
const WORDS_OF_PROXIES: [&str; 22] = [
    "X-Original-URL",
    "X-Original-URI",
    "X-Original-Method",
    "X-Original-Host",
    "X-Rewrite-URL",
    "X-Forwarded",
    "X-Forwarded-Method",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Forwarded-Uri",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "X-Client-Cert",
    "X-SSL-Client-Cert",
    "SSL-Client-Cert",
    "Proxy",
    "Keybound-Assertion",
    "X_Original_URL",
    "X_Forwarded_For",
    "Client_Cert",
];

async fn rs_gw_01_bcp_prx_03_words_of_proxies_are_no_callers_words(proxy: Proxy) {
    let stage = Stage::behind(proxy).await;
    let mut call = stage.good("GET", "/orders", "orders").await;
    for name in WORDS_OF_PROXIES {
        call = call.field(name, "/mallory");
    }
    let answer = call.send().await;
    assert_eq!(answer.status, 200, "{answer:?} {}", stage.complaints());
    let [seen] = &stage.at_api.all()[..] else { panic!("one request") };
    let arrived = seen.headers.iter().filter(|(_, value)| value.to_str().expect("text").contains("mallory"));
    assert_eq!(arrived.map(|(name, _)| name.as_str()).collect::<Vec<_>>(), Vec::<&str>::new());
    for name in answer.headers.keys() {
        assert!(!name.as_str().starts_with("keybound"), "a caller learns {name}");
    }
}

async fn rs_gw_03_a_caller_cannot_hide_who_calls(proxy: Proxy) {
    let stage = Stage::behind(proxy).await;
    for hidden in
        ["Keybound-Subject", "keybound-jkt, Keybound-Scope", "DPoP", "Authorization", "X-Forwarded-For"]
    {
        let call = stage.good("GET", "/orders", "orders").await;
        let answer = call.field("Connection", &format!("keep-alive, {hidden}")).send().await;
        if answer.status.is_success() {
            let seen = stage.at_api.all().pop().expect("a request");
            assert_eq!(seen.one("keybound-subject"), "alice%20d'or", "{hidden}");
            for name in ["keybound-jkt", "keybound-scope", "keybound-issuer"] {
                assert_eq!(seen.header(name).len(), 1, "{hidden}: {seen:?}");
            }
        } else {
            assert!(answer.status.is_client_error(), "{hidden}: {answer:?}");
        }
    }
}

async fn rs_gw_11_atk_045_octets_that_no_path_holds_are_not_rewritten(proxy: Proxy) {
    let raw = "[[route]]\npath = \"/files\"\nraw_path = true\n";
    let stage = Stage::with(proxy, |text| format!("{text}\n{raw}")).await;
    for target in [
        "/orders/a\"b",
        "/orders/%3Badmin\"",
        "/orders/a|b",
        "/orders/a^b",
        "/orders/{a}",
        "/orders/[a]",
        "/files/a%2Fb",
        "/files/..%2Fadmin",
        "/files/..%2Fadmin|",
        "/files/%2e%2e%2Fadmin\"",
    ] {
        let answer = stage.good("GET", target, "orders").await.send().await;
        if answer.status.is_success() {
            let seen = stage.at_api.all().pop().expect("a request");
            assert_eq!(seen.target.to_string(), target, "judged by one path, served by another");
        } else {
            assert!(answer.status.is_client_error(), "{target}: {answer:?} {}", stage.complaints());
        }
    }
}
