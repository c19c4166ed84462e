//! `keybound gateway` as a process, before an upstream that writes down every byte.

use crate::process::{Place, Running, within};
use crate::provider::free_address;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::nonce::Nonce;
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::time::{Clock, SystemClock};
use keybound_dpop::token_hash::TokenHash;
use keybound_oauth::access_token::NewAccessToken;
use keybound_oauth::audience::Audience;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::scope::Scope;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ISSUER: &str = "https://issuer.example";

/// The gateway, and everybody around it.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) running: Running,
    clock: SystemClock,
    issuer_key: SigningKey,
    client_key: SigningKey,
    nonce: String,
    _place: Place,
}

impl Stage {
    /// A gateway before this upstream; `more` is the rest of its configuration. Paths below `/open` are for everybody.
    pub(crate) async fn start(upstream: SocketAddr, more: &str) -> Self {
        let (place, address) = (Place::new(), free_address());
        let generate = || SigningKey::generate(Algorithm::Es256).expect("a key");
        let (issuer_key, client_key) = (generate(), generate());
        let algorithm = Some(issuer_key.algorithm());
        let key = NamedKey { kid: Some("k1".to_owned()), algorithm, key: issuer_key.public_jwk().clone() };
        place.write("keys.json", &KeySet::of(vec![key]).to_json());
        let config = format!(
            "public_url = \"http://{address}\"\nlisten = \"{address}\"\nupstream = \"http://{upstream}\"\n{more}\n\
             [[issuer]]\nurl = \"{ISSUER}\"\njwks_file = \"keys.json\"\n[[route]]\npath = \"/open\"\npublic = true\n"
        );
        place.write("gateway.toml", &config);
        let mut running = place.start(&["gateway", "--log", "error"]);
        running.says("ready ").await;
        let clock = SystemClock::start();
        let mut stage =
            Self { address, running, clock, issuer_key, client_key, nonce: String::new(), _place: place };
        let credentials = stage.credentials("GET", "/");
        let challenge = stage.ask(&format!("GET / HTTP/1.1\r\nHost: h\r\n{credentials}\r\n")).await;
        let nonce = challenge.lines().find_map(|line| line.strip_prefix("dpop-nonce: "));
        stage.nonce = nonce.unwrap_or_else(|| panic!("no nonce: {challenge}")).to_owned();
        stage
    }

    pub(crate) fn token(&self) -> String {
        let now = self.clock.unix();
        let token = NewAccessToken {
            authorization_details: &AuthorizationDetails::default(),
            iss: ISSUER,
            sub: "alice",
            aud: &Audience::One(format!("http://{}", self.address)),
            exp: now.plus_secs(600),
            iat: now,
            jti: "t1",
            client_id: "app",
            scope: &Scope::default(),
            jkt: Some(self.client_key.public_jwk().thumbprint()),
            auth_time: None,
            acr: None,
            act: None,
            may_act: None,
        };
        token.sign(&self.issuer_key, Some("k1")).expect("signed").reveal().to_owned()
    }

    pub(crate) fn proof(&self, method: &str, path: &str, token: &str) -> String {
        let nonce = Nonce::parse(&self.nonce);
        let htu = format!("http://{}{path}", self.address);
        let (entropy, iat) = (random().expect("entropy"), self.clock.unix());
        let token = Some(TokenHash::of(token));
        let proof = NewProof { method, htu: &htu, token, nonce: nonce.as_ref(), entropy, iat };
        proof.sign(&self.client_key).expect("signed")
    }

    /// Good credentials for one request, as two field lines.
    pub(crate) fn credentials(&self, method: &str, path: &str) -> String {
        let token = self.token();
        let proof = self.proof(method, path, &token);
        format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n")
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        within("a connection", TcpStream::connect(self.address)).await.expect("connected")
    }

    /// Sends these bytes, with `Connection: close` in their head, and reads all that comes back.
    pub(crate) async fn ask(&self, text: &str) -> String {
        self.send(text.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1).as_bytes()).await
    }

    /// Sends these bytes as they are, and reads until the gateway closes.
    pub(crate) async fn send(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.expect("written");
        let mut answer = Vec::new();
        // A connection that is reset has ended too.
        let _ = within("the end of a connection", stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A good request is let through.
    pub(crate) async fn assert_well(&self) {
        let credentials = self.credentials("GET", "/well");
        let answer = self.ask(&format!("GET /well HTTP/1.1\r\nHost: h\r\n{credentials}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

/// An upstream that writes down every byte, and answers 200 to each head that it sees.
pub(crate) struct Scribe {
    pub(crate) address: SocketAddr,
    pages: Pages,
}

/// What came over each connection.
type Pages = Arc<Mutex<Vec<Vec<u8>>>>;

impl Scribe {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let pages = Pages::default();
        let kept = Arc::clone(&pages);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let page = kept.lock().len();
                kept.lock().push(Vec::new());
                tokio::spawn(write_down(stream, Arc::clone(&kept), page));
            }
        });
        Self { address, pages }
    }

    /// All that came over each connection.
    pub(crate) fn pages(&self) -> Vec<String> {
        self.pages.lock().iter().map(|page| String::from_utf8_lossy(page).into_owned()).collect()
    }

    /// What came since this was asked last, over whichever connection.
    pub(crate) fn read(&self) -> String {
        let all: Vec<u8> = self.pages.lock().iter_mut().flat_map(std::mem::take).collect();
        String::from_utf8_lossy(&all).into_owned()
    }
}

async fn write_down(mut stream: TcpStream, kept: Pages, page: usize) {
    let (mut some, mut unanswered) = ([0; 4096], Vec::<u8>::new());
    while let Ok(count @ 1..) = stream.read(&mut some).await {
        kept.lock()[page].extend(&some[..count]);
        unanswered.extend(&some[..count]);
        while let Some(end) = unanswered.windows(4).position(|four| four == b"\r\n\r\n") {
            unanswered.drain(..end + 4);
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.is_err() {
                return;
            }
        }
    }
}
