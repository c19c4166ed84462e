//! The World: a provider, a guarded API and a client's hands in one process, on a clock that the test turns.
//!
//! Requests go straight into the services, without sockets, so that a test says what was sent and what came back and
//! nothing else. Tests that need sockets find the same parties in [`servers`].

pub mod answer;
pub mod clock;
pub mod forge;
pub mod hands;
pub mod lines;
pub mod requests;
pub mod servers;
pub mod settings;
pub mod world;

pub use answer::Answer;
pub use clock::TurnedClock;
pub use forge::Forge;
pub use hands::{Back, Hands};
pub use servers::Servers;
pub use settings::Settings;
pub use world::World;
