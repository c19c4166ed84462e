//! Clients that nobody here has written down: what they may be, however they come (RFC 7591, RFC 7592, Client ID Metadata
//! Document).
//!
//! | file | what |
//! |---|---|
//! | [`admission`] | who may register |
//! | [`policy`] | what such a client may be |
//! | [`statement`] | metadata that somebody else vouches for |
//! | [`sector`] | the document that binds redirect URIs of several hosts together |
//! | [`record`] | the client as it is kept, and as it is told |
//! | [`logo`] | logos, kept here so that nobody else sees who is asked for consent |

pub mod admission;
pub mod logo;
pub mod policy;
pub mod record;
pub mod sector;
pub mod statement;
