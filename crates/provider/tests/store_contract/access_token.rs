//! Opaque access tokens, and signed ones that ended before their time.

use crate::Backend;
use crate::record::{NOW, credential, grant, new_id};
use keybound_oauth::claims_request::ClaimsRequest;
use keybound_provider::store::{AccessToken, Grant, Id, Store, Write};
use serde_json::json;

crate::contract! {
    as_at_06_an_opaque_token_is_found_by_its_whole_text_only
    as_rev_03_a_revoked_grant_ends_its_tokens
    a_revoked_token_ends_alone
    oidc_ui_06_a_grant_lives_with_what_was_asked_for_as_long_as_its_token
    ended_tokens_are_swept_and_grants_are_kept_for_them
}

fn token(grant_id: Option<Id>) -> AccessToken {
    let (id, _, secret_hash) = credential();
    let claims = json!({ "sub": "sub-1", "aud": ["a", "b"], "cnf": { "jkt": "x" } });
    let claims = claims.as_object().unwrap().clone();
    AccessToken { id, secret_hash, grant_id, expires_at: NOW.plus_secs(600), claims }
}

async fn insert(store: &Store, token: &AccessToken) {
    store.write(vec![Write::InsertAccessToken(Box::new(token.clone()))]).await.unwrap();
}

async fn as_at_06_an_opaque_token_is_found_by_its_whole_text_only(backend: &dyn Backend) {
    let store = backend.open();
    let (token, other) = (token(None), token(None));
    insert(&store, &token).await;
    assert_eq!(store.find_access_token(token.id, &token.secret_hash).await, Ok(Some(token.clone())));
    assert_eq!(store.find_access_token(token.id, &other.secret_hash).await, Ok(None));
    assert_eq!(store.find_access_token(other.id, &token.secret_hash).await, Ok(None));
    store.write(vec![Write::RemoveAccessToken { id: token.id }]).await.unwrap();
    assert_eq!(store.find_access_token(token.id, &token.secret_hash).await, Ok(None));
}

async fn as_rev_03_a_revoked_grant_ends_its_tokens(backend: &dyn Backend) {
    let store = backend.open();
    let grant = grant(None);
    store.write(vec![Write::InsertGrant(grant.clone())]).await.unwrap();
    assert_eq!(store.is_revoked(Some(grant.id), "t-1").await, Ok(false));
    store.write(vec![Write::RevokeGrant { id: grant.id, at: NOW }]).await.unwrap();
    assert_eq!(store.is_revoked(Some(grant.id), "t-1").await, Ok(true));
    assert_eq!(store.is_revoked(Some(new_id()), "t-1").await, Ok(true), "a grant that is gone");
    assert_eq!(store.is_revoked(None, "t-1").await, Ok(false));
}

async fn a_revoked_token_ends_alone(backend: &dyn Backend) {
    let store = backend.open();
    let revoke = |secs| Write::RevokeToken { jti: "t-1".to_owned(), expires_at: NOW.plus_secs(secs) };
    store.write(vec![revoke(600), revoke(600)]).await.unwrap();
    assert_eq!(store.is_revoked(None, "t-1").await, Ok(true));
    assert_eq!(store.is_revoked(None, "t-2").await, Ok(false));
}

async fn oidc_ui_06_a_grant_lives_with_what_was_asked_for_as_long_as_its_token(backend: &dyn Backend) {
    let store = backend.open();
    let (asked, scope_only) = (grant(None), Grant { claims: ClaimsRequest::default(), ..grant(None) });
    assert!(!asked.claims.is_empty());
    for grant in [&asked, &scope_only] {
        store.write(vec![Write::InsertGrant(grant.clone())]).await.unwrap();
        assert_eq!(store.find_live_grant(grant.id, "t-1").await, Ok(Some(grant.clone())));
    }
    assert_eq!(store.find_live_grant(new_id(), "t-1").await, Ok(None));
    let revoke = Write::RevokeToken { jti: "t-1".to_owned(), expires_at: NOW.plus_secs(600) };
    store.write(vec![revoke]).await.unwrap();
    assert_eq!(store.find_live_grant(asked.id, "t-1").await, Ok(None));
    assert_eq!(store.find_live_grant(asked.id, "t-2").await, Ok(Some(asked.clone())));
    store.write(vec![Write::RevokeGrant { id: asked.id, at: NOW }]).await.unwrap();
    assert_eq!(store.find_live_grant(asked.id, "t-2").await, Ok(None));
}

async fn ended_tokens_are_swept_and_grants_are_kept_for_them(backend: &dyn Backend) {
    let store = backend.open();
    let grant = grant(None);
    store.write(vec![Write::InsertGrant(grant.clone())]).await.unwrap();
    let (own, granted) = (token(None), token(Some(grant.id)));
    insert(&store, &own).await;
    insert(&store, &granted).await;
    let revoke = Write::RevokeToken { jti: "t-1".to_owned(), expires_at: NOW.plus_secs(600) };
    store.write(vec![revoke]).await.unwrap();

    store.sweep(NOW.plus_secs(599)).await.unwrap();
    assert!(store.find_access_token(granted.id, &granted.secret_hash).await.unwrap().is_some());
    assert_eq!(store.is_revoked(None, "t-1").await, Ok(true));
    let swept = store.sweep(NOW.plus_secs(600)).await.unwrap();
    assert_eq!((swept.access_tokens + swept.grants, swept.revoked_tokens), (2, 1));
    assert_eq!(store.find_access_token(own.id, &own.secret_hash).await, Ok(None));
    assert_eq!(store.find_access_token(granted.id, &granted.secret_hash).await, Ok(None));
    assert_eq!(store.is_revoked(None, "t-1").await, Ok(false));
}
