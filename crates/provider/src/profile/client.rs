//! What a profile does not allow clients to be.

use super::Profile;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_oauth::client_metadata::{ApplicationType, ClientMetadata, ProfileName};

/// A rule over a client's metadata.
struct Rule {
    row: &'static str,
    member: &'static str,
    broken: fn(Profile, &ClientMetadata) -> bool,
    instead: &'static str,
}

/// FAPI 2.0 Security Profile §5.3.2.1, §5.3.2.2, §5.4. The first that is broken is told.
const FAPI2: [Rule; 11] = [
    Rule {
        row: "FAPI-AZ-03",
        member: "legacy_oidc",
        broken: |_, client| client.legacy_oidc,
        instead: "leave it out: every client sends a code_challenge and a proof",
    },
    Rule {
        row: "FAPI-AS-03",
        member: "token_endpoint_auth_method",
        broken: |_, client| client.is_public(),
        instead: "write \"private_key_jwt\", with `jwks` or `jwks_uri`: only confidential clients are served",
    },
    Rule {
        row: "FAPI-AS-05",
        member: "token_endpoint_auth_method",
        broken: |profile, client| !profile.auth_methods().contains(&client.token_endpoint_auth_method),
        instead: "write \"private_key_jwt\", with `jwks` or `jwks_uri`: shared secrets do not authenticate",
    },
    Rule {
        row: "FAPI-AS-04",
        member: "dpop_bound_access_tokens",
        broken: |_, client| !client.dpop_bound_access_tokens,
        instead: "write true, or leave it out: every access token is bound to a key",
    },
    Rule {
        row: "FAPI-AZ-06",
        member: "redirect_uris",
        broken: |_, client| {
            let is_native = client.application_type == ApplicationType::Native;
            !is_native && client.redirect_uris.iter().any(|uri| uri.url().scheme() == "http")
        },
        instead: "write https; http on loopback is for `application_type` = native",
    },
    Rule {
        row: "FAPI-CRY-04",
        member: "jwks_uri",
        broken: |_, client| client.jwks_uri.as_ref().is_some_and(|uri| uri.url().scheme() != "https"),
        instead: "write an https URL",
    },
    Rule {
        row: "FAPI-CRY-01",
        member: "jwks",
        broken: |profile, client| client.jwks_uri.is_none() && !has_usable_key(profile, client),
        instead: "add a key for ES256, PS256 or EdDSA: P-256, RSA of 2048 bits or more, or Ed25519",
    },
    Rule {
        row: "FAPI-CRY-01",
        member: "id_token_signed_response_alg",
        broken: |profile, client| !signs_with(profile, client.id_token_signed_response_alg),
        instead: ALGORITHM_ADVICE,
    },
    Rule {
        row: "FAPI-CRY-01",
        member: "authorization_signed_response_alg",
        broken: |profile, client| !signs_with(profile, client.authorization_signed_response_alg),
        instead: ALGORITHM_ADVICE,
    },
    Rule {
        row: "FAPI-CRY-01",
        member: "introspection_signed_response_alg",
        broken: |profile, client| !signs_with(profile, client.introspection_signed_response_alg),
        instead: ALGORITHM_ADVICE,
    },
    Rule {
        row: "FAPI-CRY-01",
        member: "userinfo_signed_response_alg",
        broken: |profile, client| !signs_with(profile, client.userinfo_signed_response_alg),
        instead: ALGORITHM_ADVICE,
    },
];

const ALGORITHM_ADVICE: &str = "write ES256, PS256 or EdDSA, or leave it out";

fn signs_with(profile: Profile, asked: Option<Algorithm>) -> bool {
    asked.is_none_or(|algorithm| profile.signing_algorithms().contains(&algorithm))
}

fn has_usable_key(profile: Profile, client: &ClientMetadata) -> bool {
    let usable = |algorithm: &Algorithm| {
        client.jwks.as_ref().is_some_and(|keys| keys.candidates(None, *algorithm).next().is_some())
    };
    profile.signature_algorithms().iter().any(usable)
}

pub(super) fn check(profile: Profile, client: &ClientMetadata) -> Result<(), String> {
    let rules: &[Rule] = match profile.name() {
        ProfileName::Standard => &[],
        ProfileName::Fapi2 => &FAPI2,
    };
    match rules.iter().find(|rule| (rule.broken)(profile, client)) {
        None => Ok(()),
        Some(Rule { row, member, instead, .. }) => {
            Err(format!("`{member}` does not fit the profile fapi2: {instead} ({row})"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybound_dpop::jose::signer::{Signer, SigningKey};
    use serde_json::{Value, json};

    fn key(algorithm: Algorithm) -> Value {
        let key = SigningKey::generate(algorithm).expect("a key").public_jwk().to_json();
        serde_json::from_str(&key).expect("JSON")
    }

    fn good() -> Value {
        json!({
            "client_id": "bank", "redirect_uris": ["https://bank.example/cb"],
            "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [key(Algorithm::Es256)] },
        })
    }

    fn checked(profile: Profile, changes: Value) -> Result<(), String> {
        let mut metadata = good();
        for (member, value) in changes.as_object().expect("an object") {
            match value {
                Value::Null => metadata.as_object_mut().expect("an object").remove(member),
                value => metadata.as_object_mut().expect("an object").insert(member.clone(), value.clone()),
            };
        }
        profile.check_client(&ClientMetadata::parse(&metadata).expect("metadata"))
    }

    #[test]
    fn fapi_as_03_fapi_as_05_each_rule_refuses_what_breaks_it_and_says_what_to_write() {
        let none = json!({ "token_endpoint_auth_method": "none", "jwks": null });
        let secret = |method: &str| json!({ "token_endpoint_auth_method": method, "client_secret": "s", "jwks": null });
        for (changes, row, told) in [
            (none, "FAPI-AS-03", "private_key_jwt"),
            (secret("client_secret_basic"), "FAPI-AS-05", "private_key_jwt"),
            (secret("client_secret_post"), "FAPI-AS-05", "private_key_jwt"),
            (json!({ "legacy_oidc": true }), "FAPI-AZ-03", "leave it out"),
            (json!({ "dpop_bound_access_tokens": false }), "FAPI-AS-04", "true"),
            (json!({ "redirect_uris": ["http://127.0.0.1/cb"] }), "FAPI-AZ-06", "https"),
            (json!({ "jwks": null, "jwks_uri": "http://127.0.0.1/jwks" }), "FAPI-CRY-04", "https"),
            (json!({ "jwks": { "keys": [key(Algorithm::Es384)] } }), "FAPI-CRY-01", "ES256"),
            (json!({ "id_token_signed_response_alg": "RS256" }), "FAPI-CRY-01", "ES256"),
            (json!({ "authorization_signed_response_alg": "RS256" }), "FAPI-CRY-01", "ES256"),
            (json!({ "introspection_signed_response_alg": "RS256" }), "FAPI-CRY-01", "ES256"),
            (json!({ "userinfo_signed_response_alg": "RS256" }), "FAPI-CRY-01", "ES256"),
        ] {
            let told_us = checked(Profile::FAPI2, changes.clone()).expect_err(row);
            assert!(told_us.contains(row) && told_us.contains(told), "{told_us}");
            assert_eq!(checked(Profile::STANDARD, changes.clone()), Ok(()), "{row} is of the profile alone");
            let mut own = changes;
            own["profile"] = json!("fapi2");
            assert_eq!(
                checked(Profile::STANDARD, own),
                Err(told_us),
                "a client's own profile asks for the same"
            );
        }
    }

    #[test]
    fn fapi_az_06_what_fits_is_taken_native_loopback_included() {
        let native = json!({ "application_type": "native", "redirect_uris": ["http://127.0.0.1/cb", "com.example.app:/cb"] });
        let remote = json!({ "jwks": null, "jwks_uri": "https://bank.example/jwks" });
        for changes in [json!({}), native, remote, json!({ "id_token_signed_response_alg": "PS256" })] {
            assert_eq!(checked(Profile::FAPI2, changes), Ok(()));
        }
    }

    #[test]
    fn fapi_cry_02_small_rsa_keys_and_curves_below_p_256_are_no_keys() {
        let small = json!({ "kty": "RSA", "e": "AQAB", "n": "y".repeat(171) });
        let p192 = json!({ "kty": "EC", "crv": "P-192", "x": "y".repeat(32), "y": "y".repeat(32) });
        for key in [small, p192] {
            let mut metadata = good();
            metadata["jwks"] = json!({ "keys": [key] });
            let error = ClientMetadata::parse(&metadata).expect_err("no usable key");
            assert_eq!(error.member, "jwks");
        }
    }
}
