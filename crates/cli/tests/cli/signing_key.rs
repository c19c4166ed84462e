//! The provider's signing keys, by command.

use crate::common::{World, free_address, get};
use serde_json::Value;
use std::time::Duration;

fn json(text: &str) -> Vec<Value> {
    serde_json::from_str(text).expect("JSON")
}

/// The kids of the keys in that state, in order.
fn kids(keys: &[Value], state: &str) -> Vec<String> {
    let found = keys.iter().filter(|key| key["state"] == state);
    let mut kids: Vec<String> = found.map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect();
    kids.sort();
    kids
}

#[test]
fn keys_are_listed_rotated_and_retired_while_the_provider_runs() {
    let address = free_address().to_string();
    let world = World::new();
    world.write("keybound.toml", &format!("issuer = \"http://{address}\"\n"));
    let none = world.run(&["signing-key", "rotate"], "");
    assert!(none.code == 1 && none.stderr.contains("next: start the provider once"), "{}", none.stderr);
    let service = world.start(&["serve", "--listen", &address]);

    let list = || json(&world.ok(&["signing-key", "list", "--json"], ""));
    let before = list();
    let first = kids(&before, "signs");
    assert_eq!(first.len(), 2, "one for tokens, one for messages: {before:?}");
    let rotated = json(&world.ok(&["signing-key", "rotate", "--alg", "ES256", "--json"], ""));
    let next = kids(&rotated, "next");
    assert_eq!((next.len(), kids(&list(), "next"), kids(&list(), "signs")), (2, next.clone(), first.clone()));
    let again = world.run(&["signing-key", "rotate"], "");
    assert!(again.code == 0 && again.stderr.contains("nothing to do"), "{}", again.stderr);

    // The running provider takes it up.
    let published = || {
        let set = get(&address, "/jwks");
        next.iter().all(|kid| set.contains(kid))
    };
    let mut waited = 0;
    while !published() {
        waited += 1;
        assert!(waited < 600, "the new keys were not published");
        std::sync::mpsc::channel::<()>().1.recv_timeout(Duration::from_millis(100)).ok();
    }

    let refused = world.run(&["signing-key", "retire", &first[0]], "");
    assert!(refused.code == 1 && refused.stderr.contains("rotate --now"), "{}", refused.stderr);
    world.ok(&["signing-key", "retire", &next[0]], "");
    assert_eq!(kids(&list(), "gone"), [next[0].clone()]);
    let told = world.ok(&["signing-key", "rotate", "--now"], "");
    assert!(told.contains("signs now") && told.contains(&format!("{}  is out", first[0])), "{told}");
    let after = list();
    assert_eq!(kids(&after, "signs").len(), 2, "{after:?}");
    let gone = kids(&after, "gone");
    assert!(first.iter().chain(&next).all(|kid| gone.contains(kid)), "{after:?}");
    let table = world.ok(&["signing-key", "list"], "");
    assert!(table.lines().any(|line| line.contains("ES256  tokens    signs      made ")), "{table}");
    let (_, log) = service.stop();
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn ops_key_05_private_keys_are_in_a_file_of_their_owner_and_never_printed() {
    let address = free_address().to_string();
    let world = World::new();
    world.write("keybound.toml", &format!("issuer = \"http://{address}\"\n"));
    let (_, log) = world.start(&["serve", "--listen", &address, "--log", "trace"]).stop();
    assert!(crate::common::is_private(&world.path("keybound.sqlite")));
    let shown = [
        world.ok(&["signing-key", "list"], ""),
        world.ok(&["signing-key", "list", "--json"], ""),
        world.ok(&["signing-key", "rotate", "--json"], ""),
        log,
    ]
    .concat();
    // PKCS #8 begins like this, in base64 and in numbers.
    for private in ["MIG", "pkcs8", "\"d\"", "[48, 129"] {
        assert!(!shown.contains(private), "{private} in {shown}");
    }
}
