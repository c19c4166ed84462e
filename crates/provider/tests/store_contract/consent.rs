//! Consents that are remembered, and what ends them.

use crate::Backend;
use crate::record::{NOW, client, grant, new_id, session, user};
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_provider::store::{Consent, Fault, Id, Inserted, MAX_CONSENTS, SecretHash, Store, Write};

crate::contract! {
    a_consent_reads_back_and_is_forgotten
    what_is_remembered_comes_with_the_session
    a_consent_that_was_forgotten_answers_nothing
    the_oldest_makes_room
    consents_end_with_user_client_and_password
    consents_are_listed_by_page_and_swept
}

fn consent(subject: &str, client_id: &str) -> Consent {
    Consent {
        id: new_id(),
        subject: subject.to_owned(),
        client_id: client_id.to_owned(),
        client_hash: "hash".to_owned(),
        scope: vec!["openid".to_owned(), "read".to_owned()],
        resources: vec!["https://api.example/".to_owned()],
        authorization_details: AuthorizationDetails::parse(r#"[{"type":"a","x":1}]"#).unwrap(),
        given_at: NOW,
        used_at: None,
        expires_at: NOW.plus_secs(500),
    }
}

async fn remember(store: &Store, consent: &Consent) {
    store.write(vec![Write::RememberConsent(Box::new(consent.clone()))]).await.unwrap();
}

/// The ids of what is remembered, in the order of their births.
async fn left(store: &Store) -> Vec<Id> {
    store.all_consents(None, 100).await.unwrap().into_iter().map(|consent| consent.id).collect()
}

async fn a_consent_reads_back_and_is_forgotten(backend: &dyn Backend) {
    let store = backend.open();
    let (first, second) = (consent("sub-1", "app"), consent("sub-1", "app"));
    let (theirs, elsewhere) = (consent("sub-2", "app"), consent("sub-1", "other"));
    for consent in [&first, &second, &theirs, &elsewhere] {
        remember(&store, consent).await;
    }
    store.write(vec![Write::UseConsent { id: first.id, at: NOW.plus_secs(9) }]).await.unwrap();
    let used = Consent { used_at: Some(NOW.plus_secs(9)), ..first.clone() };
    let mut both = vec![used, second.clone()];
    both.sort_by_key(|consent| std::cmp::Reverse(consent.id));
    assert_eq!(store.consents("sub-1", Some("app")).await, Ok(both));

    let hers = store.consents("sub-1", None).await.unwrap();
    assert!(hers.len() == 3 && hers.contains(&elsewhere) && !hers.contains(&theirs));
    store.write(vec![Write::ForgetConsent { id: first.id }]).await.unwrap();
    assert_eq!(store.consents("sub-1", Some("app")).await, Ok(vec![second]));
    let at_app = Write::ForgetConsentsOf { subject: "sub-1".to_owned(), client_id: Some("app".to_owned()) };
    store.write(vec![at_app]).await.unwrap();
    assert_eq!(store.consents("sub-1", Some("app")).await, Ok(vec![]));
    assert_eq!(store.consents("sub-1", Some("other")).await, Ok(vec![elsewhere]));
    let everywhere = Write::ForgetConsentsOf { subject: "sub-1".to_owned(), client_id: None };
    store.write(vec![everywhere]).await.unwrap();
    assert_eq!(left(&store).await, [theirs.id]);
}

async fn what_is_remembered_comes_with_the_session(backend: &dyn Backend) {
    let (store, command) = (backend.open(), backend.open());
    let session = session("sub-1");
    store.write(vec![Write::InsertSession(session.clone())]).await.unwrap();
    assert_eq!(store.insert_user(user("ada", "sub-1")).await, Ok(Inserted::Yes));
    let look = async |client_id| {
        let found = store.find_signed_in(session.id, &session.secret_hash, client_id).await.unwrap();
        found.map(|found| (found.session, found.username, found.consents))
    };
    let there = |consents| Some((session.clone(), "ada".to_owned(), consents));
    assert_eq!(look(Some("app")).await, there(vec![]));

    let mut hers = vec![consent("sub-1", "app"), consent("sub-1", "app")];
    hers.sort_by_key(|consent| std::cmp::Reverse(consent.id));
    let others = [consent("sub-2", "app"), consent("sub-1", "other")];
    for consent in hers.iter().chain(&others) {
        remember(&command, consent).await;
    }
    assert_eq!(look(Some("app")).await, there(hers.clone()));
    assert_eq!((look(Some("else")).await, look(None).await), (there(vec![]), there(vec![])));
    let wrong = SecretHash::of(b"wrong");
    assert_eq!(store.find_signed_in(session.id, &wrong, Some("app")).await, Ok(None));

    // Another process ends what there is, one after the other.
    command.write(vec![Write::ForgetConsent { id: hers.remove(0).id }]).await.unwrap();
    assert_eq!(look(Some("app")).await, there(hers));
    assert_eq!(command.end_session(session.id, NOW).await, Ok(true));
    assert_eq!(look(Some("app")).await, None);
}

async fn a_consent_that_was_forgotten_answers_nothing(backend: &dyn Backend) {
    let store = backend.open();
    let (forgotten, ended) = (consent("sub-1", "app"), consent("sub-1", "app"));
    remember(&store, &ended).await;
    for (id, at) in [(forgotten.id, NOW), (ended.id, ended.expires_at)] {
        let grant = grant(None);
        let writes = vec![Write::InsertGrant(grant.clone()), Write::UseConsent { id, at }];
        assert!(matches!(store.write(writes).await, Err(Fault::Unavailable { .. })));
        assert_eq!(store.grant(grant.id).await, Ok(None), "all or nothing");
    }
}

async fn the_oldest_makes_room(backend: &dyn Backend) {
    let store = backend.open();
    let mut made: Vec<Consent> = (0..=MAX_CONSENTS).map(|_| consent("sub-1", "app")).collect();
    made.sort_by_key(|consent| consent.id);
    let elsewhere = consent("sub-1", "other");
    remember(&store, &elsewhere).await;
    for consent in &made {
        remember(&store, consent).await;
    }
    made.remove(0);
    made.reverse();
    assert_eq!(store.consents("sub-1", Some("app")).await, Ok(made));
    assert_eq!(store.consents("sub-1", Some("other")).await, Ok(vec![elsewhere]));
}

async fn consents_end_with_user_client_and_password(backend: &dyn Backend) {
    let store = backend.open();
    for (username, subject) in [("ada", "sub-1"), ("bob", "sub-2")] {
        assert_eq!(store.insert_user(user(username, subject)).await, Ok(Inserted::Yes));
    }
    store.upsert_client(client("app")).await.unwrap();
    let theirs = consent("sub-2", "other");
    remember(&store, &theirs).await;
    let removed = async || store.remove_user("ada", NOW).await.unwrap();
    let password = async || {
        let hash = user("ada", "sub-1").password_hash;
        store.set_password("ada", hash, NOW).await.unwrap()
    };
    let client = async || store.remove_client("app", NOW).await.unwrap();
    let withdrawn = async || {
        let (subject, client_id) = ("sub-1".to_owned(), Some("app".to_owned()));
        store.write(vec![Write::RevokeGrantsOf { subject, client_id, at: NOW }]).await.is_ok()
    };
    for end in 0..4 {
        remember(&store, &consent("sub-1", "app")).await;
        assert_eq!(left(&store).await.len(), 2);
        let is_done = match end {
            0 => withdrawn().await,
            1 => password().await,
            2 => client().await,
            _ => removed().await,
        };
        assert!(is_done, "{end}");
        assert_eq!(left(&store).await, [theirs.id], "{end}");
    }
}

async fn consents_are_listed_by_page_and_swept(backend: &dyn Backend) {
    let store = backend.open();
    let mut made: Vec<Consent> = (0..5).map(|n| consent("sub-1", &format!("app-{n}"))).collect();
    for consent in &made {
        remember(&store, consent).await;
    }
    made.sort_by_key(|consent| consent.id);
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = store.all_consents(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        pages.extend(page);
    }
    assert_eq!(pages, made);
    assert_eq!(store.sweep(NOW.plus_secs(499)).await.unwrap().consents, 0);
    assert_eq!(store.sweep(NOW.plus_secs(500)).await.unwrap().consents, 5);
    assert_eq!(left(&store).await, []);
}
