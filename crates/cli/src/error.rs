//! How a command ends badly: what happened, and what to do next.

use crate::output;
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Refused, failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// Whoever read our output has had enough of it.
    PipeClosed,
}

impl CommandError {
    /// It was refused, or failed.
    pub(crate) fn failed(what: impl fmt::Display) -> Self {
        Self { kind: Kind::Failed, what: what.to_string(), advice: None }
    }

    /// The command line makes no sense.
    pub(crate) fn usage(what: impl fmt::Display) -> Self {
        Self { kind: Kind::Usage, what: what.to_string(), advice: None }
    }

    /// What to do next.
    pub(crate) fn advise(mut self, advice: impl fmt::Display) -> Self {
        self.advice = Some(advice.to_string());
        self
    }

    /// Says it on stderr, a line each for what happened and what to do.
    pub(crate) fn report(&self) -> ExitCode {
        let code = match self.kind {
            Kind::PipeClosed => return ExitCode::SUCCESS,
            Kind::Failed => 1,
            Kind::Usage => 2,
        };
        let style = output::Style::of_stderr();
        let lines: Vec<String> = self.what.trim_end().lines().map(output::plain).collect();
        let mut text = format!("{} {}\n", style.bad("error:"), lines.join("\n"));
        if let Some(advice) = &self.advice {
            text.push_str(&format!("{} {}\n", style.strong("next:"), output::plain(advice)));
        }
        match output::note(&text) {
            Ok(()) => ExitCode::from(code),
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
    keybound_client::error::ClientError,
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
