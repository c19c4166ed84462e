//! Who does not get in, where nothing goes, and how much is held.

use super::stage::Stage;
use std::os::unix::fs::PermissionsExt;
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
    assert!(second.code == 1 && second.stderr.contains("another process"), "{}", second.stderr);
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
