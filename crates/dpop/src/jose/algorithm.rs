//! Signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864). There is no `none` and no MAC: what is not a
//! variant cannot be asked for.

use super::jwk::{Curve, PublicJwk};
use std::fmt;

/// An asymmetric signature algorithm, by its JOSE name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// EdDSA; with us always on Ed25519.
    EdDsa,
    /// The fully specified name of the same (RFC 9864).
    Ed25519,
}

impl Algorithm {
    /// All of them, in the order in which they are listed to others.
    pub const ALL: [Self; 11] = [
        Self::Es256,
        Self::Ps256,
        Self::EdDsa,
        Self::Ed25519,
        Self::Es384,
        Self::Es512,
        Self::Ps384,
        Self::Ps512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
    ];

    /// The value of `alg`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// The algorithm of that very name; names are case-sensitive (RFC 7515 §4.1.1). `None` for all that are not here.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The curve that an ECDSA algorithm is tied to (RFC 7518 §3.4); `None` for all others.
    #[must_use]
    pub const fn curve(self) -> Option<Curve> {
        match self {
            Self::Es256 => Some(Curve::P256),
            Self::Es384 => Some(Curve::P384),
            Self::Es512 => Some(Curve::P521),
            _ => None,
        }
    }

    /// Whether a key of this kind can be used with this algorithm (RFC 7518 §3.1, RFC 8725 §3.1).
    #[must_use]
    pub fn fits(self, key: &PublicJwk) -> bool {
        match key {
            PublicJwk::Ec(ec) => self.curve() == Some(ec.curve),
            PublicJwk::Okp(_) => matches!(self, Self::EdDsa | Self::Ed25519),
            PublicJwk::Rsa(_) => {
                matches!(
                    self,
                    Self::Ps256 | Self::Ps384 | Self::Ps512 | Self::Rs256 | Self::Rs384 | Self::Rs512
                )
            }
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A list of accepted algorithms. The default is ES256, PS256 and Ed25519 under both its names (DPOP-ALG-07).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AlgorithmSet(u16);

impl AlgorithmSet {
    /// The list that holds just these.
    #[must_use]
    pub fn of(algorithms: &[Algorithm]) -> Self {
        Self(algorithms.iter().fold(0, |bits, algorithm| bits | bit(*algorithm)))
    }

    /// Whether the algorithm is on the list.
    #[must_use]
    pub fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & bit(algorithm) != 0
    }

    /// The algorithms that are on both lists.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the list is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The algorithms on the list, in the order of [`Algorithm::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |algorithm| self.contains(*algorithm))
    }

    /// The names, as `dpop_signing_alg_values_supported` lists them (RFC 9449 §5.1).
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(Algorithm::name).collect()
    }

    /// The names, separated by spaces, as the `algs` attribute of a challenge has them (RFC 9449 §7.1).
    #[must_use]
    pub fn algs(self) -> String {
        self.names().join(" ")
    }
}

fn bit(algorithm: Algorithm) -> u16 {
    1 << (algorithm as u16)
}

impl Default for AlgorithmSet {
    fn default() -> Self {
        Self::of(&[Algorithm::Es256, Algorithm::Ps256, Algorithm::EdDsa, Algorithm::Ed25519])
    }
}

impl fmt::Debug for AlgorithmSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.algs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dpop_alg_01_names_are_exact() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.name()), Some(algorithm));
            assert_eq!(Algorithm::parse(&algorithm.name().to_lowercase()), None);
        }
        for other in ["none", "HS256", "ES256 ", "XX", "", "ES256K", "RS1"] {
            assert_eq!(Algorithm::parse(other), None);
        }
    }

    #[test]
    fn dpop_alg_07_default_list() {
        assert_eq!(AlgorithmSet::default().algs(), "ES256 PS256 EdDSA Ed25519");
        assert_eq!(format!("{:?}", AlgorithmSet::default()), "ES256 PS256 EdDSA Ed25519");
    }

    #[test]
    fn a_list_holds_what_it_was_given_be_it_twice() {
        let list = AlgorithmSet::of(&[Algorithm::Es384, Algorithm::Es256, Algorithm::Es384]);
        assert_eq!(list.names(), ["ES256", "ES384"]);
        assert!(!list.is_empty() && AlgorithmSet::of(&[]).is_empty());
    }
}
