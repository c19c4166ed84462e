//! The servers that the agent calls: the origins of its profiles, and nobody else.

use crate::destination::{Destination, DestinationError};
use crate::shared_session::SharedSession;
use http::uri::{PathAndQuery, Scheme};
use std::collections::HashMap;
use std::sync::Arc;
use url::{Host, Url};

/// A login that the agent uses, for its origins.
#[derive(Clone, Debug)]
pub struct Profile {
    /// What it is called.
    pub name: String,
    /// Its tokens and key.
    pub session: SharedSession,
}

/// One server.
#[derive(Debug)]
pub(super) struct Target {
    /// Its URL.
    root: Destination,
    pub(super) host: Host<String>,
    pub(super) origin: String,
    pub(super) profile: String,
    pub(super) session: SharedSession,
}

/// All servers, by what stands for them in a request.
#[derive(Debug, Default)]
pub(super) struct Targets {
    by_authority: HashMap<String, Arc<Target>>,
    reverse: Option<(Arc<Target>, String)>,
}

/// Why an agent cannot be had with these profiles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetsError {
    /// An origin cannot be used.
    #[error("the origin {0}: {1}")]
    Origin(String, DestinationError),
    /// Nobody could say with which login to call.
    #[error("the profiles `{1}` and `{2}` both have the origin {0}; run an agent for each of them")]
    Twice(String, String, String),
    /// The upstream has no login.
    #[error("no profile has the origin {0} of the upstream; log in with `--origin {0}`")]
    Upstream(String),
}

impl Targets {
    pub(super) fn of(profiles: &[Profile], upstream: Option<&str>) -> Result<Self, TargetsError> {
        let mut targets: Vec<Arc<Target>> = Vec::new();
        for profile in profiles {
            for origin in profile.session.session().origins.iter() {
                if let Some(other) = targets.iter().find(|target| target.origin == origin) {
                    let (one, two) = (other.profile.clone(), profile.name.clone());
                    return Err(TargetsError::Twice(origin.to_owned(), one, two));
                }
                let unfit = |error| TargetsError::Origin(origin.to_owned(), error);
                targets.push(Arc::new(Target::of(origin, profile).map_err(unfit)?));
            }
        }
        let mut all = Self::default();
        // Where both are called by one name, it is the one that is protected.
        targets.sort_by_key(|target| !target.is_https());
        for target in &targets {
            for name in target.names() {
                all.by_authority.entry(name).or_insert_with(|| Arc::clone(target));
            }
        }
        if let Some(upstream) = upstream {
            let unfit = |error| TargetsError::Origin(upstream.to_owned(), error);
            let to = Destination::parse(upstream).map_err(unfit)?;
            let target = targets.iter().find(|target| target.origin == to.origin());
            let target = target.ok_or_else(|| TargetsError::Upstream(to.origin().to_owned()))?;
            all.reverse = Some((Arc::clone(target), to.uri().path().trim_end_matches('/').to_owned()));
        }
        Ok(all)
    }

    /// The server that an authority stands for, also where a URL has http for https.
    pub(super) fn named(&self, authority: &str) -> Option<&Arc<Target>> {
        let found = self.by_authority.get(authority);
        found.or_else(|| self.by_authority.get(&authority.to_ascii_lowercase()))
    }

    /// The server behind the agent where it is called like an API, and where on that the API begins.
    pub(super) fn reverse(&self) -> Option<(&Arc<Target>, &str)> {
        self.reverse.as_ref().map(|(target, base)| (target, base.as_str()))
    }

    /// The hosts that are called over TLS.
    pub(super) fn hosts(&self) -> Vec<Host<String>> {
        hosts_of(self.by_authority.values().map(|target| target.origin.as_str()))
    }
}

/// The hosts that are called over TLS, of these origins.
pub fn hosts_of<'a>(origins: impl Iterator<Item = &'a str>) -> Vec<Host<String>> {
    let urls = origins.filter_map(|origin| Url::parse(origin).ok()).filter(|url| url.scheme() == "https");
    urls.filter_map(|url| url.host().map(|host| host.to_owned())).collect()
}

impl Target {
    fn of(origin: &str, profile: &Profile) -> Result<Self, DestinationError> {
        let to = Destination::parse(origin)?;
        let url = Url::parse(to.origin()).map_err(|_| DestinationError::NotAbsolute)?;
        Ok(Self {
            host: url.host().ok_or(DestinationError::NotAbsolute)?.to_owned(),
            origin: to.origin().to_owned(),
            profile: profile.name.clone(),
            session: profile.session.clone(),
            root: to,
        })
    }

    pub(super) fn is_https(&self) -> bool {
        self.root.uri().scheme() == Some(&Scheme::HTTPS)
    }

    /// What stands for it in requests. One at the port of https is called by `http://host` as well.
    fn names(&self) -> Vec<String> {
        let host = self.host.to_string();
        match self.root.uri().port_u16() {
            Some(port) => vec![format!("{host}:{port}")],
            None if self.is_https() => vec![format!("{host}:443"), format!("{host}:80"), host],
            None => vec![format!("{host}:80"), host],
        }
    }

    /// Where a path on it is.
    pub(super) fn at(&self, path: PathAndQuery) -> Result<Destination, DestinationError> {
        self.root.at(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prover::Prover;
    use crate::session::{Origins, tests::session};
    use crate::shared_session::Upkeep;
    use keybound_dpop::jose::algorithm::Algorithm;
    use keybound_dpop::jose::signer::SigningKey;
    use keybound_dpop::time::SystemClock;

    fn profile(name: &str, origins: &[&str]) -> Profile {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let prover = Prover::new(Arc::new(key), Arc::default(), Arc::new(SystemClock::start()));
        let mut session = session(prover.jkt());
        session.origins = Origins::of(origins.iter().copied()).expect("origins");
        let session = SharedSession::new(prover, session, Upkeep::default()).expect("a session");
        Profile { name: name.to_owned(), session }
    }

    #[test]
    fn cl_tok_08_only_the_origins_of_profiles_are_called() {
        let profiles = [
            profile("work", &["https://api.example", "https://api.example:8443"]),
            profile("home", &["http://127.0.0.1:3000", "https://[::1]:9"]),
        ];
        let targets = Targets::of(&profiles, None).expect("targets");
        let origin = |authority| targets.named(authority).map(|target| target.origin.as_str());
        for (authority, expected) in [
            ("api.example", Some("https://api.example")),
            ("API.example:443", Some("https://api.example")),
            ("api.example:80", Some("https://api.example")),
            ("api.example:8443", Some("https://api.example:8443")),
            ("127.0.0.1:3000", Some("http://127.0.0.1:3000")),
            ("[::1]:9", Some("https://[::1]:9")),
            ("127.0.0.1", None),
            ("[::1]", None),
            ("evil.example", None),
            ("api.example:8080", None),
            ("u@api.example", None),
            ("api.example.", None),
        ] {
            assert_eq!(origin(authority), expected, "{authority}");
        }
        let target = targets.named("api.example").expect("named");
        let to = target.at(PathAndQuery::from_static("/x?y")).expect("a URL");
        assert_eq!(to.uri().to_string(), "https://api.example/x?y");
        assert!(targets.reverse().is_none());
    }

    #[test]
    fn one_origin_has_one_login_and_the_upstream_has_one() {
        let (one, two) =
            (profile("one", &["https://api.example"]), profile("two", &["https://api.example:443"]));
        let twice = Targets::of(&[one.clone(), two], None).expect_err("refused");
        assert!(matches!(twice, TargetsError::Twice(..)));
        let targets =
            Targets::of(std::slice::from_ref(&one), Some("https://api.example/v1/")).expect("targets");
        let (target, base) = targets.reverse().expect("an upstream");
        assert_eq!((target.origin.as_str(), base), ("https://api.example", "/v1"));
        let unknown = Targets::of(&[one], Some("https://other.example")).expect_err("refused");
        assert_eq!(unknown, TargetsError::Upstream("https://other.example".to_owned()));
    }
}
