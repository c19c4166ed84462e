//! `keybound login` with a browser, which is played here.

use crate::common::{Service, World, free_address, get, next_second, send};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr};

/// A provider with a user and a client, and what it is called.
fn provider() -> (World, Service, String) {
    let address = free_address().to_string();
    let world = World::new();
    world.write("keybound.toml", &format!("issuer = \"http://{address}\"\n"));
    world.ok(&["user", "add", "alice", "--password-stdin", "--sub", "a11ce"], "correct horse\n");
    world
        .ok(&["client", "add", "--id", "cli", "--native", "--redirect-uri", "http://127.0.0.1/callback"], "");
    let service = world.start(&["serve", "--listen", &address]);
    (world, service, address)
}

/// A login that waits for the browser.
struct Login {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// Where the browser is to go: the path, at the provider.
    path: String,
}

impl Login {
    fn begin(world: &World, address: &str) -> Self {
        Self::begin_with(world, address, &["--client-id", "cli"])
    }

    fn begin_with(world: &World, address: &str, more: &[&str]) -> Self {
        let issuer = format!("http://{address}");
        let args = ["login", "--no-browser", "--issuer", &issuer, "--scope", "openid"];
        let mut child = world.command(&[&args[..], more].concat()).spawn().expect("started");
        let mut stderr = BufReader::new(child.stderr.take().expect("stderr"));
        let mut told = String::new();
        while !told.contains("/authorize?") {
            let read = stderr.read_line(&mut told).expect("a line");
            assert!(read > 0, "no URL: {told}");
        }
        // The user has seen who is asked, before the browser can (FAPI 2.0 Security Profile §5.3.3.1).
        assert!(told.starts_with(&format!("Signing in at {issuer} as client ")), "{told}");
        let path = told.trim().rsplit_once(&issuer).unwrap_or_else(|| panic!("{told}")).1.to_owned();
        Self { child, stderr, path }
    }

    /// The exit code, and what was said.
    fn end(mut self) -> (i32, String) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).expect("text");
        (self.child.wait().expect("ended").code().expect("a code"), said)
    }
}

/// Signs in and answers with that button; gives the URL to which the provider sends the browser back.
fn sign_in(address: &str, path: &str, button: &str) -> String {
    let mut cookies = BTreeMap::new();
    let mut answer = browse(address, &format!("GET {path}"), "", &mut cookies);
    for _ in 0..8 {
        // A browser keeps the fragment to itself.
        let location =
            header(&answer, "location").next().map(|all| all.split('#').next().unwrap_or(all).to_owned());
        if let Some(location) = location {
            match location.strip_prefix(&format!("http://{address}")).unwrap_or(&location) {
                path if path.starts_with('/') => {
                    let next = format!("GET {path}");
                    answer = browse(address, &next, "", &mut cookies);
                }
                // A browser keeps the fragment for itself.
                elsewhere => return elsewhere.split('#').next().unwrap_or_default().to_owned(),
            }
            continue;
        }
        let action = value(&answer, "<form", "action").unwrap_or_else(|| panic!("no form: {answer}"));
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for input in answer.split("<input").skip(1).filter(|input| input.contains("type=\"hidden\"")) {
            form.append_pair(
                &value(&format!("<input{input}"), "<input", "name").expect("a name"),
                &value(&format!("<input{input}"), "<input", "value").unwrap_or_default(),
            );
        }
        if answer.contains("name=\"password\"") {
            form.append_pair("username", "alice").append_pair("password", "correct horse");
        } else {
            form.append_pair(button, "1");
        }
        let post = format!("POST {}", action.trim_start_matches(&format!("http://{address}")));
        answer = browse(address, &post, &form.finish(), &mut cookies);
    }
    panic!("never sent back: {answer}");
}

fn browse(address: &str, request: &str, form: &str, cookies: &mut BTreeMap<String, String>) -> String {
    let jar: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let headers = format!(
        "Cookie: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n",
        jar.join("; ")
    );
    let answer = send(address, request, &headers, form);
    for cookie in header(&answer, "set-cookie") {
        let (name, value) = cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
        cookies.insert(name.to_owned(), value.to_owned());
    }
    answer
}

fn header<'a>(answer: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = answer.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
    lines.filter(move |(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// An attribute of the first such tag.
fn value(page: &str, tag: &str, attribute: &str) -> Option<String> {
    let inside = page.split(tag).nth(1)?.split('>').next()?;
    let value = inside.split(&format!(" {attribute}=\"")).nth(1)?.split('"').next()?;
    Some(value.replace("&#38;", "&").replace("&amp;", "&").replace("&#61;", "="))
}

/// Where the browser is sent back to: the host, and the path with its query.
fn target(back: &str) -> (&str, &str) {
    let rest = back.strip_prefix("http://").unwrap_or_else(|| panic!("{back}"));
    rest.split_at(rest.find('/').expect("a path"))
}

#[test]
fn cl_flw_11_a_user_signs_in_and_the_token_opens_userinfo() {
    let (world, service, address) = provider();
    let login = Login::begin(&world, &address);
    let back = sign_in(&address, &login.path, "allow");
    let (host, path) = target(&back);
    assert!(path.starts_with("/callback?code="), "{back}");
    assert!(get(host, path).starts_with("HTTP/1.1 303 "));
    get(host, "/done");
    let (code, said) = login.end();
    assert!(code == 0 && said.starts_with("logged in as a11ce at http://"), "{said}");
    let userinfo = world.ok(&["request", "--silent", &format!("http://{address}/userinfo")], "");
    assert_eq!(userinfo, "{\"sub\":\"a11ce\"}");
    assert_eq!(service.stop().0, 0);
}

#[test]
fn atk_127_a_refusal_is_told_and_a_strangers_answer_is_not_taken() {
    let (world, service, address) = provider();
    let login = Login::begin(&world, &address);
    let back = sign_in(&address, &login.path, "deny");
    let (host, path) = target(&back);
    get(host, path);
    get(host, "/done");
    let (code, said) = login.end();
    assert!(code == 4 && said.contains("the login was refused: access_denied"), "{said}");
    let login = Login::begin(&world, &address);
    let back = sign_in(&address, &login.path, "allow");
    let (host, path) = target(&back);
    get(host, &path.replace("&state=", "&state=other"));
    get(host, "/done");
    let (code, said) = login.end();
    assert!(code == 1 && said.contains("does not belong to this login"), "{said}");
    assert!(!world.path("home/sessions/default.session").exists());
    // The keys of logins that failed are gone with them.
    assert_eq!(std::fs::read_dir(world.path("home/keys")).expect("a folder").count(), 0);
    assert_eq!(service.stop().0, 0);
}

#[test]
fn cl_flw_11_a_port_that_is_named_is_the_one_that_is_used() {
    let (world, service, address) = provider();
    let port = free_address().port().to_string();
    let login = Login::begin_with(&world, &address, &["--client-id", "cli", "--redirect-port", &port]);
    let issuer = format!("http://{address}");
    let args = ["login", "--no-browser", "--issuer", &issuer, "--client-id", "cli", "--redirect-port", &port];
    let other = world.run(&args, "");
    assert!(other.code == 1 && other.stderr.contains("cannot listen on 127.0.0.1"), "{}", other.stderr);
    let back = sign_in(&address, &login.path, "allow");
    let (host, path) = target(&back);
    assert_eq!(host, format!("127.0.0.1:{port}"));
    get(host, path);
    get(host, "/done");
    assert_eq!(login.end().0, 0);
    // The key of the login that found no port is gone.
    assert_eq!(std::fs::read_dir(world.path("home/keys")).expect("a folder").count(), 1);
    assert_eq!(service.stop().0, 0);
}

#[test]
fn cl_key_10_a_login_that_its_user_ends_leaves_no_key() {
    let (world, service, address) = provider();
    let login = Login::begin(&world, &address);
    assert_eq!(std::fs::read_dir(world.path("home/keys")).expect("a folder").count(), 1);
    let id = i32::try_from(login.child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("an id");
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("signalled");
    let (code, said) = login.end();
    assert!(code == 130 && said.contains("ended before there were tokens"), "{code} {said}");
    assert_eq!(std::fs::read_dir(world.path("home/keys")).expect("a folder").count(), 0);
    assert!(!world.path("home/sessions/default.session").exists());
    assert_eq!(service.stop().0, 0);
}

#[test]
fn profiles_that_are_made_at_once_are_all_kept() {
    let world = World::new();
    let names: Vec<String> = (0..8).map(|nth| format!("work-{nth}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            let add = ["profile", "add", name, "--issuer", "https://id.example", "--client-id", "cli"];
            let world = &world;
            scope.spawn(move || world.ok(&add, ""));
        }
    });
    let all: serde_json::Value =
        serde_json::from_str(&world.ok(&["profile", "list", "--json"], "")).expect("JSON");
    let kept: Vec<&str> =
        all.as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(kept, names);
}

#[test]
fn fapi_cl_01_a_profile_under_fapi2_lets_no_weaker_login_begin() {
    let (world, service, address) = provider();
    let issuer = format!("http://{address}");
    let add = ["profile", "add", "strict", "--issuer", &issuer, "--client-id", "cli", "--fapi2"];
    world.ok(&add, "");
    assert!(world.ok(&["profile", "show", "strict"], "").contains("\nfapi2 = true"));
    let refused = world.run(&["login", "--no-browser"], "");
    assert!(refused.code == 2 && refused.stderr.contains("FAPI 2.0"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("/authorize?"), "{}", refused.stderr);
    assert_eq!(std::fs::read_dir(world.path("home/keys")).expect("a folder").count(), 0);
    // A client that shows a key may: its request is pushed.
    let jwk = world.ok(&["key", "new", "auth", "--json"], "");
    let jwk: serde_json::Value = serde_json::from_str(&jwk).expect("JSON");
    world.write("jwks.json", &serde_json::json!({ "keys": [jwk["jwk"]] }).to_string());
    let add = ["client", "add", "--id", "strict", "--native", "--redirect-uri", "http://127.0.0.1/callback"];
    world.ok(&[&add[..], &["--jwks", "jwks.json"]].concat(), "");
    let more = ["--profile", "strict", "--client-id", "strict", "--auth-key", "auth"];
    next_second();
    let login = Login::begin_with(&world, &address, &more);
    assert!(login.path.contains("request_uri="), "{}", login.path);
    let back = sign_in(&address, &login.path, "allow");
    let (host, path) = target(&back);
    get(host, path);
    get(host, "/done");
    let (code, said) = login.end();
    assert!(code == 0 && said.contains("logged in as a11ce"), "{said}");
    assert_eq!(service.stop().0, 0);
}

#[test]
fn a_registration_is_found_again_at_login_from_any_folder() {
    let address = free_address().to_string();
    let world = World::new();
    let config = format!("issuer = \"http://{address}\"\n[registration]\nmode = \"open\"\n");
    world.write("keybound.toml", &config);
    world.write(
        "ca.pem",
        &rcgen::generate_simple_self_signed(vec!["ca".to_owned()]).expect("made").cert.pem(),
    );
    let service = world.start(&["serve", "--listen", &address]);
    let issuer = format!("http://{address}");
    let register =
        ["register", "new", "app", "--issuer", &issuer, "--redirect-uri", "http://127.0.0.1:18765/cb"];
    world.ok(&[&register[..], &["--ca-file", "ca.pem"]].concat(), "");
    let profile = world.ok(&["profile", "show", "app", "--json"], "");
    let profile: serde_json::Value = serde_json::from_str(&profile).expect("JSON");
    assert_eq!((&profile["redirect_path"], &profile["redirect_port"]), (&"/cb".into(), &18765.into()));
    assert_eq!(profile["ca_file"], world.path("ca.pem").display().to_string());
    assert_eq!(service.stop().0, 0);
}

#[test]
fn cl_dsc_03_a_server_that_an_api_names_is_taken_from_the_user_alone() {
    let (world, service, address) = provider();
    let (issuer, api) = (format!("http://{address}"), free_address());
    world.write(
        "gateway.toml",
        &format!(
            "public_url = \"http://{api}\"\nlisten = \"{api}\"\nupstream = \"http://127.0.0.1:1\"\n\
             issuer = \"{issuer}\"\n"
        ),
    );
    let gateway = world.start(&["gateway"]);
    let api = format!("http://{api}");
    let login = ["login", "--no-browser", "--client-id", "cli", "--api", &api];
    let unasked = world.run(&login, "yes\n");
    assert!(
        unasked.code == 2 && unasked.stderr.contains(&format!("give --issuer {issuer}")),
        "{}",
        unasked.stderr
    );
    let other = world.run(&[&login[..], &["--issuer", "https://evil.example"]].concat(), "");
    assert!(
        other.code == 1 && other.stderr.contains("none of these is an issuer that you accept"),
        "{}",
        other.stderr
    );
    assert!(!world.path("home/keys").exists());
    let begun = world.run(&[&login[..], &["--issuer", &issuer]].concat(), "");
    // This provider knows no such resource; it was asked for it.
    assert!(begun.stderr.contains(&format!("at            {api}")), "{}", begun.stderr);
    assert!(begun.code == 4 && begun.stderr.contains("invalid_target"), "{}", begun.stderr);
    assert_eq!((gateway.stop().0, service.stop().0), (0, 0));
}
