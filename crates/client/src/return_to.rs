//! Where a user goes after a login (RFC 9700 §4.11.1): a path of the host program, or a URL on a list of its. What comes in
//! with a request is never followed as it is, or the program would send its users anywhere.

use crate::destination::Destination;
use crate::session::Origins;
use std::fmt;

/// A place that may be gone to after a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(String);

/// The text is no place to go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the place to return to must be a path of this site, such as /orders?page=2, or on its list")]
pub struct NoReturn;

impl ReturnTo {
    /// A path of the site itself, with a query if there is one.
    ///
    /// # Errors
    /// [`NoReturn`] for anything that a browser could take for another site.
    pub fn path(text: &str) -> Result<Self, NoReturn> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let is_local = text.starts_with('/') && !text.starts_with("//");
        let here = url::Url::parse("https://here.invalid/").map_err(|_| NoReturn)?;
        // Somebody between us and the browser may take the dots away, and what is left must not begin with a host.
        let is_of_here = |there: url::Url| there.origin() == here.origin() && !there.path().starts_with("//");
        let stays = here.join(text).is_ok_and(is_of_here);
        if is_plain && is_local && stays { Ok(Self(text.to_owned())) } else { Err(NoReturn) }
    }

    /// A path of the site itself, or a URL of one of these origins.
    ///
    /// # Errors
    /// [`NoReturn`]
    pub fn among(text: &str, origins: &Origins) -> Result<Self, NoReturn> {
        if let Ok(path) = Self::path(text) {
            return Ok(path);
        }
        let there = Destination::parse(text).map_err(|_| NoReturn)?;
        if origins.allow(&there) { Ok(Self(there.uri().to_string())) } else { Err(NoReturn) }
    }

    /// One that was checked before it was kept.
    pub(crate) fn kept(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The path or URL, for a `Location`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cl_flw_12_only_paths_of_the_site_are_returned_to() {
        for path in
            ["/", "/orders?page=2", "/a/../b", "/a?next=https://evil.example/", "/a#b", "/%2f%2fevil.example"]
        {
            assert_eq!(ReturnTo::path(path).expect(path).as_str(), path);
        }
        for other in [
            "",
            "orders",
            "//evil.example",
            "///evil.example",
            "/.//evil.example",
            "/a/..//evil.example",
            "/%2e//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            " /x",
            "https://evil.example/",
            "https:evil.example",
            "javascript:alert(1)",
            "/ü",
        ] {
            assert_eq!(ReturnTo::path(other), Err(NoReturn), "{other:?}");
        }
    }

    #[test]
    fn cl_flw_12_other_origins_are_returned_to_where_they_are_listed() {
        let origins = Origins::of(["https://app.example"]).expect("origins");
        assert!(ReturnTo::among("https://app.example/x?y", &origins).is_ok());
        assert!(ReturnTo::among("/x", &origins).is_ok());
        for other in [
            "https://evil.example/",
            "https://app.example.evil.example/",
            "https://app.example@evil.example/",
            "http://app.example/",
            "//app.example/",
            "https://app.example:8443/",
        ] {
            assert_eq!(ReturnTo::among(other, &origins), Err(NoReturn), "{other}");
        }
    }
}
