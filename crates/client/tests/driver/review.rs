//! Reviews of the sources: what the library must not do anywhere.

use crate::mock::{Mock, TOKENS, client, reply};
use keybound_client::client_auth::ClientAuth;
use keybound_client::prover::SharedSigner;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::secret::Secret;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder").to_owned()
}

/// The files below a folder, with what stands above their tests.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a text");
            let code = text.split("#[cfg(test)]\nmod tests").next().expect("a part").to_owned();
            let name = path.strip_prefix(crates()).expect("ours").to_string_lossy().into_owned();
            found.push((name, code));
        }
    }
    found
}

/// The files of the library whose code has one of these words.
fn files_with(words: &[&str]) -> BTreeSet<String> {
    let has = |code: &str| words.iter().any(|word| code.contains(word));
    let all = sources(&crates().join("client/src"));
    assert!(all.len() > 20, "these are the sources");
    all.into_iter().filter(|(_, code)| has(code)).map(|(name, _)| name).collect()
}

#[test]
fn cl_tok_07_what_is_parsed_is_no_access_token() {
    // Each with the JWTs that it reads.
    let readers = [
        ("client/src/client.rs", "ID tokens, signed UserInfo"),
        ("client/src/flow/response_jwt.rs", "signed authorization responses"),
        ("client/src/id_token.rs", "ID tokens"),
    ];
    let known = readers.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(files_with(&["UnverifiedJwt::parse"]), known, "who reads JWTs is to be listed here");
    for (name, code) in sources(&crates().join("client/src")) {
        let parses = |line: &&str| line.contains("access_token") && line.contains("parse(");
        // Origins, sessions and token responses hold one, as a text.
        let bad = code.lines().filter(parses).find(|line| !line.contains("Secret::new"));
        assert_eq!(bad, None, "{name}");
    }
}

#[tokio::test]
async fn cl_tok_07_a_token_is_passed_on_as_it_is() {
    let looks_expired = "eyJhbGciOiJub25lIn0.eyJleHAiOjEsImNuZiI6eyJqa3QiOiJ4In19.";
    for token in [looks_expired, "a", "~.-_+/=="] {
        let body = TOKENS.replace("token-2", token);
        let mock = Mock::start(move |_, _| reply(200, &[], &body)).await;
        let client = client(&mock.origin, ClientAuth::SecretBasic(Secret::new("s")));
        let tokens = client.client_credentials(None, Vec::new()).await.expect("tokens");
        assert_eq!(tokens.access_token.reveal(), token);
        assert!(!tokens.is_expired(client.prover().now()), "what is in it does not count");
    }
}

#[test]
fn cl_tok_09_who_writes_urls_is_known_and_none_of_them_holds_a_token() {
    // Each with what it puts into a URL.
    let writers = [
        ("client/src/flow/authorization_code/begin.rs", "an authorization request, which has no token yet"),
        ("client/src/flow/logout.rs", "a logout request without the ID token"),
    ];
    let known = writers.iter().map(|(file, _)| (*file).to_owned()).collect();
    let found = files_with(&["set_query(Some", "query_pairs_mut", "append_pair", ".to_url("]);
    assert_eq!(found, known, "who writes URLs is to be listed here");
    // A proof comes out into headers, and in no other way.
    let prover =
        sources(&crates().join("client/src")).into_iter().find(|(name, _)| name.ends_with("src/prover.rs"));
    let code = prover.expect("the file").1;
    let proof =
        code.split("impl Proof {").nth(1).and_then(|rest| rest.split("\n}").next()).expect("its methods");
    let methods: Vec<_> = proof.lines().filter(|line| line.contains("pub ")).map(str::trim).collect();
    assert_eq!(methods.len(), 2, "{methods:?}");
    assert!(
        methods[0].contains("fn put(&self, headers") && methods[1].contains("fn nonce(&self)"),
        "{methods:?}"
    );
}

#[test]
fn cl_key_08_one_generator_and_it_is_the_crypto_librarys() {
    let weak =
        ["rand", "fastrand", "oorandom", "nanorand", "rand_chacha", "rand_pcg", "rand_xorshift", "getrandom"];
    for package in ["client", "dpop", "oauth", "fetch", "cli"] {
        let manifest =
            std::fs::read_to_string(crates().join(package).join("Cargo.toml")).expect("a manifest");
        let own = manifest.split("[dev-dependencies]").next().expect("a part");
        for name in weak {
            let is_named = own.lines().any(|line| line.split(['.', ' ', '=']).next() == Some(name));
            assert!(!is_named, "{package} depends on `{name}`: take `keybound_dpop::jose::crypto::random`");
        }
    }
    let (_, crypto) = sources(&crates().join("dpop/src/jose"))
        .into_iter()
        .find(|(name, _)| name.ends_with("jose/crypto.rs"))
        .expect("the file");
    assert!(crypto.contains("use aws_lc_rs::rand::SystemRandom;"), "its generator");
    // ECDSA and RSA-PSS are given that generator; RSASSA-PKCS1-v1_5 and Ed25519 need none.
    assert_eq!(crypto.matches(".sign(&SystemRandom::new()").count(), 1);
    assert_eq!(crypto.matches(".sign(method, &SystemRandom::new()").count(), 1);
}

#[test]
fn cl_key_08_no_two_signatures_have_the_same_nonce() {
    for (algorithm, is_randomised) in [
        (Algorithm::Es256, true),
        (Algorithm::Ps256, true),
        (Algorithm::EdDsa, false),
        (Algorithm::Rs256, false),
    ] {
        let key: SharedSigner = Arc::new(SigningKey::generate(algorithm).expect("a key"));
        let parts: BTreeSet<_> =
            (0..32).map(|_| key.sign(b"the same").expect("signed")[..32].to_vec()).collect();
        assert_eq!(parts.len(), if is_randomised { 32 } else { 1 }, "{algorithm}");
    }
}
