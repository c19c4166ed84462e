//! What came back, ready to be asked about.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use keybound_dpop::challenge::Challenge;
use keybound_dpop::jose::base64url;
use serde_json::Value;

/// A response that has been read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// Reads a response to its end.
    pub async fn read<B>(response: Response<B>) -> Self
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: std::fmt::Debug,
    {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Self { status: parts.status, headers: parts.headers, body }
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// A text member of the JSON body.
    #[track_caller]
    pub fn text(&self, member: &str) -> String {
        self.json()[member].as_str().unwrap_or_else(|| panic!("no `{member}` in {self:?}")).to_owned()
    }

    /// All values of a header.
    pub fn header(&self, name: &str) -> Vec<String> {
        let lines = self.headers.get_all(name).iter();
        lines.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }

    /// The one nonce that the answer carries.
    #[track_caller]
    pub fn nonce(&self) -> String {
        let mut all = self.header("dpop-nonce");
        assert_eq!(all.len(), 1, "exactly one DPoP-Nonce: {self:?}");
        all.remove(0)
    }

    /// The challenges.
    pub fn challenges(&self) -> Vec<Challenge> {
        Challenge::parse_all(self.header("www-authenticate").iter().map(String::as_str))
    }

    /// The claims of a JWT in the JSON body.
    #[track_caller]
    pub fn claims(&self, member: &str) -> Value {
        part(&self.text(member), 1)
    }

    /// The header of a JWT in the JSON body.
    #[track_caller]
    pub fn jose_header(&self, member: &str) -> Value {
        part(&self.text(member), 0)
    }

    /// Status and error code of an answer by an endpoint that clients call directly.
    #[track_caller]
    pub fn error(&self) -> (u16, String) {
        (self.status.as_u16(), self.text("error"))
    }
}

/// One part of a JWT, decoded, with no check at all.
#[track_caller]
pub fn part(jwt: &str, index: usize) -> Value {
    let part = jwt.split('.').nth(index).expect("a part");
    serde_json::from_slice(&base64url::decode(part).expect("base64url")).expect("JSON")
}

/// Requirements 0.3, `E-AS`: 400 `invalid_dpop_proof`, `no-store`, nothing issued.
#[track_caller]
pub fn assert_e_as(answer: &Answer) {
    assert_eq!(answer.error(), (400, "invalid_dpop_proof".to_owned()), "{answer:?}");
    assert_uncacheable_json(answer);
}

/// Requirements 0.3, `N-AS`: 400 `use_dpop_nonce` with exactly one nonce, `no-store`.
#[track_caller]
pub fn assert_n_as(answer: &Answer) -> String {
    assert_eq!(answer.error(), (400, "use_dpop_nonce".to_owned()), "{answer:?}");
    assert_uncacheable_json(answer);
    answer.nonce()
}

/// JSON that nothing may keep.
#[track_caller]
pub fn assert_uncacheable_json(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), ["no-store"], "{answer:?}");
    assert_eq!(answer.header("content-type"), ["application/json"], "{answer:?}");
    assert!(answer.json().get("access_token").is_none() || answer.status.is_success(), "{answer:?}");
}
