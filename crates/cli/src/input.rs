//! Secrets and other input: from stdin, a file, the environment or a prompt, never from the command line, which every
//! user of the machine can read (CL-CLI-01).

use crate::error::CommandError;
use crate::output;
use keybound_dpop::secret::Secret;
use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// Bytes of an input that is held in memory, at the most.
const MAX_BYTES: u64 = 1024 * 1024;
/// Room for any secret, so that no part is left behind where it was before it grew.
const ROOM: usize = 16 * 1024;

/// A password: from stdin where asked for, else typed twice at a terminal.
pub(crate) fn new_password(from_stdin: bool) -> Result<Secret, CommandError> {
    if from_stdin {
        return first_line(&text("-")?, "a password");
    }
    if !io::stdin().is_terminal() {
        return Err(CommandError::usage("there is no terminal to ask for a password at")
            .advise("pipe the password in and add --password-stdin"));
    }
    let password = prompt("Password: ")?;
    if password != prompt("Once more: ")? {
        return Err(CommandError::failed("the two passwords differ").advise("run the command again"));
    }
    Ok(password)
}

/// Asks at the terminal, without an echo.
pub(crate) fn prompt(question: &str) -> Result<Secret, CommandError> {
    rpassword::prompt_password(question).map(Secret::new).map_err(|error| {
        CommandError::failed(format!("nothing could be asked at the terminal: {error}"))
            .advise("use one of the options that read from a file or from stdin")
    })
}

/// Asks at the terminal whether to go on; `yes` is what says so.
pub(crate) fn confirm(question: &str) -> Result<(), CommandError> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(CommandError::usage("there is no terminal to ask at").advise("add --yes if you mean it"));
    }
    output::note(&format!("{question} Type `yes`: "))?;
    let mut answer = String::new();
    stdin.lock().take(16).read_line(&mut answer)?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(CommandError::failed("nothing was done")),
    }
}

/// A token or secret: the first line of a file, or of stdin for `-`.
pub(crate) fn secret(source: &str, what: &str) -> Result<Secret, CommandError> {
    first_line(&text(source)?, what)
}

/// The text of a file, or of stdin for `-`.
pub(crate) fn text(source: &str) -> Result<Secret, CommandError> {
    let bytes = read(source)?;
    std::str::from_utf8(&bytes)
        .map(Secret::new)
        .map_err(|_| CommandError::failed(format!("{} is not text in UTF-8", name_of(source))))
}

/// The bytes of a file, or of stdin for `-`.
pub(crate) fn bytes(source: &str) -> Result<Vec<u8>, CommandError> {
    Ok(std::mem::take(&mut *read(source)?))
}

/// What may be a secret is wiped, wherever it was.
fn read(source: &str) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
    let read = match source {
        "-" => io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes),
        path => File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| CommandError::failed(format!("{} cannot be read: {error}", name_of(source))))?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_BYTES) {
        return Err(CommandError::failed(format!("{} is longer than {MAX_BYTES} bytes", name_of(source))));
    }
    Ok(bytes)
}

/// The JSON in a file, or in stdin for `-`.
pub(crate) fn json(source: &str) -> Result<serde_json::Value, CommandError> {
    serde_json::from_slice(&bytes(source)?)
        .map_err(|error| CommandError::failed(format!("{} is not JSON: {error}", name_of(source))))
}

/// Whether the name of a key means a file: there is a slash in it, or it ends in `.jwk` or `.json`.
pub(crate) fn is_path(name: &str) -> bool {
    name.contains('/')
        || Path::new(name).extension().is_some_and(|extension| extension == "jwk" || extension == "json")
}

fn first_line(text: &Secret, what: &str) -> Result<Secret, CommandError> {
    match text.reveal().lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line)),
        _ => Err(CommandError::failed(format!("{what} was expected, and the first line is empty"))),
    }
}

fn name_of(source: &str) -> &str {
    if source == "-" { "stdin" } else { source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cl_cli_01_a_secret_is_the_first_line_without_its_end() {
        let read =
            |text: &str| first_line(&Secret::new(text), "a token").map(|secret| secret.reveal().to_owned());
        assert_eq!(read("s3cret\r\n").expect("a secret"), "s3cret");
        assert_eq!(read("a b\nc").expect("a secret"), "a b");
        assert!(read("").is_err() && read("\nlate").is_err());
    }

    #[test]
    fn names_of_keys_and_paths_are_told_apart() {
        assert!(is_path("./key") && is_path("/etc/key") && is_path("key.jwk") && is_path("key.json"));
        assert!(!is_path("laptop") && !is_path("api.example"));
    }
}
