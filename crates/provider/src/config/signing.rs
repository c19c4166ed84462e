//! `[signing]`: what we sign with, and how long a key is used.

use super::file::SigningFile;
use super::{Config, ConfigError, Lifetimes, Source};
use crate::interaction::SIGNED_LIFE_SECS;
use crate::signing_keys::{ALGORITHMS, DEFAULT_ALGORITHM, Lives};
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};

const DEFAULT_ROTATE_DAYS: u32 = 90;
const MAX_ROTATE_DAYS: u32 = 3650;

/// What we sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signing {
    /// The algorithm of access tokens.
    pub access_tokens: Algorithm,
    /// The age at which a key gets a successor; none: by command only.
    pub rotate_secs: Option<u64>,
}

impl Default for Signing {
    fn default() -> Self {
        Self {
            access_tokens: DEFAULT_ALGORITHM,
            rotate_secs: Some(u64::from(DEFAULT_ROTATE_DAYS) * 24 * 3600),
        }
    }
}

/// An algorithm that we sign with: no MAC, not none (AS-AT-02).
pub(super) fn algorithm(name: &str) -> Result<Algorithm, String> {
    let known = Algorithm::parse(name).filter(|algorithm| ALGORITHMS.contains(algorithm));
    known.ok_or_else(|| format!("must be one of {}", AlgorithmSet::of(&ALGORITHMS).algs()))
}

impl SigningFile {
    pub(super) fn check(&self, source: &Source) -> Result<Signing, ConfigError> {
        let wrong = |key: &str, what: String| source.error(&format!("signing.{key}"), what);
        let access_tokens = match &self.access_tokens {
            Some(name) => algorithm(name).map_err(|what| wrong("access_tokens", what))?,
            None => DEFAULT_ALGORITHM,
        };
        let days = self.rotate_days.unwrap_or(DEFAULT_ROTATE_DAYS);
        if days > MAX_ROTATE_DAYS {
            let what = format!("must be at most {MAX_ROTATE_DAYS}; 0 means by command only");
            return Err(wrong("rotate_days", what));
        }
        let rotate_secs = (days > 0).then(|| u64::from(days) * 24 * 3600);
        Ok(Signing { access_tokens, rotate_secs })
    }
}

impl Config {
    /// The algorithm of an access token for these: what all of its resources ask for, else that of all tokens. The
    /// issuer, which is a resource too, takes any.
    #[must_use]
    pub fn access_token_algorithm(&self, audience: &[String]) -> Algorithm {
        let of_all = self.signing.access_tokens;
        let mut asked = audience.iter().filter_map(|name| self.resource(name));
        let mut asked = asked.by_ref().map(|resource| resource.signing_alg.unwrap_or(of_all));
        let first = asked.next().unwrap_or(of_all);
        if asked.all(|other| other == first) { first } else { of_all }
    }

    /// How long keys live.
    #[must_use]
    pub fn key_lives(&self) -> Lives {
        let Lifetimes { access_token_secs, id_token_secs, .. } = self.lifetimes;
        let signed_secs = access_token_secs.max(id_token_secs).max(SIGNED_LIFE_SECS);
        Lives { rotate_secs: self.signing.rotate_secs, signed_secs }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigError, ConfigFile};
    use crate::interaction::SIGNED_LIFE_SECS;
    use keybound_dpop::jose::algorithm::Algorithm;

    fn check(more: &str) -> Result<Config, ConfigError> {
        ConfigFile::parse(&format!("issuer = \"https://as.example\"\n{more}"), "k.toml")?.check()
    }

    #[test]
    fn ops_key_01_no_answer_that_is_signed_outlives_its_key() {
        let shortest = "[lifetimes]\naccess_token_secs = 60\nid_token_secs = 60";
        let lives = check(shortest).expect("a configuration").key_lives();
        assert!(lives.signed_secs >= SIGNED_LIFE_SECS, "{lives:?}");
    }

    #[test]
    fn as_at_02_only_what_can_be_signed_with_can_be_configured() {
        for weak in ["none", "HS256", "RS1", "ES512", "es256", ""] {
            for line in [
                format!("[signing]\naccess_tokens = \"{weak}\""),
                format!("[[resource]]\nidentifier = \"https://a.example/\"\nsigning_alg = \"{weak}\""),
            ] {
                let error = check(&line).expect_err(weak);
                assert!(error.what.contains("ES256 PS256 EdDSA RS256"), "{error}");
            }
        }
        assert!(
            check("[signing]\nrotate_days = 3651").is_err() && check("[signing]\nrotate_days = -1").is_err()
        );
    }

    #[test]
    fn keys_are_rotated_after_90_days_unless_told_otherwise() {
        let rotate = |line: &str| check(line).map(|config| config.signing.rotate_secs);
        assert_eq!(rotate(""), Ok(Some(90 * 86_400)));
        assert_eq!(rotate("[signing]\nrotate_days = 7"), Ok(Some(7 * 86_400)));
        assert_eq!(rotate("[signing]\nrotate_days = 0"), Ok(None));
        let lives = check("").expect("a configuration").key_lives();
        assert_eq!(lives.signed_secs, 600, "the longest of what is signed");
    }

    #[test]
    fn a_token_is_signed_as_all_of_its_resources_ask() {
        let resource = |name: &str, more: &str| {
            format!("[[resource]]\nidentifier = \"https://{name}.example/\"\n{more}\n")
        };
        let text = [
            resource("a", "signing_alg = \"PS256\""),
            resource("b", "signing_alg = \"PS256\""),
            resource("c", ""),
            "[signing]\naccess_tokens = \"EdDSA\"".to_owned(),
        ]
        .concat();
        let config = check(&text).expect("a configuration");
        for (audience, algorithm) in [
            (&["a"][..], Algorithm::Ps256),
            (&["a", "b"], Algorithm::Ps256),
            (&["a", "as"], Algorithm::Ps256),
            (&["c"], Algorithm::EdDsa),
            (&["a", "c"], Algorithm::EdDsa),
            (&["as"], Algorithm::EdDsa),
            (&[], Algorithm::EdDsa),
        ] {
            let names: Vec<String> = audience.iter().map(|name| format!("https://{name}.example/")).collect();
            assert_eq!(config.access_token_algorithm(&names), algorithm, "{audience:?}");
        }
    }
}
