//! The gateway, as the program `keybound` is it.

use super::bodies::{Passage, Way};
use super::caller::{AUDIENCE, Caller, ISSUER, SCOPE};
use super::{CHECKED, NODE_CHECKED, bare, checked, guarded, keys_in, proxy, start_node};
use crate::checking::Bare as BareVerification;
use crate::process::latency::{self, Times};
use crate::process::load::{Answer, Connection, Load, send_all};
use crate::process::server::{LOAD_CORE, Server, free_address, on_server_core};
use crate::process::{ROUNDS, alone, answering, beside, median_of};
use crate::table::{Figure, Goal, Row};
use keybound_bench::{Failure, measure};
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Records of used proofs that are alive when the memory is looked at, and those that there were before.
const RECORDS: usize = 100_000;
const RECORDS_BEFORE: usize = 10_000;
/// What a body may add to the memory while it passes, whatever its length: buffers of two connections, and what an
/// allocator has not yet given back.
const GROWTH_MAX_OCTETS: f64 = 16.0 * 1024.0 * 1024.0;

/// All servers, and who calls them.
struct Scene {
    caller: Caller,
    /// Before APIs that stay awake.
    loaded: Pair,
    /// With the audit events alone.
    quiet: Server,
    /// Before APIs that sleep: beside who sends at set times, nobody else may keep the core busy.
    timed: Pair,
    node: Server,
    verification: BareVerification,
    folder: TempDir,
}

/// A gateway and a bare proxy that sends as much, each before an API of its own.
struct Pair {
    /// With the log that it has unless told otherwise: a line for each request, and the audit events.
    gateway: Server,
    proxy: Server,
    upstream: Server,
    _likewise: Server,
}

/// What one round showed: verifications a second, and loads.
struct Round {
    verify: f64,
    gateway: Load,
    quiet: Load,
    proxy: Load,
    node: Load,
    down: [Passage; 2],
    up: [Passage; 2],
}

impl Round {
    /// What could be done in a second where nothing else cost anything.
    fn limit(&self) -> f64 {
        1.0 / (1.0 / self.verify + 1.0 / self.proxy.per_cpu_sec())
    }
}

pub(crate) fn rows() -> Result<Vec<Row>, Failure> {
    let mut scene = Scene::set()?;
    let rounds: Vec<Round> = (0..ROUNDS).map(|_| scene.round()).collect::<Result<_, _>>()?;
    let half = median_of(&rounds, |round| round.gateway.per_wall_sec()) / 2.0;
    let times = scene.latencies(half)?;
    let mut rows = speeds(&rounds);
    rows.extend([
        passage("1 GiB down / through the bare proxy", &rounds, |round| round.down),
        passage("1 GiB up / through the bare proxy", &rounds, |round| round.up),
        growth(&rounds),
    ]);
    rows.extend(latency::added(&times, Goal::Secs(150e-6), Goal::Secs(1e-3)));
    rows.extend(scene.memory()?);
    let secs = |figure: fn(&Round) -> f64| Figure::Secs(median_of(&rounds, figure));
    rows.extend([
        alone("one ES256 verification", secs(|round| 1.0 / round.verify), Goal::None),
        alone(
            "one request through the bare proxy",
            secs(|round| 1.0 / round.proxy.per_cpu_sec()),
            Goal::None,
        ),
        alone("one request through the gateway", secs(|round| 1.0 / round.gateway.per_cpu_sec()), Goal::None),
        alone(
            "the generator's cost of a request, on its own core",
            secs(|round| round.gateway.generator_secs()),
            Goal::None,
        ),
    ]);
    Ok(rows)
}

fn speeds(rounds: &[Round]) -> Vec<Row> {
    let ours = |round: &Round| round.gateway.per_cpu_sec();
    let quiet = |round: &Round| round.quiet.per_cpu_sec();
    let node = |round: &Round| round.node.per_cpu_sec();
    vec![
        beside("the gateway / verify + bare proxy", rounds, Round::limit, ours, Goal::Ratio(0.80)),
        beside("  the same, with audit events alone in the log", rounds, Round::limit, quiet, Goal::None),
        beside("the gateway / oauth4webapi on Node", rounds, node, ours, Goal::Ratio(4.0)),
    ]
}

fn passage(what: &'static str, rounds: &[Round], of: fn(&Round) -> [Passage; 2]) -> Row {
    let speed = |nth: fn([Passage; 2]) -> Passage| move |round: &Round| nth(of(round)).per_cpu_sec();
    let (limit, ours) = (speed(|[proxy, _]| proxy), speed(|[_, gateway]| gateway));
    Row {
        limit: Some(Figure::BytesPerSec(median_of(rounds, limit))),
        ours: Figure::BytesPerSec(median_of(rounds, ours)),
        ..beside(what, rounds, limit, ours, Goal::Ratio(0.80))
    }
}

fn growth(rounds: &[Round]) -> Row {
    let all = rounds.iter().flat_map(|round| [round.down, round.up]).map(|[_, gateway]| gateway.growth);
    let most = all.fold(0.0, f64::max);
    alone("memory that 1 GiB adds while it passes", Figure::Bytes(most), Goal::Bytes(GROWTH_MAX_OCTETS))
}

/// Does what the gateway and a bare proxy do all day, for a recording of it.
pub(crate) fn train() -> Result<(), Failure> {
    let folder = tempfile::tempdir_in(std::env::current_exe()?.parent().ok_or("no folder")?)?;
    let mut caller = Caller::new()?;
    keys_in(folder.path(), &caller)?;
    let pair = Pair::start(folder.path(), &mut caller, "trained", Rest::Awake)?;
    bare(&mut caller, &pair.gateway, &pair.proxy)?;
    checked(&mut caller, &pair.gateway, CHECKED)?;
    let place = caller.place(pair.gateway.address)?;
    for way in [Way::Down, Way::Up] {
        let head = way.head(&mut caller, &place)?;
        for server in [&pair.proxy, &pair.gateway] {
            way.pass(&head, server)?;
        }
    }
    Ok(())
}

impl Scene {
    fn set() -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let beside = program.parent().ok_or("no folder")?;
        let folder = tempfile::tempdir_in(beside)?;
        let mut caller = Caller::new()?;
        let jwks = keys_in(folder.path(), &caller)?;
        let node = start_node(beside, folder.path(), &jwks)?;
        let loaded = Pair::start(folder.path(), &mut caller, "loaded", Rest::Awake)?;
        let timed = Pair::start(folder.path(), &mut caller, "timed", Rest::Asleep)?;
        let quiet = start_gateway(folder.path(), "warn", loaded.upstream.address, "warn")?;
        let place = caller.place(loaded.gateway.address)?;
        let verification = caller.verification(&place)?;
        // Node compiles what is called often.
        checked(&mut caller, &node, NODE_CHECKED)?;
        Ok(Self { caller, loaded, quiet, timed, node, verification, folder })
    }

    /// Everybody once.
    fn round(&mut self) -> Result<Round, Failure> {
        Ok(Round {
            verify: on_server_core(|| self.verification.speed())?,
            proxy: bare(&mut self.caller, &self.loaded.gateway, &self.loaded.proxy)?,
            gateway: checked(&mut self.caller, &self.loaded.gateway, CHECKED)?,
            quiet: checked(&mut self.caller, &self.quiet, CHECKED)?,
            node: checked(&mut self.caller, &self.node, NODE_CHECKED)?,
            down: self.pass(Way::Down)?,
            up: self.pass(Way::Up)?,
        })
    }

    fn pass(&mut self, way: Way) -> Result<[Passage; 2], Failure> {
        let place = self.caller.place(self.loaded.gateway.address)?;
        let head = way.head(&mut self.caller, &place)?;
        Ok([way.pass(&head, &self.loaded.proxy)?, way.pass(&head, &self.loaded.gateway)?])
    }

    /// How long answers take, the bare proxy's first.
    fn latencies(&mut self, per_sec: f64) -> Result<Vec<[Times; 2]>, Failure> {
        let Self { caller, timed, .. } = self;
        latency::slices([&timed.proxy, &timed.gateway], per_sec, |count| {
            let place = caller.place(timed.gateway.address)?;
            caller.ask_often(&place, count)
        })
    }

    /// What the records of used proofs take, in a gateway that has done nothing else.
    fn memory(&mut self) -> Result<[Row; 2], Failure> {
        let upstream = self.loaded.upstream.address;
        let gateway = start_gateway(self.folder.path(), "records", upstream, "info")?;
        let place = self.caller.place(gateway.address)?;
        let mut send = |count| send_all(gateway.address, &self.caller.ask_often(&place, count)?, 200);
        send(RECORDS_BEFORE)?;
        let before = measure::octets(gateway.resident_octets()?);
        send(RECORDS)?;
        let after = measure::octets(gateway.resident_octets()?);
        let records = u32::try_from(RECORDS).map_or(f64::NAN, f64::from);
        let each = Figure::Bytes((after - before) / records);
        Ok([
            alone("memory that a record of a used proof adds, of 100,000", each, Goal::Bytes(64.0)),
            alone(
                "memory of the gateway, with all of them",
                Figure::Bytes(after),
                Goal::Bytes(40.0 * 1024.0 * 1024.0),
            ),
        ])
    }
}

impl Pair {
    fn start(folder: &Path, caller: &mut Caller, name: &str, rest: Rest) -> Result<Self, Failure> {
        let plain = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
        let upstream = start_upstream(folder, &format!("{name}-api"), plain, rest)?;
        let gateway = start_gateway(folder, name, upstream.address, "info")?;
        let place = caller.place(gateway.address)?;
        let mut connection = Connection::open(gateway.address)?;
        let request = caller.ask(&place)?;
        let head = connection.ask(&request)?.head.to_owned();
        let likewise = start_upstream(folder, &format!("{name}-likewise"), &head, rest)?;
        let request = caller.head(&place, "GET", answering::FIELDS, "")?;
        let through_gateway: usize = connection.ask(&request)?.body.parse()?;
        let proxy = proxy::start(likewise.address, 0)?;
        let without: usize = Connection::open(proxy.address)?.ask(&request)?.body.parse()?;
        let proxy = proxy::start(likewise.address, through_gateway.saturating_sub(without))?;
        Ok(Self { gateway, proxy, upstream, _likewise: likewise })
    }
}

/// What a server does where there is nothing to do.
#[derive(Clone, Copy)]
pub(crate) enum Rest {
    Asleep,
    Awake,
}

/// A server behind a gateway or proxy that answers like this, beside whoever loads them.
pub(crate) fn start_upstream(folder: &Path, name: &str, head: &str, rest: Rest) -> Result<Server, Failure> {
    let folder = folder.join(name);
    std::fs::create_dir(&folder)?;
    let answer = Answer { status: 200, head, body: guarded::ORDERS };
    let (mut command, address) = answering::command(&folder, &answer)?;
    if let Rest::Awake = rest {
        command.arg(answering::AWAKE);
    }
    Server::start_on(LOAD_CORE, command, address)
}

/// Starts the program, in a new folder.
fn start_gateway(folder: &Path, name: &str, upstream: SocketAddr, log: &str) -> Result<Server, Failure> {
    let (program, address) = (std::env::current_exe()?.with_file_name("keybound"), free_address()?);
    let jwks = folder.join("jwks.json");
    let folder = folder.join(name);
    std::fs::create_dir(&folder)?;
    let config = format!(
        "public_url = \"http://{address}\"\nlisten = \"{address}\"\nupstream = \"http://{upstream}\"\n\
         audience = \"{AUDIENCE}\"\nscopes = [\"{SCOPE}\"]\n\
         [[issuer]]\nurl = \"{ISSUER}\"\njwks_file = {:?}\n",
        jwks.display().to_string()
    );
    std::fs::write(folder.join("gateway.toml"), config)?;
    let mut command = Command::new(program);
    command.args(["gateway", "--log", log]).current_dir(&folder).env_clear();
    command.stderr(File::create(folder.join("log"))?);
    Server::start(command, address)
}
