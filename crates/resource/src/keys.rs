//! Where the keys of an issuer come from.

use keybound_dpop::jose::key_set::KeySet;
use parking_lot::RwLock;
use std::sync::Arc;

/// The keys of one issuer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Keys {
    /// Keys that this process holds.
    Local(LocalKeys),
    /// Keys at a URL, fetched when needed and kept.
    #[cfg(feature = "jwks")]
    Remote(keybound_fetch::JwksSource),
    /// Keys at the URL that the issuer's metadata names.
    #[cfg(feature = "jwks")]
    Discovered(crate::discovered::IssuerKeys),
}

/// Keys that this process holds, and may replace while guards use them.
#[derive(Clone, Debug)]
pub struct LocalKeys(Arc<RwLock<Arc<KeySet>>>);

/// The issuer's keys cannot be had: 503, not the caller's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's keys cannot be fetched: {0}")]
pub struct KeysUnavailable(pub String);

impl Keys {
    /// Keys that stay as they are.
    #[must_use]
    pub fn fixed(keys: KeySet) -> Self {
        Self::Local(LocalKeys::new(keys))
    }

    /// Why there are no keys. None where there are some, and where nobody has asked for any.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        match self {
            Self::Local(_) => None,
            #[cfg(feature = "jwks")]
            Self::Remote(source) => source.failure().map(|error| error.to_string()),
            #[cfg(feature = "jwks")]
            Self::Discovered(keys) => keys.failure(),
        }
    }

    /// The set in which a key with that `kid` is to be looked for.
    #[cfg_attr(
        not(feature = "jwks"),
        expect(unused_variables, reason = "keys at hand are not asked for by kid")
    )]
    pub(crate) async fn for_kid(&self, kid: Option<&str>) -> Result<Arc<KeySet>, KeysUnavailable> {
        match self {
            Self::Local(keys) => Ok(keys.current()),
            #[cfg(feature = "jwks")]
            Self::Remote(source) => Ok(source.keys(kid).await?),
            #[cfg(feature = "jwks")]
            Self::Discovered(keys) => keys.for_kid(kid).await,
        }
    }
}

#[cfg(feature = "jwks")]
impl From<keybound_fetch::FetchError> for KeysUnavailable {
    fn from(error: keybound_fetch::FetchError) -> Self {
        Self(error.to_string())
    }
}

impl LocalKeys {
    /// These keys, for now.
    #[must_use]
    pub fn new(keys: KeySet) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(keys))))
    }

    /// Other keys, from now on. Tokens that were found good are judged again, under the new keys.
    pub fn replace(&self, keys: KeySet) {
        *self.0.write() = Arc::new(keys);
    }

    /// The keys of now.
    #[must_use]
    pub fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.read())
    }
}
