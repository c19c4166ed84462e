//! The guard as a layer: what reaches the service, what the answer carries, pages of other origins, the log.

use crate::world::{URL, World, dpop, get};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use keybound_dpop::nonce::NonceKeys;
use keybound_oauth::scope::Scope;
use keybound_resource::{Access, Cors, GuardLayer, GuardedBody, PublicUrl, RequireScopeLayer};
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use tower::{Layer, Service, ServiceExt, service_fn};

type Answer = Response<GuardedBody<Full<Bytes>>>;

/// A service that counts its calls, behind the guard; it answers with these fields.
struct Behind {
    calls: Arc<AtomicUsize>,
    layer: GuardLayer,
    fields: Vec<(&'static str, &'static str)>,
}

impl Behind {
    fn new(world: &World, cors: Option<Cors>) -> Self {
        let layer = GuardLayer::new(Arc::clone(&world.guard), public());
        let layer = match cors {
            Some(cors) => layer.with_cors(cors),
            None => layer,
        };
        Self { calls: Arc::default(), layer, fields: Vec::new() }
    }

    fn answering(mut self, fields: &[(&'static str, &'static str)]) -> Self {
        self.fields = fields.to_vec();
        self
    }

    async fn call(&self, request: Request<()>) -> Answer {
        let (calls, fields) = (Arc::clone(&self.calls), self.fields.clone());
        let inner = service_fn(move |request: Request<()>| {
            calls.fetch_add(1, Ordering::SeqCst);
            assert!(request.extensions().get::<Access>().is_some());
            let mut response = Response::builder();
            for (name, value) in &fields {
                response = response.header(*name, *value);
            }
            async move { Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).expect("a response")) }
        });
        let mut service = self.layer.layer(inner);
        service.ready().await.expect("ready").call(request).await.expect("answered")
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn public() -> PublicUrl {
    PublicUrl::parse("https://api.example").expect("a URL")
}

fn good(world: &World, more: &[(&str, &str)]) -> Request<()> {
    let token = world.token();
    let proof = world.proof_with(&world.client_key, &token, world.guard.nonce().as_ref());
    let mut request = dpop(&token, &proof);
    for (name, value) in more {
        let name = http::HeaderName::try_from(*name).expect("a name");
        request.headers_mut().append(name, value.parse().expect("a value"));
    }
    request
}

fn preflight() -> Request<()> {
    let mut request = get(&[
        ("origin", "https://app.example"),
        ("access-control-request-method", "PATCH"),
        ("access-control-request-headers", "dpop, x-mine"),
    ]);
    *request.method_mut() = http::Method::OPTIONS;
    request
}

fn lines(response: &Answer, name: &str) -> Vec<String> {
    let values = response.headers().get_all(name).iter();
    values.map(|value| value.to_str().expect("ASCII").to_owned()).collect()
}

#[tokio::test]
async fn rs_chk_06_the_service_runs_for_good_requests_only() {
    let world = World::new();
    let behind = Behind::new(&world, None);
    assert_eq!(behind.call(good(&world, &[])).await.status(), 200);
    assert_eq!(behind.calls(), 1);
    let mut other_host = good(&world, &[("host", "evil.example"), ("x-forwarded-host", "evil.example")]);
    *other_host.uri_mut() = "http://evil.example/things".parse().expect("a URI");
    assert_eq!(behind.call(other_host).await.status(), 200, "the configured origin counts, and no other");
    assert_eq!(behind.calls(), 2);
    let long = format!("/{}", "a".repeat(3000));
    for request in
        [get(&[]), dpop("a", "b"), get(&[("authorization", "DPoP")]), crate::world::get_at(&long, &[])]
    {
        assert!(behind.call(request).await.status().is_client_error());
    }
    assert_eq!(behind.calls(), 2);
}

#[tokio::test]
async fn dpop_htu_12_a_proof_for_another_host_is_refused() {
    let world = World::new();
    let token = world.token();
    let proof = world.proof_for("GET", "https://evil.example/things", &world.client_key, &token, None);
    let request =
        get(&[("authorization", &format!("DPoP {token}")), ("dpop", &proof), ("host", "evil.example")]);
    assert_eq!(Behind::new(&world, None).call(request).await.status(), 401);
}

#[tokio::test]
async fn dpop_htu_14_a_prefix_taken_away_in_front_of_us_is_restored() {
    let world = World::new();
    let public = PublicUrl::parse("https://api.example/v1").expect("a URL");
    let layer = GuardLayer::new(Arc::clone(&world.guard), public);
    let token = world.token();
    for (htu, status) in [("https://api.example/v1/things", 200), (URL, 401)] {
        let inner =
            service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
        let request = dpop(&token, &world.proof_for("GET", htu, &world.client_key, &token, None));
        assert_eq!(layer.layer(inner).oneshot(request).await.expect("answered").status(), status);
    }
}

#[tokio::test]
async fn rs_non_05_a_preflight_needs_no_token_and_any_other_options_does() {
    let world = World::new();
    let behind = Behind::new(&world, Some(Cors::any()));
    assert_eq!(behind.call(preflight()).await.status(), 204);
    for missing in ["origin", "access-control-request-method"] {
        let mut request = preflight();
        request.headers_mut().remove(missing);
        assert_eq!(behind.call(request).await.status(), 401, "{missing}");
    }
    for method in ["HEAD", "GET", "DELETE"] {
        let mut request = preflight();
        *request.method_mut() = method.parse().expect("a method");
        assert_eq!(behind.call(request).await.status(), 401, "{method}");
    }
    assert_eq!(behind.calls(), 0);
}

#[tokio::test]
async fn ops_cors_01_without_configuration_there_is_none() {
    let world = World::new();
    let behind = Behind::new(&world, None);
    assert_eq!(behind.call(preflight()).await.status(), 401);
    let response = behind.call(good(&world, &[("origin", "https://app.example")])).await;
    assert!(!response.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn ops_cors_02_pages_can_send_and_read_what_dpop_needs() {
    let world = World::new();
    let behind = Behind::new(&world, Some(Cors::any())).answering(&[
        ("access-control-expose-headers", "X-Total, dpop-nonce"),
        ("access-control-expose-headers", "ETag"),
    ]);
    let response = behind.call(preflight()).await;
    assert_eq!(
        lines(&response, "access-control-allow-headers"),
        ["DPoP, Authorization, Content-Type, x-mine"]
    );
    assert_eq!(lines(&response, "access-control-allow-methods"), ["PATCH"]);
    assert_eq!(lines(&response, "access-control-allow-origin"), ["*"]);
    let response = behind.call(good(&world, &[("origin", "https://app.example")])).await;
    assert_eq!(
        lines(&response, "access-control-expose-headers"),
        ["DPoP-Nonce, WWW-Authenticate, X-Total, ETag"]
    );
}

#[tokio::test]
async fn rs_chl_12_refusals_can_be_read_by_pages() {
    let world = World::with(|_| {});
    let behind = Behind::new(&world, Some(Cors::only(&["https://app.example".to_owned()]).expect("origins")));
    let response = behind.call(get(&[("origin", "https://app.example")])).await;
    assert_eq!(response.status(), 401);
    assert_eq!(lines(&response, "access-control-allow-origin"), ["https://app.example"]);
    assert_eq!(lines(&response, "access-control-expose-headers"), ["DPoP-Nonce, WWW-Authenticate"]);
    assert_eq!(lines(&response, "dpop-nonce").len(), 1);
}

#[tokio::test]
async fn ops_cors_03_every_status_carries_the_same_fields() {
    let world = World::new();
    let behind = Behind::new(&world, Some(Cors::any()));
    let origin = ("origin", "https://app.example");
    let small = ("authorization", "DPoP");
    for request in [get(&[origin]), get(&[origin, small]), good(&world, &[origin])] {
        let response = behind.call(request).await;
        assert_eq!(lines(&response, "access-control-allow-origin"), ["*"], "{}", response.status());
        assert_eq!(lines(&response, "access-control-expose-headers"), ["DPoP-Nonce, WWW-Authenticate"]);
    }
}

#[tokio::test]
async fn ops_cors_04_other_origins_get_nothing_and_nobody_sends_cookies() {
    let world = World::new();
    let cors = Cors::only(&["https://app.example".to_owned()]).expect("origins");
    let behind = Behind::new(&world, Some(cors)).answering(&[
        ("access-control-allow-origin", "https://evil.example"),
        ("access-control-allow-credentials", "true"),
    ]);
    let response = behind.call(good(&world, &[("origin", "https://evil.example")])).await;
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    assert!(!response.headers().contains_key("access-control-allow-credentials"));
    let mut asked = preflight();
    asked.headers_mut().insert("origin", "https://evil.example".parse().expect("a value"));
    assert!(!behind.call(asked).await.headers().contains_key("access-control-allow-origin"));
    for bad in ["app.example", "https://app.example/", "https://app.example/x", "HTTPS://app.example"] {
        assert!(Cors::only(&[bad.to_owned()]).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn ops_cors_05_answers_vary_by_origin_and_preflights_end() {
    let world = World::new();
    let behind = Behind::new(&world, Some(Cors::any()));
    let response = behind.call(preflight()).await;
    assert_eq!(lines(&response, "vary"), ["Origin"]);
    assert_eq!(lines(&response, "access-control-max-age"), ["600"]);
    assert!(lines(&behind.call(get(&[])).await, "vary").contains(&"Origin".to_owned()));
}

#[tokio::test]
async fn ops_cache_02_an_answer_with_a_nonce_is_not_stored() {
    let world = World::with(|config| config.nonce = Some(NonceKeys::new([1; 32], "resource", None)));
    let request = good(&world, &[]);
    world.clock.turn(60);
    let behind = Behind::new(&world, None).answering(&[("cache-control", "max-age=60"), ("dpop-nonce", "x")]);
    let response = behind.call(request).await;
    assert_eq!(lines(&response, "dpop-nonce"), [world.guard.nonce().expect("a nonce").as_str()]);
    assert_eq!(lines(&response, "cache-control"), ["no-store"]);
}

#[tokio::test]
async fn ops_cache_03_answers_are_private_unless_the_service_says_otherwise() {
    let world = World::new();
    let response = Behind::new(&world, None).call(good(&world, &[])).await;
    assert_eq!(lines(&response, "cache-control"), ["private"]);
    assert_eq!(lines(&response, "vary"), ["Authorization, DPoP"]);
    let behind =
        Behind::new(&world, None).answering(&[("cache-control", "public, max-age=5"), ("vary", "Accept")]);
    let response = behind.call(good(&world, &[])).await;
    assert_eq!(lines(&response, "cache-control"), ["public, max-age=5"]);
    assert_eq!(lines(&response, "vary"), ["Accept", "Authorization, DPoP"]);
}

#[tokio::test]
async fn as_non_04_one_nonce_also_when_the_service_brings_two() {
    let world = World::new();
    let behind = Behind::new(&world, None).answering(&[("dpop-nonce", "a"), ("dpop-nonce", "b")]);
    let response = behind.call(good(&world, &[])).await;
    assert_eq!(lines(&response, "dpop-nonce"), ["a"]);
    assert_eq!(lines(&response, "cache-control"), ["no-store"]);
}

#[tokio::test]
async fn rs_chk_05_a_route_can_want_a_scope() {
    let world = World::new();
    for (scope, status) in [("read", 200), ("admin", 403)] {
        let needed = Scope::parse(scope).expect("a scope");
        let inner =
            service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
        let inner = RequireScopeLayer::new(Arc::clone(&world.guard), needed).layer(inner);
        let service = GuardLayer::new(Arc::clone(&world.guard), public()).layer(inner.clone());
        let response = service.oneshot(good(&world, &[])).await.expect("answered");
        assert_eq!(response.status(), status);
        assert_eq!(
            inner.oneshot(good(&world, &[])).await.expect("answered").status(),
            500,
            "no guard in front"
        );
    }
}

/// A second subscriber, which hears nothing: where there is one only, whether an event is of interest is asked of the
/// thread that comes by it first, and remembered for all.
static SILENT: LazyLock<tracing::Dispatch> =
    LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));

/// What this thread logs.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        LazyLock::force(&SILENT);
        let captured = Self::default();
        let writer = captured.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (captured, tracing::subscriber::set_default(subscriber))
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn ops_log_01_bcp_tok_03_each_refusal_is_one_event_without_secrets() {
    let (captured, _subscribed) = Captured::listen();
    let world = World::with(|_| {});
    let token = world.token();
    let proof = world.proof(&token);
    let nonce = world.guard.nonce().expect("a nonce");
    world.refused(dpop(&token, &proof)).await;
    world.refused(get(&[("authorization", &format!("Bearer {token}"))])).await;
    let with_nonce = world.proof_with(&world.client_key, &token, Some(&nonce));
    assert!(world.check(dpop(&token, &with_nonce)).await.is_ok());
    world.refused(dpop(&token, &with_nonce)).await;
    let log = String::from_utf8(captured.0.lock().expect("a lock").clone()).expect("UTF-8");
    let events: Vec<&str> = log.lines().collect();
    assert_eq!(events.len(), 3, "{log}");
    for (line, row) in events.iter().zip(["DPOP-NON-01", "RS-DWN-01", "DPOP-JTI-04"]) {
        assert!(line.contains(" audit: ") && line.contains(row), "{line}");
    }
    for secret in [token.as_str(), proof.as_str(), with_nonce.as_str(), nonce.as_str()] {
        assert!(!log.contains(secret));
    }
}

#[tokio::test]
async fn ops_log_04_atk_144_what_came_is_escaped() {
    let (captured, _subscribed) = Captured::listen();
    let world = World::new();
    let token = world.token();
    let claims =
        serde_json::json!({ "jti": "1", "htm": "GET\r\n\u{1b}[31m", "htu": URL, "iat": world.now() });
    world.refused(dpop(&token, &world.odd_proof(&claims))).await;
    let mut odd = world.claims();
    odd["iss"] = "https://x\r\n\u{1b}[31m".into();
    let token = world.sign(&odd);
    world.refused(dpop(&token, &world.proof(&token))).await;
    let log = captured.0.lock().expect("a lock").clone();
    assert_eq!(log.iter().filter(|byte| **byte == b'\n').count(), 2);
    assert!(!log.contains(&0x1b) && !log.contains(&b'\r'));
    assert!(String::from_utf8_lossy(&log).contains("u{1b}"));
}
