//! Attacks on the guard's memory of used proofs.

use crate::world::{World, begin, dpop};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::replay::MemoryLog;
use keybound_resource::{Reason, ReplayLog};
use serde_json::json;
use std::sync::Arc;

/// A World without nonces whose guard has that much room.
fn with_room(capacity: usize) -> (World, Arc<MemoryLog>) {
    let log = Arc::new(MemoryLog::new(capacity, begin()));
    let world = World::with(|config| {
        config.nonce = None;
        config.replay = ReplayLog::Memory(Arc::clone(&log));
    });
    (world, log)
}

#[tokio::test]
async fn atk_059_a_flood_of_proofs_pushes_nothing_out() {
    const CAPACITY: usize = 24;
    let (world, log) = with_room(CAPACITY);
    let token = world.token();
    let victim = world.proof(&token);
    assert!(world.check(dpop(&token, &victim)).await.is_ok());
    for _ in 0..200 {
        let junk = world.proof(&token);
        let (input, _) = junk.rsplit_once('.').expect("three parts");
        let junk = format!("{input}.{}", keybound_dpop::jose::base64url::encode(&[1; 64]));
        let refused = world.refused(dpop(&token, &junk)).await;
        assert_eq!(refused.told(), (401, vec![("DPoP", Some("invalid_dpop_proof"))]));
    }
    assert_eq!(log.len(), 1, "junk is not recorded");
    let (mut taken, mut unavailable) = (0, 0);
    for _ in 0..100 {
        // A key of its own for each, with a token that is bound to it.
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let mut claims = world.claims();
        claims["cnf"] = json!({ "jkt": key.public_jwk().thumbprint().to_string() });
        let token = world.sign(&claims);
        match world.check(dpop(&token, &world.proof_with(&key, &token, None))).await {
            Ok(_) => taken += 1,
            Err(rejection) => {
                assert_eq!(rejection.reason(), &Reason::ReplayLogUnavailable);
                assert_eq!(rejection.into_response().status(), 503);
                unavailable += 1;
            }
        }
    }
    assert_eq!((taken, unavailable, log.len()), (CAPACITY - 1, 100 - (CAPACITY - 1), CAPACITY));
    let again = world.refused(dpop(&token, &victim)).await;
    assert_eq!(again.told(), (401, vec![("DPoP", Some("invalid_dpop_proof"))]));
}

/// The log in memory fails in one way: it is full.
#[tokio::test]
async fn atk_061_without_a_log_nobody_is_let_in() {
    let (world, _) = with_room(0);
    let token = world.token();
    for _ in 0..2 {
        let rejection = world.check(dpop(&token, &world.proof(&token))).await.expect_err("refused");
        let response = rejection.into_response();
        assert_eq!(response.status(), 503);
        assert!(response.headers().contains_key("retry-after"));
    }
}
