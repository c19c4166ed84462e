//! Attacks with somebody else's token, or with something that is none (ATK-098 to ATK-109), each with the exact answer.

use crate::world::{API, ISSUER, Refused, URL, World, dpop, get, get_at, key_set};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::target::Target;
use keybound_resource::{DpopUse, Keys, TokenProfile, TrustedIssuer};
use serde_json::{Value, json};

const ALGS: &str = "algs=\"ES256 PS256 EdDSA Ed25519\"";

fn mixed() -> World {
    World::with(|config| {
        config.nonce = None;
        config.dpop = DpopUse::Allowed;
    })
}

fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).expect("a key")
}

/// 401, the DPoP challenge alone, with that error and row, not to be stored.
#[track_caller]
fn assert_refused(refused: &Refused, (error, row): (&str, &str)) {
    assert_eq!(refused.told(), (401, vec![("DPoP", Some(error))]));
    let line = &refused.lines[0];
    assert!(line.starts_with(&format!("DPoP error=\"{error}\", error_description=\"{row}: ")), "{line}");
    assert!(line.ends_with(ALGS), "{line}");
    assert_eq!(refused.response.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn rs_dwn_01_rs_dwn_02_fapi_rs_04_atk_098_a_stolen_token_as_bearer() {
    for (world, challenges) in [
        (World::new(), vec![("DPoP", Some("invalid_token"))]),
        (mixed(), vec![("DPoP", None), ("Bearer", Some("invalid_token"))]),
    ] {
        let token = world.token();
        let (bearer, proof) = (format!("Bearer {token}"), world.proof(&token));
        for request in
            [get(&[("authorization", &bearer)]), get(&[("authorization", &bearer), ("dpop", &proof)])]
        {
            let refused = world.refused(request).await;
            assert_eq!(refused.told(), (401, challenges.clone()));
            assert!(refused.lines[0].contains(ALGS), "DPoP first, with what it takes");
        }
        assert!(world.check(dpop(&token, &proof)).await.is_ok(), "no proof was burnt");
    }
}

#[tokio::test]
async fn dpop_cnf_01_dpop_cnf_06_fapi_rs_04_atk_099_a_stolen_token_with_the_thief_s_key() {
    let (world, thief) = (World::new(), new_key());
    let token = world.token();
    let refused = world.refused(dpop(&token, &world.proof_with(&thief, &token, None))).await;
    assert_refused(&refused, ("invalid_token", "DPOP-CNF-01"));
}

#[tokio::test]
async fn dpop_cnf_04_atk_101_an_unbound_token_as_dpop() {
    for world in [World::new(), mixed()] {
        let token = world.bearer_token();
        for proof in [world.proof(&token), "junk".to_owned()] {
            assert_refused(&world.refused(dpop(&token, &proof)).await, ("invalid_token", "DPOP-CNF-04"));
        }
    }
}

#[tokio::test]
async fn dpop_cnf_03_dpop_cnf_05_atk_102_confirmations_that_confirm_nothing() {
    let world = mixed();
    let jkt = world.claims()["cnf"]["jkt"].clone();
    let text = jkt.as_str().expect("a text").to_owned();
    for cnf in [
        json!("x"),
        json!(null),
        json!([]),
        json!({ "jkt": format!("{text}=") }),
        json!({ "jkt": text.get(..42) }),
        json!({ "jkt": format!("{text}A") }),
        json!({ "jkt": [jkt] }),
        json!({ "jkt": null }),
        json!({ "kid": "k1" }),
        json!({ "x5t#S256": text }),
    ] {
        let mut claims = world.claims();
        claims["cnf"] = cnf.clone();
        let token = world.sign(&claims);
        let refused = world.refused(dpop(&token, &world.proof(&token))).await;
        assert_refused(&refused, ("invalid_token", "DPOP-CNF-05"));
        let bearer = world.refused(get(&[("authorization", &format!("Bearer {token}"))])).await;
        assert_eq!(bearer.told(), (401, vec![("DPoP", None), ("Bearer", Some("invalid_token"))]), "{cnf}");
    }
}

#[tokio::test]
async fn rs_sch_04_rs_sch_05_fapi_rs_01_atk_103_two_tokens() {
    let world = World::new();
    let token = world.token();
    let (scheme, proof) = (format!("DPoP {token}"), world.proof(&token));
    let (parts, ()) = dpop(&token, &proof).into_parts();
    let form = Some(b"access_token=x".as_slice());
    let target = Target::parse(URL).expect("a target");
    let with_form = world.guard.check_with_form(&parts, form, &target).await.expect_err("refused");
    for refused in [
        world
            .refused(get(&[("authorization", "Bearer x"), ("authorization", &scheme), ("dpop", &proof)]))
            .await,
        world
            .refused(get_at("/things?access_token=x", &[("authorization", &scheme), ("dpop", &proof)]))
            .await,
        Refused::of(with_form),
    ] {
        assert_eq!(refused.told(), (400, vec![("DPoP", Some("invalid_request"))]));
        assert!(refused.lines[0].contains("RS-SCH-04"));
    }
    let alone = world.refused(get_at(&format!("/things?access_token={token}"), &[("dpop", &proof)])).await;
    assert_eq!(alone.told(), (401, vec![("DPoP", None)]));
    assert_eq!(alone.lines, [format!("DPoP {ALGS}")]);
    assert!(world.check(dpop(&token, &proof)).await.is_ok(), "no proof was burnt");
}

#[tokio::test]
async fn rs_sch_09_atk_104_a_proof_alone() {
    let world = World::new();
    let refused = world.refused(get(&[("dpop", &world.proof(&world.token()))])).await;
    assert_eq!(refused.told(), (401, vec![("DPoP", None)]));
    assert_eq!(refused.lines, [format!("DPoP {ALGS}")]);
}

#[tokio::test]
async fn rs_chk_07_atk_105_other_jwts_as_a_token() {
    for profile in [TokenProfile::Rfc9068, TokenProfile::Jwt] {
        let world = World::with(|config| {
            config.nonce = None;
            config.issuers[0].tokens = profile;
        });
        let now = world.now();
        let id_token = json!({ "iss": ISSUER, "sub": "alice", "aud": "app", "azp": "app", "exp": now + 60,
            "iat": now, "nonce": "n", "at_hash": "h" });
        let mut greedy = world.claims();
        greedy["at_hash"] = json!("h");
        let logout = json!({ "iss": ISSUER, "aud": API, "sub": "alice", "iat": now, "exp": now + 60, "jti": "1",
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} } });
        let introspection = json!({ "iss": ISSUER, "aud": API, "iat": now, "exp": now + 60, "sub": "alice",
            "token_introspection": world.claims() });
        let others = [
            ("JWT", id_token),
            ("logout+jwt", logout),
            ("token-introspection+jwt", introspection),
            ("oauth-authz-req+jwt", world.claims()),
            ("dpop+jwt", world.claims()),
            ("JWT", greedy),
        ];
        for (typ, claims) in others {
            let token = world.sign_as(typ, &claims);
            let refused = world.refused(dpop(&token, &world.proof(&token))).await;
            assert_refused(&refused, ("invalid_token", "RS-CHK-07"));
        }
        let proof = world.proof(&world.token());
        let refused = world.refused(dpop(&proof, &world.proof(&proof))).await;
        assert_eq!(refused.told(), (401, vec![("DPoP", Some("invalid_token"))]));
        let refresh = "AaMYXMkYPB45WWv1488xhw.6cGE5a--gLOmL0Tj1-5k5w";
        let refused = world.refused(dpop(refresh, &world.proof(refresh))).await;
        assert_refused(&refused, ("invalid_token", "RS-CHK-01"));
    }
}

/// A malicious issuer gives the client a token that it took from an honest one. At the guard it is still the honest
/// issuer's token, for whom that issuer meant it; and the malicious issuer's own word counts for nothing.
#[tokio::test]
async fn rs_chk_01_atk_107_a_cuckoo_s_token() {
    let (world, evil) = (World::new(), new_key());
    let mut foreign = world.claims();
    foreign["iss"] = json!("https://evil.example");
    let mut elsewhere = world.claims();
    elsewhere["aud"] = json!("https://other.example/");
    let of_the_victim = {
        let mut claims = world.claims();
        claims["cnf"] = json!({ "jkt": new_key().public_jwk().thumbprint().to_string() });
        claims
    };
    for (token, row) in [
        (world.sign_by(&evil, "at+jwt", &foreign), "RS-CHK-01"),
        (world.sign_by(&evil, "at+jwt", &world.claims()), "RS-CHK-01"),
        (world.sign(&elsewhere), "RS-CHK-01"),
        (world.sign(&of_the_victim), "DPOP-CNF-01"),
    ] {
        let refused = world.refused(dpop(&token, &world.proof(&token))).await;
        assert_refused(&refused, ("invalid_token", row));
    }
    let both = World::with(|config| {
        config.nonce = None;
        let keys = Keys::fixed(key_set(&evil));
        config.issuers.push(TrustedIssuer::new("https://evil.example", keys, TokenProfile::Rfc9068));
    });
    let honest = both.sign_by(&evil, "at+jwt", &both.claims());
    let refused = both.refused(dpop(&honest, &both.proof(&honest))).await;
    assert_eq!(refused.told(), (401, vec![("DPoP", Some("invalid_token"))]), "though both are trusted");
}

#[tokio::test]
async fn rs_chk_08_fapi_rs_05_atk_109_a_good_token_makes_no_proof_good() {
    let world = World::new();
    let token = world.token();
    let proof = world.proof(&token);
    assert!(world.check(dpop(&token, &proof)).await.is_ok());
    assert_refused(&world.refused(dpop(&token, &proof)).await, ("invalid_dpop_proof", "DPOP-JTI-04"));
    assert_refused(&world.refused(dpop(&token, "junk")).await, ("invalid_dpop_proof", "DPOP-JWS-01"));
    let elsewhere = world.proof_for("GET", "https://api.example/other", &world.client_key, &token, None);
    assert_refused(&world.refused(dpop(&token, &elsewhere)).await, ("invalid_dpop_proof", "DPOP-HTU-01"));
}

#[tokio::test]
async fn fapi_rs_01_tokens_come_in_the_header_and_nowhere_else() {
    let world = World::new();
    let token = world.token();
    assert!(world.check(dpop(&token, &world.proof(&token))).await.is_ok());
    let in_query = get_at(&format!("/things?access_token={token}"), &[("dpop", &world.proof(&token))]);
    assert_eq!(world.refused(in_query).await.told(), (401, vec![("DPoP", None)]));
}

#[tokio::test]
async fn fapi_rs_02_validity_integrity_expiry_and_revocation() {
    let world = World::new();
    let token = world.token();
    let access = world.check(dpop(&token, &world.proof(&token))).await.expect("let in");
    let mut broken = token.clone();
    broken.replace_range(broken.len() - 4.., "AAAA");
    let refused = world.refused(dpop(&broken, &world.proof(&broken))).await;
    assert_refused(&refused, ("invalid_token", "RS-CHK-01"));
    world.guard.deny(access.token_id(), access.expires_at());
    let refused = world.refused(dpop(&token, &world.proof(&token))).await;
    assert_refused(&refused, ("invalid_token", "RS-CHK-04"));
    let later = world.sign(&with(&world, "jti", &json!("t2")));
    world.clock.turn(600);
    let refused = world.refused(dpop(&later, &world.proof(&later))).await;
    assert_refused(&refused, ("invalid_token", "RS-CHK-01"));
}

#[tokio::test]
async fn rs_chk_04_fapi_rs_02_a_token_that_was_cut_off_does_not_come_back_with_its_other_signature() {
    let world = World::new();
    let token = world.token();
    let access = world.check(dpop(&token, &world.proof(&token))).await.expect("let in");
    let twin = with_other_signature(&token);
    let twin_access = world.check(dpop(&twin, &world.proof(&twin))).await.expect("as good as the first");
    assert_ne!(access.token_hash(), twin_access.token_hash());
    assert!(world.guard.deny(access.token_id(), access.expires_at()));
    for text in [&token, &twin] {
        let refused = world.refused(dpop(text, &world.proof(text))).await;
        assert_refused(&refused, ("invalid_token", "RS-CHK-04"));
    }
    assert_eq!(keybound_resource::TokenId::of(&twin), access.token_id());
}

/// The same token under the second signature that ECDSA has for it: `n - s` in the place of `s`.
fn with_other_signature(token: &str) -> String {
    const N: [u128; 2] = [0xffffffff_00000000_ffffffff_ffffffff, 0xbce6faad_a7179e84_f3b9cac2_fc632551];
    let (signed, signature) = token.rsplit_once('.').expect("a JWT");
    let mut signature = base64url::decode(signature).expect("base64url");
    let n: Vec<u8> = N.iter().flat_map(|half| half.to_be_bytes()).collect();
    let mut borrow = 0;
    for at in (0..32).rev() {
        let left = i16::from(n[at]) - i16::from(signature[32 + at]) - borrow;
        borrow = i16::from(left < 0);
        signature[32 + at] = u8::try_from(left.rem_euclid(256)).expect("an octet");
    }
    format!("{signed}.{}", base64url::encode(&signature))
}

#[tokio::test]
async fn fapi_rs_05_nonces_and_the_record_are_on_unless_switched_off() {
    let world = World::with(|_| {});
    let token = world.token();
    let refused = world.refused(dpop(&token, &world.proof(&token))).await;
    assert_refused(&refused, ("use_dpop_nonce", "DPOP-NON-01"));
    let nonce = world.guard.nonce();
    let proof = world.proof_with(&world.client_key, &token, nonce.as_ref());
    assert!(world.check(dpop(&token, &proof)).await.is_ok());
    assert_refused(&world.refused(dpop(&token, &proof)).await, ("invalid_dpop_proof", "DPOP-JTI-04"));
}

fn with(world: &World, name: &str, value: &Value) -> Value {
    let mut claims = world.claims();
    claims[name] = value.clone();
    claims
}
