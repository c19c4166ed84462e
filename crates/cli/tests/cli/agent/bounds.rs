//! Who does not get in, where nothing goes, and how much is held.

use super::stage::Stage;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

#[test]
fn atk_125_nobody_gets_in_without_the_token_and_no_page_with_it() {
    let stage = Stage::new();
    let agent = stage.agent(&["--upstream", &format!("https://{}", stage.api)]);
    let (http, https) = (format!("http://{}/x", stage.api), format!("https://{}/x", stage.api));
    let bare = format!("http://{}", agent.listen);
    let wrong = format!("http://keybound:{}@{}", "A".repeat(43), agent.listen);
    for proxy in [&bare, &wrong] {
        let told = stage.curl(&["-i", &http], &[("http_proxy", proxy)]);
        assert!(told.contains("\r\nproxy-authenticate: Basic ") && told.ends_with("\n407"), "{told}");
        let told = stage.curl(&["--insecure", &https], &[("https_proxy", proxy)]);
        assert!(told.contains("407"), "{told}");
    }
    let told = stage.curl(&["-i", &agent.url("/x")], &[]);
    assert!(told.contains("\r\nwww-authenticate: Bearer ") && told.ends_with("\n401"), "{told}");
    let bearer = agent.bearer();
    for (field, status) in [
        ("Host: evil.example", 421),
        ("Origin: https://evil.example", 403),
        ("Sec-Fetch-Site: cross-site", 403),
    ] {
        let told = stage.curl(&["-H", &bearer, "-H", field, &agent.url("/x")], &[]);
        assert!(told.ends_with(&format!("\n{status}")), "{field}: {told}");
    }
    let told = stage.curl(&["-X", "TRACE", "-H", &bearer, &agent.url("/x")], &[]);
    assert!(told.ends_with("\n405"), "{told}");
    assert!(stage.heads.lock().expect("a lock").is_empty());
    agent.service.stop();
}

#[test]
fn cl_tok_08_a_tunnel_is_for_one_server() {
    let stage = Stage::new();
    let agent = stage.agent(&[]);
    stage.world.write("agent-ca.pem", &stage.world.ok(&["agent", "ca"], ""));
    let (https, proxy) = (format!("https://{}/x", stage.api), agent.proxy());
    let ask = |args: &[&str]| {
        stage.curl(&[&["--cacert", "agent-ca.pem"], args, &[&https]].concat(), &[("https_proxy", &proxy)])
    };
    for version in ["--http1.1", "--http2"] {
        for other in ["Host: evil.example", "Host: localhost:1", "Host: localhost"] {
            let told = ask(&[version, "-H", other]);
            assert!(told.ends_with("\n421"), "{version} {other}: {told}");
        }
        assert!(ask(&[version, "--request-target", "*", "-X", "OPTIONS"]).ends_with("\n400"), "{version}");
    }
    let absolute = ["--http1.1", "--request-target", "http://evil.example/x"];
    assert!(ask(&absolute).ends_with("\n421"));
    let told = ask(&["--http1.1", "-X", "TRACE"]);
    assert!(told.ends_with("\n405"), "{told}");
    assert!(ask(&["-H", "Origin: https://evil.example"]).ends_with("\n403"));
    assert!(stage.heads.lock().expect("a lock").is_empty());
    let host = stage.api.replace("localhost", "LocalHost");
    assert!(ask(&["-H", &format!("Host: {host}")]).ends_with("\n200"));
    agent.service.stop();
}

#[test]
fn cl_tok_08_other_origins_are_refused_or_passed_on_with_nothing_added() {
    let stage = Stage::new();
    let refusing = stage.agent(&[]);
    let proxy = refusing.proxy();
    let told = stage.curl(&["http://127.0.0.1:1/"], &[("http_proxy", &proxy)]);
    assert!(told.contains("no profile has that origin") && told.ends_with("\n403"), "{told}");
    let told = stage.curl(&["https://127.0.0.1:1/"], &[("https_proxy", &proxy)]);
    assert!(told.contains("403"), "{told}");
    let told = stage.curl(&["-H", &refusing.bearer(), &refusing.url("/")], &[]);
    assert!(told.contains("--upstream") && told.ends_with("\n404"), "{told}");
    refusing.service.stop();

    let passing = stage.agent(&["--others", "pass"]);
    let proxy = passing.proxy();
    // The gateway by another name, which no login has.
    let other = stage.api.replace("localhost", "127.0.0.1");
    let told = stage.curl(&["-i", "--insecure", &format!("https://{other}/x")], &[("https_proxy", &proxy)]);
    assert!(told.contains("www-authenticate: DPoP") && told.ends_with("\n401"), "{told}");
    let admin = format!("http://{}/livez", stage.gateway.told("admin"));
    let told = stage.curl(&[&admin], &[("http_proxy", &proxy)]);
    assert!(told.ends_with("\n200"), "{told}");
    // What a program has of its own goes on, and the agent's token does not.
    let plain = format!("http://{}/x", stage.upstream);
    let ask = |field: &str| stage.curl(&["-H", field, &plain], &[("http_proxy", &proxy)]);
    let own = ask("Authorization: Bearer theirs");
    assert!(own.contains("authorization: Bearer theirs\n") && own.ends_with("\n200"), "{own}");
    for field in [passing.bearer(), format!("Keybound-Agent-Token: {}", passing.token)] {
        let told = ask(&field);
        assert!(told.ends_with("\n200") && !told.contains(&passing.token), "{told}");
    }
    passing.service.stop();
}

#[test]
fn atk_125_a_socket_is_for_its_user_alone() {
    let stage = Stage::new();
    let path = stage.world.path("run/agent.sock");
    let socket = path.to_str().expect("text");
    let args =
        ["agent", "--ca-file", "ca.pem", "--upstream", &format!("https://{}", stage.api), "--socket", socket];
    let service = stage.world.start(&args);
    assert_eq!(service.told("listen"), socket);
    let mode = |path: &Path| std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
    let told = stage.curl(&["--unix-socket", socket, "http://localhost/orders"], &[]);
    assert!(told.starts_with("GET /orders\n") && told.ends_with("\n200"), "{told}");
    let second = stage.world.run(&args, "");
    assert!(second.code == 1 && second.stderr.contains("stop the agent that uses it"), "{}", second.stderr);
    assert_eq!(service.stop().0, 0);
    assert!(!path.exists());

    std::fs::set_permissions(path.parent().expect("a folder"), std::fs::Permissions::from_mode(0o755))
        .expect("set");
    let open = stage.world.run(&args, "");
    assert!(open.code == 1 && open.stderr.contains("chmod 700"), "{}", open.stderr);
    let far = stage.world.run(&["agent", "--listen", "0.0.0.0:0"], "");
    assert!(far.code == 2 && far.stderr.contains("loopback"), "{}", far.stderr);
}

#[test]
fn atk_125_a_socket_takes_the_place_of_a_dead_one_only() {
    let stage = Stage::new();
    let upstream = format!("https://{}", stage.api);
    let run = stage.world.path("run");
    std::fs::create_dir(&run).expect("a folder");
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o700)).expect("set");
    let args = |socket| ["agent", "--ca-file", "ca.pem", "--upstream", upstream.as_str(), "--socket", socket];
    // A file that is no socket stays.
    stage.world.write("run/notes", "mine");
    let refused = stage.world.run(&args("run/notes"), "");
    assert!(refused.code == 1 && refused.stderr.contains("no socket"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(stage.world.path("run/notes")).expect("kept"), "mine");
    // The folder of the program itself is a folder too.
    std::fs::set_permissions(stage.world.path("."), std::fs::Permissions::from_mode(0o755)).expect("set");
    let refused = stage.world.run(&args("agent.sock"), "");
    assert!(refused.code == 1 && refused.stderr.contains("chmod 700"), "{}", refused.stderr);

    let path = stage.world.path("run/agent.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
    assert!(path.exists(), "a dead socket");
    let mut first = stage.world.start(&args("run/agent.sock"));
    let mut open = UnixStream::connect(&path).expect("connected");
    open.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let mut begun = [0; 12];
    open.read_exact(&mut begun).expect("an answer");
    assert_eq!(&begun, b"HTTP/1.1 200");
    // One that leaves, and still has something to finish, is not in the way of the next.
    let id = i32::try_from(first.id()).ok().and_then(Pid::from_raw).expect("an id");
    kill_process(id, Signal::TERM).expect("signalled");
    first.wait_for_log("stopping");
    assert!(!path.exists());
    let second = stage.world.start(&args("run/agent.sock"));
    drop(open);
    first.stop();
    let told = stage.curl(&["--unix-socket", path.to_str().expect("text"), "http://localhost/x"], &[]);
    assert!(told.ends_with("\n200"), "{told}");
    second.stop();
}

#[test]
fn atk_125_a_page_that_is_allowed_reads_answers_and_no_other_does() {
    let stage = Stage::new();
    let upstream = format!("https://{}", stage.api);
    for bad in ["null", "*", "https://a.example/"] {
        let args = ["agent", "--ca-file", "ca.pem", "--listen", "127.0.0.1:0", "--allow-origin", bad];
        let refused = stage.world.run(&args, "");
        assert!(refused.code != 0 && refused.stderr.contains("no origin of a page"), "{}", refused.stderr);
    }
    let agent = stage.agent(&["--upstream", &upstream, "--allow-origin", "http://localhost:3000"]);
    let (url, bearer, page) = (agent.url("/orders"), agent.bearer(), "Origin: http://localhost:3000");
    let asks = ["-i", "-X", "OPTIONS", "-H", "Access-Control-Request-Method: PUT", "-H"];
    let told = stage.curl(&[&asks[..], &[page, &url]].concat(), &[]);
    assert!(told.contains("access-control-allow-origin: http://localhost:3000\r\n"), "{told}");
    assert!(told.contains("access-control-allow-headers: authorization\r\n"), "{told}");
    assert!(told.ends_with("\n204") && !told.contains("private-network"), "{told}");
    let told = stage.curl(&["-i", "-H", page, "-H", &bearer, &url], &[]);
    assert!(told.contains("access-control-allow-origin: http://localhost:3000\r\n"), "{told}");
    assert!(told.contains("\r\nvary: origin\r\n") && told.ends_with("\n200"), "{told}");
    let told = stage.curl(&["-i", "-H", page, &url], &[]);
    assert!(told.contains("access-control-allow-origin: ") && told.ends_with("\n401"), "{told}");
    let told = stage.curl(&[&asks[..], &["Origin: http://localhost:3001", &url]].concat(), &[]);
    assert!(!told.contains("access-control") && told.ends_with("\n403"), "{told}");
    let told = stage.curl(&["-i", "-H", &bearer, &url], &[]);
    assert!(!told.contains("access-control") && told.ends_with("\n200"), "{told}");
    // A browser's question is no request of the API.
    let heads = stage.heads.lock().expect("a lock");
    assert!(heads.len() == 2 && heads.iter().all(|head| head.starts_with("GET ")), "{heads:?}");
    drop(heads);
    agent.service.stop();
}

#[test]
fn atk_125_other_programs_too_see_the_limits_of_the_authority() {
    let stage = Stage::new();
    let pem = stage.world.ok(&["agent", "ca"], "");
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----") && !pem.contains("PRIVATE"));
    assert_eq!(stage.world.ok(&["agent", "ca"], ""), pem, "it is kept");
    stage.world.write("agent-ca.pem", &pem);
    let output = stage.tool("openssl", &["x509", "-in", "agent-ca.pem", "-noout", "-text"], &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    for said in
        ["Name Constraints: critical", "Permitted:", "DNS:localhost", "Excluded:", "CA:TRUE, pathlen:0"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    let kept = std::fs::read_to_string(stage.world.path("home/agent/default.authority")).expect("kept");
    let kept: serde_json::Value = serde_json::from_str(&kept).expect("JSON");
    let key =
        keybound_dpop::jose::base64url::decode(kept["key"].as_str().expect("a key")).expect("base64url");
    let key = rcgen::KeyPair::try_from(key.as_slice()).expect("a key");
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, kept["subject"].as_str().expect("a name"));
    let issuer = rcgen::Issuer::new(params, key);
    for (host, taken) in [("localhost", true), ("bank.example", false), ("127.0.0.1", false)] {
        let leaf = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec![host.to_owned()]).expect("a name");
        stage.world.write("leaf.pem", &params.signed_by(&leaf, &issuer).expect("signed").pem());
        let verify = ["verify", "-purpose", "sslserver", "-CAfile", "agent-ca.pem", "leaf.pem"];
        let output = stage.tool("openssl", &verify, &[]);
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), taken, "{host}: {said}");
        assert!(taken || said.contains("subtree"), "{host}: {said}");
    }
}

#[test]
fn cl_non_12_a_hundred_megabytes_pass_both_ways_and_are_never_held() {
    let stage = Stage::new();
    let agent = stage.agent(&["--upstream", &format!("https://{}", stage.api)]);
    let before = memory_kib(agent.service.id(), "RssAnon:");
    let megabytes = std::fs::File::create(stage.world.path("upload")).expect("a file");
    megabytes.set_len(100_000_000).expect("a hole");
    // Without a length, and as the first request of all, so that the nonce is not known yet.
    let bearer = agent.bearer();
    let patiently = ["--max-time", "600", "-H", &bearer];
    let upload = ["-H", "Transfer-Encoding: chunked", "-T", "upload", &agent.url("/sink")];
    assert_eq!(stage.curl(&[&patiently[..], &upload].concat(), &[]), "100000000\n200");
    let told = stage.curl(&[&patiently[..], &["-o", "download", &agent.url("/flood")]].concat(), &[]);
    assert_eq!(told, "\n200");
    assert_eq!(std::fs::metadata(stage.world.path("download")).expect("a file").len(), 100_000_000);
    // What the program itself takes while more and more of it is read in does not count.
    let id = agent.service.id();
    let grown = (memory_kib(id, "VmHWM:") - memory_kib(id, "RssFile:")).saturating_sub(before);
    assert!(grown < 64 * 1024, "it grew by {grown} KiB");
    agent.service.stop();
}

/// How much memory of that kind a process has, or had at the most (proc(5)).
fn memory_kib(id: u32, kind: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix(kind)).expect("its memory");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}
