//! The language of the pages.

use crate::common::{PASSWORD, Page, World};
use http::{Request, StatusCode};
use serde_json::json;

fn language(page: &Page) -> (&str, bool) {
    let tag = page.header("content-language");
    assert_eq!(page.header("vary"), "accept-language");
    assert!(page.has(&format!("<html lang=\"{tag}\">")), "{}", page.body);
    (tag, page.has("Anmelden"))
}

#[tokio::test]
async fn oidc_aut_13_ui_locales_choose_the_language_before_the_browser() {
    let world = World::open().await;
    for (ui_locales, accepted, tag) in [
        ("", "", "en"),
        ("", "de-CH, en;q=0.9", "de"),
        ("", "fr, *;q=0.1", "en"),
        ("fr-CA de", "en", "de"),
        ("en de", "de", "en"),
        ("fr xx", "de", "de"),
        ("%FF", "de", "de"),
    ] {
        let mut browser = world.browser();
        accepted.clone_into(&mut browser.accept_language);
        let page = browser.ask(&[("ui_locales", ui_locales)]).await;
        assert_eq!(language(&page), (tag, tag == "de"), "{ui_locales} {accepted}");
    }
}

#[tokio::test]
async fn oidc_aut_13_the_language_stays_on_the_way() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.ask(&[("ui_locales", "de")]).await;
    let wrong = browser.sign_in(&page, "ada", "wrong").await;
    assert!(wrong.has("stimmt nicht") && wrong.has("lang=\"de\""), "{}", wrong.body);
    let page = browser.sign_in(&page, "ada", PASSWORD).await;
    let page = browser.follow(&page).await;
    assert!(page.has("The App</bdi> bittet um Zugriff") && page.has("lang=\"de\""), "{}", page.body);
}

#[tokio::test]
async fn oidc_aut_13_the_form_that_posts_back_is_in_that_language_too() {
    let world = World::open().await;
    let mut browser = world.browser();
    let asked = [("ui_locales", "de"), ("response_mode", "form_post")];
    let page = browser.reach_consent(&asked).await;
    let page = browser.press(&page, "deny").await;
    assert!(page.has("Zurück zu <bdi>The App</bdi>") && page.has("lang=\"de\""), "{}", page.body);
    assert!(page.has("<title>Zurück zu \u{2068}The App\u{2069} · id.example</title>"), "{}", page.body);
}

/// What developers read is English, and says so; the page around it is not.
#[tokio::test]
async fn error_pages_are_framed_in_the_language_of_the_visitor() {
    let world = World::open().await;
    let mut browser = world.browser();
    "de".clone_into(&mut browser.accept_language);
    for page in [
        browser.ask(&[("client_id", "nobody")]).await,
        browser.ask(&[("scope", "unknown"), ("ui_locales", "fr")]).await,
        browser.post_from("cross-site", "/login", &[]).await,
        browser.post_from("cross-site", "/device", &[]).await,
    ] {
        assert!(page.has("lang=\"de\"") && page.has("id=\"error\" lang=\"en\""), "{}", page.body);
    }
    "en".clone_into(&mut browser.accept_language);
    let asked = browser.ask(&[("client_id", "nobody"), ("ui_locales", "de")]).await;
    assert!(asked.has("kann nicht beantwortet werden"), "{}", asked.body);
    let lost = browser.get("/assets/none.css").await;
    assert!(lost.status == StatusCode::NOT_FOUND && lost.has("There is nothing here"));
}

#[tokio::test]
async fn an_operator_names_the_language_and_the_metadata_all_of_them() {
    let config = "issuer = \"https://id.example\"\n[pages]\nlanguage = \"de\"\n";
    let world = World::with(config, &[]).await;
    let mut browser = world.browser();
    let page = browser.get("/").await;
    assert!(page.has("Anmeldedienst"), "{}", page.body);
    let metadata = browser.get("/.well-known/openid-configuration").await;
    let metadata: serde_json::Value = serde_json::from_str(&metadata.body).unwrap();
    assert_eq!(metadata["ui_locales_supported"], json!(["de", "en"]));
}

#[tokio::test]
async fn what_is_no_language_is_no_error() {
    let world = World::open().await;
    for accepted in [&b"\xff\xfe"[..], b"de;q=;q=1;;", b",,,", &[b'-'; 3000]] {
        let request = Request::get("/").header("accept-language", accepted).body(axum::body::Body::empty());
        let page = world.browser().send(request.unwrap()).await;
        assert_eq!(page.status, StatusCode::OK);
    }
}
