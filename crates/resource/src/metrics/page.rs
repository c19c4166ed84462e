//! The counts as Prometheus reads them.

use super::{ByRow, GuardMetrics};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

impl GuardMetrics {
    /// Puts them into `registry`, under names that begin with `guard_`.
    pub fn register(&self, registry: &mut Registry) {
        registry.sub_registry_with_prefix("guard").register_collector(Box::new(self.clone()));
    }
}

impl Collector for GuardMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = &self.0;
        let mut page = Page(encoder);
        page.count("proofs_accepted", "Proofs that held", &counts.proofs_accepted)?;
        let help = "Proofs that did not hold, by the row that was not met";
        page.by_row("proofs_refused", help, &counts.proofs_refused)?;
        page.count("nonce_challenges", "Proofs that were asked for a nonce", &counts.challenges)?;
        page.count("replays", "Proofs that were used before", &counts.replays)?;
        let bindings = [("key", &counts.bound), ("none", &counts.unbound)];
        let help = "Access tokens that gave access, by what they are bound to";
        page.labelled("tokens_accepted", help, "bound_to", bindings)?;
        let help = "Access tokens that gave none, by the row that was not met";
        page.by_row("tokens_refused", help, &counts.tokens_refused)?;
        let help = "Requests that were refused for neither token nor proof, by row";
        page.by_row("requests_refused", help, &counts.requests_refused)?;
        let help = "Verdicts on access tokens, reached or remembered";
        let verdicts = [("reached", &counts.verified), ("remembered", &counts.remembered)];
        page.labelled("token_verdicts", help, "how", verdicts)?;
        let help = "Requests that were judged while the log of used proofs was out of reach";
        page.count("degraded_requests", help, &counts.degraded)?;
        let help = "How far the iat of good proofs was ahead of us; behind where negative";
        page.seconds("proof_skew", help, &counts.skew)?;
        page.seconds("replay_record", "Time to record a used proof", &counts.record)
    }
}

struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn count(&mut self, name: &str, help: &str, count: &AtomicU64) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&count.load(Relaxed), None)
    }

    fn labelled<'c>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        counts: impl IntoIterator<Item = (&'c str, &'c AtomicU64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, count) in counts {
            let labels = [(label, value)];
            let mut member = metric.encode_family(&labels)?;
            member.encode_counter::<NoLabelSet, _, u64>(&count.load(Relaxed), None)?;
        }
        Ok(())
    }

    /// Rows that were never counted are left out.
    fn by_row(&mut self, name: &str, help: &str, counts: &ByRow) -> fmt::Result {
        let rows = counts.rows.iter().map(|(row, count)| (*row, count));
        let all = rows.chain([("other", &counts.other)]);
        self.labelled(name, help, "row", all.filter(|(_, count)| count.load(Relaxed) > 0))
    }

    fn seconds(&mut self, name: &str, help: &str, histogram: &super::Histogram) -> fmt::Result {
        let unit = Unit::Seconds;
        let metric = self.0.encode_descriptor(name, help, Some(&unit), MetricType::Histogram)?;
        histogram.encode(metric)
    }
}
