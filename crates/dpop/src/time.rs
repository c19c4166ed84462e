//! Time as a value. Nothing below the shells reads a clock; [`SystemClock`] is the only reader.

use std::fmt;
use std::time::Duration;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted (RFC 7519 §2, NumericDate).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixTime {
    millis: u64,
}

impl UnixTime {
    /// The point `secs` seconds after the epoch; the far future where that overflows.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self { millis: secs.saturating_mul(1000) }
    }

    /// The point `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.millis / 1000
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.millis
    }

    /// This point plus `secs` seconds; stops at the far future.
    #[must_use]
    pub const fn plus_secs(self, secs: u64) -> Self {
        Self { millis: self.millis.saturating_add(secs.saturating_mul(1000)) }
    }

    /// This point minus `secs` seconds; stops at the epoch.
    #[must_use]
    pub const fn minus_secs(self, secs: u64) -> Self {
        Self { millis: self.millis.saturating_sub(secs.saturating_mul(1000)) }
    }

    /// How much later this point is than `earlier`; zero where it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.millis.saturating_sub(earlier.millis))
    }
}

impl fmt::Debug for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}s", self.millis / 1000, self.millis % 1000)
    }
}

/// Both times that a decision can need: the wall clock, and one that never steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock.
    pub unix: UnixTime,
    /// Time since some fixed point of this process; never goes back, never jumps.
    pub monotonic: Duration,
}

/// A source of time: the system's, or one that a test turns.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Now;

    /// The wall clock alone.
    fn unix(&self) -> UnixTime {
        self.now().unix
    }

    /// The monotonic time alone.
    fn monotonic(&self) -> Duration {
        self.now().monotonic
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one reader of the clock")]
    pub fn start() -> Self {
        Self { started: std::time::Instant::now() }
    }
}

/// Each of the two is a look at the system's clock: who needs one asks for that one.
impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now { unix: self.unix(), monotonic: self.monotonic() }
    }

    #[expect(clippy::disallowed_methods, reason = "the one reader of the clock")]
    fn unix(&self) -> UnixTime {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        UnixTime::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_stops_at_both_ends() {
        assert_eq!(UnixTime::from_secs(u64::MAX).plus_secs(1), UnixTime::from_millis(u64::MAX));
        assert_eq!(UnixTime::from_secs(5).minus_secs(6), UnixTime::from_secs(0));
        assert_eq!(UnixTime::from_secs(5).since(UnixTime::from_secs(9)), Duration::ZERO);
    }

    #[test]
    fn seconds_are_rounded_down_and_milliseconds_are_kept() {
        let time = UnixTime::from_millis(1_800_000_000_042);
        assert_eq!((time.as_secs(), time.as_millis()), (1_800_000_000, 1_800_000_000_042));
        assert_eq!(format!("{time:?}"), "1800000000.042s");
        assert_eq!(time.since(UnixTime::from_secs(1_800_000_000)), Duration::from_millis(42));
    }
}
