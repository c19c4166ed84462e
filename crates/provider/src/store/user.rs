//! Users.

use super::{Fault, Inserted, Store, User};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use serde_json::{Map, Value};

impl Store {
    /// Adds a user.
    pub async fn insert_user(&self, user: User) -> Result<Inserted, Fault> {
        match self {
            Self::Embedded(db) => db.insert_user(user).await,
        }
    }

    /// Gives the user another password; ends their sessions and revokes their grants. False where there is none.
    pub async fn set_password(
        &self,
        username: &str,
        password_hash: Secret,
        at: UnixTime,
    ) -> Result<bool, Fault> {
        match self {
            Self::Embedded(db) => db.set_password(username.to_owned(), password_hash, at).await,
        }
    }

    /// Gives the user other claims. False where there is none.
    pub async fn set_claims(
        &self,
        username: &str,
        claims: Map<String, Value>,
        at: UnixTime,
    ) -> Result<bool, Fault> {
        match self {
            Self::Embedded(db) => db.set_claims(username.to_owned(), claims, at).await,
        }
    }

    /// Removes the user; ends their sessions and revokes their grants. False where there is none.
    pub async fn remove_user(&self, username: &str, at: UnixTime) -> Result<bool, Fault> {
        match self {
            Self::Embedded(db) => db.remove_user(username.to_owned(), at).await,
        }
    }

    /// The user who signs in with that name.
    pub async fn find_user_by_username(&self, username: &str) -> Result<Option<User>, Fault> {
        match self {
            Self::Embedded(db) => db.user_by_username(username),
        }
    }

    /// The user whom tokens call by that subject.
    pub async fn find_user_by_subject(&self, subject: &str) -> Result<Option<User>, Fault> {
        match self {
            Self::Embedded(db) => db.user_by_subject(subject),
        }
    }

    /// At most `limit` users in the order of their names, from the first name after `after` on.
    pub async fn users(&self, after: &str, limit: u32) -> Result<Vec<User>, Fault> {
        match self {
            Self::Embedded(db) => db.users(after, limit),
        }
    }
}
