//! An answer, as far as the rules look at it: they take it from whichever HTTP client there is.

use http::{HeaderMap, Response, StatusCode};

/// An answer whose body may still be coming.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The status.
    pub status: StatusCode,
    /// All header lines.
    pub headers: &'a HeaderMap,
    /// The body; empty where it has not been read. Only what an authorization server answers is looked for in it.
    pub body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// An answer of which only the beginning is there.
    #[must_use]
    pub const fn begun(status: StatusCode, headers: &'a HeaderMap) -> Self {
        Self { status, headers, body: &[] }
    }
}

impl<'a, B: AsRef<[u8]>> From<&'a Response<B>> for Answer<'a> {
    fn from(response: &'a Response<B>) -> Self {
        Self { status: response.status(), headers: response.headers(), body: response.body().as_ref() }
    }
}
