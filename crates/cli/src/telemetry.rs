//! Traces for a collector that speaks OTLP over HTTP, where `OTEL_EXPORTER_OTLP_ENDPOINT` names one. All of
//! OpenTelemetry's variables count: for names, sampling, headers, batches.

use crate::error::CommandError;
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::identifier::is_protected;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::future::Future;
use std::pin::Pin;
use tokio::runtime::Runtime;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

/// The variables that turn it on, the first one that is set.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Traces on their way out. What waits is sent when it is dropped.
#[derive(Debug)]
pub(crate) struct Telemetry(SdkTracerProvider);

impl Telemetry {
    /// As the environment says; none where it names no collector.
    pub(crate) fn from_env(service: &'static str) -> Result<Option<Self>, CommandError> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let is_off = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || set("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
        let named = ENDPOINTS.iter().find_map(|name| Some((*name, set(name)?)));
        let Some((name, endpoint)) = named.filter(|_| !is_off) else { return Ok(None) };
        match Url::parse(&endpoint) {
            Ok(url) if is_protected(&url) => {}
            _ => {
                let what = format!("{name} must be an https URL, or http on a loopback host");
                return Err(CommandError::failed(what)
                    .advise("send traces to a collector on this machine, which sends them on"));
            }
        }
        let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
        let exporter = exporter.with_http_client(Sender::new()?).build().map_err(CommandError::failed)?;
        let resource = Resource::builder();
        let resource = match set("OTEL_SERVICE_NAME") {
            Some(_) => resource,
            None => resource.with_service_name(service),
        };
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
        Ok(Some(Self(provider.with_resource(resource.build()).build())))
    }

    /// What takes up the spans that are meant for a collector, and nothing else.
    pub(crate) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        let tracer = self.0.tracer("keybound");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        let layer =
            layer.with_location(false).with_threads(false).with_target(false).with_tracked_inactivity(false);
        layer.with_filter(Targets::new().with_target(keybound_serve::TRACES, LevelFilter::TRACE))
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// Sends from the thread that exports, on a runtime of its own: that of the service has better things to do, and may be
/// gone when the last batch is sent.
struct Sender {
    fetcher: Fetcher,
    runtime: Runtime,
}

impl Sender {
    fn new() -> Result<Self, CommandError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let fetcher = Fetcher::for_operator(&Settings::default());
        Ok(Self {
            fetcher: fetcher.map_err(CommandError::failed)?,
            runtime: runtime.map_err(CommandError::failed)?,
        })
    }
}

impl HttpClient for Sender {
    fn send_bytes<'s, 'f>(
        &'s self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let sent = self.runtime.block_on(self.fetcher.send(request));
            sent.map_err(|error| Box::new(error) as HttpError)
        })
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sender")
    }
}
