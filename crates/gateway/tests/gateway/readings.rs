//! Requests and paths with more than one reading never reach the upstream (RS-GW-05, RS-GW-11).

use crate::world::{Upstream, World};

#[tokio::test]
async fn rs_gw_05_ambiguous_requests_are_refused_first() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "").await;
    for (line, lines) in [
        ("GET /a HTTP/1.1", "Host: api.example\r\nHost: api.example\r\n"),
        ("GET /a HTTP/1.1", "Host: api.example\r\nHost: evil.example\r\n"),
        ("GET http://evil.example/a HTTP/1.1", "Host: api.example\r\n"),
        ("GET /a HTTP/1.1", "Host: h\r\nTransfer-Encoding: gzip, chunked\r\n"),
        ("GET /a HTTP/1.1", "Host: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ("GET /a HTTP/1.1", "Host: h\r\nContent-Length: 0\r\nContent-Length: 1\r\n"),
        ("GET /a HTTP/1.1", "Host: h\r\nConnection: host\r\n"),
    ] {
        let credentials = world.credentials("GET", "/a");
        let heard = world.ask(&format!("{line}\r\n{lines}{credentials}\r\n0\r\n\r\n")).await;
        assert_eq!(heard.status, 400, "{line} {lines}");
    }
    assert!(upstream.seen().is_empty());
    let credentials = world.credentials("GET", "/a");
    let absolute = format!("GET http://api.example/a HTTP/1.1\r\nHost: api.example\r\n{credentials}\r\n");
    assert_eq!(world.ask(&absolute).await.status, 200);
    assert_eq!(upstream.only().target, "/a");
}

#[tokio::test]
async fn rs_gw_11_paths_cannot_slip_past_a_route() {
    let upstream = Upstream::start(200, &[]).await;
    let admin = "[[route]]\npath = \"/admin\"\nscopes = [\"admin\"]\n";
    let world = World::start(upstream.address, admin).await;
    for path in [
        "/x/../admin",
        "/./admin",
        "//admin",
        "/x//admin",
        "/%61dmin",
        "/admin%2Fdelete",
        "/x/%2e%2e/admin",
        "/x/..%2Fadmin",
        "/x\\..\\admin",
        "/x/%5c../admin",
        "/x%00/admin",
        "/admin/%2E",
        "/%7Euser",
        "/x/%c3%a9",
        "/a%zz",
    ] {
        let heard = world.get(path, "").await;
        assert_eq!(heard.status, 400, "{path}: {}", heard.body);
    }
    assert_eq!(world.get("/admin", "").await.status, 403);
    assert_eq!(world.get("/admin/delete", "").await.status, 403);
    assert!(upstream.seen().is_empty());
    assert_eq!(world.get("/administrators?next=/../admin//", "").await.status, 200);
    assert_eq!(upstream.only().target, "/administrators?next=/../admin//");
}

#[tokio::test]
async fn rs_gw_11_a_route_can_take_raw_paths() {
    let upstream = Upstream::start(200, &[]).await;
    let raw = "[[route]]\npath = \"/files\"\nraw_path = true\n";
    let world = World::start(upstream.address, raw).await;
    assert_eq!(world.get("/files/a%2Fb//c", "").await.status, 200);
    assert_eq!(upstream.only().target, "/files/a%2Fb//c", "it goes on as it came");
    assert_eq!(world.get("/other/a%2Fb", "").await.status, 400);
}

#[tokio::test]
async fn rs_chk_05_a_route_wants_its_scopes() {
    let upstream = Upstream::start(200, &[]).await;
    let world = World::start(upstream.address, "[[route]]\npath = \"/write\"\nscopes = [\"write\"]\n").await;
    let refused = world.get("/write", "").await;
    assert_eq!(refused.status, 403);
    assert!(refused.all("www-authenticate")[0].contains("scope=\"write\""));
    let token = world.token_of("https://issuer.example", "write", true);
    let credentials = world.credentials_with(&token, "GET", "/write", None);
    let request = format!("GET /write HTTP/1.1\r\nHost: h\r\n{credentials}\r\n");
    assert_eq!(world.ask(&request).await.status, 200);
    assert_eq!(upstream.only().target, "/write");
}

#[tokio::test]
async fn a_path_without_a_route_is_404_for_those_who_may_know() {
    let upstream = Upstream::start(200, &[]).await;
    let rest = format!(
        "[nonce]\nmode = \"off\"\n[[route]]\npath = \"/a\"\nupstream = \"http://{}\"",
        upstream.address
    );
    let world = World::start_at("https://api.example", &rest).await;
    assert_eq!(world.ask("GET /b HTTP/1.1\r\nHost: h\r\n\r\n").await.status, 401);
    assert_eq!(world.get("/b", "").await.status, 404);
    assert_eq!(world.get("/a/b", "").await.status, 200);
}
