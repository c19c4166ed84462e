//! One file an endpoint: HTTP on one side, the steps on the other.

pub mod authorize;
pub mod metadata;
pub mod pushed;
pub mod token;
pub mod userinfo;

/// The path of the authorization endpoint, below the issuer's own.
pub const AUTHORIZE: &str = "/authorize";
/// The path of the token endpoint.
pub const TOKEN: &str = "/token";
/// The path of the pushed authorization request endpoint.
pub const PUSHED: &str = "/par";
/// The path of the key set.
pub const KEYS: &str = "/jwks";
/// The path of UserInfo.
pub const USERINFO: &str = "/userinfo";
