//! What the tests need beyond Rust and a C compiler: a table, and Debian's package for each row.

mod apt;

use std::path::Path;
use std::process::Command;

use crate::run;

/// Something that a test starts. A later need is one more row.
#[derive(Debug)]
struct Need {
    name: &'static str,
    why: &'static str,
    /// Where Debian's package puts it.
    file: &'static str,
    debian_package: &'static str,
}

const NEEDS: &[Need] = &[
    Need {
        name: "Chromium",
        why: "the tests of the pages drive a real browser",
        file: "/usr/bin/chromium",
        debian_package: "chromium",
    },
    Need {
        name: "ChromeDriver",
        why: "WebDriver is how they drive it",
        file: "/usr/bin/chromedriver",
        debian_package: "chromium-driver",
    },
    Need {
        name: "Valgrind",
        why: "a test counts the instructions of a proof's check",
        file: "/usr/bin/valgrind",
        debian_package: "valgrind",
    },
];

/// `cargo xtask setup [--install]`. Says nothing and takes no time when all is there.
pub(crate) fn run(options: &[&str]) -> Result<bool, String> {
    let insist = match options {
        [] => false,
        ["--install"] => true,
        _ => return Err("usage: cargo xtask setup [--install]".into()),
    };
    let missing = missing(&|file| Path::new(file).exists());
    if missing.is_empty() {
        return Ok(true);
    }
    for need in &missing {
        println!("setup: {} is missing ({} is not there): {}", need.name, need.file, need.why);
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.debian_package).collect();
    let is_debian = Path::new("/etc/debian_version").exists() && Path::new("/usr/bin/apt-get").exists();
    let is_root = is_root();
    if !is_debian || !(is_root || insist) {
        println!("setup: install what is missing, on Debian with:\n\n  {}\n", typed(&packages));
        return Ok(false);
    }
    if let Err(error) = apt::install(&packages, is_root) {
        println!("setup: {error}\nsetup: the line that should have worked:\n\n  {}\n", typed(&packages));
        return Ok(false);
    }
    let still = self::missing(&|file| Path::new(file).exists());
    for need in &still {
        println!("setup: {} is still missing: {} did not appear", need.name, need.file);
    }
    Ok(still.is_empty())
}

fn missing(exists: &dyn Fn(&str) -> bool) -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !exists(need.file)).collect()
}

fn is_root() -> bool {
    run::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// What a person types to have the packages.
fn typed(packages: &[&str]) -> String {
    format!("sudo apt-get update && sudo apt-get install -y --no-install-recommends {}", packages.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_asked_for() {
        assert!(missing(&|_| true).is_empty());
        let driver = missing(&|file| file != "/usr/bin/chromedriver");
        assert_eq!(driver.iter().map(|need| need.debian_package).collect::<Vec<_>>(), ["chromium-driver"]);
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
