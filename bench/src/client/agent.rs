//! The agent, as the program `keybound` is it, beside what it cannot do without: one signature and a proxy.

use super::{NAME, log_in};
use crate::making::{Bare as BareSignature, ecdsa};
use crate::process::latency;
use crate::process::load::{Connection, Load, Request, load, send_all};
use crate::process::server::{Server, free_address, on_server_core};
use crate::process::{ROUNDS, alone, answering, beside, median_of};
use crate::resource::{Caller, PATH, Rest, proxy, start_upstream};
use crate::table::{Figure, Goal, Row};
use keybound_bench::{Failure, measure};
use keybound_client::agent::token;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Requests in a round: a second or two of each server's time.
const CALLS: usize = 40_000;
const BARE: usize = 60_000;
/// What is signed: as long as a proof without its signature.
const MESSAGE: &[u8] = &[b'm'; 480];
/// What the API answers with; each answer brings a nonce.
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                    dpop-nonce: MTgwMDAwMDAwMC1hYmNkZWZnaGlqa2xtbm9wcXJzdHV2\r\n\r\n";

/// All servers, and what is sent to them.
struct Scene {
    agent: Server,
    proxy: Server,
    signature: BareSignature,
    request: Request,
    _upstream: Server,
    _folder: TempDir,
}

/// What one round showed.
struct Round {
    sign: f64,
    agent: Load,
    proxy: Load,
}

impl Round {
    /// What could be done in a second where nothing else cost anything.
    fn limit(&self) -> f64 {
        1.0 / (1.0 / self.sign + 1.0 / self.proxy.per_cpu_sec())
    }
}

pub(crate) fn rows() -> Result<Vec<Row>, Failure> {
    let scene = Scene::set()?;
    let rounds: Vec<Round> = (0..ROUNDS).map(|_| scene.round()).collect::<Result<_, _>>()?;
    let half = median_of(&rounds, |round| round.agent.per_wall_sec()) / 2.0;
    let times =
        latency::slices([&scene.proxy, &scene.agent], half, |count| Ok(vec![scene.request.clone(); count]))?;
    let ours = |round: &Round| round.agent.per_cpu_sec();
    let secs = |figure: fn(&Round) -> f64| Figure::Secs(median_of(&rounds, figure));
    let mut rows =
        vec![beside("the agent / sign + bare proxy", &rounds, Round::limit, ours, Goal::Ratio(0.70))];
    rows.extend(latency::added(&times, Goal::Secs(200e-6), Goal::None));
    rows.extend([
        alone("one ES256 signature", secs(|round| 1.0 / round.sign), Goal::None),
        alone(
            "one request through the bare proxy",
            secs(|round| 1.0 / round.proxy.per_cpu_sec()),
            Goal::None,
        ),
        alone("one request through the agent", secs(|round| 1.0 / round.agent.per_cpu_sec()), Goal::None),
    ]);
    Ok(rows)
}

/// Does what the agent does all day, for a recording of it.
pub(crate) fn train() -> Result<(), Failure> {
    Scene::set()?.round().map(drop)
}

impl Scene {
    fn set() -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let folder = tempfile::tempdir_in(program.parent().ok_or("no folder")?)?;
        let caller = Caller::new()?;
        let upstream = start_upstream(folder.path(), "api", HEAD, Rest::Asleep)?;
        let home = folder.path().join("home");
        log_in(&home, &caller, &format!("http://{}", upstream.address))?;
        let token = token::kept(home.join("agent"), NAME)?;
        let agent = start(&home, upstream.address)?;
        let ask = |path: &str| {
            format!(
                "GET {path}?page=2 HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nUser-Agent: teller/2.1\r\n\
                 Authorization: Bearer {}\r\n\r\n",
                agent.address,
                token.reveal()
            )
            .into_bytes()
        };
        // The upstream gets as many octets from the proxy as from the agent, once that has its nonce.
        let octets = |address: SocketAddr| -> Result<usize, Failure> {
            let (mut connection, request) = (Connection::open(address)?, ask(answering::FIELDS));
            connection.ask(&request)?.expect(200)?;
            Ok(connection.ask(&request)?.body.parse()?)
        };
        Connection::open(agent.address)?.ask(&ask(PATH))?.expect(200)?;
        let through_agent = octets(agent.address)?;
        let without = octets(proxy::start(upstream.address, 0)?.address)?;
        let proxy = proxy::start(upstream.address, through_agent.saturating_sub(without))?;
        let (request, signature) = (ask(PATH), ecdsa(&caller.key().to_pkcs8()?)?);
        Ok(Self { agent, proxy, signature, request, _upstream: upstream, _folder: folder })
    }

    /// Everybody once.
    fn round(&self) -> Result<Round, Failure> {
        Ok(Round {
            sign: on_server_core(|| measure::speed(&mut || self.signature.sign(MESSAGE)))?,
            proxy: self.load(&self.proxy, BARE)?,
            agent: self.load(&self.agent, CALLS)?,
        })
    }

    fn load(&self, server: &Server, count: usize) -> Result<Load, Failure> {
        let requests = vec![self.request.clone(); count];
        load(server, count, || send_all(server.address, &requests, 200))
    }
}

/// Starts the program, with the login in that folder.
fn start(home: &Path, upstream: SocketAddr) -> Result<Server, Failure> {
    let (program, address) = (std::env::current_exe()?.with_file_name("keybound"), free_address()?);
    let mut command = Command::new(program);
    command.args(["agent", "--keep-token", "--quiet", "--listen", &address.to_string()]);
    command.args(["--upstream", &format!("http://{upstream}")]);
    command.env_clear().env("KEYBOUND_HOME", home);
    command.stderr(File::create(home.join("log"))?);
    Server::start(command, address)
}
