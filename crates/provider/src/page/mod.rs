//! The pages: plain HTML and one style sheet, and no script but the line that sends a form to the client by itself.
//! [`respond`] alone puts them on the wire, with all the headers that keep them from being framed, cached, or made to do
//! more than they should.

mod about;
mod asked;
mod details;
mod escape;
mod headers;
mod language;
mod sheet;
mod shown;
pub mod texts;

pub use about::About;
pub use asked::{Group, Item, Place, asked};
pub use details::{Detail, details, ticked};
pub use escape::Escaped;
pub use headers::{redirect, respond, respond_with_script};
pub use sheet::Sheet;
pub use shown::{
    AccountPage, ConsentPage, DeviceConsentPage, DevicePage, DonePage, ErrorPage, Frame, FrontPage,
    LogoutPage, PostBackPage, Remember, ReturnPage, SignInPage, SignedOutPage,
};
pub use texts::Language;

use crate::config::Config;
use crate::refusal::Refusal;
use crate::respond::audit;
use axum::body::Body;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};

/// The path to which the sign-in form is posted, below the issuer's own.
pub const SIGN_IN: &str = "/login";
/// The path to which the choice of an account is posted.
pub const ACCOUNT: &str = "/account";
/// The path to which the consent form is posted.
pub const CONSENT: &str = "/consent";
/// The path to which the sign-in form of who connects a device is posted.
pub const DEVICE_SIGN_IN: &str = "/device/login";
/// The path to which the answer to a device is posted.
pub const DEVICE_CONSENT: &str = "/device/consent";
/// The path to which the button is posted that carries an error back to the client.
pub const RETURN: &str = "/return";
/// The path to which the answer to the question is posted whether to sign out.
pub const LOGOUT: &str = "/logout/confirm";

/// What sends the one form of a page (Form Post Response Mode §2). The page has a button for browsers without scripts.
pub const SUBMIT: &str = "document.forms[0].submit()";

/// A file that pages load.
#[must_use]
pub fn asset(config: &Config, language: Language, name: &str) -> Response<Body> {
    let Some(asset) = config.pages.asset(name) else {
        let frame = Frame::of(config, language);
        let (title, text) = (frame.text.nothing_here_title.as_str(), frame.text.nothing_here_text.as_str());
        return respond(frame, StatusCode::NOT_FOUND, &DonePage { frame, title, text }, None);
    };
    let mut response = Response::new(Body::from(asset.bytes.clone()));
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, asset.media_type),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A picture may be a document too, with scripts in it: opened by itself, it may do nothing.
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers::strict_transport(headers, config.base.is_https());
    response
}

/// What somebody sees who opens the issuer's own address.
#[must_use]
pub fn front(config: &Config, language: Language) -> Response<Body> {
    let page = FrontPage {
        frame: Frame::of(config, language),
        issuer: config.issuer.as_str(),
        openid: config.issuer.openid_metadata_url().to_string(),
        oauth: config.issuer.oauth_metadata_url().to_string(),
    };
    respond(page.frame, StatusCode::OK, &page, None)
}

/// A refusal as a page. Writes the audit event.
#[must_use]
pub fn refusal(config: &Config, language: Language, refusal: &Refusal) -> Response<Body> {
    let frame = Frame::of(config, language);
    match refusal {
        Refusal::Denied(denied) => {
            audit(denied);
            // The sentence is written for developers, who quote names with backticks.
            let text = &denied.wire.replace('`', "");
            respond(frame, denied.http_status(), &ErrorPage { frame, code: denied.code.as_str(), text }, None)
        }
        Refusal::Unavailable(reason) => {
            tracing::error!(reason, "a page could not be shown");
            let (title, text) = (frame.text.unavailable_title.as_str(), frame.text.unavailable_text.as_str());
            let mut response =
                respond(frame, StatusCode::SERVICE_UNAVAILABLE, &DonePage { frame, title, text }, None);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            response
        }
    }
}
