//! Users and clients, by command.

use crate::common::World;
use keybound_oauth::client_metadata::GrantType;
use serde_json::Value;

fn world() -> World {
    let world = World::new();
    world.write("keybound.toml", "issuer = \"https://as.example\"\n");
    world
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn users_are_added_listed_and_removed() {
    let world = world();
    let args = [
        "user",
        "add",
        "alice",
        "--password-stdin",
        "--claim",
        "email=a@b",
        "--claim",
        "email_verified:=true",
    ];
    let added = world.ok(&args, "correct horse\n");
    assert!(added.starts_with("added alice (sub "), "{added}");
    world.ok(&["user", "add", "bob", "--password-stdin", "--sub", "b0b"], "pw\n");
    let users = json(&world.ok(&["user", "list", "--json"], ""));
    assert_eq!(users[0]["username"], "alice");
    assert_eq!(users[0]["claims"], serde_json::json!({ "email": "a@b", "email_verified": true }));
    assert_eq!(users[1]["sub"], "b0b");
    let table = world.ok(&["user", "list"], "");
    assert_eq!(table.lines().nth(1), Some("bob    sub b0b  claims:"), "{table}");
    world.ok(&["user", "passwd", "bob", "--password-stdin"], "other\n");
    world.ok(&["user", "remove", "bob"], "");
    assert_eq!(json(&world.ok(&["user", "list", "--json"], "")).as_array().map(Vec::len), Some(1));
}

#[test]
fn what_is_wrong_with_a_user_is_said() {
    let world = world();
    world.ok(&["user", "add", "alice", "--password-stdin"], "pw\n");
    for (args, stdin, said) in [
        (&["user", "add", "alice", "--password-stdin"][..], "pw", "a user of that name already"),
        (&["user", "add", "carol", "--password-stdin"], "", "a password was expected"),
        (&["user", "add", "carol"], "", "no terminal"),
        (&["user", "remove", "carol"], "", "no user `carol`"),
        (&["user", "passwd", "carol", "--password-stdin"], "pw", "no user `carol`"),
        (&["user", "add", "carol", "--password-stdin", "--claim", "email"], "pw", "is no claim"),
        (
            &["user", "add", "carol", "--password-stdin", "--claim", "email_verified=true"],
            "pw",
            "user carol: the claim `email_verified` must be true or false, without quotes",
        ),
    ] {
        let ended = world.run(args, stdin);
        assert!(ended.code != 0 && ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn sessions_are_listed_and_ended() {
    let world = world();
    world.ok(&["user", "add", "alice", "--password-stdin"], "pw\n");
    assert_eq!(json(&world.ok(&["session", "list", "--user", "alice", "--json"], "")), serde_json::json!([]));
    assert_eq!(world.ok(&["session", "end", "--user", "alice"], ""), "ended 0 of alice\n");
    for (args, code, said) in [
        (&["session", "list", "--user", "bob"][..], 1, "no user `bob`"),
        (&["session", "end", "--user", "bob"], 1, "no user `bob`"),
        (&["session", "end", "AAAA"], 1, "no session `AAAA`"),
        (&["session", "end", "AAAAAAAAAAAAAAAAAAAAAA"], 1, "no session"),
        (&["session", "end"], 2, "ID"),
        (&["session", "end", "AAAA", "--user", "alice"], 2, "--user"),
    ] {
        let ended = world.run(args, "");
        assert!(ended.code == code && ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn cl_cli_01_a_client_secret_is_shown_once_and_a_password_never() {
    let world = world();
    let redirect = ["--redirect-uri", "https://app.example/cb"];
    let args = [&["client", "add", "--id", "app", "--auth", "client_secret_basic", "--json"], &redirect[..]]
        .concat();
    let secret = json(&world.ok(&args, ""))["client_secret"].as_str().expect("a secret").to_owned();
    assert!(secret.len() >= 43);
    world.ok(&["user", "add", "alice", "--password-stdin"], "correct horse\n");
    let shown = [
        &["client", "list"][..],
        &["client", "list", "--json"],
        &["user", "list"],
        &["user", "list", "--json"],
    ]
    .map(|args| world.ok(args, ""))
    .concat();
    assert!(shown.contains("app") && shown.contains("alice"));
    assert!(
        !shown.contains(&secret) && !shown.contains("secret_sha256") && !shown.contains("argon2"),
        "{shown}"
    );
    let store = std::fs::read(world.path("keybound.sqlite")).expect("the store");
    assert!(!store.windows(secret.len()).any(|window| window == secret.as_bytes()));
}

#[test]
fn as_dcr_12_cl_cli_01_an_initial_access_token_is_shown_once() {
    let world = world();
    let token = world.ok(&["client", "token", "--uses", "3", "--hours", "1"], "");
    assert_eq!(token.trim().len(), 22 + 1 + 43, "{token}");
    let (_, secret) = token.trim().split_once('.').expect("an id and a secret");
    let store = std::fs::read(world.path("keybound.sqlite")).expect("the store");
    assert!(!store.windows(secret.len()).any(|window| window == secret.as_bytes()));
    assert_eq!(world.run(&["client", "token", "--uses", "0"], "").code, 2);
}

#[test]
fn each_grant_type_can_be_named_by_its_own_name_or_a_short_one() {
    let world = world();
    let long: Vec<String> = GrantType::ALL.iter().map(|grant| grant.as_str().to_owned()).collect();
    let short: Vec<String> =
        long.iter().map(|name| name.rsplit(':').next().unwrap().replace('-', "_")).collect();
    let rest = ["--auth", "client_secret_basic", "--redirect-uri", "https://app.example/cb"];
    for (id, names) in [("long", &long), ("short", &short)] {
        let grants = names.iter().flat_map(|name| ["--grant", name]);
        let args: Vec<&str> = ["client", "add", "--id", id].into_iter().chain(grants).chain(rest).collect();
        world.ok(&args, "");
    }
    for client in json(&world.ok(&["client", "list", "--json"], "")).as_array().unwrap() {
        assert_eq!(client["grant_types"], serde_json::json!(long));
    }
}

#[test]
fn clients_are_added_from_options_and_files_listed_and_removed() {
    let world = world();
    world
        .ok(&["client", "add", "--id", "cli", "--native", "--redirect-uri", "http://127.0.0.1/callback"], "");
    let metadata =
        r#"{"client_id":"file","redirect_uris":["https://f.example/cb"],"client_name":"From a file"}"#;
    world.ok(&["client", "add", "--from", "-"], metadata);
    let clients = json(&world.ok(&["client", "list", "--json"], ""));
    assert_eq!((&clients[0]["client_id"], &clients[1]["client_id"]), (&"cli".into(), &"file".into()));
    assert_eq!(clients[0]["application_type"], "native");
    assert_eq!(clients[0]["grant_types"], serde_json::json!(["authorization_code", "refresh_token"]));
    assert_eq!(clients[0]["dpop_bound_access_tokens"], true);
    let table = world.ok(&["client", "list"], "");
    assert!(
        table.contains("none  authorization_code refresh_token  bound  http://127.0.0.1/callback"),
        "{table}"
    );
    world.ok(&["client", "remove", "cli"], "");
    let gone = world.run(&["client", "remove", "cli"], "");
    assert!(gone.code == 1 && gone.stderr.contains("next: see `keybound client list`"), "{}", gone.stderr);
    let wrong = world.run(&["client", "add", "--redirect-uri", "http://app.example/cb"], "");
    assert!(wrong.code == 1 && wrong.stderr.contains("redirect_uris"), "{}", wrong.stderr);
    let both = world.run(&["client", "add", "--from", "-", "--id", "x"], metadata);
    assert_eq!(both.code, 2, "{}", both.stderr);
}
