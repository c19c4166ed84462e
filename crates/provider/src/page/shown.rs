//! What each page shows. The templates escape all of it that does not show itself as HTML.

use super::about::About;
use super::asked::{Group, Item};
use super::details::Detail;
use super::escape::Escaped;
use super::sheet::Sheet;
use super::texts::{Language, Texts};
use crate::config::Config;
use askama::Template;

/// What all pages have.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub(super) config: &'a Config,
    pub(super) language: Language,
    /// What the page says.
    pub text: &'a Texts,
    /// The document around the page's own parts.
    pub sheet: &'a Sheet,
    /// The issuer's path, before the paths that forms are posted to.
    pub base: &'a str,
}

impl<'a> Frame<'a> {
    /// The frame of this issuer's pages.
    #[must_use]
    pub fn of(config: &'a Config, language: Language) -> Self {
        let (text, sheet) = (config.pages.languages.texts(language), config.sheets.of(language));
        Self { config, language, text, sheet, base: config.issuer.path() }
    }
}

/// The page to sign in.
#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Who sent the user here.
    pub client: &'a str,
    /// The path to which the form is posted.
    pub action: &'a str,
    /// What the user typed before, or a hint of the client.
    pub username: &'a str,
    /// Why the attempt before failed; empty where there was none.
    pub error: &'a str,
    /// What the user signs in for: an authorization request, or the code of a device.
    pub request: Escaped<'a>,
    /// The form's token.
    pub csrf: String,
}

/// The page to go on as who is signed in, or as somebody else.
#[derive(Debug, Template)]
#[template(path = "account.html")]
pub struct AccountPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Who sent the user here.
    pub client: &'a str,
    /// Who is signed in.
    pub username: &'a str,
    /// The authorization request.
    pub request: Escaped<'a>,
    /// The form's token.
    pub csrf: String,
}

/// The box to be ticked by who does not want to be asked again.
#[derive(Clone, Copy, Debug)]
pub struct Remember {
    /// For how many days.
    pub days: u64,
    /// Whether it is ticked, because this is remembered already.
    pub is_ticked: bool,
}

/// The page to allow or deny.
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub struct ConsentPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Who asks, by the name that it registered.
    pub client: &'a str,
    /// Who asks.
    pub client_id: &'a str,
    /// What is known of who asks.
    pub about: About<'a>,
    /// Who is signed in.
    pub username: &'a str,
    /// What is asked for, and where.
    pub asked: Vec<Group<'a>>,
    /// What is asked for in detail.
    pub details: Vec<Detail<'a>>,
    /// Where the user goes from here.
    pub destination: &'a str,
    /// The box, where the answer may be remembered.
    pub remember: Option<Remember>,
    /// The authorization request.
    pub request: Escaped<'a>,
    /// The form's token.
    pub csrf: String,
}

/// The page to enter the code that a device shows.
#[derive(Debug, Template)]
#[template(path = "device.html")]
pub struct DevicePage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// What the user typed before, or what the link had.
    pub code: &'a str,
    /// Why the attempt before failed; empty where there was none.
    pub error: &'a str,
    /// The form's token.
    pub csrf: String,
}

/// The page to allow or deny a device.
#[derive(Debug, Template)]
#[template(path = "device_consent.html")]
pub struct DeviceConsentPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// The code, to be compared.
    pub code: String,
    /// Who asks, by the name that it registered.
    pub client: &'a str,
    /// Who asks.
    pub client_id: &'a str,
    /// What is known of who asks.
    pub about: About<'a>,
    /// Who is signed in.
    pub username: &'a str,
    /// What is asked for, and where.
    pub asked: Vec<Group<'a>>,
    /// What is asked for in detail.
    pub details: Vec<Detail<'a>>,
    /// The code, as the form carries it.
    pub request: Escaped<'a>,
    /// The form's token.
    pub csrf: String,
}

/// The page that says that there is nothing more to do here.
#[derive(Debug, Template)]
#[template(path = "done.html")]
pub struct DonePage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// What was done.
    pub title: &'a str,
    /// What to do now.
    pub text: &'a str,
}

/// The page that says that nobody is signed in, and has a link back to the client.
#[derive(Debug, Template)]
#[template(path = "signed_out.html")]
pub struct SignedOutPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Who sent the user here.
    pub client: &'a str,
    /// Where the link leads: a place that is registered for it.
    pub place: &'a str,
}

/// The page that tells of a faulty request and has a button back to the client.
#[derive(Debug, Template)]
#[template(path = "return.html")]
pub struct ReturnPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Whose request it is.
    pub client: &'a str,
    /// The standard's error code.
    pub code: &'a str,
    /// What was expected.
    pub text: &'a str,
    /// The authorization request.
    pub request: Escaped<'a>,
    /// The form's token.
    pub csrf: String,
}

/// The page whose form brings the answer to the client (Form Post Response Mode §2).
#[derive(Debug, Template)]
#[template(path = "post_back.html")]
pub struct PostBackPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Whose answer it is.
    pub client: &'a str,
    /// Where the user goes from here.
    pub destination: &'a str,
    /// The redirect URI.
    pub target: &'a str,
    /// The parameters of the answer.
    pub fields: Vec<(&'a str, &'a str)>,
    /// The script that sends the form.
    pub script: &'a str,
}

/// The page that asks whether to sign out.
#[derive(Debug, Template)]
#[template(path = "logout.html")]
pub struct LogoutPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Who sent the user here; empty where that is not known.
    pub client: &'a str,
    /// Who is signed in.
    pub username: &'a str,
    /// The standard's error code; empty where nothing is wrong.
    pub code: &'a str,
    /// What is wrong with the request; empty where nothing is.
    pub error: &'a str,
    /// The logout request.
    pub request: Escaped<'a>,
    /// The form's token.
    pub csrf: String,
}

/// The page of an error that leads nowhere.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// The standard's error code.
    pub code: &'a str,
    /// What was expected, for developers.
    pub text: &'a str,
}

/// The page at the issuer's own address.
#[derive(Debug, Template)]
#[template(path = "front.html")]
pub struct FrontPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// The issuer.
    pub issuer: &'a str,
    /// Where OpenID Connect Discovery has the metadata.
    pub openid: String,
    /// Where RFC 8414 has it.
    pub oauth: String,
}
