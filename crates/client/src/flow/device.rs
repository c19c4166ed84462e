//! The device grant (RFC 8628): for a machine without a browser. The user reads a code here and types it elsewhere, while
//! this client asks again and again whether that has happened.

use crate::client::Client;
use crate::endpoint_error::{EndpointError, expect_success};
use crate::error::ClientError;
use crate::flow::ask::TokenAsk;
use crate::token_endpoint::TokenError;
use crate::tokens::Tokens;
use bytes::Bytes;
use http::{Response, StatusCode};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_fetch::Culprit;
use keybound_oauth::device::{DeviceAuthorizationRequest, DeviceAuthorizationResponse, SLOW_DOWN_SECS};
use keybound_oauth::error::{ErrorBody, ErrorCode};
use keybound_oauth::token::{GrantRequest, TokenRequest};
use std::fmt;
use std::time::Duration;

const ENDPOINT: &str = "device_authorization_endpoint";

/// A login that waits for its user.
pub struct PendingDevice {
    response: DeviceAuthorizationResponse,
    ask: TokenAsk,
    expires_at: UnixTime,
    interval_secs: u32,
}

/// What a poll brought.
#[derive(Debug)]
pub enum Polled {
    /// The user has not answered yet; ask again after that time.
    Waiting(Duration),
    /// The user has allowed it.
    Granted(Box<Tokens>),
}

/// A login on another device did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The user, or the server, said no.
    #[error("the login was refused: {0}")]
    Denied(ErrorBody),
    /// Nobody typed the code in time.
    #[error("the code was not used in time and is no longer good; start the login again")]
    Expired,
}

impl PendingDevice {
    /// Out of the answer of the device authorization endpoint that came now: the second half.
    ///
    /// # Errors
    /// [`EndpointError`]
    pub fn judge(response: &Response<Bytes>, ask: TokenAsk, now: UnixTime) -> Result<Self, EndpointError> {
        expect_success(ENDPOINT, response)?;
        let malformed = |detail| EndpointError::Malformed { endpoint: ENDPOINT, detail };
        let response = DeviceAuthorizationResponse::parse(response.body())
            .map_err(|error| malformed(error.to_string()))?;
        let expires_at = now.plus_secs(response.expires_in_secs);
        // Never without a pause, whatever the server says.
        let interval_secs = response.interval_secs.max(1);
        if u64::from(interval_secs) >= response.expires_in_secs {
            return Err(malformed("its code expires before the first poll".to_owned()));
        }
        Ok(Self { response, ask, expires_at, interval_secs })
    }

    /// What the user types.
    #[must_use]
    pub const fn user_code(&self) -> &Secret {
        &self.response.user_code
    }

    /// Where the user types it.
    #[must_use]
    pub fn verification_uri(&self) -> &str {
        self.response.verification_uri.as_str()
    }

    /// Where the user need not type it: for a link, or a picture that a telephone reads. The code is to be shown all the
    /// same, so that the user can see that it is this one (§3.3.1).
    #[must_use]
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.response.verification_uri_complete.as_ref().map(keybound_oauth::identifier::Endpoint::as_str)
    }

    /// Until when the user can do that.
    #[must_use]
    pub const fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// How long to wait before the next poll.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.interval_secs))
    }

    /// The token request of a poll.
    #[must_use]
    pub fn request(&self) -> TokenRequest {
        let device_code = self.response.device_code.clone();
        self.ask.request(GrantRequest::DeviceCode { device_code })
    }

    /// How long to wait after a poll that brought no tokens (§3.5). Where the server cannot be reached, or is out of order,
    /// it is asked half as often.
    fn wait(&mut self, error: ClientError, now: UnixTime) -> Result<Duration, ClientError> {
        self.interval_secs = match after(&error) {
            After::Wait => self.interval_secs,
            After::SlowDown => self.interval_secs.saturating_add(SLOW_DOWN_SECS),
            After::BackOff => self.interval_secs.saturating_mul(2).max(SLOW_DOWN_SECS),
            After::End(end) => return Err(end.into()),
            After::Fail => return Err(error),
        };
        match now.plus_secs(u64::from(self.interval_secs)) < self.expires_at {
            true => Ok(self.interval()),
            false => Err(DeviceError::Expired.into()),
        }
    }
}

/// What follows from an error of a poll.
enum After {
    Wait,
    SlowDown,
    BackOff,
    End(DeviceError),
    Fail,
}

fn after(error: &ClientError) -> After {
    let body = match error {
        ClientError::Token(TokenError::Refused { body, .. }) => body,
        ClientError::Token(TokenError::Unreadable(status)) if is_passing(*status) => return After::BackOff,
        ClientError::Fetch(error) if error.culprit() == Culprit::Network => return After::BackOff,
        _ => return After::Fail,
    };
    match body.code() {
        Some(ErrorCode::AuthorizationPending) => After::Wait,
        Some(ErrorCode::SlowDown) => After::SlowDown,
        Some(ErrorCode::TemporarilyUnavailable | ErrorCode::ServerError) => After::BackOff,
        Some(ErrorCode::AccessDenied) => After::End(DeviceError::Denied(body.clone())),
        Some(ErrorCode::ExpiredToken) => After::End(DeviceError::Expired),
        _ => After::Fail,
    }
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

/// Shows neither code.
impl fmt::Debug for PendingDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingDevice").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Client {
    /// Begins a login on another device.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn begin_device(&self, ask: TokenAsk) -> Result<PendingDevice, ClientError> {
        let request = DeviceAuthorizationRequest {
            scope: ask.scope.clone(),
            resources: ask.resources.clone(),
            authorization_details: ask.authorization_details.clone(),
            dpop_jkt: self.server().supports_dpop().then(|| self.prover().jkt()),
        };
        let response = self
            .post_form(ENDPOINT, |at| at.device_authorization_endpoint.as_ref(), || request.to_form())
            .await?;
        let judged = PendingDevice::judge(&response, ask, self.prover().now());
        Ok(judged.map_err(|error| error.without(&self.secrets(Vec::new())))?)
    }

    /// Asks once whether the user has answered.
    ///
    /// # Errors
    /// [`ClientError`]; [`DeviceError`] where there is nothing to wait for any more.
    pub async fn poll_device(&self, pending: &mut PendingDevice) -> Result<Polled, ClientError> {
        match self.request_tokens(&pending.request()).await {
            Ok(response) => {
                let tokens = self.granted(response, pending.ask.scope.as_ref()).await?;
                Ok(Polled::Granted(Box::new(tokens)))
            }
            Err(error) => Ok(Polled::Waiting(pending.wait(error, self.prover().now())?)),
        }
    }

    /// Waits until the user has answered; `sleep` waits in between, such as `tokio::time::sleep`.
    ///
    /// # Errors
    /// [`ClientError`], as [`Client::poll_device`]
    pub async fn finish_device<S, F>(
        &self,
        mut pending: PendingDevice,
        sleep: S,
    ) -> Result<Tokens, ClientError>
    where
        S: Fn(Duration) -> F,
        F: Future<Output = ()>,
    {
        let mut wait = pending.interval();
        loop {
            sleep(wait).await;
            match self.poll_device(&mut pending).await? {
                Polled::Granted(tokens) => return Ok(*tokens),
                Polled::Waiting(longer) => wait = longer,
            }
        }
    }
}
