//! The work that a known client would have cost, done for one that nobody knows (OPS-LIM-07): the time of a refusal then
//! tells nobody which clients there are.

use crate::metrics::{ClientCheck, Metrics};
use crate::profile::Profile;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::jws::UnverifiedJwt;
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::secret::Secret;
use keybound_oauth::client_secret::ClientSecret;
use std::sync::LazyLock;

/// Public keys whose private halves nobody has kept, one of each kind.
const KEYS: &str = r#"{"keys":[
{"crv":"P-256","kty":"EC","x":"C1v9YAF_uttLqmmQxULtg5gsDfCtr2wiiDfh2-dyFeg","y":"T8L08K1cEj6gXU3yXoTxYj9XK5OuOd8CaLlT9sYemSE"},
{"crv":"Ed25519","kty":"OKP","x":"sfKsbRjE9SBGdfEPBgT9BSX3xhgC2t1bq7sO3G8r7Ug"},
{"e":"AQAB","kty":"RSA","n":"yNhXG9m_wDozUs6uh6xVtDe1SdWQ7ie6qWTGtMsRQRaTdAGLpvtSM0C32mwS3vVQIfnp7lv4Rlw2AxigCOS0oHROMAxp_vgtpBzLUo0WHPN6B3nNWT8mib8e2da42hCVvmRfTVizYhBcP4grNxJTzhM7a4tZ5dNkEK59SCe-8mb1cUWcl_WdFpnsA84MPPk8ohx10WfuBm3Sbl2ejFtj9LTD7g4zL6jrd9euTaEY6GN4Ch3iRJWlmde73M4PdwObj1HFeSd2Asi27rQlcoVtT71ne2JUk6t3OigsnbT9ymp6G05pufQ4hSd5whZwLPtb1KuZqRXCTX6hxVk583Gcqw"}
]}"#;

static DECOYS: LazyLock<KeySet> = LazyLock::new(|| KeySet::parse(KEYS.as_bytes()).unwrap_or_default());

/// Checks a secret against one of nobody's. The outcome is not asked for.
pub(crate) fn check_secret(shown: &Secret, metrics: &Metrics) {
    metrics.client_checked(ClientCheck::Secret);
    std::hint::black_box(ClientSecret::Sha256([0; 32]).accepts(shown));
}

/// Checks an assertion against a key of nobody's.
pub(crate) fn check_assertion(jwt: &UnverifiedJwt<'_>, metrics: &Metrics) {
    let Ok(header) = jwt.header() else { return };
    let algorithm = header.string("alg").ok().flatten().and_then(Algorithm::parse);
    let accepted = Profile::STANDARD.signature_algorithms();
    let Some(algorithm) = algorithm.filter(|known| accepted.contains(known)) else { return };
    for key in DECOYS.candidates(None, algorithm) {
        metrics.client_checked(ClientCheck::Assertion);
        // That it does not verify is known beforehand.
        let _ = std::hint::black_box(jwt.verify(AlgorithmSet::of(accepted), std::iter::once(key)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_lim_07_there_is_a_key_for_each_algorithm_of_assertions() {
        for algorithm in Profile::STANDARD.signature_algorithms() {
            assert_eq!(DECOYS.candidates(None, *algorithm).count(), 1, "{algorithm}");
        }
    }
}
