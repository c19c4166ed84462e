//! Which claims a client may ask for by name, what of that a grant keeps, and what an ID token tells of it (OpenID Connect
//! Core §5.5). Kept with the grant, so that nothing personal is in an access token.

use crate::provider::Provider;
use crate::store::{Fault, Grant};
use keybound_oauth::claims_request::ClaimsRequest;
use keybound_oauth::client_metadata::ClientMetadata;
use keybound_oauth::scope::Scope;
use keybound_oauth::standard_claims::{self, StandardClaim};
use keybound_oauth::userinfo;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Languages that count out of `claims_locales`, at the most.
const MAX_LANGUAGES: usize = 8;

/// What counts of that request: standard claims whose scope the client may ask for. All else is ignored (§5.5).
#[must_use]
pub fn counted(client: &ClientMetadata, scope: &Scope, asked: &ClaimsRequest) -> ClaimsRequest {
    if asked.is_empty() || !scope.contains("openid") {
        return ClaimsRequest::default();
    }
    let may_ask =
        |claim: &StandardClaim| client.scope.as_ref().is_none_or(|allowed| allowed.contains(claim.scope));
    asked.clone().filtered(|name| standard_claims::find(name).is_some_and(may_ask))
}

/// What a user is asked about: the scope, and for claims by name the scope that stands for them.
#[must_use]
pub fn shown_scope<'s>(scope: &'s Scope, asked: &ClaimsRequest) -> Cow<'s, Scope> {
    if asked.is_empty() {
        return Cow::Borrowed(scope);
    }
    let by_name = asked.names().into_iter().filter_map(standard_claims::find).map(|claim| claim.scope);
    let all: Vec<&str> = scope.iter().chain(by_name.filter(|token| !scope.contains(token))).collect();
    Scope::parse(&all.join(" ")).map_or(Cow::Borrowed(scope), Cow::Owned)
}

/// The same request, and each claim also in the languages of `claims_locales` in which it is known (§5.2).
#[must_use]
pub fn in_languages(
    mut asked: ClaimsRequest,
    scope: &Scope,
    claims_locales: &str,
    known: &Map<String, Value>,
) -> ClaimsRequest {
    let ranges: Vec<&str> = claims_locales.split_ascii_whitespace().take(MAX_LANGUAGES).collect();
    if ranges.is_empty() || !scope.contains("openid") {
        return asked;
    }
    for claim in &standard_claims::ALL {
        for name in standard_claims::in_languages(known, claim.name, &ranges) {
            if scope.contains(claim.scope) || asked.userinfo.contains_key(claim.name) {
                asked.userinfo.entry(name.to_owned()).or_default();
            }
            if asked.id_token.contains_key(claim.name) {
                asked.id_token.entry(name.to_owned()).or_default();
            }
        }
    }
    asked
}

/// What the ID tokens of the grant tell of the user besides who it is. The store is asked only where that is anything.
///
/// # Errors
/// [`Fault`] where the store does not answer.
pub async fn for_id_token(provider: &Provider, grant: &Grant) -> Result<Map<String, Value>, Fault> {
    let Some(subject) = grant.subject.as_deref().filter(|_| !grant.claims.id_token.is_empty()) else {
        return Ok(Map::new());
    };
    let user = provider.store.find_user_by_subject(subject).await?;
    Ok(user.map_or_else(Map::new, |user| userinfo::claims_by_name(&grant.claims.id_token, &user.claims)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(json: Value) -> ClaimsRequest {
        ClaimsRequest::from_json(&json).expect("a claims request")
    }

    fn scope(text: &str) -> Scope {
        Scope::parse(text).expect("a scope")
    }

    #[test]
    fn oidc_clm_03_oidc_ui_06_only_what_the_client_may_ask_for_counts() {
        let client = |scope: Option<&str>| {
            let mut metadata = json!({"client_id": "app", "redirect_uris": ["https://app.example/cb"]});
            if let Some(scope) = scope {
                metadata["scope"] = scope.into();
            }
            ClientMetadata::parse(&metadata).expect("a client")
        };
        let all = asked(json!({
            "userinfo": {"email": null, "name#de": null, "groups": null, "sub": null},
            "id_token": {"acr": null, "phone_number": null},
        }));
        let names =
            |client: &ClientMetadata, granted: &str| counted(client, &scope(granted), &all).names().join(" ");
        assert_eq!(names(&client(None), "openid"), "email name#de phone_number");
        assert_eq!(names(&client(Some("openid email")), "openid"), "email");
        assert_eq!(names(&client(None), "email read"), "", "without an ID token there is no such request");
    }

    #[test]
    fn oidc_ui_06_the_user_is_asked_about_claims_by_name() {
        let by_name =
            asked(json!({"userinfo": {"nickname": null}, "id_token": {"email": null, "name": null}}));
        let granted = scope("openid email");
        let shown = shown_scope(&granted, &by_name);
        assert_eq!(*shown, scope("openid email profile"));
        assert_eq!(*shown_scope(&scope("openid"), &ClaimsRequest::default()), scope("openid"));
    }

    #[test]
    fn oidc_clm_03_languages_widen_no_request() {
        let known = json!({"name": "a", "name#de": "b", "address#de": {"country": "c"}, "nickname#fr": "d"});
        let known = known.as_object().expect("an object");
        let names = |granted: &str, by_name: Value, locales: &str| {
            in_languages(asked(by_name), &scope(granted), locales, known).names().join(" ")
        };
        assert_eq!(names("openid profile", json!({}), "de"), "name#de");
        assert_eq!(names("openid", json!({"id_token": {"address": null}}), "nl de"), "address address#de");
        assert_eq!(names("openid", json!({}), "de fr"), "");
        assert_eq!(names("profile", json!({}), "de"), "");
    }
}
