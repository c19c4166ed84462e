//! Configuration in two types: [`ConfigFile`] is what was written, [`Config`] what may be relied on.

mod colour;
mod details;
mod file;
mod lifetimes;
mod limits;
mod pages;
mod registration;
mod signing;
mod source;
mod wording;

pub use details::{DetailFile, DetailType};
pub use file::{
    AssertionFile, AudienceRule, ConfigFile, DpopMode, LimitsFile, NonceFile, NonceMode, ProofFile,
    RefreshTokensFile, ResourceFile, Rotate, SigningFile, TlsFile, TokenForm, with_hint,
};
pub use lifetimes::{Lifetimes, LifetimesFile};
pub use limits::RateLimits;
pub use pages::{Asset, Pages, PagesFile};
pub use registration::{
    ClientIdMetadataFile, ClientRules, DocumentRules, REGISTRATION_SCOPE, RegisteredDpop, Registration,
    RegistrationFile, RegistrationMode, StatementIssuer, StatementIssuerFile, StatementKeys, Switch,
};
pub use signing::Signing;
pub(crate) use source::Source;
pub use wording::{Wording, Words};

use crate::page::Sheet;
use crate::page::texts::{Each, Languages};
use crate::peer::Network;
use crate::profile::Profile;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::proof::check::Policy;
use keybound_dpop::target::Target;
use keybound_oauth::identifier::{ClientId, Issuer, ResourceId};
use keybound_oauth::scope::Scope;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The scope of access tokens for the introspection endpoint.
pub const INTROSPECT_SCOPE: &str = "introspect";

/// A protected resource.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its identifier, the `aud` of its tokens.
    pub identifier: ResourceId,
    /// What people call it.
    pub name: Option<Words>,
    /// What its scope tokens let a client do, for people.
    pub scope_texts: BTreeMap<String, Words>,
    /// Whether its tokens must be bound.
    pub dpop: DpopMode,
    /// The scope tokens it knows.
    pub scopes: Scope,
    /// Whether it is meant where none is named.
    pub default: bool,
    /// The algorithm of its access tokens, where it is not that of all.
    pub signing_alg: Option<Algorithm>,
    /// The form of its tokens.
    pub tokens: TokenForm,
    /// The client that it is itself: it may introspect its tokens, and exchange them.
    pub client: Option<ClientId>,
    /// What may be asked for in detail.
    pub details: Vec<DetailType>,
}

/// What the provider may rely on.
#[derive(Clone, Debug)]
pub struct Config {
    /// The issuer.
    pub issuer: Issuer,
    /// The issuer's URL as a target: scheme, host and port of every `htu` (never a `Host` header).
    pub base: Target,
    /// The resources.
    pub resources: Vec<Resource>,
    /// The introspection endpoint: a resource too, for callers that show an access token.
    pub introspection: Resource,
    /// Clients that nobody here has written down.
    pub registration: Registration,
    /// Who must use nonces.
    pub nonce: NonceMode,
    /// What proofs are accepted.
    pub proof: Policy,
    /// What we sign with.
    pub signing: Signing,
    /// How often anybody may ask.
    pub limits: RateLimits,
    /// The proxies in front of us.
    pub trusted_proxies: Vec<Network>,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// The profile of all clients; one may ask for more by itself.
    pub profile: Profile,
    /// Which refresh tokens are replaced when they are used.
    pub rotate: Rotate,
    /// Whether every authorization request must be pushed (RFC 9126 §5).
    pub require_pushed_authorization_requests: bool,
    /// What people see.
    pub pages: Pages,
    /// What is the same on all of them.
    pub sheets: Arc<Each<Sheet>>,
}

/// Why a configuration cannot be used: what, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ConfigError {
    /// The file, and the line where it is known.
    pub place: String,
    /// What is wrong and what to do.
    pub what: String,
}

impl ConfigFile {
    /// What may be relied on.
    ///
    /// # Errors
    /// [`ConfigError`] for a value that cannot be used, or a combination that is not safe.
    pub fn check(&self) -> Result<Config, ConfigError> {
        let wrong = |key: &str, what: String| self.source.error(key, what);
        let issuer = Issuer::parse(&self.issuer).map_err(|error| wrong("issuer", error.to_string()))?;
        let base = Target::parse(issuer.as_str()).map_err(|error| wrong("issuer", error.to_string()))?;
        let pages = self.pages.check(&issuer, &self.source)?;
        let sheets = Sheet::all(&pages, &issuer).map_err(|what| wrong("pages", what))?;
        let resources = self.checked_resources(&pages.languages)?;
        if resources.iter().filter(|resource| resource.default).count() > 1 {
            return Err(wrong("resource", "only one resource can be the `default`".to_owned()));
        }
        for (index, resource) in resources.iter().enumerate() {
            let before = resources.iter().take(index);
            if before.into_iter().any(|other| other.identifier == resource.identifier) {
                let key = format!("resource.{index}.identifier");
                return Err(wrong(&key, format!("{} is there twice", resource.identifier)));
            }
            if resource.identifier.as_str() == issuer.as_str() {
                return Err(wrong(
                    &format!("resource.{index}.identifier"),
                    "the issuer is a resource already (UserInfo); leave it out".to_owned(),
                ));
            }
        }
        self.check_detail_types()?;
        let introspection = introspection(&issuer).map_err(|error| wrong("issuer", error))?;
        crate::profile::check_config(self)?;
        let registration = self.checked_registration(&issuer, &resources)?;
        Ok(Config {
            pages,
            sheets: Arc::new(sheets),
            registration,
            issuer,
            base,
            resources,
            introspection,
            nonce: self.nonce.mode,
            proof: self.proof.check(&self.source)?,
            signing: self.signing.check(&self.source)?,
            limits: self.limits.check(),
            trusted_proxies: limits::proxies(&self.trusted_proxies, &self.source)?,
            lifetimes: self.lifetimes.check(&self.source)?,
            profile: Profile::of_provider(self),
            rotate: self.refresh_tokens.rotate,
            require_pushed_authorization_requests: self.require_pushed_authorization_requests
                || Profile::of_provider(self).demands_pushed_requests(),
        })
    }

    /// A type says by itself which resource is meant (RFC 9396 §3).
    fn check_detail_types(&self) -> Result<(), ConfigError> {
        let mut seen = Vec::new();
        for (index, resource) in self.resources.iter().enumerate() {
            for (number, detail) in resource.authorization_details.iter().enumerate() {
                if seen.contains(&&detail.name) {
                    let key = format!("resource.{index}.authorization_details.{number}.type");
                    return Err(self.source.error(&key, "another type has that name; one resource has it"));
                }
                seen.push(&detail.name);
            }
        }
        Ok(())
    }

    fn checked_resources(&self, languages: &Languages) -> Result<Vec<Resource>, ConfigError> {
        let numbered = self.resources.iter().enumerate();
        numbered.map(|(index, resource)| resource.check(index, &self.source, languages)).collect()
    }
}

impl ResourceFile {
    fn check(&self, index: usize, source: &Source, languages: &Languages) -> Result<Resource, ConfigError> {
        let wrong = |key: &str, what: String| source.error(&format!("resource.{index}.{key}"), what);
        let identifier =
            ResourceId::parse(&self.identifier).map_err(|error| wrong("identifier", error.to_string()))?;
        let scopes =
            Scope::parse(&self.scopes.join(" ")).map_err(|error| wrong("scopes", error.to_string()))?;
        if scopes.contains("openid") {
            let what = "`openid` is for UserInfo and ID tokens alone, never for an API: leave it out";
            return Err(wrong("scopes", what.to_owned()));
        }
        let signing_alg = self.signing_alg.as_deref().map(signing::algorithm).transpose();
        let signing_alg = signing_alg.map_err(|what| wrong("signing_alg", what))?;
        let client = self.client.as_deref().map(ClientId::parse).transpose();
        let client = client.map_err(|error| wrong("client", error.to_string()))?;
        if self.tokens == TokenForm::Opaque && client.is_none() {
            let what = "opaque tokens can be read by introspection alone: name in `client` who may do that";
            return Err(wrong("tokens", what.to_owned()));
        }
        let key = |number| format!("resource.{index}.authorization_details.{number}");
        let numbered = self.authorization_details.iter().enumerate();
        let details =
            numbered.map(|(number, detail)| detail.check(&key(number), &identifier, source, languages));
        let details = details.collect::<Result<_, _>>()?;
        let name = self.name.as_ref().map(|name| name.check(languages)).transpose();
        let name = name.map_err(|what| wrong("name", what))?;
        let scope_texts = self.checked_scope_texts(&scopes, languages);
        let scope_texts =
            scope_texts.map_err(|(token, what)| wrong(&format!("scope_texts.{token}"), what))?;
        Ok(Resource {
            details,
            identifier,
            name,
            scope_texts,
            dpop: self.dpop,
            scopes,
            default: self.default,
            tokens: self.tokens,
            signing_alg,
            client,
        })
    }
}

impl ResourceFile {
    /// The texts by scope token; or a token that is wrong, and what is.
    fn checked_scope_texts(
        &self,
        scopes: &Scope,
        languages: &Languages,
    ) -> Result<BTreeMap<String, Words>, (&str, String)> {
        let texts = self.scope_texts.iter().map(|(token, text)| match scopes.contains(token) {
            true => text
                .check(languages)
                .map(|words| (token.clone(), words))
                .map_err(|what| (token.as_str(), what)),
            false => Err((token.as_str(), "must be one of the resource's `scopes`".to_owned())),
        });
        texts.collect()
    }
}

/// Access tokens for the introspection endpoint are for its URL, with a scope of their own (RFC 7662 §2.1).
fn introspection(issuer: &Issuer) -> Result<Resource, String> {
    let url = issuer.endpoint(crate::endpoint::INTROSPECT);
    Ok(Resource {
        identifier: ResourceId::parse(url.as_str()).map_err(|error| error.to_string())?,
        dpop: DpopMode::Required,
        scopes: Scope::parse(INTROSPECT_SCOPE).map_err(|error| error.to_string())?,
        default: false,
        name: None,
        scope_texts: BTreeMap::new(),
        tokens: TokenForm::Jwt,
        signing_alg: None,
        client: None,
        details: Vec::new(),
    })
}

impl ProofFile {
    fn check(&self, source: &Source) -> Result<Policy, ConfigError> {
        let wrong = |key: &str, what: String| source.error(&format!("proof.{key}"), what);
        let mut policy = Policy::default();
        if let Some(names) = &self.algorithms {
            policy.algorithms = algorithms(names).ok_or_else(|| {
                let all = AlgorithmSet::of(&Algorithm::ALL).algs();
                wrong("algorithms", format!("must be a list out of {all}"))
            })?;
        }
        if let Some(secs) = self.past_window_secs {
            if !(30..=600).contains(&secs) {
                return Err(wrong("past_window_secs", "must be from 30 to 600".to_owned()));
            }
            policy.past_window_secs = secs;
        }
        if let Some(secs) = self.future_window_secs {
            if secs > 60 {
                return Err(wrong("future_window_secs", "must be at most 60".to_owned()));
            }
            policy.future_window_secs = secs;
        }
        Ok(policy)
    }
}

/// The algorithms of these names, where there is at least one and we know them all.
pub(crate) fn algorithms(names: &[String]) -> Option<AlgorithmSet> {
    let known = names.iter().map(|name| Algorithm::parse(name)).collect::<Option<Vec<_>>>()?;
    (!known.is_empty()).then(|| AlgorithmSet::of(&known))
}

impl Config {
    /// The resource of that identifier.
    #[must_use]
    pub fn resource(&self, identifier: &str) -> Option<&Resource> {
        let all = self.resources.iter().chain([&self.introspection]).chain(&self.registration.resource);
        all.into_iter().find(|resource| resource.identifier.as_str() == identifier)
    }

    /// The type of authorization details with that name, and its resource.
    #[must_use]
    pub fn detail_type(&self, name: &str) -> Option<(&Resource, &DetailType)> {
        let all = self.resources.iter().flat_map(|one| one.details.iter().map(move |detail| (one, detail)));
        all.into_iter().find(|(_, detail)| detail.name == name)
    }

    /// Whether that client is one of these resources itself.
    #[must_use]
    pub fn is_resource_in<'a>(&self, client_id: &str, mut audience: impl Iterator<Item = &'a str>) -> bool {
        let client_of = |name| self.resource(name).and_then(|resource| resource.client.as_ref());
        audience.any(|name| client_of(name).is_some_and(|client| client.as_str() == client_id))
    }

    /// Whether that client is any resource itself.
    #[must_use]
    pub fn is_resource(&self, client_id: &str) -> bool {
        self.is_resource_in(client_id, self.resources.iter().map(|resource| resource.identifier.as_str()))
    }

    /// The resource that is meant where none is named: the one marked so, or the only one there is.
    #[must_use]
    pub fn default_resource(&self) -> Option<&Resource> {
        match self.resources.as_slice() {
            [only] => Some(only),
            all => all.iter().find(|resource| resource.default),
        }
    }

    /// The URL of an endpoint of ours; `path` begins with a slash.
    #[must_use]
    pub fn endpoint(&self, path: &str) -> String {
        self.issuer.endpoint(path).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked() {
        let check = |text: &str| ConfigFile::parse(text, "k.toml").and_then(|file| file.check().map(|_| ()));
        assert_eq!(check("issuer = \"https://as.example\""), Ok(()));
        for bad in [
            "issuer = \"http://as.example\"",
            "issuer = \"https://as.example?x\"",
            "issuer = \"https://as.example\"\n[[resource]]\nidentifier = \"https://as.example\"",
            "issuer = \"https://as.example\"\n[proof]\nalgorithms = [\"HS256\"]",
            "issuer = \"https://as.example\"\n[proof]\npast_window_secs = 601",
            "issuer = \"https://as.example\"\n[[resource]]\nidentifier = \"https://a.example\"\ntokens = \"opaque\"",
            "issuer = \"https://as.example\"\n[[resource]]\nidentifier = \"https://a.example\"\nclient = \"\"",
            "issuer = \"https://as.example\"\n[[resource]]\nidentifier = \"https://a.example\"\nscopes = [\"openid\"]",
            "issuer = \"https://as.example\"\n[nonce]\nmode = \"optional\"",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    /// What the guide shows can be copied.
    #[test]
    fn the_examples_of_the_guide_are_good_configurations() {
        let guide = include_str!("../../../../docs/provider.md");
        let blocks = guide.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let blocks: Vec<&str> = blocks.collect();
        assert!(!blocks.is_empty());
        for block in blocks {
            let text = match block.contains("issuer =") {
                true => block.to_owned(),
                false => format!("issuer = \"https://id.example\"\n{block}"),
            };
            let checked = ConfigFile::parse(&text, "guide").and_then(|file| file.check());
            assert!(checked.is_ok(), "{block}: {:?}", checked.err());
        }
    }
}
