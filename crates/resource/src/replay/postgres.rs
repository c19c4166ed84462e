//! The log in PostgreSQL: a row for each proof, inserted unless its key is there.
//!
//! One writer inserts what waits as one statement, so that a commit pays for all of them. What has ended is deleted by
//! a connection of its own, some at a time.

mod link;
mod writer;

use super::{LogServer, ReplayLogError};
use keybound_dpop::replay::ReplayKey;
use link::Link;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// So many requests wait for the writer at the most.
const QUEUE: usize = 4096;

pub(super) struct PostgresLog {
    link: Link,
    /// The writer begins with the first request, when there is a runtime.
    queue: OnceLock<mpsc::Sender<Waiting>>,
    timeout: Duration,
}

/// What waits for the writer.
struct Waiting {
    record: Option<Row>,
    answer: oneshot::Sender<Result<bool, String>>,
}

struct Row {
    key: [u8; 16],
    keep_ms: i64,
}

impl PostgresLog {
    pub(super) fn new(server: &LogServer) -> Result<Self, ReplayLogError> {
        Ok(Self { link: Link::new(server)?, queue: OnceLock::new(), timeout: server.timeout })
    }

    /// Whether the key was not there, and is now.
    pub(super) async fn record(&self, key: ReplayKey, keep: Duration) -> Result<bool, String> {
        let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        self.ask(Some(Row { key: key.0.to_be_bytes(), keep_ms })).await
    }

    pub(super) async fn reach(&self) -> Result<(), String> {
        self.ask(None).await.map(|_| ())
    }

    async fn ask(&self, record: Option<Row>) -> Result<bool, String> {
        let queue = self.queue.get_or_init(|| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            tokio::spawn(writer::run(self.link.clone(), receiver, self.timeout));
            tokio::spawn(writer::sweep(self.link.clone(), sender.downgrade()));
            sender
        });
        let (answer, answered) = oneshot::channel();
        queue.try_send(Waiting { record, answer }).map_err(|_| "too many requests wait for it".to_owned())?;
        match timeout(self.timeout, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err("its writer has ended".to_owned()),
            Err(_) => Err(format!("no answer within {} ms", self.timeout.as_millis())),
        }
    }
}
