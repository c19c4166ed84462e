//! Users, clients, signing keys and named secrets; what other handles see of them.

use crate::Backend;
use crate::record::{
    NOW, change_keys, client, entropy, insert_key, session, signing_key, user, with_code, with_token,
};
use keybound_dpop::time::UnixTime;
use keybound_provider::store::{
    Client, ClientSource, Inserted, KeyChange, KeyUse, SecretBytes, SignedIn, SigningKey, Store, Write,
};
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
    a_change_of_keys_is_decided_over_all_that_are_there
}

async fn a_closed_store_reopens_as_it_was(backend: &dyn Backend) {
    let store = backend.open();
    let (code, grant) = with_code(&store).await;
    let token = with_token(&store, &grant, false).await;
    let session = session("sub-1");
    store.write(vec![Write::InsertSession(session.clone())]).await.unwrap();
    assert_eq!(store.insert_user(user("ada", "sub-1")).await, Ok(Inserted::Yes));
    store.upsert_client(client("app")).await.unwrap();
    insert_key(&store, signing_key("k1")).await.unwrap();
    let secret = store.secret("nonce", entropy()).await.unwrap();
    let version = store.version().await.unwrap();
    drop(store);

    let store = backend.open();
    assert_eq!(store.find_code(code.id, &code.secret_hash).await, Ok(Some((code, grant.clone()))));
    assert_eq!(store.find_refresh_token(token.id, &token.secret_hash).await, Ok(Some((token, grant))));
    assert_eq!(store.find_session(session.id, &session.secret_hash).await, Ok(Some(session.clone())));
    let signed_in = store.find_signed_in(session.id, &session.secret_hash, None).await;
    assert_eq!(signed_in, Ok(Some(SignedIn { session, username: "ada".to_owned(), consents: vec![] })));
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

    insert_key(&command, signing_key("k1")).await.unwrap();
    versions.push(server.version().await.unwrap());
    assert_eq!(command.remove_client("app", NOW).await, Ok(true));
    versions.push(server.version().await.unwrap());
    assert!(versions.is_sorted_by(|before, after| before < after), "{versions:?}");

    // What is not held in memory leaves the version alone.
    with_code(&command).await;
    assert_eq!(command.remove_client("app", NOW).await, Ok(false));
    change_keys(&command, KeyChange::default()).await.unwrap();
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
    insert_key(&store, signing_key("k1")).await.unwrap();
    retire_key(&store, "k1", NOW).await;
    let other = SigningKey { pkcs8: SecretBytes::new(vec![9]), ..signing_key("k1") };
    insert_key(&store, other).await.unwrap_err();
    assert_eq!(store.signing_keys().await.unwrap()[0].pkcs8.reveal(), [0, 255, 3]);
}

async fn retire_key(store: &Store, kid: &str, at: UnixTime) {
    change_keys(store, KeyChange { retire: vec![(kid.to_owned(), at)], ..KeyChange::default() })
        .await
        .unwrap();
}

async fn signing_keys_read_back_and_retire(backend: &dyn Backend) {
    let store = backend.open();
    let (first, second) = (signing_key("z"), SigningKey { use_from: NOW.plus_secs(99), ..signing_key("a") });
    let second = SigningKey { key_use: KeyUse::Messages, ..second };
    insert_key(&store, second.clone()).await.unwrap();
    insert_key(&store, first.clone()).await.unwrap();
    retire_key(&store, "z", NOW.plus_secs(200)).await;
    retire_key(&store, "none", NOW).await;
    let first = SigningKey { retire_at: Some(NOW.plus_secs(200)), ..first };
    assert_eq!(store.signing_keys().await, Ok(vec![first.clone(), second.clone()]));
    change_keys(&store, KeyChange { wipe: vec!["z".to_owned()], ..KeyChange::default() }).await.unwrap();
    let first = SigningKey { pkcs8: SecretBytes::new(Vec::new()), ..first };
    assert_eq!(store.signing_keys().await, Ok(vec![first, second]));
}

async fn a_change_of_keys_is_decided_over_all_that_are_there(backend: &dyn Backend) {
    let store = backend.open();
    let once = |kid: &'static str| {
        let store = store.clone();
        async move {
            let decide = move |keys: &[SigningKey]| match keys {
                [] => Ok(KeyChange { insert: Some(signing_key(kid)), ..KeyChange::default() }),
                [key, ..] => Err(key.kid.clone()),
            };
            store.change_signing_keys(decide).await.unwrap()
        }
    };
    let (a, b) = tokio::join!(once("a"), once("b"));
    let kids: Vec<String> = store.signing_keys().await.unwrap().into_iter().map(|key| key.kid).collect();
    assert_eq!(kids.len(), 1, "one of two that ask at once: {a:?} {b:?}");
    assert_eq!([a, b].into_iter().filter_map(Result::err).collect::<Vec<_>>(), kids);
}
