//! Whether, and about which tokens, an issuer is asked.

use crate::rejection::Reason;
#[cfg(feature = "introspect")]
use crate::token;
use crate::token::Token;
use keybound_dpop::time::Now;
use keybound_dpop::token_hash::TokenHash;
use std::sync::Arc;

/// Which of an issuer's tokens it is asked about (RFC 7662), and which are believed by their signature alone.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Introspection {
    /// None: its tokens are JWTs.
    #[default]
    Off,
    /// Those that are no JWTs.
    #[cfg(feature = "introspect")]
    Opaque(crate::introspect::Introspector),
    /// JWTs as well, after their signature: so that one that was revoked is refused before it expires (RS-CHK-04).
    #[cfg(feature = "introspect")]
    Every(crate::introspect::Introspector),
}

/// A token, and what it is held against besides its own word.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) text: &'a str,
    pub(crate) hash: TokenHash,
    pub(crate) audience: &'a [String],
    /// Whether that is the guard's, and not a route's own.
    pub(crate) is_guards: bool,
    pub(crate) now: Now,
}

#[cfg(not(feature = "introspect"))]
#[expect(clippy::unused_async, clippy::unused_self, reason = "with the feature they wait for an answer")]
impl Introspection {
    pub(crate) const fn is_asked_about(&self, _: &str) -> bool {
        false
    }

    pub(crate) async fn opaque(&self, _: About<'_>) -> Result<Arc<Token>, Reason> {
        Err(Reason::TokensUnavailable("nobody can be asked".to_owned()))
    }

    pub(crate) async fn confirm(&self, _: About<'_>, _: &Token) -> Result<(), Reason> {
        Ok(())
    }

    pub(crate) const fn forget(&self, _: &TokenHash) {}

    pub(crate) const fn overlaps(&self, _: &Self) -> bool {
        false
    }

    pub(crate) const fn asks_another(&self, _: &str) -> bool {
        false
    }
}

#[cfg(feature = "introspect")]
impl Introspection {
    const fn introspector(&self) -> Option<&crate::introspect::Introspector> {
        match self {
            Self::Off => None,
            Self::Opaque(introspector) | Self::Every(introspector) => Some(introspector),
        }
    }

    /// Whether the issuer is the one to ask about a token that is no JWT.
    pub(crate) fn is_asked_about(&self, text: &str) -> bool {
        self.introspector().is_some_and(|introspector| text.starts_with(introspector.prefix()))
    }

    /// Whether one token could be either issuer's.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let prefixes = self.introspector().zip(other.introspector());
        prefixes
            .map(|(one, other)| (one.prefix(), other.prefix()))
            .is_some_and(|(one, other)| one.starts_with(other) || other.starts_with(one))
    }

    /// Whether somebody else than this issuer is asked.
    pub(crate) fn asks_another(&self, issuer: &str) -> bool {
        self.introspector().is_some_and(|introspector| introspector.issuer() != issuer)
    }

    /// What stands behind a token that is no JWT.
    pub(crate) async fn opaque(&self, about: About<'_>) -> Result<Arc<Token>, Reason> {
        let nobody = || Reason::TokensUnavailable("nobody can be asked".to_owned());
        let told = Box::pin(self.introspector().ok_or_else(nobody)?.ask(about)).await?;
        told.token.clone().map_err(Reason::Token)
    }

    /// Whether the issuer still stands by a JWT that it signed.
    pub(crate) async fn confirm(&self, about: About<'_>, token: &Token) -> Result<(), Reason> {
        let Self::Every(introspector) = self else { return Ok(()) };
        if !token::is_jwt(about.text) {
            return Ok(());
        }
        let told = Box::pin(introspector.ask(about)).await?;
        told.agrees_with(token, about.audience).map_err(Reason::Token)
    }

    pub(crate) fn forget(&self, hash: &TokenHash) {
        if let Some(introspector) = self.introspector() {
            introspector.forget(hash);
        }
    }
}
