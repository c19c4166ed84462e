//! What a trace says of a gateway: the route, and the exchange with the upstream as a span of its own, whose context the
//! upstream is told. Whoever runs the gateway knows how traces are collected and how that is written; it hands over a
//! function.

use crate::route::Route;
use crate::upstream::Upstream;
use http::request::Parts;
use std::fmt;
use tracing::field::Empty;
use tracing::{Level, Span, trace_span};

/// The target of spans that are meant for a collector of traces.
const TRACES: &str = "traces";

/// Writes the context of the current span into the headers of a request that goes on.
#[derive(Clone, Copy, Default)]
pub struct Propagation(pub Option<fn(&mut http::HeaderMap)>);

impl Propagation {
    /// The span of an exchange with an upstream, which the request tells of. Disabled where nobody collects.
    pub(crate) fn begin(self, route: &Route, parts: &mut Parts) -> Span {
        if !tracing::enabled!(target: TRACES, Level::TRACE) {
            return Span::none();
        }
        let path = if route.path.is_empty() { "/" } else { &route.path };
        Span::current().record("http.route", path);
        let upstream =
            route.upstream.as_deref().map_or("", Upstream::name).parse::<http::Uri>().unwrap_or_default();
        let port =
            upstream.port_u16().unwrap_or(if upstream.scheme_str() == Some("https") { 443 } else { 80 });
        let span = trace_span!(
            target: TRACES,
            "upstream",
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = parts.method.as_str(),
            http.route = path,
            http.response.status_code = Empty,
            server.address = upstream.host().unwrap_or_default(),
            server.port = port,
        );
        if let Some(write) = self.0 {
            span.in_scope(|| write(&mut parts.headers));
        }
        span
    }
}

impl fmt::Debug for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Propagation")
    }
}
