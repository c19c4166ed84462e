//! Attacks on the proof that go by the way of a message: field lines, places, methods, hosts and paths, as they come in
//! over a socket. None reaches the upstream.

use crate::world::{Heard, PUBLIC, Upstream, World};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::time::Clock;
use keybound_dpop::token_hash::TokenHash;

/// An upstream and a gateway that takes bearer tokens beside bound ones: a proof that is overlooked would pass.
struct Stage {
    upstream: Upstream,
    world: World,
    token: String,
}

impl Stage {
    async fn new() -> Self {
        let upstream = Upstream::start(200, &[]).await;
        let world = World::start(upstream.address, "dpop = \"allowed\"").await;
        let token = world.token();
        Self { upstream, world, token }
    }

    /// A proof that is good for a GET of that path.
    fn good(&self, path: &str) -> String {
        self.proof("GET", path)
    }

    fn proof(&self, method: &str, path: &str) -> String {
        self.world.proof(method, &format!("{PUBLIC}{path}"), &self.token, None)
    }

    /// The same by a key that the token is not bound to.
    fn forged(&self, path: &str) -> String {
        let thief = SigningKey::generate(Algorithm::Es256).expect("a key");
        let (htu, iat) = (format!("{PUBLIC}{path}"), self.world.clock.unix());
        let (token, entropy) = (Some(TokenHash::of(&self.token)), [7; 16]);
        NewProof { method: "GET", htu: &htu, token, nonce: None, entropy, iat }.sign(&thief).expect("signed")
    }

    /// A request line, with the token and these lines, each with its line end.
    async fn ask(&self, line: &str, lines: &str) -> Heard {
        let token = &self.token;
        let host = if lines.contains("Host: ") { "" } else { "Host: api.example\r\n" };
        self.world.ask(&format!("{line} HTTP/1.1\r\n{host}Authorization: DPoP {token}\r\n{lines}\r\n")).await
    }

    /// `E-RS`, and the upstream saw nothing.
    #[track_caller]
    fn assert_refused(&self, heard: &Heard) {
        assert_eq!(heard.status, 401, "{heard:?}");
        let challenges = heard.all("www-authenticate");
        assert!(challenges[0].starts_with("DPoP error=\"invalid_dpop_proof\""), "{heard:?}");
        assert!(challenges[0].contains("algs="), "{heard:?}");
        assert_eq!(heard.all("cache-control"), ["no-store"]);
        assert!(self.upstream.seen().is_empty());
    }

    /// After all that, a good proof is let through.
    async fn end(&self) {
        let lines = format!("DPoP: {}\r\n", self.good("/a"));
        assert_eq!(self.ask("GET /a", &lines).await.status, 200);
        assert_eq!(self.upstream.only().target, "/a");
    }
}

#[tokio::test]
async fn atk_001_two_proofs() {
    let stage = Stage::new().await;
    let (good, forged) = (stage.good("/a"), stage.forged("/a"));
    for lines in [
        format!("DPoP: {good}\r\nDPoP: {forged}\r\n"),
        format!("DPoP: {forged}\r\nDPoP: {good}\r\n"),
        format!("DPoP: {good}\r\nX-Between: 1\r\ndpop: {good}\r\n"),
        format!("DPoP:\r\nDPoP: {good}\r\n"),
    ] {
        stage.assert_refused(&stage.ask("GET /a", &lines).await);
    }
    stage.end().await;
}

#[tokio::test]
async fn atk_002_proofs_that_a_proxy_joined() {
    let stage = Stage::new().await;
    let (good, forged) = (stage.good("/a"), stage.forged("/a"));
    for joined in
        [format!("{good}, {forged}"), format!("{forged},{good}"), format!("{good},"), format!(", {good}")]
    {
        stage.assert_refused(&stage.ask("GET /a", &format!("DPoP: {joined}\r\n")).await);
    }
    stage.end().await;
}

#[tokio::test]
async fn atk_003_an_empty_proof() {
    let stage = Stage::new().await;
    for empty in ["DPoP:\r\n", "DPoP: \r\n", "DPoP: \t \r\n", "dpop:\r\n"] {
        stage.assert_refused(&stage.ask("GET /a", empty).await);
    }
    stage.end().await;
}

#[tokio::test]
async fn atk_017_a_proof_in_another_place() {
    let stage = Stage::new().await;
    let proof = stage.good("/a");
    stage.assert_refused(&stage.ask(&format!("GET /a?dpop={proof}&DPoP={proof}"), "").await);
    stage.assert_refused(&stage.ask("GET /a", &format!("Cookie: dpop={proof}; DPoP={proof}\r\n")).await);
    stage.assert_refused(&stage.ask("GET /a", &format!("X-DPoP: {proof}\r\nDPoP-Proof: {proof}\r\n")).await);
    let proof = stage.proof("POST", "/a");
    let form = format!("dpop={proof}&DPoP={proof}");
    let lines = format!(
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stage.assert_refused(&stage.ask("POST /a", &lines).await);
    let chunked =
        format!("Transfer-Encoding: chunked\r\nTrailer: DPoP\r\n\r\n1\r\nx\r\n0\r\nDPoP: {proof}\r\n");
    stage.assert_refused(&stage.ask("POST /a", &chunked).await);
    stage.end().await;
}

#[tokio::test]
async fn atk_040_atk_041_a_method_that_is_another() {
    let stage = Stage::new().await;
    let override_lines = |proof: &str| {
        format!("DPoP: {proof}\r\nX-HTTP-Method-Override: DELETE\r\nX-Method-Override: DELETE\r\n")
    };
    let of_delete = stage.proof("DELETE", "/a");
    stage.assert_refused(&stage.ask("POST /a", &override_lines(&of_delete)).await);
    stage.assert_refused(&stage.ask("HEAD /a", &format!("DPoP: {}\r\n", stage.good("/a"))).await);
    stage.assert_refused(&stage.ask("GET /a", &format!("DPoP: {}\r\n", stage.proof("HEAD", "/a"))).await);
    let of_post = stage.proof("POST", "/a");
    assert_eq!(stage.ask("POST /a", &override_lines(&of_post)).await.status, 200);
    assert_eq!(stage.upstream.only().method, "POST");
}

#[tokio::test]
async fn atk_044_a_host_that_is_a_lie() {
    let stage = Stage::new().await;
    let of_evil = stage.world.proof("GET", "https://evil.example/a", &stage.token, None);
    for lie in [
        "Host: evil.example\r\n",
        "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n",
        "Forwarded: host=evil.example;proto=https\r\n",
        "X-Original-URL: https://evil.example/a\r\nX-Original-URI: https://evil.example/a\r\n",
    ] {
        stage.assert_refused(&stage.ask("GET /a", &format!("DPoP: {of_evil}\r\n{lie}")).await);
    }
    let lines = format!("Host: evil.example\r\nDPoP: {of_evil}\r\n");
    stage.assert_refused(&stage.ask("GET http://evil.example/a", &lines).await);
    stage.end().await;
}

#[tokio::test]
async fn atk_046_a_path_that_is_another() {
    let stage = Stage::new().await;
    for (made_for, sent) in [
        ("/admin%2Fdelete", "/admin/delete"),
        ("/Token", "/token"),
        ("/token", "/Token"),
        ("/token/", "/token"),
        ("/token", "/token/"),
        ("/a/%2e%2e/b", "/a"),
    ] {
        let lines = format!("DPoP: {}\r\n", stage.good(made_for));
        stage.assert_refused(&stage.ask(&format!("GET {sent}"), &lines).await);
    }
    let encoded = format!("DPoP: {}\r\n", stage.good("/admin/delete"));
    assert_eq!(stage.ask("GET /admin%2Fdelete", &encoded).await.status, 400);
    assert!(stage.upstream.seen().is_empty());
    stage.end().await;
}

#[tokio::test]
async fn atk_047_a_url_that_is_the_same() {
    let stage = Stage::new().await;
    for htu in ["https://API.example:443/a?x=1", "https://api.example/a", "HTTPS://api.example/a?b=2#c"] {
        let proof = stage.world.proof("GET", htu, &stage.token, None);
        assert_eq!(stage.ask("GET /a?b=2", &format!("DPoP: {proof}\r\n")).await.status, 200, "{htu}");
    }
    assert_eq!(stage.upstream.seen().len(), 3);
}

#[tokio::test]
async fn atk_053_the_whole_request_once_more() {
    let stage = Stage::new().await;
    let lines = format!("DPoP: {}\r\n", stage.good("/a"));
    assert_eq!(stage.ask("GET /a", &lines).await.status, 200);
    for again in ["GET /a", "GET /a?to=b"] {
        let heard = stage.ask(again, &lines).await;
        assert_eq!(heard.status, 401, "{heard:?}");
        assert!(
            heard.all("www-authenticate")[0].starts_with("DPoP error=\"invalid_dpop_proof\""),
            "{heard:?}"
        );
    }
    assert_eq!(stage.upstream.only().target, "/a");
}

#[tokio::test]
async fn atk_110_fields_that_speak_for_the_gateway() {
    let stage = Stage::new().await;
    let (good, forged) = (stage.good("/a"), stage.forged("/a"));
    let spoofed = "X-DPoP-JKT: victim\r\nX-Client-Cert: victim\r\nClient-Cert: :dmljdGlt:\r\nKeybound-Jkt: victim\r\n\
                   keybound_jkt: victim\r\nX-SSL-Client-Cert: victim\r\n";
    stage.assert_refused(&stage.ask("GET /a", &format!("{spoofed}DPoP: {good}, {forged}\r\n")).await);
    for named in ["DPoP", "close, authorization", "Keep-Alive, dpop"] {
        let lines = format!("{spoofed}Connection: {named}\r\nDPoP: {good}\r\n");
        let heard = stage.ask("GET /a", &lines).await;
        assert_eq!((heard.status, heard.all("connection")), (400, vec!["close"]), "{named}");
    }
    assert!(stage.upstream.seen().is_empty());
    assert_eq!(stage.ask("GET /a", &format!("{spoofed}DPoP: {good}\r\n")).await.status, 200);
    let seen = stage.upstream.only();
    for (name, value) in &seen.headers {
        assert!(!value.as_bytes().windows(6).any(|part| part == b"victim"), "{name}");
    }
    assert_eq!(seen.all("keybound-jkt").len(), 1);
}

#[tokio::test]
async fn atk_113_pages_of_others() {
    let upstream = Upstream::start(200, &[]).await;
    let cors = "[cors]\norigins = [\"https://app.example\"]";
    let world = World::start_at(PUBLIC, &format!("upstream = \"http://{}\"\n{cors}", upstream.address)).await;
    for (origin, allowed) in [("https://app.example", true), ("https://evil.example", false), ("null", false)]
    {
        let preflight = "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: dpop\r\n";
        for request in [
            format!("GET /a HTTP/1.1\r\nHost: h\r\nOrigin: {origin}\r\n\r\n"),
            format!("OPTIONS /a HTTP/1.1\r\nHost: h\r\nOrigin: {origin}\r\n{preflight}\r\n"),
            format!("GET /a//b HTTP/1.1\r\nHost: h\r\nOrigin: {origin}\r\n\r\n"),
        ] {
            let heard = world.ask(&request).await;
            let expected = if allowed { vec![origin] } else { Vec::new() };
            assert_eq!(heard.all("access-control-allow-origin"), expected, "{request}");
            assert!(heard.all("access-control-allow-credentials").is_empty());
            assert!(heard.all("vary").iter().any(|vary| vary.contains("Origin")), "{heard:?}");
        }
    }
    let challenged = world.get("/a", "Origin: https://app.example\r\n").await;
    assert_eq!((challenged.status, challenged.all("dpop-nonce").len()), (401, 1));
    let exposed = challenged.all("access-control-expose-headers").join(", ");
    assert!(exposed.contains("DPoP-Nonce") && exposed.contains("WWW-Authenticate"), "or no page could go on");
}

#[tokio::test]
async fn atk_114_caches_that_many_share() {
    let upstream = Upstream::start(200, &[("etag", "\"1\"")]).await;
    let world = World::start_at(PUBLIC, &format!("upstream = \"http://{}\"", upstream.address)).await;
    let challenge = world.get("/a", "").await;
    assert_eq!((challenge.status, challenge.all("cache-control")), (401, vec!["no-store"]));
    let nonce = challenge.all("dpop-nonce")[0];
    let ask = async || {
        let credentials = world.credentials_with(&world.token(), "GET", "/a", Some(nonce));
        world.ask(&format!("GET /a HTTP/1.1\r\nHost: h\r\n{credentials}\r\n")).await
    };
    let answer = ask().await;
    assert_eq!((answer.status, answer.all("cache-control")), (200, vec!["private"]));
    assert!(answer.all("vary")[0].contains("Authorization"));
    world.clock.turn(60);
    let renewed = ask().await;
    assert_eq!((renewed.all("dpop-nonce").len(), renewed.all("cache-control")), (1, vec!["no-store"]));
}
