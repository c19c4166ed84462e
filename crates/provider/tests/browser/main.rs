//! The provider as a browser sees it: the authorization endpoint and its pages.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails panics")]

#[path = "../common/mod.rs"]
mod common;

mod answer;
mod details;
mod device;
mod language;
mod log;
mod logout;
mod openid;
mod page;
mod pushed;
mod request;
mod request_objects;
mod response_modes;
mod sign_in;
