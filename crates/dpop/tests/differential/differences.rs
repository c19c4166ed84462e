//! Where the other library is laxer, and the few places where it is stricter. Each is shown from both sides, so that a
//! change over there is noticed as well as one over here.
//!
//! None of these is a fault of its own: a general JOSE library leaves to its caller what to make of these members. It
//! is why a server that builds its check of proofs on one has to look at the header itself.

use crate::pair::{HTU, Pair, T, ours, theirs};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::signer::Signer;
use keybound_dpop::proof::create::NewProof;
use keybound_dpop::proof::error::Check;

/// A proof that is well signed, what we refuse it for, and why that matters.
struct Difference {
    here: Check,
    reason: &'static str,
    proof: String,
}

fn pair() -> &'static Pair {
    Pair::of(Algorithm::Es256)
}

fn header() -> String {
    format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{}}}"#, pair().key.public_jwk().to_json())
}

fn claims() -> String {
    format!(r#"{{"jti":"0123456789abcdef","htm":"POST","htu":"{HTU}","iat":{}}}"#, T.as_secs())
}

/// A header with this member in front of the others.
fn with_header(here: Check, member: &str, reason: &'static str) -> Difference {
    let header = header().replacen('{', &format!("{{{member},"), 1);
    Difference { here, reason, proof: pair().forge(&header, &claims()) }
}

/// A key with this member in front of the others.
fn with_jwk(here: Check, member: &str, reason: &'static str) -> Difference {
    let header = header().replace(r#""jwk":{"#, &format!(r#""jwk":{{{member},"#));
    Difference { here, reason, proof: pair().forge(&header, &claims()) }
}

fn with_typ(here: Check, typ: &str, reason: &'static str) -> Difference {
    let header = header().replace(r#""typ":"dpop+jwt","#, typ);
    Difference { here, reason, proof: pair().forge(&header, &claims()) }
}

fn with_claim(here: Check, member: &str, reason: &'static str) -> Difference {
    let claims = claims().replacen('{', &format!("{{{member},"), 1);
    Difference { here, reason, proof: pair().forge(&header(), &claims) }
}

/// The coordinates of the key, `x` one octet shorter and `y` one longer: the same octets, one after the other.
fn with_moved_coordinates() -> Difference {
    let jwk = serde_json::to_value(pair().jwk()).expect("a JWK");
    let [x, y] = ["x", "y"].map(|name| jwk[name].as_str().and_then(base64url::decode).expect("octets"));
    let both = [x.clone(), y.clone()].concat();
    let (left, right) = both.split_at(31);
    let header = [(&x[..], left), (&y, right)].into_iter().fold(header(), |header, (from, to)| {
        header.replace(&base64url::encode(from), &base64url::encode(to))
    });
    let reason = "one key would have several thumbprints, and `cnf.jkt` names one";
    Difference { here: Check::JwkCoordinate, reason, proof: pair().forge(&header, &claims()) }
}

/// Nobody signed this: with the point of order one as the key, any message has a signature that anybody can write down.
fn with_a_key_of_small_order() -> Difference {
    let mut one = [0; 32];
    one[0] = 1;
    let x = base64url::encode(&one);
    let header =
        format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}}}"#);
    let parts = [header.as_bytes(), claims().as_bytes(), &[one, [0; 32]].concat()].map(base64url::encode);
    let reason = "whoever has no private key at all could use a token that is bound to this one";
    Difference { here: Check::JwkSmallOrder, reason, proof: parts.join(".") }
}

fn laxer() -> Vec<Difference> {
    let d = base64url::encode(&[7; 32]);
    let deep = format!(r#""deep":{}{}"#, "[".repeat(100), "]".repeat(100));
    vec![
        with_jwk(
            Check::JwkPrivate,
            &format!(r#""d":"{d}""#),
            "a private key was shown (RFC 9449 §4.3 item 7)",
        ),
        with_jwk(Check::JwkUse, r#""use":"enc""#, "the key is not for signatures (RFC 7517 §4.2)"),
        with_jwk(Check::JwkUse, r#""key_ops":["sign"]"#, "the key is not for verifying (RFC 7517 §4.3)"),
        with_jwk(Check::JwkUse, r#""alg":"ES384""#, "the key is for another algorithm (RFC 7517 §4.4)"),
        with_moved_coordinates(),
        with_a_key_of_small_order(),
        with_header(
            Check::Critical,
            r#""crit":["of-tomorrow"],"of-tomorrow":1"#,
            "who does not understand a critical member must refuse it (RFC 7515 §4.1.11)",
        ),
        with_header(
            Check::Unencoded,
            r#""b64":false"#,
            "the payload is signed in another form (RFC 7797 §6)",
        ),
        with_header(Check::RepeatedMember, r#""x":1,"x":2"#, "two readers may see two values (RFC 7515 §4)"),
        with_claim(Check::RepeatedMember, r#""htm":"GET""#, "two readers may see two methods (RFC 7519 §4)"),
        with_claim(Check::JsonSize, &deep, "what no proof needs only costs memory"),
        with_typ(Check::TypMissing, "", "another kind of JWT could be taken for a proof (RFC 8725 §3.11)"),
        with_typ(
            Check::Typ,
            r#""typ":"at+jwt","#,
            "so could an access token that is signed by the client's key",
        ),
    ]
}

#[test]
fn dpop_jwk_02_dpop_jwk_05_dpop_jwk_11_dpop_jwk_12_dpop_jws_06_dpop_jws_08_dpop_jws_09_refused_here_only() {
    assert!(ours(&pair().forge(&header(), &claims())).is_ok(), "without the difference it is good");
    for Difference { here, reason, proof } in laxer() {
        assert_eq!(ours(&proof).expect_err(reason).check(), here, "{reason}");
        assert!(theirs(&proof).is_ok(), "now refused there too, take it off the list: {reason}");
    }
}

#[test]
fn dpop_alg_05_dpop_alg_09_the_newer_name_and_the_longer_curve_are_known_here_only() {
    for algorithm in [Algorithm::Ed25519, Algorithm::Es512] {
        let key = crate::pair::generate(algorithm);
        let new = NewProof { method: "POST", htu: HTU, token: None, nonce: None, entropy: [5; 16], iat: T };
        let proof = new.sign(&key).expect("signed");
        assert!(ours(&proof).is_ok(), "{algorithm}");
        assert!(theirs(&proof).is_err(), "{algorithm} is known there now: move it to the algorithms of both");
    }
}
