//! Rich authorization requests (RFC 9396): `authorization_details`, a JSON array of objects with a `type` each. What the
//! members of a type mean is for the server to say; what makes one detail no more than another is said here.

use crate::error::{ErrorCode, Problem};
use crate::form::Form;
use keybound_dpop::jose::json::Object;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// Details in one list, at the most.
pub const MAX_DETAILS: usize = 16;
/// Bytes of a list, at the most: it travels in access tokens, and those in a header.
pub const MAX_BYTES: usize = 4096;

/// The members that all types may have which are lists of strings (§2.2). Fewer of them is less.
pub const COMMON_LISTS: [&str; 4] = ["locations", "actions", "datatypes", "privileges"];

/// One detail: an object with a text `type`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuthorizationDetail(Map<String, Value>);

impl AuthorizationDetail {
    /// `type`
    #[must_use]
    pub fn detail_type(&self) -> &str {
        self.0.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// All other members.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().filter(|(name, _)| *name != "type").map(|(name, value)| (name.as_str(), value))
    }

    /// The member of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The strings of a member that is a list of them; none where it is something else.
    #[must_use]
    pub fn strings(&self, name: &str) -> Option<Vec<&str>> {
        self.0.get(name)?.as_array()?.iter().map(Value::as_str).collect()
    }

    /// Whether this is the other or less (§6.1): the same members, of which the common lists may be shorter.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let has_same_members = self.0.len() == other.0.len();
        has_same_members
            && self.0.iter().all(|(name, value)| {
                let Some(theirs) = other.0.get(name) else { return false };
                let is_fewer = COMMON_LISTS.contains(&name.as_str())
                    && matches!((value.as_array(), theirs.as_array()), (Some(ours), Some(theirs))
                        if !ours.is_empty() && ours.iter().all(|item| theirs.contains(item)));
                value == theirs || is_fewer
            })
    }
}

/// `authorization_details`. Empty is the same as left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuthorizationDetails(Vec<AuthorizationDetail>);

/// The text is no list of details that we take. To be answered with `invalid_authorization_details`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a JSON array of at most {MAX_DETAILS} objects with a text `type` each, in at most {MAX_BYTES} octets \
     (RFC 9396 section 2)"
)]
pub struct AuthorizationDetailsError;

impl AuthorizationDetails {
    /// Reads the text of the parameter.
    ///
    /// # Errors
    /// [`AuthorizationDetailsError`]
    pub fn parse(text: &str) -> Result<Self, AuthorizationDetailsError> {
        if text.len() > MAX_BYTES {
            return Err(AuthorizationDetailsError);
        }
        let value: Value = serde_json::from_str(text).map_err(|_| AuthorizationDetailsError)?;
        // Inside of an object, so that no member name stands twice and nothing is nested too deeply.
        let wrapped = format!("{{\"authorization_details\":{text}}}");
        Object::parse(wrapped.as_bytes()).map_err(|_| AuthorizationDetailsError)?;
        Self::from_json(&value)
    }

    /// Reads the list in a response or a token.
    ///
    /// # Errors
    /// [`AuthorizationDetailsError`]
    pub fn from_json(value: &Value) -> Result<Self, AuthorizationDetailsError> {
        let items = value.as_array().filter(|items| items.len() <= MAX_DETAILS);
        let details = items.ok_or(AuthorizationDetailsError)?.iter().map(|item| {
            let members =
                item.as_object().filter(|members| members.get("type").is_some_and(Value::is_string));
            members.cloned().map(AuthorizationDetail).ok_or(AuthorizationDetailsError)
        });
        details.collect::<Result<_, _>>().map(Self)
    }

    /// Reads the parameter of a request.
    ///
    /// # Errors
    /// [`Problem`], to be answered with `invalid_authorization_details`.
    pub fn read(form: &Form) -> Result<Self, Problem> {
        let Some(text) = form.get("authorization_details") else { return Ok(Self::default()) };
        Self::parse(text).map_err(|_| Problem {
            code: ErrorCode::InvalidAuthorizationDetails,
            parameter: "authorization_details",
            expected: "a JSON array of at most 16 objects with a text `type` each, in at most 4096 octets",
        })
    }

    /// The value of the parameter; none where there are no details.
    #[must_use]
    pub fn to_parameter(&self) -> Option<String> {
        (!self.is_empty()).then(|| self.to_string())
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.0.iter().map(|detail| Value::Object(detail.0.clone())).collect()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The details.
    pub fn iter(&self) -> impl Iterator<Item = &AuthorizationDetail> {
        self.0.iter()
    }

    /// Whether each of these is one of the others or less (§6.1), and each another one: what was granted once is not
    /// asked for twice.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let mut taken = vec![None; other.0.len()];
        (0..self.0.len()).all(|place| self.take(place, other, &mut taken, &mut vec![false; other.0.len()]))
    }

    /// Finds one of the others for the detail at that place, and another one for who has it, where that helps.
    fn take(&self, place: usize, other: &Self, taken: &mut [Option<usize>], tried: &mut [bool]) -> bool {
        let Some(detail) = self.0.get(place) else { return false };
        for (at, _) in other.0.iter().enumerate().filter(|(_, granted)| detail.is_within(granted)) {
            match tried.get_mut(at) {
                Some(tried) if !*tried => *tried = true,
                _ => continue,
            }
            let holder = taken.get(at).copied().flatten();
            if holder.is_none_or(|holder| self.take(holder, other, taken, tried)) {
                if let Some(taken) = taken.get_mut(at) {
                    *taken = Some(place);
                }
                return true;
            }
        }
        false
    }

    /// Those that the test holds for; it is given their places too.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(usize, &AuthorizationDetail) -> bool) -> Self {
        let kept = self.0.iter().enumerate().filter(|(place, detail)| keep(*place, detail));
        Self(kept.map(|(_, detail)| detail.clone()).collect())
    }
}

/// The text of the parameter.
impl fmt::Display for AuthorizationDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::FormWriter;

    fn details(text: &str) -> AuthorizationDetails {
        AuthorizationDetails::parse(text).expect("details")
    }

    #[test]
    fn as_res_03_what_is_written_is_read_back() {
        let text = r#"[{"type":"pay","actions":["start"],"amount":{"currency":"EUR","value":"1.5"}},{"type":"see"}]"#;
        let written = details(text);
        let types: Vec<&str> = written.iter().map(AuthorizationDetail::detail_type).collect();
        assert_eq!(types, ["pay", "see"]);
        let form =
            FormWriter::new().optional("authorization_details", written.to_parameter().as_deref()).finish();
        let form = Form::parse(form.as_bytes()).expect("a form");
        assert_eq!(AuthorizationDetails::read(&form), Ok(written.clone()));
        assert_eq!(AuthorizationDetails::from_json(&written.to_json()), Ok(written.clone()));
        assert_eq!(serde_json::to_string(&written).expect("JSON"), written.to_string());
        assert_eq!(AuthorizationDetails::read(&Form::default()), Ok(AuthorizationDetails::default()));
        assert_eq!(details("[]").to_parameter(), None);
    }

    #[test]
    fn as_res_03_only_an_array_of_objects_with_a_type_is_taken() {
        let many = format!("[{}]", [r#"{"type":"a"}"#; MAX_DETAILS + 1].join(","));
        let long = format!(r#"[{{"type":"{}"}}]"#, "a".repeat(MAX_BYTES));
        let deep = format!(r#"[{{"type":"a","x":{}{}}}]"#, "[".repeat(20), "]".repeat(20));
        for bad in [
            "",
            "{}",
            r#"{"type":"a"}"#,
            "[1]",
            "[[]]",
            "[{}]",
            r#"[{"type":1}]"#,
            r#"[{"type":"a","type":"b"}]"#,
            r#"[{"type":"a"}],"x":[]"#,
            r#"[{"type":"a"}] x"#,
            &many,
            &long,
            &deep,
        ] {
            assert_eq!(AuthorizationDetails::parse(bad), Err(AuthorizationDetailsError), "{bad}");
        }
        let form = Form::parse(b"authorization_details=%7B%7D").expect("a form");
        let problem = AuthorizationDetails::read(&form).expect_err("refused");
        assert_eq!(problem.code, ErrorCode::InvalidAuthorizationDetails);
        assert!(problem.to_string().contains(&MAX_DETAILS.to_string()));
        assert!(problem.to_string().contains(&MAX_BYTES.to_string()));
    }

    #[test]
    fn a_detail_is_within_another_where_its_lists_are_shorter_and_all_else_is_the_same() {
        let granted = details(r#"[{"type":"pay","actions":["a","b"],"to":{"name":"x"}},{"type":"see"}]"#);
        for (asked, is_within) in [
            (r#"[{"type":"pay","actions":["a","b"],"to":{"name":"x"}}]"#, true),
            (r#"[{"to":{"name":"x"},"type":"pay","actions":["b"]},{"type":"see"}]"#, true),
            ("[]", true),
            (r#"[{"type":"pay","actions":["c"],"to":{"name":"x"}}]"#, false),
            (r#"[{"type":"pay","actions":[],"to":{"name":"x"}}]"#, false),
            (r#"[{"type":"pay","to":{"name":"x"}}]"#, false),
            (r#"[{"type":"pay","actions":["a"],"to":{"name":"y"}}]"#, false),
            (r#"[{"type":"pay","actions":["a"],"to":{"name":"x"},"more":1}]"#, false),
            (r#"[{"type":"see","actions":["a"]}]"#, false),
            (r#"[{"type":"other"}]"#, false),
        ] {
            assert_eq!(details(asked).is_within(&granted), is_within, "{asked}");
        }
        let (one, two) = (r#"{"type":"pay","actions":["a"]}"#, r#"{"type":"pay","actions":["a","b"]}"#);
        for (asked, granted, is_within) in [
            (vec![two, two], vec![two], false),
            (vec![one, two], vec![two], false),
            (vec![one, one], vec![two, one], true),
            (vec![one, two], vec![two, one], true),
            (vec![two, two], vec![two, one], false),
            (vec![one, one, two], vec![two, two, one], true),
        ] {
            let list = |items: &[&str]| details(&format!("[{}]", items.join(",")));
            assert_eq!(list(&asked).is_within(&list(&granted)), is_within, "{asked:?} of {granted:?}");
        }
        let second = granted.filtered(|place, _| place == 1);
        assert_eq!(second, details(r#"[{"type":"see"}]"#));
    }
}
