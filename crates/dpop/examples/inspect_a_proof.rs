//! Why is a proof refused? All rules at once, each with its verdict, instead of the first that fails.
//!
//! `cargo run -p keybound-dpop --example inspect_a_proof`
#![expect(clippy::print_stdout, reason = "an example shows its report")]

use keybound_dpop::header::ProofHeader;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::proof::check::Policy;
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::proof::inspect::{Against, Verdict, inspect};
use keybound_dpop::target::Target;
use keybound_dpop::time::{Clock, SystemClock};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now = SystemClock::start().now().unix;

    // A client that writes the method small, signs an inner URL, and has a clock that is an hour behind.
    let (htu, entropy, iat) = ("http://10.0.0.7:8080/token", random()?, now.minus_secs(3600));
    let new = NewProof { method: "post", htu, token: None, nonce: None, entropy, iat };
    let proof = new.sign(&SigningKey::generate(Algorithm::Es256)?)?;

    // What is left out is not asked: a proof alone can be looked at too.
    let target = Target::parse("https://server.example/token")?;
    let against =
        Against { method: Some("POST"), target: Some(&target), time: Some(now), ..Against::default() };
    let report = inspect(ProofHeader::One(proof.as_bytes()), &against, &Policy::default());

    for finding in &report.findings {
        let rule = finding.check.rule();
        match &finding.verdict {
            Verdict::Holds => println!("holds      {}", finding.name),
            Verdict::NotAsked => println!("not asked  {}", finding.name),
            Verdict::NotReached => println!("unread     {}", finding.name),
            Verdict::Fails(refusal) => {
                println!(
                    "FAILS      {}\n           {}\n           {}",
                    finding.name,
                    refusal.for_log(),
                    rule.advice
                );
            }
        }
    }
    assert!(!report.holds());
    println!("header     {}", report.header.as_deref().unwrap_or("-"));
    println!("claims     {}", report.claims.as_deref().unwrap_or("-"));
    Ok(())
}
