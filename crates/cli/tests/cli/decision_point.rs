//! The gateway as a process that proxies ask.

use crate::common::{World, get, send};
use std::path::{Path, PathBuf};

fn shipped(proxy: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(proxy).join("gateway.toml")
}

#[test]
fn what_we_ship_for_each_proxy_would_start() {
    let world = World::new();
    for proxy in ["nginx", "caddy", "haproxy", "envoy", "traefik"] {
        let file = shipped(proxy);
        world.ok(&["gateway", "check", "--config", &file.to_string_lossy()], "");
    }
}

#[test]
fn bcp_prx_01_a_decision_point_needs_no_upstream_and_can_stand_beside_one() {
    let world = World::new();
    let text = std::fs::read_to_string(shipped("nginx")).expect("what we ship").replace(":9000", ":0");
    world.write("alone.toml", &text);
    let service = world.start(&["gateway", "--config", "alone.toml"]);
    let asked = "X-Original-Method: GET\r\nX-Original-URI: /orders\r\nX-Original-Host: api.example\r\n";
    let answer = send(service.told("listen"), "GET /check", asked, "");
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("keybound-status: 401"), "{answer}");
    let nothing = get(service.told("listen"), "/check");
    assert!(nothing.starts_with("HTTP/1.1 403 ") && nothing.contains("keybound-status: 400"), "{nothing}");
    assert_eq!(service.stop().0, 0);

    let both = format!("upstream = \"http://127.0.0.1:1\"\nlisten = \"127.0.0.1:0\"\n{text}");
    world.write("both.toml", &both.replace("addresses = [\"127.0.0.1\"]", "addresses = [\"127.0.0.2\"]"));
    let service = world.start(&["gateway", "--config", "both.toml"]);
    assert!(get(service.told("listen"), "/orders").starts_with("HTTP/1.1 401 "));
    let unlisted = send(service.told("decision"), "GET /check", asked, "");
    assert!(unlisted.starts_with("HTTP/1.1 403 ") && unlisted.contains("BCP-PRX-01"), "{unlisted}");
    assert_eq!(service.stop().0, 0);
}
