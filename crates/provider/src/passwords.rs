//! Passwords: hashed with Argon2id (RFC 9106), checked by few threads at a time, and just as slowly where there is no
//! such user.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{ARGON2ID_IDENT, Argon2};
use keybound_dpop::jose::crypto::random;
use keybound_dpop::secret::Secret;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Checks that may wait for each one that runs.
const WAITING_PER_THREAD: usize = 64;

/// The hash of a password that nobody knows, at the cost of ours: what a sign-in without a user is checked against.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The password cannot be hashed: the system has no entropy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the password could not be hashed: the system's random generator cannot be used")]
pub struct HashError;

/// Too many sign-ins wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords wait to be checked")]
pub struct Busy;

/// The password's hash in PHC text form, under a new salt. Takes tens of milliseconds.
///
/// # Errors
/// [`HashError`]
pub fn hash(password: &Secret) -> Result<Secret, HashError> {
    let salt: [u8; 16] = random().map_err(|_| HashError)?;
    let hash = Argon2::default().hash_password_with_salt(password.reveal().as_bytes(), &salt);
    hash.map(|hash| Secret::new(hash.to_string())).map_err(|_| HashError)
}

/// Whether the password has that hash. Only Argon2id counts, with the parameters that the hash names. Takes tens of
/// milliseconds.
#[must_use]
pub fn verify(password: &Secret, hash: &Secret) -> bool {
    let Ok(hash) = PasswordHash::new(hash.reveal()) else {
        tracing::error!("a password hash in the store is not in PHC text form; nobody can sign in with it");
        return false;
    };
    hash.algorithm == ARGON2ID_IDENT
        && Argon2::default().verify_password(password.reveal().as_bytes(), &hash).is_ok()
}

/// Checks passwords beside the requests, as many at once as there are processors.
#[derive(Debug)]
pub struct Verifier {
    running: Arc<Semaphore>,
    admitted: Semaphore,
}

impl Default for Verifier {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            running: Arc::new(Semaphore::new(threads)),
            admitted: Semaphore::new(threads * (1 + WAITING_PER_THREAD)),
        }
    }
}

impl Verifier {
    /// Whether the password has that hash; without a hash it has not, which is found out just as slowly (BCP-UI-07).
    ///
    /// # Errors
    /// [`Busy`]
    pub async fn check(&self, password: Secret, hash: Option<Secret>) -> Result<bool, Busy> {
        let _place = self.admitted.try_acquire().map_err(|_| Busy)?;
        let permit = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Busy)?;
        let work = move || {
            let is_somebody = hash.is_some();
            let hash = hash.unwrap_or_else(|| Secret::new(NOBODY));
            let is_right = verify(&password, &hash) && is_somebody;
            drop(permit);
            is_right
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bcp_ui_08_passwords_are_hashed_with_argon2id() {
        let password = Secret::new("correct horse");
        let hashed = hash(&password).unwrap();
        assert!(hashed.reveal().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(hashed.reveal(), hash(&password).unwrap().reveal(), "a new salt each time");
        assert!(verify(&password, &hashed));
        assert!(!verify(&Secret::new("correct horse "), &hashed));
        for bad in ["", "correct horse", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv"] {
            assert!(!verify(&password, &Secret::new(bad)), "{bad}");
        }
        let weaker = hashed.reveal().replace("$argon2id$", "$argon2i$");
        assert!(!verify(&password, &Secret::new(weaker)));
    }

    #[test]
    fn bcp_ui_07_atk_139_nobody_costs_as_much_as_somebody() {
        let cost = |hash: &str| PasswordHash::new(hash).unwrap().params.to_string();
        assert_eq!(cost(NOBODY), cost(hash(&Secret::new("x")).unwrap().reveal()));
    }

    #[tokio::test]
    async fn who_does_not_fit_is_told_so() {
        let verifier = Verifier { running: Arc::new(Semaphore::new(1)), admitted: Semaphore::new(0) };
        assert_eq!(verifier.check(Secret::new("x"), None).await, Err(Busy));
        let verifier = Verifier::default();
        assert_eq!(verifier.check(Secret::new("x"), None).await, Ok(false));
        let hashed = hash(&Secret::new("x")).unwrap();
        assert_eq!(verifier.check(Secret::new("x"), Some(hashed)).await, Ok(true));
    }
}
