//! How much, how many and how long: every bound that a connection lives under.

use std::time::Duration;

/// The bounds of one listener. `Limits::default()` is meant for the open Internet; each field names its default.
///
/// None of them looks at a request's content: what a body may hold and how often a caller may ask is the service's
/// business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once, handshakes and tunnels included. The listener accepts no more until one closes:
    /// further callers wait in the kernel's queue. 10 000.
    pub max_connections: usize,
    /// Time for a TLS handshake, from accept to finish. 10 s.
    pub tls_handshake: Duration,
    /// Time for the first byte of the first request. 10 s.
    pub first_byte: Duration,
    /// Time for a request head, from its first byte to its last, on every request of a connection. 10 s.
    pub header_read: Duration,
    /// Bytes of a request head: request line and all fields (431 beyond). 16 KiB.
    pub max_header_bytes: usize,
    /// Bytes of a request target (414 beyond). 8 KiB.
    pub max_target_bytes: usize,
    /// The longest pause between two pieces of a request body (408 beyond). 30 s.
    pub body_pause: Duration,
    /// The longest time that a peer may leave our answer unread while we have bytes to write. 30 s.
    pub write_pause: Duration,
    /// Time without any request after which a connection is closed; it closes between one and two of these. An HTTP/2 peer
    /// that leaves a piece of an answer in place is cut off between two and three of these. 60 s.
    pub connection_idle: Duration,
    /// Time that the service has for the head of its answer, the reading of the body included (503 beyond).
    /// None: the service may take as long as it likes, as long polls and uploads do.
    pub request_total: Option<Duration>,
    /// HTTP/2 streams open at once on one connection. 128.
    pub max_streams: u32,
    /// HTTP/2 streams that the peer reset before we took them up; beyond, the connection is closed
    /// (CVE-2023-44487, "rapid reset"). 20.
    pub max_pending_resets: usize,
    /// HTTP/2 streams that we had to reset for the peer's errors; beyond, the connection is closed. 128.
    pub max_error_resets: usize,
    /// Time that open requests have to finish once the listener is told to stop. 30 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            tls_handshake: Duration::from_secs(10),
            first_byte: Duration::from_secs(10),
            header_read: Duration::from_secs(10),
            max_header_bytes: 16 * 1024,
            max_target_bytes: 8 * 1024,
            body_pause: Duration::from_secs(30),
            write_pause: Duration::from_secs(30),
            connection_idle: Duration::from_secs(60),
            request_total: None,
            max_streams: 128,
            max_pending_resets: 20,
            max_error_resets: 128,
            drain: Duration::from_secs(30),
        }
    }
}
