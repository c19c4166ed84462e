//! Tokens in the shapes that other authorization servers document, and several issuers at one guard.

use crate::world::{API, ISSUER, URL, World, dpop, key_set};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::target::Target;
use keybound_oauth::scope::Scope;
use keybound_resource::{Access, GuardConfig, Keys, Rejection, TokenProfile, TrustedIssuer};
use serde_json::{Value, json};

/// Who made a token: the header and the claims that its documentation shows.
struct Shape {
    name: &'static str,
    header: Value,
    claims: Value,
}

fn shapes(world: &World) -> [Shape; 3] {
    let (now, jkt) = (world.now(), world.client_key.public_jwk().thumbprint().to_string());
    let keycloak = json!({
        "exp": now + 300, "iat": now, "auth_time": now - 10, "jti": "onrtac:3ee1c6ea-4b04-45bb-9ea8-4a5d4bd2a3f1",
        "iss": ISSUER, "aud": [API, "account"], "sub": "4e0f2c4b-6a0e-4ba4-9c0c-5d1f1de5a4a1", "typ": "DPoP",
        "azp": "app", "sid": "9f2d", "acr": "1", "allowed-origins": ["https://app.example"],
        "realm_access": { "roles": ["offline_access", "default-roles-main"] },
        "resource_access": { "account": { "roles": ["manage-account"] } }, "scope": "read email profile",
        "cnf": { "jkt": jkt, "note": "another member" }, "email_verified": true, "preferred_username": "alice",
    });
    let okta = json!({
        "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "iss": ISSUER, "aud": API, "iat": now,
        "exp": now + 3600, "cid": "app", "uid": "00ujmkLgagxeRrAg20g3", "scp": ["read", "profile"],
        "auth_time": now - 60, "sub": "alice@example.com", "cnf": { "jkt": jkt },
    });
    let auth0 = json!({
        "iss": ISSUER, "sub": "auth0|507f1f77bcf86cd799439011", "aud": [API, "https://tenant.example/userinfo"],
        "iat": now, "exp": now + 86_400, "azp": "app", "scope": "openid read", "permissions": ["read:things"],
        "gty": "password", "cnf": { "jkt": jkt },
    });
    let header = |typ: Option<&str>| match typ {
        Some(typ) => json!({ "alg": "ES256", "typ": typ, "kid": "k1" }),
        None => json!({ "kid": "k1", "alg": "ES256" }),
    };
    [
        Shape { name: "Keycloak", header: header(Some("JWT")), claims: keycloak },
        Shape { name: "Okta", header: header(None), claims: okta },
        Shape { name: "Auth0", header: header(Some("JWT")), claims: auth0 },
    ]
}

fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| base64url::encode(part.to_string().as_bytes());
    let input = format!("{}.{}", encode(header), encode(claims));
    let signature = key.sign(input.as_bytes()).expect("signed");
    format!("{input}.{}", base64url::encode(&signature))
}

async fn show(world: &World, token: &str) -> Result<Access, Rejection> {
    let request = dpop(token, &world.proof(token)).into_parts().0;
    let mut demand = world.guard.demand().clone();
    demand.scope = Scope::parse("read").expect("a scope");
    world.guard.check_for(&request, &Target::parse(URL).expect("a target"), &demand).await
}

fn taking(tokens: TokenProfile) -> World {
    World::with(|config| {
        config.nonce = None;
        config.issuers[0].tokens = tokens;
    })
}

#[tokio::test]
async fn rs_chk_01_tokens_in_documented_shapes_are_taken_under_jwt_alone() {
    let (lax, strict) = (taking(TokenProfile::Jwt), taking(TokenProfile::Rfc9068));
    for Shape { name, header, mut claims } in shapes(&lax) {
        let access = show(&lax, &signed(&lax.issuer_key, &header, &claims)).await.expect(name);
        assert_eq!((access.client_id(), access.jkt().is_some()), (Some("app"), true), "{name}");
        assert!(access.scope().contains("read"), "{name}");
        claims["cnf"] = strict.claims()["cnf"].clone();
        let refused = show(&strict, &signed(&strict.issuer_key, &header, &claims)).await.expect_err(name);
        assert_eq!((refused.status().as_u16(), refused.reason().row()), (401, "RS-CHK-07"), "{name}");
    }
}

#[tokio::test]
async fn rs_chk_01_rs_chk_07_atk_105_what_is_not_for_us_or_no_access_token_is_refused_in_every_shape() {
    let world = taking(TokenProfile::Jwt);
    let other = SigningKey::generate(Algorithm::Es256).expect("a key");
    for Shape { name, header, claims } in shapes(&world) {
        for (claim, value, row) in [
            ("aud", json!("https://other.example/"), "RS-CHK-01"),
            ("aud", json!("app"), "RS-CHK-07"),
            ("iss", json!("https://tenant-b.example"), "RS-CHK-01"),
            ("exp", json!(world.now()), "RS-CHK-01"),
            ("exp", json!("1"), "RS-CHK-09"),
            ("nbf", json!(world.now() + 60), "RS-CHK-01"),
            ("at_hash", json!("x"), "RS-CHK-07"),
            ("c_hash", json!("x"), "RS-CHK-07"),
            ("cnf", json!({ "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" }), "DPOP-CNF-05"),
            ("cnf", json!({ "kid": "k1" }), "DPOP-CNF-05"),
            ("cnf", json!({ "jkt": other.public_jwk().thumbprint().to_string() }), "DPOP-CNF-01"),
        ] {
            let mut changed = claims.clone();
            changed[claim] = value.clone();
            let refused = show(&world, &signed(&world.issuer_key, &header, &changed)).await.expect_err(name);
            assert_eq!(
                (refused.status().as_u16(), refused.reason().row()),
                (401, row),
                "{name} {claim} {value}"
            );
        }
        for typ in ["dpop+jwt", "logout+jwt", "oauth-authz-req+jwt", "token-introspection+jwt"] {
            let mut header = header.clone();
            header["typ"] = json!(typ);
            let refused = show(&world, &signed(&world.issuer_key, &header, &claims)).await.expect_err(name);
            assert_eq!(refused.reason().row(), "RS-CHK-07", "{name} {typ}");
        }
        let forged = show(&world, &signed(&other, &header, &claims)).await.expect_err(name);
        assert_eq!(forged.status(), 401, "{name}");
    }
}

/// Two tenants of one provider: an issuer and a guard each.
struct Tenants {
    a: World,
    b: World,
}

impl Tenants {
    fn new(change: fn(&mut GuardConfig)) -> Self {
        let tenant = |issuer: &'static str| {
            World::with(|config| {
                config.issuers[0].issuer = issuer.to_owned();
                change(config);
            })
        };
        Self { a: tenant("https://id.example/a"), b: tenant("https://id.example/b") }
    }

    fn token(of: &World, iss: &str, signer: &World) -> String {
        let mut claims = of.claims();
        claims["iss"] = json!(iss);
        signer.sign(&claims)
    }
}

#[tokio::test]
async fn ops_dep_05_atk_106_a_token_of_another_tenant_is_refused() {
    let Tenants { a, b } = Tenants::new(|config| config.nonce = None);
    let own = Tenants::token(&a, "https://id.example/a", &a);
    assert!(a.check(dpop(&own, &a.proof(&own))).await.is_ok());
    for (iss, signer) in
        [("https://id.example/b", &b), ("https://id.example/a", &b), ("https://id.example/b", &a)]
    {
        let token = Tenants::token(&a, iss, signer);
        let refused = a.refused(dpop(&token, &a.proof(&token))).await;
        assert_eq!(refused.told(), (401, vec![("DPoP", Some("invalid_token"))]), "{iss}");
    }
    let mut elsewhere = a.claims();
    elsewhere["iss"] = json!("https://id.example/a");
    elsewhere["aud"] = json!("https://other.example/");
    let token = a.sign(&elsewhere);
    let refused = a.refused(dpop(&token, &a.proof(&token))).await;
    assert_eq!(refused.told(), (401, vec![("DPoP", Some("invalid_token"))]));
}

#[tokio::test]
async fn ops_dep_05_nonces_and_the_replay_namespace_are_each_tenant_s_own() {
    let Tenants { a, b } = Tenants::new(|_| {});
    let token = Tenants::token(&a, "https://id.example/a", &a);
    let (own, foreign) = (a.guard.nonce(), b.guard.nonce());
    let challenged = a.refused(dpop(&token, &a.proof_with(&a.client_key, &token, foreign.as_ref()))).await;
    assert_eq!(challenged.told(), (401, vec![("DPoP", Some("use_dpop_nonce"))]));
    assert!(a.check(dpop(&token, &a.proof_with(&a.client_key, &token, own.as_ref()))).await.is_ok());

    // One log for both: the salt tells the tenants apart, so that none can burn the other's proofs.
    let log = std::sync::Arc::new(keybound_dpop::replay::MemoryLog::new(100, crate::world::begin()));
    let tenant = || {
        World::with(|config| {
            config.nonce = None;
            config.replay = keybound_resource::ReplayLog::Memory(std::sync::Arc::clone(&log));
        })
    };
    let (a, b) = (tenant(), tenant());
    let mut claims = b.claims();
    claims["cnf"] = a.claims()["cnf"].clone();
    let (at_a, at_b) = (a.token(), b.sign(&claims));
    let proof = a.proof(&at_a);
    assert!(a.check(dpop(&at_a, &proof)).await.is_ok());
    assert!(b.check(dpop(&at_b, &a.proof(&at_b))).await.is_ok());
    assert!(a.check(dpop(&at_a, &proof)).await.is_err());
    assert_eq!(log.len(), 2);
}

#[tokio::test]
async fn rs_chk_01_each_jwt_is_judged_by_the_issuer_that_it_names() {
    let second = SigningKey::generate(Algorithm::Es256).expect("a key");
    let world = World::with(|config| {
        config.nonce = None;
        let keys = Keys::fixed(key_set(&second));
        config.issuers.push(TrustedIssuer::new("https://second.example", keys, TokenProfile::Jwt));
    });
    let mut claims = world.claims();
    let token = world.sign(&claims);
    assert!(world.check(dpop(&token, &world.proof(&token))).await.is_ok());
    claims["iss"] = json!("https://second.example");
    let token = world.sign_by(&second, "JWT", &claims);
    assert!(world.check(dpop(&token, &world.proof(&token))).await.is_ok(), "in its own shape");
    claims["iss"] = json!(ISSUER);
    for token in [world.sign_by(&second, "at+jwt", &claims), world.sign_as("JWT", &claims)] {
        let refused = world.refused(dpop(&token, &world.proof(&token))).await;
        assert_eq!(refused.told(), (401, vec![("DPoP", Some("invalid_token"))]));
    }
}
