//! A proxy as a process, with the configuration that we ship.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;

/// How long a proxy may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);

/// What others may have said for all servers of an nginx, and ours inherits where its file is silent.
const AROUND_NGINX: &str = "\
    error_page 401 403 404 500 502 503 504 =200 /sorry.html;\n\
    proxy_intercept_errors on;\n\
    satisfy any;\n\
    recursive_error_pages on;\n\
    underscores_in_headers on;\n\
    proxy_cache_path cache keys_zone=all:1m;\n\
    proxy_cache all;\n\
    proxy_cache_valid any 10m;\n\
    proxy_ignore_headers Cache-Control;\n\
    add_header X-Frame-Options DENY;";

/// Whose proxy stands in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    Nginx,
    Caddy,
    Haproxy,
    EnvoyGrpc,
    EnvoyHttp,
}

/// A proxy that runs, and is killed with the test.
pub(crate) struct Running {
    child: Child,
    /// Where callers find it.
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

/// Where the others are.
pub(crate) struct Neighbours {
    pub(crate) public: SocketAddr,
    pub(crate) decision: SocketAddr,
    pub(crate) api: SocketAddr,
    /// Certificate and key, PEM.
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Proxy {
    /// The folder of what we ship.
    pub(crate) fn folder(self) -> PathBuf {
        let name = match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Haproxy => "haproxy",
            Self::EnvoyGrpc | Self::EnvoyHttp => "envoy",
        };
        root().join("deploy").join(name)
    }

    /// What we ship, with the addresses of this test.
    fn configuration(self, neighbours: &Neighbours, folder: &Path) -> String {
        let file = match self {
            Self::Nginx => "keybound.conf",
            Self::Caddy => "Caddyfile",
            Self::Haproxy => "haproxy.cfg",
            Self::EnvoyGrpc => "grpc.yaml",
            Self::EnvoyHttp => "http.yaml",
        };
        let (public, decision, api) = (neighbours.public, neighbours.decision, neighbours.api);
        let port = public.port();
        let path = |name: &str| folder.join(name).display().to_string();
        let mut text = fs::read_to_string(self.folder().join(file)).expect("what we ship");
        let mut put = |shipped: &str, here: String| {
            assert!(text.contains(shipped), "{shipped:?} is not in {file}");
            text = text.replace(shipped, &here);
        };
        match self {
            Self::Nginx => put("listen 443 ssl", format!("listen {public} ssl")),
            Self::Caddy => {
                put(
                    "https://api.example {",
                    format!("https://api.example:{port} {{\n\tbind {}", public.ip()),
                );
            }
            Self::Haproxy => {
                put("bind :443", format!("bind {public}"));
                put("/etc/haproxy/keybound.lua", self.folder().join("keybound.lua").display().to_string());
                put("/etc/ssl/api.example.both.pem", path("both.pem"));
            }
            Self::EnvoyGrpc | Self::EnvoyHttp => {
                put("address: 0.0.0.0, port_value: 443", of(public));
                put("address: 127.0.0.1, port_value: 9000", of(decision));
                put("address: 127.0.0.1, port_value: 3000", of(api));
            }
        }
        if !matches!(self, Self::EnvoyGrpc | Self::EnvoyHttp) {
            put("127.0.0.1:9000", decision.to_string());
            put("127.0.0.1:3000", api.to_string());
        }
        if self != Self::Haproxy {
            put("/etc/ssl/api.example.pem", path("certificate.pem"));
            put("/etc/ssl/api.example.key", path("key.pem"));
        }
        text
    }

    /// What stands around it where it is used, so that it runs as a child and writes into one folder.
    fn wrapped(self, text: &str, folder: &Path) -> String {
        match self {
            Self::Nginx => {
                let temp = |kind| format!("{kind}_temp_path {}/{kind};", folder.display());
                let temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(temp).join("\n");
                format!(
                    "daemon off; master_process off; pid {0}/pid; error_log stderr warn;\n\
                     events {{ worker_connections 128; }}\nhttp {{\naccess_log off;\n{temps}\n{AROUND_NGINX}\n{text}\n}}\n",
                    folder.display()
                )
            }
            Self::Caddy => format!("{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{text}"),
            Self::Haproxy | Self::EnvoyGrpc | Self::EnvoyHttp => text.to_owned(),
        }
    }

    fn command(self, file: &Path, folder: &Path) -> Command {
        let mut command = match self {
            Self::Nginx => {
                let mut command = Command::new("/usr/sbin/nginx");
                command.arg("-c").arg(file).arg("-p").arg(folder);
                // Before the configuration is read.
                command.args(["-e", "stderr"]);
                command
            }
            Self::Caddy => {
                let mut command = Command::new("/usr/bin/caddy");
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
                command
            }
            Self::Haproxy => {
                let mut command = Command::new("/usr/sbin/haproxy");
                command.args(["-db", "-f"]).arg(file);
                command
            }
            Self::EnvoyGrpc | Self::EnvoyHttp => {
                let mut command = Command::new(envoy());
                command.args(["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]);
                command.arg("--config-path").arg(file);
                command
            }
        };
        command.env_clear().env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts it, and waits until it listens.
    pub(crate) async fn start(
        self,
        neighbours: &Neighbours,
        change: impl FnOnce(String) -> String,
    ) -> Running {
        let folder = TempDir::new().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
        write("certificate.pem", &neighbours.certificate);
        write("key.pem", &neighbours.key);
        write("both.pem", &format!("{}{}", neighbours.certificate, neighbours.key));
        let text = self.wrapped(&change(self.configuration(neighbours, folder.path())), folder.path());
        let file = folder.path().join(if self == Self::Caddy { "Caddyfile" } else { "proxy.yaml" });
        fs::write(&file, text).expect("written");
        let complaints = fs::File::create(folder.path().join("stderr")).expect("a file");
        let mut command = self.command(&file, folder.path());
        command.stderr(complaints);
        let mut command = tokio::process::Command::from(command);
        let child = command.kill_on_drop(true).spawn().unwrap_or_else(|error| panic!("{self:?}: {error}"));
        let mut running = Running { child, address: neighbours.public, folder };
        tokio::time::timeout(PATIENCE, running.listens()).await.expect("it listens in time");
        running
    }
}

impl Running {
    async fn listens(&mut self) {
        while TcpStream::connect(self.address).await.is_err() {
            if let Some(status) = self.child.try_wait().expect("a child") {
                panic!("it ended, {status}: {}", self.complaints());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What it wrote to stderr.
    pub(crate) fn complaints(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }
}

/// Where callers shall find a proxy, which opens the port itself: on an address of loopback that nobody else uses, so that
/// it is free still.
pub(crate) async fn front() -> SocketAddr {
    static COUNT: AtomicU8 = AtomicU8::new(0);
    let [process, ..] = std::process::id().to_le_bytes();
    let address = [127, 100 + process % 100, process, COUNT.fetch_add(1, Ordering::Relaxed)];
    let door = TcpListener::bind(SocketAddr::from((address, 0))).await.expect("a port");
    door.local_addr().expect("an address")
}

fn of(address: SocketAddr) -> String {
    format!("address: {}, port_value: {}", address.ip(), address.port())
}

fn envoy() -> PathBuf {
    let python = root().join("target/peers/python");
    assert!(python.join("installed").exists(), "Envoy is missing: `cargo xtask setup` installs it");
    python.join("bin/envoy")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder")
}
