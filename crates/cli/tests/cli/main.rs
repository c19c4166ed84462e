//! The program as its users meet it: each command is run as a process of its own.

mod common;
mod help;
mod proof;
mod registry;
mod request;
mod service;
