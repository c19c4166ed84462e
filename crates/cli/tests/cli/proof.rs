//! Proofs made, verified, inspected.

use crate::common::{World, is_private};

const PROOF: &str = include_str!("golden/proof.txt");
const TOKEN: &str = include_str!("golden/token.txt");
/// When the proof of the golden files was made.
const MADE: &str = "1700000000";

#[test]
fn cl_cli_02_a_proof_that_was_made_is_good_for_its_request_only() {
    let world = World::new();
    let token = world.write("token.txt", TOKEN);
    let token = token.to_str().expect("a path");
    let request = ["--method", "GET", "--url", "https://api.example/orders", "--token-file", token];
    let proof = world.ok(&[&["proof", "create", "--nonce", "n-1"], &request[..]].concat(), "");
    let good = world.run(&[&["proof", "verify"], &request[..]].concat(), &proof);
    assert!(good.code == 0 && good.stdout.starts_with("good  signed with the key "), "{}", good.stdout);
    let header_line = format!("DPoP: {proof}");
    assert_eq!(world.run(&[&["proof", "verify"], &request[..]].concat(), &header_line).code, 0);
    for (changed, row) in [
        (["--method", "get", "--url", "https://api.example/orders"], "DPOP-HTM-01"),
        (["--method", "GET", "--url", "https://api.example/Orders"], "DPOP-HTU-01"),
    ] {
        let bad = world.run(&[&["proof", "verify"], &changed[..]].concat(), &proof);
        assert!(bad.code == 1 && bad.stdout.contains(row) && bad.stdout.contains("next: "), "{}", bad.stdout);
    }
}

#[test]
fn cl_cli_02_the_report_names_every_check_that_fails() {
    let world = World::new();
    let against = ["--method", "POST", "--url", "https://api.example/refunds", "--time", "1700001000"];
    let inspected = world.run(&[&["proof", "inspect"], &against[..]].concat(), PROOF);
    assert_eq!((inspected.code, inspected.stdout.as_str()), (1, include_str!("golden/inspect_bad.txt")));
    let verified = world.run(&[&["proof", "verify"], &against[..]].concat(), PROOF);
    assert_eq!((verified.code, verified.stdout.as_str()), (1, include_str!("golden/verify_bad.txt")));
}

#[test]
fn the_report_on_a_good_proof_shows_what_it_says() {
    let world = World::new();
    let token = world.write("token.txt", TOKEN);
    let token = token.to_str().expect("a path");
    let against = [
        "--method",
        "GET",
        "--url",
        "https://api.example/orders",
        "--time",
        "1700000010",
        "--token-file",
        token,
    ];
    let inspected = world.run(&[&["proof", "inspect"], &against[..]].concat(), PROOF);
    assert_eq!((inspected.code, inspected.stdout.as_str()), (0, include_str!("golden/inspect_good.txt")));
    let json = world.ok(&["proof", "inspect", "--json", "--time", MADE, PROOF.trim()], "");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["holds"], true);
    assert_eq!(json["claims"]["htu"], "https://api.example/orders");
    assert_eq!(json["jkt"], "cQxfWdTZGSNEX6CFTwiXkxsexncLdsiWrx4qKQSqgKU");
}

#[test]
fn what_cannot_be_read_is_reported_as_such() {
    let world = World::new();
    for (text, row) in
        [("a,b", "DPOP-HDR-06"), ("abc", "DPOP-JWS-01"), ("", "DPOP-HDR-05"), ("\u{1b}[31m", "DPOP-HDR-06")]
    {
        let ended = world.run(&["proof", "inspect", "-"], text);
        assert!(ended.code == 1 && ended.stdout.contains(row), "{text}: {}", ended.stdout);
        assert!(!ended.stdout.contains('\x1b'));
    }
}

#[test]
fn a_reader_who_has_had_enough_is_no_error() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_keybound"))
        .args(["proof", "inspect", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    drop(child.stdout.take());
    drop(child.stdin.take());
    let ended = child.wait_with_output().expect("ended");
    assert!(
        ended.status.success() && ended.stderr.is_empty(),
        "{:?}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

#[test]
fn cl_cli_01_keys_are_kept_in_private_and_never_printed() {
    let world = World::new();
    world.ok(&["key", "new", "laptop"], "");
    world.ok(&["key", "new", "phone", "--alg", "EdDSA"], "");
    let file = world.path("home/keys/laptop.jwk");
    assert!(is_private(&file));
    let jwk: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).expect("a file")).expect("JSON");
    let private = jwk["d"].as_str().expect("a private member");
    let shown = [
        &["key", "show", "laptop"][..],
        &["key", "show", "laptop", "--json"],
        &["key", "list"],
        &["key", "list", "--json"],
    ]
    .map(|args| world.ok(args, ""));
    assert!(shown.iter().all(|text| !text.contains(private)));
    let described: serde_json::Value = serde_json::from_str(&shown[1]).expect("JSON");
    let proof = ["proof", "create", "--method", "GET", "--url", "https://h/", "--key"];
    for key in ["laptop", file.to_str().expect("a path")] {
        let proof = world.ok(&[&proof[..], &[key]].concat(), "");
        let inspected = world.ok(&["proof", "inspect", "--json"], &proof);
        let inspected: serde_json::Value = serde_json::from_str(&inspected).expect("JSON");
        assert_eq!(inspected["jkt"], described["jkt"]);
    }
    let again = world.run(&["key", "new", "laptop"], "");
    assert!(again.code == 1 && again.stderr.contains("is there already"), "{}", again.stderr);
    world.ok(&["key", "delete", "laptop"], "");
    assert_eq!(world.run(&["key", "show", "laptop"], "").code, 1);
}

#[test]
fn the_rules_are_printed_the_same_each_time() {
    let world = World::new();
    let page = world.ok(&["proof", "rules"], "");
    assert_eq!(page, world.ok(&["proof", "rules"], ""));
    assert!(
        page.contains("| DPOP-HTU-01 | `htu` must be the URL of the request | sign the URL that is called;"),
        "{page}"
    );
}
