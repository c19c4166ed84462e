//! What goes wrong with tokens, and many who sign at once.

use crate::for_each_token;
use crate::stage::{Kind, PIN, SO_PIN, Stage, private_keys};
use cryptoki::context::Pkcs11;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use keybound_client::keystore::pkcs11::{TokenError, TokenName};
use keybound_client::keystore::{KeyKind, KeyStoreError, SecretFor};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::crypto;
use keybound_dpop::jose::signer::Signer as _;
use std::path::Path;
use std::sync::Arc;

for_each_token! {
    cl_key_07_a_wrong_pin_is_tried_once
    cl_key_07_a_pin_that_was_refused_is_tried_for_no_other_key
    cl_key_07_a_pin_is_for_its_own_token
    cl_key_07_a_key_that_wants_its_pin_each_time_is_said_to
    cl_key_07_a_session_that_is_lost_is_replaced
    cl_key_07_many_sign_at_once
    cl_key_07_what_is_not_there_is_said
}

fn cl_key_07_a_wrong_pin_is_tried_once(stage: &Stage) {
    let (wrong, teller) = stage.keys("000000");
    let refused = wrong.create_in_token("laptop", Algorithm::Es256, &stage.token()).err().expect("refused");
    assert!(matches!(refused, KeyStoreError::Token(TokenError::Pin(_))), "{refused}");
    assert!(!refused.to_string().contains("000000"));
    assert_eq!(teller.asked().len(), 1);
    assert!(wrong.names().expect("names").is_empty());
    // The right one still opens it.
    let (right, _) = stage.keys(PIN);
    right.create_in_token("laptop", Algorithm::Es256, &stage.token()).expect("made");
}

fn cl_key_07_a_pin_that_was_refused_is_tried_for_no_other_key(stage: &Stage) {
    let (right, teller) = stage.keys(PIN);
    for name in ["laptop", "phone"] {
        right.create_in_token(name, Algorithm::Es256, &stage.token()).expect("made");
    }
    assert_eq!(teller.asked().len(), 2, "once for each new key");
    let (wrong, _) = stage.keys("000000");
    let refused = |name: &str| {
        let error = wrong.load(name).err().expect("refused");
        assert!(matches!(error, KeyStoreError::Token(TokenError::Pin(_))), "{error}");
    };
    refused("laptop");
    // Now it would be right: that it is refused shows that the token does not hear of it.
    let session = stage.session();
    session.set_pin(&AuthPin::new(PIN.into()), &AuthPin::new("000000".into())).expect("changed");
    session.logout().expect("logged out");
    refused("phone");
    refused("laptop");
}

fn cl_key_07_a_pin_is_for_its_own_token(stage: &Stage) {
    if stage.kind == Kind::Tpm {
        // Its library has each token in a slot of its own for good.
        return;
    }
    let (keys, _) = stage.keys(PIN);
    let key = keys.create_in_token("laptop", Algorithm::Es256, &stage.token()).expect("made");
    // The key is pulled out of the token, then the token itself is exchanged.
    let session = stage.session();
    let slot = session.get_session_info().expect("told").slot_id();
    for private in private_keys(&session) {
        session.destroy_object(private).expect("removed");
    }
    drop(session);
    let told = key.sign(b"message").expect_err("gone").to_string();
    assert!(told.contains("is not in token `work` any more"), "{told}");
    let library = Pkcs11::new(stage.module()).expect("a library");
    let (officer, wrong) = (AuthPin::new(SO_PIN.into()), AuthPin::new("999999".into()));
    library.init_token(slot, &officer, "other").expect("another token");
    let session = library.open_rw_session(slot).expect("a session");
    session.login(UserType::So, Some(&officer)).expect("logged in");
    session.init_pin(&wrong).expect("set");
    session.logout().expect("logged out");
    let told = key.sign(b"message").expect_err("gone").to_string();
    assert!(told.contains("there is no token `work`; there is `other`"), "{told}");
}

fn cl_key_07_a_key_that_wants_its_pin_each_time_is_said_to(stage: &Stage) {
    if stage.kind == Kind::Tpm {
        // It makes no such keys.
        return;
    }
    let (keys, _) = stage.keys(PIN);
    keys.create_in_token("laptop", Algorithm::Es256, &stage.token()).expect("made");
    let KeyKind::Token(place) = keys.info("laptop").expect("known").kind else { panic!("a token") };
    let session = stage.session();
    let both = [Attribute::Token(true), Attribute::Id(place.id)];
    for object in session.find_objects(&both).expect("objects") {
        session.destroy_object(object).expect("removed");
    }
    let p256 = vec![0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let public = [&both[..], &[Attribute::EcParams(p256)]].concat();
    let each_time = [Attribute::Private(true), Attribute::Sign(true), Attribute::AlwaysAuthenticate(true)];
    let private = [&both[..], &each_time].concat();
    session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private).expect("made");
    let told = keys.load("laptop").err().expect("refused").to_string();
    assert!(told.contains("wants its PIN again for every signature"), "{told}");
}

fn cl_key_07_a_session_that_is_lost_is_replaced(stage: &Stage) {
    let (keys, teller) = stage.keys(PIN);
    keys.create_in_token("laptop", Algorithm::Es256, &stage.token()).expect("made");
    let key = keys.load("laptop").expect("opened");
    let asked = teller.asked().len();
    for _ in 0..3 {
        // Whoever logs out, logs the whole process out.
        stage.session().logout().expect("logged out");
        let signature = key.sign(b"message").expect("signed again");
        assert_eq!(crypto::verify(Algorithm::Es256, key.public_jwk(), b"message", &signature), Ok(()));
    }
    assert_eq!(teller.asked().len(), asked, "nobody was asked again");
}

fn cl_key_07_many_sign_at_once(stage: &Stage) {
    let (keys, _) = stage.keys(PIN);
    let key = keys.create_in_token("laptop", Algorithm::Es256, &stage.token()).expect("made");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    runtime.block_on(async {
        let tasks: Vec<_> = (0..64)
            .map(|number: u32| {
                let key = Arc::clone(&key);
                tokio::spawn(async move {
                    let message = number.to_be_bytes();
                    let signature = key.sign(&message).expect("signed");
                    crypto::verify(Algorithm::Es256, key.public_jwk(), &message, &signature)
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("no panic"), Ok(()));
        }
    });
    // Where there is one thread, it signs itself.
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    assert!(runtime.block_on(async { key.sign(b"message") }).is_ok());
}

fn cl_key_07_what_is_not_there_is_said(stage: &Stage) {
    let (keys, teller) = stage.keys(PIN);
    let try_with = |token: TokenName| {
        let error = keys.create_in_token("laptop", Algorithm::Es256, &token).err().expect("refused");
        error.to_string()
    };
    let told = try_with(TokenName { token: "werk".to_owned(), ..stage.token() });
    assert!(told.starts_with("there is no token `werk`; there is `work` (serial number "), "{told}");
    let told = try_with(TokenName { serial: Some("1".to_owned()), ..stage.token() });
    assert!(told.contains("there is no token `work`"), "{told}");
    for (module, expected) in [
        ("/no/such/library.so", "No such file"),
        ("library.so", "write its whole path"),
        ("/etc/hostname", "cannot be used"),
    ] {
        let told = try_with(TokenName { module: Path::new(module).to_owned(), ..stage.token() });
        assert!(told.contains(module) && told.contains(expected), "{told}");
    }
    assert!(teller.asked().is_empty(), "no PIN is asked for in vain");
    let asked = SecretFor::Pin { token: "work", is_last_try: false }.to_string();
    assert_eq!(asked, "the PIN of token `work`");
}
