//! The authorization code flow of a user who is signed in: pushed, allowed, redeemed, refreshed.

use super::wallet::{REDIRECT_URI, RESOURCE, Wallet, post};
use crate::process::load::{Answer, CONNECTIONS, Connection, Request};
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

/// Goes through so many flows on all connections at once.
pub(super) struct Flows {
    address: SocketAddr,
    cookies: String,
    prepared: Vec<Prepared>,
}

impl Flows {
    /// Signs all proofs of so many flows.
    pub(super) fn prepare(
        wallet: &mut Wallet,
        place: &Place,
        cookies: &str,
        count: usize,
    ) -> Result<Self, Failure> {
        let prepared = (0..count).map(|_| Prepared::new(wallet, place)).collect::<Result<_, _>>()?;
        Ok(Self { address: place.address, cookies: cookies.to_owned(), prepared })
    }

    /// Runs them, a thread for each connection.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let share = self.prepared.len().div_ceil(CONNECTIONS).max(1);
        std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .prepared
                .chunks(share)
                .map(|chunk| scope.spawn(move || self.run_some(chunk).map_err(|error| error.to_string())))
                .collect();
            for thread in threads {
                thread.join().map_err(|_| "a thread panicked")??;
            }
            Ok(())
        })
    }

    fn run_some(&self, prepared: &[Prepared]) -> Result<(), Failure> {
        let mut browser = Browser::new(self.address, &self.cookies)?;
        prepared.iter().try_for_each(|flow| flow.run(&mut browser))
    }
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

    /// Pushes the authorization request and gives its `request_uri`.
    fn push(&self, browser: &mut Browser) -> Result<String, Failure> {
        let form = self.request("openid offline_access");
        let [proof, ..] = &self.proofs;
        let more = format!("DPoP: {proof}\r\nX-Forwarded-For: {}\r\n", self.address);
        let answer = browser.connection.ask(&post(browser.address, "/par", &more, &form.finish()))?;
        answer.expect(201)?;
        text(&serde_json::from_str(answer.body)?, "request_uri")
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
        let [_, proof, _] = &self.proofs;
        let page = browser.show(&self.open(browser.address, scope, &browser.cookies))?;
        let form = self.redemption(&allow(browser, &page)?).pair("client_id", "app").finish();
        Ok(post(browser.address, "/token", &format!("DPoP: {proof}\r\n"), &form))
    }

    fn redemption(&self, code: &str) -> FormWriter {
        let form = FormWriter::new().pair("grant_type", "authorization_code").pair("code", code);
        form.pair("redirect_uri", REDIRECT_URI).pair("code_verifier", self.verifier.secret().reveal())
    }

    fn run(&self, browser: &mut Browser) -> Result<(), Failure> {
        let [_, redeemed, refreshed] = &self.proofs;
        let request_uri = self.push(browser)?;
        let page = browser.visit(&request_uri)?;
        let form = self.redemption(&allow(browser, &page)?);
        let tokens = token(browser, form, redeemed)?;
        let refresh_token = text(&tokens, "refresh_token")?;
        let form =
            FormWriter::new().pair("grant_type", "refresh_token").pair("refresh_token", &refresh_token);
        token(browser, form, refreshed).map(drop)
    }
}

/// Presses the button of the consent page, and gives the code.
fn allow(browser: &mut Browser, page: &str) -> Result<String, Failure> {
    let form = fill(page)?.pair("allow", "1").finish();
    let answer = browser.submit("/consent", &form)?;
    answer.expect(303)?;
    let location = answer.header("location").ok_or("no location")?;
    let (_, query) = location.split_once('?').ok_or("no query in the location")?;
    Ok(Form::parse_query(query)?.get("code").ok_or("no code in the location")?.to_owned())
}

fn token(browser: &mut Browser, form: FormWriter, proof: &str) -> Result<serde_json::Value, Failure> {
    let form = form.pair("client_id", "app").finish();
    let request = post(browser.address, "/token", &format!("DPoP: {proof}\r\n"), &form);
    let answer = browser.connection.ask(&request)?;
    answer.expect(200)?;
    let tokens: serde_json::Value = serde_json::from_str(answer.body)?;
    // Both answers have two signatures: that is what the limit counts.
    text(&tokens, "access_token").and(text(&tokens, "id_token"))?;
    Ok(tokens)
}

/// Signs in, which costs a password hash, and gives the cookies that a browser then has.
pub(super) fn sign_in(wallet: &mut Wallet, place: &Place) -> Result<String, Failure> {
    let flow = Prepared::new(wallet, place)?;
    let mut browser = Browser::new(place.address, "")?;
    let request_uri = flow.push(&mut browser)?;
    let page = browser.visit(&request_uri)?;
    let form = fill(&page)?.pair("username", USERNAME).pair("password", PASSWORD).finish();
    browser.submit("/login", &form)?.expect(303)?;
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

impl Browser {
    pub(super) fn new(address: SocketAddr, cookies: &str) -> Result<Self, Failure> {
        Ok(Self { connection: Connection::open(address)?, address, cookies: cookies.to_owned() })
    }

    /// The page that the authorization endpoint answers with.
    fn visit(&mut self, request_uri: &str) -> Result<String, Failure> {
        let query = FormWriter::new().pair("client_id", "app").pair("request_uri", request_uri).finish();
        self.show(&get(self.address, &query, &self.cookies))
    }

    fn show(&mut self, request: &Request) -> Result<String, Failure> {
        let answer = self.connection.ask(request)?;
        answer.expect(200)?;
        let page = answer.body.to_owned();
        let set = answer.header("set-cookie").map(str::to_owned);
        self.keep(set);
        Ok(page)
    }

    /// Sends a form of a page.
    fn submit(&mut self, path: &str, form: &str) -> Result<Answer<'_>, Failure> {
        let more = format!("Cookie: {}\r\nSec-Fetch-Site: same-origin\r\n", self.cookies);
        let request = post(self.address, path, &more, form);
        let set = self.connection.ask(&request)?.header("set-cookie").map(str::to_owned);
        self.keep(set);
        self.connection.last()
    }

    fn keep(&mut self, set: Option<String>) {
        if let Some(pair) = set.as_deref().and_then(|set| set.split(';').next()) {
            if !self.cookies.is_empty() {
                self.cookies.push_str("; ");
            }
            self.cookies.push_str(pair);
        }
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
