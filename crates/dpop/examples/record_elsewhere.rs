//! A replay log of your own: here a folder with a file for each proof, which processes on one machine can share.
//!
//! All that a log has to do is to record a key unless it is there, in one atomic step, until the moment that the entry
//! names. Where it cannot tell, it says so, and the request is refused.
//!
//! `cargo run -p keybound-dpop --example record_elsewhere`
#![expect(clippy::print_stdout, reason = "an example shows what it recorded")]

use keybound_dpop::header::ProofHeader;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::proof::check::{Expected, NotFresh, Policy, verify};
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::replay::{Recorded, ReplayEntry, ReplaySalt};
use keybound_dpop::target::Target;
use keybound_dpop::time::{Clock, SystemClock, UnixTime};
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

struct FolderLog(PathBuf);

impl FolderLog {
    /// `create_new` is the atomic step. A look first and a write after it would let two requests through at once.
    fn record(&self, entry: &ReplayEntry) -> Recorded {
        let path = self.0.join(format!("{:032x}", entry.key.0));
        match File::create_new(path) {
            Ok(mut file) => match file.write_all(entry.until.as_secs().to_string().as_bytes()) {
                Ok(()) => Recorded::Fresh,
                Err(_) => Recorded::Unavailable,
            },
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Recorded::Replayed,
            Err(_) => Recorded::Unavailable,
        }
    }

    /// Only what is too old to be accepted may be forgotten. A file that cannot be read stays.
    fn sweep(&self, now: UnixTime) -> std::io::Result<usize> {
        let mut forgotten = 0;
        for file in fs::read_dir(&self.0)? {
            let path = file?.path();
            let until = fs::read_to_string(&path)?.parse().map(UnixTime::from_secs);
            if until.is_ok_and(|until| until < now) {
                fs::remove_file(path)?;
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = random::<8>()?.map(|octet| format!("{octet:02x}")).concat();
    let log = FolderLog(std::env::temp_dir().join(format!("proofs-{name}")));
    fs::create_dir(&log.0)?;

    let now = SystemClock::start().now().unix;
    let (target, policy) = (Target::parse("https://server.example/token")?, Policy::default());
    let expected = Expected { method: "POST", target: &target, token: None, nonce: None, policy: &policy };
    let (htu, entropy) = (target.as_str(), random()?);
    let new = NewProof { method: "POST", htu, token: None, nonce: None, entropy, iat: now };
    let proof = new.sign(&SigningKey::generate(Algorithm::Es256)?)?;

    // The salt is the same for all who share the log, so that what is recorded tells nothing about proofs.
    let salt = ReplaySalt::new(random()?);
    for (attempt, good) in [("first", true), ("second", false)] {
        let verified = verify(ProofHeader::One(proof.as_bytes()), &expected, now)?;
        let entry = verified.replay_entry(&salt, "https://server.example");
        let fresh = verified.after(log.record(&entry));
        assert_eq!(fresh.is_ok(), good);
        match fresh {
            Ok(fresh) => println!("{attempt}: good, a token can be bound to {}", fresh.jkt()),
            Err(NotFresh::Replayed(refusal)) => println!("{attempt}: {}", refusal.for_wire()),
            Err(NotFresh::Unavailable) => println!("{attempt}: 503"),
        }
    }
    println!("forgotten now: {}", log.sweep(now)?);
    println!("forgotten in an hour: {}", log.sweep(now.plus_secs(3600))?);
    fs::remove_dir(&log.0)?;
    Ok(())
}
