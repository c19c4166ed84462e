//! `application/x-www-form-urlencoded` (RFC 6749 appendix B), in bodies and in queries: bounded, and with no second
//! way to read it.

use keybound_dpop::secret::Secret;
use url::form_urlencoded;

/// Bytes in a form, at the most.
pub const MAX_FORM_BYTES: usize = 64 * 1024;
/// Parameters in a form, at the most.
pub const MAX_PARAMETERS: usize = 128;
/// Bytes in the name of a parameter, at the most.
pub const MAX_NAME_BYTES: usize = 128;
/// Bytes in the value of a parameter, at the most.
pub const MAX_VALUE_BYTES: usize = 32 * 1024;

/// The parameters that may be sent several times (RFC 8707 §2, RFC 8693 §2.1).
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// The parameters of a request. An empty value counts as omitted (RFC 6749 §3.1). `Debug` shows names only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    pairs: Vec<(String, Secret)>,
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
        let mut form = Self::default();
        for piece in bytes.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty()) {
            let mut halves = piece.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default()).ok_or(FormError::Encoding)?;
            let value = Secret::new(decode(halves.next().unwrap_or_default()).ok_or(FormError::Encoding)?);
            form.add(name, value)?;
        }
        form.pairs.retain(|(_, value)| !value.is_empty());
        Ok(form)
    }

    /// Reads the query of a URL, without its question mark.
    ///
    /// # Errors
    /// As [`Form::parse`].
    pub fn parse_query(query: &str) -> Result<Self, FormError> {
        Self::parse(query.as_bytes())
    }

    fn add(&mut self, name: String, value: Secret) -> Result<(), FormError> {
        if self.pairs.len() == MAX_PARAMETERS {
            return Err(FormError::TooLarge("number of parameters"));
        }
        if name.len() > MAX_NAME_BYTES {
            return Err(FormError::TooLarge("name of a parameter"));
        }
        if value.reveal().len() > MAX_VALUE_BYTES {
            return Err(FormError::TooLarge("value of a parameter"));
        }
        let repeated = self.pairs.iter().any(|(known, _)| *known == name);
        if repeated && !REPEATABLE.contains(&name.as_str()) {
            return Err(FormError::Repeated(name));
        }
        self.pairs.push((name, value));
        Ok(())
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
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.reveal())
    }

    /// Whether the parameter was sent, with a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The names that were sent with a value.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(name, _)| name.as_str())
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
        self.0.extend(form_urlencoded::byte_serialize(name.as_bytes()));
        self.0.push('=');
        self.0.extend(form_urlencoded::byte_serialize(value.as_bytes()));
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

/// One text, form-encoded.
#[must_use]
pub fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// One form-encoded text, decoded; `None` where a percent sign lacks its digits or the result is not UTF-8.
#[must_use]
pub fn decode(encoded: &[u8]) -> Option<String> {
    // Most stand for themselves.
    if !encoded.iter().fold(false, |coded, byte| coded | (*byte == b'+') | (*byte == b'%')) {
        return String::from_utf8(encoded.to_vec()).ok();
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hexadecimal(*rest.next()?)? << 4 | hexadecimal(*rest.next()?)?,
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
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
        for bad in ["a=%", "a=%4", "a=%zz", "%gg=1", "a=%ff", "a=%C3%28"] {
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
