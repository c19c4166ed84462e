//! What a browser is shown, beside a bare handler that answers with the same bytes; and what an ID token adds to the
//! exchange of a code.

use super::flow::{Browser, Prepared, sign_in};
use super::scene::{ask, start_keybound};
use super::walks::Flows;
use super::wallet::{Service, Wallet};
use crate::process::load::{Connection, Load, load, send_all};
use crate::process::server::Server;
use crate::process::{ROUNDS, answering, beside};
use crate::table::{Goal, Row};
use keybound_bench::Failure;
use std::path::Path;
use tempfile::TempDir;

/// Requests in a round: more than a second of the server's time, which is counted in hundredths.
const PAGES: usize = 120_000;
const CODES: usize = 2_000;
/// Token requests of each kind, for a recording.
const TRAINED: usize = 4_000;

/// A page, and who answers with the same bytes without making them.
struct Page {
    request: Vec<u8>,
    bare: Server,
}

impl Page {
    fn new(folder: &Path, keybound: &Server, request: Vec<u8>) -> Result<Self, Failure> {
        std::fs::create_dir(folder)?;
        let mut connection = Connection::open(keybound.address)?;
        let answer = connection.ask(&request)?;
        answer.expect(200)?;
        let (command, address) = answering::command(folder, &answer)?;
        Ok(Self { request, bare: Server::start(command, address)? })
    }

    fn race(&self, keybound: &Server) -> Result<Pair, Failure> {
        let requests = vec![self.request.clone(); PAGES];
        let load = |server: &Server| load(server, PAGES, || send_all(server.address, &requests, 200));
        Ok(Pair { limit: load(&self.bare)?, ours: load(keybound)? })
    }
}

/// The provider and its two pages.
struct Scene {
    wallet: Wallet,
    keybound: Server,
    /// The cookies of who is signed in.
    cookies: String,
    sign_in: Page,
    consent: Page,
    _folder: TempDir,
}

/// A load, and what it is compared with.
struct Pair {
    limit: Load,
    ours: Load,
}

/// What one round showed.
struct Round {
    sign_in: Pair,
    consent: Pair,
    exchange: Pair,
}

pub(crate) fn rows() -> Result<Vec<Row>, Failure> {
    let mut scene = Scene::set()?;
    let rounds: Vec<Round> = (0..ROUNDS).map(|_| scene.round()).collect::<Result<_, _>>()?;
    let row = |what, of: fn(&Round) -> &Pair, goal| {
        let limit = |round: &Round| of(round).limit.per_cpu_sec();
        beside(what, &rounds, limit, |round| of(round).ours.per_cpu_sec(), goal)
    };
    Ok(vec![
        row(
            "the sign-in page / the same bytes from a bare handler",
            |round| &round.sign_in,
            Goal::Ratio(0.6),
        ),
        row(
            "the consent page / the same bytes from a bare handler",
            |round| &round.consent,
            Goal::Ratio(0.6),
        ),
        row("a code for tokens with an ID token / without one", |round| &round.exchange, Goal::Cost(1.3)),
    ])
}

/// Does what the provider does all day, for a recording of it.
pub(crate) fn train() -> Result<(), Failure> {
    let mut scene = Scene::set()?;
    // Some seconds: an assertion of the second in which a provider began may have been used before.
    scene.round()?;
    for service in [Service::Basic, Service::Jwt] {
        ask(&mut scene.wallet, &scene.keybound, service, TRAINED)?;
    }
    let place = scene.wallet.place(scene.keybound.address)?;
    Flows::prepare(&mut scene.wallet, &place, &scene.cookies, TRAINED / 4)?.run()
}

impl Scene {
    fn set() -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let beside = program.parent().ok_or("no folder")?;
        let folder = tempfile::tempdir_in(beside)?;
        let mut wallet = Wallet::new()?;
        let keybound =
            start_keybound(&beside.join("keybound"), &folder.path().join("pages"), &wallet, "info")?;
        let place = wallet.place(keybound.address)?;
        let cookies = sign_in(&mut wallet, &place)?;
        let opened = Prepared::new(&mut wallet, &place)?;
        let page = |name, cookies| {
            let request = opened.open(keybound.address, "openid profile email", cookies);
            Page::new(&folder.path().join(name), &keybound, request)
        };
        let (sign_in, consent) = (page("sign_in", "")?, page("consent", &cookies)?);
        Ok(Self { wallet, keybound, cookies, sign_in, consent, _folder: folder })
    }

    fn round(&mut self) -> Result<Round, Failure> {
        Ok(Round {
            sign_in: self.sign_in.race(&self.keybound)?,
            consent: self.consent.race(&self.keybound)?,
            exchange: Pair { limit: self.exchange("read")?, ours: self.exchange("read openid")? },
        })
    }

    /// Redeems codes that were given out before the server's time ran.
    fn exchange(&mut self, scope: &str) -> Result<Load, Failure> {
        let place = self.wallet.place(self.keybound.address)?;
        let mut browser = Browser::new(self.keybound.address, &self.cookies)?;
        let requests: Vec<Vec<u8>> = (0..CODES)
            .map(|_| Prepared::new(&mut self.wallet, &place)?.obtain(&mut browser, scope))
            .collect::<Result<_, _>>()?;
        load(&self.keybound, CODES, || send_all(self.keybound.address, &requests, 200))
    }
}
