//! Answers that the browser did not bring from the server: forged ones (RFC 9700 §4.7), and other programs at the
//! loopback redirect (RFC 8252 §8).

use crate::nonces::TOKENS;
use crate::server::{Hostile, says};
use crate::victim::{CODE, SECRETS, begin, client, settings};
use bytes::Bytes;
use http::{Request, StatusCode};
use keybound_client::client::Client;
use keybound_client::client_auth::Identity;
use keybound_client::error::ClientError;
use keybound_client::flow::authorization_code::{LoginAsk, RedirectRefused};
use keybound_client::loopback::Loopback;
use keybound_dpop::secret::Secret;
use keybound_e2e::servers::{CLIENT_ID, PASSWORD, USERNAME};
use keybound_e2e::{Hands, Servers};
use keybound_fetch::Fetcher;
use keybound_oauth::identifier::{ClientId, Issuer};
use keybound_oauth::scope::Scope;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn cl_flw_02_bcp_inj_05_atk_117_a_forged_answer_makes_no_request() {
    let hostile = Hostile::start(|_, _| says(200, &[], TOKENS)).await;
    let client = client(&hostile.origin);
    let iss = &hostile.origin;
    for forged in [
        format!("code={CODE}&iss={iss}"),
        format!("code={CODE}&state=&iss={iss}"),
        format!("code={CODE}&state=attackers&iss={iss}"),
        format!("code={CODE}&state=STATEx&iss={iss}"),
        format!("code={CODE}&State=STATE&iss={iss}"),
        format!("code={CODE}&state=STATE&state=attackers&iss={iss}"),
        format!("code={CODE}&code=other&state=STATE&iss={iss}"),
        format!("code={CODE}&error=x&state=STATE&iss={iss}"),
        format!("code={CODE}&state=STATE&iss={iss}&response=e30.e30.AA"),
        format!("state=STATE&iss={iss}"),
        format!("error=access_denied&state=attackers&iss={iss}"),
        "".to_owned(),
        "%".to_owned(),
        "&".repeat(100_000),
    ] {
        let (login, sent) = begin(&client).await;
        let state = sent.state.expect("a state");
        let refused = client.finish_login(login, &Secret::new(forged.replace("STATE", &state))).await;
        assert!(matches!(refused, Err(ClientError::Redirect(_))), "{forged:.80}: {refused:?}");
    }
    // The state of one login is none for another.
    let ((_, sent), (login, _)) = (begin(&client).await, begin(&client).await);
    let other = format!("code={CODE}&state={}&iss={iss}", sent.state.expect("a state"));
    let refused = client.finish_login(login, &Secret::new(other)).await;
    assert!(matches!(refused, Err(ClientError::Redirect(RedirectRefused::State))), "{refused:?}");
    assert_eq!(hostile.asked().len(), 0);
}

async fn fetch(url: &str) -> StatusCode {
    let fetcher = Fetcher::for_operator(&settings()).expect("a fetcher");
    let request = Request::get(url).body(Bytes::new()).expect("a request");
    fetcher.send(request).await.expect("an answer").status()
}

/// Sends octets to the listener, and gives the status line of the answer.
async fn raw(redirect_uri: &str, octets: &str) -> String {
    let authority =
        redirect_uri.strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("one");
    let mut stream = TcpStream::connect(authority).await.expect("a connection");
    stream.write_all(octets.replace("AUTHORITY", authority).as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Another program is first at the listener. Its answer ends the login, and no code of anybody is redeemed.
#[tokio::test]
async fn cl_flw_11_atk_127_who_is_first_at_the_listener_gains_nothing() {
    let hostile = Hostile::start(|_, _| says(200, &[], TOKENS)).await;
    let client = client(&hostile.origin);
    let mut loopback = Loopback::listen("/cb").await.expect("a listener");
    let redirect_uri = loopback.redirect_uri().to_owned();
    let ask = LoginAsk { scope: Scope::parse("read").ok(), ..LoginAsk::default() };
    let login = client.begin_login(ask, &redirect_uri).await.expect("begun");
    let forged = format!("{redirect_uri}?code=attackers&state=guessed&iss={}", hostile.origin);
    assert_eq!(fetch(&forged).await, 303);
    assert_eq!(fetch(&format!("{redirect_uri}?code={CODE}&state=x")).await, 410, "the second one");
    let query = loopback.response(SOON).await.expect("the first one");
    let refused = client.finish_login(login, &query).await;
    assert!(matches!(refused, Err(ClientError::Redirect(RedirectRefused::State))), "{refused:?}");
    assert_eq!(hostile.asked().len(), 0);
}

/// Who is second learns nothing and changes nothing; what is no redirect to here is not taken for one.
#[tokio::test]
async fn cl_flw_11_atk_127_who_comes_second_or_sideways_is_sent_away() {
    let mut loopback = Loopback::listen("/cb").await.expect("a listener");
    let redirect_uri = loopback.redirect_uri().to_owned();
    let end = "\r\nConnection: close\r\n\r\n";
    for (octets, status) in [
        (format!("GET /cb?code=x HTTP/1.1\r\nHost: evil.example{end}"), "400"),
        (format!("GET /cb?code=x HTTP/1.1\r\nHost: localhost{end}"), "400"),
        (format!("GET /cb?code=x HTTP/1.1\r\nHost: AUTHORITY\r\nHost: evil.example{end}"), "400"),
        (format!("GET /cb?code=x HTTP/1.1{end}"), "400"),
        (format!("POST /cb?code=x HTTP/1.1\r\nHost: AUTHORITY{end}"), "400"),
        (format!("GET http://AUTHORITY/cb?code=x HTTP/1.1\r\nHost: AUTHORITY{end}"), "404"),
        (format!("GET /cb HTTP/1.1\r\nHost: AUTHORITY{end}"), "404"),
        (format!("GET /other?code=x HTTP/1.1\r\nHost: AUTHORITY{end}"), "404"),
        (format!("GET /cb/?code=x HTTP/1.1\r\nHost: AUTHORITY{end}"), "404"),
        ("HELO\r\n\r\n".to_owned(), "400"),
    ] {
        let line = raw(&redirect_uri, &octets).await;
        assert!(line.starts_with(&format!("HTTP/1.1 {status}")), "{octets}: {line}");
    }
    assert_eq!(fetch(&format!("{redirect_uri}?code={CODE}&state=s")).await, 303);
    for _ in 0..3 {
        assert_eq!(fetch(&format!("{redirect_uri}?code=thiefs&state=s")).await, 410);
    }
    let query = loopback.response(SOON).await.expect("the first one");
    assert_eq!(query.reveal(), format!("code={CODE}&state=s"));
}

/// Connections that say nothing do not keep the browser out for good, and a head without end is not read on.
#[tokio::test]
async fn cl_flw_11_atk_127_silent_programs_do_not_keep_the_browser_out() {
    let mut loopback = Loopback::listen("/cb").await.expect("a listener");
    let redirect_uri = loopback.redirect_uri().to_owned();
    let long = format!("GET /cb?code={} HTTP/1.1\r\nHost: AUTHORITY\r\n\r\n", "x".repeat(20_000));
    let authority = redirect_uri["http://".len()..].trim_end_matches("/cb").to_owned();
    let mut greedy = TcpStream::connect(&authority).await.expect("a connection");
    let _ = greedy.write_all(long.as_bytes()).await;
    // More than are served at once: the browser comes in when the first of them have had their time.
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(&authority).await.expect("a connection"));
    }
    assert_eq!(fetch(&format!("{redirect_uri}?code={CODE}&state=s")).await, 303);
    let query = loopback.response(SOON).await.expect("the browser's");
    assert_eq!(query.reveal(), format!("code={CODE}&state=s"));
}

/// A program that got hold of the code has neither the verifier nor the key that the code is bound to.
#[tokio::test]
async fn cl_flw_01_cl_flw_09_atk_127_a_stolen_code_is_worth_nothing() {
    let servers = Servers::start().await;
    let (victim, thief) = (at(&servers).await, at(&servers).await);
    let redirect_uri = "http://127.0.0.1:9/callback";
    let ask = || LoginAsk { scope: Scope::parse("openid").ok(), ..LoginAsk::default() };
    let login = victim.begin_login(ask(), redirect_uri).await.expect("begun");
    let mut hands = Hands::of(USERNAME, PASSWORD);
    let stolen = hands.allow(login.url()).await.expect("an answer");
    // In a login of the thief's: its own state, and the victim's code.
    let own = thief.begin_login(ask(), redirect_uri).await.expect("begun");
    let own_query = hands.allow(own.url()).await.expect("an answer");
    let of = |query: &str, name: &str| {
        let form = keybound_oauth::form::Form::parse_query(query).expect("a form");
        form.secret(name).expect("a value").reveal().to_owned()
    };
    let injected = own_query.replace(&of(&own_query, "code"), &of(&stolen, "code"));
    assert_ne!(injected, own_query);
    let refused = thief.finish_login(own, &Secret::new(injected)).await;
    assert!(matches!(refused, Err(ClientError::Token(_))), "{refused:?}");
    let at_token = servers.at_provider.at("/token");
    assert_eq!(at_token.last().expect("a request").answer.text("error"), "invalid_grant");
    assert!(at_token.iter().all(|exchange| exchange.answer.status == 400));
}

/// A public client at the provider, with a key of its own.
async fn at(servers: &Servers) -> Client {
    let transport = crate::victim::transport();
    let issuer = Issuer::parse(&servers.issuer).expect("an issuer");
    let server = transport.discover(&issuer).await.expect("metadata");
    let identity = Identity::public(ClientId::parse(CLIENT_ID).expect("a client"));
    Client::new(transport, server, identity, crate::victim::running_prover())
}

/// The redirect URI is what was left when the browser was gone: no code, and nothing of the login.
#[tokio::test]
async fn cl_flw_13_atk_127_the_page_that_stays_says_nothing() {
    let mut loopback = Loopback::listen("/cb").await.expect("a listener");
    let redirect_uri = loopback.redirect_uri().to_owned();
    let fetcher = Fetcher::for_operator(&settings()).expect("a fetcher");
    let request = |url: &str| Request::get(url).body(Bytes::new()).expect("a request");
    let first =
        fetcher.send(request(&format!("{redirect_uri}?code={CODE}&state=s"))).await.expect("an answer");
    let next = redirect_uri.replace("/cb", first.headers()["location"].to_str().expect("text"));
    let page = fetcher.send(request(&next)).await.expect("a page");
    let shown = format!("{:?} {next} {:?} {:?}", first.headers(), page.headers(), page.body());
    assert!(SECRETS.iter().all(|secret| !shown.contains(secret)), "{shown}");
    assert_eq!(page.headers()["referrer-policy"], "no-referrer");
    loopback.response(SOON).await.expect("the answer");
}
