//! The confirmation of an access token: which key it is bound to (`cnf`, RFC 7800 §3.1, RFC 9449 §6).

use crate::jose::json::{Object, Value};
use crate::jose::thumbprint::Thumbprint;

/// What a token's `cnf` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// There is no `cnf`, or an empty one: a bearer token.
    None,
    /// The token is bound to the key with this thumbprint.
    Jkt(Thumbprint),
    /// The token is bound to something that we cannot check, or its binding is malformed: it is of no use here, as
    /// Bearer neither (DPOP-CNF-03, DPOP-CNF-05, RS-DWN-06). The text says why.
    Unusable(&'static str),
}

impl Confirmation {
    /// Reads `cnf` from the claims of a verified token (RFC 9449 §6.1), or from an introspection response (§6.2).
    #[must_use]
    pub fn read(claims: &Object<'_>) -> Self {
        let cnf = match claims.get("cnf") {
            None => return Self::None,
            Some(Value::Object(cnf)) => cnf,
            Some(_) => return Self::Unusable("`cnf` is not an object"),
        };
        if cnf.has("x5t#S256") {
            return Self::Unusable("the token is bound to a client certificate, which was not proven");
        }
        match cnf.get("jkt") {
            Some(Value::String(jkt)) => Thumbprint::parse(jkt)
                .map_or(Self::Unusable("`cnf.jkt` is not a thumbprint of 43 characters"), Self::Jkt),
            Some(_) => Self::Unusable("`cnf.jkt` is not a string"),
            None if cnf.iter().next().is_none() => Self::None,
            None => Self::Unusable("`cnf` holds no confirmation that is known here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

    fn read(json: &str) -> Confirmation {
        Confirmation::read(&Object::parse(json.as_bytes()).expect("JSON"))
    }

    #[test]
    fn dpop_cnf_05_what_confirmations_are_judged_by() {
        let bound = Confirmation::Jkt(Thumbprint::parse(JKT).expect("a thumbprint"));
        assert_eq!(read("{}"), Confirmation::None);
        assert_eq!(read(r#"{"cnf":{}}"#), Confirmation::None);
        assert_eq!(read(&format!(r#"{{"cnf":{{"jkt":"{JKT}"}}}}"#)), bound);
        assert_eq!(read(&format!(r#"{{"cnf":{{"jkt":"{JKT}","kid":"x"}}}}"#)), bound);
        for unusable in [
            format!(r#"{{"cnf":{{"jkt":"{JKT}","x5t#S256":"AA"}}}}"#),
            r#"{"cnf":{"kid":"x"}}"#.to_owned(),
            r#"{"cnf":"x"}"#.to_owned(),
        ] {
            assert!(matches!(read(&unusable), Confirmation::Unusable(_)), "{unusable}");
        }
    }

    #[test]
    fn dpop_cnf_03_malformed_thumbprints_make_a_token_unusable() {
        for jkt in [format!("\"{JKT}=\""), format!("\"{}\"", JKT.trim_end_matches('I')), "7".to_owned()] {
            assert!(matches!(read(&format!(r#"{{"cnf":{{"jkt":{jkt}}}}}"#)), Confirmation::Unusable(_)));
        }
    }
}
