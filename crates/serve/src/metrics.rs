//! What the listener counts. Registered once in the registry that is handed down; read at `/metrics`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::{
    EncodeLabelSet, EncodeLabelValue, EncodeMetric, LabelValueEncoder, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of the latency histogram: from a verdict that was remembered to an upstream that is slow.
const BOUNDS_SECONDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The listener's metrics. Cheap to clone; all clones count together. `Metrics::default()` counts where nobody looks.
#[derive(Clone)]
pub struct Metrics(Arc<Counts>);

struct Counts {
    connections: Gauge,
    full: Counter,
    accept_errors: Counter,
    handshake_errors: Counter,
    panics: Counter,
    cut: Family<CutLabel, Counter>,
    responses: [Counter; 5],
    latency: Latency,
}

/// Why the shell closed a connection before its peer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cut {
    FirstByte,
    Handshake,
    HeaderRead,
    WritePause,
    Idle,
    Drain,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CutLabel {
    reason: Cut,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabel {
    class: &'static str,
}

impl Metrics {
    /// Puts the listener's metrics into `registry`, under names that begin with `http_`.
    pub fn register(registry: &mut Registry) -> Self {
        let classes = Family::<ClassLabel, Counter>::default();
        let counts = Counts {
            connections: Gauge::default(),
            full: Counter::default(),
            accept_errors: Counter::default(),
            handshake_errors: Counter::default(),
            panics: Counter::default(),
            cut: Family::default(),
            responses: ["1xx", "2xx", "3xx", "4xx", "5xx"]
                .map(|class| classes.get_or_create_owned(&ClassLabel { class })),
            latency: Latency::default(),
        };
        let registry = registry.sub_registry_with_prefix("http");
        registry.register("connections_open", "Connections open now", counts.connections.clone());
        registry.register(
            "connections_full",
            "Times that accepting paused for want of room",
            counts.full.clone(),
        );
        registry.register("accept_errors", "Accepts that failed", counts.accept_errors.clone());
        registry.register(
            "tls_handshake_errors",
            "TLS handshakes that failed",
            counts.handshake_errors.clone(),
        );
        registry.register("handler_panics", "Requests whose handler panicked", counts.panics.clone());
        registry.register("connections_cut", "Connections that we closed, by reason", counts.cut.clone());
        registry.register("responses", "Responses by status class", classes);
        let help = "Time from a request's head to its response's head";
        registry.register_with_unit("request_duration", help, Unit::Seconds, counts.latency.clone());
        Self(Arc::new(counts))
    }

    /// Counts a connection as open until the guard is dropped.
    pub(crate) fn open(&self) -> Open {
        self.0.connections.inc();
        Open(self.clone())
    }

    pub(crate) fn full(&self) {
        self.0.full.inc();
    }

    pub(crate) fn accept_failed(&self) {
        self.0.accept_errors.inc();
    }

    pub(crate) fn handshake_failed(&self) {
        self.0.handshake_errors.inc();
    }

    pub(crate) fn panicked(&self) {
        self.0.panics.inc();
    }

    pub(crate) fn cut(&self, reason: Cut) {
        self.0.cut.get_or_create(&CutLabel { reason }).inc();
    }

    pub(crate) fn answered(&self, status: StatusCode, time: Duration) {
        if let Some(counter) = self.0.responses.get(usize::from(status.as_u16() / 100).saturating_sub(1)) {
            counter.inc();
        }
        self.0.latency.observe(time);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::register(&mut Registry::default())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// One open connection.
pub(crate) struct Open(Metrics);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.connections.dec();
    }
}

impl EncodeLabelValue for Cut {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let name = match self {
            Cut::FirstByte => "first_byte",
            Cut::Handshake => "tls_handshake",
            Cut::HeaderRead => "header_read",
            Cut::WritePause => "write_pause",
            Cut::Idle => "idle",
            Cut::Drain => "drain",
        };
        name.encode(encoder)
    }
}

/// A histogram of atomics. The library's own takes a lock for each observation.
#[derive(Clone, Debug, Default)]
struct Latency(Arc<Buckets>);

#[derive(Debug, Default)]
struct Buckets {
    within: [AtomicU64; BOUNDS_SECONDS.len()],
    beyond: AtomicU64,
    sum_micros: AtomicU64,
}

impl Latency {
    fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let place = BOUNDS_SECONDS.iter().position(|bound| seconds <= *bound);
        place.and_then(|place| self.0.within.get(place)).unwrap_or(&self.0.beyond).fetch_add(1, Relaxed);
        self.0.sum_micros.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }
}

impl EncodeMetric for Latency {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts = self.0.within.iter().chain([&self.0.beyond]).map(|count| count.load(Relaxed));
        let bounds = BOUNDS_SECONDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_micros(self.0.sum_micros.load(Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histogram_is_cumulative_and_ends_at_infinity() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        for micros in [80, 300, 9_000_000] {
            metrics.answered(StatusCode::OK, Duration::from_micros(micros));
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "http_request_duration_seconds_bucket{le=\"0.0001\"} 1",
            "http_request_duration_seconds_bucket{le=\"0.0005\"} 2",
            "http_request_duration_seconds_bucket{le=\"+Inf\"} 3",
            "http_request_duration_seconds_count 3",
            "http_request_duration_seconds_sum 9.00038",
            "http_responses_total{class=\"2xx\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_status_beyond_the_classes_is_only_timed() {
        Metrics::default().answered(StatusCode::from_u16(999).unwrap(), Duration::ZERO);
    }
}
