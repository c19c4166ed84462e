//! The ways to get tokens and to give them back, one a file: what is asked for, and what is made of the answer.

pub mod ask;
pub mod authorization_code;
pub mod client_credentials;
pub mod device;
pub mod logout;
pub mod pushed;
pub mod refresh;
pub mod registration;
pub mod request_object;
pub mod response_jwt;
pub mod revocation;
pub mod token_exchange;
pub mod userinfo;
