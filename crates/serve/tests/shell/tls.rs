//! Handshakes: what is offered, what is refused, and new certificates.

use std::fs::{Permissions, set_permissions, write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use keybound_serve::{Limits, Tls, TlsError, TlsFiles};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{BRIEF, Peer, Running, get, get_and_stay, soon, status};

/// A folder with a certificate for `localhost` and its key.
pub(crate) struct Folder {
    dir: TempDir,
    files: TlsFiles,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles { certificate: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
        let folder = Self { dir, files };
        folder.renew();
        folder
    }

    fn renew(&self) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        write(&self.files.certificate, cert.pem()).unwrap();
        write(&self.files.key, signing_key.serialize_pem()).unwrap();
        self.open_key(0o600);
    }

    fn open_key(&self, mode: u32) {
        set_permissions(&self.files.key, Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self) -> Result<Tls, TlsError> {
        Tls::load(self.files.clone())
    }

    fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(&self.files.certificate).unwrap()
    }

    pub(crate) fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        provider: CryptoProvider,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

async fn handshake(running: &Running, config: ClientConfig) -> std::io::Result<Peer<TlsStream<TcpStream>>> {
    let name = ServerName::try_from("localhost").unwrap();
    let stream = running.connect().await.0;
    soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await.map(Peer)
}

pub(crate) async fn secured(folder: &Folder, limits: Limits) -> Running {
    Running::start_with(limits, Some(folder.load().unwrap())).await
}

#[tokio::test]
async fn fapi_net_02_tls_1_2_and_1_3_are_spoken() {
    let folder = Folder::new();
    let running = secured(&folder, Limits::default()).await;
    for (version, name) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let config = folder.client(&[version], aws_lc_rs::default_provider());
        let mut peer = handshake(&running, config).await.unwrap();
        assert_eq!(peer.0.get_ref().1.protocol_version(), Some(name));
        let address = peer.0.get_ref().0.local_addr().unwrap();
        peer.write(get("/from")).await;
        assert!(peer.read_to_close().await.ends_with(&format!("https {address}")));
    }
}

#[tokio::test]
async fn fapi_net_04_tls_1_3_is_preferred() {
    let folder = Folder::new();
    let running = secured(&folder, Limits::default()).await;
    let config = folder.client(&[&TLS12, &TLS13], aws_lc_rs::default_provider());
    let peer = handshake(&running, config).await.unwrap();
    assert_eq!(peer.0.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[tokio::test]
async fn http_2_is_negotiated_where_both_can() {
    let folder = Folder::new();
    let running = secured(&folder, Limits::default()).await;
    for (offer, agreed) in [(vec!["h2", "http/1.1"], "h2"), (vec!["http/1.1"], "http/1.1")] {
        let mut config = folder.client(&[&TLS13], aws_lc_rs::default_provider());
        config.alpn_protocols = offer.into_iter().map(Into::into).collect();
        let peer = handshake(&running, config).await.unwrap();
        assert_eq!(peer.0.get_ref().1.alpn_protocol(), Some(agreed.as_bytes()));
    }
}

/// A ClientHello (RFC 5246 §7.4.1.2) that offers one cipher suite.
fn client_hello(version: [u8; 2], suite: u16) -> Vec<u8> {
    let extensions = [
        &[0, 10, 0, 4, 0, 2, 0, 23][..],  // supported_groups: secp256r1
        &[0, 11, 0, 2, 1, 0],             // ec_point_formats: uncompressed
        &[0, 13, 0, 6, 0, 4, 4, 3, 8, 4], // signature_algorithms: ES256, PS256
        &[0, 23, 0, 0],                   // extended_master_secret
    ]
    .concat();
    let mut hello = [&version[..], &[7; 32], &[0, 0, 2], &suite.to_be_bytes(), &[1, 0]].concat();
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);
    let length = u16::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1];
    record.extend((length + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend(length.to_be_bytes());
    record.extend(hello);
    record
}

/// The first bytes of the answer: a record's type, and an alert's description if it is one.
async fn answer_to(running: &Running, hello: Vec<u8>) -> (u8, u8) {
    let mut peer = running.connect().await;
    peer.write(hello).await;
    let mut start = [0; 7];
    soon(tokio::io::AsyncReadExt::read_exact(&mut peer.0, &mut start)).await.unwrap();
    (start[0], start[6])
}

const HANDSHAKE_FAILURE: (u8, u8) = (21, 40);
const PROTOCOL_VERSION: (u8, u8) = (21, 70);

#[tokio::test]
async fn fapi_net_03_atk_146_tls_1_2_has_the_recommended_suites_and_no_other() {
    let folder = Folder::new();
    let running = secured(&folder, Limits::default()).await;
    let tls12 = [3, 3];
    for (name, suite) in [("ECDSA AES-128-GCM", 0xc02b), ("ECDSA AES-256-GCM", 0xc02c)] {
        assert_eq!(answer_to(&running, client_hello(tls12, suite)).await.0, 22, "{name}");
    }
    for (name, suite) in [
        ("ECDHE-ECDSA AES-128-CBC SHA-1", 0xc009),
        ("ECDHE-ECDSA AES-128-CBC SHA-256", 0xc023),
        ("ECDHE-ECDSA CHACHA20-POLY1305", 0xcca9),
        ("RSA AES-128-GCM", 0x009c),
        ("DHE-RSA AES-128-GCM", 0x009e),
    ] {
        assert_eq!(answer_to(&running, client_hello(tls12, suite)).await, HANDSHAKE_FAILURE, "{name}");
    }
}

#[tokio::test]
async fn fapi_net_03_the_suite_agreed_on_is_aes_gcm() {
    let folder = Folder::new();
    let running = secured(&folder, Limits::default()).await;
    let peer = handshake(&running, folder.client(&[&TLS12], aws_lc_rs::default_provider())).await.unwrap();
    let suite = peer.0.get_ref().1.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384);
}

#[tokio::test]
async fn fapi_net_02_atk_146_tls_1_0_and_1_1_are_refused() {
    let folder = Folder::new();
    let running = secured(&folder, Limits::default()).await;
    for version in [[3, 1], [3, 2]] {
        assert_eq!(answer_to(&running, client_hello(version, 0xc02b)).await, PROTOCOL_VERSION, "{version:?}");
    }
}

#[tokio::test]
async fn fapi_net_01_plain_http_is_not_answered_on_a_tls_port() {
    let folder = Folder::new();
    let running = secured(&folder, Limits::default()).await;
    assert!(!running.ask(get("/")).await.contains("HTTP/"));
    assert_eq!(running.calls(), 0);
    assert_eq!(running.metric("http_tls_handshake_errors_total"), 1);
}

#[tokio::test]
async fn ops_lim_04_a_slow_handshake_is_closed() {
    let folder = Folder::new();
    let running = secured(&folder, Limits { tls_handshake: BRIEF, ..Limits::default() }).await;
    assert_eq!(running.ask([22, 3, 1, 2, 0]).await, "");
    assert_eq!(running.cut("tls_handshake"), 1);
}

#[tokio::test]
async fn ops_lim_04_silence_after_the_handshake_is_closed() {
    let folder = Folder::new();
    let running = secured(&folder, Limits { first_byte: BRIEF, ..Limits::default() }).await;
    let config = folder.client(&[&TLS13], aws_lc_rs::default_provider());
    let mut peer = handshake(&running, config).await.unwrap();
    assert_eq!(peer.read_to_close().await, "");
    assert_eq!(running.cut("first_byte"), 1);
}

#[tokio::test]
async fn a_reload_is_for_new_connections_and_keeps_the_old() {
    let folder = Folder::new();
    let tls = folder.load().unwrap();
    let running = Running::start_with(Limits::default(), Some(tls.clone())).await;
    let client = || folder.client(&[&TLS13], aws_lc_rs::default_provider());
    let mut old = handshake(&running, client()).await.unwrap();
    old.write(get_and_stay("/")).await;
    old.read_until("hello").await;

    folder.renew();
    tls.reload().unwrap();
    let new = handshake(&running, client()).await.unwrap();
    assert_eq!(new.0.get_ref().1.peer_certificates().unwrap()[0], folder.certificate());
    old.write(get("/")).await;
    assert_eq!(status(&old.read_to_close().await), 200);
}

#[tokio::test]
async fn a_reload_that_fails_changes_nothing() {
    let folder = Folder::new();
    let tls = folder.load().unwrap();
    let running = Running::start_with(Limits::default(), Some(tls.clone())).await;
    let config = folder.client(&[&TLS13], aws_lc_rs::default_provider());
    write(&folder.files.certificate, "nothing").unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::NoCertificate(_))));
    handshake(&running, config).await.unwrap();
}

#[tokio::test]
async fn a_hangup_reloads() {
    let folder = Folder::new();
    let tls = folder.load().unwrap();
    let running = Running::start_with(Limits::default(), Some(tls.clone())).await;
    tokio::spawn(tls.reload_on_hangup().unwrap());
    folder.renew();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP).unwrap();
    let renewed = async {
        while handshake(&running, folder.client(&[&TLS13], aws_lc_rs::default_provider())).await.is_err() {}
    };
    soon(renewed).await;
}

#[test]
fn ops_key_05_a_key_that_others_can_read_is_refused() {
    let folder = Folder::new();
    for mode in [0o644, 0o604, 0o660] {
        folder.open_key(mode);
        let error = folder.load().unwrap_err();
        assert!(matches!(error, TlsError::KeyTooOpen { .. }), "{error}");
        assert!(error.to_string().contains("key.pem"), "{error}");
    }
    folder.open_key(0o640);
    folder.load().unwrap();
}

#[test]
fn what_is_wrong_with_the_files_is_said_with_their_name() {
    let folder = Folder::new();
    let other = Folder::new();
    let files = |certificate: &std::path::Path, key: &std::path::Path| TlsFiles {
        certificate: certificate.to_path_buf(),
        key: key.to_path_buf(),
    };
    let missing = folder.dir.path().join("missing.pem");
    let empty = folder.dir.path().join("empty.pem");
    write(&empty, "").unwrap();
    set_permissions(&empty, Permissions::from_mode(0o600)).unwrap();
    let (certificate, key) = (&folder.files.certificate, &folder.files.key);
    for (files, name, reason) in [
        (files(&missing, key), "missing.pem", "No such file"),
        (files(certificate, &missing), "missing.pem", "No such file"),
        (files(&empty, key), "empty.pem", "no PEM certificate"),
        (files(certificate, &empty), "empty.pem", "no PEM private key"),
        (files(key, key), "key.pem", "no PEM certificate"),
        (files(certificate, &other.files.key), "key.pem", "does not match"),
    ] {
        let error = Tls::load(files).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(reason), "{error}");
    }
}
