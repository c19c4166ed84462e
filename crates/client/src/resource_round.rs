//! One request to a resource, from its first sending to its answer, whoever sends it. At the most it is sent once more
//! for a nonce, once more for the server's clock, and once more with a renewed token.

use crate::answer::Answer;
use crate::destination::Destination;
use crate::error::ClientError;
use crate::nonce_rule::{Next, Resend, Round};
use crate::outgoing::OutgoingError;
use crate::prover::{Acquaintance, Proof};
use crate::resource_exchange::{ResourceError, check_algorithms, is_token_refused};
use crate::shared_session::{Held, SharedSession};
use http::{HeaderMap, Method, Uri};
use keybound_dpop::nonce_cache::Role;
use keybound_oauth::token::TokenType;
use std::sync::Arc;
use std::time::Duration;

/// The rules for one request. Whoever sends it asks: [`ResourceRound::authorize`] before each sending,
/// [`ResourceRound::answered`] after it.
#[derive(Debug)]
pub struct ResourceRound {
    shared: SharedSession,
    method: Method,
    to: Destination,
    held: Arc<Held>,
    sendings: Round,
    proof: Option<Proof>,
    may_renew: bool,
}

impl ResourceRound {
    /// Begins a request of that method to that URL. A token that is expired is renewed first, if it can be.
    ///
    /// # Errors
    /// [`ClientError`] where no proof can be made for the URL, or the renewal fails.
    pub async fn begin(shared: &SharedSession, method: Method, uri: &Uri) -> Result<Self, ClientError> {
        let to = Destination::of(uri, shared.session().origins.iter()).map_err(OutgoingError::from)?;
        Self::begin_to(shared, method, to).await
    }

    /// The same, where the URL has been read already.
    ///
    /// # Errors
    /// [`ClientError`] where the renewal fails.
    pub async fn begin_to(
        shared: &SharedSession,
        method: Method,
        to: Destination,
    ) -> Result<Self, ClientError> {
        let mut held = shared.held();
        let mut may_renew = shared.is_renewable(&held.session);
        if may_renew && held.session.tokens.is_expired(shared.prover().now()) {
            held = shared.renew_held(&held.session).await?;
            may_renew = false;
        }
        let sendings = Round::new(Role::ResourceServer);
        Ok(Self { shared: shared.clone(), method, to, held, sendings, proof: None, may_renew })
    }

    /// Where the request goes: the URL to send it to, and what the proof says of it.
    #[must_use]
    pub const fn to(&self) -> &Destination {
        &self.to
    }

    /// Goes on with the token that the session has now: another round may have had it renewed.
    pub(crate) fn catch_up(&mut self) {
        self.held = self.shared.held();
    }

    /// Puts the token and a new proof into the headers, in place of any that are there. To be called before each
    /// sending.
    ///
    /// # Errors
    /// [`ResourceError`]
    pub fn authorize(&mut self, headers: &mut HeaderMap) -> Result<(), ResourceError> {
        self.proof = self.held.put(self.shared.prover(), (&self.method, &self.to), headers)?;
        Ok(())
    }

    /// What an answer means: `None` where it is the caller's, else why the request is to be authorized anew and sent
    /// again. Nonces are learnt from it, and where it refuses the token, that is renewed.
    ///
    /// # Errors
    /// [`ClientError`] where a demand of the resource cannot be met.
    pub async fn answered(&mut self, answer: Answer<'_>) -> Result<Option<Resend>, ClientError> {
        let prover = self.shared.prover();
        if self.sendings.answered(prover, &self.to, self.proof.as_ref(), answer)? == Next::Again {
            return Ok(self.sendings.reason());
        }
        if self.proof.is_some() {
            check_algorithms(prover.algorithm(), answer)?;
        }
        if !self.may_renew || !is_token_refused(answer) {
            return Ok(None);
        }
        self.may_renew = false;
        self.held = self.shared.renew_held(&self.held.session).await?;
        Ok(Some(Resend::Token))
    }

    /// Whether the resource may ask for a nonce that is not known yet, or no longer: a request whose body cannot be sent
    /// twice should then follow one that has none.
    #[must_use]
    pub fn may_be_challenged(&self, nonces_are_good_for: Duration) -> bool {
        let is_bound = self.held.session.tokens.token_type == TokenType::Dpop;
        is_bound
            && match self.shared.prover().acquaintance(Role::ResourceServer, &self.to) {
                Acquaintance::None => true,
                Acquaintance::WithoutNonces => false,
                Acquaintance::Nonce(age) => age > nonces_are_good_for,
            }
    }
}
