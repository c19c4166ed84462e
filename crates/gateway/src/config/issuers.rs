//! Whose tokens are taken, and where the keys come from.

use super::{ConfigError, IssuerConfig, IssuerFile, KeysFrom, TokensFile, introspection, value};
use keybound_dpop::jose::key_set::KeySet;
use keybound_oauth::identifier::{Endpoint, Issuer};
use keybound_resource::TokenProfile;
use std::path::Path;

pub(super) fn read(files: &[IssuerFile]) -> Result<Vec<IssuerConfig>, ConfigError> {
    if files.is_empty() {
        return Err(value("issuer", "somebody must be trusted to issue tokens"));
    }
    let issuers: Vec<IssuerConfig> = files.iter().map(issuer).collect::<Result<_, _>>()?;
    let twice = |(place, one): (usize, &IssuerConfig)| {
        issuers
            .iter()
            .skip(place + 1)
            .any(|other| other.issuer == one.issuer)
            .then(|| one.issuer.as_str().to_owned())
    };
    match issuers.iter().enumerate().find_map(twice) {
        Some(url) => {
            Err(value("issuer", format!("{url:?} is there twice, and what the second says would not count")))
        }
        None => Ok(issuers),
    }
}

fn issuer(file: &IssuerFile) -> Result<IssuerConfig, ConfigError> {
    let issuer = Issuer::parse(&file.url).map_err(|error| value("issuer", error))?;
    let keys = match (&file.jwks_uri, &file.jwks_file) {
        (Some(_), Some(_)) => return Err(value("issuer.jwks_file", "there is a jwks_uri already: keep one")),
        (Some(uri), None) => {
            KeysFrom::Url(Endpoint::parse(uri).map_err(|error| value("issuer.jwks_uri", error))?)
        }
        (None, Some(path)) => KeysFrom::Fixed(key_file(path)?),
        (None, None) => KeysFrom::Metadata,
    };
    let tokens = match file.tokens {
        TokensFile::Rfc9068 | TokensFile::Opaque => TokenProfile::Rfc9068,
        TokensFile::Jwt => TokenProfile::Jwt,
    };
    Ok(IssuerConfig { issuer, keys, tokens, asked: introspection::read(file)? })
}

fn key_file(path: &Path) -> Result<KeySet, ConfigError> {
    let unusable = |error: String| value("issuer.jwks_file", format!("{}: {error}", path.display()));
    let json = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    KeySet::parse(&json).map_err(|error| unusable(error.to_string()))
}
