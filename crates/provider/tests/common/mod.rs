//! A provider in this process, on a clock that the test turns, and a browser that visits it.

use axum::Router;
use axum::body::Body;
use http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use keybound_dpop::secret::Secret;
use keybound_dpop::time::{Clock, Now, UnixTime};
use keybound_oauth::form::{Form, FormWriter, decode};
use keybound_provider::config::ConfigFile;
use keybound_provider::passwords;
use keybound_provider::provider::Provider;
use keybound_provider::service::service;
use keybound_provider::store::{Client, ClientSource, Code, Credential, Inserted, Store, User};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tempfile::TempDir;
use tower::ServiceExt;

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const CALLBACK: &str = "https://app.example/cb";
/// The challenge of RFC 7636 appendix B.
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

const CONFIG: &str = r#"
issuer = "https://id.example"

[[resource]]
identifier = "https://api.example/"
scopes = ["read", "write"]
default = true

[[resource]]
identifier = "https://other.example/"
scopes = ["other"]
"#;

/// A clock that stands until it is turned.
#[derive(Debug)]
pub(crate) struct HandClock(Mutex<Now>);

impl HandClock {
    pub(crate) fn turn(&self, secs: u64) {
        let mut now = self.0.lock().unwrap();
        now.unix = now.unix.plus_secs(secs);
        now.monotonic += Duration::from_secs(secs);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Now {
        *self.0.lock().unwrap()
    }
}

pub(crate) struct World {
    pub(crate) provider: Arc<Provider>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) folder: TempDir,
    pub(crate) router: Router,
}

impl World {
    /// The usual provider: client `app`, user `ada`.
    pub(crate) async fn open() -> Self {
        Self::with(CONFIG, &[]).await
    }

    /// The usual provider, and these clients besides. One with a member `self_registered` is.
    pub(crate) async fn with_clients(clients: &[Value]) -> Self {
        Self::with(CONFIG, clients).await
    }

    pub(crate) async fn with(config: &str, clients: &[Value]) -> Self {
        let config = ConfigFile::parse(config, "test").unwrap().check().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("keybound.sqlite")).unwrap();
        let now = Now { unix: UnixTime::from_secs(1_800_000_000), monotonic: Duration::from_secs(100_000) };
        let app = json!({"client_id": "app", "client_name": "The App", "redirect_uris": [CALLBACK]});
        for metadata in [app].iter().chain(clients) {
            let client_id = metadata["client_id"].as_str().unwrap().to_owned();
            let source = match metadata.get("self_registered") {
                Some(_) => ClientSource::Registered,
                None => ClientSource::File,
            };
            let client = Client { client_id, metadata: metadata.clone(), source, created_at: now.unix };
            store.upsert_client(client).await.unwrap();
        }
        for username in ["ada", "bob"] {
            let user = User {
                username: username.to_owned(),
                subject: format!("subject-of-{username}"),
                password_hash: password_hash(),
                claims: serde_json::Map::new(),
                updated_at: now.unix,
            };
            assert_eq!(store.insert_user(user).await.unwrap(), Inserted::Yes);
        }
        let clock = Arc::new(HandClock(Mutex::new(now)));
        let provider = Provider::open(config, store, Arc::<HandClock>::clone(&clock)).await.unwrap();
        let router = service(&provider).into();
        Self { provider, clock, folder, router }
    }

    pub(crate) fn browser(&self) -> Browser<'_> {
        let peer = SocketAddr::from(([192, 0, 2, 1], 1000));
        Browser { world: self, cookies: BTreeMap::new(), peer, accept_language: String::new() }
    }

    /// A second provider over the same store, as after a restart.
    pub(crate) async fn opened_again(&self) -> Arc<Provider> {
        let config = ConfigFile::parse(CONFIG, "test").unwrap().check().unwrap();
        Provider::open(config, self.provider.store.clone(), Arc::<HandClock>::clone(&self.clock))
            .await
            .unwrap()
    }

    /// What the store knows of a code.
    pub(crate) async fn code(&self, text: &str) -> Code {
        let (id, hash) = Credential::parse(text).expect("a code");
        self.provider.store.find_code(id, &hash).await.unwrap().expect("a code that is known").0
    }
}

fn password_hash() -> Secret {
    static HASH: OnceLock<Secret> = OnceLock::new();
    HASH.get_or_init(|| passwords::hash(&Secret::new(PASSWORD)).unwrap()).clone()
}

/// The query of a good request, with some parameters changed: an empty value leaves one out.
pub(crate) fn query(changes: &[(&str, &str)]) -> String {
    let mut all: BTreeMap<&str, &str> = BTreeMap::from([
        ("client_id", "app"),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "read"),
        ("state", "s t&a=te"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    all.extend(changes.iter().copied());
    all.retain(|_, value| !value.is_empty());
    all.into_iter().fold(FormWriter::new(), |form, (name, value)| form.pair(name, value)).finish()
}

pub(crate) struct Browser<'w> {
    pub(crate) world: &'w World,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) peer: SocketAddr,
    pub(crate) accept_language: String,
}

#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Browser<'_> {
    pub(crate) async fn send(&mut self, mut request: Request<Body>) -> Page {
        if !self.cookies.is_empty() {
            let cookies: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request.headers_mut().insert(COOKIE, cookies.join("; ").parse().unwrap());
        }
        if !self.accept_language.is_empty() {
            request.headers_mut().insert(ACCEPT_LANGUAGE, self.accept_language.parse().unwrap());
        }
        request.extensions_mut().insert(self.peer);
        let (parts, body) = self.world.router.clone().oneshot(request).await.unwrap().into_parts();
        for cookie in parts.headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            match cookie.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        let body = body.collect().await.unwrap().to_bytes();
        Page { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Opens the authorization endpoint with the usual request, changed.
    pub(crate) async fn ask(&mut self, changes: &[(&str, &str)]) -> Page {
        self.get(&format!("/authorize?{}", query(changes))).await
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.post_from("same-origin", path, fields).await
    }

    pub(crate) async fn post_from(&mut self, site: &str, path: &str, fields: &[(&str, &str)]) -> Page {
        let form = fields.iter().fold(FormWriter::new(), |form, (name, value)| form.pair(name, value));
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", site)
            .body(Body::from(form.finish()))
            .unwrap();
        self.send(request).await
    }

    /// Fills in the sign-in form on the page.
    pub(crate) async fn sign_in(&mut self, page: &Page, username: &str, password: &str) -> Page {
        let fields = [
            ("request", page.field("request")),
            ("csrf", page.field("csrf")),
            ("username", username.to_owned()),
            ("password", password.to_owned()),
        ];
        self.post("/login", &fields.each_ref().map(|(name, value)| (*name, value.as_str()))).await
    }

    /// Presses a button of the consent form on the page.
    pub(crate) async fn press(&mut self, page: &Page, button: &str) -> Page {
        self.press_at("/consent", page, button).await
    }

    /// Presses a button of a form on the page that is posted there.
    pub(crate) async fn press_at(&mut self, path: &str, page: &Page, button: &str) -> Page {
        let (request, csrf) = (page.field("request"), page.field("csrf"));
        self.post(path, &[("request", &request), ("csrf", &csrf), (button, "1")]).await
    }

    /// Follows a redirect of the provider to itself.
    pub(crate) async fn follow(&mut self, page: &Page) -> Page {
        let own = page.location().strip_prefix("https://id.example").expect("our own address").to_owned();
        self.get(&own).await
    }

    /// Asks, signs in as `ada`, and gives the consent page.
    pub(crate) async fn reach_consent(&mut self, changes: &[(&str, &str)]) -> Page {
        let page = self.ask(changes).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let page = self.sign_in(&page, "ada", PASSWORD).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
        let page = self.follow(&page).await;
        assert!(page.has("id=\"allow\""), "{}", page.body);
        page
    }

    /// Asks, signs in, allows, and gives the answer that the client gets.
    pub(crate) async fn allow(&mut self, changes: &[(&str, &str)]) -> Answer {
        let page = self.reach_consent(changes).await;
        self.press(&page, "allow").await.answer()
    }
}

impl Page {
    pub(crate) fn has(&self, text: &str) -> bool {
        self.body.contains(text)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn location(&self) -> &str {
        self.header(LOCATION.as_str())
    }

    /// The value of a form's field.
    pub(crate) fn field(&self, name: &str) -> String {
        let (_, after) = self.body.split_once(&format!("name=\"{name}\"")).expect("such a field");
        let (_, after) = after.split_once("value=\"").expect("a value");
        unescape(after.split('"').next().unwrap())
    }

    /// The answer that the redirect brings to the client; fails where it goes elsewhere.
    pub(crate) fn answer(&self) -> Answer {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        let location = self.location().strip_suffix("#_").expect("a fragment of its own");
        let (place, query) = location.rsplit_once('?').expect("a query");
        Answer { place: place.to_owned(), form: Form::parse_query(query).unwrap() }
    }

    /// The error code that the page shows.
    pub(crate) fn shown_error(&self) -> &str {
        assert!(self.location().is_empty(), "a redirect to {}", self.location());
        let (_, after) = self.body.split_once("id=\"error\"").expect("an error");
        after.split_once("<code>").and_then(|(_, after)| after.split('<').next()).unwrap_or_default()
    }

    /// Whether this is the page to sign in.
    pub(crate) fn asks_to_sign_in(&self) -> bool {
        self.status == StatusCode::OK && self.has("id=\"password\"")
    }

    /// Whether this is the page to allow or deny.
    pub(crate) fn asks_for_consent(&self) -> bool {
        self.status == StatusCode::OK && self.has("id=\"deny\"")
    }
}

/// What came to the redirect URI.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) place: String,
    pub(crate) form: Form,
}

impl Answer {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.form.get(name).unwrap_or_default()
    }
}

fn unescape(text: &str) -> String {
    let mut out = text.to_owned();
    for (entity, character) in
        [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")]
    {
        out = out.replace(entity, character);
    }
    out
}

/// One form-encoded text, decoded.
pub(crate) fn decoded(text: &str) -> String {
    decode(text.as_bytes()).unwrap()
}
