//! From a resource to its authorization server, past strangers who would lead elsewhere; servers without discovery; and
//! endpoints for clients that show a certificate.

use crate::mock::{Mock, TOKENS, client, metadata, prover, reply, transport};
use http::HeaderMap;
use keybound_client::client::Client;
use keybound_client::client_auth::{ClientAuth, Identity};
use keybound_client::discover::choose_algorithm;
use keybound_client::error::ClientError;
use keybound_client::resource_discovery::{FoundResource, ResourceDiscoverError};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::secret::Secret;
use keybound_fetch::{FetchError, Fetcher, Settings};
use keybound_oauth::identifier::{ClientId, Endpoint, Issuer, ResourceId};
use keybound_oauth::provider_metadata::ProviderMetadata;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn issuer(text: &str) -> Issuer {
    Issuer::parse(text).expect("an issuer")
}

fn resource(text: &str) -> ResourceId {
    ResourceId::parse(text).expect("a resource")
}

/// As a stranger's URLs are fetched, but for loopback, where the tests are.
fn nearby() -> Fetcher {
    let settings = Settings {
        strangers_may_name_loopback: true,
        timeout: Duration::from_millis(500),
        ..Settings::default()
    };
    Fetcher::for_strangers(&settings).expect("a fetcher")
}

fn challenge(metadata: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let line = format!(r#"Bearer realm="x", DPoP algs="ES256", resource_metadata="{metadata}""#);
    headers.insert("WWW-Authenticate", line.parse().expect("a value"));
    headers
}

/// An authorization server.
async fn server() -> Mock {
    Mock::start(|seen, _| match seen.target.as_str() {
        "/.well-known/openid-configuration" => {
            let host = seen.headers["Host"].to_str().expect("ASCII");
            reply(200, &[], &metadata(&format!("http://{host}")).to_string())
        }
        _ => reply(404, &[], ""),
    })
    .await
}

/// A resource whose metadata are this, with its own origin in place of SELF.
async fn api(metadata: &Value) -> Mock {
    let metadata = metadata.to_string();
    Mock::start(move |seen, _| {
        let host = seen.headers["Host"].to_str().expect("ASCII");
        reply(200, &[], &metadata.replace("SELF", &format!("http://{host}")))
    })
    .await
}

async fn discover(
    origin: &str,
    answer: Option<&HeaderMap>,
    acceptable: &[Issuer],
) -> Result<FoundResource, ClientError> {
    let resource = resource(&format!("{origin}/v1"));
    transport().discover_resource(&nearby(), &resource, answer, acceptable).await
}

fn refusal(result: Result<FoundResource, ClientError>) -> ResourceDiscoverError {
    match result {
        Err(ClientError::DiscoverResource(error)) => error,
        other => panic!("refused: {other:?}"),
    }
}

#[tokio::test]
async fn cl_dsc_02_cl_dsc_03_a_challenge_leads_to_an_issuer_that_the_caller_accepts() {
    let (server, other) = (server().await, issuer("https://other.example"));
    let named = json!({ "resource": "SELF/v1", "authorization_servers": [other.as_str(), server.origin],
        "dpop_signing_alg_values_supported": ["ES256"], "odd": true });
    let api = api(&named).await;
    let acceptable = [issuer(&server.origin)];
    let answer = challenge(&format!("{}/meta", api.origin));
    let found = discover(&api.origin, Some(&answer), &acceptable).await.expect("found");
    assert_eq!(
        (found.server.issuer.as_str(), api.seen()[0].target.as_str()),
        (server.origin.as_str(), "/meta")
    );
    assert_eq!(found.resource.dpop_signing_alg_values_supported, ["ES256"]);
    discover(&api.origin, None, &acceptable).await.expect("found at the well-known URL");
    discover(&api.origin, Some(&HeaderMap::new()), &acceptable).await.expect("there too");
    assert_eq!(api.seen()[1].target, "/.well-known/oauth-protected-resource/v1");
    assert!(api.seen().iter().all(|seen| !seen.headers.contains_key("Authorization")));
}

#[tokio::test]
async fn cl_dsc_02_cl_dsc_03_atk_116_metadata_of_another_resource_or_a_hostile_issuer_lead_nowhere() {
    let server = server().await;
    let acceptable = [issuer(&server.origin)];
    for other in ["https://api.example/v1", "SELF", "SELF/v1/", "SELF/V1"] {
        let api = api(&json!({ "resource": other, "authorization_servers": [server.origin] })).await;
        let refused = refusal(discover(&api.origin, None, &acceptable).await);
        assert!(matches!(refused, ResourceDiscoverError::Metadata(_)), "{other}: {refused}");
    }
    for hostile in [json!(["https://evil.example"]), json!([format!("{}/", server.origin)]), json!([])] {
        let api = api(&json!({ "resource": "SELF/v1", "authorization_servers": hostile })).await;
        let refused = refusal(discover(&api.origin, None, &acceptable).await);
        let ResourceDiscoverError::Issuer { named } = &refused else { panic!("{refused}") };
        assert_eq!(json!(named), hostile, "so that a person can be asked");
        assert!(refused.to_string().contains("issuer that you accept"), "{refused}");
    }
    let api = api(&json!({ "resource": "SELF/v1", "authorization_servers": [server.origin] })).await;
    let trusting_nobody = refusal(discover(&api.origin, None, &[]).await);
    assert!(matches!(trusting_nobody, ResourceDiscoverError::Issuer { .. }));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn cl_dsc_02_challenges_that_name_several_urls_name_none() {
    let server = server().await;
    let api = api(&json!({ "resource": "SELF/v1", "authorization_servers": [server.origin] })).await;
    let at = format!("{}/meta", api.origin);
    for (other, is_taken) in [(at.clone(), true), (format!("{at}?other"), false)] {
        let mut answer = challenge(&at);
        let line = format!(r#"Bearer resource_metadata="{other}""#);
        answer.append("WWW-Authenticate", line.parse().expect("a value"));
        let found = discover(&api.origin, Some(&answer), &[issuer(&server.origin)]).await;
        match is_taken {
            true => assert!(found.is_ok(), "{found:?}"),
            false => assert_eq!(refusal(found), ResourceDiscoverError::NoUrl),
        }
    }
}

#[tokio::test]
async fn cl_dsc_01_fapi_cl_07_atk_116_an_issuer_whose_metadata_name_another_is_not_used() {
    let liar = Mock::start(|_, _| reply(200, &[], &metadata("https://id.example").to_string())).await;
    let api = api(&json!({ "resource": "SELF/v1", "authorization_servers": [liar.origin] })).await;
    let refused = discover(&api.origin, None, &[issuer(&liar.origin)]).await;
    assert!(matches!(refused, Err(ClientError::Discover(_))), "{refused:?}");
}

#[tokio::test]
async fn cl_dsc_04_atk_128_metadata_of_strangers_are_bounded_and_never_from_inside() {
    let strangers = Fetcher::for_strangers(&Settings::default()).expect("a fetcher");
    let target = server().await;
    let port = target.origin.rsplit(':').next().expect("a port");
    for inside in [
        "https://169.254.169.254",
        "https://10.0.0.1",
        "https://localhost",
        "https://[::1]",
        "https://0.0.0.0",
    ] {
        let answer = challenge(&format!("{inside}:{port}/latest"));
        let resource = resource("https://api.example/");
        let refused = transport().discover_resource(&strangers, &resource, Some(&answer), &[]).await;
        let is_refused = matches!(refused, Err(ClientError::Fetch(FetchError::Address { .. })));
        assert!(is_refused, "{inside}: {refused:?}");
    }
    let operator = Fetcher::for_operator(&Settings::default()).expect("a fetcher");
    let elsewhere = challenge("https://inside.example/meta");
    let api = resource("https://api.example/");
    let unguarded = transport().discover_resource(&operator, &api, Some(&elsewhere), &[]).await;
    assert_eq!(refusal(unguarded), ResourceDiscoverError::NotForStrangers);
    let plain = challenge(&format!("{}/meta", target.origin));
    let refused =
        transport().discover_resource(&strangers, &resource("https://api.example/"), Some(&plain), &[]).await;
    assert!(matches!(refused, Err(ClientError::Fetch(FetchError::Url { .. }))), "{refused:?}");
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn cl_dsc_04_atk_128_a_flood_a_drip_and_a_redirect_are_given_up() {
    let redirect = Mock::start(|_, _| reply(302, &[("Location", "http://169.254.169.254/")], "")).await;
    let refused = refusal(discover(&redirect.origin, None, &[]).await);
    assert!(matches!(refused, ResourceDiscoverError::None { .. }), "{refused}");
    let flood = endless(Duration::ZERO).await;
    let refused = discover(&flood, None, &[]).await;
    assert!(matches!(refused, Err(ClientError::Fetch(FetchError::TooLarge { .. }))), "{refused:?}");
    let drip = endless(Duration::from_millis(50)).await;
    let refused = discover(&drip, None, &[]).await;
    assert!(matches!(refused, Err(ClientError::Fetch(FetchError::Timeout { .. }))), "{refused:?}");
}

/// The origin of a server whose answers never end.
async fn endless(pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let mut part = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
                while stream.write_all(&part).await.is_ok() {
                    part = vec![b' '; if pause.is_zero() { 16 * 1024 } else { 1 }];
                    tokio::time::sleep(pause).await;
                }
            });
        }
    });
    origin
}

#[tokio::test]
async fn cl_dsc_05_a_server_without_discovery_is_written_by_hand() {
    let mock = Mock::start(|_, _| reply(200, &[], TOKENS)).await;
    let mut by_hand = ProviderMetadata::new(issuer(&mock.origin));
    by_hand.endpoints.token_endpoint = Endpoint::parse(&format!("{}/oauth/token", mock.origin)).ok();
    assert!(choose_algorithm(&by_hand, None).is_err());
    assert_eq!(choose_algorithm(&by_hand, Some(Algorithm::Es256)), Ok(Algorithm::Es256));
    let auth = ClientAuth::SecretBasic(Secret::new("s"));
    let identity = Identity { client_id: ClientId::parse("app").expect("a client"), auth };
    let client = Client::new(transport(), by_hand, identity, prover());
    client.client_credentials(None, Vec::new()).await.expect("tokens");
    assert_eq!(mock.seen()[0].target, "/oauth/token");
    assert_eq!(mock.seen()[0].proof()["htu"], format!("{}/oauth/token", mock.origin));
    let missing =
        client.revoke(&Secret::new("t"), keybound_client::flow::revocation::TokenKind::Access).await;
    assert!(missing.expect_err("missing").to_string().contains("`revocation_endpoint`"));
}

#[tokio::test]
async fn fapi_cl_05_a_client_with_a_certificate_meets_the_endpoints_at_their_aliases() {
    let (plain, alias) = (
        Mock::start(|_, _| reply(200, &[], TOKENS)).await,
        Mock::start(|_, _| reply(200, &[], TOKENS)).await,
    );
    let mut json = metadata(&plain.origin);
    json["mtls_endpoint_aliases"] =
        json!({ "token_endpoint": format!("{}/token", alias.origin), "odd": "x" });
    let server =
        ProviderMetadata::parse(json.to_string().as_bytes(), &issuer(&plain.origin)).expect("metadata");
    let with = |auth| {
        let identity = Identity { client_id: ClientId::parse("app").expect("a client"), auth };
        Client::new(transport(), server.clone(), identity, prover())
    };
    let tokens = with(ClientAuth::TlsCertificate).client_credentials(None, Vec::new()).await.expect("tokens");
    let seen = &alias.seen()[0];
    assert_eq!(seen.form().get("client_id"), Some("app"));
    assert_eq!((seen.authorization(), seen.form().get("client_secret")), (None, None));
    assert_eq!(seen.proof()["htu"], format!("{}/token", alias.origin), "the URL of the request");
    assert!(plain.seen().is_empty());
    // An endpoint without an alias is met where it is; and so are all without a certificate.
    let _ = with(ClientAuth::TlsCertificate).revoke_all(&tokens).await;
    with(ClientAuth::None).refresh(&tokens).await.expect("tokens");
    let targets: Vec<_> = plain.seen().iter().map(|seen| seen.target.clone()).collect();
    assert_eq!(targets, ["/revoke", "/revoke", "/token"]);
    assert_eq!(alias.seen().len(), 1);
}

#[tokio::test]
async fn fapi_cl_02_cl_tok_09_no_token_and_no_proof_is_in_a_url() {
    let mock = Mock::start(|_, _| reply(200, &[], TOKENS)).await;
    let client = client(&mock.origin, ClientAuth::SecretPost(Secret::new("hunter2")));
    let tokens = client.client_credentials(None, Vec::new()).await.expect("tokens");
    client.refresh(&tokens).await.expect("tokens");
    client.revoke_all(&tokens).await.expect("revoked");
    let exchange =
        keybound_client::flow::token_exchange::ExchangeAsk::access_token(tokens.access_token.clone());
    client.exchange_token(exchange).await.expect("exchanged");
    for seen in mock.seen() {
        assert!(!seen.target.contains('?'), "{}", seen.target);
        assert_eq!(seen.headers["Content-Type"], "application/x-www-form-urlencoded");
    }
    assert_eq!(mock.seen().len(), 5);
}
