//! What a gateway counts, besides its guard (OPS-LOG-05). A route's counts are found when the configuration is read, and
//! are kept for as long as a configuration names its path: a request does no more than add. The label is the path as it
//! is configured, never as it came.

use crate::forward::NoAnswer;
use crate::limits::Refused;
use crate::observe::Observations;
use http::StatusCode;
use keybound_resource::Histogram;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of an upstream's latency.
const UPSTREAM_SECS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// The gateway's metrics. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct GatewayMetrics(Arc<Shared>);

#[derive(Default)]
struct Shared {
    routes: Mutex<BTreeMap<String, Arc<RouteCounts>>>,
    tunnels: Arc<AtomicI64>,
    observations: Observations,
    malformed: AtomicU64,
    no_route: AtomicU64,
    reloads: AtomicU64,
    reloads_refused: AtomicU64,
    limited: Refused,
}

/// What became of a request on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It went on.
    Allowed,
    /// 400: the caller wrote something that cannot be read.
    Malformed,
    /// 401: token or proof were not good, or a nonce was wanted.
    Denied,
    /// 403: the scope was too small.
    Forbidden,
    /// 503: nobody could tell.
    Unavailable,
}

/// The counts of one route.
pub(crate) struct RouteCounts {
    decisions: [AtomicU64; 5],
    away: AtomicU64,
    broken: AtomicU64,
    too_slow: AtomicU64,
    latency: Histogram,
}

/// A tunnel that is open until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenTunnel(Arc<AtomicI64>);

/// Where a gateway counts now: its routes' counts, by path.
#[derive(Clone, Default)]
pub(crate) struct RouteTable(BTreeMap<String, Arc<RouteCounts>>);

impl Decision {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Allowed, "allowed"),
        (Self::Malformed, "malformed"),
        (Self::Denied, "denied"),
        (Self::Forbidden, "forbidden"),
        (Self::Unavailable, "unavailable"),
    ];

    /// A refusal, by its status.
    pub(crate) fn of_refusal(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::Malformed,
            403 => Self::Forbidden,
            500.. => Self::Unavailable,
            _ => Self::Denied,
        }
    }
}

impl GatewayMetrics {
    /// Counts, and tells of what was observed.
    pub(crate) fn of(observations: Observations) -> Self {
        Self(Arc::new(Shared { observations, ..Shared::default() }))
    }

    /// Puts them into `registry`, under names that begin with `gateway_`.
    pub fn register(&self, registry: &mut Registry) {
        registry.sub_registry_with_prefix("gateway").register_collector(Box::new(self.clone()));
    }

    /// The counts for routes at these paths; those that were there before go on.
    pub(crate) fn routes<'p>(&self, paths: impl Iterator<Item = &'p str>) -> RouteTable {
        let mut known = self.0.routes.lock();
        let table: BTreeMap<_, _> =
            paths.map(|path| (path.to_owned(), known.get(path).cloned().unwrap_or_default())).collect();
        known.clone_from(&table);
        RouteTable(table)
    }

    /// A request whose end, host or path has two readings.
    pub(crate) fn malformed(&self) {
        self.0.malformed.fetch_add(1, Relaxed);
    }

    /// Where those are counted who asked too often.
    pub(crate) fn limited(&self) -> Refused {
        self.0.limited.clone()
    }

    /// A good request for which there is no route.
    pub(crate) fn no_route(&self) {
        self.0.no_route.fetch_add(1, Relaxed);
    }

    /// The configuration was read again, and is in use or was refused.
    pub(crate) fn reloaded(&self, in_use: bool) {
        if in_use { &self.0.reloads } else { &self.0.reloads_refused }.fetch_add(1, Relaxed);
    }

    /// A tunnel is open, for as long as what this gives lives.
    pub(crate) fn tunnel(&self) -> OpenTunnel {
        self.0.tunnels.fetch_add(1, Relaxed);
        OpenTunnel(Arc::clone(&self.0.tunnels))
    }
}

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl RouteTable {
    /// The counts of the route with that path.
    pub(crate) fn of(&self, path: &str) -> Option<&RouteCounts> {
        self.0.get(path).map(Arc::as_ref)
    }
}

impl Default for RouteCounts {
    fn default() -> Self {
        Self {
            decisions: std::array::from_fn(|_| AtomicU64::new(0)),
            away: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            too_slow: AtomicU64::new(0),
            latency: Histogram::new(&UPSTREAM_SECS),
        }
    }
}

impl RouteCounts {
    /// The guard has decided.
    pub(crate) fn decided(&self, decision: Decision) {
        let place = Decision::ALL.iter().position(|(known, _)| *known == decision);
        if let Some(count) = place.and_then(|place| self.decisions.get(place)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// The upstream has begun to answer, after that time.
    pub(crate) fn answered(&self, time: Duration) {
        self.latency.took(time);
    }

    /// It has not.
    pub(crate) fn not_answered(&self, why: NoAnswer) {
        let count = match why {
            NoAnswer::Away => &self.away,
            NoAnswer::Broken => &self.broken,
            NoAnswer::TooSlow => &self.too_slow,
            // The caller's fault.
            NoAnswer::TooLarge => return,
        };
        count.fetch_add(1, Relaxed);
    }
}

impl Collector for GatewayMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let routes: Vec<_> =
            self.0.routes.lock().iter().map(|(p, c)| (shown(p).to_owned(), Arc::clone(c))).collect();
        decisions(&mut encoder, &routes)?;
        upstreams(&mut encoder, &routes)?;
        for (name, help, count) in [
            ("malformed_requests", "Requests whose end, host or path has two readings", &self.0.malformed),
            ("requests_without_route", "Good requests that no route leads anywhere", &self.0.no_route),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            metric.encode_counter::<NoLabelSet, _, u64>(&count.load(Relaxed), None)?;
        }
        let help = "Times that the configuration was read again, by what became of it";
        let mut metric = encoder.encode_descriptor("reloads", help, None, MetricType::Counter)?;
        for (result, count) in [("in_use", &self.0.reloads), ("refused", &self.0.reloads_refused)] {
            let labels = [("result", result)];
            let mut member = metric.encode_family(&labels)?;
            member.encode_counter::<NoLabelSet, _, u64>(&count.load(Relaxed), None)?;
        }
        let help = "Requests that came too often, by what was counted";
        let mut metric = encoder.encode_descriptor("limited_requests", help, None, MetricType::Counter)?;
        for (by, count) in self.0.limited.counts() {
            let labels = [("by", by)];
            let mut member = metric.encode_family(&labels)?;
            member.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        let (seen, would_pass) = self.0.observations.totals();
        let help = "Requests on routes that only look on, by what would have become of them";
        let mut metric = encoder.encode_descriptor("observed_requests", help, None, MetricType::Counter)?;
        for (result, count) in [("would_pass", would_pass), ("would_be_refused", seen - would_pass)] {
            let labels = [("result", result)];
            let mut member = metric.encode_family(&labels)?;
            member.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        let help = "Tunnels (upgraded connections) open now";
        let mut metric = encoder.encode_descriptor("tunnels_open", help, None, MetricType::Gauge)?;
        metric.encode_gauge(&self.0.tunnels.load(Relaxed))
    }
}

type Routes = [(String, Arc<RouteCounts>)];

/// The route for all paths has an empty one.
fn shown(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

fn decisions(encoder: &mut DescriptorEncoder<'_>, routes: &Routes) -> fmt::Result {
    let help = "What was decided of requests, by route";
    let mut metric = encoder.encode_descriptor("decisions", help, None, MetricType::Counter)?;
    for (route, counts) in routes {
        for ((_, decision), count) in Decision::ALL.iter().zip(&counts.decisions) {
            let labels = [("route", route.as_str()), ("decision", *decision)];
            let mut member = metric.encode_family(&labels)?;
            member.encode_counter::<NoLabelSet, _, u64>(&count.load(Relaxed), None)?;
        }
    }
    Ok(())
}

fn upstreams(encoder: &mut DescriptorEncoder<'_>, routes: &Routes) -> fmt::Result {
    let help = "Requests that an upstream did not answer, by route and why";
    let mut metric = encoder.encode_descriptor("upstream_errors", help, None, MetricType::Counter)?;
    for (route, counts) in routes {
        for (kind, count) in
            [("unreachable", &counts.away), ("broken", &counts.broken), ("timeout", &counts.too_slow)]
        {
            let labels = [("route", route.as_str()), ("kind", kind)];
            let mut member = metric.encode_family(&labels)?;
            member.encode_counter::<NoLabelSet, _, u64>(&count.load(Relaxed), None)?;
        }
    }
    let help = "Time until an upstream began to answer, by route";
    let unit = Unit::Seconds;
    let mut metric =
        encoder.encode_descriptor("upstream_duration", help, Some(&unit), MetricType::Histogram)?;
    for (route, counts) in routes {
        let labels = [("route", route.as_str())];
        counts.latency.encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

impl fmt::Debug for GatewayMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatewayMetrics")
    }
}

impl fmt::Debug for RouteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
