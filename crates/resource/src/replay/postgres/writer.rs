//! The tasks of a log in PostgreSQL: one inserts, one deletes.

use super::link::{Link, Writer};
use super::{Row, Waiting};
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, WeakSender};
use tokio::time::{sleep, timeout};
use tokio_postgres::Error;

/// Rows of one statement at the most.
const GROUP: usize = 256;
/// How often what has ended is looked for, and how many rows one statement deletes.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
const SWEEP_ROWS: i64 = 2000;
const SWEEP_PATIENCE: Duration = Duration::from_secs(30);

/// Rows that another node is deleting are left to it, so that nobody waits.
const SWEEP: &str = "DELETE FROM keybound_replay WHERE key IN
(SELECT key FROM keybound_replay WHERE forget_at < now() LIMIT $1 FOR UPDATE SKIP LOCKED)";

/// Inserts what waits, in groups, until nobody can ask any more.
pub(super) async fn run(link: Link, mut queue: Receiver<Waiting>, patience: Duration) {
    let mut writer = None;
    let mut group = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut group, GROUP).await > 0 {
        // Who has gone away has been told no.
        group.retain(|waiting: &Waiting| !waiting.answer.is_closed());
        if group.is_empty() {
            continue;
        }
        // One order for all nodes, or two could wait for each other.
        group.sort_unstable_by_key(|waiting| waiting.record.as_ref().map(|row| row.key));
        let reason = match timeout(patience, write(&link, &mut writer, &group)).await {
            Ok(Ok(mut new)) => {
                answer(&mut group, &mut new);
                continue;
            }
            Ok(Err(error)) => told(&error),
            Err(_) => format!("no answer within {} ms", patience.as_millis()),
        };
        writer = None;
        for waiting in group.drain(..) {
            // Nobody may be there any more.
            let _ = waiting.answer.send(Err(reason.clone()));
        }
    }
}

/// Gives the keys that were not there.
async fn write(
    link: &Link,
    writer: &mut Option<Writer>,
    group: &[Waiting],
) -> Result<HashSet<Vec<u8>>, Error> {
    if writer.as_ref().is_some_and(|writer| writer.connected.client.is_closed()) {
        *writer = None;
    }
    let writer = match writer {
        Some(writer) => writer,
        None => writer.insert(link.writer().await?),
    };
    let rows = || group.iter().filter_map(|waiting| waiting.record.as_ref());
    let keys: Vec<&[u8]> = rows().map(|row: &Row| row.key.as_slice()).collect();
    let keep_ms: Vec<i64> = rows().map(|row| row.keep_ms).collect();
    let new = writer.connected.client.query(&writer.insert, &[&keys, &keep_ms]).await?;
    new.iter().map(|row| row.try_get(0)).collect()
}

/// A key that came twice at once is new to the first who brought it.
fn answer(group: &mut Vec<Waiting>, new: &mut HashSet<Vec<u8>>) {
    for waiting in group.drain(..) {
        let is_new = waiting.record.is_none_or(|row| new.remove(row.key.as_slice()));
        // Who waited may have gone away meanwhile.
        let _ = waiting.answer.send(Ok(is_new));
    }
}

/// Deletes what has ended, until nobody can ask any more.
pub(super) async fn sweep(link: Link, queue: WeakSender<Waiting>) {
    loop {
        sleep(SWEEP_EVERY).await;
        if queue.upgrade().is_none() {
            return;
        }
        match timeout(SWEEP_PATIENCE, sweep_once(&link)).await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => tracing::debug!(reason = told(&error), "old records could not be deleted"),
            Err(_) => tracing::warn!("old records could not be deleted in time"),
        }
    }
}

async fn sweep_once(link: &Link) -> Result<(), Error> {
    let connected = link.connect().await?;
    loop {
        let deleted = connected.client.execute(SWEEP, &[&SWEEP_ROWS]).await?;
        if i64::try_from(deleted).unwrap_or(0) < SWEEP_ROWS {
            return Ok(());
        }
    }
}

/// With what the server said, which the library keeps a level below.
fn told(error: &Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{error}: {}", said.message()),
        None => error.to_string(),
    }
}
