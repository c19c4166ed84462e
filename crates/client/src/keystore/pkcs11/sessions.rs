//! The sessions of one key in one token: each is used by one thread at a time, and those that are lost are replaced.

use super::module::Token;
use super::pool::Pool;
use super::{TokenError, mechanism, name, short};
use crate::keystore::TokenPlace;
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use keybound_dpop::secret::Secret;

/// Sessions of one key, at the most. Tokens have few, and sign one after another anyway.
const SESSIONS_MAX: usize = 8;

/// Sessions in which the key can be used.
pub(super) struct Sessions {
    place: TokenPlace,
    pin: Option<Secret>,
    pool: Pool<Opened>,
}

struct Opened {
    session: Session,
    key: ObjectHandle,
}

impl Sessions {
    pub(super) const fn new(place: TokenPlace, pin: Option<Secret>) -> Self {
        Self { place, pin, pool: Pool::new(SESSIONS_MAX) }
    }

    /// Does something with the key in a session. If that shows the session to be lost, it is done once more, in a new
    /// one.
    pub(super) fn with<T>(
        &self,
        work: impl Fn(&Session, ObjectHandle) -> Result<T, Error>,
    ) -> Result<T, TokenError> {
        let take = || self.pool.take(|| self.open(), |error| matches!(error, TokenError::Busy(_)));
        let opened = take()?;
        let first = work(&opened.thing.session, opened.thing.key);
        match first {
            Err(error) if is_lost(&error) => {
                let (token, error) = (&self.place.token, short(&error));
                tracing::info!(token, error, "a session with the token was lost");
                self.pool.lose(opened);
            }
            _ => {
                self.pool.give_back(opened);
                return Ok(first?);
            }
        }
        let opened = take()?;
        let second = work(&opened.thing.session, opened.thing.key);
        self.pool.give_back(opened);
        Ok(second?)
    }

    /// The token is looked for each time: it may have come back in another slot, and what is in this one now may be
    /// another token, which must not be given the PIN.
    fn open(&self) -> Result<Opened, TokenError> {
        let token = Token::find(&name(&self.place))?;
        let session = token.module.open_ro_session(token.slot)?;
        token.log_in(&session, self.pin.as_ref())?;
        let wanted = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(self.place.id.clone())];
        let key = session.find_objects(&wanted)?.into_iter().next();
        let key = key.ok_or_else(|| TokenError::NoKey {
            label: self.place.label.clone(),
            token: self.place.token.clone(),
        })?;
        if mechanism::asks_each_time(&session, key)? {
            return Err(TokenError::EachTime(self.place.token.clone()));
        }
        Ok(Opened { session, key })
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
