//! The token endpoint and discovery, as odd servers have them.

use crate::mock::{Mock, TOKENS, client, metadata, reply, transport};
use keybound_client::client_auth::ClientAuth;
use keybound_client::discover::DiscoverError;
use keybound_client::error::ClientError;
use keybound_client::token_endpoint::TokenError;
use keybound_client::tokens::Tokens;
use keybound_dpop::secret::Secret;
use keybound_oauth::identifier::Issuer;
use keybound_oauth::scope::Scope;
use keybound_oauth::token::TokenType;

#[tokio::test]
async fn cl_prf_04_token_requests_have_no_ath() {
    let mock = Mock::start(|_, _| reply(200, &[], TOKENS)).await;
    let client = client(&mock.origin, ClientAuth::SecretPost(Secret::new("s")));
    let scope = Scope::parse("read").ok();
    let tokens = client.client_credentials(scope.clone(), Vec::new()).await.expect("tokens");
    assert_eq!((tokens.scope, tokens.access_token), (scope, Secret::new("token-2")));
    let seen = &mock.seen()[0];
    let proof = seen.proof();
    assert!(proof.get("ath").is_none());
    assert_eq!((proof["htm"].as_str(), seen.method.as_str()), (Some("POST"), "POST"));
    assert_eq!(proof["htu"], format!("{}/token", mock.origin));
    assert_eq!(seen.form().get("grant_type"), Some("client_credentials"));
    assert_eq!((seen.form().get("client_id"), seen.form().get("client_secret")), (Some("app"), Some("s")));
}

#[tokio::test]
async fn cl_tok_01_a_bearer_token_is_thrown_away_unless_allowed() {
    let mock = Mock::start(|_, _| reply(200, &[], r#"{"access_token":"b","token_type":"Bearer"}"#)).await;
    let client = client(&mock.origin, ClientAuth::SecretBasic(Secret::new("s")));
    let refused = client.client_credentials(None, Vec::new()).await;
    assert!(matches!(refused, Err(ClientError::Token(TokenError::NotBound))));
    let allowed = client.allowing_bearer().client_credentials(None, Vec::new()).await.expect("a token");
    assert_eq!((allowed.token_type, allowed.expires_at), (TokenType::Bearer, None));
    assert_eq!(mock.seen()[0].authorization(), Some("Basic YXBwOnM="));
}

#[tokio::test]
async fn cl_red_04_token_requests_follow_no_redirect() {
    let mock = Mock::start(|_, _| reply(307, &[("Location", "/elsewhere")], "")).await;
    let refused = client(&mock.origin, ClientAuth::None).client_credentials(None, Vec::new()).await;
    assert!(matches!(refused, Err(ClientError::Token(TokenError::Redirected(_)))));
    assert_eq!(mock.seen().len(), 1);
}

#[tokio::test]
async fn cl_tok_05_a_refresh_has_a_proof_by_the_same_key() {
    let mock = Mock::start(|_, _| reply(200, &[], TOKENS)).await;
    let client = client(&mock.origin, ClientAuth::None);
    let first = client.client_credentials(None, Vec::new()).await.expect("tokens");
    let second: Tokens = client.refresh(&first).await.expect("tokens");
    assert_eq!(second.refresh_token, Some(Secret::new("refresh-2")));
    let seen = mock.seen();
    let header = |index: usize| {
        let proof = seen[index].headers.get("DPoP").expect("a proof").to_str().expect("ASCII").to_owned();
        proof.split('.').next().expect("a header").to_owned()
    };
    assert_eq!(header(0), header(1), "the same public key");
    assert_ne!(seen[0].proof()["jti"], seen[1].proof()["jti"]);
    assert_eq!(seen[1].form().get("grant_type"), Some("refresh_token"));
    assert_eq!(seen[1].form().get("refresh_token"), Some("refresh-2"));
    let without = Tokens { refresh_token: None, ..second };
    assert!(matches!(client.refresh(&without).await, Err(ClientError::NoRefreshToken)));
}

#[tokio::test]
async fn cl_dsc_01_metadata_is_asked_for_at_both_places_and_must_be_the_issuers() {
    let only_oauth = Mock::start(|seen, _| match seen.target.as_str() {
        "/.well-known/oauth-authorization-server" => {
            let host = seen.headers.get("Host").expect("a host").to_str().expect("ASCII");
            reply(200, &[], &metadata(&format!("http://{host}")).to_string())
        }
        _ => reply(404, &[], ""),
    })
    .await;
    let issuer = Issuer::parse(&only_oauth.origin).expect("an issuer");
    let server = transport().discover(&issuer).await.expect("metadata");
    assert_eq!(server.issuer, issuer);
    assert_eq!(only_oauth.seen().len(), 2);
    let liar = Mock::start(|_, _| reply(200, &[], &metadata("https://id.example").to_string())).await;
    let refused = transport().discover(&Issuer::parse(&liar.origin).expect("an issuer")).await;
    assert!(matches!(refused, Err(ClientError::Discover(DiscoverError::Metadata(_)))));
    assert_eq!(liar.seen().len(), 1);
    let silent = Mock::start(|_, _| reply(404, &[], "")).await;
    let refused = transport().discover(&Issuer::parse(&silent.origin).expect("an issuer")).await;
    assert!(matches!(refused, Err(ClientError::Discover(DiscoverError::None { .. }))));
}
