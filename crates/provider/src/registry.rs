//! Users and clients as an operator makes them: from files at start, and by command while the provider runs.

use crate::passwords;
use crate::profile::Profile;
use crate::signing_keys::ALGORITHMS;
use crate::store::{Client, ClientSource, Fault, Inserted, Store, User};
use crate::subject;
use data_encoding::HEXLOWER;
use keybound_dpop::jose::algorithm::AlgorithmSet;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::client_metadata::ClientMetadata;
use keybound_oauth::client_secret::ClientSecret;
use keybound_oauth::standard_claims::{self, ClaimError};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

/// Why a user or a client cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// A file cannot be read.
    #[error("{path}: {what}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// A client's metadata cannot be used.
    #[error("client {client}: {what}")]
    Client {
        /// Its `client_id`, or its place in the file.
        client: String,
        /// What is wrong and what to write instead.
        what: String,
    },
    /// A user cannot be used.
    #[error("user {username}: {what}")]
    User {
        /// Who.
        username: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// The system has no entropy.
    #[error("the system's random generator cannot be used")]
    Entropy,
    /// The store does not answer.
    #[error("the store cannot be used: {0}")]
    Store(String),
}

impl From<Fault> for RegistryError {
    fn from(fault: Fault) -> Self {
        Self::Store(fault.reason().to_owned())
    }
}

/// A user to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// What they type.
    pub username: String,
    /// Their password.
    pub password: Secret,
    /// `sub`; left out, a random one.
    pub subject: Option<String>,
    /// What is known of them (OpenID Connect Core §5.1).
    pub claims: Map<String, Value>,
}

/// A client that was added.
#[derive(Clone, Debug)]
pub struct AddedClient {
    /// `client_id`
    pub client_id: String,
    /// The secret that was made for it: to be shown once.
    pub client_secret: Option<Secret>,
}

/// Adds a user; a running provider sees it at once.
///
/// # Errors
/// [`RegistryError`]
pub async fn add_user(store: &Store, new: NewUser, now: UnixTime) -> Result<User, RegistryError> {
    let wrong = |what: &str| RegistryError::User { username: new.username.clone(), what: what.to_owned() };
    if new.password.is_empty() {
        return Err(wrong("the password is empty"));
    }
    let password_hash = passwords::hash(&new.password).map_err(|_| RegistryError::Entropy)?;
    let subject = match &new.subject {
        Some(subject) => subject.clone(),
        None => random_name()?,
    };
    let user = User {
        username: new.username.clone(),
        subject,
        password_hash,
        claims: new.claims.clone(),
        updated_at: now,
    };
    check_user(store, &user).await?;
    match store.insert_user(user.clone()).await? {
        Inserted::Yes => Ok(user),
        Inserted::UsernameTaken => Err(wrong("there is a user of that name already")),
        Inserted::SubjectTaken => Err(wrong("another user has that `sub`")),
    }
}

/// `sub` is at most 255 characters of ASCII, and never the name of a client, which speaks for itself (AS-AT-07).
async fn check_user(store: &Store, user: &User) -> Result<(), RegistryError> {
    let wrong = |what: &str| RegistryError::User { username: user.username.clone(), what: what.to_owned() };
    if user.username.is_empty() || user.username.len() > 255 || user.username.chars().any(char::is_control) {
        return Err(wrong("the name must have 1 to 255 octets and no control characters"));
    }
    let visible = user.subject.bytes().all(|byte| byte.is_ascii_graphic());
    if user.subject.is_empty() || user.subject.len() > 255 || !visible {
        return Err(wrong("`sub` must have 1 to 255 visible ASCII characters"));
    }
    check_claims(&user.username, &user.claims)?;
    if subject::looks_pairwise(&user.subject) {
        return Err(wrong("`sub` must not look like one that is made for a pairwise client (`pw.…`)"));
    }
    if store.find_client(&user.subject).await?.is_some() {
        return Err(wrong("`sub` is the client_id of a client; the two must differ"));
    }
    Ok(())
}

/// Standard claims alone, each of its type: what is told of a user is what the standard says (OIDC-CLM-02).
fn check_claims(username: &str, claims: &Map<String, Value>) -> Result<(), RegistryError> {
    let wrong =
        |error: ClaimError| RegistryError::User { username: username.to_owned(), what: error.to_string() };
    standard_claims::check(claims).map_err(wrong)
}

/// Adds a client, or replaces the one of that `client_id`. Makes what is missing: `client_id`, and `client_secret` for
/// a method that uses one.
///
/// # Errors
/// [`RegistryError`]
pub async fn add_client(store: &Store, metadata: Value, now: UnixTime) -> Result<AddedClient, RegistryError> {
    add_client_under(store, Profile::STANDARD, metadata, now).await
}

/// As [`add_client`], for a provider of that profile.
///
/// # Errors
/// [`RegistryError`]; also for a client that such a provider does not serve.
pub async fn add_client_under(
    store: &Store,
    profile: Profile,
    mut metadata: Value,
    now: UnixTime,
) -> Result<AddedClient, RegistryError> {
    let wrong =
        |what: &str| RegistryError::Client { client: "to be added".to_owned(), what: what.to_owned() };
    let members = metadata.as_object_mut().ok_or_else(|| wrong("the metadata must be a JSON object"))?;
    if !members.contains_key("client_id") {
        members.insert("client_id".to_owned(), random_name()?.into());
    }
    let method = members.get("token_endpoint_auth_method").and_then(Value::as_str);
    let uses_secret = matches!(method, Some("client_secret_basic" | "client_secret_post"));
    let mut client_secret = None;
    if uses_secret && !members.contains_key("client_secret") && !members.contains_key("client_secret_sha256")
    {
        let secret = base64url::encode(&random::<32>().map_err(|_| RegistryError::Entropy)?);
        members.insert("client_secret".to_owned(), secret.clone().into());
        client_secret = Some(Secret::new(secret));
    }
    let client_id = put_client(store, profile, &metadata, ClientSource::Command, now).await?;
    Ok(AddedClient { client_id, client_secret })
}

/// Writes one client to the store; of a secret only the digest.
async fn put_client(
    store: &Store,
    profile: Profile,
    metadata: &Value,
    source: ClientSource,
    now: UnixTime,
) -> Result<String, RegistryError> {
    let named = metadata.get("client_id").and_then(Value::as_str).unwrap_or("without client_id");
    let wrong = |what: String| RegistryError::Client { client: named.to_owned(), what };
    let mut client = ClientMetadata::parse(metadata).map_err(|error| wrong(error.to_string()))?;
    let client_id = client.client_id.clone().ok_or_else(|| wrong("`client_id` is missing".to_owned()))?;
    profile.check_client(&client).map_err(wrong)?;
    check_algorithms(profile.of(&client), &client).map_err(wrong)?;
    if subject::looks_pairwise(client_id.as_str()) {
        return Err(wrong("`client_id` must not look like the `sub` of a user (`pw.…`)".to_owned()));
    }
    if store.find_user_by_subject(client_id.as_str()).await?.is_some() {
        return Err(wrong("`client_id` is the `sub` of a user; the two must differ".to_owned()));
    }
    client.client_secret = client.client_secret.as_ref().map(ClientSecret::to_hashed);
    let stored =
        Client { client_id: client_id.to_string(), metadata: client.to_json(), source, created_at: now };
    let known = store.find_client(&stored.client_id).await?;
    if known.is_none_or(|known| known.metadata != stored.metadata || known.source != stored.source) {
        store.upsert_client(stored).await?;
    }
    Ok(client_id.to_string())
}

/// What we sign for the client, and what it signs, within its profile (DEC-03).
pub(crate) fn check_algorithms(profile: Profile, client: &ClientMetadata) -> Result<(), String> {
    let theirs = AlgorithmSet::of(profile.signature_algorithms());
    let ours = AlgorithmSet::of(&ALGORITHMS).intersection(theirs);
    for (member, algorithm, known) in [
        ("id_token_signed_response_alg", client.id_token_signed_response_alg, ours),
        ("userinfo_signed_response_alg", client.userinfo_signed_response_alg, ours),
        ("authorization_signed_response_alg", client.authorization_signed_response_alg, ours),
        ("introspection_signed_response_alg", client.introspection_signed_response_alg, ours),
        ("request_object_signing_alg", client.request_object_signing_alg, theirs),
        ("token_endpoint_auth_signing_alg", client.token_endpoint_auth_signing_alg, theirs),
    ] {
        if algorithm.is_some_and(|algorithm| !known.contains(algorithm)) {
            return Err(format!("`{member}` must be one of {}", known.algs()));
        }
    }
    Ok(())
}

/// Makes the store's clients from the file those of the file: new ones are added, changed ones replaced, missing ones
/// removed. Gives their number.
///
/// # Errors
/// [`RegistryError`]; the store is then as it was for all clients from the wrong one on.
pub async fn sync_clients(
    store: &Store,
    profile: Profile,
    path: &Path,
    now: UnixTime,
) -> Result<usize, RegistryError> {
    let mut kept = Vec::new();
    for metadata in read_array(path)? {
        kept.push(put_client(store, profile, &metadata, ClientSource::File, now).await?);
    }
    for client in store.clients().await? {
        if client.source == ClientSource::File && !kept.contains(&client.client_id) {
            store.remove_client(&client.client_id, now).await?;
        }
    }
    Ok(kept.len())
}

/// A user in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserEntry {
    username: String,
    password_hash: String,
    sub: Option<String>,
    #[serde(default)]
    claims: Map<String, Value>,
}

/// Adds the users of the file, and gives those that are there the file's password and claims. Gives their number.
///
/// # Errors
/// [`RegistryError`]
pub async fn sync_users(store: &Store, path: &Path, now: UnixTime) -> Result<usize, RegistryError> {
    let entries = read_array(path)?;
    let count = entries.len();
    for entry in entries {
        let entry: UserEntry =
            serde_json::from_value(entry).map_err(|error| file_error(path, &error.to_string()))?;
        put_user(store, entry, now).await?;
    }
    Ok(count)
}

async fn put_user(store: &Store, entry: UserEntry, now: UnixTime) -> Result<(), RegistryError> {
    let wrong = |what: &str| RegistryError::User { username: entry.username.clone(), what: what.to_owned() };
    if !entry.password_hash.starts_with("$argon2id$") {
        return Err(wrong("`password_hash` must be an Argon2id hash in PHC text form: $argon2id$v=19$…"));
    }
    let password_hash = Secret::new(entry.password_hash.clone());
    let Some(known) = store.find_user_by_username(&entry.username).await? else {
        let subject = match &entry.sub {
            Some(sub) => sub.clone(),
            None => random_name()?,
        };
        let username = entry.username.clone();
        let claims = entry.claims.clone();
        let user = User { username, subject, password_hash, claims, updated_at: now };
        check_user(store, &user).await?;
        return match store.insert_user(user).await? {
            Inserted::Yes => Ok(()),
            Inserted::UsernameTaken => Err(wrong("there is a user of that name already")),
            Inserted::SubjectTaken => Err(wrong("another user has that `sub`")),
        };
    };
    if entry.sub.as_ref().is_some_and(|sub| *sub != known.subject) {
        return Err(wrong("`sub` must never change: tokens and applications know the user by it"));
    }
    if known.password_hash != password_hash {
        store.set_password(&entry.username, password_hash, now).await?;
    }
    if known.claims != entry.claims {
        check_claims(&entry.username, &entry.claims)?;
        store.set_claims(&entry.username, entry.claims.clone(), now).await?;
    }
    Ok(())
}

fn read_array(path: &Path) -> Result<Vec<Value>, RegistryError> {
    let bytes = std::fs::read(path).map_err(|error| file_error(path, &format!("cannot be read: {error}")))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| file_error(path, &format!("must be a JSON array: {error}")))
}

fn file_error(path: &Path, what: &str) -> RegistryError {
    RegistryError::File { path: path.display().to_string(), what: what.to_owned() }
}

/// 128 random bits: the name of something that nobody named. Never begins like a URL (AS-CIMD-09), nor like an option
/// of a command line.
pub(crate) fn random_name() -> Result<String, RegistryError> {
    Ok(HEXLOWER.encode(&random::<16>().map_err(|_| RegistryError::Entropy)?))
}
