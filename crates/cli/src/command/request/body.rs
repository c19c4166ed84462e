//! The body of a request.

use crate::error::CommandError;
use crate::input;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request};

/// The data of the command line: text, or the bytes of a file.
pub(super) fn read(data: &str) -> Result<Bytes, CommandError> {
    match data.strip_prefix('@') {
        Some(file) => input::bytes(file).map(Bytes::from),
        None => Ok(Bytes::copy_from_slice(data.as_bytes())),
    }
}

/// Says what kind of data it is, where nobody has: a form, as curl has it.
pub(super) fn describe(request: &mut Request<Bytes>, has_data: bool) {
    if has_data && !request.headers().contains_key(CONTENT_TYPE) {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form);
    }
}
