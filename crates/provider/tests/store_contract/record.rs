//! The records that the contracts are about.

use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::claims_request::ClaimsRequest;
use keybound_provider::store::{
    CREDENTIAL_ENTROPY, Client, ClientSource, Code, CodeState, Credential, Decided, Fault, Grant, ID_ENTROPY,
    Id, KeyChange, KeyUse, RefreshToken, RefreshTokenState, SecretBytes, SecretHash, Session, SigningKey,
    Store, User, Verdict, Write,
};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

pub(crate) fn entropy<const N: usize>() -> [u8; N] {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let mut state = COUNT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    std::array::from_fn(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    })
}

pub(crate) fn credential() -> (Id, Secret, SecretHash) {
    Credential::mint(NOW, &entropy::<CREDENTIAL_ENTROPY>())
}

pub(crate) fn new_id() -> Id {
    Id::mint(NOW, &entropy::<ID_ENTROPY>())
}

pub(crate) fn grant(session_id: Option<Id>) -> Grant {
    Grant {
        id: new_id(),
        client_id: "app".to_owned(),
        subject: Some("sub-1".to_owned()),
        session_id,
        created_at: NOW,
        revoked_at: None,
        session_ended_at: None,
        claims: ClaimsRequest::parse(r#"{"userinfo":{"email":{"essential":true}},"id_token":{"name":null}}"#)
            .unwrap(),
    }
}

pub(crate) fn code(grant: &Grant) -> Code {
    let (id, _, secret_hash) = credential();
    Code {
        id,
        secret_hash,
        grant_id: grant.id,
        client_id: grant.client_id.clone(),
        redirect_uri: "https://app.example/callback".to_owned(),
        redirect_uri_sent: true,
        code_challenge: Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned()),
        dpop_jkt: Some("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".to_owned()),
        subject: "sub-1".to_owned(),
        scope: vec!["openid".to_owned(), "profile".to_owned()],
        resources: vec!["https://api.example/".to_owned()],
        authorization_details: AuthorizationDetails::parse(r#"[{"type":"a","x":1}]"#).unwrap(),
        nonce: Some("n-0S6".to_owned()),
        auth_time: NOW.minus_secs(5),
        session_id: grant.session_id,
        acr: Some("1".to_owned()),
        issued_at: UnixTime::from_millis(NOW.as_millis() + 7),
        expires_at: NOW.plus_secs(60),
        refusals: 0,
        state: CodeState::Live,
    }
}

pub(crate) fn refresh_token(grant: &Grant, offline: bool) -> RefreshToken {
    let (id, _, secret_hash) = credential();
    RefreshToken {
        id,
        secret_hash,
        grant_id: grant.id,
        client_id: grant.client_id.clone(),
        subject: "sub-1".to_owned(),
        jkt: None,
        scope: vec!["openid".to_owned()],
        resources: vec![],
        authorization_details: AuthorizationDetails::default(),
        auth_time: NOW,
        acr: Some("1".to_owned()),
        session_id: grant.session_id,
        offline,
        issued_at: NOW,
        last_used_at: NOW,
        expires_at: NOW.plus_secs(1000),
        idle_expires_at: NOW.plus_secs(100),
        state: RefreshTokenState::Live,
    }
}

pub(crate) fn session(subject: &str) -> Session {
    let (id, _, secret_hash) = credential();
    Session {
        id,
        secret_hash,
        subject: subject.to_owned(),
        auth_time: NOW,
        acr: None,
        created_at: NOW,
        last_seen_at: NOW,
        expires_at: NOW.plus_secs(500),
    }
}

pub(crate) fn user(username: &str, subject: &str) -> User {
    User {
        username: username.to_owned(),
        subject: subject.to_owned(),
        password_hash: Secret::new("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"),
        claims: json!({"name": "Ada", "address": {"country": "NL"}}).as_object().unwrap().clone(),
        updated_at: NOW,
    }
}

pub(crate) fn client(client_id: &str) -> Client {
    Client {
        client_id: client_id.to_owned(),
        metadata: json!({"redirect_uris": ["https://app.example/callback"]}),
        source: ClientSource::Command,
        created_at: NOW,
    }
}

pub(crate) fn signing_key(kid: &str) -> SigningKey {
    SigningKey {
        kid: kid.to_owned(),
        key_use: KeyUse::Tokens,
        algorithm: "ES256".to_owned(),
        pkcs8: SecretBytes::new(vec![0, 255, 3]),
        created_at: NOW,
        publish_at: NOW,
        use_from: NOW.plus_secs(60),
        retire_at: None,
    }
}

pub(crate) async fn insert_key(store: &Store, key: SigningKey) -> Result<KeyChange, Fault> {
    change_keys(store, KeyChange { insert: Some(key), ..KeyChange::default() }).await
}

pub(crate) async fn change_keys(store: &Store, change: KeyChange) -> Result<KeyChange, Fault> {
    store.change_signing_keys(move |_| Ok::<_, ()>(change.clone())).await.map(Result::unwrap)
}

pub(crate) async fn with_code(store: &Store) -> (Code, Grant) {
    let grant = grant(None);
    let code = code(&grant);
    let writes = vec![Write::InsertGrant(grant.clone()), Write::InsertCode(Box::new(code.clone()))];
    store.write(writes).await.unwrap();
    (code, grant)
}

pub(crate) async fn with_token(store: &Store, grant: &Grant, offline: bool) -> RefreshToken {
    let token = refresh_token(grant, offline);
    if store.grant(grant.id).await.unwrap().is_none() {
        store.write(vec![Write::InsertGrant(grant.clone())]).await.unwrap();
    }
    store.write(vec![Write::InsertRefreshToken(Box::new(token.clone()))]).await.unwrap();
    token
}

pub(crate) async fn token_state(store: &Store, token: &RefreshToken) -> RefreshTokenState {
    store.find_refresh_token(token.id, &token.secret_hash).await.unwrap().unwrap().0.state
}

/// The rule of RFC 6749 §4.1.2: once, and a second time ends everything.
pub(crate) fn once(code: &Code, grant: &Grant) -> Verdict<String, CodeState> {
    match code.state {
        CodeState::Live => Verdict::Take { writes: vec![], out: code.subject.clone() },
        used => Verdict::Revoke { writes: vec![Write::RevokeGrant { id: grant.id, at: NOW }], denied: used },
    }
}

pub(crate) async fn redeem(store: &Store, code: &Code) -> Decided<String, CodeState> {
    store.redeem_code(code.id, code.secret_hash, NOW, once).await.unwrap()
}
