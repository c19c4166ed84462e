//! The sector identifier (OpenID Connect Core §8.1, Registration §5): a document that says that redirect URIs of several
//! hosts are one client's.

use super::policy::invalid;
use crate::provider::Provider;
use crate::refusal::Refusal;
use keybound_oauth::client_metadata::ClientMetadata;
use keybound_oauth::redirect_uri::RedirectUri;

/// Octets in such a document, at the most.
const MAX_BYTES: usize = 32 * 1024;

/// Fetches the document, where there is one, and looks for all redirect URIs in it.
///
/// # Errors
/// `invalid_client_metadata` where it cannot be had, is no JSON array of strings, or one is missing; 503 where too much is
/// being fetched already.
pub async fn check(provider: &Provider, client: &ClientMetadata) -> Result<(), Refusal> {
    let Some(uri) = &client.sector_identifier_uri else { return Ok(()) };
    let Ok(_permit) = provider.registration_fetches.try_acquire() else {
        return Err(Refusal::Unavailable("too many documents are being fetched".to_owned()));
    };
    let unfit = |why: &str| {
        let wire = format!(
            "`sector_identifier_uri`: must lead to a JSON array of all `redirect_uris`, of at most {MAX_BYTES} octets"
        );
        invalid("AS-DCR-09", wire).log(why)
    };
    let fetcher = provider.clients.fetchers().strangers();
    let fetched = fetcher.get_capped(uri.url(), MAX_BYTES).await;
    let fetched = fetched.map_err(|error| unfit(&error.to_string()))?;
    let listed: Vec<String> =
        serde_json::from_slice(&fetched.body).map_err(|_| unfit("not a JSON array of strings"))?;
    let is_listed = |uri: &RedirectUri| listed.iter().any(|known| known == uri.as_str());
    match client.redirect_uris.iter().all(is_listed) {
        true => Ok(()),
        false => Err(unfit("a redirect URI is missing").into()),
    }
}
