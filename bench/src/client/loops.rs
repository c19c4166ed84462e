//! Loops that call the same guarded API: ours, and one on Node with openid-client. The API is on the core of whoever loads
//! servers elsewhere; what is measured is the client.

use super::{calling, log_in};
use crate::process::load::{Connection, Load};
use crate::process::node::Script;
use crate::process::server::Server;
use crate::process::worker::Worker;
use crate::process::{ROUNDS, alone, beside, median_of};
use crate::resource::{Caller, PATH, guarded, keys_in};
use crate::table::{Figure, Goal, Row};
use keybound_bench::Failure;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Requests in a round: a second or two of each client's time.
const CALLS: usize = 20_000;
const NODE_CALLS: usize = 2_000;
/// How many are on their way at once.
const AT_ONCE: usize = 16;
/// Requests among which no challenge may be, after the first one; and how many at once where there are many.
const UNCHALLENGED: usize = 10_000;
const MANY_AT_ONCE: usize = 64;

const NODE: Script = Script {
    name: "openid_client.mjs",
    text: include_str!("openid_client.mjs"),
    package: "openid-client/build/index.js",
};

/// All clients, and whom they call.
struct Scene {
    api: Worker,
    layer: Worker,
    node: Worker,
    resource: Server,
    folder: TempDir,
    url: String,
}

/// What one round showed.
struct Round {
    api: Load,
    layer: Load,
    node: Load,
}

pub(super) fn rows() -> Result<Vec<Row>, Failure> {
    let mut scene = Scene::set()?;
    let rounds: Vec<Round> = (0..ROUNDS).map(|_| scene.round()).collect::<Result<_, _>>()?;
    let node = |round: &Round| round.node.per_cpu_sec();
    let secs = |figure: fn(&Round) -> f64| Figure::Secs(median_of(&rounds, figure));
    Ok(vec![
        beside(
            "a loop with Api / openid-client on Node",
            &rounds,
            node,
            |round| round.api.per_cpu_sec(),
            Goal::Ratio(6.0),
        ),
        beside(
            "a loop with the tower layer / openid-client on Node",
            &rounds,
            node,
            |round| round.layer.per_cpu_sec(),
            Goal::Ratio(6.0),
        ),
        scene.challenges("challenges after the first, in 10,000 requests one by one", 1)?,
        scene.challenges("challenges after the first, in 10,000 with 64 at once", MANY_AT_ONCE)?,
        alone("one request with Api", secs(|round| 1.0 / round.api.per_cpu_sec()), Goal::None),
        alone("one request with the tower layer", secs(|round| 1.0 / round.layer.per_cpu_sec()), Goal::None),
        alone("one request with openid-client", secs(|round| 1.0 / round.node.per_cpu_sec()), Goal::None),
    ])
}

impl Scene {
    fn set() -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let beside = program.parent().ok_or("no folder")?;
        let folder = tempfile::tempdir_in(beside)?;
        let caller = Caller::new()?;
        let jwks = keys_in(folder.path(), &caller)?;
        let resource = guarded::start_counting(&jwks)?;
        let origin = format!("http://{}", resource.address);
        log_in(folder.path(), &caller, &origin)?;
        let url = format!("{origin}{PATH}?page=2");
        let mut node = node(beside, folder.path(), &caller, &url)?;
        // Node compiles what is called often.
        node.send(NODE_CALLS, AT_ONCE)?;
        let ours = |kind| ours(kind, folder.path(), &url);
        Ok(Self { api: ours(calling::API)?, layer: ours(calling::LAYER)?, node, resource, folder, url })
    }

    /// Everybody once.
    fn round(&mut self) -> Result<Round, Failure> {
        Ok(Round {
            api: self.api.send(CALLS, AT_ONCE)?,
            layer: self.layer.send(CALLS, AT_ONCE)?,
            node: self.node.send(NODE_CALLS, AT_ONCE)?,
        })
    }

    /// How often a client that is new, and has sent one request, is challenged.
    fn challenges(&self, what: &'static str, at_once: usize) -> Result<Row, Failure> {
        let mut client = ours(calling::API, self.folder.path(), &self.url)?;
        let before = self.told()?;
        client.send(UNCHALLENGED, at_once)?;
        Ok(alone(what, Figure::Count(self.told()? - before), Goal::Count(0)))
    }

    /// What the resource has counted.
    fn told(&self) -> Result<u64, Failure> {
        let request =
            format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", guarded::CHALLENGES, self.resource.address);
        let mut connection = Connection::open(self.resource.address)?;
        Ok(connection.ask(request.as_bytes())?.body.parse()?)
    }
}

fn ours(kind: &str, home: &Path, url: &str) -> Result<Worker, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([calling::CALL, kind, url]).arg(home);
    Worker::start(command)
}

fn node(beside: &Path, folder: &Path, caller: &Caller, url: &str) -> Result<Worker, Failure> {
    let mut command = NODE.command(beside, folder)?;
    command.args([url, caller.token()]);
    command.env("CLIENT_KEY", caller.key().to_private_jwk()?.as_str());
    command.stderr(File::create(folder.join("openid_client.log"))?);
    Worker::start(command)
}
