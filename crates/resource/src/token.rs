//! Access tokens as JWTs (RFC 9068 §4): what the guard makes sure of before it believes one.

use crate::config::{TokenProfile, TrustedIssuer};
use keybound_dpop::confirmation::Confirmation;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::json::{Object, Value};
use keybound_dpop::jose::jws::{JwtError, UnverifiedJwt};
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::time::UnixTime;
use keybound_oauth::scope::Scope;
use serde_json::Map;

/// Octets of an access token, at the most.
pub(crate) const MAX_TOKEN_LEN: usize = 16 * 1024;
/// How far ahead of us an issuer's clock may be when it writes `nbf`.
const SKEW_SECS: u64 = 30;

/// The claims of a token whose signature, issuer, audience and kind have been checked. Whether its time has come or gone
/// is asked at each use.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) client_id: Option<String>,
    pub(crate) scope: Scope,
    pub(crate) confirmation: Confirmation,
    pub(crate) claims: Map<String, serde_json::Value>,
    pub(crate) expires_at: UnixTime,
    not_before: Option<UnixTime>,
}

/// Why a token is not believed: `invalid_token`. What came is for the log alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Longer than is ever looked at.
    TooLong,
    /// Not a signed JWT, or its signature, algorithm or key is not good.
    Jwt(JwtError),
    /// Nobody of that name is trusted.
    Issuer {
        /// `iss` as it came.
        came: String,
    },
    /// Another kind of JWT (RFC 9068 §5, RFC 8725 §3.12).
    Kind {
        /// How that shows.
        because: &'static str,
    },
    /// `aud` names other resources.
    Audience {
        /// `aud` as it came.
        came: String,
    },
    /// A claim is missing or has the wrong type.
    Claim(&'static str),
    /// `exp` has passed.
    Expired,
    /// `nbf` has not come.
    NotYet,
}

impl TokenError {
    /// The row of the catalogue that was broken.
    #[must_use]
    pub fn row(&self) -> &'static str {
        match self {
            Self::Jwt(JwtError::UnknownKey) => "RS-CHK-02",
            Self::Kind { .. } => "RS-CHK-07",
            Self::Claim("exp") => "RS-CHK-09",
            _ => "RS-CHK-01",
        }
    }

    /// The text for the wire: never what came.
    #[must_use]
    pub fn for_wire(&self) -> String {
        match self {
            Self::TooLong => format!("the token is longer than {MAX_TOKEN_LEN} octets"),
            Self::Jwt(error) => format!("the token is not a JWT that can be trusted: {error}"),
            Self::Issuer { .. } => "the token's issuer is not trusted here".to_owned(),
            Self::Kind { because } => format!("this is not an access token: {because}"),
            Self::Audience { .. } => "the token is not for this resource".to_owned(),
            Self::Claim(name) => format!("the token's claim {name} is missing or has the wrong type"),
            Self::Expired => "the token has expired".to_owned(),
            Self::NotYet => "the token is not valid yet".to_owned(),
        }
    }

    /// What came, for the log, escaped and cut.
    #[must_use]
    pub fn evidence(&self) -> String {
        match self {
            Self::Issuer { came } | Self::Audience { came } => {
                came.chars().take(200).flat_map(char::escape_default).collect()
            }
            _ => String::new(),
        }
    }
}

impl From<JwtError> for TokenError {
    fn from(error: JwtError) -> Self {
        Self::Jwt(error)
    }
}

/// Reads a token without believing any of it.
pub(crate) fn read(token: &str) -> Result<UnverifiedJwt<'_>, TokenError> {
    if token.len() > MAX_TOKEN_LEN {
        return Err(TokenError::TooLong);
    }
    Ok(UnverifiedJwt::parse(token)?)
}

/// `iss`, to find out whose keys to ask for.
pub(crate) fn claimed_issuer(jwt: &UnverifiedJwt<'_>) -> Result<String, TokenError> {
    Ok(string(&jwt.claims()?, "iss")?.ok_or(TokenError::Claim("iss"))?.to_owned())
}

/// Checks everything about a token that does not change with time.
pub(crate) fn verify(
    jwt: &UnverifiedJwt<'_>,
    issuer: &TrustedIssuer,
    keys: &KeySet,
    audience: &[String],
    algorithms: AlgorithmSet,
) -> Result<Token, TokenError> {
    let header = jwt.header()?;
    check_typ(&header, issuer.tokens)?;
    let kid = jwt.kid()?;
    let algorithm = match header.get("alg") {
        Some(Value::String(name)) => Algorithm::parse(name).filter(|known| algorithms.contains(*known)),
        _ => None,
    };
    let algorithm = algorithm.ok_or(JwtError::Algorithm)?;
    let verified = jwt.verify(algorithms, keys.candidates(kid.as_deref(), algorithm))?;
    let claims = verified.claims()?;
    let client_id = client_id(&claims, issuer.tokens)?;
    let aud = claims.strings("aud").map_err(|_| TokenError::Claim("aud"))?.ok_or(TokenError::Claim("aud"))?;
    if issuer.tokens == TokenProfile::Jwt {
        check_kind(&claims, &aud, client_id)?;
    }
    if !aud.iter().any(|name| !name.is_empty() && audience.iter().any(|ours| ours == name)) {
        return Err(TokenError::Audience { came: aud.join(" ") });
    }
    let date = |name| claims.numeric_date(name).map_err(|_| TokenError::Claim(name));
    Ok(Token {
        issuer: issuer.issuer.clone(),
        subject: string(&claims, "sub")?.ok_or(TokenError::Claim("sub"))?.to_owned(),
        client_id: client_id.map(str::to_owned),
        scope: scope(&claims)?,
        confirmation: Confirmation::read(&claims),
        expires_at: date("exp")?.ok_or(TokenError::Claim("exp"))?,
        not_before: date("nbf")?,
        claims: serde_json::from_slice(verified.payload()).map_err(|_| JwtError::Malformed)?,
    })
}

impl Token {
    /// Whether the token's time is now.
    pub(crate) fn check_time(&self, now: UnixTime) -> Result<(), TokenError> {
        if self.expires_at <= now {
            return Err(TokenError::Expired);
        }
        if self.not_before.is_some_and(|not_before| not_before > now.plus_secs(SKEW_SECS)) {
            return Err(TokenError::NotYet);
        }
        Ok(())
    }
}

/// RFC 9068 §4: `at+jwt` or `application/at+jwt`. Elsewhere at least none of the other kinds that name themselves.
fn check_typ(header: &Object<'_>, profile: TokenProfile) -> Result<(), TokenError> {
    let typ = match header.get("typ") {
        None => None,
        Some(Value::String(typ)) => Some(typ.to_ascii_lowercase()),
        Some(_) => return Err(TokenError::Claim("typ")),
    };
    let short = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
    match (profile, short) {
        (_, Some("at+jwt")) => Ok(()),
        (TokenProfile::Rfc9068, _) => Err(TokenError::Kind { because: "typ is not at+jwt" }),
        (TokenProfile::Jwt, Some("dpop+jwt" | "logout+jwt" | "oauth-authz-req+jwt")) => {
            Err(TokenError::Kind { because: "typ names another kind of JWT" })
        }
        (TokenProfile::Jwt, _) => Ok(()),
    }
}

/// ID tokens, which have no `typ` of their own (OpenID Connect Core §2, §3.1.3.6).
fn check_kind(claims: &Object<'_>, aud: &[&str], client_id: Option<&str>) -> Result<(), TokenError> {
    if claims.has("at_hash") || claims.has("c_hash") {
        return Err(TokenError::Kind { because: "it holds at_hash or c_hash, as ID tokens do" });
    }
    if !aud.is_empty() && aud.iter().all(|name| Some(*name) == client_id) {
        return Err(TokenError::Kind { because: "its audience is its own client, as in ID tokens" });
    }
    Ok(())
}

fn client_id<'c>(claims: &'c Object<'_>, profile: TokenProfile) -> Result<Option<&'c str>, TokenError> {
    let named = string(claims, "client_id")?;
    match profile {
        TokenProfile::Rfc9068 => named.map(Some).ok_or(TokenError::Claim("client_id")),
        TokenProfile::Jwt => Ok(named.or(string(claims, "azp")?).or(string(claims, "cid")?)),
    }
}

/// `scope` as one text (RFC 8693 §4.2), or `scp` as an array.
fn scope(claims: &Object<'_>) -> Result<Scope, TokenError> {
    let text = match string(claims, "scope")? {
        Some(text) => text.to_owned(),
        None => claims.strings("scp").map_err(|_| TokenError::Claim("scp"))?.unwrap_or_default().join(" "),
    };
    Scope::parse(&text).map_err(|_| TokenError::Claim("scope"))
}

fn string<'c>(claims: &'c Object<'_>, name: &'static str) -> Result<Option<&'c str>, TokenError> {
    claims.string(name).map_err(|_| TokenError::Claim(name))
}
