//! The logins that the agent uses: opened at its start, and again when they have become others.

use super::agent::Setup;
use crate::error::CommandError;
use crate::server::NameArgs;
use crate::{places, wallet};
use keybound_client::agent::{Agent, Profile};
use keybound_client::client::Client;
use keybound_client::private_file::PrivateFileError;
use keybound_client::prover::Prover;
use keybound_client::session::Session;
use keybound_client::session_store::{SessionStore, SessionStoreError};
use keybound_client::shared_session::{Place, SharedSession, Upkeep};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// How often the files of the logins are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// After so many looks an authorization server that could not be reached is asked again.
const LOOKS_PER_TRY: u32 = 15;

/// The name of a profile, and what its file has; `None` where there is no file.
type Found = (String, Option<Session>);

/// Logins that are in use.
pub(super) struct Logins {
    pub(super) profiles: Vec<Profile>,
    /// Whether all of them can be renewed that are meant to.
    is_whole: bool,
    /// What they were opened from.
    found: Vec<Found>,
}

/// Takes up logins that have changed: at SIGHUP at once, else within seconds. Where one cannot be used, everything stays
/// as it is; who has logged out has no login any more.
pub(super) async fn follow(setup: Setup, agent: Agent, mut logins: Logins, hangup: Arc<Notify>) {
    let mut looks = 0;
    loop {
        let is_told = timeout(LOOK, hangup.notified()).await.is_ok();
        looks = if logins.is_whole { 0 } else { looks + 1 };
        let found = match setup.look().await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(target: "agent", %error, "the logins cannot be looked at");
                continue;
            }
        };
        if !is_told && looks < LOOKS_PER_TRY && !logins.differ_from(&found) {
            continue;
        }
        looks = 0;
        let others = setup.open(found.clone(), &logins.profiles).await.and_then(|others| {
            agent.replace(&others.profiles).map_err(CommandError::failed)?;
            Ok(others)
        });
        match others {
            Ok(others) => {
                tracing::info!(target: "agent", "the logins were read again");
                logins = others;
            }
            Err(error) => {
                tracing::error!(target: "agent", %error, "the old logins stay in use");
                // Not again before they change once more.
                logins.found = found;
            }
        }
    }
}

impl Logins {
    /// Whether a file has neither what it had, nor what the agent itself has put there.
    fn differ_from(&self, found: &[Found]) -> bool {
        let is_in_use = |name: &str, session: &Session| {
            self.profiles.iter().any(|profile| profile.name == name && *profile.session.session() == *session)
        };
        let is_new =
            |(name, session): &Found| session.as_ref().is_none_or(|session| !is_in_use(name, session));
        found.iter().zip(&self.found).any(|(now, then)| now != then && is_new(now))
    }
}

impl Setup {
    /// The logins, each of which there must be.
    pub(super) async fn logins(&self) -> Result<Logins, CommandError> {
        let sessions = self.profiles.sessions()?.into_iter();
        self.open(sessions.map(|(name, session)| (name, Some(session))).collect(), &[]).await
    }

    /// What the files have now.
    async fn look(&self) -> Result<Vec<Found>, CommandError> {
        let names = self.profiles.names()?;
        let look = move || {
            let store = places::sessions()?;
            names.into_iter().map(|name| load(&store, &name).map(|session| (name, session))).collect()
        };
        tokio::task::spawn_blocking(look).await.map_err(CommandError::failed)?
    }

    /// Opens what was found; a key that is in use already is not asked for again.
    async fn open(&self, found: Vec<Found>, in_use: &[Profile]) -> Result<Logins, CommandError> {
        let (mut profiles, mut is_whole) = (Vec::new(), true);
        for (name, session) in &found {
            let Some(session) = session.clone() else {
                tracing::warn!(target: "agent", profile = name, "there is no login any more");
                continue;
            };
            let prover = prover(&session, in_use).await?;
            let mut upkeep = Upkeep::default();
            if session.tokens.refresh_token.is_some() {
                upkeep.place = Some(Place { store: places::sessions()?, name: name.clone() });
                upkeep.renewal = self.renewal(name, &session, &prover).await?;
                is_whole &= upkeep.renewal.is_some();
            }
            let session = SharedSession::new(prover, session, upkeep).map_err(CommandError::failed)?;
            profiles.push(Profile { name: name.clone(), session });
        }
        Ok(Logins { profiles, is_whole, found })
    }

    /// Who renews a login; nobody as long as the server cannot be reached.
    async fn renewal(
        &self,
        name: &str,
        session: &Session,
        prover: &Prover,
    ) -> Result<Option<Client>, CommandError> {
        let names = NameArgs { profile: Some(name.to_owned()), session: None };
        let server = names.server(true)?.with_network(&self.network).with_secret(&self.secret);
        let (transport, client_id) = (server.transport()?, session.client_id.clone());
        match server.client(transport, &session.issuer, client_id, prover.clone()).await {
            Ok(client) => Ok(Some(client)),
            Err(error) => {
                tracing::warn!(target: "agent", profile = name, %error, "tokens cannot be renewed for now");
                Ok(None)
            }
        }
    }
}

/// Who makes the proofs for a login. To open a key may mean to ask for a passphrase.
async fn prover(session: &Session, in_use: &[Profile]) -> Result<Prover, CommandError> {
    let mut provers = in_use.iter().map(|profile| profile.session.prover());
    if let Some(prover) = provers.find(|prover| prover.jkt() == session.jkt) {
        return Ok(prover.clone());
    }
    let name = session.key.clone();
    let open = move || wallet::signing_key(&name).map(wallet::prover);
    tokio::task::spawn_blocking(open).await.map_err(CommandError::failed)?
}

fn load(store: &SessionStore, name: &str) -> Result<Option<Session>, CommandError> {
    match store.load(name) {
        Ok(session) => Ok(Some(session)),
        Err(SessionStoreError::File(PrivateFileError::Missing(_))) => Ok(None),
        Err(error) => Err(CommandError::failed(error)),
    }
}
