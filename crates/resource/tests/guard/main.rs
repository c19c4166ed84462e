//! The guard from outside: requests in, answers out, on a clock that the test turns.

#[cfg(feature = "introspect")]
#[cfg(test)]
mod asked;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod challenges;
#[cfg(test)]
mod demands;
#[cfg(feature = "introspect")]
#[cfg(test)]
mod introspection;
#[cfg(test)]
mod issuers;
#[cfg(test)]
mod layer;
#[cfg(test)]
mod metadata;
#[cfg(feature = "metrics")]
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod nonces;
#[cfg(test)]
mod schemes;
#[cfg(test)]
mod services;
#[cfg(test)]
mod shared_log;
#[cfg(test)]
mod thefts;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod world;
