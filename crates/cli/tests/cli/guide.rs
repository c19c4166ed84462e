//! The commands in the provider's guide, run as they stand there.

use crate::common::{World, free_address};
use crate::session::sign_in;
use std::fs;

const GUIDE: &str = include_str!("../../../../docs/provider.md");

/// The commands of the guide's shell examples that are ours and end by themselves.
fn commands() -> Vec<String> {
    let blocks = GUIDE.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap_or_default().trim());
    let ends = |line: &&str| line.starts_with("keybound ") && !line.starts_with("keybound serve");
    lines.filter(ends).map(str::to_owned).collect()
}

/// The words of a command as a shell sees them: single quotes, no escapes.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in command.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("a word").push(c),
        }
    }
    words.into_iter().filter(|word| !word.is_empty()).collect()
}

fn world(address: &str) -> World {
    let world = World::new();
    let resource = "[[resource]]\nidentifier = \"https://api.example\"\nscopes = [\"read\"]\n";
    world.write("keybound.toml", &format!("issuer = \"http://{address}\"\n{resource}"));
    world.write("password.txt", "correct horse\n");
    world.write("client.json", r#"{ "redirect_uris": ["https://app.example/callback"] }"#);
    let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    world.write("keys.json", &format!("{{\"keys\":[{key}]}}"));
    world
}

/// A key that may leave: one that another rotation has published and that does not sign yet.
fn some_kid(world: &World) -> String {
    world.ok(&["signing-key", "rotate"], "");
    let list = world.ok(&["signing-key", "list", "--json"], "");
    let list: Vec<serde_json::Value> = serde_json::from_str(&list).expect("JSON");
    let waits = list.iter().find(|key| key["retire_at"].is_null() && key["state"] != "signs");
    waits.expect("a key that waits")["kid"].as_str().expect("a kid").to_owned()
}

#[test]
fn the_commands_of_the_guide_work_as_they_stand_there() {
    let address = free_address().to_string();
    let world = world(&address);
    let service = world.start(&["serve", "--listen", &address]);
    let commands = commands();
    assert!(commands.len() >= 15, "{commands:?}");
    for command in &commands {
        let (command, input) =
            command.split_once(" < ").map_or((command.as_str(), None), |(c, f)| (c, Some(f)));
        let mut words = words(command);
        words.remove(0);
        let stdin = match input {
            Some(file) => fs::read_to_string(world.path(file)).expect("the file"),
            None => "correct horse\n".to_owned(),
        };
        // Where a person would be asked at the terminal.
        let asks = ["user add", "user passwd"].iter().any(|start| command.contains(start));
        if asks && !words.iter().any(|word| word == "--password-stdin") {
            words.push("--password-stdin".to_owned());
        }
        if let Some(kid) = words.iter_mut().find(|word| *word == "KID") {
            *kid = some_kid(&world);
        }
        if let Some(session) = words.iter_mut().find(|word| *word == "SESSION") {
            *session = sign_in(&world, "alice");
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        world.ok(&words, &stdin);
    }
    assert_eq!(service.stop().0, 0);
}
