use super::*;

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
    assert_eq!((admin.path.as_str(), admin.scopes.to_string().as_str()), ("/admin", "api admin"));
    assert_eq!(admin.upstream.as_ref().expect("an upstream").authority, "10.0.0.1");
    assert!(admin.forward_token && admin.raw_path);
    assert_eq!((all.path.as_str(), all.scopes.to_string().as_str()), ("", "api"));
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
    for bad in ["ftp://127.0.0.1", "http://127.0.0.1/base", "http://u:p@127.0.0.1", "127.0.0.1:80"] {
        assert!(with(&format!("upstream = \"{bad}\"")).is_err(), "{bad}");
    }
}

#[test]
fn what_would_be_unsafe_does_not_start() {
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
    ] {
        let error = refused(&format!("{upstream}{more}"));
        assert!(error.contains(told), "{more}: {error}");
    }
    let error = Config::parse("public_url = \"http://api.example\"\nissuer = \"https://i\"\n");
    assert!(error.expect_err("refused").to_string().contains("clear"));
    assert!(refused("").contains("upstream"));
}
