//! Who the client is, and how it shows that (RFC 6749 §2.3, RFC 7523).

use crate::prover::{ProveError, SharedSigner};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::client_auth::{Presented, sign_assertion};
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::provider_metadata::ProviderMetadata;
use std::fmt;

const BASIC: &str = "client_secret_basic";
const POST: &str = "client_secret_post";
const PRIVATE_KEY_JWT: &str = "private_key_jwt";
const TLS: [&str; 2] = ["tls_client_auth", "self_signed_tls_client_auth"];

/// How the client authenticates, by the names of OpenID Connect Core §9.
#[derive(Clone)]
pub enum ClientAuth {
    /// Not at all: a public client.
    None,
    /// `client_secret_basic`: a secret in the `Authorization` header.
    SecretBasic(Secret),
    /// `client_secret_post`: a secret in the body.
    SecretPost(Secret),
    /// `private_key_jwt`: a new assertion for each request. The key is not the one that makes the proofs (RFC 8725 §3.1).
    PrivateKeyJwt {
        /// The client's authentication key.
        signer: SharedSigner,
        /// The `kid` under which the server knows it.
        kid: Option<String>,
    },
    /// `tls_client_auth` or `self_signed_tls_client_auth` (RFC 8705 §2): the certificate that the [`Fetcher`] of the
    /// transport shows. Which of the two it is, is a matter of how the client is registered.
    ///
    /// [`Fetcher`]: keybound_fetch::Fetcher
    TlsCertificate,
}

/// What a client has to authenticate with; by which method is left to [`ClientAuth::choose`].
#[derive(Clone)]
pub enum Credentials {
    /// Nothing: a public client.
    None,
    /// A secret.
    Secret(Secret),
    /// A key, and the `kid` under which the server knows it.
    Key(SharedSigner, Option<String>),
    /// The certificate that the transport shows.
    Certificate,
}

/// The server takes none of the methods that go with these credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthMethodError {
    /// The methods.
    #[error(
        "the authorization server authenticates clients by {theirs}, and this client can do {ours}; register it for \
         another method, or give it other credentials"
    )]
    Method {
        /// The server's list.
        theirs: String,
        /// What the credentials are good for.
        ours: String,
    },
    /// The algorithms of assertions.
    #[error(
        "the authorization server takes assertions under {theirs}, and this client's authentication key signs with \
         {ours}; register a key of another kind"
    )]
    Algorithm {
        /// The server's list.
        theirs: String,
        /// The key's algorithm.
        ours: Algorithm,
    },
}

impl ClientAuth {
    /// The method for these credentials that the server says it takes; the header before the body for a secret
    /// (RFC 6749 §2.3.1). A server that says nothing takes `client_secret_basic` (RFC 8414 §2), and what its clients are
    /// registered for. Few servers list `none`, so a public client is let through.
    ///
    /// # Errors
    /// [`AuthMethodError`] before any request is made.
    pub fn choose(server: &ProviderMetadata, with: Credentials) -> Result<Self, AuthMethodError> {
        let listed = &server.supported.token_endpoint_auth_methods_supported;
        let takes = |name: &str| listed.iter().any(|known| known == name);
        let refuse =
            |ours: &[&str]| AuthMethodError::Method { theirs: told(listed), ours: ours.join(" or ") };
        match with {
            Credentials::None => Ok(Self::None),
            Credentials::Secret(secret) if listed.is_empty() || takes(BASIC) => Ok(Self::SecretBasic(secret)),
            Credentials::Secret(secret) if takes(POST) => Ok(Self::SecretPost(secret)),
            Credentials::Secret(_) => Err(refuse(&[BASIC, POST])),
            Credentials::Key(signer, kid) if listed.is_empty() || takes(PRIVATE_KEY_JWT) => {
                let algorithms = &server.supported.token_endpoint_auth_signing_alg_values_supported;
                let ours = signer.algorithm();
                if !algorithms.is_empty() && !algorithms.iter().any(|name| name == ours.name()) {
                    return Err(AuthMethodError::Algorithm { theirs: told(algorithms), ours });
                }
                Ok(Self::PrivateKeyJwt { signer, kid })
            }
            Credentials::Key(..) => Err(refuse(&[PRIVATE_KEY_JWT])),
            Credentials::Certificate if listed.is_empty() || TLS.into_iter().any(takes) => {
                Ok(Self::TlsCertificate)
            }
            Credentials::Certificate => Err(refuse(&TLS)),
        }
    }
}

/// A server's list, fit for a terminal.
fn told(listed: &[String]) -> String {
    keybound_oauth::error::shown(&listed.join(" "))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Secret(_) => "Secret([redacted])",
            Self::Key(..) => "Key",
            Self::Certificate => "Certificate",
        })
    }
}

/// A client: its name and how it authenticates.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The client identifier that the server gave it.
    pub client_id: ClientId,
    /// How it authenticates.
    pub auth: ClientAuth,
}

impl Identity {
    /// A client that has nothing to authenticate with.
    #[must_use]
    pub const fn public(client_id: ClientId) -> Self {
        Self { client_id, auth: ClientAuth::None }
    }

    /// Whether it authenticates: its refresh tokens are bound to it, and not to the key of the proofs (RFC 9449 §5).
    #[must_use]
    pub const fn is_confidential(&self) -> bool {
        !matches!(self.auth, ClientAuth::None)
    }

    /// The secret that it authenticates with, if it does by one.
    pub(crate) const fn secret(&self) -> Option<&Secret> {
        match &self.auth {
            ClientAuth::SecretBasic(secret) | ClientAuth::SecretPost(secret) => Some(secret),
            ClientAuth::None | ClientAuth::PrivateKeyJwt { .. } | ClientAuth::TlsCertificate => None,
        }
    }

    /// What one request to that issuer shows. An assertion is made anew each time, with its own `jti`; its audience is
    /// the issuer and nothing else.
    ///
    /// # Errors
    /// [`ProveError`] where the assertion cannot be signed.
    pub fn present(&self, issuer: &Issuer, now: UnixTime) -> Result<Presented, ProveError> {
        let client_id = self.client_id.clone();
        Ok(match &self.auth {
            ClientAuth::None | ClientAuth::TlsCertificate => Presented::None { client_id },
            ClientAuth::SecretBasic(secret) => Presented::Basic { client_id, client_secret: secret.clone() },
            ClientAuth::SecretPost(secret) => Presented::Post { client_id, client_secret: secret.clone() },
            ClientAuth::PrivateKeyJwt { signer, kid } => {
                let jti = base64url::encode(&crypto::random::<16>()?);
                let assertion = sign_assertion(signer, kid.as_deref(), &client_id, issuer, now, &jti)?;
                Presented::Assertion { client_id: Some(client_id), assertion }
            }
        })
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::TlsCertificate => f.write_str("TlsCertificate"),
            Self::SecretBasic(_) => f.write_str("SecretBasic([redacted])"),
            Self::SecretPost(_) => f.write_str("SecretPost([redacted])"),
            Self::PrivateKeyJwt { signer, .. } => {
                write!(f, "PrivateKeyJwt({} {})", signer.algorithm(), signer.public_jwk().thumbprint())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybound_dpop::jose::jws::UnverifiedJwt;
    use keybound_dpop::jose::signer::SigningKey;
    use std::collections::HashSet;
    use std::sync::Arc;

    #[test]
    fn fapi_cl_03_every_assertion_is_new_and_for_the_issuer_alone() {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let auth = ClientAuth::PrivateKeyJwt { signer: Arc::new(key), kid: Some("k1".to_owned()) };
        let identity = Identity { client_id: ClientId::parse("app").expect("a client"), auth };
        let issuer = Issuer::parse("https://id.example/t").expect("an issuer");
        let mut seen = HashSet::new();
        for _ in 0..3 {
            let shown = identity.present(&issuer, UnixTime::from_secs(1_800_000_000)).expect("presented");
            let Presented::Assertion { assertion, .. } = shown else { panic!("an assertion") };
            let jwt = UnverifiedJwt::parse(assertion.reveal()).expect("a JWT");
            let claims = jwt.claims().expect("claims");
            assert_eq!(claims.string("aud"), Ok(Some("https://id.example/t")));
            assert_eq!((claims.string("iss"), claims.string("sub")), (Ok(Some("app")), Ok(Some("app"))));
            assert!(seen.insert(claims.string("jti").expect("a string").expect("jti").to_owned()));
        }
    }

    #[test]
    fn cl_key_02_debug_shows_no_secret() {
        for auth in
            [ClientAuth::SecretBasic(Secret::new("hunter2")), ClientAuth::SecretPost(Secret::new("hunter2"))]
        {
            let identity = Identity { client_id: ClientId::parse("app").expect("a client"), auth };
            assert!(!format!("{identity:?}").contains("hunter2"));
        }
    }

    fn server(methods: &[&str]) -> ProviderMetadata {
        let issuer = Issuer::parse("https://id.example").expect("an issuer");
        let mut server = ProviderMetadata::new(issuer);
        server.supported.token_endpoint_auth_methods_supported =
            methods.iter().map(|name| (*name).to_owned()).collect();
        server.supported.token_endpoint_auth_signing_alg_values_supported =
            vec!["PS256".to_owned(), "ES256".to_owned()];
        server
    }

    fn key(algorithm: Algorithm) -> Credentials {
        Credentials::Key(Arc::new(SigningKey::generate(algorithm).expect("a key")), None)
    }

    fn chosen(methods: &[&str], with: Credentials) -> Result<&'static str, AuthMethodError> {
        ClientAuth::choose(&server(methods), with).map(|auth| match auth {
            ClientAuth::None => "none",
            ClientAuth::SecretBasic(_) => BASIC,
            ClientAuth::SecretPost(_) => POST,
            ClientAuth::PrivateKeyJwt { .. } => PRIVATE_KEY_JWT,
            ClientAuth::TlsCertificate => "tls",
        })
    }

    #[test]
    fn fapi_cl_01_the_method_is_one_that_the_server_takes() {
        let secret = || Credentials::Secret(Secret::new("hunter2"));
        assert_eq!(chosen(&[], secret()), Ok(BASIC));
        assert_eq!(chosen(&[POST, BASIC], secret()), Ok(BASIC));
        assert_eq!(chosen(&[PRIVATE_KEY_JWT, POST], secret()), Ok(POST));
        for methods in [&[][..], &[POST, PRIVATE_KEY_JWT]] {
            assert_eq!(chosen(methods, key(Algorithm::Es256)), Ok(PRIVATE_KEY_JWT));
        }
        for methods in [&[][..], &["tls_client_auth"], &["self_signed_tls_client_auth"]] {
            assert_eq!(chosen(methods, Credentials::Certificate), Ok("tls"));
        }
        assert_eq!(chosen(&[BASIC], Credentials::None), Ok("none"), "few servers list it");
    }

    #[test]
    fn fapi_cl_01_where_no_method_fits_both_sides_are_told_and_no_secret() {
        for (methods, with, theirs, ours) in [
            (PRIVATE_KEY_JWT, Credentials::Secret(Secret::new("hunter2")), PRIVATE_KEY_JWT, POST),
            (BASIC, key(Algorithm::Es256), BASIC, PRIVATE_KEY_JWT),
            (BASIC, Credentials::Certificate, BASIC, "tls_client_auth"),
            (PRIVATE_KEY_JWT, key(Algorithm::EdDsa), "PS256 ES256", "EdDSA"),
        ] {
            assert!(!format!("{with:?}").contains("hunter2"));
            let told = chosen(&[methods], with).expect_err(methods).to_string();
            assert!(told.contains(theirs) && told.contains(ours) && told.contains("register"), "{told}");
        }
    }
}
