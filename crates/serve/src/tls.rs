//! TLS from PEM files, as FAPI 2.0 and BCP 195 (RFC 9325) want it, renewed without dropping a connection.

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, Error, ServerConfig, SupportedCipherSuite};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tracing::{error, info};
use zeroize::Zeroizing;

/// RFC 9325 §4.2, which FAPI 2.0 §5.2.2 names: all that TLS 1.2 may use.
const TLS12_SUITES: [CipherSuite; 4] = [
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

/// Group-writable, or anything for others.
const TOO_OPEN: u32 = 0o027;

/// Where the certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its intermediates, PEM, the server's own first.
    pub certificate: PathBuf,
    /// The private key, PEM (PKCS #8, PKCS #1 or SEC 1), readable by its owner and perhaps a group.
    pub key: PathBuf,
}

/// Why TLS cannot be offered. The text names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be opened or read.
    #[error("{}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others can read the private key.
    #[error("{}: the private key is open to others (mode {mode:03o}): chmod 600 it", .path.display())]
    KeyTooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// No certificate in PEM form.
    #[error("{}: no PEM certificate in it (a block that begins \"-----BEGIN CERTIFICATE-----\")", .0.display())]
    NoCertificate(PathBuf),
    /// No private key in PEM form.
    #[error("{}: no PEM private key in it (a block that begins \"-----BEGIN PRIVATE KEY-----\")", .0.display())]
    NoKey(PathBuf),
    /// The two files do not belong together.
    #[error("{} does not match the first certificate in {}", .0.key.display(), .0.certificate.display())]
    Mismatch(TlsFiles),
    /// The certificate or the key is of a kind that TLS cannot use.
    #[error("{} with {}: {source}", .files.certificate.display(), .files.key.display())]
    Unusable {
        /// The files.
        files: TlsFiles,
        /// What the TLS library said.
        source: Error,
    },
}

/// A certificate and key in use. Clones share them: a reload reaches every listener.
#[derive(Clone)]
pub struct Tls(Arc<Current>);

struct Current {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads the files and checks that they belong together.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let config = ArcSwap::from_pointee(configure(&files)?);
        Ok(Self(Arc::new(Current { files, config })))
    }

    /// Reads the files again, for handshakes from now on. Open connections go on as they are; if the new files are
    /// unusable, so do new ones.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.0.config.store(Arc::new(configure(&self.0.files)?));
        Ok(())
    }

    /// Reloads at each SIGHUP, for as long as it is polled. The handler is in place when this returns.
    pub fn reload_on_hangup(&self) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        let mut hangups = signal(SignalKind::hangup())?;
        let tls = self.clone();
        Ok(async move {
            while hangups.recv().await.is_some() {
                let certificate = tls.0.files.certificate.display();
                match tls.reload() {
                    Ok(()) => info!(%certificate, "TLS files reloaded"),
                    Err(error) => error!(%error, "TLS files not reloaded; the old ones stay in use"),
                }
            }
        })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.config.load_full())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.files).finish()
    }
}

fn configure(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let unusable = |source| TlsError::Unusable { files: files.clone(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(certificates(&files.certificate)?, key(&files.key)?)
        .map_err(|source| match source {
            Error::InconsistentKeys(_) => TlsError::Mismatch(files.clone()),
            source => unusable(source),
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // RFC 8470: early data can be replayed.
    config.max_early_data_size = 0;
    Ok(config)
}

/// The crypto library's suites, less those of TLS 1.2 that are not recommended.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| match suite {
        SupportedCipherSuite::Tls13(_) => true,
        SupportedCipherSuite::Tls12(_) => TLS12_SUITES.contains(&suite.suite()),
    });
    provider
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let (text, _) = read(path)?;
    match CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>() {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(TlsError::NoCertificate(path.to_path_buf())),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let (text, mode) = read(path)?;
    if mode & TOO_OPEN != 0 {
        return Err(TlsError::KeyTooOpen { path: path.to_path_buf(), mode });
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::NoKey(path.to_path_buf()))
}

/// A file's content, wiped after use, and its permission bits.
fn read(path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32), TlsError> {
    let mut content = Zeroizing::new(Vec::new());
    let mode = File::open(path).and_then(|mut file| {
        let mode = file.metadata()?.permissions().mode() & 0o777;
        file.read_to_end(&mut content)?;
        Ok(mode)
    });
    match mode {
        Ok(mode) => Ok((content, mode)),
        Err(source) => Err(TlsError::Unreadable { path: path.to_path_buf(), source }),
    }
}
