//! Device codes.

use crate::Backend;
use crate::record::{NOW, credential, entropy, grant};
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::device::UserCode;
use keybound_provider::store::{
    Approval, Decided, DeviceCode, DeviceCodeInserted, DeviceCodeState, Grant, SecretHash, Store, Verdict,
    Write,
};
use std::sync::Arc;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

crate::contract! {
    as_dev_06_of_32_polls_at_once_one_is_taken
    of_32_answers_at_once_one_counts
    what_is_pending_or_denied_cannot_be_taken
    a_device_code_is_read_back_as_it_was_written
    as_dev_06_a_user_code_stands_for_one_device
    ops_lim_06_as_many_of_a_client_may_wait_and_no_more
    device_codes_leave_when_they_end_and_grants_stay_for_them
}

fn details() -> AuthorizationDetails {
    AuthorizationDetails::parse(r#"[{"type":"a","x":1}]"#).unwrap()
}

fn device_code(client_id: &str) -> DeviceCode {
    let (id, _, secret_hash) = credential();
    DeviceCode {
        id,
        secret_hash,
        user_code: UserCode::from_entropy(u64::from_be_bytes(entropy())),
        client_id: client_id.to_owned(),
        dpop_jkt: Some("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".to_owned()),
        scope: vec!["openid".to_owned()],
        resources: vec!["https://api.example/".to_owned()],
        authorization_details: details(),
        issued_at: NOW,
        expires_at: NOW.plus_secs(600),
        interval_secs: 5,
        polled_at: None,
        state: DeviceCodeState::Pending,
    }
}

async fn with_device_code(store: &Store) -> DeviceCode {
    let code = device_code("tv");
    assert_eq!(store.insert_device_code(code.clone(), 1000).await, Ok(DeviceCodeInserted::Yes));
    code
}

fn approval(grant: &Grant) -> Approval {
    Approval {
        grant_id: grant.id,
        subject: "sub-1".to_owned(),
        auth_time: NOW.minus_secs(5),
        acr: Some("1".to_owned()),
        authorization_details: details(),
    }
}

async fn answer(store: &Store, code: &DeviceCode, writes: Vec<Write>) -> Decided<(), DeviceCodeState> {
    let decide = move |code: &DeviceCode| match &code.state {
        DeviceCodeState::Pending => Verdict::Take { writes: writes.clone(), out: () },
        answered => Verdict::Leave(answered.clone()),
    };
    store.answer_device_code(code.user_code.clone(), decide).await.unwrap()
}

async fn allow(store: &Store, code: &DeviceCode) -> Grant {
    let grant = grant(None);
    let allow = Write::AllowDevice { id: code.id, approval: approval(&grant) };
    let writes = vec![Write::InsertGrant(grant.clone()), allow];
    assert_eq!(answer(store, code, writes).await, Decided::Taken(()));
    grant
}

async fn take(store: &Store, code: &DeviceCode) -> Decided<Option<Grant>, DeviceCodeState> {
    let decide = |code: &DeviceCode, grant: Option<&Grant>| match &code.state {
        DeviceCodeState::Allowed(_) => Verdict::Take { writes: vec![], out: grant.cloned() },
        other => Verdict::Leave(other.clone()),
    };
    store.redeem_device_code(code.id, code.secret_hash, decide).await.unwrap()
}

async fn as_dev_06_of_32_polls_at_once_one_is_taken(backend: &dyn Backend) {
    let stores = [backend.open(), backend.open()];
    let code = with_device_code(&stores[0]).await;
    let grant = allow(&stores[0], &code).await;
    let barrier = Arc::new(Barrier::new(32));
    let mut polls = JoinSet::new();
    for n in 0..32 {
        let (store, barrier, code) = (stores[n % 2].clone(), Arc::clone(&barrier), code.clone());
        polls.spawn(async move {
            barrier.wait().await;
            take(&store, &code).await
        });
    }
    let outcomes = polls.join_all().await;
    let taken = Decided::Taken(Some(grant.clone()));
    let used = Decided::Denied(DeviceCodeState::Taken(approval(&grant)));
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == taken).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == used).count(), 31);
}

async fn of_32_answers_at_once_one_counts(backend: &dyn Backend) {
    let stores = [backend.open(), backend.open()];
    let code = with_device_code(&stores[0]).await;
    let barrier = Arc::new(Barrier::new(32));
    let mut answers = JoinSet::new();
    for n in 0..32 {
        let (store, barrier, code) = (stores[n % 2].clone(), Arc::clone(&barrier), code.clone());
        answers.spawn(async move {
            barrier.wait().await;
            answer(&store, &code, vec![Write::DenyDevice { id: code.id }]).await
        });
    }
    let outcomes = answers.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Decided::Taken(())).count(), 1);
    let denied = Decided::Denied(DeviceCodeState::Denied);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == denied).count(), 31);
}

async fn what_is_pending_or_denied_cannot_be_taken(backend: &dyn Backend) {
    let store = backend.open();
    let code = with_device_code(&store).await;
    let careless = |_: &DeviceCode, _: Option<&Grant>| Verdict::<_, ()>::Take { writes: vec![], out: () };
    store.redeem_device_code(code.id, code.secret_hash, careless).await.unwrap_err();
    answer(&store, &code, vec![Write::DenyDevice { id: code.id }]).await;
    store.redeem_device_code(code.id, code.secret_hash, careless).await.unwrap_err();
    let careless = |_: &DeviceCode| Verdict::<_, ()>::Take { writes: vec![], out: () };
    store.answer_device_code(code.user_code.clone(), careless).await.unwrap_err();

    let code = with_device_code(&store).await;
    allow(&store, &code).await;
    assert!(matches!(take(&store, &code).await, Decided::Taken(Some(_))));
    let careless = |_: &DeviceCode, _: Option<&Grant>| Verdict::<_, ()>::Take { writes: vec![], out: () };
    store.redeem_device_code(code.id, code.secret_hash, careless).await.unwrap_err();
}

async fn a_device_code_is_read_back_as_it_was_written(backend: &dyn Backend) {
    let store = backend.open();
    let code = with_device_code(&store).await;
    assert_eq!(store.find_device_code(code.id, &code.secret_hash).await, Ok(Some(code.clone())));
    assert_eq!(store.device_code_by_user_code(&code.user_code).await, Ok(Some(code.clone())));
    assert_eq!(store.find_device_code(code.id, &SecretHash::of(b"wrong")).await, Ok(None));
    let rule = |_: &DeviceCode, _: Option<&Grant>| -> Verdict<(), ()> { panic!("must not be asked") };
    let unknown = store.redeem_device_code(code.id, SecretHash::of(b"wrong"), rule).await;
    assert_eq!(unknown, Ok(Decided::Unknown));
    let polled = Write::DevicePolled { id: code.id, at: NOW.plus_secs(3), interval_secs: 10 };
    store.write(vec![polled]).await.unwrap();
    let grant = allow(&store, &code).await;
    let expected = DeviceCode {
        interval_secs: 10,
        polled_at: Some(NOW.plus_secs(3)),
        state: DeviceCodeState::Allowed(approval(&grant)),
        ..code
    };
    assert_eq!(store.device_code_by_user_code(&expected.user_code).await, Ok(Some(expected)));
}

async fn as_dev_06_a_user_code_stands_for_one_device(backend: &dyn Backend) {
    let store = backend.open();
    let code = with_device_code(&store).await;
    let second = DeviceCode { user_code: code.user_code.clone(), ..device_code("other") };
    let inserted = store.insert_device_code(second.clone(), 1000).await;
    assert_eq!(inserted, Ok(DeviceCodeInserted::UserCodeTaken));
    assert_eq!(store.find_device_code(second.id, &second.secret_hash).await, Ok(None));
}

async fn ops_lim_06_as_many_of_a_client_may_wait_and_no_more(backend: &dyn Backend) {
    let store = backend.open();
    let mut codes = Vec::new();
    for _ in 0..3 {
        let code = device_code("tv");
        assert_eq!(store.insert_device_code(code.clone(), 3).await, Ok(DeviceCodeInserted::Yes));
        codes.push(code);
    }
    let more = || device_code("tv");
    assert_eq!(store.insert_device_code(more(), 3).await, Ok(DeviceCodeInserted::TooMany));
    assert_eq!(store.insert_device_code(device_code("other"), 3).await, Ok(DeviceCodeInserted::Yes));
    answer(&store, &codes[0], vec![Write::DenyDevice { id: codes[0].id }]).await;
    assert_eq!(store.insert_device_code(more(), 3).await, Ok(DeviceCodeInserted::Yes));
    assert_eq!(store.insert_device_code(more(), 3).await, Ok(DeviceCodeInserted::TooMany));
    let later = DeviceCode { issued_at: NOW.plus_secs(600), expires_at: NOW.plus_secs(1200), ..more() };
    assert_eq!(store.insert_device_code(later, 3).await, Ok(DeviceCodeInserted::Yes), "they have ended");
}

async fn device_codes_leave_when_they_end_and_grants_stay_for_them(backend: &dyn Backend) {
    let store = backend.open();
    let code = with_device_code(&store).await;
    let grant = allow(&store, &code).await;
    store.sweep(NOW.plus_secs(599)).await.unwrap();
    assert!(store.grant(grant.id).await.unwrap().is_some());
    assert!(store.find_device_code(code.id, &code.secret_hash).await.unwrap().is_some());
    assert_eq!(store.sweep(NOW.plus_secs(600)).await.unwrap().device_codes, 1);
    assert_eq!(store.find_device_code(code.id, &code.secret_hash).await, Ok(None));
}
