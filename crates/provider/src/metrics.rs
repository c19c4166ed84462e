//! What the provider counts (OPS-LOG-05). It counts from its start, and is read where a registry was handed down.

use keybound_dpop::proof::check::FreshProof;
use keybound_dpop::time::UnixTime;
use keybound_oauth::client_metadata::GrantType;
use keybound_resource::Histogram;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Upper bounds of the store's latency: from a read in memory to a disk that is ill.
const STORE_SECS: [f64; 12] =
    [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0, 5.0];
/// Bounds of how far a proof's `iat` is ahead of us: what is less than nothing is behind.
const SKEW_SECS: [f64; 12] = [-300.0, -120.0, -60.0, -30.0, -10.0, -5.0, -2.0, 1.0, 5.0, 15.0, 30.0, 60.0];

/// The provider's metrics. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Counts>);

struct Counts {
    accepted: Counter,
    refused: Family<RowLabel, Counter>,
    challenges: Counter,
    replays: Counter,
    skew: Histogram,
    issued: Vec<(GrantType, Counter)>,
    issued_family: Family<GrantLabel, Counter>,
    store_reads: Histogram,
    store_writes: Histogram,
    limited: Family<LimitLabel, Counter>,
    client_checks: Family<CheckLabel, Counter>,
    logouts: Family<ToldLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RowLabel {
    row: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GrantLabel {
    grant_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabel {
    by: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ToldLabel {
    result: &'static str,
}

/// What became of a try to tell a client of a logout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It said yes.
    Delivered,
    /// It will be tried again.
    Failed,
    /// It will not.
    GivenUp,
}

impl Told {
    const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

/// What a client showed and we checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCheck {
    /// A secret was compared.
    Secret,
    /// The signature of an assertion was verified.
    Assertion,
}

impl ClientCheck {
    const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Assertion => "assertion",
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let issued_family = Family::<GrantLabel, Counter>::default();
        let counter =
            |grant: GrantType| issued_family.get_or_create_owned(&GrantLabel { grant_type: grant.as_str() });
        Self(Arc::new(Counts {
            accepted: Counter::default(),
            refused: Family::default(),
            challenges: Counter::default(),
            replays: Counter::default(),
            skew: Histogram::new(&SKEW_SECS),
            issued: GrantType::ALL.iter().map(|grant| (*grant, counter(*grant))).collect(),
            issued_family,
            store_reads: Histogram::new(&STORE_SECS),
            store_writes: Histogram::new(&STORE_SECS),
            limited: Family::default(),
            client_checks: Family::default(),
            logouts: Family::default(),
        }))
    }
}

impl Metrics {
    /// Puts them into `registry`, under names that begin with `provider_`.
    pub fn register(&self, registry: &mut Registry) {
        let counts = &self.0;
        let registry = registry.sub_registry_with_prefix("provider");
        registry.register("proofs_accepted", "Proofs that held", counts.accepted.clone());
        registry.register(
            "proofs_refused",
            "Proofs that did not hold, by the row that was not met",
            counts.refused.clone(),
        );
        registry.register(
            "nonce_challenges",
            "Proofs that were asked for a nonce",
            counts.challenges.clone(),
        );
        registry.register("replays", "Proofs and assertions that were used before", counts.replays.clone());
        let help = "How far the iat of good proofs was ahead of us; behind where negative";
        registry.register_with_unit("proof_skew", help, Unit::Seconds, counts.skew.clone());
        registry.register(
            "tokens_issued",
            "Answers with tokens, by grant type",
            counts.issued_family.clone(),
        );
        let help = "Time for a look into the store";
        registry.register_with_unit("store_read", help, Unit::Seconds, counts.store_reads.clone());
        let help = "Time for a change of the store, until it was on disk";
        registry.register_with_unit("store_write", help, Unit::Seconds, counts.store_writes.clone());
        registry.register(
            "requests_limited",
            "Requests answered 429, by what was counted",
            counts.limited.clone(),
        );
        let help = "Secrets compared and assertions verified, whether or not they were good";
        registry.register("client_checks", help, counts.client_checks.clone());
        let help = "Tries to tell a client of a logout, by what became of them";
        registry.register("logout_notices", help, counts.logouts.clone());
    }

    /// A proof held, and was not used before.
    pub fn proof_accepted(&self, proof: &FreshProof, now: UnixTime) {
        self.0.accepted.inc();
        let signed = |time: UnixTime| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let ahead_millis = signed(proof.iat()).saturating_sub(signed(now));
        self.0.skew.observe(ahead_millis.saturating_mul(1000));
    }

    /// A proof held; another room recorded it and keeps its time.
    pub fn proof_accepted_elsewhere(&self) {
        self.0.accepted.inc();
    }

    /// A proof did not hold.
    pub fn proof_refused(&self, row: &'static str) {
        self.0.refused.get_or_create(&RowLabel { row }).inc();
    }

    /// A nonce was asked for.
    pub fn nonce_challenged(&self) {
        self.0.challenges.inc();
    }

    /// A proof or an assertion came again.
    pub fn replayed(&self) {
        self.0.replays.inc();
    }

    /// Tokens were issued.
    pub fn issued(&self, grant_type: GrantType) {
        if let Some((_, counter)) = self.0.issued.iter().find(|(known, _)| *known == grant_type) {
            counter.inc();
        }
    }

    /// A look into the store took that long.
    pub fn store_read(&self, time: Duration) {
        self.0.store_reads.took(time);
    }

    /// A change of the store took that long.
    pub fn store_written(&self, time: Duration) {
        self.0.store_writes.took(time);
    }

    /// Somebody asked too often.
    pub fn limited(&self, by: &'static str) {
        self.0.limited.get_or_create(&LimitLabel { by }).inc();
    }

    /// Something that a client showed was checked.
    pub fn client_checked(&self, check: ClientCheck) {
        self.0.client_checks.get_or_create(&CheckLabel { kind: check.name() }).inc();
    }

    /// A client was told of a logout, or was not.
    pub fn logout_told(&self, result: Told) {
        self.0.logouts.get_or_create(&ToldLabel { result: result.name() }).inc();
    }

    /// How often that was checked.
    #[must_use]
    pub fn client_checks(&self, check: ClientCheck) -> u64 {
        self.0.client_checks.get_or_create(&CheckLabel { kind: check.name() }).get()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(metrics: &Metrics) -> String {
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
        page
    }

    #[test]
    fn ops_log_05_what_was_counted_is_on_the_page() {
        let metrics = Metrics::default();
        metrics.proof_refused("DPOP-HTU-01");
        metrics.nonce_challenged();
        metrics.replayed();
        metrics.issued(GrantType::RefreshToken);
        metrics.store_read(Duration::from_micros(60));
        metrics.store_written(Duration::from_secs(9));
        metrics.limited("address");
        metrics.logout_told(Told::GivenUp);
        metrics.0.skew.observe(-3_000_000);
        let page = page(&metrics);
        for line in [
            "provider_proofs_refused_total{row=\"DPOP-HTU-01\"} 1",
            "provider_nonce_challenges_total 1",
            "provider_replays_total 1",
            "provider_tokens_issued_total{grant_type=\"refresh_token\"} 1",
            "provider_tokens_issued_total{grant_type=\"authorization_code\"} 0",
            "provider_store_read_seconds_bucket{le=\"0.00005\"} 0",
            "provider_store_read_seconds_bucket{le=\"0.0001\"} 1",
            "provider_store_write_seconds_bucket{le=\"5.0\"} 0",
            "provider_store_write_seconds_count 1",
            "provider_requests_limited_total{by=\"address\"} 1",
            "provider_logout_notices_total{result=\"given_up\"} 1",
            "provider_proof_skew_seconds_bucket{le=\"-5.0\"} 0",
            "provider_proof_skew_seconds_bucket{le=\"-2.0\"} 1",
            "provider_proof_skew_seconds_sum -3.0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
        }
    }
}
