//! A clock that stands still until the test turns it, and one that runs and can be put forward.

use keybound_dpop::time::{Clock, Now, SystemClock, UnixTime};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// The system's clock, which the test may put forward: for what talks with a browser.
#[derive(Debug)]
pub struct AheadClock {
    system: SystemClock,
    ahead_secs: AtomicU64,
}

impl AheadClock {
    /// With the system's time.
    #[must_use]
    pub fn start() -> Self {
        Self { system: SystemClock::start(), ahead_secs: AtomicU64::new(0) }
    }

    /// Puts it forward.
    pub fn put_forward(&self, secs: u64) {
        self.ahead_secs.fetch_add(secs, Ordering::SeqCst);
    }
}

impl Clock for AheadClock {
    fn now(&self) -> Now {
        let (now, ahead) = (self.system.now(), self.ahead_secs.load(Ordering::SeqCst));
        Now { unix: now.unix.plus_secs(ahead), monotonic: now.monotonic + Duration::from_secs(ahead) }
    }
}
