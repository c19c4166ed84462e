//! Which `sub` a client knows a user by (OpenID Connect Core §8): the user's own, or one of the client's sector alone.
//!
//! Inside, a user is known by their own `sub`; it becomes what the client sees on the way out, and what a client sends is
//! compared, never looked up. Nothing can be computed back.

use crate::provider::Provider;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::HmacKey;
use keybound_oauth::client_metadata::{ClientMetadata, SubjectType};
use std::borrow::Cow;

/// The name of the secret that pairwise subjects are made with. It is never replaced: all of them would change.
pub(crate) const SECRET: &str = "pairwise";

/// What every pairwise subject begins with: no `client_id` and no user's own `sub` does (AS-AT-07).
const PREFIX: &str = "pw.";
/// A SHA-256 in base64url.
const MAC_CHARACTERS: usize = 43;

/// The key of pairwise subjects.
pub struct PairwiseKey(pub(crate) HmacKey);

impl std::fmt::Debug for PairwiseKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PairwiseKey")
    }
}

/// The `sub` by which the client knows the user: in ID tokens, UserInfo, access tokens, introspection and logout tokens.
#[must_use]
pub fn seen_by<'u>(provider: &Provider, client: &ClientMetadata, user_sub: &'u str) -> Cow<'u, str> {
    match pairwise(provider, client, user_sub) {
        Some(pairwise) => Cow::Owned(pairwise),
        None => Cow::Borrowed(user_sub),
    }
}

/// Whether the client means that user by a `sub` that it sent: in `id_token_hint`, or in a `claims` request.
#[must_use]
pub fn is_seen_as(provider: &Provider, client: &ClientMetadata, user_sub: &str, came: &str) -> bool {
    seen_by(provider, client, user_sub) == came
}

/// The `sub` of a client that has one of its own; none where it knows users by theirs.
pub(crate) fn pairwise(provider: &Provider, client: &ClientMetadata, user_sub: &str) -> Option<String> {
    if client.subject_type == SubjectType::Public {
        return None;
    }
    // One that is registered always has a sector.
    let sector = client.sector().unwrap_or_default();
    Some(in_sector(&provider.pairwise, &sector, user_sub))
}

/// Neither a host nor a `sub` holds the octet between them.
fn in_sector(key: &PairwiseKey, sector: &str, user_sub: &str) -> String {
    let mac = key.0.mac(&[sector.as_bytes(), &[0], user_sub.as_bytes()]);
    format!("{PREFIX}{}", base64url::encode(&mac))
}

/// Whether the text looks like a pairwise subject, so that nothing else may be called so.
#[must_use]
pub fn looks_pairwise(text: &str) -> bool {
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mac = text.strip_prefix(PREFIX);
    mac.is_some_and(|mac| mac.len() == MAC_CHARACTERS && mac.bytes().all(is_base64url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oidc_idt_02_a_pairwise_sub_differs_by_sector_and_user_and_is_stable() {
        let key = PairwiseKey(HmacKey::new(&[1; 32]));
        let sub = in_sector(&key, "app.example", "u-1");
        assert_eq!(sub, in_sector(&key, "app.example", "u-1"));
        let others = [
            in_sector(&key, "app.example", "u-2"),
            in_sector(&key, "other.example", "u-1"),
            in_sector(&PairwiseKey(HmacKey::new(&[2; 32])), "app.example", "u-1"),
        ];
        for other in &others {
            assert_ne!(sub, *other);
            assert!(looks_pairwise(other) && other.len() <= 255 && other.is_ascii());
        }
    }

    #[test]
    fn as_at_07_what_looks_pairwise() {
        let mac = "A".repeat(MAC_CHARACTERS);
        assert!(looks_pairwise(&format!("pw.{mac}")));
        for other in
            [mac.clone(), format!("pw.{mac}A"), format!("pw.{}", mac.replace('A', "!")), "pw.".into()]
        {
            assert!(!looks_pairwise(&other), "{other}");
        }
    }
}
