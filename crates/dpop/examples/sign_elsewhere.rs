//! A private key that is out of reach: in a token, behind a service, in a browser. Here it never leaves its thread.
//!
//! A proof is made in two halves: the bytes to sign, and the signature that came back. Whoever can wait for the answer
//! implements [`Signer`] and has everything that takes one; whoever cannot, calls the halves.
//!
//! `cargo run -p keybound-dpop --example sign_elsewhere`
#![expect(clippy::print_stdout, reason = "an example shows what it made")]

use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::jwk::PublicJwk;
use keybound_dpop::jose::signer::{SignError, Signer, SigningKey};
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::time::{Clock, SystemClock};
use std::sync::mpsc::{Sender, channel};
use std::thread;

type Job = (Vec<u8>, Sender<Result<Vec<u8>, SignError>>);

/// Stands for the device: it tells its public key, and signs what it is sent.
struct Device {
    public: PublicJwk,
    jobs: Sender<Job>,
}

impl Device {
    fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let (tell, told) = channel();
        let (jobs, todo) = channel::<Job>();
        thread::spawn(move || {
            let Ok(key) = SigningKey::generate(Algorithm::Es256) else { return };
            let _ = tell.send(key.public_jwk().clone());
            for (message, answer) in todo {
                let _ = answer.send(key.sign(&message));
            }
        });
        Ok(Self { public: told.recv()?, jobs })
    }
}

impl Signer for Device {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Es256
    }

    fn public_jwk(&self) -> &PublicJwk {
        &self.public
    }

    /// In JOSE form: R and S side by side. Devices often answer in DER, which has to be taken apart here.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let gone = |_| SignError("the device is gone".to_owned());
        let (answer, answered) = channel();
        self.jobs.send((message.to_vec(), answer)).map_err(|_| SignError("the device is gone".to_owned()))?;
        answered.recv().map_err(gone)?
    }
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::start()?;
    let (htu, iat) = ("https://server.example/token", SystemClock::start().now().unix);
    let new = NewProof { method: "POST", htu, token: None, nonce: None, entropy: random()?, iat };

    // In two halves: the request goes out, anything may happen meanwhile, the answer comes in.
    let unsigned = new.prepare(Algorithm::Es256, &device.public);
    let (answer, answered) = channel();
    device.jobs.send((unsigned.signing_input().to_vec(), answer))?;
    println!("DPoP: {}\n", unsigned.finish(&answered.recv()??));

    // As a signer.
    let another = NewProof { entropy: random()?, ..new };
    println!("DPoP: {}", another.sign(&device)?);
    Ok(())
}
