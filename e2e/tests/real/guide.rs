//! docs/guard-an-api.md and docs/call-an-api.md to the letter: a shell runs their blocks, one after the other, and says what
//! stands below them. What is different here: ports that are free, a folder of the test's own, the program as it was built for the tests, and hands
//! instead of a person at the browser.

use crate::binary;
use crate::process::{Place, within};
use crate::provider::free_address;
use keybound_e2e::Hands;
use keybound_fetch::{Fetcher, Settings};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const GUIDE: &str = include_str!("../../../docs/guard-an-api.md");
const CALL_GUIDE: &str = include_str!("../../../docs/call-an-api.md");
const CALLER: &str = include_str!("../../../crates/client/examples/call_orders.rs");
const SERVICE: &str = include_str!("../../../crates/resource/examples/orders_service.rs");
const PASSWORD: &str = "correct horse";
/// What the guide's servers listen on.
const PORTS: [&str; 4] = ["8080", "8081", "3000", "9000"];
/// Said by the shell when a block is done.
const DONE: &str = "-- the block is done --";

/// A block of the guide: its language and its text.
type Block = (&'static str, &'static str);

/// The blocks of a section, in their order.
fn blocks(guide: &'static str, heading: &str) -> Vec<Block> {
    let start = format!("\n## {heading}\n");
    let section = guide.split(&start).nth(1).unwrap_or_else(|| panic!("no section `{heading}`"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let fenced = section.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').expect("a block has lines")).collect()
}

/// Where a guide is followed.
struct Stage {
    guide: &'static str,
    place: Place,
    ports: [String; 4],
    shell: Shell,
}

/// A shell, what it started, and what all of them say.
struct Shell {
    child: Child,
    stdin: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

impl Stage {
    fn new(guide: &'static str) -> Self {
        let place = Place::new();
        let ports = PORTS.map(|_| free_address().port().to_string());
        let root = binary::root();
        for folder in ["nginx", "caddy", "haproxy", "envoy"] {
            let there = place.path("checkout/deploy").join(folder);
            fs::create_dir_all(&there).expect("a folder");
            for entry in fs::read_dir(root.join("deploy").join(folder)).expect("what we ship") {
                let file = entry.expect("a file").path();
                let text = fs::read_to_string(&file).expect("text");
                fs::write(there.join(file.file_name().expect("a name")), here(&text, &ports))
                    .expect("written");
            }
        }
        place.write("password", PASSWORD);
        let shell = Shell::start(&place, root);
        Self { guide, place, ports, shell }
    }

    /// A block as it is run here.
    fn adapted(&self, block: &str) -> String {
        let path = |name: &str| self.place.path(name).display().to_string();
        let target = binary::target();
        let programs = binary::keybound().parent().expect("a folder");
        [
            ("$PWD/target/release", programs.display().to_string()),
            // The program was built already.
            ("cargo build --release\n", String::new()),
            ("CHECKOUT=\"$PWD\"", format!("CHECKOUT=\"{}\"", path("checkout"))),
            ("\"$CHECKOUT/Cargo.toml\"", format!("\"{}\"", binary::root().join("Cargo.toml").display())),
            ("\"$CHECKOUT/target/", format!("\"{}/", target.display())),
            ("/tmp/play", path("play")),
            (
                "keybound user add alice ",
                format!("keybound user add alice --password-stdin < {} ", path("password")),
            ),
        ]
        .iter()
        .fold(here(block, &self.ports), |text, (there, here)| text.replace(there, here))
    }

    /// Runs the shell's blocks of a section; what stands in a block below is what was said, in that order.
    async fn follow(&mut self, heading: &str) {
        let mut said = Vec::new();
        for (language, block) in blocks(self.guide, heading) {
            match language {
                "sh" => {
                    self.place.write("block.sh", &self.adapted(block));
                    said = self.shell.run(&self.place.path("block.sh")).await;
                }
                "" => {
                    let mut lines = said.iter();
                    for expected in here(block, &self.ports).lines() {
                        let is_said = lines.any(|line| fits(expected, line));
                        assert!(is_said, "{heading}: `{expected}` is not in {said:#?}\n{}", self.logs());
                    }
                }
                _ => {}
            }
        }
    }

    fn logs(&self) -> String {
        let files = fs::read_dir(self.place.path("play")).expect("a folder").flatten();
        let logs = files.filter(|file| file.path().extension().is_some_and(|kind| kind == "log"));
        let text = logs.map(|log| {
            format!("--- {:?}\n{}", log.file_name(), fs::read_to_string(log.path()).unwrap_or_default())
        });
        text.collect()
    }
}

impl Shell {
    fn start(place: &Place, root: &Path) -> Self {
        let programs = binary::keybound().parent().expect("a folder").to_owned();
        let envoy = root.join("target/peers/python/bin");
        let path = std::env::var("PATH").expect("a path");
        let mut command = Command::new("bash");
        command.arg("--norc").current_dir(root).process_group(0).kill_on_drop(true);
        command.env("PATH", format!("{}:{}:{path}", programs.display(), envoy.display()));
        command.env("CARGO_TARGET_DIR", binary::target()).env("BROWSER", "true").env_remove("DISPLAY");
        command.env("XDG_CONFIG_HOME", place.path("config")).env("XDG_DATA_HOME", place.path("data"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("a shell");
        let stdin = child.stdin.take().expect("stdin");
        let said = BufReader::new(child.stdout.take().expect("stdout")).lines();
        Self { child, stdin, said }
    }

    /// Runs a block, and signs in where it asks for that.
    async fn run(&mut self, block: &Path) -> Vec<String> {
        let line = format!("source {} < /dev/null 2>&1; echo; echo '{DONE}'\n", block.display());
        self.stdin.write_all(line.as_bytes()).await.expect("written");
        let mut said = Vec::new();
        loop {
            let line = tokio::time::timeout(BUILD, self.said.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("waited too long: {said:#?}")).expect("text");
            let line = line.unwrap_or_else(|| panic!("the shell ended: {said:#?}"));
            if line == DONE {
                return said;
            }
            if line.trim().starts_with("http") && line.contains("/authorize?") {
                sign_in(line.trim()).await;
            }
            said.push(line);
        }
    }

    /// Waits for the end of all that it started.
    async fn end(mut self) {
        self.stdin.write_all(b"wait\nexit 0\n").await.expect("written");
        let status = within("the end of the shell", self.child.wait()).await.expect("an end");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        // Where it has ended, there is nobody in its group.
        let _ = id.map(|id| kill_process_group(id, Signal::KILL));
    }
}

/// How long a block may take: one of them builds a program.
const BUILD: Duration = Duration::from_secs(900);

async fn sign_in(url: &str) {
    let back = Hands::of("alice", PASSWORD).come_back(url).await.unwrap_or_else(|page| panic!("{page}"));
    let fetcher = Fetcher::for_operator(&Settings::default()).expect("an HTTP client");
    let request = http::Request::get(back.url()).body(bytes::Bytes::new());
    fetcher.send(request.expect("a request")).await.expect("an answer");
}

/// The text with ports that are free here.
fn here(text: &str, ports: &[String; 4]) -> String {
    let numbered = PORTS.iter().zip(["\u{1}", "\u{2}", "\u{3}", "\u{4}"]);
    let marked = numbered.fold(text.to_owned(), |text, (port, mark)| text.replace(port, mark));
    let marks = ["\u{1}", "\u{2}", "\u{3}", "\u{4}"].iter().zip(ports);
    marks.fold(marked, |text, (mark, port)| text.replace(mark, port))
}

/// Whether a line is as expected; `…` stands for anything, and case does not count, which proxies change in names.
fn fits(expected: &str, line: &str) -> bool {
    let (expected, line) = (expected.trim().to_lowercase(), line.trim().to_lowercase());
    let mut parts = expected.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || expected.ends_with('…')
}

/// The whole guide, by one of its ways.
async fn follow(way: &str) {
    let mut stage = Stage::new(GUIDE);
    for heading in ["The stage", way, "Try it"] {
        stage.follow(heading).await;
    }
    if way != "In Rust" {
        stage.follow("What the API is told").await;
    }
    stage.follow("Close the back door").await;
    let Stage { shell, place: _place, .. } = stage;
    shell.end().await;
}

#[tokio::test]
async fn the_guide_to_an_api_in_rust() {
    follow("In Rust").await;
    let shown: Vec<&str> = blocks(GUIDE, "In Rust")
        .into_iter()
        .filter(|(language, _)| *language == "rust")
        .map(|(_, code)| code)
        .collect();
    assert!(shown.len() == 2 && shown.iter().all(|code| SERVICE.contains(code)), "{shown:?}");
}

#[tokio::test]
async fn the_guide_to_an_api_behind_the_gateway() {
    follow("The gateway").await;
}

#[tokio::test]
async fn the_guide_to_an_api_behind_nginx() {
    follow("nginx").await;
}

#[tokio::test]
async fn the_guide_to_an_api_behind_caddy() {
    follow("Caddy").await;
}

#[tokio::test]
async fn the_guide_to_an_api_behind_haproxy() {
    follow("HAProxy").await;
}

#[tokio::test]
async fn the_guide_to_an_api_behind_envoy() {
    follow("Envoy").await;
}

#[tokio::test]
async fn the_guides_file_for_other_issuers_is_one() {
    let place = Place::new();
    for (language, block) in blocks(GUIDE, "Keycloak, Okta, Auth0 and others") {
        assert_eq!(language, "toml");
        place.write("gateway.toml", block);
        let ended = place.run(&["gateway", "check", "--config", "gateway.toml"], "").await;
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.stdout.contains("https://login.example/realms/main"), "{ended:?}");
    }
}

#[tokio::test]
async fn the_guide_to_a_call_of_an_api() {
    let mut stage = Stage::new(CALL_GUIDE);
    for heading in [
        "The stage",
        "On the command line",
        "A service, without a user",
        "In Rust",
        "With an agent",
        "The end",
    ] {
        stage.follow(heading).await;
    }
    let Stage { shell, place: _place, .. } = stage;
    shell.end().await;
    let shown = blocks(CALL_GUIDE, "In Rust").into_iter().filter(|(language, _)| *language == "rust");
    let shown: Vec<&str> = shown.map(|(_, code)| code).collect();
    assert!(shown.len() == 1 && CALLER.contains(shown[0]), "{shown:?}");
}

#[tokio::test]
async fn the_call_guides_file_for_several_servers_is_one() {
    let place = Place::new();
    for (language, block) in blocks(CALL_GUIDE, "Keycloak, Okta, Auth0, Bluesky and others") {
        assert_eq!(language, "toml");
        fs::create_dir_all(place.path("home")).expect("a folder");
        place.write("home/profiles.toml", block);
        let ended = place.run(&["profile", "list"], "").await;
        assert!(ended.code == 0 && ended.stdout.starts_with("  nightly "), "{ended:?}");
        assert!(ended.stdout.contains("* work ") && ended.stdout.contains("/realms/main"), "{ended:?}");
    }
}

#[test]
fn cl_brw_01_atk_125_the_guide_says_that_dpop_does_not_stop_xss_and_recommends_a_backend() {
    let section = CALL_GUIDE.split("\n## In a browser: what DPoP does not stop\n").nth(1).expect("a section");
    let section = section.split("\n## ").next().expect("a section");
    for said in [
        "**DPoP does not stop cross-site scripting (XSS)** (RFC 9449 section 11.4)",
        "**online misuse**",
        "**a grant of the attacker's own**",
        "we recommend a **backend for frontend (BFF)**",
    ] {
        assert!(section.contains(said), "{said}");
    }
    for page in [include_str!("../../../README.md"), include_str!("../../../docs/client.md")] {
        assert!(page.contains("call-an-api.md#in-a-browser-what-dpop-does-not-stop"));
    }
}
