//! Pushed authorization requests.

use crate::Backend;
use crate::record::{NOW, code, credential, grant, new_id};
use keybound_dpop::time::UnixTime;
use keybound_provider::store::{Decided, Pushed, SecretHash, Store, Verdict, Write};
use std::sync::Arc;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

crate::contract! {
    as_par_10_of_64_answers_at_once_one_is_taken
    as_par_10_what_an_answer_writes_goes_with_its_use
    a_pushed_request_is_opened_by_its_secret_alone
    a_rule_cannot_take_a_pushed_request_twice
}

async fn with_pushed(store: &Store) -> Pushed {
    let (id, _, secret_hash) = credential();
    let pushed = Pushed {
        id,
        secret_hash,
        client_id: "app".to_owned(),
        parameters: "client_id=app&state=s%20t".to_owned(),
        expires_at: NOW.plus_secs(90),
        keep_until: NOW.plus_secs(900),
        used_at: None,
    };
    store.write(vec![Write::InsertPushed(Box::new(pushed.clone()))]).await.unwrap();
    pushed
}

async fn redeem(store: &Store, pushed: &Pushed) -> Decided<String, Option<UnixTime>> {
    let rule = |pushed: &Pushed| match pushed.used_at {
        None => Verdict::Take { writes: Vec::new(), out: pushed.client_id.clone() },
        used => Verdict::Leave(used),
    };
    store.redeem_pushed(pushed.id, pushed.secret_hash, NOW, rule).await.unwrap()
}

async fn as_par_10_of_64_answers_at_once_one_is_taken(backend: &dyn Backend) {
    let stores = [backend.open(), backend.open()];
    let pushed = with_pushed(&stores[0]).await;
    let barrier = Arc::new(Barrier::new(64));
    let mut answers = JoinSet::new();
    for n in 0..64 {
        let (store, barrier, pushed) = (stores[n % 2].clone(), Arc::clone(&barrier), pushed.clone());
        answers.spawn(async move {
            barrier.wait().await;
            redeem(&store, &pushed).await
        });
    }
    let outcomes = answers.join_all().await;
    let taken = outcomes.iter().filter(|outcome| **outcome == Decided::Taken("app".to_owned())).count();
    let denied = outcomes.iter().filter(|outcome| **outcome == Decided::Denied(Some(NOW))).count();
    assert_eq!((taken, denied), (1, 63));
    let used = stores[1].find_pushed(pushed.id, &pushed.secret_hash).await.unwrap();
    assert_eq!(used, Some(Pushed { used_at: Some(NOW), ..pushed }));
}

async fn as_par_10_what_an_answer_writes_goes_with_its_use(backend: &dyn Backend) {
    let store = backend.open();
    let pushed = with_pushed(&store).await;
    let grant = grant(None);
    let code = code(&grant);
    let without_grant = vec![Write::InsertCode(Box::new(code.clone()))];
    let all = vec![Write::InsertGrant(grant), Write::InsertCode(Box::new(code.clone()))];
    let answer = async |writes: Vec<Write>| {
        let rule = move |_: &Pushed| Verdict::<(), ()>::Take { writes: writes.clone(), out: () };
        store.redeem_pushed(pushed.id, pushed.secret_hash, NOW, rule).await
    };
    assert!(answer(without_grant).await.is_err());
    assert_eq!(store.find_pushed(pushed.id, &pushed.secret_hash).await, Ok(Some(pushed.clone())));
    assert_eq!(answer(all).await, Ok(Decided::Taken(())));
    assert!(store.find_code(code.id, &code.secret_hash).await.unwrap().is_some());
}

async fn a_pushed_request_is_opened_by_its_secret_alone(backend: &dyn Backend) {
    let store = backend.open();
    let pushed = with_pushed(&store).await;
    let wrong = SecretHash::of(b"wrong");
    let rule = |_: &Pushed| -> Verdict<(), ()> { panic!("the rule must not be asked") };
    assert_eq!(store.redeem_pushed(pushed.id, wrong, NOW, rule).await, Ok(Decided::Unknown));
    assert_eq!(store.redeem_pushed(new_id(), pushed.secret_hash, NOW, rule).await, Ok(Decided::Unknown));
    assert_eq!(store.find_pushed(pushed.id, &wrong).await, Ok(None));
    let left = store.redeem_pushed(pushed.id, pushed.secret_hash, NOW, |_| Verdict::<(), _>::Leave("no"));
    assert_eq!(left.await, Ok(Decided::Denied("no")));
    assert_eq!(store.find_pushed(pushed.id, &pushed.secret_hash).await, Ok(Some(pushed)));
}

async fn a_rule_cannot_take_a_pushed_request_twice(backend: &dyn Backend) {
    let store = backend.open();
    let pushed = with_pushed(&store).await;
    let take = |_: &Pushed| Verdict::<_, ()>::Take { writes: Vec::new(), out: () };
    let redeemed = store.redeem_pushed(pushed.id, pushed.secret_hash, NOW, take).await;
    assert_eq!(redeemed, Ok(Decided::Taken(())));
    assert!(store.redeem_pushed(pushed.id, pushed.secret_hash, NOW, take).await.is_err());
}
