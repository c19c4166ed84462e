//! A server of octets: it keeps all that it gets, and what it answers need not be HTTP.

use keybound_dpop::jose::base64url;
use keybound_e2e::answer::part;
use parking_lot::Mutex;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Between one octet and the next, where they drip.
const DRIP: Duration = Duration::from_millis(20);

/// What an endless answer is made of.
static PART: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// A request, every octet of it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    head: String,
    body: Vec<u8>,
}

/// What is answered.
pub(crate) enum Says {
    /// These octets, and then the end.
    Octets(Vec<u8>),
    /// The first of these, and the rest an octet at a time.
    Drip(Vec<u8>),
    /// These octets, and then a body of a gigabyte.
    Flood(Vec<u8>),
}

/// A server on a port of its own.
pub(crate) struct Hostile {
    pub(crate) origin: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    said: Arc<AtomicUsize>,
}

impl Asked {
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).expect("a target")
    }

    /// All values of a header.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// The claims of the one proof.
    pub(crate) fn proof(&self) -> Value {
        let [proof] = self.header("dpop")[..] else { panic!("one proof: {self:?}") };
        part(proof, 1)
    }

    pub(crate) fn nonce(&self) -> Option<String> {
        self.proof()["nonce"].as_str().map(str::to_owned)
    }

    /// Whether that text is anywhere in it: as it is, in a form, or in the parts of a JWT.
    fn holds(&self, text: &str) -> bool {
        let body = String::from_utf8_lossy(&self.body);
        let all = format!("{}{body}", self.head);
        let mut decoded = all.split(['.', ' ', '&', '=', '\r']).filter_map(base64url::decode);
        let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        all.contains(text)
            || all.contains(&encoded)
            || decoded.any(|octets| String::from_utf8_lossy(&octets).contains(text))
    }
}

impl Hostile {
    /// Answers each request with what the rule makes of it and of how many came before.
    pub(crate) async fn start(rule: impl Fn(&Asked, usize) -> Says + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let (asked, said): (Arc<Mutex<Vec<Asked>>>, Arc<AtomicUsize>) = Default::default();
        let (record, counter, rule) = (Arc::clone(&asked), Arc::clone(&said), Arc::new(rule));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (record, counter, rule) = (Arc::clone(&record), Arc::clone(&counter), Arc::clone(&rule));
                tokio::spawn(async move {
                    let mut stream = stream;
                    let Some(one) = read(&mut stream).await else { return };
                    let before = {
                        let mut record = record.lock();
                        record.push(one.clone());
                        record.len() - 1
                    };
                    // The other side may go away whenever it has had enough.
                    let _ = answer(&mut stream, rule(&one, before), &counter).await;
                });
            }
        });
        Self { origin, asked, said }
    }

    /// One that answers nothing but 404.
    pub(crate) async fn empty() -> Self {
        Self::start(|_, _| says(404, &[], "")).await
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// The requests at that path.
    pub(crate) fn at(&self, path: &str) -> Vec<Asked> {
        let is_there = |one: &Asked| one.target().split('?').next() == Some(path);
        self.asked().into_iter().filter(is_there).collect()
    }

    /// How many octets anybody took of its answers.
    pub(crate) fn said(&self) -> usize {
        self.said.load(Ordering::SeqCst)
    }

    /// That it was never told any of this.
    #[track_caller]
    pub(crate) fn assert_knows_none_of(&self, secrets: &[&str]) {
        for one in self.asked() {
            for secret in secrets {
                assert!(!one.holds(secret), "`{secret}` in {one:?}");
            }
        }
    }
}

/// An answer as HTTP has it.
pub(crate) fn says(status: u16, headers: &[(&str, &str)], body: &str) -> Says {
    let mut octets = head(status, headers);
    octets.extend(format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes());
    Says::Octets(octets)
}

/// The head of an answer, but for its length and its end.
pub(crate) fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Said\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.into_bytes()
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let (mut octets, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        if let Some(end) = octets.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&octets[..end]).into_owned();
            let asked = Asked { head, body: octets[end + 4..].to_vec() };
            let length =
                asked.header("content-length").first().map_or(0, |text| text.parse().expect("a length"));
            if asked.body.len() >= length {
                return Some(asked);
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => octets.extend(&buffer[..count]),
        }
    }
}

async fn answer(stream: &mut TcpStream, says: Says, counter: &AtomicUsize) -> std::io::Result<()> {
    let count = |octets: usize| counter.fetch_add(octets, Ordering::SeqCst);
    match says {
        Says::Octets(octets) => {
            stream.write_all(&octets).await?;
            count(octets.len());
        }
        Says::Drip(octets) => {
            for octet in octets {
                stream.write_all(&[octet]).await?;
                count(1);
                tokio::time::sleep(DRIP).await;
            }
        }
        Says::Flood(head) => {
            stream.write_all(&head).await?;
            for _ in 0..(1 << 30) / PART.len() {
                stream.write_all(&PART).await?;
                count(PART.len());
            }
        }
    }
    stream.shutdown().await
}
