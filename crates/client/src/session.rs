//! What a client keeps of a login: the tokens, the key that they are bound to, and where they may be sent.

use crate::destination::{Destination, DestinationError};
use crate::tokens::Tokens;
use keybound_dpop::jose::json::{Object, Value};
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::scope::Scope;
use keybound_oauth::token::TokenType;
use serde_json::Map;
use zeroize::Zeroizing;

/// The form in which sessions are written.
const VERSION: u64 = 1;

/// A login. One key for its whole life (RFC 9449 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who issued the tokens.
    pub issuer: Issuer,
    /// To which client.
    pub client_id: ClientId,
    /// The name of the key: in a key store, in a token, with an agent.
    pub key: String,
    /// The thumbprint of the key.
    pub jkt: Thumbprint,
    /// The tokens.
    pub tokens: Tokens,
    /// Where the tokens may be sent.
    pub origins: Origins,
}

/// The origins of resources to which tokens may be sent; no others get them (CL-TOK-08).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

/// Bytes are not a session that we wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session file cannot be read at `{0}`; delete it and log in again")]
pub struct NotASession(pub &'static str);

impl Origins {
    /// The origins of these URLs: https, or http on a loopback host.
    ///
    /// # Errors
    /// [`DestinationError`] for a URL that is neither.
    pub fn of<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Self, DestinationError> {
        let mut origins = Vec::new();
        for url in urls {
            let origin = Destination::parse(url)?.origin().to_owned();
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        Ok(Self(origins))
    }

    /// Whether tokens may be sent there.
    #[must_use]
    pub fn allow(&self, to: &Destination) -> bool {
        self.0.iter().any(|origin| origin == to.origin())
    }

    /// The origins.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl Session {
    /// As JSON, with the tokens in plain text: for a file that nobody else can read.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let tokens = &self.tokens;
        let mut json = Map::new();
        let mut put = |name: &str, value: serde_json::Value| json.insert(name.to_owned(), value);
        put("version", VERSION.into());
        put("issuer", self.issuer.as_str().into());
        put("client_id", self.client_id.as_str().into());
        put("key", self.key.as_str().into());
        put("jkt", self.jkt.to_string().into());
        put("origins", self.origins.0.as_slice().into());
        put("access_token", tokens.access_token.reveal().into());
        put("token_type", tokens.token_type.as_str().into());
        for (name, secret) in [("refresh_token", &tokens.refresh_token), ("id_token", &tokens.id_token)] {
            if let Some(secret) = secret {
                put(name, secret.reveal().into());
            }
        }
        if let Some(scope) = &tokens.scope {
            put("scope", scope.as_str().into());
        }
        if !tokens.authorization_details.is_empty() {
            put("authorization_details", tokens.authorization_details.to_json());
        }
        if let Some(expires_at) = tokens.expires_at {
            put("expires_at", expires_at.as_secs().into());
        }
        if let Some(subject) = &tokens.subject {
            put("subject", subject.as_str().into());
        }
        Zeroizing::new(serde_json::Value::Object(json).to_string())
    }

    /// Reads what [`Session::to_json`] wrote.
    ///
    /// # Errors
    /// [`NotASession`] names the member that is wrong.
    pub fn parse(json: &[u8]) -> Result<Self, NotASession> {
        let object = Object::parse(json).map_err(|_| NotASession("its JSON"))?;
        let version = Value::Number(keybound_dpop::jose::json::Number::Unsigned(VERSION));
        if object.get("version") != Some(&version) {
            return Err(NotASession("version"));
        }
        let optional = |name| object.string(name).map_err(|_| NotASession(name));
        let text = |name| optional(name)?.ok_or(NotASession(name));
        let origins = object.strings("origins").ok().flatten().ok_or(NotASession("origins"))?;
        let tokens = Tokens {
            access_token: Secret::new(text("access_token")?),
            token_type: TokenType::parse(text("token_type")?).ok_or(NotASession("token_type"))?,
            refresh_token: optional("refresh_token")?.map(Secret::new),
            scope: optional("scope")?.map(Scope::parse).transpose().map_err(|_| NotASession("scope"))?,
            authorization_details: read_details(json)?,
            expires_at: read_time(&object)?,
            id_token: optional("id_token")?.map(Secret::new),
            subject: optional("subject")?.map(str::to_owned),
        };
        Ok(Self {
            issuer: Issuer::parse(text("issuer")?).map_err(|_| NotASession("issuer"))?,
            client_id: ClientId::parse(text("client_id")?).map_err(|_| NotASession("client_id"))?,
            key: text("key")?.to_owned(),
            jkt: Thumbprint::parse(text("jkt")?).ok_or(NotASession("jkt"))?,
            tokens,
            origins: Origins::of(origins).map_err(|_| NotASession("origins"))?,
        })
    }
}

fn read_details(json: &[u8]) -> Result<AuthorizationDetails, NotASession> {
    let wrong = NotASession("authorization_details");
    let whole: serde_json::Value = serde_json::from_slice(json).map_err(|_| wrong)?;
    let details = whole.get("authorization_details").map(AuthorizationDetails::from_json);
    details.transpose().map(Option::unwrap_or_default).map_err(|_| wrong)
}

fn read_time(object: &Object<'_>) -> Result<Option<UnixTime>, NotASession> {
    object.numeric_date("expires_at").map_err(|_| NotASession("expires_at"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn session(jkt: Thumbprint) -> Session {
        Session {
            issuer: Issuer::parse("https://id.example").expect("an issuer"),
            client_id: ClientId::parse("app").expect("a client"),
            key: "default".to_owned(),
            jkt,
            tokens: Tokens {
                access_token: Secret::new("access-secret"),
                token_type: TokenType::Dpop,
                refresh_token: Some(Secret::new("refresh-secret")),
                scope: Scope::parse("read write").ok(),
                authorization_details: AuthorizationDetails::parse(r#"[{"type":"pay"}]"#).expect("details"),
                expires_at: Some(UnixTime::from_secs(1_800_000_000)),
                id_token: Some(Secret::new("id-secret")),
                subject: Some("ada".to_owned()),
            },
            origins: Origins::of(["https://api.example/v1"]).expect("origins"),
        }
    }

    pub(crate) fn jkt() -> Thumbprint {
        Thumbprint::parse("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").expect("a thumbprint")
    }

    #[test]
    fn what_is_written_is_read_back() {
        let full = session(jkt());
        let mut bare = full.clone();
        bare.tokens.refresh_token = None;
        bare.tokens.scope = None;
        bare.tokens.authorization_details = AuthorizationDetails::default();
        bare.tokens.expires_at = None;
        bare.tokens.id_token = None;
        bare.tokens.subject = None;
        for session in [full, bare] {
            assert_eq!(Session::parse(session.to_json().as_bytes()), Ok(session));
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_not_shown() {
        let json = session(jkt()).to_json();
        for (name, from, to) in [
            ("jkt", "0ZcO", "ZcO"),
            ("version", "\"version\":1", "\"version\":2"),
            ("token_type", "\"DPoP\"", "\"mac\""),
            ("origins", "https://api.example", "http://api.example"),
            ("access_token", "\"access-secret\"", "7"),
        ] {
            assert_eq!(Session::parse(json.replace(from, to).as_bytes()), Err(NotASession(name)));
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let shown = format!("{:?}", session(jkt()));
        assert!(!shown.contains("secret") && shown.contains("ada"));
    }

    #[test]
    fn cl_tok_08_origins_are_exact() {
        let origins = Origins::of(["https://API.example:443/v1", "http://127.0.0.1:8080"]).expect("origins");
        let allows = |url| origins.allow(&Destination::parse(url).expect("a destination"));
        assert!(allows("https://api.example/other") && allows("http://127.0.0.1:8080/x"));
        assert!(!allows("https://api.example:8443/") && !allows("https://api.example.evil.example/"));
        assert!(!allows("http://127.0.0.1:8081/") && !allows("https://api.example@evil.example/"));
        assert!(Origins::of(["http://api.example"]).is_err());
    }
}
