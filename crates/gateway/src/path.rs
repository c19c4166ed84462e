//! Paths with one reading (RS-GW-11). The path by which a route is chosen is the path that the upstream gets; where the
//! two could be read differently, a request would be judged by one rule and served by another.

use keybound_dpop::target::Target;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with a slash, or holds what no path holds.
    #[error("the path is not one of a URI")]
    NotAPath,
    /// Two slashes in a row.
    #[error("the path holds an empty segment")]
    EmptySegment,
    /// `\`, or `/`, `\`, `.` or NUL in percent-encoding.
    #[error("the path holds a backslash, or an encoded slash, backslash, dot or NUL")]
    Ambiguous,
    /// Dot segments, lower-case or needless percent-encoding (RFC 3986 §6.2.2).
    #[error("the path is not in its normal form (RFC 3986 section 6.2.2)")]
    NotNormal,
    /// It means something else to a server that drops the parameters of segments (`/a;x/b`, `/..;/a`).
    #[error("the path leads elsewhere where the parameters of its segments are dropped")]
    Parameters,
}

/// Checks that a path, without query, can be read in one way only.
///
/// # Errors
/// [`PathError`] names the first thing that is wrong.
pub fn check(path: &str) -> Result<(), PathError> {
    if !path.starts_with('/') {
        return Err(PathError::NotAPath);
    }
    if path.contains('\\') || holds_ambiguous_encoding(path) {
        return Err(PathError::Ambiguous);
    }
    if path.contains("//") {
        return Err(PathError::EmptySegment);
    }
    if without_parameters(path).is_some_and(|bare| check(&bare).is_err()) {
        return Err(PathError::Parameters);
    }
    if is_plain(path) {
        return Ok(());
    }
    match Target::parse(&format!("http://h{path}")) {
        Ok(target) if target.path() == path => Ok(()),
        Ok(_) => Err(PathError::NotNormal),
        Err(_) => Err(PathError::NotAPath),
    }
}

/// The path as a server reads it that drops the parameters of segments (RFC 3986 §3.3), also those behind an encoded
/// semicolon. None where there are none, as nearly always.
#[must_use]
pub fn without_parameters(path: &str) -> Option<String> {
    let begins = |segment: &str| {
        let encoded = || segment.as_bytes().windows(3).position(|three| three.eq_ignore_ascii_case(b"%3b"));
        [segment.find(';'), encoded()].into_iter().flatten().min()
    };
    begins(path)?;
    let bare = path
        .split('/')
        .map(|segment| begins(segment).map_or(segment, |end| segment.get(..end).unwrap_or_default()));
    Some(bare.collect::<Vec<_>>().join("/"))
}

/// As nearly all paths are: nothing is encoded, no segment begins with a dot, and so there is nothing to normalise.
fn is_plain(path: &str) -> bool {
    let is_plain_octet = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'?' | b'#');
    path.len() <= 1024 && path.bytes().all(is_plain_octet) && !path.contains("/.")
}

/// An encoded `/`, `\`, `.` or NUL, or a `%` that encodes nothing.
fn holds_ambiguous_encoding(path: &str) -> bool {
    path.split('%').skip(1).any(|after| {
        let code = after.get(..2).unwrap_or_default();
        let is_hex = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_hexdigit());
        !is_hex || ["2f", "5c", "2e", "00"].iter().any(|banned| code.eq_ignore_ascii_case(banned))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rs_gw_11_paths_with_one_reading() {
        for path in
            ["/", "/a", "/a/", "/a/b.json", "/a/%C3%A9", "/a%20b", "/~user", "/a;b=c,d", "/..a", "/a..b/..."]
        {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn rs_gw_11_plain_paths_are_what_they_are_once_normal() {
        let octets = (0..=u8::MAX).map(char::from);
        let paths = octets.flat_map(|c| ["", "/", ".", "/."].map(|before| format!("/a{before}{c}b")));
        let mut plain = 0;
        for path in paths.filter(|path| is_plain(path)) {
            plain += 1;
            let target = Target::parse(&format!("http://h{path}"));
            assert_eq!(target.map(|target| target.path() == path), Ok(true), "{path}");
        }
        assert!(plain > 200);
    }

    #[test]
    fn rs_gw_11_parameters_of_segments() {
        for (path, bare) in [
            ("/a/b", None),
            ("/a%20b", None),
            ("/a;b=c,d", Some("/a")),
            ("/a;b;c/d;e", Some("/a/d")),
            ("/a%3Bb;c/d", Some("/a/d")),
            ("/a/;b", Some("/a/")),
        ] {
            assert_eq!(without_parameters(path).as_deref(), bare, "{path}");
        }
    }

    #[test]
    fn rs_gw_11_paths_with_more_than_one() {
        for (path, error) in [
            ("", PathError::NotAPath),
            ("*", PathError::NotAPath),
            ("admin", PathError::NotAPath),
            ("/a\u{e9}", PathError::NotAPath),
            ("/a\tb", PathError::NotAPath),
            ("//admin", PathError::EmptySegment),
            ("/public//admin", PathError::EmptySegment),
            ("/public/\\admin", PathError::Ambiguous),
            ("/public%2Fadmin", PathError::Ambiguous),
            ("/public%2fadmin", PathError::Ambiguous),
            ("/public%5Cadmin", PathError::Ambiguous),
            ("/public/%2e%2e/admin", PathError::Ambiguous),
            ("/public/.%2E/admin", PathError::Ambiguous),
            ("/public/%00", PathError::Ambiguous),
            ("/public/%zz", PathError::Ambiguous),
            ("/public/%2", PathError::Ambiguous),
            ("/public/..;/admin", PathError::Parameters),
            ("/public/..;a=b/admin", PathError::Parameters),
            ("/public/..%3B/admin", PathError::Parameters),
            ("/public/.;/admin", PathError::Parameters),
            ("/public/;/admin", PathError::Parameters),
            ("/public/..;", PathError::Parameters),
            ("/public/../admin", PathError::NotNormal),
            ("/public/..", PathError::NotNormal),
            ("/./admin", PathError::NotNormal),
            ("/%61dmin", PathError::NotNormal),
            ("/%7Euser", PathError::NotNormal),
            ("/%c3%a9", PathError::NotNormal),
        ] {
            assert_eq!(check(path), Err(error), "{path}");
        }
    }
}
