//! What users need not be asked again, by command.

use crate::common::World;
use keybound_dpop::time::{Clock, SystemClock};
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_provider::store::{Consent, Id, Store, Write};
use serde_json::{Value, json};

/// Has this remembered for the user with that subject.
fn remember(world: &World, n: u8, subject: &str, client_id: &str) {
    let now = SystemClock::start().now().unix;
    let consent = Consent {
        id: Id::mint(now, &[n; 10]),
        subject: subject.to_owned(),
        client_id: client_id.to_owned(),
        client_hash: String::new(),
        scope: vec!["openid".to_owned(), "read".to_owned()],
        resources: vec!["https://api.example/".to_owned()],
        authorization_details: AuthorizationDetails::parse(r#"[{"type":"balance"}]"#).expect("details"),
        given_at: now,
        used_at: None,
        expires_at: now.plus_secs(86_400),
    };
    let store = Store::open(&world.path("keybound.sqlite")).expect("a store");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(store.write(vec![Write::RememberConsent(Box::new(consent))])).expect("written");
}

#[test]
fn what_is_remembered_is_listed_and_forgotten() {
    let world = World::new();
    world.write("keybound.toml", "issuer = \"https://as.example\"\n");
    for (name, subject) in [("alice", "sub-a"), ("bob", "sub-b")] {
        world.ok(&["user", "add", name, "--password-stdin", "--sub", subject], "pw\n");
    }
    let nothing = world.run(&["consent", "list"], "");
    assert!(nothing.code == 0 && nothing.stderr.contains("asked each time"), "{}", nothing.stderr);
    for (n, subject, client_id) in [(1, "sub-a", "shop"), (2, "sub-a", "\u{1b}[1mbank"), (3, "sub-b", "shop")]
    {
        remember(&world, n, subject, client_id);
    }
    let list = |args: &[&str]| -> Vec<Value> {
        let args = [&["consent", "list", "--json"], args].concat();
        serde_json::from_str(&world.ok(&args, "")).expect("JSON")
    };
    let all = list(&[]);
    assert_eq!(all.len(), 3);
    let first = &all[0];
    assert_eq!((&first["username"], &first["client_id"]), (&json!("alice"), &json!("shop")));
    assert_eq!((&first["scope"], &first["used_at"]), (&json!("openid read"), &Value::Null));
    assert_eq!(list(&["alice"]).len(), 2);
    let table = world.ok(&["consent", "list"], "");
    assert!(table.contains("alice  shop  openid read balance  days left: 1"), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");

    assert_eq!(world.ok(&["consent", "forget", "alice", "--client", "shop"], ""), "forgot 1 of alice\n");
    assert_eq!((list(&["alice"]).len(), list(&["bob"]).len()), (1, 1));
    let revoked = world.ok(&["consent", "forget", "alice", "--revoke"], "");
    assert_eq!(revoked, "forgot 1 of alice; what was granted is revoked\n");
    assert_eq!((list(&["alice"]).len(), list(&["bob"]).len()), (0, 1));
    for args in [["consent", "list", "carol"], ["consent", "forget", "carol"]] {
        let ended = world.run(&args, "");
        assert!(ended.code == 1 && ended.stderr.contains("no user `carol`"), "{}", ended.stderr);
    }
}
