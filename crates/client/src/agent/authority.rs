//! A certificate authority of the agent's own, so that it can end the TLS of its callers (and of nobody else): it can
//! vouch for the hosts of the configured origins only, which its certificate says (RFC 5280 §4.2.1.10), and nothing
//! trusts it until its user tells a program to.

use super::authority_file::{Kept, lock, read, write};
use crate::private_file::PrivateFileError;
use keybound_dpop::jose::crypto::{self, CryptoError};
use keybound_dpop::time::UnixTime;
use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use url::Host;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// How long the authority is good for, and how long before its end another one takes its place.
const LIFE_SECS: u64 = 365 * DAY;
const REMADE_SECS: u64 = 30 * DAY;
/// The same of what it vouches for.
const LEAF_LIFE_SECS: u64 = DAY;
const LEAF_REMADE_SECS: u64 = 6 * HOUR;
/// Clocks of callers may be late.
const BACKDATED_SECS: u64 = HOUR;

/// The authority, with what it has vouched for.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    made_at: u64,
    leaves: Mutex<HashMap<String, Leaf>>,
}

#[derive(Clone)]
struct Leaf {
    config: Arc<ServerConfig>,
    remade_at: u64,
}

/// Why there is no authority, or why it cannot vouch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The file holds something else.
    #[error(
        "the file of the agent's certificate authority `{0}` cannot be used; delete it, and another one is made"
    )]
    NotAnAuthority(String),
    /// There is nothing to vouch for.
    #[error("no profile has an https origin, so there is nothing to have a certificate for")]
    NoHosts,
    /// The system has no entropy to give.
    #[error("the system gives no random numbers, so no certificate authority can be made")]
    Entropy(#[from] CryptoError),
    /// No certificate can be made.
    #[error("a certificate could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The certificate cannot be used.
    #[error("a certificate could not be used: {0}")]
    Tls(#[from] rustls::Error),
}

impl Authority {
    /// The authority of that name in a folder of private files. It is made where there is none, where it is for other
    /// hosts, or where it soon ends; then the second value is true, and whoever trusted the old one has to be told.
    ///
    /// # Errors
    /// [`AuthorityError`]
    pub fn open(
        folder: &Path,
        name: &str,
        hosts: &[Host<String>],
        now: UnixTime,
    ) -> Result<(Self, bool), AuthorityError> {
        let mut hosts: Vec<String> = hosts.iter().map(bare).collect();
        hosts.sort();
        hosts.dedup();
        if hosts.is_empty() {
            return Err(AuthorityError::NoHosts);
        }
        let fits = |kept: &Kept| {
            kept.hosts == hosts && kept.made_at <= now.as_secs() + DAY && is_good(kept.made_at, now)
        };
        if let Some(kept) = read(folder, name)?.filter(fits) {
            return Ok((Self::of(&kept)?, false));
        }
        // Of all who want one at the same time, one makes it.
        let _turn = lock(folder, name)?;
        match read(folder, name)?.filter(fits) {
            Some(kept) => Ok((Self::of(&kept)?, false)),
            None => {
                let kept = make(name, hosts, now.as_secs())?;
                write(folder, name, &kept)?;
                Ok((Self::of(&kept)?, true))
            }
        }
    }

    fn of(kept: &Kept) -> Result<Self, AuthorityError> {
        let key = KeyPair::try_from(kept.key.as_slice())?;
        let issuer = Issuer::new(params(&kept.subject, &kept.hosts, kept.made_at), key);
        let certificate = CertificateDer::from(kept.certificate.clone());
        let (pem, made_at) = (kept.pem.clone(), kept.made_at);
        Ok(Self { issuer, certificate, pem, made_at, leaves: Mutex::default() })
    }

    /// The certificate: what a program is told to trust. The key never leaves.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// Whether it need not be made again yet.
    pub(super) fn is_good_at(&self, now: UnixTime) -> bool {
        is_good(self.made_at, now)
    }

    /// TLS as that host.
    pub(super) fn serve_as(
        &self,
        host: &Host<String>,
        now: UnixTime,
    ) -> Result<Arc<ServerConfig>, AuthorityError> {
        let (host, now) = (bare(host), now.as_secs());
        let mut leaves = self.leaves.lock();
        if let Some(leaf) = leaves.get(&host)
            && now < leaf.remade_at
        {
            return Ok(Arc::clone(&leaf.config));
        }
        let config = Arc::new(self.config(&host, now)?);
        let remade_at = now + LEAF_LIFE_SECS - LEAF_REMADE_SECS;
        leaves.insert(host, Leaf { config: Arc::clone(&config), remade_at });
        Ok(config)
    }

    fn config(&self, host: &str, now: u64) -> Result<ServerConfig, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Keybound agent");
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        set_life(&mut params, now, LEAF_LIFE_SECS);
        let leaf = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone(), self.certificate.clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // RFC 8470: early data can be replayed.
        config.max_early_data_size = 0;
        Ok(config)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

fn is_good(made_at: u64, now: UnixTime) -> bool {
    now.as_secs() + REMADE_SECS < made_at.saturating_add(LIFE_SECS)
}

fn make(name: &str, hosts: Vec<String>, now: u64) -> Result<Kept, AuthorityError> {
    // Two authorities of one name would be taken for one another.
    let distinct = u32::from_be_bytes(crypto::random::<4>()?);
    let subject = format!("Keybound agent {name} {distinct:08x}");
    let key = KeyPair::generate()?;
    let certificate = params(&subject, &hosts, now).self_signed(&key)?;
    let (pem, certificate) = (certificate.pem(), certificate.der().to_vec());
    Ok(Kept { made_at: now, subject, hosts, key: key.serialize_der().into(), certificate, pem })
}

fn params(subject: &str, hosts: &[String], made_at: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.name_constraints = Some(constraints(hosts));
    set_life(&mut params, made_at, LIFE_SECS);
    params
}

fn set_life(params: &mut CertificateParams, from: u64, secs: u64) {
    let date = |secs| date_time_ymd(1970, 1, 1) + Duration::from_secs(secs);
    params.not_before = date(from.saturating_sub(BACKDATED_SECS));
    params.not_after = date(from + secs);
}

/// RFC 5280 §4.2.1.10: a kind of name that no subtree is of is not constrained, so that each is named. A permitted DNS
/// name takes in its subdomains; there is no way to say less.
fn constraints(hosts: &[String]) -> NameConstraints {
    let (mut dns, mut addresses) = (Vec::new(), Vec::new());
    for host in hosts {
        match host.parse::<IpAddr>() {
            Ok(address) => {
                let bits = if address.is_ipv4() { 32 } else { 128 };
                addresses.push(GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, bits)));
            }
            Err(_) => dns.push(GeneralSubtree::DnsName(host.clone())),
        }
    }
    let mut excluded_subtrees = Vec::new();
    if dns.is_empty() {
        excluded_subtrees.push(GeneralSubtree::DnsName(String::new()));
    }
    if addresses.is_empty() {
        excluded_subtrees.push(GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([0; 4], 0)));
        excluded_subtrees.push(GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix([0; 16], 0)));
    }
    dns.append(&mut addresses);
    NameConstraints { permitted_subtrees: dns, excluded_subtrees }
}

/// A host as certificates have it: an IPv6 address without brackets.
fn bare(host: &Host<String>) -> String {
    match host {
        Host::Domain(name) => name.trim_end_matches('.').to_ascii_lowercase(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls_pki_types::{ServerName, UnixTime as TlsTime};

    const NOW: u64 = 1_800_000_000;

    fn hosts(names: &[&str]) -> Vec<Host<String>> {
        names.iter().map(|name| Host::parse(name).expect("a host")).collect()
    }

    fn open(folder: &Path, names: &[&str], now: u64) -> (Authority, bool) {
        Authority::open(folder, "work", &hosts(names), UnixTime::from_secs(now)).expect("an authority")
    }

    /// Whether a program that trusts the authority takes what it vouches for.
    fn is_taken(authority: &Authority, host: &str, now: u64) -> bool {
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        set_life(&mut params, NOW, LEAF_LIFE_SECS);
        let key = KeyPair::generate().expect("a key");
        let leaf = params.signed_by(&key, &authority.issuer).expect("signed");
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.clone()).expect("a root");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let name = ServerName::try_from(host.to_owned()).expect("a name");
        let now = TlsTime::since_unix_epoch(Duration::from_secs(now));
        verifier.expect("a verifier").verify_server_cert(leaf.der(), &[], &name, &[], now).is_ok()
    }

    #[test]
    fn atk_125_the_authority_can_vouch_for_the_configured_hosts_only() {
        let folder = tempfile::tempdir().expect("a folder");
        for (configured, good, bad) in [
            (
                vec!["api.example"],
                vec!["api.example"],
                vec!["example", "bank.example", "xapi.example", "127.0.0.1", "::1"],
            ),
            (vec!["127.0.0.1"], vec!["127.0.0.1"], vec!["127.0.0.2", "::1", "api.example", "localhost"]),
            (vec!["[::1]"], vec!["::1"], vec!["127.0.0.1", "::2", "api.example"]),
            (
                vec!["localhost", "127.0.0.1"],
                vec!["localhost", "127.0.0.1"],
                vec!["127.0.0.3", "host", "::1"],
            ),
        ] {
            let (authority, _) = open(&folder.path().join("agent"), &configured, NOW);
            for host in good {
                assert!(is_taken(&authority, host, NOW), "{configured:?}: {host}");
                assert!(!is_taken(&authority, host, NOW + 2 * DAY), "{configured:?}: {host}, later");
            }
            for host in bad {
                assert!(!is_taken(&authority, host, NOW), "{configured:?}: {host}");
            }
        }
    }

    #[test]
    fn it_is_kept_until_the_hosts_change_or_it_grows_old() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("agent");
        let (first, is_new) = open(&folder, &["b.example", "a.example"], NOW);
        assert!(is_new);
        let (again, is_new) = open(&folder, &["a.example", "B.example"], NOW + DAY);
        assert_eq!((again.certificate_pem(), is_new), (first.certificate_pem(), false));
        assert!(is_taken(&again, "a.example", NOW));
        assert!(open(&folder, &["a.example"], NOW + DAY).1);
        assert!(!open(&folder, &["a.example"], NOW + 300 * DAY).1);
        let at_hand = open(&folder, &["a.example"], NOW + 300 * DAY).0;
        assert!(at_hand.is_good_at(UnixTime::from_secs(NOW + 300 * DAY)));
        assert!(
            !at_hand.is_good_at(UnixTime::from_secs(NOW + 340 * DAY)),
            "whoever has it at hand makes another"
        );
        assert!(open(&folder, &["a.example"], NOW + 340 * DAY).1);
        let none = Authority::open(&folder, "work", &[], UnixTime::from_secs(NOW));
        assert!(matches!(none, Err(AuthorityError::NoHosts)));
    }

    #[test]
    fn agents_that_start_at_once_have_one_authority() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("agent");
        let opened: Vec<_> = std::thread::scope(|scope| {
            let agents: Vec<_> = (0..8).map(|_| scope.spawn(|| open(&folder, &["a.example"], NOW))).collect();
            agents.into_iter().map(|agent| agent.join().expect("it ends")).collect()
        });
        let (first, _) = &opened[0];
        assert!(opened.iter().all(|(one, _)| one.certificate_pem() == first.certificate_pem()));
        assert_eq!(opened.iter().filter(|(_, is_new)| *is_new).count(), 1);
    }

    #[test]
    fn what_it_vouches_for_is_kept_and_renewed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (authority, _) = open(&folder.path().join("agent"), &["api.example"], NOW);
        let as_api = |now| {
            authority
                .serve_as(&Host::Domain("api.example".to_owned()), UnixTime::from_secs(now))
                .expect("TLS")
        };
        let first = as_api(NOW);
        assert!(Arc::ptr_eq(&first, &as_api(NOW + 17 * HOUR)));
        assert!(!Arc::ptr_eq(&first, &as_api(NOW + 18 * HOUR)));
        assert_eq!(format!("{authority:?}"), "Authority");
    }
}
