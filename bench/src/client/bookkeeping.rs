//! Token, proof and nonces of a request, over an HTTP client that answers at once, beside the bare signature.

use super::session;
use crate::making::ecdsa;
use crate::resource::{Caller, PATH};
use crate::table::{Goal, Row};
use http::header::HeaderValue;
use http::{HeaderMap, Request, Response};
use http_body_util::Empty;
use hyper::body::Bytes;
use keybound_bench::Failure;
use keybound_bench::measure::{self, BATCH};
use keybound_client::destination::Destination;
use keybound_client::middleware::{DpopLayer, ReplayBody};
use keybound_client::prover::Prover;
use keybound_client::shared_session::{SharedSession, Upkeep};
use keybound_dpop::header::{DPOP, DPOP_NONCE};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::nonce_cache::Role;
use keybound_dpop::time::SystemClock;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tower_layer::Layer;
use tower_service::Service;

const ORIGIN: &str = "https://api.example";

/// What a request costs before it is on its way, and after it has come back.
pub(super) fn rows() -> Result<Vec<Row>, Failure> {
    let caller = Caller::new()?;
    let pkcs8 = caller.key().to_pkcs8()?;
    let (bare, key) = (ecdsa(&pkcs8)?, SigningKey::from_pkcs8(Algorithm::Es256, &pkcs8)?);
    let prover = Prover::new(Arc::new(key), Arc::default(), Arc::new(SystemClock::start()));
    let url = format!("{ORIGIN}{PATH}?page=2");
    let mut given = HeaderMap::new();
    given.insert(DPOP_NONCE, HeaderValue::from_static("MTgwMDAwMDAwMC1hYmNkZWZnaGlqa2xtbm9wcXJzdHV2"));
    prover.learn(Role::ResourceServer, &Destination::parse(&url)?, None, &given);
    let shared = SharedSession::new(prover, session(&caller, ORIGIN)?, Upkeep::default())?;
    let mut service = DpopLayer::new(shared).layer(AtOnce);
    let mut send = || {
        let sending = service.call(Request::get(&url).body(Empty::<Bytes>::new())?);
        match pin!(sending).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Ok::<_, Failure>(answer?.into_body()),
            Poll::Pending => Err("nothing is to be waited for".into()),
        }
    };
    let proof = send()?;
    let (message, _) = proof.rsplit_once('.').ok_or("a proof has three parts")?;
    let mut ours = || {
        measure::timed(BATCH, || {
            for _ in 0..BATCH {
                black_box(send()?);
            }
            Ok(())
        })
    };
    let race = measure::race(&mut || bare.sign(message.as_bytes()), &mut ours)?;
    Ok(vec![Row::of_race("token, proof and nonce of a request / signature", race, Goal::Cost(1.3))])
}

/// An HTTP client that answers with the proof that it was to send.
#[derive(Clone)]
struct AtOnce;

impl Service<Request<ReplayBody<Empty<Bytes>>>> for AtOnce {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReplayBody<Empty<Bytes>>>) -> Self::Future {
        let proof = request.headers().get(DPOP).and_then(|proof| proof.to_str().ok());
        ready(Ok(Response::new(proof.unwrap_or_default().to_owned())))
    }
}
