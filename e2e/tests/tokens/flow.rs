//! Login, renewal and calls with a key that never leaves its token.

use crate::for_each_token;
use crate::stage::{PIN, Stage};
use http::Request;
use keybound_client::api::{Api, ApiSettings};
use keybound_client::client::Client;
use keybound_client::client_auth::Identity;
use keybound_client::discover::choose_algorithm;
use keybound_client::flow::authorization_code::LoginAsk;
use keybound_client::prover::Prover;
use keybound_client::session::Origins;
use keybound_client::transport::Transport;
use keybound_dpop::jose::jws::UnverifiedJwt;
use keybound_dpop::jose::signer::Signer as _;
use keybound_dpop::time::SystemClock;
use keybound_e2e::servers::{CLIENT_ID, PASSWORD, USERNAME};
use keybound_e2e::{Hands, Servers};
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::identifier::{ClientId, Issuer, ResourceId};
use keybound_oauth::scope::Scope;
use std::sync::Arc;

for_each_token! {
    cl_key_07_atk_125_a_login_and_calls_with_a_key_in_a_token
}

fn cl_key_07_atk_125_a_login_and_calls_with_a_key_in_a_token(stage: &Stage) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(play(stage));
}

async fn play(stage: &Stage) {
    let servers = Servers::start().await;
    let transport = Transport::over(Fetcher::for_operator(&Settings::default()).expect("an HTTP client"));
    let server =
        transport.discover(&Issuer::parse(&servers.issuer).expect("an issuer")).await.expect("metadata");
    let algorithm = choose_algorithm(&server, None).expect("an algorithm in common");
    let (keys, _) = stage.keys(PIN);
    let key = keys.create_in_token("login", algorithm, &stage.token()).expect("a key");
    let jkt = key.public_jwk().thumbprint();
    let prover = Prover::new(key, Arc::default(), Arc::new(SystemClock::start()));
    let identity = Identity::public(ClientId::parse(CLIENT_ID).expect("a client_id"));
    let client = Client::new(transport.clone(), server, identity, prover.clone());
    let ask = LoginAsk {
        scope: Scope::parse("openid read").ok(),
        resources: vec![ResourceId::parse(&format!("{}/", servers.api)).expect("a resource")],
        ..LoginAsk::default()
    };
    // The hands bring the answer themselves: nobody needs to listen there.
    let login = client.begin_login(ask, "http://127.0.0.1:1/callback").await.expect("a login");
    let query = Hands::of(USERNAME, PASSWORD).allow(login.url()).await.expect("allowed");
    let tokens = client.finish_login(login, &query.into()).await.expect("tokens");
    let bound = UnverifiedJwt::parse(tokens.access_token.reveal()).expect("a JWT");
    let claims = bound.claims().expect("claims");
    let cnf = claims.object("cnf").expect("an object").expect("cnf");
    assert_eq!(cnf.string("jkt"), Ok(Some(jkt.to_string().as_str())));
    let session = client.session("login", tokens, Origins::of([servers.api.as_str()]).expect("an origin"));
    let settings = ApiSettings { renewal: Some(client), ..ApiSettings::default() };
    let api = Api::new(transport, prover, session.clone(), settings).expect("an API");
    let orders = format!("{}/orders", servers.api);
    let call = || Request::get(&orders).body(bytes::Bytes::new()).expect("a request");
    assert_eq!(api.send(call()).await.expect("an answer").status(), 200);
    api.renew(&session).await.expect("renewed");
    assert_eq!(api.send(call()).await.expect("an answer").status(), 200);
}
