//! Telling clients that a session has ended (Back-Channel Logout §2.5): what is to be told is in the store, so that a
//! restart loses nothing; who is being told at the moment is in memory. Nobody who signs out waits for it.

use super::sid;
use crate::audit::{self, Event, Facts};
use crate::clients::RegisteredClient;
use crate::metrics::Told;
use crate::provider::Provider;
use crate::signing_keys::KeyUse;
use crate::store::{Fault, LogoutNotice, Write};
use crate::subject::seen_by;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::random;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::form::FormWriter;
use keybound_oauth::identifier::Endpoint;
use keybound_oauth::logout::{NewLogoutToken, PARAMETER};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::task::JoinSet;
use url::Url;

/// The pauses after each try in vain, in seconds; after one more the client is given up.
pub const PAUSES_SECS: [u64; 4] = [10, 50, 180, 360];

/// For how long a logout token is good: each try has its own.
const LIFE_SECS: u64 = 120;
/// Clients that are told at once.
const MAX_UNDER_WAY: usize = 64;
/// Of those, at one host.
const MAX_PER_HOST: u32 = 4;

/// Who is being told at the moment.
#[derive(Debug, Default)]
pub struct Courier(Mutex<UnderWay>);

#[derive(Debug, Default)]
struct UnderWay {
    notices: HashSet<i64>,
    hosts: HashMap<String, u32>,
}

impl Courier {
    /// Takes the notice up, unless it is under way already or enough are.
    fn take(&self, notice: i64) -> bool {
        let mut under_way = self.0.lock();
        under_way.notices.len() < MAX_UNDER_WAY && under_way.notices.insert(notice)
    }

    fn put_down(&self, notice: i64) {
        self.0.lock().notices.remove(&notice);
    }

    /// Whether the host can be asked by one more.
    fn enter(&self, host: &str) -> bool {
        let mut under_way = self.0.lock();
        let at_host = under_way.hosts.entry(host.to_owned()).or_default();
        let is_free = *at_host < MAX_PER_HOST;
        *at_host += u32::from(is_free);
        is_free
    }

    fn leave(&self, host: &str) {
        let mut under_way = self.0.lock();
        if let Some(at_host) = under_way.hosts.get_mut(host) {
            *at_host -= 1;
            if *at_host == 0 {
                under_way.hosts.remove(host);
            }
        }
    }
}

/// A notice that is under way, until this is dropped.
struct Errand {
    provider: Arc<Provider>,
    notice: LogoutNotice,
    /// Where it is at the moment.
    host: Option<String>,
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.provider.courier.put_down(self.notice.id);
        self.leave();
    }
}

/// Tells all clients that are to be told by now, those at other hosts at the same time; returns when each has answered,
/// or has let its time run out. The service calls it every second, whether or not the call before has returned.
pub async fn deliver_due(provider: Arc<Provider>) {
    let due = match provider.store.due_logout_notices(provider.unix(), MAX_PER_HOST).await {
        Ok(due) => due,
        Err(fault) => {
            tracing::error!(reason = fault.reason(), "it is not known who is to be told of a logout");
            return;
        }
    };
    let mut under_way = JoinSet::new();
    for notice in due {
        if provider.courier.take(notice.id) {
            let errand = Errand { provider: Arc::clone(&provider), notice, host: None };
            under_way.spawn(errand.run());
        }
    }
    while under_way.join_next().await.is_some() {}
}

impl Errand {
    /// One try, and what becomes of it.
    async fn run(mut self) {
        let Some(client) = self.client().await else { return };
        let told = match client {
            // It may be back, or its metadata may (OAuth Client ID Metadata Document).
            Ok(None) => Some(Err("the client is not known".to_owned())),
            Ok(Some(client)) => match client.backchannel_logout_uri.clone() {
                Some(uri) if self.enter(uri.url()) => Some(self.tell(&client, &uri).await),
                // As many as may are there; the next call finds it due still.
                Some(_) => return,
                None => None,
            },
            Err(fault) => Some(Err(fault.reason().to_owned())),
        };
        conclude(&self.provider, &self.notice, told).await;
    }

    /// The client. Its metadata may be elsewhere, at a host that is silent: none where as many as may ask there already.
    async fn client(&mut self) -> Option<Result<Option<Arc<RegisteredClient>>, Fault>> {
        let place = Url::parse(&self.notice.client_id);
        if place.is_ok_and(|place| !self.enter(&place)) {
            return None;
        }
        let provider = &self.provider;
        let found = provider.clients.find(&provider.store, &self.notice.client_id, provider.now()).await;
        self.leave();
        Some(found)
    }

    fn enter(&mut self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let is_free = self.provider.courier.enter(host);
        self.host = is_free.then(|| host.to_owned());
        is_free
    }

    fn leave(&mut self) {
        if let Some(host) = self.host.take() {
            self.provider.courier.leave(&host);
        }
    }

    /// Posts the token; 200 and 204 are a yes (§2.8). Nothing else of the answer is read.
    async fn tell(&self, client: &RegisteredClient, uri: &Endpoint) -> Result<(), String> {
        let token = self.token(client).map_err(|error| error.to_string())?;
        let form = FormWriter::new().pair(PARAMETER, token.reveal()).finish();
        let request = Request::post(uri.as_str())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form))
            .map_err(|error| error.to_string())?;
        let answer = client.fetcher().send_streaming(request).await;
        match answer.map_err(|error| error.to_string())?.status() {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
            other => Err(format!("the client answered with status {} instead of 200", other.as_u16())),
        }
    }

    /// Signed as the client's ID tokens are; `typ` tells them apart (§4).
    fn token(&self, client: &RegisteredClient) -> Result<Secret, Box<dyn std::error::Error + Send + Sync>> {
        let (provider, now) = (&self.provider, self.provider.unix());
        let key = provider.signing_keys.signer(KeyUse::Tokens, client.id_token_algorithm, now)?;
        let token = NewLogoutToken {
            iss: &provider.config.issuer,
            aud: &client.id,
            iat: now,
            exp: now.plus_secs(LIFE_SECS),
            jti: &base64url::encode(&random::<16>()?),
            sub: &seen_by(provider, client, &self.notice.subject),
            sid: &sid(provider, self.notice.sid, &client.id),
        };
        Ok(token.sign(&key.key, Some(&key.kid))?)
    }
}

/// Writes down what became of a try; there was none where the client does not want to be told.
async fn conclude(provider: &Provider, notice: &LogoutNotice, told: Option<Result<(), String>>) {
    let tries = notice.tries.saturating_add(1);
    let again_at = match &told {
        Some(Err(_)) => next_try(tries, provider.unix()),
        Some(Ok(())) | None => None,
    };
    let write = match again_at {
        Some(due_at) => Write::DelayLogoutNotice { id: notice.id, tries, due_at },
        None => Write::RemoveLogoutNotice { id: notice.id },
    };
    if let Err(fault) = provider.store.write(vec![write]).await {
        tracing::error!(reason = fault.reason(), "a client will be told again of the same logout");
        return;
    }
    let (result, why) = match told {
        None => return,
        Some(Ok(())) => (Told::Delivered, None),
        Some(Err(why)) if again_at.is_some() => (Told::Failed, Some(why)),
        Some(Err(why)) => (Told::GivenUp, Some(why)),
    };
    provider.metrics.logout_told(result);
    let why = why.map(|why| why.chars().take(200).flat_map(char::escape_default).collect::<String>());
    let facts = Facts {
        client_id: Some(&notice.client_id),
        subject: Some(&audit::alias(provider, &notice.subject)),
        at: again_at,
        why: why.as_deref(),
        ..Facts::default()
    };
    audit::write(event(result), &facts);
}

/// When to try again after so many tries in vain; `None` where it is enough.
fn next_try(tries: u32, now: UnixTime) -> Option<UnixTime> {
    let pause = PAUSES_SECS.get(usize::try_from(tries).ok()?.checked_sub(1)?)?;
    Some(now.plus_secs(*pause))
}

const fn event(result: Told) -> Event {
    match result {
        Told::Delivered => Event::LogoutDelivered,
        Told::Failed => Event::LogoutFailed,
        Told::GivenUp => Event::LogoutGivenUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oidc_lg2_01_pauses_grow_and_end_after_ten_minutes() {
        let at = |tries| next_try(tries, UnixTime::from_secs(0)).map(UnixTime::as_secs);
        assert_eq!([1, 2, 3, 4, 5].map(at), [Some(10), Some(50), Some(180), Some(360), None]);
        assert_eq!(PAUSES_SECS.iter().sum::<u64>(), 600);
        assert_eq!(at(0), None);
    }

    #[test]
    fn oidc_lg2_01_one_host_and_all_hosts_have_their_bounds() {
        let courier = Courier::default();
        assert_eq!((0..9).filter(|_| courier.enter("a")).count(), 4);
        assert!(courier.enter("b"));
        courier.leave("a");
        assert!(courier.enter("a") && !courier.enter("a"));
        assert!(courier.take(1) && !courier.take(1), "under way already");
        assert_eq!((0..200).filter(|notice| courier.take(*notice)).count(), MAX_UNDER_WAY - 1);
        (0..200).for_each(|notice| courier.put_down(notice));
        ["a", "a", "a", "a", "b"].iter().for_each(|host| courier.leave(host));
        assert!(courier.0.lock().notices.is_empty() && courier.0.lock().hosts.is_empty());
    }
}
