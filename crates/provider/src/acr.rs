//! How a user signed in, as tokens say it: `acr` and `amr` (OpenID Connect Core §2, RFC 8176), and what a request may
//! demand (Core §5.5.1.1).

use crate::refusal::Denied;
use keybound_oauth::claims_request::ClaimsRequest;
use keybound_oauth::error::ErrorCode;
use serde_json::Value;

/// A password, over a channel that nobody else reads.
pub const PASSWORD: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";

/// All that is offered.
pub const OFFERED: [&str; 1] = [PASSWORD];

/// `amr`: the methods behind it (RFC 8176 §2).
#[must_use]
pub fn methods(acr: &str) -> &'static [&'static str] {
    match acr {
        PASSWORD => &["pwd"],
        _ => &[],
    }
}

/// Refuses a request whose sign-in could not be had by whatever the user does: `acr` is essential, and no value of those
/// that will do is offered (§5.5.1.1). `acr_values` are wishes.
///
/// # Errors
/// `unmet_authentication_requirements`
pub fn check(asked: &ClaimsRequest) -> Result<(), Denied> {
    if OFFERED.iter().any(|offered| is_enough(asked, Some(offered))) {
        return Ok(());
    }
    let wire = format!("`acr` cannot be had as the request needs it; there is {}", OFFERED.join(", "));
    Err(Denied::new(ErrorCode::UnmetAuthenticationRequirements, "OIDC-CLM-05", wire))
}

/// Whether a sign-in of that kind is what the request cannot do without.
#[must_use]
pub fn is_enough(asked: &ClaimsRequest, acr: Option<&str>) -> bool {
    let demanded = asked.id_token.get("acr").filter(|acr| acr.essential);
    demanded.is_none_or(|demanded| acr.is_some_and(|acr| demanded.accepts(&Value::from(acr))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn oidc_clm_05_only_an_essential_acr_is_a_demand() {
        for (acr, with_password, without) in [
            (json!(null), true, true),
            (json!({"values": ["urn:other"]}), true, true),
            (json!({"essential": true}), true, false),
            (json!({"essential": true, "value": PASSWORD}), true, false),
            (json!({"essential": true, "values": ["urn:other", PASSWORD]}), true, false),
            (json!({"essential": true, "values": ["urn:other"]}), false, false),
        ] {
            let asked = ClaimsRequest::from_json(&json!({"id_token": {"acr": acr}})).expect("a request");
            assert_eq!(is_enough(&asked, Some(PASSWORD)), with_password, "{acr}");
            assert_eq!(is_enough(&asked, None), without, "{acr}");
            assert_eq!(check(&asked).is_ok(), with_password, "{acr}");
        }
        assert_eq!(methods(PASSWORD), ["pwd"]);
    }
}
