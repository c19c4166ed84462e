//! huskarl: it repeats a token request that was answered with a nonce by itself, and a call of an API by hand.

use http::{Method, Uri};
use huskarl::authorizer::{dpop_resend_advised, extract_dpop_nonce};
use huskarl::core::client_auth::{Audience, ClientAuthentication, ClientSecret, JwtBearer, NoAuth};
use huskarl::core::dpop::{DPoP, ResourceServerDPoP};
use huskarl::core::jwk::JwkJson;
use huskarl::core::secrets::{ProvidedSecret, SecretString};
use huskarl::core::server_metadata::AuthorizationServerMetadata;
use huskarl::core::time::{Clock, PlatformClock};
use huskarl::grant::authorization_code::{AuthorizationCodeGrant, CompleteInput, StartInput};
use huskarl::grant::client_credentials::{ClientCredentialsGrant, ClientCredentialsGrantParameters};
use huskarl::grant::refresh::RefreshGrantParameters;
use huskarl::prelude::*;
use huskarl::revocation::TokenRevocation;
use huskarl::token::AccessToken;
use huskarl::userinfo::UserInfoClient;
use huskarl_crypto_native::asymmetric::signer::{GenerateAlgorithm, PrivateKey};
use huskarl_reqwest::ReqwestClient;
use serde_json::{Value, json};
use std::error::Error;

type Outcome = Result<Value, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let setting: Value = serde_json::from_str(&std::env::var("PEER")?)?;
    let party = Party::find(&setting).await?;
    let report = match std::env::args().nth(1).as_deref() {
        Some("public") => party.sign_in(false).await?,
        Some("pushed") => party.sign_in(true).await?,
        Some("secret") => {
            let secret = ProvidedSecret::new(SecretString::new(text(&setting, "client_secret")));
            let secret = ClientSecret::builder().client_secret(secret).prefer_basic_auth(true).build();
            party.for_itself(secret).await?
        }
        Some("gate") => {
            let secret = ProvidedSecret::new(SecretString::new(text(&setting, "client_secret")));
            party
                .through_the_gate(
                    ClientSecret::builder().client_secret(secret).prefer_basic_auth(true).build(),
                )
                .await?
        }
        Some("key") => {
            let jwk = ProvidedSecret::new(SecretString::new(setting["client_key"].to_string()));
            let key = PrivateKey::from_secret(jwk.mapped(JwkJson)).await?;
            party.for_itself(JwtBearer::builder().signer(key).audience(Audience::Issuer).build()).await?
        }
        other => return Err(format!("no flow {other:?}").into()),
    };
    println!("{}", json!({ "report": report }));
    Ok(())
}

fn text<'s>(setting: &'s Value, member: &str) -> &'s str {
    setting[member].as_str().unwrap_or_default()
}

/// The client, and what it knows of the provider.
struct Party<'s> {
    setting: &'s Value,
    http: ReqwestClient,
    metadata: AuthorizationServerMetadata,
    dpop: DPoP,
}

impl<'s> Party<'s> {
    async fn find(setting: &'s Value) -> Result<Self, Box<dyn Error>> {
        let http = ReqwestClient::builder().build().await?;
        let issuer = text(setting, "issuer");
        let metadata = AuthorizationServerMetadata::fetch().http_client(&http).issuer(issuer).call().await?;
        let key = PrivateKey::generate(GenerateAlgorithm::Es256, None)?;
        Ok(Self { setting, http, metadata, dpop: DPoP::builder().signer(key).build() })
    }

    fn resource(&self) -> Vec<String> {
        vec![text(self.setting, "resource").to_owned()]
    }

    async fn sign_in(&self, push: bool) -> Outcome {
        let grant = AuthorizationCodeGrant::builder_from_metadata(&self.metadata)?
            .client_id(text(self.setting, "client_id"))
            .http_client(self.http.clone())
            .client_auth(NoAuth)
            .redirect_uri(text(self.setting, "redirect_uri"))
            .dpop(self.dpop.clone())
            .prefer_pushed_authorization_requests(push)
            .build()
            .await?;
        let scope = ["openid", "email", "read"].map(str::to_owned).to_vec();
        let start = StartInput::builder().scope(scope).resource(self.resource()).build();
        let started = grant.start(start).await?;
        let url = visit(&started.authorization_url.to_string())?;
        let input = CompleteInput::builder_from_callback(&url)?.build();
        let completed = grant.complete(&started.pending_state, input).await?;
        let id = completed.id_token.ok_or("no ID token")?;
        let subject = id.sub.clone().ok_or("no subject")?;
        let tokens = &completed.token_response;
        let (jkt, first) = self.orders(tokens.access_token()).await?;
        let userinfo = UserInfoClient::builder_from_grant(&grant, &self.metadata)?.build().await?;
        let userinfo = userinfo.get(&self.http, tokens.access_token(), &subject).await?;
        let refresh_token = tokens.refresh_token().ok_or("no refresh token")?.clone();
        let refreshed = RefreshGrantParameters::refresh_token(refresh_token);
        let refreshed = grant.to_refresh_grant().exchange(refreshed).await?;
        let (_, second) = self.orders(refreshed.access_token()).await?;
        let id = json!({ "iss": id.iss, "aud": id.aud.first(), "sub": subject });
        Ok(json!({ "id": id, "userinfo": userinfo, "jkt": jkt, "orders": [first, second] }))
    }

    async fn for_itself(&self, authentication: impl ClientAuthentication + Clone + 'static) -> Outcome {
        let grant = ClientCredentialsGrant::builder_from_metadata(&self.metadata)
            .client_id(text(self.setting, "client_id"))
            .http_client(self.http.clone())
            .client_auth(authentication.clone())
            .dpop(self.dpop.clone())
            .build();
        let parameters = ClientCredentialsGrantParameters::builder();
        let parameters = parameters.scope(vec!["read".to_owned()]).resource(self.resource()).build();
        let tokens = grant.exchange(parameters).await?;
        let (jkt, answer) = self.orders(tokens.access_token()).await?;
        TokenRevocation::builder_from_metadata(&self.metadata)?
            .client_id(text(self.setting, "client_id").to_owned())
            .client_auth(authentication)
            .build()
            .revoke(&self.http, tokens.access_token())
            .await?;
        Ok(json!({ "jkt": jkt, "orders": [answer] }))
    }

    /// Calls the API, first without a nonce, then with it, then with a proof that is for something else.
    async fn through_the_gate(&self, authentication: impl ClientAuthentication + Clone + 'static) -> Outcome {
        let grant = ClientCredentialsGrant::builder_from_metadata(&self.metadata)
            .client_id(text(self.setting, "client_id"))
            .http_client(self.http.clone())
            .client_auth(authentication)
            .dpop(self.dpop.clone())
            .build();
        let parameters = ClientCredentialsGrantParameters::builder();
        let parameters = parameters.scope(vec!["read".to_owned()]).resource(self.resource()).build();
        let tokens = grant.exchange(parameters).await?;
        let token = tokens.access_token();
        let url: Uri = text(self.setting, "orders").parse()?;
        let prover = self.dpop.to_resource_server_dpop();
        let first = call(&prover, (&Method::GET, &url), (Method::GET, &url), token).await?;
        let mut served = Vec::new();
        for _ in 0..3 {
            served.push(call(&prover, (&Method::GET, &url), (Method::GET, &url), token).await?);
        }
        let elsewhere: Uri = text(self.setting, "orders").replace("/orders", "/else").parse()?;
        let refused = json!({
            "otherMethod": call(&prover, (&Method::POST, &url), (Method::GET, &url), token).await?,
            "sentAsPost": call(&prover, (&Method::GET, &url), (Method::POST, &url), token).await?,
            "otherUrl": call(&prover, (&Method::GET, &url), (Method::GET, &elsewhere), token).await?,
        });
        Ok(json!({ "jkt": token_jkt(token), "first": first, "served": served, "refused": refused }))
    }

    /// Calls the API; gives the thumbprint of the key too.
    async fn orders(&self, token: &AccessToken) -> Result<(String, Value), Box<dyn Error>> {
        let AccessToken::DPoP(token) = token else { return Err("not a DPoP token".into()) };
        let url: Uri = text(self.setting, "orders").parse()?;
        let prover = self.dpop.to_resource_server_dpop();
        let mut tries = 0;
        loop {
            let now = PlatformClock.now();
            let proof = prover.proof_at(&Method::GET, &url, token.token(), token.jkt(), now).await?;
            let proof = proof.ok_or("no proof")?;
            let request = reqwest::Client::new().get(url.to_string());
            let request = request.header("authorization", token.expose_header_value()?);
            let answer = request.header("dpop", proof.expose_secret()).send().await?;
            if let Some(nonce) = extract_dpop_nonce(answer.headers()) {
                prover.update_nonce(&url, nonce);
            }
            tries += 1;
            if tries == 1 && dpop_resend_advised(answer.status(), answer.headers()) {
                continue;
            }
            let status = answer.status().as_u16();
            let body: Value = serde_json::from_slice(&answer.bytes().await?)?;
            return Ok((token.jkt().to_owned(), json!({ "status": status, "body": body })));
        }
    }
}

/// Sends one request with a proof for what may be another one; keeps the nonce of its answer.
async fn call(
    prover: &impl ResourceServerDPoP,
    (proven, htu): (&Method, &Uri),
    (method, url): (Method, &Uri),
    token: &AccessToken,
) -> Outcome {
    let AccessToken::DPoP(token) = token else { return Err("not a DPoP token".into()) };
    let proof = prover.proof_at(proven, htu, token.token(), token.jkt(), PlatformClock.now()).await?;
    let proof = proof.ok_or("no proof")?;
    let request = reqwest::Client::new().request(method, url.to_string());
    let request = request.header("authorization", token.expose_header_value()?);
    let answer = request.header("dpop", proof.expose_secret()).send().await?;
    if let Some(nonce) = extract_dpop_nonce(answer.headers()) {
        prover.update_nonce(htu, nonce);
    }
    let status = answer.status().as_u16();
    let challenge =
        answer.headers().get("www-authenticate").and_then(|line| line.to_str().ok()).map(str::to_owned);
    let error = challenge
        .as_deref()
        .and_then(|line| line.split("error=\"").nth(1)?.split('"').next().map(str::to_owned));
    let scheme = challenge.as_deref().and_then(|line| line.split(' ').next().map(str::to_owned));
    let body: Value = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
    Ok(json!({ "status": status, "scheme": scheme, "error": error, "body": body }))
}

fn token_jkt(token: &AccessToken) -> Option<&str> {
    match token {
        AccessToken::DPoP(token) => Some(token.jkt()),
        _ => None,
    }
}

/// Sends the browser there; gives the URL that it came back to.
fn visit(url: &str) -> Result<String, Box<dyn Error>> {
    println!("{}", json!({ "visit": url }));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}
