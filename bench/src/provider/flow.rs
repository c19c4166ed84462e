//! The authorization code flow of a user who is signed in: pushed, allowed, redeemed, refreshed.

use super::wallet::{REDIRECT_URI, RESOURCE, Wallet, post};
use crate::process::load::{Connection, Request};
use crate::process::prover::Place;
use keybound_bench::Failure;
use keybound_oauth::form::{Form, FormWriter};
use keybound_oauth::pkce::{CodeChallenge, CodeVerifier};
use std::net::{Ipv4Addr, SocketAddr};

/// Who signs in: the user of the example in the documentation.
const USERNAME: &str = "alice";
const PASSWORD: &str = "correct horse";

/// What of one flow is made beforehand.
pub(super) struct Prepared {
    verifier: CodeVerifier,
    challenge: String,
    proofs: [String; 3],
    /// Where its user is.
    address: Ipv4Addr,
}

impl Prepared {
    pub(super) fn new(wallet: &mut Wallet, place: &Place) -> Result<Self, Failure> {
        let proofs = [
            wallet.next_proof(place, "/par")?,
            wallet.next_proof(place, "/token")?,
            wallet.next_proof(place, "/token")?,
        ];
        let mut entropy = [0x5a; 32];
        for (octet, random) in entropy.iter_mut().zip(proofs.iter().flat_map(|proof| proof.bytes().rev())) {
            *octet = random;
        }
        let verifier = CodeVerifier::from_entropy(&entropy);
        let challenge = CodeChallenge::of(&verifier).to_string();
        let address =
            Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() | wallet.proofs_made() & 0x00ff_ffff);
        Ok(Self { verifier, challenge, proofs, address })
    }

    /// Pushes the authorization request.
    fn push(&self, browser: &Browser) -> Request {
        let form = self.request("openid offline_access");
        let [proof, ..] = &self.proofs;
        let more = format!("DPoP: {proof}\r\nX-Forwarded-For: {}\r\n", self.address);
        post(browser.address, "/par", &more, &form.finish())
    }

    /// The authorization request.
    fn request(&self, scope: &str) -> FormWriter {
        let form = FormWriter::new().pair("client_id", "app").pair("response_type", "code");
        let form = form.pair("redirect_uri", REDIRECT_URI).pair("state", "some state").pair("scope", scope);
        form.pair("code_challenge", &self.challenge).pair("code_challenge_method", "S256")
    }

    /// Opens the authorization endpoint, without having pushed anything.
    pub(super) fn open(&self, address: SocketAddr, scope: &str, cookies: &str) -> Request {
        get(address, &self.request(scope).pair("resource", RESOURCE).finish(), cookies)
    }

    /// Has the user allow it, and gives the request that redeems the code.
    pub(super) fn obtain(&self, browser: &mut Browser, scope: &str) -> Result<Request, Failure> {
        let opening = self.open(browser.address, scope, &browser.cookies);
        let page = browser.ask(&opening)?;
        let allowing = allow(browser, &page.read(200)?)?;
        let code = code(&browser.ask(&allowing)?)?;
        Ok(self.redeem(browser, &code))
    }

    fn redeem(&self, browser: &Browser, code: &str) -> Request {
        let [_, proof, _] = &self.proofs;
        let form = FormWriter::new().pair("grant_type", "authorization_code").pair("code", code);
        let form = form.pair("redirect_uri", REDIRECT_URI);
        token(browser, form.pair("code_verifier", self.verifier.secret().reveal()), proof)
    }

    fn refresh(&self, browser: &Browser, refresh_token: &str) -> Request {
        let [.., proof] = &self.proofs;
        let form = FormWriter::new().pair("grant_type", "refresh_token");
        token(browser, form.pair("refresh_token", refresh_token), proof)
    }
}

/// How far a flow is: what was asked last.
#[derive(Clone, Copy)]
enum Asked {
    Pushed,
    Page,
    Allowed,
    Redeemed,
    Refreshed,
}

/// A flow on its way.
pub(super) struct Walk<'a> {
    flow: &'a Prepared,
    asked: Asked,
}

impl<'a> Walk<'a> {
    /// Begins, with the request that is to be sent first.
    pub(super) fn begin(flow: &'a Prepared, browser: &Browser) -> (Self, Request) {
        (Self { flow, asked: Asked::Pushed }, flow.push(browser))
    }

    /// Takes the answer, and gives the next request; none at the end.
    pub(super) fn go_on(&mut self, browser: &mut Browser, answer: &Came) -> Result<Option<Request>, Failure> {
        let (next, request) = match self.asked {
            Asked::Pushed => (Asked::Page, browser.visit(&pushed(answer)?)),
            Asked::Page => (Asked::Allowed, allow(browser, &answer.read(200)?)?),
            Asked::Allowed => (Asked::Redeemed, self.flow.redeem(browser, &code(answer)?)),
            Asked::Redeemed => {
                let refresh_token = text(&tokens(answer)?, "refresh_token")?;
                (Asked::Refreshed, self.flow.refresh(browser, &refresh_token))
            }
            Asked::Refreshed => return tokens(answer).map(|_| None),
        };
        self.asked = next;
        Ok(Some(request))
    }
}

fn pushed(answer: &Came) -> Result<String, Failure> {
    text(&serde_json::from_str(&answer.read(201)?)?, "request_uri")
}

/// Presses the button of the consent page.
fn allow(browser: &Browser, page: &str) -> Result<Request, Failure> {
    Ok(browser.submit("/consent", &fill(page)?.pair("allow", "1").finish()))
}

fn code(answer: &Came) -> Result<String, Failure> {
    answer.read(303)?;
    let location = answer.location.as_deref().ok_or("no location")?;
    let (_, query) = location.split_once('?').ok_or("no query in the location")?;
    Ok(Form::parse_query(query)?.get("code").ok_or("no code in the location")?.to_owned())
}

fn token(browser: &Browser, form: FormWriter, proof: &str) -> Request {
    let form = form.pair("client_id", "app").finish();
    post(browser.address, "/token", &format!("DPoP: {proof}\r\n"), &form)
}

fn tokens(answer: &Came) -> Result<serde_json::Value, Failure> {
    let tokens: serde_json::Value = serde_json::from_str(&answer.read(200)?)?;
    // Both answers have two signatures: that is what the limit counts.
    text(&tokens, "access_token").and(text(&tokens, "id_token"))?;
    Ok(tokens)
}

/// Signs in, which costs a password hash, and gives the cookies that a browser then has.
pub(super) fn sign_in(wallet: &mut Wallet, place: &Place) -> Result<String, Failure> {
    let flow = Prepared::new(wallet, place)?;
    let mut browser = Browser::new(place.address, "")?;
    let pushing = flow.push(&browser);
    let request_uri = pushed(&browser.ask(&pushing)?)?;
    let visiting = browser.visit(&request_uri);
    let page = browser.ask(&visiting)?.read(200)?;
    let form = fill(&page)?.pair("username", USERNAME).pair("password", PASSWORD).finish();
    let submitting = browser.submit("/login", &form);
    browser.ask(&submitting)?.read(303)?;
    Ok(browser.cookies)
}

/// A request for a page.
fn get(address: SocketAddr, query: &str, cookies: &str) -> Request {
    let cookies = if cookies.is_empty() { String::new() } else { format!("Cookie: {cookies}\r\n") };
    format!("GET /authorize?{query} HTTP/1.1\r\nHost: {address}\r\n{cookies}\r\n").into_bytes()
}

/// Cookies, and a connection.
pub(super) struct Browser {
    connection: Connection,
    address: SocketAddr,
    cookies: String,
}

/// What came, as far as flows look at it.
pub(super) struct Came {
    status: u16,
    location: Option<String>,
    body: String,
}

impl Came {
    /// The body, where the status is this one.
    fn read(&self, status: u16) -> Result<String, Failure> {
        if self.status == status {
            return Ok(self.body.clone());
        }
        Err(format!("{} and not {status}: {}", self.status, self.body).into())
    }
}

impl Browser {
    pub(super) fn new(address: SocketAddr, cookies: &str) -> Result<Self, Failure> {
        Ok(Self { connection: Connection::open(address)?, address, cookies: cookies.to_owned() })
    }

    /// Opens the authorization endpoint for what was pushed.
    fn visit(&self, request_uri: &str) -> Request {
        let query = FormWriter::new().pair("client_id", "app").pair("request_uri", request_uri).finish();
        get(self.address, &query, &self.cookies)
    }

    /// Sends a form of a page.
    fn submit(&self, path: &str, form: &str) -> Request {
        let more = format!("Cookie: {}\r\nSec-Fetch-Site: same-origin\r\n", self.cookies);
        post(self.address, path, &more, form)
    }

    fn ask(&mut self, request: &Request) -> Result<Came, Failure> {
        self.send(request)?;
        self.receive()
    }

    pub(super) fn send(&mut self, request: &Request) -> Result<(), Failure> {
        self.connection.send(request)
    }

    pub(super) fn receive(&mut self) -> Result<Came, Failure> {
        let answer = self.connection.receive()?;
        let set = answer.header("set-cookie").map(str::to_owned);
        let location = answer.header("location").map(str::to_owned);
        let came = Came { status: answer.status, location, body: answer.body.to_owned() };
        if let Some(pair) = set.as_deref().and_then(|set| set.split(';').next()) {
            if !self.cookies.is_empty() {
                self.cookies.push_str("; ");
            }
            self.cookies.push_str(pair);
        }
        Ok(came)
    }
}

/// The hidden fields of a page's form.
fn fill(page: &str) -> Result<FormWriter, Failure> {
    let mut form = FormWriter::new();
    for input in page.split("<input type=\"hidden\"").skip(1) {
        form = form.pair(attribute(input, "name")?, &attribute(input, "value")?.replace("&#38;", "&"));
    }
    Ok(form)
}

fn attribute<'a>(tag: &'a str, name: &str) -> Result<&'a str, Failure> {
    let after = tag.split(&format!(" {name}=\"")).nth(1).and_then(|after| after.split('"').next());
    after.ok_or_else(|| format!("no `{name}` in a form").into())
}

fn text(json: &serde_json::Value, name: &str) -> Result<String, Failure> {
    let text = json.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    text.ok_or_else(|| format!("no `{name}` in {json}").into())
}
