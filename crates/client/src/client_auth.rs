//! Who the client is, and how it shows that (RFC 6749 §2.3, RFC 7523).

use crate::prover::{ProveError, SharedSigner};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::UnixTime;
use keybound_oauth::client_auth::{Presented, sign_assertion};
use keybound_oauth::identifier::{ClientId, Issuer};
use std::fmt;

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
    use keybound_dpop::jose::algorithm::Algorithm;
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
}
