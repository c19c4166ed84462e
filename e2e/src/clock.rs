//! A clock that stands still until the test turns it.

use keybound_dpop::time::{Clock, Now, UnixTime};
use parking_lot::Mutex;
use std::time::Duration;

/// The clock of a World.
#[derive(Debug)]
pub struct TurnedClock(Mutex<Now>);

/// When every World begins: some time in 2027.
pub const BEGIN: UnixTime = UnixTime::from_secs(1_800_000_000);

impl Default for TurnedClock {
    fn default() -> Self {
        Self(Mutex::new(Now { unix: BEGIN, monotonic: Duration::ZERO }))
    }
}

impl TurnedClock {
    /// Lets time pass, on both clocks.
    pub fn pass(&self, secs: u64) {
        let mut now = self.0.lock();
        now.unix = now.unix.plus_secs(secs);
        now.monotonic += Duration::from_secs(secs);
    }

    /// Sets the wall clock back, as a correction does; the other one goes on.
    pub fn set_back(&self, secs: u64) {
        let mut now = self.0.lock();
        now.unix = now.unix.minus_secs(secs);
    }
}

impl Clock for TurnedClock {
    fn now(&self) -> Now {
        *self.0.lock()
    }
}
