//! Users, clients, signing keys and named secrets; what other handles see of them.

use crate::Backend;
use crate::record::{NOW, client, entropy, session, signing_key, user, with_code, with_token};
use keybound_provider::store::{Client, ClientSource, Inserted, SecretBytes, SigningKey, Write};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

crate::contract! {
    a_closed_store_reopens_as_it_was
    another_handle_sees_changes_at_once
    usernames_and_subjects_are_unique
    users_are_listed_by_page
    a_named_secret_is_created_once
    ops_key_02_no_kid_comes_twice
    signing_keys_read_back_and_retire
}

async fn a_closed_store_reopens_as_it_was(backend: &dyn Backend) {
    let store = backend.open();
    let (code, grant) = with_code(&store).await;
    let token = with_token(&store, &grant, false).await;
    let session = session("sub-1");
    store.write(vec![Write::InsertSession(session.clone())]).await.unwrap();
    assert_eq!(store.insert_user(user("ada", "sub-1")).await, Ok(Inserted::Yes));
    store.upsert_client(client("app")).await.unwrap();
    store.insert_signing_key(signing_key("k1")).await.unwrap();
    let secret = store.secret("nonce", entropy()).await.unwrap();
    let version = store.version().await.unwrap();
    drop(store);

    let store = backend.open();
    assert_eq!(store.find_code(code.id, &code.secret_hash).await, Ok(Some((code, grant.clone()))));
    assert_eq!(store.find_refresh_token(token.id, &token.secret_hash).await, Ok(Some((token, grant))));
    assert_eq!(store.find_session(session.id, &session.secret_hash).await, Ok(Some(session)));
    assert_eq!(store.find_user_by_username("ada").await, Ok(Some(user("ada", "sub-1"))));
    assert_eq!(store.clients().await, Ok(vec![client("app")]));
    assert_eq!(store.signing_keys().await, Ok(vec![signing_key("k1")]));
    assert_eq!(store.secret("nonce", entropy()).await, Ok(secret));
    assert_eq!(store.version().await, Ok(version));
}

async fn another_handle_sees_changes_at_once(backend: &dyn Backend) {
    let (server, command) = (backend.open(), backend.open());
    let mut versions = vec![server.version().await.unwrap()];

    assert_eq!(command.insert_user(user("ada", "sub-1")).await, Ok(Inserted::Yes));
    assert_eq!(server.find_user_by_username("ada").await, Ok(Some(user("ada", "sub-1"))));
    assert_eq!(server.find_user_by_subject("sub-1").await, Ok(Some(user("ada", "sub-1"))));

    command.upsert_client(client("app")).await.unwrap();
    assert_eq!(server.find_client("app").await, Ok(Some(client("app"))));
    versions.push(server.version().await.unwrap());

    let changed = Client { metadata: json!({}), source: ClientSource::File, ..client("app") };
    command.upsert_client(changed.clone()).await.unwrap();
    assert_eq!(server.clients().await, Ok(vec![changed]));
    versions.push(server.version().await.unwrap());

    command.insert_signing_key(signing_key("k1")).await.unwrap();
    versions.push(server.version().await.unwrap());
    assert_eq!(command.remove_client("app", NOW).await, Ok(true));
    versions.push(server.version().await.unwrap());
    assert!(versions.is_sorted_by(|before, after| before < after), "{versions:?}");

    // What is not held in memory leaves the version alone.
    with_code(&command).await;
    assert_eq!(command.remove_client("app", NOW).await, Ok(false));
    assert_eq!(Some(&server.version().await.unwrap()), versions.last());
}

async fn usernames_and_subjects_are_unique(backend: &dyn Backend) {
    let store = backend.open();
    assert_eq!(store.insert_user(user("ada", "sub-1")).await, Ok(Inserted::Yes));
    assert_eq!(store.insert_user(user("ada", "sub-2")).await, Ok(Inserted::UsernameTaken));
    assert_eq!(store.insert_user(user("bob", "sub-1")).await, Ok(Inserted::SubjectTaken));
    assert_eq!(store.insert_user(user("Ada", "sub-3")).await, Ok(Inserted::Yes), "names are exact bytes");

    let claims: Map<String, Value> = json!({"email": "ada@example.org"}).as_object().unwrap().clone();
    assert_eq!(store.set_claims("ada", claims.clone(), NOW.plus_secs(3)).await, Ok(true));
    assert_eq!(store.set_claims("nobody", claims.clone(), NOW).await, Ok(false));
    let ada = store.find_user_by_username("ada").await.unwrap().unwrap();
    assert_eq!((ada.claims, ada.updated_at), (claims, NOW.plus_secs(3)));
    assert_eq!(store.find_user_by_username("ADA").await, Ok(None));
}

async fn users_are_listed_by_page(backend: &dyn Backend) {
    let store = backend.open();
    for name in ["eve", "bob", "ada", "dan", "cyd"] {
        assert_eq!(store.insert_user(user(name, &format!("sub-{name}"))).await, Ok(Inserted::Yes));
    }
    let mut pages = Vec::new();
    let mut after = String::new();
    loop {
        let page = store.users(&after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.username.clone();
        pages.push(page.into_iter().map(|user| user.username).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(pages, ["ada bob", "cyd dan", "eve"]);
}

async fn a_named_secret_is_created_once(backend: &dyn Backend) {
    let stores = [backend.open(), backend.open()];
    let barrier = Arc::new(Barrier::new(16));
    let mut calls = JoinSet::new();
    for n in 0..16 {
        let (store, barrier) = (stores[n % 2].clone(), Arc::clone(&barrier));
        calls.spawn(async move {
            barrier.wait().await;
            store.secret("nonce", entropy()).await.unwrap()
        });
    }
    let secrets: HashSet<[u8; 32]> = calls.join_all().await.into_iter().collect();
    assert_eq!(secrets.len(), 1);
    assert!(!secrets.contains(&stores[0].secret("pairwise", entropy()).await.unwrap()));
}

async fn ops_key_02_no_kid_comes_twice(backend: &dyn Backend) {
    let store = backend.open();
    store.insert_signing_key(signing_key("k1")).await.unwrap();
    assert_eq!(store.retire_signing_key("k1", NOW).await, Ok(true));
    let other = SigningKey { pkcs8: SecretBytes::new(vec![9]), ..signing_key("k1") };
    store.insert_signing_key(other).await.unwrap_err();
    assert_eq!(store.signing_keys().await.unwrap()[0].pkcs8.reveal(), [0, 255, 3]);
}

async fn signing_keys_read_back_and_retire(backend: &dyn Backend) {
    let store = backend.open();
    let (first, second) = (signing_key("z"), SigningKey { use_from: NOW.plus_secs(99), ..signing_key("a") });
    store.insert_signing_key(second.clone()).await.unwrap();
    store.insert_signing_key(first.clone()).await.unwrap();
    assert_eq!(store.retire_signing_key("z", NOW.plus_secs(200)).await, Ok(true));
    assert_eq!(store.retire_signing_key("none", NOW).await, Ok(false));
    let first = SigningKey { retire_at: Some(NOW.plus_secs(200)), ..first };
    assert_eq!(store.signing_keys().await, Ok(vec![first, second]));
}
