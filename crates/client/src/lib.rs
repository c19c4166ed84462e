//! A DPoP client for any authorization server and any API (RFC 9449).
//!
//! Every exchange is two pure halves: one makes the request, the other judges the answer. What lies between is one
//! thin driver, [`transport`]; who has an HTTP client of their own uses the halves alone.
//!
//! ```no_run
//! # use keybound_client::api::{Api, ApiSettings};
//! # use keybound_client::client::Client;
//! # use keybound_client::client_auth::{ClientAuth, Identity};
//! # use keybound_client::discover::choose_algorithm;
//! # use keybound_client::keystore::KeyStore;
//! # use keybound_client::prover::Prover;
//! # use keybound_client::session::Origins;
//! # use keybound_client::transport::Transport;
//! # use keybound_dpop::{secret::Secret, time::SystemClock};
//! # use keybound_fetch::{Fetcher, Settings};
//! # use keybound_oauth::{identifier::{ClientId, Issuer}, scope::Scope};
//! # use std::sync::Arc;
//! # async fn call(secret: Secret) -> Result<(), Box<dyn std::error::Error>> {
//! // The server, a key of a kind that it takes, and the client.
//! let transport = Transport::over(Fetcher::for_operator(&Settings::default())?);
//! let server = transport.discover(&Issuer::parse("https://id.example")?).await?;
//! let key = KeyStore::open("keys")?.create("reports", choose_algorithm(&server, None)?)?;
//! let prover = Prover::new(key, Arc::default(), Arc::new(SystemClock::start()));
//! let identity = Identity { client_id: ClientId::parse("reports")?, auth: ClientAuth::SecretBasic(secret) };
//! let client = Client::new(transport.clone(), server, identity, prover.clone());
//!
//! // A token that is bound to the key, and a call with it.
//! let tokens = client.client_credentials(Scope::parse("read").ok(), Vec::new()).await?;
//! let session = client.session("reports", tokens, Origins::of(["https://api.example"])?);
//! let api = Api::new(transport, prover, session, ApiSettings::default())?;
//! let answer = api.send(http::Request::get("https://api.example/things").body(Default::default())?).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | file | what |
//! |---|---|
//! | [`prover`] | one key: proofs, and the nonces that servers give |
//! | [`destination`] | the URL of a request, its `htu`, its origin |
//! | [`clock_offset`] | how far a server's clock is from ours |
//! | [`nonce_rule`] | when a request is sent again, and when not |
//! | [`client_auth`] | who the client is, and how it shows that |
//! | [`outgoing`] | a request, ready to be sent once |
//! | [`token_endpoint`], [`endpoint_error`] | the token endpoint, and the others |
//! | [`resource_exchange`] | a protected resource |
//! | [`redirect`] | redirects of resources |
//! | [`shared_session`] | a session that several callers use at once, and its renewal |
//! | [`resource_refused`] | what a resource that refuses says, and what to do |
//! | [`resource_round`], [`answer`] | the rules for one request to a resource, whoever sends it |
//! | [`middleware`] | token and proof for other HTTP clients |
//! | [`discover`] | an issuer's metadata, and the algorithm that follows from it |
//! | [`resource_discovery`] | from a resource to its authorization server |
//! | [`id_token`] | checks of an ID token |
//! | [`tokens`], [`session`] | what is kept of a login |
//! | [`private_dir`], [`private_file`], [`keystore`], [`session_store`] | files that nobody else can read |
//! | [`loopback`] | the redirect URI of a program on this machine |
//! | [`return_to`] | where a user goes after a login |
//! | [`transport`] | the driver |
//! | [`client`], [`flow`] | a client at one authorization server, and its ways to get tokens |
//! | [`api`] | calls to resources with a session |
//! | `agent` | the local signing proxy, with the feature of that name |
//! | [`error`] | everything that can go wrong |

#[cfg(feature = "agent")]
pub mod agent;
pub mod answer;
pub mod api;
pub mod client;
pub mod client_auth;
pub mod clock_offset;
pub mod destination;
pub mod discover;
pub mod endpoint_error;
pub mod error;
pub mod flow;
pub mod id_token;
pub mod keystore;
mod known_servers;
pub mod loopback;
pub mod middleware;
pub mod nonce_rule;
pub mod outgoing;
pub mod private_dir;
pub mod private_file;
pub mod prover;
pub mod redirect;
pub mod resource_discovery;
pub mod resource_exchange;
pub mod resource_refused;
pub mod resource_round;
pub mod return_to;
pub mod session;
pub mod session_store;
pub mod shared_session;
pub mod token_endpoint;
pub mod tokens;
pub mod transport;
