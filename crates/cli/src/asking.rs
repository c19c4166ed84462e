//! Passphrases of key files and PINs of tokens: from a file or a variable that the environment names, else from the
//! terminal. Never from the command line.

use crate::input;
use keybound_client::keystore::{AskSecret, SecretAsked, SecretFor};
use keybound_dpop::secret::Secret;

/// Characters of a new passphrase, at the least.
const PASSPHRASE_CHARS_MIN: usize = 8;

/// The variables that hold secrets themselves: they are for this program, and not for those that it starts.
pub(crate) const SECRETS: [&str; 3] = ["KEYBOUND_PASSPHRASE", "KEYBOUND_NEW_PASSPHRASE", "KEYBOUND_PIN"];

/// Asks the environment, then the person at the terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking;

impl AskSecret for Asking {
    fn ask(&self, wanted: &SecretFor<'_>) -> Result<Secret, SecretAsked> {
        match wanted {
            SecretFor::NewPassphrase { is_change, .. } => {
                let variable = if *is_change { "KEYBOUND_NEW_PASSPHRASE" } else { "KEYBOUND_PASSPHRASE" };
                long_enough(match from_environment(variable)? {
                    Some(passphrase) => passphrase,
                    None => twice(wanted, variable)?,
                })
            }
            SecretFor::Pin { token, is_last_try: true } if is_set("KEYBOUND_PIN") => {
                Err(SecretAsked(format!(
                    "token `{token}` locks if the next PIN is wrong, so the one in the environment was not tried; \
                 unset KEYBOUND_PIN and KEYBOUND_PIN_FILE, and type it"
                )))
            }
            SecretFor::Pin { is_last_try, .. } => match from_environment("KEYBOUND_PIN")? {
                Some(pin) => Ok(pin),
                None => once(wanted, "KEYBOUND_PIN", if *is_last_try { " (the last try)" } else { "" }),
            },
            _ => match from_environment("KEYBOUND_PASSPHRASE")? {
                Some(passphrase) => Ok(passphrase),
                None => once(wanted, "KEYBOUND_PASSPHRASE", ""),
            },
        }
    }
}

/// The first line of the file that `…_FILE` names, or the variable itself.
fn from_environment(variable: &str) -> Result<Option<Secret>, SecretAsked> {
    if let Some(file) = value(&format!("{variable}_FILE")) {
        let secret = input::secret(&file, "a passphrase or PIN");
        return secret.map(Some).map_err(|error| SecretAsked(format!("{variable}_FILE: {error}")));
    }
    Ok(value(variable).map(Secret::new))
}

fn value(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

fn is_set(variable: &str) -> bool {
    value(variable).is_some() || value(&format!("{variable}_FILE")).is_some()
}

fn once(wanted: &SecretFor<'_>, variable: &str, remark: &str) -> Result<Secret, SecretAsked> {
    let question = format!("{}{remark}: ", capitalized(wanted));
    input::prompt(&question).map_err(|_| {
        SecretAsked(format!(
            "{wanted} is needed, and there is no terminal to ask for it at; \
             set {variable}_FILE to a file that holds it, or {variable} to itself"
        ))
    })
}

fn twice(wanted: &SecretFor<'_>, variable: &str) -> Result<Secret, SecretAsked> {
    let secret = once(wanted, variable, "")?;
    if secret != once(wanted, variable, ", once more")? {
        return Err(SecretAsked("the two passphrases differ; run the command again".to_owned()));
    }
    Ok(secret)
}

fn long_enough(passphrase: Secret) -> Result<Secret, SecretAsked> {
    if passphrase.reveal().chars().count() < PASSPHRASE_CHARS_MIN {
        let what = format!(
            "a passphrase has at least {PASSPHRASE_CHARS_MIN} characters; four or five words are good"
        );
        return Err(SecretAsked(what));
    }
    Ok(passphrase)
}

fn capitalized(wanted: &SecretFor<'_>) -> String {
    let text = wanted.to_string();
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
