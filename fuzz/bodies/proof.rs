//! The bytes of a `DPoP` header, or three lines that are encoded into one: verifier and inspector agree, and nothing is
//! accepted that the fixed keys did not sign.

use keybound_dpop::header::ProofHeader;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::nonce::NonceKeys;
use keybound_dpop::proof::check::{BoundToken, Expected, Policy, verify};
use keybound_dpop::proof::inspect::{Against, Verdict, inspect};
use keybound_dpop::target::Target;
use keybound_dpop::time::UnixTime;
use keybound_dpop::token_hash::TokenHash;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const TARGET: &str = "https://server.example/token";
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

/// The thumbprints of the keys that have signed proofs for the corpus: ES256, Ed25519, PS256.
const SIGNERS: [&str; 3] = [
    "3SeNTljKPwKK7tKdrvuyTQ6zGhbYzeSrINzFtEUZed4",
    "TIzYunKY0upfof4bbUQ-upOcrg5zFPKsF4AtsxE8gCQ",
    "bgJjX9ARsVbO1UAPx22bT4bdx5dJ5qiVk5tymgrU4xg",
];

/// The text as it is, and as three lines: header, payload and signature before their encoding.
pub(crate) fn check(bytes: &[u8]) {
    check_header(bytes);
    let lines: Vec<&[u8]> = bytes.splitn(3, |byte| *byte == b'\n').collect();
    if lines.len() == 3 {
        let parts: Vec<String> = lines.into_iter().map(base64url::encode).collect();
        check_header(parts.join(".").as_bytes());
    }
}

fn check_header(header: &[u8]) {
    let Ok(target) = Target::parse(TARGET) else { return };
    let policy = Policy { algorithms: AlgorithmSet::of(&Algorithm::ALL), ..Policy::default() };
    let nonces = NonceKeys::new([7; 32], "rs", None);
    let plain = Expected { method: "POST", target: &target, token: None, nonce: None, policy: &policy };
    agree(header, &plain);
    agree(header, &Expected { nonce: Some(&nonces), ..plain });
    for jkt in SIGNERS.iter().filter_map(|jkt| Thumbprint::parse(jkt)) {
        let token = Some(BoundToken { hash: TokenHash::of(TOKEN), jkt });
        agree(header, &Expected { token, nonce: Some(&nonces), ..plain });
    }
}

fn agree(header: &[u8], expected: &Expected<'_>) {
    let header = ProofHeader::One(header);
    let verified = verify(header, expected, NOW);
    let against = Against {
        method: Some(expected.method),
        target: Some(expected.target),
        token: expected.token.map(|token| token.hash),
        jkt: expected.token.map(|token| token.jkt),
        nonce: expected.nonce,
        time: Some(NOW),
    };
    let inspection = inspect(header, &against, expected.policy);
    let first = inspection.findings.iter().find_map(|finding| match &finding.verdict {
        Verdict::Fails(refusal) => Some(refusal.clone()),
        _ => None,
    });
    assert_eq!(first.as_ref(), verified.as_ref().err(), "verifier and inspector part ways");
    assert_eq!(inspection.holds(), verified.is_ok(), "verifier and inspector part ways");
    match verified {
        Ok(proof) => {
            assert!(SIGNERS.contains(&proof.jkt().to_string().as_str()), "a forged proof was accepted")
        }
        Err(refusal) => {
            let told = [refusal.for_wire(), refusal.for_log()];
            assert!(!told.iter().any(|text| text.contains(char::is_control)), "{told:?}");
        }
    }
}
