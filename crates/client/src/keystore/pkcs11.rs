//! Keys in tokens (PKCS #11 v2.40 and later): security modules, smart cards, and TPMs by way of a library such as
//! tpm2-pkcs11. The key is made in the token and does not leave it.

mod mechanism;
mod module;
mod pool;
mod sessions;

use super::TokenPlace;
use super::ask::{AskSecret, SecretAsked};
use super::record::TokenKey;
use cryptoki::error::{Error, RvError};
use cryptoki::session::Session;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto::{self, CryptoError};
use keybound_dpop::jose::jwk::PublicJwk;
use keybound_dpop::jose::signer::{SignError, Signer};
use keybound_dpop::secret::Secret;
use mechanism::Pair;
use module::Token;
use sessions::Sessions;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Which token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenName {
    /// The library by which it is reached, with its whole path.
    pub module: PathBuf,
    /// Its label.
    pub token: String,
    /// Its serial number, where two have the same label.
    pub serial: Option<String>,
}

/// A token did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The library cannot be loaded.
    #[error("the PKCS #11 module {path} cannot be used: {reason}", path = path.display())]
    Module {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such token.
    #[error("there is no token `{wanted}`; {there}")]
    NoToken {
        /// What was looked for.
        wanted: String,
        /// What is there.
        there: String,
    },
    /// Two tokens have that label.
    #[error("there is more than one token `{0}`; say which by its serial number")]
    Ambiguous(String),
    /// The PIN is wrong.
    #[error(
        "token `{0}` refused the PIN. It was tried once and will not be tried again: tokens lock after a few"
    )]
    Pin(String),
    /// Too many wrong PINs were given.
    #[error("token `{0}` is locked, since wrong PINs were given; its security officer can set a new one")]
    Locked(String),
    /// The token is not set up.
    #[error("token `{0}` has no user PIN yet; set one with the tools of the token")]
    NoPin(String),
    /// The PIN cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretAsked),
    /// The key is not in the token.
    #[error("key `{label}` is not in token `{token}` any more")]
    NoKey {
        /// The label of the key.
        label: String,
        /// The label of the token.
        token: String,
    },
    /// The key in the token is another one.
    #[error("the key in token `{0}` is not the one that was made there: its signature does not verify")]
    OtherKey(String),
    /// The token cannot make such a key.
    #[error("token `{token}` makes no keys for {algorithm}: {reason}")]
    Unfit {
        /// The label of the token.
        token: String,
        /// The algorithm.
        algorithm: Algorithm,
        /// What the token said.
        reason: String,
    },
    /// The token would give the key away.
    #[error("token `{0}` would give the private key away, so the key was not kept")]
    Exportable(String),
    /// The token wants its PIN for every signature.
    #[error(
        "token `{0}` wants its PIN again for every signature of that key, and proofs are made for every request; use a \
         token or a slot without that rule"
    )]
    EachTime(String),
    /// The token has no more sessions to give.
    #[error("the token has no session left ({0}); end what else uses it")]
    Busy(String),
    /// The system has no entropy to give.
    #[error(transparent)]
    Entropy(#[from] CryptoError),
    /// Anything else.
    #[error("the token failed: {0}")]
    Failed(String),
}

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        match error {
            Error::Pkcs11(RvError::SessionCount, _) => Self::Busy(short(&error)),
            _ => Self::Failed(short(&error)),
        }
    }
}

/// The names of PKCS #11, which can be looked up, instead of its prose.
fn short(error: &Error) -> String {
    match error {
        Error::Pkcs11(code, function) => format!("C_{function:?} says {code:?}"),
        other => other.to_string(),
    }
}

/// A key in a token. Signs on as many sessions as the token bears, and opens new ones where they are lost.
///
/// A token takes its time, a TPM tens of milliseconds. On a runtime of several threads the other tasks are moved out of
/// the way meanwhile. Elsewhere, as in a `LocalSet`, they wait: sign on a thread of your own there.
pub struct TokenSigner {
    algorithm: Algorithm,
    public: PublicJwk,
    sessions: Sessions,
}

impl Signer for TokenSigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_jwk(&self) -> &PublicJwk {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signed = aside(|| {
            self.sessions.with(|session, key| mechanism::sign(session, key, self.algorithm, message))
        });
        signed.map_err(|error| SignError(error.to_string()))
    }
}

impl fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenSigner({} {})", self.algorithm, self.public.thumbprint())
    }
}

/// Makes a key pair in the token. Gives the PIN too, so that it is asked for once.
pub(super) fn create(
    label: &str,
    algorithm: Algorithm,
    token: &TokenName,
    ask: &Arc<dyn AskSecret>,
) -> Result<(TokenKey, Option<Secret>), TokenError> {
    let token = Token::find(token)?;
    let id = crypto::random::<16>()?.to_vec();
    let session = token.module.open_rw_session(token.slot)?;
    let pin = token.pin(&**ask)?;
    token.log_in(&session, pin.as_ref())?;
    let pair = mechanism::generate(&session, algorithm, &id, label);
    let pair = pair.map_err(|error| TokenError::Unfit {
        token: token.label().to_owned(),
        algorithm,
        reason: short(&error),
    })?;
    let made = check(&session, &pair, token.label())
        .and_then(|()| mechanism::public_key(&session, pair.public, algorithm));
    let public = made.inspect_err(|_| {
        // It has failed already; what cannot be removed stays, unused.
        let _ = mechanism::destroy(&session, &id);
    })?;
    let place = TokenPlace {
        module: token.path.clone(),
        token: token.label().to_owned(),
        serial: token.serial().to_owned(),
        id,
        label: label.to_owned(),
    };
    Ok((TokenKey { algorithm, public, place }, pin))
}

/// Whether a new key is of use.
fn check(session: &Session, pair: &Pair, token: &str) -> Result<(), TokenError> {
    if !mechanism::keeps(session, pair.private)? {
        return Err(TokenError::Exportable(token.to_owned()));
    }
    if mechanism::asks_each_time(session, pair.private)? {
        return Err(TokenError::EachTime(token.to_owned()));
    }
    Ok(())
}

/// The PIN of the token that the key is in, asked for.
pub(super) fn pin(key: &TokenKey, ask: &Arc<dyn AskSecret>) -> Result<Option<Secret>, TokenError> {
    Token::find(&name(&key.place))?.pin(&**ask)
}

/// Opens a key that was made in a token, and has it sign once, to see that it is that key.
pub(super) fn open(key: &TokenKey, pin: Option<Secret>) -> Result<TokenSigner, TokenError> {
    let sessions = Sessions::new(key.place.clone(), pin);
    let signer = TokenSigner { algorithm: key.algorithm, public: key.public.clone(), sessions };
    let challenge = crypto::random::<32>()?;
    let signed = aside(|| {
        signer.sessions.with(|session, handle| mechanism::sign(session, handle, key.algorithm, &challenge))
    })?;
    crypto::verify(key.algorithm, &key.public, &challenge, &signed)
        .map_err(|_| TokenError::OtherKey(key.place.token.clone()))?;
    Ok(signer)
}

/// Removes both halves of the key from the token.
pub(super) fn destroy(key: &TokenKey, pin: Option<&Secret>) -> Result<(), TokenError> {
    let token = Token::find(&name(&key.place))?;
    let session = token.module.open_rw_session(token.slot)?;
    token.log_in(&session, pin)?;
    Ok(mechanism::destroy(&session, &key.place.id)?)
}

fn name(place: &TokenPlace) -> TokenName {
    let serial = Some(place.serial.clone());
    TokenName { module: place.module.clone(), token: place.token.clone(), serial }
}

/// Where other tasks wait for this thread, they are given another one: that is so for a worker of a runtime of several,
/// and for no other thread can it be asked.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor, worker_index};
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) if worker_index().is_some() => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::aside;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn cl_key_07_whoever_waits_for_a_token_holds_up_no_other_task() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        let (tell, told) = channel();
        let waits = runtime.spawn(async move { aside(|| told.recv_timeout(Duration::from_secs(60))) });
        runtime.spawn(async move { tell.send(()) });
        assert_eq!(runtime.block_on(waits).expect("no panic"), Ok(()));
    }

    #[test]
    fn cl_key_07_no_runtime_panics() {
        let one = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let several = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
        for runtime in [&one, &several] {
            let local = tokio::task::LocalSet::new();
            let here = async { aside(|| tokio::task::spawn_local(async { aside(|| 1) })).await };
            assert_eq!(local.block_on(runtime, here).expect("no panic"), 1);
            assert_eq!(runtime.block_on(async { aside(|| 2) }), 2);
            let apart = async { tokio::task::spawn_blocking(|| aside(|| aside(|| 3))).await };
            assert_eq!(runtime.block_on(apart).expect("no panic"), 3);
        }
        assert_eq!(aside(|| 4), 4);
    }
}
