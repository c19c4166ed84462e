//! Finding the server from the API (RFC 9728). What an API says of its servers is a stranger's word: it is taken where the user
//! has named the server too, or says yes to it now.

use crate::error::CommandError;
use crate::server::Server;
use crate::{input, output};
use bytes::Bytes;
use http::{Request, Uri};
use keybound_client::error::ClientError;
use keybound_client::resource_discovery::{FoundResource, ResourceDiscoverError, is_at, metadata_url};
use keybound_fetch::Fetcher;
use keybound_oauth::identifier::{Issuer, ResourceId};
use std::io::{self, IsTerminal as _};
use url::Url;

/// The server of an API, and the API as what the tokens are for.
pub(super) async fn at(mut server: Server, api: &ResourceId) -> Result<Server, CommandError> {
    let transport = server.transport()?;
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = api.as_str().parse::<Uri>().map_err(CommandError::usage)?;
    // Without a token: it is the refusal that is looked for.
    let answer = transport.fetcher().send(request).await?;
    let url = metadata_url(api, Some(answer.headers())).map_err(CommandError::failed)?;
    // The user has named the API; what is at the same origin is nobody else's.
    let strangers = match is_at(api, &url) {
        true => transport.fetcher().clone(),
        false => Fetcher::for_strangers(&server.settings()?).map_err(CommandError::failed)?,
    };
    let twin = twin(api);
    let find = async |acceptable: &[Issuer]| -> Result<FoundResource, ClientError> {
        let find = async |name| {
            transport.discover_resource(&strangers, name, Some(answer.headers()), acceptable).await
        };
        match (find(api).await, &twin) {
            (Err(ClientError::DiscoverResource(ResourceDiscoverError::Metadata(_))), Some(twin)) => {
                find(twin).await
            }
            (found, _) => found,
        }
    };
    let named: Vec<Issuer> = server.profile.issuer.iter().cloned().collect();
    let found = match find(&named).await {
        Err(ClientError::DiscoverResource(ResourceDiscoverError::Issuer { named: theirs }))
            if named.is_empty() =>
        {
            find(&[confirmed(api, &theirs)?]).await?
        }
        found => found?,
    };
    server.profile.issuer = Some(found.server.issuer);
    if !server.profile.resources.contains(api) {
        server.profile.resources.push(api.clone());
    }
    Ok(server)
}

/// The same name with a slash for its path, or without: it means the same (RFC 3986 §6.2.3), and APIs use both.
fn twin(api: &ResourceId) -> Option<ResourceId> {
    let name = api.as_str();
    let is_bare = Url::parse(name).is_ok_and(|url| url.path() == "/" && url.query().is_none());
    let twin = name.strip_suffix('/').map_or_else(|| format!("{name}/"), str::to_owned);
    ResourceId::parse(&twin).ok().filter(|_| is_bare)
}

/// The server that the user says yes to: the first that the API names.
fn confirmed(api: &ResourceId, theirs: &[Issuer]) -> Result<Issuer, CommandError> {
    let Some(first) = theirs.first() else {
        return Err(CommandError::failed(format!("{} names no authorization server", api.as_str()))
            .advise("name it with --issuer"));
    };
    output::note(&format!("{} takes tokens of {first}\n", api.as_str()))?;
    if !io::stdin().is_terminal() {
        return Err(CommandError::usage("nobody has said that this server is to be trusted")
            .advise(format!("if it is, give --issuer {first}")));
    }
    input::confirm(&format!("Sign in at {first}?"))?;
    Ok(first.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_path_has_two_names() {
        let twin =
            |name: &str| twin(&ResourceId::parse(name).expect("a name")).map(|twin| twin.as_str().to_owned());
        assert_eq!(twin("https://api.example").as_deref(), Some("https://api.example/"));
        assert_eq!(twin("https://api.example/").as_deref(), Some("https://api.example"));
        assert_eq!(
            (twin("https://api.example/a"), twin("https://api.example/a/"), twin("urn:a:b")),
            (None, None, None)
        );
    }
}
