//! Tokens that an issuer is asked about: what it says is held to the rules of any token, and is not believed for long.

use crate::asked::{Issuing, OPAQUE, config, introspector};
use crate::world::{ISSUER, Refused, World, dpop, get};
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::jws::UnverifiedJwt;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::secret::Secret;
use keybound_oauth::client_auth::Presented;
use keybound_oauth::form::Form;
use keybound_oauth::identifier::Issuer;
use keybound_resource::{
    ConfigError, DpopUse, Guard, GuardConfig, Introspection, IntrospectionAuth, IntrospectionEndpoint, Keys,
    TokenProfile, TrustedIssuer,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

fn with(world: &World, name: &str, value: Value) -> Value {
    let mut answer = world.active();
    answer[name] = value;
    let object = answer.as_object_mut().expect("an object");
    object.retain(|_, value| !value.is_null());
    answer
}

#[tokio::test]
async fn rs_int_01_an_opaque_token_is_what_its_issuer_says() {
    let issuer = Issuing::start().await;
    let world = issuer.world(|_| {});
    issuer.says(&world.active());
    let access = world.show(OPAQUE).await.expect("let in");
    assert_eq!((access.subject(), access.client_id(), access.issuer()), ("alice", Some("app"), ISSUER));
    assert!(access.jkt().is_some() && access.scope().contains("write"));
    let asked = &issuer.asked()[0];
    let form = Form::parse(asked.form.as_bytes()).expect("a form");
    assert_eq!((form.get("token"), form.get("token_type_hint")), (Some(OPAQUE), Some("access_token")));
    assert_eq!(asked.headers["accept"], "application/json");
}

#[tokio::test]
async fn rs_int_01_atk_108_only_the_boolean_true_is_active() {
    let issuer = Issuing::start().await;
    let world = issuer.world(|config| config.negative = Duration::ZERO);
    for active in [json!("true"), json!(1), json!(null), json!([true]), json!("false")] {
        issuer.says(&with(&world, "active", active.clone()));
        assert_eq!(world.row(OPAQUE).await, (401, "RS-INT-01"), "{active}");
    }
    issuer.says(&json!({ "active": false }));
    let refused = Refused::of(world.show(OPAQUE).await.expect_err("must be refused"));
    assert_eq!(refused.told(), (401, vec![("DPoP", Some("invalid_token"))]));
    issuer.answers(200, "application/json", "{\"active\":false,\"active\":true}");
    assert_eq!(world.row(OPAQUE).await, (503, "RS-GW-09"), "nobody can say what that means");
}

#[tokio::test]
async fn rs_int_03_each_member_counts() {
    let issuer = Issuing::start().await;
    let world = issuer.world(|config| config.negative = Duration::ZERO);
    let thumbprint = world.claims()["cnf"]["jkt"].clone();
    for (name, value, row) in [
        ("exp", json!(world.now()), "RS-CHK-01"),
        ("exp", json!("soon"), "RS-INT-03"),
        ("nbf", json!(world.now() + 60), "RS-CHK-01"),
        ("aud", json!("https://other.example/"), "RS-CHK-01"),
        ("aud", json!(null), "RS-CHK-01"),
        ("iss", json!("https://other.example"), "RS-INT-03"),
        ("token_type", json!("mac"), "RS-INT-03"),
        ("cnf", json!("x"), "RS-DWN-05"),
        ("cnf", json!({ "jkt": [thumbprint] }), "RS-DWN-05"),
        ("scope", json!(7), "RS-INT-03"),
    ] {
        issuer.says(&with(&world, name, value.clone()));
        assert_eq!(world.row(&format!("{name}-{row}")).await, (401, row), "{name}: {value}");
    }
}

#[tokio::test]
async fn rs_int_03_what_may_be_left_out_is_filled_in() {
    let issuer = Issuing::start().await;
    let world = issuer.world(|config| config.issuer_minds_audience = true);
    let mut answer = world.active();
    for name in ["iss", "sub", "aud", "exp", "jti", "iat", "token_type"] {
        answer.as_object_mut().expect("an object").remove(name);
    }
    issuer.says(&answer);
    let access = world.show(OPAQUE).await.expect("let in");
    assert_eq!((access.subject(), access.issuer()), ("app", ISSUER));
    assert_eq!(access.expires_at().as_secs(), world.now() + 30, "good for as long as the answer is");
    issuer.says(&with(&world, "aud", json!("https://other.example/")));
    assert_eq!(world.row("another").await, (401, "RS-CHK-01"), "what is said is held to");
}

#[tokio::test]
async fn rs_dwn_05_atk_108_a_bound_token_whose_key_is_not_told_is_refused() {
    let issuer = Issuing::start().await;
    for dpop_use in [DpopUse::Required, DpopUse::Allowed] {
        let world = issuer.world_with(
            Introspection::Opaque,
            |config| config.negative = Duration::ZERO,
            |guard| guard.dpop = dpop_use,
        );
        issuer.says(&with(&world, "cnf", json!(null)));
        assert_eq!(world.row(OPAQUE).await, (401, "RS-DWN-05"), "it says that it is bound");
        let bearer = get(&[("authorization", &format!("Bearer {OPAQUE}"))]);
        assert_eq!(world.check(bearer).await.expect_err("refused").status(), 401);
        let mut answer = with(&world, "cnf", json!(null));
        answer.as_object_mut().expect("an object").remove("token_type");
        issuer.says(&answer);
        assert_eq!(world.row("2").await, (401, "DPOP-CNF-04"), "under DPoP it must be bound");
        let bearer = world.check(get(&[("authorization", "Bearer 2")])).await;
        assert_eq!(bearer.is_ok(), dpop_use == DpopUse::Allowed);
        issuer.says(&world.active());
        let bearer = world.check(get(&[("authorization", "Bearer 3")])).await;
        assert_eq!(bearer.expect_err("a downgrade").reason().row(), "RS-DWN-01");
    }
}

#[tokio::test]
async fn rs_int_02_rs_chk_04_atk_108_a_revoked_token_is_refused_within_the_chosen_time() {
    let issuer = Issuing::start().await;
    let world = issuer.world(|_| {});
    issuer.says(&world.active());
    assert!(world.show(OPAQUE).await.is_ok());
    issuer.says(&json!({ "active": false }));
    world.clock.turn(29);
    assert!(world.show(OPAQUE).await.is_ok() && issuer.asked().len() == 1, "believed for 30 s");
    world.clock.turn(1);
    assert_eq!(world.row(OPAQUE).await, (401, "RS-INT-01"));
    issuer.says(&world.active());
    world.clock.turn(4);
    assert_eq!(world.row(OPAQUE).await, (401, "RS-INT-01"));
    assert_eq!(issuer.asked().len(), 2, "a bad answer is kept for 5 s");
    world.clock.turn(1);
    assert!(world.show(OPAQUE).await.is_ok());
}

#[tokio::test]
async fn rs_int_02_no_answer_outlives_its_token() {
    let issuer = Issuing::start().await;
    let world = issuer.world(|config| config.staleness = Duration::from_secs(3600));
    issuer.says(&with(&world, "exp", json!(world.now() + 10)));
    assert!(world.show(OPAQUE).await.is_ok());
    world.clock.turn(9);
    assert!(world.show(OPAQUE).await.is_ok());
    world.clock.turn(1);
    assert_eq!(world.row(OPAQUE).await, (401, "RS-CHK-01"));
    assert_eq!(issuer.asked().len(), 2);
}

#[tokio::test]
async fn rs_int_02_all_who_wait_ask_once() {
    let issuer = Issuing::start().await;
    let world = Arc::new(issuer.world(|_| {}));
    issuer.says(&world.active());
    issuer.holds_back();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let world = Arc::clone(&world);
        callers.spawn(async move { world.show(OPAQUE).await.is_ok() });
    }
    let impatient = tokio::time::timeout(Duration::from_millis(50), world.show(OPAQUE)).await;
    assert!(impatient.is_err(), "who goes away takes nothing from the others");
    issuer.lets_go();
    assert!(callers.join_all().await.into_iter().all(|let_in| let_in));
    assert_eq!(issuer.asked().len(), 1);
}

#[tokio::test]
async fn rs_int_02_a_flood_of_tokens_is_bounded_and_pushes_no_good_one_out() {
    let issuer = Issuing::start().await;
    let world = Arc::new(issuer.world(|config| config.remembered_tokens = 64));
    issuer.says(&world.active());
    assert!(world.show(OPAQUE).await.is_ok());
    issuer.says(&json!({ "active": false }));
    issuer.holds_back();
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..300 {
        let world = Arc::clone(&world);
        callers.spawn(async move { world.row(&format!("flood-{n}")).await });
    }
    assert_eq!(callers.join_next().await.expect("one").expect("ran"), (503, "RS-GW-09"));
    issuer.lets_go();
    let rows = callers.join_all().await;
    assert_eq!(rows.iter().filter(|row| row.0 == 503).count(), 300 - 256 - 1, "256 questions at a time");
    let asked = issuer.asked().len();
    assert!(world.show(OPAQUE).await.is_ok());
    assert_eq!((asked, issuer.asked().len()), (257, 257));
}

#[tokio::test]
async fn rs_gw_09_an_issuer_that_is_away_is_503_and_is_not_stormed() {
    let issuer = Issuing::start().await;
    let world = issuer.world(|_| {});
    issuer.says(&world.active());
    assert!(world.show(OPAQUE).await.is_ok());
    issuer.answers(500, "text/plain", "oops");
    let refused = Refused::of(world.show("other").await.expect_err("refused"));
    assert_eq!((refused.status, refused.challenges.len()), (503, 0));
    assert_eq!(refused.response.headers()["retry-after"], "5");
    assert_eq!(world.row("another").await, (503, "RS-GW-09"));
    assert_eq!(issuer.asked().len(), 2, "not asked again within a second");
    assert!(world.show(OPAQUE).await.is_ok(), "what is known holds");
    issuer.says(&world.active());
    world.clock.turn(1);
    assert!(world.show("other").await.is_ok());
}

#[tokio::test]
async fn rs_int_04_no_redirect_is_followed() {
    let issuer = Issuing::start().await;
    let world = issuer.world(|_| {});
    for (n, status) in [301, 302, 303, 307, 308].into_iter().enumerate() {
        world.clock.turn(1);
        issuer.answers(status, "application/json", &world.active().to_string());
        assert_eq!(world.row(OPAQUE).await, (503, "RS-GW-09"), "{status}");
        assert_eq!(issuer.asked().len(), n + 1);
    }
}

#[tokio::test]
async fn rs_int_01_the_issuer_is_shown_who_asks() {
    let issuer = Issuing::start().await;
    let key = Arc::new(SigningKey::generate(Algorithm::Es256).expect("a key"));
    let secret = || Secret::new("s3cret:%");
    for auth in [
        IntrospectionAuth::SecretBasic(secret()),
        IntrospectionAuth::SecretPost(secret()),
        IntrospectionAuth::PrivateKeyJwt { key: Arc::clone(&key), kid: Some("a1".to_owned()) },
    ] {
        assert!(!format!("{auth:?}").contains("s3cret"));
        let world = issuer.world(|config| config.auth = auth.clone());
        issuer.says(&world.active());
        assert!(world.show(OPAQUE).await.is_ok());
        let asked = issuer.asked().pop().expect("a question");
        let form = Form::parse(asked.form.as_bytes()).expect("a form");
        match (auth, Presented::read(&asked.headers, &form).expect("credentials")) {
            (IntrospectionAuth::SecretBasic(_), Presented::Basic { client_id, client_secret })
            | (IntrospectionAuth::SecretPost(_), Presented::Post { client_id, client_secret }) => {
                assert_eq!((client_id.as_str(), client_secret.reveal()), ("api", "s3cret:%"));
            }
            (IntrospectionAuth::PrivateKeyJwt { .. }, Presented::Assertion { assertion, .. }) => {
                let jwt = UnverifiedJwt::parse(assertion.reveal()).expect("a JWT");
                let keys = [key.public_jwk()].into_iter();
                let jwt = jwt.verify(AlgorithmSet::default(), keys).expect("verified");
                let claims = jwt.claims().expect("claims");
                assert_eq!(claims.string("aud"), Ok(Some(ISSUER)));
            }
            (auth, presented) => panic!("{auth:?}: {presented:?}"),
        }
    }
}

#[tokio::test]
async fn rs_int_01_a_signed_answer_is_verified() {
    let issuer = Issuing::start().await;
    let other = SigningKey::generate(Algorithm::Es256).expect("a key");
    let world = issuer.world_with(
        Introspection::Opaque,
        |_| {},
        |guard| {
            let signed = issuer.config().signed(guard.issuers[0].keys.clone());
            guard.issuers[0].introspection = Introspection::Opaque(introspector(signed, guard));
        },
    );
    let media_type = "application/token-introspection+jwt";
    let claims = |iss: &str, aud: &str, iat: u64| json!({ "iss": iss, "aud": aud, "iat": iat, "token_introspection": world.active() });
    let (typ, now) = ("token-introspection+jwt", world.now());
    for (signed, media_type) in [
        (world.sign_as(typ, &claims("https://other.example", "api", now)), media_type),
        (world.sign_as(typ, &claims(ISSUER, "another", now)), media_type),
        (world.sign_as(typ, &claims(ISSUER, "api", now - 61)), media_type),
        (world.sign_as("at+jwt", &claims(ISSUER, "api", now)), media_type),
        (world.sign_by(&other, typ, &claims(ISSUER, "api", now)), media_type),
        (world.active().to_string(), "application/json"),
        (world.active().to_string(), media_type),
    ] {
        world.clock.turn(1);
        issuer.answers(200, media_type, &signed);
        assert_eq!(world.row(OPAQUE).await, (503, "RS-GW-09"), "{media_type} {signed}");
    }
    world.clock.turn(1);
    issuer.answers(200, media_type, &world.sign_as(typ, &claims(ISSUER, "api", world.now())));
    assert!(world.show(OPAQUE).await.is_ok());
    assert_eq!(issuer.asked()[0].headers["accept"], media_type);
}

#[tokio::test]
async fn rs_chk_04_fapi_rs_02_a_signed_token_is_asked_about_where_the_guard_says_so() {
    let issuer = Issuing::start().await;
    let world = issuer.world_with(Introspection::Every, |_| {}, |_| {});
    let token = world.token();
    issuer.says(&json!({ "active": true }));
    assert!(world.show(&token).await.is_ok());
    issuer.says(&json!({ "active": false }));
    world.clock.turn(30);
    assert_eq!(world.row(&token).await, (401, "RS-INT-01"), "revoked, and told within 30 s");
    let mut forged = world.token();
    forged.replace_range(forged.len() - 4.., "AAAA");
    let before = issuer.asked().len();
    assert_eq!(world.row(&forged).await, (401, "RS-CHK-01"));
    let mut foreign = world.claims();
    foreign["aud"] = json!("https://other.example/");
    assert_eq!(world.row(&world.sign(&foreign)).await, (401, "RS-CHK-01"));
    assert_eq!(issuer.asked().len(), before, "only what holds by itself is asked about");
}

#[tokio::test]
async fn rs_int_03_an_answer_takes_back_what_a_signed_token_says() {
    let issuer = Issuing::start().await;
    let world = issuer.world_with(Introspection::Every, |_| {}, |_| {});
    let other = SigningKey::generate(Algorithm::Es256).expect("a key").public_jwk().thumbprint().to_string();
    for (n, (name, value, row)) in [
        ("jti", json!("another token"), "RS-INT-03"),
        ("cnf", json!({ "jkt": other }), "RS-INT-03"),
        ("aud", json!("https://other.example/"), "RS-CHK-01"),
        ("exp", json!(world.now()), "RS-CHK-01"),
        ("iss", json!("https://other.example"), "RS-INT-03"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut claims = world.claims();
        claims["n"] = json!(n);
        issuer.says(&with(&world, name, value));
        assert_eq!(world.row(&world.sign(&claims)).await, (401, row), "{name}");
    }
}

#[tokio::test]
async fn rs_chk_04_a_token_can_be_cut_off_by_hand() {
    let issuer = Issuing::start().await;
    let world = issuer.world(|_| {});
    issuer.says(&world.active());
    let token = world.token();
    for text in [OPAQUE, &token] {
        let access = world.show(text).await.expect("let in");
        world.guard.forget(access.token_hash());
        assert!(world.show(text).await.is_ok());
        assert!(world.guard.deny(access.token_id(), access.expires_at()));
        assert_eq!(world.row(text).await, (401, "RS-CHK-04"));
    }
    assert_eq!(issuer.asked().len(), 2, "what was forgotten is asked about again");
}

#[tokio::test]
async fn a_token_is_shown_to_nobody_who_has_not_issued_it() {
    const SECOND: &str = "https://b.example";
    let (one, other) = (Issuing::start().await, Issuing::start().await);
    let two = |prefixes: [&str; 2], guard: &mut GuardConfig| {
        let mut second = TrustedIssuer::new(SECOND, guard.issuers[0].keys.clone(), TokenProfile::Jwt);
        let mut configs = [one.config(), other.config()];
        configs[1].issuer = Issuer::parse(SECOND).expect("an issuer");
        for (config, prefix) in configs.iter_mut().zip(prefixes) {
            config.prefix = prefix.to_owned();
        }
        let [first, for_second] = configs.map(|config| introspector(config, guard));
        guard.issuers[0].introspection = Introspection::Opaque(first);
        second.introspection = Introspection::Opaque(for_second);
        guard.issuers.push(second);
    };
    for prefixes in [["", ""], ["", "b_"], ["a_", "a_b_"]] {
        let issuer =
            TrustedIssuer::new(ISSUER, Keys::fixed(crate::world::key_set(&key())), TokenProfile::Jwt);
        let clock = Arc::new(crate::world::TestClock::default());
        let mut guard = GuardConfig::new(issuer, crate::world::API, clock).expect("a configuration");
        two(prefixes, &mut guard);
        assert!(matches!(Guard::new(guard), Err(ConfigError::OpaqueTwice)), "{prefixes:?}");
    }
    let world = World::with(|guard| {
        guard.nonce = None;
        two(["a_", "b_"], guard);
    });
    one.says(&world.active());
    assert!(world.show("a_1").await.is_ok());
    assert!(other.asked().is_empty());
    assert_eq!(world.row("b_1").await, (401, "RS-INT-01"));
    assert_eq!(world.row("c_1").await, (401, "RS-CHK-01"), "nobody's");
    assert_eq!((one.asked().len(), other.asked().len()), (1, 1));
}

#[tokio::test]
async fn rs_stp_02_how_the_user_signed_in_is_told_by_the_issuer() {
    let issuer = Issuing::start().await;
    let world = issuer.world(|_| {});
    let mut demand = world.guard.demand().clone();
    demand.authentication = Some(keybound_resource::Authentication {
        acr_values: vec!["phr".to_owned()],
        max_age_secs: Some(60),
    });
    let target = keybound_dpop::target::Target::parse(crate::world::URL).expect("a target");
    for (acr, ago, status) in [("phr", 60, None), ("phr", 61, Some(401)), ("pwd", 0, Some(401))] {
        let mut answer = with(&world, "acr", json!(acr));
        answer["auth_time"] = json!(world.now() - ago);
        issuer.says(&answer);
        let token = format!("{acr}-{ago}");
        let request = dpop(&token, &world.proof(&token)).into_parts().0;
        let judged = world.guard.check_for(&request, &target, &demand).await;
        assert_eq!(judged.err().map(|rejection| rejection.status().as_u16()), status, "{token}");
    }
}

#[tokio::test]
async fn rs_int_04_a_certificate_that_is_not_trusted_is_503() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let tls = ServerConfig::builder().with_no_client_auth();
    let tls = tls.with_single_cert(vec![made.cert.der().clone()], key);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls.expect("a server")));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { acceptor.accept(stream).await.map(drop) });
        }
    });
    let url =
        keybound_oauth::identifier::Endpoint::parse(&format!("https://localhost:{port}/")).expect("a URL");
    let config = config(IntrospectionEndpoint::Url(url));
    let world = World::with(|guard| {
        guard.nonce = None;
        guard.issuers[0].introspection = Introspection::Opaque(introspector(config, guard));
    });
    assert_eq!(world.row(OPAQUE).await, (503, "RS-GW-09"));
    let said = world.show("2").await.expect_err("refused").reason().for_log();
    assert!(said.contains("TLS with localhost"), "{said}");
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).expect("a key")
}
