//! The `DPoP` request header (RFC 9449 §4.1), read from the raw field lines.

use http::{HeaderMap, HeaderName};

/// The name of the header, `DPoP`; header names have no case.
pub const DPOP: HeaderName = HeaderName::from_static("dpop");
/// The name of the header that carries a nonce to the client, `DPoP-Nonce` (RFC 9449 §8.1).
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// What a request shows in the place for proofs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofHeader<'a> {
    /// There is no `DPoP` field line.
    Absent,
    /// There is exactly one; its bytes, unjudged.
    One(&'a [u8]),
    /// There are this many, which no request may have, be they equal (RFC 9449 §4.3, item 1).
    Several(usize),
}

impl<'a> ProofHeader<'a> {
    /// Counts the field lines and takes the only one, as it came.
    #[must_use]
    pub fn of(headers: &'a HeaderMap) -> Self {
        let mut lines = headers.get_all(DPOP).iter();
        match (lines.next(), lines.count()) {
            (None, _) => Self::Absent,
            (Some(only), 0) => Self::One(only.as_bytes()),
            (Some(_), more) => Self::Several(more + 1),
        }
    }

    /// Whether the request carries no proof at all.
    #[must_use]
    pub fn is_absent(self) -> bool {
        self == Self::Absent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn dpop_hdr_04_field_lines_are_counted_on_the_raw_map() {
        let mut headers = HeaderMap::new();
        assert_eq!(ProofHeader::of(&headers), ProofHeader::Absent);
        headers.append("DPoP", HeaderValue::from_static("a"));
        assert_eq!(ProofHeader::of(&headers), ProofHeader::One(b"a"));
        headers.append("dpop", HeaderValue::from_static("a"));
        assert_eq!(ProofHeader::of(&headers), ProofHeader::Several(2));
    }

    #[test]
    fn dpop_hdr_08_absent_is_told_from_empty() {
        assert!(ProofHeader::Absent.is_absent());
        assert!(!ProofHeader::One(b"").is_absent() && !ProofHeader::Several(2).is_absent());
    }
}
