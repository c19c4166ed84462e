//! Logos of clients. They are fetched once and shown from here: no third party sees who is asked for consent, and no page
//! changes after somebody looked at it (AS-DCR-10).

use crate::clients::RegisteredClient;
use crate::config::Config;
use crate::endpoint;
use crate::provider::Provider;
use axum::body::Body;
use axum::extract::{Path, State};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::sha256;
use keybound_dpop::time::Now;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Octets in a logo, at the most.
const MAX_BYTES: usize = 100 * 1024;
/// Octets of all that are kept; the oldest make room.
const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;
/// Places that are remembered, with and without a logo.
const MAX_PLACES: usize = 2048;
/// After so long a logo is looked for again.
const RENEW: Duration = Duration::from_secs(24 * 60 * 60);

/// The logos that are kept.
#[derive(Debug, Default)]
pub struct Logos(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    places: HashMap<String, Place>,
    by_name: HashMap<String, Logo>,
    order: VecDeque<String>,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Place {
    tried_at: Duration,
    name: Option<String>,
}

#[derive(Clone, Debug)]
struct Logo {
    media_type: &'static str,
    body: Bytes,
}

impl Logos {
    /// The path of the client's logo, where it is there.
    #[must_use]
    pub fn path(&self, config: &Config, client: &RegisteredClient) -> Option<String> {
        let kept = self.0.lock();
        let name = kept.places.get(client.logo_uri.as_ref()?.as_str())?.name.as_ref()?;
        kept.by_name.contains_key(name).then(|| format!("{}{}/{name}", config.issuer.path(), endpoint::LOGO))
    }

    /// Whether the logo at that place should be fetched now. Who asks is the one to do it.
    fn is_due(&self, place: &str, now: Now) -> bool {
        let mut kept = self.0.lock();
        let before = kept.places.get(place).cloned();
        let since = before.as_ref().map(|before| now.monotonic.saturating_sub(before.tried_at));
        if since.is_some_and(|since| since < RENEW) {
            return false;
        }
        if kept.places.len() >= MAX_PLACES && before.is_none() {
            let oldest = kept.places.iter().min_by_key(|(_, place)| place.tried_at);
            let oldest = oldest.map(|(place, _)| place.clone());
            oldest.map(|place| kept.places.remove(&place));
        }
        let name = before.and_then(|before| before.name);
        kept.places.insert(place.to_owned(), Place { tried_at: now.monotonic, name });
        true
    }

    fn keep(&self, place: &str, logo: Logo) {
        let hash = base64url::encode(&sha256(&logo.body));
        let name: String = hash.chars().take(22).collect();
        let mut kept = self.0.lock();
        if let Some(place) = kept.places.get_mut(place) {
            place.name = Some(name.clone());
        }
        if kept.by_name.contains_key(&name) {
            return;
        }
        kept.bytes += logo.body.len();
        kept.order.push_back(name.clone());
        kept.by_name.insert(name, logo);
        while kept.bytes > MAX_KEPT_BYTES {
            let Some(oldest) = kept.order.pop_front() else { break };
            let freed = kept.by_name.remove(&oldest).map_or(0, |logo| logo.body.len());
            kept.bytes = kept.bytes.saturating_sub(freed);
        }
    }
}

/// Has the client's logo fetched beside the request, where it is not there yet.
pub fn want(provider: &Provider, client: &RegisteredClient) {
    let Some(uri) = &client.logo_uri else { return };
    let Ok(permit) = Arc::clone(&provider.registration_fetches).try_acquire_owned() else { return };
    if !provider.logos.is_due(uri.as_str(), provider.now()) {
        return;
    }
    let (logos, fetcher, uri) = (Arc::clone(&provider.logos), client.fetcher().clone(), uri.clone());
    tokio::spawn(async move {
        let _permit = permit;
        match fetcher.get_capped(uri.url(), MAX_BYTES).await {
            Ok(fetched) => match media_type(&fetched.body) {
                Some(media_type) => logos.keep(uri.as_str(), Logo { media_type, body: fetched.body }),
                None => tracing::warn!("a logo is no PNG, JPEG, GIF or WebP"),
            },
            Err(error) => tracing::warn!(%error, "a logo cannot be fetched"),
        }
    });
}

/// What the octets are, whatever their server says. An SVG could hold a script.
fn media_type(body: &[u8]) -> Option<&'static str> {
    match body {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// Answers with a logo, which its name belongs to for ever.
pub async fn handle(State(provider): State<Arc<Provider>>, Path(name): Path<String>) -> Response<Body> {
    let logo = provider.logos.0.lock().by_name.get(&name).cloned();
    let Some(Logo { media_type, body }) = logo else {
        let mut response = Response::new(Body::from("There is no such logo.\n"));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let mut response = Response::new(Body::from(body));
    for (name, value) in [
        (CONTENT_TYPE, media_type),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_is_what_its_octets_say() {
        for (body, expected) in [
            (&b"\x89PNG\r\n\x1a\n...."[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a;", Some("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", None),
            (b"<html>", None),
            (b"", None),
        ] {
            assert_eq!(media_type(body), expected);
        }
    }

    #[test]
    fn what_is_kept_of_logos_is_bounded() {
        let logos = Logos::default();
        let at = |secs| Now {
            unix: keybound_dpop::time::UnixTime::from_secs(secs),
            monotonic: Duration::from_secs(secs),
        };
        for number in 0..3000_u64 {
            let place = format!("https://app.example/{number}");
            assert!(logos.is_due(&place, at(100_000 + number)));
            assert!(!logos.is_due(&place, at(100_000 + number)), "once a day");
            let mut body = vec![0; MAX_BYTES];
            body.splice(..8, number.to_be_bytes());
            logos.keep(&place, Logo { media_type: "image/png", body: body.into() });
        }
        let kept = logos.0.lock();
        assert!(kept.bytes <= MAX_KEPT_BYTES && kept.places.len() <= MAX_PLACES, "{}", kept.bytes);
        assert_eq!(kept.order.len(), kept.by_name.len());
    }
}
