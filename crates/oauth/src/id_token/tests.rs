//! What a client takes for an ID token, and what not.

use super::*;
use keybound_dpop::jose::algorithm::AlgorithmSet;
use keybound_dpop::jose::jws::UnverifiedJwt;
use keybound_dpop::jose::signer::SigningKey;

const NOW: u64 = 10_000;

struct World {
    key: SigningKey,
    issuer: Issuer,
    client_id: ClientId,
    access_token: Secret,
}

impl World {
    fn new(algorithm: Algorithm) -> Self {
        Self {
            key: SigningKey::generate(algorithm).expect("a key"),
            issuer: Issuer::parse("https://id.example").expect("an issuer"),
            client_id: ClientId::parse("app").expect("a client"),
            access_token: Secret::new("the.access.token"),
        }
    }

    fn token(&self) -> NewIdToken<'_> {
        NewIdToken {
            iss: &self.issuer,
            sub: "u-1",
            aud: &self.client_id,
            exp: UnixTime::from_secs(NOW + 600),
            iat: UnixTime::from_secs(NOW),
            nonce: Some("n-1"),
            auth_time: Some(UnixTime::from_secs(NOW - 5)),
            acr: Some("1"),
            amr: &["pwd"],
            claims: None,
            sid: Some("s-1"),
            access_token: Some(&self.access_token),
        }
    }

    fn expected(&self) -> Expected<'_> {
        Expected {
            issuer: &self.issuer,
            client_id: &self.client_id,
            nonce: Some("n-1"),
            access_token: Some(&self.access_token),
            max_age_secs: Some(60),
            claims: None,
            code: None,
            now: UnixTime::from_secs(NOW),
            skew_secs: 10,
        }
    }

    fn verified(&self, compact: &str) -> VerifiedJwt {
        let accepted = AlgorithmSet::of(&Algorithm::ALL);
        let jwt = UnverifiedJwt::parse(compact).expect("a JWT");
        jwt.verify(accepted, [self.key.public_jwk()].into_iter()).expect("verified")
    }

    /// A token whose claims have been changed; `null` removes one.
    fn changed(&self, name: &str, value: serde_json::Value) -> String {
        let mut claims = self.token().claims(self.key.algorithm());
        let members = claims.as_object_mut().expect("an object");
        members.remove(name);
        if !value.is_null() {
            members.insert(name.to_owned(), value);
        }
        jws::sign(&self.key, "JWT", None, claims.to_string().as_bytes()).expect("signed")
    }

    fn check_with(&self, name: &str, value: serde_json::Value) -> Result<IdTokenClaims, IdTokenError> {
        check(&self.verified(&self.changed(name, value)), &self.expected())
    }
}

#[test]
fn oidc_idt_01_what_is_written_is_accepted() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
        let world = World::new(algorithm);
        let compact = world.token().sign(&world.key, Some("k")).expect("signed");
        let claims = check(&world.verified(compact.reveal()), &world.expected()).expect("accepted");
        assert_eq!((claims.sub.as_str(), claims.sid.as_deref()), ("u-1", Some("s-1")));
        assert_eq!(claims.acr.as_deref(), Some("1"));
    }
}

#[test]
fn oidc_idt_07_at_hash_of_the_example_in_core() {
    // OpenID Connect Core, appendix A.3: the access token and the at_hash under RS256.
    let token = Secret::new("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
    assert_eq!(at_hash(Algorithm::Rs256, &token), "77QmUPtjPfzWtF2AnpK9RQ");
    assert_eq!(at_hash(Algorithm::EdDsa, &token).len(), 43);
    assert_eq!(at_hash(Algorithm::Es384, &token).len(), 32);
}

#[test]
fn cl_flw_06_every_wrong_claim_is_refused() {
    use serde_json::{Value, json};
    let world = World::new(Algorithm::Es256);
    let mismatch = IdTokenError::Mismatch;
    for (name, value, error) in [
        ("iss", json!("https://id.example/"), mismatch("iss")),
        ("iss", Value::Null, IdTokenError::Missing("iss")),
        ("aud", json!("other"), mismatch("aud")),
        ("aud", json!([]), mismatch("aud")),
        ("aud", json!(["app", "other"]), mismatch("aud")),
        ("aud", Value::Null, IdTokenError::Missing("aud")),
        ("azp", json!("other"), mismatch("azp")),
        ("exp", json!(NOW - 10), IdTokenError::Expired),
        ("exp", Value::Null, IdTokenError::Missing("exp")),
        ("iat", json!(NOW + 11), IdTokenError::Future),
        ("nbf", json!(NOW + 11), IdTokenError::Future),
        ("iat", Value::Null, IdTokenError::Missing("iat")),
        ("nonce", json!("n-2"), mismatch("nonce")),
        ("nonce", Value::Null, IdTokenError::Missing("nonce")),
        ("at_hash", json!("77QmUPtjPfzWtF2AnpK9RQ"), mismatch("at_hash")),
        ("auth_time", json!(NOW - 71), IdTokenError::TooOld),
        ("auth_time", Value::Null, IdTokenError::Missing("auth_time")),
        ("sub", json!(""), IdTokenError::Missing("sub")),
    ] {
        assert_eq!(world.check_with(name, value.clone()), Err(error), "{name} {value}");
    }
    for (name, value) in [("exp", json!("x")), ("iat", json!(null)), ("nbf", json!([])), ("sub", json!(1))] {
        assert!(world.check_with(name, value).is_err(), "{name}");
    }
    for (name, value) in [
        ("aud", json!(["app"])),
        ("azp", json!("app")),
        ("exp", json!(NOW - 9)),
        ("iat", json!(NOW + 10)),
        ("nbf", json!(NOW + 10)),
        ("at_hash", Value::Null),
    ] {
        assert!(world.check_with(name, value.clone()).is_ok(), "{name} {value}");
    }
}

#[test]
fn cl_flw_06_c_hash_where_it_is_there_is_that_of_the_code() {
    let world = World::new(Algorithm::Es256);
    let code = Secret::new("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk");
    // OpenID Connect Core, appendix A.4: the code and its hash.
    assert_eq!(at_hash(Algorithm::Rs256, &code), "LDktKdoQak3Pk0cnXxCltA");
    let check = |hash: &str| {
        let claims = serde_json::json!({ "c_hash": hash });
        let compact = NewIdToken { claims: claims.as_object(), ..world.token() };
        let compact = compact.sign(&world.key, None).expect("signed");
        check(&world.verified(compact.reveal()), &Expected { code: Some(&code), ..world.expected() })
    };
    assert!(check("LDktKdoQak3Pk0cnXxCltA").is_ok());
    assert_eq!(check("77QmUPtjPfzWtF2AnpK9RQ"), Err(IdTokenError::Mismatch("c_hash")));
    assert!(world.check_with("c_hash", "any".into()).is_ok(), "nothing to hold it against");
}

#[test]
fn cl_flw_06_what_was_asked_for_as_essential_is_insisted_on() {
    let world = World::new(Algorithm::Es256);
    let check = |asked: &str, name: &str, value: serde_json::Value| {
        let asked = ClaimsRequest::parse(asked).expect("a claims request");
        let jwt = world.changed(name, value);
        check(
            &world.verified(&jwt),
            &Expected { claims: Some(&asked), max_age_secs: None, ..world.expected() },
        )
    };
    let gold = r#"{"id_token":{"acr":{"essential":true,"values":["gold","1"]}}}"#;
    assert!(check(gold, "acr", "gold".into()).is_ok() && check(gold, "acr", "1".into()).is_ok());
    assert_eq!(check(gold, "acr", "silver".into()), Err(IdTokenError::Mismatch("acr")));
    assert_eq!(check(gold, "acr", serde_json::Value::Null), Err(IdTokenError::Missing("acr")));
    let liked = r#"{"id_token":{"acr":{"values":["gold"]}}}"#;
    assert!(check(liked, "acr", "silver".into()).is_ok());
    let when = r#"{"id_token":{"auth_time":{"essential":true}}}"#;
    assert!(check(when, "sid", "s".into()).is_ok());
    assert_eq!(check(when, "auth_time", serde_json::Value::Null), Err(IdTokenError::Missing("auth_time")));
    let who = r#"{"id_token":{"sub":{"value":"u-1"}}}"#;
    assert!(check(who, "sub", "u-1".into()).is_ok());
    assert_eq!(check(who, "sub", "u-2".into()), Err(IdTokenError::Mismatch("sub")));
}
