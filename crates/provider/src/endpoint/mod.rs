//! One file an endpoint: HTTP on one side, the steps on the other.

pub mod authorize;
pub mod device;
pub mod device_authorization;
pub mod introspect;
pub mod logout;
pub mod metadata;
pub mod pushed;
pub mod register;
pub mod register_management;
pub mod revoke;
pub mod token;
pub mod userinfo;
pub mod webfinger;

/// The path of the authorization endpoint, below the issuer's own.
pub const AUTHORIZE: &str = "/authorize";
/// The path of the token endpoint.
pub const TOKEN: &str = "/token";
/// The path of the device authorization endpoint.
pub const DEVICE_AUTHORIZATION: &str = "/device_authorization";
/// The path of the page where people type what their device shows.
pub const DEVICE: &str = "/device";
/// The path of the pushed authorization request endpoint.
pub const PUSHED: &str = "/par";
/// The path of the end session endpoint.
pub const LOGOUT: &str = "/logout";
/// The path of the key set.
pub const KEYS: &str = "/jwks";
/// The path of UserInfo.
pub const USERINFO: &str = "/userinfo";
/// The path of introspection.
pub const INTROSPECT: &str = "/introspect";
/// The path of revocation.
pub const REVOKE: &str = "/revoke";
/// The path of client registration; what is below it manages one client.
pub const REGISTER: &str = "/register";
/// The path of clients' logos.
pub const LOGO: &str = "/logo";
