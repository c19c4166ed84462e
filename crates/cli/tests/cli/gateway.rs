//! The gateway as a process: without a file, under another configuration, and over a restart; under load.

use crate::common::{World, free_address, get};
use crate::load::{Gate, Load, Upstream};
use std::net::TcpListener;

#[test]
fn three_flags_are_enough_and_what_is_missing_is_named() {
    let world = World::new();
    let api = ["--public-url", "https://api.example", "--upstream", "http://127.0.0.1:1"];
    let whole = [
        "gateway",
        api[0],
        api[1],
        api[2],
        api[3],
        "--issuer",
        "https://as.example",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ];
    let service = world.start(&whole);
    assert_eq!(service.told("url"), "https://api.example");
    assert!(get(service.told("listen"), "/").starts_with("HTTP/1.1 401 "));
    let admin = service.told("admin").to_owned();
    assert!(get(&admin, "/readyz").ends_with("issuers: ok\nproofs: ok\nreplay: ok\nready\n"));
    let page = get(&admin, "/metrics");
    assert!(page.contains("guard_requests_refused_total{row=\"RS-CHL-01\"} 1"), "{page}");
    assert!(page.contains("gateway_decisions_total{route=\"/\",decision=\"denied\"} 1"), "{page}");
    assert!(get(&admin, "/observed").contains("\"clients\":[]"));
    let report = world.ok(&["gateway", "report", "--admin", &format!("http://{admin}")], "");
    assert!(report.starts_with("Nothing was observed yet."), "{report}");
    assert_eq!(service.stop().0, 0);

    let partly = world.run(&["gateway", api[0], api[1], api[2], api[3]], "");
    assert_eq!(partly.code, 2);
    assert!(
        partly.stderr.contains("--issuer URL") && !partly.stderr.contains("--upstream URL"),
        "{}",
        partly.stderr
    );
    let nothing = world.run(&["gateway"], "");
    assert_eq!(nothing.code, 1);
    assert!(
        nothing.stderr.contains("no gateway.toml here") && nothing.stderr.contains("next: "),
        "{}",
        nothing.stderr
    );
}

#[test]
fn check_tells_what_a_gateway_would_do_and_refuses_what_it_would() {
    let world = World::new();
    let good = "public_url = \"https://api.example\"\nissuer = \"https://as.example\"\nlisten = \"0.0.0.0:80\"\n\
                [[route]]\npath = \"/orders\"\nupstream = \"http://127.0.0.1:3000\"\nscopes = [\"orders\"]\n";
    world.write("gateway.toml", good);
    let told = world.ok(&["gateway", "check"], "");
    let route = "/orders  http://127.0.0.1:3000  bound tokens, with nonces  orders\nAny other path is 404.";
    assert!(told.contains(route), "{told}");
    assert!(told.contains("Did you mean it?\n  plain HTTP on 0.0.0.0:80"), "{told}");
    assert!(
        world.ok(&["gateway", "check", "--listen", "127.0.0.1:1"], "").contains("127.0.0.1:1, plain HTTP")
    );
    world.write("gateway.toml", &good.replace("scopes", "scoops"));
    let bad = world.run(&["gateway", "check", "--config", "gateway.toml"], "");
    assert!(bad.code == 1 && bad.stderr.contains("line 7"), "{}{}", bad.stdout, bad.stderr);
}

/// At the most talkative, in every way to be refused, and with what a query might hold.
#[test]
fn ops_log_01_ops_log_02_the_gateway_s_log_tells_what_happened_and_no_secret() {
    let upstream = Upstream::start("one");
    let gate = Gate::new();
    gate.world.write("gateway.toml", &gate.config(upstream.address, "127.0.0.1:0"));
    let service = gate.start(&["gateway", "--log", "trace"]);
    let address = service.told("listen").parse().expect("an address");
    let mut client = gate.client(address);
    let (good, answer) = client.ask_with_a_new_proof();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut secrets = client.secrets(&good);
    for (from, to) in [
        ("GET /a ", "GET /a?canary=1 "),
        ("\r\n\r\n", ".canary\r\n\r\n"),
        ("DPoP ey", "Bearer ey"),
        ("GET", "PUT"),
    ] {
        let request = client.request();
        secrets.extend(client.secrets(&request));
        client.ask(&request.replacen(from, to, 1));
    }
    client.ask(&good);
    service.hang_up();
    service.logs("\"reloaded\"", 1);
    service.logs("\"proof_replayed\"", 1);
    let log = service.log();
    for event in [
        "\"nonce_challenge\"",
        "\"proof_refused\"",
        "\"downgrade\"",
        "\"row\":\"DPOP-JTI-04\"",
        "\"status\":401",
        "\"route\":\"/\"",
        "\"client\":\"",
    ] {
        assert!(log.contains(event), "{event} in {log}");
    }
    for secret in secrets.iter().map(String::as_str).chain(["canary"]) {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    assert_eq!(service.stop(), 0);
}

/// Routes change ten times while four connections ask without a pause.
#[test]
fn ops_dep_02_a_reload_loses_no_request_and_forgets_no_proof() {
    let (one, other) = (Upstream::start("one"), Upstream::start("other"));
    let gate = Gate::new();
    let config = |upstream: &Upstream| gate.config(upstream.address, "127.0.0.1:0");
    gate.world.write("gateway.toml", &config(&one));
    let service = gate.start(&["gateway"]);
    let address = service.told("listen").parse().expect("an address");
    let mut client = gate.client(address);
    let (used, answer) = client.ask_with_a_new_proof();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let load = Load::keeping_connections(&gate, address, 4);
    for turn in 1..=10 {
        let upstream = if turn % 2 == 0 { &one } else { &other };
        gate.world.write("gateway.toml", &config(upstream));
        service.hang_up();
        service.logs("\"reloaded\"", turn);
        load.wait_for_more(20);
    }
    gate.world.write("gateway.toml", "public_url = 1");
    service.hang_up();
    service.logs("reload_refused", 1);
    load.wait_for_more(20);
    let (answered, failures) = load.end();
    assert!(answered >= 200 && failures.is_empty(), "{answered} answered, {failures:?}");
    assert!(one.asked() > 0 && other.asked() > 0);
    let again = client.ask(&used);
    assert!(again.starts_with("HTTP/1.1 401 ") && again.contains("DPOP-JTI-04"), "{again}");
    assert_eq!(service.stop(), 0);
}

/// Its socket belongs to whoever starts it; three processes come and go while each request has a connection of its own.
#[test]
fn ops_dep_02_a_restart_behind_a_handed_over_socket_loses_no_request() {
    let upstream = Upstream::start("one");
    let gate = Gate::new();
    gate.world.write("gateway.toml", &gate.config(upstream.address, &free_address().to_string()));
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    let mut service = gate.start_with_socket(&socket, &["gateway"]);
    assert_eq!(service.told("listen"), address.to_string(), "the socket, not the file");
    let load = Load::with_new_connections(&gate, address, 4);
    for _ in 0..3 {
        load.wait_for_more(20);
        let new = gate.restart(&service, &socket);
        let old = std::mem::replace(&mut service, new);
        assert_eq!(old.stopped(), 0);
    }
    load.wait_for_more(20);
    let (answered, failures) = load.end();
    assert!(answered >= 80 && failures.is_empty(), "{answered} answered, {failures:?}");
    assert_eq!(service.stop(), 0);
}

/// Whatever was accepted before SIGTERM is answered, however long the API takes for it.
#[test]
fn ops_dep_02_a_stop_answers_what_was_begun() {
    let upstream = Upstream::start("late");
    let gate = Gate::new();
    gate.world.write("gateway.toml", &gate.config(upstream.address, "127.0.0.1:0"));
    let service = gate.start(&["gateway"]);
    let address = service.told("listen").parse().expect("an address");
    let mut client = gate.client(address);
    client.ask_with_a_new_proof();
    let request = client.request();
    let asked = upstream.asked();
    upstream.hold(true);
    let waiting = std::thread::spawn(move || client.ask(&request));
    upstream.wait_until_asked(asked + 1);
    service.terminate();
    service.logs("\"stopping\"", 1);
    upstream.hold(false);
    assert_eq!(service.stopped(), 0);
    let answer = waiting.join().expect("an end");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("late"), "{answer}");
}
