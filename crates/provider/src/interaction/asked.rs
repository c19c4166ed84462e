//! The authorization request as it travels: no row is written for a visitor who has not signed in, so every page
//! carries the request along, and every step judges it anew (OPS-LIM-06).

use crate::refusal::Denied;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::form::{Form, FormWriter};

/// Bytes of a request, form-encoded, at the most: it has to fit into a request line, whichever way it came.
pub const MAX_REQUEST_BYTES: usize = 7000;

/// The name of what is added to the request after a sign-in. See [`Asked::from_query`].
const SIGNED_IN: &str = "keybound_signed_in";

/// An authorization request: its parameters, and one spelling of them, which every page and every redirect keeps.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The parameters.
    pub form: Form,
    /// The same, form-encoded: as it came, where browsers hand it on unchanged; else by us.
    pub text: String,
}

impl Asked {
    /// Takes the parameters in.
    ///
    /// # Errors
    /// [`Denied`] where there are too many of them.
    pub fn of(form: Form) -> Result<Self, Denied> {
        let mut pairs: Vec<(&str, &str)> = form.pairs().collect();
        // Those of one name stay in their order.
        pairs.sort_by_key(|(name, _)| *name);
        let text = pairs.into_iter().fold(FormWriter::new(), |w, (name, value)| w.pair(name, value)).finish();
        Self::spelt(form, text)
    }

    fn spelt(form: Form, text: String) -> Result<Self, Denied> {
        if text.len() > MAX_REQUEST_BYTES {
            let wire = format!("the parameters must be at most {MAX_REQUEST_BYTES} octets, form-encoded");
            return Err(Denied::new(ErrorCode::InvalidRequest, "OPS-LIM-01", wire));
        }
        Ok(Self { form, text })
    }

    fn read(query: &str) -> Result<Self, Denied> {
        let form = Form::parse_query(query).map_err(repeated)?;
        match is_kept(query) {
            true => Self::spelt(form, query.to_owned()),
            false => Self::of(form),
        }
    }

    /// Reads the request from a query, and takes off the word that [`Asked::after_sign_in`] put at its end.
    ///
    /// # Errors
    /// [`Denied`] for a query that is no form, has a parameter twice, or is too long.
    pub fn from_query(query: &str) -> Result<(Self, Option<String>), Denied> {
        let (query, word) = match query.rsplit_once('&') {
            Some((before, last)) => match last.split_once('=') {
                Some((SIGNED_IN, word)) => (before, Some(word.to_owned())),
                _ => (query, None),
            },
            None => (query, None),
        };
        Ok((Self::read(query)?, word))
    }

    /// Reads the request that a page of ours carried.
    ///
    /// # Errors
    /// As [`Asked::from_query`].
    pub fn from_page(form: &Form) -> Result<Self, Denied> {
        Self::read(form.get("request").unwrap_or_default())
    }

    /// The query that goes on with the request after a sign-in, of which `word` is the evidence.
    #[must_use]
    pub fn after_sign_in(&self, word: &str) -> String {
        format!("{}&{SIGNED_IN}={word}", self.text)
    }
}

/// Whether a browser that is redirected to a URL with this query asks for it letter by letter: what it encodes by itself
/// (URL Standard, special-query percent-encode set) or takes for the end is not in it.
fn is_kept(query: &str) -> bool {
    // All of it is looked at, which is quicker than to stop at the first: many octets at a time.
    query.bytes().fold(true, |is_kept, octet| {
        is_kept & octet.is_ascii_graphic() & !matches!(octet, b'"' | b'#' | b'\'' | b'<' | b'>')
    })
}

fn repeated(error: keybound_oauth::form::FormError) -> Denied {
    let row = match error {
        keybound_oauth::form::FormError::Repeated(_) => "AS-AUT-06",
        _ => return error.into(),
    };
    Denied { row, ..error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_travels_unchanged() {
        let query = "state=a%20b%26c&resource=https%3A%2F%2Fa.example%2F&client_id=app&resource=urn:b&empty=";
        let (asked, word) = Asked::from_query(query).unwrap();
        assert_eq!((asked.form.get("state"), word), (Some("a b&c"), None));
        assert_eq!(asked.text, query);
        let (again, word) = Asked::from_query(&asked.after_sign_in("1.x")).unwrap();
        assert_eq!((&again.text, word.as_deref()), (&asked.text, Some("1.x")));
        assert_eq!(again.form.all("resource").collect::<Vec<_>>(), ["https://a.example/", "urn:b"]);
        let page = FormWriter::new().pair("request", &asked.text).finish();
        let carried = Asked::from_page(&Form::parse(page.as_bytes()).unwrap()).unwrap();
        assert_eq!(carried.text, asked.text);
    }

    fn as_a_browser_spells_it(query: &str) -> String {
        let mut url = url::Url::parse("https://id.example/authorize").unwrap();
        url.set_query(Some(query));
        url.query().unwrap_or_default().to_owned()
    }

    #[test]
    fn what_a_browser_would_spell_anew_is_spelt_at_once() {
        for character in ('\u{20}'..='\u{7e}').chain(['ü']) {
            let query = format!("client_id=app{character}");
            let is_browsers = as_a_browser_spells_it(&query) == query && character != '#';
            assert_eq!(is_kept(&query), is_browsers, "{character}");
        }
        for state in ["a'b", "a\"b", "a<b", "a>b", "a#b", "aüb", "a b"] {
            let (asked, _) = Asked::from_query(&format!("state={state}&client_id=app")).unwrap();
            assert_eq!(asked.form.get("state"), Some(state));
            assert_eq!(as_a_browser_spells_it(&asked.text), asked.text, "{state}");
            assert_eq!(Asked::from_query(&asked.text).unwrap().0.text, asked.text);
        }
    }

    #[test]
    fn as_aut_06_repeated_or_too_long_is_invalid_request() {
        let long = format!("state={}", "x".repeat(MAX_REQUEST_BYTES));
        for (query, row) in [("a=1&a=2", "AS-AUT-06"), (long.as_str(), "OPS-LIM-01"), ("a=%", "AS-TOK-12")] {
            let denied = Asked::from_query(query).unwrap_err();
            assert_eq!((denied.code, denied.row), (ErrorCode::InvalidRequest, row));
        }
    }
}
