//! The clients: what they are registered as, and requests that are signed before they are sent.

use crate::process::load::{Connection, Request};
use crate::process::prover::{Call, Place, Prover};
use keybound_bench::Failure;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::nonce::Nonce;
use keybound_dpop::secret::Secret;
use keybound_oauth::client_auth::{Presented, sign_assertion};
use keybound_oauth::form::FormWriter;
use keybound_oauth::identifier::{ClientId, Issuer};
use std::net::SocketAddr;

/// The API that tokens are for.
pub(super) const RESOURCE: &str = "https://api.example";
/// The secret of the client that has one.
pub(super) const SECRET: &str = "bWFyY2ggaGFyZSwgaGF0dGVyIGFuZCBkb3Jtb3VzZQ";
/// Where the application of the user is.
pub(super) const REDIRECT_URI: &str = "https://app.example/callback";

/// The keys of all clients, and what time it is for them.
pub(super) struct Wallet {
    pub(super) prover: Prover,
    assertion_key: SigningKey,
}

/// Who asks for a token for itself.
#[derive(Clone, Copy)]
pub(super) enum Service {
    /// `client_secret_basic`
    Basic,
    /// `private_key_jwt`
    Jwt,
}

impl Wallet {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self { prover: Prover::new()?, assertion_key: SigningKey::generate(Algorithm::Es256)? })
    }

    /// The registrations, as the provider reads them from a file.
    pub(super) fn clients(&self) -> Result<String, Failure> {
        let mut jwk: serde_json::Value = serde_json::from_str(&self.assertion_key.public_jwk().to_json())?;
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".to_owned(), "1".into());
        }
        let clients = serde_json::json!([
            {
                "client_id": "basic",
                "grant_types": ["client_credentials"],
                "token_endpoint_auth_method": "client_secret_basic",
                "client_secret": SECRET,
                "scope": "read",
            },
            {
                "client_id": "jwt",
                "grant_types": ["client_credentials"],
                "token_endpoint_auth_method": "private_key_jwt",
                "jwks": { "keys": [jwk] },
                "scope": "read",
            },
            {
                "client_id": "app",
                "redirect_uris": [REDIRECT_URI],
                "grant_types": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_method": "none",
            },
        ]);
        Ok(clients.to_string())
    }

    /// Asks the server for its nonce.
    pub(super) fn place(&mut self, address: SocketAddr) -> Result<Place, Failure> {
        let without = Place { address, nonce: None };
        let request = self.ask(Service::Basic, &without)?;
        let mut connection = Connection::open(address)?;
        let answer = connection.ask(&request)?;
        answer.expect(400)?;
        let nonce = answer.header("dpop-nonce").and_then(Nonce::parse).ok_or("no nonce")?;
        Ok(Place { address, nonce: Some(nonce) })
    }

    /// Requests for a token each.
    pub(super) fn ask_often(
        &mut self,
        service: Service,
        place: &Place,
        count: usize,
    ) -> Result<Vec<Request>, Failure> {
        (0..count).map(|_| self.ask(service, place)).collect()
    }

    /// A request for a token.
    pub(super) fn ask(&mut self, service: Service, place: &Place) -> Result<Request, Failure> {
        let form = FormWriter::new().pair("grant_type", "client_credentials");
        let form = form.pair("scope", "read").pair("resource", RESOURCE);
        let (form, authorization) = self.present(service, place)?.write(form);
        let authorization = authorization.map(|value| format!("Authorization: {}\r\n", value.reveal()));
        let more =
            format!("{}DPoP: {}\r\n", authorization.unwrap_or_default(), self.next_proof(place, "/token")?);
        Ok(post(place.address, "/token", &more, &form.finish()))
    }

    fn present(&self, service: Service, place: &Place) -> Result<Presented, Failure> {
        let client_id = ClientId::parse(match service {
            Service::Basic => "basic",
            Service::Jwt => "jwt",
        })?;
        if let Service::Basic = service {
            return Ok(Presented::Basic { client_id, client_secret: Secret::new(SECRET) });
        }
        let (issuer, jti) = (Issuer::parse(&place.url(""))?, format!("a-{}", self.prover.made()));
        let assertion =
            sign_assertion(&self.assertion_key, Some("1"), &client_id, &issuer, self.prover.now(), &jti)?;
        Ok(Presented::Assertion { client_id: None, assertion })
    }

    /// A proof for one request, by the key of all.
    pub(super) fn next_proof(&mut self, place: &Place, path: &str) -> Result<String, Failure> {
        self.prover.prove(&Call { method: "POST", place, path, token: None })
    }

    /// How many there were.
    pub(super) fn proofs_made(&self) -> u32 {
        u32::try_from(self.prover.made()).unwrap_or(u32::MAX)
    }
}

/// A request that posts a form. `more` are header lines.
pub(super) fn post(address: SocketAddr, path: &str, more: &str, form: &str) -> Request {
    let length = form.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\n{more}Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n\r\n{form}"
    )
    .into_bytes()
}
