//! JSON that cannot be read in two ways: a repeated member name is an error, depth and size are bounded, and a value
//! of the wrong type is never taken for an absent one (RFC 7515 §4, RFC 8725 §2.4, CVE-2026-25537 class).

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Members of an object, or elements of an array, at the most.
pub const MAX_MEMBERS: usize = 128;
/// Arrays and objects inside one another, at the most.
pub const MAX_DEPTH: usize = 16;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number
    Number(Number),
    /// A string
    String(Cow<'a, str>),
    /// An array
    Array(Vec<Value<'a>>),
    /// An object
    Object(Object<'a>),
}

/// A JSON number: whole where it was written so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number, not negative.
    Unsigned(u64),
    /// A whole number below zero.
    Negative(i64),
    /// Anything else.
    Float(f64),
}

/// A JSON object whose member names are all different.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// Why bytes are not JSON that we take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// A member name stands twice in one object.
    #[error("a member name is repeated")]
    Repeated,
    /// Deeper than [`MAX_DEPTH`] or wider than [`MAX_MEMBERS`].
    #[error("the JSON is nested too deeply or has too many members")]
    TooLarge,
    /// Not JSON, not UTF-8, or not an object.
    #[error("not a JSON object in UTF-8")]
    Malformed,
}

const REPEATED: &str = "repeated member";
const TOO_LARGE: &str = "too large";

impl<'a> Object<'a> {
    /// Reads one JSON object, the whole of `bytes`.
    ///
    /// # Errors
    /// [`JsonError`] says which rule was broken.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(bytes).map_err(|_| JsonError::Malformed)?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = Inside(0).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
        match read {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(JsonError::Malformed),
            Err(error) => {
                let told = error.to_string();
                if told.starts_with(REPEATED) {
                    Err(JsonError::Repeated)
                } else if told.starts_with(TOO_LARGE) {
                    Err(JsonError::TooLarge)
                } else {
                    Err(JsonError::Malformed)
                }
            }
        }
    }

    /// The member of that name, of whatever type; `None` where there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// Whether there is a member of that name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A member that must be a string where it is present.
    ///
    /// # Errors
    /// [`WrongType`] where it is something else, `null` included.
    pub fn string(&self, name: &'static str) -> Result<Option<&str>, WrongType> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(WrongType { name, expected: "a string" }),
        }
    }

    /// A member that must be a NumericDate where it is present (RFC 7519 §2): a number, not negative, below 2^53.
    ///
    /// # Errors
    /// [`WrongType`] where it is something else.
    pub fn numeric_date(&self, name: &'static str) -> Result<Option<crate::time::UnixTime>, WrongType> {
        let wrong = WrongType { name, expected: "a number of seconds since 1970, not negative" };
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => number.as_unix_time().map(Some).ok_or(wrong),
            Some(_) => Err(wrong),
        }
    }

    /// A member that must be an object where it is present.
    ///
    /// # Errors
    /// [`WrongType`] where it is something else.
    pub fn object(&self, name: &'static str) -> Result<Option<&Object<'a>>, WrongType> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(WrongType { name, expected: "an object" }),
        }
    }

    /// A member that must be a string or an array of strings where it is present, as `aud` is (RFC 7519 §4.1.3).
    ///
    /// # Errors
    /// [`WrongType`] where it is something else.
    pub fn strings(&self, name: &'static str) -> Result<Option<Vec<&str>>, WrongType> {
        let wrong = WrongType { name, expected: "a string or an array of strings" };
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(vec![text])),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text.as_ref()),
                    _ => Err(wrong),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(wrong),
        }
    }

    /// The members in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }
}

/// A member has another JSON type than its definition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not {expected}")]
pub struct WrongType {
    /// The member.
    pub name: &'static str,
    /// What it should be.
    pub expected: &'static str,
}

impl Number {
    /// The number as a NumericDate (RFC 7519 §2); fractions of a second are kept to the millisecond. `None` below zero
    /// and from 2^53 on.
    #[must_use]
    pub fn as_unix_time(self) -> Option<crate::time::UnixTime> {
        const LIMIT_SECS: u64 = 1 << 53;
        match self {
            Self::Unsigned(secs) if secs < LIMIT_SECS => Some(crate::time::UnixTime::from_secs(secs)),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "the range is checked on the same line"
            )]
            Self::Float(secs) if secs >= 0.0 && secs < LIMIT_SECS as f64 => {
                Some(crate::time::UnixTime::from_millis((secs * 1000.0) as u64))
            }
            _ => None,
        }
    }
}

/// Reads a value that stands inside so many arrays and objects.
#[derive(Clone, Copy)]
struct Inside(usize);

impl Inside {
    /// One level further in. The limit is far below the one at which the parser itself stops.
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.0 < MAX_DEPTH { Ok(Self(self.0 + 1)) } else { Err(E::custom(TOO_LARGE)) }
    }
}

impl<'de> DeserializeSeed<'de> for Inside {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Inside {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Value::Number(Number::Unsigned(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Number(u64::try_from(value).map_or(Number::Negative(value), Number::Unsigned)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Value::Number(Number::Float(value)))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let inside = self.deeper()?;
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            if all.len() == MAX_MEMBERS {
                return Err(A::Error::custom(TOO_LARGE));
            }
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let inside = self.deeper()?;
        let mut all: Vec<(Cow<'de, str>, Value<'de>)> = Vec::with_capacity(8);
        while let Some(Name(name)) = members.next_key()? {
            if all.len() == MAX_MEMBERS {
                return Err(A::Error::custom(TOO_LARGE));
            }
            if all.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(REPEATED));
            }
            all.push((name, members.next_value_seed(inside)?));
        }
        Ok(Value::Object(Object(all)))
    }
}

/// A member name, borrowed where it holds no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(Inside(0))? {
            Value::String(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("not a member name")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dpop_jws_06_repeated_names_are_refused_at_every_level() {
        for bad in [r#"{"a":1,"a":2}"#, r#"{"b":{"a":1,"a":2}}"#, r#"{"b":[{"a":1,"\u0061":2}]}"#] {
            assert_eq!(Object::parse(bad.as_bytes()), Err(JsonError::Repeated), "{bad}");
        }
    }

    #[test]
    fn dpop_jws_05_only_objects_in_utf_8() {
        let utf_16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bad in [&b"[]"[..], b"\"x\"", b"null", b"\xef\xbb\xbf{}", b"", b"{} {}", b"{\"a\":\xff}", &utf_16]
        {
            assert_eq!(Object::parse(bad), Err(JsonError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn dpop_jws_11_depth_and_width_are_bounded() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(Object::parse(deep.as_bytes()), Err(JsonError::TooLarge));
        let wide = format!("{{\"a\":[{}1]}}", "1,".repeat(MAX_MEMBERS));
        assert_eq!(Object::parse(wide.as_bytes()), Err(JsonError::TooLarge));
        let fine = format!("{{\"a\":{}{}}}", "[".repeat(MAX_DEPTH - 1), "]".repeat(MAX_DEPTH - 1));
        assert!(Object::parse(fine.as_bytes()).is_ok());
    }

    #[test]
    fn ops_tim_03_dates_neither_overflow_nor_go_negative() {
        for bad in ["-1", "1e308", "18446744073709551615", "\"1\"", "null", "9007199254740992"] {
            let text = format!("{{\"iat\":{bad}}}");
            let object = Object::parse(text.as_bytes()).expect("JSON");
            assert!(object.numeric_date("iat").is_err(), "{bad}");
        }
        let object = Object::parse(br#"{"iat":1.5}"#).expect("JSON");
        assert_eq!(object.numeric_date("iat"), Ok(Some(crate::time::UnixTime::from_millis(1500))));
    }

    #[test]
    fn dpop_jws_11_brackets_in_strings_are_no_depth() {
        let brackets = "[{".repeat(MAX_DEPTH);
        for text in [format!(r#"{{"a":"{brackets}"}}"#), format!(r#"{{"a":"\"{brackets}\\","b":[]}}"#)] {
            assert!(Object::parse(text.as_bytes()).is_ok(), "{text}");
        }
        let after_a_string = format!(r#"{{"a":"\\","b":{}}}"#, "[".repeat(MAX_DEPTH));
        assert_eq!(Object::parse(after_a_string.as_bytes()), Err(JsonError::TooLarge));
        let side_by_side = format!(r#"{{"a":[{}{{}}]}}"#, "{},".repeat(MAX_DEPTH));
        assert!(Object::parse(side_by_side.as_bytes()).is_ok());
    }

    #[test]
    fn dpop_jws_11_width_is_bounded_and_reached() {
        let array = |count: usize| format!(r#"{{"a":[{}]}}"#, vec!["1"; count].join(","));
        let object = |count: usize| {
            let members: Vec<String> = (0..count).map(|index| format!(r#""m{index}":1"#)).collect();
            format!("{{{}}}", members.join(","))
        };
        for text in [array(MAX_MEMBERS), object(MAX_MEMBERS)] {
            assert!(Object::parse(text.as_bytes()).is_ok());
        }
        for text in [array(MAX_MEMBERS + 1), object(MAX_MEMBERS + 1)] {
            assert_eq!(Object::parse(text.as_bytes()), Err(JsonError::TooLarge));
        }
    }

    #[test]
    fn dpop_jws_07_a_member_of_another_type_is_not_an_absent_one() {
        let json =
            br#"{"s":"x","n":null,"b":true,"u":7,"i":-7,"f":0.5,"a":["x","y"],"m":["x",1],"o":{"p":"q"}}"#;
        let object = Object::parse(json).expect("JSON");
        let values: Vec<Value<'_>> = object.iter().take(6).map(|(_, value)| value.clone()).collect();
        let numbers = [Number::Unsigned(7), Number::Negative(-7), Number::Float(0.5)].map(Value::Number);
        assert_eq!(values[1..3], [Value::Null, Value::Bool(true)]);
        assert_eq!(values[3..], numbers);
        assert_eq!((object.string("s"), object.string("none")), (Ok(Some("x")), Ok(None)));
        assert!(object.string("n").is_err() && object.has("n") && !object.has("none"));
        let inner = object.object("o").expect("an object").expect("present");
        assert_eq!((inner.string("p"), inner.iter().count()), (Ok(Some("q")), 1));
        assert!(object.object("a").is_err() && object.object("none") == Ok(None));
        assert_eq!((object.strings("s"), object.strings("none")), (Ok(Some(vec!["x"])), Ok(None)));
        assert_eq!(object.strings("a"), Ok(Some(vec!["x", "y"])));
        assert!(object.strings("m").is_err() && object.strings("o").is_err());
        assert_eq!(object.numeric_date("none"), Ok(None));
    }

    #[test]
    fn ops_tim_03_dates_at_their_ends() {
        let date = |text: &str| {
            let json = format!(r#"{{"iat":{text}}}"#);
            Object::parse(json.as_bytes()).expect("JSON").numeric_date("iat").ok().flatten()
        };
        let millis = |millis| Some(crate::time::UnixTime::from_millis(millis));
        assert_eq!((date("0"), date("0.0"), date("0.25")), (millis(0), millis(0), millis(250)));
        assert_eq!(date("9007199254740991"), Some(crate::time::UnixTime::from_secs((1 << 53) - 1)));
        assert_eq!((date("9007199254740992.0"), date("-0.5")), (None, None));
    }
}
