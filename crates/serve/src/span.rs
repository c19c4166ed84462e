//! The span of a request, where traces are collected: it goes on where the caller's ended (W3C Trace Context), and what
//! is done for the request is within it. Named as OpenTelemetry's semantic conventions for HTTP name things; never a
//! query, a header or a body.
//!
//! Spans have the target `traces` and the lowest level, so that they cost one look at a flag where nobody collects them.

use crate::trace::Escaped;
use http::request::Parts;
use http::{Method, StatusCode, Version};
use std::net::SocketAddr;
use tracing::field::Empty;
use tracing::{Span, trace_span};

/// The target of all spans that are meant for a collector of traces.
pub const TRACES: &str = "traces";

/// The span of a request that begins; disabled, and nothing is looked at, where nobody collects.
pub(crate) fn begin(peer: SocketAddr, tls: bool, parts: &Parts) -> Span {
    let span = trace_span!(
        target: TRACES,
        "request",
        otel.name = method(&parts.method),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method(&parts.method),
        http.route = Empty,
        http.response.status_code = Empty,
        url.path = %Escaped(parts.uri.path()),
        url.scheme = if tls { "https" } else { "http" },
        network.protocol.version = version(parts.version),
        client.address = %peer.ip(),
    );
    #[cfg(feature = "telemetry")]
    if !span.is_disabled() {
        context::follow(&span, &parts.headers);
    }
    span
}

/// The answer begins.
pub(crate) fn end(span: &Span, status: StatusCode) {
    if span.is_disabled() {
        return;
    }
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// A method as an attribute: one that a caller made up is not repeated.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        "CONNECT" => "CONNECT",
        "TRACE" => "TRACE",
        _ => "_OTHER",
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

#[cfg(feature = "telemetry")]
pub use context::propagate;

#[cfg(feature = "telemetry")]
mod context {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
    use opentelemetry::trace::TraceContextExt;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    /// Puts where we are into the headers of a request that goes on: `traceparent` and `tracestate` of the current
    /// span. They stay as they came where traces are not collected.
    pub fn propagate(headers: &mut HeaderMap) {
        let context = Span::current().context();
        if context.span().span_context().is_valid() {
            TraceContextPropagator::new().inject_context(&context, &mut Headers(headers));
        }
    }

    /// The caller's trace goes on.
    pub(super) fn follow(span: &Span, headers: &HeaderMap) {
        let context = TraceContextPropagator::new().extract(&Caller(headers));
        // Without a collector there is no trace to go on with.
        let _ = span.set_parent(context);
    }

    struct Headers<'a>(&'a mut HeaderMap);

    impl Injector for Headers<'_> {
        fn set(&mut self, key: &str, value: String) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
                self.0.insert(name, value);
            }
        }
    }

    struct Caller<'a>(&'a HeaderMap);

    impl Extractor for Caller<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key)?.to_str().ok()
        }

        fn keys(&self) -> Vec<&str> {
            self.0.keys().map(HeaderName::as_str).collect()
        }
    }
}
