//! Installing Debian packages without anything being started by it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run;

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs the packages as root, or through `sudo` without asking for a password.
///
/// Packages that bring a service would start it. Debian asks `policy-rc.d` first, and one that exits with 101 says
/// no; it is in place only while the packages are installed, which needs root. Through `sudo` it is left out.
pub(super) fn install(packages: &[&str], is_root: bool) -> Result<(), String> {
    println!("setup: installing {} …", packages.join(" "));
    let _quiet = if is_root { Some(QuietServices::in_place(Path::new(POLICY))?) } else { None };
    run::succeed(apt_get(is_root).arg("update"))?;
    run::succeed(apt_get(is_root).args(["install", "-y", "--no-install-recommends"]).args(packages))
}

fn apt_get(is_root: bool) -> Command {
    let mut command = if is_root {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    } else {
        let mut command = Command::new("sudo");
        command.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        command
    };
    command.stdin(Stdio::null());
    command
}

/// As long as it lives, installed services are not started; then the former policy is back.
struct QuietServices {
    policy: PathBuf,
    former: Option<PathBuf>,
}

impl QuietServices {
    fn in_place(policy: &Path) -> Result<Self, String> {
        Self::try_in_place(policy).map_err(|error| format!("{}: {error}", policy.display()))
    }

    fn try_in_place(policy: &Path) -> io::Result<Self> {
        let former = if policy.exists() {
            let aside = policy.with_extension("d.aside");
            fs::rename(policy, &aside)?;
            Some(aside)
        } else {
            None
        };
        let quiet = Self { policy: policy.into(), former };
        fs::write(policy, "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(policy, fs::Permissions::from_mode(0o755))?;
        Ok(quiet)
    }
}

impl Drop for QuietServices {
    fn drop(&mut self) {
        let restored = match &self.former {
            Some(former) => fs::rename(former, &self.policy),
            None => fs::remove_file(&self.policy),
        };
        if let Err(error) = restored {
            println!("setup: {} could not be put back: {error}", self.policy.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn the_policy_says_no_and_goes_away() {
        let folder = folder("policy-new");
        let policy = folder.join("policy-rc.d");
        let quiet = QuietServices::in_place(&policy).unwrap();
        assert_eq!(Command::new(&policy).status().unwrap().code(), Some(101));
        drop(quiet);
        assert!(!policy.exists());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_former_policy_comes_back() {
        let folder = folder("policy-former");
        let policy = folder.join("policy-rc.d");
        fs::write(&policy, "former").unwrap();
        drop(QuietServices::in_place(&policy).unwrap());
        assert_eq!(fs::read_to_string(&policy).unwrap(), "former");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }
}
