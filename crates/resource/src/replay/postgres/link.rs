//! A connection to PostgreSQL, and the table.

use crate::replay::{LogServer, ReplayLogError};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, Error, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Keys are 16 octets; `forget_at` is by the server's clock.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS keybound_replay (
    key bytea PRIMARY KEY,
    forget_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS keybound_replay_forget_at ON keybound_replay (forget_at);";

const IS_THERE: &str = "SELECT to_regclass('keybound_replay') IS NOT NULL";

/// A key that is there is left alone, also one that was inserted by the same statement.
const INSERT: &str = "INSERT INTO keybound_replay (key, forget_at)
SELECT key, now() + keep_ms * interval '1 millisecond' FROM unnest($1::bytea[], $2::bigint[]) AS new (key, keep_ms)
ON CONFLICT DO NOTHING RETURNING key";

/// How to connect.
#[derive(Clone)]
pub(super) struct Link {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    timeout_ms: u128,
}

/// A connection that ends with this.
pub(super) struct Connected {
    pub(super) client: Client,
    task: JoinHandle<()>,
}

/// A connection over which records are made.
pub(super) struct Writer {
    pub(super) connected: Connected,
    pub(super) insert: Statement,
}

impl Link {
    pub(super) fn new(server: &LogServer) -> Result<Self, ReplayLogError> {
        let [url] = server.urls.as_slice() else {
            return Err(ReplayLogError("one URL is wanted; it may name several hosts".to_owned()));
        };
        let mut config: Config = url.reveal().parse().map_err(|error: Error| {
            ReplayLogError(format!("the URL of the replay log cannot be used: {error}"))
        })?;
        let is_tls = matches!(config.get_ssl_mode(), SslMode::Require);
        for host in config.get_hosts() {
            match host {
                Host::Tcp(host) => server.check_link(is_tls, host)?,
                Host::Unix(_) => (),
            }
        }
        for address in config.get_hostaddrs() {
            server.check_link(is_tls, &address.to_string())?;
        }
        config.connect_timeout(server.timeout);
        if config.get_application_name().is_none() {
            config.application_name("keybound");
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(tls(server.trusted_roots.as_deref())?),
        };
        Ok(Self { config, tls, timeout_ms: server.timeout.as_millis() })
    }

    pub(super) async fn connect(&self) -> Result<Connected, Error> {
        match &self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                Ok(Connected::over(client, connection))
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                Ok(Connected::over(client, connection))
            }
        }
    }

    /// Connects to write, and makes the table where it is not there.
    pub(super) async fn writer(&self) -> Result<Writer, Error> {
        let connected = self.connect().await?;
        let client = &connected.client;
        // A statement that nobody waits for any more must not wait on, for a lock for instance.
        let settings = format!(
            "SET default_transaction_isolation = 'read committed'; SET statement_timeout = {}",
            self.timeout_ms
        );
        client.batch_execute(&settings).await?;
        if !client.query_one(IS_THERE, &[]).await?.try_get::<_, bool>(0)? {
            client.batch_execute(TABLE).await?;
        }
        let insert = client.prepare(INSERT).await?;
        Ok(Writer { connected, insert })
    }
}

impl Connected {
    fn over<C>(client: Client, connection: C) -> Self
    where
        C: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the replay log has ended");
            }
        });
        Self { client, task }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        // A server that does not answer would keep it.
        self.task.abort();
    }
}

/// TLS with the certificate checked against these authorities, or the system's.
fn tls(trusted_roots: Option<&[u8]>) -> Result<MakeRustlsConnect, ReplayLogError> {
    let unusable = |error: &dyn std::fmt::Display| ReplayLogError(format!("trusted roots: {error}"));
    let mut roots = RootCertStore::empty();
    match trusted_roots {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| unusable(&error))?;
                roots.add(certificate).map_err(|error| unusable(&error))?;
            }
            if roots.is_empty() {
                return Err(unusable(&"there is no certificate in PEM"));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| unusable(&error))?.with_root_certificates(roots);
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}
