//! The sessions of one key in one token: each is used by one thread at a time, and those that are lost are replaced.

use super::TokenError;
use super::module::Token;
use crate::keystore::TokenPlace;
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::AuthPin;
use parking_lot::{Condvar, Mutex};

/// Sessions of one key, at the most. Tokens have few, and sign one after another anyway.
const SESSIONS_MAX: usize = 8;

/// Sessions in which the key can be used.
pub(super) struct Sessions {
    token: Token,
    place: TokenPlace,
    pin: Option<AuthPin>,
    pool: Mutex<Pool>,
    returned: Condvar,
    /// Held while logging in: what one finds out of the PIN the others need not.
    login: Mutex<()>,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Opened>,
    /// Those that are used too.
    count: usize,
    /// Why no more are opened: a PIN that was refused is not tried again.
    refused: Option<TokenError>,
}

struct Opened {
    session: Session,
    key: ObjectHandle,
}

impl Sessions {
    pub(super) fn new(token: Token, place: TokenPlace, pin: Option<AuthPin>) -> Self {
        let (pool, returned, login) = (Mutex::default(), Condvar::new(), Mutex::new(()));
        Self { token, place, pin, pool, returned, login }
    }

    /// Does something with the key in a session. If that shows the session to be lost, it is done once more, in a new
    /// one.
    pub(super) fn with<T>(
        &self,
        work: impl Fn(&Session, ObjectHandle) -> Result<T, Error>,
    ) -> Result<T, TokenError> {
        let opened = self.take()?;
        let first = work(&opened.session, opened.key);
        match first {
            Err(error) if is_lost(&error) => {
                tracing::info!(
                    token = self.token.label(),
                    error = super::short(&error),
                    "a session with the token was lost"
                );
                self.drop_all(opened);
            }
            _ => {
                self.give_back(opened);
                return Ok(first?);
            }
        }
        let opened = self.take()?;
        let second = work(&opened.session, opened.key);
        self.give_back(opened);
        Ok(second?)
    }

    /// An idle session, or a new one, or the next that comes back.
    fn take(&self) -> Result<Opened, TokenError> {
        let mut pool = self.pool.lock();
        loop {
            if let Some(refused) = &pool.refused {
                return Err(refused.clone());
            }
            if let Some(opened) = pool.idle.pop() {
                return Ok(opened);
            }
            if pool.count < SESSIONS_MAX {
                pool.count += 1;
                break;
            }
            self.returned.wait(&mut pool);
        }
        drop(pool);
        self.open().inspect_err(|error| {
            let mut pool = self.pool.lock();
            pool.count -= 1;
            if matches!(error, TokenError::Pin(_) | TokenError::Locked(_)) {
                pool.refused = Some(error.clone());
            }
            self.returned.notify_all();
        })
    }

    fn open(&self) -> Result<Opened, TokenError> {
        let session = self.token.module.open_ro_session(self.token.slot)?;
        {
            let _turn = self.login.lock();
            if let Some(refused) = &self.pool.lock().refused {
                return Err(refused.clone());
            }
            self.token.log_in(&session, self.pin.as_ref()).inspect_err(|error| {
                if matches!(error, TokenError::Pin(_) | TokenError::Locked(_)) {
                    self.pool.lock().refused = Some(error.clone());
                }
            })?;
        }
        let wanted = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(self.place.id.clone())];
        let key = session.find_objects(&wanted)?.into_iter().next();
        let key = key.ok_or_else(|| TokenError::NoKey {
            label: self.place.label.clone(),
            token: self.place.token.clone(),
        })?;
        Ok(Opened { session, key })
    }

    fn give_back(&self, opened: Opened) {
        self.pool.lock().idle.push(opened);
        self.returned.notify_one();
    }

    /// With one session the idle ones are lost too.
    fn drop_all(&self, lost: Opened) {
        let idle = {
            let mut pool = self.pool.lock();
            let idle = std::mem::take(&mut pool.idle);
            pool.count -= idle.len() + 1;
            idle
        };
        drop((lost, idle));
        self.returned.notify_all();
    }
}

/// Whether a new session may do better.
fn is_lost(error: &Error) -> bool {
    use RvError as Rv;
    let Error::Pkcs11(code, _) = error else { return false };
    matches!(
        code,
        Rv::SessionHandleInvalid
            | Rv::SessionClosed
            | Rv::UserNotLoggedIn
            | Rv::KeyHandleInvalid
            | Rv::ObjectHandleInvalid
            | Rv::DeviceRemoved
            | Rv::DeviceError
            | Rv::TokenNotPresent
            | Rv::OperationActive
    )
}
