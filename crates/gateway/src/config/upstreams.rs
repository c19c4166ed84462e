//! The servers behind the gateway, and the rules for the links to them.

use super::{ConfigError, ConfigFile, OneOrMany, UpstreamFile, value};
use crate::upstream::{Address, Link, Security, Upstream};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Upstreams that are the same are one, so that they share their connections.
#[derive(Default)]
pub(super) struct Upstreams {
    known: HashMap<(Vec<String>, bool, Link), Arc<Upstream>>,
}

/// What a route says of its upstream.
pub(super) struct Wanted<'a> {
    /// The key, for errors.
    pub(super) key: String,
    pub(super) written: &'a OneOrMany<String>,
    pub(super) trusted_network: bool,
    pub(super) connect_timeout: Duration,
}

impl Upstreams {
    pub(super) fn find(
        &mut self,
        wanted: &Wanted<'_>,
        file: &ConfigFile,
    ) -> Result<Arc<Upstream>, ConfigError> {
        let OneOrMany(written) = wanted.written;
        let named = match written.as_slice() {
            [name] if !name.contains("://") => Some(named(name, wanted, file)?),
            _ => None,
        };
        let link = link(named, wanted.connect_timeout, &wanted.key)?;
        let urls = named.map_or(written, |named| &named.url.0);
        let trusted = wanted.trusted_network || named.is_some_and(|named| named.trusted_network);
        let key = (urls.clone(), trusted, link);
        if let Some(known) = self.known.get(&key) {
            return Ok(Arc::clone(known));
        }
        let refused = |reason: String| value(wanted.key.as_str(), reason);
        let addresses = urls.iter().map(|url| Address::parse(url, trusted).map_err(refused));
        let addresses: Vec<Address> = addresses.collect::<Result<_, _>>()?;
        if addresses.is_empty() {
            return Err(refused("there must be one URL at least".to_owned()));
        }
        let upstream = Upstream::new(addresses, &key.2).map_err(|error| refused(error.to_string()))?;
        let upstream = Arc::new(upstream);
        self.known.insert(key, Arc::clone(&upstream));
        Ok(upstream)
    }
}

fn named<'f>(name: &str, wanted: &Wanted<'_>, file: &'f ConfigFile) -> Result<&'f UpstreamFile, ConfigError> {
    file.upstreams.get(name).ok_or_else(|| {
        let reason = format!("{name:?} is neither a URL (http://host:port) nor one of [upstreams]");
        value(wanted.key.as_str(), reason)
    })
}

fn link(named: Option<&UpstreamFile>, connect_timeout: Duration, key: &str) -> Result<Link, ConfigError> {
    let Some(named) = named else {
        return Ok(Link { connect_timeout, ..Link::default() });
    };
    let client = match (&named.client_certificate, &named.client_key) {
        (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
        (None, None) => None,
        _ => return Err(value(key, "`client_certificate` and `client_key` go together")),
    };
    let security = Security { ca: named.ca_file.clone(), client };
    let speaks_tls = named.url.0.iter().any(|url| url.starts_with("https:"));
    if !speaks_tls && security != Security::default() {
        return Err(value(key, "certificates are for https, and no URL of this upstream is https"));
    }
    Ok(Link { http2: named.http2, connect_timeout, security })
}

impl ConfigFile {
    /// All files that upstreams and assertions name.
    pub(super) fn files_of_upstreams(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let of_upstreams = self.upstreams.values_mut().flat_map(|upstream| {
            [&mut upstream.ca_file, &mut upstream.client_certificate, &mut upstream.client_key]
        });
        of_upstreams.flatten().chain(self.assertion.key_file.as_mut())
    }
}
