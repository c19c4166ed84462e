//! DPoP proofs (RFC 9449): make, check and inspect them. No I/O, no clock, no async.
//!
//! Bytes and facts go in, verdicts come out; time and entropy are arguments.
//!
//! ```
//! use keybound_dpop::header::ProofHeader;
//! use keybound_dpop::jose::{algorithm::Algorithm, signer::SigningKey};
//! use keybound_dpop::nonce::NonceKeys;
//! use keybound_dpop::proof::check::{Expected, Policy, verify};
//! use keybound_dpop::proof::create::{NewProof, htu};
//! use keybound_dpop::replay::{MemoryLog, ReplaySalt};
//! use keybound_dpop::target::Target;
//! use keybound_dpop::time::{Clock, SystemClock};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = SystemClock::start();
//! let now = clock.now();
//!
//! // The server has told the client a nonce.
//! let nonces = NonceKeys::new(keybound_dpop::jose::crypto::random()?, "https://server.example", None);
//! let nonce = nonces.issue(now.unix);
//!
//! // The client: a key pair, and a proof for one request.
//! let key = SigningKey::generate(Algorithm::Es256)?;
//! let htu = htu("https://server.example/token?ignored")?;
//! let entropy = keybound_dpop::jose::crypto::random()?;
//! let proof = NewProof { method: "POST", htu: &htu, token: None, nonce: Some(&nonce), entropy, iat: now.unix }.sign(&key)?;
//!
//! // The server: check it, then make sure that it is used once.
//! let (target, policy) = (Target::parse("https://server.example/token")?, Policy::default());
//! let expected = Expected { method: "POST", target: &target, token: None, nonce: Some(&nonces), policy: &policy };
//! let verified = verify(ProofHeader::One(proof.as_bytes()), &expected, now.unix)?;
//!
//! let (log, salt) = (MemoryLog::new(1000, now), ReplaySalt::new([0; 32]));
//! let entry = verified.replay_entry(&salt, "https://server.example");
//! let fresh = verified.after(log.record(entry, now)).map_err(|_| "replayed")?;
//! assert_eq!(fresh.jkt().to_string().len(), 43);
//! # Ok(())
//! # }
//! ```
//!
//! More of each side is in the folder `examples`, one file a subject: `make_a_proof` (the client, from a kept key to a
//! call with a token), `check_a_proof` (a resource server, and what it answers), `inspect_a_proof` (why a proof is
//! refused), `sign_elsewhere` (a key that is out of reach), `record_elsewhere` (a replay log of your own).

pub mod challenge;
pub mod confirmation;
pub mod header;
pub mod jose;
pub mod nonce;
pub mod nonce_cache;
pub mod proof;
pub mod replay;
pub mod secret;
mod sync;
pub mod target;
pub mod time;
pub mod token_hash;
