//! Writes a JSON object member by member, with no map in between.

use serde::Serialize;

/// A JSON object that is being written. The names are our own: nothing in them is escaped.
#[derive(Debug)]
pub struct ObjectWriter(String);

impl ObjectWriter {
    /// An object without members, with room for about so many octets.
    #[must_use]
    pub fn with_room(octets: usize) -> Self {
        let mut json = String::with_capacity(octets);
        json.push('{');
        Self(json)
    }

    /// A member that is a text.
    #[must_use]
    pub fn text(mut self, name: &str, text: &str) -> Self {
        self.name(name);
        if is_plain(text) {
            self.0.push('"');
            self.0.push_str(text);
            self.0.push('"');
        } else {
            self.0.push_str(&serde_json::Value::from(text).to_string());
        }
        self
    }

    /// A member that is a text, where there is one.
    #[must_use]
    pub fn optional(self, name: &str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// A member that is a number.
    #[must_use]
    pub fn number(mut self, name: &str, number: u64) -> Self {
        self.name(name);
        self.0.push_str(&number.to_string());
        self
    }

    /// A member that is an object.
    #[must_use]
    pub fn object(mut self, name: &str, object: Self) -> Self {
        self.name(name);
        self.0.push_str(&object.finish());
        self
    }

    /// A member of any kind; left out if it cannot be written, which texts, lists and JSON can.
    #[must_use]
    pub fn json(mut self, name: &str, value: &impl Serialize) -> Self {
        if let Ok(json) = serde_json::to_string(value) {
            self.name(name);
            self.0.push_str(&json);
        }
        self
    }

    /// The object.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }
}

/// Whether the text may stand in a JSON string as it is (RFC 8259 §7). Looks at all of it, since that is quicker.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |plain, octet| plain & (octet >= 0x20) & (octet != b'"') & (octet != b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_back_whatever_is_in_it() {
        for odd in ["", "plain", "é\u{7f}\u{2028}", "a\"b", "a\\b", "\0\u{1f}\r\n\t"] {
            let written = ObjectWriter::with_room(0)
                .text("a", odd)
                .optional("b", Some(odd))
                .optional("c", None)
                .number("d", u64::MAX)
                .json("e", &["x", odd])
                .object("f", ObjectWriter::with_room(0).number("g", 0).text("h", odd))
                .finish();
            let read: serde_json::Value = serde_json::from_str(&written).expect("JSON");
            assert_eq!(
                read,
                json!({ "a": odd, "b": odd, "d": u64::MAX, "e": ["x", odd], "f": { "g": 0, "h": odd } }),
                "{written}"
            );
        }
        assert_eq!(ObjectWriter::with_room(2).finish(), "{}");
    }
}
