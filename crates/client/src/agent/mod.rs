//! The local signing proxy: programs on this machine that know nothing of DPoP call its APIs through it, and every
//! request of theirs to an origin of a login gets that login's token and a proof of its own.
//!
//! There are three ways in. The agent is called as if it were the API; or it is a proxy for `http://` URLs, which it calls
//! as https; or a proxy for `https://` URLs, whose TLS it ends with a certificate authority of its own. Whoever comes over
//! TCP shows the agent's token. Keys and tokens never leave the process but to the servers that they are for.
//!
//! [`Agent`] is a tower service: who has an accept loop puts it there. A request's extensions may hold a
//! [`tokio_util::sync::CancellationToken`], which ends the tunnel that comes of it.
//!
//! | file | what |
//! |---|---|
//! | `gate` | who may come in |
//! | `page` | what a page in a browser is told, where one may |
//! | [`token`] | what they show |
//! | `targets` | which servers there are, and with which login they are called |
//! | `service` | a request from its coming in to its answer |
//! | `forward` | the exchange with a server |
//! | `headers`, `location`, `body` | what crosses, and how |
//! | `connections` | how servers are connected to |
//! | `connect`, `upgrade` | what follows a CONNECT, or another protocol |
//! | `authority`, `authority_file` | who vouches for the agent's TLS |
//! | `refusal` | what the agent says itself |

mod authority;
mod authority_file;
mod body;
mod connect;
mod connections;
mod forward;
mod gate;
mod headers;
mod location;
mod page;
mod refusal;
mod service;
mod targets;
pub mod token;
mod upgrade;

pub use authority::{Authority, AuthorityError};
pub use body::AnswerBody;
pub use connections::RootsError;
pub use gate::Entrance;
pub use page::NotAnOrigin;
pub use service::{Agent, AgentError, Others, Settings};
pub use targets::{Profile, TargetsError, hosts_of};
