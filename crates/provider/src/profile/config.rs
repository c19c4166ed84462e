//! Configurations that are not safe, and what to write instead (OPS-DEP-01).

use super::FAPI2_ALGORITHMS;
use crate::config::{AudienceRule, ConfigError, ConfigFile, DpopMode, NonceMode, ResourceFile, algorithms};
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_oauth::client_metadata::ProfileName;

/// Access tokens live no longer where a proof of yesterday could go with them (RFC 9449 §11.2).
const MOST_WITHOUT_NONCES_SECS: u64 = 600;

/// A rule over a configuration.
struct Rule {
    row: &'static str,
    /// The profile that it belongs to; none: it always holds.
    profile: Option<ProfileName>,
    /// The key that breaks it.
    broken: fn(&ConfigFile) -> Option<String>,
    /// Why it is not safe, and what to write.
    advice: &'static str,
}

/// The first that is broken is told.
const RULES: [Rule; 10] = [
    Rule {
        row: "FAPI-NET-01",
        profile: None,
        broken: |file| key_if(file.tls.is_some() && is_http(file), "issuer"),
        advice: "with [tls] the listener speaks https, and clients would be sent to http: write https here, or leave [tls] \
                 out",
    },
    Rule {
        row: "AS-TOK-11",
        profile: None,
        broken: |file| {
            let lives_long = |secs: u64| secs > MOST_WITHOUT_NONCES_SECS;
            let is_long = file.lifetimes.access_token_secs.is_some_and(lives_long);
            key_if(is_long && file.nonce.mode != NonceMode::Required, "lifetimes.access_token_secs")
        },
        advice: "where proofs need no nonce, one made in advance goes with the token for as long as it lives: write 600 or \
                 less, or [nonce] mode = \"required\"",
    },
    Rule {
        row: "FAPI-NET-01",
        profile: Some(ProfileName::Fapi2),
        broken: |file| key_if(is_http(file), "issuer"),
        advice: "the profile fapi2 knows no plain http, on loopback neither: write an https issuer",
    },
    Rule {
        row: "FAPI-NET-01",
        profile: Some(ProfileName::Fapi2),
        broken: |file| key_if(file.tls.is_none() && !file.listen.ip().is_loopback(), "listen"),
        advice: "tokens and codes would cross the network in the clear: add [tls], or listen on 127.0.0.1 behind a proxy on \
                 this machine that speaks TLS",
    },
    Rule {
        row: "FAPI-AS-04",
        profile: Some(ProfileName::Fapi2),
        broken: |file| {
            let is_lax = |resource: &ResourceFile| resource.dpop != DpopMode::Required;
            file.resources.iter().position(is_lax).map(|index| format!("resource.{index}.dpop"))
        },
        advice: "the profile fapi2 knows no bearer tokens: write \"required\", or leave it out",
    },
    Rule {
        row: "DPOP-ALG-07",
        profile: Some(ProfileName::Fapi2),
        broken: |file| {
            let written = file.proof.algorithms.as_ref();
            let is_other =
                written.is_some_and(|names| algorithms(names) != Some(AlgorithmSet::of(&FAPI2_ALGORITHMS)));
            key_if(is_other, "proof.algorithms")
        },
        advice: "the profile fapi2 has its own list, ES256 PS256 EdDSA Ed25519: leave this out",
    },
    Rule {
        row: "FAPI-CRY-01",
        profile: Some(ProfileName::Fapi2),
        broken: |file| key_if(is_rs256(file.signing.access_tokens.as_ref()), "signing.access_tokens"),
        advice: "the profile fapi2 knows no RS256: write \"ES256\", \"PS256\" or \"EdDSA\"",
    },
    Rule {
        row: "FAPI-CRY-01",
        profile: Some(ProfileName::Fapi2),
        broken: |file| {
            let is_lax = |resource: &ResourceFile| is_rs256(resource.signing_alg.as_ref());
            file.resources.iter().position(is_lax).map(|index| format!("resource.{index}.signing_alg"))
        },
        advice: "the profile fapi2 knows no RS256: write \"ES256\", \"PS256\" or \"EdDSA\"",
    },
    Rule {
        row: "AS-CA-05",
        profile: Some(ProfileName::Fapi2),
        broken: |file| {
            key_if(file.assertion.audience == Some(AudienceRule::IssuerOrEndpoint), "assertion.audience")
        },
        advice: "in the profile fapi2 `aud` is the issuer and nothing else: write \"issuer\", or leave it out",
    },
    Rule {
        row: "FAPI-AS-03",
        profile: Some(ProfileName::Fapi2),
        broken: |file| key_if(file.nonce.mode == NonceMode::PublicClients, "nonce.mode"),
        advice: "the profile fapi2 serves no public clients, so nobody would need a nonce: write \"required\"",
    },
];

fn key_if(broken: bool, key: &str) -> Option<String> {
    broken.then(|| key.to_owned())
}

fn is_rs256(name: Option<&String>) -> bool {
    name.is_some_and(|name| name == Algorithm::Rs256.name())
}

fn is_http(file: &ConfigFile) -> bool {
    !file.issuer.starts_with("https:")
}

/// Refuses what is not safe.
///
/// # Errors
/// The reason, the line, and what to write instead.
pub(crate) fn check(file: &ConfigFile) -> Result<(), ConfigError> {
    let holds = |rule: &&Rule| rule.profile.is_none_or(|profile| profile == file.profile);
    for rule in RULES.iter().filter(holds) {
        if let Some(key) = (rule.broken)(file) {
            return Err(file.source.error(&key, format!("{} ({})", rule.advice, rule.row)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "issuer = \"https://as.example\"\nprofile = \"fapi2\"\n";

    fn checked(text: &str) -> Result<(), ConfigError> {
        ConfigFile::parse(text, "k.toml").and_then(|file| file.check()).map(|_| ())
    }

    #[test]
    fn ops_dep_01_each_unsafe_combination_is_refused_with_its_line_and_what_to_write() {
        let http = "issuer = \"http://127.0.0.1:1\"\nprofile = \"fapi2\"\n".to_owned();
        let http_and_tls =
            "issuer = \"http://127.0.0.1:1\"\n[tls]\ncertificate = \"c\"\nkey = \"k\"\n".to_owned();
        let with = |more: &str| format!("{GOOD}{more}\n");
        let long = |profile: &str| {
            let nonces = "[nonce]\nmode = \"off\"\n[lifetimes]\naccess_token_secs = 601\n";
            format!("issuer = \"https://as.example\"\nprofile = \"{profile}\"\n{nonces}")
        };
        let resource = "[[resource]]\nidentifier = \"https://a.example/\"\n[[resource]]\nidentifier = \"https://b.example/\"\n";
        for (text, line, key, row, write) in [
            (http_and_tls, 1, "issuer", "FAPI-NET-01", "https"),
            (long("standard"), 6, "lifetimes.access_token_secs", "AS-TOK-11", "600 or less"),
            (long("fapi2"), 6, "lifetimes.access_token_secs", "AS-TOK-11", "600 or less"),
            (http, 1, "issuer", "FAPI-NET-01", "an https issuer"),
            (with("listen = \"192.0.2.1:443\""), 3, "listen", "FAPI-NET-01", "[tls]"),
            (
                with(&format!("{resource}dpop = \"allowed\"")),
                7,
                "resource.dpop",
                "FAPI-AS-04",
                "\"required\"",
            ),
            (
                with(&format!("{resource}dpop = \"refresh_only\"")),
                7,
                "resource.dpop",
                "FAPI-AS-04",
                "\"required\"",
            ),
            (
                with("[proof]\nalgorithms = [\"ES256\", \"RS256\"]"),
                4,
                "proof.algorithms",
                "DPOP-ALG-07",
                "leave this out",
            ),
            (
                with("[proof]\nalgorithms = [\"ES256\"]"),
                4,
                "proof.algorithms",
                "DPOP-ALG-07",
                "leave this out",
            ),
            (
                with("[signing]\naccess_tokens = \"RS256\""),
                4,
                "signing.access_tokens",
                "FAPI-CRY-01",
                "\"ES256\"",
            ),
            (
                with(&format!("{resource}signing_alg = \"RS256\"")),
                7,
                "resource.signing_alg",
                "FAPI-CRY-01",
                "\"ES256\"",
            ),
            (
                with("[assertion]\naudience = \"issuer_or_endpoint\""),
                4,
                "assertion.audience",
                "AS-CA-05",
                "\"issuer\"",
            ),
            (with("[nonce]\nmode = \"public_clients\""), 4, "nonce.mode", "FAPI-AS-03", "\"required\""),
        ] {
            let error = checked(&text).expect_err(&text);
            assert_eq!(error.place, format!("k.toml, line {line}, `{key}`"), "{text}");
            assert!(error.what.contains(row) && error.what.contains(write), "{error}");
        }
    }

    #[test]
    fn ops_dep_01_what_is_safe_is_taken() {
        let tls = "[tls]\ncertificate = \"c\"\nkey = \"k\"\n";
        for text in [
            GOOD.to_owned(),
            format!("{GOOD}listen = \"0.0.0.0:443\"\n{tls}"),
            format!("{GOOD}listen = \"[::1]:8080\"\n"),
            format!("{GOOD}[proof]\nalgorithms = [\"Ed25519\", \"EdDSA\", \"PS256\", \"ES256\"]\n"),
            format!("{GOOD}[assertion]\naudience = \"issuer\"\n"),
            format!("{GOOD}[nonce]\nmode = \"off\"\n[lifetimes]\naccess_token_secs = 600\n"),
            format!("{GOOD}[lifetimes]\naccess_token_secs = 3600\n"),
        ] {
            assert_eq!(checked(&text), Ok(()), "{text}");
        }
    }

    #[test]
    fn ops_dep_01_the_standard_profile_takes_what_is_of_the_other_alone() {
        let resource = "[[resource]]\nidentifier = \"https://a.example/\"\ndpop = \"allowed\"\n";
        let rest = "[proof]\nalgorithms = [\"RS256\"]\n[nonce]\nmode = \"public_clients\"\n";
        let listen = "listen = \"192.0.2.1:80\"\n";
        assert_eq!(checked(&format!("issuer = \"http://127.0.0.1:1\"\n{listen}{resource}{rest}")), Ok(()));
        let unknown =
            checked("issuer = \"https://as.example\"\nprofile = \"fapi1\"").expect_err("no such profile");
        assert!(unknown.place.contains("line 2") && unknown.what.contains("fapi2"), "{unknown}");
    }

    #[test]
    fn ops_dep_01_the_examples_are_safe() {
        for (text, name) in [
            (include_str!("../../../../docs/examples/keybound.toml"), ProfileName::Standard),
            (include_str!("../../../../docs/examples/keybound-fapi2.toml"), ProfileName::Fapi2),
        ] {
            let config = ConfigFile::parse(text, "example").and_then(|file| file.check()).expect("safe");
            assert_eq!(config.profile.name(), name);
        }
    }
}
