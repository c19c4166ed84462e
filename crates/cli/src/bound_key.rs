//! The key that a login's tokens are bound to. A login makes one of its own, so that no two servers, sessions or requests
//! share a key (CL-KEY-04, CL-KEY-05), unless the user names one.

use crate::error::CommandError;
use crate::{input, places};
use keybound_client::discover::choose_algorithm;
use keybound_client::keystore::{KeyStore, KeyStoreError};
use keybound_client::private_file::PrivateFileError;
use keybound_client::prover::SharedSigner;
use keybound_client::session::Session;
use keybound_client::session_store::SessionStore;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::Signer as _;
use keybound_dpop::jose::{base64url, crypto};
use keybound_oauth::provider_metadata::ProviderMetadata;

/// What the names of keys begin with that logins have made, and that end with them.
const PREFIX: &str = "login-";
/// Letters of a session's name in the name of its key, at the most.
const NAME_MAX: usize = 40;

/// A key for a login that has not succeeded yet. One that was made for it goes if it never does.
pub(crate) struct BoundKey {
    keys: KeyStore,
    name: String,
    signer: SharedSigner,
    is_to_go: bool,
}

impl BoundKey {
    /// The key of that name, which is made if it is not there; without a name, a new one for that session.
    pub(crate) fn obtain(
        named: Option<&str>,
        session: &str,
        server: &ProviderMetadata,
        configured: Option<Algorithm>,
    ) -> Result<Self, CommandError> {
        let keys = places::keys()?;
        let make = |name: &str| -> Result<SharedSigner, CommandError> {
            Ok(keys.create(name, choose_algorithm(server, configured).map_err(CommandError::failed)?)?)
        };
        let Some(name) = named else {
            let name = own_name(session)?;
            let signer = make(&name)?;
            return Ok(Self { keys, name, signer, is_to_go: true });
        };
        check_name(name)?;
        let signer = match keys.load(name) {
            Ok(key) => {
                choose_algorithm(server, Some(key.algorithm())).map_err(CommandError::failed)?;
                key
            }
            Err(KeyStoreError::File(PrivateFileError::Missing(_))) => make(name)?,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { keys, name: name.to_owned(), signer, is_to_go: false })
    }

    /// Whether it was made now, for one session.
    pub(crate) const fn is_new(&self) -> bool {
        self.is_to_go
    }

    /// The key of a session, for another one of the same client.
    pub(crate) fn of(session: &Session) -> Result<Self, CommandError> {
        let keys = places::keys()?;
        let signer = keys.load(&session.key)?;
        Ok(Self { keys, name: session.key.clone(), signer, is_to_go: false })
    }

    /// What signs.
    pub(crate) fn signer(&self) -> SharedSigner {
        SharedSigner::clone(&self.signer)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The login has succeeded.
    pub(crate) fn keep(mut self) {
        self.is_to_go = false;
    }
}

impl Drop for BoundKey {
    fn drop(&mut self) {
        if self.is_to_go
            && let Err(error) = self.keys.delete(&self.name)
        {
            tracing::debug!(%error, "the key of a login that failed is left over");
        }
    }
}

/// Deletes the key of a session that is gone, where a login made it and no other session needs it. Gives whether it did.
pub(crate) fn delete_own(gone: &Session, sessions: &SessionStore) -> Result<bool, CommandError> {
    if !gone.key.starts_with(PREFIX) {
        return Ok(false);
    }
    for name in sessions.names().map_err(CommandError::failed)? {
        if sessions.load(&name).is_ok_and(|other| other.key == gone.key) {
            return Ok(false);
        }
    }
    match places::keys()?.delete(&gone.key) {
        Ok(()) => Ok(true),
        Err(KeyStoreError::File(PrivateFileError::Missing(_))) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn own_name(session: &str) -> Result<String, CommandError> {
    let session: String = session.chars().take(NAME_MAX).collect();
    let random = base64url::encode(&crypto::random::<6>().map_err(CommandError::failed)?);
    Ok(format!("{PREFIX}{session}-{random}"))
}

fn check_name(name: &str) -> Result<(), CommandError> {
    if input::is_path(name) {
        return Err(CommandError::usage(format!("`{name}` is a file, not the name of a key"))
            .advise("make a key with `keybound key new NAME`"));
    }
    if name.starts_with(PREFIX) {
        return Err(CommandError::usage(format!("`{name}` is the key of one login alone"))
            .advise("leave --key out for a new key, or make one with `keybound key new NAME`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cl_key_04_cl_key_05_every_login_has_a_key_name_of_its_own() {
        let (one, other) = (own_name("work").expect("a name"), own_name("work").expect("a name"));
        assert!(one.starts_with("login-work-") && one != other, "{one} {other}");
        assert!(own_name(&"x".repeat(64)).expect("a name").len() <= 64);
        assert!(
            check_name("login-work-x").is_err() && check_name("a/b").is_err() && check_name("laptop").is_ok()
        );
    }
}
