//! A browser without a window: it sends the forms that a person would send, cookies and all, over HTTP or straight into
//! a service.

use crate::answer::Answer;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE};
use http::{Method, Request};
use keybound_fetch::{Fetcher, Settings};
use keybound_oauth::form::FormWriter;
use std::collections::BTreeMap;
use tower::ServiceExt;
use url::Url;

/// Pages on the way, at the most.
const MAX_PAGES: usize = 8;

/// How requests get to the provider.
enum Way {
    Network(Fetcher),
    Within(Router),
}

/// How a browser gets back to the client.
pub enum Back {
    /// By a redirect to this URL.
    Redirected(Url),
    /// By a page that posts this form.
    Posted(String),
}

impl Back {
    /// The URL of a redirect, as a browser asks for it: without a fragment.
    pub fn url(self) -> String {
        match self {
            Self::Redirected(mut to) => {
                to.set_fragment(None);
                to.into()
            }
            Self::Posted(form) => panic!("a redirect was expected: {form}"),
        }
    }
}

/// One person at one browser.
pub struct Hands {
    way: Way,
    cookies: BTreeMap<String, String>,
    username: String,
    password: String,
}

impl Hands {
    /// Somebody who types this name and this password.
    pub fn of(username: &str, password: &str) -> Self {
        let fetcher = Fetcher::for_operator(&Settings::default()).expect("an HTTP client");
        Self::by(Way::Network(fetcher), username, password)
    }

    /// The same, at a provider in this process.
    pub fn within(router: Router, username: &str, password: &str) -> Self {
        Self::by(Way::Within(router), username, password)
    }

    fn by(way: Way, username: &str, password: &str) -> Self {
        let (username, password) = (username.to_owned(), password.to_owned());
        Self { way, cookies: BTreeMap::new(), username, password }
    }

    /// Goes to the authorization endpoint, signs in and allows. Gives the query or the form that the client is
    /// answered with, or the text of the page that says no.
    pub async fn allow(&mut self, url: &str) -> Result<String, String> {
        Ok(match self.come_back(url).await? {
            Back::Redirected(to) => to.query().unwrap_or_default().to_owned(),
            Back::Posted(form) => form,
        })
    }

    /// The same. Gives how the browser gets back to the client.
    pub async fn come_back(&mut self, url: &str) -> Result<Back, String> {
        let mut here = Url::parse(url).expect("a URL");
        let mut answer = self.go(Method::GET, &here, None).await;
        for _ in 0..MAX_PAGES {
            if let Some(location) = answer.header("location").pop() {
                let target = here.join(&location).expect("a location");
                if target.origin() != here.origin() {
                    return Ok(Back::Redirected(target));
                }
                here = target;
                answer = self.go(Method::GET, &here, None).await;
                continue;
            }
            let page = String::from_utf8_lossy(&answer.body).into_owned();
            if page.contains("id=\"error\"") {
                return Err(page);
            }
            let action = attribute(&page, "<form", "action").expect("a form");
            let target = here.join(&action).expect("an action");
            if target.origin() != here.origin() {
                return Ok(Back::Posted(self.fill(&page)));
            }
            here = target;
            answer = self.go(Method::POST, &here, Some(self.fill(&page))).await;
        }
        panic!("no end of pages: {answer:?}")
    }

    /// Follows a device's link (RFC 8628 §3.3.1), signs in and allows. Gives the text of the last page.
    pub async fn connect(&mut self, link: &str) -> String {
        let mut here = Url::parse(link).expect("a URL");
        let mut answer = self.go(Method::GET, &here, None).await;
        for _ in 0..MAX_PAGES {
            if let Some(location) = answer.header("location").pop() {
                here = here.join(&location).expect("a location");
                answer = self.go(Method::GET, &here, None).await;
                continue;
            }
            let page = String::from_utf8_lossy(&answer.body).into_owned();
            let Some(action) = attribute(&page, "<form", "action").filter(|_| !page.contains("id=\"done\""))
            else {
                return page;
            };
            here = here.join(&action).expect("an action");
            answer = self.go(Method::POST, &here, Some(self.fill(&page))).await;
        }
        panic!("no end of pages: {answer:?}")
    }

    /// Opens a page, and stays there.
    pub async fn visit(&mut self, url: &str) -> Answer {
        self.go(Method::GET, &Url::parse(url).expect("a URL"), None).await
    }

    /// What the person would write into this page's form.
    fn fill(&self, page: &str) -> String {
        let hidden = page.split("<input").skip(1).filter(|input| input.contains("type=\"hidden\""));
        let mut form = FormWriter::new();
        for input in hidden {
            let value = |name| attribute(&format!("<input{input}"), "<input", name).expect("an attribute");
            form = form.pair(&value("name"), &value("value"));
        }
        if page.contains("name=\"user_code\" type") {
            let code = attribute(page, "id=\"user_code\"", "value").expect("a code");
            return form.pair("user_code", &code).finish();
        }
        if page.contains("name=\"password\"") {
            form.pair("username", &self.username).pair("password", &self.password).finish()
        } else if page.contains("name=\"allow\"") {
            form.pair("allow", "1").finish()
        } else {
            form.finish()
        }
    }

    async fn go(&mut self, method: Method, url: &Url, form: Option<String>) -> Answer {
        let mut request = Request::builder().method(method).uri(url.as_str());
        if !self.cookies.is_empty() {
            let all: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, all.join("; "));
        }
        if form.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            request = request.header("sec-fetch-site", "same-origin");
        }
        let request = request.body(Bytes::from(form.unwrap_or_default())).expect("a request");
        let answer = match &self.way {
            Way::Network(fetcher) => {
                let (parts, body) = fetcher.send(request).await.expect("an answer").into_parts();
                Answer { status: parts.status, headers: parts.headers, body }
            }
            Way::Within(router) => {
                Answer::read(router.clone().oneshot(request.map(Body::from)).await.expect("an answer")).await
            }
        };
        for cookie in answer.header("set-cookie") {
            let pair = cookie.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else { continue };
            match cookie.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }
}

/// The value of an attribute of the first such tag, with its character references resolved.
fn attribute(page: &str, tag: &str, name: &str) -> Option<String> {
    let inside = page.split(tag).nth(1)?.split('>').next()?;
    let value = inside.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
    let references = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    Some(references.iter().fold(value.to_owned(), |text, (reference, plain)| text.replace(reference, plain)))
}
