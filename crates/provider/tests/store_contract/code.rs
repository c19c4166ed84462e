//! Authorization codes.

use crate::Backend;
use crate::record::{
    NOW, grant, new_id, once, redeem, refresh_token, session, token_state, user, with_code, with_token,
};
use keybound_provider::store::{
    Code, CodeState, Decided, Fault, Grant, Inserted, RefreshToken, RefreshTokenState, SecretHash, Verdict,
    Write,
};
use std::sync::Arc;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

crate::contract! {
    as_aut_08_atk_074_of_64_redemptions_at_once_one_is_taken
    as_aut_08_reuse_revokes_in_the_transaction_that_saw_it
    a_wrong_secret_is_unknown_and_changes_nothing
    a_refusal_that_leaves_keeps_the_code_good
    a_code_refused_too_often_is_retired
    a_rule_cannot_take_a_code_twice
    a_rule_that_panics_fails_alone
    a_write_that_fails_takes_its_whole_decision_back
}

async fn as_aut_08_atk_074_of_64_redemptions_at_once_one_is_taken(backend: &dyn Backend) {
    // Half of them through a second handle, as from another process.
    let stores = [backend.open(), backend.open()];
    let (code, grant) = with_code(&stores[0]).await;
    let barrier = Arc::new(Barrier::new(64));
    let mut redemptions = JoinSet::new();
    for n in 0..64 {
        let (store, barrier, code) = (stores[n % 2].clone(), Arc::clone(&barrier), code.clone());
        redemptions.spawn(async move {
            barrier.wait().await;
            redeem(&store, &code).await
        });
    }
    let outcomes = redemptions.join_all().await;
    let taken = outcomes.iter().filter(|outcome| **outcome == Decided::Taken("sub-1".to_owned())).count();
    let denied = outcomes.iter().filter(|o| **o == Decided::Denied(CodeState::Redeemed { at: NOW })).count();
    assert_eq!((taken, denied), (1, 63));
    assert_eq!(stores[0].grant(grant.id).await.unwrap().unwrap().revoked_at, Some(NOW));
}

async fn as_aut_08_reuse_revokes_in_the_transaction_that_saw_it(backend: &dyn Backend) {
    let store = backend.open();
    let (code, grant) = with_code(&store).await;
    let token = refresh_token(&grant, true);
    let issued = token.clone();
    let taken = store
        .redeem_code(code.id, code.secret_hash, NOW, move |_, _| Verdict::<_, ()>::Take {
            writes: vec![Write::InsertRefreshToken(Box::new(issued.clone()))],
            out: (),
        })
        .await;
    assert_eq!(taken, Ok(Decided::Taken(())));
    assert_eq!(token_state(&store, &token).await, RefreshTokenState::Live);

    assert_eq!(redeem(&store, &code).await, Decided::Denied(CodeState::Redeemed { at: NOW }));
    assert_eq!(token_state(&store, &token).await, RefreshTokenState::Revoked);
    let used =
        store.use_refresh_token(token.id, token.secret_hash, |token, _| Verdict::<(), _>::Leave(token.state));
    assert_eq!(used.await, Ok(Decided::Denied(RefreshTokenState::Revoked)));
}

async fn a_wrong_secret_is_unknown_and_changes_nothing(backend: &dyn Backend) {
    let store = backend.open();
    let (code, grant) = with_code(&store).await;
    let token = with_token(&store, &grant, true).await;
    let session = session("sub-1");
    store.write(vec![Write::InsertSession(session.clone())]).await.unwrap();
    let wrong = SecretHash::of(b"wrong");

    let rule = |_: &Code, _: &Grant| -> Verdict<(), ()> { panic!("the rule must not be asked") };
    assert_eq!(store.redeem_code(code.id, wrong, NOW, rule).await, Ok(Decided::Unknown));
    assert_eq!(store.redeem_code(new_id(), code.secret_hash, NOW, rule).await, Ok(Decided::Unknown));
    let rule = |_: &RefreshToken, _: &Grant| -> Verdict<(), ()> { panic!("the rule must not be asked") };
    assert_eq!(store.use_refresh_token(token.id, wrong, rule).await, Ok(Decided::Unknown));
    assert_eq!(store.find_code(code.id, &wrong).await, Ok(None));
    assert_eq!(store.find_refresh_token(token.id, &wrong).await, Ok(None));
    assert_eq!(store.find_session(session.id, &wrong).await, Ok(None));
    assert_eq!(store.insert_user(user("ada", "sub-1")).await, Ok(Inserted::Yes));
    assert_eq!(store.find_signed_in(session.id, &wrong, None).await, Ok(None));

    assert_eq!(store.find_code(code.id, &code.secret_hash).await, Ok(Some((code, grant.clone()))));
    assert_eq!(store.find_refresh_token(token.id, &token.secret_hash).await, Ok(Some((token, grant))));
    assert_eq!(store.find_session(session.id, &session.secret_hash).await, Ok(Some(session.clone())));
    // A user who is gone is signed in nowhere.
    assert!(store.find_signed_in(session.id, &session.secret_hash, None).await.unwrap().is_some());
    assert_eq!(store.remove_user("ada", NOW).await, Ok(true));
    assert_eq!(store.find_signed_in(session.id, &session.secret_hash, None).await, Ok(None));
}

async fn a_refusal_that_leaves_keeps_the_code_good(backend: &dyn Backend) {
    let store = backend.open();
    let (code, grant) = with_code(&store).await;
    let wrong_client = |_: &Code, _: &Grant| Verdict::<(), _>::Leave("another client");
    let denied = store.redeem_code(code.id, code.secret_hash, NOW, wrong_client).await;
    assert_eq!(denied, Ok(Decided::Denied("another client")));
    assert_eq!(store.find_code(code.id, &code.secret_hash).await, Ok(Some((code.clone(), grant))));
    assert_eq!(redeem(&store, &code).await, Decided::Taken("sub-1".to_owned()));
}

async fn a_code_refused_too_often_is_retired(backend: &dyn Backend) {
    let store = backend.open();
    let (code, _) = with_code(&store).await;
    let wrong_verifier = |code: &Code, _: &Grant| match code.state {
        CodeState::Live => {
            let writes = vec![Write::CodeRefused { id: code.id, retire: code.refusals >= 4 }];
            Verdict::<(), _>::Revoke { writes, denied: code.refusals }
        }
        _ => Verdict::Leave(u8::MAX),
    };
    for refusals in [0, 1, 2, 3, 4, u8::MAX] {
        let denied = store.redeem_code(code.id, code.secret_hash, NOW, wrong_verifier).await;
        assert_eq!(denied, Ok(Decided::Denied(refusals)));
    }
    let (found, _) = store.find_code(code.id, &code.secret_hash).await.unwrap().unwrap();
    assert_eq!((found.state, found.refusals), (CodeState::Retired, 5));
    assert_eq!(redeem(&store, &code).await, Decided::Denied(CodeState::Retired));
}

async fn a_rule_cannot_take_a_code_twice(backend: &dyn Backend) {
    let store = backend.open();
    let (code, grant) = with_code(&store).await;
    let careless = |_: &Code, _: &Grant| Verdict::<_, ()>::Take { writes: vec![], out: () };
    assert_eq!(store.redeem_code(code.id, code.secret_hash, NOW, careless).await, Ok(Decided::Taken(())));
    store.redeem_code(code.id, code.secret_hash, NOW, careless).await.unwrap_err();

    let token = with_token(&store, &grant, true).await;
    store.write(vec![Write::RevokeGrant { id: grant.id, at: NOW }]).await.unwrap();
    let careless = |_: &RefreshToken, _: &Grant| Verdict::<_, ()>::Take { writes: vec![], out: () };
    store.use_refresh_token(token.id, token.secret_hash, careless).await.unwrap_err();
}

async fn a_rule_that_panics_fails_alone(backend: &dyn Backend) {
    let store = backend.open();
    let mut codes = Vec::new();
    for _ in 0..20 {
        codes.push(with_code(&store).await.0);
    }
    let barrier = Arc::new(Barrier::new(codes.len()));
    let mut redemptions = JoinSet::new();
    for (n, code) in codes.iter().cloned().enumerate() {
        let (store, barrier) = (store.clone(), Arc::clone(&barrier));
        redemptions.spawn(async move {
            barrier.wait().await;
            let decide = move |code: &Code, grant: &Grant| {
                assert!(n % 5 != 0, "a rule that is wrong");
                once(code, grant)
            };
            (n, store.redeem_code(code.id, code.secret_hash, NOW, decide).await)
        });
    }
    for (n, outcome) in redemptions.join_all().await {
        if n % 5 == 0 {
            let fault = outcome.unwrap_err();
            assert!(fault.reason().contains("a rule that is wrong"), "{}", fault.reason());
            assert!(!fault.to_string().contains("wrong"), "the wire's text says nothing of it");
            assert_eq!(redeem(&store, &codes[n]).await, Decided::Taken("sub-1".to_owned()));
        } else {
            assert_eq!(outcome, Ok(Decided::Taken("sub-1".to_owned())));
            assert!(matches!(redeem(&store, &codes[n]).await, Decided::Denied(CodeState::Redeemed { .. })));
        }
    }
}

async fn a_write_that_fails_takes_its_whole_decision_back(backend: &dyn Backend) {
    let store = backend.open();
    let (code, grant) = with_code(&store).await;
    let orphan = refresh_token(&self::grant(None), true);
    let decide = move |_: &Code, grant: &Grant| Verdict::<_, ()>::Take {
        writes: vec![
            Write::RevokeGrant { id: grant.id, at: NOW },
            Write::InsertRefreshToken(Box::new(orphan.clone())),
        ],
        out: (),
    };
    let fault: Fault = store.redeem_code(code.id, code.secret_hash, NOW, decide).await.unwrap_err();
    assert!(fault.reason().contains("FOREIGN KEY"), "{}", fault.reason());
    assert_eq!(store.find_code(code.id, &code.secret_hash).await, Ok(Some((code, grant))));
}
