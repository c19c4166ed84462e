//! Requests that the gateway and its upstream could read in two ways, with good credentials: what is hidden in them never
//! arrives (RS-GW-05).

use crate::gateway::{Scribe, Stage};
use crate::process::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What an attacker would like the upstream to see.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";

/// Lines of a head, and what follows it: the length is told in two ways, or in one that some would read otherwise.
const HEADS: &[(&str, &str, &str)] = &[
    ("both lengths", "Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("both lengths, turned", "Transfer-Encoding: chunked\r\nContent-Length: 6", "0\r\n\r\n"),
    ("two lengths", "Content-Length: 0\r\nContent-Length: 40", ""),
    ("a list of lengths", "Content-Length: 0, 40", ""),
    ("a length with a sign", "Content-Length: +0", ""),
    ("a negative length", "Content-Length: -1", ""),
    ("a length beyond all numbers", "Content-Length: 99999999999999999999", ""),
    ("a length and a space", "Content-Length : 40", ""),
    ("a folded length", "Content-Length:\r\n 40", ""),
    ("a folded coding", "Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
    ("a line that begins with a space", " Transfer-Encoding: chunked\r\nContent-Length: 0", ""),
    ("coding and a space", "Transfer-Encoding : chunked", "0\r\n\r\n"),
    ("another coding", "Transfer-Encoding: xchunked", "0\r\n\r\n"),
    ("identity", "Transfer-Encoding: identity", ""),
    ("chunked, then another", "Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
    ("two codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("two codings, one empty", "Transfer-Encoding:\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("a coding in quotes", "Transfer-Encoding: \"chunked\"", "0\r\n\r\n"),
    ("a coding behind a vertical tab", "Transfer-Encoding: \x0bchunked", "0\r\n\r\n"),
    ("a bare carriage return", "X: a\rTransfer-Encoding: chunked\r\nContent-Length: 0", ""),
    ("a NUL in a name", "Transfer-Encoding\0: chunked", "0\r\n\r\n"),
    ("Connection takes the length away", "Connection: content-length\r\nContent-Length: 0", ""),
    (
        "Connection takes the coding away",
        "Connection: transfer-encoding\r\nTransfer-Encoding: chunked",
        "0\r\n\r\n",
    ),
    ("Connection takes the proof away", "Connection: dpop", ""),
    ("two hosts", "Host: other\r\nContent-Length: 0", ""),
];

/// Chunks that some would read otherwise.
const CHUNKS: &[(&str, &str)] = &[
    ("a size with a sign", "+0\r\n\r\n"),
    ("a size with a prefix", "0x0\r\n\r\n"),
    ("no size", "\r\n\r\n"),
    ("a size beyond all numbers", "10000000000000000\r\n\r\n"),
    ("a size in words", "zero\r\n\r\n"),
    ("a size behind a space", " 0\r\n\r\n"),
    ("a chunk longer than it says", "1\r\nab\r\n0\r\n\r\n"),
    ("a chunk without its end", "1\r\na0\r\n\r\n"),
    ("a bare line feed behind a size", "1\na\r\n0\r\n\r\n"),
    ("a bare line feed in an extension", "1;a=\nb\r\na\r\n0\r\n\r\n"),
    ("a bare carriage return behind a size", "1\ra\r\n0\r\n\r\n"),
];

#[tokio::test]
async fn atk_111_rs_gw_05_a_head_with_two_readings_never_leaves_the_gateway() {
    let scribe = Scribe::start().await;
    let stage = Stage::start(scribe.address, "").await;
    for (name, lines, body) in HEADS {
        let credentials = stage.credentials("POST", "/a");
        let request = format!("POST /a HTTP/1.1\r\nHost: h\r\n{credentials}{lines}\r\n\r\n{body}{HIDDEN}");
        let answer = stage.send(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: the connection is closed: {answer}");
        assert_eq!(scribe.read(), "", "{name}");
    }
    for (name, line) in [
        ("an absolute target of another host", "POST http://other/a HTTP/1.1"),
        ("an authority with a user", "POST http://u@h/a HTTP/1.1"),
        ("a version that is none", "POST /a HTTP/1.2"),
        ("a space in the target", "POST /a /b HTTP/1.1"),
    ] {
        let credentials = stage.credentials("POST", "/a");
        let answer = stage.send(format!("{line}\r\nHost: h\r\n{credentials}\r\n{HIDDEN}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{name}: {answer}");
        assert_eq!(scribe.read(), "", "{name}");
    }
    stage.assert_well().await;
}

#[tokio::test]
async fn atk_111_rs_gw_05_what_hides_behind_chunks_never_arrives() {
    let scribe = Scribe::start().await;
    let stage = Stage::start(scribe.address, "").await;
    for (name, chunks) in CHUNKS {
        let credentials = stage.credentials("POST", "/a");
        let head = format!("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{credentials}\r\n");
        let answer = stage.send(format!("{head}{chunks}{HIDDEN}").as_bytes()).await;
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{name}: the connection is closed: {answer}");
        stage.assert_well().await;
        for page in scribe.pages() {
            assert!(!page.contains("/hidden"), "{name}: {page}");
            let broken = |after: &str| after.contains("GET /well ") && !after.contains("\r\n0\r\n\r\n");
            let shared = page.split("POST /a ").skip(1).any(broken);
            assert!(!shared, "{name}: a connection that was broken off is used again: {page}");
        }
    }
}

#[tokio::test]
async fn rs_gw_05_a_request_in_a_body_is_a_body() {
    let scribe = Scribe::start().await;
    let stage = Stage::start(scribe.address, "").await;
    let credentials = stage.credentials("POST", "/a");
    let framing = format!("Content-Length: {}", HIDDEN.len());
    let answer =
        stage.ask(&format!("POST /a HTTP/1.1\r\nHost: h\r\n{framing}\r\n{credentials}\r\n{HIDDEN}")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = scribe.read().to_ascii_lowercase();
    assert!(seen.contains(&format!("content-length: {}\r\n", HIDDEN.len())), "{seen}");
    assert!(!seen.contains("transfer-encoding"), "{seen}");
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).expect("short").to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A field as it is, without index and without Huffman coding (RFC 7541 §6.2.2).
fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        // An integer with a prefix of seven bits.
        match u8::try_from(text.len()) {
            Ok(short @ 0..127) => field.push(short),
            _ => {
                field.push(127);
                let mut rest = text.len() - 127;
                while rest >= 128 {
                    field.push(u8::try_from(rest % 128).expect("seven bits") | 128);
                    rest /= 128;
                }
                field.push(u8::try_from(rest).expect("seven bits"));
            }
        }
        field.extend(text);
    }
    field
}

/// One HTTP/2 request with these fields; whether an answer with status 200 came. A stream that is reset is none, and
/// neither is a connection that is closed.
async fn ask_http_2(stage: &Stage, path: &[u8], more: &[(&[u8], &[u8])], body: &[u8]) -> bool {
    let token = stage.token();
    let (authorization, proof) = (format!("DPoP {token}"), stage.proof("POST", "/a", &token));
    let mut block = Vec::new();
    for (name, value) in [
        (b":method".as_slice(), b"POST".as_slice()),
        (b":scheme", b"http"),
        (b":authority", b"h"),
        (b":path", path),
        (b"authorization", authorization.as_bytes()),
        (b"dpop", proof.as_bytes()),
    ] {
        block.extend(field(name, value));
    }
    for (name, value) in more {
        block.extend(field(name, value));
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    bytes.extend(frame(1, 4, 1, &block));
    bytes.extend(frame(0, 1, 1, body));
    let mut stream = stage.connect().await;
    stream.write_all(&bytes).await.expect("written");
    let mut head = [0; 9];
    // HEADERS, RST_STREAM or GOAWAY ends it; 0x88 is `:status: 200`.
    while within("a frame", stream.read_exact(&mut head)).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("short")];
        within("a payload", stream.read_exact(&mut payload)).await.expect("a payload");
        match head[3] {
            1 => return payload.first() == Some(&0x88),
            3 | 7 => return false,
            _ => {}
        }
    }
    false
}

/// Names and values, octet by octet.
type Fields<'a> = &'a [(&'a [u8], &'a [u8])];

#[tokio::test]
async fn atk_111_rs_gw_06_what_http_1_could_read_otherwise_does_not_come_out_of_http_2() {
    let scribe = Scribe::start().await;
    let stage = Stage::start(scribe.address, "").await;
    assert!(ask_http_2(&stage, b"/a", &[], b"").await, "a plain one passes");
    assert!(scribe.read().starts_with("POST /a HTTP/1.1\r\n"));
    let crlf = b"a\r\n\r\nGET /hidden HTTP/1.1\r\nHost: h\r\n\r\n".as_slice();
    let attacks: [(&str, Fields<'_>); 10] = [
        ("line ends in a value", &[(b"x", crlf)]),
        ("a line feed in a value", &[(b"x", b"a\nTransfer-Encoding: chunked")]),
        ("line ends in a name", &[(b"x: a\r\ntransfer-encoding", b"chunked")]),
        ("a colon in a name", &[(b"transfer-encoding: chunked\r\nx", b"a")]),
        ("a name in upper case", &[(b"Transfer-Encoding", b"chunked")]),
        ("a coding", &[(b"transfer-encoding", b"chunked")]),
        ("a connection option", &[(b"connection", b"dpop")]),
        ("a length that is none", &[(b"content-length", b"0, 40")]),
        ("a length that is too short", &[(b"content-length", b"1")]),
        ("another host", &[(b"host", b"other")]),
    ];
    for (name, fields) in attacks {
        assert!(!ask_http_2(&stage, b"/a", fields, HIDDEN.as_bytes()).await, "{name}");
        let seen = scribe.read();
        assert!(!seen.contains("chunked\r\nx") && !seen.contains("\r\n\r\nGET /hidden"), "{name}: {seen}");
    }
    for path in [
        b"/a HTTP/1.1\r\nHost: h\r\n\r\nGET /hidden".as_slice(),
        b"/a\r\n",
        b"/a b",
        b"http://other/a",
        b"a",
        b"",
    ] {
        assert!(!ask_http_2(&stage, path, &[], b"").await, "{}", String::from_utf8_lossy(path));
        assert_eq!(scribe.read(), "");
    }
    stage.assert_well().await;
}
