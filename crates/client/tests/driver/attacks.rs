//! Attacks on a client by the servers that it talks to, or by who stands in for them: ID tokens, answers, nonces and
//! URLs that were made to do harm.

use crate::mock::{CHALLENGE, Mock, START, USE_NONCE, api, client, get, metadata, reply, session, transport};
use keybound_client::api::{Api, ApiSettings};
use keybound_client::client_auth::ClientAuth;
use keybound_client::destination::Destination;
use keybound_client::error::ClientError;
use keybound_client::flow::authorization_code::LoginAsk;
use keybound_client::resource_exchange::ResourceError;
use keybound_client::session::Origins;
use keybound_client::tokens::Tokens;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::secret::Secret;
use keybound_oauth::authorization::AuthorizationRequest;
use keybound_oauth::form::Form;
use keybound_oauth::identifier::Issuer;
use keybound_oauth::scope::Scope;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A good ID token, ready to be spoilt.
struct IdToken {
    header: Value,
    claims: Value,
    key: Arc<SigningKey>,
}

impl IdToken {
    fn raw(&self, header: &str, claims: &str) -> String {
        let input =
            format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes()));
        let signature = self.key.sign(input.as_bytes()).expect("signed");
        format!("{input}.{}", base64url::encode(&signature))
    }

    fn sign(&self) -> String {
        self.raw(&self.header.to_string(), &self.claims.to_string())
    }

    fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value;
        self.raw(&self.header.to_string(), &claims.to_string())
    }

    /// With more text at the beginning of the header's or the payload's object.
    fn beginning(&self, header: &str, claims: &str) -> String {
        let begin = |json: &Value, more: &str| json.to_string().replacen('{', &format!("{{{more}"), 1);
        self.raw(&begin(&self.header, header), &begin(&self.claims, claims))
    }

    /// A JWE of five parts with that header around it.
    fn encrypted(&self, header: &Value) -> String {
        let octets = |len| base64url::encode(&vec![7; len]);
        let (header, inner) =
            (base64url::encode(header.to_string().as_bytes()), base64url::encode(self.sign().as_bytes()));
        format!("{header}.{}.{}.{inner}.{}", octets(40), octets(12), octets(16))
    }
}

/// A login that ends with the ID token that is made of a good one.
async fn login(spoil: &dyn Fn(&IdToken) -> String) -> Result<Tokens, ClientError> {
    let key = Arc::new(SigningKey::generate(Algorithm::Es256).expect("a key"));
    let named = NamedKey { kid: Some("k".to_owned()), algorithm: None, key: key.public_jwk().clone() };
    let (keys, sent) = (KeySet::of(vec![named]).to_json(), Arc::new(Mutex::new(String::new())));
    let id_token = Arc::clone(&sent);
    let mock = Mock::start(move |seen, _| match seen.target.as_str() {
        "/jwks" => reply(200, &[], &keys),
        _ => {
            let tokens =
                json!({ "access_token": "token", "token_type": "DPoP", "id_token": *id_token.lock() });
            reply(200, &[], &tokens.to_string())
        }
    })
    .await;
    let client = client(&mock.origin, ClientAuth::None);
    let ask = LoginAsk { scope: Scope::parse("openid").ok(), ..LoginAsk::default() };
    let login = client.begin_login(ask, "http://127.0.0.1:1/cb").await.expect("begun");
    let query = login.url().split_once('?').expect("a query").1;
    let request = AuthorizationRequest::parse(&Form::parse_query(query).expect("a form")).expect("a request");
    let claims = json!({
        "iss": mock.origin, "sub": "ada", "aud": "app", "exp": START + 300, "iat": START, "nonce": request.nonce,
    });
    let header = json!({ "typ": "JWT", "alg": "ES256", "kid": "k" });
    *sent.lock() = spoil(&IdToken { header, claims, key });
    let answer = format!("code=c&state={}&iss={}", request.state.expect("a state"), mock.origin);
    client.finish_login(login, &Secret::new(answer)).await
}

/// None of these is taken for an ID token, and the good one is.
async fn refused(attacks: &[&dyn Fn(&IdToken) -> String]) {
    for (index, attack) in attacks.iter().enumerate() {
        let refused = login(*attack).await;
        assert!(matches!(refused, Err(ClientError::IdToken(_))), "{index}: {refused:?}");
    }
    assert_eq!(login(&IdToken::sign).await.expect("tokens").subject.as_deref(), Some("ada"));
}

#[tokio::test]
async fn atk_005_a_flood_of_dots() {
    refused(&[&|_| ".".repeat(200_000), &|_| "a.".repeat(100_000), &|good| {
        format!("{}{}", good.sign(), ".".repeat(1000))
    }])
    .await;
    let too_long = login(&|_| ".".repeat(1_000_000)).await;
    assert!(matches!(too_long, Err(ClientError::Fetch(_))), "{too_long:?}");
}

#[tokio::test]
async fn atk_008_no_key_is_derived_from_a_password() {
    let header =
        json!({ "alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 1_u32 << 31, "p2s": "AAAAAAAAAAA" });
    refused(&[&|good| good.encrypted(&header), &|good| {
        good.raw(&header.to_string(), &good.claims.to_string())
    }])
    .await;
}

#[tokio::test]
async fn atk_009_nothing_is_inflated() {
    let header = json!({ "alg": "dir", "enc": "A128GCM", "zip": "DEF" });
    refused(&[&|good| good.encrypted(&header)]).await;
}

#[tokio::test]
async fn atk_011_a_claim_of_the_wrong_type() {
    refused(&[
        &|good| good.with_claim("exp", json!("9999999999")),
        &|good| good.with_claim("exp", json!("x")),
        &|good| good.with_claim("exp", Value::Null),
        &|good| good.with_claim("exp", json!([])),
        &|good| good.with_claim("iat", json!(START.to_string())),
        &|good| good.with_claim("nbf", json!([])),
        &|good| good.with_claim("nbf", json!("x")),
        &|good| good.with_claim("nonce", json!([good.claims["nonce"]])),
        &|good| good.with_claim("aud", json!({ "app": true })),
        &|good| good.with_claim("azp", json!(["app"])),
    ])
    .await;
}

#[tokio::test]
async fn atk_014_json_without_a_bottom() {
    let deep = format!("\"deep\":{}{},", "[".repeat(10_000), "]".repeat(10_000));
    let open = format!("\"deep\":{},", "{\"a\":".repeat(10_000));
    refused(&[&|good| good.beginning("", &deep), &|good| good.beginning(&deep, ""), &|good| {
        good.beginning("", &open)
    }])
    .await;
    let begin = |json: &str, more: &str| json.replacen('{', &format!("{{{more}"), 1);
    for more in [deep, open] {
        let spoilt = more.clone();
        let mock = Mock::start(move |seen, _| match seen.target.as_str() {
            "/token" => reply(200, &[], &begin(crate::mock::TOKENS, &spoilt)),
            _ => {
                let host = seen.headers.get("Host").expect("a host").to_str().expect("ASCII");
                reply(200, &[], &begin(&metadata(&format!("http://{host}")).to_string(), &spoilt))
            }
        })
        .await;
        let tokens = client(&mock.origin, ClientAuth::None).client_credentials(None, Vec::new()).await;
        assert!(matches!(tokens, Err(ClientError::Token(_))), "{tokens:?}");
        let found = transport().discover(&Issuer::parse(&mock.origin).expect("an issuer")).await;
        assert!(matches!(found, Err(ClientError::Discover(_))), "{found:?}");
    }
}

/// What a URL says, the connection, the proof and the permission read alike.
#[tokio::test]
async fn atk_045_a_url_with_two_readings() {
    let (good, evil) =
        (Mock::start(|_, _| reply(200, &[], "")).await, Mock::start(|_, _| reply(200, &[], "")).await);
    let (host, evil_host) = (good.origin.replacen("http://", "", 1), evil.origin.replacen("http://", "", 1));
    let prover = crate::mock::prover();
    let api = Api::new(
        transport(),
        prover.clone(),
        session(&prover, "https://id.example", &good.origin),
        ApiSettings::default(),
    )
    .expect("an API");
    let url = format!("http://{host}@{evil_host}/x");
    let refused = api.send(get(url.clone())).await;
    assert!(matches!(refused, Err(ClientError::Resource(ResourceError::Origin(_)))), "{url}: {refused:?}");
    assert!(evil.seen().is_empty() && good.seen().is_empty());
    for url in [
        format!("http://{evil_host}@{host}/a"),
        format!("http://{host}/a/%2e%2e/b"),
        format!("http://{host}//b/./c?d=/../e"),
        format!("HTTP://{host}/%2E%2E/b%2Fc"),
    ] {
        let before = good.seen().len();
        api.send(get(url.clone())).await.expect("an answer");
        let seen = good.seen();
        assert_eq!(seen.len(), before + 1, "{url}");
        let last = seen.last().expect("one");
        let path = last.target.split('?').next().expect("a path");
        assert_eq!(last.proof()["htu"], format!("{}{path}", good.origin), "{url}");
        assert_eq!(last.headers.get("Host").expect("a host"), &host, "{url}");
    }
    let allowed = Origins::of(["https://api.example"]).expect("origins");
    for url in [
        "https://api.example@evil.example/",
        "https://evil.example\\@api.example/",
        "https://evil.example/\\api.example/",
        "https://\u{430}pi.example/",
        "https://api.example./",
        "https://api.example%2eevil.example/",
        "https://api.example\u{3002}evil.example/",
        "https://api.example:80/",
        "//api.example/",
        "https:\\\\evil.example/",
    ] {
        assert!(!Destination::parse(url).is_ok_and(|to| allowed.allow(&to)), "{url}");
    }
    for url in
        ["https://evil.example@api.example\\@evil.example/", "https://api.exa\tmple/\n", "https:api.example"]
    {
        let Ok(to) = Destination::parse(url) else { continue };
        assert_eq!((to.origin(), to.uri().host()), ("https://api.example", Some("api.example")), "{url}");
        assert!(to.htu().starts_with("https://api.example/"), "{url}");
    }
}

/// A server that answers every request with these octets.
async fn octets(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut some = [0; 8192];
            let _ = stream.read(&mut some).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    origin
}

#[tokio::test]
async fn atk_067_a_nonce_with_a_line_end_in_it() {
    for answer in [
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: DPoP error=\"use_dpop_nonce\"\r\n\
         DPoP-Nonce: a\r\n X-Evil: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: DPoP error=\"use_dpop_nonce\"\r\n\
         DPoP-Nonce: a\rX-Evil: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: DPoP error=\"use_dpop_nonce\"\r\n\
         DPoP-Nonce: a%0d%0a\u{7f}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ] {
        let origin = octets(answer).await;
        let api = api(&origin, ApiSettings::default());
        for _ in 0..2 {
            let refused = api.send(get(format!("{origin}/x"))).await;
            assert!(matches!(refused, Err(ClientError::Fetch(_) | ClientError::Nonce(_))), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn atk_067_a_nonce_of_an_evil_resource_goes_back_there_alone() {
    let server = Mock::start(|seen, _| match seen.nonce().as_deref() {
        Some("of-the-server") => reply(200, &[], crate::mock::TOKENS),
        _ => reply(400, &[("DPoP-Nonce", "of-the-server")], USE_NONCE),
    })
    .await;
    let evil = Mock::start(|_, _| reply(401, &[CHALLENGE, ("DPoP-Nonce", "planted")], "")).await;
    let client = client(&server.origin, ClientAuth::None);
    let session = session(client.prover(), &server.origin, &evil.origin);
    let api =
        Api::new(transport(), client.prover().clone(), session, ApiSettings::default()).expect("an API");
    for _ in 0..2 {
        let refused = api.send(get(format!("{}/x", evil.origin))).await;
        assert!(matches!(refused, Err(ClientError::Nonce(_))), "{refused:?}");
        client.client_credentials(None, Vec::new()).await.expect("tokens");
    }
    let at_server: Vec<_> = server.seen().iter().map(crate::mock::Seen::nonce).collect();
    let own = Some("of-the-server".to_owned());
    assert_eq!(at_server, [None, own.clone(), own]);
    assert!(evil.seen().iter().filter_map(crate::mock::Seen::nonce).all(|nonce| nonce == "planted"));
}
