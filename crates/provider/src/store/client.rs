//! What the store does for clients.

use super::{
    Client, ClientChanges, Decided, Fault, Id, InitialToken, Registered, Registering, SecretHash, Store,
};
use keybound_dpop::time::UnixTime;

/// Clients, by whomever they were written. Each change changes [`Store::version`].
impl Store {
    /// Adds the client, or writes over the one with its id, whose `created_at` stays.
    pub async fn upsert_client(&self, client: Client) -> Result<(), Fault> {
        match self {
            Self::Embedded(db) => db.upsert_client(client).await,
        }
    }

    /// Removes the client and revokes what it was given. False where there is none.
    pub async fn remove_client(&self, client_id: &str, at: UnixTime) -> Result<bool, Fault> {
        match self {
            Self::Embedded(db) => db.remove_client(client_id.to_owned(), at).await,
        }
    }

    /// The client with that id.
    pub async fn find_client(&self, client_id: &str) -> Result<Option<Client>, Fault> {
        match self {
            Self::Embedded(db) => db.client(client_id),
        }
    }

    /// All clients, in the order of their ids.
    pub async fn clients(&self) -> Result<Vec<Client>, Fault> {
        match self {
            Self::Embedded(db) => db.clients(),
        }
    }

    /// What is new among the clients since that version: as many rows as changed, not as many as there are.
    pub async fn clients_since(&self, version: u64) -> Result<ClientChanges, Fault> {
        match self {
            Self::Embedded(db) => db.clients_since(version),
        }
    }
}

/// Clients that registered themselves, and the tokens that let them.
impl Store {
    /// Adds a client that registers itself, and counts one use of the initial access token with it. A fault where there
    /// is no room.
    pub async fn register_client(&self, new: Registering) -> Result<Registered, Fault> {
        match self {
            Self::Embedded(db) => db.register_client(new).await,
        }
    }

    /// The client; none where the hash is not that of its registration access token.
    pub async fn managed_client(
        &self,
        client_id: &str,
        management: &SecretHash,
    ) -> Result<Option<Client>, Fault> {
        match self {
            Self::Embedded(db) => db.managed_client(client_id, management),
        }
    }

    /// Puts what `decide` makes of the client in its place.
    pub async fn change_client<D>(
        &self,
        client_id: &str,
        management: SecretHash,
        at: UnixTime,
        decide: impl Fn(&Client) -> Result<Client, D> + Send + 'static,
    ) -> Result<Decided<Client, D>, Fault>
    where
        D: Send + 'static,
    {
        match self {
            Self::Embedded(db) => db.change_client((client_id, management), at, decide).await,
        }
    }

    /// Says that these clients were used.
    pub async fn touch_clients(&self, client_ids: Vec<String>, at: UnixTime) -> Result<(), Fault> {
        match self {
            Self::Embedded(db) => db.touch_clients(client_ids, at).await,
        }
    }

    /// Removes the clients that registered themselves, were not used after `unused_since` and have no grant. Gives their
    /// number.
    pub async fn forget_clients(&self, unused_since: UnixTime, now: UnixTime) -> Result<usize, Fault> {
        match self {
            Self::Embedded(db) => db.forget_clients(unused_since, now).await,
        }
    }

    /// Adds an initial access token.
    pub async fn insert_initial_token(&self, token: InitialToken) -> Result<(), Fault> {
        match self {
            Self::Embedded(db) => db.insert_initial_token(token).await,
        }
    }

    /// Looks at an initial access token without using it; none where the secret is not its secret. It may have ended.
    pub async fn find_initial_token(
        &self,
        id: Id,
        secret_hash: &SecretHash,
    ) -> Result<Option<InitialToken>, Fault> {
        match self {
            Self::Embedded(db) => db.initial_token(id, secret_hash),
        }
    }
}
