//! A log behind TLS.

use crate::nodes::{PATIENT, World};
use crate::postgres_server::{Postgres, own};
use crate::redis_server::Redis;
use rcgen::generate_simple_self_signed;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A certificate for this machine and its key, as files that a server reads.
struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificate {
    fn new(world: &World, name: &str) -> Self {
        let made = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
        let (certificate, key) = (world.path(&format!("{name}.pem")), world.path(&format!("{name}.key")));
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("permissions");
        own(&certificate);
        own(&key);
        Self { certificate, key }
    }

    fn files(&self) -> (String, String) {
        (self.certificate.display().to_string(), self.key.display().to_string())
    }
}

fn free_port() -> u16 {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    port.local_addr().expect("an address").port()
}

/// With the authority that the server's certificate is from a proof counts once, with another one none at all.
async fn certificates_are_checked(world: &World, replay: &str) {
    let node = world.node("", &format!("{replay}\ntrusted_roots = \"log.pem\"\n{PATIENT}")).await;
    world.call(&node, "/").await.is_let_through();
    let proof = world.proof("/");
    world.send(&node, "/", &proof).await.is_let_through();
    world.send(&node, "/", &proof).await.is_a_replay();
    for roots in ["trusted_roots = \"other.pem\"", ""] {
        let node = world.node("", &format!("{replay}\n{roots}\n{PATIENT}")).await;
        world.call(&node, "/").await.is_unavailable();
        let reason = node.gateway.replay_log_is_reachable().await.expect_err("not to be trusted");
        assert!(!reason.contains("no answer"), "{reason}");
    }
}

#[tokio::test]
async fn ops_rep_05_a_redis_behind_tls_must_show_a_certificate_that_is_trusted() {
    let world = World::new().await;
    let (certificate, key) = Certificate::new(&world, "log").files();
    Certificate::new(&world, "other");
    let port = free_port();
    let more = [
        ("--tls-port", port.to_string()),
        ("--port", "0".to_owned()),
        ("--bind", "127.0.0.1".to_owned()),
        ("--tls-cert-file", certificate.clone()),
        ("--tls-key-file", key),
        ("--tls-ca-cert-file", certificate),
        ("--tls-auth-clients", "no".to_owned()),
    ];
    let more: Vec<String> = more.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
    let redis = Redis::with(&more).await;
    let replay = format!("log = \"redis\"\nurl = \"rediss://127.0.0.1:{port}\"");
    certificates_are_checked(&world, &replay).await;
    assert_eq!(redis.ask("DBSIZE").await.as_deref(), Some(":2"));
}

#[tokio::test]
async fn ops_rep_05_a_postgresql_behind_tls_must_show_a_certificate_that_is_trusted() {
    let world = World::new().await;
    let (certificate, key) = Certificate::new(&world, "log").files();
    Certificate::new(&world, "other");
    let port = free_port();
    own(&world.path(""));
    let more = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={certificate}"),
        format!("ssl_key_file={key}"),
        "listen_addresses=127.0.0.1".to_owned(),
    ];
    let postgres = Postgres::at(port, &more).await;
    let replay = format!(
        "log = \"postgres\"\nurl = \"postgresql://keybound@127.0.0.1:{port}/postgres?sslmode=require\""
    );
    certificates_are_checked(&world, &replay).await;
    assert_eq!(postgres.ask("SELECT count(*) FROM keybound_replay"), "2");
}
