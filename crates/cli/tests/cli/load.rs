//! A gateway whose log is read while it runs, an API behind it, and clients that ask without a pause.

use crate::common::World;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::jws;
use keybound_dpop::jose::key_set::{KeySet, NamedKey};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::nonce::Nonce;
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::time::{Clock, SystemClock};
use keybound_dpop::token_hash::TokenHash;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long anything may take before the test says what it waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const PUBLIC: &str = "https://api.example";

/// Something that grows, and that can be waited for.
#[derive(Clone, Default)]
struct Grown<T>(Arc<(Mutex<T>, Condvar)>);

impl<T> Grown<T> {
    fn grow(&self, by: impl FnOnce(&mut T)) {
        by(&mut self.0.0.lock().expect("a lock"));
        self.0.1.notify_all();
    }

    fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.0.0.lock().expect("a lock"))
    }

    #[track_caller]
    fn wait(&self, what: &str, until: impl Fn(&T) -> bool) {
        let guard = self.0.0.lock().expect("a lock");
        let (_guard, late) =
            self.0.1.wait_timeout_while(guard, PATIENCE, |grown| !until(grown)).expect("a lock");
        assert!(!late.timed_out(), "waited too long for {what}");
    }
}

/// An API that says its name.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    asked: Grown<u64>,
    heads: Grown<Vec<String>>,
}

impl Upstream {
    pub(crate) fn start(name: &'static str) -> Self {
        Self::slow(name, Duration::ZERO)
    }

    /// It takes that long for each answer.
    pub(crate) fn slow(name: &'static str, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (asked, heads) = (Grown::<u64>::default(), Grown::<Vec<String>>::default());
        let (count, kept) = (asked.clone(), heads.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, count, kept) = (stream.expect("a connection"), count.clone(), kept.clone());
                let answer = move |head| {
                    kept.grow(|heads| heads.push(head));
                    count.grow(|count| *count += 1);
                    thread::sleep(pause);
                    name
                };
                thread::spawn(move || answer_all(&stream, answer));
            }
        });
        Self { address, asked, heads }
    }

    /// What it was asked so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.read(Clone::clone)
    }

    pub(crate) fn asked(&self) -> u64 {
        self.asked.read(|asked| *asked)
    }

    pub(crate) fn wait_until_asked(&self, times: u64) {
        self.asked.wait("a request", |asked| *asked >= times);
    }
}

fn answer_all(mut stream: &TcpStream, answer: impl Fn(String) -> &'static str) {
    let mut lines = BufReader::new(stream).lines();
    let mut head = String::new();
    while let Some(Ok(line)) = lines.next() {
        head.push_str(&line);
        head.push('\n');
        if line.is_empty() {
            let body = answer(std::mem::take(&mut head));
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// Keys, a folder, and what starts a gateway in it.
pub(crate) struct Gate {
    pub(crate) world: World,
    keys: Arc<Keys>,
}

struct Keys {
    client: SigningKey,
    token: String,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let issuer = SigningKey::generate(Algorithm::Es256).expect("a key");
        let client = SigningKey::generate(Algorithm::Es256).expect("a key");
        let world = World::new();
        let named = NamedKey {
            kid: Some("k".to_owned()),
            algorithm: Some(Algorithm::Es256),
            key: issuer.public_jwk().clone(),
        };
        world.write("keys.json", &KeySet::of(vec![named]).to_json());
        let now = SystemClock::start().now().unix.as_secs();
        let claims = serde_json::json!({
            "iss": "https://as.example", "sub": "alice", "aud": PUBLIC, "client_id": "app", "jti": "t", "scope": "read",
            "iat": now, "exp": now + 3600, "cnf": { "jkt": client.public_jwk().thumbprint().to_string() },
        });
        let token = jws::sign(&issuer, "at+jwt", Some("k"), claims.to_string().as_bytes()).expect("signed");
        Self { world, keys: Arc::new(Keys { client, token }) }
    }

    pub(crate) fn config(&self, upstream: SocketAddr, listen: &str) -> String {
        format!(
            "public_url = {PUBLIC:?}\nlisten = {listen:?}\nupstream = \"http://{upstream}\"\n\
             [[issuer]]\nurl = \"https://as.example\"\njwks_file = \"keys.json\"\n"
        )
    }

    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::start(self.world.command(args))
    }

    /// Starts it with these variables.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Running {
        Running::start_with(self.world.command(args), variables)
    }

    /// A token as another issuer might have made it, with a key that it does not have.
    pub(crate) fn token_of(&self, issuer: &str) -> String {
        let claims = serde_json::json!({ "iss": issuer, "sub": "alice", "aud": PUBLIC });
        let key = &self.keys.client;
        jws::sign(key, "at+jwt", Some("k"), claims.to_string().as_bytes()).expect("signed")
    }

    /// Starts it with this socket, as systemd would.
    pub(crate) fn start_with_socket(&self, socket: &TcpListener, args: &[&str]) -> Running {
        let inner = self.world.command(args);
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg("export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0 </dev/null");
        command.arg(inner.get_program()).args(inner.get_args());
        command.current_dir(self.world.path(".")).env_clear().env("KEYBOUND_HOME", self.world.path("home"));
        let socket: OwnedFd = socket.try_clone().expect("a socket").into();
        command.stdin(socket).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start(command)
    }

    /// Asks the old one to stop, and starts another one while it does.
    pub(crate) fn restart(&self, old: &Running, socket: &TcpListener) -> Running {
        old.signal(Signal::TERM);
        self.start_with_socket(socket, &["gateway"])
    }

    pub(crate) fn client(&self, address: SocketAddr) -> Client {
        Client { keys: Arc::clone(&self.keys), address, nonce: None, connection: None, keep: true }
    }
}

/// A gateway that runs.
pub(crate) struct Running {
    child: Child,
    ready: String,
    log: Grown<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("started");
        let (log, mut stderr) = (Grown::<String>::default(), child.stderr.take().expect("stderr"));
        let to = log.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut bytes) {
                to.grow(|log| log.push_str(&String::from_utf8_lossy(&bytes[..count])));
            }
        });
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut ready).expect("a line");
        assert!(ready.starts_with("ready "), "{}", log.read(Clone::clone));
        Self { child, ready, log }
    }

    /// Starts a service with these variables.
    pub(crate) fn start_with(mut command: Command, variables: &[(&str, &str)]) -> Self {
        command.envs(variables.iter().copied());
        Self::start(command)
    }

    pub(crate) fn told(&self, name: &str) -> &str {
        let mut words = self.ready.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).expect("told")
    }

    /// Waits until that was logged so often.
    #[track_caller]
    pub(crate) fn logs(&self, part: &str, times: usize) {
        self.log.wait(part, |log| log.matches(part).count() >= times);
    }

    /// All that was logged.
    pub(crate) fn log(&self) -> String {
        self.log.read(Clone::clone)
    }

    pub(crate) fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("an id");
        kill_process(id, signal).expect("signalled");
    }

    /// Asks it to stop; gives its exit code.
    pub(crate) fn stop(self) -> i32 {
        self.signal(Signal::TERM);
        self.stopped()
    }

    /// Its exit code.
    pub(crate) fn stopped(mut self) -> i32 {
        self.child.wait().expect("an end").code().expect("a code, not a signal")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One client, with the nonce that it was given last and perhaps a connection.
pub(crate) struct Client {
    keys: Arc<Keys>,
    address: SocketAddr,
    nonce: Option<Nonce>,
    connection: Option<BufReader<TcpStream>>,
    keep: bool,
}

impl Client {
    /// A request that was not sent before.
    pub(crate) fn request(&self) -> String {
        let now = SystemClock::start().now().unix;
        let (keys, entropy) = (&self.keys, random().expect("entropy"));
        let proof = NewProof {
            method: "GET",
            htu: "https://api.example/a",
            token: Some(TokenHash::of(&keys.token)),
            nonce: self.nonce.as_ref(),
            entropy,
            iat: now,
        };
        let proof = proof.sign(&keys.client).expect("signed");
        format!(
            "GET /a HTTP/1.1\r\nHost: api.example\r\nAuthorization: DPoP {}\r\nDPoP: {proof}\r\n\r\n",
            keys.token
        )
    }

    /// Everything of it that is a secret, or as good as one.
    pub(crate) fn secrets(&self, request: &str) -> Vec<String> {
        let proof = request.lines().find_map(|line| line.strip_prefix("DPoP: ")).expect("a proof");
        let nonce = self.nonce.as_ref().map(|nonce| nonce.as_str().to_owned());
        let signatures =
            [proof, &self.keys.token].map(|jwt| jwt.rsplit('.').next().unwrap_or_default().to_owned());
        signatures.into_iter().chain(nonce).chain([proof.to_owned(), self.keys.token.clone()]).collect()
    }

    /// Asks, once more after a challenge for a nonce; gives what it sent last, and the answer.
    pub(crate) fn ask_with_a_new_proof(&mut self) -> (String, String) {
        let request = self.request();
        let answer = self.ask(&request);
        if !answer.contains("use_dpop_nonce") {
            return (request, answer);
        }
        let request = self.request();
        let answer = self.ask(&request);
        (request, answer)
    }

    pub(crate) fn ask(&mut self, request: &str) -> String {
        self.try_to_ask(request).unwrap_or_else(|error| format!("no answer: {error}"))
    }

    fn try_to_ask(&mut self, request: &str) -> io::Result<String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(TcpStream::connect(self.address)?),
        };
        connection.get_mut().set_read_timeout(Some(PATIENCE))?;
        connection.get_mut().write_all(request.as_bytes())?;
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let before = head.len();
            if connection.read_line(&mut head)? == 0 {
                return Err(io::Error::other("it was closed"));
            }
            let line = head[before..].trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().expect("a number");
            }
            if line.starts_with("dpop-nonce: ") {
                let value = head[before..].trim_end().split_once(": ").expect("a field").1;
                self.nonce = Some(Nonce::parse(value).expect("a nonce"));
            }
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body)?;
        if self.keep && !head.to_ascii_lowercase().contains("connection: close") {
            self.connection = Some(connection);
        }
        Ok(head + &String::from_utf8_lossy(&body))
    }
}

/// Clients that ask without a pause, each in a thread.
pub(crate) struct Load {
    end: Arc<AtomicBool>,
    answered: Grown<u64>,
    failures: Arc<Mutex<Vec<String>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn keeping_connections(gate: &Gate, address: SocketAddr, clients: usize) -> Self {
        Self::start(gate, address, clients, true)
    }

    pub(crate) fn with_new_connections(gate: &Gate, address: SocketAddr, clients: usize) -> Self {
        Self::start(gate, address, clients, false)
    }

    fn start(gate: &Gate, address: SocketAddr, clients: usize, keep: bool) -> Self {
        let (end, answered) = (Arc::new(AtomicBool::new(false)), Grown::<u64>::default());
        let failures: Arc<Mutex<Vec<String>>> = Arc::default();
        let one = |client: Client| {
            let mut client = Client { keep, ..client };
            let (end, answered, failures) = (Arc::clone(&end), answered.clone(), Arc::clone(&failures));
            thread::spawn(move || {
                while !end.load(SeqCst) {
                    let (_, answer) = client.ask_with_a_new_proof();
                    match answer.starts_with("HTTP/1.1 200 ") {
                        true => answered.grow(|answered| *answered += 1),
                        false => failures.lock().expect("a lock").push(answer),
                    }
                }
            })
        };
        let threads = (0..clients).map(|_| one(gate.client(address))).collect();
        Self { end, answered, failures, threads }
    }

    /// Waits for so many answers more.
    #[track_caller]
    pub(crate) fn wait_for_more(&self, count: u64) {
        let before = self.answered.read(|answered| *answered);
        self.answered.wait("answers", |answered| *answered >= before + count);
    }

    /// Ends it; gives how many were answered, and what was answered otherwise.
    pub(crate) fn end(self) -> (u64, Vec<String>) {
        self.end.store(true, SeqCst);
        for thread in self.threads {
            thread.join().expect("an end");
        }
        (self.answered.read(|answered| *answered), self.failures.lock().expect("a lock").clone())
    }
}
