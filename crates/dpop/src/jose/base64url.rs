//! Base64url as JOSE wants it: no padding, no white space, no other alphabet, unused bits zero (RFC 7515 §2).

use data_encoding::BASE64URL_NOPAD;

/// The bytes as base64url.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// Appends the bytes as base64url.
pub fn encode_onto(text: &mut String, bytes: &[u8]) {
    BASE64URL_NOPAD.encode_append(bytes, text);
}

/// The bytes that the text stands for; `None` unless it is their one canonical spelling.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}

/// Appends what the text stands for and returns its length; `None`, and nothing is appended, unless it is canonical.
#[must_use]
pub(crate) fn decode_onto(octets: &mut Vec<u8>, text: &str) -> Option<usize> {
    let before = octets.len();
    let len = BASE64URL_NOPAD.decode_len(text.len()).ok()?;
    octets.resize(before + len, 0);
    if octets.get_mut(before..).is_some_and(|part| decode_into(text, part)) {
        return Some(len);
    }
    octets.truncate(before);
    None
}

/// The same for a text that must stand for exactly `N` octets.
#[must_use]
pub fn decode_exactly<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut octets = [0; N];
    decode_into(text, &mut octets).then_some(octets)
}

/// Fills `octets` with what the text stands for. `false` unless it is as long as that and spelled canonically.
#[must_use]
pub(super) fn decode_into(text: &str, octets: &mut [u8]) -> bool {
    BASE64URL_NOPAD.decode_len(text.len()) == Ok(octets.len())
        && BASE64URL_NOPAD.decode_mut(text.as_bytes(), octets).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dpop_jws_04_only_the_canonical_spelling() {
        assert_eq!(decode("AQI"), Some(vec![1, 2]));
        let mut octets = vec![7];
        assert_eq!((decode_onto(&mut octets, "AQI"), octets), (Some(2), vec![7, 1, 2]));
        assert_eq!(decode_exactly("AQI"), Some([1, 2]));
        assert_eq!((decode_exactly::<1>("AQI"), decode_exactly::<3>("AQI")), (None, None));
        for bad in ["AQI=", "AQJ", "A QI", "AQ\n", "A+I", "A/I", "A"] {
            assert_eq!(decode(bad), None, "{bad}");
            let mut octets = vec![7];
            assert_eq!((decode_onto(&mut octets, bad), octets), (None, vec![7]), "{bad}");
            assert_eq!(decode_exactly::<2>(bad), None, "{bad}");
        }
    }
}
