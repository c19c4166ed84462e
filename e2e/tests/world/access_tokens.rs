//! AS-AT: the form of access tokens.

use keybound_dpop::jose::algorithm::AlgorithmSet;
use keybound_dpop::jose::jws::UnverifiedJwt;
use keybound_dpop::jose::key_set::KeySet;
use keybound_e2e::World;
use keybound_e2e::answer::assert_e_as;
use keybound_e2e::forge::jkt;
use keybound_e2e::world::*;

#[tokio::test]
async fn as_at_01_the_claims_of_rfc_9068_and_the_binding() {
    let world = World::new().await;
    let answer = world.tokens().await;
    let (header, claims) = (answer.jose_header("access_token"), answer.claims("access_token"));
    assert_eq!((header["typ"].as_str(), header["alg"].as_str()), (Some("at+jwt"), Some("ES256")));
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims["sub"], "subject-of-alice");
    assert_eq!(claims["client_id"], "app");
    assert_eq!(claims["cnf"]["jkt"], jkt(&world.key));
    assert!(claims["exp"].is_u64() && claims["iat"].is_u64() && claims["jti"].is_string());
    let keys = world.send(get(&format!("{ISSUER}/jwks"), &[])).await;
    let keys = KeySet::parse(&keys.body).expect("a JWK set");
    let token = answer.text("access_token");
    let jwt = UnverifiedJwt::parse(&token).expect("a JWT");
    let kid = jwt.kid().expect("a header");
    let candidates = keys.candidates(kid.as_deref(), keybound_dpop::jose::algorithm::Algorithm::Es256);
    assert!(jwt.verify(AlgorithmSet::default(), candidates).is_ok());
}

#[tokio::test]
async fn as_at_04_tokens_name_their_resources_and_the_issuer_for_openid() {
    let world = World::new().await;
    assert_eq!(world.tokens().await.claims("access_token")["aud"], serde_json::json!([API, ISSUER]));
    let ask = |resources: &'static [&'static str]| {
        let form = client_credentials_form().each("resource", resources.iter().copied());
        let headers = [("authorization", basic("service", SECRET)), ("dpop", world.proof().sign(&world.key))];
        let world = &world;
        async move { world.post(form, &borrow(&headers)).await }
    };
    assert_eq!(ask(&[]).await.claims("access_token")["aud"], API, "the default");
    assert_eq!(
        ask(&[API, MIXED_API]).await.claims("access_token")["aud"],
        serde_json::json!([API, MIXED_API])
    );
    let unknown = ask(&["https://elsewhere.example/"]).await;
    assert_eq!(unknown.error(), (400, "invalid_target".to_owned()));
    assert_eq!(ask(&["not a URI"]).await.error(), (400, "invalid_target".to_owned()));
}

#[tokio::test]
async fn as_at_05_auth_time_is_there_when_a_user_signed_in() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    assert_eq!(tokens.claims("access_token")["auth_time"], world.now().as_secs());
    let own = world.client_credentials(Some(&world.proof().sign(&world.key))).await;
    assert!(own.claims("access_token").get("auth_time").is_none());
}

#[tokio::test]
async fn as_at_06_what_goes_out_fits_token68() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let fits = |text: String| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
    assert!(fits(tokens.text("access_token")) && fits(tokens.text("refresh_token")));
    assert!(tokens.text("refresh_token").len() >= 22 + 43);
}

#[tokio::test]
async fn as_at_07_bcp_tok_05_a_client_for_itself_cannot_be_taken_for_a_user() {
    let world = World::new().await;
    let own = world.client_credentials(Some(&world.proof().sign(&world.key))).await;
    assert_eq!(own.claims("access_token")["sub"], "service");
    let user = keybound_provider::registry::NewUser {
        username: "mallory".to_owned(),
        password: keybound_dpop::secret::Secret::new("password"),
        subject: Some("service".to_owned()),
        claims: serde_json::Map::new(),
    };
    assert!(keybound_provider::registry::add_user(&world.store, user, world.now()).await.is_err());
    let client = serde_json::json!({ "client_id": "subject-of-alice", "redirect_uris": [REDIRECT_URI] });
    assert!(keybound_provider::registry::add_client(&world.store, client, world.now()).await.is_err());
}

#[tokio::test]
async fn as_at_08_tokens_hold_no_more_than_resources_need() {
    let world = World::new().await;
    let claims = world.tokens().await.claims("access_token");
    let mut names: Vec<&String> = claims.as_object().expect("an object").keys().collect();
    names.sort();
    let known = ["aud", "auth_time", "client_id", "cnf", "exp", "iat", "iss", "jti", "scope", "sub"];
    assert_eq!(names, known, "no e-mail, no name");
}

#[tokio::test]
async fn openid_alone_reaches_userinfo_alone() {
    let world = World::new().await;
    let code = world.code_with("bearer-app", |code| code.resources.clear()).await;
    let answer = world.post(code_form(&code).pair("client_id", "bearer-app"), &[]).await;
    // UserInfo is a resource like any other: a bearer token for it needs `legacy_oidc`.
    assert_e_as(&answer);
}
