//! Eight octets of time, then text as a nonce: what is accepted was issued in one of four steps.

use keybound_dpop::nonce::{Nonce, NonceKeys, NonceState, STEP_SECS, is_nqchar};
use keybound_dpop::time::UnixTime;
use std::sync::LazyLock;

/// A server that runs on from input to input, whatever the time of each.
static SERVER: LazyLock<NonceKeys> = LazyLock::new(just_started);

fn just_started() -> NonceKeys {
    NonceKeys::new([7; 32], "as", Some([8; 16]))
}

/// Nothing is accepted that was not issued, and what is issued is accepted.
pub(crate) fn check(bytes: &[u8]) {
    let Some((time, text)) = bytes.split_first_chunk::<8>() else { return };
    let now = UnixTime::from_millis(u64::from_be_bytes(*time));
    let keys = just_started();
    if now.as_secs() / STEP_SECS < u64::from(u32::MAX) {
        let issued = keys.issue(now);
        assert!(matches!(SERVER.judge(issued.as_str(), now), NonceState::Accepted { current: true, .. }));
    }
    let Ok(text) = std::str::from_utf8(text) else { return };
    assert_eq!(Nonce::parse(text).is_some(), is_nqchar(text));
    if let NonceState::Accepted { until, .. } = SERVER.judge(text, now) {
        let steps = [0, 1, 2].map(|step| now.minus_secs(step * STEP_SECS));
        let issued = steps.into_iter().chain([now.plus_secs(STEP_SECS)]).map(|then| keys.issue(then));
        assert!(issued.into_iter().any(|nonce| nonce.as_str() == text), "{text} was not issued");
        assert!(until > now, "{text} is over");
    }
}
