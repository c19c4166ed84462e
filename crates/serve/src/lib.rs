//! The shell that Keybound's services run in, and that knows none of them.
//!
//! A service hands over a tower service; the shell listens, speaks TLS and HTTP/1.1 and HTTP/2, refuses what is
//! ambiguous or too much, closes what is too slow, counts, writes one log line a request, and leaves in order:
//!
//! ```no_run
//! # async fn start<S>(service: S) -> Result<(), Box<dyn std::error::Error>>
//! # where S: keybound_serve::Handler<http_body_util::Full<bytes::Bytes>> {
//! use keybound_serve::{Options, Server, bind, stop_signal};
//!
//! let stop = stop_signal()?;
//! let listener = bind("127.0.0.1:8080".parse()?).await?;
//! let server = Server::new(listener, service, Options::new("gateway"))?;
//! server.run(async move { tracing::info!(signal = stop.await, "stopping") }).await;
//! # Ok(())
//! # }
//! ```
//!
//! A request reaches the service with its peer ([`std::net::SocketAddr`]) and the connection's
//! [`http::uri::Scheme`] among its extensions. Upgrades work: `hyper::upgrade::on(&mut request)`. A request for another
//! protocol or a stream of events has a [`tokio_util::sync::CancellationToken`] as well, which is cancelled when the
//! listener stops, so that its service can end what has no end of its own.

mod admin;
mod alarm;
mod body;
mod connection;
mod drain;
mod exchange;
mod framing;
mod health;
mod limits;
mod listen;
mod metrics;
pub mod request_line;
mod span;
mod tls;
mod trace;
mod unread;
mod wire;

pub use admin::{AdminPage, AdminService, admin_service};
pub use body::{BodyError, IncomingBody};
pub use drain::{Drained, stop_signal};
pub use exchange::{Handler, ResponseBody};
pub use health::{Readiness, ReadinessBuilder};
pub use limits::Limits;
pub use listen::{Listen, Options, ServeError, Server, bind};
pub use metrics::Metrics;
pub use span::TRACES;
#[cfg(feature = "telemetry")]
pub use span::propagate;
pub use tls::{Tls, TlsError, TlsFiles};
pub use trace::Escaped;
