//! UserInfo (OpenID Connect Core §5.3): what the server says of the user, as JSON or signed.

use crate::client::{Client, MAX_ANSWER_BYTES};
use crate::endpoint_error::expect_with_token;
use crate::error::ClientError;
use crate::outgoing::{Outgoing, OutgoingError};
use crate::resource_exchange::prepare;
use crate::session::Origins;
use crate::tokens::Tokens;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use keybound_dpop::nonce_cache::Role;
use keybound_oauth::userinfo::{JWT_MEDIA_TYPE, UserinfoError, parse, read_jwt};
use serde_json::{Map, Value};

const ENDPOINT: &str = "userinfo_endpoint";

impl Client {
    /// The claims of the user whose tokens these are. They must be about the user of the ID token that was checked at the
    /// login ([`Tokens::subject`]); without one nothing is asked, since the answer could be about anybody (§5.3.2).
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn userinfo(&self, tokens: &Tokens) -> Result<Map<String, Value>, ClientError> {
        let subject = tokens.subject.as_deref().ok_or(ClientError::NoSubject)?;
        let endpoint = self.endpoint(ENDPOINT, |at| at.userinfo_endpoint.as_ref())?;
        let origins = Origins::of([endpoint.as_str()]).map_err(OutgoingError::from)?;
        let session = self.session("", tokens.clone(), origins);
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = crate::destination::Destination::parse(endpoint.as_str())
            .map_err(OutgoingError::from)?
            .uri()
            .clone();
        let make = || -> Result<Outgoing, ClientError> { Ok(prepare(&session, self.prover(), &request)?) };
        let role = Role::ResourceServer;
        let response = self.transport().exchange(self.prover(), role, MAX_ANSWER_BYTES, make).await?;
        expect_with_token(ENDPOINT, &response).map_err(|error| error.without(&[&tokens.access_token]))?;
        self.read_userinfo(&response, subject).await
    }

    async fn read_userinfo(
        &self,
        response: &Response<Bytes>,
        subject: &str,
    ) -> Result<Map<String, Value>, ClientError> {
        if !is_jwt(response) {
            return Ok(parse(response.body(), subject)?);
        }
        let text = std::str::from_utf8(response.body()).map_err(|_| UserinfoError::Malformed)?;
        let jwt = self.verify_jwt(text.trim(), self.parties().userinfo_algorithms()).await?;
        let names = (self.server().issuer.as_str(), self.identity().client_id.as_str());
        Ok(read_jwt(&jwt, names, subject)?)
    }
}

fn is_jwt(response: &Response<Bytes>) -> bool {
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(JWT_MEDIA_TYPE)
}
