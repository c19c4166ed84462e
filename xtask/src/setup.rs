//! What the tests need beyond Rust and a C compiler: a table, Debian's package for each row, and the programs of other
//! people that they run.

mod apt;
mod peers;
mod room;

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{repo, run};

/// Something that a test or an installation starts. A later need is one more row.
#[derive(Debug)]
struct Need {
    name: &'static str,
    why: &'static str,
    sign: Sign,
    debian_package: &'static str,
}

/// How one sees that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// Where Debian's package puts it.
    File(&'static str),
    /// A library, in `/usr/lib` or in the folder there that is this machine's kind.
    Library(&'static str),
    /// A program of the search path that says its version.
    Program(&'static str),
    /// Modules that Python imports.
    Python(&'static str),
}

const NEEDS: &[Need] = &[
    Need {
        name: "Chromium",
        why: "the tests of the pages drive a real browser",
        sign: Sign::File("/usr/bin/chromium"),
        debian_package: "chromium",
    },
    Need {
        name: "ChromeDriver",
        why: "WebDriver is how they drive it",
        sign: Sign::File("/usr/bin/chromedriver"),
        debian_package: "chromium-driver",
    },
    Need {
        name: "Valgrind",
        why: "a test counts the instructions of a proof's check",
        sign: Sign::File("/usr/bin/valgrind"),
        debian_package: "valgrind",
    },
    Need {
        name: "nginx",
        why: "the decision point is asked by it, with its auth_request",
        sign: Sign::File("/usr/sbin/nginx"),
        debian_package: "nginx-light",
    },
    Need {
        name: "Caddy",
        why: "the decision point is asked by it, as it forwards",
        sign: Sign::File("/usr/bin/caddy"),
        debian_package: "caddy",
    },
    Need {
        name: "HAProxy",
        why: "the decision point is asked by it, from Lua",
        sign: Sign::File("/usr/sbin/haproxy"),
        debian_package: "haproxy",
    },
    Need {
        name: "npm",
        why: "it installs the clients of other people that are written in JavaScript",
        sign: Sign::Program("npm"),
        debian_package: "npm",
    },
    Need {
        name: "Python with venv",
        why: "a client of other people is written in it",
        sign: Sign::Python("ensurepip, venv"),
        debian_package: "python3-venv",
    },
    Need {
        name: "Redis",
        why: "gateways in the tests share a replay log in it",
        sign: Sign::File("/usr/bin/redis-server"),
        debian_package: "redis-server",
    },
    Need {
        name: "PostgreSQL",
        why: "gateways in the tests share a replay log in it",
        sign: Sign::File("/usr/bin/pg_ctlcluster"),
        debian_package: "postgresql",
    },
    Need {
        name: "SoftHSM",
        why: "it is the token that keys of clients are in",
        sign: Sign::File("/usr/lib/softhsm/libsofthsm2.so"),
        debian_package: "softhsm2",
    },
    Need {
        name: "swtpm",
        why: "it plays the TPM that keys of clients are in",
        sign: Sign::File("/usr/bin/swtpm"),
        debian_package: "swtpm",
    },
    Need {
        name: "tpm2-pkcs11",
        why: "it makes a token of that TPM",
        sign: Sign::Library("pkcs11/libtpm2_pkcs11.so"),
        debian_package: "libtpm2-pkcs11-1",
    },
    Need {
        name: "the way from there to swtpm",
        why: "Debian has it in a package of its own",
        sign: Sign::Library("libtss2-tcti-swtpm.so.0"),
        debian_package: "libtss2-tcti-swtpm0",
    },
];

/// `cargo xtask setup [--install]`. Says nothing and takes no time when all is there, and room for the rest.
pub(crate) fn run(options: &[&str]) -> Result<bool, String> {
    let insist = match options {
        [] => false,
        ["--install"] => true,
        _ => return Err("usage: cargo xtask setup [--install]".into()),
    };
    let root = repo::root()?;
    room::look();
    let has_needs = needs(insist);
    let has_peers = peers::install(&root);
    Ok(has_needs && has_peers)
}

/// Whether the machine has what is needed, at last.
fn needs(insist: bool) -> bool {
    let missing = missing(&is_there);
    if missing.is_empty() {
        return true;
    }
    for need in &missing {
        println!("setup: {} is missing ({} is not there): {}", need.name, need.sign, need.why);
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.debian_package).collect();
    let is_debian = Path::new("/etc/debian_version").exists() && Path::new("/usr/bin/apt-get").exists();
    let is_root = is_root();
    if !is_debian || !(is_root || insist) {
        println!("setup: install what is missing, on Debian with:\n\n  {}\n", typed(&packages));
        return false;
    }
    if let Err(error) = apt::install(&packages, is_root) {
        println!("setup: {error}\nsetup: the line that should have worked:\n\n  {}\n", typed(&packages));
        return false;
    }
    let still = self::missing(&is_there);
    for need in &still {
        println!("setup: {} is still missing: {} did not appear", need.name, need.sign);
    }
    still.is_empty()
}

fn missing(is_there: &dyn Fn(Sign) -> bool) -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !is_there(need.sign)).collect()
}

fn is_there(sign: Sign) -> bool {
    match sign {
        Sign::File(file) => Path::new(file).exists(),
        Sign::Library(library) => has_library(library),
        Sign::Program(program) => answers(Command::new(program).arg("--version")),
        Sign::Python(modules) => answers(Command::new("python3").arg("-c").arg(format!("import {modules}"))),
    }
}

fn has_library(name: &str) -> bool {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    Path::new("/usr/lib").join(name).exists()
        || folders.map(|folder| folder.path()).any(|folder| folder.join(name).exists())
}

fn answers(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command.output().is_ok_and(|output| output.status.success())
}

fn is_root() -> bool {
    run::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// What a person types to have the packages.
fn typed(packages: &[&str]) -> String {
    format!("sudo apt-get update && sudo apt-get install -y --no-install-recommends {}", packages.join(" "))
}

impl fmt::Display for Sign {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) | Self::Library(file) => formatter.write_str(file),
            Self::Program(program) => write!(formatter, "`{program} --version`"),
            Self::Python(modules) => write!(formatter, "`python3 -c 'import {modules}'`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_asked_for() {
        assert!(missing(&|_| true).is_empty());
        let driver = missing(&|sign| sign != Sign::File("/usr/bin/chromedriver"));
        assert_eq!(driver.iter().map(|need| need.debian_package).collect::<Vec<_>>(), ["chromium-driver"]);
    }

    #[test]
    fn a_program_is_there_when_it_answers() {
        assert!(is_there(Sign::Program("cargo")));
        assert!(!is_there(Sign::Program("no-such-program")));
        assert!(!is_there(Sign::File("/no/such/file")));
        assert!(!is_there(Sign::Library("libno-such.so")));
    }

    #[test]
    fn the_line_to_type_is_whole() {
        let line = typed(&["chromium", "chromium-driver"]);
        assert!(line.ends_with("install -y --no-install-recommends chromium chromium-driver"), "{line}");
    }

    #[test]
    fn an_unknown_option_is_refused() {
        assert!(run(&["--force"]).is_err());
    }
}
