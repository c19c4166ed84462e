//! Who calls the API: with one token, and a new proof for each request.

use crate::checking::Bare;
use crate::process::load::{Connection, Request};
use crate::process::prover::{Call, Place, Prover};
use keybound_bench::Failure;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::nonce::Nonce;
use keybound_dpop::token_hash::TokenHash;
use keybound_oauth::access_token::NewAccessToken;
use keybound_oauth::audience::Audience;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::scope::Scope;
use std::net::SocketAddr;

/// The API, whoever serves it.
pub(crate) const AUDIENCE: &str = "https://api.example";
/// Who issues its tokens.
pub(crate) const ISSUER: &str = "https://id.example";
/// What every request needs.
pub(crate) const SCOPE: &str = "read";
/// What is asked for.
pub(crate) const PATH: &str = "/orders";

/// Signatures that are verified by themselves.
const SIGNATURES: usize = 10_000;

/// A client, and the issuer of its token.
pub(crate) struct Caller {
    prover: Prover,
    issuer_key: SigningKey,
    token: String,
}

impl Caller {
    pub(crate) fn new() -> Result<Self, Failure> {
        let (prover, issuer_key) = (Prover::new()?, SigningKey::generate(Algorithm::Es256)?);
        let now = prover.now();
        let token = NewAccessToken {
            iss: ISSUER,
            sub: "5e9bd6c1-8f4e-4a1b-b6f4-2f6f2d0a7c35",
            aud: &Audience::One(AUDIENCE.to_owned()),
            exp: now.plus_secs(4 * 60 * 60),
            iat: now,
            jti: "0193a1b2c3d4e5f60718293a4b5c6d7e",
            client_id: "app",
            scope: &Scope::parse(SCOPE)?,
            jkt: Some(prover.key.public_jwk().thumbprint()),
            auth_time: None,
            acr: None,
            authorization_details: &AuthorizationDetails::default(),
            act: None,
            may_act: None,
        };
        let token = token.sign(&issuer_key, Some("1"))?.reveal().to_owned();
        Ok(Self { prover, issuer_key, token })
    }

    /// The key that the token is bound to.
    pub(crate) const fn key(&self) -> &SigningKey {
        &self.prover.key
    }

    /// The token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The issuer's keys, as it publishes them.
    pub(crate) fn jwks(&self) -> String {
        let key = self.issuer_key.public_jwk().clone();
        KeySet::of(vec![NamedKey { kid: Some("1".to_owned()), algorithm: Some(Algorithm::Es256), key }])
            .to_json()
    }

    /// Asks the server for its nonce.
    pub(crate) fn place(&mut self, address: SocketAddr) -> Result<Place, Failure> {
        let request = self.ask(&Place { address, nonce: None })?;
        let mut connection = Connection::open(address)?;
        let answer = connection.ask(&request)?;
        answer.expect(401)?;
        let nonce = answer.header("dpop-nonce").and_then(Nonce::parse).ok_or("no nonce")?;
        Ok(Place { address, nonce: Some(nonce) })
    }

    /// Requests that are all different.
    pub(crate) fn ask_often(&mut self, place: &Place, count: usize) -> Result<Vec<Request>, Failure> {
        (0..count).map(|_| self.ask(place)).collect()
    }

    /// A request for what the API has.
    pub(crate) fn ask(&mut self, place: &Place) -> Result<Request, Failure> {
        self.head(place, "GET", PATH, "")
    }

    /// The head of a request. `more` are header lines.
    pub(crate) fn head(
        &mut self,
        place: &Place,
        method: &str,
        path: &str,
        more: &str,
    ) -> Result<Request, Failure> {
        let token = Some(TokenHash::of(&self.token));
        let proof = self.prover.prove(&Call { method, place, path, token })?;
        Ok(format!(
            "{method} {path}?page=2 HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nUser-Agent: teller/2.1\r\n\
             Authorization: DPoP {}\r\nDPoP: {proof}\r\n{more}\r\n",
            place.address, self.token
        )
        .into_bytes())
    }

    /// The curve arithmetic alone, over proofs like these.
    pub(crate) fn verification(&mut self, place: &Place) -> Result<Bare, Failure> {
        let token = Some(TokenHash::of(&self.token));
        let proofs: Vec<String> = (0..SIGNATURES)
            .map(|_| self.prover.prove(&Call { method: "GET", place, path: PATH, token }))
            .collect::<Result<_, _>>()?;
        Bare::of(&self.prover.key, &proofs)
    }
}
