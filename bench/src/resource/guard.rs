//! The layer.

use super::caller::Caller;
use super::{CHECKED, NODE_CHECKED, bare, checked, guarded, keys_in, start_node};
use crate::checking::Bare as BareVerification;
use crate::process::load::{Connection, Load};
use crate::process::server::{Server, on_server_core};
use crate::process::{ROUNDS, alone, answering, beside, median_of};
use crate::table::{Figure, Goal, Row};
use keybound_bench::Failure;
use tempfile::TempDir;

/// All servers, and who calls them.
struct Scene {
    caller: Caller,
    guarded: Server,
    bare: Server,
    node: Server,
    verification: BareVerification,
    _folder: TempDir,
}

/// What one round showed: verifications a second, and loads.
struct Round {
    verify: f64,
    guarded: Load,
    bare: Load,
    node: Load,
}

impl Round {
    /// What could be done in a second where nothing else cost anything.
    fn limit(&self) -> f64 {
        1.0 / (1.0 / self.verify + 1.0 / self.bare.per_cpu_sec())
    }
}

pub(crate) fn rows() -> Result<Vec<Row>, Failure> {
    let mut scene = Scene::set()?;
    let rounds: Vec<Round> = (0..ROUNDS).map(|_| scene.round()).collect::<Result<_, _>>()?;
    let ours = |round: &Round| round.guarded.per_cpu_sec();
    let node = |round: &Round| round.node.per_cpu_sec();
    let secs = |figure: fn(&Round) -> f64| Figure::Secs(median_of(&rounds, figure));
    Ok(vec![
        beside("axum with the guard / verify + bare axum", &rounds, Round::limit, ours, Goal::Ratio(0.85)),
        beside("axum with the guard / oauth4webapi on Node", &rounds, node, ours, Goal::Ratio(5.0)),
        alone("one ES256 verification", secs(|round| 1.0 / round.verify), Goal::None),
        alone("one bare request", secs(|round| 1.0 / round.bare.per_cpu_sec()), Goal::None),
        alone("one guarded request", secs(|round| 1.0 / round.guarded.per_cpu_sec()), Goal::None),
        alone(
            "the generator's cost of a request, on its own core",
            secs(|round| round.guarded.generator_secs()),
            Goal::None,
        ),
    ])
}

impl Scene {
    fn set() -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let beside = program.parent().ok_or("no folder")?;
        let folder = tempfile::tempdir_in(beside)?;
        let mut caller = Caller::new()?;
        let jwks = keys_in(folder.path(), &caller)?;
        let (guarded, node) = (guarded::start(&jwks)?, start_node(beside, folder.path(), &jwks)?);
        let place = caller.place(guarded.address)?;
        let verification = caller.verification(&place)?;
        let (request, mut connection) = (caller.ask(&place)?, Connection::open(guarded.address)?);
        let answer = connection.ask(&request)?;
        answer.expect(200)?;
        let (command, address) = answering::command(folder.path(), &answer)?;
        let bare = Server::start(command, address)?;
        // Node compiles what is called often.
        checked(&mut caller, &node, NODE_CHECKED)?;
        Ok(Self { caller, guarded, bare, node, verification, _folder: folder })
    }

    /// Everybody once.
    fn round(&mut self) -> Result<Round, Failure> {
        Ok(Round {
            verify: on_server_core(|| self.verification.speed())?,
            bare: bare(&mut self.caller, &self.guarded, &self.bare)?,
            guarded: checked(&mut self.caller, &self.guarded, CHECKED)?,
            node: checked(&mut self.caller, &self.node, NODE_CHECKED)?,
        })
    }
}
