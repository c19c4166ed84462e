//! The play: the client goes through the eight steps, then the thief tries what thieves try. Both over real sockets;
//! what happened is read off the taps afterwards.

use super::browser::Browser;
use super::parties::{CLIENT_ID, Parties};
use super::wire::Exchange;
use crate::error::CommandError;
use bytes::Bytes;
use http::{Method, Request};
use keybound_client::api::{Api, ApiSettings};
use keybound_client::client::Client;
use keybound_client::client_auth::Identity;
use keybound_client::flow::authorization_code::{LoginAsk, When};
use keybound_client::prover::Prover;
use keybound_client::session::Origins;
use keybound_client::transport::Transport;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::nonce::Nonce;
use keybound_dpop::nonce_cache::NonceCache;
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::time::{Clock, SystemClock};
use keybound_dpop::token_hash::TokenHash;
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::identifier::{ClientId, Issuer, ResourceId};
use keybound_oauth::scope::Scope;
use std::sync::Arc;

/// What the taps saw, and what only the client knows.
pub(crate) struct Record {
    /// The key of the client.
    pub(crate) jkt: Thumbprint,
    /// Its public half, as JSON.
    pub(crate) jwk: String,
    /// The exchanges at the token endpoint.
    pub(crate) at_token: Vec<Exchange>,
    /// The exchanges of the client at the gateway.
    pub(crate) at_gateway: Vec<Exchange>,
    /// The exchanges between gateway and API.
    pub(crate) at_api: Vec<Exchange>,
    /// What the thief tried.
    pub(crate) thefts: Vec<Theft>,
}

/// One try of the thief.
pub(crate) struct Theft {
    /// What the thief does.
    pub(crate) title: &'static str,
    /// What a refusal must say.
    pub(crate) expected: &'static str,
    /// What went over the wire.
    pub(crate) exchange: Exchange,
}

/// Plays everything.
pub(crate) async fn play(parties: &Parties) -> Result<Record, CommandError> {
    let fetcher = Fetcher::for_operator(&Settings::default()).map_err(CommandError::failed)?;
    let key = Arc::new(SigningKey::generate(Algorithm::Es256).map_err(CommandError::failed)?);
    let (jkt, jwk) = (key.public_jwk().thumbprint(), key.public_jwk().to_json());
    let token = honest(parties, &fetcher, key).await?;
    let at_token: Vec<Exchange> = parties
        .at_provider
        .seen()
        .into_iter()
        .filter(|exchange| exchange.request.request_line().1 == "/token")
        .collect();
    let at_gateway = parties.at_gateway.seen();
    let at_api = parties.at_api.seen();
    let thefts = steal(parties, &fetcher, &token, &at_gateway).await?;
    Ok(Record { jkt, jwk, at_token, at_gateway, at_api, thefts })
}

/// The client's part; gives the token that will be stolen.
async fn honest(parties: &Parties, fetcher: &Fetcher, key: Arc<SigningKey>) -> Result<String, CommandError> {
    let transport = Transport::over(fetcher.clone());
    let prover = Prover::new(key, Arc::new(NonceCache::default()), Arc::new(SystemClock::start()));
    let issuer = Issuer::parse(&parties.issuer).map_err(CommandError::failed)?;
    let server = transport.discover(&issuer).await.map_err(CommandError::failed)?;
    let client_id = ClientId::parse(CLIENT_ID).map_err(CommandError::failed)?;
    let client = Client::new(transport.clone(), server, Identity::public(client_id), prover.clone());
    let ask = LoginAsk {
        scope: Scope::parse("openid read").ok(),
        resources: vec![ResourceId::parse(&parties.resource()).map_err(CommandError::failed)?],
        // So that it is the token endpoint that asks for the nonce, as in the eight steps.
        pushed: When::Never,
        ..LoginAsk::default()
    };
    // The scripted browser hands the answer over itself, so nobody needs to listen there.
    let login = client.begin_login(ask, "http://127.0.0.1:1/callback").await.map_err(CommandError::failed)?;
    let query =
        Browser::new(fetcher.clone(), &parties.issuer).sign_in(login.url(), &parties.password).await?;
    let tokens = client.finish_login(login, &query).await.map_err(CommandError::failed)?;
    let token = tokens.access_token.reveal().to_owned();
    let origins = Origins::of([parties.api.as_str()]).map_err(CommandError::failed)?;
    let session = client.session("demo", tokens, origins);
    let api = Api::new(transport, prover, session, ApiSettings::default()).map_err(CommandError::failed)?;
    let request = Request::get(format!("{}/accounts", parties.api)).body(Bytes::new());
    api.send(request.map_err(CommandError::failed)?).await.map_err(CommandError::failed)?;
    Ok(token)
}

/// The thief has the token and has recorded what the client sent to the API.
async fn steal(
    parties: &Parties,
    fetcher: &Fetcher,
    token: &str,
    recorded: &[Exchange],
) -> Result<Vec<Theft>, CommandError> {
    let last = recorded.last().ok_or_else(|| CommandError::failed("nothing was recorded at the gateway"))?;
    let recorded_proof = last.request.one("dpop").unwrap_or_default().to_owned();
    let (accounts, payments) = (format!("{}/accounts", parties.api), format!("{}/payments", parties.api));
    let nonce =
        recorded.iter().find_map(|exchange| exchange.response.one("dpop-nonce")).and_then(Nonce::parse);
    let own_key = SigningKey::generate(Algorithm::Es256).map_err(CommandError::failed)?;
    let own_proof = NewProof {
        method: "GET",
        htu: &accounts,
        token: Some(TokenHash::of(token)),
        nonce: nonce.as_ref(),
        entropy: random().map_err(CommandError::failed)?,
        iat: SystemClock::start().now().unix,
    };
    let own_proof = own_proof.sign(&own_key).map_err(CommandError::failed)?;
    let tries = [
        ("sends the stolen token as a bearer token", "invalid_token", accounts.as_str(), "Bearer", None),
        (
            "signs a proof with a key of their own",
            "invalid_token",
            accounts.as_str(),
            "DPoP",
            Some(&own_proof),
        ),
        (
            "sends the recorded proof again",
            "invalid_dpop_proof",
            accounts.as_str(),
            "DPoP",
            Some(&recorded_proof),
        ),
        (
            "sends the recorded proof to another URL",
            "invalid_dpop_proof",
            payments.as_str(),
            "DPoP",
            Some(&recorded_proof),
        ),
    ];
    let mut thefts = Vec::new();
    for (title, expected, url, scheme, proof) in tries {
        let mut request = Request::builder().method(Method::GET).uri(url);
        request = request.header("authorization", format!("{scheme} {token}"));
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        let request = request.body(Bytes::new()).map_err(CommandError::failed)?;
        fetcher.send(request).await.map_err(CommandError::failed)?;
        let exchange = parties.at_gateway.seen().pop();
        let exchange = exchange.ok_or_else(|| CommandError::failed("the gateway's tap saw nothing"))?;
        thefts.push(Theft { title, expected, exchange });
    }
    Ok(thefts)
}
