//! Consent that a user wants remembered: what it answers, and what ends it.

use crate::common::{Answer, Browser, CALLBACK, PASSWORD, Page, World};
use http::StatusCode;
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_provider::store::{Client, ClientSource};
use serde_json::{Value, json};

const OPENID: (&str, &str) = ("scope", "openid");
const SILENT: (&str, &str) = ("prompt", "none");
const DAY: u64 = 86_400;

impl Browser<'_> {
    /// Allows what the page asks for, with these boxes ticked.
    async fn allow_with(&mut self, page: &Page, ticked: &[&str]) -> Answer {
        let (request, csrf) = (page.field("request"), page.field("csrf"));
        let mut fields = vec![("request", request.as_str()), ("csrf", &csrf), ("allow", "1")];
        fields.extend(ticked.iter().map(|name| (*name, "1")));
        let answer = self.post("/consent", &fields).await.answer();
        assert!(answer.form.has("code"), "{answer:?}");
        answer
    }

    /// Signs in as `ada` for this request, allows it, and wants that remembered.
    async fn remember(&mut self, changes: &[(&str, &str)]) -> Answer {
        let page = self.reach_consent(changes).await;
        assert!(offers_to_remember(&page), "{}", page.body);
        self.allow_with(&page, &["remember"]).await
    }
}

fn offers_to_remember(page: &Page) -> bool {
    page.has("id=\"remember\"")
}

fn is_ticked(page: &Page) -> bool {
    page.has("name=\"remember\" value=\"1\" checked")
}

/// Writes the client anew, with other metadata.
async fn change_client(world: &World, client_id: &str, metadata: Value) {
    let client_id = client_id.to_owned();
    let created_at = world.provider.unix();
    let client = Client { client_id, metadata, source: ClientSource::File, created_at };
    world.provider.store.upsert_client(client).await.unwrap();
    world.clock.turn(1);
}

#[tokio::test]
async fn oidc_aut_07_prompt_none_returns_a_code_where_consent_is_remembered() {
    let world = World::open().await;
    let mut browser = world.browser();
    let first = browser.remember(&[OPENID]).await;
    let first = world.code(first.get("code")).await;
    world.clock.turn(30);
    let silent = browser.ask(&[OPENID, SILENT, ("nonce", "n")]).await.answer();
    assert_eq!((silent.place.as_str(), silent.get("state")), (CALLBACK, "s t&a=te"));
    let code = world.code(silent.get("code")).await;
    assert_eq!((code.subject, code.auth_time), (first.subject, first.auth_time));
    assert_eq!((code.session_id, code.scope), (first.session_id, first.scope));
    assert_ne!(code.grant_id, first.grant_id);
    let shown = browser.ask(&[OPENID]).await.answer();
    assert!(shown.form.has("code"), "nor is a page shown without prompt=none");
}

#[tokio::test]
async fn oidc_aut_07_nothing_is_remembered_that_was_not_ticked() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.reach_consent(&[OPENID]).await;
    assert!(offers_to_remember(&page) && !is_ticked(&page), "a user has to say so");
    browser.allow_with(&page, &[]).await;
    assert_eq!(browser.ask(&[OPENID, SILENT]).await.answer().get("error"), "consent_required");
    assert!(browser.ask(&[OPENID]).await.asks_for_consent());
}

#[tokio::test]
async fn remembered_consent_is_for_one_user_at_one_client_in_any_browser() {
    let other = json!({"client_id": "other", "redirect_uris": [CALLBACK]});
    let world = World::with_clients(&[other]).await;
    let mut browser = world.browser();
    browser.remember(&[OPENID]).await;
    let elsewhere = browser.ask(&[OPENID, SILENT, ("client_id", "other")]).await.answer();
    assert_eq!(elsewhere.get("error"), "consent_required");

    for (username, is_known) in [("ada", true), ("bob", false)] {
        let mut browser = world.browser();
        let page = browser.ask(&[OPENID]).await;
        let page = browser.sign_in(&page, username, PASSWORD).await;
        let page = browser.follow(&page).await;
        assert_eq!(page.status == StatusCode::SEE_OTHER, is_known, "{username}");
        assert_ne!(page.asks_for_consent(), is_known, "{username}");
    }
}

#[tokio::test]
async fn a_page_is_shown_where_more_is_asked_for() {
    let world = World::open().await;
    let mut browser = world.browser();
    let (api, other) = (("resource", "https://api.example/"), ("resource", "https://other.example/"));
    let claims = r#"{"userinfo":{"email":null}}"#;
    browser.remember(&[("scope", "openid read profile"), api]).await;
    for (changes, is_answered) in [
        (vec![("scope", "openid read profile"), api], true),
        (vec![("scope", "profile read openid"), api], true),
        (vec![("scope", "openid read"), api], true),
        (vec![("scope", "openid")], true),
        (vec![("scope", "read")], true),
        (vec![("scope", "read unknown")], true),
        (vec![("scope", "openid write"), api], false),
        (vec![("scope", "openid email")], false),
        (vec![("scope", "openid"), other], false),
        (vec![("scope", "other"), other], false),
        (vec![("scope", "openid"), ("claims", claims)], false),
    ] {
        let page = browser.ask(&changes).await;
        assert_eq!(page.status == StatusCode::SEE_OTHER, is_answered, "{changes:?}");
        let silent = browser.ask(&[&changes[..], &[SILENT]].concat()).await.answer();
        let expected = if is_answered { "" } else { "consent_required" };
        assert_eq!(silent.get("error"), expected, "{changes:?}");
    }
    let page = browser.ask(&[OPENID, ("claims", claims)]).await;
    browser.allow_with(&page, &["remember"]).await;
    assert!(browser.ask(&[OPENID, ("claims", claims), SILENT]).await.answer().form.has("code"));
    for (claims, is_answered) in [
        (r#"{"id_token":{"email_verified":null}}"#, true),
        (r#"{"userinfo":{"name":null}}"#, true),
        (r#"{"userinfo":{"name":null,"email":null}}"#, false),
        (r#"{"userinfo":{"phone_number":null}}"#, false),
    ] {
        let silent = browser.ask(&[OPENID, ("claims", claims), SILENT]).await.answer();
        assert_eq!(
            silent.form.has("code"),
            is_answered,
            "{claims}: the sentence of its scope was read, or not"
        );
    }
}

#[tokio::test]
async fn what_is_remembered_of_two_resources_does_not_make_a_third_thing() {
    let config = "issuer = \"https://id.example\"\n[[resource]]\nidentifier = \"urn:a\"\nscopes = [\"read\"]\n\
                  [[resource]]\nidentifier = \"urn:b\"\nscopes = [\"read\", \"list\"]\n";
    let world = World::with(config, &[]).await;
    let mut browser = world.browser();
    browser.remember(&[("scope", "read"), ("resource", "urn:a")]).await;
    let page = browser.ask(&[("scope", "list"), ("resource", "urn:b")]).await;
    browser.allow_with(&page, &["remember"]).await;
    let silent = async |browser: &mut Browser<'_>, scope, resource| {
        let answer = browser.ask(&[("scope", scope), ("resource", resource), SILENT]).await.answer();
        answer.form.has("code")
    };
    assert!(silent(&mut browser, "read", "urn:a").await, "the one before is not forgotten");
    assert!(silent(&mut browser, "list", "urn:b").await);
    assert!(!silent(&mut browser, "read", "urn:b").await, "read was allowed at the other one");
}

#[tokio::test]
async fn a_resource_of_which_nothing_is_named_is_more_than_a_scope_or_a_detail_there() {
    let config = r#"
        issuer = "https://id.example"
        [[resource]]
        identifier = "urn:a"
        scopes = ["read"]
        [[resource.authorization_details]]
        type = "balance"
        description = "See what is in your account"
        remember = true
    "#;
    let world = World::with(config, &[]).await;
    let mut browser = world.browser();
    let there = ("resource", "urn:a");
    browser.remember(&[("scope", "openid read"), there]).await;
    let balance = ("authorization_details", r#"[{"type":"balance"}]"#);
    let page = browser.ask(&[OPENID, balance]).await;
    browser.allow_with(&page, &["detail_0", "remember"]).await;
    for (changes, is_answered) in [
        (vec![("scope", "openid read"), there], true),
        (vec![("scope", "read"), there], true),
        (vec![OPENID, balance], true),
        (vec![OPENID], true),
        (vec![OPENID, there], false),
    ] {
        let silent = browser.ask(&[&changes[..], &[SILENT]].concat()).await.answer();
        assert_eq!(silent.form.has("code"), is_answered, "{changes:?}: the page would say `Act for you`");
    }
    let page = browser.ask(&[OPENID, there]).await;
    browser.allow_with(&page, &["remember"]).await;
    assert!(browser.ask(&[OPENID, there, SILENT]).await.answer().form.has("code"));
}

#[tokio::test]
async fn oidc_aut_10_prompt_consent_asks_whatever_is_remembered() {
    let world = World::open().await;
    let mut browser = world.browser();
    browser.remember(&[OPENID]).await;
    let page = browser.ask(&[OPENID, ("prompt", "consent")]).await;
    assert!(page.asks_for_consent() && is_ticked(&page), "{}", page.body);
    browser.allow_with(&page, &["remember"]).await;
    assert!(browser.ask(&[OPENID, SILENT]).await.answer().form.has("code"));
    browser.allow_with(&page, &[]).await;
    let unticked = browser.ask(&[OPENID, SILENT]).await.answer();
    assert_eq!(unticked.get("error"), "consent_required");
}

#[tokio::test]
async fn who_says_no_is_asked_again_for_everything() {
    let world = World::open().await;
    let mut browser = world.browser();
    browser.remember(&[OPENID]).await;
    let page = browser.ask(&[("scope", "openid email")]).await;
    assert_eq!(browser.press(&page, "deny").await.answer().get("error"), "access_denied");
    assert_eq!(browser.ask(&[OPENID, SILENT]).await.answer().get("error"), "consent_required");
}

#[tokio::test]
async fn consent_is_forgotten_where_the_client_is_not_the_same_any_more() {
    let jwks = |key: &SigningKey| {
        let jwk: Value = serde_json::from_str(&key.public_jwk().to_json()).unwrap();
        json!({ "keys": [jwk] })
    };
    let keys = [(); 2].map(|()| SigningKey::generate(Algorithm::Es256).unwrap());
    let by_key = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(&keys[0])});
    let by_url =
        json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.example/a"});
    let by_secret = json!({"client_secret": "a secret of some length"});
    for (known_by, member, value, is_same) in [
        (&by_key, "client_name", json!("Another name"), true),
        (&by_key, "scope", json!("openid email"), true),
        (&by_key, "redirect_uris", json!([CALLBACK, "https://evil.example/"]), false),
        (&by_key, "application_type", json!("native"), false),
        (&by_key, "jwks", jwks(&keys[1]), false),
        (&by_key, "token_endpoint_auth_method", json!("none"), false),
        (&by_url, "jwks_uri", json!("https://app.example/b"), false),
        (&by_secret, "client_name", json!("Another name"), true),
        (&by_secret, "client_secret", json!("another secret of that length"), false),
    ] {
        let mut client = json!({"client_id": "c", "client_name": "C", "redirect_uris": [CALLBACK]});
        client.as_object_mut().unwrap().extend(known_by.as_object().unwrap().clone());
        let world = World::with_clients(std::slice::from_ref(&client)).await;
        let mut browser = world.browser();
        let asked = [OPENID, ("client_id", "c")];
        browser.remember(&asked).await;
        client[member] = value;
        change_client(&world, "c", client).await;
        let silent = browser.ask(&[asked[0], asked[1], SILENT]).await.answer();
        assert_eq!(silent.form.has("code"), is_same, "{member}: {silent:?}");
    }
}

#[tokio::test]
async fn consent_is_remembered_for_as_long_as_configured() {
    for (line, days) in [("", 90), ("[lifetimes]\nconsent_days = 2\n", 2)] {
        let config = format!(
            "issuer = \"https://id.example\"\n{line}[[resource]]\nidentifier = \"urn:a\"\nscopes = [\"read\"]\n"
        );
        let world = World::with(&config, &[]).await;
        let mut browser = world.browser();
        let page = browser.reach_consent(&[OPENID]).await;
        assert!(page.has(&format!("for {days} days")), "{}", page.body);
        browser.allow_with(&page, &["remember"]).await;
        for (turned, is_known) in [(days * DAY - 1, true), (1, false)] {
            world.clock.turn(turned);
            let mut browser = world.browser();
            let page = browser.ask(&[OPENID]).await;
            let page = browser.sign_in(&page, "ada", PASSWORD).await;
            assert_ne!(browser.follow(&page).await.asks_for_consent(), is_known, "{days}");
        }
    }
    let config = "issuer = \"https://id.example\"\n[lifetimes]\nconsent_days = 0\n";
    let world = World::with(config, &[]).await;
    let mut browser = world.browser();
    let page = browser.reach_consent(&[OPENID]).await;
    assert!(!offers_to_remember(&page));
    browser.allow_with(&page, &["remember"]).await;
    assert!(browser.ask(&[OPENID]).await.asks_for_consent(), "0: never");
}

/// RFC 8252 §8.6, RFC 6749 §10.2
#[tokio::test]
async fn clients_that_anybody_could_pretend_to_be_are_never_remembered() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let jwk: Value = serde_json::from_str(&key.public_jwk().to_json()).unwrap();
    let uris = json!([CALLBACK, "http://127.0.0.1/cb", "com.example.app:/cb"]);
    let clients = [
        json!({"client_id": "native", "application_type": "native", "redirect_uris": uris}),
        json!({"client_id": "native-secret", "application_type": "native", "redirect_uris": uris,
            "client_secret": "a secret of some length"}),
        json!({"client_id": "native-key", "application_type": "native", "redirect_uris": uris,
            "token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [jwk]}}),
        json!({"client_id": "spa", "redirect_uris": ["http://127.0.0.1/cb"]}),
        json!({"client_id": "server", "redirect_uris": ["http://127.0.0.1/cb"],
            "client_secret": "a secret of some length"}),
    ];
    let world = World::with_clients(&clients).await;
    for (client_id, redirect_uri, is_open) in [
        ("native", CALLBACK, true),
        ("native", "http://127.0.0.1:5555/cb", false),
        ("native", "com.example.app:/cb", false),
        ("native-secret", "http://127.0.0.1:5555/cb", false),
        ("native-key", "com.example.app:/cb", true),
        ("spa", "http://127.0.0.1/cb", false),
        ("server", "http://127.0.0.1/cb", true),
    ] {
        let mut browser = world.browser();
        let asked = [("client_id", client_id), ("redirect_uri", redirect_uri)];
        let page = browser.reach_consent(&[asked[0], asked[1], ("prompt", "consent")]).await;
        assert_eq!(offers_to_remember(&page), is_open, "{client_id} {redirect_uri}");
        browser.allow_with(&page, &["remember"]).await;
        let silent = browser.ask(&[asked[0], asked[1], SILENT]).await.answer();
        assert_eq!(silent.form.has("code"), is_open, "{client_id} {redirect_uri}: {silent:?}");
    }
}

#[tokio::test]
async fn details_are_asked_for_each_time_unless_their_type_may_be_remembered() {
    let config = r#"
        issuer = "https://id.example"
        [[resource]]
        identifier = "https://bank.example/"
        [[resource.authorization_details]]
        type = "payment"
        description = "Pay from your account"
        optional = { to = "string" }
        [[resource.authorization_details]]
        type = "balance"
        description = "See what is in your account"
        actions = ["see", "list"]
        remember = true
        [[resource.authorization_details]]
        type = "history"
        description = "See what was in it"
        remember = true
    "#;
    let world = World::with(config, &[]).await;
    let mut browser = world.browser();
    let asked = |details| [("scope", ""), ("authorization_details", details)];
    let (payment, balance) = (r#"[{"type":"payment"}]"#, r#"[{"type":"balance","actions":["see"]}]"#);
    let both = r#"[{"type":"payment"},{"type":"balance","actions":["see"]}]"#;
    for (details, boxes, is_open) in [
        (payment, vec!["detail_0"], false),
        (both, vec!["detail_0", "detail_1"], false),
        (balance, vec!["detail_0"], true),
    ] {
        let page = browser.reach_consent(&[&asked(details)[..], &[("prompt", "login")]].concat()).await;
        assert_eq!(offers_to_remember(&page), is_open, "{details}");
        browser.allow_with(&page, &[&boxes[..], &["remember"]].concat()).await;
        let silent = browser.ask(&[&asked(details)[..], &[SILENT]].concat()).await.answer();
        assert_eq!(silent.form.has("code"), is_open, "{details}");
    }
    let two = asked(r#"[{"type":"balance","actions":["see"]},{"type":"history"}]"#);
    let page = browser.ask(&two).await;
    browser.allow_with(&page, &["detail_0", "detail_1", "remember"]).await;
    assert!(browser.ask(&two).await.answer().form.has("code"));
    let page = browser.ask(&[&two[..], &[("prompt", "consent")]].concat()).await;
    browser.allow_with(&page, &["detail_0", "remember"]).await;
    assert!(browser.ask(&two).await.asks_for_consent(), "one of them was unticked");
    assert!(browser.ask(&asked(balance)).await.answer().form.has("code"), "the other was not");
    let more = asked(r#"[{"type":"balance","actions":["see","list"]}]"#);
    assert!(browser.ask(&more).await.asks_for_consent());
    let page = browser.ask(&[&asked(balance)[..], &[("prompt", "consent")]].concat()).await;
    assert!(is_ticked(&page));
    let (request, csrf) = (page.field("request"), page.field("csrf"));
    let fields = [("request", request.as_str()), ("csrf", &csrf), ("allow", "1"), ("remember", "1")];
    let nothing = browser.post("/consent", &fields).await.answer();
    assert_eq!(nothing.get("error"), "access_denied", "all was unticked");
    assert!(browser.ask(&asked(balance)).await.asks_for_consent());
}

#[tokio::test]
async fn oidc_rt_01_a_silent_request_gets_offline_access_only_where_it_was_allowed() {
    let client = json!({"client_id": "off", "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"]});
    let world = World::with_clients(&[client]).await;
    let mut browser = world.browser();
    let with = [("client_id", "off"), ("scope", "openid offline_access")];
    browser.remember(&[with[0], OPENID]).await;
    let silent = browser.ask(&[with[0], with[1], SILENT]).await.answer();
    assert_eq!(world.code(silent.get("code")).await.scope, ["openid"], "left out, and no error");
    let page = browser.ask(&with).await;
    assert!(page.asks_for_consent(), "it is more than what is remembered");
    let allowed = browser.allow_with(&page, &["remember"]).await;
    assert_eq!(world.code(allowed.get("code")).await.scope, ["openid", "offline_access"]);
    let silent = browser.ask(&[with[0], with[1], SILENT]).await.answer();
    assert_eq!(world.code(silent.get("code")).await.scope, ["openid", "offline_access"]);
    let without_more =
        browser.ask(&[with[0], ("scope", "openid offline_access email"), SILENT]).await.answer();
    assert_eq!(without_more.get("error"), "consent_required");
}

#[tokio::test]
async fn a_forgotten_consent_and_a_removed_user_answer_nothing() {
    let world = World::open().await;
    let mut browser = world.browser();
    browser.remember(&[OPENID]).await;
    let store = &world.provider.store;
    assert_eq!(store.consents("subject-of-ada", Some("app")).await.unwrap().len(), 1);
    let hash = store.find_user_by_username("ada").await.unwrap().unwrap().password_hash;
    assert!(store.set_password("ada", hash, world.provider.unix()).await.unwrap());
    let page = browser.ask(&[OPENID]).await;
    let page = browser.sign_in(&page, "ada", PASSWORD).await;
    assert!(browser.follow(&page).await.asks_for_consent(), "another password");
}

#[tokio::test]
async fn two_browsers_of_one_user_are_independent() {
    let world = World::open().await;
    let (mut desk, mut phone) = (world.browser(), world.browser());
    let first = desk.remember(&[OPENID]).await;
    let first = world.code(first.get("code")).await;
    world.clock.turn(100);
    let page = phone.ask(&[OPENID]).await;
    let page = phone.sign_in(&page, "ada", PASSWORD).await;
    let second = phone.follow(&page).await.answer();
    let second = world.code(second.get("code")).await;
    assert_ne!(second.session_id, first.session_id);
    assert_eq!(second.auth_time, first.auth_time.plus_secs(100));

    // A new sign-in in one of them leaves the other as it was.
    let page = phone.ask(&[OPENID, ("prompt", "login")]).await;
    phone.sign_in(&page, "bob", PASSWORD).await;
    let again = desk.ask(&[OPENID, SILENT]).await.answer();
    let again = world.code(again.get("code")).await;
    assert_eq!((again.session_id, again.auth_time), (first.session_id, first.auth_time));
    assert_eq!(again.subject, "subject-of-ada");
    assert_eq!(phone.ask(&[OPENID, SILENT]).await.answer().get("error"), "consent_required", "it is bob now");
}
