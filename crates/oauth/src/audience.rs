//! `aud`: for whom a JWT is, one text or several (RFC 7519 §4.1.3).

use keybound_dpop::jose::json::{Object, Value, WrongType};

/// The audience of a JWT, and whether it was written as a text or as an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A single text.
    One(String),
    /// An array of texts.
    Many(Vec<String>),
}

impl Audience {
    /// Reads the member `aud`.
    ///
    /// # Errors
    /// [`WrongType`] where it is neither a string nor an array of strings.
    pub fn read(claims: &Object<'_>) -> Result<Option<Self>, WrongType> {
        let Some(texts) = claims.strings("aud")? else { return Ok(None) };
        let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
        Ok(Some(match (claims.get("aud"), texts.as_slice()) {
            (Some(Value::String(_)), [text]) => Self::One(text.clone()),
            _ => Self::Many(texts),
        }))
    }

    /// One text where there is one, else an array.
    #[must_use]
    pub fn of(texts: Vec<String>) -> Self {
        match <[String; 1]>::try_from(texts) {
            Ok([text]) => Self::One(text),
            Err(texts) => Self::Many(texts),
        }
    }

    /// The texts.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }

    /// Whether the text is among them.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.iter().any(|known| known == text)
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::One(text) => text.as_str().into(),
            Self::Many(texts) => texts.as_slice().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_told_apart() {
        let rows = [
            (r#"{"aud":"a"}"#, Some(Audience::One("a".to_owned()))),
            (r#"{"aud":["a"]}"#, Some(Audience::Many(vec!["a".to_owned()]))),
            (r#"{"aud":["a","b"]}"#, Some(Audience::of(vec!["a".to_owned(), "b".to_owned()]))),
            ("{}", None),
        ];
        for (json, expected) in rows {
            let claims = Object::parse(json.as_bytes()).expect("JSON");
            assert_eq!(Audience::read(&claims), Ok(expected.clone()), "{json}");
            if let Some(audience) = expected {
                assert_eq!(serde_json::json!({ "aud": audience.to_json() }).to_string(), json);
            }
        }
        for bad in [r#"{"aud":1}"#, r#"{"aud":[1]}"#, r#"{"aud":null}"#] {
            assert!(Audience::read(&Object::parse(bad.as_bytes()).expect("JSON")).is_err(), "{bad}");
        }
    }
}
