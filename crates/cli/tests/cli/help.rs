//! Help that teaches, errors that say what to do.

use crate::common::World;

const COMMANDS: [&str; 62] = [
    "serve",
    "gateway",
    "gateway check",
    "gateway report",
    "client",
    "client add",
    "client list",
    "client remove",
    "client token",
    "user",
    "user add",
    "user list",
    "user passwd",
    "user remove",
    "consent",
    "consent list",
    "consent forget",
    "session",
    "session list",
    "session end",
    "signing-key",
    "signing-key list",
    "signing-key rotate",
    "signing-key retire",
    "demo",
    "login",
    "request",
    "token",
    "token client-credentials",
    "token exchange",
    "token refresh",
    "token show",
    "whoami",
    "logout",
    "sessions",
    "sessions list",
    "sessions show",
    "sessions delete",
    "profile",
    "profile add",
    "profile list",
    "profile show",
    "profile default",
    "profile delete",
    "register",
    "register new",
    "register show",
    "register update",
    "register delete",
    "completions",
    "man",
    "key",
    "key new",
    "key list",
    "key show",
    "key passwd",
    "key delete",
    "proof",
    "proof create",
    "proof verify",
    "proof inspect",
    "proof rules",
];

#[test]
fn every_command_has_an_example_that_names_it() {
    let world = World::new();
    for command in COMMANDS {
        let mut args: Vec<&str> = command.split(' ').collect();
        args.push("--help");
        let help = world.ok(&args, "");
        let (_, examples) = help.split_once("Examples:").unwrap_or_else(|| panic!("{command}: {help}"));
        assert!(examples.contains(&format!("keybound {command}")), "{command}: {examples}");
        assert!(help.lines().all(|line| line.chars().count() <= 110), "{command}: {help}");
    }
}

#[test]
fn the_overview_groups_commands_by_role_and_names_the_exit_codes() {
    let help = World::new().ok(&["--help"], "");
    let places: Vec<usize> = [
        "Try it:",
        "  demo ",
        "Issue tokens:",
        "  serve ",
        "  client ",
        "  user ",
        "Guard an API:",
        "  gateway ",
        "Use tokens:",
        "  login ",
        "  request ",
        "  token ",
        "  whoami ",
        "  logout ",
        "  sessions ",
        "  profile ",
        "  register ",
        "  key ",
        "See why:",
        "  proof ",
        "Set up:",
        "  completions ",
        "  man ",
        "Options:",
        "Exit codes:",
    ]
    .iter()
    .map(|part| help.find(part).unwrap_or_else(|| panic!("{part}: {help}")))
    .collect();
    assert!(places.is_sorted(), "{help}");
    for command in COMMANDS.iter().filter(|command| !command.contains(' ')) {
        assert!(help.lines().any(|line| line.starts_with(&format!("  {command} "))), "{command}: {help}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_2_and_a_login_that_is_missing_with_3() {
    let world = World::new();
    assert_eq!(world.run(&[], "").code, 2);
    let wrong = world.run(&["proof", "inspekt"], "");
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("'inspect'"), "{}", wrong.stderr);
    let failed = world.run(&["request", "https://api.example/"], "");
    assert_eq!(failed.code, 3, "{}", failed.stderr);
    let lines: Vec<&str> = failed.stderr.lines().collect();
    assert!(lines[0].starts_with("error: ") && lines[1].starts_with("next: log in "), "{}", failed.stderr);
}

#[test]
fn output_that_is_no_terminal_has_no_colours() {
    let world = World::new();
    let report = world.run(&["proof", "inspect", "x"], "");
    let failed = world.run(&["key", "show", "x"], "");
    assert!(![report.stdout, failed.stderr].concat().contains('\x1b'));
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_line_and_hint() {
    let world = World::new();
    world.write("keybound.toml", "issuer = \"https://as.example\"\nlissten = \"127.0.0.1:0\"\n");
    let ended = world.run(&["serve"], "");
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("keybound.toml, line 2"), "{}", ended.stderr);
    assert!(ended.stderr.contains("Did you mean `listen`?"), "{}", ended.stderr);
    world.write("keybound.toml", "issuer = \"http://as.example\"\n");
    let ended = world.run(&["serve"], "");
    assert!(
        ended.code == 1 && ended.stderr.contains("`issuer`") && ended.stderr.contains("https"),
        "{}",
        ended.stderr
    );
    let ended = world.run(&["serve", "--config", "none.toml"], "");
    assert!(ended.code == 1 && ended.stderr.contains("none.toml: cannot be read"), "{}", ended.stderr);
    world.write("gateway.toml", "upstream = \"http://127.0.0.1:1\"\nissuer = \"https://as.example\"\n");
    let ended = world.run(&["gateway"], "");
    assert!(ended.code == 1 && ended.stderr.contains("public_url"), "{}", ended.stderr);
    let ended = world.run(&["serve", "--log", "x=y=z"], "");
    assert!(ended.code == 2 && ended.stderr.contains("log filter"), "{}", ended.stderr);
}

#[test]
fn completions_and_manual_pages_are_there_for_every_command() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = world.ok(&["completions", shell], "");
        for command in COMMANDS.iter().filter(|command| !command.contains(' ')) {
            assert!(script.contains(command), "{shell}: {command}");
        }
        world.write(shell, &script);
    }
    let checked =
        std::process::Command::new("bash").arg("-n").arg(world.path("bash")).status().expect("bash");
    assert!(checked.success());
    world.ok(&["man", "pages/man1"], "");
    for command in COMMANDS {
        let page = world.path(&format!("pages/man1/keybound-{}.1", command.replace(' ', "-")));
        let page =
            std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(page.contains(".SH NAME") && page.contains("Examples:"), "{command}: {page}");
    }
    let whole = std::fs::read_to_string(world.path("pages/man1/keybound.1")).expect("a page");
    assert!(whole.contains("the API answered with a status of 400 or more"), "{whole}");
}

#[test]
fn your_own_logins_and_a_providers_sign_ins_are_told_apart() {
    let world = World::new();
    let own = world.ok(&["sessions", "--help"], "");
    assert!(own.contains("your own logins") && own.contains("`keybound session`"), "{own}");
    let theirs = world.ok(&["session", "--help"], "");
    assert!(theirs.contains("Your own logins") && theirs.contains("`keybound sessions`"), "{theirs}");
}
