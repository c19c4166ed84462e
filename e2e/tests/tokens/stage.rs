//! A token behind a library, set up for one test in a folder that goes away with it.

use cryptoki::context::Pkcs11;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use keybound_client::keystore::pkcs11::TokenName;
use keybound_client::keystore::{AskSecret, KeyStore, SecretAsked, SecretFor};
use keybound_dpop::secret::Secret;
use parking_lot::Mutex;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const LABEL: &str = "work";
pub(crate) const PIN: &str = "271828";
/// The security officer's.
pub(crate) const SO_PIN: &str = "31415926";

const GUIDE: &str = include_str!("../../../docs/keys.md");

/// How the second process knows that it is the second.
const INSIDE: &str = "KEYBOUND_TEST_TOKEN";
/// How long a simulator may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    SoftHsm,
    Tpm,
}

/// What a test finds: a token that is set up.
pub(crate) struct Stage {
    pub(crate) kind: Kind,
    pub(crate) folder: PathBuf,
}

/// Sets a token up and runs the test in another process, where the library finds it.
pub(crate) fn within(kind: Kind, name: &str, test: fn(&Stage)) {
    if let Some(folder) = std::env::var_os(INSIDE) {
        return test(&Stage { kind, folder: folder.into() });
    }
    let set = Set::up(kind);
    let (_, name) = name.split_once("::").expect("a module");
    let test = std::env::current_exe().expect("this program");
    let mut command = Command::new(test);
    command.args([name, "--exact", "--nocapture"]).envs(set.env()).env(INSIDE, set.folder.path());
    let output = command.output().expect("a process");
    let told = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{told}{log}");
    assert!(!told.contains(PIN) && !log.contains(PIN), "the PIN was told: {told}{log}");
}

impl Stage {
    pub(crate) fn module(&self) -> PathBuf {
        module(self.kind)
    }

    pub(crate) fn token(&self) -> TokenName {
        TokenName { module: self.module(), token: LABEL.to_owned(), serial: None }
    }

    /// The keys, and who tells the PIN.
    pub(crate) fn keys(&self, pin: &'static str) -> (KeyStore, Arc<Teller>) {
        let teller = Arc::new(Teller { pin, asked: Mutex::default() });
        let keys = KeyStore::open(self.folder.join("keys")).expect("a store");
        (keys.asking(Arc::<Teller>::clone(&teller)), teller)
    }

    /// A session of our own with the token. The library is the process's, so that it is logged in where the keys are.
    pub(crate) fn session(&self) -> Session {
        let library = Pkcs11::new(self.module()).expect("a library");
        let slots = library.get_slots_with_token().expect("slots");
        let is_it = |slot: &_| library.get_token_info(*slot).expect("a token").label() == LABEL;
        let slot = slots.into_iter().find(is_it).expect("the token");
        let session = library.open_rw_session(slot).expect("a session");
        // Where keys are open, this is done already.
        let _ = session.login(UserType::User, Some(&AuthPin::new(PIN.into())));
        session
    }
}

/// All private keys in the token.
pub(crate) fn private_keys(session: &Session) -> Vec<ObjectHandle> {
    session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).expect("objects")
}

/// Tells the PIN, and remembers that it was asked.
pub(crate) struct Teller {
    pin: &'static str,
    asked: Mutex<Vec<String>>,
}

impl Teller {
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

impl AskSecret for Teller {
    fn ask(&self, wanted: &SecretFor<'_>) -> Result<Secret, SecretAsked> {
        self.asked.lock().push(wanted.to_string());
        Ok(Secret::new(self.pin))
    }
}

/// A token that was set up, and what runs behind it.
struct Set {
    kind: Kind,
    folder: TempDir,
    simulator: Option<Child>,
}

impl Set {
    fn up(kind: Kind) -> Self {
        let mut set = Self { kind, folder: TempDir::new().expect("a folder"), simulator: None };
        match kind {
            Kind::SoftHsm => {
                let tokens = set.made("tokens");
                let config =
                    format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
                std::fs::write(set.path("softhsm.conf"), config).expect("written");
            }
            Kind::Tpm => {
                set.made("store");
                set.simulate();
            }
        }
        let documented = documented(kind, "softhsm2-util");
        let mut command = Command::new("softhsm2-util");
        // A person is asked for them.
        command.args(documented).args(["--so-pin", SO_PIN, "--pin", PIN]).envs(set.env());
        let output = command.output().expect("`cargo xtask setup` installs softhsm2");
        assert!(output.status.success(), "{output:?}");
        set
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.path(name).display().to_string();
        match self.kind {
            Kind::SoftHsm => vec![("SOFTHSM2_CONF", path("softhsm.conf"))],
            Kind::Tpm => vec![
                ("TPM2_PKCS11_STORE", path("store")),
                ("TPM2_PKCS11_TCTI", format!("swtpm:path={}", path("tpm"))),
            ],
        }
    }

    /// Starts a TPM on a socket in the folder.
    fn simulate(&mut self) {
        let (state, socket) = (self.made("state"), self.path("tpm"));
        let unix = |name: &str| format!("type=unixio,path={}", self.path(name).display());
        let mut command = Command::new("swtpm");
        command.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"]);
        command.args(["--tpmstate", &format!("dir={}", state.display())]);
        command.args(["--server", &unix("tpm"), "--ctrl", &unix("tpm.ctrl")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.simulator = Some(command.spawn().expect("`cargo xtask setup` installs swtpm"));
        let listens = async {
            while UnixStream::connect(&socket).is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let waited = runtime.block_on(async { tokio::time::timeout(PATIENCE, listens).await });
        waited.expect("the simulator listens");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn made(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir(&path).expect("a folder");
        path
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        if let Some(simulator) = &mut self.simulator {
            // It may have ended already.
            let _ = simulator.kill();
            let _ = simulator.wait();
        }
    }
}

/// The words after that program's name in the guide's chapter on that kind of token.
fn documented(kind: Kind, program: &str) -> Vec<String> {
    let chapter = match kind {
        Kind::SoftHsm => "### SoftHSM",
        Kind::Tpm => "### A TPM 2.0",
    };
    let chapter = GUIDE.split_once(chapter).expect("the chapter").1.split("\n#").next().expect("its text");
    let line = chapter.lines().find_map(|line| line.strip_prefix(program)).expect("the line");
    line.split_whitespace().map(|word| word.replace("x86_64", std::env::consts::ARCH)).collect()
}

fn module(kind: Kind) -> PathBuf {
    let words = documented(kind, "keybound key new");
    let module = words.iter().skip_while(|word| *word != "--pkcs11").nth(1).expect("a module");
    assert!(Path::new(module).exists(), "`cargo xtask setup` installs {module}");
    PathBuf::from(module)
}
