//! What fuzzing has collected, run again as plain tests: one test a target, each file through the target's body.

#[cfg(test)]
#[path = "../../../fuzz/bodies/challenge.rs"]
mod challenge;
#[cfg(test)]
#[path = "../../../fuzz/bodies/jwk.rs"]
mod jwk;
#[cfg(test)]
#[path = "../../../fuzz/bodies/jws.rs"]
mod jws;
#[cfg(test)]
#[path = "../../../fuzz/bodies/nonce.rs"]
mod nonce;
#[cfg(test)]
#[path = "../../../fuzz/bodies/proof.rs"]
mod proof;
#[cfg(test)]
#[path = "../../../fuzz/bodies/replay.rs"]
mod replay;
#[cfg(test)]
#[path = "../../../fuzz/bodies/url.rs"]
mod url;

#[cfg(test)]
mod tests {
    use super::{challenge, jwk, jws, nonce, proof, replay, url};

    #[test]
    fn ops_lim_08_challenges_hold_what_their_fuzz_target_asserts() {
        replay::corpus("challenge", challenge::check);
    }

    #[test]
    fn ops_lim_08_keys_hold_what_their_fuzz_target_asserts() {
        replay::corpus("jwk", jwk::check);
    }

    #[test]
    fn ops_lim_08_tokens_hold_what_their_fuzz_target_asserts() {
        replay::corpus("jws", jws::check);
    }

    #[test]
    fn ops_lim_08_nonces_hold_what_their_fuzz_target_asserts() {
        replay::corpus("nonce", nonce::check);
    }

    #[test]
    fn ops_lim_08_proofs_hold_what_their_fuzz_target_asserts() {
        replay::corpus("proof", proof::check);
    }

    #[test]
    fn ops_lim_08_urls_hold_what_their_fuzz_target_asserts() {
        replay::corpus("url", url::check);
    }
}
