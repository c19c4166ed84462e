//! What went wrong with a request of ours, whose fault it is, and what to do about it.

use std::error::Error;
use std::io;

/// Why there is no answer, or none that can be used. Cheap to clone, since it may be told to several callers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The client could not be built.
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
    /// The URL is not one that we send requests to.
    #[error("{url} is not fetched: {reason}")]
    Url {
        /// The URL, without its query.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The host has an address that others may not send us to.
    #[error("{host} is not fetched: one of its addresses is set aside for {range}")]
    Address {
        /// The host.
        host: String,
        /// What the address is set aside for.
        range: &'static str,
    },
    /// There is no way to the server.
    #[error("cannot connect to {host}: {detail}")]
    Connect {
        /// The host.
        host: String,
        /// What the network said.
        detail: String,
    },
    /// The server's certificate, or its TLS, was refused.
    #[error("TLS with {host} failed: {detail}")]
    Tls {
        /// The host.
        host: String,
        /// What TLS said.
        detail: String,
    },
    /// The server was too slow.
    #[error("{host} did not answer in time")]
    Timeout {
        /// The host.
        host: String,
    },
    /// The answer is larger than we take.
    #[error("the answer of {host} is larger than {limit} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The most that we take.
        limit: usize,
    },
    /// The exchange broke off, or was not HTTP.
    #[error("the exchange with {host} failed: {detail}")]
    Exchange {
        /// The host.
        host: String,
        /// What went wrong.
        detail: String,
    },
    /// The server answered with another status than 200.
    #[error("{host} answered with status {status} instead of 200")]
    Status {
        /// The host.
        host: String,
        /// The status.
        status: u16,
    },
    /// The document is not what it should be.
    #[error("the document at {url} cannot be used: {detail}")]
    Document {
        /// The URL, without its query.
        url: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// Who can put it right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Culprit {
    /// Whoever configured us, or wrote the URL.
    Configuration,
    /// The network between, or a server that is away: it may work later.
    Network,
    /// The server that answered.
    Server,
}

impl FetchError {
    /// Who can put it right.
    #[must_use]
    pub const fn culprit(&self) -> Culprit {
        match self {
            Self::Setup(_) | Self::Url { .. } | Self::Address { .. } => Culprit::Configuration,
            Self::Connect { .. } | Self::Timeout { .. } | Self::Exchange { .. } => Culprit::Network,
            Self::Tls { .. } | Self::TooLarge { .. } | Self::Status { .. } | Self::Document { .. } => {
                Culprit::Server
            }
        }
    }

    /// What to do, in a sentence for the log.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Setup(_) => "check the file of trusted roots",
            Self::Url { .. } => "write an https URL; http only for a loopback host",
            Self::Address { .. } => "a URL that others choose must lead to a public address",
            Self::Connect { .. } => "check host name, port and firewall, and that the server runs",
            Self::Tls { .. } => {
                "check the server's certificate and its names; for a private authority, add it to the trusted roots"
            }
            Self::Timeout { .. } => "check that the server is well; it will be asked again",
            Self::TooLarge { .. } => "check that this is the right URL",
            Self::Exchange { .. } => "check that a server for this protocol listens there",
            Self::Status { status, .. } if *status >= 300 && *status < 400 => {
                "redirects are not followed: write the final URL"
            }
            Self::Status { .. } => "check the URL, and the server's log",
            Self::Document { .. } => "check that this is the right URL, and tell the server's operator",
        }
    }
}

/// A name led to an address that others may not send us to. Travels inside the errors of the HTTP library.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("an address set aside for {0}")]
pub(crate) struct AddressRefused(pub(crate) &'static str);

/// Sorts an error of the HTTP library.
pub(crate) fn classify(host: &str, error: &reqwest::Error) -> FetchError {
    let host = host.to_owned();
    if let Some(AddressRefused(range)) = find::<AddressRefused>(error) {
        return FetchError::Address { host, range };
    }
    if error.is_timeout() {
        return FetchError::Timeout { host };
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return FetchError::Tls { host, detail: tls.to_string() };
    }
    let detail = innermost(error);
    if error.is_connect() {
        FetchError::Connect { host, detail }
    } else {
        FetchError::Exchange { host, detail }
    }
}

/// The error and all that are inside it. An I/O error's `source` skips the very error that it holds.
fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| inside(*error))
}

fn inside<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|held| held as &(dyn Error + 'static)),
        None => error.source(),
    }
}

fn find<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    chain(error).find_map(|error| error.downcast_ref())
}

pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}
