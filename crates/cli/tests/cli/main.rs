//! The program as its users meet it: each command is run as a process of its own.

#[cfg(test)]
mod agent;
#[cfg(test)]
mod certificate;
#[cfg(test)]
mod common;
#[cfg(test)]
mod consent;
#[cfg(test)]
mod decision_point;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod guide;
#[cfg(test)]
mod help;
#[cfg(test)]
mod key;
#[cfg(test)]
mod leaving;
#[cfg(test)]
mod load;
#[cfg(test)]
mod login;
#[cfg(test)]
mod proof;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod request;
#[cfg(test)]
mod service;
#[cfg(test)]
mod session;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod signing_key;
#[cfg(test)]
mod token;
#[cfg(test)]
mod traces;
