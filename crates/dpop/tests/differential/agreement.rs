//! What one signs the other verifies, and both see the same keys.

use crate::pair::{HTU, PAIRS, Pair, T, generate, ours, theirs, validation};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{DecodingKey, Header};
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::jws::{self, UnverifiedJwt};
use keybound_dpop::jose::signer::Signer;
use serde_json::json;

#[test]
fn dpop_alg_01_dpop_sig_01_what_we_sign_verifies_there() {
    for pair in PAIRS.iter() {
        let proof = pair.proof();
        let (header, claims) = theirs(&proof).expect("verified");
        assert_eq!((header.alg, header.typ.as_deref()), (pair.theirs, Some("dpop+jwt")));
        assert_eq!(header.jwk, Some(pair.jwk()));
        assert_eq!(claims["htu"], json!(HTU));
        assert_eq!(claims["iat"], json!(T.as_secs()));
        assert!(ours(&proof).is_ok());
    }
}

#[test]
fn dpop_alg_01_dpop_sig_01_what_it_signs_verifies_here() {
    let claims = json!({ "jti": "0123456789abcdef", "htm": "POST", "htu": HTU, "iat": T.as_secs() });
    for pair in PAIRS.iter() {
        let mut header = Header::new(pair.theirs);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(pair.jwk());
        let proof = jsonwebtoken::encode(&header, &claims, &pair.encoding).expect("signed");
        let verified = ours(&proof).expect("verified");
        assert_eq!(*verified.jkt(), pair.key.public_jwk().thumbprint());
    }
}

#[test]
fn tokens_that_are_no_proofs_go_both_ways() {
    let claims = json!({ "iss": "https://server.example" });
    for pair in PAIRS.iter() {
        let token =
            jws::sign(&pair.key, "at+jwt", Some("k1"), claims.to_string().as_bytes()).expect("signed");
        let key = DecodingKey::from_jwk(&pair.jwk()).expect("a key");
        let read = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation(pair.theirs));
        let read = read.expect("verified");
        assert_eq!((read.claims, read.header.kid.as_deref()), (claims.clone(), Some("k1")));

        let token = jsonwebtoken::encode(&read.header, &claims, &pair.encoding).expect("signed");
        let accepted = AlgorithmSet::of(&[pair.key.algorithm()]);
        let jwt = UnverifiedJwt::parse(&token).expect("a JWT");
        let verified = jwt.verify(accepted, [pair.key.public_jwk()].into_iter()).expect("verified");
        assert_eq!(verified.payload(), claims.to_string().as_bytes());
        let other = jwt.verify(accepted, [pair.other.public_jwk()].into_iter());
        assert_eq!(other.expect_err("refused"), jws::JwtError::Signature);
    }
}

#[test]
fn dpop_cnf_02_thumbprints_agree() {
    let many = [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa];
    let fresh = many.into_iter().flat_map(|algorithm| (0..20).map(move |_| generate(algorithm)));
    let rsa = PAIRS.iter().map(|pair| pair.key.public_jwk().clone());
    for key in fresh.map(|key| key.public_jwk().clone()).chain(rsa) {
        // Other members, in front of the ones that count, change nothing.
        let json = key.to_json().replacen('{', r#"{"kid":"k1","use":"sig","key_ops":["verify"],"#, 1);
        for text in [json, key.to_json()] {
            let theirs: Jwk = serde_json::from_str(&text).expect("a JWK");
            let thumbprint = theirs.thumbprint(ThumbprintHash::SHA256).expect("a thumbprint");
            assert_eq!(thumbprint, key.thumbprint().to_string(), "{text}");
        }
    }
}

#[test]
fn the_public_key_of_a_private_one_is_the_same() {
    for pair in PAIRS.iter().filter(|pair| pair.key.algorithm() != Algorithm::EdDsa) {
        let jwk = Jwk::from_encoding_key(&pair.encoding, pair.theirs).expect("a JWK");
        assert_eq!(jwk.algorithm, pair.jwk().algorithm, "{:?}", pair.theirs);
    }
    // The other library reads the public half of an Ed25519 key only where the file leaves it out.
    let pair = Pair::of(Algorithm::EdDsa);
    assert!(Jwk::from_encoding_key(&pair.encoding, pair.theirs).is_err());
}
