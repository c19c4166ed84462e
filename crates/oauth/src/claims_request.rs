//! The `claims` parameter (OpenID Connect Core §5.5): which claims a client asks for by name, at UserInfo and in the ID
//! token. Whether it gets them is for the server to say.

use crate::error::{ErrorCode, Problem};
use crate::form::Form;
use keybound_dpop::jose::json::Object;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// Bytes of the parameter, at the most.
pub const MAX_BYTES: usize = 4096;
/// Claims that are asked for at one place, at the most.
pub const MAX_CLAIMS: usize = 64;
/// Bytes in the name of a claim, at the most.
pub const MAX_NAME_BYTES: usize = 128;
/// Values that one claim may be asked for with, at the most.
pub const MAX_VALUES: usize = 32;

/// The claims that are asked for at one place, by name.
pub type ByName = BTreeMap<String, ClaimRequest>;

/// `claims`. Empty is the same as left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimsRequest {
    /// `userinfo`
    pub userinfo: ByName,
    /// `id_token`
    pub id_token: ByName,
}

/// How one claim is asked for; `null` is the default (§5.5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimRequest {
    /// `essential`: the client has no use for the answer without it.
    pub essential: bool,
    /// `value`, `values`
    pub accepted: Accepted,
}

/// Which values will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Accepted {
    /// Whatever it is.
    #[default]
    Any,
    /// This one.
    Value(Value),
    /// One of these, the best first.
    Values(Vec<Value>),
}

/// The text is no claims request that we take. To be answered with `invalid_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a claims request: {EXPECTED} (OpenID Connect Core section 5.5)")]
pub struct ClaimsRequestError;

const EXPECTED: &str = "a JSON object of at most 4096 octets, with `userinfo` and `id_token` as objects, and in them for each claim \
                        null or an object with `essential` and `value` or `values`";

impl ClaimsRequest {
    /// Reads the text of the parameter. Members that are not known are ignored.
    ///
    /// # Errors
    /// [`ClaimsRequestError`]
    pub fn parse(text: &str) -> Result<Self, ClaimsRequestError> {
        if text.len() > MAX_BYTES {
            return Err(ClaimsRequestError);
        }
        // No name stands twice, nothing is nested too deeply.
        Object::parse(text.as_bytes()).map_err(|_| ClaimsRequestError)?;
        Self::from_json(&serde_json::from_str(text).map_err(|_| ClaimsRequestError)?)
    }

    /// Reads the object.
    ///
    /// # Errors
    /// [`ClaimsRequestError`]
    pub fn from_json(value: &Value) -> Result<Self, ClaimsRequestError> {
        let members = value.as_object().ok_or(ClaimsRequestError)?;
        Ok(Self { userinfo: by_name(members, "userinfo")?, id_token: by_name(members, "id_token")? })
    }

    /// Reads the parameter of a request.
    ///
    /// # Errors
    /// [`Problem`], to be answered with `invalid_request`.
    pub fn read(form: &Form) -> Result<Self, Problem> {
        let Some(text) = form.get("claims") else { return Ok(Self::default()) };
        Self::parse(text).map_err(|_| Problem {
            code: ErrorCode::InvalidRequest,
            parameter: "claims",
            expected: EXPECTED,
        })
    }

    /// The value of the parameter; none where nothing is asked for.
    #[must_use]
    pub fn to_parameter(&self) -> Option<String> {
        (!self.is_empty()).then(|| self.to_string())
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        for (place, claims) in [("userinfo", &self.userinfo), ("id_token", &self.id_token)] {
            if !claims.is_empty() {
                let claims = claims.iter().map(|(name, claim)| (name.clone(), claim.to_json())).collect();
                members.insert(place.to_owned(), Value::Object(claims));
            }
        }
        Value::Object(members)
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }

    /// The names of all claims that are asked for, at either place; each once.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.userinfo.keys().chain(self.id_token.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Those of the claims that the test holds for.
    #[must_use]
    pub fn filtered(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.userinfo.retain(|name, _| keep(name));
        self.id_token.retain(|name, _| keep(name));
        self
    }
}

/// The text of the parameter.
impl fmt::Display for ClaimsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json().to_string())
    }
}

impl ClaimRequest {
    /// Whether that value will do.
    #[must_use]
    pub fn accepts(&self, value: &Value) -> bool {
        match &self.accepted {
            Accepted::Any => true,
            Accepted::Value(only) => only == value,
            Accepted::Values(all) => all.contains(value),
        }
    }

    /// The values that will do, the best first; none where any will.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        match &self.accepted {
            Accepted::Any => &[],
            Accepted::Value(only) => std::slice::from_ref(only),
            Accepted::Values(all) => all,
        }
    }

    fn from_json(value: &Value) -> Result<Self, ClaimsRequestError> {
        let members = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(members) => members,
            _ => return Err(ClaimsRequestError),
        };
        let essential = match members.get("essential") {
            None => false,
            Some(essential) => essential.as_bool().ok_or(ClaimsRequestError)?,
        };
        let accepted = match (members.get("value"), members.get("values")) {
            (None, None) => Accepted::Any,
            (Some(value), None) => Accepted::Value(value.clone()),
            (None, Some(Value::Array(values))) if (1..=MAX_VALUES).contains(&values.len()) => {
                Accepted::Values(values.clone())
            }
            _ => return Err(ClaimsRequestError),
        };
        Ok(Self { essential, accepted })
    }

    fn to_json(&self) -> Value {
        let mut members = Map::new();
        if self.essential {
            members.insert("essential".to_owned(), true.into());
        }
        match &self.accepted {
            Accepted::Any => {}
            Accepted::Value(value) => drop(members.insert("value".to_owned(), value.clone())),
            Accepted::Values(values) => drop(members.insert("values".to_owned(), values.clone().into())),
        }
        if members.is_empty() { Value::Null } else { Value::Object(members) }
    }
}

fn by_name(members: &Map<String, Value>, place: &str) -> Result<ByName, ClaimsRequestError> {
    let claims = match members.get(place) {
        None | Some(Value::Null) => return Ok(ByName::new()),
        Some(Value::Object(claims)) if claims.len() <= MAX_CLAIMS => claims,
        Some(_) => return Err(ClaimsRequestError),
    };
    let read = |(name, claim): (&String, &Value)| match name.len() {
        1..=MAX_NAME_BYTES => Ok((name.clone(), ClaimRequest::from_json(claim)?)),
        _ => Err(ClaimsRequestError),
    };
    claims.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::FormWriter;
    use proptest::prelude::*;
    use serde_json::json;

    /// The example of OpenID Connect Core §5.5.
    const EXAMPLE: &str = r#"{
        "userinfo": {
            "given_name": {"essential": true}, "nickname": null, "email": {"essential": true},
            "email_verified": {"essential": true}, "picture": null, "http://example.info/claims/groups": null
        },
        "id_token": {
            "auth_time": {"essential": true},
            "acr": {"values": ["urn:mace:incommon:iap:silver"], "unknown": 1}
        },
        "unknown": {"a": 1}
    }"#;

    fn request(text: &str) -> ClaimsRequest {
        ClaimsRequest::parse(text).expect("a claims request")
    }

    #[test]
    fn oidc_clm_03_the_example_in_core_is_read_and_written() {
        let read = request(EXAMPLE);
        assert!(read.userinfo["given_name"].essential && read.id_token["auth_time"].essential);
        assert_eq!(read.userinfo["nickname"], ClaimRequest::default());
        assert_eq!(read.id_token["acr"].values(), [json!("urn:mace:incommon:iap:silver")]);
        assert_eq!(read.names().len(), 8);
        assert_eq!(request(&read.to_string()), read);
        let form = FormWriter::new().optional("claims", read.to_parameter().as_deref()).finish();
        assert_eq!(ClaimsRequest::read(&Form::parse(form.as_bytes()).expect("a form")), Ok(read));
        for empty in
            ["{}", r#"{"userinfo":null}"#, r#"{"userinfo":{},"id_token":{}}"#, r#"{"other":{"a":null}}"#]
        {
            assert_eq!(request(empty).to_parameter(), None, "{empty}");
        }
        assert_eq!(ClaimsRequest::read(&Form::default()), Ok(ClaimsRequest::default()));
    }

    #[test]
    fn oidc_clm_03_which_values_will_do() {
        let read = request(
            r#"{"id_token":{"a":null,"b":{"value":"x"},"c":{"values":["x",{"d":1}]},"e":{"value":null}}}"#,
        );
        for (name, value, will_do) in [
            ("a", json!(1), true),
            ("b", json!("x"), true),
            ("b", json!("X"), false),
            ("c", json!({"d": 1}), true),
            ("c", json!("y"), false),
            ("e", Value::Null, true),
            ("e", json!("x"), false),
        ] {
            assert_eq!(read.id_token[name].accepts(&value), will_do, "{name} {value}");
        }
    }

    #[test]
    fn oidc_clm_03_anything_else_is_an_invalid_request() {
        let long = format!(r#"{{"userinfo":{{"a":{{"value":"{}"}}}}}}"#, "x".repeat(MAX_BYTES));
        let name = format!(r#"{{"userinfo":{{"{}":null}}}}"#, "n".repeat(MAX_NAME_BYTES + 1));
        let deep = format!(r#"{{"userinfo":{{"a":{{"value":{}{}}}}}}}"#, "[".repeat(20), "]".repeat(20));
        let list =
            |count: usize, each: fn(usize) -> String| (0..count).map(each).collect::<Vec<_>>().join(",");
        let wide = format!(r#"{{"userinfo":{{{}}}}}"#, list(MAX_CLAIMS + 1, |at| format!("\"c{at}\":null")));
        let many =
            format!(r#"{{"userinfo":{{"a":{{"values":[{}]}}}}}}"#, list(MAX_VALUES + 1, |at| at.to_string()));
        for bad in [
            "",
            "null",
            "[]",
            "email",
            r#"{"userinfo":["email"]}"#,
            r#"{"userinfo":{"email":true}}"#,
            r#"{"userinfo":{"email":{"essential":"true"}}}"#,
            r#"{"userinfo":{"email":{"values":"a"}}}"#,
            r#"{"userinfo":{"email":{"values":[]}}}"#,
            r#"{"userinfo":{"email":{"value":"a","values":["a"]}}}"#,
            r#"{"userinfo":{"":null}}"#,
            r#"{"userinfo":{},"userinfo":{"email":null}}"#,
            r#"{"userinfo":{"email":null,"email":null}}"#,
            r#"{"userinfo":{}} {}"#,
            &long,
            &name,
            &deep,
            &wide,
            &many,
        ] {
            assert_eq!(ClaimsRequest::parse(bad), Err(ClaimsRequestError), "{bad}");
        }
        let problem = ClaimsRequest::read(&Form::parse(b"claims=x").expect("a form")).expect_err("refused");
        assert_eq!((problem.code, problem.parameter), (ErrorCode::InvalidRequest, "claims"));
        assert!(problem.to_string().contains(&MAX_BYTES.to_string()));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from)
        ]
    }

    fn any_claim() -> impl Strategy<Value = ClaimRequest> {
        let accepted = prop_oneof![
            Just(Accepted::Any),
            any_value().prop_map(Accepted::Value),
            prop::collection::vec(any_value(), 1..4).prop_map(Accepted::Values),
        ];
        (any::<bool>(), accepted).prop_map(|(essential, accepted)| ClaimRequest { essential, accepted })
    }

    fn any_request() -> impl Strategy<Value = ClaimsRequest> {
        let by_name = || prop::collection::btree_map("[a-z_#:-]{1,12}", any_claim(), 0..5);
        (by_name(), by_name()).prop_map(|(userinfo, id_token)| ClaimsRequest { userinfo, id_token })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn oidc_clm_03_what_is_written_is_read_back(written in any_request()) {
            prop_assert_eq!(ClaimsRequest::parse(&written.to_string()), Ok(written));
        }

        #[test]
        fn oidc_clm_03_arbitrary_text_does_not_panic(text in ".{0,200}", json in "[{}\\[\\]\":,a-z0-9]{0,60}") {
            let _ = ClaimsRequest::parse(&text);
            let _ = ClaimsRequest::parse(&json);
        }
    }
}
