//! Dynamic client registration (RFC 7591 §3) and the management of what was registered (RFC 7592 §2, §3): the request of a
//! client, and what the server answers.

use keybound_dpop::jose::json::Object;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use serde_json::{Map, Value};

/// The member in which a software statement travels (RFC 7591 §2.3).
const SOFTWARE_STATEMENT: &str = "software_statement";

/// A registration request (RFC 7591 §3.1), or a request to change what is registered (RFC 7592 §2.2).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegistrationRequest {
    /// The client metadata as they were sent.
    pub metadata: Map<String, Value>,
    /// `software_statement`: metadata as a JWT that somebody else vouches for.
    pub software_statement: Option<String>,
}

/// What is wrong with a message of registration. Never repeats what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// Not a JSON object, or one that can be read in two ways.
    #[error("the body must be a JSON object in UTF-8, without repeated or deeply nested members")]
    NotJson,
    /// A member has another type.
    #[error("`{0}` must be a {1}")]
    Member(&'static str, &'static str),
    /// One of a pair without the other (OpenID Connect Registration §3.2).
    #[error("`registration_client_uri` and `registration_access_token` go together: both or neither")]
    HalfManaged,
}

impl RegistrationRequest {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`RegistrationError`]
    pub fn parse(json: &[u8]) -> Result<Self, RegistrationError> {
        let mut metadata = object(json)?;
        let software_statement = match metadata.remove(SOFTWARE_STATEMENT) {
            None => None,
            Some(Value::String(statement)) => Some(statement),
            Some(_) => return Err(RegistrationError::Member(SOFTWARE_STATEMENT, "string")),
        };
        Ok(Self { metadata, software_statement })
    }

    /// The body of a request.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut members = self.metadata.clone();
        if let Some(statement) = &self.software_statement {
            members.insert(SOFTWARE_STATEMENT.to_owned(), statement.as_str().into());
        }
        Value::Object(members).to_string()
    }
}

/// Where and with what a client manages its registration (RFC 7592 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Management {
    /// `registration_client_uri`
    pub uri: String,
    /// `registration_access_token`
    pub access_token: Secret,
}

/// The client information response (RFC 7591 §3.2.1, RFC 7592 §3).
#[derive(Clone, Debug, PartialEq)]
pub struct ClientInformation {
    /// `client_id`
    pub client_id: String,
    /// `client_id_issued_at`
    pub client_id_issued_at: Option<UnixTime>,
    /// `client_secret`, where one was made.
    pub client_secret: Option<Secret>,
    /// `client_secret_expires_at`, where the client has a secret; written as 0 where it does not end.
    pub client_secret_expires_at: Option<Option<UnixTime>>,
    /// Where it can be managed.
    pub management: Option<Management>,
    /// `software_statement`, as it was sent.
    pub software_statement: Option<String>,
    /// All metadata that are registered.
    pub metadata: Map<String, Value>,
}

impl ClientInformation {
    /// The body of the response.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut all = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                all.insert(name.to_owned(), value);
            }
        };
        let secs = |time: UnixTime| Value::from(time.as_secs());
        put("client_id", Some(self.client_id.as_str().into()));
        put("client_id_issued_at", self.client_id_issued_at.map(secs));
        put("client_secret", self.client_secret.as_ref().map(|secret| secret.reveal().into()));
        put("client_secret_expires_at", self.client_secret_expires_at.map(|at| at.map_or(0.into(), secs)));
        if let Some(Management { uri, access_token }) = &self.management {
            put("registration_client_uri", Some(uri.as_str().into()));
            put("registration_access_token", Some(access_token.reveal().into()));
        }
        put(SOFTWARE_STATEMENT, self.software_statement.as_deref().map(Value::from));
        for (name, value) in &self.metadata {
            if !is_ours(name) {
                all.insert(name.clone(), value.clone());
            }
        }
        Value::Object(all).to_string()
    }

    /// Reads the body of the response.
    ///
    /// # Errors
    /// [`RegistrationError`]
    pub fn parse(json: &[u8]) -> Result<Self, RegistrationError> {
        let mut all = object(json)?;
        let client_id =
            text(&mut all, "client_id")?.ok_or(RegistrationError::Member("client_id", "string"))?;
        let client_secret = text(&mut all, "client_secret")?.map(Secret::new);
        let expires_at = seconds(&mut all, "client_secret_expires_at")?;
        let uri = text(&mut all, "registration_client_uri")?;
        let access_token = text(&mut all, "registration_access_token")?.map(Secret::new);
        let management = match (uri, access_token) {
            (Some(uri), Some(access_token)) => Some(Management { uri, access_token }),
            (None, None) => None,
            _ => return Err(RegistrationError::HalfManaged),
        };
        Ok(Self {
            client_id,
            client_id_issued_at: seconds(&mut all, "client_id_issued_at")?.map(UnixTime::from_secs),
            client_secret,
            client_secret_expires_at: expires_at.map(|at| (at > 0).then(|| UnixTime::from_secs(at))),
            management,
            software_statement: text(&mut all, SOFTWARE_STATEMENT)?,
            metadata: all,
        })
    }
}

/// Members of the response that are no metadata.
fn is_ours(name: &str) -> bool {
    const OURS: [&str; 8] = [
        "client_id",
        "client_id_issued_at",
        "client_secret",
        "client_secret_sha256",
        "client_secret_expires_at",
        "registration_client_uri",
        "registration_access_token",
        SOFTWARE_STATEMENT,
    ];
    OURS.contains(&name)
}

/// An object whose names are all different, and which is neither deep nor wide.
fn object(json: &[u8]) -> Result<Map<String, Value>, RegistrationError> {
    Object::parse(json).map_err(|_| RegistrationError::NotJson)?;
    serde_json::from_slice(json).map_err(|_| RegistrationError::NotJson)
}

fn text(all: &mut Map<String, Value>, name: &'static str) -> Result<Option<String>, RegistrationError> {
    match all.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(RegistrationError::Member(name, "string")),
    }
}

fn seconds(all: &mut Map<String, Value>, name: &'static str) -> Result<Option<u64>, RegistrationError> {
    let Some(value) = all.remove(name) else { return Ok(None) };
    value.as_u64().map(Some).ok_or(RegistrationError::Member(name, "number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn members(value: &Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        for software_statement in [None, Some("a.b.c".to_owned())] {
            let metadata = members(&json!({"redirect_uris": ["https://app.example/cb"], "foo": 1}));
            let request = RegistrationRequest { metadata, software_statement };
            assert_eq!(RegistrationRequest::parse(request.to_json().as_bytes()), Ok(request));
        }
    }

    #[test]
    fn a_request_has_one_reading() {
        for bad in
            ["", "[]", "null", "{\"a\":1,\"a\":2}", "{\"a\":{\"b\":1,\"b\":2}}", "{\"a\":1} x", "\u{feff}{}"]
        {
            assert_eq!(RegistrationRequest::parse(bad.as_bytes()), Err(RegistrationError::NotJson), "{bad}");
        }
        let error = RegistrationRequest::parse(b"{\"software_statement\":{}}").expect_err("refused");
        assert_eq!(error.to_string(), "`software_statement` must be a string");
    }

    #[test]
    fn as_dcr_03_oidc_dcr_01_a_response_is_read_as_it_was_written() {
        let management =
            Management { uri: "https://id.example/register/c".to_owned(), access_token: Secret::new("t") };
        for (management, expires_at) in [
            (None, None),
            (Some(management.clone()), Some(None)),
            (Some(management), Some(Some(UnixTime::from_secs(9)))),
        ] {
            let information = ClientInformation {
                client_id: "c".to_owned(),
                client_id_issued_at: Some(UnixTime::from_secs(7)),
                client_secret: expires_at.map(|_| Secret::new("s")),
                client_secret_expires_at: expires_at,
                management,
                software_statement: None,
                metadata: members(&json!({"client_name": "App"})),
            };
            assert_eq!(ClientInformation::parse(information.to_json().as_bytes()), Ok(information));
        }
        let half = json!({"client_id": "c", "registration_client_uri": "https://id.example/c"});
        assert_eq!(
            ClientInformation::parse(half.to_string().as_bytes()),
            Err(RegistrationError::HalfManaged)
        );
    }

    #[test]
    fn a_secret_among_the_metadata_is_not_written() {
        let information = ClientInformation {
            client_id: "c".to_owned(),
            client_id_issued_at: None,
            client_secret: None,
            client_secret_expires_at: None,
            management: None,
            software_statement: None,
            metadata: members(&json!({"client_secret_sha256": "x", "client_secret": "y"})),
        };
        assert_eq!(information.to_json(), "{\"client_id\":\"c\"}");
    }
}
