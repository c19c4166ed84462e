//! The eight steps, each held against what the taps saw. A step that was not observed on the wire is told so, and the
//! demo fails.

use super::play::{Record, Theft};
use super::wire::{Exchange, Message};
use keybound_dpop::challenge::Challenge;
use keybound_dpop::header::ProofHeader;
use keybound_dpop::jose::base64url;
use keybound_dpop::proof::check::Policy;
use keybound_dpop::proof::inspect::{Against, Inspection, inspect};
use keybound_dpop::token_hash::TokenHash;
use serde_json::{Value, json};

/// One step of the flow.
pub(crate) struct Step {
    pub(crate) number: u8,
    pub(crate) title: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) message: Option<Message>,
    pub(crate) decoded: Vec<(&'static str, Value)>,
    pub(crate) facts: Vec<Fact>,
}

/// Something that must hold, and whether it did.
pub(crate) struct Fact {
    pub(crate) what: String,
    pub(crate) holds: bool,
}

/// A theft and how it ended.
pub(crate) struct Attempt {
    pub(crate) title: &'static str,
    pub(crate) request: Message,
    pub(crate) status: u16,
    pub(crate) error: String,
    pub(crate) reason: String,
    pub(crate) refused: bool,
}

/// All of it.
pub(crate) struct Story {
    pub(crate) steps: Vec<Step>,
    pub(crate) attempts: Vec<Attempt>,
}

impl Story {
    /// Reads the story off the record.
    pub(crate) fn of(record: &Record) -> Self {
        let attempts = record.thefts.iter().map(attempt).collect();
        Self { steps: steps(record), attempts }
    }

    /// Whether every step was observed and every theft refused.
    pub(crate) fn holds(&self) -> bool {
        let observed = |step: &Step| !step.facts.is_empty() && step.facts.iter().all(|fact| fact.holds);
        self.steps.len() == 8
            && self.steps.iter().all(observed)
            && self.attempts.len() == 4
            && self.attempts.iter().all(|attempt| attempt.refused)
    }
}

/// The member at that JSON Pointer (RFC 6901); `null` where there is none.
fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn fact(what: impl Into<String>, holds: bool) -> Fact {
    Fact { what: what.into(), holds }
}

/// The exchange of that number, or one that holds nothing.
fn exchange(all: &[Exchange], index: usize) -> Exchange {
    let nothing = || Message { first_line: String::new(), headers: Vec::new(), body: Vec::new() };
    all.get(index).cloned().unwrap_or_else(|| Exchange { request: nothing(), response: nothing() })
}

/// A proof as it stood in a request.
struct Seen {
    header: Value,
    claims: Value,
    inspection: Inspection,
}

fn proof_in(request: &Message) -> Seen {
    let proof = request.one("dpop").unwrap_or_default();
    let method = request.request_line().0;
    let against = Against { method: Some(method), ..Against::default() };
    let inspection = inspect(ProofHeader::One(proof.as_bytes()), &against, &Policy::default());
    let part = |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str(text).ok());
    Seen {
        header: part(&inspection.header).unwrap_or_default(),
        claims: part(&inspection.claims).unwrap_or_default(),
        inspection,
    }
}

/// The claims of a JWT, to be looked at.
fn claims_of(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).and_then(base64url::decode).unwrap_or_default();
    serde_json::from_slice(&payload).unwrap_or_default()
}

fn steps(record: &Record) -> Vec<Step> {
    let (first, second) = (exchange(&record.at_token, 0), exchange(&record.at_token, 1));
    let mut steps = key_and_proof(record, &first);
    steps.extend(challenge_and_retry(&first, &second));
    steps.push(binding(record, &second));
    steps.extend(call_and_check(record, &second));
    steps
}

fn key_and_proof(record: &Record, first: &Exchange) -> Vec<Step> {
    let proof = proof_in(&first.request);
    let public: Value = serde_json::from_str(&record.jwk).unwrap_or_default();
    let same_key = proof.inspection.jkt == Some(record.jkt);
    vec![
        Step {
            number: 1,
            title: "The client makes a key pair for DPoP",
            from: "client",
            to: "client",
            message: None,
            decoded: vec![("public key", public.clone())],
            facts: vec![fact(
                format!("thumbprint {}; the private key never leaves the client", record.jkt),
                same_key,
            )],
        },
        Step {
            number: 2,
            title: "It puts the public key into the header of a JWT and signs it with the private key",
            from: "client",
            to: "client",
            message: None,
            decoded: vec![("proof header", proof.header.clone()), ("proof claims", proof.claims.clone())],
            facts: vec![
                fact("typ is dpop+jwt", at(&proof.header, "/typ") == "dpop+jwt"),
                fact("jwk is the public key, and nothing private", *at(&proof.header, "/jwk") == public),
                fact("the signature verifies with that key", proof.inspection.holds()),
            ],
        },
        Step {
            number: 3,
            title: "It sends the proof in the DPoP header of a token request",
            from: "client",
            to: "authorization server",
            message: Some(first.request.clone()),
            decoded: Vec::new(),
            facts: vec![
                fact("exactly one DPoP header", first.request.all("dpop").count() == 1),
                fact("no nonce yet", proof.claims.get("nonce").is_none()),
            ],
        },
    ]
}

fn challenge_and_retry(first: &Exchange, second: &Exchange) -> Vec<Step> {
    let (before, after) = (proof_in(&first.request), proof_in(&second.request));
    let nonce = first.response.one("dpop-nonce");
    let error = first.response.json().map(|body| at(&body, "/error").clone());
    vec![
        Step {
            number: 4,
            title: "The authorization server sees no nonce: an error and a DPoP-Nonce",
            from: "authorization server",
            to: "client",
            message: Some(first.response.clone()),
            decoded: Vec::new(),
            facts: vec![
                fact(
                    "400 use_dpop_nonce",
                    first.response.status() == 400 && error == Some(json!("use_dpop_nonce")),
                ),
                fact("exactly one DPoP-Nonce", nonce.is_some()),
            ],
        },
        Step {
            number: 5,
            title: "The client adds the nonce, takes a new jti, signs again and sends again",
            from: "client",
            to: "authorization server",
            message: Some(second.request.clone()),
            decoded: vec![("proof claims", after.claims.clone())],
            facts: vec![
                fact(
                    "the nonce is the server's",
                    nonce.is_some() && at(&after.claims, "/nonce").as_str() == nonce,
                ),
                fact(
                    "the jti is another one",
                    at(&after.claims, "/jti").is_string()
                        && at(&after.claims, "/jti") != at(&before.claims, "/jti"),
                ),
                fact(
                    "the key is the same",
                    after.inspection.jkt.is_some() && after.inspection.jkt == before.inspection.jkt,
                ),
            ],
        },
    ]
}

fn binding(record: &Record, second: &Exchange) -> Step {
    let body = second.response.json().unwrap_or_default();
    let token = claims_of(at(&body, "/access_token").as_str().unwrap_or_default());
    Step {
        number: 6,
        title: "The authorization server binds the key to the access token and answers",
        from: "authorization server",
        to: "client",
        message: Some(second.response.clone()),
        decoded: vec![("access token claims", token.clone())],
        facts: vec![
            fact(
                "200, token_type DPoP",
                second.response.status() == 200 && at(&body, "/token_type") == "DPoP",
            ),
            fact("cnf.jkt is the key's thumbprint", *at(&token, "/cnf/jkt") == record.jkt.to_string()),
        ],
    }
}

fn call_and_check(record: &Record, second: &Exchange) -> Vec<Step> {
    let body = second.response.json().unwrap_or_default();
    let token = at(&body, "/access_token").as_str().unwrap_or_default().to_owned();
    let call = record.at_gateway.last().cloned().unwrap_or_else(|| exchange(&[], 0));
    let proof = proof_in(&call.request);
    let challenged = record.at_gateway.first().filter(|_| record.at_gateway.len() > 1);
    let mut facts = vec![
        fact(
            "Authorization: DPoP with the token",
            call.request.one("authorization") == Some(&format!("DPoP {token}")),
        ),
        fact(
            "ath is the token's hash",
            !token.is_empty() && *at(&proof.claims, "/ath") == TokenHash::of(&token).ath(),
        ),
    ];
    if let Some(challenged) = challenged {
        let status = challenged.response.status();
        let own_nonce = challenged.response.one("dpop-nonce");
        facts.push(fact(
            "the resource server asked for a nonce of its own first (401), and the client sent it",
            status == 401 && own_nonce.is_some() && at(&proof.claims, "/nonce").as_str() == own_nonce,
        ));
    }
    let at_api = record.at_api.last();
    let token_stays = at_api.is_some_and(|seen| seen.request.all("authorization").count() == 0);
    vec![
        Step {
            number: 7,
            title: "The client calls the resource with the bound token and a proof",
            from: "client",
            to: "resource server",
            message: Some(call.request.clone()),
            decoded: vec![("proof claims", proof.claims.clone())],
            facts,
        },
        Step {
            number: 8,
            title: "The resource server checks that the proof's key is the token's key, and grants access",
            from: "resource server",
            to: "client",
            message: Some(call.response.clone()),
            decoded: Vec::new(),
            facts: vec![
                fact("the proof's key is the token's key", proof.inspection.jkt == Some(record.jkt)),
                fact(
                    "200, and the API was reached once",
                    call.response.status() == 200 && record.at_api.len() == 1,
                ),
                fact("the API learnt who calls, and never saw the token", token_stays),
            ],
        },
    ]
}

fn attempt(theft: &Theft) -> Attempt {
    let response = &theft.exchange.response;
    let challenges = Challenge::parse_all(response.all("www-authenticate"));
    let told = challenges.iter().find(|challenge| challenge.get("error").is_some());
    let text = |name| told.and_then(|challenge| challenge.get(name)).unwrap_or_default().to_owned();
    let (status, error) = (response.status(), text("error"));
    Attempt {
        title: theft.title,
        request: theft.exchange.request.clone(),
        status,
        refused: status == 401 && error == theft.expected,
        error,
        reason: text("error_description"),
    }
}
