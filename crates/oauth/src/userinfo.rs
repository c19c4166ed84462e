//! UserInfo (OpenID Connect Core §5): which claims a scope stands for, and the response.

use crate::scope::Scope;
use serde_json::{Map, Value};

/// The claims that each scope stands for (OpenID Connect Core §5.4).
pub const CLAIMS_BY_SCOPE: &[(&str, &[&str])] = &[
    (
        "profile",
        &[
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
    ),
    ("email", &["email", "email_verified"]),
    ("address", &["address"]),
    ("phone", &["phone_number", "phone_number_verified"]),
];

/// The claims that the scope allows, out of those that are known of the user. What is not known is left out, and so
/// is what is null or empty (§5.3.2).
#[must_use]
pub fn claims_for(scope: &Scope, known: &Map<String, Value>) -> Map<String, Value> {
    let allowed =
        CLAIMS_BY_SCOPE.iter().filter(|(token, _)| scope.contains(token)).flat_map(|(_, names)| *names);
    allowed
        .filter_map(|name| known.get_key_value(*name))
        .filter(|(_, value)| !is_nothing(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The UserInfo response: `sub`, which nothing else can replace, and the claims that the scope allows.
#[must_use]
pub fn response(sub: &str, scope: &Scope, known: &Map<String, Value>) -> Value {
    let mut claims = claims_for(scope, known);
    claims.insert("sub".to_owned(), sub.into());
    Value::Object(claims)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Why a UserInfo response is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserinfoError {
    /// Not a JSON object with a text `sub`.
    #[error("not a UserInfo response: a JSON object with a text `sub`")]
    Malformed,
    /// `sub` is not that of the ID token (OpenID Connect Core §5.3.4).
    #[error("the UserInfo response is about another user than the ID token")]
    OtherUser,
}

/// Reads a UserInfo response that must be about the ID token's user.
///
/// # Errors
/// [`UserinfoError`]
pub fn parse(json: &[u8], sub: &str) -> Result<Map<String, Value>, UserinfoError> {
    keybound_dpop::jose::json::Object::parse(json).map_err(|_| UserinfoError::Malformed)?;
    let claims: Map<String, Value> = serde_json::from_slice(json).map_err(|_| UserinfoError::Malformed)?;
    match claims.get("sub") {
        Some(Value::String(came)) if came == sub => Ok(claims),
        Some(Value::String(_)) => Err(UserinfoError::OtherUser),
        _ => Err(UserinfoError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn known() -> Map<String, Value> {
        let all = json!({
            "sub": "somebody else", "name": "Ada", "nickname": "", "locale": null, "updated_at": 0,
            "email": "ada@example", "email_verified": false, "address": {}, "phone_number": "+1",
            "password_hash": "x",
        });
        all.as_object().expect("an object").clone()
    }

    fn names(scope: &str) -> Vec<String> {
        claims_for(&Scope::parse(scope).expect("a scope"), &known()).keys().cloned().collect()
    }

    #[test]
    fn oidc_clm_01_scopes_stand_for_claims() {
        assert_eq!(names("openid profile"), ["name", "updated_at"]);
        assert_eq!(names("email"), ["email", "email_verified"]);
        assert_eq!(names("phone address"), ["phone_number"]);
        assert!(names("openid read name").is_empty());
    }

    #[test]
    fn oidc_ui_02_sub_is_always_there_and_the_right_one() {
        let scope = Scope::parse("openid profile").expect("a scope");
        let response = response("u-1", &scope, &known()).to_string();
        let claims = parse(response.as_bytes(), "u-1").expect("a response");
        assert_eq!(claims.get("name"), Some(&json!("Ada")));
    }

    #[test]
    fn cl_flw_07_another_user_is_refused() {
        assert_eq!(parse(br#"{"sub":"u-2"}"#, "u-1"), Err(UserinfoError::OtherUser));
        for bad in ["{}", "[]", r#"{"sub":1}"#, r#"{"sub":"u-1","sub":"u-2"}"#] {
            assert_eq!(parse(bad.as_bytes(), "u-1"), Err(UserinfoError::Malformed), "{bad}");
        }
    }
}
