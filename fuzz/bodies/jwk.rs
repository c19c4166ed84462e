//! JSON as a key, as a set of keys and as a confirmation: what is read and written again is the same key.

use keybound_dpop::confirmation::Confirmation;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::json::Object;
use keybound_dpop::jose::jwk::{PublicJwk, may_verify};
use keybound_dpop::jose::key_set::{KeySet, MAX_KEYS};
use keybound_dpop::jose::{crypto, thumbprint::Thumbprint};

/// A key keeps its thumbprint, and no key accepts a signature that nobody made.
pub(crate) fn check(bytes: &[u8]) {
    check_set(bytes);
    let Ok(object) = Object::parse(bytes) else { return };
    if let Confirmation::Jkt(jkt) = Confirmation::read(&object) {
        assert_eq!(Thumbprint::parse(&jkt.to_string()), Some(jkt));
    }
    let Ok(key) = PublicJwk::parse(&object) else { return };
    assert!(!object.has("d"), "a private key was taken for a public one");
    let json = key.to_json();
    let again = Object::parse(json.as_bytes()).map(|object| PublicJwk::parse(&object));
    assert_eq!(again, Ok(Ok(key.clone())), "{json}");
    assert_eq!(Thumbprint::parse(&key.thumbprint().to_string()), Some(key.thumbprint()));
    assert_eq!(again.ok().and_then(Result::ok).map(|key| key.thumbprint()), Some(key.thumbprint()));

    let fitting: Vec<Algorithm> =
        Algorithm::ALL.into_iter().filter(|algorithm| algorithm.fits(&key)).collect();
    assert!(!fitting.is_empty(), "{key:?} fits nothing");
    for algorithm in Algorithm::ALL {
        let _ = may_verify(&object, algorithm);
        for signature in [&[0_u8; 64][..], &[0; 256], &[1; 64]] {
            assert!(crypto::verify(algorithm, &key, b"message", signature).is_err(), "{key:?} {algorithm}");
        }
    }
}

fn check_set(bytes: &[u8]) {
    let Ok(set) = KeySet::parse(bytes) else { return };
    assert!(set.iter().count() <= MAX_KEYS);
    let json = set.to_json();
    assert_eq!(KeySet::parse(json.as_bytes()), Ok(set), "{json}");
}
