//! What does not go through, and what the caller is told.

use crate::behind_each_proxy;
use crate::proxy::Proxy;
use crate::stage::Stage;
use keybound_e2e::Answer;
use keybound_e2e::forge::new_key;

behind_each_proxy! {
    rs_chl_01_rs_chl_09_challenges_arrive_each_on_its_line
    rs_non_01_a_nonce_is_asked_for_and_then_enough
    dpop_jti_04_dpop_cnf_01_dpop_hdr_04_proofs_that_are_not_good
    rs_chl_05_rs_chk_05_rs_chk_02_the_true_status_arrives
}

/// Status, error, and that nobody keeps it and the API has not heard of it.
#[track_caller]
fn refused(stage: &Stage, answer: &Answer) -> (u16, String) {
    assert!(stage.at_api.all().is_empty(), "the API was called: {answer:?}");
    assert!(answer.header("cache-control").iter().any(|line| line.contains("no-store")), "{answer:?}");
    assert_eq!(answer.header("keybound-subject"), Vec::<String>::new(), "{answer:?}");
    let error = answer.challenges().first().and_then(|first| first.get("error").map(str::to_owned));
    (answer.status.as_u16(), error.unwrap_or_default())
}

async fn rs_chl_01_rs_chl_09_challenges_arrive_each_on_its_line(proxy: Proxy) {
    let stage = Stage::behind(proxy).await;
    let answer = stage.call("GET", "/orders").send().await;
    assert_eq!(refused(&stage, &answer), (401, String::new()), "{}", stage.complaints());
    let [only] = &answer.header("www-authenticate")[..] else { panic!("one line: {answer:?}") };
    assert!(only.starts_with("DPoP ") && only.contains("algs=\""), "{answer:?}");
    assert!(answer.header("dpop-nonce").len() == 1, "{answer:?}");

    let stage = Stage::with(proxy, |text| text.replace("issuer = ", "dpop = \"allowed\"\nissuer = ")).await;
    let nothing = stage.call("GET", "/orders").send().await;
    let unreadable = stage.call("GET", "/orders").field("Authorization", ",").send().await;
    let token = stage.token("");
    let small = stage.call("GET", "/orders").field("Authorization", &format!("Bearer {token}")).send().await;
    for (answer, status) in [(nothing, 401), (unreadable, 400), (small, 401)] {
        assert_eq!(refused(&stage, &answer).0, status, "{answer:?}");
        let lines = answer.header("www-authenticate");
        let schemes: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(schemes, ["DPoP", "Bearer"], "{answer:?}");
    }
}

async fn rs_non_01_a_nonce_is_asked_for_and_then_enough(proxy: Proxy) {
    let stage = Stage::behind(proxy).await;
    let token = stage.token("orders");
    let proof = stage.proof("GET", "/orders", &token);
    let answer = stage.call("GET", "/orders").credentials(&token, &proof.sign(&stage.key)).send().await;
    assert_eq!(refused(&stage, &answer), (401, "use_dpop_nonce".to_owned()), "{answer:?}");
    let proof = proof.nonce(&answer.nonce()).sign(&stage.key);
    let answer = stage.call("GET", "/orders").credentials(&token, &proof).send().await;
    assert_eq!(answer.status, 200, "{answer:?} {}", stage.complaints());
}

async fn dpop_jti_04_dpop_cnf_01_dpop_hdr_04_proofs_that_are_not_good(proxy: Proxy) {
    let stage = Stage::behind(proxy).await;
    let (token, nonce) = (stage.token("orders"), stage.nonce().await);
    let good = || stage.proof("GET", "/orders", &token).nonce(&nonce).sign(&stage.key);
    let call = |proof: &str| stage.call("GET", "/orders").credentials(&token, proof);
    let invalid = |error: &str| (401, error.to_owned());

    let two = call(&good()).field("DPoP", &good()).send().await;
    assert_eq!(refused(&stage, &two), invalid("invalid_dpop_proof"), "{two:?}");
    let joined = call(&format!("{}, {}", good(), good())).send().await;
    assert_eq!(refused(&stage, &joined), invalid("invalid_dpop_proof"), "{joined:?}");
    let none = stage.call("GET", "/orders").field("Authorization", &format!("DPoP {token}")).send().await;
    assert_eq!(refused(&stage, &none), invalid("invalid_dpop_proof"), "{none:?}");
    let thief = new_key();
    let stolen = keybound_e2e::Forge::new(&thief, "GET", &format!("{}/orders", stage.origin), now(&stage));
    let stolen = call(&stolen.token(&token).nonce(&nonce).sign(&thief)).send().await;
    assert_eq!(refused(&stage, &stolen), invalid("invalid_token"), "{stolen:?}");
    for (name, other) in [("htm", "POST".to_owned()), ("htu", format!("{}/admin", stage.origin))] {
        let proof = stage.proof("GET", "/orders", &token).nonce(&nonce).claim(name, other).sign(&stage.key);
        let answer = call(&proof).send().await;
        assert_eq!(refused(&stage, &answer), invalid("invalid_dpop_proof"), "{name}: {answer:?}");
    }

    let proof = good();
    assert_eq!(call(&proof).send().await.status, 200, "{}", stage.complaints());
    let again = call(&proof).send().await;
    assert_eq!(again.status, 401, "{again:?}");
    assert_eq!(again.challenges()[0].get("error"), Some("invalid_dpop_proof"));
    assert_eq!(stage.at_api.all().len(), 1, "a proof counts once");
}

fn now(stage: &Stage) -> keybound_dpop::time::UnixTime {
    keybound_dpop::time::Clock::now(&*stage.clock).unix
}

async fn rs_chl_05_rs_chk_05_rs_chk_02_the_true_status_arrives(proxy: Proxy) {
    let stage = Stage::behind(proxy).await;
    let token = stage.token("orders");
    let bad = stage.call("GET", "/orders").field("Authorization", "DPoP a b").send().await;
    assert_eq!(refused(&stage, &bad), (400, "invalid_request".to_owned()), "{bad:?} {}", stage.complaints());
    let twice = stage.call("GET", "/orders").field("Authorization", &format!("DPoP {token}"));
    let twice = twice.field("Authorization", &format!("DPoP {token}")).send().await;
    // Some proxies refuse this by themselves.
    assert_eq!(twice.status, 400, "{twice:?}");
    let in_query = stage.good("GET", "/orders?access_token=x", "orders").await.send().await;
    assert_eq!(refused(&stage, &in_query), (400, "invalid_request".to_owned()), "{in_query:?}");
    let small = stage.good("GET", "/orders", "less").await.send().await;
    assert_eq!(refused(&stage, &small), (403, "insufficient_scope".to_owned()), "{small:?}");
    assert_eq!(small.challenges()[0].get("scope"), Some("orders"), "{small:?}");

    let nowhere = |text: String| {
        let from = text.find("issuer = ").expect("an issuer");
        let end = from + text[from..].find('\n').expect("a line");
        format!("{}issuer = \"http://127.0.0.1:9\"{}", &text[..from], &text[end..])
    };
    let stage = Stage::with(proxy, nowhere).await;
    let token = stage.token_with("", |claims| claims["iss"] = "http://127.0.0.1:9".into());
    let proof = stage.proof("GET", "/", &token).sign(&stage.key);
    let away = stage.call("GET", "/").credentials(&token, &proof).send().await;
    assert_eq!(refused(&stage, &away).0, 503, "{away:?}");
    assert_eq!(away.header("retry-after").len(), 1, "{away:?}");
}
