//! Health and metrics on the administrators' listener.

use std::sync::Arc;

use keybound_serve::{Metrics, Options, Readiness, Server, admin_service, bind};
use prometheus_client::registry::Registry;
use tokio::net::TcpStream;

use crate::support::{Peer, anywhere, get, status};

struct Admin {
    address: std::net::SocketAddr,
    readiness: Readiness,
}

impl Admin {
    async fn start(readiness: Readiness) -> Self {
        let mut registry = Registry::default();
        Metrics::register(&mut registry);
        let service = admin_service(Arc::new(registry), readiness.clone());
        let listener = bind(anywhere()).await.unwrap();
        let server = Server::new(listener, service, Options::new("admin")).unwrap();
        let address = server.local_addr();
        tokio::spawn(server.run(std::future::pending()));
        Self { address, readiness }
    }

    async fn ask(&self, request: &str) -> String {
        let mut peer = Peer(TcpStream::connect(self.address).await.unwrap());
        peer.write(request).await;
        peer.read_to_close().await
    }
}

#[tokio::test]
async fn ops_dep_04_readiness_names_its_checks_without_secrets() {
    let readiness = Readiness::builder()
        .check("keys", || async { Ok(()) })
        .check("store", || async { Err("password canary refused".to_owned()) })
        .build();
    let admin = Admin::start(readiness).await;
    let response = admin.ask(&get("/readyz")).await;
    assert_eq!(status(&response), 503);
    assert!(response.ends_with("keys: ok\nstore: failed\nnot ready\n"), "{response}");
    assert!(!response.contains("canary"), "{response}");
    assert_eq!(status(&admin.ask(&get("/livez")).await), 200);
}

#[tokio::test]
async fn ops_dep_04_who_is_leaving_is_not_ready() {
    let admin = Admin::start(Readiness::builder().check("store", || async { Ok(()) }).build()).await;
    let response = admin.ask(&get("/readyz")).await;
    assert_eq!(status(&response), 200);
    assert!(response.ends_with("store: ok\nready\n"), "{response}");
    admin.readiness.leave();
    let response = admin.ask(&get("/readyz")).await;
    assert_eq!(status(&response), 503);
    assert!(response.ends_with("stopping\n"), "{response}");
}

#[tokio::test]
async fn ops_log_05_metrics_are_open_metrics_text() {
    let admin = Admin::start(Readiness::default()).await;
    let response = admin.ask(&get("/metrics")).await;
    assert_eq!(status(&response), 200);
    assert!(response.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(response.contains("# TYPE http_connections_open gauge\n"), "{response}");
    assert!(response.ends_with("# EOF\n"), "{response}");
}

#[tokio::test]
async fn there_is_nothing_else_here() {
    let admin = Admin::start(Readiness::default()).await;
    assert_eq!(status(&admin.ask(&get("/")).await), 404);
    let post = "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&admin.ask(post).await), 405);
}
