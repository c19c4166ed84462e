//! What `login` and `request` have in common: how to reach servers, who the client is, which key.

use crate::error::CommandError;
use crate::{input, places};
use keybound_client::client_auth::{ClientAuth, Identity};
use keybound_client::private_dir::read_private;
use keybound_client::prover::{Prover, SharedSigner};
use keybound_client::transport::Transport;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::SystemClock;
use keybound_fetch::{Fetcher, Roots, Settings};
use keybound_oauth::identifier::ClientId;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How to reach servers.
#[derive(Debug, clap::Args)]
pub(crate) struct NetworkArgs {
    /// Trust the certificate authorities in this PEM file too
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Wait that long for an answer
    #[arg(long = "timeout", value_name = "SECONDS", default_value_t = 30)]
    timeout_secs: u64,
}

impl NetworkArgs {
    /// The one HTTP client.
    pub(crate) fn transport(&self) -> Result<Transport, CommandError> {
        let roots =
            self.ca_file.as_deref().map(Roots::from_pem_file).transpose().map_err(CommandError::failed)?;
        let settings = Settings {
            roots: roots.unwrap_or_default(),
            timeout: Duration::from_secs(self.timeout_secs),
            ..Settings::default()
        };
        Fetcher::for_operator(&settings).map(Transport::over).map_err(CommandError::failed)
    }
}

/// How the client shows who it is; without any of these it is a public client.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct SecretArgs {
    /// The environment variable that holds the client's secret
    #[arg(long, value_name = "VARIABLE")]
    secret_env: Option<String>,
    /// The file that holds the client's secret; `-` for stdin
    #[arg(long, value_name = "FILE")]
    secret_file: Option<String>,
    /// Ask for the client's secret at the terminal
    #[arg(long)]
    secret_prompt: bool,
    /// Authenticate with `private_key_jwt` and this key: a name (see `keybound key`), or a file with a private JWK
    #[arg(long, value_name = "NAME|FILE")]
    auth_key: Option<String>,
}

impl SecretArgs {
    pub(crate) fn identity(&self, client_id: ClientId) -> Result<Identity, CommandError> {
        let auth = match (&self.auth_key, self.secret()?) {
            (Some(name), _) => ClientAuth::PrivateKeyJwt { signer: signing_key(name)?, kid: None },
            (None, Some(secret)) => ClientAuth::SecretBasic(secret),
            (None, None) => ClientAuth::None,
        };
        Ok(Identity { client_id, auth })
    }

    fn secret(&self) -> Result<Option<Secret>, CommandError> {
        if let Some(name) = &self.secret_env {
            let secret = std::env::var(name).map(Secret::new);
            return secret.map(Some).map_err(|_| {
                CommandError::usage(format!("the environment variable `{name}` holds no text"))
                    .advise("set it to the client's secret, or use --secret-file")
            });
        }
        if let Some(file) = &self.secret_file {
            return input::secret(file, "the client's secret").map(Some);
        }
        self.secret_prompt.then(|| input::prompt("Client secret: ")).transpose()
    }
}

/// The key of that name, or in that file, whatever kind it is of.
pub(crate) fn signing_key(name: &str) -> Result<SharedSigner, CommandError> {
    let keys = places::keys()?;
    if !input::is_path(name) {
        return Ok(keys.load(name)?);
    }
    let bytes = read_private(Path::new(name)).map_err(CommandError::failed)?;
    keys.signer(name, &bytes).map_err(|error| {
        CommandError::failed(error)
            .advise("the file must hold one private JWK; `keybound key new NAME` makes a key")
    })
}

/// A prover for the key, by this machine's clock.
pub(crate) fn prover(key: SharedSigner) -> Prover {
    Prover::new(key, Arc::default(), Arc::new(SystemClock::start()))
}
