//! Base64url as JOSE wants it: no padding, no white space, no other alphabet, unused bits zero (RFC 7515 §2).

use data_encoding::BASE64URL_NOPAD;

/// The bytes as base64url.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// The bytes that the text stands for; `None` unless it is their one canonical spelling.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dpop_jws_04_only_the_canonical_spelling() {
        assert_eq!(decode("AQI"), Some(vec![1, 2]));
        for bad in ["AQI=", "AQJ", "A QI", "AQ\n", "A+I", "A/I", "A"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
