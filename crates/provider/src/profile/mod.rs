//! Profiles: what is asked of clients and of configurations beyond what always holds. The FAPI 2.0 Security Profile is one
//! switch for a whole provider, or for one client. Its rules are here and nowhere else: two tables of what is refused, and
//! the questions that the steps of a request ask.

mod client;
mod config;

pub(crate) use config::check as check_config;

use crate::config::{AudienceRule, ConfigFile};
use crate::signing_keys::ALGORITHMS;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::proof::check::Policy;
use keybound_oauth::audience::Audience;
use keybound_oauth::client_metadata::{AuthMethod, ClientMetadata, ProfileName};

/// The algorithms of FAPI 2.0 (§5.4.1): no RS256, and nothing that it does not name.
const FAPI2_ALGORITHMS: [Algorithm; 4] =
    [Algorithm::Es256, Algorithm::Ps256, Algorithm::EdDsa, Algorithm::Ed25519];
/// Those, and what OpenID Connect asks of everybody (DEC-03).
const STANDARD_ALGORITHMS: [Algorithm; 5] =
    [Algorithm::Es256, Algorithm::Ps256, Algorithm::EdDsa, Algorithm::Ed25519, Algorithm::Rs256];

/// What holds for a provider, or for one client of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    name: ProfileName,
    audience: AudienceRule,
}

impl Profile {
    /// The standard one, with nothing switched.
    pub const STANDARD: Self = Self { name: ProfileName::Standard, audience: AudienceRule::IssuerOrEndpoint };
    /// The FAPI 2.0 Security Profile.
    pub const FAPI2: Self = Self { name: ProfileName::Fapi2, audience: AudienceRule::Issuer };

    /// What holds for all clients of a provider.
    #[must_use]
    pub fn of_provider(file: &ConfigFile) -> Self {
        match file.profile {
            ProfileName::Fapi2 => Self::FAPI2,
            ProfileName::Standard => Self {
                audience: file.assertion.audience.unwrap_or(Self::STANDARD.audience),
                ..Self::STANDARD
            },
        }
    }

    /// What holds for that client of this provider: the stricter of the two.
    #[must_use]
    pub fn of(self, client: &ClientMetadata) -> Self {
        match client.profile {
            ProfileName::Fapi2 => Self::FAPI2,
            ProfileName::Standard => self,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> ProfileName {
        self.name
    }

    /// Whether a client may be served: the rules that its metadata must meet (FAPI 2.0 Security Profile §5.3.2, §5.4).
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn check_client(self, client: &ClientMetadata) -> Result<(), String> {
        client::check(self.of(client), client)
    }

    /// How clients may authenticate (FAPI-AS-03, FAPI-AS-05).
    #[must_use]
    pub const fn auth_methods(self) -> &'static [AuthMethod] {
        match self.name {
            ProfileName::Standard => AuthMethod::ALL,
            ProfileName::Fapi2 => &[AuthMethod::PrivateKeyJwt],
        }
    }

    /// The algorithms of what clients sign besides proofs: assertions and request objects (FAPI-CRY-01).
    #[must_use]
    pub const fn signature_algorithms(self) -> &'static [Algorithm] {
        match self.name {
            ProfileName::Standard => &STANDARD_ALGORITHMS,
            ProfileName::Fapi2 => &FAPI2_ALGORITHMS,
        }
    }

    /// The algorithms that we sign with (FAPI-CRY-01).
    #[must_use]
    pub const fn signing_algorithms(self) -> &'static [Algorithm] {
        match self.name {
            ProfileName::Standard => &ALGORITHMS,
            ProfileName::Fapi2 => &[Algorithm::Es256, Algorithm::Ps256, Algorithm::EdDsa],
        }
    }

    /// What proofs are accepted, out of what the provider accepts (DPOP-ALG-07).
    #[must_use]
    pub fn proofs(self, provider: &Policy) -> Policy {
        match self.name {
            ProfileName::Standard => provider.clone(),
            ProfileName::Fapi2 => {
                let algorithms = provider.algorithms.intersection(AlgorithmSet::of(&FAPI2_ALGORITHMS));
                Policy { algorithms, ..provider.clone() }
            }
        }
    }

    /// Whether `aud` of a client assertion is right (AS-CA-05, AS-CA-06, AS-PAR-16): the issuer as a string; where it is
    /// not that strict, any array that has the issuer or an endpoint in it.
    #[must_use]
    pub fn accepts_audience(
        self,
        audience: &Audience,
        issuer: &str,
        is_endpoint: impl Fn(&str) -> bool,
    ) -> bool {
        match self.audience {
            AudienceRule::Issuer => matches!(audience, Audience::One(only) if only == issuer),
            AudienceRule::IssuerOrEndpoint => audience.iter().any(|one| one == issuer || is_endpoint(one)),
        }
    }

    /// Whether authorization requests must be pushed (FAPI-AZ-02).
    #[must_use]
    pub fn demands_pushed_requests(self) -> bool {
        self.name == ProfileName::Fapi2
    }

    /// Whether requests must say where the answer goes, though only one redirect URI is registered (FAPI-AZ-04).
    #[must_use]
    pub fn demands_redirect_uri(self) -> bool {
        self.name == ProfileName::Fapi2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_ca_05_as_ca_06_fapi_as_07_the_audience_by_profile() {
        let one = |text: &str| Audience::One(text.to_owned());
        let many = |texts: &[&str]| Audience::Many(texts.iter().map(|text| (*text).to_owned()).collect());
        let strict = Profile { audience: AudienceRule::Issuer, ..Profile::STANDARD };
        for (audience, tolerated, exact) in [
            (one("https://as.example"), true, true),
            (many(&["https://as.example"]), true, false),
            (one("https://as.example/token"), true, false),
            (many(&["https://as.example", "https://elsewhere.example"]), true, false),
            (one("https://as.example/"), false, false),
            (one("https://elsewhere.example"), false, false),
            (many(&[]), false, false),
        ] {
            let accepts = |profile: Profile| {
                profile.accepts_audience(&audience, "https://as.example", |one| {
                    one == "https://as.example/token"
                })
            };
            assert_eq!(accepts(Profile::STANDARD), tolerated, "{audience:?}");
            assert_eq!((accepts(strict), accepts(Profile::FAPI2)), (exact, exact), "{audience:?}");
        }
    }

    #[test]
    fn fapi_cry_01_dpop_alg_07_the_profile_narrows_and_never_widens() {
        let policy = |algorithms: &[Algorithm]| Policy {
            algorithms: AlgorithmSet::of(algorithms),
            ..Policy::default()
        };
        let narrowed =
            |algorithms: &[Algorithm]| Profile::FAPI2.proofs(&policy(algorithms)).algorithms.algs();
        assert_eq!(narrowed(&Algorithm::ALL), "ES256 PS256 EdDSA Ed25519");
        assert_eq!(narrowed(&[Algorithm::Rs256, Algorithm::Es256]), "ES256");
        assert_eq!(Profile::STANDARD.proofs(&policy(&[Algorithm::Rs256])).algorithms.algs(), "RS256");
    }
}
