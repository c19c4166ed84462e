//! Signing in with a browser of this machine (RFC 8252).

use super::{Begun, WayArgs};
use crate::error::CommandError;
use crate::{asking, output};
use keybound_client::flow::authorization_code::LoginAsk;
use keybound_client::loopback::Loopback;
use keybound_client::tokens::Tokens;
use keybound_oauth::authorization::Prompt;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long the user may take in the browser.
const PATIENCE: Duration = Duration::from_secs(600);

/// The authorization code grant, with the answer to a listener on this machine.
pub(super) async fn sign_in(begun: &Begun, args: &WayArgs, opens: bool) -> Result<Tokens, CommandError> {
    let profile = &begun.server.profile;
    let path = args.redirect_path.as_deref().or(profile.redirect_path.as_deref()).unwrap_or("/callback");
    let port = args.redirect_port.or(profile.redirect_port).unwrap_or(0);
    let mut loopback = Loopback::listen_at(path, port).await.map_err(CommandError::failed)?;
    let ask = LoginAsk {
        scope: profile.scope.clone(),
        resources: profile.resources.clone(),
        prompt: args.prompt.clone(),
        max_age_secs: args.max_age_secs,
        login_hint: args.login_hint.clone(),
        ..LoginAsk::default()
    };
    let login = begun.client.begin_login(ask, loopback.redirect_uri()).await?;
    output::note(&format!("To sign in, open\n  {}\n", login.url()))?;
    if opens {
        open(login.url(), profile.secret_env.as_deref());
    }
    let query = loopback.response(PATIENCE).await.map_err(keybound_client::error::ClientError::from)?;
    Ok(begun.client.finish_login(login, &query).await?)
}

/// Whether there is a browser that could be opened, and would be seen by who types here.
pub(super) fn is_there() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_remote = is_set("SSH_CONNECTION") || is_set("SSH_TTY");
    let has_display = cfg!(target_os = "macos") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    is_set("BROWSER") || has_display && !is_remote
}

/// Opens the browser that the user has named, else the system's. Where there is none, the URL that was printed will do.
/// The variables that hold secrets of ours are not handed on.
pub(crate) fn open(url: &str, secret_env: Option<&str>) {
    let system = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let named = std::env::var("BROWSER").ok().filter(|name| !name.is_empty());
    for opener in named.as_deref().into_iter().chain([system]) {
        match opening(opener, url, secret_env).spawn() {
            Ok(_) => return,
            Err(error) => tracing::debug!(%error, opener, "no browser was opened"),
        }
    }
}

/// The browser has no business with secrets, passphrases and PINs.
fn opening(opener: &str, url: &str, secret_env: Option<&str>) -> Command {
    let mut command = Command::new(opener);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for variable in asking::SECRETS.into_iter().chain(secret_env) {
        command.env_remove(variable);
    }
    command
}

pub(super) fn parse_prompt(text: &str) -> Result<Prompt, String> {
    Prompt::parse(text).ok_or_else(|| "one of login, consent, select_account, none".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cl_cli_01_atk_126_the_browser_is_told_no_passphrase() {
        let command = opening("xdg-open", "https://id.example/", Some("APP_SECRET"));
        for secret in ["KEYBOUND_PASSPHRASE", "KEYBOUND_NEW_PASSPHRASE", "KEYBOUND_PIN", "APP_SECRET"] {
            assert!(command.get_envs().any(|(name, value)| name == secret && value.is_none()), "{secret}");
        }
    }
}
