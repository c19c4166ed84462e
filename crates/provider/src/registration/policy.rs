//! What a client that nobody here has written down may be. The same rules hold when it registers, when it changes, and
//! when its metadata are a document.

use crate::config::{ClientRules, RegisteredDpop};
use crate::profile::Profile;
use crate::refusal::Denied;
use crate::registry::check_algorithms;
use keybound_oauth::client_metadata::{ClientMetadata, MetadataError, ProfileName};
use keybound_oauth::error::ErrorCode;
use keybound_oauth::identifier::Endpoint;
use keybound_oauth::scope::Scope;
use serde_json::{Map, Value};

/// Octets of all metadata, at the most: many clients are held in memory.
const MAX_METADATA_BYTES: usize = 8 * 1024;
const MAX_NAME_CHARS: usize = 100;
const MAX_REDIRECT_URIS: usize = 32;

/// Members that only an operator may write. As if unknown (RFC 7591 §2).
const OPERATORS: [&str; 6] =
    ["legacy_oidc", "errors", "resources", "may_act", "client_secret_sha256", "client_secret_expires_at"];

/// Metadata that hold, out of those that were asked for.
///
/// # Errors
/// `invalid_redirect_uri` and `invalid_client_metadata` (RFC 7591 §3.2.2).
pub fn admit(
    rules: &ClientRules,
    profile: Profile,
    mut members: Map<String, Value>,
) -> Result<ClientMetadata, Denied> {
    members.retain(|name, _| !OPERATORS.contains(&name.as_str()));
    if rules.legacy_oidc && profile.name() == ProfileName::Standard {
        members.insert("legacy_oidc".to_owned(), true.into());
    }
    settle_binding(rules, &mut members)?;
    let mut metadata = ClientMetadata::parse(&Value::Object(members)).map_err(|error| unfit(&error))?;
    metadata.scope = Some(settle_scope(rules, metadata.scope.as_ref())?);
    if profile.name() == ProfileName::Fapi2 {
        metadata.profile = ProfileName::Fapi2;
    }
    check_grant_types(rules, &metadata)?;
    check_urls(rules, &metadata)?;
    check_sizes(&metadata)?;
    profile.check_client(&metadata).map_err(|what| invalid("AS-DCR-06", what))?;
    check_algorithms(profile.of(&metadata), &metadata).map_err(|what| invalid("AS-DCR-06", what))?;
    Ok(metadata)
}

/// A refusal of metadata.
pub fn invalid(row: &'static str, wire: impl Into<String>) -> Denied {
    Denied::new(ErrorCode::InvalidClientMetadata, row, wire)
}

fn unfit(error: &MetadataError) -> Denied {
    let row = match error.member {
        "redirect_uris" => "AS-DCR-04",
        "dpop_bound_access_tokens" => "AS-DCR-02",
        "jwks" | "jwks_uri" => "AS-DCR-05",
        _ => "AS-DCR-06",
    };
    Denied::new(error.code(), row, error.to_string())
}

/// RFC 9449 §5.2, and RFC 7591 §3.2.1: left out, it is as the policy says, and the answer tells.
fn settle_binding(rules: &ClientRules, members: &mut Map<String, Value>) -> Result<(), Denied> {
    const MEMBER: &str = "dpop_bound_access_tokens";
    let default = rules.dpop != RegisteredDpop::IfAsked;
    let written = members.entry(MEMBER).or_insert(Value::Bool(default));
    if rules.dpop == RegisteredDpop::Required && *written == Value::Bool(false) {
        let wire = format!("`{MEMBER}`: write true, or leave it out: every access token is bound to a key");
        return Err(invalid("AS-DCR-01", wire));
    }
    Ok(())
}

/// RFC 7591 §2: what we do not let such clients have is left out; a client that asks for nothing may ask for all of it.
fn settle_scope(rules: &ClientRules, asked: Option<&Scope>) -> Result<Scope, Denied> {
    let Some(asked) = asked else { return Ok(rules.scopes.clone()) };
    let kept: Vec<&str> = asked.iter().filter(|token| rules.scopes.contains(token)).collect();
    if kept.is_empty() {
        let wire = format!("`scope`: must have at least one of: {}", rules.scopes);
        return Err(invalid("AS-DCR-06", wire));
    }
    Scope::parse(&kept.join(" ")).map_err(|error| invalid("AS-DCR-06", error.to_string()))
}

fn check_grant_types(rules: &ClientRules, client: &ClientMetadata) -> Result<(), Denied> {
    if client.grant_types.iter().all(|grant| rules.grant_types.contains(grant)) {
        return Ok(());
    }
    let names: Vec<&str> = rules.grant_types.iter().map(|grant| grant.as_str()).collect();
    Err(invalid("AS-DCR-06", format!("`grant_types`: must be an array out of {}", names.join(", "))))
}

/// https, without exception for this machine, which is another one for them than for us.
fn check_urls(rules: &ClientRules, client: &ClientMetadata) -> Result<(), Denied> {
    let single = [
        ("jwks_uri", &client.jwks_uri),
        ("client_uri", &client.client_uri),
        ("logo_uri", &client.logo_uri),
        ("policy_uri", &client.policy_uri),
        ("tos_uri", &client.tos_uri),
        ("sector_identifier_uri", &client.sector_identifier_uri),
        ("backchannel_logout_uri", &client.backchannel_logout_uri),
    ];
    let single = single.into_iter().filter_map(|(name, url)| Some((name, url.as_ref()?)));
    let listed = client.request_uris.iter().map(|url| ("request_uris", url));
    let is_fit = |url: &Endpoint| url.url().scheme() == "https" || rules.loopback_urls;
    match single.chain(listed).find(|(_, url)| !is_fit(url)) {
        None => Ok(()),
        Some((name, _)) => Err(invalid("AS-DCR-05", format!("`{name}`: must be an https URL"))),
    }
}

fn check_sizes(client: &ClientMetadata) -> Result<(), Denied> {
    let name = client.client_name.as_deref().unwrap_or("-");
    let is_name = name.chars().count() <= MAX_NAME_CHARS && name.chars().any(is_seen);
    if !is_name || name.chars().any(is_hidden) {
        let wire = format!(
            "`client_name`: must have 1 to {MAX_NAME_CHARS} characters, none for control and none that is not seen"
        );
        return Err(invalid("AS-DCR-13", wire));
    }
    if client.redirect_uris.len() > MAX_REDIRECT_URIS {
        let wire = format!("`redirect_uris`: must be at most {MAX_REDIRECT_URIS}");
        return Err(Denied::new(ErrorCode::InvalidRedirectUri, "AS-DCR-04", wire));
    }
    if client.to_json().to_string().len() > MAX_METADATA_BYTES {
        let wire =
            format!("the metadata must be at most {MAX_METADATA_BYTES} octets; write `jwks_uri` for `jwks`");
        return Err(invalid("OPS-LIM-01", wire));
    }
    Ok(())
}

/// Whether a reader sees the character. Joiners are part of some languages, and alone they are nothing.
fn is_seen(char: char) -> bool {
    !char.is_whitespace() && !matches!(char, '\u{200c}' | '\u{200d}')
}

/// Characters that end the line, turn around what is beside them, or are not there for a reader: two names would look like
/// one (RFC 9700 §4.15).
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}
