//! Requests of strangers in masses, no two alike (OPS-LIM-06).

use super::wallet::post;
use crate::process::load::{Request, send_all};
use keybound_bench::Failure;
use keybound_dpop::jose::base64url;
use std::net::SocketAddr;

/// Requests in a flood.
pub(super) const REQUESTS: u32 = 60_000;
/// Kinds of requests, which are sent apart because they are answered differently.
const KINDS: u32 = 3;

/// Sends a flood. What the numbers from `first` on make is not like what others make.
pub(super) fn flood(address: SocketAddr, first: u32) -> Result<(), Failure> {
    for (kind, status) in [(0, 401), (1, 400), (2, 401)] {
        let requests: Vec<Request> =
            (first..first + REQUESTS / KINDS).map(|number| request(address, kind, number)).collect();
        send_all(address, &requests, status)?;
    }
    Ok(())
}

/// A client that nobody knows, a code that was never issued, an assertion that nobody signed.
fn request(address: SocketAddr, kind: u32, n: u32) -> Request {
    let proof = format!("DPoP: {}\r\n", junk(n));
    let form = match kind {
        0 => format!("grant_type=client_credentials&client_id=nobody-{n}&client_secret={n}"),
        1 => {
            let code = format!("{}.{}", "0".repeat(22), "A".repeat(43));
            format!("grant_type=authorization_code&client_id=app&code={code}&code_verifier={code}{n}")
        }
        _ => format!(
            "grant_type=client_credentials&client_assertion={}\
             &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
            junk(n)
        ),
    };
    post(address, "/token", &proof, &form)
}

/// What looks like a JWT.
fn junk(n: u32) -> String {
    let part = |text: String| base64url::encode(text.as_bytes());
    let header = part(format!("{{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"n\":{n}}}"));
    format!("{header}.{}.{}", part(format!("{{\"iss\":\"nobody-{n}\",\"jti\":\"{n}\"}}")), "A".repeat(86))
}
