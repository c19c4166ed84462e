//! Where a client's keys and sessions are: a folder of the user, and of nobody else.

use crate::asking::Asking;
use crate::error::CommandError;
use keybound_client::keystore::KeyStore;
use keybound_client::private_dir::PrivateDir;
use keybound_client::session_store::SessionStore;
use std::path::PathBuf;
use std::sync::Arc;

/// The folder: `KEYBOUND_HOME`, else `keybound` in `XDG_DATA_HOME`, else `~/.local/share/keybound`.
pub(crate) fn home() -> Result<PathBuf, CommandError> {
    of("KEYBOUND_HOME")
        .or_else(|| of("XDG_DATA_HOME").map(|data| data.join("keybound")))
        .or_else(|| of("HOME").map(|home| home.join(".local/share/keybound")))
        .ok_or_else(|| {
            CommandError::failed("there is no folder for keys and sessions, since HOME is not set")
                .advise("set KEYBOUND_HOME to a folder of your own")
        })
}

/// The file of the profiles: `KEYBOUND_PROFILES`, else `profiles.toml` in `KEYBOUND_HOME`, else in `keybound` in
/// `XDG_CONFIG_HOME`, else in `~/.config/keybound`.
pub(crate) fn profiles() -> Result<PathBuf, CommandError> {
    of("KEYBOUND_PROFILES")
        .or_else(|| of("KEYBOUND_HOME").map(|home| home.join("profiles.toml")))
        .or_else(|| of("XDG_CONFIG_HOME").map(|config| config.join("keybound/profiles.toml")))
        .or_else(|| of("HOME").map(|home| home.join(".config/keybound/profiles.toml")))
        .ok_or_else(|| {
            CommandError::failed("there is no file for profiles, since HOME is not set")
                .advise("set KEYBOUND_PROFILES to a file of your own")
        })
}

fn of(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The registrations of clients, with their secrets.
pub(crate) fn registrations() -> Result<PrivateDir, CommandError> {
    PrivateDir::open(home()?.join("registrations"), ".json").map_err(CommandError::failed)
}

/// The keys. Passphrases and PINs are asked for when a key is opened.
pub(crate) fn keys() -> Result<KeyStore, CommandError> {
    Ok(KeyStore::open(home()?.join("keys"))?.asking(Arc::new(Asking)))
}

/// The sessions: what a login leaves behind.
pub(crate) fn sessions() -> Result<SessionStore, CommandError> {
    SessionStore::open(home()?.join("sessions")).map_err(CommandError::failed)
}
