//! Logins whose answer is signed (JARM).

use crate::mock::{Mock, START, TOKENS, client_at, reply};
use keybound_client::client::Client;
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::flow::authorization_code::{LoginAsk, LoginRules, PendingLogin, RedirectRefused};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::jws;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::secret::Secret;
use keybound_oauth::form::Form;
use keybound_oauth::response_mode::ResponseMode;
use serde_json::{Value, json};

struct Signed {
    mock: Mock,
    client: Client,
    key: SigningKey,
}

impl Signed {
    async fn new() -> Self {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let named = NamedKey { kid: Some("k".to_owned()), algorithm: None, key: key.public_jwk().clone() };
        let keys = KeySet::of(vec![named]).to_json();
        let mock = Mock::start(move |seen, _| match seen.target.as_str() {
            "/jwks" => reply(200, &[], &keys),
            _ => reply(200, &[], TOKENS),
        })
        .await;
        let modes = json!({
            "response_modes_supported": ["query.jwt", "form_post.jwt"],
            "authorization_signing_alg_values_supported": ["ES256"],
        });
        let client = client_at(&mock.origin, modes, ClientAuth::None);
        Self { mock, client, key }
    }

    /// A login, and the claims of a good answer to it.
    async fn begin(&self, response: ResponseMode) -> (PendingLogin, Value) {
        let ask = LoginAsk { response, ..LoginAsk::default() };
        let login = self.client.begin_login(ask, "http://127.0.0.1:1/cb").await.expect("begun");
        let query = Form::parse_query(login.url().split_once('?').expect("a query").1).expect("a form");
        assert_eq!(query.get("response_mode"), Some(response.as_str()));
        let state = query.get("state").expect("a state");
        let claims =
            json!({ "iss": self.mock.origin, "aud": "app", "exp": START + 300, "code": "c", "state": state });
        (login, claims)
    }

    fn sign(&self, claims: &Value) -> Secret {
        let jwt = jws::sign(&self.key, "JWT", Some("k"), claims.to_string().as_bytes()).expect("signed");
        Secret::new(format!("response={jwt}"))
    }

    fn token_requests(&self) -> usize {
        self.mock.seen().iter().filter(|seen| seen.target == "/token").count()
    }
}

#[tokio::test]
async fn cl_flw_08_a_signed_answer_ends_a_login() {
    let signed = Signed::new().await;
    for mode in [ResponseMode::QueryJwt, ResponseMode::FormPostJwt] {
        let (login, claims) = signed.begin(mode).await;
        signed.client.finish_login(login, &signed.sign(&claims)).await.expect("tokens");
    }
    assert_eq!(signed.token_requests(), 2);
}

#[tokio::test]
async fn cl_flw_08_atk_119_a_forged_answer_makes_no_token_call() {
    let signed = Signed::new().await;
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("other")),
        ("exp", json!(START - 3600)),
        ("state", json!("other")),
    ] {
        let (login, mut claims) = signed.begin(ResponseMode::QueryJwt).await;
        claims[name] = value;
        let refused = signed.client.finish_login(login, &signed.sign(&claims)).await;
        assert!(matches!(refused, Err(ClientError::Redirect(_))), "{name}: {refused:?}");
    }
    let (login, claims) = signed.begin(ResponseMode::QueryJwt).await;
    let plain =
        format!("code=c&state={}&iss={}", claims["state"].as_str().expect("text"), signed.mock.origin);
    let refused = signed.client.finish_login(login, &Secret::new(plain)).await;
    assert!(matches!(refused, Err(ClientError::Redirect(RedirectRefused::NotSigned))), "{refused:?}");
    let (login, claims) = signed.begin(ResponseMode::QueryJwt).await;
    let response_algorithm = Some(Algorithm::Ps256);
    let other =
        signed.client.clone().with_login_rules(LoginRules { response_algorithm, ..LoginRules::default() });
    let refused = other.finish_login(login, &signed.sign(&claims)).await;
    assert!(matches!(refused, Err(ClientError::Redirect(RedirectRefused::Jwt(_)))), "{refused:?}");
    assert_eq!(signed.token_requests(), 0);
}
