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
    match Target::parse(&format!("http://h{path}")) {
        Ok(target) if target.path() == path => Ok(()),
        Ok(_) => Err(PathError::NotNormal),
        Err(_) => Err(PathError::NotAPath),
    }
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
