//! Sign-in sessions, and the end of what has run out.

use crate::Backend;
use crate::record::{NOW, grant, redeem, refresh_token, session, with_code};
use keybound_provider::store::{Session, Write};

crate::contract! {
    a_session_is_renewed_replaced_and_ended
    a_replaced_session_of_another_user_ends_its_grants
    sweep_removes_only_what_has_ended
    sweep_removes_more_than_one_batch
}

async fn a_session_is_renewed_replaced_and_ended(backend: &dyn Backend) {
    let store = backend.open();
    let (old, new) = (session("sub-1"), session("sub-1"));
    let grant = grant(Some(old.id));
    store.write(vec![Write::InsertSession(old.clone()), Write::InsertGrant(grant.clone())]).await.unwrap();
    let renewed = Session { last_seen_at: NOW.plus_secs(9), expires_at: NOW.plus_secs(900), ..old.clone() };
    let renew = Write::RenewSession {
        id: old.id,
        last_seen_at: renewed.last_seen_at,
        expires_at: renewed.expires_at,
    };
    store.write(vec![renew]).await.unwrap();
    assert_eq!(store.find_session(old.id, &old.secret_hash).await, Ok(Some(renewed)));

    let replace = Write::ReplaceSession { old: old.id, new: new.clone(), at: NOW };
    store.write(vec![replace]).await.unwrap();
    assert_eq!(store.find_session(old.id, &old.secret_hash).await, Ok(None));
    assert_eq!(store.find_session(new.id, &new.secret_hash).await, Ok(Some(new.clone())));
    let moved = store.grant(grant.id).await.unwrap().unwrap();
    assert_eq!((moved.session_id, moved.session_ended_at), (Some(new.id), None));

    store.write(vec![Write::EndSession { id: new.id, at: NOW.plus_secs(10) }]).await.unwrap();
    assert_eq!(store.grant(grant.id).await.unwrap().unwrap().session_ended_at, Some(NOW.plus_secs(10)));
}

async fn a_replaced_session_of_another_user_ends_its_grants(backend: &dyn Backend) {
    let store = backend.open();
    let (old, new) = (session("sub-1"), session("sub-2"));
    let grant = grant(Some(old.id));
    store.write(vec![Write::InsertSession(old.clone()), Write::InsertGrant(grant.clone())]).await.unwrap();
    store.write(vec![Write::ReplaceSession { old: old.id, new, at: NOW }]).await.unwrap();
    let ended = store.grant(grant.id).await.unwrap().unwrap();
    assert_eq!((ended.session_id, ended.session_ended_at), (Some(old.id), Some(NOW)));
}

async fn sweep_removes_only_what_has_ended(backend: &dyn Backend) {
    let store = backend.open();
    let (never_used, idle_grant) = with_code(&store).await;
    let (used, used_grant) = with_code(&store).await;
    let token = refresh_token(&used_grant, true);
    redeem(&store, &used).await;
    let access_token_ends = Write::KeepGrant { id: idle_grant.id, until: NOW.plus_secs(61) };
    let session = session("sub-1");
    let insert = Write::InsertRefreshToken(Box::new(token.clone()));
    store.write(vec![insert, access_token_ends, Write::InsertSession(session.clone())]).await.unwrap();

    let there = async || {
        let mut there = Vec::new();
        let codes = [("never used", &never_used), ("used", &used)];
        for (name, code) in codes {
            there.extend(store.find_code(code.id, &code.secret_hash).await.unwrap().map(|_| name));
        }
        let found = store.find_refresh_token(token.id, &token.secret_hash).await.unwrap();
        there.extend(found.map(|_| "token"));
        there.extend(store.find_session(session.id, &session.secret_hash).await.unwrap().map(|_| "session"));
        there.join(", ")
    };
    for (after_secs, left) in [
        (60, "never used, used, token, session"),
        (61, "used, token, session"),
        (99, "used, token, session"),
        (100, "used, session"),
        (500, "used"),
        (999, "used"),
        (1000, ""),
    ] {
        store.sweep(NOW.plus_secs(after_secs)).await.unwrap();
        assert_eq!(there().await, left, "{after_secs} s later");
    }
    assert_eq!(store.grant(used_grant.id).await, Ok(None));
}

async fn sweep_removes_more_than_one_batch(backend: &dyn Backend) {
    let store = backend.open();
    let sessions = (0..1200).map(|_| Write::InsertSession(session("sub-1")));
    store.write(sessions.collect()).await.unwrap();
    let (_, kept) = with_code(&store).await;
    let swept = store.sweep(NOW.plus_secs(500)).await.unwrap();
    assert_eq!((swept.sessions, swept.grants, swept.refresh_tokens), (1200, 1, 0));
    assert_eq!(store.grant(kept.id).await, Ok(None));
    assert_eq!(store.sweep(NOW.plus_secs(500)).await.unwrap().sessions, 0);
}
