//! Who took part in a session, and who is to be told of its end.

use crate::Backend;
use crate::record::{NOW, client, grant, new_id, refresh_token, session, token_state, user, with_token};
use keybound_provider::store::{
    Client, Grant, Inserted, LogoutNotice, RefreshTokenState, Session, Store, Write,
};
use serde_json::json;

crate::contract! {
    the_end_of_a_session_leaves_a_notice_for_each_client_that_wants_one
    a_session_that_ran_out_is_no_logout
    who_signs_in_anew_keeps_the_clients_of_the_session
    another_user_in_the_browser_ends_the_session_before
    what_ends_all_sessions_of_a_user_leaves_notices_for_all
    a_notice_is_due_until_it_is_removed
    no_client_waits_behind_the_notices_of_another
    a_grant_in_a_session_that_is_gone_lives_offline_only
    an_operator_sees_sessions_and_ends_them
}

/// Clients `told` and `told-too`, which want to be told, and `app`, which does not.
async fn with_clients(store: &Store) {
    for client_id in ["told", "told-too"] {
        let mut told = client(client_id);
        told.metadata["backchannel_logout_uri"] = json!("https://app.example/bye");
        store.upsert_client(told).await.unwrap();
    }
    store.upsert_client(Client { ..client("app") }).await.unwrap();
}

async fn begin(store: &Store, subject: &str, clients: &[&str]) -> Session {
    let session = session(subject);
    store.write(vec![Write::InsertSession(session.clone())]).await.unwrap();
    for client_id in clients {
        take_part(store, &session, client_id).await;
    }
    session
}

async fn take_part(store: &Store, session: &Session, client_id: &str) {
    let subject = Some(session.subject.clone());
    let grant = Grant { client_id: (*client_id).to_owned(), subject, ..grant(Some(session.id)) };
    store.write(vec![Write::InsertGrant(grant)]).await.unwrap();
}

async fn due(store: &Store) -> Vec<LogoutNotice> {
    store.due_logout_notices(NOW.plus_secs(1000), 100).await.unwrap()
}

async fn the_end_of_a_session_leaves_a_notice_for_each_client_that_wants_one(backend: &dyn Backend) {
    let store = backend.open();
    with_clients(&store).await;
    let ended = begin(&store, "sub-1", &["told", "app", "told", "told-too", "unknown"]).await;
    begin(&store, "sub-1", &["told"]).await;
    assert_eq!(store.sids(ended.id, "told").await, Ok(vec![ended.id]));
    assert_eq!(store.sids(ended.id, "other").await, Ok(vec![]));
    assert_eq!(due(&store).await, []);
    store.write(vec![Write::EndSession { id: ended.id, at: NOW }]).await.unwrap();
    let notices = due(&store).await;
    let told: Vec<&str> = notices.iter().map(|notice| notice.client_id.as_str()).collect();
    assert_eq!(told, ["told", "told-too"]);
    let expected = LogoutNotice {
        id: notices[0].id,
        client_id: "told".to_owned(),
        subject: "sub-1".to_owned(),
        sid: ended.id,
        ended_at: NOW,
        tries: 0,
        due_at: NOW,
    };
    assert_eq!(notices[0], expected);
    store.write(vec![Write::EndSession { id: ended.id, at: NOW }]).await.unwrap();
    assert_eq!(due(&store).await.len(), 2, "it ends once");
    assert_eq!(store.sids(ended.id, "told").await, Ok(vec![]));
}

async fn a_session_that_ran_out_is_no_logout(backend: &dyn Backend) {
    let store = backend.open();
    with_clients(&store).await;
    let (one, two) = (begin(&store, "sub-1", &["told"]).await, begin(&store, "sub-1", &["told"]).await);
    store.write(vec![Write::EndSession { id: one.id, at: one.expires_at }]).await.unwrap();
    store.sweep(two.expires_at).await.unwrap();
    assert_eq!(due(&store).await, []);
    assert_eq!(store.sids(two.id, "told").await, Ok(vec![]));
}

async fn who_signs_in_anew_keeps_the_clients_of_the_session(backend: &dyn Backend) {
    let store = backend.open();
    with_clients(&store).await;
    let old = begin(&store, "sub-1", &["told", "told-too"]).await;
    let new = session("sub-1");
    store.write(vec![Write::ReplaceSession { old: old.id, new: new.clone(), at: NOW }]).await.unwrap();
    assert_eq!(due(&store).await, [], "nobody was signed out");
    take_part(&store, &new, "told").await;
    let mut known = vec![old.id, new.id];
    known.sort_unstable();
    assert_eq!(store.sids(new.id, "told").await, Ok(known));
    store.write(vec![Write::EndSession { id: new.id, at: NOW }]).await.unwrap();
    let mut told: Vec<_> =
        due(&store).await.into_iter().map(|notice| (notice.client_id, notice.sid)).collect();
    told.sort_unstable();
    let of = |client_id: &str, sid| (client_id.to_owned(), sid);
    let mut expected = vec![of("told", old.id), of("told", new.id), of("told-too", old.id)];
    expected.sort_unstable();
    assert_eq!(told, expected, "by each id that the client knows");
}

async fn another_user_in_the_browser_ends_the_session_before(backend: &dyn Backend) {
    let store = backend.open();
    with_clients(&store).await;
    let old = begin(&store, "sub-1", &["told"]).await;
    store.write(vec![Write::ReplaceSession { old: old.id, new: session("sub-2"), at: NOW }]).await.unwrap();
    let subjects: Vec<_> = due(&store).await.into_iter().map(|notice| notice.subject).collect();
    assert_eq!(subjects, ["sub-1"]);
}

async fn what_ends_all_sessions_of_a_user_leaves_notices_for_all(backend: &dyn Backend) {
    let store = backend.open();
    with_clients(&store).await;
    for (name, subject) in [("ada", "sub-1"), ("bob", "sub-2")] {
        assert_eq!(store.insert_user(user(name, subject)).await.unwrap(), Inserted::Yes);
        begin(&store, subject, &["told"]).await;
        begin(&store, subject, &["told"]).await;
    }
    let hash = user("ada", "sub-1").password_hash;
    assert_eq!(store.set_password("ada", hash, NOW).await, Ok(true));
    assert_eq!(due(&store).await.len(), 2);
    assert_eq!(store.remove_user("bob", NOW).await, Ok(true));
    assert_eq!(due(&store).await.len(), 4);
}

async fn a_notice_is_due_until_it_is_removed(backend: &dyn Backend) {
    let store = backend.open();
    with_clients(&store).await;
    let ended = begin(&store, "sub-1", &["told"]).await;
    store.write(vec![Write::EndSession { id: ended.id, at: NOW }]).await.unwrap();
    let id = due(&store).await[0].id;
    let later = NOW.plus_secs(30);
    store.write(vec![Write::DelayLogoutNotice { id, tries: 1, due_at: later }]).await.unwrap();
    assert_eq!(store.due_logout_notices(NOW.plus_secs(29), 9).await, Ok(vec![]));
    let other_handle = backend.open();
    let found = other_handle.due_logout_notices(later, 9).await.unwrap();
    assert_eq!((found.len(), found[0].tries, found[0].due_at), (1, 1, later));
    store.write(vec![Write::RemoveLogoutNotice { id }]).await.unwrap();
    assert_eq!(due(&store).await, []);
}

async fn no_client_waits_behind_the_notices_of_another(backend: &dyn Backend) {
    let store = backend.open();
    with_clients(&store).await;
    for _ in 0..5 {
        let ended = begin(&store, "sub-1", &["told"]).await;
        store.write(vec![Write::EndSession { id: ended.id, at: NOW }]).await.unwrap();
    }
    let ended = begin(&store, "sub-1", &["told-too"]).await;
    store.write(vec![Write::EndSession { id: ended.id, at: NOW.plus_secs(1) }]).await.unwrap();
    let found = store.due_logout_notices(NOW.plus_secs(1), 2).await.unwrap();
    let clients: Vec<_> = found.iter().map(|notice| notice.client_id.as_str()).collect();
    assert_eq!(clients, ["told", "told", "told-too"]);
}

async fn a_grant_in_a_session_that_is_gone_lives_offline_only(backend: &dyn Backend) {
    let store = backend.open();
    let late = grant(Some(new_id()));
    store.write(vec![Write::InsertGrant(late.clone())]).await.unwrap();
    for (offline, state) in [(false, RefreshTokenState::Revoked), (true, RefreshTokenState::Live)] {
        let token = refresh_token(&late, offline);
        store.write(vec![Write::InsertRefreshToken(Box::new(token.clone()))]).await.unwrap();
        assert_eq!(token_state(&store, &token).await, state);
    }
}

async fn an_operator_sees_sessions_and_ends_them(backend: &dyn Backend) {
    let store = backend.open();
    with_clients(&store).await;
    let mut ours = Vec::new();
    for subject in ["sub-1", "sub-2", "sub-1", "sub-1"] {
        ours.push(begin(&store, subject, &["told"]).await);
    }
    ours.sort_unstable_by_key(|session| session.id);
    assert_eq!(store.sessions(None, None, 9).await, Ok(ours.clone()));
    assert_eq!(store.sessions(None, Some(ours[1].id), 1).await, Ok(vec![ours[2].clone()]));
    ours.retain(|session| session.subject == "sub-1");
    assert_eq!(store.sessions(Some("sub-1"), None, 9).await, Ok(ours.clone()));
    let grant = grant(Some(ours[1].id));
    let token = with_token(&store, &grant, false).await;
    assert_eq!(store.end_session(ours[0].id, NOW).await, Ok(true));
    assert_eq!(store.end_session(ours[0].id, NOW).await, Ok(false));
    assert_eq!(due(&store).await.len(), 1);
    assert_eq!(store.end_sessions_of("sub-1", NOW).await, Ok(2));
    assert_eq!((due(&store).await.len(), store.sessions(None, None, 9).await.unwrap().len()), (3, 1));
    assert_eq!(token_state(&store, &token).await, RefreshTokenState::Revoked);
    assert_eq!(store.grant(grant.id).await.unwrap().unwrap().revoked_at, None, "offline use goes on");
}
