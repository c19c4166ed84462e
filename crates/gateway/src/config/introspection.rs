//! How an issuer is asked about tokens.

use super::{ConfigError, IssuerFile, TokensFile, value};
use crate::secret_file::{self, ALL_BUT_OWNER};
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::secret::Secret;
use keybound_oauth::identifier::{ClientId, Endpoint};
use keybound_resource::IntrospectionAuth;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// For how long an answer may be believed, at the most.
const MAX_STALENESS_SECS: u64 = 300;

/// `[issuer.introspection]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntrospectionFile {
    /// Where to ask. Default: where the issuer's metadata says.
    pub endpoint: Option<String>,
    /// Under which identifier the issuer knows the gateway.
    pub client_id: String,
    /// A file with the gateway's secret, readable by its owner alone.
    pub client_secret_file: Option<PathBuf>,
    /// A file with the gateway's private key as a JWK, readable by its owner alone.
    pub key_file: Option<PathBuf>,
    /// The `kid` under which the issuer knows that key.
    pub key_id: Option<String>,
    /// How the gateway shows who it is. Default: by its key, or else by its secret in the header.
    pub auth_method: Option<AuthMethodFile>,
    /// Whether answers are signed (RFC 9701).
    #[serde(default)]
    pub signed: bool,
    /// How the issuer's opaque tokens begin, where several issuers have such.
    #[serde(default)]
    pub token_prefix: String,
    /// For how long a good answer is believed: 0 to 300. Default: 30.
    pub staleness_secs: Option<u64>,
    /// Whether an answer without `aud` is taken, because the issuer tells of no tokens but those for this API.
    #[serde(default)]
    pub issuer_minds_audience: bool,
}

/// `auth_method`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethodFile {
    /// The secret, in `Authorization`.
    ClientSecretBasic,
    /// The secret, in the body.
    ClientSecretPost,
    /// An assertion under the key.
    PrivateKeyJwt,
}

/// `revocation`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevocationFile {
    /// A signed token is good until it expires.
    #[default]
    Expiry,
    /// The issuer is asked about signed tokens too.
    Introspect,
}

/// An issuer that is asked about tokens.
#[derive(Clone, Debug)]
pub struct IssuerAsked {
    /// Whether about signed tokens too.
    pub every: bool,
    /// Where; where its metadata says if not here.
    pub endpoint: Option<Endpoint>,
    /// Who asks.
    pub client_id: ClientId,
    /// How that is shown.
    pub auth: IntrospectionAuth,
    /// Whether answers are signed.
    pub signed: bool,
    /// How opaque tokens begin.
    pub prefix: String,
    /// For how long a good answer is believed.
    pub staleness: Duration,
    /// Whether an answer without `aud` is taken.
    pub issuer_minds_audience: bool,
}

impl IntrospectionFile {
    /// Paths count from that folder.
    pub(super) fn place_in(&mut self, folder: &Path) {
        for path in self.client_secret_file.iter_mut().chain(&mut self.key_file) {
            *path = folder.join(&*path);
        }
    }
}

pub(super) fn read(issuer: &IssuerFile) -> Result<Option<IssuerAsked>, ConfigError> {
    let every = issuer.tokens == TokensFile::Opaque || issuer.revocation == RevocationFile::Introspect;
    let Some(file) = &issuer.introspection else {
        if every {
            return Err(value("issuer.introspection", "it must say how the issuer is asked about tokens"));
        }
        return Ok(None);
    };
    let endpoint = file.endpoint.as_deref().map(Endpoint::parse).transpose();
    let staleness_secs = file.staleness_secs.unwrap_or(30);
    if staleness_secs > MAX_STALENESS_SECS {
        return Err(value(key("staleness_secs"), format!("must be 0 to {MAX_STALENESS_SECS}")));
    }
    Ok(Some(IssuerAsked {
        every,
        endpoint: endpoint.map_err(|error| value(key("endpoint"), error))?,
        client_id: ClientId::parse(&file.client_id).map_err(|error| value(key("client_id"), error))?,
        auth: auth(file)?,
        signed: file.signed,
        prefix: file.token_prefix.clone(),
        staleness: Duration::from_secs(staleness_secs),
        issuer_minds_audience: file.issuer_minds_audience,
    }))
}

fn auth(file: &IntrospectionFile) -> Result<IntrospectionAuth, ConfigError> {
    use AuthMethodFile::{ClientSecretBasic, ClientSecretPost, PrivateKeyJwt};
    let mismatch = |reason| Err(value(key("auth_method"), reason));
    match (&file.client_secret_file, &file.key_file, file.auth_method) {
        (Some(_), Some(_), _) => mismatch("there are a client_secret_file and a key_file: keep one"),
        (None, None, _) => mismatch("a client_secret_file or a key_file must show who asks"),
        (Some(path), None, None | Some(ClientSecretBasic)) => {
            Ok(IntrospectionAuth::SecretBasic(secret(path)?))
        }
        (Some(path), None, Some(ClientSecretPost)) => Ok(IntrospectionAuth::SecretPost(secret(path)?)),
        (None, Some(path), None | Some(PrivateKeyJwt)) => private_key(path, file.key_id.clone()),
        (Some(_), None, Some(PrivateKeyJwt)) => mismatch("private_key_jwt needs a key_file"),
        (None, Some(_), Some(_)) => mismatch("a secret needs a client_secret_file"),
    }
}

fn secret(path: &Path) -> Result<Secret, ConfigError> {
    let text = private(path).map_err(|error| value(key("client_secret_file"), error))?;
    let secret = Secret::new(text.reveal().trim_end_matches(['\r', '\n']));
    if secret.is_empty() {
        return Err(value(key("client_secret_file"), format!("{}: it is empty", path.display())));
    }
    Ok(secret)
}

fn private_key(path: &Path, kid: Option<String>) -> Result<IntrospectionAuth, ConfigError> {
    let jwk = private(path).map_err(|error| value(key("key_file"), error))?;
    let signer = SigningKey::from_private_jwk(jwk.reveal().as_bytes());
    let signer = signer.map_err(|error| value(key("key_file"), format!("{}: {error}", path.display())))?;
    Ok(IntrospectionAuth::PrivateKeyJwt { key: Arc::new(signer), kid })
}

/// A file that is nobody's but its owner's.
pub(super) fn private(path: &Path) -> Result<Secret, String> {
    let told = |why: String| format!("{}: {why}", path.display());
    let content = secret_file::read(path, ALL_BUT_OWNER).map_err(|error| told(error.to_string()))?;
    std::str::from_utf8(&content).map(Secret::new).map_err(|error| told(error.to_string()))
}

fn key(name: &str) -> String {
    format!("issuer.introspection.{name}")
}
