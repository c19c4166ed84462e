//! Access tokens as JWTs (RFC 9068 §4): what the guard makes sure of before it believes one.

use crate::config::{TokenProfile, TrustedIssuer};
use crate::denied::TokenId;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::json::{Object, Value, WrongType};
use keybound_dpop::jose::jws::{self, JwtError, UnverifiedJwt};
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::jose::known_key::KnownKey;
use keybound_dpop::time::UnixTime;
use keybound_oauth::access_token::{AccessTokenClaims, AccessTokenError};
use keybound_oauth::audience::Audience;
use keybound_oauth::introspection::IntrospectionError;
use serde_json::Map;
use std::any::Any;
use std::sync::OnceLock;

/// Octets of an access token, at the most.
pub(crate) const MAX_TOKEN_LEN: usize = 16 * 1024;
/// How far ahead of us an issuer's clock may be when it writes `nbf` or `auth_time`.
pub(crate) const SKEW_SECS: u64 = 30;

/// A token whose signature, issuer and kind have been checked. Whom it is for, and whether its time has come or gone, is
/// asked at each use.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) claims: AccessTokenClaims,
    pub(crate) subject: String,
    pub(crate) client_id: Option<String>,
    /// What it is known by, where it is a JWT.
    pub(crate) id: Option<TokenId>,
    /// Whether its issuer tells us of no tokens but those for us, and does not say so in each.
    is_for_us: bool,
    /// The key that it is bound to, once it was proven.
    pub(crate) key: KnownKey,
    /// What a service made of it ([`Access::derived`](crate::Access::derived)).
    pub(crate) derived: OnceLock<Box<dyn Any + Send + Sync>>,
    /// All claims, those that we do not know too.
    pub(crate) all: Map<String, serde_json::Value>,
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
    /// A claim is missing, has the wrong type, or cannot be relied on.
    Claims(AccessTokenError),
    /// `exp` has passed.
    Expired,
    /// `nbf` has not come.
    NotYet,
    /// The service says that the token was revoked.
    Revoked,
    /// Not a JWT, or taken back: whoever was asked about it knows no such token that is good.
    Unknown,
    /// The issuer was asked about it, and does not say clearly that it is good.
    Answer(IntrospectionError),
}

impl TokenError {
    /// The row of the catalogue that was broken.
    #[must_use]
    pub fn row(&self) -> &'static str {
        match self {
            Self::Jwt(JwtError::UnknownKey) => "RS-CHK-02",
            Self::Kind { .. } => "RS-CHK-07",
            Self::Revoked => "RS-CHK-04",
            Self::Unknown
            | Self::Answer(IntrospectionError::NotJson | IntrospectionError::Member("active")) => "RS-INT-01",
            Self::Answer(IntrospectionError::Member("cnf")) => "RS-DWN-05",
            Self::Answer(_) => "RS-INT-03",
            Self::Claims(AccessTokenError::Missing("exp")) => "RS-CHK-09",
            Self::Claims(AccessTokenError::WrongType(WrongType { name: "exp", .. })) => "RS-CHK-09",
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
            Self::Claims(error) => error.to_string(),
            Self::Expired => "the token has expired".to_owned(),
            Self::NotYet => "the token is not valid yet".to_owned(),
            Self::Revoked => "the token was revoked".to_owned(),
            Self::Unknown => "the token is unknown, was revoked, or has expired".to_owned(),
            Self::Answer(error) => error.to_string(),
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

impl From<WrongType> for TokenError {
    fn from(wrong: WrongType) -> Self {
        Self::Claims(wrong.into())
    }
}

/// Reads a token without believing any of it.
pub(crate) fn read(token: &str) -> Result<UnverifiedJwt<'_>, TokenError> {
    check_length(token)?;
    Ok(UnverifiedJwt::parse(token)?)
}

/// Whether a token has the form of a signed JWT. Any other is opaque to us.
pub(crate) fn is_jwt(token: &str) -> bool {
    jws::split(token).is_some()
}

pub(crate) const fn check_length(token: &str) -> Result<(), TokenError> {
    if token.len() > MAX_TOKEN_LEN { Err(TokenError::TooLong) } else { Ok(()) }
}

/// `iss`, to find out whose keys to ask for.
pub(crate) fn claimed_issuer(jwt: &UnverifiedJwt<'_>) -> Result<String, TokenError> {
    let claims = jwt.claims()?;
    let issuer = claims.string("iss")?.ok_or(TokenError::Claims(AccessTokenError::Missing("iss")))?;
    Ok(issuer.to_owned())
}

/// Checks everything about a token that is the same at each use.
pub(crate) fn verify(
    jwt: &UnverifiedJwt<'_>,
    issuer: &TrustedIssuer,
    keys: &KeySet,
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
    believe(verified.payload(), issuer.tokens)
}

/// Checks what a token says, once its issuer vouches for it: by a signature, or by having looked it up.
pub(crate) fn believe(payload: &[u8], profile: TokenProfile) -> Result<Token, TokenError> {
    let claims = AccessTokenClaims::parse(payload).map_err(TokenError::Claims)?;
    let object = Object::parse(payload).map_err(|_| JwtError::Malformed)?;
    let client_id = client_id(&object, profile)?;
    if profile == TokenProfile::Jwt {
        check_kind(&object, &claims.aud, client_id)?;
    }
    token(claims, client_id.map(str::to_owned), payload)
}

/// A token that an issuer told us about. `is_for_us` where it leaves `aud` out and minds it itself.
#[cfg(feature = "introspect")]
pub(crate) fn of_answer(
    members: Map<String, serde_json::Value>,
    is_for_us: bool,
) -> Result<Token, TokenError> {
    let payload = serde_json::Value::Object(members).to_string();
    let claims = AccessTokenClaims::parse(payload.as_bytes()).map_err(TokenError::Claims)?;
    let object = Object::parse(payload.as_bytes()).map_err(|_| JwtError::Malformed)?;
    let client_id = client_id(&object, TokenProfile::Jwt)?.map(str::to_owned);
    Ok(Token { is_for_us, ..token(claims, client_id, payload.as_bytes())? })
}

fn token(claims: AccessTokenClaims, client_id: Option<String>, payload: &[u8]) -> Result<Token, TokenError> {
    Ok(Token {
        subject: claims.sub.clone().ok_or(TokenError::Claims(AccessTokenError::Missing("sub")))?,
        client_id,
        id: None,
        is_for_us: false,
        key: KnownKey::default(),
        derived: OnceLock::new(),
        all: serde_json::from_slice(payload).map_err(|_| JwtError::Malformed)?,
        claims,
    })
}

/// Whether one of these names is ours.
pub(crate) fn check_audience(aud: &Audience, ours: &[String]) -> Result<(), TokenError> {
    if aud.iter().any(|name| !name.is_empty() && ours.iter().any(|ours| ours == name)) {
        return Ok(());
    }
    Err(TokenError::Audience { came: aud.iter().collect::<Vec<_>>().join(" ") })
}

impl Token {
    /// The token, as a JWT that is known by that.
    pub(crate) fn known_by(self, id: TokenId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Whether the token is for one of these resources. Where its issuer minds that, it is for the guard's, not for one of
    /// several.
    pub(crate) fn check_audience(&self, audience: &[String], is_guards: bool) -> Result<(), TokenError> {
        if self.is_for_us && is_guards {
            return Ok(());
        }
        check_audience(&self.claims.aud, audience)
    }

    /// Whether the token's time is now.
    pub(crate) fn check_time(&self, now: UnixTime) -> Result<(), TokenError> {
        if self.claims.exp <= now {
            return Err(TokenError::Expired);
        }
        if self.claims.nbf.is_some_and(|nbf| nbf > now.plus_secs(SKEW_SECS)) {
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
        Some(_) => return Err(TokenError::Kind { because: "typ is not a text" }),
    };
    let short = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
    match (profile, short) {
        (_, Some("at+jwt")) => Ok(()),
        (TokenProfile::Rfc9068, _) => Err(TokenError::Kind { because: "typ is not at+jwt" }),
        (
            TokenProfile::Jwt,
            Some("dpop+jwt" | "logout+jwt" | "oauth-authz-req+jwt" | "token-introspection+jwt"),
        ) => Err(TokenError::Kind { because: "typ names another kind of JWT" }),
        (TokenProfile::Jwt, _) => Ok(()),
    }
}

/// ID tokens, which have no `typ` of their own (OpenID Connect Core §2, §3.1.3.6).
fn check_kind(claims: &Object<'_>, aud: &Audience, client_id: Option<&str>) -> Result<(), TokenError> {
    if claims.has("at_hash") || claims.has("c_hash") {
        return Err(TokenError::Kind { because: "it holds at_hash or c_hash, as ID tokens do" });
    }
    if aud.iter().all(|name| Some(name) == client_id) {
        return Err(TokenError::Kind { because: "its audience is its own client, as in ID tokens" });
    }
    Ok(())
}

/// `client_id`, which RFC 9068 §2.2 requires; other issuers call it `azp` or `cid`.
fn client_id<'c>(claims: &'c Object<'_>, profile: TokenProfile) -> Result<Option<&'c str>, TokenError> {
    let named = claims.string("client_id")?;
    match profile {
        TokenProfile::Rfc9068 if named.is_none() => {
            Err(TokenError::Claims(AccessTokenError::Missing("client_id")))
        }
        TokenProfile::Rfc9068 => Ok(named),
        TokenProfile::Jwt => Ok(named.or(claims.string("azp")?).or(claims.string("cid")?)),
    }
}
