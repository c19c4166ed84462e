//! What a client does about nonces (RFC 9449 §8, §9): when to send a request again, and when not.

use crate::answer::Answer;
use crate::destination::Destination;
use crate::prover::{Proof, Prover};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, StatusCode};
use keybound_dpop::challenge::Challenge;
use keybound_dpop::header::DPOP_NONCE;
use keybound_dpop::nonce::Nonce;
use keybound_dpop::nonce_cache::Role;
use keybound_oauth::error::{ErrorBody, ErrorCode};

/// What an answer has in the place for a nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offered {
    /// No `DPoP-Nonce`.
    Nothing,
    /// Exactly one, well-formed.
    One(Nonce),
    /// More than one field line.
    Several,
    /// Characters outside NQCHAR, or none, or more than 256.
    Malformed,
}

/// Reads `DPoP-Nonce` (RFC 9449 §8.1).
#[must_use]
pub fn offered(headers: &HeaderMap) -> Offered {
    let mut lines = headers.get_all(DPOP_NONCE).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Offered::Nothing,
        (Some(_), Some(_)) => Offered::Several,
        (Some(only), None) => {
            only.to_str().ok().and_then(Nonce::parse).map_or(Offered::Malformed, Offered::One)
        }
    }
}

/// Why a nonce challenge cannot be followed. The server's fault; sending again would not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    /// The challenge came without `DPoP-Nonce`.
    #[error("the server asks for a nonce and gives none (no DPoP-Nonce header); tell its operator")]
    Missing,
    /// The challenge came with more than one.
    #[error("the server asks for a nonce and gives several (DPoP-Nonce more than once); tell its operator")]
    Several,
    /// The nonce has characters that no nonce has.
    #[error(
        "the server gives a nonce with characters that RFC 9449 section 8.1 does not allow; tell its operator"
    )]
    Malformed,
    /// The nonce is the one that was sent.
    #[error("the server refuses the nonce that it gives; tell its operator")]
    Same,
    /// The request was sent again with the nonce, and the server asked for another one.
    #[error(
        "the server asked for another nonce twice in a row; try again, and tell its operator if it goes on"
    )]
    AskedAgain,
}

/// What to do with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It is no nonce challenge.
    No,
    /// Send the request again, with this nonce, a new `jti` and, where the client has one, a new assertion.
    Again(Nonce),
    /// It is a challenge that cannot be followed.
    Broken(NonceError),
}

/// The rule: an answer is followed once, iff it is a nonce challenge with exactly one well-formed nonce that is not the
/// one sent.
#[must_use]
pub fn after_challenge<'a>(role: Role, sent: Option<&Nonce>, answer: impl Into<Answer<'a>>) -> Retry {
    let answer = answer.into();
    if !refuses_with(ErrorCode::UseDpopNonce, role, answer) {
        return Retry::No;
    }
    match offered(answer.headers) {
        Offered::One(nonce) if Some(&nonce) == sent => Retry::Broken(NonceError::Same),
        Offered::One(nonce) => Retry::Again(nonce),
        Offered::Nothing => Retry::Broken(NonceError::Missing),
        Offered::Several => Retry::Broken(NonceError::Several),
        Offered::Malformed => Retry::Broken(NonceError::Malformed),
    }
}

/// At an authorization server: 400 with that code in JSON (RFC 9449 §8). At a resource: 401 with a DPoP challenge that
/// says so, in whatever company (RFC 9449 §9).
fn refuses_with(code: ErrorCode, role: Role, answer: Answer<'_>) -> bool {
    let code = code.as_str();
    match (role, answer.status) {
        (Role::AuthorizationServer, StatusCode::BAD_REQUEST) => says(answer.body, code),
        // RFC 6749 §5.2 has this status for `invalid_client`.
        (Role::AuthorizationServer, StatusCode::UNAUTHORIZED) => {
            code == ErrorCode::InvalidClient.as_str() && says(answer.body, code)
        }
        (Role::ResourceServer, StatusCode::UNAUTHORIZED) => {
            dpop_challenges(answer.headers).any(|challenge| challenge.get("error") == Some(code))
        }
        _ => false,
    }
}

fn says(body: &[u8], code: &str) -> bool {
    ErrorBody::parse(body).is_ok_and(|body| body.error == code)
}

/// The challenges of the scheme DPoP, in whatever company they stand (RFC 9449 §7.1).
pub fn dpop_challenges(headers: &HeaderMap) -> impl Iterator<Item = Challenge> {
    challenges(headers).into_iter().filter(|challenge| challenge.is("DPoP"))
}

/// All challenges of an answer.
#[must_use]
pub fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let lines = headers.get_all(WWW_AUTHENTICATE).iter();
    let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    Challenge::parse_all(lines.iter().map(AsRef::as_ref))
}

/// One request, from its first sending to its answer: counts the sendings. It is sent again once for a nonce, and once
/// where the server's clock differs from ours.
#[derive(Debug)]
pub struct Round {
    role: Role,
    challenged: bool,
    corrected: bool,
    last: Option<Resend>,
}

/// What comes after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The answer is to be judged.
    Done,
    /// The request is to be made anew and sent.
    Again,
}

/// Why a request is to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Resend {
    /// The server asks for a nonce that it has only now given.
    #[error("the server asks for the nonce that it has just given")]
    Nonce,
    /// The server refused the proof, and its clock differs from ours.
    #[error("the server's clock differs from this machine's, which is known only now")]
    Clock,
    /// The access token was no longer good, and there is a new one.
    #[error("the access token was no longer good and has been renewed")]
    Token,
}

impl Round {
    /// Begins, with a server in that role.
    #[must_use]
    pub const fn new(role: Role) -> Self {
        Self { role, challenged: false, corrected: false, last: None }
    }

    /// Why the request is to be sent again, where the last answer said so.
    #[must_use]
    pub const fn reason(&self) -> Option<Resend> {
        self.last
    }

    /// Takes an answer to the proof that was sent: remembers what it tells of the server, and says what comes next.
    ///
    /// # Errors
    /// [`NonceError`] where a challenge cannot be followed, or is the second one.
    pub fn answered<'a>(
        &mut self,
        prover: &Prover,
        to: &Destination,
        proof: Option<&Proof>,
        answer: impl Into<Answer<'a>>,
    ) -> Result<Next, NonceError> {
        let answer = answer.into();
        prover.learn(self.role, to, proof, answer.headers);
        // A request without a proof has no place for a nonce, nor a time.
        let Some(proof) = proof else {
            self.last = None;
            return Ok(Next::Done);
        };
        self.last = match after_challenge(self.role, proof.nonce(), answer) {
            Retry::Broken(error) => return Err(error),
            Retry::Again(_) if self.challenged => return Err(NonceError::AskedAgain),
            Retry::Again(_) => Some(Resend::Nonce),
            Retry::No if self.refuses_time(answer) && prover.correct(to, proof) => {
                (!self.corrected).then_some(Resend::Clock)
            }
            Retry::No => None,
        };
        self.challenged |= self.last == Some(Resend::Nonce);
        self.corrected |= self.last == Some(Resend::Clock);
        Ok(if self.last.is_some() { Next::Again } else { Next::Done })
    }

    /// Whether the clock may be what is wrong. An authorization server reads the client's assertion before the proof.
    fn refuses_time(&self, answer: Answer<'_>) -> bool {
        let mut codes = [ErrorCode::InvalidDpopProof, ErrorCode::InvalidClient].into_iter();
        codes.any(|code| refuses_with(code, self.role, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderName, Response};

    const AS: Role = Role::AuthorizationServer;
    const RS: Role = Role::ResourceServer;
    const JSON: &str = r#"{"error":"use_dpop_nonce"}"#;
    const DPOP: (&str, &str) = ("WWW-Authenticate", r#"DPoP error="use_dpop_nonce""#);

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Bytes> {
        let mut response = Response::new(Bytes::copy_from_slice(body.as_bytes()));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a name");
            let value = http::HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            response.headers_mut().append(name, value);
        }
        response
    }

    fn nonce(text: &str) -> Nonce {
        Nonce::parse(text).expect("NQCHAR")
    }

    #[test]
    fn cl_non_02_challenges_are_told_by_role_status_and_code() {
        let given = ("DPoP-Nonce", "n");
        let again = Retry::Again(nonce("n"));
        assert_eq!(after_challenge(AS, None, &answer(400, &[given], JSON)), again);
        assert_eq!(after_challenge(RS, None, &answer(401, &[given, DPOP], "")), again);
        for (role, response) in [
            (AS, answer(401, &[given], JSON)),
            (AS, answer(400, &[given], r#"{"error":"invalid_dpop_proof"}"#)),
            (AS, answer(400, &[given, DPOP], "not JSON")),
            (AS, answer(200, &[given], JSON)),
            (RS, answer(400, &[given, DPOP], "")),
            (RS, answer(403, &[given, DPOP], "")),
            (RS, answer(401, &[given], JSON)),
            (RS, answer(401, &[given, ("WWW-Authenticate", r#"DPoP error="invalid_token""#)], JSON)),
            (RS, answer(401, &[given, ("WWW-Authenticate", r#"Bearer error="use_dpop_nonce""#)], "")),
        ] {
            assert_eq!(after_challenge(role, None, &response), Retry::No, "{response:?}");
        }
    }

    #[test]
    fn cl_non_02_case_order_and_number_of_lines_do_not_matter() {
        let bearer = ("www-authenticate", r#"Bearer realm="a, DPoP", error="invalid_token""#);
        for lines in [
            vec![("WWW-Authenticate", r#"dpop ERROR="use_dpop_nonce", algs="ES256""#)],
            vec![bearer, DPOP],
            vec![DPOP, bearer],
            vec![("WWW-Authenticate", r#"Basic realm="x", DPoP algs="ES256", error=use_dpop_nonce, Bearer"#)],
            vec![("WWW-Authenticate", "DPoP"), bearer, DPOP],
            vec![("WWW-Authenticate", "DPoP error=\"use_dpop_nonce\", error_description=\"\u{fc}\"")],
        ] {
            let headers = [lines.as_slice(), &[("DPOP-NONCE", "n")]].concat();
            assert_eq!(after_challenge(RS, None, &answer(401, &headers, "")), Retry::Again(nonce("n")));
        }
    }

    #[test]
    fn cl_non_04_the_nonce_that_was_sent_is_no_reason_to_send_again() {
        let response = answer(400, &[("DPoP-Nonce", "n")], JSON);
        assert_eq!(after_challenge(AS, Some(&nonce("n")), &response), Retry::Broken(NonceError::Same));
        assert_eq!(after_challenge(AS, Some(&nonce("old")), &response), Retry::Again(nonce("n")));
    }

    #[test]
    fn cl_non_05_a_challenge_needs_exactly_one_well_formed_nonce() {
        let long = "n".repeat(257);
        for (given, error) in [
            (vec![], NonceError::Missing),
            (vec![("DPoP-Nonce", "a"), ("DPoP-Nonce", "b")], NonceError::Several),
            (vec![("DPoP-Nonce", "a"), ("DPoP-Nonce", "a")], NonceError::Several),
            (vec![("DPoP-Nonce", "a\"b")], NonceError::Malformed),
            (vec![("DPoP-Nonce", "a\\b")], NonceError::Malformed),
            (vec![("DPoP-Nonce", "a b")], NonceError::Malformed),
            (vec![("DPoP-Nonce", "\u{e9}")], NonceError::Malformed),
            (vec![("DPoP-Nonce", "")], NonceError::Malformed),
            (vec![("DPoP-Nonce", long.as_str())], NonceError::Malformed),
        ] {
            let at_as = answer(400, &given, JSON);
            let at_rs = answer(401, &[given.as_slice(), &[DPOP]].concat(), "");
            assert_eq!(after_challenge(AS, None, &at_as), Retry::Broken(error), "{given:?}");
            assert_eq!(after_challenge(RS, None, &at_rs), Retry::Broken(error), "{given:?}");
        }
    }
}
