//! The ways to get tokens, one a file: what is asked for, and what is made of the answer.

pub mod authorization_code;
pub mod client_credentials;
pub mod pushed;
pub mod refresh;
pub mod request_object;
pub mod response_jwt;
