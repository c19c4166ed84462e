//! One key in both libraries, and the verdicts of both on a proof.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm as Theirs, DecodingKey, EncodingKey, Header, Validation};
use keybound_dpop::header::ProofHeader;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::proof::check::{Expected, Policy, VerifiedProof, verify};
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::proof::error::Refusal;
use keybound_dpop::target::Target;
use keybound_dpop::time::UnixTime;
use std::sync::LazyLock;

pub(crate) const T: UnixTime = UnixTime::from_secs(1_800_000_000);
pub(crate) const HTU: &str = "https://server.example/token";

/// What both know. ES512 and the name Ed25519 are ours alone.
const BOTH: [(Algorithm, Theirs); 9] = [
    (Algorithm::Es256, Theirs::ES256),
    (Algorithm::Es384, Theirs::ES384),
    (Algorithm::EdDsa, Theirs::EdDSA),
    (Algorithm::Ps256, Theirs::PS256),
    (Algorithm::Ps384, Theirs::PS384),
    (Algorithm::Ps512, Theirs::PS512),
    (Algorithm::Rs256, Theirs::RS256),
    (Algorithm::Rs384, Theirs::RS384),
    (Algorithm::Rs512, Theirs::RS512),
];

/// Octets of a PKCS #8 file before the key itself, for RSA keys of 2048 bits.
const RSA_2048_PREFIX: usize = 26;

static RSA: LazyLock<[SigningKey; 2]> = LazyLock::new(|| [(); 2].map(|()| generate(Algorithm::Rs256)));
pub(crate) static PAIRS: LazyLock<Vec<Pair>> = LazyLock::new(|| BOTH.map(Pair::new).into());

/// An algorithm, and a key for it that both libraries hold.
pub(crate) struct Pair {
    pub(crate) key: SigningKey,
    /// A second key of the same kind.
    pub(crate) other: SigningKey,
    pub(crate) theirs: Theirs,
    pub(crate) encoding: EncodingKey,
}

impl Pair {
    fn new((algorithm, theirs): (Algorithm, Theirs)) -> Self {
        let [key, other] = if algorithm.curve().is_some() || algorithm == Algorithm::EdDsa {
            [(); 2].map(|()| generate(algorithm))
        } else {
            RSA.each_ref().map(|key| {
                SigningKey::from_pkcs8(algorithm, &key.to_pkcs8().expect("PKCS #8")).expect("an RSA key")
            })
        };
        let encoding = encoding(&key);
        Self { key, other, theirs, encoding }
    }

    /// The pair of that algorithm.
    pub(crate) fn of(algorithm: Algorithm) -> &'static Self {
        PAIRS.iter().find(|pair| pair.key.algorithm() == algorithm).expect("an algorithm of both")
    }

    /// A good proof.
    pub(crate) fn proof(&self) -> String {
        let new = NewProof { method: "POST", htu: HTU, token: None, nonce: None, entropy: [5; 16], iat: T };
        new.sign(&self.key).expect("signed")
    }

    /// A proof with this header and these claims, well signed.
    pub(crate) fn forge(&self, header: &str, claims: &str) -> String {
        let input = [header, claims].map(|part| base64url::encode(part.as_bytes())).join(".");
        let signature = self.key.sign(input.as_bytes()).expect("signed");
        format!("{input}.{}", base64url::encode(&signature))
    }

    /// The public key as the other library has it.
    pub(crate) fn jwk(&self) -> Jwk {
        serde_json::from_str(&self.key.public_jwk().to_json()).expect("a JWK")
    }
}

/// A key of ours in the other library.
fn encoding(key: &SigningKey) -> EncodingKey {
    let pkcs8 = key.to_pkcs8().expect("PKCS #8");
    match key.algorithm() {
        Algorithm::Es256 | Algorithm::Es384 => EncodingKey::from_ec_der(&pkcs8),
        Algorithm::EdDsa => EncodingKey::from_ed_der(&pkcs8),
        _ => EncodingKey::from_rsa_der(pkcs8.get(RSA_2048_PREFIX..).expect("a key of 2048 bits")),
    }
}

pub(crate) fn generate(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm).expect("a key")
}

/// Our verdict on a proof for `POST` to [`HTU`] at [`T`].
pub(crate) fn ours(proof: &str) -> Result<VerifiedProof, Refusal> {
    let target = Target::parse(HTU).expect("a target");
    let policy = Policy { algorithms: AlgorithmSet::of(&Algorithm::ALL), ..Policy::default() };
    let expected = Expected { method: "POST", target: &target, token: None, nonce: None, policy: &policy };
    verify(ProofHeader::One(proof.as_bytes()), &expected, T)
}

/// The verdict of a verifier that is built on the other library in the plain way: key and algorithm are those of the
/// header. What a proof must say besides, `htm` for instance, that library does not know.
pub(crate) fn theirs(proof: &str) -> jsonwebtoken::errors::Result<(Header, serde_json::Value)> {
    let header = jsonwebtoken::decode_header(proof)?;
    let jwk = header.jwk.as_ref().ok_or(jsonwebtoken::errors::ErrorKind::InvalidToken)?;
    let read = jsonwebtoken::decode(proof, &DecodingKey::from_jwk(jwk)?, &validation(header.alg))?;
    Ok((read.header, read.claims))
}

/// The signature and nothing else: proofs have no `exp`.
pub(crate) fn validation(algorithm: Theirs) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation
}
