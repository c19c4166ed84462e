//! The lock and the counter of the replay log, under one name. A test puts others here, which run through the
//! interleavings of threads.

pub(crate) use parking_lot::Mutex;
pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};
