//! What somebody gains who gets at a part of what the client has (RFC 9449 §11.4): the files of its sessions, a token, a
//! proof, but not the key.

use crate::server::{Hostile, says};
use crate::victim::{SECRETS, TOKEN, api, get, prover, session, transport};
use keybound_client::api::{Api, ApiSettings};
use keybound_client::error::ClientError;
use keybound_client::keystore::KeyStore;
use keybound_client::resource_exchange::{ResourceError, prepare};
use keybound_client::session_store::SessionStore;
use keybound_dpop::jose::algorithm::Algorithm;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// All files below a folder, with their modes and what is in them.
pub(crate) fn files(folder: &std::path::Path) -> Vec<(String, u32, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("metadata").permissions().mode() & 0o777;
        let name = entry.path().display().to_string();
        if entry.path().is_dir() {
            assert_eq!(mode & 0o077, 0, "{name}");
            all.extend(files(&entry.path()));
        } else {
            all.push((
                name,
                mode,
                String::from_utf8_lossy(&std::fs::read(entry.path()).expect("a file")).into_owned(),
            ));
        }
    }
    all
}

/// Sessions and keys are apart: who copies the one has nothing to prove it with. Nobody else reads either.
#[tokio::test]
async fn cl_key_07_cl_key_02_atk_125_a_stolen_session_is_no_key() {
    let folder = TempDir::new().expect("a folder");
    let keys = KeyStore::open(folder.path().join("keys")).expect("a key store");
    let key = keys.create("default", Algorithm::Es256).expect("a key");
    let (_, _, kept) = files(folder.path()).remove(0);
    let (_, rest) = kept.split_once("\"d\":\"").expect("a private part");
    let d = rest.split('"').next().expect("its end").to_owned();
    let sessions = SessionStore::open(folder.path().join("sessions")).expect("a session store");
    let victim = keybound_client::prover::Prover::new(
        key,
        Default::default(),
        std::sync::Arc::new(keybound_e2e::TurnedClock::default()),
    );
    let hostile = Hostile::start(|_, _| says(200, &[], "")).await;
    sessions.save("default", &session(&victim, "https://id.example", &[&hostile.origin])).expect("saved");
    let all = files(folder.path());
    assert!(all.iter().all(|(_, mode, _)| mode & 0o077 == 0), "{all:?}");
    assert!(all.iter().filter(|(name, ..)| name.contains("/sessions/")).all(|(.., text)| !text.contains(&d)));
    // With the file and a key of one's own nothing can be sent, not even by mistake.
    let stolen = sessions.load("default").expect("a session");
    let refused = Api::new(transport(), prover(), stolen, ApiSettings::default());
    assert!(matches!(refused, Err(ResourceError::WrongKey { .. })), "{refused:?}");
    let stolen = sessions.load("default").expect("a session");
    let refused = prepare(&stolen, &prover(), &get(&hostile.origin));
    assert!(matches!(refused, Err(ResourceError::WrongKey { .. })), "{refused:?}");
    assert_eq!(hostile.asked().len(), 0);
    // With its own key it can, and the private part goes nowhere.
    let own = sessions.load("default").expect("a session");
    let api = Api::new(transport(), victim, own, ApiSettings::default()).expect("an API");
    api.send(get(&hostile.origin)).await.expect("an answer");
    hostile.assert_knows_none_of(&[&d]);
}

/// What a hostile resource has in its hands after a call is good for that one request.
#[tokio::test]
async fn cl_prf_01_cl_prf_02_atk_125_what_a_resource_gets_is_good_for_nothing_else() {
    let hostile = Hostile::start(|_, _| says(200, &[], "")).await;
    let api = api(&hostile, ApiSettings::default());
    for _ in 0..5 {
        api.send(get(&hostile.origin)).await.expect("an answer");
    }
    let proofs: Vec<_> = hostile.asked().iter().map(crate::server::Asked::proof).collect();
    for proof in &proofs {
        assert_eq!(proof["htu"], format!("{}/orders", hostile.origin));
        assert_eq!(proof["htm"], "GET");
        assert_eq!(proof["ath"], keybound_dpop::token_hash::TokenHash::of(TOKEN).ath());
        assert!(proof.get("exp").is_none() && proof.get("nonce").is_none(), "{proof}");
    }
    let jtis: std::collections::HashSet<_> = proofs.iter().map(|proof| proof["jti"].to_string()).collect();
    assert_eq!(jtis.len(), 5);
    for asked in hostile.asked() {
        let header = keybound_e2e::answer::part(asked.header("dpop")[0], 0);
        let mut members: Vec<_> = header["jwk"].as_object().expect("a JWK").keys().cloned().collect();
        members.sort();
        assert_eq!(members, ["crv", "kty", "x", "y"]);
    }
    let others: Vec<_> = SECRETS.into_iter().filter(|secret| *secret != TOKEN).collect();
    hostile.assert_knows_none_of(&others);
}

/// The token goes to the resources that it is for, whatever URL somebody gets into the program.
#[tokio::test]
async fn cl_tok_08_atk_125_the_token_goes_nowhere_else() {
    let (right, thief) = (Hostile::start(|_, _| says(200, &[], "")).await, Hostile::empty().await);
    let api = api(&right, ApiSettings::default());
    let port = right.origin.rsplit(':').next().expect("a port");
    for url in [
        format!("{}/orders", thief.origin),
        format!("{}@{}/", right.origin, thief.origin.trim_start_matches("http://")),
        format!("http://localhost:{port}/orders"),
        format!("https://127.0.0.1:{port}/orders"),
        "https://evil.example/".to_owned(),
    ] {
        let request = http::Request::get(&url).body(bytes::Bytes::new());
        let Ok(request) = request else { continue };
        let refused = api.send(request).await;
        assert!(matches!(refused, Err(ClientError::Resource(_))), "{url}: {refused:?}");
    }
    assert_eq!((right.asked().len(), thief.asked().len()), (0, 0));
}
