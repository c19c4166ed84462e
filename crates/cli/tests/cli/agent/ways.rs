//! The three ways in.

use super::stage::Stage;
use crate::common::get;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What the gateway's admin page counts under that name.
fn count(stage: &Stage, name: &str) -> u64 {
    let page = get(stage.gateway.told("admin"), "/metrics");
    let lines = page.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

#[test]
fn cl_cli_03_cl_prf_02_cl_non_07_each_way_reaches_the_api_with_token_and_proof() {
    let stage = Stage::new();
    let upstream = format!("https://{}", stage.api);
    let agent = stage.agent(&["--upstream", &upstream]);
    let (api, proxy, bearer) = (&stage.api, agent.proxy(), agent.bearer());
    // In the place of the API.
    let told = stage.curl(&["-H", &bearer, "-d", "a body", &agent.url("/orders?page=2")], &[]);
    assert!(told.starts_with("POST /orders?page=2\n") && told.ends_with("\n\na body\n200"), "{told}");
    let url = agent.url("/orders").replace("http://", &format!("http://any:{}@", agent.token));
    assert!(stage.curl(&[&url], &[]).ends_with("\n200"));
    let header = format!("Keybound-Agent-Token: {}", agent.token);
    assert!(stage.curl(&["-H", &header, &agent.url("/orders")], &[]).ends_with("\n200"));
    // As a proxy, for http:// in the place of https://.
    let http = format!("http://{api}/orders?page=3");
    let told = stage.curl(&["-X", "PUT", "-d", "x=1", &http], &[("http_proxy", &proxy)]);
    assert!(told.starts_with("PUT /orders?page=3\n") && told.ends_with("\n\nx=1\n200"), "{told}");
    // As a proxy for https://, with HTTP/1.1 and HTTP/2 inside.
    let pem = stage.world.ok(&["agent", "ca"], "");
    stage.world.write("agent-ca.pem", &pem);
    let https = format!("https://{api}/orders?page=4");
    for version in ["--http1.1", "--http2"] {
        let told = stage.curl(
            &[version, "--proxytunnel", "--cacert", "agent-ca.pem", "-d", "x=2", &https],
            &[("https_proxy", &proxy)],
        );
        assert!(
            told.starts_with("POST /orders?page=4\n") && told.ends_with("\n\nx=2\n200"),
            "{version}: {told}"
        );
    }
    // A tunnel for http, as some clients have it.
    let told = stage.curl(&["--proxytunnel", &http], &[("http_proxy", &proxy)]);
    assert!(told.starts_with("GET /orders?page=3\n") && told.ends_with("\n200"), "{told}");
    // One challenge, and then none.
    assert_eq!(count(&stage, "gateway_decisions_total{route=\"/\",decision=\"denied\"}"), 1);
    // What is the agent's business did not go on, and no caller saw a token.
    let heads = stage.heads.lock().expect("a lock").join("\n").to_ascii_lowercase();
    for never in ["keybound-agent", "proxy-", "authorization:", "dpop", &agent.token.to_ascii_lowercase()] {
        assert!(!heads.contains(never), "{never} in {heads}");
    }
    let (code, log) = agent.service.stop();
    assert_eq!(code, 0);
    for secret in stage.secrets().iter().chain([&agent.token]) {
        assert!(!log.contains(secret), "{log}");
    }
    assert_eq!(log.matches("\"request\"").count(), 7 + 3, "{log}");
    assert!(log.contains(&format!("\"origin\":\"https://{api}\"")), "{log}");
}

#[test]
fn cl_red_01_redirects_and_refusals_are_handed_back() {
    let stage = Stage::new();
    let upstream = format!("https://{}", stage.api);
    let agent = stage.agent(&["--upstream", &upstream]);
    let (api, proxy, bearer) = (&stage.api, agent.proxy(), agent.bearer());
    let told = stage.curl(&["-i", "-H", &bearer, &agent.url("/go")], &[]);
    assert!(told.contains("\r\nlocation: /again?x=1\r\n") && told.ends_with("\n303"), "{told}");
    assert!(!told.to_ascii_lowercase().contains("dpop-nonce"), "{told}");
    let http = format!("http://{api}/go");
    let told = stage.curl(&["-i", &http], &[("http_proxy", &proxy)]);
    assert!(told.contains(&format!("\r\nlocation: http://{api}/again?x=1\r\n")), "{told}");
    let told = stage.curl(&["-L", &http], &[("http_proxy", &proxy)]);
    assert!(told.starts_with("GET /again?x=1\n") && told.ends_with("\n200"), "{told}");
    let told = stage.curl(&["-i", "-H", &bearer, &agent.url("/forbidden")], &[]);
    assert!(told.contains("insufficient_scope") && told.ends_with("\n403"), "{told}");
    agent.service.stop();
}

#[test]
fn rs_gw_07_events_and_sockets_pass() {
    let stage = Stage::new();
    let agent = stage.agent(&["--upstream", &format!("https://{}", stage.api)]);
    // An event arrives while its stream is open.
    let mut stream = ask(&agent.listen, "GET /events", &agent.bearer());
    read_until(&mut stream, b"data: one\n\n");
    let fields = format!("{}\r\nConnection: Upgrade\r\nUpgrade: websocket", agent.bearer());
    let mut stream = ask(&agent.listen, "GET /socket", &fields);
    let head = read_until(&mut stream, b"\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    // A frame, masked with zeros, comes back as it is.
    let frame = [&[0x81, 0x84, 0, 0, 0, 0][..], b"ping"].concat();
    stream.write_all(&frame).expect("sent");
    let mut back = vec![0; frame.len()];
    stream.read_exact(&mut back).expect("sent back");
    assert_eq!(back, frame);
    let (code, log) = agent.service.stop();
    assert_eq!(code, 0, "{log}");
}

#[test]
fn rs_gw_07_a_socket_passes_through_a_tunnel_with_tls() {
    let stage = Stage::new();
    let agent = stage.agent(&[]);
    stage.world.write("agent-ca.pem", &stage.world.ok(&["agent", "ca"], ""));
    stage.world.write("token", &agent.token);
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-quiet",
        "-verify_return_error",
        "-CAfile",
        "agent-ca.pem",
        "-alpn",
        "http/1.1",
    ]);
    command.args(["-connect", &stage.api, "-servername", "localhost", "-proxy", &agent.listen]);
    command.args(["-proxy_user", "keybound", "-proxy_pass", "file:token"]);
    command.current_dir(stage.world.path(".")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = command.stderr(Stdio::null()).spawn().expect("openssl");
    let (mut to, mut from) = (client.stdin.take().expect("stdin"), client.stdout.take().expect("stdout"));
    let fields = "Connection: Upgrade\r\nUpgrade: websocket";
    write!(to, "GET /socket HTTP/1.1\r\nHost: {}\r\n{fields}\r\n\r\n", stage.api).expect("sent");
    let head = read_until(&mut from, b"\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let frame = [&[0x81, 0x84, 0, 0, 0, 0][..], b"ping"].concat();
    to.write_all(&frame).expect("sent");
    let mut back = vec![0; frame.len()];
    from.read_exact(&mut back).expect("sent back");
    assert_eq!(back, frame);
    client.kill().expect("it ran");
    client.wait().expect("it ended");
    agent.service.stop();
}

fn ask(listen: &str, line: &str, fields: &str) -> TcpStream {
    let mut stream = TcpStream::connect(listen).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    write!(stream, "{line} HTTP/1.1\r\nHost: {listen}\r\n{fields}\r\n\r\n").expect("sent");
    stream
}

fn read_until(stream: &mut impl Read, end: &[u8]) -> String {
    let mut read = Vec::new();
    while !read.windows(end.len()).any(|window| window == end) {
        let mut byte = [0];
        stream
            .read_exact(&mut byte)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&read)));
        read.push(byte[0]);
    }
    String::from_utf8(read).expect("text")
}
