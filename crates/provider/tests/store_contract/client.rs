//! Clients: what changed since, those that register themselves, and the tokens that let them.

use crate::Backend;
use crate::record::{NOW, client, credential, grant};
use keybound_provider::store::{
    Client, ClientChanges, ClientSource, Decided, InitialToken, Registered, Registering, Store, Write,
};
use serde_json::json;

crate::contract! {
    what_changed_since_is_read_and_nothing_else
    clients_that_went_are_told_as_long_as_anybody_knows
    as_dcr_12_one_use_of_an_initial_token_is_one_client
    as_dcr_11_only_its_token_opens_a_client
    as_dcr_11_a_change_is_decided_over_the_client_as_it_is
    as_dcr_12_unused_clients_are_forgotten_and_others_stay
    ops_lim_06_no_more_register_than_may
}

fn registering(client_id: &str, initial: Option<&InitialToken>) -> Registering {
    Registering {
        client: Client { source: ClientSource::Registered, ..client(client_id) },
        management: credential().2,
        initial: initial.map(|token| (token.id, token.secret_hash)),
        max_clients: 100,
    }
}

async fn register(store: &Store, client_id: &str) -> Registering {
    let new = registering(client_id, None);
    assert_eq!(store.register_client(new.clone()).await, Ok(Registered::Yes));
    new
}

fn ids(changes: &ClientChanges) -> Vec<&str> {
    let mut ids: Vec<&str> = changes.changed.iter().map(|client| client.client_id.as_str()).collect();
    ids.sort_unstable();
    ids
}

async fn what_changed_since_is_read_and_nothing_else(backend: &dyn Backend) {
    let (server, command) = (backend.open(), backend.open());
    for number in 0..10 {
        command.upsert_client(client(&format!("c{number}"))).await.unwrap();
    }
    let before = server.version().await.unwrap();
    register(&command, "new").await;
    command.upsert_client(client("c3")).await.unwrap();
    let changes = server.clients_since(before).await.unwrap();
    assert_eq!((ids(&changes), changes.removed.as_deref()), (vec!["c3", "new"], Some(&[][..])));
    assert_eq!(changes.version, server.version().await.unwrap());
    let nothing = server.clients_since(changes.version).await.unwrap();
    assert!(nothing.changed.is_empty() && nothing.removed == Some(vec![]));
    command.remove_client("c3", NOW).await.unwrap();
    let removed = server.clients_since(changes.version).await.unwrap();
    assert_eq!((ids(&removed), removed.removed.as_deref()), (vec![], Some(&["c3".to_owned()][..])));
    // One that went and came again is there.
    command.upsert_client(client("c3")).await.unwrap();
    assert_eq!(ids(&server.clients_since(changes.version).await.unwrap()), ["c3"]);
}

async fn clients_that_went_are_told_as_long_as_anybody_knows(backend: &dyn Backend) {
    let store = backend.open();
    for client_id in ["a", "b"] {
        store.upsert_client(client(client_id)).await.unwrap();
    }
    let before = store.version().await.unwrap();
    store.remove_client("a", NOW).await.unwrap();
    let after = store.version().await.unwrap();
    store.sweep(NOW.plus_secs(60)).await.unwrap();
    assert_eq!(store.clients_since(before).await.unwrap().removed, Some(vec!["a".to_owned()]));
    store.sweep(NOW.plus_secs(2 * 86_400)).await.unwrap();
    let all = store.clients_since(before).await.unwrap();
    assert_eq!((ids(&all), all.removed.as_ref()), (vec!["b"], None), "who slept reads all of them");
    assert_eq!(store.clients_since(after).await.unwrap().removed, Some(vec![]));
}

async fn as_dcr_12_one_use_of_an_initial_token_is_one_client(backend: &dyn Backend) {
    let store = backend.open();
    let (id, _, secret_hash) = credential();
    let token = InitialToken { id, secret_hash, expires_at: NOW.plus_secs(60), uses_left: 2 };
    store.insert_initial_token(token.clone()).await.unwrap();
    assert_eq!(store.find_initial_token(id, &secret_hash).await, Ok(Some(token.clone())));
    assert_eq!(store.find_initial_token(id, &credential().2).await, Ok(None));
    let register =
        async |name: &str, token: &InitialToken| store.register_client(registering(name, Some(token))).await;
    let late = Client { created_at: NOW.plus_secs(60), ..client("late") };
    let late = Registering { client: late, ..registering("late", Some(&token)) };
    assert_eq!(store.register_client(late).await, Ok(Registered::TokenSpent));
    let forged = InitialToken { secret_hash: credential().2, ..token.clone() };
    assert_eq!(register("forged", &forged).await, Ok(Registered::TokenSpent));
    // What fails for another reason uses nothing.
    let full = Registering { max_clients: 0, ..registering("full", Some(&token)) };
    assert!(store.register_client(full).await.is_err());
    let (a, b, c) = tokio::join!(register("a", &token), register("b", &token), register("c", &token));
    let good = [a, b, c].into_iter().filter(|outcome| *outcome == Ok(Registered::Yes)).count();
    assert_eq!((good, store.clients().await.unwrap().len()), (2, 2));
    store.sweep(NOW).await.unwrap();
    assert_eq!(store.find_initial_token(id, &secret_hash).await, Ok(None), "a spent one goes");
}

async fn as_dcr_11_only_its_token_opens_a_client(backend: &dyn Backend) {
    let store = backend.open();
    let (one, other) = (register(&store, "one").await, register(&store, "other").await);
    store.upsert_client(client("ours")).await.unwrap();
    assert_eq!(store.managed_client("one", &one.management).await, Ok(Some(one.client.clone())));
    for (client_id, hash) in [("one", other.management), ("ours", one.management), ("nobody", one.management)]
    {
        assert_eq!(store.managed_client(client_id, &hash).await, Ok(None), "{client_id}");
        let changed = store.change_client(client_id, hash, NOW, |before| Ok::<_, ()>(before.clone())).await;
        assert_eq!(changed, Ok(Decided::Unknown), "{client_id}");
    }
    // An identifier is given once.
    assert!(store.register_client(registering("one", None)).await.is_err());
    // Whom an operator takes over is no longer its own manager.
    store.upsert_client(client("one")).await.unwrap();
    assert_eq!(store.managed_client("one", &one.management).await, Ok(None));
}

async fn as_dcr_11_a_change_is_decided_over_the_client_as_it_is(backend: &dyn Backend) {
    let store = backend.open();
    let one = register(&store, "one").await;
    let version = store.version().await.unwrap();
    let refused = store.change_client("one", one.management, NOW, |_| Err::<Client, _>("no")).await;
    assert_eq!((refused, store.version().await.unwrap()), (Ok(Decided::Denied("no")), version));
    let decide =
        |before: &Client| Ok::<_, ()>(Client { metadata: json!({"was": before.metadata}), ..before.clone() });
    let changed = store.change_client("one", one.management, NOW, decide).await.unwrap();
    let Decided::Taken(changed) = changed else { panic!("{changed:?}") };
    assert_eq!(changed.metadata, json!({"was": one.client.metadata}));
    assert_eq!(store.managed_client("one", &one.management).await, Ok(Some(changed)));
}

async fn as_dcr_12_unused_clients_are_forgotten_and_others_stay(backend: &dyn Backend) {
    let store = backend.open();
    for client_id in ["used", "granted", "unused"] {
        register(&store, client_id).await;
    }
    store.upsert_client(client("ours")).await.unwrap();
    let given = keybound_provider::store::Grant { client_id: "granted".to_owned(), ..grant(None) };
    store.write(vec![Write::InsertGrant(given)]).await.unwrap();
    store.touch_clients(vec!["used".to_owned(), "nobody".to_owned()], NOW.plus_secs(60)).await.unwrap();
    assert_eq!(store.forget_clients(NOW.minus_secs(1), NOW.plus_secs(70)).await, Ok(0));
    assert_eq!(store.forget_clients(NOW.plus_secs(59), NOW.plus_secs(70)).await, Ok(1));
    let left: Vec<String> =
        store.clients().await.unwrap().into_iter().map(|client| client.client_id).collect();
    assert_eq!(left, ["granted", "ours", "used"]);
}

async fn ops_lim_06_no_more_register_than_may(backend: &dyn Backend) {
    let store = backend.open();
    store.upsert_client(client("ours")).await.unwrap();
    let new = |name: &str| Registering { max_clients: 2, ..registering(name, None) };
    let outcomes = tokio::join!(
        store.register_client(new("a")),
        store.register_client(new("b")),
        store.register_client(new("c"))
    );
    let good = [outcomes.0, outcomes.1, outcomes.2].into_iter().filter(Result::is_ok).count();
    assert_eq!(good, 2);
}
