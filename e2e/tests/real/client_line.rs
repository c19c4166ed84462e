//! `keybound` as a client, from registration to logout: provider, gateway and API run beside it.

use crate::process::{Ended, Place, Running};
use crate::provider::{Provider, free_address};
use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::Redirect;
use axum::routing::{any, get, put};
use keybound_e2e::Hands;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const PASSWORD: &str = "secret of eve";

/// A provider that programs register themselves at, a guarded API, and a user's folder.
pub(crate) struct World {
    pub(crate) provider: Provider,
    pub(crate) api: String,
    pub(crate) place: Place,
    _gateway: Running,
}

impl World {
    pub(crate) async fn start() -> Self {
        let guard = free_address();
        let api = format!("http://{guard}");
        let more = format!(
            "[[resource]]\nidentifier = \"{api}\"\nscopes = [\"orders\"]\n[registration]\nmode = \"open\"\n\
             loopback_urls = true\n[limits]\nregistrations_per_minute = 0\n"
        );
        let provider = Provider::start_with(&more).await;
        let added =
            provider.place.run(&["user", "add", "eve", "--password-stdin"], &format!("{PASSWORD}\n")).await;
        assert_eq!(added.code, 0, "{added:?}");
        let place = Place::new();
        let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = upstream.local_addr().expect("an address");
        tokio::spawn(async { axum::serve(upstream, upstream_api()).await });
        let config = format!(
            "public_url = \"{api}\"\nlisten = \"{guard}\"\nupstream = \"http://{address}\"\nissuer = \"{}\"\n",
            provider.issuer
        );
        place.write("gateway.toml", &config);
        let mut gateway = place.start(&["gateway"]);
        gateway.says("ready ").await;
        Self { provider, api, place, _gateway: gateway }
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Ended {
        self.place.run(args, "").await
    }

    /// Runs what must succeed, and gives what it printed.
    pub(crate) async fn ok(&self, args: &[&str]) -> String {
        let ended = self.run(args).await;
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
        ended.stdout
    }

    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        let text = self.ok(&[args, &["--json"]].concat()).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Registers a client by that name, and makes its profile.
    pub(crate) async fn register(&self, name: &str, more: &[&str]) -> String {
        let args = ["register", "new", name, "--issuer", &self.provider.issuer, "--scope", "openid orders"];
        self.ok(&[&args[..], &["--resource", &self.api], more].concat()).await
    }

    /// A login, with hands at the browser.
    pub(crate) async fn login(&self, more: &[&str]) -> Ended {
        let mut login = self.place.start(&[&["login", "--no-browser"], more].concat());
        let url = login.notes("/authorize?").await.trim().to_owned();
        let back = Hands::of("eve", PASSWORD).come_back(&url).await.unwrap_or_else(|page| panic!("{page}"));
        self.provider.get(&back.url()).await;
        login.ended().await
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let all = fs::read_dir(self.place.path(folder)).expect("a folder").map(|file| file.expect("a file"));
        let names = all.map(|file| file.file_name().into_string().expect("a name"));
        let mut names: Vec<_> = names.filter(|name| !name.ends_with(".lock")).collect();
        names.sort();
        names
    }
}

/// An API that knows nothing of tokens.
fn upstream_api() -> Router {
    let orders = |headers: HeaderMap| async move {
        let of = |name| {
            headers.get(name).map_or("", |value: &axum::http::HeaderValue| value.to_str().unwrap_or(""))
        };
        format!("orders for {} of {}", of("keybound-subject"), of("keybound-client-id"))
    };
    let told = |headers: HeaderMap, body: Bytes| async move {
        let kind = headers.get("content-type").map(|kind| kind.to_str().unwrap_or_default().to_owned());
        format!("{} {}", kind.unwrap_or_default(), String::from_utf8_lossy(&body))
    };
    Router::new()
        .route("/orders", get(orders))
        .route("/told", any(told))
        .route("/files", put(|body: Bytes| async move { format!("{} bytes", body.len()) }))
        .route("/big", get(|| async { vec![b'x'; 3_000_000] }))
        .route("/moved", get(|| async { Redirect::temporary("/orders") }))
        .route("/elsewhere", get(|| async { Redirect::temporary("https://elsewhere.example/") }))
        .layer(axum::extract::DefaultBodyLimit::disable())
}

#[tokio::test]
async fn cl_cli_05_cl_key_04_cl_key_10_a_client_is_registered_logs_in_calls_and_logs_out() {
    let world = World::start().await;
    world.register("work", &[]).await;
    let ended = world.login(&[]).await;
    assert!(
        ended.code == 0 && ended.stdout.is_empty() && ended.stderr.contains("session `work`"),
        "{ended:?}"
    );
    let orders = world.ok(&["request", &format!("{}/orders", world.api)]).await;
    let me = world.json(&["whoami", "--userinfo"]).await;
    let (sub, client) = (me["sub"].as_str().expect("a user"), me["client_id"].as_str().expect("a client"));
    assert_eq!(orders, format!("orders for {sub} of {client}"));
    // Another login has another key, at the same server too.
    let other = world.login(&["--session", "other", "--json"]).await;
    let other: Value = serde_json::from_str(&other.stdout).expect("JSON");
    let all = world.json(&["sessions", "list"]).await;
    assert_eq!(all.as_array().expect("a list").len(), 2, "{all}");
    assert!(all[0]["session"] == "other" && all[1]["session"] == "work" && all[0] == other, "{all} {other}");
    assert!(all[0]["jkt"] != all[1]["jkt"] && all[0]["key"] != all[1]["key"], "{all}");
    // A renewed token keeps its key.
    let renewed = world.json(&["token", "refresh"]).await;
    assert!(renewed["jkt"] == all[1]["jkt"] && renewed["is_renewable"] == true, "{renewed}");
    // What is stolen before a logout is worth nothing after it.
    let (session, key) =
        ("home/sessions/work.session", format!("home/keys/{}.jwk", all[1]["key"].as_str().expect("a key")));
    let stolen = [session, &key].map(|name| (name, fs::read(world.place.path(name)).expect("a file")));
    let out = world.ok(&["logout"]).await;
    assert_eq!(out, "deleted work and its key\n");
    assert_eq!(
        (world.files("home/sessions"), world.files("home/keys").len()),
        (vec!["other.session".to_owned()], 1)
    );
    assert_eq!(world.run(&["request", &format!("{}/orders", world.api), "--session", "work"]).await.code, 3);
    for (name, bytes) in stolen {
        fs::write(world.place.path(name), bytes).expect("written");
        fs::set_permissions(world.place.path(name), fs::Permissions::from_mode(0o600)).expect("set");
    }
    let refused = world.run(&["token", "refresh"]).await;
    assert!(refused.code == 3 && refused.stderr.contains("invalid_grant"), "{refused:?}");
}

#[tokio::test]
async fn cl_flw_11_a_user_signs_in_on_another_device() {
    let world = World::start().await;
    world.register("tv", &["--grant", "device_code", "--grant", "refresh_token"]).await;
    // There is no display here, so nobody has to ask for the code.
    let mut login = world.place.start(&["login"]);
    login.notes("to ask for").await;
    login.notes("and type the code").await;
    let code = login.notes("").await.trim().to_owned();
    let link = login.notes("user_code=").await.trim().to_owned();
    assert!(link.contains(&code), "{code} {link}");
    let page = Hands::of("eve", PASSWORD).connect(&link).await;
    assert!(page.contains("id=\"done\""), "{page}");
    let ended = login.ended().await;
    assert!(ended.code == 0 && ended.stderr.contains("logged in as "), "{ended:?}");
    assert!(world.ok(&["request", "-s", &format!("{}/orders", world.api)]).await.starts_with("orders for "));
}

#[tokio::test]
async fn cl_cli_01_atk_126_no_secret_is_on_a_command_line() {
    let world = World::start().await;
    let make = [
        "client",
        "add",
        "--id",
        "svc",
        "--grant",
        "client_credentials",
        "--auth",
        "client_secret_basic",
        "--json",
    ];
    let made = world.provider.place.run(&make, "").await;
    let made: Value = serde_json::from_str(&made.stdout).expect("JSON");
    let secret = made["client_secret"].as_str().expect("a secret");
    world.place.write("svc.secret", secret);
    // A provider that never answers, so that the command can be looked at while it runs.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let issuer = format!("http://{}", silent.local_addr().expect("an address"));
    let running = world.place.start(&[
        "token",
        "client-credentials",
        "--issuer",
        &issuer,
        "--client-id",
        "svc",
        "--secret-file",
        "svc.secret",
    ]);
    let (_held, _) = silent.accept().await.expect("it asks");
    let seen = running.command_line();
    assert!(seen.contains("svc.secret") && !seen.contains(secret), "{seen}");
    // Nothing takes one as an argument.
    for option in ["--secret", "--client-secret", "--token", "--password", "--access-token", "--passphrase"] {
        for command in ["login", "request", "register new x", "logout", "whoami"] {
            let args: Vec<&str> = command.split(' ').chain([option, "hunter2"]).collect();
            let refused = world.run(&args).await;
            assert!(refused.code == 2 && !refused.stderr.contains("hunter2"), "{args:?} {refused:?}");
        }
    }
    // Nor is one printed, kept where others can read it, or handed on to the browser.
    let line = format!(
        "umask 000; CLIENT_SECRET={secret} keybound token client-credentials --issuer {} --client-id svc \
         --secret-env CLIENT_SECRET --scope orders --resource {} --session svc --json",
        world.provider.issuer, world.api
    );
    let ended = world.place.start_shell(&line).ended().await;
    assert!(ended.code == 0 && !ended.stdout.contains("eyJ") && !ended.stderr.contains("eyJ"), "{ended:?}");
    for folder in ["home/sessions", "home/keys"] {
        assert_eq!(mode(&world.place, folder) & 0o077, 0);
        for file in world.files(folder) {
            assert_eq!(mode(&world.place, &format!("{folder}/{file}")), 0o600, "{file}");
        }
    }
    let shown = world.ok(&["token", "show", "--session", "svc", "--show-token"]).await;
    assert_eq!(shown.trim().split('.').count(), 3, "{shown}");
}

#[tokio::test]
async fn fapi_cl_08_a_login_is_shown_before_the_browser_opens_and_nobody_else_can_start_one() {
    let world = World::start().await;
    world.register("work", &[]).await;
    // The browser writes down what the user has seen by then.
    world.place.write(
        "browser",
        "#!/bin/bash\ncp seen before\necho \"$1\" > opened.new\nenv > environment\nmv opened.new opened\n",
    );
    fs::set_permissions(world.place.path("browser"), fs::Permissions::from_mode(0o700)).expect("set");
    let browser = world.place.path("browser");
    let line = format!("TOP=hunter2 BROWSER={} exec keybound login 2> >(tee seen >&2)", browser.display());
    world.place.write("seen", "");
    let mut login = world.place.start_shell(&line);
    let url = login.notes("/authorize?").await.trim().to_owned();
    let back = Hands::of("eve", PASSWORD).come_back(&url).await.unwrap_or_else(|page| panic!("{page}")).url();
    let listener = back.split("/callback").next().expect("an origin").to_owned();
    for path in ["/", "/login", "/callback", "/start?issuer=https://evil.example"] {
        let answer = world.provider.get(&format!("{listener}{path}")).await;
        assert!(answer.status() == 404 && answer.headers().get("location").is_none(), "{path}: {answer:?}");
    }
    world.provider.get(&back).await;
    let ended = login.ended().await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let opened = fs::read_to_string(world.place.path("opened")).expect("the browser was opened");
    assert_eq!(opened.trim(), url);
    let before = fs::read_to_string(world.place.path("before")).expect("what was seen");
    for shown in
        [&format!("Signing in at {}", world.provider.issuer), "to ask for    openid orders", &world.api]
    {
        assert!(before.contains(shown), "{shown} is not in {before}");
    }
}

#[tokio::test]
async fn a_registration_is_kept_to_its_owner_shown_changed_and_ended() {
    let world = World::start().await;
    let told = world.register("app", &["--auth", "client_secret_basic"]).await;
    let kept = "home/registrations/app.json";
    let json: Value =
        serde_json::from_slice(&fs::read(world.place.path(kept)).expect("a file")).expect("JSON");
    let secret = json["client_secret"].as_str().expect("a secret");
    assert!(mode(&world.place, kept) == 0o600 && !told.contains(secret), "{told}");
    let profile = world.json(&["profile", "show", "app"]).await;
    assert!(profile["registration"] == "app" && !profile.to_string().contains(secret), "{profile}");
    let shown = world.json(&["register", "show", "app"]).await;
    assert!(shown["dpop_bound_access_tokens"] == true && !shown.to_string().contains(secret), "{shown}");
    world.ok(&["register", "update", "app", "--set", "client_name=Orders at night"]).await;
    assert_eq!(world.json(&["register", "show", "app"]).await["client_name"], "Orders at night");
    // The secret of the registration is good for a login.
    let ended = world.login(&["--profile", "app"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let again = world.run(&["register", "new", "app", "--issuer", &world.provider.issuer]).await;
    assert!(again.code == 2 && again.stderr.contains("already"), "{again:?}");
    world.ok(&["register", "delete", "app"]).await;
    assert!(!world.place.path(kept).exists());
    assert_eq!(world.run(&["profile", "show", "app"]).await.code, 2);
}

fn mode(place: &Place, name: &str) -> u32 {
    fs::metadata(place.path(name)).expect("metadata").permissions().mode() & 0o777
}
