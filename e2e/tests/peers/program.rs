//! Our command line and our agent, as processes, at issuers and APIs of other people.

#[path = "../real/binary.rs"]
mod binary;

use crate::abroad::{AUDIENCE, Abroad, Guards};
use crate::peer::{PATIENCE, REDIRECT_URI, SECRET};
use bytes::Bytes;
use data_encoding::BASE64;
use http::Request;
use keybound_e2e::servers::{CLIENT_ID, PASSWORD, USERNAME, public_client};
use keybound_e2e::{Hands, Servers};
use serde_json::json;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// A folder with keys and logins of its own.
struct Home(TempDir);

/// An agent that runs, and what it told at its start.
struct Agent {
    _child: Child,
    /// It ends where nobody reads what it says.
    _stdout: BufReader<ChildStdout>,
    listen: String,
    token: String,
}

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary::keybound());
        command.args(args).current_dir(self.0.path()).env_clear();
        command.env("KEYBOUND_HOME", self.0.path().join("home")).env("CLIENT_SECRET", SECRET);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs what must succeed, and gives what it printed.
    async fn ok(&self, args: &[&str]) -> String {
        let output = timeout(PATIENCE, self.command(args).output()).await.expect("an end").expect("started");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Gets a token as the client with a secret, good for what is behind the guards.
    async fn get_token(&self, issuer: &str, audience: &str, guards: &Guards) {
        let who = ["token", "client-credentials", "--issuer", issuer, "--client-id", "secret"];
        let what = ["--secret-env", "CLIENT_SECRET", "--scope", "read", "--resource", audience];
        let urls: Vec<_> = guards.urls().map(|(_, url)| url).collect();
        let origins = urls.iter().flat_map(|url| ["--origin", url.as_str()]);
        self.ok(&who.into_iter().chain(what).chain(origins).collect::<Vec<_>>()).await;
    }

    async fn agent(&self, args: &[&str]) -> Agent {
        let all = [&["agent", "--listen", "127.0.0.1:0"], args].concat();
        let mut child = self.command(&all).spawn().expect("started");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let ready = said(&mut stdout, "listen=").await;
        let listen = ready.split_whitespace().find_map(|word| word.strip_prefix("listen="));
        let listen = listen.expect("an address").to_owned();
        let token = said(&mut stdout, "KEYBOUND_AGENT_TOKEN=").await;
        let token = token.split_once('=').expect("a token").1.trim().to_owned();
        Agent { _child: child, _stdout: stdout, listen, token }
    }

    /// Both guards serve the command line and the agent with the token that is kept here, and nobody who has the token
    /// alone.
    async fn assert_served(&self, guards: &Guards, client_id: &str) {
        let proxy = self.agent(&[]).await;
        let token = self.ok(&["token", "show", "--show-token"]).await;
        for (name, url) in guards.urls() {
            let expected = json!({ "by": name, "client": client_id });
            for method in ["GET", "POST", "PUT"] {
                let body: &[_] = if method == "GET" { &[] } else { &["--data", "letter"] };
                let body = [&["request", "--silent", "-X", method, url.as_str()], body].concat();
                assert_eq!(self.ok(&body).await, expected.to_string(), "{method}");
                let answer = proxy.call(method, &url, &proxy.proxy_authorization()).await;
                assert_eq!(answer, (200, expected.to_string()), "{method}");
            }
            let (origin, _) = url.rsplit_once('/').expect("a path");
            let in_its_place = self.agent(&["--upstream", origin]).await;
            let bearer = format!("Authorization: Bearer {}\r\n", in_its_place.token);
            let answer = in_its_place.call("POST", "/orders?page=1", &bearer).await;
            assert_eq!(answer, (200, expected.to_string()));
            for scheme in ["DPoP", "Bearer"] {
                let request =
                    Request::get(&url).header("Authorization", format!("{scheme} {}", token.trim()));
                let request = request.body(Bytes::new()).expect("a request");
                let refused = crate::abroad::transport().fetcher().send(request).await.expect("an answer");
                assert!(matches!(refused.status().as_u16(), 400 | 401), "{name} {scheme}: {refused:?}");
            }
        }
    }
}

impl Agent {
    fn proxy_authorization(&self) -> String {
        let told = BASE64.encode(format!("keybound:{}", self.token).as_bytes());
        format!("Proxy-Authorization: Basic {told}\r\n")
    }

    /// As a program calls it that knows nothing of proofs; gives status and body.
    async fn call(&self, method: &str, target: &str, credentials: &str) -> (u16, String) {
        let authority = target.strip_prefix("http://").and_then(|rest| rest.split('/').next());
        let host = authority.unwrap_or(&self.listen);
        let head =
            format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{credentials}");
        let exchange = async {
            let mut stream = TcpStream::connect(&self.listen).await.expect("connected");
            stream.write_all(format!("{head}Content-Length: 2\r\n\r\n{{}}").as_bytes()).await.expect("sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("an answer");
            answer
        };
        let answer = timeout(PATIENCE, exchange).await.expect("an answer in time");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        // Whether it comes in chunks or not, it is in one line.
        let body = body.lines().find(|line| line.starts_with('{')).unwrap_or_default();
        (status, body.to_owned())
    }
}

/// The next line that holds this.
async fn said(lines: &mut (impl AsyncBufRead + Unpin), part: &str) -> String {
    let mut line = String::new();
    while !line.contains(part) {
        line.clear();
        let read = timeout(PATIENCE, lines.read_line(&mut line)).await.expect("a line in time");
        assert!(read.expect("text") > 0, "`{part}` was not said");
    }
    line
}

#[tokio::test]
async fn cl_cli_03_cl_tok_02_the_program_calls_behind_guards_of_others_with_tokens_of_oidc_provider() {
    let abroad = Abroad::start("oidc_issuer.mjs", json!({ "nonces": true })).await;
    let guards = Guards::start(&abroad.issuer, AUDIENCE).await;
    let home = Home::new();
    home.get_token(&abroad.issuer, AUDIENCE, &guards).await;
    home.assert_served(&guards, "secret").await;
}

#[tokio::test]
async fn cl_cli_03_cl_tok_02_the_program_calls_behind_guards_of_others_with_tokens_of_ours() {
    let itself = json!({ "client_id": "secret", "client_secret": SECRET, "redirect_uris": [REDIRECT_URI],
                         "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_basic" });
    let servers = Servers::with(vec![itself]).await;
    let audience = format!("{}/", servers.api);
    let guards = Guards::start(&servers.issuer, &audience).await;
    let home = Home::new();
    home.get_token(&servers.issuer, &audience, &guards).await;
    home.assert_served(&guards, "secret").await;
}

/// The same for a user, who signs in with a browser.
#[tokio::test]
async fn cl_cli_03_cl_flw_11_who_has_signed_in_calls_behind_guards_of_others() {
    let servers = Servers::with(vec![public_client()]).await;
    let audience = format!("{}/", servers.api);
    let guards = Guards::start(&servers.issuer, &audience).await;
    let home = Home::new();
    let who = ["login", "--no-browser", "--issuer", &servers.issuer, "--client-id", CLIENT_ID];
    let urls: Vec<_> = guards.urls().map(|(_, url)| url).collect();
    let what =
        ["--scope", "openid read", "--resource", &audience, "--origin", &urls[0], "--origin", &urls[1]];
    let mut login = home.command(&[&who[..], &what].concat()).spawn().expect("started");
    let mut stderr = BufReader::new(login.stderr.take().expect("stderr"));
    let told = said(&mut stderr, "/authorize?").await;
    let url = told.split_whitespace().find(|word| word.starts_with("http")).expect("a URL");
    let back = Hands::of(USERNAME, PASSWORD).come_back(url).await.expect("an answer").url();
    let page = url::Url::parse(&back).and_then(|back| back.join("/done")).expect("a URL");
    for url in [back, page.into()] {
        let request = Request::get(url).body(Bytes::new()).expect("a request");
        crate::abroad::transport().fetcher().send(request).await.expect("an answer");
    }
    let mut said = String::new();
    timeout(PATIENCE, stderr.read_to_string(&mut said)).await.expect("an end").expect("text");
    assert!(login.wait().await.expect("an end").success(), "{said}");
    home.assert_served(&guards, CLIENT_ID).await;
    // With a new token too.
    let before = home.ok(&["token", "show", "--show-token"]).await;
    home.ok(&["token", "refresh"]).await;
    let after = home.ok(&["token", "show", "--show-token"]).await;
    assert_ne!(before, after);
    home.assert_served(&guards, CLIENT_ID).await;
}
