//! Who loads a server: connections that stay open, each with one request on its way.

use super::server::Server;
use keybound_bench::{Failure, measure};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Connections at once.
pub(crate) const CONNECTIONS: usize = 32;
/// How long an answer may take before the measurement ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request, as it goes over the wire.
pub(crate) type Request = Vec<u8>;

/// An answer.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) head: &'a str,
    pub(crate) body: &'a str,
}

/// A connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    head_len: usize,
}

/// What a server did under load, and what that cost.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    count: usize,
    server: Duration,
    generator: Duration,
    wall: Duration,
}

/// Loads the server with what `work` sends, which is that many requests.
pub(crate) fn load(
    server: &Server,
    count: usize,
    work: impl FnOnce() -> Result<(), Failure>,
) -> Result<Load, Failure> {
    load_of(|| server.cpu_time(), count, work)
}

/// What work costs that is done elsewhere, by whom `cpu_time` tells of, and that is that many requests.
pub(crate) fn load_of(
    cpu_time: impl Fn() -> Result<Duration, Failure>,
    count: usize,
    work: impl FnOnce() -> Result<(), Failure>,
) -> Result<Load, Failure> {
    let (cpu, own, wall) = (cpu_time()?, measure::process_time(), measure::wall_time());
    work()?;
    Ok(Load {
        count,
        wall: measure::wall_time().saturating_sub(wall),
        generator: measure::process_time().saturating_sub(own),
        server: cpu_time()?.saturating_sub(cpu),
    })
}

impl Load {
    /// Requests for each second of the server's CPU time.
    pub(crate) fn per_cpu_sec(self) -> f64 {
        measure::per_sec(self.count, self.server)
    }

    /// Requests for each second on the wall.
    pub(crate) fn per_wall_sec(self) -> f64 {
        measure::per_sec(self.count, self.wall)
    }

    /// Seconds of CPU time that the generator of the load took for a request.
    pub(crate) fn generator_secs(self) -> f64 {
        1.0 / measure::per_sec(self.count, self.generator)
    }
}

/// Sends all of these and expects that status of each answer. One half of the connections is with the server while the
/// other is read and filled again: the server never waits for us, and wakes us once for a half, not for each answer, as it
/// would not wake a client elsewhere.
pub(crate) fn send_all(address: SocketAddr, requests: &[Request], status: u16) -> Result<(), Failure> {
    let mut halves = [Half::open(address)?, Half::open(address)?];
    let mut chunks = requests.chunks(CONNECTIONS / 2);
    'all: loop {
        for half in &mut halves {
            half.receive(status)?;
            let Some(chunk) = chunks.next() else { break 'all };
            half.send(chunk)?;
        }
    }
    halves.iter_mut().try_for_each(|half| half.receive(status))
}

/// Half of the connections, the first of which have requests on their way.
struct Half {
    connections: Vec<Connection>,
    waiting: usize,
}

impl Half {
    fn open(address: SocketAddr) -> Result<Self, Failure> {
        let connections =
            (0..CONNECTIONS / 2).map(|_| Connection::open(address)).collect::<Result<_, _>>()?;
        Ok(Self { connections, waiting: 0 })
    }

    fn send(&mut self, requests: &[Request]) -> Result<(), Failure> {
        self.waiting = requests.len();
        self.connections
            .iter_mut()
            .zip(requests)
            .try_for_each(|(connection, request)| connection.send(request))
    }

    /// The last first: once it is there, so are most others.
    fn receive(&mut self, status: u16) -> Result<(), Failure> {
        let waiting = self.connections.iter_mut().take(self.waiting).rev();
        self.waiting = 0;
        waiting.into_iter().try_for_each(|connection| connection.receive()?.expect(status))
    }
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024), head_len: 0 })
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> Result<(), Failure> {
        Ok(self.stream.write_all(request)?)
    }

    /// Sends a body of that length, which is nowhere as a whole.
    pub(crate) fn send_long(&mut self, mut length: u64) -> Result<(), Failure> {
        let piece = [b'x'; 64 * 1024];
        while length > 0 {
            let part = usize::try_from(length).unwrap_or(usize::MAX).min(piece.len());
            self.stream.write_all(piece.get(..part).unwrap_or_default())?;
            length -= part as u64;
        }
        Ok(())
    }

    /// Waits for an answer with a body of that length, and keeps no more of it than its beginning.
    pub(crate) fn skip_answer(&mut self, length: u64) -> Result<(), Failure> {
        self.receive_head()?;
        self.last()?.expect(200)?;
        let mut here = (self.buffer.len() - self.head_len) as u64;
        let mut part = vec![0; 256 * 1024];
        while here < length {
            match self.stream.read(&mut part)? {
                0 => return Err("the server closed a connection".into()),
                count => here += count as u64,
            }
        }
        Ok(())
    }

    /// Waits for the answer to the request that was sent.
    pub(crate) fn receive(&mut self) -> Result<Answer<'_>, Failure> {
        self.receive_head()?;
        let body_len = match self.last()?.header("content-length") {
            Some(length) => length.parse()?,
            None => 0,
        };
        while self.buffer.len() < self.head_len + body_len {
            self.read_more()?;
        }
        self.last()
    }

    fn receive_head(&mut self) -> Result<(), Failure> {
        const END: &[u8] = b"\r\n\r\n";
        self.buffer.clear();
        self.head_len = loop {
            self.read_more()?;
            if let Some(at) = self.buffer.windows(END.len()).position(|window| window == END) {
                break at + END.len();
            }
        };
        Ok(())
    }

    /// The answer that came last.
    pub(crate) fn last(&self) -> Result<Answer<'_>, Failure> {
        let (head, body) = self.buffer.split_at_checked(self.head_len).unwrap_or_default();
        let (head, body) = (std::str::from_utf8(head)?, std::str::from_utf8(body)?);
        let status = head.split(' ').nth(1).ok_or("an answer without a status")?.parse()?;
        Ok(Answer { status, head, body })
    }

    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>, Failure> {
        self.send(request)?;
        self.receive()
    }

    fn read_more(&mut self) -> Result<(), Failure> {
        let mut part = [0; 8 * 1024];
        let count = self.stream.read(&mut part)?;
        if count == 0 {
            return Err("the server closed a connection".into());
        }
        self.buffer.extend_from_slice(part.get(..count).unwrap_or_default());
        Ok(())
    }
}

impl<'a> Answer<'a> {
    /// The first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Whether it is what it should be.
    pub(crate) fn expect(&self, status: u16) -> Result<(), Failure> {
        if self.status == status {
            return Ok(());
        }
        Err(format!("not {status}, but {} {}", self.head.lines().next().unwrap_or_default(), self.body)
            .into())
    }
}
