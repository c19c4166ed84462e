//! UserInfo (OpenID Connect Core §5.3): which claims are let out, and the response, as JSON or signed.

use crate::audience::Audience;
use crate::claims_request::ByName;
use crate::scope::Scope;
use crate::standard_claims;
use keybound_dpop::jose::json::Object;
use keybound_dpop::jose::jws::{self, VerifiedJwt};
use keybound_dpop::jose::signer::{SignError, Signer};
use serde_json::{Map, Value};

/// The media type of a signed response (§5.3.2).
pub const JWT_MEDIA_TYPE: &str = "application/jwt";

/// The claims that the scope stands for, and those that were asked for by name, out of those that are known of the user.
/// What is not known is left out, and so is what is null or empty (§5.3.2).
#[must_use]
pub fn claims_for(scope: &Scope, asked: &ByName, known: &Map<String, Value>) -> Map<String, Value> {
    let allowed = standard_claims::ALL.iter().filter(|claim| scope.contains(claim.scope));
    let mut claims: Map<String, Value> = allowed
        .filter_map(|claim| known.get_key_value(claim.name))
        .filter(|(_, value)| !is_nothing(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    claims.extend(claims_by_name(asked, known));
    claims
}

/// The claims that were asked for by name (§5.5). One that has another value than those that will do is left out, and so is
/// what is no standard claim, whatever is known of it.
#[must_use]
pub fn claims_by_name(asked: &ByName, known: &Map<String, Value>) -> Map<String, Value> {
    let mut claims = Map::new();
    for (name, wanted) in asked.iter().filter(|(name, _)| standard_claims::find(name).is_some()) {
        let found = known.iter().find(|(known, _)| standard_claims::is_same(known, name));
        if let Some((name, value)) = found.filter(|(_, value)| !is_nothing(value) && wanted.accepts(value)) {
            claims.insert(name.clone(), value.clone());
        }
    }
    claims
}

/// The UserInfo response: `sub`, which nothing else can replace, and the claims that are let out.
#[must_use]
pub fn response(sub: &str, scope: &Scope, asked: &ByName, known: &Map<String, Value>) -> Map<String, Value> {
    let mut claims = claims_for(scope, asked, known);
    claims.insert("sub".to_owned(), sub.into());
    claims
}

/// The response as a signed JWT (§5.3.2): from the issuer, for the client. It has no `exp`, so that it is no ID token.
///
/// # Errors
/// [`SignError`] where the signer cannot sign.
pub fn sign(
    mut response: Map<String, Value>,
    (iss, aud): (&str, &str),
    signer: &impl Signer,
    kid: Option<&str>,
) -> Result<String, SignError> {
    response.insert("iss".to_owned(), iss.into());
    response.insert("aud".to_owned(), aud.into());
    jws::sign(signer, "JWT", kid, Value::Object(response).to_string().as_bytes())
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

/// Why a UserInfo response is refused. The server's fault, or an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserinfoError {
    /// Not a JSON object with a text `sub`.
    #[error("not a UserInfo response: a JSON object with a text `sub`")]
    Malformed,
    /// `sub` is not that of the ID token (OpenID Connect Core §5.3.4).
    #[error("the UserInfo response is about another user than the ID token")]
    OtherUser,
    /// Signed by or for somebody else (§5.3.4).
    #[error("`{0}` of the UserInfo response is not the expected one")]
    Mismatch(&'static str),
}

/// Reads a UserInfo response that must be about the ID token's user.
///
/// # Errors
/// [`UserinfoError`]
pub fn parse(json: &[u8], sub: &str) -> Result<Map<String, Value>, UserinfoError> {
    Object::parse(json).map_err(|_| UserinfoError::Malformed)?;
    let claims: Map<String, Value> = serde_json::from_slice(json).map_err(|_| UserinfoError::Malformed)?;
    match claims.get("sub") {
        Some(Value::String(came)) if came == sub => Ok(claims),
        Some(Value::String(_)) => Err(UserinfoError::OtherUser),
        _ => Err(UserinfoError::Malformed),
    }
}

/// Reads a response from a JWT whose signature has been verified with the issuer's keys: it must be for us, and about the
/// ID token's user.
///
/// # Errors
/// [`UserinfoError`]
pub fn read_jwt(
    jwt: &VerifiedJwt,
    (iss, aud): (&str, &str),
    sub: &str,
) -> Result<Map<String, Value>, UserinfoError> {
    let claims = jwt.claims().map_err(|_| UserinfoError::Malformed)?;
    if claims.string("iss").ok().flatten() != Some(iss) {
        return Err(UserinfoError::Mismatch("iss"));
    }
    if !Audience::read(&claims).ok().flatten().is_some_and(|audience| audience.contains(aud)) {
        return Err(UserinfoError::Mismatch("aud"));
    }
    let mut claims = parse(jwt.payload(), sub)?;
    claims.retain(|name, _| name != "iss" && name != "aud");
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims_request::ClaimsRequest;
    use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
    use keybound_dpop::jose::jws::UnverifiedJwt;
    use keybound_dpop::jose::signer::SigningKey;
    use proptest::prelude::*;
    use serde_json::json;

    fn known() -> Map<String, Value> {
        let all = json!({
            "sub": "somebody else", "name": "Ada", "name#ja-Kana-JP": "エイダ", "nickname": "", "locale": null,
            "updated_at": 0, "email": "ada@example", "email_verified": false, "address": {}, "phone_number": "+1",
            "password_hash": "x",
        });
        all.as_object().expect("an object").clone()
    }

    fn asked(json: Value) -> ByName {
        ClaimsRequest::from_json(&json!({ "userinfo": json })).expect("a claims request").userinfo
    }

    fn names(scope: &str, by_name: Value) -> Vec<String> {
        let claims = claims_for(&Scope::parse(scope).expect("a scope"), &asked(by_name), &known());
        let mut names: Vec<String> = claims.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn oidc_clm_01_oidc_ui_07_scopes_stand_for_claims_that_are_there() {
        let none = || json!({});
        assert_eq!(names("openid profile", none()), ["name", "updated_at"]);
        assert_eq!(names("email", none()), ["email", "email_verified"]);
        assert_eq!(names("phone address", none()), ["phone_number"]);
        assert!(names("openid read name", none()).is_empty());
    }

    #[test]
    fn oidc_clm_03_claims_by_name_are_let_out_where_their_value_will_do() {
        let some = json!({"email": {"essential": true}, "nickname": null, "unheard_of": null});
        assert_eq!(names("openid", some), ["email"]);
        assert_eq!(names("phone", json!({"name": null})), ["name", "phone_number"]);
        assert_eq!(names("openid", json!({"name": {"value": "Ada"}})), ["name"]);
        assert!(names("openid", json!({"name": {"values": ["Bob", "ada"]}})).is_empty());
        assert_eq!(names("openid", json!({"name#JA-Kana-jp": null})), ["name#ja-Kana-JP"]);
        assert!(names("openid", json!({"name#de": null, "password_hash": null, "sub": null})).is_empty());
    }

    #[test]
    fn oidc_ui_02_sub_is_always_there_and_the_right_one() {
        let scope = Scope::parse("openid profile").expect("a scope");
        let response =
            Value::Object(response("u-1", &scope, &asked(json!({"sub": null})), &known())).to_string();
        let claims = parse(response.as_bytes(), "u-1").expect("a response");
        assert_eq!(claims.get("name"), Some(&json!("Ada")));
    }

    #[test]
    fn oidc_ui_03_a_signed_response_is_read_back_by_whom_it_is_for() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let parties = ("https://id.example", "app");
        let claims = response("u-1", &Scope::parse("email").expect("a scope"), &ByName::new(), &known());
        let compact = sign(claims.clone(), parties, &key, Some("k")).expect("signed");
        let jwt = UnverifiedJwt::parse(&compact).expect("a JWT");
        let jwt = jwt.verify(AlgorithmSet::default(), [key.public_jwk()].into_iter()).expect("verified");
        assert_eq!(read_jwt(&jwt, parties, "u-1"), Ok(claims));
        for (parties, sub, error) in [
            (("https://other.example", "app"), "u-1", UserinfoError::Mismatch("iss")),
            (("https://id.example", "other"), "u-1", UserinfoError::Mismatch("aud")),
            (parties, "u-2", UserinfoError::OtherUser),
        ] {
            assert_eq!(read_jwt(&jwt, parties, sub), Err(error));
        }
        assert!(!jwt.claims().expect("claims").has("exp"), "it could be taken for an ID token");
    }

    #[test]
    fn cl_flw_07_another_user_is_refused() {
        assert_eq!(parse(br#"{"sub":"u-2"}"#, "u-1"), Err(UserinfoError::OtherUser));
        for bad in ["{}", "[]", r#"{"sub":1}"#, r#"{"sub":"u-1","sub":"u-2"}"#] {
            assert_eq!(parse(bad.as_bytes(), "u-1"), Err(UserinfoError::Malformed), "{bad}");
        }
    }

    proptest! {
        /// Whatever is known and asked for: nothing is let out that neither a granted scope nor a name stands for.
        #[test]
        fn oidc_ui_06_nothing_beyond_scope_and_names_is_let_out(
            scopes in prop::sample::subsequence(vec!["openid", "profile", "email", "address", "phone"], 0..=5),
            by_name in prop::sample::subsequence(standard_claims::ALL.map(|claim| claim.name).to_vec(), 0..=4),
            known in prop::sample::subsequence(standard_claims::ALL.map(|claim| claim.name).to_vec(), 0..=19),
        ) {
            let scope = Scope::parse(&scopes.join(" ")).expect("a scope");
            let asked = by_name.iter().map(|name| ((*name).to_owned(), Default::default())).collect();
            let mut all: Map<String, Value> = known.iter().map(|name| ((*name).to_owned(), json!("x"))).collect();
            all.insert("secret".to_owned(), json!("x"));
            let let_out = claims_for(&scope, &asked, &all);
            let is_allowed = |claim: &standard_claims::StandardClaim| {
                scopes.contains(&claim.scope) || by_name.contains(&claim.name)
            };
            for claim in &standard_claims::ALL {
                let expected = known.contains(&claim.name) && is_allowed(claim);
                prop_assert_eq!(let_out.contains_key(claim.name), expected, "{}", claim.name);
            }
            prop_assert!(!let_out.contains_key("secret"));
        }
    }
}
