//! How a command ends badly: what happened, and what to do next.

use crate::output;
use keybound_client::endpoint_error::EndpointError;
use keybound_client::error::ClientError;
use keybound_client::flow::authorization_code::RedirectRefused;
use keybound_client::flow::device::DeviceError;
use keybound_client::flow::pushed::PushedError;
use keybound_client::loopback::LoopbackError;
use keybound_client::token_endpoint::TokenError;
use keybound_oauth::error::{ErrorBody, ErrorCode};
use std::fmt;
use std::io;
use std::process::ExitCode;

/// A command did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct CommandError {
    kind: Kind,
    what: String,
    advice: Option<String>,
}

/// How it ended, which is what a script sees: each kind has an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It failed, or a check did not hold.
    Failed,
    /// The command line, or a file that it goes by, makes no sense.
    Usage,
    /// There is no login that could be used: the user has to sign in.
    NotLoggedIn,
    /// The authorization server, or the user there, said no.
    Refused,
    /// A server cannot be reached.
    Network,
    /// A server took too long.
    Timeout,
    /// The user ended it.
    Interrupted,
    /// Whoever read our output has had enough of it.
    PipeClosed,
}

/// The exit code for an answer of an API with a status of 400 or more.
pub(crate) const BAD_STATUS: u8 = 22;

/// What the exit codes mean, for people. Those that curl has too have curl's numbers.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed, or a check did not hold
  2    the command line, or a file that it goes by, is wrong
  3    not logged in: `keybound login`
  4    refused by the authorization server, or by the user there
  7    a server cannot be reached
  22   the API answered with a status of 400 or more
  28   a server took too long
  130  ended by the user";

impl Kind {
    const fn exit_code(self) -> u8 {
        match self {
            Self::PipeClosed => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotLoggedIn => 3,
            Self::Refused => 4,
            Self::Network => 7,
            Self::Timeout => 28,
            Self::Interrupted => 130,
        }
    }
}

impl CommandError {
    /// It ended in that way.
    pub(crate) fn of(kind: Kind, what: impl fmt::Display) -> Self {
        Self { kind, what: what.to_string(), advice: None }
    }

    /// It was refused, or failed.
    pub(crate) fn failed(what: impl fmt::Display) -> Self {
        Self::of(Kind::Failed, what)
    }

    /// The command line makes no sense.
    pub(crate) fn usage(what: impl fmt::Display) -> Self {
        Self::of(Kind::Usage, what)
    }

    /// A token could not be renewed: where the server has ended the login, the user has to sign in again.
    pub(crate) fn from_renewal(error: ClientError) -> Self {
        let is_over = refusal(&error).and_then(ErrorBody::code) == Some(ErrorCode::InvalidGrant);
        let error = Self::from(error);
        if is_over { Self { kind: Kind::NotLoggedIn, ..error } } else { error }
    }

    /// What to do next.
    pub(crate) fn advise(mut self, advice: impl fmt::Display) -> Self {
        self.advice = Some(advice.to_string());
        self
    }

    /// Says it on stderr, a line each for what happened and what to do.
    pub(crate) fn report(&self) -> ExitCode {
        if self.kind == Kind::PipeClosed {
            return ExitCode::SUCCESS;
        }
        let style = output::Style::of_stderr();
        let lines: Vec<String> = self.what.trim_end().lines().map(output::plain).collect();
        let mut text = format!("{} {}\n", style.bad("error:"), lines.join("\n"));
        if let Some(advice) = &self.advice {
            text.push_str(&format!("{} {}\n", style.strong("next:"), output::plain(advice)));
        }
        match output::note(&text) {
            Ok(()) => ExitCode::from(self.kind.exit_code()),
            // There is nobody left to tell.
            Err(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for CommandError {}

/// Our own output could not be written.
impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::BrokenPipe => Kind::PipeClosed,
            _ => Kind::Failed,
        };
        Self { kind, what: format!("the output cannot be written: {error}"), advice: None }
    }
}

/// Errors of the libraries, which say themselves what to do.
macro_rules! failed_from {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                Self::failed(error)
            }
        }
    )*};
}

failed_from!(
    keybound_provider::config::ConfigError,
    keybound_provider::provider::StartError,
    keybound_provider::registry::RegistryError,
    keybound_provider::store::OpenError,
    keybound_serve::ServeError,
    keybound_serve::TlsError,
    keybound_client::keystore::KeyStoreError,
    keybound_dpop::jose::signer::SignError,
    keybound_gateway::ConfigError,
    keybound_gateway::StartError,
);

impl From<keybound_provider::store::Fault> for CommandError {
    fn from(fault: keybound_provider::store::Fault) -> Self {
        Self::failed(format!("the store cannot be used: {}", fault.reason()))
            .advise("look at the file that `store` names in the configuration: is it whole, and is its disk?")
    }
}

/// There is no answer.
impl From<keybound_fetch::FetchError> for CommandError {
    fn from(error: keybound_fetch::FetchError) -> Self {
        Self::of(kind_of_fetch(&error), &error).advise(error.advice())
    }
}

/// Errors of the client say themselves what to do; here it is told apart whose turn it is.
impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Fetch(error) => error.into(),
            ClientError::Finding(error) => match error.downcast::<Self>() {
                Ok(ours) => *ours,
                Err(error) => Self::failed(error),
            },
            error => Self::of(kind_of_client(&error), &error),
        }
    }
}

fn kind_of_fetch(error: &keybound_fetch::FetchError) -> Kind {
    use keybound_fetch::FetchError as Fetch;
    match error {
        Fetch::Timeout { .. } => Kind::Timeout,
        Fetch::Connect { .. } | Fetch::Tls { .. } | Fetch::Exchange { .. } => Kind::Network,
        Fetch::Url { .. } => Kind::Usage,
        _ => Kind::Failed,
    }
}

fn kind_of_client(error: &ClientError) -> Kind {
    match error {
        ClientError::NoRefreshToken => Kind::NotLoggedIn,
        ClientError::Loopback(LoopbackError::TimedOut) | ClientError::Device(DeviceError::Expired) => {
            Kind::Timeout
        }
        error if refusal(error).is_some() => Kind::Refused,
        _ => Kind::Failed,
    }
}

/// What the authorization server has said against it, if it was that.
pub(crate) fn refusal(error: &ClientError) -> Option<&ErrorBody> {
    match error {
        ClientError::Token(TokenError::Refused { body, .. })
        | ClientError::Endpoint(EndpointError::Refused { body, .. })
        | ClientError::Pushed(PushedError::Refused { body, .. })
        | ClientError::Redirect(RedirectRefused::Denied(body))
        | ClientError::Device(DeviceError::Denied(body)) => Some(body),
        _ => None,
    }
}
