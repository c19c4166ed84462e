//! A histogram of atomics. The library's own takes a lock for each observation.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counts values of seconds in buckets. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    bounds_secs: &'static [f64],
    /// One for each bound and one for what is beyond.
    counts: Vec<AtomicU64>,
    sum_micros: AtomicI64,
}

impl Histogram {
    /// With these upper bounds, in rising order.
    #[must_use]
    pub fn new(bounds_secs: &'static [f64]) -> Self {
        let counts = (0..=bounds_secs.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets { bounds_secs, counts, sum_micros: AtomicI64::new(0) }))
    }

    /// Counts how long something took.
    pub fn took(&self, time: Duration) {
        self.observe(i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
    }

    /// Counts a value, in millionths of a second; it may be less than nothing.
    pub fn observe(&self, micros: i64) {
        let secs = seconds(micros);
        let place = self.0.bounds_secs.partition_point(|bound| *bound < secs);
        if let Some(count) = self.0.counts.get(place) {
            count.fetch_add(1, Relaxed);
        }
        self.0.sum_micros.fetch_add(micros, Relaxed);
    }
}

#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 microseconds, 285 years, nobody misses one")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(feature = "metrics")]
impl prometheus_client::encoding::EncodeMetric for Histogram {
    fn encode(&self, mut encoder: prometheus_client::encoding::MetricEncoder<'_>) -> std::fmt::Result {
        let bounds = self.0.bounds_secs.iter().copied().chain([f64::INFINITY]);
        let counts = self.0.counts.iter().map(|count| count.load(Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = seconds(self.0.sum_micros.load(Relaxed));
        encoder.encode_histogram::<prometheus_client::encoding::NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> prometheus_client::metrics::MetricType {
        prometheus_client::metrics::MetricType::Histogram
    }
}
