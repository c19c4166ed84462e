//! The recipes of docs/agent.md, run to the letter but for the address of the API, by the programs that they are for.

use super::stage::Stage;
use std::path::{Path, PathBuf};
use std::process::Command;

const GUIDE: &str = include_str!("../../../../../docs/agent.md");

/// The blocks of the recipes: what they are written in, and their text.
fn recipes() -> Vec<(&'static str, &'static str)> {
    let section = GUIDE.split("\n## Recipes\n").nth(1).expect("a section");
    let section = section.split("\n## ").next().expect("its text");
    let blocks = section.split("\n```").skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').expect("lines")).collect()
}

/// Folders with the programs that setup has installed, before the system's.
fn path() -> String {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers");
    let node = |arch| peers.join(format!("npm/node_modules/node-linux-{arch}/bin"));
    let folders: [PathBuf; 3] = [node("x64"), node("arm64"), peers.join("python/bin")];
    let folders = folders.map(|folder| folder.display().to_string()).join(":");
    format!("{folders}:{}", std::env::var("PATH").unwrap_or_default())
}

#[test]
fn the_recipes_of_the_guide_work() {
    let stage = Stage::new();
    let agent = stage.agent(&["--upstream", &format!("https://{}", stage.api)]);
    stage.world.write("agent-ca.pem", &stage.world.ok(&["agent", "ca"], ""));
    let proxy = agent.proxy();
    let mut ran = 0;
    for (language, block) in recipes() {
        let block = block.replace("//api.example", &format!("//{}", stage.api));
        let mut command = match language {
            "sh" => Command::new("sh"),
            "python" => Command::new("python3"),
            _ => continue,
        };
        command.arg(if language == "sh" { "-ec" } else { "-c" }).arg(&block);
        command.current_dir(stage.world.path(".")).env_clear().env("PATH", path());
        command.env("KEYBOUND_AGENT_URL", agent.url("")).env("KEYBOUND_AGENT_TOKEN", &agent.token);
        for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
            command.env(name, &proxy);
        }
        let output = command.output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let is_answered = said.contains(" /orders\n") || said.contains("\"serverInfo\"");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && is_answered, "{block}\n{said}{errors}");
        ran += 1;
    }
    assert_eq!(ran, 7, "recipes that can be run");
    agent.service.stop();
}
