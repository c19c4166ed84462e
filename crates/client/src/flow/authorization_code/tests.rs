//! The two halves of a login, without a server.

use super::*;
use crate::client_auth::{ClientAuth, Identity};
use crate::prover::Prover;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::time::SystemClock;
use keybound_oauth::authorization::{AuthorizationRequest, Prompt};
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::form::Form;
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::pkce::CodeChallenge;
use keybound_oauth::provider_metadata::ProviderMetadata;
use keybound_oauth::pushed::PushedResponse;
use keybound_oauth::response_mode::ResponseMode;
use keybound_oauth::scope::Scope;
use serde_json::{Value, json};
use std::sync::Arc;

const ISSUER: &str = "https://id.example";

/// A server, a client and its key.
pub(crate) struct World {
    pub(crate) server: ProviderMetadata,
    pub(crate) identity: Identity,
    pub(crate) rules: LoginRules,
    pub(crate) prover: Prover,
}

impl World {
    /// With that in the metadata besides.
    pub(crate) fn new(besides: &Value) -> Self {
        let mut json = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example/authorize",
            "dpop_signing_alg_values_supported": ["ES256"],
        });
        for (name, value) in besides.as_object().expect("an object") {
            json[name] = value.clone();
        }
        let issuer = Issuer::parse(ISSUER).expect("an issuer");
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        Self {
            server: ProviderMetadata::parse(json.to_string().as_bytes(), &issuer).expect("metadata"),
            identity: Identity::public(ClientId::parse("app").expect("a client")),
            rules: LoginRules::default(),
            prover: Prover::new(Arc::new(key), Arc::default(), Arc::new(SystemClock::start())),
        }
    }

    pub(crate) fn parties(&self) -> Parties<'_> {
        Parties { server: &self.server, identity: &self.identity, rules: &self.rules }
    }

    pub(crate) fn begin(&self, ask: LoginAsk) -> Result<Begun, LoginImpossible> {
        let entropy = LoginEntropy::draw().expect("entropy");
        begin(&self.parties(), "http://127.0.0.1:1/cb", ask, &self.prover, &entropy)
    }

    pub(crate) fn ready(&self, ask: LoginAsk) -> PendingLogin {
        match self.begin(ask).expect("begun") {
            Begun::Ready(login) => *login,
            Begun::ToPush(_) => panic!("nothing to push"),
        }
    }
}

pub(crate) fn ask() -> LoginAsk {
    LoginAsk { scope: Scope::parse("openid read").ok(), ..LoginAsk::default() }
}

pub(crate) fn sent(login: &PendingLogin) -> AuthorizationRequest {
    let query = login.url.split_once('?').expect("a query").1;
    AuthorizationRequest::parse(&Form::parse_query(query).expect("a form")).expect("a request")
}

fn login(promises_iss: bool) -> PendingLogin {
    let world = World::new(&json!({ "authorization_response_iss_parameter_supported": promises_iss }));
    world.ready(ask())
}

fn judge(login: &PendingLogin, query: &str) -> Result<TokenRequest, RedirectRefused> {
    login.judge(&Secret::new(query.replace("STATE", login.state.reveal())))
}

#[test]
fn cl_flw_01_every_login_has_a_new_verifier_under_s256() {
    let (one, other) = (login(true), login(true));
    assert_ne!(one.verifier, other.verifier);
    assert_ne!(one.state, other.state);
    let sent = sent(&one);
    assert_eq!(sent.code_challenge, Some(CodeChallenge::of(&one.verifier)));
    assert_eq!(sent.code_challenge_method.as_deref(), Some("S256"));
    assert_eq!(sent.dpop_jkt, Some(one.jkt));
    assert!(sent.nonce.is_some_and(|nonce| nonce.len() <= 64));
    assert_eq!(one.verifier.secret().reveal().len(), 43);
    assert!(!one.url.contains(one.verifier.secret().reveal()));
}

#[test]
fn cl_flw_02_bcp_inj_05_bcp_inj_07_another_state_or_none_aborts() {
    let login = login(false);
    assert!(judge(&login, "code=c&state=STATE").is_ok());
    for bad in ["code=c", "code=c&state=other", "code=c&state=STATEx", "error=access_denied", "code=c&state="]
    {
        assert_eq!(judge(&login, bad), Err(RedirectRefused::State), "{bad}");
    }
    assert!(judge(&login, "code=c&state=STATE&state=STATE").is_err());
}

#[test]
fn cl_flw_03_iss_is_compared_as_text_and_needed_where_promised() {
    let expected = Issuer::parse(ISSUER).expect("an issuer");
    let wrong = RedirectRefused::Issuer { expected: expected.clone() };
    for promised in [true, false] {
        let login = login(promised);
        assert!(judge(&login, "code=c&state=STATE&iss=https%3A%2F%2Fid.example").is_ok());
        for bad in ["https%3A%2F%2Fid.example%2F", "https%3A%2F%2FID.example", "https%3A%2F%2Fevil.example"] {
            let query = format!("code=c&state=STATE&iss={bad}");
            assert_eq!(judge(&login, &query), Err(wrong.clone()), "{bad}");
        }
    }
    let missing = judge(&login(true), "code=c&state=STATE");
    assert_eq!(missing, Err(RedirectRefused::IssuerMissing { expected }));
    assert!(judge(&login(false), "code=c&state=STATE").is_ok());
}

#[test]
fn cl_flw_04_errors_count_only_after_state_and_iss() {
    let login = login(true);
    let wrong = judge(&login, "error=access_denied&state=STATE&iss=https%3A%2F%2Fevil.example");
    assert!(matches!(wrong, Err(RedirectRefused::Issuer { .. })));
    assert_eq!(judge(&login, "error=access_denied&state=x"), Err(RedirectRefused::State));
    let denied = judge(&login, "error=access_denied&state=STATE&iss=https%3A%2F%2Fid.example");
    assert!(matches!(denied, Err(RedirectRefused::Denied(body)) if body.error == "access_denied"));
}

#[test]
fn debug_shows_neither_state_nor_verifier() {
    let login = login(true);
    let shown = format!("{login:?}");
    assert!(!shown.contains(login.state.reveal()) && !shown.contains(login.verifier.secret().reveal()));
}

fn key() -> RequestKey {
    let signer = Arc::new(SigningKey::generate(Algorithm::Es256).expect("a key"));
    RequestKey { signer, kid: Some("k".to_owned()) }
}

fn with(change: impl FnOnce(&mut LoginAsk)) -> LoginAsk {
    let mut ask = ask();
    change(&mut ask);
    ask
}

#[test]
fn requests_are_pushed_where_that_is_possible_required_or_wanted() {
    let endpoint = json!({ "pushed_authorization_request_endpoint": "https://id.example/par" });
    let required = json!({ "require_pushed_authorization_requests": true });
    let mut both = endpoint.clone();
    both["require_pushed_authorization_requests"] = true.into();
    let (ready, pushed) = (Ok(false), Ok(true));
    let (cannot, must) = (Err(LoginImpossible::CannotPush), Err(LoginImpossible::MustPush));
    for (metadata, wanted, expected) in [
        (&json!({}), When::Auto, &ready),
        (&json!({}), When::Never, &ready),
        (&json!({}), When::Always, &cannot),
        (&endpoint, When::Auto, &pushed),
        (&endpoint, When::Never, &ready),
        (&endpoint, When::Always, &pushed),
        (&required, When::Auto, &cannot),
        (&required, When::Never, &must),
        (&both, When::Auto, &pushed),
        (&both, When::Never, &must),
    ] {
        let begun = World::new(metadata).begin(with(|ask| ask.pushed = wanted));
        let is_pushed = begun.map(|begun| matches!(begun, Begun::ToPush(_)));
        assert_eq!(is_pushed, *expected, "{metadata} {wanted:?}");
    }
}

#[test]
fn requests_are_signed_where_that_is_required_or_wanted() {
    let required = json!({ "require_signed_request_object": true });
    let (cannot, must) = (Err(LoginImpossible::CannotSign), Err(LoginImpossible::MustSign));
    for (metadata, has_key, wanted, expected) in [
        (&json!({}), false, When::Auto, &Ok(false)),
        (&json!({}), true, When::Auto, &Ok(true)),
        (&json!({}), true, When::Never, &Ok(false)),
        (&json!({}), false, When::Always, &cannot),
        (&required, false, When::Auto, &cannot),
        (&required, true, When::Auto, &Ok(true)),
        (&required, true, When::Never, &must),
    ] {
        let mut world = World::new(metadata);
        world.rules.request_key = has_key.then(key);
        let begun = world.begin(with(|ask| ask.signed = wanted));
        let is_signed = begun.map(|begun| match begun {
            Begun::Ready(login) => sent(&login).request.is_some(),
            Begun::ToPush(_) => panic!("nothing to push"),
        });
        assert_eq!(is_signed, *expected, "{metadata} {has_key} {wanted:?}");
    }
}

#[test]
fn the_key_of_private_key_jwt_signs_requests_where_it_must() {
    let mut world = World::new(&json!({}));
    let RequestKey { signer, kid } = key();
    world.identity.auth = ClientAuth::PrivateKeyJwt { signer, kid };
    assert!(sent(&world.ready(ask())).request.is_none());
    assert!(sent(&world.ready(with(|ask| ask.signed = When::Always))).request.is_some());
}

#[test]
fn cl_flw_05_with_a_pushed_request_only_client_and_reference_go_through_the_browser() {
    let endpoint = json!({ "pushed_authorization_request_endpoint": "https://id.example/par" });
    let world = World::new(&endpoint);
    let Begun::ToPush(unpushed) = world.begin(ask()).expect("begun") else { panic!("to be pushed") };
    let response = PushedResponse { request_uri: Secret::new("urn:x:1"), expires_in_secs: 90 };
    let now = world.prover.now();
    let login = unpushed.pushed(&response, now);
    assert_eq!(login.url(), "https://id.example/authorize?client_id=app&request_uri=urn%3Ax%3A1");
    assert_eq!(login.url_expires_at(), Some(now.plus_secs(90)));
}

#[test]
fn cl_flw_09_a_code_is_bound_to_the_key_where_the_server_knows_dpop() {
    let bound = World::new(&json!({}));
    assert_eq!(sent(&bound.ready(ask())).dpop_jkt, Some(bound.prover.jkt()));
    let unbound = World::new(&json!({ "dpop_signing_alg_values_supported": [] }));
    assert_eq!(sent(&unbound.ready(ask())).dpop_jkt, None);
}

#[test]
fn everything_that_is_asked_for_is_sent() {
    let details = AuthorizationDetails::parse(r#"[{"type":"a"}]"#).expect("details");
    let ask = LoginAsk {
        authorization_details: details.clone(),
        prompt: vec![Prompt::Login],
        max_age_secs: Some(60),
        login_hint: Some("ada".to_owned()),
        id_token_hint: Some(Secret::new("a.b.c")),
        acr_values: Some("silver".to_owned()),
        display: Some("page".to_owned()),
        ui_locales: Some("de".to_owned()),
        claims_locales: Some("fr".to_owned()),
        response: ResponseMode::FormPost,
        more: vec![("audience".to_owned(), "https://api.example".to_owned())],
        ..ask().requiring_acr(["gold".to_owned()])
    };
    let login = World::new(&json!({})).ready(ask);
    let request = sent(&login);
    assert_eq!((request.authorization_details, request.prompt), (details, vec![Prompt::Login]));
    assert_eq!((request.max_age_secs, request.login_hint.as_deref()), (Some(60), Some("ada")));
    assert_eq!((request.acr_values.as_deref(), request.display.as_deref()), (Some("silver"), Some("page")));
    assert_eq!((request.ui_locales.as_deref(), request.claims_locales.as_deref()), (Some("de"), Some("fr")));
    assert_eq!(request.response_mode.as_deref(), Some("form_post"));
    assert_eq!(request.id_token_hint, Some(Secret::new("a.b.c")));
    let claims = r#"{"id_token":{"acr":{"essential":true,"values":["gold"]}}}"#;
    assert_eq!(request.claims.to_string(), claims);
    assert!(login.url().ends_with("&audience=https%3A%2F%2Fapi.example"));
}

#[test]
fn no_parameter_of_the_logins_own_is_set_by_hand() {
    for name in ["state", "redirect_uri", "request_uri", "dpop_jkt", "client_secret"] {
        let refused = World::new(&json!({}))
            .begin(with(|ask| ask.more = vec![(name.to_owned(), "x".to_owned())]))
            .expect_err("refused");
        assert_eq!(refused, LoginImpossible::Reserved(name.to_owned()));
    }
}

#[test]
fn a_response_mode_that_the_server_does_not_list_is_not_asked_for() {
    let plain = json!({ "response_modes_supported": ["query", "form_post"] });
    let signed = json!({ "response_modes_supported": ["jwt", "form_post.jwt"] });
    for (metadata, mode, is_taken) in [
        (&json!({}), ResponseMode::FormPost, true),
        (&json!({}), ResponseMode::QueryJwt, false),
        (&plain, ResponseMode::FormPost, true),
        (&plain, ResponseMode::FormPostJwt, false),
        (&signed, ResponseMode::QueryJwt, true),
        (&signed, ResponseMode::FormPostJwt, true),
        (&signed, ResponseMode::FormPost, false),
        (&signed, ResponseMode::Query, true),
    ] {
        let begun = World::new(metadata).begin(with(|ask| ask.response = mode));
        assert_eq!(begun.is_ok(), is_taken, "{metadata} {mode:?}");
    }
}

#[test]
fn bcp_inj_06_pkce_is_relied_on_where_the_metadata_says_so_only() {
    let s256 = json!({ "code_challenge_methods_supported": ["plain", "S256"] });
    let plain = json!({ "code_challenge_methods_supported": ["plain"] });
    let nothing = json!({ "dpop_signing_alg_values_supported": [] });
    let api_only = || with(|ask| ask.scope = Scope::parse("read").ok());
    for (metadata, ask, defence) in [
        (&s256, ask(), Defence::Pkce),
        (&s256, api_only(), Defence::Pkce),
        (&plain, ask(), Defence::OidcNonce),
        (&json!({}), api_only(), Defence::Key),
        (&nothing, api_only(), Defence::StateOnly),
    ] {
        let login = World::new(metadata).ready(ask);
        assert_eq!(login.defence(), defence, "{metadata}");
        let request = sent(&login);
        assert!(request.state.is_some() && request.code_challenge.is_some(), "both are sent in any case");
        assert_eq!(request.nonce.is_some(), login.ask.is_openid());
    }
}

#[test]
fn cl_flw_06_atk_118_the_id_token_is_held_against_all_that_was_asked_for() {
    let ask = LoginAsk { max_age_secs: Some(60), ..ask().requiring_acr(["gold".to_owned()]) };
    let login = World::new(&json!({})).ready(ask);
    let grant = judge(&login, "code=c&state=STATE").expect("taken");
    let asked = login.asked(&grant);
    assert_eq!((asked.nonce, asked.max_age_secs), (sent(&login).nonce.as_deref(), Some(60)));
    assert_eq!((asked.claims, asked.code), (Some(&login.ask.claims), Some(&Secret::new("c"))));
    assert!(!login.ask.claims.id_token.is_empty());
}

#[test]
fn bcp_inj_03_where_servers_share_a_redirect_uri_each_answer_says_whose_it_is() {
    let promised = json!({ "authorization_response_iss_parameter_supported": true });
    let signed = json!({ "response_modes_supported": ["jwt"] });
    for (metadata, mode, is_taken) in [
        (&json!({}), ResponseMode::Query, false),
        (&json!({}), ResponseMode::FormPost, false),
        (&promised, ResponseMode::Query, true),
        (&signed, ResponseMode::QueryJwt, true),
    ] {
        let mut world = World::new(metadata);
        assert!(world.begin(with(|ask| ask.response = mode)).is_ok(), "with a redirect URI of its own");
        world.rules.shares_redirect_uri = true;
        match world.begin(with(|ask| ask.response = mode)) {
            Ok(_) => assert!(is_taken, "{metadata} {mode:?}"),
            Err(error) => assert_eq!((error, is_taken), (LoginImpossible::MixUp, false), "{metadata}"),
        }
    }
}

#[test]
fn bcp_inj_04_an_answer_at_another_servers_redirect_uri_is_refused() {
    let login = login(false);
    assert_eq!(login.check_redirect_uri(login.redirect_uri()), Ok(()));
    for other in ["http://127.0.0.1:1/cb/", "http://127.0.0.1:1/other", "http://127.0.0.1:2/cb", ""] {
        assert_eq!(login.check_redirect_uri(other), Err(RedirectRefused::RedirectUri), "{other}");
    }
}

#[test]
fn a_login_does_not_wait_for_ever() {
    let world = World::new(&json!({}));
    let login = world.ready(ask());
    let (now, end) = (world.prover.now(), login.expires_at());
    assert_eq!(login.check_time(now), Ok(()));
    assert!(now.plus_secs(600) < end && end < now.plus_secs(24 * 3600), "long enough to find a password");
    assert_eq!(login.check_time(end), Err(RedirectRefused::TooLate));
    let kept = PendingLogin::parse(login.to_json().as_bytes()).expect("kept");
    assert_eq!(kept.expires_at().as_secs(), end.as_secs());
}

#[test]
fn fapi_cl_09_the_nonce_has_at_most_64_characters() {
    let nonce = sent(&login(true)).nonce.expect("a nonce");
    assert!((43..=64).contains(&nonce.len()), "{nonce}");
}

#[test]
fn a_login_ends_with_the_client_that_began_it() {
    let (world, other) = (World::new(&json!({})), World::new(&json!({})));
    let login = world.ready(ask());
    assert_eq!(login.check_client(&world.parties(), world.prover.jkt()), Ok(()));
    let refused = |name| Err(RedirectRefused::OtherClient(name));
    assert_eq!(login.check_client(&world.parties(), other.prover.jkt()), refused("key"));
    let mut renamed = World::new(&json!({}));
    renamed.identity = Identity::public(ClientId::parse("other").expect("a client"));
    assert_eq!(login.check_client(&renamed.parties(), world.prover.jkt()), refused("client"));
    let mut moved = World::new(&json!({}));
    moved.server.issuer = Issuer::parse("https://evil.example").expect("an issuer");
    assert_eq!(login.check_client(&moved.parties(), world.prover.jkt()), refused("issuer"));
}
