//! What goes over the wire: a tap in front of each server, which passes every byte on and keeps what it saw.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of one message, at the most.
const MAX_MESSAGE: usize = 1024 * 1024;

/// One HTTP/1.1 message, as its bytes were.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) first_line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// All values of a header.
    pub(crate) fn all<'m>(&'m self, name: &str) -> impl Iterator<Item = &'m str> {
        let is_it = move |known: &str| known.eq_ignore_ascii_case(name);
        let found: Vec<&str> =
            self.headers.iter().filter(|(known, _)| is_it(known)).map(|(_, value)| value.as_str()).collect();
        found.into_iter()
    }

    /// The value of a header that stands once.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }

    /// The status of a response.
    pub(crate) fn status(&self) -> u16 {
        self.first_line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// Method and target of a request.
    pub(crate) fn request_line(&self) -> (&str, &str) {
        let mut words = self.first_line.split(' ');
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// A request and what it was answered.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) request: Message,
    pub(crate) response: Message,
}

/// A tap: where clients connect to, and what went through.
#[derive(Clone, Debug)]
pub(crate) struct Tap {
    seen: Arc<Mutex<Vec<Exchange>>>,
}

impl Tap {
    /// Passes what arrives at `listener` on to `server`, from now on.
    pub(crate) fn open(listener: TcpListener, server: SocketAddr) -> Self {
        let tap = Self { seen: Arc::default() };
        let of_connections = tap.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let tap = of_connections.clone();
                tokio::spawn(async move {
                    // A connection that breaks is the client's to notice.
                    let _ = tap.pass_on(client, server).await;
                });
            }
        });
        tap
    }

    /// All exchanges so far, in order.
    pub(crate) fn seen(&self) -> Vec<Exchange> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn pass_on(&self, client: TcpStream, server: SocketAddr) -> io::Result<()> {
        let mut server = BufReader::new(TcpStream::connect(server).await?);
        let mut client = BufReader::new(client);
        loop {
            let (request, bytes) = read_message(&mut client, Body::Request).await?;
            server.write_all(&bytes).await?;
            let is_head = request.first_line.starts_with("HEAD ");
            let body = if is_head { Body::None } else { Body::Response };
            let (response, bytes) = read_message(&mut server, body).await?;
            // Kept before it is passed on: who has the answer can ask for the record.
            let exchange = Exchange { request, response };
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
            client.write_all(&bytes).await?;
        }
    }
}

/// Where the end of a body is to be looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    None,
    Request,
    Response,
}

/// Reads one message (RFC 9112 §6): the message, and its bytes as they came.
async fn read_message(stream: &mut BufReader<TcpStream>, body: Body) -> io::Result<(Message, Vec<u8>)> {
    let mut bytes = Vec::new();
    read_until(stream, &mut bytes, b"\r\n\r\n").await?;
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
    let first_line = lines.next().unwrap_or_default().to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut message = Message { first_line, headers, body: Vec::new() };
    let is_empty = body == Body::None || matches!(message.status(), 204 | 304);
    if is_empty {
        return Ok((message, bytes));
    }
    if message.one("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        message.body = read_chunks(stream, &mut bytes).await?;
    } else if let Some(length) = message.one("content-length").and_then(|length| length.parse().ok()) {
        message.body = read_exactly(stream, &mut bytes, length).await?;
    }
    Ok((message, bytes))
}

async fn read_chunks(stream: &mut BufReader<TcpStream>, bytes: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line_start = bytes.len();
        read_until(stream, bytes, b"\r\n").await?;
        let line = String::from_utf8_lossy(bytes.get(line_start..).unwrap_or_default()).into_owned();
        let size = line.trim().split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        if size == 0 {
            read_until(stream, bytes, b"\r\n").await?;
            return Ok(body);
        }
        body.extend(read_exactly(stream, bytes, size).await?);
        read_until(stream, bytes, b"\r\n").await?;
    }
}

async fn read_exactly(
    stream: &mut BufReader<TcpStream>,
    bytes: &mut Vec<u8>,
    length: usize,
) -> io::Result<Vec<u8>> {
    if length > MAX_MESSAGE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut read = vec![0; length];
    stream.read_exact(&mut read).await?;
    bytes.extend_from_slice(&read);
    Ok(read)
}

async fn read_until(stream: &mut BufReader<TcpStream>, bytes: &mut Vec<u8>, end: &[u8]) -> io::Result<()> {
    let start = bytes.len();
    while !bytes.get(start..).unwrap_or_default().ends_with(end) {
        if bytes.len() >= MAX_MESSAGE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        bytes.push(stream.read_u8().await?);
    }
    Ok(())
}
