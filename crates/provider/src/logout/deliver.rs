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
    fn take(&self, notice: i64, host: &str) -> bool {
        let mut under_way = self.0.lock();
        if under_way.notices.len() >= MAX_UNDER_WAY || under_way.notices.contains(&notice) {
            return false;
        }
        let at_host = under_way.hosts.entry(host.to_owned()).or_default();
        if *at_host >= MAX_PER_HOST {
            return false;
        }
        *at_host += 1;
        under_way.notices.insert(notice)
    }

    fn put_down(&self, notice: i64, host: &str) {
        let mut under_way = self.0.lock();
        under_way.notices.remove(&notice);
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
    client: Arc<RegisteredClient>,
    uri: Endpoint,
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.provider.courier.put_down(self.notice.id, &host_of(&self.uri));
    }
}

/// Tells all clients that are to be told by now, those at other hosts at the same time; returns when each has answered,
/// or has let its time run out. The service calls it every second, whether or not the call before has returned.
pub async fn deliver_due(provider: Arc<Provider>) {
    let mut under_way = JoinSet::new();
    if let Err(fault) = begin(&provider, &mut under_way).await {
        tracing::error!(reason = fault.reason(), "clients could not be told of a logout");
    }
    while under_way.join_next().await.is_some() {}
}

async fn begin(provider: &Arc<Provider>, under_way: &mut JoinSet<()>) -> Result<(), Fault> {
    for notice in provider.store.due_logout_notices(provider.unix(), MAX_PER_HOST).await? {
        let client = provider.clients.find(&provider.store, &notice.client_id, provider.now()).await?;
        let uri = client.as_ref().and_then(|client| client.backchannel_logout_uri.clone());
        let (Some(client), Some(uri)) = (client, uri) else {
            conclude(provider, &notice, Err(Failure::Nobody)).await;
            continue;
        };
        if provider.courier.take(notice.id, &host_of(&uri)) {
            let errand = Errand { provider: Arc::clone(provider), notice, client, uri };
            under_way.spawn(async move {
                let told = errand.run().await.map_err(Failure::Try);
                conclude(&errand.provider, &errand.notice, told).await;
            });
        }
    }
    Ok(())
}

/// Why a client was not told.
enum Failure {
    /// It is gone, or wants to be told no more.
    Nobody,
    /// The try was in vain.
    Try(String),
}

impl Errand {
    /// Posts the token; 200 and 204 are a yes (§2.8). Nothing else of the answer is read.
    async fn run(&self) -> Result<(), String> {
        let token = self.token().map_err(|error| error.to_string())?;
        let form = FormWriter::new().pair(PARAMETER, token.reveal()).finish();
        let request = Request::post(self.uri.as_str())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form))
            .map_err(|error| error.to_string())?;
        let answer = self.client.fetcher().send_streaming(request).await;
        match answer.map_err(|error| error.to_string())?.status() {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
            other => Err(format!("the client answered with status {} instead of 200", other.as_u16())),
        }
    }

    /// Signed as the client's ID tokens are; `typ` tells them apart (§4).
    fn token(&self) -> Result<Secret, Box<dyn std::error::Error + Send + Sync>> {
        let (provider, client, now) = (&self.provider, &self.client, self.provider.unix());
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

/// Writes down what became of a try.
async fn conclude(provider: &Provider, notice: &LogoutNotice, told: Result<(), Failure>) {
    let tries = notice.tries.saturating_add(1);
    let again_at = match told {
        Err(Failure::Try(_)) => next_try(tries, provider.unix()),
        _ => None,
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
        Ok(()) => (Told::Delivered, None),
        Err(Failure::Try(why)) if again_at.is_some() => (Told::Failed, Some(why)),
        Err(Failure::Try(why)) => (Told::GivenUp, Some(why)),
        Err(Failure::Nobody) => (Told::GivenUp, Some("the client wants to be told no more".to_owned())),
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

fn host_of(uri: &Endpoint) -> String {
    uri.url().host_str().unwrap_or_default().to_owned()
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
        assert!((0..4).all(|notice| courier.take(notice, "a")));
        assert!(!courier.take(4, "a"), "too many at one host");
        assert!(!courier.take(3, "b"), "under way already");
        courier.put_down(3, "a");
        assert!(courier.take(3, "a") && !courier.take(4, "a"));
        let taken = (10..200).filter(|notice| courier.take(*notice, &notice.to_string())).count();
        assert_eq!(taken, MAX_UNDER_WAY - 4);
        for notice in 0..200 {
            courier.put_down(notice, if notice < 10 { "a" } else { "" });
        }
        assert!(courier.0.lock().notices.is_empty() && !courier.0.lock().hosts.contains_key("a"));
    }
}
