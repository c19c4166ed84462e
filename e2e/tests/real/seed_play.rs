//! The eight steps of the DPoP flow between the client library, the provider and the gateway, over real sockets; then
//! what must fail. What happened is kept as plain data for the tests that ask about it.

use bytes::Bytes;
use http::{Method, Request};
use keybound_client::api::{Api, ApiSettings};
use keybound_client::client::Client;
use keybound_client::client_auth::Identity;
use keybound_client::discover::choose_algorithm;
use keybound_client::flow::authorization_code::{LoginAsk, When};
use keybound_client::prover::Prover;
use keybound_client::session::Origins;
use keybound_client::transport::Transport;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::time::{Clock, SystemClock};
use keybound_e2e::forge::new_key;
use keybound_e2e::servers::{CLIENT_ID, Exchange, PASSWORD, USERNAME};
use keybound_e2e::world::refresh_form;
use keybound_e2e::{Answer, Forge, Hands, Servers};
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::identifier::{ClientId, Issuer, ResourceId};
use keybound_oauth::scope::Scope;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// What happened.
pub(crate) struct Played {
    pub(crate) issuer: String,
    pub(crate) api: String,
    /// The client's key: what it shows of it, and what it keeps.
    pub(crate) public_jwk: Value,
    pub(crate) private_jwk: Value,
    pub(crate) jkt: String,
    /// The algorithms for proofs that the provider lists.
    pub(crate) listed: Value,
    /// What the client's parts print of themselves.
    pub(crate) debug: String,
    /// The honest exchanges at the token endpoint.
    pub(crate) at_token: Vec<Arc<Exchange>>,
    /// The honest exchanges at the gateway.
    pub(crate) at_gateway: Vec<Arc<Exchange>>,
    /// What reached the API itself, to the end of the play.
    pub(crate) at_api: Vec<Arc<Exchange>>,
    /// Every exchange at provider and gateway, to the end of the play.
    pub(crate) all: Vec<Arc<Exchange>>,
    tries: BTreeMap<&'static str, Answer>,
}

impl Played {
    /// The answer to one of the tries after the flow.
    pub(crate) fn tried(&self, name: &str) -> &Answer {
        self.tries.get(name).unwrap_or_else(|| panic!("`{name}` was not tried"))
    }
}

/// The play, played once.
pub(crate) async fn played() -> &'static Played {
    static PLAYED: OnceCell<Played> = OnceCell::const_new();
    PLAYED.get_or_init(play).await
}

async fn play() -> Played {
    let servers = Servers::start().await;
    let fetcher = Fetcher::for_operator(&Settings::default()).expect("an HTTP client");
    let transport = Transport::over(fetcher.clone());
    let issuer = Issuer::parse(&servers.issuer).expect("an issuer");
    let server = transport.discover(&issuer).await.expect("metadata");
    let listed = server.supported.dpop_signing_alg_values_supported.clone();
    let algorithm = choose_algorithm(&server, None).expect("an algorithm in common");
    let key = SigningKey::generate(algorithm).expect("a key");
    let private_jwk: Value = serde_json::from_str(&key.to_private_jwk().expect("a JWK")).expect("JSON");
    let public_jwk: Value = serde_json::from_str(&key.public_jwk().to_json()).expect("JSON");
    let jkt = key.public_jwk().thumbprint().to_string();
    let prover = Prover::new(Arc::new(key), Arc::default(), Arc::new(SystemClock::start()));
    let identity = Identity::public(ClientId::parse(CLIENT_ID).expect("a client_id"));
    let client = Client::new(transport.clone(), server, identity, prover.clone());
    let ask = LoginAsk {
        scope: Scope::parse("openid read").ok(),
        resources: vec![ResourceId::parse(&format!("{}/", servers.api)).expect("a resource")],
        // So that it is the token endpoint that asks for the nonce.
        pushed: When::Never,
        ..LoginAsk::default()
    };
    // The hands bring the answer themselves: nobody needs to listen there.
    let login = client.begin_login(ask, "http://127.0.0.1:1/callback").await.expect("a login");
    let query = Hands::of(USERNAME, PASSWORD).allow(login.url()).await.expect("allowed");
    let tokens = client.finish_login(login, &query.into()).await.expect("tokens");
    let session = client.session("seed", tokens, Origins::of([servers.api.as_str()]).expect("an origin"));
    let mut debug = format!("{client:?} {prover:?} {session:?}");
    let api = Api::new(transport, prover, session, ApiSettings::default()).expect("an API");
    debug.push_str(&format!("{api:?}"));
    let order = Request::get(format!("{}/orders?page=1", servers.api)).body(Bytes::new()).expect("a request");
    assert_eq!(api.send(order).await.expect("an answer").status(), 200);
    let (at_token, at_gateway) = (servers.at_provider.at("/token"), servers.at_gateway.all());
    let key = SigningKey::from_private_jwk(private_jwk.to_string().as_bytes()).expect("the key");
    let tries = Tries { servers: &servers, fetcher, key, at_token: &at_token, at_gateway: &at_gateway };
    let tries = tries.all().await;
    Played {
        listed: listed.into(),
        public_jwk,
        private_jwk,
        jkt,
        debug,
        at_api: servers.at_api.all(),
        all: [servers.at_provider.all(), servers.at_gateway.all()].concat(),
        issuer: servers.issuer.clone(),
        api: servers.api.clone(),
        at_token,
        at_gateway,
        tries,
    }
}

/// What is tried after the flow, with what was seen in it.
struct Tries<'p> {
    servers: &'p Servers,
    fetcher: Fetcher,
    key: SigningKey,
    at_token: &'p [Arc<Exchange>],
    at_gateway: &'p [Arc<Exchange>],
}

impl Tries<'_> {
    async fn all(&self) -> BTreeMap<&'static str, Answer> {
        let mut answers = self.at_the_token_endpoint().await;
        answers.extend(self.at_the_resource().await);
        answers
    }

    async fn at_the_token_endpoint(&self) -> BTreeMap<&'static str, Answer> {
        let nonce = self.at_token[0].answer.nonce();
        let htu = format!("{}/token", self.servers.issuer);
        let now = SystemClock::start().now().unix;
        let proof = |key: &SigningKey| Forge::new(key, "POST", &htu, now).nonce(&nonce).sign(key);
        let good = proof(&self.key);
        let mut answers = BTreeMap::new();
        answers.insert("refresh with another key", self.refresh(&proof(&new_key())).await);
        for (name, part) in
            [("token: bent header", 0), ("token: bent payload", 1), ("token: bent signature", 2)]
        {
            answers.insert(name, self.refresh(&bend(&proof(&self.key), part)).await);
        }
        answers.insert("refresh", self.refresh(&good).await);
        answers.insert("refresh with the same proof", self.refresh(&good).await);
        answers
    }

    async fn at_the_resource(&self) -> BTreeMap<&'static str, Answer> {
        let call = self.at_gateway.last().expect("a call");
        let (recorded, nonce) = (call.one("dpop"), self.at_gateway[0].answer.nonce());
        let token = call.one("authorization").trim_start_matches("DPoP ").to_owned();
        let htu = format!("{}/orders", self.servers.api);
        let now = SystemClock::start().now().unix;
        let forge = |key: &SigningKey| Forge::new(key, "GET", &htu, now).nonce(&nonce).token(&token);
        let good = || forge(&self.key).sign(&self.key);
        let other = new_key();
        let bent_token = bend(&token, 2);
        let for_bent = forge(&self.key).token(&bent_token).sign(&self.key);
        let without_ath = forge(&self.key).without("ath").sign(&self.key);
        let wrong_ath = forge(&self.key).token("another token").sign(&self.key);
        let mut answers = BTreeMap::new();
        for (name, scheme, token, proof) in [
            ("the recorded proof again", "DPoP", &token, Some(recorded)),
            ("a key of one's own", "DPoP", &token, Some(forge(&other).sign(&other))),
            ("as bearer", "Bearer", &token, None),
            ("as bearer with a proof", "Bearer", &token, Some(good())),
            ("no proof", "DPoP", &token, None),
            ("no ath", "DPoP", &token, Some(without_ath)),
            ("wrong ath", "DPoP", &token, Some(wrong_ath)),
            ("resource: bent signature", "DPoP", &token, Some(bend(&good(), 2))),
            ("a bent token", "DPoP", &bent_token, Some(for_bent)),
        ] {
            let mut request = Request::get(&htu).header("authorization", format!("{scheme} {token}"));
            if let Some(proof) = proof {
                request = request.header("dpop", proof);
            }
            answers.insert(name, self.send(request.body(Bytes::new()).expect("a request")).await);
        }
        answers
    }

    /// A refresh with the tokens of the flow and that proof.
    async fn refresh(&self, proof: &str) -> Answer {
        let token = self.at_token[1].answer.text("refresh_token");
        let form = refresh_form(&token).pair("client_id", CLIENT_ID).finish();
        let request = Request::builder().method(Method::POST).uri(format!("{}/token", self.servers.issuer));
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").header("dpop", proof);
        self.send(request.body(Bytes::from(form)).expect("a request")).await
    }

    async fn send(&self, request: Request<Bytes>) -> Answer {
        let response = self.fetcher.send(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

/// A JWT with one bit turned inside one of its parts, in the middle of a text value or of the signature.
fn bend(jwt: &str, part: usize) -> String {
    let mut parts: Vec<Vec<u8>> =
        jwt.split('.').map(|part| base64url::decode(part).expect("base64url")).collect();
    let bytes = &mut parts[part];
    let text = String::from_utf8_lossy(bytes).into_owned();
    // The first letter of `x` and of `jti` keep the JSON, and the point, or the claim, is another.
    let place = ["\"x\":\"", "\"jti\":\""].iter().find_map(|name| Some(text.find(name)? + name.len()));
    let place = if part == 2 { bytes.len() / 2 } else { place.expect("a value") };
    bytes[place] ^= 1;
    parts.iter().map(|part| base64url::encode(part)).collect::<Vec<_>>().join(".")
}
