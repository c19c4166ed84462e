//! The sector identifier (OpenID Connect Core §8.1, Registration §5): a document that says that redirect URIs of several
//! hosts are one client's.

use super::policy::invalid;
use crate::provider::Provider;
use crate::refusal::{Denied, Refusal};
use keybound_oauth::client_metadata::{ClientMetadata, GrantType, SubjectType};
use keybound_oauth::redirect_uri::RedirectUri;

/// Octets in such a document, at the most.
const MAX_BYTES: usize = 32 * 1024;

/// Fetches the document, where there is one, and looks for all redirect URIs in it.
///
/// # Errors
/// `invalid_client_metadata` where no redirect URI would stand between the client and a sector, or where the document cannot be had, is no JSON array of strings, or one is missing; 503 where too much is
/// being fetched already.
pub async fn check(provider: &Provider, client: &ClientMetadata) -> Result<(), Refusal> {
    check_grants(client)?;
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

/// Anybody can name the redirect URIs of a sector. What keeps others from seeing users by its `sub` is that the answers go
/// there, and not all of them do.
fn check_grants(client: &ClientMetadata) -> Result<(), Denied> {
    let goes_elsewhere = [GrantType::DeviceCode, GrantType::TokenExchange];
    let may_elsewhere = goes_elsewhere.iter().any(|grant| client.allows_grant(*grant));
    if client.subject_type == SubjectType::Pairwise && may_elsewhere {
        let wire = "`grant_types`: with `subject_type` = pairwise, none that needs no redirect URI";
        return Err(invalid("AS-DCR-09", wire));
    }
    Ok(())
}
