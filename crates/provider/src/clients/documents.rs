//! Clients whose `client_id` is the URL of their metadata (OAuth Client ID Metadata Document). Nobody registers them: the
//! document is fetched when the client is met, and kept for as long as its server says, within bounds.

use super::{KeyFetchers, Origin, RegisteredClient};
use crate::config::{ClientRules, Config, DocumentRules};
use crate::profile::Profile;
use crate::registration::policy;
use crate::signing_keys::{Slots, needed_by_client};
use crate::store::Fault;
use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};
use keybound_dpop::time::Now;
use keybound_fetch::Fetched;
use keybound_oauth::client_metadata::{AuthMethod, SubjectType};
use keybound_oauth::identifier::{ClientId, MAX_IDENTIFIER_BYTES};
use keybound_oauth::registration::RegistrationRequest;
use keybound_resource::Rate;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use url::Url;

/// Documents that are fetched at one time; from one host it is one.
const MAX_FETCHES: usize = 16;
/// Callers that wait for one host.
const MAX_WAITING: usize = 32;
/// Documents a minute that one host is asked for, whoever wants them: strangers make us do it.
const PER_MINUTE: u32 = 120;

/// The documents that are kept.
#[derive(Debug)]
pub(super) struct Documents {
    pub(super) rules: Rules,
    clients: ClientRules,
    profile: Profile,
    kept: Mutex<HashMap<String, Kept>>,
    signing: Mutex<Slots>,
    /// The hosts that somebody waits for.
    hosts: Mutex<HashMap<String, Host>>,
    fetches: Semaphore,
    rate: Option<Rate>,
}

/// Which documents are fetched.
#[derive(Debug)]
pub struct Rules {
    document: DocumentRules,
    loopback_urls: bool,
}

#[derive(Debug)]
struct Kept {
    client: Arc<RegisteredClient>,
    fresh_until: Duration,
}

#[derive(Debug, Default)]
struct Host {
    /// Held by whoever fetches from it.
    turn: Arc<tokio::sync::Mutex<()>>,
    waiting: usize,
}

/// One who waits for a host. Nothing is remembered of a host that nobody waits for, also where a caller goes away.
struct Waiting<'d> {
    hosts: &'d Mutex<HashMap<String, Host>>,
    name: &'d str,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut hosts = self.hosts.lock();
        let Some(host) = hosts.get_mut(self.name) else { return };
        host.waiting = host.waiting.saturating_sub(1);
        if host.waiting == 0 {
            hosts.remove(self.name);
        }
    }
}

/// Whether the text is a `client_id` that is the URL of a document (Client Identifier): https, with a path, in its one
/// spelling; no dot segments, no fragment, no user name and password.
#[must_use]
pub fn is_document_url(client_id: &str, rules: &Rules) -> bool {
    url_of(client_id, rules).is_some()
}

fn url_of(client_id: &str, rules: &Rules) -> Option<Url> {
    let is_begun =
        client_id.starts_with("https://") || rules.loopback_urls && client_id.starts_with("http://");
    if !is_begun || client_id.len() > MAX_IDENTIFIER_BYTES {
        return None;
    }
    let url = Url::parse(client_id).ok()?;
    // The parser removes dot segments, adds a missing path and repairs: such a text is not what it makes of it.
    let is_plain = url.as_str() == client_id
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let host = url.host_str()?;
    let is_taken = rules.document.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|known| known == host));
    (is_plain && is_taken).then_some(url)
}

impl Documents {
    pub(super) fn of(config: &Config) -> Option<Self> {
        let document = config.registration.documents.clone()?;
        let clients = config.registration.rules.clone();
        Some(Self {
            rules: Rules { document, loopback_urls: clients.loopback_urls },
            clients,
            profile: config.profile,
            kept: Mutex::default(),
            signing: Mutex::default(),
            hosts: Mutex::default(),
            fetches: Semaphore::new(MAX_FETCHES),
            rate: Rate::new(PER_MINUTE),
        })
    }

    pub(super) const fn may_be_legacy(&self) -> bool {
        self.clients.legacy_oidc
    }

    pub(super) fn signing_slots(&self) -> Slots {
        *self.signing.lock()
    }

    /// The client; none where its document cannot be had or does not hold, which nothing remembers.
    pub(super) async fn find(
        &self,
        client_id: &str,
        fetchers: &KeyFetchers,
        now: Now,
    ) -> Result<Option<Arc<RegisteredClient>>, Fault> {
        if let Some(client) = self.fresh(client_id, now) {
            return Ok(Some(client));
        }
        let Some(url) = url_of(client_id, &self.rules) else { return Ok(None) };
        let host = url.host_str().unwrap_or_default();
        let waiting = self.wait(host)?;
        let fetched = {
            let _turn = waiting.turn.lock().await;
            match self.fresh(client_id, now) {
                Some(client) => Ok(client),
                None => self.fetch(client_id, &url, host, (fetchers, now)).await,
            }
        };
        match fetched {
            Ok(client) => Ok(Some(client)),
            Err(Unfit::Busy) => Err(Fault::because("documents of clients are being fetched already")),
            Err(Unfit::Because(why)) => {
                let client_id: String = client_id.escape_default().take(200).collect();
                tracing::warn!(client_id, why, "the document of a client cannot be used");
                Ok(None)
            }
        }
    }

    fn fresh(&self, client_id: &str, now: Now) -> Option<Arc<RegisteredClient>> {
        let kept = self.kept.lock();
        let found = kept.get(client_id).filter(|kept| now.monotonic < kept.fresh_until);
        found.map(|kept| Arc::clone(&kept.client))
    }

    fn wait<'d>(&'d self, name: &'d str) -> Result<Waiting<'d>, Fault> {
        let mut hosts = self.hosts.lock();
        let host = hosts.entry(name.to_owned()).or_default();
        if host.waiting >= MAX_WAITING {
            return Err(Fault::because("too many wait for a document of one host"));
        }
        host.waiting += 1;
        Ok(Waiting { hosts: &self.hosts, name, turn: Arc::clone(&host.turn) })
    }

    async fn fetch(
        &self,
        client_id: &str,
        url: &Url,
        host: &str,
        (fetchers, now): (&KeyFetchers, Now),
    ) -> Result<Arc<RegisteredClient>, Unfit> {
        if self.rate.as_ref().is_some_and(|rate| rate.admit(host, now.monotonic).is_err()) {
            return Err(Unfit::Busy);
        }
        let _permit = self.fetches.try_acquire().map_err(|_| Unfit::Busy)?;
        let fetched = fetchers.strangers().get_capped(url, self.rules.document.max_bytes).await;
        let fetched = fetched.map_err(|error| Unfit::Because(error.to_string()))?;
        let known = self.kept.lock().get(client_id).map(|kept| Arc::clone(&kept.client));
        let client = Arc::new(self.read(client_id, &fetched, fetchers, known.as_deref())?);
        let mut signing = self.signing.lock();
        *signing = signing.or(needed_by_client(&client));
        drop(signing);
        self.keep(client_id, &client, now.monotonic.saturating_add(self.fresh_for(&fetched.headers)));
        Ok(client)
    }

    fn read(
        &self,
        client_id: &str,
        fetched: &Fetched,
        fetchers: &KeyFetchers,
        known: Option<&RegisteredClient>,
    ) -> Result<RegisteredClient, Unfit> {
        let because = |why: &str| Unfit::Because(why.to_owned());
        let id = ClientId::parse(client_id).map_err(|error| Unfit::Because(error.to_string()))?;
        let document = RegistrationRequest::parse(&fetched.body);
        let mut members = document.map_err(|_| because("it is not a JSON object"))?.metadata;
        // Simple string comparison (RFC 3986 §6.2.1).
        if members.get("client_id").and_then(Value::as_str) != Some(client_id) {
            return Err(because("its `client_id` is not its URL"));
        }
        if members.keys().any(|name| name.starts_with("client_secret")) {
            return Err(because("it has a `client_secret`, which everybody could read"));
        }
        // Nothing says that the sector knows of it (OpenID Connect Core §8.1).
        if members.contains_key("sector_identifier_uri") {
            return Err(because("it has a `sector_identifier_uri`, which is for clients that register"));
        }
        let method = members.get("token_endpoint_auth_method").and_then(Value::as_str);
        let method = method.unwrap_or(AuthMethod::None.as_str());
        if ![AuthMethod::None, AuthMethod::PrivateKeyJwt].iter().any(|known| known.as_str() == method) {
            return Err(because("`token_endpoint_auth_method` must be none or private_key_jwt"));
        }
        members.insert("token_endpoint_auth_method".to_owned(), method.to_owned().into());
        let metadata = policy::admit(&self.clients, self.profile, members);
        let metadata = metadata.map_err(|denied| Unfit::Because(denied.wire))?;
        // Of another sector it would see users by the `sub` of that one, by device, or after a change.
        let own = url_of(client_id, &self.rules);
        let own = own.as_ref().and_then(Url::host_str);
        if metadata.subject_type == SubjectType::Pairwise && metadata.sector().as_deref() != own {
            return Err(because(
                "`subject_type` = pairwise needs all `redirect_uris` at the host of its URL",
            ));
        }
        Ok(RegisteredClient::new((id, Origin::Document), metadata, fetchers, self.profile, known))
    }

    /// Makes room by what ends first.
    fn keep(&self, client_id: &str, client: &Arc<RegisteredClient>, fresh_until: Duration) {
        let mut kept = self.kept.lock();
        if kept.len() >= self.rules.document.max_documents && !kept.contains_key(client_id) {
            let first = kept.iter().min_by_key(|(_, kept)| kept.fresh_until).map(|(id, _)| id.clone());
            first.map(|id| kept.remove(&id));
        }
        kept.insert(client_id.to_owned(), Kept { client: Arc::clone(client), fresh_until });
    }

    /// `Cache-Control` and `Age` (RFC 9111 §4.2, §5.2.2) within our bounds.
    fn fresh_for(&self, headers: &HeaderMap) -> Duration {
        let rules = &self.rules.document;
        let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
        let mut max_age = None;
        let mut is_uncacheable = false;
        for directive in lines.flat_map(|line| line.split(',')).map(str::trim) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => is_uncacheable = true,
                "max-age" => max_age = max_age.or_else(|| value.trim_matches('"').parse::<u64>().ok()),
                _ => {}
            }
        }
        let age = headers.get(AGE).and_then(|age| age.to_str().ok()).and_then(|age| age.parse().ok());
        let secs = max_age.unwrap_or(0).saturating_sub(age.unwrap_or(0));
        let secs = if is_uncacheable { 0 } else { secs };
        Duration::from_secs(secs.clamp(rules.min_secs, rules.max_secs))
    }
}

/// Why there is no client.
enum Unfit {
    /// We have enough to do.
    Busy,
    /// For this reason.
    Because(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;

    fn documents(more: &str) -> Documents {
        let text = format!("issuer = \"https://as.example\"\n[client_id_metadata]\nmode = \"on\"\n{more}");
        Documents::of(&ConfigFile::parse(&text, "k.toml").unwrap().check().unwrap()).unwrap()
    }

    #[test]
    fn as_cimd_01_atk_095_a_url_has_one_spelling() {
        let rules = documents("").rules;
        for good in [
            "https://app.example/client.json",
            "https://app.example:8443/client",
            "https://app.example/",
            "https://app.example/c?v=1",
        ] {
            assert!(is_document_url(good, &rules), "{good}");
        }
        for bad in [
            "http://app.example/client.json",
            "http://127.0.0.1/client.json",
            "https://app.example",
            "https://app.example/a/../client.json",
            "https://app.example/./client.json",
            "https://app.example/%2e%2e/client.json",
            "https://app.example/client.json#f",
            "https://app.example/client.json#",
            "https://user@app.example/client.json",
            "https://user:password@app.example/client.json",
            "https://APP.example/client.json",
            "https://app.example:443/client.json",
            "https:app.example/client.json",
            " https://app.example/client.json",
            "https://app.example/client.json\n",
            "HTTPS://app.example/client.json",
            "client-0011",
        ] {
            assert!(!is_document_url(bad, &rules), "{bad}");
        }
        let rules = documents("hosts = [\"app.example\"]").rules;
        assert!(is_document_url("https://app.example/c", &rules));
        assert!(!is_document_url("https://b.app.example/c", &rules));
    }

    #[test]
    fn nothing_is_remembered_of_a_host_that_nobody_waits_for() {
        let documents = documents("");
        let first: Vec<_> = (0..MAX_WAITING).map(|_| documents.wait("a.example").unwrap()).collect();
        assert!(documents.wait("a.example").is_err() && documents.wait("b.example").is_ok());
        assert_eq!(documents.hosts.lock().len(), 1);
        drop(first);
        assert!(documents.hosts.lock().is_empty());
    }

    #[test]
    fn as_cimd_06_documents_are_kept_as_http_says_within_bounds() {
        let documents = documents("min_secs = 10\nmax_secs = 100");
        let fresh_for = |lines: &[(&str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
            }
            documents.fresh_for(&headers).as_secs()
        };
        assert_eq!(fresh_for(&[]), 10);
        assert_eq!(fresh_for(&[("cache-control", "max-age=50")]), 50);
        assert_eq!(fresh_for(&[("cache-control", "public, Max-Age=\"50\"")]), 50);
        assert_eq!(fresh_for(&[("cache-control", "max-age=50"), ("age", "30")]), 20);
        assert_eq!(fresh_for(&[("cache-control", "max-age=5000")]), 100);
        assert_eq!(fresh_for(&[("cache-control", "max-age=50, no-store")]), 10);
        assert_eq!(fresh_for(&[("cache-control", "max-age=50"), ("cache-control", "No-Cache")]), 10);
    }
}
