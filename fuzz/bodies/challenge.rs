//! `WWW-Authenticate` lines, one a line of the input: reading is bounded, and what is written is read back.

use keybound_dpop::challenge::Challenge;

/// Field lines are judged alone and together.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let challenges = Challenge::parse_all(text.lines());
    assert!(challenges.len() <= 32, "{} challenges were read", challenges.len());

    let lines: Vec<String> = challenges.iter().map(Challenge::to_field_value).collect();
    let alone: Vec<Challenge> = lines.iter().flat_map(|line| Challenge::parse_all([line.as_str()])).collect();
    assert_eq!(alone.len(), challenges.len(), "each line holds one challenge: {lines:?}");
    let again: Vec<String> = alone.iter().map(Challenge::to_field_value).collect();
    assert_eq!(lines, again, "a challenge is written alike twice");
    assert_eq!(Challenge::parse_all([lines.join(", ").as_str()]), alone, "in one line as in several");
}
