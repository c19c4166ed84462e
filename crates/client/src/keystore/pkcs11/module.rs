//! Libraries, loaded once a process, and the tokens behind them.

use super::{TokenError, TokenName, short};
use crate::keystore::ask::{AskSecret, SecretFor};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use parking_lot::Mutex;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The libraries that were loaded. They are the process's (PKCS #11 §5.4): whoever asks for one gets the same.
static LOADED: Mutex<Vec<(PathBuf, Pkcs11)>> = Mutex::new(Vec::new());

/// A token that is there.
pub(super) struct Token {
    pub(super) module: Pkcs11,
    pub(super) path: PathBuf,
    pub(super) slot: Slot,
    info: TokenInfo,
}

impl Token {
    pub(super) fn find(wanted: &TokenName) -> Result<Self, TokenError> {
        let module = load(&wanted.module)?;
        let (mut found, mut seen) = (Vec::new(), Vec::new());
        for slot in module.get_slots_with_token()? {
            // A token that was pulled out a moment ago is none of those that are there.
            let Ok(info) = module.get_token_info(slot) else { continue };
            let is_it = info.label() == wanted.token
                && wanted.serial.as_deref().is_none_or(|serial| serial == info.serial_number());
            if info.token_initialized() {
                seen.push(format!("`{}` (serial number {})", info.label(), info.serial_number()));
            }
            if is_it {
                found.push((slot, info));
            }
        }
        match (found.pop(), found.is_empty()) {
            (Some((slot, info)), true) => Ok(Self { module, path: wanted.module.clone(), slot, info }),
            (Some(_), false) => Err(TokenError::Ambiguous(wanted.token.clone())),
            (None, _) => Err(TokenError::NoToken {
                wanted: wanted.token.clone(),
                there: match seen.is_empty() {
                    true => "there is none at all that is set up".to_owned(),
                    false => format!("there is {}", seen.join(", ")),
                },
            }),
        }
    }

    pub(super) fn label(&self) -> &str {
        self.info.label()
    }

    pub(super) fn serial(&self) -> &str {
        self.info.serial_number()
    }

    /// The PIN, asked for; none where the token has a keypad of its own.
    pub(super) fn pin(&self, ask: &dyn AskSecret) -> Result<Option<AuthPin>, TokenError> {
        let label = || self.label().to_owned();
        if self.info.user_pin_locked() {
            return Err(TokenError::Locked(label()));
        }
        if !self.info.user_pin_initialized() {
            return Err(TokenError::NoPin(label()));
        }
        if self.info.protected_authentication_path() {
            return Ok(None);
        }
        let is_last_try = self.info.user_pin_final_try();
        let pin = ask.ask(&SecretFor::Pin { token: self.label(), is_last_try })?;
        Ok(Some(AuthPin::new(pin.reveal().into())))
    }

    /// Logs in, for all sessions of this process. A PIN is tried once.
    pub(super) fn log_in(&self, session: &Session, pin: Option<&AuthPin>) -> Result<(), TokenError> {
        let label = || self.label().to_owned();
        match session.login(UserType::User, pin) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
                Err(TokenError::Pin(label()))
            }
            Err(Error::Pkcs11(RvError::PinLocked, _)) => Err(TokenError::Locked(label())),
            Err(error) => Err(error.into()),
        }
    }
}

fn load(path: &Path) -> Result<Pkcs11, TokenError> {
    let refused = |reason: String| TokenError::Module { path: path.to_owned(), reason };
    let mut loaded = LOADED.lock();
    if let Some((_, module)) = loaded.iter().find(|(known, _)| known == path) {
        return Ok(module.clone());
    }
    if !path.is_absolute() {
        return Err(refused("write its whole path, so that it is always the same".to_owned()));
    }
    let found = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?;
    if found.mode() & 0o022 != 0 {
        return Err(refused("others may write to it, so that it could do anything in our name".to_owned()));
    }
    let module = Pkcs11::new(path).map_err(|error| refused(short(&error)))?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(refused(short(&error))),
    }
    loaded.push((path.to_owned(), module.clone()));
    Ok(module)
}
