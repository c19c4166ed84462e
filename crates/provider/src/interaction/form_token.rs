//! What keeps strangers from sending our forms: a MAC over what the form is for and whose it is, and the browser's own
//! word about where it comes from (BCP-UI-06).

use crate::provider::FormKey;
use crate::refusal::Denied;
use http::HeaderMap;
use http::header::ORIGIN;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::are_equal;
use keybound_dpop::time::UnixTime;
use keybound_oauth::error::ErrorCode;
use std::fmt::Write;

/// How long a page can be left open before its form is used.
const FORM_LIFE_SECS: u64 = 3600;
/// How long a sign-in counts as made for the request that asked for it.
const SIGNED_IN_LIFE_SECS: u64 = 600;

/// A token has no more.
const TOKEN_OCTETS: usize = 64;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To sign in for an authorization request.
    SignIn,
    /// To sign in for a device. Whoever has the form has entered a good code: it must not be got without.
    DeviceSignIn,
    /// To go on as who is signed in, or as somebody else.
    Account,
    /// To allow or to deny.
    Consent,
    /// To enter the code that a device shows.
    DeviceCode,
    /// To allow or to deny a device.
    DeviceAnswer,
    /// To carry an error back to the client.
    Return,
    /// To sign out.
    Logout,
    /// To show that the user signed in for this very request.
    SignedIn,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign in",
            Self::DeviceSignIn => "device sign in",
            Self::Account => "account",
            Self::Consent => "consent",
            Self::DeviceCode => "device code",
            Self::DeviceAnswer => "device answer",
            Self::Return => "return",
            Self::Logout => "logout",
            Self::SignedIn => "signed in",
        }
    }

    const fn life_secs(self) -> u64 {
        match self {
            Self::SignedIn => SIGNED_IN_LIFE_SECS,
            _ => FORM_LIFE_SECS,
        }
    }
}

/// A token for one purpose, one browser or session (`owner`) and one authorization request.
pub(crate) fn mint(key: &FormKey, purpose: Purpose, owner: &[u8], request: &str, now: UnixTime) -> String {
    let secs = now.as_secs();
    let mut token = String::with_capacity(TOKEN_OCTETS);
    // A number can be written.
    let _ = write!(token, "{secs}.");
    base64url::encode_onto(&mut token, &mac(key, purpose, owner, request, secs));
    token
}

/// Whether [`mint`] made the token for just this, not too long ago.
pub(crate) fn holds(
    key: &FormKey,
    purpose: Purpose,
    owner: &[u8],
    request: &str,
    token: &str,
    now: UnixTime,
) -> bool {
    let Some((secs, sent)) = token.split_once('.') else { return false };
    let (Ok(secs), Some(sent)) = (secs.parse::<u64>(), base64url::decode(sent)) else { return false };
    let is_fresh = (secs..=secs.saturating_add(purpose.life_secs())).contains(&now.as_secs());
    is_fresh && are_equal(&mac(key, purpose, owner, request, secs), &sent)
}

fn mac(key: &FormKey, purpose: Purpose, owner: &[u8], request: &str, secs: u64) -> [u8; 32] {
    let length = |bytes: &[u8]| bytes.len().to_be_bytes();
    let name = purpose.name().as_bytes();
    key.0.mac(&[&length(name), name, &secs.to_be_bytes(), &length(owner), owner, request.as_bytes()])
}

/// Refuses a form that another site sent. `Sec-Fetch-Site`, where it is there, must be `same-origin`; `Origin` counts
/// only where it is not, and where it is not `null`.
pub(crate) fn check_site(headers: &HeaderMap, own_origin: &str) -> Result<(), Denied> {
    let sites: Vec<&[u8]> = headers.get_all("sec-fetch-site").iter().map(|value| value.as_bytes()).collect();
    let is_own = match sites.as_slice() {
        [] => headers
            .get_all(ORIGIN)
            .iter()
            .all(|origin| origin == "null" || origin.as_bytes() == own_origin.as_bytes()),
        all => all.iter().all(|site| *site == b"same-origin"),
    };
    match is_own {
        true => Ok(()),
        false => Err(foreign()),
    }
}

/// What a form is answered with that is not ours, or no longer good.
pub(crate) fn foreign() -> Denied {
    let wire = "this form was not sent from our own page, or the page was open for too long; start again at the \
                application that sent you here";
    Denied::new(ErrorCode::InvalidRequest, "BCP-UI-06", wire).status(http::StatusCode::FORBIDDEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use keybound_dpop::jose::crypto::HmacKey;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    #[test]
    fn bcp_ui_06_a_token_holds_for_one_purpose_owner_and_request() {
        let key = FormKey(HmacKey::new(&[1; 32]));
        let token = mint(&key, Purpose::SignIn, b"owner", "a=1", NOW);
        let held = |purpose, owner: &[u8], request, now| holds(&key, purpose, owner, request, &token, now);
        assert!(held(Purpose::SignIn, b"owner", "a=1", NOW));
        assert!(held(Purpose::SignIn, b"owner", "a=1", NOW.plus_secs(3600)));
        assert!(!held(Purpose::SignIn, b"owner", "a=1", NOW.plus_secs(3601)));
        assert!(!held(Purpose::SignIn, b"owner", "a=1", NOW.minus_secs(1)));
        assert!(!held(Purpose::Consent, b"owner", "a=1", NOW));
        assert!(!held(Purpose::SignIn, b"other", "a=1", NOW));
        assert!(!held(Purpose::SignIn, b"owne", "ra=1", NOW));
        assert!(!held(Purpose::SignIn, b"owner", "a=2", NOW));
        for bad in ["", ".", "1800000000.", "1800000000", &token.replace("1800000000", "1800000001")] {
            assert!(!holds(&key, Purpose::SignIn, b"owner", "a=1", bad, NOW), "{bad}");
        }
        let other = FormKey(HmacKey::new(&[2; 32]));
        assert!(!holds(&other, Purpose::SignIn, b"owner", "a=1", &token, NOW));
    }

    #[test]
    fn bcp_ui_06_the_browsers_word_about_the_site_counts() {
        let own = "https://id.example";
        for (site, origin, is_own) in [
            (Some("same-origin"), None, true),
            (Some("same-origin"), Some("https://evil.example"), true),
            (Some("same-site"), None, false),
            (Some("cross-site"), Some(own), false),
            (Some("none"), None, false),
            (None, None, true),
            (None, Some("null"), true),
            (None, Some(own), true),
            (None, Some("https://evil.example"), false),
            (None, Some("https://id.example:8443"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(site) = site {
                headers.insert("sec-fetch-site", HeaderValue::from_static(site));
            }
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(check_site(&headers, own).is_ok(), is_own, "{site:?} {origin:?}");
        }
    }
}
