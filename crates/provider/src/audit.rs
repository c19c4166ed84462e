//! The audit events: one list and one schema (OPS-LOG-02). They go to the log under the target `audit`, a line each.
//!
//! Programs are named by their `client_id` and keys by their thumbprints; people, tokens and grants by truncated hashes
//! (OPS-LOG-03). What callers wrote is in `why` alone, escaped and cut (OPS-LOG-04). Secrets are nowhere.

use crate::grant::Granted;
use crate::issue::grant_of;
use crate::provider::Provider;
use crate::refusal::Denied;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::sha256;
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::time::UnixTime;
use keybound_oauth::client_metadata::GrantType;
use keybound_oauth::error::ErrorCode;

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Event {
            $($(#[$doc])* $variant),*
        }

        impl Event {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name: public, and never another's.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),*
                }
            }
        }
    };
}

events! {
    /// Tokens were issued.
    TokensIssued = "tokens_issued",
    /// Tokens were issued for a refresh token.
    TokensRefreshed = "tokens_refreshed",
    /// A token was shown for another one (RFC 8693); `token` is the one that was shown.
    TokenExchanged = "token_exchanged",
    /// A token, or all that belongs to a grant, was revoked.
    TokensRevoked = "tokens_revoked",
    /// A proof did not hold.
    ProofRefused = "proof_refused",
    /// A proof lacked a nonce that is good; its client tries again.
    NonceChallenge = "nonce_challenge",
    /// A proof or an assertion was used before.
    Replayed = "replayed",
    /// There was no proof where a key is asked for.
    Downgrade = "downgrade",
    /// A good proof by another key than the one that code or token is bound to.
    KeyMismatch = "key_mismatch",
    /// A code came twice: what came of it is revoked.
    CodeReused = "code_reused",
    /// A refresh token came again after its successor was used: its family is revoked.
    RefreshTokenReused = "refresh_token_reused",
    /// A client did not show who it is.
    ClientRefused = "client_refused",
    /// Any other refusal.
    Refused = "refused",
    /// Somebody asked too often.
    RateLimited = "rate_limited",
    /// Somebody signed in.
    SignedIn = "signed_in",
    /// Somebody tried to.
    SignInFailed = "sign_in_failed",
    /// Somebody signed out.
    SignedOut = "signed_out",
    /// A client was told that a session of its user has ended.
    LogoutDelivered = "logout_delivered",
    /// A client could not be told yet; `at` is when it will be tried again.
    LogoutFailed = "logout_failed",
    /// A client could not be told, and will not be.
    LogoutGivenUp = "logout_given_up",
    /// A user let a client have what it asked for.
    ConsentGiven = "consent_given",
    /// A user let a client have it, and need not be asked again.
    ConsentRemembered = "consent_remembered",
    /// A request was answered without a page: the user need not be asked again.
    ConsentUsed = "consent_used",
    /// A user did not.
    ConsentRefused = "consent_refused",
    /// A client pushed an authorization request.
    Pushed = "pushed",
    /// A client sends one code challenge again and again.
    ConstantChallenge = "constant_challenge",
    /// A `legacy_oidc` client got a code without a code challenge.
    NoChallenge = "no_challenge",
    /// A client authenticates and proves with one key.
    KeyUsedTwice = "key_used_twice",
    /// A client registered itself.
    ClientRegistered = "client_registered",
    /// A client that registered itself changed its registration.
    ClientUpdated = "client_updated",
    /// A client that registered itself removed itself.
    ClientRemoved = "client_removed",
    /// A signing key was made.
    KeyAdded = "key_added",
    /// A signing key leaves the key set.
    KeyRetired = "key_retired",
}

/// The fields that an event may have, besides its name.
pub const FIELDS: [&str; 14] = [
    "row",
    "error",
    "client_id",
    "subject",
    "username",
    "grant_type",
    "scope",
    "token",
    "grant",
    "jkt",
    "kid",
    "at",
    "expected",
    "why",
];

/// What is known of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The row of the requirements that was not met.
    pub row: Option<&'static str>,
    /// The error code that was answered.
    pub error: Option<ErrorCode>,
    /// The client.
    pub client_id: Option<&'a str>,
    /// The user: [`alias`] of the subject.
    pub subject: Option<&'a str>,
    /// Who they said they are: [`alias`] of it.
    pub username: Option<&'a str>,
    /// The grant type.
    pub grant_type: Option<&'a str>,
    /// What was granted.
    pub scope: Option<&'a str>,
    /// The token: [`digest`] of its `jti`.
    pub token: Option<&'a str>,
    /// The grant: [`digest`] of its id.
    pub grant: Option<&'a str>,
    /// The key that proofs are signed with.
    pub jkt: Option<Thumbprint>,
    /// The signing key.
    pub kid: Option<&'a str>,
    /// From when it holds, where that is not now.
    pub at: Option<UnixTime>,
    /// What was expected, as the caller was told.
    pub expected: Option<&'a str>,
    /// What came, or why; escaped.
    pub why: Option<&'a str>,
}

/// Writes the event.
pub fn write(event: Event, facts: &Facts<'_>) {
    tracing::info!(
        target: "audit",
        event = event.name(),
        row = facts.row,
        error = facts.error.map(display),
        client_id = facts.client_id,
        subject = facts.subject,
        username = facts.username,
        grant_type = facts.grant_type,
        scope = facts.scope,
        token = facts.token,
        grant = facts.grant,
        jkt = facts.jkt.map(display),
        kid = facts.kid,
        at = facts.at.map(UnixTime::as_secs),
        expected = facts.expected,
        why = facts.why,
    );
}

/// A name for a person: the same for the same text, and told to nobody who does not know the text and our key.
#[must_use]
pub fn alias(provider: &Provider, text: &str) -> String {
    let mac = provider.form_key.0.mac(&[b"audit", text.as_bytes()]);
    base64url::encode(mac.first_chunk::<9>().map_or(&[][..], |chunk| chunk))
}

/// A name for what is random anyway: 72 bits of its SHA-256, which a resource can compute of a `jti` too.
#[must_use]
pub fn digest(text: &str) -> String {
    base64url::encode(sha256(text.as_bytes()).first_chunk::<9>().map_or(&[][..], |chunk| chunk))
}

/// The event of an issue.
pub fn issued(provider: &Provider, grant_type: Option<GrantType>, granted: &Granted) {
    if !tracing::enabled!(target: "audit", tracing::Level::INFO) {
        return;
    }
    let subject = granted.sign_in.as_ref().map(|_| alias(provider, &granted.subject));
    let grant = grant_of(&granted.jti).map(|grant| digest(&grant.to_string()));
    let event = match grant_type {
        Some(GrantType::RefreshToken) => Event::TokensRefreshed,
        _ => Event::TokensIssued,
    };
    let facts = Facts {
        client_id: Some(granted.client.id.as_str()),
        subject: subject.as_deref(),
        grant_type: grant_type.map(GrantType::as_str),
        scope: Some(granted.reach.scope.as_str()),
        token: Some(&digest(&granted.jti)),
        grant: grant.as_deref(),
        jkt: granted.binding.access_key(),
        ..Facts::default()
    };
    write(event, &facts);
}

/// The event of a refusal.
pub fn refused(denied: &Denied) {
    let facts = Facts {
        row: Some(denied.row),
        error: Some(denied.code),
        client_id: denied.client_id.as_deref(),
        expected: Some(&denied.wire),
        why: denied.log.as_deref(),
        ..Facts::default()
    };
    write(denied.event.unwrap_or_else(|| event_of(denied)), &facts);
}

/// Which event a refusal is, by the row that was not met.
fn event_of(denied: &Denied) -> Event {
    match (denied.row, denied.code) {
        (_, ErrorCode::UseDpopNonce) => Event::NonceChallenge,
        ("DPOP-JTI-04", _) => Event::Replayed,
        (
            "AS-TOK-04" | "AS-RT-02" | "AS-COD-03" | "AS-DEV-04" | "AS-TEX-04" | "DPOP-HDR-08",
            ErrorCode::InvalidDpopProof,
        ) => Event::Downgrade,
        ("AS-COD-02" | "AS-RT-01" | "AS-DEV-04" | "DPOP-CNF-01", _) => Event::KeyMismatch,
        ("AS-AUT-08" | "AS-DEV-06", _) => Event::CodeReused,
        ("AS-RT-07", _) => Event::RefreshTokenReused,
        (_, ErrorCode::InvalidDpopProof) => Event::ProofRefused,
        (_, ErrorCode::InvalidClient) => Event::ClientRefused,
        _ => Event::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/provider.md` is where the schema is promised.
    #[test]
    fn ops_log_02_the_schema_is_the_documented_one() {
        let guide = include_str!("../../../docs/provider.md");
        let (_, after) = guide.split_once("| Event | When |\n|---|---|\n").expect("the table of events");
        let first_cell = |line: &str| line.split('`').nth(1).map(str::to_owned);
        let documented: Vec<String> = after.lines().map_while(first_cell).collect();
        let names: Vec<&str> = Event::ALL.iter().map(|event| event.name()).collect();
        assert_eq!(documented, names);
        let (_, after) = guide.split_once("| Field | What |\n|---|---|\n").expect("the table of fields");
        let documented: Vec<String> = after.lines().map_while(first_cell).collect();
        assert_eq!(documented, FIELDS);
    }

    /// An event that is written elsewhere is in nobody's schema.
    #[test]
    fn ops_log_02_no_other_file_writes_events() {
        let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut read = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("audit.rs") {
                    let text = std::fs::read_to_string(&path).expect("text");
                    assert!(!text.contains("target: \"audit\""), "{}", path.display());
                    read += 1;
                }
            }
        }
        assert!(read > 50, "the sources are there");
    }

    #[test]
    fn ops_log_02_every_grant_tells_reuse_another_key_and_no_proof_apart() {
        use ErrorCode::{InvalidDpopProof, InvalidGrant};
        for (row, code, event) in [
            ("AS-COD-02", InvalidGrant, Event::KeyMismatch),
            ("AS-DEV-04", InvalidGrant, Event::KeyMismatch),
            ("AS-DEV-04", InvalidDpopProof, Event::Downgrade),
            ("AS-TEX-04", InvalidDpopProof, Event::Downgrade),
            ("AS-DEV-06", InvalidGrant, Event::CodeReused),
        ] {
            assert_eq!(event_of(&Denied::new(code, row, "")), event, "{row}");
        }
    }

    #[test]
    fn ops_log_03_what_is_random_is_named_by_a_part_of_its_hash() {
        assert_eq!(digest("a").len(), 12);
        assert_ne!(digest("a"), digest("b"));
    }
}
