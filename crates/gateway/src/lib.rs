//! The guard in front of any HTTP API, as a streaming reverse proxy.
//!
//! | file | what |
//! |---|---|
//! | [`config`] | what is written in the configuration, and what may be relied on |
//! | `build` | from a configuration to a gateway |
//! | `replay` | where used proofs are recorded |
//! | [`path`] | which request paths have one reading only |
//! | `message` | requests whose end or host two readers could see differently |
//! | `route` | which upstream a path leads to, and what is asked of its requests |
//! | `upstream` | the servers behind: their addresses, and the connections to them |
//! | `headers` | what crosses the gateway, what does not, and what it says of the caller |
//! | `assertion` | who calls, signed |
//! | `forward` | the exchange with the upstream: streaming both ways, bounded in time |
//! | `tunnel` | another protocol in place of HTTP, until the token expires |
//! | `refusal` | what the gateway itself refuses |
//! | `publish` | what everybody may know of the API |
//! | `service` | the tower service that puts them in order |
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use keybound_dpop::time::SystemClock;
//! use std::sync::Arc;
//!
//! let config = keybound_gateway::Config::parse(r#"
//!     public_url = "https://api.example"
//!     upstream = "http://127.0.0.1:3000"
//!     issuer = "https://issuer.example"
//! "#)?;
//! let service = keybound_gateway::service(&config, Arc::new(SystemClock::start()))?;
//! # Ok(())
//! # }
//! ```

mod assertion;
mod build;
pub mod config;
mod forward;
mod headers;
mod message;
pub mod path;
mod publish;
mod refusal;
mod replay;
mod route;
mod service;
mod timer;
mod tunnel;
mod upstream;

pub use build::{StartError, service};
pub use config::{Config, ConfigError};
pub use forward::AnswerBody;
pub use service::{GatewayBody, GatewayService};
