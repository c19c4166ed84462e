//! Time: over a clock that jumps ahead by anything, with servers that start anew, a proof is accepted at most once, and
//! an honest one is accepted.

use crate::server::{ES256, HTU, T, expected, judge, nonces, token};
use keybound_dpop::nonce::{Nonce, STEP_SECS};
use keybound_dpop::proof::check::Expected;
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::replay::{MemoryLog, ReplaySalt};
use keybound_dpop::time::{Now, UnixTime};
use proptest::prelude::*;
use std::time::Duration;

/// What happens next, after some milliseconds.
#[derive(Clone, Debug)]
enum Event {
    /// A client whose clock is that many milliseconds off sends a proof that it made some milliseconds ago.
    Proof { skew: i64, age: u64 },
    /// Somebody sends an earlier proof again.
    Again(prop::sample::Index),
    /// The server starts anew, and remembers nothing.
    Restart,
    /// The server's wall clock is set.
    Step(i64),
}

fn events(
    skew: std::ops::RangeInclusive<i64>,
    restarts: u32,
    steps: u32,
) -> impl Strategy<Value = Vec<(u64, Event)>> {
    let wait = prop_oneof![4 => 0..2_000_u64, 2 => 0..90_000_u64, 1 => 0..700_000_u64];
    let event = prop_oneof![
        6 => (skew, prop_oneof![3 => Just(0), 1 => 0..330_000_u64])
            .prop_map(|(skew, age)| Event::Proof { skew, age }),
        8 => any::<prop::sample::Index>().prop_map(Event::Again),
        restarts => Just(Event::Restart),
        steps => (-2_000_000..2_000_000_i64).prop_map(Event::Step),
    ];
    prop::collection::vec((wait, event), 1..60)
}

/// A proof, what its client knew, and whether it was accepted.
struct Sent {
    proof: String,
    iat: UnixTime,
    nonce: (Nonce, UnixTime, u8),
    accepted: bool,
}

/// A server with its clock and its log. Each start has a number.
struct Server {
    now: Now,
    started: UnixTime,
    starts: u8,
    log: MemoryLog,
    with_nonces: bool,
}

impl Server {
    fn start(with_nonces: bool) -> Self {
        let now = Now { unix: T, monotonic: Duration::ZERO };
        Self { now, started: T, starts: 0, log: MemoryLog::new(100, now), with_nonces }
    }

    fn restart(&mut self) {
        self.now.monotonic = Duration::ZERO;
        self.started = self.now.unix;
        self.starts += 1;
        self.log = MemoryLog::new(100, self.now);
    }

    fn wait(&mut self, millis: u64) {
        self.now.unix = UnixTime::from_millis(self.now.unix.as_millis() + millis);
        self.now.monotonic += Duration::from_millis(millis);
    }

    /// A proof made `age` milliseconds ago by a clock that is `skew` milliseconds off.
    fn client(&self, number: usize, skew: i64, age: u64) -> Sent {
        let then = UnixTime::from_millis(self.now.unix.as_millis() - age);
        let iat = UnixTime::from_millis(then.as_millis().saturating_add_signed(skew));
        let nonce = nonces(self.starts).issue(then);
        let new = NewProof {
            method: "POST",
            htu: HTU,
            token: Some(token().hash),
            nonce: Some(&nonce),
            entropy: (number as u128).to_be_bytes(),
            iat,
        };
        let iat = UnixTime::from_secs(iat.as_secs());
        let proof = new.sign(&*ES256).unwrap();
        Sent { proof, iat, nonce: (nonce, then, self.starts), accepted: false }
    }

    /// Verifies and records, as every endpoint does.
    fn accepts(&self, sent: &Sent) -> bool {
        let keys = nonces(self.starts);
        let demand = Expected {
            token: self.with_nonces.then(token),
            nonce: self.with_nonces.then_some(&keys),
            ..expected()
        };
        let Ok(verified) = judge(&sent.proof, &demand, self.now.unix) else { return false };
        let entry = verified.replay_entry(&ReplaySalt::new([1; 32]), "server");
        verified.after(self.log.record(entry, self.now)).is_ok()
    }

    /// Whether a proof that nobody has seen yet must be accepted.
    fn owes(&self, sent: &Sent) -> bool {
        let now = self.now.unix;
        if self.with_nonces {
            let (_, issued, by) = &sent.nonce;
            let step = |time: UnixTime| time.as_secs() / STEP_SECS;
            return *by == self.starts && step(now) - step(*issued) <= 2;
        }
        let in_window = sent.iat.plus_secs(300) >= now && sent.iat <= now.plus_secs(30);
        in_window && sent.iat.minus_secs(30) > self.started
    }
}

/// Plays the events; at every presentation the verdict is what single use demands.
fn play(mut server: Server, events: Vec<(u64, Event)>) -> Result<(), TestCaseError> {
    let (mut sent, mut set): (Vec<Sent>, bool) = (Vec::new(), false);
    for (millis, event) in events {
        server.wait(millis);
        let index = match event {
            Event::Proof { skew, age } => {
                sent.push(server.client(sent.len(), skew, age));
                sent.len() - 1
            }
            Event::Again(index) if !sent.is_empty() => index.index(sent.len()),
            Event::Again(_) => continue,
            Event::Restart => {
                server.restart();
                continue;
            }
            Event::Step(millis) => {
                set = true;
                server.now.unix =
                    UnixTime::from_millis(server.now.unix.as_millis().saturating_add_signed(millis));
                continue;
            }
        };
        let proof = &mut sent[index];
        let accepted = server.accepts(proof);
        prop_assert!(!(accepted && proof.accepted), "proof {} was accepted twice", index);
        if !set {
            prop_assert_eq!(
                accepted,
                !proof.accepted && server.owes(proof),
                "proof {} at {:?}",
                index,
                server.now
            );
        }
        proof.accepted |= accepted;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn dpop_iat_06_ops_rep_02_ops_rep_09_without_nonces_a_proof_is_good_once_in_its_window(
        events in events(-60_000..=30_000, 1, 0),
    ) {
        play(Server::start(false), events)?;
    }

    #[test]
    fn dpop_jti_10_dpop_iat_05_ops_rep_09_with_nonces_a_proof_is_good_once_whatever_its_clock(
        events in events(-60_000_000_000..=60_000_000_000, 1, 0),
    ) {
        play(Server::start(true), events)?;
    }

    #[test]
    fn ops_rep_10_a_wall_clock_that_is_set_lets_no_proof_in_twice(
        events in events(-60_000..=30_000, 0, 2),
    ) {
        play(Server::start(false), events)?;
    }

    #[test]
    fn ops_rep_09_ops_rep_10_with_nonces_neither_a_set_clock_nor_a_restart_does(
        events in events(-60_000..=30_000, 1, 2),
    ) {
        play(Server::start(true), events)?;
    }
}
