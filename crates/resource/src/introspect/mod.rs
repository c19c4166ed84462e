//! Asking an issuer about tokens (RFC 7662, RFC 9701): once for all who wait, and no more than that, and what was said is
//! kept for a short while.

mod exchange;
mod kept;
mod told;

use crate::config::default_token_algorithms;
use crate::discovered::IssuerKeys;
use crate::introspection::About;
use crate::keys::Keys;
use crate::rejection::Reason;
use crate::token::TokenError;
use exchange::{Exchange, NoAnswer};
use kept::Kept;
use keybound_dpop::jose::algorithm::AlgorithmSet;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::{Clock, Now};
use keybound_dpop::token_hash::TokenHash;
use keybound_fetch::Fetcher;
use keybound_oauth::identifier::{ClientId, Endpoint, Issuer};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use told::Told;

/// Questions under way to one issuer, at the most; whoever comes with one more is told to come again.
const MAX_UNDER_WAY: usize = 256;
/// Between a question that found nobody and the next.
const PAUSE: Duration = Duration::from_secs(1);

/// Where an issuer is asked about tokens.
#[derive(Clone, Debug)]
pub enum IntrospectionEndpoint {
    /// Where its metadata says (RFC 8414 §2).
    Metadata(IssuerKeys),
    /// There.
    Url(Endpoint),
}

/// How we show the issuer who asks (OpenID Connect Core §9).
#[derive(Clone)]
pub enum IntrospectionAuth {
    /// `client_secret_basic`
    SecretBasic(Secret),
    /// `client_secret_post`
    SecretPost(Secret),
    /// `private_key_jwt`: a new assertion for each question.
    PrivateKeyJwt {
        /// Our key.
        key: Arc<SigningKey>,
        /// The `kid` under which the issuer knows it.
        kid: Option<String>,
    },
}

/// In which form the issuer is to answer.
#[derive(Clone, Debug)]
pub enum AnswerForm {
    /// As JSON (RFC 7662 §2.2).
    Json,
    /// As a JWT, signed with one of these keys (RFC 9701).
    Jwt {
        /// The issuer's keys.
        keys: Keys,
        /// The algorithms that it may sign with.
        algorithms: AlgorithmSet,
    },
}

/// How an issuer is asked.
#[derive(Clone, Debug)]
pub struct IntrospectionConfig {
    /// The issuer; an answer that names another one is not believed.
    pub issuer: Issuer,
    /// Where to ask.
    pub endpoint: IntrospectionEndpoint,
    /// Under which client identifier it knows us.
    pub client_id: ClientId,
    /// How we show that.
    pub auth: IntrospectionAuth,
    /// In which form it is to answer.
    pub answers: AnswerForm,
    /// How its opaque tokens begin; empty where it is the only one that is asked.
    pub prefix: String,
    /// For how long a good token is believed without asking again: a token that is revoked is taken for so long at the
    /// most. 30 s; never past the token's `exp`.
    pub staleness: Duration,
    /// For how long a token that is not good is refused without asking again. 5 s.
    pub negative: Duration,
    /// How many answers of each sort are kept.
    pub remembered_tokens: usize,
    /// Whether a token is taken whose `aud` the answer leaves out: for issuers that tell a resource of no tokens but
    /// those for it (RFC 7662 §4). Not where a route has an audience of its own. Off.
    pub issuer_minds_audience: bool,
}

impl IntrospectionConfig {
    /// With plain JSON answers that are believed for 30 s.
    #[must_use]
    pub const fn new(
        issuer: Issuer,
        endpoint: IntrospectionEndpoint,
        client_id: ClientId,
        auth: IntrospectionAuth,
    ) -> Self {
        Self {
            issuer,
            endpoint,
            client_id,
            auth,
            answers: AnswerForm::Json,
            prefix: String::new(),
            staleness: Duration::from_secs(30),
            negative: Duration::from_secs(5),
            remembered_tokens: 10_000,
            issuer_minds_audience: false,
        }
    }

    /// Asks for signed answers (RFC 9701), under the issuer's keys.
    #[must_use]
    pub fn signed(self, keys: Keys) -> Self {
        Self { answers: AnswerForm::Jwt { keys, algorithms: default_token_algorithms() }, ..self }
    }
}

/// Asks one issuer. Cheap to clone; clones share what was said.
#[derive(Clone)]
pub struct Introspector(Arc<Shared>);

struct Shared {
    exchange: Exchange,
    clock: Arc<dyn Clock>,
    kept: Kept,
    /// What is being asked now, one question a token.
    under_way: Mutex<HashMap<TokenHash, Waiting>>,
    /// When the issuer was last found away, and how that showed.
    away: Mutex<Option<(Duration, String)>>,
}

/// What was said of a token, or why nothing was.
type Outcome = Result<Result<Arc<Told>, TokenError>, String>;
/// An outcome, once there is one.
type Waiting = watch::Receiver<Option<Outcome>>;

impl Introspector {
    /// Nothing is asked yet. `fetcher` is one for URLs that an operator wrote: it verifies certificates and follows no
    /// redirect (RS-INT-04).
    #[must_use]
    pub fn new(config: IntrospectionConfig, fetcher: Fetcher, clock: Arc<dyn Clock>) -> Self {
        let kept = Kept::new(&config);
        let exchange = Exchange { config, fetcher };
        let (under_way, away) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Shared { exchange, clock, kept, under_way, away }))
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.0.exchange.config.prefix
    }

    pub(crate) fn issuer(&self) -> &str {
        self.0.exchange.config.issuer.as_str()
    }

    /// What the issuer says of a token that is good.
    pub(crate) async fn ask(&self, about: About<'_>) -> Result<Arc<Told>, Reason> {
        let answer = match self.0.kept.get(&about.hash, about.now.monotonic) {
            Some(answer) => answer,
            None => self.0.wait(about).await.map_err(Reason::TokensUnavailable)?,
        };
        let told = answer.map_err(Reason::Token)?;
        told.check_time(about.now.unix).map_err(Reason::Token)?;
        Ok(told)
    }

    /// Has the issuer asked again at the next use, also where a question is under way: it may have been answered
    /// before what the caller knows of came to be.
    pub(crate) fn forget(&self, hash: &TokenHash) {
        let mut under_way = self.0.under_way.lock();
        under_way.remove(hash);
        self.0.kept.forget(hash);
    }
}

impl Shared {
    async fn wait(self: &Arc<Self>, about: About<'_>) -> Outcome {
        let mut answer = self.join(about)?;
        let outcome = answer.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or_else(|| Err("the question was given up".to_owned()))
    }

    /// Joins those who wait for the answer, or asks. In a task of its own, so that a caller who goes away takes nothing
    /// from the others.
    fn join(self: &Arc<Self>, about: About<'_>) -> Result<Waiting, String> {
        let mut under_way = self.under_way.lock();
        if let Some(waiting) = under_way.get(&about.hash) {
            return Ok(waiting.clone());
        }
        if let Some(answer) = self.kept.get(&about.hash, about.now.monotonic) {
            return Ok(watch::channel(Some(Ok(answer))).1);
        }
        // Who may only be silent is tried by one: the others do not wait for the end of its patience.
        if let Some((at, why)) = self.away.lock().as_ref()
            && (about.now.monotonic.saturating_sub(*at) < PAUSE || !under_way.is_empty())
        {
            return Err(why.clone());
        }
        if under_way.len() >= MAX_UNDER_WAY {
            return Err("the issuer is slow, and too many are waiting for it".to_owned());
        }
        let (tell, waiting) = watch::channel(None);
        under_way.insert(about.hash, waiting.clone());
        drop(under_way);
        let question = Question { shared: Arc::clone(self), hash: about.hash, waiting: waiting.clone() };
        let token = Secret::new(about.text);
        tokio::spawn(async move { tell.send(Some(question.ask(token).await)) });
        Ok(waiting)
    }
}

/// A question under way. It is no longer when this is dropped, however that comes.
struct Question {
    shared: Arc<Shared>,
    hash: TokenHash,
    waiting: Waiting,
}

impl Question {
    async fn ask(self, token: Secret) -> Outcome {
        let shared = &self.shared;
        let asked = shared.clock.now();
        let said = match shared.exchange.ask(&token, asked).await {
            Ok(said) => said,
            Err(NoAnswer { why, is_away }) => {
                let issuer = shared.exchange.config.issuer.as_str();
                tracing::warn!(issuer, why = %why.escape_debug(), "the issuer cannot be asked about a token");
                let at = shared.clock.monotonic();
                *shared.away.lock() = is_away.then(|| (at, why.clone()));
                return Err(why);
            }
        };
        *shared.away.lock() = None;
        let answer = Told::of(said, &shared.exchange.config, shared.clock.unix());
        self.keep(answer.clone(), asked);
        Ok(answer)
    }

    /// Unless the token was forgotten meanwhile. An answer is as old as its question.
    fn keep(&self, answer: Result<Arc<Told>, TokenError>, asked: Now) {
        let under_way = self.shared.under_way.lock();
        if under_way.get(&self.hash).is_some_and(|latest| latest.same_channel(&self.waiting)) {
            self.shared.kept.keep(self.hash, answer, asked);
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let mut under_way = self.shared.under_way.lock();
        if under_way.get(&self.hash).is_some_and(|latest| latest.same_channel(&self.waiting)) {
            under_way.remove(&self.hash);
        }
    }
}

impl fmt::Debug for Introspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Introspector").field(&self.0.exchange.config).finish()
    }
}

impl fmt::Debug for IntrospectionAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecretBasic(_) => "SecretBasic([redacted])",
            Self::SecretPost(_) => "SecretPost([redacted])",
            Self::PrivateKeyJwt { .. } => "PrivateKeyJwt([redacted])",
        })
    }
}
