//! The private keys of the vectors.

use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::SigningKey;
use std::sync::LazyLock;

/// A key with a name to keep.
pub(crate) type Key = &'static LazyLock<SigningKey>;

macro_rules! keys {
    ($($name:ident: $file:literal;)*) => {$(
        pub(crate) static $name: LazyLock<SigningKey> = LazyLock::new(|| {
            SigningKey::from_private_jwk(include_bytes!(concat!("keys/", $file))).expect("a key")
        });
    )*};
}

keys! {
    ED25519: "ed25519.json";
    OTHER: "ed25519_other.json";
    P_256: "p_256.json";
    P_256_LEADING_ZERO: "p_256_leading_zero.json";
    P_384: "p_384.json";
    P_521: "p_521.json";
}

pub(crate) static RSA_PS256: LazyLock<SigningKey> = LazyLock::new(|| rsa(Algorithm::Ps256));
pub(crate) static RSA_RS256: LazyLock<SigningKey> = LazyLock::new(|| rsa(Algorithm::Rs256));

fn rsa(algorithm: Algorithm) -> SigningKey {
    let pem = include_str!("keys/rsa_2048.pem");
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let pkcs8 = data_encoding::BASE64.decode(text.as_bytes()).expect("base64");
    SigningKey::from_pkcs8(algorithm, &pkcs8).expect("a key")
}
