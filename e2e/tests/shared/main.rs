//! Gateways that share a log of used proofs in a real Redis or PostgreSQL, which the tests start, stop and kill.

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod postgres_server;
#[cfg(test)]
mod process;
#[cfg(test)]
mod redis;
#[cfg(test)]
mod redis_server;
#[cfg(test)]
mod tls;
