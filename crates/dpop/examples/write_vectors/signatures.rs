//! DPOP-ALG and DPOP-SIG: algorithm and signature.

use crate::Book;
use crate::draft::Draft;
use crate::keys::{ED25519, OTHER, P_256, P_384, P_521, RSA_PS256, RSA_RS256};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::HmacKey;
use keybound_dpop::jose::signer::Signer;

const ALL: &str = "ES256 PS256 EdDSA Ed25519 ES384 ES512 PS384 PS512 RS256 RS384 RS512";

pub(crate) fn write(book: &mut Book) {
    names(book);
    macs(book);
    lists(book);
    fits(book);
    lengths(book);
    values(book);
    salts(book);
}

fn good() -> Draft {
    Draft::token_request()
}

fn names(book: &mut Book) {
    book.ok("DPOP-ALG-04", "present", "`alg` is there", good());
    book.refused("DPOP-ALG-04", "missing", "no `alg`", good().without_head("alg"));
    book.refused(
        "DPOP-ALG-04",
        "renamed",
        "`alg2` instead of `alg`",
        good().without_head("alg").head("alg2", "\"EdDSA\""),
    );
    const ROW: &str = "DPOP-ALG-01";
    book.ok(ROW, "es256", "ES256", good().by(&P_256));
    book.ok(ROW, "ps256", "PS256", good().by(&RSA_PS256));
    book.ok(ROW, "eddsa", "EdDSA", good());
    for (name, alg) in
        [("case", "es256"), ("space", "ES256 "), ("empty", ""), ("unknown", "XX"), ("rs1", "RS1")]
    {
        book.refused(
            ROW,
            name,
            &format!("`alg` is `{alg}`"),
            good().by(&P_256).head("alg", &format!("\"{alg}\"")),
        );
    }
    book.refused(ROW, "array", "`alg` is an array", good().head("alg", "[\"EdDSA\"]"));
    book.refused(
        ROW,
        "es256k",
        "ES256K, well signed",
        Draft::foreign(include_str!("foreign/secp256k1_es256k.jwt")),
    );
    const NONE: &str = "DPOP-ALG-02";
    book.ok(NONE, "signed", "a proof that is signed", good());
    for (name, alg) in [("lower", "none"), ("title", "None"), ("upper", "NONE"), ("mixed", "nOnE")] {
        book.refused(
            NONE,
            name,
            &format!("`alg` is `{alg}`, the signature left in place"),
            good().head("alg", &format!("\"{alg}\"")),
        );
    }
    book.refused(
        NONE,
        "junk_signature",
        "`alg` is `none`, one octet of signature",
        good().head("alg", "\"none\"").signature(|_| vec![0]),
    );
}

/// A proof with a MAC under that key instead of a signature.
fn mac(draft: Draft, key: Vec<u8>) -> Draft {
    draft.head("alg", "\"HS256\"").show(move |proof| {
        let (input, _) = proof.rsplit_once('.').expect("three parts");
        let mac = HmacKey::new(&key).mac(&[input.as_bytes()]);
        vec![format!("{input}.{}", base64url::encode(&mac))]
    })
}

fn macs(book: &mut Book) {
    const ROW: &str = "DPOP-ALG-03";
    book.ok(ROW, "signed", "a proof that is signed", good().by(&P_256));
    let jwk = P_256.public_jwk().to_json();
    book.refused(
        ROW,
        "keyed_by_jwk",
        "HS256 keyed with the JSON of the public key",
        mac(good().by(&P_256), jwk.into_bytes()),
    );
    book.refused(ROW, "keyed_by_nothing", "HS256 keyed with nothing", mac(good().by(&P_256), Vec::new()));
    let modulus = RSA_PS256.public_jwk().to_json();
    let modulus = modulus.split("\"n\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("n");
    let modulus = base64url::decode(modulus).expect("base64url");
    book.refused(
        ROW,
        "keyed_by_modulus",
        "HS256 keyed with the RSA modulus",
        mac(good().by(&RSA_PS256), modulus),
    );
    book.refused(ROW, "hs512", "HS512 with the signature left in place", good().head("alg", "\"HS512\""));
}

fn lists(book: &mut Book) {
    const ROW: &str = "DPOP-ALG-05";
    let taking = |draft: Draft, algorithms: &str| draft.request("algorithms", algorithms);
    book.ok(ROW, "rs256", "RS256 where it is accepted", taking(good().by(&RSA_RS256), "ES256 RS256"));
    book.ok(ROW, "es384", "ES384 where it is accepted", taking(good().by(&P_384), ALL));
    book.ok(ROW, "es512", "ES512 where it is accepted", taking(good().by(&P_521), ALL));
    book.ok(ROW, "ed25519", "Ed25519, the newer name of EdDSA", good().head("alg", "\"Ed25519\""));
    book.refused(ROW, "rs256", "RS256 where it is not accepted", good().by(&RSA_RS256));
    book.refused(ROW, "es384", "ES384 where it is not accepted", good().by(&P_384));
    book.refused(ROW, "es512", "ES512 where it is not accepted", good().by(&P_521));
    book.refused(ROW, "eddsa", "EdDSA where only ES256 is accepted", taking(good(), "ES256"));
}

fn fits(book: &mut Book) {
    const ROW: &str = "DPOP-ALG-06";
    book.ok(ROW, "es256_p_256", "ES256 with P-256", good().by(&P_256));
    let other = |draft: Draft, alg: &str| draft.head("alg", &format!("\"{alg}\"")).request("algorithms", ALL);
    book.refused(ROW, "es256_p_384", "ES256 with P-384", other(good().by(&P_384), "ES256"));
    book.refused(ROW, "es384_p_256", "ES384 with P-256", other(good().by(&P_256), "ES384"));
    book.refused(ROW, "es512_ed25519", "ES512 with Ed25519", other(good(), "ES512"));
    book.refused(ROW, "ps256_ec", "PS256 with an EC key", other(good().by(&P_256), "PS256"));
    book.refused(ROW, "eddsa_rsa", "EdDSA with an RSA key", other(good().by(&RSA_PS256), "EdDSA"));
    book.refused(ROW, "es256_rsa", "ES256 with an RSA key", other(good().by(&RSA_PS256), "ES256"));
}

/// An ECDSA signature as ASN.1 DER.
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |octets: &[u8]| {
        let octets: Vec<u8> = octets.iter().copied().skip_while(|octet| *octet == 0).collect();
        let sign = if octets.first().is_some_and(|first| first & 0x80 != 0) { &[0][..] } else { &[] };
        let length = u8::try_from(sign.len() + octets.len()).expect("short");
        [&[2, length][..], sign, &octets].concat()
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    let both = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(both.len()).expect("short")][..], &both].concat()
}

fn lengths(book: &mut Book) {
    const ROW: &str = "DPOP-SIG-02";
    book.ok(ROW, "64", "an ES256 signature of 64 octets", good().by(&P_256));
    book.ok(ROW, "132", "an ES512 signature of 132 octets", good().by(&P_521).request("algorithms", "ES512"));
    book.refused(ROW, "der", "an ES256 signature in DER", good().by(&P_256).signature(|s| der(&s)));
    book.refused(ROW, "63", "63 octets", good().by(&P_256).signature(|mut s| s.split_off(1)));
    book.refused(ROW, "65", "65 octets", good().by(&P_256).signature(|s| [&s[..], &[0]].concat()));
    book.refused(
        ROW,
        "ed25519_63",
        "an Ed25519 signature of 63 octets",
        good().signature(|mut s| s.split_off(1)),
    );
}

/// The order of P-256.
const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

fn n() -> Vec<u8> {
    data_encoding::HEXLOWER.decode(N.as_bytes()).expect("hex")
}

/// `n - s`: with it the signature is good as well.
fn negated(s: &[u8]) -> Vec<u8> {
    let (mut other, mut borrow) = (n(), 0_i16);
    for (to, from) in other.iter_mut().zip(s).rev() {
        let difference = i16::from(*to) - i16::from(*from) - borrow;
        borrow = i16::from(difference < 0);
        *to = u8::try_from(difference.rem_euclid(256)).expect("an octet");
    }
    other
}

fn values(book: &mut Book) {
    const ROW: &str = "DPOP-SIG-01";
    let ec = || good().by(&P_256);
    book.ok(ROW, "es256", "a good ES256 signature", ec());
    book.ok(
        ROW,
        "es256_other",
        "the other good ES256 signature that there is of each, (r, n - s)",
        ec().signature(|s| {
            let (r, s) = s.split_at(32);
            [r, &negated(s)].concat()
        }),
    );
    book.ok(ROW, "ps256", "a good PS256 signature", good().by(&RSA_PS256));
    let flip = |index: usize| {
        move |mut s: Vec<u8>| {
            if let Some(octet) = s.get_mut(index) {
                *octet ^= 1;
            }
            s
        }
    };
    book.refused(ROW, "es256_flipped", "one bit of an ES256 signature is another", ec().signature(flip(40)));
    book.refused(ROW, "eddsa_flipped", "one bit of an EdDSA signature is another", good().signature(flip(0)));
    book.refused(
        ROW,
        "ps256_flipped",
        "one bit of a PS256 signature is another",
        good().by(&RSA_PS256).signature(flip(9)),
    );
    book.refused(
        ROW,
        "other_key",
        "signed by another key than the one in `jwk`",
        good().by(&OTHER).head("jwk", &ED25519.public_jwk().to_json()),
    );
    book.refused(
        ROW,
        "other_claims",
        "the signature of other claims",
        good().show(|proof| {
            let (input, _) = proof.rsplit_once('.').expect("three parts");
            let other = good().compact("other");
            let (_, signature) = other.rsplit_once('.').expect("three parts");
            vec![format!("{input}.{signature}")]
        }),
    );
    book.refused(ROW, "zero", "r and s are zero", ec().signature(|_| vec![0; 64]));
    book.refused(
        ROW,
        "r_is_n",
        "r is the order of the curve",
        ec().signature(|s| [&n()[..], s.split_at(32).1].concat()),
    );
    book.refused(
        ROW,
        "s_is_n",
        "s is the order of the curve",
        ec().signature(|s| [s.split_at(32).0, &n()].concat()),
    );
    book.refused(ROW, "s_is_zero", "s is zero", ec().signature(|s| [s.split_at(32).0, &[0; 32]].concat()));
}

fn salts(book: &mut Book) {
    const ROW: &str = "DPOP-SIG-01";
    for (name, about, proof) in [
        ("salt_0", "PS256 without a salt", include_str!("foreign/ps256_salt_0.jwt")),
        ("salt_31", "PS256 with a salt of 31 octets", include_str!("foreign/ps256_salt_31.jwt")),
        ("mgf1_sha1", "PS256 with SHA-1 in the mask", include_str!("foreign/ps256_mgf1_sha1.jwt")),
    ] {
        book.refused(ROW, name, about, Draft::foreign(proof));
    }
    book.refused(
        ROW,
        "pkcs1_as_pss",
        "an RS256 signature that says PS256",
        good().by(&RSA_RS256).head("alg", "\"PS256\""),
    );
}
