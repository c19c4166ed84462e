//! One question and its answer over HTTP (RFC 7662 §2, RFC 9701 §4–5).

use super::{AnswerForm, IntrospectionAuth, IntrospectionConfig, IntrospectionEndpoint};
use crate::keys::Keys;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::json::Value;
use keybound_dpop::jose::jws::{UnverifiedJwt, VerifiedJwt};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::{Now, UnixTime};
use keybound_fetch::{FetchError, Fetcher};
use keybound_oauth::client_auth::{Presented, sign_assertion};
use keybound_oauth::identifier::Endpoint;
use keybound_oauth::introspection::{
    IntrospectionError, IntrospectionRequest, IntrospectionResponse, MEDIA_TYPE,
};

/// Octets of an answer, at the most.
const MAX_ANSWER_LEN: usize = 64 * 1024;
/// How old a signed answer may be, or how far ahead its clock: it was made for this question (RFC 9701 §5, `iat`).
const ANSWER_WINDOW_SECS: u64 = 60;

pub(super) struct Exchange {
    pub(super) config: IntrospectionConfig,
    pub(super) fetcher: Fetcher,
}

/// Why there is no answer.
pub(super) struct NoAnswer {
    pub(super) why: String,
    /// Whether there would be none about another token either. What one token brought about must not keep the issuer from
    /// being asked about the others.
    pub(super) is_away: bool,
}

impl From<String> for NoAnswer {
    fn from(why: String) -> Self {
        Self { why, is_away: true }
    }
}

impl Exchange {
    /// What the issuer says of a token.
    pub(super) async fn ask(
        &self,
        token: &Secret,
        now: Now,
    ) -> Result<Result<IntrospectionResponse, IntrospectionError>, NoAnswer> {
        let endpoint = match &self.config.endpoint {
            IntrospectionEndpoint::Url(endpoint) => endpoint.clone(),
            IntrospectionEndpoint::Metadata(issuer) => {
                issuer.introspection_endpoint().await.map_err(|error| error.to_string())?
            }
        };
        let request = self.request(&endpoint, token, now.unix)?;
        let answer = self.fetcher.send_capped(request, MAX_ANSWER_LEN).await;
        let answer = answer.map_err(|error| NoAnswer {
            why: format!("{error}; {}", error.advice()),
            is_away: !matches!(error, FetchError::TooLarge { .. }),
        })?;
        let status = answer.status();
        if status != StatusCode::OK {
            let why = format!("the introspection endpoint answered with status {status}");
            return Err(NoAnswer { why, is_away: !is_about_the_question(status) });
        }
        self.read(&answer, now).await.map_err(|why| NoAnswer { why, is_away: false })
    }

    async fn read(
        &self,
        answer: &http::Response<Bytes>,
        now: Now,
    ) -> Result<Result<IntrospectionResponse, IntrospectionError>, String> {
        let said = match &self.config.answers {
            AnswerForm::Json => IntrospectionResponse::parse(answer.body()),
            AnswerForm::Jwt { keys, algorithms } => {
                self.read_jwt(answer, keys, *algorithms, now.unix).await?
            }
        };
        match said {
            Err(nonsense @ (IntrospectionError::NotJson | IntrospectionError::Mismatch(_))) => {
                Err(nonsense.to_string())
            }
            // It answers, and says that the token is good, or does not (RS-INT-01).
            said => Ok(said),
        }
    }

    fn request(&self, endpoint: &Endpoint, token: &Secret, now: UnixTime) -> Result<Request<Bytes>, String> {
        let hint = Some("access_token".to_owned());
        let form = IntrospectionRequest { token: token.clone(), token_type_hint: hint }.to_form();
        let (form, authorization) = self.presented(now)?.write(form);
        let mut request = Request::new(Bytes::from(form.finish()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() =
            endpoint.as_str().parse().map_err(|_| "the endpoint is no URL of a request".to_owned())?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(
            ACCEPT,
            HeaderValue::from_static(match self.config.answers {
                AnswerForm::Json => "application/json",
                AnswerForm::Jwt { .. } => MEDIA_TYPE,
            }),
        );
        if let Some(credentials) = authorization {
            let value = HeaderValue::from_str(credentials.reveal());
            let mut value =
                value.map_err(|_| "the client secret holds characters that no header has".to_owned())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    /// An assertion is made anew each time, with its own `jti`, for the issuer alone.
    fn presented(&self, now: UnixTime) -> Result<Presented, String> {
        let client_id = self.config.client_id.clone();
        Ok(match &self.config.auth {
            IntrospectionAuth::SecretBasic(secret) => {
                Presented::Basic { client_id, client_secret: secret.clone() }
            }
            IntrospectionAuth::SecretPost(secret) => {
                Presented::Post { client_id, client_secret: secret.clone() }
            }
            IntrospectionAuth::PrivateKeyJwt { key, kid } => {
                let jti = base64url::encode(&random::<16>().map_err(|error| error.to_string())?);
                let issuer = &self.config.issuer;
                let assertion = sign_assertion(&**key, kid.as_deref(), &client_id, issuer, now, &jti);
                let assertion = assertion.map_err(|error| error.to_string())?;
                Presented::Assertion { client_id: Some(client_id), assertion }
            }
        })
    }

    /// A signed answer: under the issuer's keys, for us, of now.
    async fn read_jwt(
        &self,
        answer: &http::Response<Bytes>,
        keys: &Keys,
        algorithms: AlgorithmSet,
        now: UnixTime,
    ) -> Result<Result<IntrospectionResponse, IntrospectionError>, String> {
        if !is_jwt(answer.headers()) {
            return Err("the issuer was asked for a signed answer, and this is none".to_owned());
        }
        let text = std::str::from_utf8(answer.body()).map_err(|error| error.to_string())?;
        let jwt = verified(text, keys, algorithms).await?;
        let (iss, aud) = (self.config.issuer.as_str(), self.config.client_id.as_str());
        let said = IntrospectionResponse::read_jwt(&jwt, iss, aud);
        let claims = jwt.claims().map_err(|error| error.to_string())?;
        let iat = claims.numeric_date("iat").ok().flatten().unwrap_or(UnixTime::from_secs(0));
        if iat.as_secs().abs_diff(now.as_secs()) > ANSWER_WINDOW_SECS {
            return Err("the signed answer is not of now".to_owned());
        }
        Ok(said)
    }
}

async fn verified(text: &str, keys: &Keys, algorithms: AlgorithmSet) -> Result<VerifiedJwt, String> {
    let unusable = |why: String| format!("the signed answer cannot be trusted: {why}");
    let jwt = UnverifiedJwt::parse(text).map_err(|error| unusable(error.to_string()))?;
    let kid = jwt.kid().map_err(|error| unusable(error.to_string()))?;
    let header = jwt.header().map_err(|error| unusable(error.to_string()))?;
    let algorithm = match header.get("alg") {
        Some(Value::String(name)) => Algorithm::parse(name).filter(|known| algorithms.contains(*known)),
        _ => None,
    };
    let algorithm = algorithm.ok_or_else(|| unusable("its algorithm is not taken".to_owned()))?;
    let keys = keys.for_kid(kid.as_deref()).await.map_err(|error| error.to_string())?;
    let verified = jwt.verify(algorithms, keys.candidates(kid.as_deref(), algorithm));
    verified.map_err(|error| unusable(error.to_string()))
}

/// Statuses by which a server turns one request down: too long, or not to its taste.
fn is_about_the_question(status: StatusCode) -> bool {
    [400, 413, 414, 422, 431].contains(&status.as_u16())
}

fn is_jwt(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(MEDIA_TYPE))
}
