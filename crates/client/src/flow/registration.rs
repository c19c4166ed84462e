//! Dynamic registration (RFC 7591) and the management of what was registered (RFC 7592). It comes before there is a
//! client, so it is asked of a [`Transport`].

use crate::client::MAX_ANSWER_BYTES;
use crate::client_auth::{ClientAuth, Identity};
use crate::destination::Destination;
use crate::endpoint_error::{EndpointError, expect_with_token};
use crate::error::ClientError;
use crate::outgoing::{Outgoing, OutgoingError, sensitive};
use crate::prover::{ProofFor, Prover, SharedSigner};
use crate::transport::Transport;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use keybound_dpop::nonce_cache::Role;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_dpop::token_hash::TokenHash;
use keybound_oauth::identifier::ClientId;
use keybound_oauth::provider_metadata::ProviderMetadata;
use keybound_oauth::registration::{ClientInformation, Management, RegistrationRequest};
use serde_json::Value;

const ENDPOINT: &str = "registration_endpoint";
const CLIENT_URI: &str = "registration_client_uri";

/// What a registration is asked for with.
#[derive(Clone, Debug)]
pub enum InitialAccess {
    /// Nothing: the server lets anybody register.
    Open,
    /// An initial access token.
    Bearer(Secret),
    /// An initial access token that is bound to that key.
    Bound(Secret, Prover),
}

impl InitialAccess {
    fn token(&self) -> Option<&Secret> {
        match self {
            Self::Open => None,
            Self::Bearer(token) | Self::Bound(token, _) => Some(token),
        }
    }
}

/// What the server keeps of a client, and what the client needs to be it.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    information: ClientInformation,
    client_id: ClientId,
}

/// A registration does not yield what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationUnusable {
    /// The server answers with something that is no client identifier.
    #[error("the registration's `client_id` is none; tell the server's operator")]
    ClientId,
    /// The server answers with the registration of another client.
    #[error(
        "the server answered with the registration of another client; it is not used: tell the server's operator"
    )]
    OtherClient,
    /// A method of authentication that we do not have.
    #[error(
        "the client is registered for an authentication method that is unknown here; register it for another"
    )]
    Method,
    /// The method needs a secret, and there is none.
    #[error("the client is registered for a secret, and the server gave none; register it again")]
    NoSecret,
    /// The secret is no longer good.
    #[error("the client's secret has expired; read the registration again, or register anew")]
    SecretExpired,
    /// The method needs a key.
    #[error("the client is registered for `private_key_jwt`; name its authentication key")]
    NoKey,
    /// The server did not say where the registration is managed.
    #[error(
        "the server gave no `registration_client_uri`, so the registration can be changed by its operator only"
    )]
    NotManaged,
}

impl Registration {
    /// Out of what the server answered.
    ///
    /// # Errors
    /// [`EndpointError::Malformed`]
    pub fn judge(endpoint: &'static str, response: &Response<Bytes>) -> Result<Self, EndpointError> {
        expect_with_token(endpoint, response)?;
        Self::parse(response.body()).map_err(|detail| EndpointError::Malformed { endpoint, detail })
    }

    /// Reads what [`Registration::to_json`] wrote.
    ///
    /// # Errors
    /// What is wrong with it, as text.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let information = ClientInformation::parse(json).map_err(|error| error.to_string())?;
        let client_id = ClientId::parse(&information.client_id)
            .map_err(|_| RegistrationUnusable::ClientId.to_string())?;
        Ok(Self { information, client_id })
    }

    /// As JSON, with secrets in plain text: for a file that nobody else can read.
    #[must_use]
    pub fn to_json(&self) -> Secret {
        Secret::new(self.information.to_json())
    }

    /// The client identifier.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// All that the server said.
    #[must_use]
    pub const fn information(&self) -> &ClientInformation {
        &self.information
    }

    /// The client that was registered; `key` is its authentication key, with the `kid` under which it is registered.
    ///
    /// # Errors
    /// [`RegistrationUnusable`]
    pub fn identity(
        &self,
        key: Option<(SharedSigner, Option<String>)>,
        now: UnixTime,
    ) -> Result<Identity, RegistrationUnusable> {
        let method = self.information.metadata.get("token_endpoint_auth_method");
        // RFC 7591 §2: left out, it is `client_secret_basic`.
        let auth = match method.map_or(Some("client_secret_basic"), Value::as_str) {
            Some("none") => ClientAuth::None,
            Some("client_secret_basic") => ClientAuth::SecretBasic(self.secret(now)?),
            Some("client_secret_post") => ClientAuth::SecretPost(self.secret(now)?),
            Some("private_key_jwt") => {
                let (signer, kid) = key.ok_or(RegistrationUnusable::NoKey)?;
                ClientAuth::PrivateKeyJwt { signer, kid }
            }
            Some("tls_client_auth" | "self_signed_tls_client_auth") => ClientAuth::TlsCertificate,
            _ => return Err(RegistrationUnusable::Method),
        };
        Ok(Identity { client_id: self.client_id.clone(), auth })
    }

    fn secret(&self, now: UnixTime) -> Result<Secret, RegistrationUnusable> {
        if self.information.client_secret_expires_at.flatten().is_some_and(|at| at <= now) {
            return Err(RegistrationUnusable::SecretExpired);
        }
        self.information.client_secret.clone().ok_or(RegistrationUnusable::NoSecret)
    }

    fn management(&self) -> Result<&Management, RegistrationUnusable> {
        self.information.management.as_ref().ok_or(RegistrationUnusable::NotManaged)
    }

    /// The registration after a read or a change. It is the same client's, or none.
    fn answered(&self, response: &Response<Bytes>) -> Result<Self, ClientError> {
        let new = Self::judge(CLIENT_URI, response).map_err(|error| self.hidden_in(error))?;
        if new.client_id != self.client_id {
            return Err(RegistrationUnusable::OtherClient.into());
        }
        Ok(self.renewed(new))
    }

    /// An error that does not show the secrets of this registration.
    fn hidden_in(&self, error: EndpointError) -> EndpointError {
        let token = self.information.management.as_ref().map(|management| &management.access_token);
        let secrets: Vec<_> = token.into_iter().chain(&self.information.client_secret).collect();
        error.without(&secrets)
    }

    /// What a read or a change answers; the token and the secret stay where the server does not give new ones
    /// (RFC 7592 §3).
    fn renewed(&self, mut new: Self) -> Self {
        let (old, new_information) = (&self.information, &mut new.information);
        if new_information.management.is_none() {
            new_information.management.clone_from(&old.management);
        }
        if new_information.client_secret.is_none() {
            new_information.client_secret.clone_from(&old.client_secret);
            new_information.client_secret_expires_at = old.client_secret_expires_at;
        }
        new
    }
}

impl Transport {
    /// Registers a client.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn register(
        &self,
        server: &ProviderMetadata,
        request: &RegistrationRequest,
        access: &InitialAccess,
    ) -> Result<Registration, ClientError> {
        let endpoint = server.endpoints.registration_endpoint.as_ref();
        let endpoint = endpoint.ok_or(OutgoingError::NoEndpoint(ENDPOINT))?;
        let to = Destination::parse(endpoint.as_str()).map_err(OutgoingError::from)?;
        let body = Bytes::from(request.to_json());
        let make = || make(&Method::POST, &to, access, body.clone());
        let response = self.exchange_with(access, make).await?;
        let judged = Registration::judge(ENDPOINT, &response);
        Ok(judged.map_err(|error| error.without(access.token().as_slice()))?)
    }

    /// Reads a registration (RFC 7592 §2.1).
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn read_registration(&self, registration: &Registration) -> Result<Registration, ClientError> {
        let response = self.manage(registration, &Method::GET, Bytes::new()).await?;
        registration.answered(&response)
    }

    /// Changes a registration to that metadata, all of it (RFC 7592 §2.2): what is left out is deleted.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn update_registration(
        &self,
        registration: &Registration,
        request: &RegistrationRequest,
    ) -> Result<Registration, ClientError> {
        let mut request = request.clone();
        let information = &registration.information;
        request.metadata.insert("client_id".to_owned(), information.client_id.as_str().into());
        if let Some(secret) = &information.client_secret {
            request.metadata.insert("client_secret".to_owned(), secret.reveal().into());
        }
        let response = self.manage(registration, &Method::PUT, Bytes::from(request.to_json())).await?;
        registration.answered(&response)
    }

    /// Ends a registration (RFC 7592 §2.3): the client and all its tokens.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn delete_registration(&self, registration: &Registration) -> Result<(), ClientError> {
        let response = self.manage(registration, &Method::DELETE, Bytes::new()).await?;
        Ok(expect_with_token(CLIENT_URI, &response).map_err(|error| registration.hidden_in(error))?)
    }

    async fn manage(
        &self,
        registration: &Registration,
        method: &Method,
        body: Bytes,
    ) -> Result<Response<Bytes>, ClientError> {
        let management = registration.management()?;
        let to = Destination::parse(&management.uri).map_err(OutgoingError::from)?;
        let access = InitialAccess::Bearer(management.access_token.clone());
        self.exchange_with(&access, || make(method, &to, &access, body.clone())).await
    }

    async fn exchange_with(
        &self,
        access: &InitialAccess,
        make: impl Fn() -> Result<Outgoing, ClientError>,
    ) -> Result<Response<Bytes>, ClientError> {
        match access {
            InitialAccess::Bound(_, prover) => {
                self.exchange(prover, Role::ResourceServer, MAX_ANSWER_BYTES, make).await
            }
            _ => Ok(self.fetcher().send_capped(make()?.request, MAX_ANSWER_BYTES).await?),
        }
    }
}

fn make(
    method: &Method,
    to: &Destination,
    access: &InitialAccess,
    body: Bytes,
) -> Result<Outgoing, ClientError> {
    let mut request = Request::new(body);
    *request.method_mut() = method.clone();
    *request.uri_mut() = to.uri().clone();
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if method == Method::POST || method == Method::PUT {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let proof = match access {
        InitialAccess::Open | InitialAccess::Bearer(_) => None,
        InitialAccess::Bound(token, prover) => {
            Some(prover.prove(ProofFor::Resource(TokenHash::of(token.reveal())), method, to)?)
        }
    };
    let credentials = match access {
        InitialAccess::Open => None,
        InitialAccess::Bearer(token) => Some(Secret::new(format!("Bearer {}", token.reveal()))),
        InitialAccess::Bound(token, _) => Some(Secret::new(format!("DPoP {}", token.reveal()))),
    };
    if let Some(credentials) = credentials {
        headers.insert(AUTHORIZATION, sensitive(&credentials)?);
    }
    if let Some(proof) = &proof {
        proof.put(headers);
    }
    Ok(Outgoing { request, to: to.clone(), proof })
}
