//! A timer that runs only while something is being waited for, and the stopwatch of the latency histogram.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep};

/// Goes off when it has been polled as `waiting` for longer than its time without a `rest` in between. Costs nothing
/// until the first wait; then one allocation for its life.
#[derive(Default)]
pub(crate) struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
    running: bool,
}

impl Alarm {
    /// Starts the timer unless it runs; ready when it has run out.
    pub(crate) fn waiting(&mut self, cx: &mut Context<'_>, time: Duration) -> Poll<()> {
        let timer = match &mut self.timer {
            Some(timer) => {
                if !self.running {
                    timer.set(sleep(time));
                }
                timer
            }
            None => self.timer.insert(Box::pin(sleep(time))),
        };
        self.running = true;
        timer.as_mut().poll(cx)
    }

    /// What was waited for has come.
    pub(crate) fn rest(&mut self) {
        self.running = false;
    }
}

/// Measures how long a request took. It tells no time of day and decides nothing.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "a latency in a log line and a metric; no rule depends on it"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
