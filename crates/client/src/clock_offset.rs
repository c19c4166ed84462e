//! How far a server's clock is from ours, learnt from the `Date` of its answers (RFC 9110 §6.6.1). A proof that a server
//! refused is made anew by that server's clock (RFC 9449 §8), within bounds: a server must not get proofs for times that
//! are far ahead.

use http::HeaderMap;
use http::header::{AGE, DATE};
use keybound_dpop::time::UnixTime;
use std::time::UNIX_EPOCH;

/// The largest offset that is made up for, in seconds. No proof is dated further than that from our clock.
pub const MAX_OFFSET_SECS: i64 = 600;

/// What one answer tells: the server's clock is ahead of ours by that much, in milliseconds; less than nothing where
/// it is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    least: i64,
    most: i64,
}

/// The time in `Date`. None where the answer comes out of a cache, whose `Date` is of the past.
#[must_use]
pub fn date(headers: &HeaderMap) -> Option<UnixTime> {
    let mut lines = headers.get_all(DATE).iter();
    let (only, None) = (lines.next()?, lines.next()) else { return None };
    if headers.contains_key(AGE) {
        return None;
    }
    let date = httpdate::parse_http_date(only.to_str().ok()?).ok()?;
    Some(UnixTime::from_secs(date.duration_since(UNIX_EPOCH).ok()?.as_secs()))
}

impl Bounds {
    /// `Date` has whole seconds, and was written at some time between request and answer.
    pub(crate) fn of(date: UnixTime, sent: UnixTime, received: UnixTime) -> Self {
        let millis = |time: UnixTime| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Self {
            least: millis(date).saturating_sub(millis(received)),
            most: millis(date).saturating_add(1000).saturating_sub(millis(sent)),
        }
    }

    fn allow(self, offset_secs: i64) -> bool {
        (self.least..=self.most).contains(&offset_secs.saturating_mul(1000))
    }

    /// The offset in whole seconds after this answer. What agrees with it stays; clocks that may be equal are; else it
    /// is such that no proof is ahead of the server's clock. None where it is too large.
    pub(crate) fn revise(self, offset_secs: i64) -> Option<i64> {
        if self.allow(offset_secs) {
            return Some(offset_secs);
        }
        if self.allow(0) {
            return Some(0);
        }
        let nearest = if self.least > 0 { self.least } else { self.most };
        let is_small = nearest.abs() <= MAX_OFFSET_SECS * 1000;
        is_small.then(|| self.least.div_euclid(1000).clamp(-MAX_OFFSET_SECS, MAX_OFFSET_SECS))
    }
}

/// That time by a clock which is that much ahead.
pub(crate) const fn shift(time: UnixTime, offset_secs: i64) -> UnixTime {
    if offset_secs < 0 {
        time.minus_secs(offset_secs.unsigned_abs())
    } else {
        time.plus_secs(offset_secs.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const fn at(millis: u64) -> UnixTime {
        UnixTime::from_millis(1_800_000_000_000 + millis)
    }

    #[test]
    fn ops_tim_02_a_date_is_read_unless_a_cache_wrote_it() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        headers.insert(DATE, HeaderValue::from_static("Fri, 15 Jan 2027 08:00:00 GMT"));
        assert_eq!(date(&headers), Some(at(0)));
        headers.insert(AGE, HeaderValue::from_static("7"));
        assert_eq!(date(&headers), None);
        headers.remove(AGE);
        headers.append(DATE, HeaderValue::from_static("Fri, 15 Jan 2027 08:00:00 GMT"));
        assert_eq!(date(&headers), None);
        for odd in ["", "1800000000", "Fri, 15 Jan 1927 08:00:00 GMT", "Fri, 15 Jan 20270 08:00:00 GMT"] {
            headers.insert(DATE, HeaderValue::from_static(odd));
            assert_eq!(date(&headers), None, "{odd}");
        }
    }

    #[test]
    fn ops_tim_02_clocks_that_may_be_equal_are() {
        for (sent, received) in [(100, 200), (900, 999), (999, 1001), (0, 5000)] {
            assert_eq!(Bounds::of(at(0), at(sent), at(received)).revise(0), Some(0), "{sent} {received}");
        }
        // An answer that was long under way does not unsettle what a quick one told.
        let quick = Bounds::of(at(30_000), at(100), at(200)).revise(0);
        assert_eq!(quick, Some(29));
        assert_eq!(Bounds::of(at(30_000), at(100), at(20_000)).revise(29), quick);
        assert_eq!(Bounds::of(at(60_000), at(60_100), at(60_200)).revise(29), Some(0));
    }

    #[test]
    fn ops_tim_02_no_proof_is_ahead_of_the_servers_clock() {
        for ahead in [-600_i64, -60, -3, 3, 60, 600] {
            for phase in [0, 1, 499, 999] {
                let sent = at(1_000_000 + phase);
                let server = shift(sent, ahead);
                let date = UnixTime::from_secs(server.as_secs());
                let offset = Bounds::of(date, sent, at(1_000_050 + phase)).revise(0).expect("small");
                let iat = shift(sent, offset);
                assert!(iat <= server && server.since(iat).as_millis() <= 2000, "{ahead} {phase} {offset}");
            }
        }
    }

    #[test]
    fn atk_124_the_offset_is_bounded() {
        for date in [601_000, 3_600_000, u64::MAX - 1_800_000_000_000] {
            assert_eq!(Bounds::of(at(date), at(0), at(1)).revise(0), None, "{date}");
        }
        assert_eq!(Bounds::of(UnixTime::from_secs(0), at(0), at(1)).revise(0), None);
        assert_eq!(Bounds::of(at(600_000), at(0), at(1)).revise(0), Some(599));
        assert_eq!(Bounds::of(at(0), at(600_999), at(601_500)).revise(0), Some(-MAX_OFFSET_SECS));
    }
}
