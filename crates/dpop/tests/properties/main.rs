//! What holds for all inputs, held against many of them.

#[cfg(test)]
mod once;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod round_trips;
#[cfg(test)]
mod server;
