//! Where a key stands in the file, so that an error can name the line.

use super::ConfigError;
use toml::de::{DeTable, DeValue};

/// The text that a configuration was read from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    place: String,
    text: String,
}

impl Source {
    pub(super) fn new(place: &str, text: &str) -> Self {
        Self { place: place.to_owned(), text: text.to_owned() }
    }

    /// The error that names that key, its line where it is written, and what to do.
    pub(crate) fn error(&self, key: &str, what: impl Into<String>) -> ConfigError {
        let shown =
            key.split('.').filter(|step| step.parse::<usize>().is_err()).collect::<Vec<_>>().join(".");
        let place = match self.line_of(key) {
            Some(line) => format!("{}, line {line}, `{shown}`", self.place),
            None => format!("{}, `{shown}`", self.place),
        };
        ConfigError { place, what: what.into() }
    }

    /// The line of the value of a key, as `nonce.mode` or `resource.0.dpop`; of the table around it, where the key itself
    /// is left out.
    fn line_of(&self, key: &str) -> Option<usize> {
        let document = DeTable::parse(&self.text).ok()?;
        let root = DeValue::Table(document.into_inner());
        let (mut here, mut start) = (&root, None);
        for step in key.split('.') {
            let next = match step.parse::<usize>() {
                Ok(index) => here.get(index),
                Err(_) => here.get(step),
            };
            let Some(next) = next else { break };
            start = Some(next.span().start);
            here = next.get_ref();
        }
        start.map(|start| line_at(&self.text, start))
    }
}

/// The line that the octet at this offset stands in.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|octet| *octet == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_and_the_table_around_those_that_are_left_out() {
        let text = "issuer = \"x\"\n\n[[resource]]\nidentifier = \"a\"\n[[resource]]\nidentifier = \"b\"\ndpop = 1\n";
        let source = Source::new("k.toml", text);
        for (key, place) in [
            ("issuer", "k.toml, line 1, `issuer`"),
            ("resource.1.dpop", "k.toml, line 7, `resource.dpop`"),
            ("resource.0.dpop", "k.toml, line 3, `resource.dpop`"),
            ("nonce.mode", "k.toml, `nonce.mode`"),
        ] {
            assert_eq!(source.error(key, "x").place, place);
        }
    }
}
