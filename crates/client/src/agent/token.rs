//! The agent's own token: whoever has it may use the agent. It opens nothing else and goes nowhere else.

use crate::private_dir::PrivateDir;
use crate::private_file::PrivateFileError;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::{self, CryptoError};
use keybound_dpop::secret::Secret;
use std::path::PathBuf;

/// Characters of a token: 256 random bits.
const LENGTH: usize = 43;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The file holds something else.
    #[error(
        "the file of the agent's token `{0}` does not hold one; delete it, and the next start makes another"
    )]
    NotAToken(String),
    /// The system has no entropy to give.
    #[error("the system gives no random numbers, so no token can be made")]
    Entropy(#[from] CryptoError),
}

/// A new token.
///
/// # Errors
/// [`TokenError::Entropy`]
pub fn generate() -> Result<Secret, TokenError> {
    Ok(Secret::new(base64url::encode(&crypto::random::<32>()?)))
}

/// The token of that name in a folder of private files, which is made where it is not there.
///
/// # Errors
/// [`TokenError`]
pub fn kept(folder: impl Into<PathBuf>, name: &str) -> Result<Secret, TokenError> {
    let files = PrivateDir::open(folder, ".token")?;
    match read(&files, name) {
        Err(TokenError::File(PrivateFileError::Missing(_))) => {
            let token = generate()?;
            match files.create(name, token.reveal().as_bytes()) {
                Ok(()) => Ok(token),
                // Another agent was quicker.
                Err(PrivateFileError::Present(_)) => read(&files, name),
                Err(error) => Err(error.into()),
            }
        }
        read => read,
    }
}

fn read(files: &PrivateDir, name: &str) -> Result<Secret, TokenError> {
    let bytes = files.read(name)?;
    let text = std::str::from_utf8(&bytes).map(str::trim_end).unwrap_or_default();
    let is_token = text.len() == LENGTH && base64url::decode(text).is_some();
    is_token.then(|| Secret::new(text)).ok_or_else(|| TokenError::NotAToken(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn agents_that_start_at_once_have_one_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = folder.path().join("agent");
        let tokens: Vec<_> = std::thread::scope(|scope| {
            let agents: Vec<_> = (0..8).map(|_| scope.spawn(|| kept(&files, "work"))).collect();
            agents.into_iter().map(|agent| agent.join().expect("it ends").expect("a token")).collect()
        });
        assert!(tokens.iter().all(|token| *token == tokens[0]));
    }

    #[test]
    fn atk_126_a_kept_token_is_in_a_file_that_nobody_else_can_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = folder.path().join("agent");
        let token = kept(&files, "work").expect("made");
        assert_eq!(token.reveal().len(), LENGTH);
        assert_eq!(kept(&files, "work").expect("kept"), token);
        assert_ne!(kept(&files, "other").expect("made"), token);
        let mode = |path| std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
        assert_eq!((mode(files.clone()), mode(files.join("work.token"))), (0o700, 0o600));
        std::fs::write(files.join("work.token"), "hunter2").expect("written");
        assert!(matches!(kept(&files, "work"), Err(TokenError::NotAToken(_))));
        std::fs::set_permissions(files.join("work.token"), std::fs::Permissions::from_mode(0o644))
            .expect("set");
        assert!(matches!(kept(&files, "work"), Err(TokenError::File(PrivateFileError::Exposed { .. }))));
    }
}
