//! A key in a token: it signs, and nobody gets it out.

use crate::for_each_token;
use crate::stage::{Kind, PIN, Stage, private_keys};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType};
use keybound_client::keystore::KeyKind;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto;
use keybound_dpop::jose::signer::Signer as _;

for_each_token! {
    cl_key_07_atk_125_a_key_in_a_token_signs_and_cannot_leave_it
    cl_key_07_cl_key_08_each_algorithm_of_the_token_signs
    cl_key_10_a_deleted_key_is_gone_from_the_token
}

fn cl_key_07_atk_125_a_key_in_a_token_signs_and_cannot_leave_it(stage: &Stage) {
    let (keys, teller) = stage.keys(PIN);
    let made = keys.create_in_token("laptop", Algorithm::Es256, &stage.token()).expect("made");
    let key = keys.load("laptop").expect("opened");
    assert_eq!((key.algorithm(), key.public_jwk()), (Algorithm::Es256, made.public_jwk()));
    let signature = key.sign(b"message").expect("signed");
    assert_eq!(crypto::verify(Algorithm::Es256, key.public_jwk(), b"message", &signature), Ok(()));
    assert!(teller.asked().iter().all(|asked| asked == "the PIN of token `work`"));

    let session = stage.session();
    let private = private_keys(&session);
    assert_eq!(private.len(), 1);
    let private = private[0];
    let flags = [
        AttributeType::Sensitive,
        AttributeType::AlwaysSensitive,
        AttributeType::Extractable,
        AttributeType::NeverExtractable,
        AttributeType::Token,
    ];
    let told = session.get_attributes(private, &flags).expect("attributes");
    for expected in [
        Attribute::Sensitive(true),
        Attribute::AlwaysSensitive(true),
        Attribute::Extractable(false),
        Attribute::NeverExtractable(true),
        Attribute::Token(true),
    ] {
        assert!(told.contains(&expected), "{expected:?} of {told:?}");
    }
    // The library behind a TPM takes note of whatever it is told; what the TPM does is another thing.
    for weaker in [Attribute::Extractable(true), Attribute::Sensitive(false)] {
        let weakened = session.update_attributes(private, &[weaker.clone()]);
        assert!(weakened.is_err() || stage.kind == Kind::Tpm, "{weaker:?}");
        assert!(session.copy_object(private, &[weaker.clone()]).is_err(), "{weaker:?}");
    }
    for value in [AttributeType::Value, AttributeType::PrivateExponent] {
        let told = session.get_attributes(private, &[value]);
        assert!(told.as_ref().is_ok_and(Vec::is_empty) || told.is_err(), "{value:?}: {told:?}");
    }
    let wrapping = [Attribute::KeyType(KeyType::AES), Attribute::ValueLen(32.into()), Attribute::Wrap(true)];
    let wrapping = session.generate_key(&Mechanism::AesKeyGen, &wrapping);
    assert!(wrapping.is_ok() || stage.kind == Kind::Tpm);
    let wrapping = wrapping.unwrap_or(private);
    for mechanism in [Mechanism::AesKeyWrap, Mechanism::AesKeyWrapPad] {
        assert!(session.wrap_key(&mechanism, wrapping, private).is_err(), "{mechanism:?}");
    }
    let KeyKind::Token(place) = keys.info("laptop").expect("known").kind else { panic!("a token") };
    assert_eq!((place.token.as_str(), place.module), ("work", stage.module()));
    let kept = std::fs::read_to_string(stage.folder.join("keys/laptop.jwk")).expect("a file");
    assert!(!kept.contains(PIN) && !kept.contains("\"d\""), "{kept}");
    assert!(!format!("{:?}", keys.info("laptop")).contains(PIN));
}

fn cl_key_07_cl_key_08_each_algorithm_of_the_token_signs(stage: &Stage) {
    let (keys, _) = stage.keys(PIN);
    for algorithm in
        [Algorithm::Es256, Algorithm::Es384, Algorithm::Ps256, Algorithm::Rs256, Algorithm::Ed25519]
    {
        let name = algorithm.name();
        match keys.create_in_token(name, algorithm, &stage.token()) {
            Ok(key) => {
                let signature = key.sign(b"message").expect("signed");
                assert_eq!(
                    crypto::verify(algorithm, key.public_jwk(), b"message", &signature),
                    Ok(()),
                    "{name}"
                );
                let is_random = !matches!(algorithm, Algorithm::Ed25519 | Algorithm::Rs256);
                assert_eq!(key.sign(b"message").expect("signed") != signature, is_random, "{name}");
            }
            Err(error) => {
                assert!(stage.kind == Kind::Tpm && algorithm == Algorithm::Ed25519, "{name}: {error}");
                assert!(error.to_string().contains("makes no keys for Ed25519"), "{error}");
                assert!(keys.info(name).is_err());
            }
        }
    }
}

fn cl_key_10_a_deleted_key_is_gone_from_the_token(stage: &Stage) {
    let (keys, _) = stage.keys(PIN);
    for name in ["stays", "goes"] {
        keys.create_in_token(name, Algorithm::Es256, &stage.token()).expect("made");
    }
    let session = stage.session();
    assert_eq!(private_keys(&session).len(), 2);
    keys.delete("goes").expect("deleted");
    assert_eq!(private_keys(&session).len(), 1);
    assert!(keys.load("goes").is_err() && keys.load("stays").is_ok());
    // A name that is forgotten leaves the key where it is.
    let file = stage.folder.join("keys/stays.jwk");
    std::fs::copy(&file, stage.folder.join("kept")).expect("copied");
    keys.forget("stays").expect("forgotten");
    assert_eq!((private_keys(&session).len(), keys.names().expect("names").len()), (1, 0));
    std::fs::rename(stage.folder.join("kept"), &file).expect("put back");
    assert!(keys.load("stays").is_ok());
    // A key that somebody else removed is said to be gone.
    for key in private_keys(&session) {
        session.destroy_object(key).expect("removed");
    }
    let told = keys.load("stays").err().expect("gone").to_string();
    assert!(told.contains("`stays` is not in token `work` any more"), "{told}");
    keys.delete("stays").expect("what is gone can be deleted");
}
