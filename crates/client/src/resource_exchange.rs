//! A request to a resource (RFC 9449 §7), in two halves: the token and the proof put in, and what the answer means.

use crate::answer::Answer;
use crate::destination::Destination;
use crate::nonce_rule::{Resend, challenges, dpop_challenges};
use crate::outgoing::{Outgoing, OutgoingError, sensitive};
use crate::prover::{Proof, ProofFor, Prover};
use crate::session::Session;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use keybound_dpop::header::DPOP;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::secret::Secret;
use keybound_dpop::token_hash::TokenHash;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::token::TokenType;

/// A request to a resource cannot be made, or not with this key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// The request cannot be made.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    /// The token may not be sent there.
    #[error("this session's token may not be sent to {0}; name that origin at login if it should be")]
    Origin(String),
    /// The token is bound to another key.
    #[error(
        "this session's token is bound to the key {bound}, and the key at hand is {at_hand}; log in again"
    )]
    WrongKey {
        /// The thumbprint in the session.
        bound: Thumbprint,
        /// The thumbprint of the prover's key.
        at_hand: Thumbprint,
    },
    /// The session is not one of the client that would renew it.
    #[error(
        "this session is of {issuer}, for {client_id}, and would be renewed elsewhere or as another; log in again"
    )]
    OtherLogin {
        /// Who issued its tokens.
        issuer: String,
        /// To which client.
        client_id: String,
    },
    /// The resource does not take proofs under the key's algorithm.
    #[error(
        "the resource takes proofs under {accepted}, and this session's key signs with {ours}; the token is bound to \
         that key, so log in again with a key of another kind"
    )]
    Algorithm {
        /// The algorithm of the key.
        ours: Algorithm,
        /// What the challenge lists.
        accepted: String,
    },
    /// The request would have to be sent again, and its body is gone.
    #[error("{0}, and the body of the request cannot be sent twice; send the request again")]
    ResendNeeded(Resend),
}

/// The first half: the request with the token and a new proof in it, in place of any that are there. To be made anew
/// for each sending.
///
/// # Errors
/// [`ResourceError`]
pub fn prepare(
    session: &Session,
    prover: &Prover,
    request: &Request<Bytes>,
) -> Result<Outgoing, ResourceError> {
    let to = Destination::parse(&request.uri().to_string()).map_err(OutgoingError::from)?;
    let mut prepared = request.clone();
    let proof = authorize(session, prover, request.method(), &to, prepared.headers_mut())?;
    *prepared.uri_mut() = to.uri().clone();
    Ok(Outgoing { request: prepared, to, proof })
}

/// Puts the token and a new proof into the headers of a request that goes there: for callers that send with a client of
/// their own, or a body that cannot be sent twice. [`crate::nonce_rule::Round`] tells them what an answer means.
///
/// # Errors
/// [`ResourceError`]
pub fn authorize(
    session: &Session,
    prover: &Prover,
    method: &Method,
    to: &Destination,
    headers: &mut HeaderMap,
) -> Result<Option<Proof>, ResourceError> {
    Credentials::of(session)?.put(session, prover, (method, to), headers)
}

/// What every request with one access token has in common, made once.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    authorization: HeaderValue,
    /// `None` for a bearer token, which goes without a proof.
    token: Option<TokenHash>,
}

impl Credentials {
    /// # Errors
    /// [`ResourceError`] where the token cannot stand in a header.
    pub(crate) fn of(session: &Session) -> Result<Self, ResourceError> {
        let token = &session.tokens.access_token;
        let credentials = Secret::new(format!("{} {}", session.tokens.token_type, token.reveal()));
        let is_bound = session.tokens.token_type == TokenType::Dpop;
        let hash = is_bound.then(|| TokenHash::of(token.reveal()));
        Ok(Self { authorization: sensitive(&credentials)?, token: hash })
    }

    /// Puts them and a new proof into the headers of that session's request, which goes there.
    pub(crate) fn put(
        &self,
        session: &Session,
        prover: &Prover,
        (method, to): (&Method, &Destination),
        headers: &mut HeaderMap,
    ) -> Result<Option<Proof>, ResourceError> {
        if !session.origins.allow(to) {
            return Err(ResourceError::Origin(to.origin().to_owned()));
        }
        if prover.jkt() != session.jkt {
            return Err(ResourceError::WrongKey { bound: session.jkt, at_hand: prover.jkt() });
        }
        let purpose = self.token.map(ProofFor::Resource);
        let proof = purpose.map(|purpose| prover.prove(purpose, method, to)).transpose();
        let proof = proof.map_err(OutgoingError::from)?;
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.remove(DPOP);
        if let Some(proof) = &proof {
            proof.put(headers);
        }
        Ok(proof)
    }
}

/// The second half: whether the key can ever satisfy this resource. The key is never changed silently, since the token
/// is bound to it.
///
/// # Errors
/// [`ResourceError::Algorithm`] where challenges list algorithms, and the key's is in none of the lists.
pub fn check_algorithms<'a>(ours: Algorithm, answer: impl Into<Answer<'a>>) -> Result<(), ResourceError> {
    let answer = answer.into();
    if answer.status != StatusCode::UNAUTHORIZED {
        return Ok(());
    }
    let lists =
        dpop_challenges(answer.headers).filter_map(|challenge| challenge.get("algs").map(str::to_owned));
    let accepted = Vec::from_iter(lists).join(" ");
    if accepted.is_empty() || accepted.split(' ').any(|name| name == ours.name()) {
        return Ok(());
    }
    Err(ResourceError::Algorithm { ours, accepted: keybound_oauth::error::shown(&accepted) })
}

/// Whether the resource says that the token is no longer good (RFC 6750 §3.1), under whichever scheme.
#[must_use]
pub fn is_token_refused<'a>(answer: impl Into<Answer<'a>>) -> bool {
    let (answer, invalid) = (answer.into(), ErrorCode::InvalidToken.as_str());
    answer.status == StatusCode::UNAUTHORIZED
        && challenges(answer.headers)
            .iter()
            .filter(|challenge| challenge.is("DPoP") || challenge.is("Bearer"))
            .any(|challenge| challenge.get("error") == Some(invalid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nonce_rule::{Next, Round};
    use crate::session::tests::session;
    use http::Response;
    use keybound_dpop::jose::signer::SigningKey;
    use keybound_dpop::nonce_cache::Role;
    use keybound_dpop::time::SystemClock;
    use std::sync::Arc;

    fn prover() -> Prover {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        Prover::new(Arc::new(key), Arc::default(), Arc::new(SystemClock::start()))
    }

    fn get(url: &str) -> Request<Bytes> {
        Request::builder()
            .uri(url)
            .header("Authorization", "Bearer old")
            .header("DPoP", "old")
            .header("DPoP", "older")
            .body(Bytes::new())
            .expect("a request")
    }

    fn refusal(challenge: &str) -> Response<Bytes> {
        Response::builder().status(401).header("WWW-Authenticate", challenge).body(Bytes::new()).expect("one")
    }

    #[test]
    fn cl_tok_02_a_bound_token_goes_with_the_scheme_dpop_and_a_proof() {
        let prover = prover();
        let outgoing =
            prepare(&session(prover.jkt()), &prover, &get("https://api.example/x")).expect("prepared");
        let headers = outgoing.request.headers();
        let lines: Vec<_> = headers.get_all(AUTHORIZATION).iter().collect();
        assert_eq!(lines, ["DPoP access-secret"]);
        assert_eq!(headers.get_all(DPOP).iter().count(), 1);
        assert_ne!(headers.get(DPOP).expect("a proof"), "old");
        assert!(!format!("{outgoing:?}").contains("access-secret"));
    }

    #[test]
    fn cl_non_12_for_a_body_that_cannot_be_sent_twice_the_caller_is_told() {
        let prover = prover();
        let session = session(prover.jkt());
        let to = Destination::parse("https://api.example/upload").expect("a destination");
        let send = || {
            let mut headers = HeaderMap::new();
            authorize(&session, &prover, &Method::PUT, &to, &mut headers)
                .expect("authorized")
                .expect("a proof")
        };
        let challenged = Response::builder()
            .status(401)
            .header("WWW-Authenticate", r#"DPoP error="use_dpop_nonce""#)
            .header("DPoP-Nonce", "n")
            .body(Bytes::new())
            .expect("a response");
        let mut round = Round::new(Role::ResourceServer);
        assert_eq!(round.answered(&prover, &to, Some(&send()), &challenged), Ok(Next::Again));
        assert_eq!(send().nonce().map(ToString::to_string).as_deref(), Some("n"));
    }

    #[test]
    fn a_bearer_token_goes_without_a_proof() {
        let prover = prover();
        let mut session = session(prover.jkt());
        session.tokens.token_type = TokenType::Bearer;
        let outgoing = prepare(&session, &prover, &get("https://api.example/x")).expect("prepared");
        assert_eq!(outgoing.request.headers().get(AUTHORIZATION).expect("one"), "Bearer access-secret");
        assert!(!outgoing.request.headers().contains_key(DPOP));
    }

    #[test]
    fn cl_tok_08_other_origins_get_nothing() {
        let prover = prover();
        for url in ["https://evil.example/", "https://api.example@evil.example/", "https://api.example:1/"] {
            let refused = prepare(&session(prover.jkt()), &prover, &get(url)).expect_err(url);
            assert!(matches!(refused, ResourceError::Origin(_)), "{url}");
        }
    }

    #[test]
    fn cl_key_03_another_key_cannot_be_used() {
        let (one, other) = (prover(), prover());
        let refused =
            prepare(&session(one.jkt()), &other, &get("https://api.example/")).expect_err("refused");
        assert_eq!(refused, ResourceError::WrongKey { bound: one.jkt(), at_hand: other.jkt() });
    }

    #[test]
    fn cl_prf_09_algorithms_that_do_not_fit_are_told() {
        let refused = refusal(r#"DPoP error="invalid_dpop_proof", algs="PS256 EdDSA""#);
        let told = check_algorithms(Algorithm::Es256, &refused).expect_err("told").to_string();
        assert!(told.contains("PS256 EdDSA") && told.contains("ES256") && told.contains("log in again"));
        let fits = refusal(r#"DPoP error="invalid_dpop_proof", algs="PS256 ES256""#);
        let either = refusal(r#"DPoP realm="a", algs="PS256", DPoP realm="b", algs="ES256""#);
        assert_eq!(check_algorithms(Algorithm::Es256, &either), Ok(()));
        assert_eq!(check_algorithms(Algorithm::Es256, &fits), Ok(()));
        assert_eq!(check_algorithms(Algorithm::Es256, &refusal("DPoP")), Ok(()));
    }

    #[test]
    fn refused_tokens_are_recognised_under_either_scheme() {
        assert!(is_token_refused(&refusal(r#"DPoP error="invalid_token""#)));
        assert!(is_token_refused(&refusal(r#"Basic x, bearer error="invalid_token", DPoP algs="ES256""#)));
        assert!(!is_token_refused(&refusal(r#"DPoP error="use_dpop_nonce""#)));
        assert!(!is_token_refused(&refusal(r#"Other error="invalid_token""#)));
    }
}
