//! At which server, as which client, and how it is reached: what the command line and the environment say, and the
//! profile where they say nothing.

use crate::error::CommandError;
use crate::profile::{self, AuthMethod, Profile, Profiles};
use crate::{input, places, wallet};
use keybound_client::client::Client;
use keybound_client::client_auth::{ClientAuth, Credentials, Identity};
use keybound_client::prover::Prover;
use keybound_client::session::Session;
use keybound_client::transport::Transport;
use keybound_dpop::jose::json::Object;
use keybound_dpop::secret::Secret;
use keybound_fetch::{ClientCertificate, Fetcher, Proxy, Roots, Settings};
use keybound_oauth::identifier::{ClientId, Issuer, ResourceId};
use keybound_oauth::provider_metadata::ProviderMetadata;
use keybound_oauth::scope::Scope;
use std::path::PathBuf;
use std::time::Duration;

/// How long to wait for an answer, where nobody says.
const TIMEOUT_SECS: u64 = 30;

/// Which profile, and under which name a login is kept.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct NameArgs {
    /// The profile: a server and a client by one name (see `keybound profile`)
    #[arg(long, env = "KEYBOUND_PROFILE", hide_env_values = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The name that the login is kept under; left out, that of the profile
    #[arg(long, env = "KEYBOUND_SESSION", hide_env_values = true, value_name = "NAME")]
    pub(crate) session: Option<String>,
}

/// Which server, and which client.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PartyArgs {
    /// The authorization server, by its exact name
    #[arg(long, env = "KEYBOUND_ISSUER", hide_env_values = true, value_name = "URL", value_parser = parse_issuer)]
    pub(crate) issuer: Option<Issuer>,
    /// The client identifier that it gave this client
    #[arg(long, env = "KEYBOUND_CLIENT_ID", hide_env_values = true, value_name = "ID", value_parser = parse_client_id)]
    pub(crate) client_id: Option<ClientId>,
}

/// What tokens are asked for, and where they may be sent.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct AskArgs {
    /// What to ask for
    #[arg(long, env = "KEYBOUND_SCOPE", hide_env_values = true, value_name = "SCOPE", value_parser = parse_scope)]
    pub(crate) scope: Option<Scope>,
    /// The resource that the tokens are for (RFC 8707); may be given more than once
    #[arg(long = "resource", value_name = "URI", value_parser = parse_resource)]
    pub(crate) resources: Vec<ResourceId>,
    /// Another origin that the tokens may be sent to; may be given more than once
    #[arg(long = "origin", value_name = "URL")]
    pub(crate) origins: Vec<String>,
}

/// How to reach servers.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct NetworkArgs {
    /// Trust the certificate authorities in this PEM file too
    #[arg(long, env = "KEYBOUND_CA_FILE", hide_env_values = true, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Wait that long for an answer, or for the next part of one; 30 unless told otherwise
    #[arg(long = "timeout", env = "KEYBOUND_TIMEOUT", hide_env_values = true, value_name = "SECONDS")]
    pub(crate) timeout_secs: Option<u64>,
}

/// How the client shows who it is; without any of these it is a public client.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct SecretArgs {
    /// The environment variable that holds the client's secret
    #[arg(long, value_name = "VARIABLE", group = "credential")]
    pub(crate) secret_env: Option<String>,
    /// The file that holds the client's secret; `-` for stdin
    #[arg(long, value_name = "FILE", group = "credential")]
    pub(crate) secret_file: Option<String>,
    /// Ask for the client's secret at the terminal
    #[arg(long, group = "credential")]
    pub(crate) secret_prompt: bool,
    /// Authenticate with `private_key_jwt` and this key: a name (see `keybound key`), or a file with a private JWK
    #[arg(long, value_name = "NAME|FILE", group = "credential")]
    pub(crate) auth_key: Option<String>,
    /// Authenticate with the certificate in this PEM file, which holds its private key too (RFC 8705)
    #[arg(long, value_name = "FILE", group = "credential")]
    pub(crate) client_certificate: Option<PathBuf>,
    /// How a secret is sent: `client_secret_basic`, `client_secret_post`; left out, as the server takes it
    #[arg(long, value_enum, value_name = "METHOD", hide_possible_values = true)]
    pub(crate) auth_method: Option<AuthMethod>,
}

/// A server and a client at it, as far as anybody has said.
#[derive(Debug)]
pub(crate) struct Server {
    /// The name of the profile.
    pub(crate) name: String,
    /// The profile, with what was given beside it put in.
    pub(crate) profile: Profile,
}

impl NameArgs {
    /// The profile of that name. One that is named must be there, unless `is_lenient`: sessions may have been made
    /// without one.
    pub(crate) fn server(&self, is_lenient: bool) -> Result<Server, CommandError> {
        let mut profiles = Profiles::load()?;
        let name = profiles.name(self.profile.as_deref());
        match profiles.by_name.remove(&name) {
            Some(profile) => Ok(Server { name, profile }),
            None if self.profile.is_none() || is_lenient => Ok(Server { name, profile: Profile::default() }),
            None => Err(profile::missing(&name)),
        }
    }

    /// The name of the session.
    pub(crate) fn session(&self, server: &Server) -> String {
        self.session.clone().unwrap_or_else(|| server.name.clone())
    }
}

impl Server {
    /// For a session: its own profile where this one is that of another server or client, whose credentials are nothing
    /// to show there.
    pub(crate) fn of_session(self, session: &Session) -> Result<Self, CommandError> {
        let is_of = |profile: &Profile, lenient: bool| {
            profile.issuer.as_ref().map_or(lenient, |issuer| *issuer == session.issuer)
                && profile.client_id.as_ref().map_or(lenient, |client| *client == session.client_id)
        };
        if is_of(&self.profile, true) {
            return Ok(self);
        }
        let mut others = Profiles::load()?.by_name.into_values();
        let profile = others.find(|profile| is_of(profile, false)).unwrap_or_default();
        Ok(Self { profile, ..self })
    }

    /// With this put in place of what the profile says. At another server, or as another client, its credentials are
    /// not shown.
    pub(crate) fn with_party(mut self, party: &PartyArgs) -> Self {
        let profile = &mut self.profile;
        let is_other = party.issuer.is_some() && party.issuer != profile.issuer
            || party.client_id.is_some() && party.client_id != profile.client_id;
        if is_other {
            profile.forget_credentials();
        }
        put(&mut profile.issuer, party.issuer.as_ref());
        put(&mut profile.client_id, party.client_id.as_ref());
        self
    }

    pub(crate) fn with_ask(mut self, ask: &AskArgs) -> Self {
        put(&mut self.profile.scope, ask.scope.as_ref());
        if !ask.resources.is_empty() {
            self.profile.resources.clone_from(&ask.resources);
        }
        if !ask.origins.is_empty() {
            self.profile.origins.clone_from(&ask.origins);
        }
        self
    }

    pub(crate) fn with_network(mut self, network: &NetworkArgs) -> Self {
        put(&mut self.profile.ca_file, network.ca_file.as_ref());
        put(&mut self.profile.timeout, network.timeout_secs.as_ref());
        self
    }

    /// A credential that was given takes the place of the profile's, whatever its kind.
    pub(crate) fn with_secret(mut self, secret: &SecretArgs) -> Self {
        let profile = &mut self.profile;
        let is_given = secret.secret_prompt
            || secret.client_certificate.is_some()
            || [&secret.secret_env, &secret.secret_file, &secret.auth_key]
                .iter()
                .any(|given| given.is_some());
        if is_given {
            profile.forget_credentials();
            profile.secret_env.clone_from(&secret.secret_env);
            profile.secret_file.clone_from(&secret.secret_file);
            profile.secret_prompt = secret.secret_prompt;
            profile.auth_key.clone_from(&secret.auth_key);
            profile.client_certificate.clone_from(&secret.client_certificate);
        }
        put(&mut profile.auth_method, secret.auth_method.as_ref());
        self
    }

    /// The issuer, which must be known by now.
    pub(crate) fn issuer(&self) -> Result<Issuer, CommandError> {
        self.profile.issuer.clone().ok_or_else(|| {
            CommandError::usage("no authorization server is named")
                .advise("give --issuer URL, or make a profile: `keybound profile add NAME --issuer URL --client-id ID`")
        })
    }

    /// The client identifier, which must be known by now.
    pub(crate) fn client_id(&self) -> Result<ClientId, CommandError> {
        self.profile.client_id.clone().ok_or_else(|| {
            CommandError::usage("no client is named").advise(
                "give --client-id ID, as the server has it; where the server lets programs register themselves, \
                 `keybound register new` gets one",
            )
        })
    }

    /// The one HTTP client. It goes through the proxy that the environment names (`HTTPS_PROXY`, `NO_PROXY`), whose
    /// password would be seen on a command line.
    pub(crate) fn transport(&self) -> Result<Transport, CommandError> {
        Fetcher::for_operator(&self.settings()?).map(Transport::over).map_err(CommandError::failed)
    }

    /// How servers are reached.
    pub(crate) fn settings(&self) -> Result<Settings, CommandError> {
        let roots = self.profile.ca_file.as_deref().map(Roots::from_pem_file).transpose();
        let certificate = self.profile.client_certificate.as_deref();
        let certificate = certificate.map(ClientCertificate::from_pem_file).transpose();
        let proxy = Proxy::from_environment(|name| std::env::var(name).ok()).map_err(CommandError::usage)?;
        Ok(Settings {
            proxy,
            certificate: certificate.map_err(CommandError::usage)?,
            roots: roots.map_err(CommandError::usage)?.unwrap_or_default(),
            timeout: Duration::from_secs(self.profile.timeout.unwrap_or(TIMEOUT_SECS)),
            ..Settings::default()
        })
    }

    /// Who the client is, with what shows that, in the way that the profile names, else in one that the server takes.
    pub(crate) fn identity(
        &self,
        client_id: ClientId,
        at: &ProviderMetadata,
    ) -> Result<Identity, CommandError> {
        let auth = match (self.credentials()?, self.profile.auth_method) {
            (Credentials::Secret(secret), Some(AuthMethod::Basic)) => ClientAuth::SecretBasic(secret),
            (Credentials::Secret(secret), Some(AuthMethod::Post)) => ClientAuth::SecretPost(secret),
            (Credentials::Secret(_), Some(AuthMethod::PrivateKeyJwt)) => {
                return Err(CommandError::usage("`private_key_jwt` needs a key, not a secret")
                    .advise("give --auth-key"));
            }
            (credentials, _) => ClientAuth::choose(at, credentials).map_err(CommandError::usage)?,
        };
        Ok(Identity { client_id, auth })
    }

    fn credentials(&self) -> Result<Credentials, CommandError> {
        if let Some(name) = &self.profile.auth_key {
            return Ok(Credentials::Key(wallet::signing_key(name)?, None));
        }
        if self.profile.client_certificate.is_some() {
            return Ok(Credentials::Certificate);
        }
        Ok(self.secret()?.map_or(Credentials::None, Credentials::Secret))
    }

    /// The client of a session, for what it has to ask its server.
    pub(crate) async fn client(
        &self,
        transport: Transport,
        issuer: &Issuer,
        client_id: ClientId,
        prover: Prover,
    ) -> Result<Client, CommandError> {
        let server = transport.discover(issuer).await?;
        let identity = self.identity(client_id, &server)?;
        self.held_to_profile(Client::new(transport, server, identity, prover))
    }

    /// The client, held to FAPI 2.0 where the profile says so.
    pub(crate) fn held_to_profile(&self, client: Client) -> Result<Client, CommandError> {
        if !self.profile.fapi2 {
            return Ok(client);
        }
        client.under_fapi2().map_err(|error| {
            CommandError::usage(error)
                .advise("`fapi2` is set in the profile; mend what is missing, or unset it")
        })
    }

    fn secret(&self) -> Result<Option<Secret>, CommandError> {
        if let Some(name) = &self.profile.secret_env {
            let secret = std::env::var(name).map(Secret::new);
            return secret.map(Some).map_err(|_| {
                CommandError::usage(format!("the environment variable `{name}` holds no text"))
                    .advise("set it to the client's secret, or use --secret-file")
            });
        }
        if let Some(file) = &self.profile.secret_file {
            return input::secret(file, "the client's secret").map(Some);
        }
        if let Some(name) = &self.profile.registration {
            return registered_secret(name);
        }
        self.profile.secret_prompt.then(|| input::prompt("Client secret: ")).transpose()
    }
}

/// The secret in a registration that is kept.
fn registered_secret(name: &str) -> Result<Option<Secret>, CommandError> {
    let kept = places::registrations()?.read(name).map_err(|error| {
        CommandError::failed(error)
            .advise("the profile names a registration; `keybound register new` makes one")
    })?;
    let unreadable = || CommandError::failed(format!("the registration `{name}` cannot be read"));
    let object = Object::parse(&kept).map_err(|_| unreadable())?;
    Ok(object.string("client_secret").map_err(|_| unreadable())?.map(Secret::new))
}

fn put<T: Clone>(place: &mut Option<T>, given: Option<&T>) {
    if given.is_some() {
        *place = given.cloned();
    }
}

pub(crate) fn parse_issuer(text: &str) -> Result<Issuer, String> {
    Issuer::parse(text).map_err(|error| error.to_string())
}

pub(crate) fn parse_client_id(text: &str) -> Result<ClientId, String> {
    ClientId::parse(text).map_err(|error| error.to_string())
}

pub(crate) fn parse_scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).map_err(|error| error.to_string())
}

pub(crate) fn parse_resource(text: &str) -> Result<ResourceId, String> {
    ResourceId::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work() -> Server {
        let profile = Profile {
            issuer: Issuer::parse("https://id.example").ok(),
            client_id: ClientId::parse("cli").ok(),
            secret_file: Some("work.secret".to_owned()),
            auth_method: Some(AuthMethod::Post),
            ..Profile::default()
        };
        Server { name: "work".to_owned(), profile }
    }

    fn party(issuer: Option<&str>, client_id: Option<&str>) -> PartyArgs {
        PartyArgs {
            issuer: issuer.map(|text| Issuer::parse(text).expect("an issuer")),
            client_id: client_id.map(|text| ClientId::parse(text).expect("a client")),
        }
    }

    #[test]
    fn cl_cli_01_the_secret_of_one_server_is_not_shown_to_another() {
        for same in [party(None, None), party(Some("https://id.example"), Some("cli"))] {
            assert!(work().with_party(&same).profile.secret_file.is_some());
        }
        for other in [party(Some("https://evil.example"), None), party(None, Some("other"))] {
            let profile = work().with_party(&other).profile;
            assert!(profile.secret_file.is_none() && profile.auth_method.is_none());
        }
    }

    #[test]
    fn a_credential_that_is_given_takes_the_place_of_the_profiles() {
        let given = SecretArgs { secret_env: Some("S".to_owned()), ..SecretArgs::default() };
        let profile = work().with_secret(&given).profile;
        assert_eq!((profile.secret_env.as_deref(), profile.secret_file), (Some("S"), None));
        assert!(work().with_secret(&SecretArgs::default()).profile.secret_file.is_some());
    }
}
