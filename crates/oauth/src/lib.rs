//! The messages of OAuth 2.0 and OpenID Connect, each in one file, both directions: what a server reads a client
//! writes, and the other way round. No I/O, no clock, no entropy: those are arguments.
//!
//! | file | message or part |
//! |---|---|
//! | [`form`] | `application/x-www-form-urlencoded`, bounded, no parameter twice |
//! | [`scope`] | scope tokens as a set |
//! | [`identifier`] | issuers, resources, clients, endpoints |
//! | [`redirect_uri`] | redirect URIs and how they are matched |
//! | [`audience`] | `aud`, one or several |
//! | [`error`] | error codes, the error body, what is wrong with a parameter |
//! | [`pkce`] | verifier and challenge (RFC 7636) |
//! | [`authorization`] | authorization request and response |
//! | [`authorization_details`] | what is asked for in detail (RFC 9396) |
//! | [`claims_request`] | which claims are asked for by name |
//! | [`response_mode`] | how the response travels |
//! | [`jarm`] | the response, signed (JARM) |
//! | [`request_object`] | the request as a signed JWT (RFC 9101) |
//! | [`pushed`] | the answer to a pushed authorization request (RFC 9126) |
//! | [`token`] | token request and response |
//! | [`device`] | device authorization request and response, the user code (RFC 8628) |
//! | [`token_exchange`] | what a token request asks for by token exchange (RFC 8693) |
//! | [`introspection`] | what stands behind a token (RFC 7662, RFC 9701) |
//! | [`revocation`] | the end of a token (RFC 7009) |
//! | [`client_auth`] | how a client shows who it is |
//! | [`client_secret`] | a secret, or its digest |
//! | [`client_metadata`] | what is registered of a client (RFC 7591) |
//! | [`registration`] | registration and its management (RFC 7591, RFC 7592) |
//! | [`provider_metadata`] | what a server says of itself (RFC 8414) |
//! | [`resource_metadata`] | what a protected resource says of itself (RFC 9728) |
//! | [`access_token`] | access tokens as JWTs (RFC 9068) |
//! | [`id_token`] | ID tokens |
//! | [`end_session`] | the request to sign a user out |
//! | [`logout`] | what an issuer tells the clients of a session that has ended |
//! | [`standard_claims`] | the claims that are known, by type, scope and language |
//! | [`userinfo`] | which claims are let out, and the response, plain or signed |

pub mod access_token;
pub mod audience;
pub mod authorization;
pub mod authorization_details;
pub mod claims_request;
pub mod client_auth;
pub mod client_metadata;
pub mod client_secret;
pub mod device;
pub mod end_session;
pub mod error;
pub mod form;
pub mod id_token;
pub mod identifier;
pub mod introspection;
pub mod jarm;
pub mod logout;
pub mod pkce;
pub mod provider_metadata;
pub mod pushed;
pub mod redirect_uri;
pub mod registration;
pub mod request_object;
pub mod resource_metadata;
pub mod response_mode;
pub mod revocation;
pub mod scope;
pub mod standard_claims;
pub mod token;
pub mod token_exchange;
pub mod userinfo;
