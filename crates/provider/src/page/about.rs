//! What a page tells of the application that asks.

use crate::clients::{Origin, RegisteredClient};
use crate::provider::Provider;
use crate::registration::logo;
use keybound_oauth::identifier::Endpoint;

/// What is known of an application, and by whom.
#[derive(Debug)]
pub struct About<'a> {
    /// The path of its logo here.
    pub logo: Option<String>,
    /// Whether nobody here has checked its name and logo (RFC 9700 §4.15).
    pub is_unchecked: bool,
    /// The host of its `client_id`, where that is a URL.
    pub host: Option<String>,
    /// Its policy on data.
    pub policy: Option<&'a str>,
    /// Its terms of service.
    pub terms: Option<&'a str>,
}

impl<'a> About<'a> {
    /// What is known of that client. Has its logo fetched where it is not there yet.
    #[must_use]
    pub fn of(provider: &Provider, client: &'a RegisteredClient) -> Self {
        logo::want(provider, client);
        let host = match client.origin {
            Origin::Document => url::Url::parse(client.id.as_str()).ok(),
            _ => None,
        };
        let link = |url: &'a Option<Endpoint>| {
            let url = url.as_ref().filter(|url| url.url().scheme() == "https");
            url.map(Endpoint::as_str)
        };
        Self {
            logo: provider.logos.path(&provider.config, client),
            is_unchecked: client.origin != Origin::Operator,
            host: host.and_then(|url| url.host_str().map(str::to_owned)),
            policy: link(&client.policy_uri),
            terms: link(&client.tos_uri),
        }
    }
}
