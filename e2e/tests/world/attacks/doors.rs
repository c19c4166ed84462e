//! The doors that JWTs come through, and a good one for each.

use crate::proofs::api::Api;
use crate::proofs::stage::sign_raw;
use keybound_dpop::jose::signer::SigningKey;
use keybound_e2e::answer::{assert_e_as, part};
use keybound_e2e::{Forge, World};
use serde_json::{Value, json};

/// A good JWT for one door, ready to be spoilt.
pub struct Letter<'a> {
    pub header: Value,
    pub claims: Value,
    pub key: &'a SigningKey,
}

impl Letter<'_> {
    pub fn sign(&self) -> String {
        self.raw(&self.header.to_string(), &self.claims.to_string())
    }

    pub fn raw(&self, header: &str, claims: &str) -> String {
        sign_raw(self.key, header.as_bytes(), claims.as_bytes())
    }

    pub fn with_head(&self, name: &str, value: impl Into<Value>) -> String {
        let mut header = self.header.clone();
        header[name] = value.into();
        self.raw(&header.to_string(), &self.claims.to_string())
    }

    pub fn with_claim(&self, name: &str, value: impl Into<Value>) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value.into();
        self.raw(&self.header.to_string(), &claims.to_string())
    }

    /// With more text at the beginning of the header's or the payload's object.
    pub fn beginning(&self, header: &str, claims: &str) -> String {
        let begin = |json: &Value, more: &str| json.to_string().replacen('{', &format!("{{{more}"), 1);
        self.raw(&begin(&self.header, header), &begin(&self.claims, claims))
    }
}

/// The four doors.
pub struct Doors {
    pub world: World,
    pub api: Api,
}

impl Doors {
    pub async fn new() -> Self {
        Self { world: World::new().await, api: Api::new() }
    }

    pub fn proof(&self) -> Letter<'_> {
        let Forge { header, claims } = self.world.proof();
        Letter { header, claims, key: &self.world.key }
    }

    pub fn proof_at_api(&self, token: &str) -> Letter<'_> {
        let Forge { header, claims } = self.api.proof("GET", "/r", token);
        Letter { header, claims, key: &self.api.key }
    }

    pub fn token(&self) -> Letter<'_> {
        let claims = self.api.claims(json!({ "jkt": keybound_e2e::forge::jkt(&self.api.key) }));
        let header = json!({ "typ": "at+jwt", "alg": "ES256" });
        Letter { header, claims, key: self.api.issuer_key() }
    }

    pub fn assertion(&self) -> Letter<'_> {
        let assertion = self.world.assertion();
        let (header, claims) = (part(assertion.reveal(), 0), part(assertion.reveal(), 1));
        Letter { header, claims, key: &self.world.client_key }
    }

    pub async fn shows_proof(&self, proof: &str) -> keybound_e2e::Answer {
        self.world.client_credentials(Some(proof)).await
    }

    pub async fn shows_at_api(&self, token: &str, proof: &str) -> keybound_e2e::Answer {
        self.api.call(self.api.request("GET", "/r", token, proof)).await
    }

    pub async fn shows_token(&self, token: &str) -> keybound_e2e::Answer {
        self.api.get(token).await
    }

    pub async fn shows_assertion(&self, assertion: &str) -> keybound_e2e::Answer {
        self.world.with_assertion(assertion, Some(&self.proof().sign())).await
    }
}

/// The attack fails at every door, and the same letters unspoilt are let in.
pub async fn everywhere(attack: impl Fn(&Letter<'_>) -> Vec<String>) {
    let doors = Doors::new().await;
    for bad in attack(&doors.proof()) {
        assert_e_as(&doors.shows_proof(&bad).await);
    }
    let token = doors.token().sign();
    for bad in attack(&doors.proof_at_api(&token)) {
        doors.api.assert_told("invalid_dpop_proof", &doors.shows_at_api(&token, &bad).await);
    }
    for bad in attack(&doors.token()) {
        doors.api.assert_told("invalid_token", &doors.shows_token(&bad).await);
    }
    for bad in attack(&doors.assertion()) {
        let answer = doors.shows_assertion(&bad).await;
        assert_eq!(answer.error(), (401, "invalid_client".to_owned()), "{answer:?}");
    }
    assert_eq!(doors.shows_proof(&doors.proof().sign()).await.status, 200);
    assert_eq!(doors.shows_at_api(&token, &doors.proof_at_api(&token).sign()).await.status, 200);
    assert_eq!(doors.shows_token(&doors.token().sign()).await.status, 200);
    assert_eq!(doors.shows_assertion(&doors.assertion().sign()).await.status, 200);
}
