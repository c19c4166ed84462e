//! What goes out and comes in, for people: proofs decoded, tokens and cookies as hashes (CL-CLI-04).

use crate::error::CommandError;
use crate::output::{self, Style, plain, plain_json};
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use keybound_dpop::header::DPOP;
use keybound_dpop::jose::base64url;
use keybound_dpop::token_hash::TokenHash;

/// Writes to stderr, if it is to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace {
    enabled: bool,
    style: Style,
}

impl Trace {
    pub(super) fn new(enabled: bool) -> Self {
        Self { enabled, style: Style::of_stderr() }
    }

    pub(super) fn note(self, text: &str) -> Result<(), CommandError> {
        if self.enabled { output::note(&self.style.faint(&format!("* {text}\n"))) } else { Ok(()) }
    }

    pub(super) fn sent<B>(self, request: &Request<B>) -> Result<(), CommandError> {
        if !self.enabled {
            return Ok(());
        }
        let mut text = format!("> {} {}\n", request.method(), plain(&request.uri().to_string()));
        for line in lines(request.headers()) {
            text.push_str(&format!("> {line}\n"));
        }
        for proof in request.headers().get_all(DPOP) {
            text.push_str(&self.style.faint(&decoded(proof)));
        }
        output::note(&text)
    }

    pub(super) fn came<B>(self, response: &Response<B>) -> Result<(), CommandError> {
        if !self.enabled {
            return Ok(());
        }
        let text: String = head(response).lines().map(|line| format!("< {line}\n")).collect();
        output::note(&text)
    }
}

/// Status and headers of an answer.
pub(super) fn head<B>(response: &Response<B>) -> String {
    let mut text = format!("{:?} {}\n", response.version(), response.status());
    for line in lines(response.headers()) {
        text.push_str(&format!("{line}\n"));
    }
    text.push('\n');
    text
}

fn lines(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers.iter().map(|(name, value)| {
        let is_secret = value.is_sensitive() || is_secret(name);
        let value = String::from_utf8_lossy(value.as_bytes());
        format!("{name}: {}", if is_secret { redacted(&value) } else { plain(&value) })
    })
}

fn is_secret(name: &HeaderName) -> bool {
    [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE, DPOP].contains(name)
}

/// The scheme, where there is one, and a hash by which equal secrets can be known.
fn redacted(value: &str) -> String {
    let (scheme, secret) = match value.split_once(' ') {
        Some((scheme, secret)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => (scheme, secret),
        _ => ("", value),
    };
    let hash: String = TokenHash::of(secret).ath().chars().take(12).collect();
    format!("{scheme} [sha256 {hash}…, {} octets]", secret.len()).trim_start().to_owned()
}

/// Header and claims of a proof.
fn decoded(proof: &HeaderValue) -> String {
    let text = proof.to_str().unwrap_or_default();
    let parts = text.split('.').take(2).filter_map(base64url::decode);
    parts
        .map(|part| plain_json(&String::from_utf8_lossy(&part)))
        .flat_map(|json| json.lines().map(|line| format!("    {line}\n")).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cl_cli_04_secrets_are_shown_as_hashes() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("DPoP s3cret-token"));
        headers.insert(DPOP, HeaderValue::from_static("aaa.bbb.ccc"));
        headers.insert(SET_COOKIE, HeaderValue::from_static("sid=s3cret-cookie; Path=/"));
        headers.insert("x-note", HeaderValue::from_bytes(b"a\xc2\x9bb").expect("a value"));
        let text = lines(&headers).collect::<Vec<_>>().join("\n");
        assert!(!text.contains("s3cret") && !text.contains("bbb"), "{text}");
        assert!(text.contains("authorization: DPoP [sha256 "), "{text}");
        assert!(text.contains("x-note: a\\u{9b}b"), "{text}");
    }
}
