//! How an authorization response travels (OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode, JARM §2.3). The
//! mode `fragment` has no name here: it is for tokens, which no authorization endpoint of ours gives out.

/// A value of `response_mode` that goes with `response_type=code`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ResponseMode {
    /// In the query of the redirect.
    #[default]
    Query,
    /// In a form that the browser posts.
    FormPost,
    /// Signed, in the query; `jwt` means this one where a code was asked for.
    QueryJwt,
    /// Signed, in a form that the browser posts.
    FormPostJwt,
}

impl ResponseMode {
    /// All names, in the order in which they are listed to others.
    pub const NAMES: [&str; 5] = ["query", "form_post", "jwt", "query.jwt", "form_post.jwt"];

    /// The mode of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "query" => Some(Self::Query),
            "form_post" => Some(Self::FormPost),
            "jwt" | "query.jwt" => Some(Self::QueryJwt),
            "form_post.jwt" => Some(Self::FormPostJwt),
            _ => None,
        }
    }

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::FormPost => "form_post",
            Self::QueryJwt => "query.jwt",
            Self::FormPostJwt => "form_post.jwt",
        }
    }

    /// Whether the browser posts a form.
    #[must_use]
    pub const fn is_posted(self) -> bool {
        matches!(self, Self::FormPost | Self::FormPostJwt)
    }

    /// Whether the response is signed.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::QueryJwt | Self::FormPostJwt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oidc_fp_05_every_name_is_read_and_fragment_is_none() {
        for name in ResponseMode::NAMES {
            let mode = ResponseMode::parse(name).expect(name);
            assert_eq!(ResponseMode::parse(mode.as_str()), Some(mode), "{name}");
        }
        for other in ["fragment", "fragment.jwt", "web_message", "QUERY", ""] {
            assert_eq!(ResponseMode::parse(other), None, "{other}");
        }
        assert_eq!(ResponseMode::default(), ResponseMode::Query);
    }
}
