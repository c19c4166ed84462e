//! Which tokens are believed (RS-CHK).

use crate::world::{API, ISSUER, URL, World, dpop, get, key_set};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::jws;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::secret::Secret;
use keybound_dpop::target::Target;
use keybound_oauth::error::ErrorCode;
use keybound_resource::{
    Access, ConfigError, Guard, Keys, LocalKeys, LookedUp, Reason, Rejection, TokenError, TokenProfile,
};
use serde_json::{Value, json};

fn with_profile(tokens: TokenProfile) -> World {
    World::with(|config| {
        config.nonce = None;
        config.issuers[0].tokens = tokens;
    })
}

async fn refusal(world: &World, token: &str) -> Reason {
    let request = dpop(token, &world.proof(token));
    let rejection = world.check(request).await.expect_err("must be refused");
    assert_eq!(rejection.status(), 401);
    rejection.reason().clone()
}

async fn changed(world: &World, name: &str, value: Value) -> Reason {
    let mut claims = world.claims();
    match value {
        Value::Null => drop(claims.as_object_mut().expect("an object").remove(name)),
        value => claims[name] = value,
    }
    refusal(world, &world.sign(&claims)).await
}

#[tokio::test]
async fn rs_chk_01_bcp_tok_02_each_claim_counts() {
    let world = World::new();
    let now = world.now();
    for (name, value) in [
        ("iss", json!("https://issuer.example/")),
        ("iss", Value::Null),
        ("aud", json!("https://other.example/")),
        ("aud", json!(["https://api.example"])),
        ("aud", json!("")),
        ("aud", Value::Null),
        ("exp", json!(now)),
        ("nbf", json!(now + 3600)),
        ("sub", Value::Null),
        ("client_id", Value::Null),
        ("cnf", json!({ "jkt": "short" })),
    ] {
        let reason = changed(&world, name, value.clone()).await;
        assert!(matches!(reason, Reason::Token(_) | Reason::Unusable(_)), "{name} {value}: {reason:?}");
    }
    let mut claims = world.claims();
    claims["aud"] = json!(["https://other.example/", API]);
    claims["nbf"] = json!(now);
    let token = world.sign(&claims);
    assert!(world.check(dpop(&token, &world.proof(&token))).await.is_ok());
}

#[tokio::test]
async fn rs_chk_01_the_type_is_at_jwt() {
    let world = World::new();
    let claims = world.claims();
    for typ in ["JWT", "dpop+jwt", "logout+jwt", "at+jwt+x", ""] {
        let reason = refusal(&world, &world.sign_as(typ, &claims)).await;
        assert!(matches!(reason, Reason::Token(TokenError::Kind { .. })), "{typ}");
    }
    for typ in ["at+jwt", "application/at+jwt", "AT+JWT"] {
        let token = world.sign_as(typ, &claims);
        assert!(world.check(dpop(&token, &world.proof(&token))).await.is_ok(), "{typ}");
    }
}

#[tokio::test]
async fn rs_chk_01_tokens_of_issuers_before_rfc_9068() {
    let world = with_profile(TokenProfile::Jwt);
    let now = world.now();
    let cnf = json!({ "jkt": world.client_key.public_jwk().thumbprint().to_string() });
    let keycloak = json!({
        "iss": ISSUER, "sub": "u", "aud": [API, "account"], "azp": "app", "typ": "DPoP", "scope": "email read",
        "exp": now + 60, "iat": now, "cnf": cnf,
    });
    let okta = json!({
        "iss": ISSUER, "sub": "u", "aud": API, "cid": "app", "uid": "1", "scp": ["read"], "ver": 1,
        "exp": now + 60, "iat": now, "cnf": cnf,
    });
    let auth0 = json!({
        "iss": ISSUER, "sub": "auth0|1", "aud": [API, "https://tenant.example/userinfo"], "azp": "app",
        "scope": "openid read", "gty": "password", "exp": now + 60, "iat": now, "cnf": cnf,
    });
    for claims in [&keycloak, &okta, &auth0] {
        let token = world.sign_as("JWT", claims);
        let access = world.check(dpop(&token, &world.proof(&token))).await.expect("access");
        assert_eq!(access.client_id(), Some("app"));
        assert!(access.scope().contains("read"));
    }
    let kind = |reason: &Reason| matches!(reason, Reason::Token(TokenError::Kind { .. }));
    for typ in ["dpop+jwt", "application/logout+jwt", "oauth-authz-req+JWT"] {
        assert!(kind(&refusal(&world, &world.sign_as(typ, &okta)).await), "{typ}");
    }
    for (name, value) in [("at_hash", json!("x")), ("c_hash", json!("x")), ("aud", json!("app"))] {
        let mut id_token = okta.clone();
        id_token[name] = value;
        assert!(kind(&refusal(&world, &world.sign_as("JWT", &id_token)).await), "{name}");
    }
}

#[tokio::test]
async fn rs_chk_02_only_the_issuer_s_own_keys_count() {
    let world = World::new();
    let stranger = SigningKey::generate(Algorithm::Es256).expect("a key");
    let payload = world.claims().to_string();
    for kid in [Some("k1"), Some("../../k1"), None] {
        let token = jws::sign(&stranger, "at+jwt", kid, payload.as_bytes()).expect("signed");
        assert!(matches!(refusal(&world, &token).await, Reason::Token(TokenError::Jwt(_))), "{kid:?}");
    }
    let jwk: Value = serde_json::from_str(&stranger.public_jwk().to_json()).expect("JSON");
    for (name, value) in [("jwk", jwk), ("jku", json!("https://evil.example/")), ("crit", json!(["exp"]))] {
        let mut header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k1" });
        header[name] = value;
        let encode = |text: String| keybound_dpop::jose::base64url::encode(text.as_bytes());
        let signed = format!("{}.{}", encode(header.to_string()), encode(payload.clone()));
        let signature = stranger.sign(signed.as_bytes()).expect("signed");
        let token = format!("{signed}.{}", keybound_dpop::jose::base64url::encode(&signature));
        assert!(matches!(refusal(&world, &token).await, Reason::Token(TokenError::Jwt(_))), "{name}");
    }
}

#[tokio::test]
async fn rs_chk_03_encrypted_and_unsigned_tokens_are_refused() {
    let world = World::new();
    let encode = |text: &str| keybound_dpop::jose::base64url::encode(text.as_bytes());
    let claims = encode(&world.claims().to_string());
    let unsigned = format!("{}.{claims}.", encode(r#"{"typ":"at+jwt","alg":"none"}"#));
    let padded = format!("{}.{claims}.AA", encode(r#"{"typ":"at+jwt","alg":"none"}"#));
    let encrypted = format!("{}.a.b.c.d", encode(r#"{"alg":"RSA-OAEP","enc":"A256GCM","cty":"JWT"}"#));
    for token in [unsigned, padded, encrypted, "opaque".to_owned()] {
        assert!(matches!(refusal(&world, &token).await, Reason::Token(TokenError::Jwt(_))), "{token}");
    }
}

#[tokio::test]
async fn rs_chk_07_other_jwts_of_the_issuer_are_no_access_tokens() {
    let world = World::new();
    let id_token = json!({ "iss": ISSUER, "sub": "alice", "aud": "app", "exp": world.now() + 600 });
    for typ in ["JWT", "dpop+jwt", "oauth-authz-req+jwt"] {
        assert_eq!(refusal(&world, &world.sign_as(typ, &id_token)).await.row(), "RS-CHK-07");
    }
    let token = world.token();
    let proof = world.proof(&token);
    assert_eq!(world.check(dpop(&proof, &world.proof(&proof))).await.expect_err("no").status(), 401);
}

#[tokio::test]
async fn rs_chk_08_the_token_is_remembered_and_the_proof_is_not() {
    let keys = LocalKeys::new(Default::default());
    let world = World::with(|config| {
        config.nonce = None;
        config.issuers[0].keys = Keys::Local(keys.clone());
    });
    keys.replace(key_set(&world.issuer_key));
    let token = world.token();
    let proof = world.proof(&token);
    assert!(world.check(dpop(&token, &proof)).await.is_ok());
    assert!(world.check(dpop(&token, &world.proof(&token))).await.is_ok());
    assert!(world.check(dpop(&token, &proof)).await.is_err(), "a replay of a remembered token");
    assert!(world.check(dpop(&token, "junk")).await.is_err());
    keys.replace(key_set(&SigningKey::generate(Algorithm::Es256).expect("a key")));
    assert!(matches!(refusal(&world, &token).await, Reason::Token(TokenError::Jwt(_))), "its key is gone");
    keys.replace(key_set(&world.issuer_key));
    assert!(world.check(dpop(&token, &world.proof(&token))).await.is_ok());
    world.clock.turn(600);
    assert_eq!(refusal(&world, &token).await, Reason::Token(TokenError::Expired));
}

#[tokio::test]
async fn rs_chk_09_exp_is_a_number() {
    let world = World::new();
    for exp in [json!("x"), json!("1900000000"), json!([1]), Value::Null] {
        let reason = changed(&world, "exp", exp.clone()).await;
        assert_eq!(reason.row(), "RS-CHK-09", "{exp}");
    }
}

#[tokio::test]
async fn rs_chk_06_all_or_nothing() {
    let world = World::new();
    let token = world.token();
    let wrong_url = world.proof_for("GET", "https://api.example/other", &world.client_key, &token, None);
    let rejection = world.check(dpop(&token, &wrong_url)).await.expect_err("refused");
    assert_eq!(rejection.reason().row(), "DPOP-HTU-01");
    assert!(rejection.reason().for_wire().contains(URL), "the expected URL is told");
    let expired = get(&[("authorization", "DPoP x"), ("dpop", &world.proof(&token))]);
    assert!(world.check(expired).await.is_err());
}

#[test]
fn guards_that_would_take_everybody_are_not_made() {
    let world = World::new();
    let make = |change: fn(&mut keybound_resource::GuardConfig)| {
        let mut config = world.guard.config().clone();
        change(&mut config);
        Guard::new(config).expect_err("must not be made")
    };
    assert_eq!(make(|config| config.issuers.clear()), ConfigError::NoIssuer);
    assert_eq!(make(|config| config.issuers.push(config.issuers[0].clone())), ConfigError::IssuerTwice);
    assert_eq!(make(|config| config.audience.clear()), ConfigError::NoAudience);
}

const OPAQUE: &str = "AaMYXMkYPB45WWv1488xhw.6cGE5a--gLOmL0Tj1-5k5w";

/// Judges an opaque token of which this is known.
async fn known(world: &World, scheme: &str, looked_up: LookedUp) -> Result<Access, Rejection> {
    let proof = world.proof(OPAQUE);
    let request = get(&[("authorization", &format!("{scheme} {OPAQUE}")), ("dpop", &proof)]);
    let target = Target::parse(URL).expect("a target");
    let look_up = |token: Secret| async move {
        assert_eq!(token.reveal(), OPAQUE);
        looked_up
    };
    world.guard.check_known(&request.into_parts().0, &target, look_up).await
}

#[tokio::test]
async fn rs_chk_01_rs_dwn_04_a_token_that_is_looked_up_is_held_to_the_same_rules() {
    let world = World::new();
    let claims = |change: &dyn Fn(&mut Value)| {
        let mut claims = world.claims();
        change(&mut claims);
        Ok(Some(claims.to_string().into_bytes()))
    };
    let access = known(&world, "DPoP", claims(&|_| {})).await.expect("let through");
    assert_eq!((access.subject(), access.client_id()), ("alice", Some("app")));
    assert_eq!(access.jkt(), Some(&world.client_key.public_jwk().thumbprint()));
    let changes: [&dyn Fn(&mut Value); 6] = [
        &|claims| claims["aud"] = json!("https://other.example/"),
        &|claims| claims["iss"] = json!("https://other.example"),
        &|claims| claims["exp"] = json!(1),
        &|claims| claims["cnf"] = json!({ "jkt": "short" }),
        &|claims| claims["cnf"] = json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }),
        &|claims| drop(claims.as_object_mut().expect("an object").remove("cnf")),
    ];
    for change in changes {
        let refused = known(&world, "DPoP", claims(change)).await.expect_err("refused");
        assert_eq!(refused.reason().code(), Some(ErrorCode::InvalidToken), "{refused}");
    }
    let downgrade = known(&world, "Bearer", claims(&|_| {})).await.expect_err("refused");
    assert_eq!(*downgrade.reason(), Reason::Downgrade);
    let unknown = known(&world, "DPoP", Ok(None)).await.expect_err("refused");
    assert_eq!(*unknown.reason(), Reason::Token(TokenError::Unknown));
    let away = known(&world, "DPoP", Err("the store is away".to_owned())).await.expect_err("refused");
    assert_eq!(away.status(), 503);
    let garbage = known(&world, "DPoP", Ok(Some(b"{".to_vec()))).await.expect_err("refused");
    assert_eq!(garbage.status(), 401);
}
