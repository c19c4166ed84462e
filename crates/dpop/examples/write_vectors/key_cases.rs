//! DPOP-JWK: the key.

use crate::Book;
use crate::draft::Draft;
use crate::keys::{ED25519, Key, OTHER, P_256, P_256_LEADING_ZERO, P_384, RSA_PS256};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::signer::Signer;
use serde_json::Value;

pub(crate) fn write(book: &mut Book) {
    presence(book);
    points(book);
    rsa(book);
    small_order(book);
    uses(book);
    secrets(book);
}

fn good() -> Draft {
    Draft::token_request()
}

fn jwk(key: Key) -> Value {
    serde_json::from_str(&key.public_jwk().to_json()).expect("JSON")
}

/// A member of a key, its octets.
fn octets(key: Key, name: &str) -> Vec<u8> {
    let jwk = jwk(key);
    let text = jwk.get(name).and_then(Value::as_str).expect("a member");
    base64url::decode(text).expect("base64url")
}

/// A proof by a key of which a member is written otherwise.
fn with(key: Key, name: &str, value: impl Into<Value>) -> Draft {
    let mut jwk = jwk(key);
    jwk.as_object_mut().expect("an object").insert(name.to_owned(), value.into());
    good().by(key).head("jwk", &jwk.to_string())
}

fn with_octets(key: Key, name: &str, octets: &[u8]) -> Draft {
    with(key, name, base64url::encode(octets))
}

fn without(key: Key, name: &str) -> Draft {
    let mut jwk = jwk(key);
    jwk.as_object_mut().expect("an object").remove(name);
    good().by(key).head("jwk", &jwk.to_string())
}

fn presence(book: &mut Book) {
    const MISSING: &str = "DPOP-JWK-01";
    book.ok(MISSING, "present", "a key in the header", good());
    book.refused(MISSING, "missing", "no `jwk`", good().without_head("jwk"));
    book.refused(MISSING, "string", "`jwk` is a string", good().head("jwk", "\"x\""));
    book.refused(MISSING, "array", "`jwk` is an array", good().head("jwk", "[]"));
    book.refused(
        MISSING,
        "only_jku",
        "`jku` instead of `jwk`",
        good().without_head("jwk").head("jku", "\"https://evil.example/jwks\""),
    );
    const MEMBER: &str = "DPOP-JWK-04";
    book.ok(MEMBER, "more_members", "`kid`, `x5t` and unknown members", {
        let mut jwk = jwk(&P_256);
        let members = jwk.as_object_mut().expect("an object");
        members.insert("kid".to_owned(), "../../dev/null".into());
        members.insert("x5t".to_owned(), "AAAA".into());
        members.insert("own".to_owned(), 7.into());
        good().by(&P_256).head("jwk", &jwk.to_string())
    });
    book.refused(MEMBER, "empty", "an empty key", good().head("jwk", "{}"));
    book.refused(MEMBER, "no_kty", "no `kty`", without(&P_256, "kty"));
    book.refused(MEMBER, "no_x", "an EC key without `x`", without(&P_256, "x"));
    book.refused(MEMBER, "no_crv", "an OKP key without `crv`", without(&ED25519, "crv"));
    book.refused(MEMBER, "no_e", "an RSA key without `e`", without(&RSA_PS256, "e"));
    book.refused(MEMBER, "kty_case", "`kty` is `ec`", with(&P_256, "kty", "ec"));
    book.refused(MEMBER, "x_number", "`x` is a number", with(&P_256, "x", 7));
    let padded = format!("{}=", base64url::encode(&octets(&P_256, "x")));
    book.refused(MEMBER, "x_padded", "`x` is padded", with(&P_256, "x", padded));
}

fn points(book: &mut Book) {
    const LENGTH: &str = "DPOP-JWK-05";
    book.ok(
        LENGTH,
        "leading_zero",
        "an `x` that begins with a zero octet, and keeps it",
        good().by(&P_256_LEADING_ZERO),
    );
    let short = octets(&P_256_LEADING_ZERO, "x").split_off(1);
    book.refused(
        LENGTH,
        "leading_zero_dropped",
        "the same without the zero octet",
        with_octets(&P_256_LEADING_ZERO, "x", &short),
    );
    let long = [&[0][..], &octets(&P_256, "x")].concat();
    book.refused(LENGTH, "33_octets", "an `x` of 33 octets", with_octets(&P_256, "x", &long));
    let short = octets(&ED25519, "x").split_off(1);
    book.refused(
        LENGTH,
        "ed25519_31_octets",
        "an Ed25519 key of 31 octets",
        with_octets(&ED25519, "x", &short),
    );
    book.refused(
        LENGTH,
        "p_384_labelled_p_256",
        "a P-384 key that says it is P-256",
        with(&P_384, "crv", "P-256").head("alg", "\"ES256\""),
    );

    const POINT: &str = "DPOP-JWK-06";
    book.ok(POINT, "p_256", "a point on P-256", good().by(&P_256));
    let mut beside = octets(&P_256, "y");
    if let Some(last) = beside.last_mut() {
        *last ^= 1;
    }
    book.refused(POINT, "beside_the_curve", "a point beside the curve", with_octets(&P_256, "y", &beside));
    let zero = base64url::encode(&[0; 32]);
    let origin = format!("{{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"{zero}\",\"y\":\"{zero}\"}}");
    book.refused(POINT, "zero", "the point (0, 0)", good().by(&P_256).head("jwk", &origin));
    let bound = Draft::resource_request().by(&P_256).bound_to(&P_256);
    book.refused(POINT, "at_a_resource", "the point (0, 0) at a resource", bound.head("jwk", &origin));

    const CURVE: &str = "DPOP-JWK-07";
    book.ok(CURVE, "p_256", "P-256", good().by(&P_256));
    for (name, about, proof) in [
        ("secp256k1", "a key on secp256k1, well signed", include_str!("foreign/secp256k1_es256.jwt")),
        ("p_192", "a key on P-192, well signed", include_str!("foreign/p_192_es256.jwt")),
        ("brainpool", "a key on brainpoolP256r1, well signed", include_str!("foreign/brainpool_es256.jwt")),
    ] {
        book.refused(CURVE, name, about, Draft::foreign(proof));
    }
    book.refused(CURVE, "case", "a curve's name in the wrong case", with(&P_256, "crv", "p-256"));

    const OKP: &str = "DPOP-ALG-09";
    book.ok(OKP, "ed25519", "Ed25519", good());
    book.refused(OKP, "x25519", "X25519", with(&ED25519, "crv", "X25519"));
    let ed448 = format!("{{\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"{}\"}}", base64url::encode(&[7; 57]));
    book.refused(OKP, "ed448", "Ed448", good().head("jwk", &ed448));
}

fn rsa(book: &mut Book) {
    const SIZE: &str = "DPOP-JWK-08";
    book.ok(SIZE, "2048", "2048 bits", good().by(&RSA_PS256));
    book.ok(SIZE, "8192", "8192 bits", Draft::foreign(include_str!("foreign/rsa_8192.jwt")));
    book.refused(
        SIZE,
        "2047",
        "2047 bits, well signed",
        Draft::foreign(include_str!("foreign/rsa_2047.jwt")),
    );
    book.refused(
        SIZE,
        "1024",
        "1024 bits, well signed",
        Draft::foreign(include_str!("foreign/rsa_1024.jwt")),
    );
    book.refused(
        SIZE,
        "8200",
        "8200 bits, well signed",
        Draft::foreign(include_str!("foreign/rsa_8200.jwt")),
    );
    const EXPONENT: &str = "DPOP-JWK-09";
    book.ok(EXPONENT, "65537", "the exponent 65537", good().by(&RSA_PS256));
    book.ok(EXPONENT, "3", "the exponent 3", Draft::foreign(include_str!("foreign/rsa_exponent_3.jwt")));
    for (name, e) in [
        ("1", &[1][..]),
        ("2", &[2]),
        ("even", &[1, 0, 0]),
        ("above_2_32", &[1, 0, 0, 0, 1]),
        ("huge", &[0x55; 256]),
    ] {
        book.refused(EXPONENT, name, "an exponent out of range", with_octets(&RSA_PS256, "e", e));
    }
    const ZERO: &str = "DPOP-JWK-10";
    book.ok(ZERO, "minimal", "minimal numbers", good().by(&RSA_PS256));
    book.refused(ZERO, "e", "`e` begins with a zero octet", with(&RSA_PS256, "e", "AAEAAQ"));
    let long = [&[0][..], &octets(&RSA_PS256, "n")].concat();
    book.refused(ZERO, "n", "`n` begins with a zero octet", with_octets(&RSA_PS256, "n", &long));
}

/// Keys for which one signature is good under any message, for a verifier that does not look.
fn small_order(book: &mut Book) {
    const ROW: &str = "DPOP-JWK-11";
    book.ok(ROW, "ed25519", "an Ed25519 key of large order", good());
    for (name, hex) in [
        ("order_1", "0100000000000000000000000000000000000000000000000000000000000000"),
        ("order_1_sign", "0100000000000000000000000000000000000000000000000000000000000080"),
        ("order_2", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        ("order_4", "0000000000000000000000000000000000000000000000000000000000000000"),
        ("order_4_sign", "0000000000000000000000000000000000000000000000000000000000000080"),
        ("order_8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        ("order_8_other", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
        ("order_8_sign", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
        ("p", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        ("p_plus_1", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ] {
        let point = data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex");
        let neutral = [&[1][..], &[0; 63]].concat();
        let draft = with_octets(&ED25519, "x", &point).signature(move |_| neutral.clone());
        book.refused(ROW, name, "an Ed25519 key of small order, or not canonical", draft);
    }
}

fn uses(book: &mut Book) {
    const ROW: &str = "DPOP-JWK-12";
    book.ok(ROW, "verify", "`use`, `key_ops` and `alg` that fit", {
        let mut jwk = jwk(&P_256);
        let members = jwk.as_object_mut().expect("an object");
        members.insert("use".to_owned(), "sig".into());
        members.insert("key_ops".to_owned(), vec!["verify"].into());
        members.insert("alg".to_owned(), "ES256".into());
        good().by(&P_256).head("jwk", &jwk.to_string())
    });
    book.refused(ROW, "enc", "a key for encryption", with(&P_256, "use", "enc"));
    book.refused(ROW, "sign", "a key for signing only", with(&P_256, "key_ops", vec!["sign"]));
    book.refused(ROW, "alg", "a key for another algorithm", with(&P_256, "alg", "ES384"));
    book.refused(ROW, "mac", "a key for a MAC", with(&P_256, "alg", "HS256"));
}

fn secrets(book: &mut Book) {
    const PRIVATE: &str = "DPOP-JWK-02";
    book.ok(PRIVATE, "public", "a public key", good().by(&P_256));
    let d = serde_json::from_str::<Value>(include_str!("keys/p_256.json")).expect("JSON");
    let d = d.get("d").and_then(Value::as_str).expect("d").to_owned();
    book.refused(PRIVATE, "ec", "an EC key with its private member", with(&P_256, "d", d));
    for name in ["p", "q", "dp", "dq", "qi", "oth"] {
        book.refused(PRIVATE, name, &format!("an RSA key with `{name}`"), with(&RSA_PS256, name, "junk"));
    }
    book.refused(
        PRIVATE,
        "okp",
        "an OKP key with a private member that is null",
        with(&ED25519, "d", Value::Null),
    );
    book.refused(PRIVATE, "k", "a symmetric key", good().head("jwk", "{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}"));
    const SYMMETRIC: &str = "DPOP-JWK-03";
    book.ok(SYMMETRIC, "asymmetric", "an asymmetric key", good());
    book.refused(SYMMETRIC, "oct", "`kty` is `oct`", good().head("jwk", "{\"kty\":\"oct\"}"));

    const BOUND: &str = "DPOP-CNF-01";
    let resource = Draft::resource_request;
    book.ok(BOUND, "bound", "the key that the token is bound to", resource());
    book.ok(
        BOUND,
        "rsa",
        "an RSA key that the token is bound to",
        resource().by(&RSA_PS256).bound_to(&RSA_PS256),
    );
    book.refused(
        BOUND,
        "other",
        "another key than the one that the token is bound to; told as `invalid_token`",
        resource().by(&OTHER),
    );
}
