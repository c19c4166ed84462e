//! The shell over real sockets, on loopback and free ports.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod early_data;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod smuggling;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
