//! `keybound key`: where keys are, and who gets at them.

use crate::common::{Ended, World};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

const PASSPHRASE: &str = "correct horse battery";

/// Runs a command with more in its environment.
fn run(world: &World, args: &[&str], env: &[(&str, &str)]) -> Ended {
    let output = world.command(args).envs(env.iter().copied()).output().expect("ended");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    Ended { code: output.status.code().expect("a code"), stdout, stderr }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("metadata").permissions().mode() & 0o777
}

const PROOF: [&str; 8] =
    ["proof", "create", "--method", "GET", "--url", "https://api.example/", "--key", "laptop"];

#[test]
fn cl_key_07_a_key_under_a_passphrase_opens_with_it_alone() {
    let world = World::new();
    let file = world.write("passphrase", &format!("{PASSPHRASE}\n"));
    let by_file = [("KEYBOUND_PASSPHRASE_FILE", file.to_str().expect("UTF-8"))];
    let by_value = [("KEYBOUND_PASSPHRASE", PASSPHRASE)];
    let made = run(&world, &["key", "new", "laptop", "--encrypted", "--json"], &by_file);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let made: Value = serde_json::from_str(&made.stdout).expect("JSON");
    assert_eq!((&made["kind"], &made["alg"]), (&"encrypted file".into(), &"ES256".into()));
    let kept = world.path("home/keys/laptop.jwk");
    let text = fs::read_to_string(&kept).expect("a file");
    assert!(!text.contains("\"d\"") && !text.contains(PASSPHRASE) && mode(&kept) == 0o600, "{text}");
    // What may be known of it needs no passphrase.
    let shown = run(&world, &["key", "show", "laptop", "--json"], &[]);
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!(shown, made);
    assert!(run(&world, &["key", "list"], &[]).stdout.contains("encrypted file"));
    for env in [&by_file, &by_value] {
        let proof = run(&world, &PROOF, env);
        assert_eq!((proof.code, proof.stdout.matches('.').count()), (0, 2), "{}", proof.stderr);
    }
    let wrong = run(&world, &PROOF, &[("KEYBOUND_PASSPHRASE", "correct horse batterz")]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.stderr.contains("not the passphrase of key `laptop`"), "{}", wrong.stderr);
    assert!(!wrong.stderr.contains("batterz"), "{}", wrong.stderr);
}

#[test]
fn cl_key_07_a_passphrase_can_be_changed_and_the_key_stays() {
    let world = World::new();
    world.ok(&["key", "new", "laptop"], "");
    let jkt = |world: &World| {
        let shown: Value =
            serde_json::from_str(&world.ok(&["key", "show", "laptop", "--json"], "")).expect("JSON");
        (shown["jkt"].clone(), shown["kind"].as_str().expect("a kind").to_owned())
    };
    let (before, kind) = jkt(&world);
    assert_eq!(kind, "file");
    let short = run(&world, &["key", "passwd", "laptop"], &[("KEYBOUND_NEW_PASSPHRASE", "short")]);
    assert!(short.code == 1 && short.stderr.contains("at least 8 characters"), "{}", short.stderr);
    assert_eq!(jkt(&world).1, "file");
    let changed = run(&world, &["key", "passwd", "laptop"], &[("KEYBOUND_NEW_PASSPHRASE", PASSPHRASE)]);
    assert_eq!(changed.code, 0, "{}", changed.stderr);
    assert_eq!(jkt(&world), (before.clone(), "encrypted file".to_owned()));
    let both = [("KEYBOUND_PASSPHRASE", PASSPHRASE), ("KEYBOUND_NEW_PASSPHRASE", "another good one")];
    assert_eq!(run(&world, &["key", "passwd", "laptop"], &both).code, 0);
    assert_eq!(run(&world, &["key", "passwd", "laptop"], &both).code, 1, "the old one is no good");
    assert_eq!(run(&world, &PROOF, &[("KEYBOUND_PASSPHRASE", "another good one")]).code, 0);
    assert_eq!(jkt(&world).0, before);
}

#[test]
fn cl_cli_01_atk_126_a_passphrase_is_on_no_command_line() {
    let world = World::new();
    let pipe = world.path("passphrase");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let mut command = world.command(&["key", "new", "laptop", "--encrypted"]);
    let child = command.env("KEYBOUND_PASSPHRASE_FILE", &pipe).spawn().expect("started");
    // The command has opened the pipe, and waits for what comes.
    let mut passphrase = fs::OpenOptions::new().write(true).open(&pipe).expect("opened");
    for file in ["cmdline", "environ"] {
        let seen = fs::read(format!("/proc/{}/{file}", child.id())).expect("what `ps` shows");
        let seen = String::from_utf8_lossy(&seen);
        assert!(!seen.contains(PASSPHRASE) && (file == "environ" || seen.contains("--encrypted")), "{seen}");
    }
    passphrase.write_all(format!("{PASSPHRASE}\n").as_bytes()).expect("told");
    drop(passphrase);
    let ended = child.wait_with_output().expect("ended");
    assert!(ended.status.success(), "{ended:?}");
    let told = [ended.stdout, ended.stderr].concat();
    assert!(!String::from_utf8_lossy(&told).contains(PASSPHRASE));
    // There is no option for it either.
    for option in ["--passphrase", "--pin", "--password"] {
        assert_eq!(world.run(&["key", "new", "x", option, PASSPHRASE], "").code, 2, "{option}");
    }
}

#[test]
fn cl_cli_05_cl_key_07_atk_126_whatever_the_umask_only_we_can_read_keys() {
    let world = World::new();
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000; exec \"$0\" key new laptop", env!("CARGO_BIN_EXE_keybound")]);
    command.env_clear().env("KEYBOUND_HOME", world.path("home")).stdout(Stdio::null());
    assert!(command.status().expect("ended").success());
    let (folder, file) = (world.path("home/keys"), world.path("home/keys/laptop.jwk"));
    assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
    for (path, open, fit) in [(&file, 0o644, "600"), (&file, 0o660, "600"), (&folder, 0o755, "700")] {
        let good = fs::metadata(path).expect("metadata").permissions();
        fs::set_permissions(path, Permissions::from_mode(open)).expect("set");
        let refused = world.run(&PROOF, "");
        let line = format!("chmod {fit} {}", path.display());
        assert!(refused.code == 1 && refused.stderr.contains(&line), "{}", refused.stderr);
        fs::set_permissions(path, good).expect("set");
    }
    assert_eq!(world.run(&PROOF, "").code, 0);
    let elsewhere = world.path("elsewhere");
    fs::rename(&file, &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, &file).expect("linked");
    let refused = world.run(&PROOF, "");
    assert!(refused.code == 1 && refused.stderr.contains("is a symbolic link"), "{}", refused.stderr);
    // A file that is named by its path is held to the same.
    let args = [&PROOF[..7], &["./elsewhere.jwk"]].concat();
    let named = world.path("elsewhere.jwk");
    fs::rename(&elsewhere, &named).expect("moved");
    assert_eq!(world.run(&args, "").code, 0);
    fs::set_permissions(&named, Permissions::from_mode(0o644)).expect("set");
    let refused = world.run(&args, "");
    assert!(refused.code == 1 && refused.stderr.contains("chmod 600"), "{}", refused.stderr);
}

#[test]
fn cl_key_07_a_file_from_elsewhere_cannot_name_a_library_to_load() {
    let world = World::new();
    world.ok(&["key", "new", "laptop"], "");
    let shown: Value =
        serde_json::from_str(&world.ok(&["key", "show", "laptop", "--json"], "")).expect("JSON");
    let reference = serde_json::json!({
        "kind": "pkcs11", "v": 1, "alg": "ES256", "jwk": shown["jwk"], "module": "/tmp/evil.so",
        "token": "t", "serial": "1", "id": "AQ", "label": "l",
    });
    let path = world.write("evil.jwk", &reference.to_string());
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("set");
    let refused = world.run(&[&PROOF[..7], &["./evil.jwk"]].concat(), "");
    assert!(
        refused.code == 1 && refused.stderr.contains("only files in the folder of keys may"),
        "{}",
        refused.stderr
    );
}

#[test]
fn cl_key_10_a_deleted_key_is_gone_and_a_broken_one_hides_no_other() {
    let world = World::new();
    for name in ["a", "b"] {
        world.ok(&["key", "new", name], "");
    }
    fs::write(world.path("home/keys/a.jwk"), "{\"kind\":\"future\"}").expect("written");
    let listed = world.run(&["key", "list"], "");
    assert_eq!(listed.code, 1);
    assert!(listed.stdout.starts_with("b "), "{}", listed.stdout);
    assert!(listed.stderr.contains("`a`") && listed.stderr.contains("`kind`"), "{}", listed.stderr);
    for name in ["a", "b"] {
        world.ok(&["key", "delete", name], "");
        assert!(!world.path(&format!("home/keys/{name}.jwk")).exists());
    }
    assert_eq!(world.run(&["key", "delete", "a"], "").code, 1);
}
