//! The contract of the store, held against every backend. A backend is a way to open a handle; a contract is a
//! function over it.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a contract that fails panics")]

use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_provider::store::{
    CREDENTIAL_ENTROPY, Client, ClientSource, Code, CodeState, Credential, Decided, Fault, Grant, ID_ENTROPY,
    Id, Inserted, OpenError, RefreshToken, RefreshTokenState, SecretBytes, SecretHash, Session, SigningKey,
    Store, User, Verdict, Write,
};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Somewhere to keep a store, which any number of handles can open.
trait Backend: Send + Sync {
    fn open(&self) -> Store;
}

struct Sqlite {
    folder: TempDir,
}

impl Sqlite {
    fn fresh() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("keybound.db")
    }
}

impl Backend for Sqlite {
    fn open(&self) -> Store {
        Store::open(&self.path()).unwrap()
    }
}

/// One test a contract, for each backend.
macro_rules! contract {
    ($($name:ident)*) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    super::$name(&super::Sqlite::fresh()).await;
                }
            )*
        }
    };
}

contract! {
    as_aut_08_of_64_redemptions_at_once_one_is_taken
    as_aut_08_reuse_revokes_in_the_transaction_that_saw_it
    a_wrong_secret_is_unknown_and_changes_nothing
    a_refusal_that_leaves_keeps_the_code_good
    a_code_refused_too_often_is_retired
    a_rule_cannot_take_a_code_twice
    a_rule_that_panics_fails_alone
    a_write_that_fails_takes_its_whole_decision_back
    as_rt_07_of_many_rotations_at_once_one_succeeds
    as_rt_07_reuse_revokes_every_token_of_the_family
    as_rt_10_use_moves_the_idle_end_but_not_past_the_last
    as_rt_11_a_sign_in_that_ends_takes_what_is_not_offline
    as_rt_11_a_new_password_revokes_what_the_user_granted
    as_rt_11_withdrawn_consent_revokes_at_that_client_only
    a_closed_store_reopens_as_it_was
    another_handle_sees_changes_at_once
    usernames_and_subjects_are_unique
    users_are_listed_by_page
    a_session_is_renewed_replaced_and_ended
    a_replaced_session_of_another_user_ends_its_grants
    a_named_secret_is_created_once
    ops_key_02_no_kid_comes_twice
    signing_keys_read_back_and_retire
    a_removed_client_loses_what_it_was_given
    sweep_removes_only_what_has_ended
    sweep_removes_more_than_one_batch
    as_rt_14_no_usable_secret_is_stored
}

// The records that the contracts are about.

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

fn entropy<const N: usize>() -> [u8; N] {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let mut state = COUNT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    std::array::from_fn(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    })
}

fn credential() -> (Id, Secret, SecretHash) {
    Credential::mint(NOW, &entropy::<CREDENTIAL_ENTROPY>())
}

fn new_id() -> Id {
    Id::mint(NOW, &entropy::<ID_ENTROPY>())
}

fn grant(session_id: Option<Id>) -> Grant {
    Grant {
        id: new_id(),
        client_id: "app".to_owned(),
        subject: Some("sub-1".to_owned()),
        session_id,
        created_at: NOW,
        revoked_at: None,
        session_ended_at: None,
    }
}

fn code(grant: &Grant) -> Code {
    let (id, _, secret_hash) = credential();
    Code {
        id,
        secret_hash,
        grant_id: grant.id,
        client_id: grant.client_id.clone(),
        redirect_uri: "https://app.example/callback".to_owned(),
        redirect_uri_sent: true,
        code_challenge: Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned()),
        dpop_jkt: Some("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".to_owned()),
        subject: "sub-1".to_owned(),
        scope: vec!["openid".to_owned(), "profile".to_owned()],
        resources: vec!["https://api.example/".to_owned()],
        nonce: Some("n-0S6".to_owned()),
        auth_time: NOW.minus_secs(5),
        session_id: grant.session_id,
        acr: Some("1".to_owned()),
        issued_at: UnixTime::from_millis(NOW.as_millis() + 7),
        expires_at: NOW.plus_secs(60),
        refusals: 0,
        state: CodeState::Live,
    }
}

fn refresh_token(grant: &Grant, offline: bool) -> RefreshToken {
    let (id, _, secret_hash) = credential();
    RefreshToken {
        id,
        secret_hash,
        grant_id: grant.id,
        client_id: grant.client_id.clone(),
        subject: "sub-1".to_owned(),
        jkt: None,
        scope: vec!["openid".to_owned()],
        resources: vec![],
        auth_time: NOW,
        session_id: grant.session_id,
        offline,
        issued_at: NOW,
        last_used_at: NOW,
        expires_at: NOW.plus_secs(1000),
        idle_expires_at: NOW.plus_secs(100),
        state: RefreshTokenState::Live,
    }
}

fn session(subject: &str) -> Session {
    let (id, _, secret_hash) = credential();
    Session {
        id,
        secret_hash,
        subject: subject.to_owned(),
        auth_time: NOW,
        acr: None,
        created_at: NOW,
        last_seen_at: NOW,
        expires_at: NOW.plus_secs(500),
    }
}

fn user(username: &str, subject: &str) -> User {
    User {
        username: username.to_owned(),
        subject: subject.to_owned(),
        password_hash: Secret::new("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"),
        claims: json!({"name": "Ada", "address": {"country": "NL"}}).as_object().unwrap().clone(),
        updated_at: NOW,
    }
}

fn client(client_id: &str) -> Client {
    Client {
        client_id: client_id.to_owned(),
        metadata: json!({"redirect_uris": ["https://app.example/callback"]}),
        secret_hash: Some(SecretHash::of(b"client secret")),
        source: ClientSource::Command,
        created_at: NOW,
    }
}

fn signing_key(kid: &str) -> SigningKey {
    SigningKey {
        kid: kid.to_owned(),
        algorithm: "ES256".to_owned(),
        pkcs8: SecretBytes::new(vec![0, 255, 3]),
        created_at: NOW,
        publish_at: NOW,
        use_from: NOW.plus_secs(60),
        retire_at: None,
    }
}

async fn with_code(store: &Store) -> (Code, Grant) {
    let grant = grant(None);
    let code = code(&grant);
    let writes = vec![Write::InsertGrant(grant.clone()), Write::InsertCode(Box::new(code.clone()))];
    store.write(writes).await.unwrap();
    (code, grant)
}

async fn with_token(store: &Store, grant: &Grant, offline: bool) -> RefreshToken {
    let token = refresh_token(grant, offline);
    if store.grant(grant.id).await.unwrap().is_none() {
        store.write(vec![Write::InsertGrant(grant.clone())]).await.unwrap();
    }
    store.write(vec![Write::InsertRefreshToken(Box::new(token.clone()))]).await.unwrap();
    token
}

async fn token_state(store: &Store, token: &RefreshToken) -> RefreshTokenState {
    store.find_refresh_token(token.id, &token.secret_hash).await.unwrap().unwrap().0.state
}

/// The rule of RFC 6749 §4.1.2: once, and a second time ends everything.
fn once(code: &Code, grant: &Grant) -> Verdict<String, CodeState> {
    match code.state {
        CodeState::Live => Verdict::Take { writes: vec![], out: code.subject.clone() },
        used => Verdict::Revoke { writes: vec![Write::RevokeGrant { id: grant.id, at: NOW }], denied: used },
    }
}

async fn redeem(store: &Store, code: &Code) -> Decided<String, CodeState> {
    store.redeem_code(code.id, code.secret_hash, NOW, once).await.unwrap()
}

// The contracts.

async fn as_aut_08_of_64_redemptions_at_once_one_is_taken(backend: &dyn Backend) {
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

    assert_eq!(store.find_code(code.id, &code.secret_hash).await, Ok(Some((code, grant.clone()))));
    assert_eq!(store.find_refresh_token(token.id, &token.secret_hash).await, Ok(Some((token, grant))));
    assert_eq!(store.find_session(session.id, &session.secret_hash).await, Ok(Some(session)));
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
    let session = session("sub-1");
    store.write(vec![Write::InsertSession(session.clone())]).await.unwrap();
    let grant = grant(Some(session.id));
    let online = with_token(&store, &grant, false).await;
    let offline = with_token(&store, &grant, true).await;
    let elsewhere = with_token(&store, &self::grant(Some(new_id())), false).await;

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

async fn a_removed_client_loses_what_it_was_given(backend: &dyn Backend) {
    let store = backend.open();
    store.upsert_client(client("app")).await.unwrap();
    let token = with_token(&store, &grant(None), true).await;
    assert_eq!(store.remove_client("app", NOW).await, Ok(true));
    assert_eq!(store.find_client("app").await, Ok(None));
    assert_eq!(token_state(&store, &token).await, RefreshTokenState::Revoked);
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

/// The files are read as they are; a backend elsewhere would be dumped.
async fn as_rt_14_no_usable_secret_is_stored(backend: &Sqlite) {
    let store = backend.open();
    let grant = grant(None);
    let mut secrets = Vec::new();
    let mut mint = || {
        let (id, text, hash) = credential();
        secrets.push(text.reveal().split_once('.').unwrap().1.to_owned());
        (id, hash)
    };
    let (id, secret_hash) = mint();
    let code = Code { id, secret_hash, ..code(&grant) };
    let (id, secret_hash) = mint();
    let token = RefreshToken { id, secret_hash, ..refresh_token(&grant, true) };
    let (id, secret_hash) = mint();
    let session = Session { id, secret_hash, ..session("sub-1") };
    let writes = vec![
        Write::InsertGrant(grant),
        Write::InsertCode(Box::new(code.clone())),
        Write::InsertRefreshToken(Box::new(token.clone())),
        Write::InsertSession(session),
    ];
    store.write(writes).await.unwrap();
    redeem(&store, &code).await;
    store.use_refresh_token(token.id, token.secret_hash, rotate(token.clone())).await.unwrap_err();

    let dump = || -> Vec<u8> {
        let files = std::fs::read_dir(backend.folder.path()).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    };
    let open = dump();
    drop(store);
    let closed = dump();
    for dump in [open, closed] {
        assert!(holds(&dump, token.secret_hash.as_bytes()), "the dump is not of what was written");
        assert!(holds(&dump, b"https://app.example/callback"), "the dump is not of what was written");
        for secret in &secrets {
            let bytes = data_encoding::BASE64URL_NOPAD.decode(secret.as_bytes()).unwrap();
            assert!(!holds(&dump, secret.as_bytes()));
            assert!(!holds(&dump, &bytes));
        }
    }
}

fn holds(dump: &[u8], part: &[u8]) -> bool {
    dump.windows(part.len()).any(|window| window == part)
}

// What is true of SQLite's file alone.

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let backend = Sqlite::fresh();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let store = backend.open();
    with_code(&store).await;
    let files: Vec<_> =
        std::fs::read_dir(backend.folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "the file, its log and the log's index: {files:?}");
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    drop(store);

    std::fs::set_permissions(backend.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    drop(backend.open());
    assert_eq!(mode(&backend.path()), 0o600);
}

#[tokio::test]
async fn a_closed_store_is_one_file() {
    let backend = Sqlite::fresh();
    let store = backend.open();
    with_code(&store).await;
    drop(store);
    let files: Vec<_> =
        std::fs::read_dir(backend.folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files, [backend.path()]);
}

#[test]
fn many_processes_open_a_new_file_at_once() {
    let backend = Sqlite::fresh();
    std::thread::scope(|scope| {
        let opened: Vec<_> = (0..8).map(|_| scope.spawn(|| Store::open(&backend.path()))).collect();
        for store in opened {
            store.join().unwrap().unwrap();
        }
    });
}

#[test]
fn a_file_that_cannot_be_a_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let refused = |name: &str| Store::open(&path(name)).map(drop).unwrap_err();

    assert!(matches!(refused("no/such/folder.db"), OpenError::FolderMissing { .. }));
    assert!(matches!(refused("."), OpenError::NotAFile { .. }));

    std::fs::write(path("letter.txt"), "Dear reader, ".repeat(1000)).unwrap();
    assert!(matches!(refused("letter.txt"), OpenError::NotADatabase { .. }));
    assert_eq!(std::fs::read(path("letter.txt")).unwrap(), "Dear reader, ".repeat(1000).as_bytes());

    let foreign = rusqlite::Connection::open(path("foreign.db")).unwrap();
    foreign.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    drop(foreign);
    let before = std::fs::read(path("foreign.db")).unwrap();
    assert!(matches!(refused("foreign.db"), OpenError::Foreign { .. }));
    assert_eq!(std::fs::read(path("foreign.db")).unwrap(), before);

    drop(Store::open(&path("newer.db")).unwrap());
    let newer = rusqlite::Connection::open(path("newer.db")).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let error = refused("newer.db");
    assert!(matches!(error, OpenError::NewerSchema { found: 99, .. }));
    assert!(error.to_string().contains("run the version that wrote it"), "{error}");
}
