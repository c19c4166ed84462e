//! The `Authorization` header of a request (RFC 9110 §11.4, RFC 6750 §2.1, RFC 9449 §7.1). Tokens that come in any
//! other way are not read; that they are there beside the header is an error.

use crate::rejection::Reason;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The schemes that carry access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `DPoP` (RFC 9449 §7.1)
    Dpop,
    /// `Bearer` (RFC 6750 §2.1)
    Bearer,
}

/// A scheme and the token under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credentials<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) token: &'a str,
}

/// A request whose credentials cannot be read, under the scheme that it named.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) scheme: Option<Scheme>,
    pub(crate) reason: Reason,
}

/// The credentials of a request; `None` where it has none that we know. `form` is a body that was read already.
pub(crate) fn read<'a>(
    headers: &'a HeaderMap,
    query: Option<&str>,
    form: Option<&[u8]>,
) -> Result<Option<Credentials<'a>>, Unreadable> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let unreadable = |scheme, reason| Err(Unreadable { scheme, reason });
    if lines.next().is_some() {
        return unreadable(None, Reason::SeveralCredentials("more than one Authorization field"));
    }
    let Some(credentials) = split(line.as_bytes())? else { return Ok(None) };
    let scheme = Some(credentials.scheme);
    if query.is_some_and(|query| names_a_token(query.as_bytes())) {
        return unreadable(scheme, Reason::SeveralCredentials("a token in Authorization and in the query"));
    }
    if form.is_some_and(names_a_token) {
        return unreadable(scheme, Reason::SeveralCredentials("a token in Authorization and in the body"));
    }
    Ok(Some(credentials))
}

/// `scheme 1*SP token68`; `None` for schemes that are not for access tokens.
fn split(line: &[u8]) -> Result<Option<Credentials<'_>>, Unreadable> {
    let malformed = |scheme| Unreadable { scheme, reason: Reason::MalformedCredentials };
    let text = std::str::from_utf8(line).map_err(|_| malformed(None))?;
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !"!#$%&'*+-.^_`|~".contains(c));
    let (name, rest) = text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, ""));
    let scheme = match name {
        "" => return Err(malformed(None)),
        _ if name.eq_ignore_ascii_case("DPoP") => Scheme::Dpop,
        _ if name.eq_ignore_ascii_case("Bearer") => Scheme::Bearer,
        _ => return Ok(None),
    };
    let token = rest.trim_start_matches(' ');
    if token.len() == rest.len() || !is_token68(token) {
        return Err(malformed(Some(scheme)));
    }
    Ok(Some(Credentials { scheme, token }))
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    // All octets, without a branch on each, so that the compiler looks at many at once: tokens are long.
    !body.is_empty() && body.bytes().fold(true, |so_far, byte| so_far & is_token68_octet(byte))
}

fn is_token68_octet(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    // `-`, `.`, `/` and the digits stand in a row.
    let digit = byte.wrapping_sub(b'-') < 13;
    letter | digit | (byte == b'_') | (byte == b'~') | (byte == b'+')
}

/// Whether a parameter of the name `access_token` stands in a query or a form.
fn names_a_token(form: &[u8]) -> bool {
    form.split(|byte| *byte == b'&').any(|pair| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        name == b"access_token" || name.contains(&b'%') && percent_decoded(name) == b"access_token"
    })
}

fn percent_decoded(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let decoded = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        if decoded.is_some() {
            rest = after.get(2..).unwrap_or_default();
        }
        out.push(decoded.unwrap_or(*first));
    }
    out
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<Option<Credentials<'_>>, Unreadable> {
        split(line.as_bytes())
    }

    #[test]
    fn rs_sch_02_the_scheme_has_no_case() {
        for line in ["DPoP abc", "dpop abc", "DPOP abc", "dPoP abc"] {
            let credentials = one(line).expect("readable").expect("credentials");
            assert_eq!(credentials, Credentials { scheme: Scheme::Dpop, token: "abc" });
        }
        assert_eq!(one("bearer abc==").expect("readable").map(|c| c.scheme), Some(Scheme::Bearer));
    }

    #[test]
    fn rs_sch_03_spaces_and_token68() {
        assert_eq!(one("DPoP   a~b+/-._=").expect("readable").map(|c| c.token), Some("a~b+/-._="));
        for bad in
            ["DPoP", "DPoP ", "DPoP\tabc", "DPoP a,b", "DPoP \"abc\"", "DPoP a b", "DPoP a=b", "DPoP,x", ""]
        {
            assert!(
                matches!(one(bad), Err(Unreadable { reason: Reason::MalformedCredentials, .. })),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn rs_sch_03_the_octets_of_token68_and_no_others() {
        for byte in 0..=u8::MAX {
            let expected = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            assert_eq!(is_token68_octet(byte), expected, "{byte:#x}");
        }
    }

    #[test]
    fn other_schemes_are_not_ours() {
        assert_eq!(one("Basic dTpw").expect("readable"), None);
        assert_eq!(one("DPoPx abc").expect("readable"), None);
    }

    #[test]
    fn rs_sch_04_the_parameter_is_found_however_it_is_spelled() {
        for form in ["access_token=x", "a=b&access_token", "acc%65ss_token=x"] {
            assert!(names_a_token(form.as_bytes()), "{form}");
        }
        for form in ["", "a=access_token", "access_tokens=1", "xaccess_token=1"] {
            assert!(!names_a_token(form.as_bytes()), "{form}");
        }
    }
}
