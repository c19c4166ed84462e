use crate::config::{Config, LogKind, ReplayConfig};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

const MINIMAL: &str = "public_url = \"https://api.example\"\nissuer = \"https://issuer.example\"\nupstream = \"http://127.0.0.1:1\"\n";
const SECRET: &str = "[nonce]\nsecret_file = \"nonce.secret\"\n";
const DIGITS: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
}

/// A folder with a secret and a URL, each for its owner alone.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("nonce.secret"), &format!("{DIGITS}\n"), 0o600);
    write(&folder.path().join("log.url"), "redis://user:hunter2@127.0.0.1\n", 0o600);
    folder
}

fn read(folder: &TempDir, more: &str) -> Result<Config, String> {
    let file = folder.path().join("gateway.toml");
    fs::write(&file, format!("{MINIMAL}{more}")).expect("written");
    Config::read(&file).map_err(|error| error.to_string())
}

fn refused(more: &str) -> String {
    read(&folder(), more).expect_err(more)
}

#[test]
fn ops_rep_05_ops_dep_01_a_log_in_memory_is_for_one_node_unless_somebody_says_otherwise() {
    let folder = folder();
    let replay = |more: &str| read(&folder, more).map(|config| config.replay);
    assert_eq!(replay(""), Ok(ReplayConfig::Memory { capacity: 4_000_000 }));
    assert!(replay("[replay]\nnodes = 1").is_ok());
    let error = refused("[replay]\nnodes = 2");
    assert!(error.contains("once at each") && error.contains("once_per_node"), "{error}");
    let alone = "[replay]\nnodes = 2\nonce_per_node = true\ncapacity = 5000";
    assert_eq!(replay(alone), Ok(ReplayConfig::Memory { capacity: 5000 }));
}

#[test]
fn ops_non_01_ops_dep_01_a_shared_log_needs_the_secret_of_nonces() {
    let shared = "[replay]\nlog = \"redis\"\nnodes = 2\nurl = \"redis://127.0.0.1\"\n";
    assert!(refused(shared).contains("must share the secret"));
    let config = read(&folder(), &format!("{shared}{SECRET}")).expect("a configuration");
    let ReplayConfig::Shared { kind: LogKind::Redis, server, secret } = &config.replay else {
        panic!("a shared log")
    };
    assert_eq!((server.timeout.as_millis(), server.urls.len()), (250, 1));
    assert_eq!(secret.reveal(), DIGITS);
    assert!(refused(SECRET).contains("share a log"), "for one node alone it is drawn");
}

#[test]
fn ops_log_01_secrets_come_from_files_that_are_not_open_and_are_never_printed() {
    let folder = folder();
    let from_file = format!("[replay]\nlog = \"redis\"\nurl_file = \"log.url\"\n{SECRET}");
    let config = read(&folder, &from_file).expect("a configuration");
    let printed = format!("{config:?}");
    assert!(!printed.contains("hunter2") && !printed.contains(DIGITS), "{printed}");
    for name in ["log.url", "nonce.secret"] {
        let path = folder.path().join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).expect("permissions");
        assert!(read(&folder, &from_file).expect_err("open").contains("chmod"), "{name}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("permissions");
    }
    for url in ["redis://:hunter2@127.0.0.1", "postgresql://u:p@h/d", "postgresql://h/d?password=p"] {
        let error = refused(&format!("[replay]\nlog = \"redis\"\nurl = {url:?}\n{SECRET}"));
        assert!(error.contains("url_file") && !error.contains(url), "{error}");
    }
}

#[test]
fn what_makes_no_sense_together_is_refused() {
    let redis = "[replay]\nlog = \"redis\"\n";
    for (more, told) in [
        ("[replay]\nurl = \"redis://127.0.0.1\"".to_owned(), "must be"),
        ("[replay]\ncapacity = 10".to_owned(), "1000"),
        ("[replay]\nnodes = 0".to_owned(), "1 or more"),
        ("[replay]\nlog = \"file\"".to_owned(), "file"),
        (format!("{redis}{SECRET}"), "url_file"),
        (format!("{redis}url = []\n{SECRET}"), "none"),
        (format!("{redis}url = \"redis://127.0.0.1\"\ncapacity = 5000\n{SECRET}"), "memory"),
        (format!("{redis}url = \"redis://127.0.0.1\"\ntimeout_ms = 1\n{SECRET}"), "20 to 5000"),
        (format!("{redis}url = \"redis://127.0.0.1\"\ntrusted_roots = \"no.pem\"\n{SECRET}"), "no.pem"),
        (format!("{redis}url_file = \"no.url\"\n{SECRET}"), "no.url"),
    ] {
        let error = refused(&more);
        assert!(error.contains(told), "{more}: {error}");
    }
}
