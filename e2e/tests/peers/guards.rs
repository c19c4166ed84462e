//! Guards of other people take our access tokens from whom they belong to, and from nobody else.

use crate::abroad::{Guards, at, scope};
use crate::peer::{Peer, REDIRECT_URI, SECRET};
use keybound_client::client_auth::ClientAuth;
use keybound_client::flow::authorization_code::LoginAsk;
use keybound_dpop::secret::Secret;
use keybound_e2e::servers::{CLIENT_ID, PASSWORD, USERNAME, public_client};
use keybound_e2e::{Hands, Servers};
use keybound_oauth::identifier::ResourceId;
use serde_json::json;

#[tokio::test]
async fn express_oauth2_jwt_bearer_accepts_our_token_with_its_key_only() {
    let report = Peer::Node("guards.mjs").play("express", "secret").await.report;
    assert_eq!(report["served"], json!({ "status": 200, "body": { "client": "secret" } }), "{report:#}");
    for refused in ["stolen", "bearer"] {
        assert!(matches!(report[refused]["status"].as_u64(), Some(400 | 401)), "{refused}: {report:#}");
    }
    assert_eq!(report["stolen"]["error"], json!(["invalid_token"]), "{report:#}");
}

#[tokio::test]
async fn oauth4webapi_accepts_our_token_with_its_key_only() {
    let report = Peer::Node("guards.mjs").play("validator", "secret").await.report;
    assert_eq!(report["served"], json!({ "client": "secret" }), "{report:#}");
    assert_eq!(report["stolen"]["claim"], "cnf.jkt", "{report:#}");
    assert_eq!(report["bearer"]["code"], "OAUTH_INVALID_RESPONSE", "{report:#}");
}

/// Our client with our tokens, behind guards of others: for itself, and for a user before and after a refresh.
#[tokio::test]
async fn cl_tok_02_cl_prf_02_our_client_calls_behind_guards_of_others() {
    let itself = json!({ "client_id": "secret", "client_secret": SECRET, "redirect_uris": [REDIRECT_URI],
                         "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_basic" });
    let servers = Servers::with(vec![public_client(), itself]).await;
    let audience = format!("{}/", servers.api);
    let guards = Guards::start(&servers.issuer, &audience).await;
    let resources = vec![ResourceId::parse(&audience).expect("a resource")];
    let client = at(&servers.issuer, "secret", ClientAuth::SecretBasic(Secret::new(SECRET))).await;
    let tokens = client.client_credentials(scope("read"), resources.clone()).await.expect("tokens");
    guards.assert_serve(&client, &tokens).await;
    let client = at(&servers.issuer, CLIENT_ID, ClientAuth::None).await;
    let ask = LoginAsk { scope: scope("openid read"), resources, ..LoginAsk::default() };
    let login = client.begin_login(ask, REDIRECT_URI).await.expect("begun");
    let answer = Hands::of(USERNAME, PASSWORD).allow(login.url()).await.expect("an answer");
    let tokens = client.finish_login(login, &Secret::new(answer)).await.expect("tokens");
    guards.assert_serve(&client, &tokens).await;
    let renewed = client.refresh(&tokens).await.expect("tokens");
    guards.assert_serve(&client, &renewed).await;
}
