//! Pushed authorization requests (RFC 9126): judged and kept when they come, found again when the browser comes, and
//! used when the client gets its answer.

use super::judge::{Outcome, examine};
use super::parameters::{Begun, Parameters, check_signed};
use super::recent::{Recent, key};
use super::request_object;
use super::throttle::network;
use crate::clients::RegisteredClient;
use crate::page::Language;
use crate::provider::Provider;
use crate::refusal::{Denied, Refusal};
use crate::store::{CREDENTIAL_ENTROPY, Credential, Decided, Fault, Id, Pushed, SecretHash, Verdict, Write};
use http::StatusCode;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::jose::thumbprint::Thumbprint;
use keybound_dpop::time::UnixTime;
use keybound_oauth::error::ErrorCode;
use keybound_oauth::form::{Form, FormWriter};
use keybound_oauth::pushed::{PushedResponse, request_uri};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a pushed request, form-encoded, at the most.
const MAX_PUSHED_BYTES: usize = 16 * 1024;
/// What a request to the endpoint has besides the authorization request: it is not kept.
const AUTHENTICATION: [&str; 4] = ["client_id", "client_secret", "client_assertion", "client_assertion_type"];
/// Requests of a client that does not authenticate, from one address, in one [`PERIOD`].
const MAX_UNAUTHENTICATED: u32 = 120;
/// The time in which they are counted.
const PERIOD: Duration = Duration::from_secs(60);
/// Entries in one generation of the count.
const CAPACITY: usize = 50_000;

/// What finds a pushed request.
#[derive(Clone, Copy, Debug)]
pub(super) struct PushedKey {
    id: Id,
    secret_hash: SecretHash,
}

/// How many requests came from clients that do not authenticate: each is a row.
#[derive(Debug)]
pub(crate) struct Pushes(Mutex<Recent<Count>>);

#[derive(Debug, Default)]
struct Count {
    since: Duration,
    requests: u32,
}

impl Default for Pushes {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(CAPACITY, PERIOD)))
    }
}

impl Pushes {
    /// Counts one; false where there were too many already. `now` is monotonic.
    fn admit(&self, client_id: &str, peer: Option<SocketAddr>, now: Duration) -> bool {
        let address = peer.map(|peer| network(peer.ip())).unwrap_or_default();
        let mut recent = self.0.lock();
        let count = recent.entry(key(&[client_id, &address]), now);
        if now.saturating_sub(count.since) >= PERIOD {
            *count = Count { since: now, requests: 0 };
        }
        count.requests = count.requests.saturating_add(1);
        count.requests <= MAX_UNAUTHENTICATED
    }
}

/// Refuses a public client that pushes too often from one address (RFC 9126 §2.3).
///
/// # Errors
/// 429
pub fn admit(
    provider: &Provider,
    client: &RegisteredClient,
    peer: Option<SocketAddr>,
    now: Duration,
) -> Result<(), Denied> {
    if !client.is_public() || provider.memory.pushes.admit(client.id.as_str(), peer, now) {
        return Ok(());
    }
    let wire = format!("at most {MAX_UNAUTHENTICATED} requests a minute from one address");
    Err(Denied { row: "AS-PAR-13", wire, ..Denied::too_many(60) })
}

/// Judges what a client pushes as if a browser had brought it (RFC 9126 §2.1). Gives the parameters to keep; the key of
/// the proof counts as `dpop_jkt` (RFC 9449 §10.1).
///
/// # Errors
/// What the authorization endpoint would have said.
pub async fn accept(
    provider: &Provider,
    client: &Arc<RegisteredClient>,
    form: &Form,
    proven: Option<&Thumbprint>,
) -> Result<String, Refusal> {
    if form.has("request_uri") {
        let wire = "`request_uri` must be left out of a pushed request";
        return Err(Denied::new(ErrorCode::InvalidRequest, "AS-PAR-05", wire).into());
    }
    // RFC 9126 §3: of a request object nothing but its own parameters counts.
    let inside = match form.get("request") {
        Some(object) => Some(request_object::open(provider, client, object, form, Begun::Now).await?),
        None => check_signed(client).map(|()| None)?,
    };
    let form = inside.as_ref().unwrap_or(form);
    let proven = proven.map(Thumbprint::to_string);
    let named = form.get("dpop_jkt");
    if proven.is_some() && named.is_some() && named != proven.as_deref() {
        let wire = "`dpop_jkt` must be the thumbprint of the proof's key";
        return Err(Denied::new(ErrorCode::InvalidRequest, "AS-PAR-03", wire).into());
    }
    let text = write(client, form, proven.as_deref().filter(|_| named.is_none()));
    if text.len() > MAX_PUSHED_BYTES {
        let wire = format!("the parameters must be at most {MAX_PUSHED_BYTES} octets, form-encoded");
        let denied = Denied::new(ErrorCode::InvalidRequest, "AS-PAR-13", wire);
        return Err(denied.status(StatusCode::PAYLOAD_TOO_LARGE).into());
    }
    let parameters =
        Parameters { form: Cow::Owned(Form::parse_query(&text).map_err(Denied::from)?), pushed: None };
    match examine(provider, Arc::clone(client), parameters, Language::default()) {
        Outcome::Page(denied) => Err(denied.into()),
        Outcome::Return(faulty) => Err(faulty.denied.into()),
        Outcome::Good(_) => Ok(text),
    }
}

/// The parameters as they are kept.
fn write(client: &RegisteredClient, form: &Form, proven: Option<&str>) -> String {
    let mut names: Vec<&str> = form.names().filter(|name| !AUTHENTICATION.contains(name)).collect();
    names.sort_unstable();
    names.dedup();
    let kept = FormWriter::new().pair("client_id", client.id.as_str()).optional("dpop_jkt", proven);
    names.into_iter().fold(kept, |kept, name| kept.each(name, form.all(name))).finish()
}

/// Keeps an accepted request, and gives the reference to it.
///
/// # Errors
/// 503 where the store does not answer.
pub async fn keep(
    provider: &Provider,
    client: &RegisteredClient,
    parameters: String,
    now: UnixTime,
) -> Result<PushedResponse, Refusal> {
    let lifetimes = &provider.config.lifetimes;
    let (id, reference, secret_hash) = Credential::mint(now, &random::<CREDENTIAL_ENTROPY>()?);
    let expires_at = now.plus_secs(lifetimes.pushed_request_secs);
    let pushed = Pushed {
        id,
        secret_hash,
        client_id: client.id.as_str().to_owned(),
        parameters,
        expires_at,
        keep_until: expires_at.plus_secs(lifetimes.begun_request_secs),
        used_at: None,
    };
    provider.store.write(vec![Write::InsertPushed(Box::new(pushed))]).await?;
    let expires_in_secs = lifetimes.pushed_request_secs;
    Ok(PushedResponse { request_uri: request_uri(&reference), expires_in_secs })
}

/// The one answer to a `request_uri` that cannot be used; the row and the log tell more.
fn unusable(row: &'static str) -> Denied {
    let wire = "`request_uri` is unknown, has expired or was used; start again at the application that sent you here";
    Denied::new(ErrorCode::InvalidRequestUri, row, wire)
}

/// Finds what was pushed, for the client that pushed it (RFC 9126 §2.2, §4).
pub(super) async fn find(
    provider: &Provider,
    client: &RegisteredClient,
    reference: &str,
    begun: Begun,
) -> Result<Result<Parameters<'static>, Denied>, Fault> {
    let Some((id, secret_hash)) = Credential::parse(reference) else { return Ok(Err(unusable("AS-PAR-11"))) };
    let Some(pushed) = provider.store.find_pushed(id, &secret_hash).await? else {
        return Ok(Err(unusable("AS-PAR-11")));
    };
    if pushed.client_id != client.id.as_str() {
        return Ok(Err(unusable("AS-PAR-09").log(&pushed.client_id)));
    }
    if let Err(denied) = check(&pushed, begun, provider.unix()) {
        return Ok(Err(denied));
    }
    let read = Form::parse_query(&pushed.parameters).map_err(Denied::from);
    Ok(read.map(|form| Parameters { form: Cow::Owned(form), pushed: Some(PushedKey { id, secret_hash }) }))
}

/// Once, and in time: to begin with it until it expires, to finish for a while longer.
fn check(pushed: &Pushed, begun: Begun, now: UnixTime) -> Result<(), Denied> {
    let end = match begun {
        Begun::Now => pushed.expires_at,
        Begun::Before => pushed.keep_until,
    };
    match pushed.used_at {
        Some(_) => Err(unusable("AS-PAR-10")),
        None if end <= now => Err(unusable("AS-PAR-11")),
        None => Ok(()),
    }
}

/// Marks the request as used, and writes what its answer needs: all or nothing, once (RFC 9126 §7.3).
///
/// # Errors
/// `invalid_request_uri` where another answer was quicker.
pub(super) async fn redeem(provider: &Provider, key: PushedKey, writes: Vec<Write>) -> Result<(), Refusal> {
    let now = provider.unix();
    let decide = move |pushed: &Pushed| match check(pushed, Begun::Before, now) {
        Ok(()) => Verdict::Take { writes: writes.clone(), out: () },
        Err(denied) => Verdict::Leave(denied),
    };
    match provider.store.redeem_pushed(key.id, key.secret_hash, now, decide).await? {
        Decided::Taken(()) => Ok(()),
        Decided::Denied(denied) => Err(denied.into()),
        Decided::Unknown => Err(unusable("AS-PAR-11").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_par_13_pushes_without_authentication_are_counted_by_client_and_address() {
        let pushes = Pushes::default();
        let peer = |last| Some(SocketAddr::from(([192, 0, 2, last], 1000)));
        let at = Duration::from_secs;
        for _ in 0..MAX_UNAUTHENTICATED {
            assert!(pushes.admit("app", peer(1), at(1000)));
        }
        assert!(!pushes.admit("app", peer(1), at(1059)));
        assert!(pushes.admit("app", peer(2), at(1059)) && pushes.admit("other", peer(1), at(1059)));
        assert!(pushes.admit("app", peer(1), at(1060)), "a minute later");
        let in_network = |host: u32| format!("[2001:db8::{host:x}]:1").parse().ok();
        let admitted = (0..200).filter(|host| pushes.admit("app", in_network(*host), at(1060))).count();
        assert_eq!(admitted, 120, "one subscriber has a network of addresses");
    }
}
