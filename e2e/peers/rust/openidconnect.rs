//! openidconnect: OpenID Connect as it was before DPoP, every check of an ID token made.

use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreUserInfoClaims};
use openidconnect::reqwest;
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, LogoutRequest, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PostLogoutRedirectUrl, ProviderMetadataWithLogout, RedirectUrl,
    Scope, TokenResponse,
};
use serde_json::{Value, json};
use std::error::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let setting: Value = serde_json::from_str(&std::env::var("PEER")?)?;
    println!("{}", json!({ "report": sign_in(&setting).await? }));
    Ok(())
}

async fn sign_in(setting: &Value) -> Result<Value, Box<dyn Error>> {
    let text = |member: &str| setting[member].as_str().unwrap_or_default().to_owned();
    let http = reqwest::ClientBuilder::new().redirect(reqwest::redirect::Policy::none()).build()?;
    let metadata = ProviderMetadataWithLogout::discover_async(IssuerUrl::new(text("issuer"))?, &http).await?;
    let end_session = metadata.additional_metadata().end_session_endpoint.clone();
    let client = CoreClient::from_provider_metadata(
        metadata,
        ClientId::new(text("client_id")),
        Some(ClientSecret::new(text("client_secret"))),
    )
    .set_redirect_uri(RedirectUrl::new(text("redirect_uri"))?);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, nonce) = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scope(Scope::new("email".to_owned()))
        .set_pkce_challenge(challenge)
        .url();
    let answer = visit(url.as_str())?;
    let parameter = |name: &str| {
        let mut pairs = answer.query_pairs().filter(|(key, _)| key == name);
        pairs.next().map(|(_, value)| value.into_owned()).ok_or(format!("no {name}: {answer}"))
    };
    if parameter("state")? != *state.secret() {
        return Err("another state".into());
    }
    let code = AuthorizationCode::new(parameter("code")?);
    let tokens = client.exchange_code(code)?.set_pkce_verifier(verifier).request_async(&http).await?;
    let id_token = tokens.id_token().ok_or("no ID token")?;
    let claims = id_token.claims(&client.id_token_verifier(), &nonce)?;
    let subject = claims.subject().clone();
    let first: CoreUserInfoClaims =
        client.user_info(tokens.access_token().clone(), Some(subject.clone()))?.request_async(&http).await?;
    let refresh_token = tokens.refresh_token().ok_or("no refresh token")?;
    let refreshed = client.exchange_refresh_token(refresh_token)?.request_async(&http).await?;
    let second: CoreUserInfoClaims =
        client.user_info(refreshed.access_token().clone(), Some(subject))?.request_async(&http).await?;
    let leave = LogoutRequest::from(end_session.ok_or("no end_session_endpoint")?)
        .set_id_token_hint(id_token)
        .set_post_logout_redirect_uri(PostLogoutRedirectUrl::new(text("redirect_uri"))?)
        .set_state(CsrfToken::new("bye".to_owned()));
    let left = visit(leave.http_get_url().as_str())?;
    Ok(json!({ "id": claims, "userinfo": [first, second], "left": left.as_str() }))
}

/// Sends the browser there; gives the URL that it came back to.
fn visit(url: &str) -> Result<reqwest::Url, Box<dyn Error>> {
    println!("{}", json!({ "visit": url }));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim().parse()?)
}
