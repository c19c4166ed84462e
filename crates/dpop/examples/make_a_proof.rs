//! The client's side: a key that is kept, a proof for each request, the nonce that the server asked for.
//!
//! `cargo run -p keybound-dpop --example make_a_proof`
#![expect(clippy::print_stdout, reason = "an example shows what it made")]

use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::nonce::Nonce;
use keybound_dpop::nonce_cache::{NonceCache, Role};
use keybound_dpop::proof::create::{NewProof, htu};
use keybound_dpop::time::{Clock, SystemClock};
use keybound_dpop::token_hash::TokenHash;

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now = SystemClock::start().now().unix;

    // One key pair for a client, made once. Tokens are bound to it, so it is kept where nobody else can read it.
    let kept = SigningKey::generate(Algorithm::Es256)?.to_private_jwk()?;
    let key = SigningKey::from_private_jwk(kept.as_bytes())?;

    // A token request. Nonces are remembered for each server; this one has not given any yet.
    let nonces = NonceCache::default();
    let (url, origin) = ("https://server.example/token", "https://server.example");
    let nonce = nonces.get(Role::AuthorizationServer, origin);
    let first = NewProof {
        method: "POST",
        htu: &htu(url)?,
        token: None,
        nonce: nonce.as_ref(),
        entropy: random()?,
        iat: now,
    };
    println!("DPoP: {}\n", first.sign(&key)?);

    // It answers 400 with `use_dpop_nonce` and this in `DPoP-Nonce`: the same request, with the nonce and new entropy.
    let told = Nonce::parse("eyJ7S_zG.eyJH0-Z.HX4w-7v").ok_or("no nonce")?;
    nonces.put(Role::AuthorizationServer, origin, told);
    let nonce = nonces.get(Role::AuthorizationServer, origin);
    let second = NewProof { nonce: nonce.as_ref(), entropy: random()?, ..first };
    println!("DPoP: {}\n", second.sign(&key)?);

    // A call with the token: its hash goes into the proof. Query and fragment do not. The API has nonces of its own.
    let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    let nonce = nonces.get(Role::ResourceServer, "https://api.example");
    let call = NewProof {
        method: "GET",
        htu: &htu("https://api.example/orders?page=2")?,
        token: Some(TokenHash::of(token)),
        nonce: nonce.as_ref(),
        entropy: random()?,
        iat: now,
    };
    println!("Authorization: DPoP {token}\nDPoP: {}", call.sign(&key)?);
    Ok(())
}
