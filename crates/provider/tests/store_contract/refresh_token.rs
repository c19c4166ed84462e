//! Refresh tokens and the families that they belong to.

use crate::Backend;
use crate::record::{NOW, client, grant, new_id, refresh_token, session, token_state, user, with_token};
use keybound_dpop::secret::Secret;
use keybound_provider::store::{
    Decided, Grant, Id, Inserted, RefreshToken, RefreshTokenState, Verdict, Write,
};
use std::sync::Arc;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

crate::contract! {
    as_rt_07_of_many_rotations_at_once_one_succeeds
    as_rt_07_reuse_revokes_every_token_of_the_family
    as_rt_10_use_moves_the_idle_end_but_not_past_the_last
    as_rt_11_a_sign_in_that_ends_takes_what_is_not_offline
    as_rt_11_a_new_password_revokes_what_the_user_granted
    as_rt_11_withdrawn_consent_revokes_at_that_client_only
    a_removed_client_loses_what_it_was_given
}

/// Rotation with reuse detection (RFC 9700 §4.14.2), without a grace period.
fn rotate(successor: RefreshToken) -> impl Fn(&RefreshToken, &Grant) -> Verdict<Id, ()> + Send + 'static {
    move |token, grant| match token.state {
        RefreshTokenState::Live => Verdict::Take {
            writes: vec![
                Write::InsertRefreshToken(Box::new(successor.clone())),
                Write::RotateRefreshToken { id: token.id, successor: successor.id, at: NOW.plus_secs(1) },
            ],
            out: successor.id,
        },
        RefreshTokenState::Rotated { .. } | RefreshTokenState::Revoked => Verdict::Revoke {
            writes: vec![Write::RevokeGrant { id: grant.id, at: NOW.plus_secs(2) }],
            denied: (),
        },
    }
}

async fn as_rt_07_of_many_rotations_at_once_one_succeeds(backend: &dyn Backend) {
    let store = backend.open();
    let grant = grant(None);
    let token = with_token(&store, &grant, true).await;
    let barrier = Arc::new(Barrier::new(32));
    let mut uses = JoinSet::new();
    for _ in 0..32 {
        let (store, barrier, token) = (store.clone(), Arc::clone(&barrier), token.clone());
        let successor = refresh_token(&grant, true);
        uses.spawn(async move {
            barrier.wait().await;
            store.use_refresh_token(token.id, token.secret_hash, rotate(successor)).await.unwrap()
        });
    }
    let outcomes = uses.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Decided::Taken(_))).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Decided::Denied(()))).count(), 31);
}

async fn as_rt_07_reuse_revokes_every_token_of_the_family(backend: &dyn Backend) {
    let store = backend.open();
    let grant = grant(None);
    let first = with_token(&store, &grant, true).await;
    let second = refresh_token(&grant, true);
    let taken = store.use_refresh_token(first.id, first.secret_hash, rotate(second.clone())).await;
    assert_eq!(taken, Ok(Decided::Taken(second.id)));
    let rotated = RefreshTokenState::Rotated { at: NOW.plus_secs(1), successor: second.id };
    assert_eq!(token_state(&store, &first).await, rotated);

    // A second rotation, in a grace period, does not begin another.
    let again = Write::RotateRefreshToken { id: first.id, successor: new_id(), at: NOW.plus_secs(9) };
    store.write(vec![again]).await.unwrap();
    assert_eq!(token_state(&store, &first).await, rotated);

    let reused =
        store.use_refresh_token(first.id, first.secret_hash, rotate(refresh_token(&grant, true))).await;
    assert_eq!(reused, Ok(Decided::Denied(())));
    assert_eq!(token_state(&store, &second).await, RefreshTokenState::Revoked);
}

async fn as_rt_10_use_moves_the_idle_end_but_not_past_the_last(backend: &dyn Backend) {
    let store = backend.open();
    let token = with_token(&store, &grant(None), true).await;
    for (idle, expected) in [(300, 300), (5000, 1000)] {
        let touch = move |token: &RefreshToken, _: &Grant| Verdict::<_, ()>::Take {
            writes: vec![Write::TouchRefreshToken {
                id: token.id,
                at: NOW.plus_secs(50),
                idle_expires_at: NOW.plus_secs(idle),
            }],
            out: (),
        };
        let taken = store.use_refresh_token(token.id, token.secret_hash, touch).await;
        assert_eq!(taken, Ok(Decided::Taken(())));
        let (found, _) = store.find_refresh_token(token.id, &token.secret_hash).await.unwrap().unwrap();
        assert_eq!(found.last_used_at, NOW.plus_secs(50));
        assert_eq!(found.idle_expires_at, NOW.plus_secs(expected));
        assert_eq!(found.expires_at, token.expires_at);
    }
}

async fn as_rt_11_a_sign_in_that_ends_takes_what_is_not_offline(backend: &dyn Backend) {
    let store = backend.open();
    let (session, other) = (session("sub-1"), session("sub-1"));
    let begin = [&session, &other].map(|session| Write::InsertSession(session.clone()));
    store.write(begin.to_vec()).await.unwrap();
    let grant = grant(Some(session.id));
    let online = with_token(&store, &grant, false).await;
    let offline = with_token(&store, &grant, true).await;
    let elsewhere = with_token(&store, &self::grant(Some(other.id)), false).await;

    store.write(vec![Write::EndSession { id: session.id, at: NOW }]).await.unwrap();
    assert_eq!(store.find_session(session.id, &session.secret_hash).await, Ok(None));
    assert_eq!(token_state(&store, &online).await, RefreshTokenState::Revoked);
    assert_eq!(token_state(&store, &offline).await, RefreshTokenState::Live);
    assert_eq!(token_state(&store, &elsewhere).await, RefreshTokenState::Live);
}

async fn as_rt_11_a_new_password_revokes_what_the_user_granted(backend: &dyn Backend) {
    let store = backend.open();
    let mut mine = Vec::new();
    for (username, subject) in [("ada", "sub-1"), ("bob", "sub-2")] {
        assert_eq!(store.insert_user(user(username, subject)).await, Ok(Inserted::Yes));
        let session = session(subject);
        store.write(vec![Write::InsertSession(session.clone())]).await.unwrap();
        let grant = Grant { subject: Some(subject.to_owned()), ..grant(Some(session.id)) };
        mine.push((with_token(&store, &grant, true).await, session));
    }
    assert_eq!(store.set_password("ada", Secret::new("$argon2id$other"), NOW.plus_secs(1)).await, Ok(true));
    assert_eq!(store.set_password("nobody", Secret::new("$argon2id$other"), NOW).await, Ok(false));

    let [(ada_token, ada_session), (bob_token, bob_session)] = &mine[..] else { panic!("two users") };
    assert_eq!(token_state(&store, ada_token).await, RefreshTokenState::Revoked);
    assert_eq!(token_state(&store, bob_token).await, RefreshTokenState::Live);
    assert_eq!(store.find_session(ada_session.id, &ada_session.secret_hash).await, Ok(None));
    assert!(store.find_session(bob_session.id, &bob_session.secret_hash).await.unwrap().is_some());
    let ada = store.find_user_by_username("ada").await.unwrap().unwrap();
    assert_eq!(ada.password_hash.reveal(), "$argon2id$other");
    assert_eq!(ada.updated_at, NOW.plus_secs(1));

    assert_eq!(store.remove_user("bob", NOW).await, Ok(true));
    assert_eq!(token_state(&store, bob_token).await, RefreshTokenState::Revoked);
    assert_eq!(store.find_session(bob_session.id, &bob_session.secret_hash).await, Ok(None));
}

async fn as_rt_11_withdrawn_consent_revokes_at_that_client_only(backend: &dyn Backend) {
    let store = backend.open();
    let here = with_token(&store, &grant(None), true).await;
    let there = with_token(&store, &Grant { client_id: "other".to_owned(), ..grant(None) }, true).await;
    let withdraw = |client_id: Option<&str>| {
        let client_id = client_id.map(str::to_owned);
        store.write(vec![Write::RevokeGrantsOf { subject: "sub-1".to_owned(), client_id, at: NOW }])
    };
    withdraw(Some("app")).await.unwrap();
    assert_eq!(token_state(&store, &here).await, RefreshTokenState::Revoked);
    assert_eq!(token_state(&store, &there).await, RefreshTokenState::Live);
    withdraw(None).await.unwrap();
    assert_eq!(token_state(&store, &there).await, RefreshTokenState::Revoked);
}

async fn a_removed_client_loses_what_it_was_given(backend: &dyn Backend) {
    let store = backend.open();
    store.upsert_client(client("app")).await.unwrap();
    let token = with_token(&store, &grant(None), true).await;
    assert_eq!(store.remove_client("app", NOW).await, Ok(true));
    assert_eq!(store.find_client("app").await, Ok(None));
    assert_eq!(token_state(&store, &token).await, RefreshTokenState::Revoked);
}
