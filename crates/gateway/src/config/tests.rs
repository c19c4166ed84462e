use super::*;
use crate::route::{Identity, Rule};
use http::Method;
use keybound_resource::WithoutReplayLog;

const MINIMAL: &str = "public_url = \"https://api.example\"\nissuer = \"https://issuer.example\"\n";

fn with(more: &str) -> Result<Config, ConfigError> {
    Config::parse(&format!("{MINIMAL}{more}"))
}

fn refused(more: &str) -> String {
    with(more).expect_err(more).to_string()
}

#[test]
fn three_lines_are_enough_and_mean_the_strictest() {
    let config = with("upstream = \"http://127.0.0.1:3000\"").expect("a configuration");
    assert_eq!(config.dpop, DpopUse::Required);
    assert!(config.nonces && config.cors.is_none());
    assert_eq!(config.audience, ["https://api.example/", "https://api.example"]);
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert!(matches!(config.issuers.as_slice(), [IssuerConfig { keys: KeysFrom::Metadata, .. }]));
    let [route] = config.routes.as_slice() else { panic!("one route") };
    assert_eq!((route.path.as_str(), route.forward_token, route.raw_path), ("", false, false));
}

#[test]
fn everything_that_can_be_said() {
    let config = Config::parse(
        r#"
        public_url = "https://api.example/v1"
        listen = "127.0.0.1:0"
        admin = "127.0.0.1:0"
        audience = ["https://api.example/v1"]
        dpop = "allowed"
        realm = "things"
        upstream = "http://localhost:3000"
        scopes = ["api"]
        [[issuer]]
        url = "https://one.example"
        jwks_uri = "https://one.example/keys"
        [[issuer]]
        url = "https://two.example"
        tokens = "jwt"
        [tls]
        certificate = "a.pem"
        key = "k.pem"
        [nonce]
        mode = "off"
        [proof]
        algorithms = ["ES256"]
        window_secs = 60
        [cors]
        origins = ["https://app.example"]
        [timeout]
        connect_secs = 1
        answer_secs = 2
        [[route]]
        path = "/admin"
        upstream = "http://10.0.0.1"
        trusted_network = true
        scopes = ["admin"]
        forward_token = true
        raw_path = true
        "#,
    )
    .expect("a configuration");
    assert_eq!(config.dpop, DpopUse::Allowed);
    assert!(!config.nonces && config.cors.is_some());
    assert_eq!(config.proof.algorithms.algs(), "ES256");
    assert_eq!(config.proof.past_window_secs, 60);
    assert_eq!(
        config.issuers.iter().map(|i| i.tokens).collect::<Vec<_>>(),
        [TokenProfile::Rfc9068, TokenProfile::Jwt]
    );
    let [admin, all] = config.routes.as_slice() else { panic!("two routes") };
    assert_eq!((admin.path.as_str(), scope(admin).as_str()), ("/admin", "api admin"));
    assert_eq!(admin.upstream.as_ref().expect("an upstream").name(), "http://10.0.0.1");
    assert_eq!((admin.answer_timeout.as_secs(), admin.idle_timeout.as_secs()), (2, 300));
    assert!(admin.forward_token && admin.raw_path);
    assert_eq!((all.path.as_str(), scope(all).as_str()), ("", "api"));
}

/// The scope that a route asks for.
fn scope(route: &Route) -> String {
    let Rule::Guarded(demand) = &route.rule else { panic!("guarded") };
    demand.scope.to_string()
}

const EVERY_KEY_OF_A_ROUTE: &str = r#"
    upstream = "http://127.0.0.1:3000"
    identity = "none"
    max_body_bytes = 1000
    [timeout]
    answer_secs = 7
    [upstreams.orders]
    url = ["https://10.0.0.1:8443/v2", "http://10.0.0.2"]
    http2 = true
    trusted_network = true
    [[route]]
    path = "/orders/"
    upstream = "orders"
    strip_prefix = true
    methods = ["GET", "POST"]
    dpop = "allowed"
    nonce = "off"
    scopes = ["orders"]
    audience = "https://orders.example"
    acr_values = ["gold", "silver"]
    max_age_secs = 60
    without_replay_log = "nonce"
    identity = "assertion"
    upgrade = []
    max_body_bytes = 5
    timeout = { connect_secs = 1, answer_secs = 2, idle_secs = 3 }
    [[route]]
    path = "/health"
    public = true
    [[route]]
    path = "/new"
    dpop = "observe"
"#;

#[test]
fn everything_that_can_be_said_of_a_route() {
    let config = with(EVERY_KEY_OF_A_ROUTE).expect("a configuration");
    let [orders, health, new, all] = config.routes.as_slice() else { panic!("four routes") };
    let (orders, health) = if orders.path == "/orders" { (orders, health) } else { (health, orders) };
    let Rule::Guarded(demand) = &orders.rule else { panic!("guarded") };
    assert_eq!(
        (demand.dpop, demand.nonces, demand.without_replay_log),
        (DpopUse::Allowed, false, WithoutReplayLog::Nonce)
    );
    assert_eq!(demand.audience.as_deref(), Some(["https://orders.example".to_owned()].as_slice()));
    let authentication = demand.authentication.as_ref().expect("how to sign in");
    assert_eq!((authentication.acr_values.len(), authentication.max_age_secs), (2, Some(60)));
    assert_eq!((orders.identity, orders.stripped()), (Identity::Assertion, "/orders"));
    assert!(orders.takes(&Method::POST) && !orders.takes(&Method::PUT) && orders.upgrades.is_empty());
    assert_eq!(
        (orders.max_body_bytes, orders.answer_timeout.as_secs(), orders.idle_timeout.as_secs()),
        (Some(5), 2, 3)
    );
    let upstream = orders.upstream.as_ref().expect("an upstream");
    assert_eq!((upstream.name(), upstream.is_several()), ("https://10.0.0.1:8443/v2", true));

    assert_eq!((health.path.as_str(), &health.rule), ("/health", &Rule::Public));
    assert!(matches!((new.path.as_str(), &new.rule), ("/new", Rule::Observed(demand)) if demand.nonces));
    assert_eq!(
        (all.identity, all.max_body_bytes, all.answer_timeout.as_secs()),
        (Identity::Nothing, Some(1000), 7)
    );
    assert_eq!(all.upgrades, ["websocket"]);
    let shared = |one: &Route, other: &Route| {
        std::sync::Arc::ptr_eq(one.upstream.as_ref().expect("one"), other.upstream.as_ref().expect("one"))
    };
    assert!(shared(health, all) && shared(new, all) && !shared(orders, all));
}

#[test]
fn unknown_keys_are_refused_with_their_line() {
    let error = refused("upstream = \"http://127.0.0.1:1\"\nupstraem = \"x\"");
    assert!(error.contains("line 4") && error.contains("upstraem"), "{error}");
    let error = refused("[[route]]\npath = \"/\"\nscope = \"x\"");
    assert!(error.contains("line 5") && error.contains("scope"), "{error}");
    let error = Config::parse("public_url = \"https://a\"\n[[issuer]]\nurl = \"https://i\"\nkeys = 1");
    let error = error.expect_err("refused").to_string();
    assert!(error.contains("line 4") && error.contains("keys"), "{error}");
}

#[test]
fn bcp_prx_02_an_upstream_on_another_machine_needs_a_word() {
    assert!(refused("upstream = \"http://10.0.0.1:80\"").contains("trusted_network"));
    assert!(with("upstream = \"http://10.0.0.1:80\"\ntrusted_network = true").is_ok());
    for bad in ["ftp://127.0.0.1", "http://127.0.0.1/?a", "http://u:p@127.0.0.1", "127.0.0.1:80"] {
        assert!(with(&format!("upstream = \"{bad}\"")).is_err(), "{bad}");
    }
}

#[test]
fn atk_148_what_would_be_unsafe_does_not_start() {
    let upstream = "upstream = \"http://127.0.0.1:1\"\n";
    for (more, told) in [
        ("audience = []", "audience"),
        ("audience = \"\"", "audience"),
        ("[proof]\nalgorithms = [\"HS256\"]", "HS256"),
        ("[proof]\nalgorithms = []", "no proof"),
        ("[proof]\nwindow_secs = 86400", "30 to 600"),
        ("[cors]\norigins = [\"https://app.example/\"]", "origin"),
        ("[timeout]\nanswer_secs = 0", "1 to 3600"),
        ("[[route]]\npath = \"/a/../b\"", "normal form"),
        ("[[route]]\npath = \"/a\"\n[[route]]\npath = \"/b\"\n[[route]]\npath = \"/a/\"", "twice"),
        ("[[route]]\npath = \"/a\"\npublic = true\nscopes = [\"x\"]", "`scopes` asks"),
        ("[[route]]\npath = \"/a\"\npublic = true\ndpop = \"required\"", "`dpop` asks"),
        ("[[route]]\npath = \"/a\"\nmethods = [\"get\"]", "no method"),
        ("[[route]]\npath = \"/a\"\nmethods = []", "no request"),
        ("[[route]]\npath = \"/a\"\naudience = []", "identifier"),
        ("[[route]]\npath = \"/a\"\nacr_values = [\"a b\"]", "one word"),
        ("[[route]]\npath = \"/a\"\nupgrade = [\"h2c\"]", "past the guard"),
        ("[[route]]\npath = \"/a\"\nupgrade = [\"TLS/1.3\"]", "past the guard"),
        ("[[route]]\npath = \"/a\"\nupstream = \"orders\"", "one of [upstreams]"),
        ("[[route]]\npath = \"/a\"\nupstream = []", "one URL"),
        ("[[route]]\npath = \"/a\"\ntimeout = { idle_secs = 0 }", "1 to 3600"),
        (
            "[[route]]\npath = \"/a\"\nupstream = \"o\"\n[upstreams.o]\nurl = \"http://127.0.0.1\"\nca_file = \"a\"",
            "https",
        ),
        (
            "[[route]]\npath = \"/a\"\nupstream = \"o\"\n[upstreams.o]\nurl = \"https://a\"\nca_file = \"/nowhere\"",
            "/nowhere",
        ),
        (
            "[[route]]\npath = \"/a\"\nupstream = \"o\"\n[upstreams.o]\nurl = \"https://a\"\nclient_key = \"a\"",
            "together",
        ),
        ("[assertion]\nkey_file = \"/nowhere\"", "/nowhere"),
        ("[[route]]\npath = \"/a;b\"", "parameters"),
        ("scopes = [\"\"]", "asks for nothing"),
        ("identity = \"assertion\"\n[replay]\nnodes = 2\nonce_per_node = true", "a key of its own"),
    ] {
        let error = refused(&format!("{upstream}{more}"));
        assert!(error.contains(told), "{more}: {error}");
    }
    let twice = "public_url = \"https://a\"\nissuer = [\"https://i\", \"https://j\", \"https://i\"]";
    let error = Config::parse(&format!("{twice}\n{upstream}")).expect_err("refused").to_string();
    assert!(error.contains("\"https://i\" is there twice"), "{error}");
    let error = Config::parse("public_url = \"http://api.example\"\nissuer = \"https://i\"\n");
    assert!(error.expect_err("refused").to_string().contains("clear"));
    assert!(refused("").contains("upstream"));
}

/// Where the names of all keys come from: what is expected in place of one that is unknown.
fn keys(toml: &str) -> Vec<String> {
    let error = Config::parse(toml).expect_err("an unknown key").to_string();
    let (_, expected) = error.split_once("expected one of ").unwrap_or_else(|| panic!("{error}"));
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_key_is_explained_in_the_guide() {
    let guide = include_str!("../../../../docs/gateway.md");
    let top = keys("x = 1");
    let route = keys("[[route]]\nx = 1");
    let upstream = keys(&format!("{MINIMAL}[upstreams.a]\nx = 1"));
    let timeout = keys(&format!("{MINIMAL}[timeout]\nx = 1"));
    assert!(top.len() > 15 && route.len() > 15 && upstream.len() > 4 && timeout.len() == 3);
    for key in top.iter().chain(&route).chain(&upstream).chain(&timeout) {
        let told =
            [format!("`{key}`"), format!("`[{key}]`"), format!("`[[{key}]]`"), format!("`[{key}.NAME]`")];
        assert!(told.iter().any(|told| guide.contains(told)), "{key}");
    }
}

#[test]
fn the_examples_are_configurations() {
    for example in [
        include_str!("../../../../docs/examples/gateway.toml"),
        include_str!("../../../../docs/examples/gateway-routes.toml"),
    ] {
        Config::parse(example).expect(example);
    }
}
