//! What the benchmarks share: a resource with a client that calls it, and a stopwatch that others cannot disturb.
//!
//! `cargo xtask bench` measures and prints one table; the test `counts` counts instructions, which no load changes.

pub mod measure;
pub mod scene;

/// The allocator that the program `keybound` has; a benchmark on another one would measure something else.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What ends a measurement early. It is shown to a person and never matched upon.
pub type Failure = Box<dyn std::error::Error>;
