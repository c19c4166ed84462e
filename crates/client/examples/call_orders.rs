//! A service that calls a guarded API for itself; docs/call-an-api.md runs it.
//!
//! `CLIENT_SECRET=… cargo run -p keybound-client --example call_orders -- http://127.0.0.1:8080 http://127.0.0.1:8081`

use bytes::Bytes;
use http::Request;
use keybound_client::api::{Api, ApiSettings};
use keybound_client::client::Client;
use keybound_client::client_auth::{ClientAuth, Credentials, Identity};
use keybound_client::discover::choose_algorithm;
use keybound_client::prover::Prover;
use keybound_client::session::Origins;
use keybound_client::transport::Transport;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::SystemClock;
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::identifier::{ClientId, Issuer, ResourceId};
use keybound_oauth::scope::Scope;
use std::env;
use std::io::Write as _;
use std::sync::Arc;

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn orders(issuer: &str, url: &str, secret: Secret) -> Result<Bytes, Failed> {
    // The server, a key of a kind that it takes, and who we are.
    let transport = Transport::over(Fetcher::for_operator(&Settings::default())?);
    let server = transport.discover(&Issuer::parse(issuer)?).await?;
    let key = SigningKey::generate(choose_algorithm(&server, None)?)?;
    let prover = Prover::new(Arc::new(key), Arc::default(), Arc::new(SystemClock::start()));
    let auth = ClientAuth::choose(&server, Credentials::Secret(secret))?;
    let identity = Identity { client_id: ClientId::parse("reports")?, auth };
    let client = Client::new(transport.clone(), server, identity, prover.clone());

    // A token that is bound to the key, and a call with it.
    let tokens =
        client.client_credentials(Scope::parse("orders").ok(), vec![ResourceId::parse(url)?]).await?;
    let session = client.session("reports", tokens, Origins::of([url])?);
    let api = Api::new(transport, prover, session, ApiSettings::default())?;
    let answer = api.send(Request::get(format!("{url}/orders")).body(Bytes::new())?).await?;
    Ok(answer.into_body())
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let mut args = env::args().skip(1);
    let (Some(issuer), Some(url)) = (args.next(), args.next()) else {
        return Err("say the issuer, and the URL of the API".into());
    };
    let secret = Secret::new(env::var("CLIENT_SECRET")?);
    Ok(std::io::stdout().write_all(&orders(&issuer, &url, secret).await?)?)
}
