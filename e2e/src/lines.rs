//! What is logged, kept in memory.

use parking_lot::Mutex;
use std::io::Write;
use std::sync::{Arc, LazyLock};
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

/// Lines of a log, in memory.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// All that was written since it was taken last.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }

    /// What was written since the last time.
    #[must_use]
    pub fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock())).expect("text")
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Where there is one subscriber only, whether an event is of interest is asked of the thread that happens to come by
/// it first, and remembered for all. A second one, which hears nothing, makes it be asked of both.
static SILENT: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));

/// To be called before a subscriber is set.
pub fn hear() {
    LazyLock::force(&SILENT);
}
