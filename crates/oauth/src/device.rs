//! The device authorization request and its response, and the user code (RFC 8628 §3.1, §3.2, §6.1).

use crate::authorization::read_resources;
use crate::authorization_details::AuthorizationDetails;
use crate::error::{ErrorCode, Problem};
use crate::form::{Form, FormWriter};
use crate::identifier::{Endpoint, ResourceId};
use crate::scope::Scope;
use keybound_dpop::jose::json::{Number, Object, Value};
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::secret::Secret;
use std::fmt;

/// What a client waits between two polls where it was told nothing (RFC 8628 §3.2).
pub const DEFAULT_INTERVAL_SECS: u32 = 5;
/// What `slow_down` adds to the interval (RFC 8628 §3.5).
pub const SLOW_DOWN_SECS: u32 = 5;

/// The consonants without Y: no vowel, so no words; no digit that looks like a letter (RFC 8628 §6.1).
const ALPHABET: [char; 20] =
    ['B', 'C', 'D', 'F', 'G', 'H', 'J', 'K', 'L', 'M', 'N', 'P', 'Q', 'R', 'S', 'T', 'V', 'W', 'X', 'Z'];
/// Letters of a user code: with 20 to choose from, 34 bits.
const LETTERS: usize = 8;
/// Letters before the hyphen.
const GROUP: usize = 4;
/// Characters that somebody may type, separators included.
const MAX_TYPED: usize = 64;

/// What a person reads on the device and types elsewhere. Short-lived, and as good as a password while it lives, so
/// `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct UserCode(String);

impl UserCode {
    /// A code made of entropy, of which it uses 34 bits; all codes are as likely as each other, but for one in 2^29.
    #[must_use]
    pub fn from_entropy(entropy: u64) -> Self {
        let digits = std::iter::successors(Some(entropy), |rest| Some(rest / 20)).map(|rest| rest % 20);
        let letter =
            |digit| ALPHABET.into_iter().zip(0..).find(|(_, at)| *at == digit).map(|(letter, _)| letter);
        Self(digits.take(LETTERS).filter_map(letter).collect())
    }

    /// Reads what somebody typed: in any case, with whatever stands between the letters (RFC 8628 §6.1).
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > MAX_TYPED {
            return None;
        }
        let letters: String =
            typed.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_uppercase()).collect();
        let is_one = letters.chars().count() == LETTERS && letters.chars().all(|c| ALPHABET.contains(&c));
        is_one.then_some(Self(letters))
    }

    /// The letters, nothing between them.
    #[must_use]
    pub fn letters(&self) -> &str {
        &self.0
    }
}

/// As people read it: two groups of four.
impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.0.split_at_checked(GROUP).unwrap_or((&self.0, ""));
        write!(f, "{first}-{second}")
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode")
    }
}

/// A device authorization request, without the part that says who the client is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceAuthorizationRequest {
    /// `scope`
    pub scope: Option<Scope>,
    /// `resource`, any number of times (RFC 8707 §2).
    pub resources: Vec<ResourceId>,
    /// `authorization_details` (RFC 9396 §3)
    pub authorization_details: AuthorizationDetails,
    /// `dpop_jkt`: the key that will poll.
    pub dpop_jkt: Option<Thumbprint>,
}

impl DeviceAuthorizationRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// [`Problem`] names the parameter that is malformed.
    pub fn parse(form: &Form) -> Result<Self, Problem> {
        let scope = form.get("scope").map(Scope::parse).transpose();
        let jkt = form.get("dpop_jkt").map(|text| Thumbprint::parse(text).ok_or(())).transpose();
        Ok(Self {
            scope: scope.map_err(|_| Problem {
                code: ErrorCode::InvalidScope,
                parameter: "scope",
                expected: "a list of scope tokens separated by spaces",
            })?,
            resources: read_resources(form)?,
            authorization_details: AuthorizationDetails::read(form)?,
            dpop_jkt: jkt.map_err(|()| Problem {
                code: ErrorCode::InvalidRequest,
                parameter: "dpop_jkt",
                expected: "43 characters of base64url: a JWK SHA-256 thumbprint",
            })?,
        })
    }

    /// As a form, to which the client adds how it authenticates.
    #[must_use]
    pub fn to_form(&self) -> FormWriter {
        FormWriter::new()
            .optional("scope", self.scope.as_ref().map(Scope::as_str))
            .optional("dpop_jkt", self.dpop_jkt.map(|jkt| jkt.to_string()).as_deref())
            .optional("authorization_details", self.authorization_details.to_parameter().as_deref())
            .each("resource", self.resources.iter().map(ResourceId::as_str))
    }
}

/// A successful response (RFC 8628 §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceAuthorizationResponse {
    /// `device_code`
    pub device_code: Secret,
    /// `user_code`, as it is to be shown. Servers have alphabets of their own, so a client takes any text.
    pub user_code: Secret,
    /// `verification_uri`
    pub verification_uri: Endpoint,
    /// `verification_uri_complete`
    pub verification_uri_complete: Option<Endpoint>,
    /// `expires_in`, in seconds.
    pub expires_in_secs: u64,
    /// `interval`, in seconds.
    pub interval_secs: u32,
}

/// Why bytes are not a device authorization response that we take. The server's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceResponseError {
    /// Not JSON, or not an object with distinct names.
    #[error("the device authorization response is not a JSON object with distinct member names")]
    NotJson,
    /// A member is missing or of the wrong type.
    #[error("the device authorization response's `{0}` is missing or malformed (RFC 8628 section 3.2)")]
    Member(&'static str),
}

impl DeviceAuthorizationResponse {
    /// Reads a response.
    ///
    /// # Errors
    /// [`DeviceResponseError`] names what is wrong.
    pub fn parse(json: &[u8]) -> Result<Self, DeviceResponseError> {
        let object = Object::parse(json).map_err(|_| DeviceResponseError::NotJson)?;
        let text = |name| object.string(name).map_err(|_| DeviceResponseError::Member(name));
        let secret = |name| {
            let text = text(name)?.filter(|text| !text.is_empty());
            text.map(Secret::new).ok_or(DeviceResponseError::Member(name))
        };
        let uri = |name| {
            text(name)?.map(Endpoint::parse).transpose().map_err(|_| DeviceResponseError::Member(name))
        };
        let secs = |name| match object.get(name) {
            None => Ok(None),
            Some(Value::Number(Number::Unsigned(secs))) => Ok(Some(*secs)),
            Some(_) => Err(DeviceResponseError::Member(name)),
        };
        let interval_secs = secs("interval")?.map_or(Ok(DEFAULT_INTERVAL_SECS), u32::try_from);
        let interval_secs = interval_secs.map_err(|_| DeviceResponseError::Member("interval"))?;
        Ok(Self {
            device_code: secret("device_code")?,
            user_code: secret("user_code")?,
            verification_uri: uri("verification_uri")?
                .ok_or(DeviceResponseError::Member("verification_uri"))?,
            verification_uri_complete: uri("verification_uri_complete")?,
            expires_in_secs: secs("expires_in")?.ok_or(DeviceResponseError::Member("expires_in"))?,
            interval_secs,
        })
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut object = serde_json::Map::new();
        let mut put = |name: &str, value: serde_json::Value| object.insert(name.to_owned(), value);
        put("device_code", self.device_code.reveal().into());
        put("user_code", self.user_code.reveal().into());
        put("verification_uri", self.verification_uri.as_str().into());
        if let Some(complete) = &self.verification_uri_complete {
            put("verification_uri_complete", complete.as_str().into());
        }
        put("expires_in", self.expires_in_secs.into());
        put("interval", self.interval_secs.into());
        serde_json::Value::Object(object).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_back() {
        let full = DeviceAuthorizationRequest {
            scope: Scope::parse("openid read").ok(),
            resources: vec![ResourceId::parse("https://api.example/").expect("a resource")],
            authorization_details: AuthorizationDetails::parse(r#"[{"type":"a"}]"#).expect("details"),
            dpop_jkt: Thumbprint::parse("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
        };
        for request in [full, DeviceAuthorizationRequest::default()] {
            let form = Form::parse(request.to_form().finish().as_bytes()).expect("a form");
            assert_eq!(DeviceAuthorizationRequest::parse(&form), Ok(request));
        }
        for (body, parameter) in
            [("scope=%22", "scope"), ("resource=a", "resource"), ("dpop_jkt=a", "dpop_jkt")]
        {
            let form = Form::parse(body.as_bytes()).expect("a form");
            assert_eq!(DeviceAuthorizationRequest::parse(&form).expect_err(body).parameter, parameter);
        }
    }

    #[test]
    fn as_dev_01_responses_are_read_back() {
        let uri = |text: &str| Endpoint::parse(text).expect("a URL");
        let full = DeviceAuthorizationResponse {
            device_code: Secret::new("id.secret"),
            user_code: Secret::new("WDJB-MJHT"),
            verification_uri: uri("https://id.example/device"),
            verification_uri_complete: Some(uri("https://id.example/device?user_code=WDJB-MJHT")),
            expires_in_secs: 600,
            interval_secs: 7,
        };
        let bare = DeviceAuthorizationResponse {
            verification_uri_complete: None,
            interval_secs: DEFAULT_INTERVAL_SECS,
            ..full.clone()
        };
        for response in [full.clone(), bare] {
            assert_eq!(DeviceAuthorizationResponse::parse(response.to_json().as_bytes()), Ok(response));
        }
        let without_interval = full.to_json().replace("\"interval\":7,", "").replace(",\"interval\":7", "");
        let read = DeviceAuthorizationResponse::parse(without_interval.as_bytes()).expect("a response");
        assert_eq!(read.interval_secs, 5);
        for member in ["device_code", "user_code", "verification_uri", "expires_in"] {
            let lacking = full.to_json().replace(&format!("\"{member}\""), "\"x\"");
            assert_eq!(
                DeviceAuthorizationResponse::parse(lacking.as_bytes()),
                Err(DeviceResponseError::Member(member))
            );
        }
    }

    #[test]
    fn as_dev_06_user_codes_are_eight_of_twenty_letters_and_read_in_any_writing() {
        let code = UserCode::from_entropy(0x0123_4567_89ab_cdef);
        let shown = code.to_string();
        assert_eq!((shown.len(), shown.find('-')), (9, Some(4)));
        let small = shown.to_lowercase();
        for typed in
            [&shown, &small, &shown.replace('-', ""), &shown.replace('-', " – "), &format!(" {small}. ")]
        {
            assert_eq!(UserCode::parse(typed), Some(code.clone()), "{typed}");
        }
        let long = format!("{shown}{}", "-".repeat(MAX_TYPED));
        for bad in ["", "BCDF-GHJ", "BCDF-GHJKL", "ACDF-GHJK", "BCDF-GHJ0", "BCDF-GHJß", long.as_str()] {
            assert_eq!(UserCode::parse(bad), None, "{bad}");
        }
        assert_eq!(UserCode::from_entropy(0).letters(), "BBBBBBBB");
        assert_eq!(UserCode::from_entropy(20_u64.pow(8) - 1).letters(), "ZZZZZZZZ");
        assert_ne!(UserCode::from_entropy(1), UserCode::from_entropy(20));
        assert!(!format!("{code:?}").contains(code.letters()));
    }
}
