//! A vector in the making: a good proof and a request that it fits, until a case says otherwise.

use crate::keys::{ED25519, Key};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::signer::Signer;
use keybound_dpop::nonce::NonceKeys;
use keybound_dpop::time::UnixTime;
use keybound_dpop::token_hash::TokenHash;
use std::fmt::Write as _;

/// The server's time in every vector.
pub(crate) const TIME: u64 = 1_800_000_000;
/// The access token in the vectors that are about a resource.
pub(crate) const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

/// The server's nonces, as vectors/README.md tells: everybody can make them.
pub(crate) fn nonces() -> NonceKeys {
    NonceKeys::new([7; 32], "vectors", None)
}

/// JSON members: names and values as they will be written.
type Members = Vec<(String, String)>;

pub(crate) struct Draft {
    key: Key,
    header: Members,
    claims: Members,
    header_bytes: Option<Vec<u8>>,
    claims_bytes: Option<Vec<u8>>,
    sign: Box<dyn Fn(Vec<u8>) -> Vec<u8>>,
    show: Box<dyn Fn(String) -> Vec<String>>,
    length: Option<usize>,
    request: Members,
}

impl Draft {
    /// For a token request.
    pub(crate) fn token_request() -> Self {
        Self::new("POST", "https://server.example/token").by(&ED25519)
    }

    /// For a request to a resource, with a token that is bound to the key.
    pub(crate) fn resource_request() -> Self {
        let draft = Self::new("GET", "https://api.example/orders").request("token", TOKEN);
        let ath = TokenHash::of(TOKEN).ath();
        draft.by(&ED25519).bound_to(&ED25519).claim("ath", &format!("\"{ath}\""))
    }

    /// A proof that was made by somebody else, for a token request.
    pub(crate) fn foreign(proof: &'static str) -> Self {
        Self::token_request().show(move |_| vec![proof.trim().to_owned()])
    }

    fn new(method: &str, url: &str) -> Self {
        let draft = Self {
            key: &ED25519,
            header: Vec::new(),
            claims: Vec::new(),
            header_bytes: None,
            claims_bytes: None,
            sign: Box::new(|signature| signature),
            show: Box::new(|compact| vec![compact]),
            length: None,
            request: Vec::new(),
        };
        let draft = draft.request("method", method).request("url", url).request("time", &TIME.to_string());
        let draft = draft.head("typ", "\"dpop+jwt\"").claim("jti", "\"@\"");
        let draft = draft.claim("htm", &format!("\"{method}\"")).claim("htu", &format!("\"{url}\""));
        draft.claim("iat", &TIME.to_string())
    }

    /// By another key. A token, where there is one, stays bound to the key before.
    pub(crate) fn by(mut self, key: Key) -> Self {
        self.key = key;
        let alg = format!("\"{}\"", key.algorithm());
        self.head("alg", &alg).head("jwk", &key.public_jwk().to_json())
    }

    /// A member of the header, as JSON.
    pub(crate) fn head(mut self, name: &str, json: &str) -> Self {
        set(&mut self.header, name, json);
        self
    }

    /// A claim, as JSON. `@` in `jti` becomes the name of the vector.
    pub(crate) fn claim(mut self, name: &str, json: &str) -> Self {
        set(&mut self.claims, name, json);
        self
    }

    pub(crate) fn without_head(mut self, name: &str) -> Self {
        self.header.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn without_claim(mut self, name: &str) -> Self {
        self.claims.retain(|(known, _)| known != name);
        self
    }

    /// The header made of something else than its members.
    pub(crate) fn header_bytes(mut self, change: impl Fn(&str) -> Vec<u8>) -> Self {
        self.header_bytes = Some(change(&json(&self.header)));
        self
    }

    /// The payload made of something else than its members.
    pub(crate) fn claims_bytes(mut self, change: impl Fn(&str) -> Vec<u8>) -> Self {
        self.claims_bytes = Some(change(&json(&self.claims)));
        self
    }

    /// A change of the signature.
    pub(crate) fn signature(mut self, change: impl Fn(Vec<u8>) -> Vec<u8> + 'static) -> Self {
        self.sign = Box::new(change);
        self
    }

    /// The field lines that are made of the proof.
    pub(crate) fn show(mut self, lines: impl Fn(String) -> Vec<String> + 'static) -> Self {
        self.show = Box::new(lines);
        self
    }

    /// A proof of that many octets.
    pub(crate) fn length(mut self, octets: usize) -> Self {
        self.length = Some(octets);
        self
    }

    /// What the server knows: a line of the file.
    pub(crate) fn request(mut self, name: &str, value: &str) -> Self {
        set(&mut self.request, name, value);
        self
    }

    pub(crate) fn bound_to(self, key: Key) -> Self {
        let jkt = key.public_jwk().thumbprint().to_string();
        self.request("jkt", &jkt)
    }

    /// Where nonces are asked for: a nonce that was issued so many seconds before the server's time.
    pub(crate) fn nonce_issued(self, state: &str, secs_before: i64) -> Self {
        let at = TIME.checked_add_signed(-secs_before).map(UnixTime::from_secs).expect("a time");
        let nonce = nonces().issue(at).to_string();
        self.request("nonce-state", state).claim("nonce", &format!("\"{nonce}\""))
    }

    /// The compact serialization.
    pub(crate) fn compact(&self, name: &str) -> String {
        match self.length {
            None => self.padded(name, 0, 0),
            Some(length) => (0..3)
                .flat_map(|in_header| (0..length).map(move |in_claims| (in_header, in_claims)))
                .map(|(in_header, in_claims)| self.padded(name, in_header, in_claims))
                .find(|compact| compact.len() == length)
                .expect("a proof of that length"),
        }
    }

    fn padded(&self, name: &str, in_header: usize, in_claims: usize) -> String {
        let (mut header, mut claims) = (self.header.clone(), self.claims.clone());
        if self.length.is_some() {
            set(&mut header, "padding", &format!("\"{}\"", "x".repeat(in_header)));
            set(&mut claims, "padding", &format!("\"{}\"", "x".repeat(in_claims)));
        }
        let header = self.header_bytes.clone().unwrap_or_else(|| json(&header).into_bytes());
        let claims = self.claims_bytes.clone().unwrap_or_else(|| json(&claims).into_bytes());
        let claims = replace(&claims, b"\"@\"", format!("\"{name}\"").as_bytes());
        let input = format!("{}.{}", base64url::encode(&header), base64url::encode(&claims));
        let signature = (self.sign)(self.key.sign(input.as_bytes()).expect("signed"));
        format!("{input}.{}", base64url::encode(&signature))
    }

    /// The file.
    pub(crate) fn render(&self, expect: &str, row: &str, name: &str, about: &str) -> String {
        let mut text = format!("expect: {expect}\nrow: {row}\nabout: {about}\n");
        let defaults =
            [("nonce-state", "none"), ("window", "300/30"), ("algorithms", "ES256 PS256 EdDSA Ed25519")];
        let mut request = self.request.clone();
        for (name, value) in defaults {
            if !request.iter().any(|(known, _)| known == name) {
                request.push((name.to_owned(), value.to_owned()));
            }
        }
        for (name, value) in request {
            let _ = writeln!(text, "{name}: {value}");
        }
        text.push('\n');
        for line in (self.show)(self.compact(name)) {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

fn set(members: &mut Members, name: &str, value: &str) {
    match members.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => value.clone_into(known),
        None => members.push((name.to_owned(), value.to_owned())),
    }
}

fn json(members: &Members) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// The first place of `from` becomes `to`.
fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    match bytes.windows(from.len()).position(|window| window == from) {
        Some(start) => {
            let (before, behind) = bytes.split_at(start);
            [before, to, behind.split_at(from.len()).1].concat()
        }
        None => bytes.to_vec(),
    }
}
