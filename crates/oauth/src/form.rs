//! `application/x-www-form-urlencoded` (RFC 6749 appendix B), in bodies and in queries: bounded, and with no second
//! way to read it.

use keybound_dpop::secret::Secret;
use memchr::{memchr, memchr2};
use std::fmt;
use std::ops::Range;

/// Bytes in a form, at the most.
pub const MAX_FORM_BYTES: usize = 64 * 1024;
/// Parameters that most forms do not go beyond.
const USUAL_PARAMETERS: usize = 16;
/// Parameters in a form, at the most.
pub const MAX_PARAMETERS: usize = 128;
/// Bytes in the name of a parameter, at the most.
pub const MAX_NAME_BYTES: usize = 128;
/// Bytes in the value of a parameter, at the most.
pub const MAX_VALUE_BYTES: usize = 32 * 1024;

/// The parameters that may be sent several times (RFC 8707 §2, RFC 8693 §2.1).
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// The parameters of a request. An empty value counts as omitted (RFC 6749 §3.1). `Debug` shows names only.
#[derive(Clone, Default)]
pub struct Form {
    /// All names and values, one after the other.
    text: Secret,
    pairs: Vec<Pair>,
}

/// Where in the text a name begins, where it ends and its value begins, and where that ends.
#[derive(Clone, Copy)]
struct Pair {
    start: usize,
    middle: usize,
    end: usize,
}

/// Why bytes are not a form that we take. To be answered with `invalid_request`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// More bytes or parameters than we take.
    #[error("the {0} is too large")]
    TooLarge(&'static str),
    /// A parameter was sent twice (RFC 6749 §3.1).
    #[error("the parameter `{0}` is repeated")]
    Repeated(String),
    /// A percent sign without two hexadecimal digits, or bytes that are not UTF-8.
    #[error("the parameters are not form-encoded UTF-8")]
    Encoding,
}

impl Form {
    /// Reads a body.
    ///
    /// # Errors
    /// [`FormError`] says which rule was broken.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormError> {
        if bytes.len() > MAX_FORM_BYTES {
            return Err(FormError::TooLarge("form"));
        }
        let mut text = Vec::with_capacity(bytes.len());
        let mut pairs = Vec::with_capacity(USUAL_PARAMETERS);
        let mut rest = Some(bytes);
        while let Some(bytes) = rest {
            let (piece, after) = cut(bytes, b'&');
            rest = after;
            if piece.is_empty() {
                continue;
            }
            if pairs.len() == MAX_PARAMETERS {
                return Err(FormError::TooLarge("number of parameters"));
            }
            let (name, value) = cut(piece, b'=');
            let mut half = |octets| decode_onto(&mut text, octets);
            let (start, middle, end) = half(name)
                .and_then(|name| Some((name.start, name.end, half(value.unwrap_or_default())?.end)))
                .ok_or(FormError::Encoding)?;
            pairs.push(Pair { start, middle, end });
        }
        let text = Secret::new(String::from_utf8(text).map_err(|_| FormError::Encoding)?);
        let mut form = Self { text, pairs };
        form.check()?;
        form.pairs.retain(|pair| pair.middle < pair.end);
        Ok(form)
    }

    /// Reads the query of a URL, without its question mark.
    ///
    /// # Errors
    /// As [`Form::parse`].
    pub fn parse_query(query: &str) -> Result<Self, FormError> {
        Self::parse(query.as_bytes())
    }

    fn check(&self) -> Result<(), FormError> {
        let text = self.text.reveal();
        for (place, pair) in self.pairs.iter().enumerate() {
            // No character is half in a name and half in its value.
            if !text.is_char_boundary(pair.middle) || !text.is_char_boundary(pair.end) {
                return Err(FormError::Encoding);
            }
            if pair.middle - pair.start > MAX_NAME_BYTES {
                return Err(FormError::TooLarge("name of a parameter"));
            }
            if pair.end - pair.middle > MAX_VALUE_BYTES {
                return Err(FormError::TooLarge("value of a parameter"));
            }
            let name = self.name(pair);
            let is_it = |known: &Pair| known.middle - known.start == name.len() && self.name(known) == name;
            let is_repeated = self.pairs.iter().take(place).any(is_it);
            if is_repeated && !REPEATABLE.contains(&name) {
                return Err(FormError::Repeated(name.to_owned()));
            }
        }
        Ok(())
    }

    fn name(&self, pair: &Pair) -> &str {
        self.text.reveal().get(pair.start..pair.middle).unwrap_or_default()
    }

    fn value(&self, pair: &Pair) -> &str {
        self.text.reveal().get(pair.middle..pair.end).unwrap_or_default()
    }

    /// The value of a parameter; the first, where it may be sent several times.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The value of a parameter that is a secret.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.get(name).map(Secret::new)
    }

    /// All values of a parameter, in the order in which they came.
    pub fn all<'f>(&'f self, name: &str) -> impl Iterator<Item = &'f str> {
        let text = self.text.reveal();
        let is_it = move |pair: &&Pair| {
            // Most have another length.
            pair.middle - pair.start == name.len() && text.get(pair.start..pair.middle) == Some(name)
        };
        self.pairs.iter().filter(is_it).map(move |pair| text.get(pair.middle..pair.end).unwrap_or_default())
    }

    /// Whether the parameter was sent, with a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The names that were sent with a value.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs().map(|(name, _)| name)
    }

    /// All parameters, in the order in which they were sent.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|pair| (self.name(pair), self.value(pair)))
    }
}

/// Writes a form: the body of a request, or the query of a URL.
#[derive(Default)]
pub struct FormWriter(String);

impl FormWriter {
    /// An empty form.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter.
    #[must_use]
    pub fn pair(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        // Most characters stand for themselves.
        self.0.reserve(name.len() + value.len() + 2);
        encode_onto(&mut self.0, name);
        self.0.push('=');
        encode_onto(&mut self.0, value);
        self
    }

    /// Adds a parameter where there is a value for it.
    #[must_use]
    pub fn optional(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.pair(name, value),
            None => self,
        }
    }

    /// Adds a parameter once for each value.
    #[must_use]
    pub fn each<'v>(self, name: &str, values: impl Iterator<Item = &'v str>) -> Self {
        values.fold(self, |form, value| form.pair(name, value))
    }

    /// The encoded form.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

impl PartialEq for Form {
    fn eq(&self, other: &Self) -> bool {
        self.pairs().eq(other.pairs())
    }
}

impl Eq for Form {}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// One name or value, encoded.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    encode_onto(&mut out, text);
    out
}

fn encode_onto(out: &mut String, text: &str) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or_default();
    let mut rest = text;
    while !rest.is_empty() {
        let plain = rest.bytes().take_while(|byte| is_plain(*byte)).count();
        let (as_it_is, after) = rest.split_at(plain);
        out.push_str(as_it_is);
        let coded = after.bytes().take_while(|byte| !is_plain(*byte)).count();
        let (coded, after) = after.split_at(coded);
        for byte in coded.bytes() {
            match byte {
                b' ' => out.push('+'),
                other => out.extend(['%', digit(other >> 4), digit(other & 15)]),
            }
        }
        rest = after;
    }
}

/// Whether the octet stands for itself (URL Standard, application/x-www-form-urlencoded percent-encode set).
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'-' | b'.' | b'_')
}

/// One name or value, decoded. None where a percent sign has no two digits behind it, or it is no UTF-8.
#[must_use]
pub fn decode(encoded: &[u8]) -> Option<String> {
    let mut octets = Vec::with_capacity(encoded.len());
    decode_onto(&mut octets, encoded)?;
    String::from_utf8(octets).ok()
}

/// What is before the first such octet, and what is behind it.
fn cut(octets: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match memchr(at, octets).and_then(|place| octets.split_at_checked(place)) {
        Some((before, [_, after @ ..])) => (before, Some(after)),
        _ => (octets, None),
    }
}

/// Appends what the octets stand for, and says where.
fn decode_onto(octets: &mut Vec<u8>, encoded: &[u8]) -> Option<Range<usize>> {
    let start = octets.len();
    let mut rest = encoded;
    while let Some(plain) = memchr2(b'+', b'%', rest) {
        let (as_they_are, coded) = rest.split_at(plain);
        octets.extend_from_slice(as_they_are);
        rest = match coded {
            [b'+', after @ ..] => {
                octets.push(b' ');
                after
            }
            [_, high, low, after @ ..] => {
                octets.push(hexadecimal(*high)? << 4 | hexadecimal(*low)?);
                after
            }
            _ => return None,
        };
    }
    octets.extend_from_slice(rest);
    Some(start..octets.len())
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let body = FormWriter::new()
            .pair("state", "a b&c=d+e%f/ü")
            .optional("nonce", None)
            .each("resource", ["https://a.example/", "https://b.example/?x=1"].into_iter())
            .finish();
        let form = Form::parse(body.as_bytes()).expect("a form");
        assert_eq!(form.get("state"), Some("a b&c=d+e%f/ü"));
        assert!(!form.has("nonce"));
        assert_eq!(
            form.all("resource").collect::<Vec<_>>(),
            ["https://a.example/", "https://b.example/?x=1"]
        );
    }

    #[test]
    fn as_tok_13_repeated_is_an_error_empty_is_omitted() {
        assert_eq!(Form::parse(b"code=a&code=b"), Err(FormError::Repeated("code".to_owned())));
        assert_eq!(Form::parse(b"code=&code=b"), Err(FormError::Repeated("code".to_owned())));
        assert_eq!(Form::parse(b"c%6fde=a&code=b"), Err(FormError::Repeated("code".to_owned())));
        let form = Form::parse(b"code=&unknown=1&&flag").expect("a form");
        assert_eq!((form.get("code"), form.get("flag"), form.get("unknown")), (None, None, Some("1")));
    }

    #[test]
    fn bad_encodings_are_refused() {
        for bad in ["a=%", "a=%4", "a=%zz", "%gg=1", "a=%ff", "a=%C3%28", "a%C3=%A9", "a=%C3&%A9=b"] {
            assert_eq!(Form::parse(bad.as_bytes()), Err(FormError::Encoding), "{bad}");
        }
    }

    #[test]
    fn everything_is_bounded() {
        let large = format!("a={}", "x".repeat(MAX_FORM_BYTES));
        let long = format!("a={}", "x".repeat(MAX_VALUE_BYTES + 1));
        let named = format!("{}=1", "x".repeat(MAX_NAME_BYTES + 1));
        let many: String = (0..=MAX_PARAMETERS).map(|n| format!("p{n}=1&")).collect();
        for bad in [large, long, named, many] {
            assert!(matches!(Form::parse(bad.as_bytes()), Err(FormError::TooLarge(_))));
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let shown = format!("{:?}", Form::parse(b"client_secret=hunter2").expect("a form"));
        assert!(shown.contains("client_secret") && !shown.contains("hunter2"));
    }
}
