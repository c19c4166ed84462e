//! All that the provider knows: what every request is judged by.

use crate::clients::{Clients, KeyFetchers};
use crate::config::{Config, NonceMode, REGISTRATION_SCOPE};
use crate::endpoint;
use crate::endpoint::userinfo::{Shared, UserinfoGuards};
use crate::interaction;
use crate::limits::Limits;
use crate::logout::Courier;
use crate::metrics::Metrics;
use crate::registration::logo::Logos;
use crate::registration::statement::Voucher;
use crate::signing_keys::{SigningKeys, needed_by_config};
use crate::store::{Fault, Store};
use crate::subject::{self, PairwiseKey};
use keybound_dpop::jose::crypto::{CryptoError, HmacKey, random};
use keybound_dpop::nonce::NonceKeys;
use keybound_dpop::replay::{DEFAULT_CAPACITY, MemoryLog, ReplaySalt};
use keybound_dpop::target::Target;
use keybound_dpop::time::{Clock, Now, UnixTime};
use keybound_resource::{DpopUse, Guard};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The name of the secret that nonces are made of.
const NONCE_SECRET: &str = "nonce";
/// Documents and logos that clients which register have us fetch at one time.
const REGISTRATION_FETCHES: usize = 8;

/// Makes every nonce stale that the providers over this store have issued; each client needs one more try
/// (OPS-NON-05). A running provider sees it within a second or two.
///
/// # Errors
/// [`StartError`] where the store or the system's generator cannot be used.
pub async fn revoke_nonces(store: &Store) -> Result<(), StartError> {
    Ok(store.replace_secret(NONCE_SECRET, random()?).await?)
}

/// The provider: configuration, store, keys and clock.
#[derive(Debug)]
pub struct Provider {
    /// What the operator wrote.
    pub config: Config,
    /// What outlives the process.
    pub store: Store,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// When the provider began.
    pub started: Now,
    /// Who may ask.
    pub clients: Clients,
    /// What tokens are signed with.
    pub signing_keys: SigningKeys,
    /// The nonces of all endpoints, UserInfo included.
    pub nonces: NonceKeys,
    /// The proofs and assertions that were used.
    pub replay: Arc<MemoryLog>,
    /// The salt of their keys.
    pub replay_salt: ReplaySalt,
    /// The guards of UserInfo.
    pub userinfo: UserinfoGuards,
    /// The guard of introspection, for callers that show an access token.
    pub introspection: Guard,
    /// The guard of registration, for callers that show an access token; none where it is off.
    pub registration: Option<Guard>,
    /// Who may vouch for clients that register.
    pub vouchers: Vec<Voucher>,
    /// How much may be fetched at one time for clients that register.
    pub registration_fetches: Arc<Semaphore>,
    /// The logos of clients.
    pub logos: Arc<Logos>,
    /// Where proofs are sent.
    pub targets: Targets,
    /// The key of the tokens that keep forms from being sent by strangers.
    pub form_key: FormKey,
    /// The key of the subjects that only one sector knows.
    pub pairwise: PairwiseKey,
    /// How often anybody may ask.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Metrics,
    /// Who is being told of a logout.
    pub courier: Courier,
    /// What is remembered of browsers for a while.
    pub memory: interaction::Memory,
}

/// The URIs of the endpoints that take proofs: from configuration, never from a `Host` header (DPOP-HTU-12).
#[derive(Clone, Debug)]
pub struct Targets {
    /// The token endpoint.
    pub token: Target,
    /// UserInfo.
    pub userinfo: Target,
    /// The device authorization endpoint.
    pub device_authorization: Target,
    /// The pushed authorization request endpoint.
    pub pushed: Target,
    /// Introspection.
    pub introspect: Target,
    /// Revocation, which takes none and is called like an endpoint that does.
    pub revoke: Target,
    /// Registration.
    pub register: Target,
}

impl Targets {
    fn of(config: &Config) -> Result<Self, StartError> {
        let target = |path| Target::parse(&config.endpoint(path)).map_err(|_| StartError::Endpoint(path));
        Ok(Self {
            token: target(endpoint::TOKEN)?,
            userinfo: target(endpoint::USERINFO)?,
            device_authorization: target(endpoint::DEVICE_AUTHORIZATION)?,
            pushed: target(endpoint::PUSHED)?,
            introspect: target(endpoint::INTROSPECT)?,
            revoke: target(endpoint::REVOKE)?,
            register: target(endpoint::REGISTER)?,
        })
    }
}

/// The key of CSRF tokens.
pub struct FormKey(pub(crate) HmacKey);

impl std::fmt::Debug for FormKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FormKey")
    }
}

/// Why a provider cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The store does not answer.
    #[error("the store cannot be used: {0}")]
    Store(String),
    /// The system has no entropy.
    #[error("the system's random generator cannot be used")]
    Entropy,
    /// Nothing can be fetched.
    #[error("outbound HTTP cannot be set up: {0}")]
    Fetch(String),
    /// The issuer makes no URI for an endpoint.
    #[error("the issuer makes no URI for {0}")]
    Endpoint(&'static str),
    /// A key in the store cannot be used.
    #[error("the signing key `{0}` in the store cannot be used")]
    Key(String),
    /// A client in the store cannot be used.
    #[error("client `{client_id}`: {what}")]
    Client {
        /// The client.
        client_id: String,
        /// What is wrong and what to write instead.
        what: String,
    },
}

impl From<Fault> for StartError {
    fn from(fault: Fault) -> Self {
        Self::Store(fault.reason().to_owned())
    }
}

impl From<CryptoError> for StartError {
    fn from(_: CryptoError) -> Self {
        Self::Entropy
    }
}

impl Provider {
    /// A provider over that store. Makes the signing key and the secrets on first use.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn open(config: Config, store: Store, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StartError> {
        let now = clock.now();
        let nonce_secret = store.secret(NONCE_SECRET, random()?).await?;
        let salt = store.secret("replay salt", random()?).await?;
        let form = store.secret("forms", random()?).await?;
        let pairwise = store.secret(subject::SECRET, random()?).await?;
        let fetchers = KeyFetchers::new(Arc::clone(&clock), config.registration.rules.loopback_urls)
            .map_err(|error| StartError::Fetch(error.to_string()))?;
        let clients = Clients::load(&store, fetchers, &config, now).await?;
        let wanted = needed_by_config(&config).or(clients.signing_slots());
        let signing_keys = SigningKeys::load(&store, wanted, config.key_lives(), now.unix).await?;
        // The replay log does not outlive the process, so neither do the nonces (OPS-REP-09).
        let nonces = NonceKeys::new(nonce_secret, config.issuer.as_str(), Some(random()?));
        let replay = Arc::new(MemoryLog::new(DEFAULT_CAPACITY, now));
        let replay_salt = ReplaySalt::new(salt);
        let shared = Shared {
            issuer: config.issuer.as_str(),
            nonces: (config.nonce != NonceMode::Off).then_some(&nonces),
            replay: &replay,
            salt: &replay_salt,
            policy: &config.proof,
            clock: &clock,
        };
        let userinfo = UserinfoGuards::new(&shared, &signing_keys)?;
        let audience = config.introspection.identifier.as_str();
        let introspection = endpoint::introspect::guard(&shared, userinfo.keys(), audience)?;
        let registration = config.registration.resource.as_ref().map(|resource| {
            let keys = userinfo.keys();
            endpoint::userinfo::guard(
                &shared,
                keys,
                (resource.identifier.as_str(), REGISTRATION_SCOPE),
                DpopUse::Required,
            )
        });
        let registration = registration.transpose()?;
        let vouchers = Voucher::all(&config.registration, clients.fetchers());
        let targets = Targets::of(&config)?;
        let metrics = Metrics::default();
        store.measure(Arc::clone(&clock), metrics.clone());
        Ok(Arc::new(Self {
            limits: Limits::new(&config.limits),
            metrics,
            courier: Courier::default(),
            targets,
            userinfo,
            introspection,
            registration,
            vouchers,
            registration_fetches: Arc::new(Semaphore::new(REGISTRATION_FETCHES)),
            logos: Arc::default(),
            config,
            store,
            clock,
            started: now,
            clients,
            signing_keys,
            nonces,
            replay,
            replay_salt,
            form_key: FormKey(HmacKey::new(&form)),
            pairwise: PairwiseKey(HmacKey::new(&pairwise)),
            memory: interaction::Memory::default(),
        }))
    }

    /// Takes up the signing keys, what clients want of them, and the nonce secret, as they are in the store now.
    pub async fn reload_keys(&self) {
        match self.store.secret(NONCE_SECRET, [0; 32]).await {
            Ok(secret) => self.nonces.replace_secret(secret),
            Err(fault) => tracing::error!(reason = fault.reason(), "the nonce secret could not be read"),
        }
        if let Err(fault) = self.clients.renew(&self.store, self.now()).await {
            tracing::error!(reason = fault.reason(), "the clients could not be read");
        }
        self.signing_keys.want(self.clients.signing_slots());
        if let Err(fault) = self.signing_keys.reload(&self.store).await {
            tracing::error!(reason = fault.reason(), "the signing keys could not be read");
        }
        // Others may have to be made next, and that takes a while.
        self.userinfo.replace_keys(&self.signing_keys, self.unix());
    }

    /// Makes, replaces and wipes signing keys where that is due, and has UserInfo go by those of now.
    pub async fn tend_keys(&self) {
        self.signing_keys.want(self.clients.signing_slots());
        if let Err(error) = self.signing_keys.tend(&self.store, self.unix()).await {
            tracing::error!(%error, "the signing keys could not be tended");
        }
        self.userinfo.replace_keys(&self.signing_keys, self.unix());
    }

    /// Whether any client must use nonces.
    #[must_use]
    pub fn uses_nonces(&self) -> bool {
        self.config.nonce != NonceMode::Off
    }

    /// Whether fresh proofs are taken from everybody. Without nonces that is so only once the future window has passed
    /// since the start: until then no date tells a new proof from one that was used before it (OPS-REP-09).
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let up = self.now().monotonic.saturating_sub(self.started.monotonic).as_secs();
        self.config.nonce == NonceMode::Required || up > self.config.proof.future_window_secs
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// What time it is, by the wall clock.
    #[must_use]
    pub fn unix(&self) -> UnixTime {
        self.clock.unix()
    }

    /// The nonce keys, where this kind of client must use nonces.
    #[must_use]
    pub fn nonces_for(&self, public_client: bool) -> Option<&NonceKeys> {
        let asked = match self.config.nonce {
            NonceMode::Required => true,
            NonceMode::PublicClients => public_client,
            NonceMode::Off => false,
        };
        asked.then_some(&self.nonces)
    }
}
