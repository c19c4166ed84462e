//! Logins that wait in a store of the host program, from the request that began them to the one that ends them.

use crate::flow::authorization_code::ask::LoginAsk;
use crate::flow::authorization_code::pending::{Defence, OidcNonce, PendingLogin};
use crate::return_to::ReturnTo;
use keybound_dpop::jose::json::{Number, Object, Value};
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::secret::Secret;
use keybound_oauth::claims_request::ClaimsRequest;
use keybound_oauth::identifier::{ClientId, Issuer, ResourceId};
use keybound_oauth::pkce::CodeVerifier;
use keybound_oauth::response_mode::ResponseMode;
use keybound_oauth::scope::Scope;
use serde_json::Map;
use zeroize::Zeroizing;

/// The form in which logins are written.
const VERSION: u64 = 1;

const DEFENCES: [(Defence, &str); 4] = [
    (Defence::Pkce, "pkce"),
    (Defence::OidcNonce, "oidc_nonce"),
    (Defence::Key, "key"),
    (Defence::StateOnly, "state_only"),
];

/// Bytes are not a login that we wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kept login cannot be read at `{0}`; start the login again")]
pub struct NotALogin(pub &'static str);

impl PendingLogin {
    /// As JSON, for a store of the host program. It is a secret, and belongs to the browser's session: whoever can read
    /// it can end the login, whoever can write it can have the user log in as somebody else. In a cookie it must be
    /// encrypted, `HttpOnly`, `Secure` and `SameSite=Lax` (`None` for form posts). It ends with one answer: take it out
    /// of the store before it is used.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let (mut json, ask) = (Map::new(), &self.ask);
        let defence = DEFENCES.into_iter().find(|(defence, _)| *defence == self.defence);
        let mut put = |name: &str, value: serde_json::Value| json.insert(name.to_owned(), value);
        put("version", VERSION.into());
        put("url", self.url.as_str().into());
        put("expires_at", self.expires_at.as_secs().into());
        put("issuer", self.issuer.as_str().into());
        put("client_id", self.client_id.as_str().into());
        put("iss_needed", self.is_iss_needed.into());
        put("redirect_uri", self.redirect_uri.as_str().into());
        put("jkt", self.jkt.to_string().into());
        put("defence", defence.map(|(_, name)| name).unwrap_or_default().into());
        put("state", self.state.reveal().into());
        put("verifier", self.verifier.secret().reveal().into());
        put("response_mode", ask.response.as_str().into());
        put("resources", ask.resources.iter().map(ResourceId::as_str).collect());
        for (name, text) in [
            ("nonce", self.nonce.as_ref().map(|nonce| nonce.as_str().to_owned())),
            ("scope", ask.scope.as_ref().map(Scope::to_string)),
            ("claims", ask.claims.to_parameter()),
            ("return_to", ask.return_to.as_ref().map(ReturnTo::to_string)),
        ] {
            if let Some(text) = text {
                put(name, text.into());
            }
        }
        for (name, number) in [
            ("url_expires_at", self.url_expires_at.map(keybound_dpop::time::UnixTime::as_secs)),
            ("max_age", ask.max_age_secs),
        ] {
            if let Some(number) = number {
                put(name, number.into());
            }
        }
        Zeroizing::new(serde_json::Value::Object(json).to_string())
    }

    /// Reads what [`PendingLogin::to_json`] wrote.
    ///
    /// # Errors
    /// [`NotALogin`] names the member that is wrong.
    pub fn parse(json: &[u8]) -> Result<Self, NotALogin> {
        let object = Object::parse(json).map_err(|_| NotALogin("its JSON"))?;
        if object.get("version") != Some(&Value::Number(Number::Unsigned(VERSION))) {
            return Err(NotALogin("version"));
        }
        let text = |name| text(&object, name)?.ok_or(NotALogin(name));
        let defence = DEFENCES.into_iter().find(|(_, name)| text("defence").as_ref() == Ok(name));
        Ok(Self {
            url: text("url")?.to_owned(),
            url_expires_at: object.numeric_date("url_expires_at").map_err(|_| NotALogin("url_expires_at"))?,
            expires_at: object.numeric_date("expires_at").ok().flatten().ok_or(NotALogin("expires_at"))?,
            issuer: Issuer::parse(text("issuer")?).map_err(|_| NotALogin("issuer"))?,
            client_id: ClientId::parse(text("client_id")?).map_err(|_| NotALogin("client_id"))?,
            is_iss_needed: match object.get("iss_needed") {
                Some(Value::Bool(is_needed)) => *is_needed,
                _ => return Err(NotALogin("iss_needed")),
            },
            redirect_uri: text("redirect_uri")?.to_owned(),
            jkt: Thumbprint::parse(text("jkt")?).ok_or(NotALogin("jkt"))?,
            defence: defence.ok_or(NotALogin("defence"))?.0,
            state: Secret::new(text("state")?),
            verifier: CodeVerifier::parse(text("verifier")?).ok_or(NotALogin("verifier"))?,
            nonce: self::text(&object, "nonce")?.map(|nonce| OidcNonce::new(nonce.to_owned())),
            ask: read_ask(&object)?,
        })
    }
}

/// What the answer is held against; the rest of what was asked is not kept.
fn read_ask(object: &Object<'_>) -> Result<LoginAsk, NotALogin> {
    let resources = object.strings("resources").ok().flatten().ok_or(NotALogin("resources"))?;
    let response = text(object, "response_mode")?.and_then(ResponseMode::parse);
    let scope = text(object, "scope")?.map(Scope::parse).transpose();
    let claims = text(object, "claims")?.map(ClaimsRequest::parse).transpose();
    let max_age_secs = match object.get("max_age") {
        None => None,
        Some(Value::Number(Number::Unsigned(secs))) => Some(*secs),
        Some(_) => return Err(NotALogin("max_age")),
    };
    Ok(LoginAsk {
        scope: scope.map_err(|_| NotALogin("scope"))?,
        resources: resources
            .into_iter()
            .map(ResourceId::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| NotALogin("resources"))?,
        max_age_secs,
        claims: claims.map_err(|_| NotALogin("claims"))?.unwrap_or_default(),
        response: response.ok_or(NotALogin("response_mode"))?,
        return_to: text(object, "return_to")?.map(ReturnTo::kept),
        ..LoginAsk::default()
    })
}

fn text<'o>(object: &'o Object<'_>, name: &'static str) -> Result<Option<&'o str>, NotALogin> {
    object.string(name).map_err(|_| NotALogin(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::authorization_code::tests::{World, ask};
    use serde_json::json;

    fn login() -> PendingLogin {
        let ask = LoginAsk {
            resources: vec![ResourceId::parse("https://api.example/").expect("a resource")],
            max_age_secs: Some(60),
            response: ResponseMode::FormPost,
            return_to: ReturnTo::path("/orders").ok(),
            ..ask().requiring_acr(["gold".to_owned()])
        };
        World::new(&json!({ "authorization_response_iss_parameter_supported": true })).ready(ask)
    }

    #[test]
    fn what_is_written_is_read_back_and_judges_alike() {
        let login = login();
        let mut bare = World::new(&json!({})).ready(LoginAsk::default());
        bare.url_expires_at = Some(keybound_dpop::time::UnixTime::from_secs(7));
        for login in [login, bare] {
            let read = PendingLogin::parse(login.to_json().as_bytes()).expect("read");
            assert_eq!(*read.to_json(), *login.to_json());
            let (state, iss) = (login.state.reveal(), login.issuer.as_str());
            let answer = Secret::new(format!("code=c&state={state}&iss={iss}"));
            assert_eq!(read.judge(&answer).expect("taken"), login.judge(&answer).expect("taken"));
            let forged = Secret::new("code=c&state=other");
            assert_eq!(read.judge(&forged), login.judge(&forged));
            assert_eq!((read.return_to(), read.defence()), (login.return_to(), login.defence()));
            assert_eq!(read.ask.claims, login.ask.claims);
            assert_eq!(read.ask.max_age_secs, login.ask.max_age_secs);
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_not_shown() {
        let json = login().to_json();
        for (name, from, to) in [
            ("version", "\"version\":1", "\"version\":2"),
            ("expires_at", "\"expires_at\":", "\"expires\":"),
            ("issuer", "\"https://id.example\"", "\"http://id.example\""),
            ("iss_needed", "\"iss_needed\":true", "\"iss_needed\":1"),
            ("defence", "oidc_nonce", "hope"),
            ("response_mode", "\"form_post\"", "\"fragment\""),
            ("max_age", "\"max_age\":60", "\"max_age\":-1"),
            ("verifier", "\"verifier\":\"", "\"verifier\":\"?"),
            ("its JSON", "{", "["),
        ] {
            let spoilt = json.replacen(from, to, 1);
            assert_ne!(spoilt, *json, "{name}");
            assert_eq!(PendingLogin::parse(spoilt.as_bytes()).expect_err(name), NotALogin(name));
        }
    }
}
