//! What the store keeps, as plain structs. What is looked up or compared has a column of its own; the rest travels
//! as JSON in the column `data`.

mod access_token;
mod client;
mod code;
mod consent;
mod device_code;
mod grant;
mod logout_notice;
mod pushed;
mod refresh_token;
mod session;
mod signing_key;
mod time_ms;
mod user;

pub use access_token::AccessToken;
pub use client::{Client, ClientChanges, ClientSource, InitialToken, Registered, Registering};
pub use code::{Code, CodeState};
pub use consent::Consent;
pub use device_code::{Approval, DeviceCode, DeviceCodeState};
pub use grant::Grant;
pub use logout_notice::LogoutNotice;
pub use pushed::Pushed;
pub use refresh_token::{RefreshToken, RefreshTokenState};
pub use session::{Session, SignedIn};
pub use signing_key::{KeyChange, KeyUse, SecretBytes, SigningKey};
pub use user::User;
