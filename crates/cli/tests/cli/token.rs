//! `keybound key` with a token, which SoftHSM plays.

use crate::common::{Ended, World};
use serde_json::Value;
use std::fs;
use std::process::Command;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "271828";
const PROOF: [&str; 8] = ["proof", "create", "--method", "GET", "--url", "https://h/", "--key", "laptop"];

/// A world with a token of its own.
fn world() -> World {
    let world = World::new();
    let tokens = world.path("tokens");
    fs::create_dir(&tokens).expect("a folder");
    let config = world.write("softhsm.conf", &format!("directories.tokendir = {}\n", tokens.display()));
    let mut command = Command::new("softhsm2-util");
    command.args(["--init-token", "--free", "--label", "work", "--so-pin", "31415926", "--pin", PIN]);
    let output = command.env("SOFTHSM2_CONF", config).output();
    let output = output.expect("`cargo xtask setup` installs softhsm2");
    assert!(output.status.success(), "{output:?}");
    world
}

fn run(world: &World, args: &[&str], pin: &str) -> Ended {
    let mut command = world.command(args);
    command.env("SOFTHSM2_CONF", world.path("softhsm.conf")).env("KEYBOUND_PIN", pin);
    let output = command.output().expect("ended");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    Ended { code: output.status.code().expect("a code"), stdout, stderr }
}

fn ok(world: &World, args: &[&str]) -> String {
    let ended = run(world, args, PIN);
    assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
    assert!(!ended.stdout.contains(PIN) && !ended.stderr.contains(PIN));
    ended.stdout
}

#[test]
fn cl_key_07_a_key_in_a_token_is_used_like_any_other() {
    let world = world();
    let new = ["key", "new", "laptop", "--pkcs11", MODULE, "--token", "work", "--json"];
    let made: Value = serde_json::from_str(&ok(&world, &new)).expect("JSON");
    for (member, expected) in [("kind", "token"), ("module", MODULE), ("token", "work"), ("alg", "ES256")] {
        assert_eq!(made[member], expected);
    }
    let again = run(&world, &new, PIN);
    assert!(again.code == 1 && again.stderr.contains("is there already"), "{}", again.stderr);
    // What may be known of it needs no token.
    let shown = world.ok(&["key", "show", "laptop"], "");
    assert!(shown.contains("\nkind    token\n") && shown.contains("\ntoken   work\n"), "{shown}");
    let proof = ok(&world, &PROOF);
    let inspected = world.ok(&["proof", "inspect", "--json"], &proof);
    let inspected: Value = serde_json::from_str(&inspected).expect("JSON");
    assert_eq!(inspected["jkt"], made["jkt"]);
    let wrong = run(&world, &PROOF, "161803");
    assert!(wrong.code == 1 && wrong.stderr.contains("token `work` refused the PIN"), "{}", wrong.stderr);
    assert!(!wrong.stderr.contains("161803"), "{}", wrong.stderr);
    let passwd = run(&world, &["key", "passwd", "laptop"], PIN);
    assert!(passwd.code == 1 && passwd.stderr.contains("opened by its PIN"), "{}", passwd.stderr);
}

#[test]
fn cl_key_10_a_key_in_a_token_is_deleted_there_and_not_without_a_word() {
    let world = world();
    ok(&world, &["key", "new", "laptop", "--pkcs11", MODULE, "--token", "work"]);
    let file = world.path("home/keys/laptop.jwk");
    let kept = fs::read(&file).expect("a file");
    let unsure = run(&world, &["key", "delete", "laptop"], PIN);
    assert!(unsure.code == 2 && unsure.stderr.contains("--yes") && file.exists(), "{}", unsure.stderr);
    ok(&world, &["key", "delete", "laptop", "--keep-in-token"]);
    assert!(!file.exists());
    // The reference, put back, finds the key.
    fs::write(&file, &kept).expect("written");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    ok(&world, &PROOF);
    let wrong = run(&world, &["key", "delete", "laptop", "--yes"], "161803");
    assert!(wrong.code == 1 && file.exists(), "{}", wrong.stderr);
    ok(&world, &["key", "delete", "laptop", "--yes"]);
    assert!(!file.exists());
    fs::write(&file, &kept).expect("written");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    let gone = run(&world, &PROOF, PIN);
    assert!(gone.code == 1 && gone.stderr.contains("is not in token `work` any more"), "{}", gone.stderr);
}
