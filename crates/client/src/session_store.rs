//! Sessions in files, so that they outlive a process and can be shared by several.

use crate::private_dir::{FileLock, PrivateDir};
use crate::private_file::PrivateFileError;
use crate::session::{NotASession, Session};
use std::path::PathBuf;

/// A folder (mode 0700) of session files (mode 0600).
#[derive(Clone, Debug)]
pub struct SessionStore {
    files: PrivateDir,
}

/// Why a session cannot be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum SessionStoreError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The file is no session.
    #[error("session `{name}`: {error}")]
    Session {
        /// The name of the session.
        name: String,
        /// What is wrong with it.
        error: NotASession,
    },
}

impl SessionStore {
    /// Opens the folder, and makes it where it is not there.
    ///
    /// # Errors
    /// [`SessionStoreError::File`] where others can get into it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, SessionStoreError> {
        Ok(Self { files: PrivateDir::open(path, ".session")? })
    }

    /// The session of that name.
    ///
    /// # Errors
    /// [`SessionStoreError`]
    pub fn load(&self, name: &str) -> Result<Session, SessionStoreError> {
        let bytes = self.files.read(name)?;
        Session::parse(&bytes).map_err(|error| SessionStoreError::Session { name: name.to_owned(), error })
    }

    /// Keeps a session, in place of the one of that name. All its tokens change at once or not at all.
    ///
    /// # Errors
    /// [`SessionStoreError::File`]
    pub fn save(&self, name: &str, session: &Session) -> Result<(), SessionStoreError> {
        Ok(self.files.replace(name, session.to_json().as_bytes())?)
    }

    /// Forgets a session.
    ///
    /// # Errors
    /// [`SessionStoreError::File`]
    pub fn delete(&self, name: &str) -> Result<(), SessionStoreError> {
        Ok(self.files.remove(name)?)
    }

    /// The names of all sessions, sorted.
    ///
    /// # Errors
    /// [`SessionStoreError::File`]
    pub fn names(&self) -> Result<Vec<String>, SessionStoreError> {
        Ok(self.files.names()?)
    }

    /// Waits until no other process refreshes that session. Blocks the thread.
    ///
    /// # Errors
    /// [`SessionStoreError::File`]
    pub fn lock(&self, name: &str) -> Result<FileLock, SessionStoreError> {
        Ok(self.files.lock(name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::{jkt, session};

    #[test]
    fn cl_tok_05_tokens_are_replaced_together() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SessionStore::open(folder.path().join("sessions")).expect("a store");
        let mut session = session(jkt());
        store.save("work", &session).expect("saved");
        session.tokens.access_token = "a2".to_owned().into();
        session.tokens.refresh_token = Some("r2".to_owned().into());
        store.save("work", &session).expect("saved");
        assert_eq!(store.load("work").expect("loaded"), session);
        assert_eq!(store.names().expect("names"), ["work"]);
        let _lock = store.lock("work").expect("locked");
        store.delete("work").expect("deleted");
        assert!(store.load("work").is_err() && store.names().expect("names").is_empty());
    }
}
