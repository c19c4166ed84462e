//! The gateway over real sockets, on loopback and free ports.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod issuer;
#[cfg(test)]
mod readings;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod world;
