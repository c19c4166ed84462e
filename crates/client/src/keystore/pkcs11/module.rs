//! Libraries, loaded once a process, and the tokens behind them.

use super::{TokenError, TokenName, short};
use crate::keystore::ask::{AskSecret, SecretFor};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use keybound_dpop::secret::Secret;
use parking_lot::Mutex;
use rustix::process::geteuid;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The libraries that were loaded. They are the process's (PKCS #11 §5.4): whoever asks for one gets the same.
static LOADED: Mutex<Vec<(PathBuf, Pkcs11)>> = Mutex::new(Vec::new());

/// The PINs that tokens have refused. Held while logging in: what one key finds out the others need not.
static REFUSED: Mutex<Vec<Refused>> = Mutex::new(Vec::new());

#[derive(PartialEq)]
struct Refused {
    module: PathBuf,
    token: String,
    serial: String,
    /// None from a keypad.
    pin: Option<Secret>,
}

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
    pub(super) fn pin(&self, ask: &dyn AskSecret) -> Result<Option<Secret>, TokenError> {
        self.check_pin()?;
        if self.info.protected_authentication_path() {
            return Ok(None);
        }
        let is_last_try = self.info.user_pin_final_try();
        Ok(Some(ask.ask(&SecretFor::Pin { token: self.label(), is_last_try })?))
    }

    /// Whether any PIN would do.
    fn check_pin(&self) -> Result<(), TokenError> {
        if self.info.user_pin_locked() {
            return Err(TokenError::Locked(self.label().to_owned()));
        }
        if !self.info.user_pin_initialized() {
            return Err(TokenError::NoPin(self.label().to_owned()));
        }
        Ok(())
    }

    /// Logs in, for all sessions of this process. A PIN is tried once, whichever key it is for.
    pub(super) fn log_in(&self, session: &Session, pin: Option<&Secret>) -> Result<(), TokenError> {
        self.check_pin()?;
        let label = || self.label().to_owned();
        let (module, token, serial) = (self.path.clone(), label(), self.serial().to_owned());
        let this = Refused { module, token, serial, pin: pin.cloned() };
        let mut refused = REFUSED.lock();
        if refused.contains(&this) {
            return Err(TokenError::Pin(label()));
        }
        let pin = pin.map(|pin| AuthPin::new(pin.reveal().into()));
        match session.login(UserType::User, pin.as_ref()) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
                refused.push(this);
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
    if !path.is_absolute() || path.to_str().is_none() {
        return Err(refused("write its whole path, in UTF-8, so that it is always the same".to_owned()));
    }
    let module = Pkcs11::new(trusted(path).map_err(refused)?).map_err(|error| refused(short(&error)))?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(refused(short(&error))),
    }
    loaded.push((path.to_owned(), module.clone()));
    Ok(module)
}

/// The file itself, behind all links. Nobody but root and we can write to it or put another one there.
fn trusted(path: &Path) -> Result<PathBuf, String> {
    let file = path.canonicalize().map_err(|error| error.to_string())?;
    for part in file.ancestors() {
        let found = std::fs::metadata(part).map_err(|error| error.to_string())?;
        let who = match (found.uid(), found.mode()) {
            (owner, _) if owner != 0 && owner != geteuid().as_raw() => format!("user {owner}"),
            // In a folder such as /tmp nobody can replace what is another's.
            (_, mode) if mode & 0o022 != 0 && !(found.is_dir() && mode & 0o1000 != 0) => "others".to_owned(),
            _ => continue,
        };
        return Err(format!(
            "{who} may write to {}, so that it could do anything in our name",
            part.display()
        ));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn cl_key_07_a_library_that_others_could_replace_is_not_loaded() {
        let outer = tempfile::tempdir().expect("a folder");
        let (folder, file) = (outer.path().join("lib"), outer.path().join("lib/module.so"));
        std::fs::create_dir(&folder).expect("made");
        std::fs::write(&file, "").expect("written");
        let link = outer.path().join("link.so");
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        let set =
            |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
        set(&folder, 0o755);
        set(&file, 0o755);
        let real = file.canonicalize().expect("a path");
        assert_eq!((trusted(&file), trusted(&link)), (Ok(real.clone()), Ok(real.clone())));
        for (path, bad, good) in
            [(&file, 0o775, 0o755), (&file, 0o757, 0o755), (&folder, 0o775, 0o755), (&folder, 0o777, 0o1777)]
        {
            set(path, bad);
            let told = trusted(&link).expect_err("refused");
            assert!(told.contains("others may write to") && told.contains("lib"), "{told}");
            set(path, good);
            assert!(trusted(&link).is_ok(), "{good:o}");
        }
        if geteuid().is_root() {
            for path in [&file, &folder] {
                std::os::unix::fs::chown(path, Some(12345), None).expect("given away");
                let told = trusted(&link).expect_err("refused");
                assert!(told.starts_with("user 12345 may write to"), "{told}");
                std::os::unix::fs::chown(path, Some(0), None).expect("taken back");
            }
        }
    }
}
