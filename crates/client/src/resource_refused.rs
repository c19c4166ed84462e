//! What a resource that refuses says, and what to do about it (RFC 6750 §3.1, RFC 9449 §7.1, RFC 9470 §3).

use crate::answer::Answer;
use crate::clock_offset::date;
use crate::nonce_rule::challenges;
use http::StatusCode;
use keybound_dpop::challenge::Challenge;
use keybound_dpop::time::UnixTime;
use keybound_oauth::error::{ErrorCode, sanitise, shown};
use std::fmt;

/// A resource answered with 401 or 403. All text of the resource is made plain; nothing in it is to be trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct ResourceRefused {
    /// The status.
    pub status: StatusCode,
    /// The scheme of the challenge that says why: `DPoP` where there is one.
    pub scheme: Option<String>,
    /// The code: `invalid_token`, `insufficient_scope`, …
    pub error: Option<String>,
    /// What the resource says to people.
    pub description: Option<String>,
    /// The scope that is needed.
    pub scope: Option<String>,
    /// The algorithms under which proofs are taken.
    pub algs: Option<String>,
    /// The classes of sign-in, any of which will do.
    pub acr_values: Option<String>,
    /// The age in seconds that a sign-in may have.
    pub max_age: Option<u64>,
    /// Where the resource says more of itself (RFC 9728 §5.1).
    pub resource_metadata: Option<String>,
    /// By how many seconds the resource's clock is ahead of ours; less than nothing where it is behind.
    pub clock_ahead_secs: Option<i64>,
}

/// Whether an answer, which came just now, is a refusal.
///
/// # Errors
/// [`ResourceRefused`] where it is.
pub fn judge<'a>(answer: impl Into<Answer<'a>>, now: UnixTime) -> Result<(), Box<ResourceRefused>> {
    let answer = answer.into();
    if !matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Ok(());
    }
    let all = challenges(answer.headers);
    // A challenge that says what is wrong tells more than one that does not; then the scheme that we speak.
    let rank = |challenge: &&Challenge| (challenge.get("error").is_none(), !challenge.is("DPoP"));
    let known = all.iter().filter(|challenge| challenge.is("DPoP") || challenge.is("Bearer"));
    let chosen = known.min_by_key(rank).or(all.first());
    let get = |name| chosen.and_then(|challenge| challenge.get(name)).map(sanitise);
    Err(Box::new(ResourceRefused {
        status: answer.status,
        scheme: chosen.map(|challenge| sanitise(&challenge.scheme)),
        error: get("error"),
        description: get("error_description"),
        scope: get("scope"),
        algs: get("algs"),
        acr_values: get("acr_values"),
        max_age: get("max_age").and_then(|secs| secs.parse().ok()),
        resource_metadata: get("resource_metadata"),
        clock_ahead_secs: date(answer.headers).map(|date| ahead(date, now)),
    }))
}

fn ahead(server: UnixTime, ours: UnixTime) -> i64 {
    let secs = |time: UnixTime| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    secs(server).saturating_sub(secs(ours))
}

impl ResourceRefused {
    /// The code, where it is one that we know.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.error.as_deref().and_then(ErrorCode::parse)
    }

    /// What to do.
    #[must_use]
    pub fn advice(&self) -> String {
        match self.code() {
            Some(ErrorCode::InvalidToken) => "get a new token: log in again".to_owned(),
            Some(ErrorCode::InsufficientScope) => match &self.scope {
                Some(scope) => format!("log in again and ask for the scope `{scope}`"),
                None => "log in again and ask for the scope that the resource needs".to_owned(),
            },
            Some(ErrorCode::InsufficientUserAuthentication) => self.sign_in_advice(),
            Some(ErrorCode::InvalidDpopProof) => self.proof_advice(),
            Some(ErrorCode::UseDpopNonce) => "send the request again: the nonce is known now".to_owned(),
            _ if self.status == StatusCode::FORBIDDEN => {
                "have whoever runs the resource give this user or client access".to_owned()
            }
            _ if self.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("Bearer")) => {
                "the resource asks for a bearer token; a token that is bound to a key is not sent as one. Ask for a \
                 bearer token, or have the resource take DPoP"
                    .to_owned()
            }
            _ => "the resource does not say what it wants; is the URL right, and the token one for it?".to_owned(),
        }
    }

    fn sign_in_advice(&self) -> String {
        let mut advice = "sign in again".to_owned();
        if let Some(acr_values) = &self.acr_values {
            advice += &format!(", with acr_values `{acr_values}`");
        }
        if let Some(max_age) = self.max_age {
            advice += &format!(", with max_age {max_age}");
        }
        advice
    }

    fn proof_advice(&self) -> String {
        let clock = match self.clock_ahead_secs {
            Some(secs) if secs.abs() > 2 => {
                let way = if secs > 0 { "ahead of" } else { "behind" };
                format!("the server's clock is {} s {way} this machine's: correct it", secs.unsigned_abs())
            }
            Some(_) => "the clocks agree; is the URL the one that the resource knows itself by?".to_owned(),
            None => "compare this machine's clock with the server's".to_owned(),
        };
        match &self.algs {
            Some(algs) => format!("{clock}; it takes proofs under {algs}"),
            None => clock,
        }
    }
}

impl fmt::Display for ResourceRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the resource refused ({})", self.status)?;
        if let Some(error) = &self.error {
            write!(f, ": {error}")?;
        }
        if let Some(description) = &self.description {
            write!(f, " ({})", shown(description))?;
        }
        write!(f, "; {}", self.advice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderValue, Response};

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn refused(status: u16, lines: &[&str]) -> Box<ResourceRefused> {
        let mut response = Response::builder().status(status).header("Date", "Fri, 15 Jan 2027 08:05:00 GMT");
        for line in lines {
            let line = HeaderValue::from_bytes(line.as_bytes()).expect("a value");
            response = response.header("WWW-Authenticate", line);
        }
        judge(&response.body(Bytes::new()).expect("a response"), NOW).expect_err("refused")
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        for (status, line, advice) in [
            (401, r#"DPoP error="invalid_token", error_description="expired""#, "log in again"),
            (403, r#"DPoP error="insufficient_scope", scope="read write""#, "the scope `read write`"),
            (
                401,
                r#"DPoP error="insufficient_user_authentication", acr_values="mfa phr", max_age=300"#,
                "with acr_values `mfa phr`, with max_age 300",
            ),
            (401, r#"DPoP error="invalid_dpop_proof", algs="ES256""#, "300 s ahead of this machine's"),
            (401, r#"DPoP error="use_dpop_nonce""#, "send the request again"),
            (401, "DPoP", "does not say what it wants"),
            (403, "DPoP", "give this user or client access"),
            (401, r#"Bearer realm="x""#, "is not sent as one"),
        ] {
            let told = refused(status, &[line]).to_string();
            assert!(told.contains(advice), "{line}: {told}");
        }
        assert!(refused(401, &[]).to_string().contains("(401 Unauthorized); the resource does not say"));
    }

    #[test]
    fn cl_non_13_the_challenge_that_says_most_is_taken_wherever_it_stands() {
        for lines in [
            &[r#"Bearer realm="x", DPoP error="invalid_token", algs="ES256", Negotiate abc=="#][..],
            &["Negotiate abc==", r#"Bearer error="invalid_request""#, r#"dpop error="invalid_token""#],
            &["DPoP", r#"DPoP ERROR=invalid_token"#, "Bearer"],
        ] {
            let refused = refused(401, lines);
            assert_eq!(refused.code(), Some(ErrorCode::InvalidToken), "{lines:?}");
            assert!(refused.scheme.expect("a scheme").eq_ignore_ascii_case("DPoP"));
        }
        assert_eq!(
            refused(401, &["DPoP", r#"Bearer error="invalid_token""#]).scheme.as_deref(),
            Some("Bearer")
        );
    }

    #[test]
    fn what_a_resource_says_is_made_plain() {
        let refused = refused(401, &["DPoP error=\"x\", error_description=\"a\tb\u{202e}\\\"c\""]);
        assert_eq!(refused.description.as_deref(), Some("a?b?'c"));
    }

    #[test]
    fn other_answers_are_no_refusals() {
        for status in [200, 204, 302, 400, 404, 500] {
            let response = Response::builder().status(status).body(Bytes::new()).expect("a response");
            assert_eq!(judge(&response, NOW), Ok(()));
        }
    }
}
