//! The provider as a browser sees it: the authorization endpoint and its pages.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper that fails panics"
)]

#[path = "../common/mod.rs"]
mod common;

mod answer;
mod brand;
mod claims;
mod details;
mod device;
mod discovery;
mod id_tokens;
mod language;
mod log;
mod logout;
mod logout_hint;
mod openid;
mod page;
mod pushed;
mod relying_party;
mod remembered;
mod request;
mod request_objects;
mod response_modes;
mod sign_in;
mod subjects;
mod userinfo;
