//! What an operator puts on the pages, and the words for what is asked.

use crate::common::{Page, World};
use http::StatusCode;

const RESOURCES: &str = r##"
[[resource]]
identifier = "https://api.example/"
name = { en = "Photos", de = "Fotos" }
scopes = ["read", "write"]
scope_texts = { read = { en = "See <your> photos", de = "Ihre Fotos sehen" } }
default = true

[[resource]]
identifier = "https://other.example/"
scopes = ["read"]
"##;

async fn branded(pages: &str) -> World {
    let config = format!("issuer = \"https://id.example\"\n[pages]\n{pages}\n{RESOURCES}");
    World::with(&config, &[]).await
}

/// The value of the attribute after this text.
fn attribute<'p>(page: &'p Page, before: &str) -> &'p str {
    let (_, after) = page.body.split_once(before).expect(before);
    after.split('"').next().unwrap()
}

#[tokio::test]
async fn bcp_ui_03_a_logo_comes_from_here_and_links_tell_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let logo = folder.path().join("logo.svg");
    std::fs::write(&logo, "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>")
        .unwrap();
    let pages = format!(
        "name = \"Acme & Söhne\"\naccent = \"#7a0019\"\nlogo = {:?}\nimprint = \"https://acme.example/i\"\n\
         privacy = \"https://acme.example/p\"\nhelp = \"https://acme.example/h\"",
        logo.display().to_string()
    );
    let world = branded(&pages).await;
    let mut browser = world.browser();
    let page = browser.ask(&[]).await;
    assert!(page.has("<title>Sign in · Acme &#38; Söhne</title>"), "{}", page.body);
    assert!(page.has("<span class=\"host\">id.example</span>"), "the host stays");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("style-src 'self'; img-src 'self' data:;"), "{policy}");
    for words in ["Legal notice", "Privacy", "Help"] {
        let (before, _) = page.body.split_once(words).expect(words);
        assert!(before.ends_with("rel=\"noopener noreferrer\">"), "{words}");
    }
    let image = browser.get(attribute(&page, "<img class=\"logo\" src=\"")).await;
    assert_eq!((image.status, image.header("content-type")), (StatusCode::OK, "image/svg+xml"));
    assert!(image.header("cache-control").contains("immutable"));
    let policy = image.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none';") && policy.ends_with("sandbox"), "{policy}");
    let style = browser.get(attribute(&page, "rel=\"stylesheet\" href=\"")).await;
    assert!(style.has("--accent: #7a0019;"));
    let plain = branded("").await;
    let other = plain.browser().ask(&[]).await;
    assert_ne!(
        attribute(&other, "rel=\"stylesheet\" href=\""),
        attribute(&page, "rel=\"stylesheet\" href=\"")
    );
    assert!(!other.has("<footer>") && !other.has("<img"), "{}", other.body);
}

#[tokio::test]
async fn fapi_az_10_consent_tells_in_words_what_is_asked_and_where() {
    let world = branded("").await;
    let asked = [("scope", "openid email read write"), ("resource", "https://api.example/")];
    let page = world.browser().reach_consent(&asked).await;
    for shown in [
        "It wants to</h2>",
        "See your e-mail address",
        "At <bdi>Photos</bdi> it wants to",
        "<code>https://api.example/</code>",
        "See &#60;your&#62; photos",
        "Use <bdi>write</bdi>",
        "You are signed in as <bdi>ada</bdi>.",
        "<bdi>The App</bdi> asks for access",
        "<code>app.example</code>",
    ] {
        assert!(page.has(shown), "{shown} in {}", page.body);
    }
    let mut browser = world.browser();
    "de".clone_into(&mut browser.accept_language);
    let page = browser.reach_consent(&[("resource", "https://other.example/")]).await;
    assert!(page.has("Bei <bdi>https://other.example/</bdi> möchte sie"), "{}", page.body);
    assert!(!page.has("Fotos") && page.has("<bdi>read</bdi> verwenden"), "{}", page.body);
}

#[tokio::test]
async fn forms_help_to_fill_them_in() {
    let world = branded("").await;
    let mut browser = world.browser();
    let page = browser.ask(&[]).await;
    assert!(page.has("autocomplete=\"username\"") && page.has("autocomplete=\"current-password\""));
    let wrong = browser.sign_in(&page, "ada", "wrong").await;
    assert!(wrong.has("<title>Error: \u{2068}Sign in\u{2069} · id.example</title>"), "{}", wrong.body);
    assert!(wrong.has("id=\"error\" role=\"alert\""));
    let page = browser.get("/device?user_code=bcdf-ghjk").await;
    assert!(page.has("value=\"BCDF-GHJK\"") && page.has("aria-describedby=\"hint\""), "{}", page.body);
    assert_eq!(attribute(&page, "pattern=\""), "([^A-Za-z0-9]*[A-Za-z]){8}[^A-Za-z0-9]*");
}
