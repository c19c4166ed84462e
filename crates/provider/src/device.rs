//! A device that asks for somebody to sign in elsewhere (RFC 8628 §3.1): whether it may, and the two codes.

use crate::clients::RegisteredClient;
use crate::endpoint;
use crate::provider::Provider;
use crate::reach::{self, Reach, Wanted};
use crate::refusal::{Denied, Refusal};
use crate::store::{CREDENTIAL_ENTROPY, Credential, DeviceCode, DeviceCodeInserted, DeviceCodeState};
use http::StatusCode;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::client_metadata::GrantType;
use keybound_oauth::device::{
    DEFAULT_INTERVAL_SECS, DeviceAuthorizationRequest, DeviceAuthorizationResponse, UserCode,
};
use keybound_oauth::error::ErrorCode;
use keybound_oauth::form::{Form, encode};
use keybound_oauth::identifier::Endpoint;

/// Device codes of one client that may wait for an answer at a time: whoever knows the name of a public client can ask
/// for them (OPS-LIM-06), and the more there are, the better a guess.
pub const MAX_PENDING: u32 = 1000;
/// How often a user code is drawn until it is one that nobody has.
const DRAWS: usize = 4;

/// A request that can be granted, if a user agrees.
#[derive(Debug)]
pub struct DeviceRequest {
    client_id: String,
    reach: Reach,
    jkt: Option<Thumbprint>,
}

impl DeviceRequest {
    /// Judges a request; `jkt` is the key of the proof that came with it, which binds the device code as `dpop_jkt`
    /// does (DEC-17).
    ///
    /// # Errors
    /// `unauthorized_client`, `invalid_scope`, `invalid_target`; `invalid_request` where the two keys differ.
    pub fn judge(
        provider: &Provider,
        client: &RegisteredClient,
        form: &Form,
        jkt: Option<Thumbprint>,
    ) -> Result<Self, Denied> {
        if !client.allows_grant(GrantType::DeviceCode) {
            let wire = format!("the client is not registered for {}", GrantType::DeviceCode.as_str());
            return Err(Denied::new(ErrorCode::UnauthorizedClient, "AS-CA-12", wire));
        }
        let request = DeviceAuthorizationRequest::parse(form)?;
        if let (Some(named), Some(shown)) = (request.dpop_jkt, jkt)
            && named != shown
        {
            let wire = "`dpop_jkt` is not the thumbprint of the proof's key";
            return Err(Denied::new(ErrorCode::InvalidRequest, "AS-DEV-04", wire));
        }
        let wanted = Wanted {
            scope: request.scope,
            resources: request.resources,
            details: request.authorization_details,
        };
        let reach = reach::decide(&provider.config, client, &wanted, true)?;
        Ok(Self { client_id: client.id.as_str().to_owned(), reach, jkt: jkt.or(request.dpop_jkt) })
    }
}

/// Writes the device code down.
///
/// # Errors
/// 429 where too many of the client wait; 503 where the store does not answer.
pub async fn issue(
    provider: &Provider,
    asked: DeviceRequest,
    now: UnixTime,
) -> Result<DeviceAuthorizationResponse, Refusal> {
    let life_secs = provider.config.lifetimes.device_code_secs;
    let (id, device_code, secret_hash) = Credential::mint(now, &random::<CREDENTIAL_ENTROPY>()?);
    let mut code = DeviceCode {
        id,
        secret_hash,
        user_code: draw()?,
        client_id: asked.client_id,
        dpop_jkt: asked.jkt.map(|jkt| jkt.to_string()),
        scope: asked.reach.scope.iter().map(str::to_owned).collect(),
        resources: asked.reach.resources,
        authorization_details: asked.reach.details,
        issued_at: now,
        expires_at: now.plus_secs(life_secs),
        interval_secs: DEFAULT_INTERVAL_SECS,
        polled_at: None,
        state: DeviceCodeState::Pending,
    };
    for _ in 0..DRAWS {
        match provider.store.insert_device_code(code.clone(), MAX_PENDING).await? {
            DeviceCodeInserted::Yes => {
                return response(provider, device_code, &code.user_code);
            }
            DeviceCodeInserted::UserCodeTaken => code.user_code = draw()?,
            DeviceCodeInserted::TooMany => {
                let wire = format!("{MAX_PENDING} devices of this client wait for an answer already");
                let denied = Denied::new(ErrorCode::TemporarilyUnavailable, "OPS-LIM-06", wire);
                return Err(denied.status(StatusCode::TOO_MANY_REQUESTS).log(&code.client_id).into());
            }
        }
    }
    Err(Refusal::Unavailable("no user code was free".to_owned()))
}

fn draw() -> Result<UserCode, Refusal> {
    Ok(UserCode::from_entropy(u64::from_be_bytes(random()?)))
}

fn response(
    provider: &Provider,
    device_code: Secret,
    user_code: &UserCode,
) -> Result<DeviceAuthorizationResponse, Refusal> {
    let place = provider.config.endpoint(endpoint::DEVICE);
    let uri = |text: &str| Endpoint::parse(text).map_err(|error| Refusal::Unavailable(error.to_string()));
    let shown = user_code.to_string();
    Ok(DeviceAuthorizationResponse {
        device_code,
        verification_uri: uri(&place)?,
        verification_uri_complete: Some(uri(&format!("{place}?user_code={}", encode(&shown)))?),
        user_code: Secret::new(shown),
        expires_in_secs: provider.config.lifetimes.device_code_secs,
        interval_secs: DEFAULT_INTERVAL_SECS,
    })
}
