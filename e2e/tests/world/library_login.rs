//! The client library's login at the provider, driven by its pure halves: who has an HTTP client of their own does the
//! same.

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use keybound_client::client_auth::{ClientAuth, Identity};
use keybound_client::flow::authorization_code::{
    Begun, LoginAsk, LoginEntropy, LoginRules, Parties, PendingLogin, Profile, RedirectRefused, When, begin,
};
use keybound_client::flow::pushed;
use keybound_client::flow::response_jwt::SignedBy;
use keybound_client::id_token;
use keybound_client::nonce_rule::{Next, Round};
use keybound_client::outgoing::Outgoing;
use keybound_client::prover::Prover;
use keybound_client::token_endpoint::{self, Wanted};
use keybound_dpop::jose::key_set::KeySet;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::nonce_cache::Role;
use keybound_dpop::secret::Secret;
use keybound_e2e::forge::new_key;
use keybound_e2e::world::*;
use keybound_e2e::{Settings, World};
use keybound_oauth::authorization::AuthorizationRequest;
use keybound_oauth::form::Form;
use keybound_oauth::id_token::IdTokenClaims;
use keybound_oauth::identifier::{ClientId, Issuer, ResourceId};
use keybound_oauth::provider_metadata::ProviderMetadata;
use keybound_oauth::response_mode::ResponseMode;
use keybound_oauth::scope::Scope;
use keybound_oauth::token::TokenResponse;
use std::sync::Arc;

/// A client of the library in a World.
struct Library<'w> {
    world: &'w World,
    server: ProviderMetadata,
    identity: Identity,
    rules: LoginRules,
    prover: Prover,
}

impl<'w> Library<'w> {
    /// The public client `app`.
    async fn public(world: &'w World) -> Self {
        let issuer = Issuer::parse(ISSUER).expect("an issuer");
        let metadata = world.send(get(issuer.oauth_metadata_url().as_str(), &[])).await;
        Self {
            server: ProviderMetadata::parse(&metadata.body, &issuer).expect("metadata"),
            identity: Identity::public(ClientId::parse("app").expect("a client_id")),
            rules: LoginRules::default(),
            prover: Prover::new(Arc::new(new_key()), Arc::default(), world.clock.clone()),
            world,
        }
    }

    /// The client `signed`, which has a key.
    async fn confidential(world: &'w World) -> Self {
        let jwk = world.client_key.to_private_jwk().expect("a JWK");
        let signer = Arc::new(SigningKey::from_private_jwk(jwk.as_bytes()).expect("a key"));
        let auth = ClientAuth::PrivateKeyJwt { signer, kid: None };
        let client_id = ClientId::parse("signed").expect("a client_id");
        Self { identity: Identity { client_id, auth }, ..Self::public(world).await }
    }

    fn parties(&self) -> Parties<'_> {
        Parties { server: &self.server, identity: &self.identity, rules: &self.rules }
    }

    /// What any driver does: sends, and once more after a nonce challenge.
    async fn exchange(&self, make: impl Fn() -> Outgoing) -> Response<Bytes> {
        let mut round = Round::new(Role::AuthorizationServer);
        loop {
            let outgoing = make();
            let answer = self.world.send(outgoing.request.map(Body::from)).await;
            let mut response = Response::new(answer.body);
            (*response.status_mut(), *response.headers_mut()) = (answer.status, answer.headers);
            let next = round.answered(&self.prover, &outgoing.to, outgoing.proof.as_ref(), &response);
            if next.expect("followed") == Next::Done {
                return response;
            }
        }
    }

    async fn begin(&self, ask: LoginAsk) -> PendingLogin {
        let entropy = LoginEntropy::draw().expect("entropy");
        match begin(&self.parties(), REDIRECT_URI, ask, &self.prover, &entropy).expect("begun") {
            Begun::Ready(login) => *login,
            Begun::ToPush(unpushed) => {
                let make =
                    || pushed::request(&self.parties(), unpushed.request(), unpushed.key(), &self.prover);
                let response = self.exchange(|| make().expect("made")).await;
                let response = pushed::judge(&response).expect("pushed");
                unpushed.pushed(&response, self.prover.now())
            }
        }
    }

    async fn keys(&self) -> KeySet {
        let url = self.server.endpoints.jwks_uri.as_ref().expect("jwks_uri");
        KeySet::parse(&self.world.send(get(url.as_str(), &[])).await.body).expect("keys")
    }

    /// The user signs in and allows; the answer is judged, the code redeemed, the ID token checked.
    async fn finish(&self, login: &PendingLogin) -> (TokenResponse, IdTokenClaims) {
        let answer = Secret::new(self.world.hands().allow(login.url()).await.expect("allowed"));
        let (keys, now) = (self.keys().await, self.prover.now());
        let grant = if login.wants_signed() {
            let signed_by = SignedBy { keys: &keys, algorithms: self.parties().response_algorithms(), now };
            login.judge_signed(&answer, &signed_by)
        } else {
            login.judge(&answer)
        };
        let grant = grant.expect("an answer");
        let make = || token_endpoint::request(&self.server, &self.identity, &grant, &self.prover);
        let response = self.exchange(|| make().expect("made")).await;
        let tokens = token_endpoint::judge(&response, Wanted::Bound).expect("tokens");
        let (parties, asked) = (self.parties(), login.asked(&grant));
        let expected = asked.expected(&parties, &tokens.access_token, now);
        let id_token = tokens.id_token.as_ref().expect("an ID token");
        let claims = id_token::verify(id_token, parties.id_token_algorithms(), &keys, &expected);
        (tokens, claims.expect("a good ID token"))
    }
}

fn ask() -> LoginAsk {
    LoginAsk {
        scope: Scope::parse("openid read").ok(),
        resources: vec![ResourceId::parse(API).expect("a resource")],
        max_age_secs: Some(600),
        ..LoginAsk::default()
    }
}

/// The parameters in the URL to which the browser goes.
fn sent(login: &PendingLogin) -> AuthorizationRequest {
    let query = login.url().split_once('?').expect("a query").1;
    AuthorizationRequest::parse(&Form::parse_query(query).expect("a form")).expect("a request")
}

#[tokio::test]
async fn cl_flw_05_cl_flw_09_a_public_client_pushes_and_logs_in() {
    let world = World::with(Settings::with_nonces()).await;
    let library = Library::public(&world).await;
    let login = library.begin(ask()).await;
    let request = sent(&login);
    assert!(request.request_uri.is_some() && request.state.is_none() && request.code_challenge.is_none());
    let (tokens, id_token) = library.finish(&login).await;
    assert_eq!(id_token.sub, "subject-of-alice");
    let claims = keybound_e2e::answer::part(tokens.access_token.reveal(), 1);
    assert_eq!(claims["cnf"]["jkt"], library.prover.jkt().to_string());
}

#[tokio::test]
async fn a_login_without_pushing_ends_alike() {
    let world = World::with(Settings::with_nonces()).await;
    let library = Library::public(&world).await;
    let login = library.begin(LoginAsk { pushed: When::Never, ..ask() }).await;
    assert_eq!(sent(&login).dpop_jkt, Some(library.prover.jkt()));
    library.finish(&login).await;
}

#[tokio::test]
async fn cl_flw_08_signed_requests_and_signed_answers_go_every_way() {
    let world = World::with(Settings::with_nonces()).await;
    let library = Library::confidential(&world).await;
    for pushed in [When::Always, When::Never] {
        for response in
            [ResponseMode::Query, ResponseMode::FormPost, ResponseMode::QueryJwt, ResponseMode::FormPostJwt]
        {
            let ask = LoginAsk { pushed, response, signed: When::Always, ..ask() };
            let login = library.begin(ask).await;
            assert_eq!(sent(&login).request.is_some(), pushed == When::Never, "by value, or inside");
            let login = PendingLogin::parse(login.to_json().as_bytes()).expect("kept in between");
            library.finish(&login).await;
        }
    }
}

#[tokio::test]
async fn fapi_cl_01_fapi_cl_03_fapi_cl_06_fapi_cl_07_a_login_under_the_profile() {
    let world = World::fapi2("").await;
    let mut library = Library::confidential(&world).await;
    library.rules.profile = Profile::Fapi2;
    let login = library.begin(ask()).await;
    assert!(sent(&login).request_uri.is_some());
    library.finish(&login).await;
    library.identity = Identity::public(library.identity.client_id.clone());
    let entropy = LoginEntropy::draw().expect("entropy");
    assert!(begin(&library.parties(), REDIRECT_URI, ask(), &library.prover, &entropy).is_err());
}

/// The evil server sends the browser on to ours, with the `state` of the login that was begun there.
#[tokio::test]
async fn bcp_inj_03_atk_115_our_code_does_not_go_to_an_evil_server() {
    let world = World::new().await;
    let mut library = Library::public(&world).await;
    library.server.issuer = Issuer::parse("https://evil.example").expect("an issuer");
    library.server.flags.authorization_response_iss_parameter_supported = None;
    let login = library.begin(LoginAsk { pushed: When::Never, ..ask() }).await;
    let answer = world.hands().allow(login.url()).await.expect("allowed");
    let refused = login.judge(&Secret::new(answer)).expect_err("refused");
    let expected = library.server.issuer.clone();
    assert_eq!(refused, RedirectRefused::Issuer { expected });
}

/// A code that was stolen from one login is slipped into another: PKCE and the binding to the key stop it.
#[tokio::test]
async fn bcp_inj_01_a_stolen_code_is_of_no_use_in_another_login() {
    let world = World::new().await;
    let (victim, thief) = (Library::public(&world).await, Library::public(&world).await);
    let (theirs, own) = (victim.begin(ask()).await, thief.begin(ask()).await);
    let stolen = world.hands().allow(theirs.url()).await.expect("allowed");
    let answer = world.hands().allow(own.url()).await.expect("allowed");
    let code =
        |query: &str| Form::parse_query(query).expect("a form").get("code").expect("a code").to_owned();
    let injected = answer.replace(&code(&answer), &code(&stolen));
    let grant = own.judge(&Secret::new(injected)).expect("`state` and `iss` are its own");
    let make = || token_endpoint::request(&thief.server, &thief.identity, &grant, &thief.prover);
    let response = thief.exchange(|| make().expect("made")).await;
    let refused = token_endpoint::judge(&response, Wanted::Bound).expect_err("refused");
    assert!(refused.to_string().contains("invalid_grant"), "{refused}");
}
