//! Token and proof for the requests of `reqwest`.
//!
//! ```no_run
//! # use keybound_client::middleware::DpopClient;
//! # use keybound_client::shared_session::SharedSession;
//! # async fn call(session: SharedSession, builder: reqwest::ClientBuilder) -> Result<(), Box<dyn std::error::Error>> {
//! let client = DpopClient::build(builder, session)?;
//! let request = client.http().post("https://api.example/things").body("a thing").build()?;
//! let answer = client.execute(request).await?;
//! # Ok(())
//! # }
//! ```

use super::{Begun, ReplayBody, Rules, SendError, drive};
use crate::answer::Answer;
use crate::shared_session::SharedSession;
use http::Request;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_service::Service;

/// A client of `reqwest` that gives token and proof to all its requests, and follows no redirect.
#[derive(Clone, Debug)]
pub struct DpopClient {
    http: reqwest::Client,
    session: SharedSession,
    rules: Rules,
}

impl DpopClient {
    /// A client as the builder makes it, but without redirects, retries and `Referer`: a proof is for one URL, and is sent
    /// once.
    ///
    /// # Errors
    /// As `reqwest` has them.
    pub fn build(builder: reqwest::ClientBuilder, session: SharedSession) -> Result<Self, reqwest::Error> {
        let builder = builder.redirect(reqwest::redirect::Policy::none()).retry(reqwest::retry::never());
        Ok(Self { http: builder.referer(false).build()?, session, rules: Rules::default() })
    }

    /// By other rules than [`Rules::default`].
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// The client below, to make requests with. What it sends itself has neither token nor proof.
    #[must_use]
    pub const fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> &SharedSession {
        &self.session
    }

    /// Sends a request with the token and a proof, which take the place of any that are in it. A time limit of the request
    /// is one for each sending of it.
    ///
    /// # Errors
    /// [`SendError`] where there is no answer, or the resource asks for what this session does not have.
    pub async fn execute(
        &self,
        request: reqwest::Request,
    ) -> Result<reqwest::Response, SendError<reqwest::Error>> {
        let request: Request<reqwest::Body> = request.try_into().map_err(SendError::Http)?;
        drive(&mut Sender(self.http.clone()), &self.session, self.rules, request.map(Some)).await
    }
}

struct Sender(reqwest::Client);

impl Service<Request<ReplayBody<reqwest::Body>>> for Sender {
    type Response = reqwest::Response;
    type Error = reqwest::Error;
    type Future = Pin<Box<dyn Future<Output = Result<reqwest::Response, reqwest::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), reqwest::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReplayBody<reqwest::Body>>) -> Self::Future {
        let (http, request) = (self.0.clone(), request.map(reqwest::Body::wrap));
        Box::pin(async move { http.execute(request.try_into()?).await })
    }
}

impl Begun for reqwest::Response {
    fn begun(&self) -> Answer<'_> {
        Answer::begun(self.status(), self.headers())
    }
}
