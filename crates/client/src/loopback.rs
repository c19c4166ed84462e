//! The redirect URI of a program on this machine (RFC 8252 §7.3): a listener on 127.0.0.1 that takes one authorization
//! response and answers with a page that says nothing about it.

use keybound_dpop::secret::Secret;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// Bytes of a request's head, at the most.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// For how long a connection may take to send its request.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// For how long the browser may take to come for the last page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections at a time, at the most: browsers open some in advance.
const MAX_CONNECTIONS: usize = 16;
/// Where the browser ends: a URL without code and state.
const DONE: &str = "/done";
const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Answer received</title>\
    <p>The answer has arrived. You can close this window and go back to the program.</p></html>";

/// A listener for one authorization response. It stops when it is dropped.
#[derive(Debug)]
pub struct Loopback {
    redirect_uri: String,
    response: oneshot::Receiver<Secret>,
    shown: Arc<Notify>,
    serving: JoinHandle<()>,
}

/// No authorization response came.
#[derive(Debug, thiserror::Error)]
pub enum LoopbackError {
    /// The path is not one.
    #[error("the path of the redirect URI must begin with a slash and hold no query")]
    Path,
    /// No port can be had.
    #[error("cannot listen on 127.0.0.1 for the browser's answer: {0}")]
    Listen(#[from] io::Error),
    /// The user took too long.
    #[error("no answer came from the browser in time; start the login again")]
    TimedOut,
}

struct Gate {
    authority: String,
    path: String,
    waiting: Mutex<Option<oneshot::Sender<Secret>>>,
    shown: Arc<Notify>,
}

impl Loopback {
    /// Listens on 127.0.0.1, at a port that the system chooses.
    ///
    /// # Errors
    /// [`LoopbackError`]
    pub async fn listen(path: &str) -> Result<Self, LoopbackError> {
        Self::listen_at(path, 0).await
    }

    /// Listens on 127.0.0.1, at this port: for servers that compare the whole redirect URI (RFC 8252 §7.3 has them take
    /// any port). Another program may have taken it, or may wait for it.
    ///
    /// # Errors
    /// [`LoopbackError`]
    pub async fn listen_at(path: &str, port: u16) -> Result<Self, LoopbackError> {
        let is_path =
            path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && !b"?#".contains(&b));
        if !is_path || path == DONE {
            return Err(LoopbackError::Path);
        }
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let authority = listener.local_addr()?.to_string();
        let (sender, response) = oneshot::channel();
        let shown = Arc::new(Notify::new());
        let redirect_uri = format!("http://{authority}{path}");
        let waiting = Mutex::new(Some(sender));
        let gate = Gate { authority, path: path.to_owned(), waiting, shown: Arc::clone(&shown) };
        let serving = tokio::spawn(serve(listener, Arc::new(gate)));
        Ok(Self { redirect_uri, response, shown, serving })
    }

    /// The redirect URI.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Waits for the response: the query of the redirect, not yet judged. Gives the browser a moment to come for the
    /// last page.
    ///
    /// # Errors
    /// [`LoopbackError::TimedOut`]
    pub async fn response(&mut self, within: Duration) -> Result<Secret, LoopbackError> {
        let query = timeout(within, &mut self.response).await;
        let query = query.ok().and_then(Result::ok).ok_or(LoopbackError::TimedOut)?;
        if timeout(PAGE_TIMEOUT, self.shown.notified()).await.is_err() {
            tracing::debug!("the browser did not come for the last page");
        }
        Ok(query)
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, gate: Arc<Gate>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let gate = Arc::clone(&gate);
        connections.spawn(async move {
            answer(stream, &gate).await;
            drop(slot);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(mut stream: TcpStream, gate: &Gate) {
    let Ok(Some(head)) = timeout(READ_TIMEOUT, read_head(&mut stream)).await else { return };
    let (reply, is_page) = gate.reply(&head);
    let sent = stream.write_all(reply.as_bytes()).await;
    if sent.and(stream.shutdown().await).is_ok() && is_page {
        gate.shown.notify_one();
    }
}

/// Everything up to the empty line; `None` where it never comes, or too late.
async fn read_head(stream: &mut TcpStream) -> Option<Secret> {
    let mut head = zeroize::Zeroizing::new(vec![0_u8; MAX_HEAD_BYTES]);
    let mut filled = 0;
    while let Some(room) = head.get_mut(filled..).filter(|room| !room.is_empty()) {
        match stream.read(room).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => filled += read,
        }
        let came = head.get(..filled)?;
        if came.windows(4).any(|window| window == b"\r\n\r\n") {
            return std::str::from_utf8(came).ok().map(Secret::new);
        }
    }
    None
}

impl Gate {
    /// The answer to a request, and whether it is the last page.
    fn reply(&self, head: &Secret) -> (String, bool) {
        let Some(target) = self.target(head.reveal()) else { return (plain("400 Bad Request"), false) };
        match target.split_once('?') {
            None if target == DONE => (page(), true),
            Some((path, query)) if path == self.path => (self.take(query), false),
            _ => (plain("404 Not Found"), false),
        }
    }

    /// The request target of a GET that was sent to us, by that name (RFC 9112 §3).
    fn target<'h>(&self, head: &'h str) -> Option<&'h str> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let is_get = words.next() == Some("GET");
        let target = words.next()?;
        let is_http =
            words.next().is_some_and(|version| version.starts_with("HTTP/1.")) && words.next().is_none();
        let mut hosts = lines
            .filter_map(|line| line.split_once(':'))
            .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
            .map(|(_, value)| value.trim());
        let is_ours = hosts.next() == Some(self.authority.as_str()) && hosts.next().is_none();
        (is_get && is_http && is_ours).then_some(target)
    }

    /// The first response is taken; the browser is sent on, so that the code does not stay in its address bar.
    fn take(&self, query: &str) -> String {
        match self.waiting.lock().take() {
            Some(waiting) => {
                if waiting.send(Secret::new(query)).is_err() {
                    tracing::debug!("nobody waits for the authorization response any more");
                }
                headed("303 See Other", &format!("Location: {DONE}\r\n"), "")
            }
            None => plain("410 Gone"),
        }
    }
}

fn page() -> String {
    headed("200 OK", "Content-Type: text/html; charset=utf-8\r\n", PAGE)
}

fn plain(status: &str) -> String {
    headed(status, "", "")
}

fn headed(status: &str, fields: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\nConnection: close\r\nCache-Control: no-store\r\n\
         Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(loopback: &Loopback, target: &str) -> String {
        let host = loopback.redirect_uri().split('/').nth(2).expect("an authority");
        send(loopback, &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await
    }

    async fn send(loopback: &Loopback, request: &str) -> String {
        let host = loopback.redirect_uri().split('/').nth(2).expect("an authority");
        let mut stream = TcpStream::connect(host).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    #[tokio::test]
    async fn cl_flw_11_one_response_is_taken_and_a_second_is_gone() {
        let mut loopback = Loopback::listen("/callback").await.expect("a listener");
        assert!(get(&loopback, "/favicon.ico").await.starts_with("HTTP/1.1 404 "));
        assert!(get(&loopback, "/callback").await.starts_with("HTTP/1.1 404 "));
        let first = get(&loopback, "/callback?code=c0de&state=s").await;
        assert!(first.starts_with("HTTP/1.1 303 ") && !first.contains("c0de"), "{first}");
        assert!(get(&loopback, "/done").await.starts_with("HTTP/1.1 200 "));
        let query = loopback.response(Duration::from_secs(5)).await.expect("a response");
        assert_eq!(query.reveal(), "code=c0de&state=s");
        assert!(get(&loopback, "/callback?code=other&state=s").await.starts_with("HTTP/1.1 410 "));
    }

    #[tokio::test]
    async fn cl_flw_13_the_browser_ends_at_a_clean_url() {
        let loopback = Loopback::listen("/cb").await.expect("a listener");
        let answer = get(&loopback, "/cb?code=c0de&state=s").await;
        assert!(answer.contains("\r\nLocation: /done\r\n"), "{answer}");
        assert!(answer.contains("\r\nReferrer-Policy: no-referrer\r\n") && answer.contains("no-store"));
    }

    #[tokio::test]
    async fn idle_connections_do_not_stand_in_the_way() {
        let mut loopback = Loopback::listen("/cb").await.expect("a listener");
        let host = loopback.redirect_uri().split('/').nth(2).expect("an authority").to_owned();
        let _idle = TcpStream::connect(&host).await.expect("connected");
        get(&loopback, "/cb?code=c").await;
        get(&loopback, "/done").await;
        assert!(loopback.response(Duration::from_secs(5)).await.is_ok());
    }

    #[tokio::test]
    async fn other_requests_take_nothing() {
        let mut loopback = Loopback::listen("/cb").await.expect("a listener");
        let host = loopback.redirect_uri().split('/').nth(2).expect("an authority").to_owned();
        for request in [
            format!("POST /cb?code=c HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            "GET /cb?code=c HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(),
            format!("GET /cb?code=c HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n"),
            "GET /cb?code=c HTTP/1.1\r\n\r\n".to_owned(),
            format!("GET /cb?code=c d HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        ] {
            assert!(send(&loopback, &request).await.starts_with("HTTP/1.1 400 "), "{request}");
        }
        let none = loopback.response(Duration::from_millis(1)).await;
        assert!(matches!(none, Err(LoopbackError::TimedOut)));
        assert!(matches!(Loopback::listen("cb?x").await, Err(LoopbackError::Path)));
    }
}
