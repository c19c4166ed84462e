//! The client as it is kept, and as it is told.

use super::policy;
use crate::config::{Config, RegisteredDpop};
use crate::endpoint;
use crate::refusal::{Denied, Refusal};
use crate::registry::random_name;
use crate::store::{Client, ClientSource};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::client_metadata::{AuthMethod, ClientMetadata, GrantType, SubjectType};
use keybound_oauth::client_secret::ClientSecret;
use keybound_oauth::registration::{ClientInformation, Management};
use serde_json::{Map, Value};

/// When a secret ends, in what is kept.
const EXPIRES_AT: &str = "client_secret_expires_at";
const METHOD: &str = "token_endpoint_auth_method";

/// Metadata that hold, and the secret that goes with them.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The metadata, with the secret.
    pub metadata: ClientMetadata,
    /// The secret, where it is new.
    pub new_secret: Option<Secret>,
    /// When the secret ends; none where it does not, or there is none.
    pub secret_expires_at: Option<UnixTime>,
}

/// A `client_id` that nobody chose. It begins as no URL does, and as no `sub` that we make (AS-CIMD-09, AS-DCR-13).
///
/// # Errors
/// Without entropy.
pub fn mint_client_id() -> Result<String, Refusal> {
    let name = random_name().map_err(|error| Refusal::Unavailable(error.to_string()))?;
    Ok(format!("client-{name}"))
}

/// Judges metadata that were sent. `before` is the client as it was. The secret is ours to make and never theirs to choose
/// (RFC 7592 §2.2); one that does not end stays.
///
/// # Errors
/// As [`policy::admit`]; without entropy.
pub fn settle(
    config: &Config,
    mut members: Map<String, Value>,
    before: Option<&Client>,
    now: UnixTime,
) -> Result<Settled, Refusal> {
    members.remove("client_secret");
    members.remove("client_id");
    // RFC 7591 §2: the default of a registration; that of our files is another one.
    let method = members.entry(METHOD).or_insert_with(|| AuthMethod::ClientSecretBasic.as_str().into());
    let uses_secret = matches!(
        method.as_str().and_then(AuthMethod::parse),
        Some(AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost)
    );
    let kept = before.filter(|before| uses_secret && expires_at(before).is_none()).and_then(secret_of);
    let mut new_secret = None;
    if uses_secret && kept.is_none() {
        let secret = base64url::encode(&random::<32>()?);
        members.insert("client_secret".to_owned(), secret.clone().into());
        new_secret = Some(Secret::new(secret));
    } else if kept.is_some() {
        // Stands for the one that is kept: of a secret there is only the digest.
        members.insert("client_secret".to_owned(), "kept".into());
    }
    let registration = &config.registration;
    let mut metadata = policy::admit(&registration.rules, config.profile, members)?;
    check_way(&metadata)?;
    metadata.client_secret = match (kept, metadata.client_secret) {
        (Some(kept), _) => Some(kept),
        (None, made) => made.as_ref().map(ClientSecret::to_hashed),
    };
    let life = registration.secret_secs.filter(|_| new_secret.is_some());
    Ok(Settled { metadata, new_secret, secret_expires_at: life.map(|secs| now.plus_secs(secs)) })
}

impl Settled {
    /// The client as it is kept.
    #[must_use]
    pub fn record(&self, client_id: &str, created_at: UnixTime) -> Client {
        let mut metadata = self.metadata.to_json();
        if let Some(members) = metadata.as_object_mut() {
            members.insert("client_id".to_owned(), client_id.into());
            if let Some(at) = self.secret_expires_at {
                members.insert(EXPIRES_AT.to_owned(), at.as_secs().into());
            }
        }
        let client_id = client_id.to_owned();
        Client { client_id, metadata, source: ClientSource::Registered, created_at }
    }
}

/// What the client is told (RFC 7591 §3.2.1, RFC 7592 §3).
#[must_use]
pub fn information(
    config: &Config,
    client: &Client,
    access_token: Secret,
    new_secret: Option<Secret>,
) -> ClientInformation {
    let uri = config.endpoint(&format!("{}/{}", endpoint::REGISTER, client.client_id));
    ClientInformation {
        client_id: client.client_id.clone(),
        client_id_issued_at: Some(client.created_at),
        client_secret: new_secret,
        client_secret_expires_at: secret_of(client).map(|_| expires_at(client)),
        management: Some(Management { uri, access_token }),
        software_statement: None,
        metadata: client.metadata.as_object().cloned().unwrap_or_default(),
    }
}

/// A change must not weaken the client (ATK-094): `dpop_bound_access_tokens` goes up and, unless bearer tokens are what
/// such clients get anyway, never down.
///
/// # Errors
/// `invalid_client_metadata`
pub fn check_change(config: &Config, before: &Client, after: &ClientMetadata) -> Result<(), Denied> {
    let was_bound = before.metadata.get("dpop_bound_access_tokens") == Some(&Value::Bool(true));
    let may_lower = config.registration.rules.dpop == RegisteredDpop::IfAsked;
    if was_bound && !after.dpop_bound_access_tokens && !may_lower {
        let wire = "`dpop_bound_access_tokens`: must stay true";
        return Err(policy::invalid("AS-DCR-11", wire));
    }
    check_sector(before, after)
}

/// A pairwise `sub` is for who gets an answer at a redirect URI of the sector. A device code asks for none, so that it
/// would tell anybody the `sub` of any sector (OpenID Connect Core §8.1).
fn check_way(metadata: &ClientMetadata) -> Result<(), Denied> {
    if !is_pairwise(metadata) || !metadata.allows_grant(GrantType::DeviceCode) {
        return Ok(());
    }
    let wire = "`grant_types`: must not have the device code beside `subject_type` = pairwise";
    Err(policy::invalid("OIDC-IDT-02", wire))
}

/// What the client got as another is good still, and would be seen by the new `sub` from then on.
fn check_sector(before: &Client, after: &ClientMetadata) -> Result<(), Denied> {
    let before = ClientMetadata::parse(&before.metadata).ok();
    if !is_pairwise(after)
        || before.is_some_and(|before| is_pairwise(&before) && before.sector() == after.sector())
    {
        return Ok(());
    }
    let wire = "`subject_type`: neither becomes pairwise, nor does the host that a pairwise `sub` is of change; \
                register another client";
    Err(policy::invalid("OIDC-IDT-02", wire))
}

fn is_pairwise(metadata: &ClientMetadata) -> bool {
    metadata.subject_type == SubjectType::Pairwise
}

fn expires_at(client: &Client) -> Option<UnixTime> {
    let at = client.metadata.get(EXPIRES_AT).and_then(Value::as_u64);
    at.filter(|at| *at > 0).map(UnixTime::from_secs)
}

fn secret_of(client: &Client) -> Option<ClientSecret> {
    let digest = client.metadata.get("client_secret_sha256").and_then(Value::as_str);
    digest.and_then(ClientSecret::from_digest)
}
