//! The provider, on a turned clock, with the clients and the user that most tests want. What it is made of and what is sent
//! to it is here by name, too.

use crate::answer::Answer;
use crate::clock::TurnedClock;
use crate::forge::{Forge, new_key};
use crate::hands::Hands;
use crate::settings::{clients, config_of, signed};
use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::{Clock, UnixTime};
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::claims_request::ClaimsRequest;
use keybound_oauth::client_auth::{ASSERTION_TYPE, sign_assertion};
use keybound_oauth::form::FormWriter;
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_provider::config::ConfigFile;
use keybound_provider::provider::Provider;
use keybound_provider::registry::{NewUser, add_client, add_user};
use keybound_provider::service::service;
use keybound_provider::store::{
    CREDENTIAL_ENTROPY, Code, CodeState, Credential, Grant, Id, Store, User, Write,
};
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tower::ServiceExt;

pub use crate::requests::*;
pub use crate::settings::*;

/// The provider and all that a test needs to talk to it.
pub struct World {
    /// The clock.
    pub clock: Arc<TurnedClock>,
    /// The provider itself.
    pub provider: Arc<Provider>,
    /// Its store.
    pub store: Store,
    /// Its user.
    pub user: User,
    /// The key of the client `signed`.
    pub client_key: SigningKey,
    /// A key for proofs.
    pub key: SigningKey,
    router: Router,
    _folder: TempDir,
}

impl World {
    /// A World without nonces.
    pub async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    /// A World as the settings say.
    pub async fn with(settings: Settings) -> Self {
        Self::configured(config(&settings.config)).await
    }

    /// A World as a configuration says, which begins as [`config`] gives it.
    pub async fn configured(file: ConfigFile) -> Self {
        let client_key = new_key();
        Self::made_of(&file, clients(&client_key), client_key).await
    }

    /// A World on a socket of this machine, which is also its issuer, with more lines of configuration: for clients that
    /// know no more than a URL. It runs until the runtime of the test ends.
    pub async fn at_loopback(more: &str) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let client_key = new_key();
        let world = Self::made_of(&config_of(&origin, more), clients(&client_key), client_key).await;
        let router = world.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (world, origin)
    }

    /// A World under the FAPI 2.0 Security Profile, without nonces, with more lines of configuration: its clients are
    /// `signed` and `signed-too`.
    pub async fn fapi2(more: &str) -> Self {
        let text = format!(
            "issuer = \"{ISSUER}\"\nprofile = \"fapi2\"\n[nonce]\nmode = \"off\"\n\
             [[resource]]\nidentifier = \"{API}\"\nscopes = [\"read\", \"write\"]\n{more}\n"
        );
        let config = ConfigFile::parse(&text, "fapi2.toml").expect("TOML");
        let client_key = new_key();
        let clients = vec![signed("signed", &client_key), signed("signed-too", &client_key)];
        Self::made_of(&config, clients, client_key).await
    }

    async fn made_of(config: &ConfigFile, clients: Vec<Value>, client_key: SigningKey) -> Self {
        let folder = TempDir::new().expect("a folder");
        let clock = Arc::new(TurnedClock::default());
        let store = Store::open(&folder.path().join("store.sqlite")).expect("a store");
        let now = clock.unix();
        for metadata in clients {
            add_client(&store, metadata, now).await.expect("a client");
        }
        let new = NewUser {
            username: "alice".to_owned(),
            password: Secret::new(PASSWORD),
            subject: Some("subject-of-alice".to_owned()),
            claims: json!({ "name": "Alice", "email": "alice@example.org", "email_verified": true })
                .as_object()
                .expect("an object")
                .clone(),
        };
        let user = add_user(&store, new, now).await.expect("a user");
        let config = config.check().expect("a configuration");
        let provider = Provider::open(config, store.clone(), clock.clone()).await.expect("a provider");
        let router = service(&provider).into();
        // Without nonces, nothing is believed that may have been used before the start (OPS-REP-09).
        clock.pass(31);
        Self { clock, provider, store, user, client_key, key: new_key(), router, _folder: folder }
    }

    /// What time it is.
    pub fn now(&self) -> UnixTime {
        self.clock.unix()
    }

    /// A browser of the World's user, in the same process.
    pub fn hands(&self) -> Hands {
        Hands::within(self.router.clone(), &self.user.username, PASSWORD)
    }

    /// A good proof for the pushed authorization request endpoint by the World's key.
    pub fn pushed_proof(&self) -> Forge {
        Forge::new(&self.key, "POST", PUSHED, self.now())
    }

    /// The provider on a socket of this machine, until the runtime of the test ends: its origin there.
    pub async fn on_a_socket(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let router = self.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        origin
    }

    /// Sends a request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response: Response<Body> = self.router.clone().oneshot(request).await.expect("an answer");
        Answer::read(response).await
    }

    /// A good proof for the token endpoint by the World's key.
    pub fn proof(&self) -> Forge {
        Forge::new(&self.key, "POST", TOKEN, self.now())
    }

    /// A good proof for UserInfo by the World's key.
    pub fn userinfo_proof(&self, token: &str) -> Forge {
        Forge::new(&self.key, "GET", USERINFO, self.now()).token(token)
    }

    /// Posts a form to the token endpoint, with these headers.
    pub async fn post(&self, form: FormWriter, headers: &[(&str, &str)]) -> Answer {
        self.send(post(TOKEN, form, headers)).await
    }

    /// A token request by the client `service`, which has a secret, for itself.
    pub async fn client_credentials(&self, proof: Option<&str>) -> Answer {
        let headers = with_proof(vec![("authorization", basic("service", SECRET))], proof);
        self.post(client_credentials_form(), &borrow(&headers)).await
    }

    /// A token request by the public client `app` with a code.
    pub async fn redeem(&self, code: &Secret, proof: Option<&str>) -> Answer {
        let form = code_form(code).pair("client_id", "app");
        self.post(form, &borrow(&with_proof(Vec::new(), proof))).await
    }

    /// A refresh by the public client `app`.
    pub async fn refresh(&self, token: &str, proof: Option<&str>) -> Answer {
        let form = refresh_form(token).pair("client_id", "app");
        self.post(form, &borrow(&with_proof(Vec::new(), proof))).await
    }

    /// Tokens for the client `app`, bound to the World's key.
    pub async fn tokens(&self) -> Answer {
        let answer = self.redeem(&self.code("app").await, Some(&self.proof().sign(&self.key))).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
        answer
    }

    /// A code for the client, as sign-in and consent would leave it.
    pub async fn code(&self, client_id: &str) -> Secret {
        self.code_with(client_id, |_| {}).await
    }

    /// A code, changed by the test before it is stored.
    pub async fn code_with(&self, client_id: &str, change: impl FnOnce(&mut Code)) -> Secret {
        let now = self.now();
        let entropy = random::<CREDENTIAL_ENTROPY>().expect("entropy");
        let (id, text, secret_hash) = Credential::mint(now, &entropy);
        let grant_id = Id::mint(now, &random().expect("entropy"));
        let mut code = Code {
            id,
            secret_hash,
            grant_id,
            client_id: client_id.to_owned(),
            redirect_uri: REDIRECT_URI.to_owned(),
            redirect_uri_sent: true,
            code_challenge: Some(challenge(VERIFIER)),
            dpop_jkt: None,
            subject: self.user.subject.clone(),
            scope: ["openid", "email", "read"].map(str::to_owned).to_vec(),
            resources: vec![API.to_owned()],
            authorization_details: AuthorizationDetails::default(),
            nonce: Some("oidc nonce".to_owned()),
            auth_time: now,
            session_id: None,
            acr: None,
            issued_at: now,
            expires_at: now.plus_secs(60),
            refusals: 0,
            state: CodeState::Live,
        };
        change(&mut code);
        let grant = Grant {
            id: grant_id,
            client_id: client_id.to_owned(),
            subject: Some(self.user.subject.clone()),
            session_id: None,
            created_at: now,
            revoked_at: None,
            session_ended_at: None,
            claims: ClaimsRequest::default(),
        };
        let writes = vec![Write::InsertGrant(grant), Write::InsertCode(Box::new(code))];
        self.store.write(writes).await.expect("written");
        text
    }

    /// Calls UserInfo.
    pub async fn userinfo(&self, scheme: &str, token: &str, proof: Option<&str>) -> Answer {
        let headers = with_proof(vec![("authorization", format!("{scheme} {token}"))], proof);
        self.send(get(USERINFO, &borrow(&headers))).await
    }

    /// Asks what stands behind a token, as a client with the World's secret.
    pub async fn introspect(&self, caller: &str, token: &str) -> Answer {
        let form = FormWriter::new().pair("token", token);
        self.send(post(INTROSPECT, form, &[("authorization", &basic(caller, SECRET))])).await
    }

    /// Ends a token, as the public client `app`.
    pub async fn revoke(&self, token: &str) -> Answer {
        let form = FormWriter::new().pair("token", token).pair("client_id", "app");
        self.send(post(REVOKE, form, &[])).await
    }

    /// Tokens for the client `app` at the API that takes opaque ones, bound to the World's key.
    pub async fn opaque_tokens(&self) -> Answer {
        let code = self.code_with("app", |code| code.resources = vec![OPAQUE_API.to_owned()]).await;
        let answer = self.redeem(&code, Some(&self.proof().sign(&self.key))).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
        answer
    }

    /// An assertion of the client `signed`.
    pub fn assertion(&self) -> Secret {
        let jti = base64url::encode(&random::<16>().expect("entropy"));
        let client_id = ClientId::parse("signed").expect("a client_id");
        let issuer = Issuer::parse(ISSUER).expect("an issuer");
        sign_assertion(&self.client_key, None, &client_id, &issuer, self.now(), &jti).expect("signed")
    }

    /// A token request by the client `signed`, which shows that assertion, for itself.
    pub async fn with_assertion(&self, assertion: &str, proof: Option<&str>) -> Answer {
        let form = client_credentials_form()
            .pair("client_assertion_type", ASSERTION_TYPE)
            .pair("client_assertion", assertion);
        self.post(form, &borrow(&with_proof(Vec::new(), proof))).await
    }
}
