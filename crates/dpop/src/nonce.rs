//! Nonces that need no storage (RFC 9449 §8): a time step and a MAC over it, under a key that every node derives alike.
//!
//! A nonce is 32 characters of base64url: four octets of step (whole minutes since 1970), then twenty of HMAC-SHA-256.
//! The MAC's key is HKDF(secret, label, day), so that rotation needs no coordination.

use crate::jose::base64url;
use crate::jose::crypto::{HmacKey, are_equal, hkdf_sha256};
use crate::time::UnixTime;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;

/// Seconds of one time step (AS-NON-07).
pub const STEP_SECS: u64 = 60;
/// How many steps before the current one are still accepted.
const STEPS_BEFORE: u64 = 2;
/// How many steps after the current one are accepted, for nodes whose clocks are ahead (OPS-NON-04).
const STEPS_AFTER: u64 = 1;
/// Those, and the current one.
const STEPS_ACCEPTED: usize = 4;
const MAC_LEN: usize = 20;
const NONCE_LEN: usize = 4 + MAC_LEN;
const DAY_SECS: u64 = 86_400;

/// A nonce as it goes into `DPoP-Nonce` and `nonce`: visible ASCII without `"` and `\` (RFC 9449 §8.1, NQCHAR).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// Takes a nonce that a server sent; `None` unless it is 1 to 256 characters of NQCHAR.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_nqchar(text).then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the text is 1 to 256 characters of NQCHAR: %x21 / %x23-5B / %x5D-7E (RFC 9449 §8.1).
#[must_use]
pub fn is_nqchar(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

/// What a server finds a nonce to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceState {
    /// One of ours that is still good.
    Accepted {
        /// Whether it is of the current step; where not, the answer should bring a new one (RFC 9449 §8.2).
        current: bool,
        /// When it stops being accepted, by the clock that judged it.
        until: UnixTime,
    },
    /// Not ours, or too old.
    Unknown,
}

/// Makes and judges the nonces of one server.
#[derive(Clone)]
pub struct NonceKeys {
    label: String,
    boot: Option<[u8; 16]>,
    shared: Arc<Mutex<Shared>>,
}

/// What all clones have in common, so that a new secret reaches them at once.
struct Shared {
    secret: [u8; 32],
    /// The MACs of the steps that are accepted now, each in the place of its step's last bits. A MAC is the same for
    /// all who hold the nonce, and deriving its key costs more than all other cheap checks of a proof.
    made: [Option<(u64, Mac)>; STEPS_ACCEPTED],
}

type Mac = [u8; MAC_LEN];

impl NonceKeys {
    /// From a secret of 256 bits and a label that no other server under the same secret has (OPS-NON-01).
    ///
    /// `boot` is for a server whose replay log does not outlive it: random bits drawn at start, which make every nonce
    /// from before stale (OPS-REP-09). Nodes that share a replay log leave it out.
    #[must_use]
    pub fn new(secret: [u8; 32], label: impl Into<String>, boot: Option<[u8; 16]>) -> Self {
        Self { label: label.into(), boot, shared: Arc::new(Mutex::new(Shared::new(secret))) }
    }

    /// Takes another secret, here and in every clone. From now on all nonces from before are stale, and each client
    /// needs one more try (OPS-NON-05).
    pub fn replace_secret(&self, secret: [u8; 32]) {
        *self.shared.lock() = Shared::new(secret);
    }

    /// The nonce of the current step: 32 characters, the same for all who ask in that minute.
    #[must_use]
    pub fn issue(&self, now: UnixTime) -> Nonce {
        let step = now.as_secs() / STEP_SECS;
        let mut bytes = [0_u8; NONCE_LEN];
        let written = step_octets(step).into_iter().chain(self.mac(step));
        for (to, from) in bytes.iter_mut().zip(written) {
            *to = from;
        }
        Nonce(base64url::encode(&bytes))
    }

    /// Whether a nonce is ours and still good. The MAC is compared in constant time (DPOP-NON-07).
    #[must_use]
    pub fn judge(&self, nonce: &str, now: UnixTime) -> NonceState {
        let Some(bytes) = base64url::decode_exactly::<NONCE_LEN>(nonce) else { return NonceState::Unknown };
        let Some((step, mac)) = bytes.split_first_chunk::<4>() else { return NonceState::Unknown };
        let step = u64::from(u32::from_be_bytes(*step));
        let current = now.as_secs() / STEP_SECS;
        if step + STEPS_BEFORE < current || step > current + STEPS_AFTER {
            return NonceState::Unknown;
        }
        let expected = self.mac(step);
        if !are_equal(expected.as_slice(), mac) {
            return NonceState::Unknown;
        }
        let until = UnixTime::from_secs((step + STEPS_BEFORE + 1) * STEP_SECS);
        NonceState::Accepted { current: step == current, until }
    }

    fn mac(&self, step: u64) -> Mac {
        let Shared { secret, made } = &mut *self.shared.lock();
        let place = usize::try_from(step).unwrap_or(0) % STEPS_ACCEPTED;
        match made.get_mut(place) {
            Some(Some((of_step, mac))) if *of_step == step => *mac,
            Some(free) => free.insert((step, self.derive(secret, step))).1,
            None => self.derive(secret, step),
        }
    }

    fn derive(&self, secret: &[u8; 32], step: u64) -> Mac {
        let day = (step * STEP_SECS / DAY_SECS).to_be_bytes();
        let boot = self.boot.as_ref().map_or(&[][..], |bits| bits.as_slice());
        let info = [b"keybound nonce\0", self.label.as_bytes(), b"\0", &day, boot].concat();
        let full = HmacKey::new(&hkdf_sha256(secret, &info)).mac(&[&step_octets(step)]);
        let mut mac = [0; MAC_LEN];
        for (to, from) in mac.iter_mut().zip(full) {
            *to = from;
        }
        mac
    }
}

impl Shared {
    fn new(secret: [u8; 32]) -> Self {
        Self { secret, made: [None; STEPS_ACCEPTED] }
    }
}

impl fmt::Debug for NonceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NonceKeys({})", self.label)
    }
}

fn step_octets(step: u64) -> [u8; 4] {
    u32::try_from(step).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn keys(label: &str) -> NonceKeys {
        NonceKeys::new([7; 32], label, None)
    }

    #[test]
    fn as_non_03_nonces_are_short_nqchar() {
        let nonce = keys("as").issue(T);
        assert!(is_nqchar(nonce.as_str()) && nonce.as_str().len() <= 64);
        assert_eq!(Nonce::parse("a\"b"), None);
        assert_eq!(Nonce::parse(""), None);
    }

    #[test]
    fn as_non_07_window_of_steps() {
        let nonce = keys("as").issue(T);
        let judge = |secs: i64| {
            let at =
                if secs < 0 { T.minus_secs(secs.unsigned_abs()) } else { T.plus_secs(secs.unsigned_abs()) };
            keys("as").judge(nonce.as_str(), at)
        };
        let until = T.plus_secs(3 * STEP_SECS);
        assert_eq!(judge(59), NonceState::Accepted { current: true, until });
        assert_eq!(judge(60), NonceState::Accepted { current: false, until });
        assert_eq!(judge(179), NonceState::Accepted { current: false, until });
        assert_eq!(judge(180), NonceState::Unknown);
        assert_eq!(judge(-60), NonceState::Accepted { current: false, until });
        assert_eq!(judge(-61), NonceState::Unknown);
    }

    /// Computed elsewhere, after `vectors/README.md`.
    #[test]
    fn ops_non_02_nonces_are_what_is_written_down() {
        for (at, nonce) in [
            (T, "AcnDgMXtLvuWYzQjhz_2IQWswj6EClvP"),
            (T.plus_secs(DAY_SECS - STEP_SECS), "AcnJH3MMQqOyUkW2PqekbLwC3TnzggAf"),
        ] {
            assert_eq!(keys("as").issue(at).as_str(), nonce);
        }
    }

    #[test]
    fn dpop_non_04_labels_keep_servers_apart() {
        assert_eq!(keys("rs").judge(keys("as").issue(T).as_str(), T), NonceState::Unknown);
    }

    #[test]
    fn ops_rep_09_nonces_from_before_a_start_are_stale() {
        let before = NonceKeys::new([7; 32], "as", Some([1; 16])).issue(T);
        let after = NonceKeys::new([7; 32], "as", Some([2; 16]));
        assert_eq!(after.judge(before.as_str(), T), NonceState::Unknown);
    }

    #[test]
    fn dpop_non_02_anything_else_is_unknown() {
        let nonce = keys("as").issue(T).to_string();
        let mut flipped = nonce.clone().into_bytes();
        flipped[20] ^= 1;
        let flipped = String::from_utf8(flipped).expect("ASCII");
        for bad in [nonce.get(1..).unwrap_or_default(), &flipped, "x", "", &nonce.to_lowercase()] {
            assert_eq!(keys("as").judge(bad, T), NonceState::Unknown, "{bad}");
        }
    }

    #[test]
    fn ops_non_02_nonces_do_not_depend_on_what_was_asked_before() {
        let (one, day) = (keys("as"), |days| T.plus_secs(days * DAY_SECS));
        let nonces: Vec<Nonce> = (0..4).map(|days| one.issue(day(days))).collect();
        for (days, nonce) in [3, 2, 1, 0].into_iter().zip(nonces.iter().rev()) {
            assert_eq!(*nonce, keys("as").issue(day(days)));
            assert_eq!(*nonce, one.issue(day(days)));
            assert!(matches!(one.judge(nonce.as_str(), day(days)), NonceState::Accepted { .. }));
            assert_eq!(one.judge(nonce.as_str(), day(days + 2)), NonceState::Unknown);
        }
    }

    #[test]
    fn ops_non_02_days_change_without_a_gap() {
        let midnight = UnixTime::from_secs(1_800_057_600 / DAY_SECS * DAY_SECS);
        let before = keys("as").issue(midnight.minus_secs(1));
        assert!(matches!(keys("as").judge(before.as_str(), midnight), NonceState::Accepted { .. }));
    }

    #[test]
    fn ops_non_05_a_new_secret_makes_all_nonces_stale_everywhere() {
        let (here, there) = (keys("as"), keys("as"));
        let clone = here.clone();
        let nonce = clone.issue(T);
        here.replace_secret([8; 32]);
        assert_eq!(clone.judge(nonce.as_str(), T), NonceState::Unknown);
        assert!(matches!(clone.judge(here.issue(T).as_str(), T), NonceState::Accepted { .. }));
        assert!(matches!(there.judge(nonce.as_str(), T), NonceState::Accepted { .. }), "no clone, no change");
    }

    #[test]
    fn ops_non_01_as_non_02_labels_and_secrets_make_other_nonces() {
        let all = [
            keys("as"),
            keys("rs"),
            NonceKeys::new([8; 32], "as", None),
            NonceKeys::new([7; 32], "as", Some([0; 16])),
        ];
        for (index, one) in all.iter().enumerate() {
            for (other, judge) in all.iter().enumerate() {
                let accepted = judge.judge(one.issue(T).as_str(), T) != NonceState::Unknown;
                assert_eq!(accepted, index == other);
            }
        }
    }

    #[test]
    fn ops_non_03_ops_non_04_nonces_live_for_minutes_and_nodes_may_differ_by_half_a_minute() {
        let nonce = keys("as").issue(T);
        for skewed in [T.plus_secs(30), T.minus_secs(30)] {
            assert!(matches!(keys("as").judge(nonce.as_str(), skewed), NonceState::Accepted { .. }));
        }
        let NonceState::Accepted { until, .. } = keys("as").judge(nonce.as_str(), T) else {
            panic!("a nonce of this moment is good")
        };
        assert!((60..=300).contains(&until.since(T).as_secs()));
    }

    #[test]
    fn debug_shows_the_label_alone() {
        assert_eq!(format!("{:?}", keys("as")), "NonceKeys(as)");
    }
}
