//! The guard in front of any HTTP API, as a streaming reverse proxy.
//!
//! | file | what |
//! |---|---|
//! | [`config`] | what is written in the configuration, and what may be relied on |
//! | `build` | from a configuration to a gateway |
//! | [`path`] | which request paths have one reading only |
//! | `message` | requests whose end or host two readers could see differently |
//! | `route` | which upstream and which scope a path leads to |
//! | `headers` | what crosses the gateway, what does not, and what it says of the caller |
//! | `forward` | the exchange with the upstream: streaming both ways, bounded in time |
//! | `service` | the tower service that puts them in order |
//! | `trace` | the exchange with an upstream as a part of a trace |
//! | `reload` | another configuration for a gateway that runs |
//! | `readiness` `metrics` `observe` | how it is, what it counts, and who would pass where it only looks on |
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

mod build;
pub mod config;
mod forward;
mod headers;
mod message;
mod metrics;
mod observe;
pub mod path;
mod readiness;
mod reload;
mod route;
mod service;
mod trace;

pub use build::{StartError, service, service_in_trace};
pub use config::{Config, ConfigError};
pub use metrics::GatewayMetrics;
pub use observe::Observations;
pub use reload::ReloadError;
pub use service::{GatewayBody, GatewayService};
pub use trace::Propagation;
