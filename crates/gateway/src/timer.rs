//! A timer that runs only while something is being waited for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// Goes off when it has been polled as `waiting` for longer than its time without a `rest` in between. Costs nothing
/// until the first wait.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    running: bool,
}

impl Timer {
    /// Starts the timer unless it runs; ready when it has run out.
    pub(crate) fn waiting(&mut self, cx: &mut Context<'_>, time: Duration) -> Poll<()> {
        let sleep = match &mut self.sleep {
            Some(waiting) => {
                if !self.running {
                    waiting.set(sleep(time));
                }
                waiting
            }
            None => self.sleep.insert(Box::pin(sleep(time))),
        };
        self.running = true;
        sleep.as_mut().poll(cx)
    }

    /// What was waited for has come.
    pub(crate) fn rest(&mut self) {
        self.running = false;
    }
}
