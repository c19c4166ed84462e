//! What a route asks of its requests, and what it does to them.

use crate::world::{PUBLIC, Upstream, World, serve};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Nonces off; all else is given.
async fn world(rest: &str) -> World {
    World::start_at(PUBLIC, &format!("nonce = {{ mode = \"off\" }}\n{rest}")).await
}

#[tokio::test]
async fn rs_gw_02_a_prefix_is_stripped_behind_the_guard() {
    let upstream = Upstream::start(200, &[("location", "/elsewhere")]).await;
    let world = world(&format!(
        "[[route]]\npath = \"/shop\"\nupstream = \"http://{0}/v2\"\nstrip_prefix = true\n\
         [[route]]\npath = \"/\"\nupstream = \"http://{0}/\"",
        upstream.address
    ))
    .await;
    for path in ["/shop/orders?a=/shop", "/shop", "/shop/", "/shopping"] {
        let heard = world.get(path, "").await;
        assert_eq!((heard.status, heard.all("location")), (200, vec!["/elsewhere"]), "{path}");
    }
    let seen = upstream.seen();
    let targets: Vec<&str> = seen.iter().map(|seen| seen.target.as_str()).collect();
    assert_eq!(targets, ["/v2/orders?a=/shop", "/v2/", "/v2/", "/shopping"]);
    assert_eq!(seen[0].all("x-forwarded-prefix"), ["/shop"]);
    assert!(seen[3].all("x-forwarded-prefix").is_empty());
    let stripped = world.credentials_with(&world.token(), "GET", "/v2/orders", None);
    let request = format!("GET /shop/orders HTTP/1.1\r\nHost: h\r\n{stripped}\r\n");
    assert_eq!(world.ask(&request).await.status, 401, "a proof names the public URL");
}

#[tokio::test]
async fn rs_gw_11_parameters_of_segments_lead_around_no_route() {
    let upstream = Upstream::start(200, &[]).await;
    let world = world(&format!(
        "upstream = \"http://{}\"\n[[route]]\npath = \"/admin\"\nscopes = [\"admin\"]\n\
         [[route]]\npath = \"/open\"\npublic = true\n[[route]]\npath = \"/raw\"\nraw_path = true",
        upstream.address
    ))
    .await;
    for path in
        ["/admin;a/b", "/;a/admin", "/open/..;/admin", "/open/;/../admin", "/a/..%3ba/admin", "/open;a"]
    {
        let heard = world.get(path, "").await;
        assert!(heard.status == 400 && heard.body.contains("RS-GW-11"), "{path}: {heard:?}");
    }
    assert!(upstream.seen().is_empty());
    assert_eq!(world.get("/admin/b;a", "").await.status, 403);
    for path in ["/a;b=c/d;e", "/raw/..;/a"] {
        assert_eq!(world.get(path, "").await.status, 200, "{path}");
    }
    let targets: Vec<String> = upstream.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/a;b=c/d;e", "/raw/..;/a"]);
}

#[tokio::test]
async fn other_methods_are_405_for_those_who_may_know() {
    let upstream = Upstream::start(200, &[]).await;
    let world = world(&format!(
        "upstream = \"http://{}\"\n[[route]]\npath = \"/a\"\nmethods = [\"GET\", \"POST\"]",
        upstream.address
    ))
    .await;
    let credentials = world.credentials("DELETE", "/a");
    let heard = world.ask(&format!("DELETE /a HTTP/1.1\r\nHost: h\r\n{credentials}\r\n")).await;
    assert_eq!((heard.status, heard.all("allow")), (405, vec!["GET, POST"]));
    assert!(heard.body.contains("method_not_allowed"));
    assert_eq!(world.ask("DELETE /a HTTP/1.1\r\nHost: h\r\n\r\n").await.status, 401);
    assert!(upstream.seen().is_empty());
    assert_eq!(world.get("/a", "").await.status, 200);
}

#[tokio::test]
async fn rs_gw_01_a_public_path_needs_no_token_and_tells_of_nobody() {
    let upstream = Upstream::start(200, &[]).await;
    let rest =
        format!("upstream = \"http://{}\"\n[[route]]\npath = \"/health\"\npublic = true", upstream.address);
    let world = world(&rest).await;
    let spoofed = "Keybound-Subject: mallory\r\nAuthorization: DPoP abc\r\nDPoP: abc\r\n";
    for lines in ["", spoofed] {
        let heard = world.ask(&format!("GET /health HTTP/1.1\r\nHost: h\r\n{lines}\r\n")).await;
        assert_eq!(heard.status, 200);
        assert!(heard.all("www-authenticate").is_empty());
    }
    assert_eq!(world.ask("GET /healthy HTTP/1.1\r\nHost: h\r\n\r\n").await.status, 401);
    assert_eq!(world.ask("GET /health/../a HTTP/1.1\r\nHost: h\r\n\r\n").await.status, 400);
    for seen in upstream.seen() {
        for name in ["keybound-subject", "keybound-issuer", "authorization", "dpop"] {
            assert!(seen.all(name).is_empty(), "{name}");
        }
        assert_eq!(seen.all("x-forwarded-host"), ["api.example"]);
    }
}

#[tokio::test]
async fn rs_gw_03_an_observed_request_goes_on_as_it_came() {
    let upstream = Upstream::start(418, &[]).await;
    let world = world(&format!("upstream = \"http://{}\"\ndpop = \"observe\"", upstream.address)).await;
    let (good, proof) = (world.credentials("GET", "/a"), "DPoP: one\r\nDPoP: two\r\n");
    for lines in [good.as_str(), "", "Authorization: Bearer abc\r\n", &format!("Authorization: x\r\n{proof}")]
    {
        let spoofed = "Keybound-Subject: mallory\r\n";
        let heard = world.ask(&format!("GET /a HTTP/1.1\r\nHost: h\r\n{lines}{spoofed}\r\n")).await;
        assert_eq!((heard.status, heard.all("www-authenticate").len()), (418, 0), "{lines}");
    }
    let seen = upstream.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|seen| seen.headers.keys().all(|name| !name.as_str().starts_with("keybound-"))));
    assert!(good.contains(seen[0].all("authorization")[0]) && good.contains(seen[0].all("dpop")[0]));
    assert_eq!((seen[2].all("authorization"), seen[3].all("dpop")), (vec!["Bearer abc"], vec!["one", "two"]));
}

#[tokio::test]
async fn rs_non_02_nonces_audience_and_bearer_by_route() {
    let upstream = Upstream::start(200, &[("dpop-nonce", "theirs")]).await;
    let world = world(&format!(
        "upstream = \"http://{}\"\n[[route]]\npath = \"/nonce\"\nnonce = \"required\"\n\
         [[route]]\npath = \"/other\"\naudience = [\"https://other.example\"]\n\
         [[route]]\npath = \"/bearer\"\ndpop = \"allowed\"",
        upstream.address
    ))
    .await;
    let plain = world.get("/a", "").await;
    assert_eq!((plain.status, plain.all("dpop-nonce")), (200, vec!["theirs"]));
    let challenge = world.get("/nonce", "").await;
    assert_eq!((challenge.status, challenge.all("dpop-nonce").len()), (401, 1));
    let nonce = challenge.all("dpop-nonce")[0];
    let credentials = world.credentials_with(&world.token(), "GET", "/nonce", Some(nonce));
    let heard = world.ask(&format!("GET /nonce HTTP/1.1\r\nHost: h\r\n{credentials}\r\n")).await;
    assert_eq!(
        (heard.status, heard.all("dpop-nonce").len()),
        (200, 0),
        "one is enough, and ours alone counts"
    );
    assert_eq!(world.get("/other", "").await.status, 401);
    let bearer = world.token_of("https://issuer.example", "read", false);
    for (path, status) in [("/bearer", 200), ("/a", 401)] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {bearer}\r\n\r\n");
        assert_eq!(world.ask(&request).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn rs_gw_08_an_address_that_cannot_be_connected_to_is_passed_over() {
    let (one, other) = (Upstream::start(200, &[]).await, Upstream::start(200, &[]).await);
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let away = closed.local_addr().expect("an address");
    drop(closed);
    let urls = format!("[\"http://{}\", \"http://{away}\", \"http://{}\"]", one.address, other.address);
    let world = world(&format!("upstream = {urls}\nforward_token = true")).await;
    for n in 0..6 {
        let credentials = world.credentials("POST", "/a");
        let body = format!("body {n}");
        let head =
            format!("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n{credentials}\r\n", body.len());
        assert_eq!(world.ask(&format!("{head}{body}")).await.status, 200);
    }
    let all = [one.seen(), other.seen()];
    assert_eq!(all.iter().map(Vec::len).sum::<usize>(), 6, "each was sent once");
    assert!(all.iter().all(|seen| seen.len() >= 2), "they take turns");
    for (seen, upstream) in all.iter().zip([&one, &other]) {
        assert!(seen.iter().all(|seen| seen.all("host") == [upstream.address.to_string()]));
        assert!(seen.iter().all(|seen| seen.body.starts_with(b"body ")));
    }
}

#[tokio::test]
async fn rs_gw_08_an_address_that_breaks_off_is_the_only_one_that_was_asked() {
    let breaking = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = breaking.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = breaking.accept().await {
            let _ = stream.read(&mut [0; 16]).await;
        }
    });
    let other = Upstream::start(200, &[]).await;
    let world = world(&format!("upstream = [\"http://{address}\", \"http://{}\"]", other.address)).await;
    assert_eq!(world.get("/a", "").await.status, 502);
    assert!(other.seen().is_empty());
    assert_eq!(world.get("/a", "").await.status, 200, "the next request is the next one's");
}

#[tokio::test]
async fn all_addresses_away_is_502() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let away = closed.local_addr().expect("an address");
    drop(closed);
    let world = world(&format!("upstream = [\"http://{away}\", \"http://{away}/again\"]")).await;
    for _ in 0..2 {
        assert_eq!(world.get("/a", "").await.status, 502);
    }
}

/// An upstream that counts bytes and hears no end of a body that breaks off.
async fn counting() -> SocketAddr {
    serve(|request: Request<Incoming>| async move {
        let count = request.into_body().collect().await.map(|body| body.to_bytes().len());
        Response::new(Full::new(Bytes::from(format!("{count:?}"))))
    })
    .await
}

#[tokio::test]
async fn ops_lim_01_a_body_beyond_the_route_s_limit_is_413() {
    let address = counting().await;
    let rest = format!(
        "upstream = \"http://{address}\"\nmax_body_bytes = 10\n[[route]]\npath = \"/big\"\nmax_body_bytes = 11"
    );
    let world = world(&rest).await;
    let send = async |path: &str, framing: &str, body: &str| {
        let credentials = world.credentials("POST", path);
        world.ask(&format!("POST {path} HTTP/1.1\r\nHost: h\r\n{framing}\r\n{credentials}\r\n{body}")).await
    };
    let chunked = "Transfer-Encoding: chunked";
    assert_eq!(send("/a", "Content-Length: 10", "0123456789").await.status, 200);
    assert_eq!(send("/a", chunked, "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n").await.status, 200);
    assert_eq!(send("/a", chunked, "5\r\n01234\r\n6\r\n56789A\r\n0\r\n\r\n").await.status, 413);
    assert_eq!(send("/big", chunked, "5\r\n01234\r\n6\r\n56789A\r\n0\r\n\r\n").await.status, 200);
    let heard = send("/a", "Content-Length: 11", "0123456789A").await;
    assert_eq!((heard.status, heard.all("content-type")), (413, vec!["application/json"]));
    let refused = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n0123456789A";
    assert_eq!(world.ask(refused).await.status, 401, "the guard comes first");
}

#[tokio::test]
async fn an_answer_that_pauses_too_long_is_broken_off() {
    let address = serve(|_: Request<Incoming>| async {
        let first = futures_util::stream::iter([Ok::<_, Infallible>(http_body::Frame::data(
            Bytes::from_static(b"first"),
        ))]);
        let body = futures_util::StreamExt::chain(first, futures_util::stream::pending());
        Response::new(http_body_util::StreamBody::new(body))
    })
    .await;
    let rest =
        format!("upstream = \"http://{address}\"\n[[route]]\npath = \"/a\"\ntimeout = {{ idle_secs = 1 }}");
    let heard = world(&rest).await.get("/a", "").await;
    assert!(heard.body.contains("first") && !heard.body.ends_with("0\r\n\r\n"), "{heard:?}");
}

#[tokio::test]
async fn timeouts_are_the_route_s() {
    let silent = serve(|_| std::future::pending::<Response<Full<Bytes>>>()).await;
    let rest = format!(
        "upstream = \"http://{silent}\"\n[timeout]\nanswer_secs = 3600\n[[route]]\npath = \"/a\"\ntimeout = {{ answer_secs = 1 }}"
    );
    assert_eq!(world(&rest).await.get("/a", "").await.status, 504);
}

#[tokio::test]
async fn an_upload_is_asked_for_only_once_it_may_pass() {
    let upstream = Upstream::start(200, &[]).await;
    let world = world(&format!("upstream = \"http://{}\"", upstream.address)).await;
    let expecting = async |credentials: &str| {
        let mut stream = TcpStream::connect(world.address).await.expect("connected");
        let head = format!(
            "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n{credentials}\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("written");
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.expect("an answer");
        (stream, String::from_utf8_lossy(&first).into_owned())
    };
    let (mut refused, first) = expecting("").await;
    assert_eq!(first, "HTTP/1.1 401");
    let mut rest = String::new();
    refused.read_to_string(&mut rest).await.expect("the rest");
    assert!(!rest.contains("HTTP/1.1"), "{rest}");
    let (mut let_through, first) = expecting(&world.credentials("PUT", "/a")).await;
    assert_eq!(first, "HTTP/1.1 100");
    let_through.write_all(b"body").await.expect("written");
    let mut rest = String::new();
    let_through.read_to_string(&mut rest).await.expect("the rest");
    assert!(rest.contains("HTTP/1.1 200"), "{rest}");
    assert_eq!(upstream.only().body, "body");
}

#[tokio::test]
async fn rs_gw_10_what_a_proxy_took_early_is_425() {
    let upstream = Upstream::start(200, &[]).await;
    let rest =
        format!("upstream = \"http://{}\"\n[[route]]\npath = \"/open\"\npublic = true", upstream.address);
    let world = world(&rest).await;
    for path in ["/a", "/open"] {
        let heard = world.get(path, "Early-Data: 1\r\n").await;
        assert_eq!(heard.status, 425);
        assert!(heard.body.contains("too_early"));
    }
    assert!(upstream.seen().is_empty());
    let lines = world.credentials("GET", "/a");
    let request = format!("GET /a HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
    let early = request.replacen("\r\n\r\n", "\r\nEarly-Data: 1\r\n\r\n", 1);
    assert_eq!(world.ask(&early).await.status, 425);
    assert_eq!(world.ask(&request).await.status, 200, "the proof is not spent by an early request");
}
