//! Hands for the sign-in pages: they send the forms that a person would send, over HTTP, cookies and all.

use super::parties::USERNAME;
use crate::error::CommandError;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, Response};
use keybound_dpop::secret::Secret;
use keybound_fetch::Fetcher;
use keybound_oauth::form::FormWriter;
use std::collections::BTreeMap;

/// Pages on the way, at the most.
const MAX_PAGES: usize = 8;

/// A browser without a window.
pub(crate) struct Browser {
    fetcher: Fetcher,
    origin: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// For the pages of that origin.
    pub(crate) fn new(fetcher: Fetcher, origin: &str) -> Self {
        Self { fetcher, origin: origin.to_owned(), cookies: BTreeMap::new() }
    }

    /// Goes to `url`, signs in, allows, and gives the query with which the client gets its answer.
    pub(crate) async fn sign_in(&mut self, url: &str, password: &Secret) -> Result<Secret, CommandError> {
        let mut response = self.go(Method::GET, url, None).await?;
        for _ in 0..MAX_PAGES {
            if let Some(location) = location(response.headers()) {
                let target = self.absolute(&location);
                if !target.starts_with(&self.origin) {
                    let query = target.split_once('?').map_or("", |(_, query)| query);
                    return Ok(Secret::new(query));
                }
                response = self.go(Method::GET, &target, None).await?;
                continue;
            }
            let page = String::from_utf8_lossy(response.body()).into_owned();
            let Some(action) = attribute(&page, "<form", "action") else { break };
            let form = fill(&page, password);
            let target = self.absolute(&action);
            response = self.go(Method::POST, &target, Some(form)).await?;
        }
        Err(CommandError::failed(format!("sign-in ended at a page with status {}", response.status())))
    }

    async fn go(
        &mut self,
        method: Method,
        url: &str,
        form: Option<String>,
    ) -> Result<Response<Bytes>, CommandError> {
        let mut request = Request::builder().method(method).uri(url);
        if !self.cookies.is_empty() {
            let all: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, all.join("; "));
        }
        if form.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            request = request.header("sec-fetch-site", "same-origin");
        }
        let request = request.body(Bytes::from(form.unwrap_or_default())).map_err(CommandError::failed)?;
        let response = self.fetcher.send(request).await.map_err(CommandError::failed)?;
        for cookie in response.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(response)
    }

    fn absolute(&self, target: &str) -> String {
        if target.starts_with('/') { format!("{}{target}", self.origin) } else { target.to_owned() }
    }
}

fn location(headers: &HeaderMap) -> Option<String> {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok())?;
    // A browser keeps the fragment to itself (RFC 9110 §4.2.5).
    location.split('#').next().map(str::to_owned)
}

/// What a person would write into this page's form: name and password where they are asked for, else consent.
fn fill(page: &str, password: &Secret) -> String {
    let mut form = FormWriter::new();
    for input in page.split("<input").skip(1) {
        let input = input.split('>').next().unwrap_or_default();
        if let (Some(name), Some("hidden")) = (value_of(input, "name"), value_of(input, "type").as_deref()) {
            form = form.pair(&name, &value_of(input, "value").unwrap_or_default());
        }
    }
    if page.contains("name=\"password\"") {
        form.pair("username", USERNAME).pair("password", password.reveal()).finish()
    } else {
        form.pair("allow", "1").finish()
    }
}

fn attribute(page: &str, tag: &str, name: &str) -> Option<String> {
    let inside = page.split(tag).nth(1)?.split('>').next()?;
    value_of(inside, name)
}

fn value_of(tag: &str, name: &str) -> Option<String> {
    let value = tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
    let named =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    let plain =
        named.iter().fold(value.to_owned(), |text, (entity, character)| text.replace(entity, character));
    Some(plain.replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_filled_in() {
        let page = r#"<form method="post" action="/login"><input type="hidden" name="csrf" value="a&amp;b">
            <input id="username" name="username"><input type="password" name="password"></form>"#;
        assert_eq!(attribute(page, "<form", "action").as_deref(), Some("/login"));
        assert_eq!(fill(page, &Secret::new("p")), "csrf=a%26b&username=alice&password=p");
        assert_eq!(fill("<form><button name=\"allow\">", &Secret::new("p")), "allow=1");
    }
}
