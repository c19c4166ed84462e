//! What one side writes the other reads alike.

use crate::server::{ED25519, ES256, POLICY, T, expected, judge, nonces, token};
use keybound_dpop::challenge::Challenge;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::json::Object;
use keybound_dpop::jose::jwk::PublicJwk;
use keybound_dpop::jose::jws::{self, UnverifiedJwt};
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::proof::check::Expected;
use keybound_dpop::proof::create::{NewProof, htu};
use keybound_dpop::target::Target;
use proptest::prelude::*;

fn read(json: &str) -> PublicJwk {
    PublicJwk::parse(&Object::parse(json.as_bytes()).unwrap()).unwrap()
}

/// Scheme and host in either case, with and without the default port, and the same in the normal form.
fn origins() -> impl Strategy<Value = (String, String)> {
    let host = prop_oneof!["[a-z][a-z0-9-]{0,12}(\\.[a-z]{2,6}){0,2}", Just("[::1]".to_owned())];
    (any::<bool>(), host, prop_oneof![Just(""), Just(":"), Just(":443"), Just(":80"), Just(":8443")])
        .prop_map(|(secure, host, port)| {
            let (scheme, default) = if secure { ("https", ":443") } else { ("http", ":80") };
            let kept = if port == ":" || port == default { "" } else { port };
            let written = format!("{}://{}{port}", scheme.to_uppercase(), host.to_uppercase());
            (written, format!("{scheme}://{host}{kept}"))
        })
}

/// Paths of everything that can stand in one, stray percent signs and dot segments included.
fn paths() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/".to_owned()),
        Just(".".to_owned()),
        Just("%".to_owned()),
        "%[0-9a-fA-F]{2}",
        "[!-~&&[^?#%/]]{1,4}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn dpop_cnf_02_rsa_keys_are_written_as_they_were_read(
        mut n in prop::collection::vec(any::<u8>(), 256..=1024),
        e in prop_oneof![Just(3_u32), Just(65_537), any::<u32>().prop_map(|e| e | 3)],
    ) {
        n[0] |= 0x80;
        let e: Vec<u8> = e.to_be_bytes().into_iter().skip_while(|octet| *octet == 0).collect();
        let (n, e) = (base64url::encode(&n), base64url::encode(&e));
        let key = read(&format!(r#"{{"kty":"RSA","kid":"any","n":"{n}","e":"{e}"}}"#));
        let written = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        prop_assert_eq!(key.to_json(), written.as_str());
        prop_assert_eq!(read(&written).thumbprint(), key.thumbprint());
    }

    #[test]
    fn rs_chl_06_challenges_are_read_as_they_were_written(
        all in prop::collection::vec(
            ("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}", prop::collection::vec(("[a-z]{1,4}", "[ -~]{0,12}"), 0..5)),
            1..5,
        ),
    ) {
        let challenges: Vec<Challenge> = all.iter().map(|(scheme, params)| {
            params.iter().fold(Challenge::new(scheme), |challenge, (name, value)| challenge.with(name, value))
        }).collect();
        let lines: Vec<String> = challenges.iter().map(Challenge::to_field_value).collect();
        prop_assert_eq!(&Challenge::parse_all(lines.iter().map(String::as_str)), &challenges);
        prop_assert_eq!(Challenge::parse_all([lines.join(" , ").as_str()]), challenges);
    }

    #[test]
    fn dpop_htu_04_dpop_htu_05_origins_in_any_spelling_are_one((written, normal) in origins(), path in paths()) {
        let target = Target::parse(&format!("{written}{path}?q#f")).unwrap();
        prop_assert_eq!(target.origin(), normal.as_str());
        prop_assert_eq!(target, Target::parse(&normal).unwrap().at(&path).unwrap());
    }

    #[test]
    fn dpop_htu_06_dpop_htu_07_the_normal_form_of_a_path_is_normal((_, origin) in origins(), path in paths()) {
        let target = Target::parse(&format!("{origin}{path}")).unwrap();
        prop_assert_eq!(&Target::parse(target.as_str()).unwrap(), &target);
        let segments: Vec<&str> = target.path().split('/').collect();
        prop_assert!(!segments.contains(&".") && !segments.contains(&".."), "{}", target);
    }

    #[test]
    fn dpop_htu_06_percent_encoding_of_unreserved_characters_does_not_count(path in "[a-zA-Z0-9~_-]{1,16}") {
        let encoded: String = path.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let target = |path: &str| Target::parse(&format!("https://h/{path}")).unwrap();
        prop_assert_eq!(target(&encoded), target(&path));
        prop_assert_ne!(target(&encoded.replace('%', "%25")), target(&path));
    }

    #[test]
    fn cl_prf_02_what_a_client_signs_is_what_a_server_compares((written, normal) in origins(), path in paths()) {
        let signed = htu(&format!("{written}{path}?q=/#f?")).unwrap();
        prop_assert_eq!(&signed, &format!("{written}{path}"));
        prop_assert_eq!(Target::parse(&signed).unwrap(), Target::parse(&format!("{normal}{path}")).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn dpop_cnf_02_generated_keys_are_written_as_they_were_read(
        algorithm in prop::sample::select(vec![
            Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa, Algorithm::Ed25519,
        ]),
    ) {
        let key = SigningKey::generate(algorithm).unwrap();
        let again = read(&key.public_jwk().to_json());
        prop_assert_eq!(&again, key.public_jwk());
        prop_assert_eq!(again.thumbprint(), key.public_jwk().thumbprint());
        prop_assert!(again.is_on_curve());
    }

    #[test]
    fn dpop_jws_01_tokens_carry_what_was_signed(subject in any::<String>(), kid in prop::option::of(any::<String>())) {
        let payload = serde_json::json!({ "sub": subject }).to_string();
        let compact = jws::sign(&*ED25519, "at+jwt", kid.as_deref(), payload.as_bytes()).unwrap();
        let jwt = UnverifiedJwt::parse(&compact).unwrap();
        prop_assert_eq!(jwt.kid().unwrap(), kid);
        let verified = jwt.verify(AlgorithmSet::default(), [ED25519.public_jwk()].into_iter()).unwrap();
        let claims = verified.claims().unwrap();
        prop_assert_eq!(claims.string("sub"), Ok(Some(subject.as_str())));
        prop_assert!(jwt.verify(AlgorithmSet::default(), [ES256.public_jwk()].into_iter()).is_err());
    }

    #[test]
    fn dpop_sig_01_proofs_verify_for_the_request_that_they_were_made_for(
        method in "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}",
        (origin, _) in origins(),
        path in paths(),
        entropy in any::<[u8; 16]>(),
        at_resource in any::<bool>(),
        with_nonce in any::<bool>(),
    ) {
        let url = format!("{origin}{path}");
        let keys = nonces(1);
        let (nonce, token) = (with_nonce.then(|| keys.issue(T)), at_resource.then(token));
        let new = NewProof {
            method: &method,
            htu: &htu(&url).unwrap(),
            token: token.map(|token| token.hash),
            nonce: nonce.as_ref(),
            entropy,
            iat: T,
        };
        let proof = new.sign(&*ES256).unwrap();
        let target = Target::parse(&url).unwrap();
        let nonce = with_nonce.then_some(&keys);
        let request = Expected { method: &method, target: &target, token, nonce, policy: &POLICY };
        let verified = judge(&proof, &request, T);
        prop_assert!(verified.is_ok(), "{:?}", verified);
        let other = Target::parse("https://other.example/").unwrap();
        let elsewhere = Expected { target: &other, ..request };
        prop_assert!(judge(&proof, &elsewhere, T).is_err());
        let otherwise = Expected { method: "", ..request };
        prop_assert!(judge(&proof, &otherwise, T).is_err());
        prop_assert!(judge(&proof, &expected(), T.plus_secs(1_000)).is_err());
    }
}
