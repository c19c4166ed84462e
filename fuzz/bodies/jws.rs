//! A compact JWS, or three lines that are encoded into one: nothing verifies that the fixed keys did not sign.

use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::jws::{UnverifiedJwt, split};
use keybound_dpop::jose::key_set::KeySet;
use std::sync::LazyLock;

/// The payload of every token that was signed with the keys below.
const SIGNED: &[u8] = br#"{"iss":"https://id.example","sub":"alice","exp":1800000300}"#;

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    KeySet::parse(include_bytes!("keys.json")).unwrap_or_else(|error| panic!("keys.json: {error}"))
});

/// The text as it is, and as three lines: header, payload and signature before their encoding.
pub(crate) fn check(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_compact(text);
    }
    let lines: Vec<&[u8]> = bytes.splitn(3, |byte| *byte == b'\n').collect();
    if lines.len() == 3 {
        let parts: Vec<String> = lines.into_iter().map(base64url::encode).collect();
        check_compact(&parts.join("."));
    }
}

fn check_compact(text: &str) {
    let Ok(jwt) = UnverifiedJwt::parse(text) else { return };
    let parts = split(text).map(|parts| [parts.header, parts.payload, parts.signature].join("."));
    assert_eq!(parts.as_deref(), Some(text), "the parts make up the whole");
    assert!(jwt.header().is_ok() && jwt.claims().is_ok(), "what was read once is read again");
    let Ok(kid) = jwt.kid() else { return };
    let trusted = Algorithm::ALL.into_iter().flat_map(|algorithm| KEYS.candidates(kid.as_deref(), algorithm));
    if let Ok(verified) = jwt.verify(AlgorithmSet::of(&Algorithm::ALL), trusted) {
        assert_eq!(verified.payload(), SIGNED, "a forged token was accepted");
    }
}
