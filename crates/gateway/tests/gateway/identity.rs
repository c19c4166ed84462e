//! What the upstream is told, and by whom (RS-GW-01 to 04, BCP-PRX).

use crate::world::{PUBLIC, Upstream, World};
use keybound_dpop::jose::signer::Signer;

#[tokio::test]
async fn rs_gw_01_callers_cannot_speak_for_the_gateway() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "").await;
    let spoofed = [
        "Keybound-Subject",
        "keybound_subject",
        "KEYBOUND_JKT",
        "Keybound-Scope",
        "keybound_client-id",
        "keybound.subject",
        "x.forwarded~for",
        "Keybound-Anything",
        "X-DPoP-JKT",
        "x_dpop_jkt",
        "X-Forwarded-For",
        "x_forwarded_host",
        "X-Forwarded-Port",
        "Forwarded",
        "Client-Cert",
        "client_cert_chain",
        "X-SSL-Client-Verify",
        "X-Real-IP",
        "X-Rewrite-URL",
        "X-Original-URI",
    ];
    let lines: String = spoofed.iter().map(|name| format!("{name}: spoofed\r\n")).collect();
    assert_eq!(world.get("/a", &format!("{lines}X-Mine: kept\r\n")).await.status, 200);
    let seen = upstream.only();
    for (name, value) in &seen.headers {
        assert_ne!(value, "spoofed", "{name}");
    }
    assert_eq!(seen.all("x-mine"), ["kept"]);
}

#[tokio::test]
async fn rs_gw_02_the_proof_names_the_public_url() {
    let upstream = Upstream::start(200, &[]).await;
    let rest = format!("upstream = \"http://{}\"\n[nonce]\nmode = \"off\"", upstream.address);
    let world = World::start_at(&format!("{PUBLIC}/v1"), &rest).await;
    let token = world.token();
    for (htu, status) in [("/v1/things", 200), ("/things", 401)] {
        let credentials = world.credentials_with(&token, "GET", htu, None);
        let request = format!("GET /things?a=b HTTP/1.1\r\nHost: internal:1\r\n{credentials}\r\n");
        assert_eq!(world.ask(&request).await.status, status, "{htu}");
    }
    let seen = upstream.only();
    assert_eq!(seen.target, "/things?a=b");
    assert_eq!(seen.all("x-forwarded-prefix"), ["/v1"]);
}

#[tokio::test]
async fn rs_gw_03_token_and_proof_stay_here() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "").await;
    assert_eq!(world.get("/a", "").await.status, 200);
    let seen = upstream.only();
    assert!(seen.all("authorization").is_empty() && seen.all("dpop").is_empty());
}

#[tokio::test]
async fn rs_gw_03_a_verifier_behind_us_gets_them_once_and_unchanged() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "forward_token = true\ndpop = \"allowed\"").await;
    let token = world.token();
    let proof = world.proof("GET", &format!("{PUBLIC}/a"), &token, None);
    let lines = format!("authorization: DPoP {token}\r\ndpop: {proof}\r\n");
    assert_eq!(world.ask(&format!("GET /a HTTP/1.1\r\nHost: h\r\n{lines}\r\n")).await.status, 200);
    let seen = upstream.only();
    assert_eq!(seen.all("authorization"), [format!("DPoP {token}")]);
    assert_eq!(seen.all("dpop"), [proof]);

    let bearer = world.token_of("https://issuer.example", "read", false);
    let stray = format!("Authorization: Bearer {bearer}\r\nDPoP: a\r\nDPoP: b\r\n");
    assert_eq!(world.ask(&format!("GET /a HTTP/1.1\r\nHost: h\r\n{stray}\r\n")).await.status, 200);
    let seen = upstream.seen();
    assert!(seen[1].all("dpop").is_empty(), "a proof that nobody looked at");
    assert_eq!(seen[1].all("authorization"), [format!("Bearer {bearer}")]);
}

#[tokio::test]
async fn rs_gw_03_connection_cannot_name_them() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "forward_token = true").await;
    for named in ["DPoP", "close, authorization"] {
        assert_eq!(world.get("/a", &format!("Connection: {named}\r\n")).await.status, 400, "{named}");
    }
    assert!(upstream.seen().is_empty());
    assert_eq!(world.get("/a", "Connection: x-mine\r\nX-Mine: 1\r\n").await.status, 200);
    assert!(upstream.only().all("x-mine").is_empty());
}

#[tokio::test]
async fn rs_gw_04_the_upstream_is_told_who_calls() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "").await;
    assert_eq!(world.get("/a", "").await.status, 200);
    let seen = upstream.only();
    let jkt = world.client_key.public_jwk().thumbprint().to_string();
    for (name, value) in [
        ("keybound-issuer", "https://issuer.example"),
        ("keybound-subject", "alice%20d'or%20%25"),
        ("keybound-client-id", "app"),
        ("keybound-scope", "read"),
        ("keybound-jkt", jkt.as_str()),
    ] {
        assert_eq!(seen.all(name), [value], "{name}");
    }
}

#[tokio::test]
async fn bcp_prx_01_forwarding_fields_are_ours() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "").await;
    let spoofed = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\n";
    assert_eq!(world.get("/a", spoofed).await.status, 200);
    let seen = upstream.only();
    assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.all("x-forwarded-proto"), ["https"]);
    assert_eq!(seen.all("x-forwarded-host"), ["api.example"]);
    assert_eq!(seen.all("forwarded"), ["for=127.0.0.1;host=\"api.example\";proto=https"]);
    assert_eq!(seen.all("host"), [upstream.address.to_string()]);
}

#[tokio::test]
async fn rs_dwn_03_a_bearer_caller_has_no_key() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "dpop = \"allowed\"").await;
    let token = world.token_of("https://issuer.example", "read", false);
    let request =
        format!("GET /a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nKeybound-Jkt: x\r\n\r\n");
    assert_eq!(world.ask(&request).await.status, 200);
    assert!(upstream.only().all("keybound-jkt").is_empty());
}
