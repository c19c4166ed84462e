//! Who is signed in, by command.

use crate::common::World;
use keybound_dpop::time::{Clock, SystemClock};
use keybound_provider::store::{Credential, Session, Store, Write};
use serde_json::Value;

/// Signs the user in, as a browser would; gives the id of the session.
pub(crate) fn sign_in(world: &World, username: &str) -> String {
    let now = SystemClock::start().now().unix;
    let store = Store::open(&world.path("keybound.sqlite")).expect("a store");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let user = runtime.block_on(store.find_user_by_username(username)).expect("the store").expect("the user");
    let (id, _, secret_hash) =
        Credential::mint(now, &keybound_dpop::jose::crypto::random().expect("entropy"));
    let session = Session {
        id,
        secret_hash,
        subject: user.subject,
        auth_time: now,
        acr: None,
        created_at: now,
        last_seen_at: now,
        expires_at: now.plus_secs(3600),
    };
    runtime.block_on(store.write(vec![Write::InsertSession(session)])).expect("written");
    id.to_string()
}

#[test]
fn sessions_are_listed_and_ended() {
    let world = World::new();
    world.write("keybound.toml", "issuer = \"https://as.example\"\n");
    for name in ["alice", "bob"] {
        world.ok(&["user", "add", name, "--password-stdin"], "pw\n");
    }
    let (first, second, other) = (sign_in(&world, "alice"), sign_in(&world, "alice"), sign_in(&world, "bob"));
    let ids = |args: &[&str]| -> Vec<String> {
        let list = world.ok(&[&["session", "list", "--json"], args].concat(), "");
        let list: Vec<Value> = serde_json::from_str(&list).expect("JSON");
        list.iter().map(|session| session["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids(&["--user", "alice"]), [&*first, &*second]);
    assert_eq!(ids(&[]).len(), 3);
    let told = world.ok(&["session", "list", "--user", "bob"], "");
    assert!(told.starts_with(&format!("{other}  bob  signed in ")) && told.ends_with(" more\n"), "{told}");
    world.ok(&["session", "end", &first], "");
    assert_eq!(ids(&["--user", "alice"]), [&*second]);
    assert_eq!(world.ok(&["session", "end", "--user", "alice"], ""), "ended 1 of alice\n");
    assert_eq!(ids(&[]), [other]);
}
