//! The two halves of a login, without a server.

use super::*;
use crate::client_auth::Identity;
use crate::prover::Prover;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::time::SystemClock;
use keybound_oauth::authorization::AuthorizationRequest;
use keybound_oauth::form::Form;
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::pkce::CodeChallenge;
use keybound_oauth::provider_metadata::ProviderMetadata;
use keybound_oauth::scope::Scope;
use serde_json::{Value, json};
use std::sync::Arc;

const ISSUER: &str = "https://id.example";

/// A server, a client and its key.
pub(super) struct World {
    pub(super) server: ProviderMetadata,
    pub(super) identity: Identity,
    pub(super) rules: LoginRules,
    pub(super) prover: Prover,
}

impl World {
    /// With that in the metadata besides.
    pub(super) fn new(besides: &Value) -> Self {
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

    pub(super) fn parties(&self) -> Parties<'_> {
        Parties { server: &self.server, identity: &self.identity, rules: &self.rules }
    }

    pub(super) fn begin(&self, ask: LoginAsk) -> Result<Begun, LoginImpossible> {
        let entropy = LoginEntropy::draw().expect("entropy");
        begin(&self.parties(), "http://127.0.0.1:1/cb", ask, &self.prover, &entropy)
    }

    pub(super) fn ready(&self, ask: LoginAsk) -> PendingLogin {
        match self.begin(ask).expect("begun") {
            Begun::Ready(login) => *login,
            Begun::ToPush(_) => panic!("nothing to push"),
        }
    }
}

pub(super) fn ask() -> LoginAsk {
    LoginAsk { scope: Scope::parse("openid read").ok(), ..LoginAsk::default() }
}

pub(super) fn sent(login: &PendingLogin) -> AuthorizationRequest {
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
