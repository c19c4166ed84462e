//! The agent as a service of requests: let in or not, to which server, by which of the ways.

use super::authority::{Authority, AuthorityError};
use super::body::{AnswerBody, BoxError};
use super::connect::Tunnel;
use super::connections::{RootsError, Ways};
use super::forward::{Passage, TooSlow};
use super::gate::{Entrance, Gate, Way};
use super::page::{self, NotAnOrigin};
use super::refusal::Refusal;
use super::targets::{Profile, Target, Targets, TargetsError};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri};
use http_body::Body;
use hyper::upgrade::OnUpgrade;
use keybound_dpop::time::Clock;
use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

/// What is done with requests for servers that no profile names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// They are refused.
    #[default]
    Refuse,
    /// They are passed on, with nothing added.
    Pass,
}

/// How an agent behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens, and what it asks of who comes in there.
    pub entrance: Entrance,
    /// The API that it stands for, where it is called like one.
    pub upstream: Option<String>,
    /// What it does with requests for other servers.
    pub others: Others,
    /// Origins of pages that may use it, where it is called like an API.
    pub pages: Vec<String>,
    /// Authorities that it trusts besides the system's: a file in PEM.
    pub ca_file: Option<PathBuf>,
    /// Where its certificate authority is kept: a folder of private files, and a name there. Without, it ends no TLS.
    pub authority: Option<(PathBuf, String)>,
    /// How long a server may take to begin its answer, counted from the last piece of the request.
    pub answer_timeout: Duration,
}

/// Why there is no agent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The profiles do not do.
    #[error(transparent)]
    Targets(#[from] TargetsError),
    /// A page's origin is none.
    #[error(transparent)]
    Page(#[from] NotAnOrigin),
    /// No server could be verified.
    #[error(transparent)]
    Roots(#[from] RootsError),
}

/// What may change while it runs.
#[derive(Debug)]
struct Known {
    targets: Targets,
    /// Its certificate authority, once it has been needed.
    authority: Mutex<Option<Arc<Authority>>>,
}

impl Known {
    fn of(profiles: &[Profile], upstream: Option<&str>) -> Result<Arc<Self>, TargetsError> {
        let targets = Targets::of(profiles, upstream)?;
        Ok(Arc::new(Self { targets, authority: Mutex::default() }))
    }
}

#[derive(Debug)]
struct Shared {
    gate: Gate,
    upstream: Option<String>,
    others: Others,
    ways: Ways,
    authority: Option<(PathBuf, String)>,
    answer_timeout: Duration,
    clock: Arc<dyn Clock>,
    known: RwLock<Arc<Known>>,
}

/// The agent. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct Agent(Arc<Shared>);

impl Agent {
    /// An agent for those profiles.
    ///
    /// # Errors
    /// [`AgentError`]
    pub fn new(settings: Settings, profiles: &[Profile], clock: Arc<dyn Clock>) -> Result<Self, AgentError> {
        let Settings { entrance, upstream, others, pages, ca_file, authority, answer_timeout } = settings;
        let known = RwLock::new(Known::of(profiles, upstream.as_deref())?);
        let ways = Ways::new(ca_file.as_deref())?;
        let pages = pages.iter().map(|page| page::origin(page)).collect::<Result<_, _>>()?;
        let gate = Gate::new(entrance, pages);
        Ok(Self(Arc::new(Shared { gate, upstream, others, ways, authority, answer_timeout, clock, known })))
    }

    /// Other profiles in the place of these, for requests from now on. Where none has the upstream's origin any more, the
    /// agent stands for no API until one has.
    ///
    /// # Errors
    /// [`AgentError`]; then everything stays as it is.
    pub fn replace(&self, profiles: &[Profile]) -> Result<(), AgentError> {
        let known = match Known::of(profiles, self.0.upstream.as_deref()) {
            Err(TargetsError::Upstream(_)) => Known::of(profiles, None)?,
            known => known?,
        };
        *self.0.known.write() = known;
        Ok(())
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.0.known.read())
    }

    /// TLS in the place of a server. The authority for it is made when it is first needed.
    pub(super) fn tls_of(&self, target: &Target) -> Result<Arc<ServerConfig>, AuthorityError> {
        let (known, now) = (self.known(), self.0.clock.unix());
        let mut authority = known.authority.lock();
        let at_hand = match &*authority {
            Some(at_hand) if at_hand.is_good_at(now) => Arc::clone(at_hand),
            _ => {
                let (folder, name) = self.0.authority.as_ref().ok_or(AuthorityError::NoHosts)?;
                let (opened, is_new) = Authority::open(folder, name, &known.targets.hosts(), now)?;
                if is_new {
                    let advice = "tell programs to trust it: `keybound agent ca` prints its certificate";
                    tracing::warn!(target: "agent", advice, "a new certificate authority was made");
                }
                Arc::clone(authority.insert(Arc::new(opened)))
            }
        };
        drop(authority);
        at_hand.serve_as(&target.host, now)
    }

    /// Answers a request from outside.
    async fn answer<B>(self, request: Request<B>) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (parts, body) = request.into_parts();
        let (gate, line) = (&self.0.gate, Line::of(&parts));
        let way = gate.way_of(&parts);
        let page = gate.page_of(way, &parts).cloned();
        let mut answer = match gate.check(way, &parts) {
            Err(refusal) => line.refused(way, refusal),
            Ok(()) if gate.is_preflight(way, &parts) => {
                line.answered(way, "-", page::preflight(&parts.headers))
            }
            Ok(()) => self.answer_known(way, parts, body, line).await,
        };
        if let Some(page) = page {
            page::let_read(answer.headers_mut(), page);
        }
        answer
    }

    /// The same, once its caller may ask.
    async fn answer_known<B>(&self, way: Way, parts: Parts, body: B, line: Line) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let known = self.known();
        match way {
            Way::Connect => match self.connect(&known.targets, parts).await {
                Ok(origin) => line.answered(way, &origin, Response::new(AnswerBody::text(Bytes::new()))),
                Err(refusal) => line.refused(way, refusal),
            },
            Way::Forward => match parts.uri.authority().and_then(|name| known.targets.named(name.as_str())) {
                Some(target) => {
                    let path = parts.uri.path_and_query().cloned();
                    self.pass(&known, way, (target, path), (parts, body), line).await
                }
                None => self.elsewhere(parts, body, line).await,
            },
            Way::Reverse | Way::Inside => match known.targets.reverse() {
                Some((target, base)) => {
                    let path = below(base, &parts.uri);
                    self.pass(&known, way, (target, path), (parts, body), line).await
                }
                None => line.refused(way, self.no_upstream()),
            },
        }
    }

    /// Answers a request that came through a tunnel to that server.
    pub(super) async fn inside<B>(self, target: Arc<Target>, request: Request<B>) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (parts, body) = request.into_parts();
        let (way, line) = (Way::Inside, Line::of(&parts));
        if let Err(refusal) = self.0.gate.check(way, &parts) {
            return line.refused(way, refusal);
        }
        let known = self.known();
        let named = named_host(&parts).and_then(|host| known.targets.named(host));
        // The login is the one of now, which may be another than when the tunnel was opened.
        let Some(target) = named.filter(|named| named.origin == target.origin) else {
            let text = "this tunnel is for another server";
            return line.refused(way, Refusal::new(StatusCode::MISDIRECTED_REQUEST, text));
        };
        let path = parts.uri.path_and_query().cloned();
        self.pass(&known, way, (target, path), (parts, body), line).await
    }

    async fn pass<B>(
        &self,
        known: &Known,
        way: Way,
        (target, path): (&Arc<Target>, Option<PathAndQuery>),
        (parts, body): (Parts, B),
        line: Line,
    ) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let path = path.filter(|path| path.path().starts_with('/'));
        let Some(Ok(to)) = path.map(|path| target.at(path)) else {
            return line
                .refused(way, Refusal::new(StatusCode::BAD_REQUEST, "the target of the request is no path"));
        };
        let time = TooSlow(self.0.answer_timeout);
        let Shared { gate, ways, .. } = &*self.0;
        let passage = Passage { way, gate, target, targets: &known.targets, ways, time };
        match passage.send(parts, body, to).await {
            Ok(answer) => line.answered(way, &target.origin, answer),
            Err(refusal) => line.failed(way, &target.origin, refusal),
        }
    }

    /// A request for a server that no profile names.
    async fn elsewhere<B>(&self, mut parts: Parts, body: B, line: Line) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let is_http = parts.uri.scheme_str() == Some("http");
        if self.0.others == Others::Refuse || !is_http {
            return line.refused(Way::Forward, not_named());
        }
        if self.0.gate.is_shown_in(&parts.headers, &AUTHORIZATION) {
            parts.headers.remove(AUTHORIZATION);
        }
        let time = TooSlow(self.0.answer_timeout);
        match super::forward::send_as_it_is(&self.0.ways, parts, body, time).await {
            Ok(answer) => line.answered(Way::Forward, "-", answer),
            Err(refusal) => line.failed(Way::Forward, "-", refusal),
        }
    }

    fn no_upstream(&self) -> Refusal {
        match self.0.upstream {
            None => {
                let text = "it stands for no API; start it with --upstream URL, or use it as a proxy";
                Refusal::new(StatusCode::NOT_FOUND, text)
            }
            Some(_) => {
                let text = "no login has the origin of its upstream any more; log in with `keybound login`";
                Refusal::new(StatusCode::BAD_GATEWAY, text)
            }
        }
    }

    async fn connect(&self, targets: &Targets, mut request: Parts) -> Result<String, Refusal> {
        let caller = request.extensions.remove::<OnUpgrade>();
        let (Some(authority), Some(caller)) = (request.uri.authority(), caller) else {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "CONNECT is for HOST:PORT, over HTTP/1.1"));
        };
        let leaving = request.extensions.get::<CancellationToken>().cloned().unwrap_or_default();
        let tunnel = Tunnel { caller, leaving };
        if let Some(target) = targets.named(authority.as_str()) {
            tunnel.end_as(Arc::clone(target), self.clone());
            return Ok(target.origin.clone());
        }
        if self.0.others == Others::Refuse {
            return Err(not_named());
        }
        let failed = |_| Refusal::new(StatusCode::BAD_GATEWAY, "there is no connection to that server");
        tunnel.to(authority.as_str()).await.map_err(failed)?;
        Ok("-".to_owned())
    }
}

impl<B> Service<Request<B>> for Agent
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<AnswerBody>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let agent = self.clone();
        Box::pin(async move { Ok(agent.answer(request).await) })
    }
}

/// The path on the server, for a path on the agent.
fn below(base: &str, uri: &Uri) -> Option<PathAndQuery> {
    let path = uri.path_and_query()?;
    if base.is_empty() { Some(path.clone()) } else { format!("{base}{path}").parse().ok() }
}

fn named_host(request: &Parts) -> Option<&str> {
    let authority = request.uri.authority().map(|authority| authority.as_str());
    authority.or_else(|| request.headers.get(HOST)?.to_str().ok())
}

fn not_named() -> Refusal {
    let text = "no profile has that origin; log in with `keybound login --origin URL`, or let such requests pass with \
                `keybound agent --others pass`";
    Refusal::new(StatusCode::FORBIDDEN, text)
}

/// The line of a request in the log: which method, which server, how it ended.
struct Line(http::Method);

impl Line {
    fn of(request: &Parts) -> Self {
        Self(request.method.clone())
    }

    fn answered(self, way: Way, origin: &str, answer: Response<AnswerBody>) -> Response<AnswerBody> {
        let status = answer.status().as_u16();
        tracing::info!(target: "agent", way = way.name(), method = %self.0, origin, status, "request");
        answer
    }

    /// The server gave no answer, or none that helps.
    fn failed(self, way: Way, origin: &str, refusal: Refusal) -> Response<AnswerBody> {
        let status = refusal.status.as_u16();
        tracing::warn!(target: "agent", way = way.name(), method = %self.0, origin, status, "no answer");
        refusal.answer()
    }

    fn refused(self, way: Way, refusal: Refusal) -> Response<AnswerBody> {
        let status = refusal.status.as_u16();
        tracing::warn!(target: "agent", way = way.name(), method = %self.0, status, "refused");
        refusal.answer()
    }
}
