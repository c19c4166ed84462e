//! The provider as a process: it starts, tells how it is, takes up what other processes write, and leaves in order.

use crate::common::{World, free_address, get, is_private};
use std::net::TcpStream;

fn world(issuer: &str) -> World {
    let world = World::new();
    let text = format!(
        "issuer = \"{issuer}\"\nadmin = \"127.0.0.1:0\"\n[[resource]]\nidentifier = \"https://api.example\"\nscopes = [\"read\"]\n"
    );
    world.write("keybound.toml", &text);
    world
}

#[test]
fn ops_dep_04_it_says_when_it_is_ready_and_how_it_is() {
    let address = free_address().to_string();
    let issuer = format!("http://{address}");
    let world = world(&issuer);
    let service = world.start(&["serve", "--listen", &address]);
    assert!(service.ready.starts_with("ready "), "{}", service.ready);
    assert_eq!((service.told("issuer"), service.told("listen")), (issuer.as_str(), address.as_str()));
    assert_eq!(service.told("discovery"), format!("{issuer}/.well-known/openid-configuration"));
    let metadata = get(&address, "/.well-known/openid-configuration");
    assert!(metadata.starts_with("HTTP/1.1 200 ") && metadata.contains(&issuer), "{metadata}");
    let admin = service.told("admin").to_owned();
    assert!(get(&admin, "/readyz").ends_with("store: ok\nproofs: ok\nready\n"));
    assert!(get(&admin, "/metrics").contains("http_responses_total{class=\"2xx\"} 1"));
    assert!(is_private(&world.path("keybound.sqlite")));
    let (code, log) = service.stop();
    assert_eq!(code, 0);
    assert!(log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{log}");
    assert!(TcpStream::connect(&address).is_err() && TcpStream::connect(&admin).is_err());
}

#[test]
fn ops_log_05_the_provider_counts_at_the_admin_listener() {
    let address = free_address().to_string();
    let world = world(&format!("http://{address}"));
    let service = world.start(&["serve", "--listen", &address]);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let body = "grant_type=client_credentials&client_id=a&client_secret=b";
    let refused = crate::common::send(&address, "POST /token", form, body);
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    let page = get(service.told("admin"), "/metrics");
    for line in [
        "provider_client_checks_total{kind=\"secret\"} 1",
        "provider_proofs_accepted_total 0",
        "provider_tokens_issued_total{grant_type=\"refresh_token\"} 0",
        "# TYPE provider_store_write_seconds histogram",
        "# TYPE provider_proof_skew_seconds histogram",
        "http_responses_total{class=\"4xx\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
    }
    assert_eq!(service.stop().0, 0);
}

#[test]
fn ops_rep_05_atk_055_no_second_provider_over_one_store() {
    let address = free_address().to_string();
    let world = world(&format!("http://{address}"));
    let first = world.start(&["serve", "--listen", &address]);
    let second = world.run(&["serve", "--listen", "127.0.0.1:0"], "");
    assert_ne!(second.code, 0);
    assert!(second.stderr.contains("another provider runs over") && second.stderr.contains("OPS-REP-05"));
    assert_eq!(first.stop().0, 0);
    let after = world.start(&["serve", "--listen", &address]);
    assert_eq!(after.stop().0, 0, "the place is free again");
}

#[test]
fn ops_dep_02_it_stops_in_order() {
    let address = free_address().to_string();
    let service = world(&format!("http://{address}")).start(&["serve", "--listen", &address]);
    let (code, log) = service.stop();
    let stopped: Vec<_> =
        ["\"SIGTERM\"", "\"stopped\",\"server\":\"provider\"", "\"stopped\",\"server\":\"admin\""]
            .iter()
            .map(|part| log.find(part).unwrap_or_else(|| panic!("{part}: {log}")))
            .collect();
    assert!(code == 0 && stopped.is_sorted(), "{log}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = taken.local_addr().expect("an address").to_string();
    let ended = world("http://127.0.0.1:1").run(&["serve", "--listen", &address], "");
    assert!(ended.code == 1 && ended.stderr.contains(&format!("{address} is in use")), "{}", ended.stderr);
}

#[test]
fn a_client_that_is_added_while_it_runs_can_log_in() {
    let address = free_address().to_string();
    let issuer = format!("http://{address}");
    let world = world(&issuer);
    let service = world.start(&["serve", "--listen", &address]);
    let add = [
        "client",
        "add",
        "--id",
        "svc",
        "--grant",
        "client_credentials",
        "--auth",
        "client_secret_basic",
        "--json",
    ];
    let added: serde_json::Value = serde_json::from_str(&world.ok(&add, "")).expect("JSON");
    let secret = added["client_secret"].as_str().expect("a secret");
    let login = [
        "login",
        "--issuer",
        &issuer,
        "--client-id",
        "svc",
        "--client-credentials",
        "--secret-file",
        "-",
        "--resource",
        "https://api.example",
        "--scope",
        "read",
    ];
    let ended = world.run(&login, secret);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stdout.is_empty() && ended.stderr.starts_with("logged in as svc at http://"),
        "{}",
        ended.stderr
    );
    let shown = world.ok(&[&login[..], &["--show-token"]].concat(), secret);
    assert_eq!(shown.trim().split('.').count(), 3, "{shown}");
    assert!(is_private(&world.path("home/sessions/default.session")));
    // Each login has a key of its own; that of the first went with its session.
    let keys =
        std::fs::read_dir(world.path("home/keys")).expect("a folder").map(|key| key.expect("a key").path());
    let keys: Vec<_> = keys.collect();
    assert!(matches!(&keys[..], [key] if is_private(key)), "{keys:?}");
    let elsewhere = world.run(&["request", "https://other.example/"], "");
    assert!(elsewhere.code == 1 && elsewhere.stderr.contains("may not be sent to"), "{}", elsewhere.stderr);
    let refused = world.run(&login, "wrong");
    assert!(refused.code == 4 && refused.stderr.contains("invalid_client"), "{}", refused.stderr);
    let (_, log) = service.stop();
    assert!(!log.contains(secret) && !log.contains(shown.trim()), "{log}");
    assert!(log.contains("\"target\":\"audit\""), "{log}");
}

#[test]
fn clients_and_users_of_files_are_taken_over() {
    let address = free_address().to_string();
    let world = World::new();
    let text = format!("issuer = \"http://{address}\"\nclients = \"clients.json\"\nusers = \"users.json\"\n");
    world.write("keybound.toml", &text);
    world.write("clients.json", r#"[{"client_id":"a","redirect_uris":["https://a.example/cb"]}]"#);
    world.write("users.json", "[]");
    let (code, _) = world.start(&["serve", "--listen", &address]).stop();
    assert_eq!(code, 0);
    assert!(world.ok(&["client", "list"], "").starts_with("a "));
    world.write("clients.json", r#"[{"client_id":"a","redirect_uris":["a"]}]"#);
    let ended = world.run(&["serve", "--listen", &address], "");
    assert!(ended.code == 1 && ended.stderr.contains("client a: `redirect_uris`"), "{}", ended.stderr);
}

#[test]
fn the_gateway_starts_and_stops() {
    let world = World::new();
    let text = "public_url = \"http://127.0.0.1:1\"\nupstream = \"http://127.0.0.1:1\"\nissuer = \"https://as.example\"\n\
                listen = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n";
    world.write("gateway.toml", text);
    let service = world.start(&["gateway"]);
    assert_eq!(service.told("url"), "http://127.0.0.1:1");
    assert!(get(service.told("listen"), "/").starts_with("HTTP/1.1 401 "));
    assert!(get(service.told("admin"), "/readyz").ends_with("ready\n"));
    assert_eq!(service.stop().0, 0);
}
