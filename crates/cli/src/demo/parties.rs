//! The parties of the demo, each a real server on a free loopback port: the provider, the gateway, and a small API that
//! knows nothing of tokens.

use super::wire::Tap;
use crate::adapter::Routes;
use crate::error::CommandError;
use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use http::header::CONTENT_TYPE;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::{Clock, SystemClock};
use keybound_provider::config::ConfigFile;
use keybound_provider::provider::Provider;
use keybound_provider::registry::{NewUser, add_client, add_user};
use keybound_provider::store::Store;
use keybound_serve::{Handler, Options, ResponseBody, Server, bind};
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The user of the demo.
pub(crate) const USERNAME: &str = "alice";
/// The client of the demo: public, with a redirect URI on this machine.
pub(crate) const CLIENT_ID: &str = "demo-app";
/// Its redirect URI, on any port (RFC 8252 §7.3).
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1/callback";

/// All servers, running until the process ends.
pub(crate) struct Parties {
    /// The issuer.
    pub(crate) issuer: String,
    /// The API as callers know it: the gateway in front of it.
    pub(crate) api: String,
    /// What went between client and provider.
    pub(crate) at_provider: Tap,
    /// What went between client and gateway.
    pub(crate) at_gateway: Tap,
    /// What went between gateway and API.
    pub(crate) at_api: Tap,
    /// The user's password, made for this run.
    pub(crate) password: Secret,
}

impl Parties {
    /// Starts them, with the store in that folder.
    pub(crate) async fn start(folder: &Path) -> Result<Self, CommandError> {
        let (provider_door, gateway_door, api_door) = (door().await?, door().await?, door().await?);
        let issuer = format!("http://{}", address(&provider_door)?);
        let api = format!("http://{}", address(&gateway_door)?);
        let upstream = format!("http://{}", address(&api_door)?);
        let at_api = Tap::open(api_door, run("api", Routes(small_api())).await?);
        let (provider, password) = provider(folder, &issuer, &api).await?;
        let routes = Routes(keybound_provider::service::service(&provider));
        let at_provider = Tap::open(provider_door, run("provider", routes).await?);
        tokio::spawn(keybound_provider::service::maintain(provider));
        let text = format!(
            "public_url = \"{api}\"\nupstream = \"{upstream}\"\nissuer = \"{issuer}\"\nscopes = [\"read\"]\n"
        );
        let config = keybound_gateway::Config::parse(&text).map_err(CommandError::failed)?;
        let gateway = keybound_gateway::service(&config, Arc::new(SystemClock::start()))
            .map_err(CommandError::failed)?;
        let at_gateway = Tap::open(gateway_door, run("gateway", gateway).await?);
        Ok(Self { issuer, api, at_provider, at_gateway, at_api, password })
    }

    /// The identifier of the API: what tokens for it name in `aud`.
    pub(crate) fn resource(&self) -> String {
        format!("{}/", self.api)
    }
}

/// A free port, kept open.
async fn door() -> Result<TcpListener, CommandError> {
    Ok(bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?)
}

fn address(listener: &TcpListener) -> Result<SocketAddr, CommandError> {
    listener.local_addr().map_err(CommandError::failed)
}

/// Runs a service on a free port; gives its address.
async fn run<S: Handler<B>, B: ResponseBody>(
    name: &'static str,
    service: S,
) -> Result<SocketAddr, CommandError> {
    let server = Server::new(door().await?, service, Options::new(name)).map_err(CommandError::failed)?;
    let address = server.local_addr();
    tokio::spawn(server.run(std::future::pending()));
    Ok(address)
}

/// An API in any language: it answers whoever reaches it.
fn small_api() -> Router {
    let answer = |request: Request| async move {
        let caller = request.headers().get("keybound-subject").and_then(|value| value.to_str().ok());
        let body = json!({
            "path": request.uri().path(),
            "message": "This is the API. The gateway let you through.",
            "caller": caller,
        });
        ([(CONTENT_TYPE, "application/json")], body.to_string())
    };
    Router::new().route("/accounts", any(answer)).route("/payments", any(answer))
}

async fn provider(folder: &Path, issuer: &str, api: &str) -> Result<(Arc<Provider>, Secret), CommandError> {
    let clock = Arc::new(SystemClock::start());
    let now = clock.unix();
    let store = Store::open(&folder.join("demo.sqlite")).map_err(CommandError::failed)?;
    let client = json!({
        "client_id": CLIENT_ID,
        "client_name": "Demo App",
        "application_type": "native",
        "redirect_uris": [REDIRECT_URI],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    });
    add_client(&store, client, now).await?;
    let password = Secret::new(base64url::encode(&random::<9>().map_err(CommandError::failed)?));
    let claims = json!({ "name": "Alice", "email": "alice@example.org" });
    let user = NewUser {
        username: USERNAME.to_owned(),
        password: password.clone(),
        subject: None,
        claims: claims.as_object().cloned().unwrap_or_default(),
    };
    add_user(&store, user, now).await?;
    let text = format!("issuer = \"{issuer}\"\n[[resource]]\nidentifier = \"{api}/\"\nscopes = [\"read\"]\n");
    let config = ConfigFile::parse(&text, "demo")?.check()?;
    Ok((Provider::open(config, store, clock).await?, password))
}
