//! Many flows at once, on connections that stay open.

use super::flow::{Browser, Prepared, Walk};
use super::wallet::Wallet;
use crate::process::load::CONNECTIONS;
use crate::process::prover::Place;
use keybound_bench::Failure;
use std::net::SocketAddr;
use std::slice::Chunks;

/// Goes through so many flows on all connections at once.
pub(super) struct Flows {
    address: SocketAddr,
    cookies: String,
    prepared: Vec<Prepared>,
}

impl Flows {
    /// Signs all proofs of so many flows.
    pub(super) fn prepare(
        wallet: &mut Wallet,
        place: &Place,
        cookies: &str,
        count: usize,
    ) -> Result<Self, Failure> {
        let prepared = (0..count).map(|_| Prepared::new(wallet, place)).collect::<Result<_, _>>()?;
        Ok(Self { address: place.address, cookies: cookies.to_owned(), prepared })
    }

    /// Runs them, as [`send_all`](crate::process::load::send_all) does requests: one half of the connections is with the
    /// server while the answers of the other are read and its next requests sent.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let (left, right) = self.prepared.split_at(self.prepared.len() / 2);
        let mut halves = [self.half(left)?, self.half(right)?];
        let mut is_busy = true;
        while is_busy {
            is_busy = false;
            for half in &mut halves {
                is_busy |= half.step()?;
            }
        }
        Ok(())
    }

    fn half<'a>(&'a self, prepared: &'a [Prepared]) -> Result<Half<'a>, Failure> {
        let browsers = (0..CONNECTIONS / 2).map(|_| Browser::new(self.address, &self.cookies));
        Ok(Half {
            browsers: browsers.collect::<Result<_, _>>()?,
            walks: Vec::new(),
            rest: prepared.chunks(CONNECTIONS / 2),
        })
    }
}

/// Half of the connections, with a flow on each, all equally far.
struct Half<'a> {
    browsers: Vec<Browser>,
    walks: Vec<Walk<'a>>,
    rest: Chunks<'a, Prepared>,
}

impl Half<'_> {
    /// Reads all answers, the last first, since once it is there so are most others; sends what comes next. False where
    /// nothing does.
    fn step(&mut self) -> Result<bool, Failure> {
        let mut requests = Vec::with_capacity(self.browsers.len());
        for (browser, walk) in self.browsers.iter_mut().zip(&mut self.walks).rev() {
            let answer = browser.receive()?;
            requests.extend(walk.go_on(browser, &answer)?);
        }
        requests.reverse();
        if requests.is_empty() {
            let flows = self.rest.next().unwrap_or_default();
            let begun = self.browsers.iter().zip(flows).map(|(browser, flow)| Walk::begin(flow, browser));
            (self.walks, requests) = begun.unzip();
        }
        let mut sent = self.browsers.iter_mut().zip(&requests);
        sent.try_for_each(|(browser, request)| browser.send(request))?;
        Ok(!requests.is_empty())
    }
}
