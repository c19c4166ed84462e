//! All servers and clients, and one round of all of them.

use super::flood;
use super::flow::sign_in;
use super::walks::Flows;
use super::wallet::{RESOURCE, SECRET, Service, Wallet};
use crate::checking::Bare as BareVerification;
use crate::making::{Bare as BareSignature, ecdsa};
use crate::process::answering;
use crate::process::latency::{self, Times};
use crate::process::load::{Connection, Load, Request, load, send_all};
use crate::process::node::Script;
use crate::process::server::{Server, free_address, on_server_core};
use keybound_bench::{Failure, measure};
use std::fs::File;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Requests in a round: a second or two of the server's time.
const TOKENS: usize = 16_000;
const BARE: usize = 64_000;
const FLOWS: usize = 1_600;
const NODE_TOKENS: usize = 2_400;
/// What is signed: as long as an access token without its signature.
const MESSAGE: &[u8] = &[b'm'; 540];

/// The configuration: rates are not limited, since the one machine that asks would be. Those of a public client's pushed
/// requests always are, so each flow says that it is from an address of its own, as if through a proxy.
const CONFIG: &str = "\
trusted_proxies = [\"127.0.0.1\"]
clients = \"clients.json\"
users = \"users.json\"
[limits]
address_per_minute = 0
client_per_minute = 0
";
/// The example of the documentation, with its password hash.
const USERS: &str = include_str!("../../../docs/examples/users.json");
const OIDC_PROVIDER: Script = Script {
    name: "oidc_provider.mjs",
    text: include_str!("oidc_provider.mjs"),
    package: "oidc-provider/lib/index.js",
};

/// All that is there.
pub(super) struct Scene {
    wallet: Wallet,
    /// With the log that it has unless told otherwise: a line for each request, and the audit events.
    keybound: Server,
    /// With the audit events alone.
    quiet: Server,
    bare: Server,
    node: Server,
    cookies: String,
    verification: BareVerification,
    signature: BareSignature,
    _folder: TempDir,
}

/// What one round showed: operations a second, and loads.
pub(super) struct Round {
    pub(super) verify: f64,
    pub(super) sign: f64,
    pub(super) bare: Load,
    pub(super) basic: Load,
    pub(super) quiet: Load,
    pub(super) jwt: Load,
    pub(super) flow: Load,
    pub(super) node: Load,
}

impl Round {
    /// What could be done in a second where nothing else cost anything.
    pub(super) fn limit(&self, verify: f64, sign: f64, bare: f64) -> f64 {
        1.0 / (verify / self.verify + sign / self.sign + bare / self.bare.per_cpu_sec())
    }
}

impl Scene {
    /// Starts all servers. What they write is beside this program, on the disk that it is on.
    pub(super) fn set() -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let beside = program.parent().ok_or("no folder")?;
        let folder = tempfile::tempdir_in(beside)?;
        let mut wallet = Wallet::new()?;
        let keybound =
            start_keybound(&beside.join("keybound"), &folder.path().join("info"), &wallet, "info")?;
        let quiet = start_keybound(&beside.join("keybound"), &folder.path().join("warn"), &wallet, "warn")?;
        let node = OIDC_PROVIDER.start(beside, folder.path(), &[SECRET.as_ref()])?;
        let place = wallet.place(keybound.address)?;
        let request = wallet.ask(Service::Basic, &place)?;
        let mut connection = Connection::open(keybound.address)?;
        let answer = connection.ask(&request)?;
        answer.expect(200)?;
        let (command, address) = answering::command(folder.path(), &answer)?;
        let bare = Server::start(command, address)?;
        let cookies = sign_in(&mut wallet, &place)?;
        let proofs: Vec<String> =
            (0..10_000).map(|_| wallet.next_proof(&place, "/token")).collect::<Result<_, _>>()?;
        let verification = BareVerification::of(&wallet.prover.key, &proofs)?;
        let signature = ecdsa(&wallet.prover.key.to_pkcs8()?)?;
        Ok(Self { wallet, keybound, quiet, bare, node, cookies, verification, signature, _folder: folder })
    }

    /// Everybody once.
    pub(super) fn round(&mut self) -> Result<Round, Failure> {
        let verify = on_server_core(|| self.verification.speed())?;
        let sign = on_server_core(|| measure::speed(&mut || self.signature.sign(MESSAGE)))?;
        Ok(Round {
            verify,
            sign,
            bare: self.bare_load()?,
            basic: ask(&mut self.wallet, &self.keybound, Service::Basic, TOKENS)?,
            quiet: ask(&mut self.wallet, &self.quiet, Service::Basic, TOKENS)?,
            jwt: ask(&mut self.wallet, &self.keybound, Service::Jwt, TOKENS)?,
            flow: self.flow_load()?,
            node: ask(&mut self.wallet, &self.node, Service::Basic, NODE_TOKENS)?,
        })
    }

    fn bare_load(&mut self) -> Result<Load, Failure> {
        let place = self.wallet.place(self.keybound.address)?;
        let request = self.wallet.ask(Service::Basic, &place)?;
        let requests = vec![request; BARE];
        load(&self.bare, BARE, || send_all(self.bare.address, &requests, 200))
    }

    fn flow_load(&mut self) -> Result<Load, Failure> {
        let place = self.wallet.place(self.keybound.address)?;
        let flows = Flows::prepare(&mut self.wallet, &place, &self.cookies, FLOWS)?;
        load(&self.keybound, FLOWS, || flows.run())
    }

    /// How long answers take at that load.
    pub(super) fn latencies(&mut self, per_sec: f64) -> Result<Vec<[Times; 1]>, Failure> {
        let Self { wallet, keybound, .. } = self;
        latency::slices([keybound], per_sec, |count| {
            let place = wallet.place(keybound.address)?;
            wallet.ask_often(Service::Basic, &place, count)
        })
    }

    /// What a flood of strangers adds to the memory, once one as large has gone before.
    pub(super) fn growth_octets(&self) -> Result<f64, Failure> {
        flood::flood(self.keybound.address, 0)?;
        let before = measure::octets(self.keybound.resident_octets()?);
        flood::flood(self.keybound.address, flood::REQUESTS)?;
        Ok(measure::octets(self.keybound.resident_octets()?) - before)
    }
}

/// Requests for tokens, signed before the server's time runs.
pub(super) fn ask(
    wallet: &mut Wallet,
    server: &Server,
    service: Service,
    count: usize,
) -> Result<Load, Failure> {
    let place = wallet.place(server.address)?;
    let requests: Vec<Request> = wallet.ask_often(service, &place, count)?;
    load(server, count, || send_all(server.address, &requests, 200))
}

/// Starts the program with our clients, in a new folder.
pub(super) fn start_keybound(
    program: &Path,
    folder: &Path,
    wallet: &Wallet,
    log: &str,
) -> Result<Server, Failure> {
    let address = free_address()?;
    std::fs::create_dir(folder)?;
    std::fs::write(folder.join("clients.json"), wallet.clients()?)?;
    std::fs::write(folder.join("users.json"), USERS)?;
    let config = format!(
        "issuer = \"http://{address}\"\nlisten = \"{address}\"\n{CONFIG}\
         [[resource]]\nidentifier = \"{RESOURCE}\"\nscopes = [\"read\"]\n"
    );
    std::fs::write(folder.join("keybound.toml"), config)?;
    let mut command = Command::new(program);
    command.args(["serve", "--log", log]).current_dir(folder).env_clear();
    command.stderr(File::create(folder.join("log"))?);
    Server::start(command, address)
}
