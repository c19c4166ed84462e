//! Questions of Envoy by gRPC: `envoy.service.auth.v3.Authorization/Check`, one message there and one back
//! (gRPC over HTTP/2, "Requests" and "Responses").

use super::auth_request::{ask_about, target};
use super::messages::{
    Append, CheckRequest, CheckResponse, DeniedResponse, HeaderLine, HeaderOption, HttpRequest, HttpResponse,
    HttpStatus, OkResponse, RpcStatus,
};
use super::{Passed, Verdict, decide};
use crate::headers::IDENTITY;
use crate::refusal::Refusal;
use crate::service::Gateway;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, VARY};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;
use http_body_util::combinators::WithTrailers;
use http_body_util::{BodyExt, Full, Limited};
use keybound_dpop::header::DPOP;
use keybound_resource::PublicUrl;
use prost::Message;
use std::convert::Infallible;
use std::future::{Ready, ready};

/// Octets of a question, at the most: the head of one request, and what Envoy says of its connection.
const MAX_QUESTION: usize = 256 * 1024;
/// A flag and a length go before each message.
const PREFIX: usize = 5;

/// gRPC's codes.
const OK: i32 = 0;
const INVALID_ARGUMENT: i32 = 3;
const PERMISSION_DENIED: i32 = 7;

type Answered = Response<WithTrailers<Full<Bytes>, Ready<Option<Result<HeaderMap, Infallible>>>>>;

pub(super) fn is_grpc(question: &Parts) -> bool {
    let kind = question.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    question.method == Method::POST
        && question.uri.path() == "/envoy.service.auth.v3.Authorization/Check"
        && kind.starts_with(b"application/grpc")
}

pub(super) async fn answer<B>(gateway: &Gateway, body: B) -> Answered
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let message = Limited::new(body, MAX_QUESTION).collect().await.ok();
    match message.and_then(|message| question(&message.to_bytes())) {
        Some(asked) => {
            let verdict = match original(asked, &gateway.public) {
                Ok(original) => decide(gateway, &original).await,
                Err(refusal) => Verdict::Answer(refusal.into_answer()),
            };
            framed(OK, &response(verdict).await.encode_to_vec())
        }
        None => framed(INVALID_ARGUMENT, &[]),
    }
}

/// The one message of a question, not compressed.
fn question(framed: &[u8]) -> Option<HttpRequest> {
    let (prefix, message) = framed.split_at_checked(PREFIX)?;
    let (flag, length) = prefix.split_first()?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    if *flag != 0 || usize::try_from(length).ok()? != message.len() {
        return None;
    }
    CheckRequest::decode(message).ok()?.attributes?.request?.http
}

fn framed(code: i32, message: &[u8]) -> Answered {
    let mut data = BytesMut::new();
    if let (OK, Ok(length)) = (code, u32::try_from(message.len())) {
        data.reserve(PREFIX + message.len());
        data.put_u8(0);
        data.put_u32(length);
        data.put_slice(message);
    }
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from(code))]);
    let mut answer = Response::new(Full::from(data.freeze()).with_trailers(ready(Some(Ok(trailers)))));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    answer
}

/// The request that Envoy asks about. Several lines of one name arrive as one, joined with commas, which no proof and no
/// token holds: what was sent twice stays refused.
fn original(asked: HttpRequest, public: &PublicUrl) -> Result<Parts, Refusal> {
    let (mut parts, ()) = Request::new(()).into_parts();
    let read = read(&mut parts, asked, public);
    read.map_err(|why| Refusal::bad_request(&parts, "BCP-PRX-01", why))?;
    Ok(parts)
}

fn read(parts: &mut Parts, asked: HttpRequest, public: &PublicUrl) -> Result<(), &'static str> {
    let lines = asked.header_map.map(|map| map.headers).unwrap_or_default();
    let lines = lines.into_iter().map(|line| {
        let value = if line.raw_value.is_empty() { line.value.into_bytes() } else { line.raw_value };
        (line.key, value)
    });
    let joined = asked.headers.into_iter().map(|(name, value)| (name, value.into_bytes()));
    for (name, value) in lines.chain(joined).filter(|(name, _)| !name.starts_with(':')) {
        let name = HeaderName::try_from(name).map_err(|_| "a field of the original request has no name")?;
        let value = HeaderValue::try_from(value).map_err(|_| "a field of the original request is none")?;
        parts.headers.append(name, value);
    }
    let method = Method::from_bytes(asked.method.as_bytes()).map_err(|_| "the original method is none")?;
    ask_about(parts, (method, target(&asked.path)?, &asked.host), public)
}

async fn response(verdict: Verdict) -> CheckResponse {
    let (code, http_response) = match verdict {
        Verdict::Pass(passed) => (OK, HttpResponse::Ok(passing(*passed))),
        Verdict::Answer(answer) => (PERMISSION_DENIED, HttpResponse::Denied(denying(answer).await)),
    };
    CheckResponse { status: Some(RpcStatus { code }), http_response: Some(http_response) }
}

fn passing(passed: Passed) -> OkResponse {
    let unsaid = IDENTITY.into_iter().filter(|name| !passed.identity.contains_key(name));
    let token = (!passed.kept.token).then_some(AUTHORIZATION);
    let removed = unsaid.chain(token).chain((!passed.kept.proof).then_some(DPOP));
    let for_caller = passed.for_caller.iter().map(|(name, value)| {
        let how = match *name {
            VARY => Append::Always,
            CACHE_CONTROL if value != "no-store" => Append::IfAbsent,
            _ => Append::Overwrite,
        };
        option(name, value, how)
    });
    OkResponse {
        headers: passed.identity.iter().map(|(name, value)| option(name, value, Append::Overwrite)).collect(),
        headers_to_remove: removed.map(|name| name.as_str().to_owned()).collect(),
        response_headers_to_add: for_caller.collect(),
    }
}

async fn denying(answer: Response<Full<Bytes>>) -> DeniedResponse {
    let (parts, body) = answer.into_parts();
    let body = match body.collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(never) => match never {},
    };
    let headers = parts.headers.iter().map(|(name, value)| option(name, value, Append::Always));
    let status = HttpStatus { code: i32::from(parts.status.as_u16()) };
    DeniedResponse { status: Some(status), headers: headers.collect(), body }
}

fn option(name: &HeaderName, value: &HeaderValue, how: Append) -> HeaderOption {
    let value = value.to_str().unwrap_or_default().to_owned();
    let header = HeaderLine { key: name.as_str().to_owned(), value, raw_value: Vec::new() };
    HeaderOption { header: Some(header), append_action: how.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_whole_message_is_a_question() {
        let http = HttpRequest { method: "GET".to_owned(), path: "/".to_owned(), ..HttpRequest::default() };
        let asked = CheckRequest {
            attributes: Some(super::super::messages::AttributeContext {
                request: Some(super::super::messages::AttributeRequest { http: Some(http.clone()) }),
            }),
        };
        let message = asked.encode_to_vec();
        let framed = |flag: u8, length: usize| {
            let length = u32::try_from(length).expect("a length").to_be_bytes();
            [&[flag][..], &length, &message].concat()
        };
        assert_eq!(question(&framed(0, message.len())), Some(http));
        let two = [framed(0, message.len()), framed(0, message.len())].concat();
        for bad in
            [framed(1, message.len()), framed(0, message.len() + 1), two, Vec::new(), vec![0; 4], vec![0; 5]]
        {
            assert_eq!(question(&bad), None, "{bad:?}");
        }
        // Whatever comes is read to an end, or not taken.
        let whole = framed(0, message.len());
        for (at, octet) in (0..whole.len()).flat_map(|at| (0..=u8::MAX).map(move |octet| (at, octet))) {
            let mut bent = whole.clone();
            bent[at] = octet;
            let _ = question(&bent);
            let _ = question(&bent[..at]);
        }
    }

    #[test]
    fn dpop_hdr_04_lines_of_one_name_stay_several_or_become_no_proof() {
        let public = PublicUrl::parse("https://api.example").expect("a URL");
        let asked = |headers: &[(&str, &str)], lines: &[(&str, &str)]| HttpRequest {
            method: "GET".to_owned(),
            path: "/a?b".to_owned(),
            host: "api.example".to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            header_map: Some(super::super::messages::HeaderLines {
                headers: lines
                    .iter()
                    .map(|(name, value)| HeaderLine {
                        key: (*name).to_owned(),
                        value: String::new(),
                        raw_value: value.as_bytes().to_vec(),
                    })
                    .collect(),
            }),
        };
        let proofs = |asked| {
            let parts = original(asked, &public).ok().expect("an original request");
            assert_eq!(parts.uri, "/a?b");
            let lines: Vec<String> = parts
                .headers
                .get_all(DPOP)
                .iter()
                .map(|line| line.to_str().expect("text").to_owned())
                .collect();
            lines
        };
        assert_eq!(proofs(asked(&[(":path", "/x"), ("dpop", "a,b")], &[])), ["a,b"]);
        assert_eq!(proofs(asked(&[], &[("dpop", "a"), ("dpop", "b")])), ["a", "b"]);
        let mut other = asked(&[], &[]);
        other.host = "evil.example".to_owned();
        assert!(original(other, &public).is_err());
    }
}
