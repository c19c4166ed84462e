use super::*;
use crate::client::Settings;
use crate::testing::{Server, answer};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::key_set::NamedKey;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::time::{Now, UnixTime};

#[derive(Debug, Default)]
struct HandClock(Mutex<Duration>);

impl HandClock {
    fn advance(&self, secs: u64) {
        *self.0.lock() += Duration::from_secs(secs);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Now {
        Now { unix: UnixTime::default(), monotonic: *self.0.lock() }
    }
}

/// What the publisher answers now; `None`: status 503.
type Published = Arc<Mutex<Option<String>>>;

struct World {
    server: Server,
    published: Published,
    clock: Arc<HandClock>,
    source: JwksSource,
}

impl World {
    async fn new(headers: &'static str) -> Self {
        let published: Published = Arc::new(Mutex::new(Some(key_set("k1"))));
        let answered = Arc::clone(&published);
        let server = Server::start(move |_| match &*answered.lock() {
            Some(body) => answer("200 OK", headers, body),
            None => answer("503 Service Unavailable", "", ""),
        })
        .await;
        let clock = Arc::new(HandClock::default());
        let fetcher = Fetcher::for_operator(&Settings::default()).expect("a client");
        let source = JwksSource::new(fetcher, server.url.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
        Self { server, published, clock, source }
    }

    fn publish(&self, body: Option<String>) {
        *self.published.lock() = body;
    }

    async fn has(&self, kid: &str) -> bool {
        self.source.keys(Some(kid)).await.expect("keys").has_kid(kid)
    }

    fn fetches(&self) -> usize {
        self.server.requests().len()
    }
}

fn key_set(kid: &str) -> String {
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let named = NamedKey { kid: Some(kid.to_owned()), algorithm: None, key: key.public_jwk().clone() };
    KeySet::of(vec![named]).to_json()
}

#[tokio::test]
async fn ops_key_07_keys_are_fetched_once_and_kept() {
    let world = World::new("").await;
    assert_eq!(world.fetches(), 0);
    let all = [world.source.keys(None), world.source.keys(Some("k1")), world.source.keys(Some("k1"))];
    for keys in futures_of(all).await {
        assert!(keys.expect("keys").has_kid("k1"));
    }
    assert_eq!(world.fetches(), 1);
    world.clock.advance(239);
    assert!(world.has("k1").await);
    assert_eq!(world.fetches(), 1);
}

/// Runs them all at once.
async fn futures_of<T>(all: [impl Future<Output = T>; 3]) -> [T; 3] {
    let [a, b, c] = all;
    tokio::join!(a, b, c).into()
}

#[tokio::test]
async fn as_ca_14_an_unknown_kid_has_the_keys_fetched_once() {
    let world = World::new("").await;
    assert!(world.has("k1").await);
    world.publish(Some(key_set("k2")));
    assert!(!world.has("k2").await, "not within the least interval");
    world.clock.advance(10);
    let all = [world.source.keys(Some("k2")), world.source.keys(Some("k2")), world.source.keys(Some("k2"))];
    for keys in futures_of(all).await {
        assert!(keys.expect("keys").has_kid("k2"));
    }
    assert_eq!(world.fetches(), 2);
}

#[tokio::test]
async fn ops_key_07_atk_147_made_up_kids_do_not_flood_the_publisher() {
    let world = World::new("").await;
    assert!(world.has("k1").await);
    for n in 0..100 {
        assert!(!world.has(&format!("made-up-{n}")).await);
    }
    assert_eq!(world.fetches(), 1);
    world.clock.advance(10);
    for _ in 0..3 {
        assert!(!world.has("made-up").await);
        world.clock.advance(10);
    }
    assert_eq!(world.fetches(), 2, "the same one is not asked for again");
    world.clock.advance(60);
    assert!(!world.has("made-up").await);
    assert_eq!(world.fetches(), 3, "until it may have appeared");
}

#[tokio::test]
async fn ops_key_07_old_keys_are_served_while_the_publisher_is_away() {
    let world = World::new("").await;
    assert!(world.has("k1").await);
    world.publish(None);
    world.clock.advance(301);
    assert!(world.has("k1").await && world.has("k1").await);
    assert_eq!(world.fetches(), 2, "one try, then an interval");
    world.clock.advance(24 * 60 * 60);
    let error = world.source.keys(Some("k1")).await.expect_err("too old");
    assert!(matches!(error, FetchError::Status { status: 503, .. }), "{error}");
    world.publish(Some(key_set("k2")));
    world.clock.advance(1);
    assert!(world.has("k2").await);
}

#[tokio::test]
async fn a_publisher_that_was_never_there_is_asked_again_after_a_second() {
    let world = World::new("").await;
    world.publish(None);
    for _ in 0..3 {
        assert!(world.source.keys(None).await.is_err());
    }
    assert_eq!(world.fetches(), 1);
    world.publish(Some(key_set("k1")));
    world.clock.advance(1);
    assert!(world.has("k1").await);
}

#[tokio::test]
async fn ops_key_07_keys_are_renewed_ahead_of_their_end() {
    let world = World::new("cache-control: public, max-age=1000\r\n").await;
    assert!(world.has("k1").await);
    world.publish(Some(key_set("k2")));
    world.clock.advance(799);
    assert!(world.has("k1").await);
    assert_eq!(world.fetches(), 1);
    world.clock.advance(1);
    assert!(world.has("k1").await, "served at once");
    let renewed = async {
        while !world.source.keys(None).await.expect("keys").has_kid("k2") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), renewed).await.expect("renewed");
    assert_eq!(world.fetches(), 2);
}

#[test]
fn max_age_is_held_within_bounds() {
    for (line, secs) in [
        ("max-age=600", 600),
        ("public, Max-Age=\"600\", must-revalidate", 600),
        ("max-age=0", 60),
        ("max-age=999999999", 3600),
        ("no-store", 300),
        ("max-age=x", 300),
        ("s-maxage=600", 300),
    ] {
        let mut headers = http::HeaderMap::new();
        headers.insert(CACHE_CONTROL, line.parse().expect("a value"));
        let fetched = Fetched { headers, body: bytes::Bytes::new() };
        assert_eq!(fresh_for(&fetched), Duration::from_secs(secs), "{line}");
    }
}

#[tokio::test]
async fn ops_key_07_hostile_publishers() {
    let private = r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#.to_owned();
    let many = format!("{{\"keys\":[{}]}}", vec![r#"{"kty":"XX"}"#; 101].join(","));
    let large = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(64 * 1024));
    for body in [private, many, large, "<html>".to_owned(), String::new()] {
        let world = World::new("").await;
        world.publish(Some(body.clone()));
        let error = world.source.keys(None).await.expect_err("refused");
        assert!(matches!(error, FetchError::Document { .. } | FetchError::TooLarge { .. }), "{error}");
    }
}
