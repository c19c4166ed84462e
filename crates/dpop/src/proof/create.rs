//! Making a proof (RFC 9449 §4.2), in two halves so that the private key can be anywhere.

use crate::jose::algorithm::Algorithm;
use crate::jose::base64url;
use crate::jose::jwk::PublicJwk;
use crate::jose::signer::{SignError, Signer};
use crate::nonce::Nonce;
use crate::target::{Target, TargetError};
use crate::time::UnixTime;
use crate::token_hash::TokenHash;
use std::fmt::Write as _;

/// What a new proof says. Every request gets its own, with its own `jti`.
#[derive(Clone, Debug)]
pub struct NewProof<'a> {
    /// The method of the request, as it will be sent.
    pub method: &'a str,
    /// The URL of the request: without query, fragment and user information ([`htu`] makes it so).
    pub htu: &'a str,
    /// The access token beside the proof, at a resource.
    pub token: Option<TokenHash>,
    /// The server's nonce, once it has given one.
    pub nonce: Option<&'a Nonce>,
    /// 128 random bits, never used before.
    pub entropy: [u8; 16],
    /// The time, by the clock of the server as far as it is known. Goes into `iat` in whole seconds.
    pub iat: UnixTime,
}

/// The header of all proofs with one key, made once.
#[derive(Clone, Debug)]
pub struct ProofHeader(String);

impl ProofHeader {
    /// For that key.
    #[must_use]
    pub fn of(algorithm: Algorithm, key: &PublicJwk) -> Self {
        let header = format!(r#"{{"typ":"dpop+jwt","alg":"{algorithm}","jwk":{}}}"#, key.to_json());
        let mut encoded = base64url::encode(header.as_bytes());
        encoded.push('.');
        Self(encoded)
    }
}

/// A proof that lacks its signature.
#[derive(Clone, Debug)]
pub struct UnsignedProof(String);

impl NewProof<'_> {
    /// The first half: the bytes to sign (RFC 7515 §5.1).
    #[must_use]
    pub fn prepare(&self, algorithm: Algorithm, key: &PublicJwk) -> UnsignedProof {
        self.prepare_under(&ProofHeader::of(algorithm, key))
    }

    /// The first half, by who makes many proofs with one key.
    #[must_use]
    pub fn prepare_under(&self, header: &ProofHeader) -> UnsignedProof {
        let claims = self.claims();
        // Four characters for three octets, and room for a signature of the usual length.
        let mut text = String::with_capacity(header.0.len() + claims.len() * 4 / 3 + 100);
        text.push_str(&header.0);
        base64url::encode_onto(&mut text, claims.as_bytes());
        UnsignedProof(text)
    }

    /// The payload. What comes from outside may need escapes; `jti`, `ath` and `iat` do not.
    fn claims(&self) -> String {
        let mut json = String::with_capacity(256 + self.htu.len());
        json.push_str(r#"{"jti":""#);
        base64url::encode_onto(&mut json, &self.entropy);
        json.push_str(r#"","htm":"#);
        push_text(&mut json, self.method);
        json.push_str(r#","htu":"#);
        push_text(&mut json, self.htu);
        json.push_str(r#","iat":"#);
        let _ = write!(json, "{}", self.iat.as_secs());
        if let Some(token) = self.token {
            json.push_str(r#","ath":""#);
            base64url::encode_onto(&mut json, token.as_bytes());
            json.push('"');
        }
        if let Some(nonce) = self.nonce {
            json.push_str(r#","nonce":"#);
            push_text(&mut json, nonce.as_str());
        }
        json.push('}');
        json
    }

    /// Both halves at once.
    ///
    /// # Errors
    /// [`SignError`] where the signer cannot sign.
    pub fn sign(&self, signer: &(impl Signer + ?Sized)) -> Result<String, SignError> {
        self.sign_under(&ProofHeader::of(signer.algorithm(), signer.public_jwk()), signer)
    }

    /// Both halves at once, by who makes many proofs with one key.
    ///
    /// # Errors
    /// [`SignError`] where the signer cannot sign.
    pub fn sign_under(
        &self,
        header: &ProofHeader,
        signer: &(impl Signer + ?Sized),
    ) -> Result<String, SignError> {
        let unsigned = self.prepare_under(header);
        let signature = signer.sign(unsigned.signing_input())?;
        Ok(unsigned.finish(&signature))
    }
}

/// Appends the text as a JSON string.
fn push_text(json: &mut String, text: &str) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        json.push_str(&serde_json::Value::from(text).to_string());
    }
}

impl UnsignedProof {
    /// What the signature is made over: header and payload in base64url, a dot between them.
    #[must_use]
    pub fn signing_input(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The second half: the proof, as it goes into the `DPoP` header. The signature is in JOSE form: R and S
    /// side by side for ECDSA (RFC 7518 §3.4), not DER. It is not checked.
    #[must_use]
    pub fn finish(mut self, signature: &[u8]) -> String {
        self.0.push('.');
        base64url::encode_onto(&mut self.0, signature);
        self.0
    }
}

/// The `htu` for a URL that is about to be called: as it will be sent, without query, fragment and user information;
/// an empty path is `/` (RFC 9449 §4.2, RFC 9110 §4.2.4).
///
/// # Errors
/// [`TargetError`] where the URL is not an absolute http or https one.
pub fn htu(url: &str) -> Result<String, TargetError> {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (scheme, rest) =
        url.get(..end).and_then(|url| url.split_once("://")).ok_or(TargetError::NotAbsolute)?;
    let (authority, path) = match rest.find('/').and_then(|slash| rest.split_at_checked(slash)) {
        Some((authority, path)) => (authority, path),
        None => (rest, "/"),
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let htu = format!("{scheme}://{host}{path}");
    Target::parse(&htu)?;
    Ok(htu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::json::Object;
    use crate::target::MAX_HTU_LEN;

    #[test]
    fn what_comes_from_outside_is_escaped() {
        let odd = "https://h/\"\\\n\u{7f}é";
        let iat = UnixTime::from_secs(1_800_000_000);
        let proof = NewProof { method: "A\"B", htu: odd, token: None, nonce: None, entropy: [7; 16], iat };
        let json = proof.claims();
        let claims = Object::parse(json.as_bytes()).expect("JSON");
        assert_eq!(claims.string("htm"), Ok(Some("A\"B")));
        assert_eq!(claims.string("htu"), Ok(Some(odd)));
        assert_eq!(claims.numeric_date("iat"), Ok(Some(iat)));
        for alone in ["\"", "\\", "\u{1f}", "~ "] {
            let json = NewProof { method: alone, ..proof.clone() }.claims();
            let claims = Object::parse(json.as_bytes()).expect("JSON");
            assert_eq!(claims.string("htm"), Ok(Some(alone)));
        }
    }

    #[test]
    fn cl_prf_02_htu_is_the_url_without_query_and_fragment() {
        assert_eq!(htu("https://h/p?q#f").as_deref(), Ok("https://h/p"));
        assert_eq!(htu("https://h/p#f?q").as_deref(), Ok("https://h/p"));
        assert_eq!(htu("https://H:443/a%7e").as_deref(), Ok("https://H:443/a%7e"));
    }

    #[test]
    fn cl_prf_03_user_information_goes_and_an_empty_path_is_a_slash() {
        assert_eq!(htu("https://u:p@h").as_deref(), Ok("https://h/"));
        assert_eq!(htu("https://u@h:8443?x").as_deref(), Ok("https://h:8443/"));
        assert!(htu("/p").is_err() && htu("mailto:a@b").is_err());
    }

    #[test]
    fn dpop_htu_16_what_no_server_would_take_is_not_signed() {
        let url = |len: usize| format!("https://h/{}", "a".repeat(len - "https://h/".len()));
        assert_eq!(htu(&format!("{}?{}", url(MAX_HTU_LEN), "q".repeat(10))), Ok(url(MAX_HTU_LEN)));
        assert_eq!(htu(&url(MAX_HTU_LEN + 1)), Err(TargetError::TooLong));
    }
}
