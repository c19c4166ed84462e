//! A client of ours, as a process: a loop that a program would have.

use super::NAME;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use keybound_bench::Failure;
use keybound_client::api::{Api, ApiSettings};
use keybound_client::middleware::{DpopLayer, DpopService, ReplayBody};
use keybound_client::prover::Prover;
use keybound_client::session_store::SessionStore;
use keybound_client::shared_session::{SharedSession, Upkeep};
use keybound_client::transport::Transport;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::time::SystemClock;
use keybound_fetch::{Fetcher, Settings};
use std::future::poll_fn;
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tower_layer::Layer;
use tower_service::Service;

/// Told this word, a kind, a URL and a folder with a login, the program is a client that does what its input says.
pub(crate) const CALL: &str = "--call";
/// With the library's own HTTP client, as `keybound request` has it.
pub(super) const API: &str = "api";
/// With the tower layer over hyper's client.
pub(super) const LAYER: &str = "layer";

type Http = Client<HttpConnector, ReplayBody<Empty<Bytes>>>;

#[derive(Clone)]
enum Caller {
    Api(Box<Api>),
    Layer(Box<DpopService<Http>>),
}

/// Sends as many requests as each line of the input says, so many at once.
#[expect(clippy::print_stdout, reason = "the words that whoever started it waits for")]
pub(crate) fn run(kind: &str, url: &str, home: &str) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let caller = Caller::new(kind, Path::new(home))?;
    runtime.block_on(runtime.spawn(send(caller.clone(), url.to_owned())))??;
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (count, at_once) = line.split_once(' ').ok_or("two numbers")?;
        runtime.block_on(send_all(&caller, url, count.parse()?, at_once.parse()?))?;
        println!("done");
    }
    Ok(())
}

async fn send_all(caller: &Caller, url: &str, count: usize, at_once: usize) -> Result<(), Failure> {
    let begun = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..at_once)
        .map(|_| {
            let (caller, url, begun) = (caller.clone(), url.to_owned(), Arc::clone(&begun));
            tokio::spawn(async move {
                while begun.fetch_add(1, Relaxed) < count {
                    send(caller.clone(), url.clone()).await?;
                }
                Ok::<_, String>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn send(caller: Caller, url: String) -> Result<(), String> {
    match caller.send(&url).await {
        Ok(StatusCode::OK) => Ok(()),
        Ok(status) => Err(format!("not 200, but {status}")),
        Err(error) => Err(error.to_string()),
    }
}

impl Caller {
    fn new(kind: &str, home: &Path) -> Result<Self, Failure> {
        let key =
            SigningKey::from_private_jwk(&std::fs::read(home.join("keys").join(format!("{NAME}.jwk")))?)?;
        let session = SessionStore::open(home.join("sessions"))?.load(NAME)?;
        let prover = Prover::new(Arc::new(key), Arc::default(), Arc::new(SystemClock::start()));
        if kind == API {
            let transport = Transport::over(Fetcher::for_operator(&Settings::default())?);
            let api = Api::new(transport, prover, session, ApiSettings::default())?;
            return Ok(Self::Api(Box::new(api)));
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client: Http = Client::builder(TokioExecutor::new()).build(connector);
        let shared = SharedSession::new(prover, session, Upkeep::default())?;
        Ok(Self::Layer(Box::new(DpopLayer::new(shared).layer(client))))
    }

    /// The status of the answer, whose body was read.
    async fn send(self, url: &str) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
        match self {
            Self::Api(api) => {
                let answer: Response<Bytes> = api.send(Request::get(url).body(Bytes::new())?).await?;
                Ok(answer.status())
            }
            Self::Layer(mut service) => {
                poll_fn(|cx| service.poll_ready(cx)).await?;
                let answer = service.call(Request::get(url).body(Empty::new())?).await?;
                let status = answer.status();
                answer.into_body().collect().await?;
                Ok(status)
            }
        }
    }
}
