//! Where the decision point is away, or not itself, or the proxy's own part breaks: nothing passes.

use crate::behind_each_proxy;
use crate::proxy::Proxy;
use crate::stage::Stage;
use std::time::Duration;

behind_each_proxy! {
    nobody_decides_and_nothing_passes
    what_is_no_yes_is_a_no
    who_does_not_answer_is_not_waited_for
}

/// Sends a good request, and sees that it does not get through.
async fn nothing_passes(stage: &Stage, why: &str) {
    let token = stage.token("orders");
    let proof = stage.proof("GET", "/orders", &token).sign(&stage.key);
    let answer = stage.call("GET", "/orders").credentials(&token, &proof).send().await;
    assert!(stage.at_api.all().is_empty(), "{why}: the API was called: {answer:?} {}", stage.complaints());
    assert_eq!(answer.header("x-api"), Vec::<String>::new(), "{why}: {answer:?}");
    assert!(!answer.status.is_success(), "{why}: {answer:?} {}", stage.complaints());
}

async fn nobody_decides_and_nothing_passes(proxy: Proxy) {
    let stage = Stage::without_decision(proxy).await;
    nothing_passes(&stage, "nobody listens").await;
    let token = stage.token("orders");
    let proof = stage.proof("GET", "/orders", &token).sign(&stage.key);
    let answer = stage.call("GET", "/orders").credentials(&token, &proof).send().await;
    assert!(answer.status.is_server_error(), "{answer:?}");
}

async fn what_is_no_yes_is_a_no(proxy: Proxy) {
    let long =
        format!("HTTP/1.1 200 OK\r\nKeybound-Scope: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(100_000));
    let end = "Content-Length: 0\r\n\r\n";
    for words in [
        String::new(),
        "what?\r\n\r\n".to_owned(),
        format!("HTTP/1.1 500 Oh\r\n{end}"),
        format!("HTTP/1.1 404 No\r\n{end}"),
        format!("HTTP/1.1 302 There\r\nLocation: /sorry.html\r\n{end}"),
        "HTTP/1.1 200 OK\r\nKeybound-Subj".to_owned(),
        long,
    ] {
        let why: String = words.chars().take(60).collect();
        let stage = Stage::with_words(proxy, words.into_bytes()).await;
        if why.contains("302") {
            let answer = stage.call("GET", "/orders").send().await;
            assert!(stage.at_api.all().is_empty() && !answer.status.is_success(), "{answer:?}");
        } else {
            nothing_passes(&stage, &why).await;
        }
    }
}

/// The proxies wait for five seconds.
async fn who_does_not_answer_is_not_waited_for(proxy: Proxy) {
    let stage = Stage::with_silence(proxy).await;
    let passed = tokio::time::timeout(Duration::from_secs(30), nothing_passes(&stage, "silence"));
    passed.await.unwrap_or_else(|_| panic!("it waits on: {}", stage.complaints()));
}

/// An action that breaks is over, and HAProxy goes on with the next rule.
#[tokio::test]
async fn haproxy_lets_nothing_pass_where_the_script_breaks() {
    let forget = |text: String| text.replace("set-var proc.keybound_decision", "set-var proc.something_else");
    let stage = Stage::with_proxy(Proxy::Haproxy, forget).await;
    nothing_passes(&stage, "the script breaks").await;
}
