//! The gateway over real sockets, on loopback and free ports.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod assertions;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod introspection;
#[cfg(test)]
mod issuer;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod metadata;
#[cfg(test)]
mod observe;
#[cfg(test)]
mod readings;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod secure;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod tunnels;
#[cfg(test)]
mod world;
