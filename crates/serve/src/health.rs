//! Is the process alive, and is it ready for requests?

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::timeout;

const LONGEST_CHECK: Duration = Duration::from_secs(2);

type Check = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// What must hold before requests are welcome: named checks, and that nobody has asked the process to leave. Clones
/// share the latter.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Arc<Vec<(&'static str, Check)>>,
    leaving: Arc<AtomicBool>,
}

/// Collects the checks of a [`Readiness`].
#[derive(Default)]
pub struct ReadinessBuilder {
    checks: Vec<(&'static str, Check)>,
}

impl ReadinessBuilder {
    /// Adds a check. Its name is shown to whoever asks; what it says went wrong goes to the log only. A check that
    /// takes longer than two seconds has failed.
    pub fn check<C, F>(mut self, name: &'static str, check: C) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.push((name, Box::new(move || Box::pin(check()))));
        self
    }

    /// All checks are known.
    pub fn build(self) -> Readiness {
        Readiness { checks: Arc::new(self.checks), leaving: Arc::default() }
    }
}

impl Readiness {
    /// Begins a list of checks.
    pub fn builder() -> ReadinessBuilder {
        ReadinessBuilder::default()
    }

    /// From now on not ready: called when the process was asked to stop, so that balancers look elsewhere while it
    /// drains.
    pub fn leave(&self) {
        self.leaving.store(true, Relaxed);
    }

    /// Runs the checks in their order.
    pub(crate) async fn report(&self) -> Report {
        let leaving = self.leaving.load(Relaxed);
        let mut report = Report { ready: !leaving, text: String::new() };
        for (name, check) in self.checks.iter() {
            let outcome = match timeout(LONGEST_CHECK, check()).await {
                Ok(outcome) => outcome,
                Err(_) => Err("no answer in time".to_owned()),
            };
            let word = match outcome {
                Ok(()) => "ok",
                Err(reason) => {
                    tracing::warn!(check = name, reason, "not ready");
                    report.ready = false;
                    "failed"
                }
            };
            report.text.push_str(&format!("{name}: {word}\n"));
        }
        report.text.push_str(match (leaving, report.ready) {
            (true, _) => "stopping\n",
            (false, true) => "ready\n",
            (false, false) => "not ready\n",
        });
        report
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.checks.iter().map(|(name, _)| name)).finish()
    }
}

/// What the checks said: names and outcomes, no reasons.
pub(crate) struct Report {
    pub(crate) ready: bool,
    pub(crate) text: String,
}
