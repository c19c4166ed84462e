//! The client library against our provider and gateway over sockets: every way to get tokens and to give them back that
//! needs no browser of its own.

use crate::device;
use keybound_client::api::{Api, ApiSettings};
use keybound_client::client::Client;
use keybound_client::client_auth::{ClientAuth, Credentials, Identity};
use keybound_client::error::ClientError;
use keybound_client::flow::ask::TokenAsk;
use keybound_client::flow::authorization_code::LoginAsk;
use keybound_client::flow::device::{DeviceError, PendingDevice};
use keybound_client::flow::refresh::RotateKeyError;
use keybound_client::flow::registration::InitialAccess;
use keybound_client::flow::token_exchange::ExchangeAsk;
use keybound_client::prover::Prover;
use keybound_client::resource_discovery::ResourceDiscoverError;
use keybound_client::session::Origins;
use keybound_client::token_endpoint::TokenError;
use keybound_client::tokens::Tokens;
use keybound_client::transport::Transport;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::signer::SigningKey;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::{Clock, SystemClock};
use keybound_e2e::forge::new_key;
use keybound_e2e::servers::Servers;
use keybound_e2e::world::*;
use keybound_e2e::{Hands, World};
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::device::DeviceAuthorizationResponse;
use keybound_oauth::identifier::{ClientId, Endpoint, Issuer, ResourceId};
use keybound_oauth::registration::RegistrationRequest;
use keybound_oauth::scope::Scope;
use keybound_oauth::token_exchange::TypedToken;
use keybound_provider::registry::add_client;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

fn transport() -> Transport {
    Transport::over(Fetcher::for_operator(&Settings::default()).expect("an HTTP client"))
}

fn scope(text: &str) -> Option<Scope> {
    Scope::parse(text).ok()
}

fn resource(text: &str) -> ResourceId {
    ResourceId::parse(text).expect("a resource")
}

/// A provider that asks for nonces, and clients at it.
struct Stage {
    world: World,
    origin: String,
}

impl Stage {
    async fn new(more: &str) -> Self {
        let (world, origin) = World::at_loopback(more).await;
        Self { world, origin }
    }

    fn prover(&self) -> Prover {
        self.prover_of(new_key())
    }

    fn prover_of(&self, key: SigningKey) -> Prover {
        let clock: Arc<dyn Clock> = Arc::<keybound_e2e::TurnedClock>::clone(&self.world.clock);
        Prover::new(Arc::new(key), Arc::default(), clock)
    }

    async fn client(&self, client_id: &str, with: Credentials) -> Client {
        let server = transport().discover(&Issuer::parse(&self.origin).expect("an issuer")).await;
        let server = server.expect("metadata");
        let auth = ClientAuth::choose(&server, with).expect("a method");
        let client_id = ClientId::parse(client_id).expect("a client_id");
        Client::new(transport(), server, Identity { client_id, auth }, self.prover())
    }

    async fn with_secret(&self, client_id: &str) -> Client {
        self.client(client_id, Credentials::Secret(Secret::new(SECRET))).await
    }

    /// The tokens of a user who signs in and allows it.
    async fn log_in(&self, client: &Client, scope: &str) -> Tokens {
        let ask = LoginAsk {
            scope: Scope::parse(scope).ok(),
            resources: vec![resource(API)],
            ..LoginAsk::default()
        };
        let login = client.begin_login(ask, REDIRECT_URI).await.expect("begun");
        let mut hands = Hands::of(&self.world.user.username, PASSWORD);
        let query = hands.allow(login.url()).await.expect("allowed");
        client.finish_login(login, &Secret::new(query)).await.expect("tokens")
    }
}

fn claims(token: &Secret) -> Value {
    let payload = base64url::decode(token.reveal().split('.').nth(1).expect("a JWT")).expect("base64url");
    serde_json::from_slice(&payload).expect("JSON")
}

/// Who lets a device in, after so many polls: `None` for nobody, and a word.
async fn device_login(is_allowed: Option<bool>) -> (Result<Tokens, ClientError>, Client, u64) {
    let stage = Stage::new("").await;
    let tv = json!({ "client_id": "tv", "grant_types":
        ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"] });
    add_client(&stage.world.store, tv, stage.world.now()).await.expect("a client");
    stage.world.clock.pass(1);
    let client = stage.client("tv", Credentials::None).await;
    let ask = TokenAsk { resources: vec![resource(API)], ..TokenAsk::scope(scope("openid read")) };
    let pending = client.begin_device(ask).await.expect("begun");
    let (codes, waits) = (codes(&pending), parking_lot::Mutex::new(0_u64));
    let sleep = |time: Duration| {
        // The provider's clock goes on as the device's does; the second wait is one second too short.
        let wait = {
            let mut waits = waits.lock();
            *waits += 1;
            *waits
        };
        stage.world.clock.pass(if wait == 2 { time.as_secs() - 1 } else { time.as_secs() });
        let (world, codes) = (&stage.world, &codes);
        async move {
            if let (3, Some(is_allowed)) = (wait, is_allowed) {
                device::answer(world, codes, is_allowed).await;
            }
        }
    };
    let end = client.finish_device(pending, sleep).await;
    let waits = *waits.lock();
    (end, client, waits)
}

fn codes(pending: &PendingDevice) -> DeviceAuthorizationResponse {
    DeviceAuthorizationResponse {
        device_code: Secret::new("unknown to who types"),
        user_code: pending.user_code().clone(),
        verification_uri: Endpoint::parse(pending.verification_uri()).expect("a URL"),
        verification_uri_complete: None,
        expires_in_secs: 0,
        interval_secs: 0,
    }
}

#[tokio::test]
async fn cl_flw_11_cl_non_02_a_device_polls_until_the_user_has_answered() {
    let (tokens, client, waits) = device_login(Some(true)).await;
    let tokens = tokens.expect("tokens");
    assert_eq!(waits, 3, "pending, too soon, granted");
    assert_eq!(claims(&tokens.access_token)["cnf"]["jkt"], client.prover().jkt().to_string());
    assert_eq!(tokens.subject.as_deref(), Some("subject-of-alice"));
    client.refresh(&tokens).await.expect("renewed");
}

#[tokio::test]
async fn cl_flw_11_a_device_is_told_no_and_too_late() {
    let (denied, ..) = device_login(Some(false)).await;
    assert!(matches!(denied, Err(ClientError::Device(DeviceError::Denied(_)))), "{denied:?}");
    let (late, ..) = device_login(None).await;
    assert!(matches!(late, Err(ClientError::Device(DeviceError::Expired))), "{late:?}");
}

#[tokio::test]
async fn fapi_cl_01_fapi_cl_03_fapi_cl_06_a_client_authenticates_by_a_key_and_gets_bound_tokens() {
    let stage = Stage::new("[assertion]\naudience = \"issuer\"\n").await;
    let key =
        SigningKey::from_private_jwk(stage.world.client_key.to_private_jwk().expect("a JWK").as_bytes());
    let key = Credentials::Key(Arc::new(key.expect("a key")), None);
    let client = stage.client("signed", key).await;
    assert!(matches!(client.identity().auth, ClientAuth::PrivateKeyJwt { .. }));
    let ask = TokenAsk { resources: vec![resource(API)], ..TokenAsk::scope(scope("read")) };
    let tokens = client.client_credentials_for(&ask).await.expect("tokens");
    assert_eq!(claims(&tokens.access_token)["cnf"]["jkt"], client.prover().jkt().to_string());
}

#[tokio::test]
async fn cl_flw_07_userinfo_is_about_who_signed_in() {
    let stage = Stage::new("").await;
    let client = stage.client("app", Credentials::None).await;
    let tokens = stage.log_in(&client, "openid email read").await;
    let told = client.userinfo(&tokens).await.expect("claims");
    assert_eq!(told["email"], "alice@example.org");
    let another = Tokens { subject: Some("somebody else".to_owned()), ..tokens };
    assert!(matches!(client.userinfo(&another).await, Err(ClientError::Userinfo(_))));
}

#[tokio::test]
async fn a_login_that_is_given_back_is_at_its_end() {
    let stage = Stage::new("").await;
    let client = stage.client("app", Credentials::None).await;
    let tokens = stage.log_in(&client, "openid read").await;
    client.revoke_all(&tokens).await.expect("revoked");
    client.revoke_all(&tokens).await.expect("and again");
    let refused = client.refresh(&tokens).await.expect_err("refused");
    assert!(matches!(refused, ClientError::Token(TokenError::Refused { .. })), "{refused:?}");
    assert!(refused.to_string().contains("log in again"), "{refused}");
    let refused = client.userinfo(&tokens).await.expect_err("refused");
    assert!(refused.to_string().contains("userinfo_endpoint"), "{refused}");
    let url = client.logout_url(&Default::default()).expect("a URL");
    assert!(url.starts_with(&format!("{}/logout?", stage.origin)) && !url.contains("id_token"), "{url}");
}

#[tokio::test]
async fn cl_key_09_a_login_goes_on_under_another_key_where_the_client_authenticates() {
    let stage = Stage::new("").await;
    let old = stage.with_secret("service").await;
    let tokens = stage.log_in(&old, "openid email read").await;
    let (new, renewed) = old.rotate_key(&tokens, stage.prover()).await.expect("rotated");
    assert_ne!(old.prover().jkt(), new.prover().jkt());
    assert_eq!(claims(&renewed.access_token)["cnf"]["jkt"], new.prover().jkt().to_string());
    assert!(new.userinfo(&renewed).await.is_ok());
    assert!(old.userinfo(&renewed).await.is_err(), "the new token is not for the old key");
    assert!(old.userinfo(&tokens).await.is_ok(), "and the old one lives on with it");
    let public = stage.client("app", Credentials::None).await;
    let tokens = stage.log_in(&public, "openid read").await;
    let refused = public.rotate_key(&tokens, stage.prover()).await;
    assert!(matches!(refused, Err(ClientError::RotateKey(RotateKeyError::PublicClient))), "{refused:?}");
    public.refresh(&tokens).await.expect("nothing was spoilt");
}

#[tokio::test]
async fn cl_tok_05_fapi_cl_04_a_refresh_for_less_and_then_for_all() {
    let stage = Stage::new("[refresh_tokens]\nrotate = \"always\"\n").await;
    let client = stage.client("app", Credentials::None).await;
    let tokens = stage.log_in(&client, "openid read write").await;
    let narrow = client.refresh_for(&tokens, &TokenAsk::scope(scope("read"))).await.expect("tokens");
    assert_eq!(
        (narrow.scope.clone(), claims(&narrow.access_token)["scope"].clone()),
        (scope("read"), "read".into())
    );
    let kept = tokens.with_refresh_token_of(&narrow);
    let whole = client.refresh(&kept).await.expect("tokens");
    assert_eq!(whole.scope, scope("openid read write"));
    let more = client.refresh_for(&whole, &TokenAsk::scope(scope("read admin"))).await.expect_err("refused");
    assert!(more.to_string().contains("scopes that the client is registered for"), "{more}");
}

#[tokio::test]
async fn an_api_exchanges_a_bound_token_for_the_next_api_in_the_users_name_or_as_itself() {
    let stage = Stage::new("").await;
    let app = stage.client("app", Credentials::None).await;
    let subject = stage.log_in(&app, "openid read").await;
    let api = stage.with_secret("api").await;
    let ask = TokenAsk { resources: vec![resource(MIXED_API)], ..TokenAsk::scope(scope("read")) };
    let exchange = ExchangeAsk { ask, ..ExchangeAsk::access_token(subject.access_token) };
    let impersonating =
        api.exchange_token(exchange.clone()).await.expect("exchanged").access().expect("a token");
    let told = claims(&impersonating.access_token);
    assert_eq!((&told["sub"], &told["aud"]), (&"subject-of-alice".into(), &MIXED_API.into()));
    assert_eq!(told["cnf"]["jkt"], api.prover().jkt().to_string(), "bound to who exchanged it");
    assert!(told.get("act").is_none());
    let own = api.client_credentials(scope("read"), vec![resource(API)]).await.expect("tokens");
    let exchange = exchange.by(TypedToken::access_token(own.access_token));
    let delegated = api.exchange_token(exchange).await.expect("exchanged").access().expect("a token");
    assert_eq!(claims(&delegated.access_token)["act"]["sub"], "api");
    let foreign = api.exchange_token(ExchangeAsk::access_token(Secret::new("no token"))).await;
    assert!(matches!(foreign, Err(ClientError::Token(TokenError::Refused { .. }))), "{foreign:?}");
}

#[tokio::test]
async fn as_dcr_11_as_dcr_14_a_client_registers_logs_in_changes_and_goes() {
    let stage = Stage::new("[registration]\nmode = \"token\"\nloopback_urls = true\n").await;
    let deployer = json!({ "client_id": "deployer", "client_secret": SECRET,
        "grant_types": ["client_credentials"], "scope": "client_registration" });
    add_client(&stage.world.store, deployer, stage.world.now()).await.expect("a client");
    let deployer = stage.with_secret("deployer").await;
    let register = resource(&format!("{}/register", stage.origin));
    let initial =
        deployer.client_credentials(scope("client_registration"), vec![register]).await.expect("tokens");
    let metadata = json!({ "client_name": "New", "redirect_uris": [REDIRECT_URI],
        "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "client_secret_post" });
    let request = |metadata: &Value| RegistrationRequest {
        metadata: metadata.as_object().expect("an object").clone(),
        software_statement: None,
    };
    let refused = transport().register(deployer.server(), &request(&metadata), &InitialAccess::Open).await;
    assert!(refused.expect_err("refused").to_string().contains("registration_endpoint"));
    let access = InitialAccess::Bound(initial.access_token, deployer.prover().clone());
    let registered =
        transport().register(deployer.server(), &request(&metadata), &access).await.expect("registered");
    let identity = registered.identity(None, stage.world.now()).expect("a client");
    let server = deployer.server().clone();
    let client = Client::new(transport(), server, identity, stage.prover());
    let tokens = stage.log_in(&client, "openid").await;
    client.refresh(&tokens).await.expect("tokens");
    let mut changed = metadata;
    changed["client_name"] = "Renamed".into();
    let changed = transport().update_registration(&registered, &request(&changed)).await.expect("changed");
    let read = transport().read_registration(&changed).await.expect("read");
    assert_eq!(read.information().metadata["client_name"], "Renamed");
    assert_eq!(read.client_id(), registered.client_id());
    transport().delete_registration(&read).await.expect("gone");
    let gone = transport().read_registration(&read).await.expect_err("gone");
    assert!(gone.to_string().contains("registration_client_uri"), "{gone}");
}

#[tokio::test]
async fn cl_dsc_02_cl_dsc_03_atk_116_from_the_challenge_of_a_gateway_to_a_call_with_a_token() {
    let service =
        json!({ "client_id": "service", "client_secret": SECRET, "grant_types": ["client_credentials"] });
    let servers = Servers::with(vec![service]).await;
    let (api, issuer) =
        (resource(&format!("{}/", servers.api)), Issuer::parse(&servers.issuer).expect("an issuer"));
    let nearby = Settings { strangers_may_name_loopback: true, ..Settings::default() };
    let strangers = Fetcher::for_strangers(&nearby).expect("an HTTP client");
    let order =
        || http::Request::get(format!("{}/orders", servers.api)).body(bytes::Bytes::new()).expect("one");
    let refused = transport().fetcher().send(order()).await.expect("an answer");
    assert_eq!(refused.status(), 401);
    let answer = Some(refused.headers());
    let nobody = transport().discover_resource(&strangers, &api, answer, &[]).await;
    assert!(
        matches!(nobody, Err(ClientError::DiscoverResource(ResourceDiscoverError::Issuer { .. }))),
        "{nobody:?}"
    );
    let found = transport().discover_resource(&strangers, &api, answer, &[issuer]).await.expect("found");
    let identity = Identity {
        client_id: ClientId::parse("service").expect("a client_id"),
        auth: ClientAuth::choose(&found.server, Credentials::Secret(Secret::new(SECRET))).expect("a method"),
    };
    let prover = Prover::new(Arc::new(new_key()), Arc::default(), Arc::new(SystemClock::start()));
    let client = Client::new(transport(), found.server, identity, prover.clone());
    let tokens = client.client_credentials(scope("read"), vec![api]).await.expect("tokens");
    let session = client.session("k", tokens, Origins::of([servers.api.as_str()]).expect("an origin"));
    let api = Api::new(transport(), prover, session, ApiSettings::default()).expect("an API");
    assert_eq!(api.send(order()).await.expect("an answer").status(), 200);
}
