//! Tokens that say nothing themselves: the issuer is asked about each (RFC 7662), once in a while.
//!
//! `cargo run -p keybound-resource --features introspect --example opaque_tokens`
#![expect(clippy::print_stdout, reason = "an example shows what it answers")]

mod common;

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use common::{API, Failed, ISSUER, Others};
use http::{HeaderMap, Method, StatusCode};
use keybound_dpop::secret::Secret;
use keybound_dpop::time::{Clock, SystemClock};
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::identifier::{ClientId, Endpoint, Issuer};
use keybound_resource::{
    Guard, GuardConfig, GuardLayer, Introspection, IntrospectionAuth, IntrospectionConfig,
    IntrospectionEndpoint, Introspector, PublicUrl, TrustedIssuer,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tower::ServiceExt;

/// A guard that asks the issuer at `endpoint`, as the client `things`, and believes it for ten seconds.
fn guard(mut issuer: TrustedIssuer, endpoint: &str) -> Result<Guard, Failed> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let mut asking = IntrospectionConfig::new(
        Issuer::parse(ISSUER)?,
        IntrospectionEndpoint::Url(Endpoint::parse(endpoint)?),
        ClientId::parse("things")?,
        IntrospectionAuth::SecretBasic(Secret::new("from a file")),
    );
    asking.staleness = Duration::from_secs(10);
    let fetcher = Fetcher::for_operator(&Settings::default())?;
    issuer.introspection = Introspection::Opaque(Introspector::new(asking, fetcher, Arc::clone(&clock)));
    Ok(Guard::new(GuardConfig::new(issuer, API, clock)?)?)
}

/// An issuer that knows one token, and counts how often it is asked.
async fn issuer(claims: serde_json::Value, asked: Arc<AtomicUsize>) -> Result<String, Failed> {
    let answer = move |body: String| async move {
        asked.fetch_add(1, Ordering::SeqCst);
        let mut answer = claims;
        if let Some(members) = answer.as_object_mut() {
            members.insert("active".to_owned(), body.starts_with("token=known&").into());
        }
        answer.to_string()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/introspect", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}/introspect"))
}

async fn run() -> Result<(), Failed> {
    let (others, asked) = (Others::new()?, Arc::new(AtomicUsize::new(0)));
    let endpoint = issuer(others.claims("things"), Arc::clone(&asked)).await?;
    let guard = Arc::new(guard(others.issuer(), &endpoint)?);
    let app = Router::new().route("/things", axum::routing::get(|| async { "things" }));
    let app = app.layer(GuardLayer::new(guard, PublicUrl::parse(API)?));

    let mut nonce: Option<HeaderMap> = None;
    let signed = others.token("things")?;
    let calls = [("known", 401), ("known", 200), ("known", 200), ("unknown", 401), (signed.as_str(), 200)];
    for (token, expected) in calls {
        let request = others.request(Method::GET, "/things", token, nonce.as_ref())?.body(Body::empty())?;
        let response = app.clone().oneshot(request).await?;
        println!("{token}: {}", response.status());
        if response.status() != StatusCode::from_u16(expected)? {
            return Err(format!("{token}: {}", response.status()).into());
        }
        nonce = nonce.or_else(|| Some(response.headers().clone()));
    }
    match asked.load(Ordering::SeqCst) {
        2 => Ok(()),
        other => Err(format!(
            "asked {other} times: two tokens are opaque, and the third is believed by its signature"
        )
        .into()),
    }
}

pub(crate) fn main() -> Result<(), Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}
