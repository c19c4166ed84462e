//! Keys that are taken and keys that are not.

use super::*;

fn read(json: &str) -> Result<PublicJwk, JwkError> {
    PublicJwk::parse(&Object::parse(json.as_bytes()).expect("JSON"))
}

const RFC_9449_JWK: &str = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#;

#[test]
fn dpop_cnf_02_thumbprint_vectors() {
    let rfc_9449 = read(RFC_9449_JWK).expect("a key");
    assert_eq!(rfc_9449.thumbprint().to_string(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    let rfc_8037 = read(r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#)
        .expect("a key");
    assert_eq!(rfc_8037.thumbprint().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let rfc_7638 = read(concat!(
        r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","#,
        r#""e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#
    ))
    .expect("a key");
    assert_eq!(rfc_7638.thumbprint().to_string(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn dpop_jwk_02_every_private_member_is_refused() {
    for name in PRIVATE_MEMBERS {
        let json = RFC_9449_JWK.replacen('{', &format!("{{\"{name}\":\"junk\","), 1);
        assert_eq!(read(&json), Err(JwkError::Private(name)));
    }
}

#[test]
fn dpop_jwk_03_symmetric_keys_are_refused() {
    assert_eq!(read(r#"{"kty":"oct"}"#), Err(JwkError::Symmetric));
    assert_eq!(read(r#"{"kty":"oct","k":"AAAA"}"#), Err(JwkError::Private("k")));
}

#[test]
fn dpop_jwk_04_members_must_be_there_and_be_strings() {
    assert_eq!(read(r#"{"kty":"ec"}"#), Err(JwkError::Member("kty")));
    let x = base64url::encode(&[1; 32]);
    assert_eq!(read(&format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}"}}"#)), Err(JwkError::Member("y")));
    assert_eq!(read(r#"{"kty":"RSA","n":"AQAB"}"#), Err(JwkError::Member("e")));
    assert_eq!(read(r#"{"kty":"OKP","crv":"Ed25519","x":7}"#), Err(JwkError::Member("x")));
}

#[test]
fn dpop_jwk_11_weak_ed25519_keys_are_refused() {
    let mut p_plus_1 = [0xff_u8; 32];
    (p_plus_1[0], p_plus_1[31]) = (0xee, 0x7f);
    let mut one_negative = [0_u8; 32];
    (one_negative[0], one_negative[31]) = (1, 0x80);
    for weak in [[0; 32], one_negative, p_plus_1, ORDER_EIGHT[0], ORDER_EIGHT[1]] {
        let json = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, base64url::encode(&weak));
        assert_eq!(read(&json), Err(JwkError::SmallOrder));
    }
}

#[test]
fn dpop_jwk_09_rsa_exponents_are_sane() {
    let modulus = base64url::encode(&[0xc1; 256]);
    for (e, verdict) in
        [("AQ", false), ("Ag", false), ("AQAB", true), ("Aw", true), ("AQAAAAE", false), ("_____w", true)]
    {
        let json = format!(r#"{{"kty":"RSA","n":"{modulus}","e":"{e}"}}"#);
        assert_eq!(read(&json).is_ok(), verdict, "{e}");
    }
    // Three, if only the last eight octets counted.
    let long = base64url::encode(&[1, 0, 0, 0, 0, 0, 0, 0, 3]);
    assert_eq!(read(&format!(r#"{{"kty":"RSA","n":"{modulus}","e":"{long}"}}"#)), Err(JwkError::RsaExponent));
}

#[test]
fn dpop_jwk_08_rsa_moduli_at_their_ends() {
    let rsa = |bits: usize| {
        let mut n = vec![0xff_u8; bits.div_ceil(8)];
        n[0] >>= (8 - bits % 8) % 8;
        read(&format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, base64url::encode(&n)))
    };
    for (bits, fine) in [(2047, false), (2048, true), (3071, true), (8192, true), (8193, false)] {
        let described = rsa(bits).map(|key| key.describe());
        assert_eq!(described, if fine { Ok(format!("RSA {bits}")) } else { Err(JwkError::RsaSize) });
    }
}

#[test]
fn dpop_jwk_10_leading_zeros_are_refused() {
    let (n, zero_n) =
        (base64url::encode(&[0xc1; 256]), base64url::encode(&[&[0][..], &[0xc1; 256]].concat()));
    for (n, e) in [(&zero_n, "AQAB"), (&n, "AAEAAQ")] {
        assert_eq!(read(&format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#)), Err(JwkError::LeadingZero));
    }
}

#[test]
fn dpop_jwk_05_coordinates_of_one_octet_more_or_less_are_refused() {
    let ec = |x: usize, y: usize| {
        let [x, y] = [x, y].map(|len| base64url::encode(&vec![1; len]));
        read(&format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#)).map(|key| key.is_on_curve())
    };
    for (x, y) in [(31, 32), (33, 32), (32, 31), (32, 33), (31, 33)] {
        assert_eq!(ec(x, y), Err(JwkError::CoordinateLength));
    }
    assert_eq!(ec(32, 32), Ok(false));
    assert_eq!(read(RFC_9449_JWK).map(|key| key.is_on_curve()), Ok(true));
}

#[test]
fn dpop_jwk_11_only_weak_ed25519_keys_are_refused() {
    let (mut p_minus_2, mut middle, mut two) = ([0xff_u8; 32], [0xff_u8; 32], [0_u8; 32]);
    (p_minus_2[0], p_minus_2[31]) = (0xeb, 0x7f);
    (middle[7], middle[31]) = (0xfe, 0x7f);
    two[0] = 2;
    let mut one_high = [0_u8; 32];
    one_high[9] = 1;
    for fine in [p_minus_2, middle, two, one_high] {
        assert!(!is_weak_ed25519(&fine), "{fine:?}");
    }
    let mut p_minus_1 = p_minus_2;
    p_minus_1[0] = 0xec;
    assert!(is_weak_ed25519(&p_minus_1));
}

#[test]
fn dpop_jwk_12_what_a_key_says_that_it_is_for_counts() {
    use crate::jose::algorithm::Algorithm::{Ed25519, EdDsa, Es256};
    let may =
        |members: &str, algorithm| may_verify(&Object::parse(members.as_bytes()).expect("JSON"), algorithm);
    for fine in ["{}", r#"{"use":"sig","key_ops":["sign","verify"],"alg":"ES256"}"#] {
        assert!(may(fine, Es256), "{fine}");
    }
    for other in [
        r#"{"use":"enc"}"#,
        r#"{"use":7}"#,
        r#"{"key_ops":["sign"]}"#,
        r#"{"key_ops":[7]}"#,
        r#"{"key_ops":"verify"}"#,
        r#"{"alg":"ES384"}"#,
        r#"{"alg":"RSA-OAEP"}"#,
        r#"{"alg":7}"#,
    ] {
        assert!(!may(other, Es256), "{other}");
    }
    assert!(may(r#"{"alg":"EdDSA"}"#, Ed25519) && may(r#"{"alg":"Ed25519"}"#, EdDsa));
    assert!(!may(r#"{"alg":"EdDSA"}"#, Es256) && !may(r#"{"alg":"ES256"}"#, Ed25519));
}

#[test]
fn debug_shows_kind_and_thumbprint() {
    let key = read(RFC_9449_JWK).expect("a key");
    assert_eq!(format!("{key:?}"), "EC P-256 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

#[test]
fn points_of_the_library_have_their_form() {
    assert!(PublicJwk::ec_from_point(Curve::P256, &[4; 65]).is_some());
    for other in [&[4; 64][..], &[4; 66], &[3; 65], &[2; 33], &[]] {
        assert!(PublicJwk::ec_from_point(Curve::P256, other).is_none(), "{} octets", other.len());
    }
}
