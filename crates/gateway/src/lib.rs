//! The guard in front of any HTTP API, as a streaming reverse proxy.
//!
//! | file | what |
//! |---|---|
//! | [`config`] | what is written in the configuration, and what may be relied on |
//! | `build` | from a configuration to a gateway |
//! | `replay` | where used proofs are recorded |
//! | [`path`] | which request paths have one reading only |
//! | `limits` | how often one caller may ask |
//! | `message` | requests whose end or host two readers could see differently |
//! | `route` | which upstream a path leads to, and what is asked of its requests |
//! | `upstream` | the servers behind: their addresses, and the connections to them |
//! | `headers` | what crosses the gateway, what does not, and what it says of the caller |
//! | `assertion` | who calls, signed |
//! | `forward` | the exchange with the upstream: streaming both ways, bounded in time |
//! | `tunnel` | another protocol in place of HTTP, until the token expires |
//! | `secret_file` | files that only their owner may read |
//! | `publish` | what everybody may know of the API |
//! | `refusal` | what the gateway itself refuses |
//! | `service` | the tower service that puts them in order |
//! | `trace` | the exchange with an upstream as a part of a trace |
//! | `reload` | another configuration for a gateway that runs |
//! | `readiness` `metrics` `observe` | how it is, what it counts, and who would pass where it only looks on |
//! | `decision` | the same judgement for proxies that ask, and forward themselves |
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
mod decision;
mod forward;
mod headers;
mod limits;
mod message;
mod metrics;
mod observe;
pub mod path;
mod publish;
mod readiness;
mod refusal;
mod reload;
mod replay;
mod route;
mod secret_file;
mod service;
mod timer;
mod trace;
mod tunnel;
mod upstream;

pub use build::{StartError, service, service_in_trace};
pub use config::{Config, ConfigError};
pub use decision::{DecisionBody, DecisionService};
pub use forward::AnswerBody;
pub use limits::RateLimits;
pub use metrics::GatewayMetrics;
pub use observe::Observations;
pub use reload::ReloadError;
pub use service::{GatewayBody, GatewayService};
pub use trace::Propagation;
