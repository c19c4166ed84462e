//! One peer as a process. It reads from the environment whom to talk to, and says on stdout, a line of JSON each, which
//! page it sends the browser to, and at last what it saw.

use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::time::{Clock, SystemClock};
use keybound_e2e::answer::{assert_n_as, part};
use keybound_e2e::servers::{CLIENT_ID, Exchange, Gate, PASSWORD, USERNAME, public_client};
use keybound_e2e::{Answer, Hands, Servers};
use keybound_oauth::form::Form;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long a flow may take before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where the public client waits for its answer. Nobody listens there: hands carry the answer.
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1:9/callback";

/// Who plays.
#[derive(Clone, Copy)]
pub(crate) enum Peer {
    /// A script for Node.
    Node(&'static str),
    /// A script for Python.
    Python(&'static str),
    /// A program.
    Rust(&'static str),
}

/// A flow that was played to its end.
pub(crate) struct Played {
    pub(crate) servers: Servers,
    /// What the peer saw.
    pub(crate) report: Value,
}

impl Peer {
    /// Plays a flow as one of the clients that are registered.
    pub(crate) async fn play(self, flow: &str, client_id: &str) -> Played {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let servers = Servers::with(clients(&key)).await;
        if client_id == "key" {
            next_second().await;
        }
        let setting = setting(&servers, client_id, &key);
        self.play_at(servers, flow, &setting).await
    }

    /// Plays a flow in which the peer registers itself.
    pub(crate) async fn play_registering(self, flow: &str) -> Played {
        let servers = Servers::configured(Vec::new(), "[registration]\nmode = \"open\"\n").await;
        let setting = common_setting(&servers);
        self.play_at(servers, flow, &setting).await
    }

    async fn play_at(self, servers: Servers, flow: &str, setting: &Value) -> Played {
        let mut command = self.command();
        command.arg(flow).env("PEER", setting.to_string());
        let report = tokio::time::timeout(PATIENCE, play(command)).await.expect("it ends in time");
        Played { servers, report }
    }

    /// Plays a flow in which the peer is the issuer too: it says where, and the gateway opens to its tokens, with this
    /// said of it.
    pub(crate) async fn play_issuing(self, flow: &str, gate: Gate, setting: &Value, more: &str) -> Value {
        let mut command = self.command();
        command.arg(flow).env("PEER", setting.to_string());
        let play = async {
            let mut stage = Stage::set(command);
            let said = stage.next().await;
            let issuer = said["issuer"].as_str().unwrap_or_else(|| panic!("no issuer: {said}"));
            gate.open(&format!("[[issuer]]\nurl = \"{issuer}\"\n{more}"));
            stage.say("open").await;
            stage.next().await["report"].clone()
        };
        tokio::time::timeout(PATIENCE, play).await.expect("it ends in time")
    }

    /// A peer that goes on until nobody holds it any more.
    pub(crate) fn stage(self, flow: &str, setting: &Value) -> Stage {
        let mut command = self.command();
        command.arg(flow).env("PEER", setting.to_string());
        Stage::set(command)
    }

    fn command(self) -> Command {
        let peers = root().join("target/peers");
        match self {
            Self::Node(script) => {
                let folder = installed(&peers.join("npm"));
                let package = |arch| folder.join(format!("node_modules/node-linux-{arch}/bin/node"));
                let own = ["x64", "arm64"].map(package).into_iter().find(|node| node.exists());
                let mut command = Command::new(own.unwrap_or_else(|| "node".into()));
                // So that a script finds the packages beside the link to its folder.
                command.args(["--preserve-symlinks", "--preserve-symlinks-main"]);
                command.arg(folder.join("scripts").join(script));
                command
            }
            Self::Python(script) => {
                let mut command = Command::new(installed(&peers.join("python")).join("bin/python"));
                command.arg(root().join("e2e/peers/python").join(script));
                command.env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Self::Rust(program) => Command::new(peers.join("rust/debug").join(program)),
        }
    }
}

/// An assertion of the second in which the provider began may have been used before (OPS-REP-09): waits for the next.
async fn next_second() {
    let clock = SystemClock::start();
    let begun = clock.unix().as_secs();
    while clock.unix().as_secs() <= begun {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The folder, if setup has been there.
fn installed(folder: &Path) -> PathBuf {
    let stamp = folder.join("installed");
    assert!(stamp.exists(), "{} is missing: `cargo xtask setup` installs the peers", stamp.display());
    folder.to_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder")
}

/// The public client, two with a secret, one with a key, and one that knows nothing of proofs.
fn clients(key: &SigningKey) -> Vec<Value> {
    let mut jwk: Value = serde_json::from_str(&key.public_jwk().to_json()).expect("JSON");
    jwk["kid"] = KEY_ID.into();
    let all_grants = json!(["authorization_code", "refresh_token", "client_credentials"]);
    vec![
        public_client(),
        json!({ "client_id": "secret", "client_secret": SECRET, "redirect_uris": [REDIRECT_URI],
                "grant_types": all_grants, "token_endpoint_auth_method": "client_secret_basic" }),
        json!({ "client_id": "plain", "client_secret": PLAIN_SECRET, "redirect_uris": [REDIRECT_URI],
                "grant_types": all_grants, "token_endpoint_auth_method": "client_secret_basic" }),
        json!({ "client_id": "key", "jwks": { "keys": [jwk] }, "redirect_uris": [REDIRECT_URI],
                "grant_types": all_grants, "token_endpoint_auth_method": "private_key_jwt" }),
        json!({ "client_id": "legacy", "client_secret": PLAIN_SECRET, "redirect_uris": [REDIRECT_URI],
                "post_logout_redirect_uris": [REDIRECT_URI],
                "grant_types": ["authorization_code", "refresh_token"], "legacy_oidc": true }),
    ]
}

/// With characters that have to be encoded (RFC 6749 §2.3.1).
pub(crate) const SECRET: &str = "a secret: 100%+/&=";

/// For peers that encode nothing.
const PLAIN_SECRET: &str = "secret-of-letters-and-hyphens";

/// The name of the client's key.
pub(crate) const KEY_ID: &str = "2026-11";

/// What a peer is told.
fn setting(servers: &Servers, client_id: &str, key: &SigningKey) -> Value {
    let mut setting = common_setting(servers);
    setting["client_id"] = client_id.into();
    match client_id {
        CLIENT_ID => {}
        "secret" => setting["client_secret"] = SECRET.into(),
        "plain" | "legacy" => setting["client_secret"] = PLAIN_SECRET.into(),
        "key" => {
            let jwk = key.to_private_jwk().expect("a JWK");
            let mut jwk: Value = serde_json::from_str(&jwk).expect("JSON");
            (jwk["kid"], jwk["alg"]) = (KEY_ID.into(), "ES256".into());
            setting["client_key"] = jwk;
        }
        other => panic!("no client {other}"),
    }
    setting
}

/// What all peers are told.
fn common_setting(servers: &Servers) -> Value {
    json!({
        "issuer": servers.issuer,
        "resource": format!("{}/", servers.api),
        "orders": format!("{}/orders?page=1", servers.api),
        "redirect_uri": REDIRECT_URI,
    })
}

/// Gives what the peer reports. Its pages are visited by hands that sign in and allow.
async fn play(command: Command) -> Value {
    let mut stage = Stage::set(command);
    let mut hands = Hands::of(USERNAME, PASSWORD);
    loop {
        let said = stage.next().await;
        if let Some(report) = said.get("report") {
            return report.clone();
        }
        let url = said["visit"].as_str().unwrap_or_else(|| panic!("neither page nor report: {said}"));
        let query = hands.allow(url).await.unwrap_or_else(|page| panic!("{url}: {page}"));
        stage.say(&format!("{REDIRECT_URI}?{query}")).await;
    }
}

/// A peer that runs, and what it says.
pub(crate) struct Stage {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    stdin: ChildStdin,
}

impl Stage {
    pub(crate) fn set(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdin = child.stdin.take().expect("stdin");
        let lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        Self { child, lines, stdin }
    }

    /// The next thing that it says.
    pub(crate) async fn next(&mut self) -> Value {
        match self.lines.next_line().await.expect("text") {
            Some(line) => serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}")),
            None => panic!("no report: {}", self.complaint().await),
        }
    }

    pub(crate) async fn say(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
    }

    /// What it wrote to stderr, where it broke off.
    async fn complaint(&mut self) -> String {
        let mut text = String::new();
        let mut stderr = self.child.stderr.take().expect("stderr");
        stderr.read_to_string(&mut text).await.expect("text");
        text
    }
}

impl Played {
    /// The token requests of that grant type.
    pub(crate) fn token_requests(&self, grant_type: &str) -> Vec<Arc<Exchange>> {
        let is_it = |exchange: &Arc<Exchange>| {
            Form::parse(&exchange.body).expect("a form").get("grant_type") == Some(grant_type)
        };
        self.servers.at_provider.at("/token").into_iter().filter(is_it).collect()
    }

    /// The access token is bound to the key that the peer says it has.
    #[track_caller]
    pub(crate) fn assert_bound(&self, tokens: &Answer) {
        assert_eq!(tokens.status, 200, "{tokens:?}");
        assert_eq!(tokens.text("token_type"), "DPoP");
        let jkt = self.report["jkt"].as_str().expect("a thumbprint");
        assert_eq!(tokens.claims("access_token")["cnf"], json!({ "jkt": jkt }));
    }
}

/// The first request was asked for a nonce, the second had it.
#[track_caller]
pub(crate) fn assert_challenged_once(requests: &[Arc<Exchange>]) {
    let [challenged, repeated] = requests else { panic!("{requests:#?}") };
    let nonce = assert_n_as(&challenged.answer);
    assert_eq!(part(&repeated.one("dpop"), 1)["nonce"], nonce);
    assert!(repeated.answer.status.is_success(), "{repeated:?}");
}

/// The peer was served that often by the API behind the gateway. The gateway asked for a nonce before the first time,
/// and perhaps again where the peer has one memory for the nonces of all servers.
#[track_caller]
pub(crate) fn assert_orders(played: &Played, times: usize) {
    let orders = json!({ "status": 200, "body": { "orders": [] } });
    assert_eq!(played.report["orders"], json!(vec![orders; times]), "{:#}", played.report);
    let calls = played.servers.at_gateway.all();
    let statuses: Vec<u16> = calls.iter().map(|call| call.answer.status.as_u16()).collect();
    let served = statuses.iter().filter(|status| **status == 200).count();
    let in_a_row = statuses.windows(2).any(|pair| pair == [401, 401]);
    assert_eq!((statuses.first(), served, in_a_row), (Some(&401), times, false), "{statuses:?}");
    for call in calls {
        assert!(call.one("authorization").starts_with("DPoP "), "{call:?}");
        assert!(
            call.answer.status == 200 || call.answer.challenges()[0].get("error") == Some("use_dpop_nonce")
        );
    }
}
