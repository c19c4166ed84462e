//! AS-TEX: one access token for another.

use keybound_dpop::jose::signer::SigningKey;
use keybound_e2e::answer::{assert_e_as, assert_uncacheable_json};
use keybound_e2e::forge::{jkt, new_key};
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Forge, World};
use keybound_oauth::form::FormWriter;
use keybound_oauth::token_exchange::{ACCESS_TOKEN, GRANT_TYPE};
use keybound_provider::registry::add_client;
use serde_json::{Value, json};

/// A World in which an API has a key of its own.
struct Stage {
    world: World,
    key: SigningKey,
}

impl Stage {
    async fn new() -> Self {
        Self { world: World::new().await, key: new_key() }
    }

    fn proof(&self) -> String {
        self.proof_by(&self.key)
    }

    fn proof_by(&self, key: &SigningKey) -> String {
        Forge::new(key, "POST", TOKEN, self.world.now()).sign(key)
    }

    /// A token request by a client with the World's secret.
    async fn ask(&self, client_id: &str, form: FormWriter, proof: Option<&str>) -> Answer {
        let headers = with_proof(vec![("authorization", basic(client_id, SECRET))], proof);
        self.world.post(form, &borrow(&headers)).await
    }

    /// An exchange by the client `api`, with its key.
    async fn exchange(&self, form: FormWriter) -> Answer {
        self.ask("api", form, Some(&self.proof())).await
    }

    /// A user's token for the API, bound to the user's key.
    async fn token(&self) -> String {
        self.world.tokens().await.text("access_token")
    }

    /// A token of that client for itself, bound to that key.
    async fn own(&self, client_id: &str, key: &SigningKey) -> String {
        let form = FormWriter::new().pair("grant_type", "client_credentials").pair("scope", "read");
        self.ask(client_id, form, Some(&self.proof_by(key))).await.text("access_token")
    }

    /// A bearer token of the client `poster` for itself.
    async fn bearer(&self, resource: &str) -> String {
        let form = client_credentials_form().pair("client_id", "poster").pair("client_secret", SECRET);
        self.world.post(form.pair("resource", resource), &[]).await.text("access_token")
    }
}

fn form(subject: &str) -> FormWriter {
    FormWriter::new()
        .pair("grant_type", GRANT_TYPE)
        .pair("subject_token", subject)
        .pair("subject_token_type", ACCESS_TOKEN)
}

fn at_mixed(subject: &str) -> FormWriter {
    form(subject).pair("resource", MIXED_API)
}

fn with_actor(form: FormWriter, actor: &str) -> FormWriter {
    form.pair("actor_token", actor).pair("actor_token_type", ACCESS_TOKEN)
}

#[track_caller]
fn assert_refused(answer: &Answer, error: &str) {
    assert_eq!(answer.error(), (400, error.to_owned()), "{answer:?}");
    assert_uncacheable_json(answer);
}

#[tokio::test]
async fn as_tex_01_as_tex_02_the_proof_of_the_request_binds_and_nothing_else() {
    let stage = Stage::new().await;
    let subject = stage.token().await;
    let actor = stage.own("api", &stage.key).await;
    for form in [at_mixed(&subject), with_actor(at_mixed(&subject), &actor)] {
        let other = new_key();
        let answer = stage.ask("api", form, Some(&stage.proof_by(&other))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_uncacheable_json(&answer);
        assert_eq!(
            (answer.text("token_type").as_str(), answer.text("issued_token_type")),
            ("DPoP", ACCESS_TOKEN.to_owned())
        );
        assert!(answer.json().get("refresh_token").is_none() && answer.json().get("id_token").is_none());
        let claims = answer.claims("access_token");
        assert_eq!(claims["cnf"], json!({ "jkt": jkt(&other) }), "neither the subject's nor the actor's");
        assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("subject-of-alice"), &json!("api")));
        assert_eq!((&claims["aud"], &claims["scope"]), (&json!(MIXED_API), &json!("read")));
        assert_eq!(claims["auth_time"], world_time(&stage));
    }
}

fn world_time(stage: &Stage) -> Value {
    stage.world.now().as_secs().into()
}

#[tokio::test]
async fn as_tex_01_opaque_tokens_are_exchanged_in_both_directions() {
    let stage = Stage::new().await;
    let opaque = stage.world.opaque_tokens().await.text("access_token");
    let answer = stage.ask("opaque-api", at_mixed(&opaque), Some(&stage.proof())).await;
    assert_eq!(answer.claims("access_token")["sub"], "subject-of-alice");
    let answer = stage.exchange(form(&stage.token().await).pair("audience", OPAQUE_API)).await;
    let told = stage.world.introspect("opaque-api", &answer.text("access_token")).await.json();
    assert_eq!((&told["sub"], &told["cnf"]["jkt"]), (&json!("subject-of-alice"), &json!(jkt(&stage.key))));
    assert_eq!((&told["client_id"], &told["aud"]), (&json!("api"), &json!(OPAQUE_API)));
}

#[tokio::test]
async fn as_tex_03_atk_089_a_stolen_token_is_worth_nothing() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    for proof in [Some(stage.proof()), None] {
        let stolen = stage.ask("broker", at_mixed(&token), proof.as_deref()).await;
        assert_refused(&stolen, "invalid_request");
    }
    let by_holder = stage.ask("broker", at_mixed(&token), Some(&stage.proof_by(&stage.world.key))).await;
    assert_eq!(by_holder.status, 200, "who holds the key proves it: {by_holder:?}");

    // Nothing is told of it before: what it allows is nobody else's to find out.
    let opaque = stage.world.opaque_tokens().await.text("access_token");
    for scope in ["read", "write"] {
        let probe = at_mixed(&opaque).pair("scope", scope);
        assert_refused(&stage.ask("broker", probe, Some(&stage.proof())).await, "invalid_request");
    }

    // A bearer token: its own client, or the resource.
    let bearer = stage.bearer(OPAQUE_API).await;
    assert_refused(&stage.ask("broker", at_mixed(&bearer), None).await, "invalid_request");
    assert_refused(&stage.exchange(at_mixed(&bearer)).await, "invalid_request");
    assert_eq!(stage.ask("opaque-api", at_mixed(&bearer), None).await.status, 200);

    // An actor's token counts as much.
    let actor = stage.own("service", &stage.world.key).await;
    let own = stage.own("broker", &stage.key).await;
    let stolen = stage.ask("broker", with_actor(at_mixed(&own), &actor), Some(&stage.proof())).await;
    assert_refused(&stolen, "invalid_request");
}

#[tokio::test]
async fn as_tex_04_what_was_bound_does_not_become_a_bearer_token() {
    let stage = Stage::new().await;
    let bound = stage.world.opaque_tokens().await.text("access_token");
    assert_e_as(&stage.ask("opaque-api", at_mixed(&bound), None).await);
    let old = stage.ask("opaque-api", form(&bound).pair("resource", OLD_API), Some(&stage.proof())).await;
    assert_refused(&old, "invalid_target");
    assert_e_as(&stage.ask("api", at_mixed(&stage.token().await), None).await);
    let broken =
        Forge::new(&stage.key, "POST", TOKEN, stage.world.now()).claim("htm", "GET").sign(&stage.key);
    assert_e_as(&stage.ask("opaque-api", at_mixed(&bound), Some(&broken)).await);

    let bearer = stage.bearer(OPAQUE_API).await;
    assert_eq!(stage.ask("opaque-api", at_mixed(&bearer), None).await.text("token_type"), "Bearer");
    let up = stage.ask("opaque-api", at_mixed(&bearer), Some(&stage.proof())).await;
    assert_eq!(up.text("token_type"), "DPoP");
}

#[tokio::test]
async fn as_tex_05_tokens_that_are_no_good_and_targets_that_are_none() {
    let stage = Stage::new().await;
    let tokens = stage.world.tokens().await;
    let good = tokens.text("access_token");
    let revoked = stage.token().await;
    assert_eq!(stage.world.revoke(&revoked).await.status, 200);
    let typed = |token: &str, token_type: &str| {
        FormWriter::new()
            .pair("grant_type", GRANT_TYPE)
            .pair("subject_token", token)
            .pair("subject_token_type", token_type)
    };
    let (refresh, id_token) = (tokens.text("refresh_token"), tokens.text("id_token"));
    for bad in [
        form("unknown"),
        form(&revoked),
        form(&refresh),
        form(&id_token),
        with_actor(form(&good), "unknown"),
        with_actor(form(&good), &revoked),
        typed(&refresh, "urn:ietf:params:oauth:token-type:refresh_token"),
        typed(&id_token, "urn:ietf:params:oauth:token-type:id_token"),
        typed(&good, "urn:ietf:params:oauth:token-type:saml2"),
        form(&good).pair("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"),
        form(&good).pair("actor_token", &good),
        form(&good).pair("actor_token_type", ACCESS_TOKEN),
        FormWriter::new().pair("grant_type", GRANT_TYPE),
        FormWriter::new().pair("grant_type", GRANT_TYPE).pair("subject_token", &good),
    ] {
        assert_refused(&stage.exchange(bad).await, "invalid_request");
    }
    for (parameter, value) in [
        ("resource", "https://elsewhere.example/"),
        ("resource", "no URI"),
        ("audience", "https://elsewhere.example/"),
        ("audience", "a name"),
        ("audience", ISSUER),
    ] {
        assert_refused(&stage.exchange(form(&good).pair(parameter, value)).await, "invalid_target");
    }
    assert_eq!(stage.exchange(form(&good).pair("requested_token_type", ACCESS_TOKEN)).await.status, 200);
    let actor = stage.own("api", &stage.key).await;
    stage.world.clock.pass(600);
    assert_refused(&stage.exchange(form(&good)).await, "invalid_request");
    let fresh = stage.token().await;
    assert_refused(&stage.exchange(with_actor(form(&fresh), &actor)).await, "invalid_request");
}

#[tokio::test]
async fn as_tex_06_actors_are_told_one_inside_the_other() {
    let stage = Stage::new().await;
    let subject = stage.token().await;
    let alone = stage.exchange(form(&subject)).await;
    assert!(alone.claims("access_token").get("act").is_none(), "the client in the subject's place");
    let actor = stage.own("api", &stage.key).await;
    let to_opaque = with_actor(form(&subject).pair("resource", OPAQUE_API), &actor);
    let first = stage.exchange(to_opaque).await.text("access_token");
    let told = stage.world.introspect("opaque-api", &first).await.json();
    assert_eq!((&told["sub"], &told["act"]), (&json!("subject-of-alice"), &json!({ "sub": "api" })));

    let own = stage.own("opaque-api", &stage.world.key).await;
    let next = with_actor(at_mixed(&first), &own);
    let second = stage.ask("opaque-api", next, Some(&stage.proof_by(&stage.world.key))).await;
    assert_eq!(second.claims("access_token")["act"], json!({ "sub": "opaque-api", "act": { "sub": "api" } }));
    let kept = stage.ask("opaque-api", at_mixed(&first), Some(&stage.proof())).await;
    assert_eq!(kept.claims("access_token")["act"], json!({ "sub": "api" }), "who acted before stays");

    // An actor that acts for somebody itself, and one that nobody named.
    let acting = stage.exchange(with_actor(form(&actor), &actor)).await;
    assert_eq!(acting.claims("access_token")["sub"], "api");
    let acting = acting.text("access_token");
    assert_refused(&stage.exchange(with_actor(form(&subject), &acting)).await, "invalid_request");
    let other = stage.own("service", &stage.key).await;
    assert_refused(&stage.exchange(with_actor(form(&subject), &other)).await, "invalid_request");
}

#[tokio::test]
async fn as_tex_06_the_chain_of_actors_is_bounded() {
    let stage = Stage::new().await;
    let mut token = stage.token().await;
    for round in 0..=8 {
        let actor = stage.own("api", &stage.key).await;
        let answer = stage.exchange(with_actor(form(&token), &actor)).await;
        match round {
            8 => assert_refused(&answer, "invalid_request"),
            _ => token = answer.text("access_token"),
        }
    }
}

#[tokio::test]
async fn as_tex_06_may_act_decides_who_acts() {
    let stage = Stage::new().await;
    for (client_id, may_act) in [("of-service", "service"), ("of-api", "api")] {
        let client = json!({ "client_id": client_id, "redirect_uris": [REDIRECT_URI], "may_act": may_act });
        add_client(&stage.world.store, client, stage.world.now()).await.expect("a client");
    }
    let token = async |client_id: &str| {
        let code = stage.world.code(client_id).await;
        let proof = stage.proof_by(&stage.world.key);
        let form = code_form(&code).pair("client_id", client_id);
        stage.world.post(form, &[("dpop", &proof)]).await
    };
    let (of_service, of_api) = (token("of-service").await, token("of-api").await);
    assert_eq!(of_service.claims("access_token")["may_act"], json!({ "sub": "service" }));
    let (of_service, of_api) = (of_service.text("access_token"), of_api.text("access_token"));
    let (service, api) = (stage.own("service", &stage.key).await, stage.own("api", &stage.key).await);

    assert_refused(&stage.exchange(form(&of_service)).await, "invalid_request");
    assert_refused(&stage.exchange(with_actor(form(&of_service), &api)).await, "invalid_request");
    let named = stage.exchange(with_actor(form(&of_service), &service)).await;
    assert_eq!(named.claims("access_token")["act"], json!({ "sub": "service" }));
    assert_eq!(stage.exchange(form(&of_api)).await.status, 200);
    assert_eq!(stage.exchange(with_actor(form(&of_api), &api)).await.status, 200);
    assert_refused(&stage.exchange(with_actor(form(&of_api), &service)).await, "invalid_request");
}

#[tokio::test]
async fn as_tex_07_scope_and_life_are_the_subjects_at_most() {
    let stage = Stage::new().await;
    let narrow = stage.own("service", &stage.world.key).await;
    assert_refused(&stage.exchange(form(&narrow).pair("scope", "read write")).await, "invalid_scope");
    assert_refused(&stage.exchange(form(&narrow).pair("scope", "write")).await, "invalid_scope");
    let subject = stage.token().await;
    assert_eq!(stage.exchange(form(&subject)).await.text("scope"), "read", "no sign-in is handed on");
    for only_userinfo in ["openid", "email"] {
        let asked = stage.exchange(form(&subject).pair("scope", only_userinfo)).await;
        assert_refused(&asked, "invalid_scope");
    }

    stage.world.clock.pass(500);
    let actor = stage.own("api", &stage.key).await;
    let answer = stage.exchange(with_actor(form(&subject), &actor)).await;
    assert_eq!(answer.json()["expires_in"], 100);
    assert_eq!(answer.claims("access_token")["exp"], stage.world.now().as_secs() + 100);
    let fresh = stage.token().await;
    stage.world.clock.pass(50);
    let answer = stage.exchange(with_actor(form(&fresh), &actor)).await;
    assert_eq!(answer.json()["expires_in"], 550);
    let fresh = stage.token().await;
    let answer = stage.exchange(with_actor(form(&fresh), &actor)).await;
    assert_eq!(answer.json()["expires_in"], 550, "the actor's token ends first");
}

#[tokio::test]
async fn as_tex_07_what_the_client_may_ask_for_is_the_other_bound() {
    let stage = Stage::new().await;
    let client = json!({ "client_id": "api", "client_secret": SECRET, "grant_types": [GRANT_TYPE],
                         "scope": "read", "resources": [API] });
    add_client(&stage.world.store, client, stage.world.now()).await.expect("a client");
    stage.world.clock.pass(1);
    let code =
        stage.world.code_with("app", |code| code.scope = vec!["read".to_owned(), "write".to_owned()]).await;
    let wide = stage
        .world
        .redeem(&code, Some(&stage.world.proof().sign(&stage.world.key)))
        .await
        .text("access_token");
    assert_eq!(stage.exchange(form(&wide)).await.text("scope"), "read");
    assert_refused(&stage.exchange(form(&wide).pair("scope", "write")).await, "invalid_scope");
    assert_refused(&stage.exchange(at_mixed(&wide)).await, "invalid_target");
}

#[tokio::test]
async fn as_rev_03_an_exchanged_token_ends_with_the_grant_that_it_comes_from() {
    let stage = Stage::new().await;
    let tokens = stage.world.tokens().await;
    let subject = tokens.text("access_token");
    let jwt = stage.exchange(form(&subject)).await.text("access_token");
    let opaque = stage.exchange(form(&subject).pair("resource", OPAQUE_API)).await.text("access_token");
    assert_eq!(stage.world.revoke(&tokens.text("refresh_token")).await.status, 200);
    for (caller, token) in [("api", &jwt), ("opaque-api", &opaque)] {
        assert_eq!(stage.world.introspect(caller, token).await.json(), json!({ "active": false }));
    }
}

#[tokio::test]
async fn as_ca_12_exchange_is_for_confidential_clients_that_are_registered_for_it() {
    let stage = Stage::new().await;
    let token = stage.own("service", &stage.key).await;
    assert_refused(&stage.ask("service", form(&token), Some(&stage.proof())).await, "unauthorized_client");
    let public = json!({ "client_id": "public", "redirect_uris": [REDIRECT_URI],
                         "grant_types": ["authorization_code", GRANT_TYPE] });
    let refused = add_client(&stage.world.store, public, stage.world.now()).await.expect_err("refused");
    assert!(refused.to_string().contains("grant_types"), "{refused}");
    let metadata = get(&format!("{ISSUER}/.well-known/openid-configuration"), &[]);
    let offered = stage.world.send(metadata).await.json()["grant_types_supported"].clone();
    assert!(offered.as_array().expect("a list").contains(&json!(GRANT_TYPE)), "{offered}");
}
