//! Headers and HTML of the pages.

use crate::common::{CALLBACK, Page, World};
use http::StatusCode;
use serde_json::json;

/// One page of each kind.
async fn all_pages(world: &World) -> Vec<(&'static str, Page)> {
    let mut browser = world.browser();
    vec![
        ("front", browser.get("/").await),
        ("sign in", browser.ask(&[]).await),
        ("return", browser.ask(&[("scope", "unknown")]).await),
        ("error", browser.ask(&[("client_id", "nobody")]).await),
        ("refused form", browser.post_from("cross-site", "/login", &[]).await),
        ("consent", browser.reach_consent(&[]).await),
        ("account", browser.ask(&[("prompt", "select_account")]).await),
        ("no such asset", browser.get("/assets/other.css").await),
    ]
}

#[tokio::test]
async fn bcp_ui_01_atk_134_no_page_can_be_framed() {
    let world = World::open().await;
    for (name, page) in all_pages(&world).await {
        assert_eq!(page.header("x-frame-options"), "DENY", "{name}");
        assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"), "{name}");
    }
}

#[tokio::test]
async fn bcp_ui_02_the_policy_allows_nothing_but_our_style_and_the_way_back() {
    let native = json!({
        "client_id": "native",
        "application_type": "native",
        "redirect_uris": ["com.example.app:/cb", "http://127.0.0.1/cb"],
    });
    let world = World::with_clients(&[native]).await;
    let fixed = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; \
                 frame-ancestors 'none'; form-action 'self'";
    for (name, page) in all_pages(&world).await {
        let target = if matches!(name, "sign in" | "account" | "consent" | "return") {
            " https://app.example"
        } else {
            ""
        };
        assert_eq!(page.header("content-security-policy"), format!("{fixed}{target}"), "{name}");
    }
    for (redirect_uri, target) in
        [("com.example.app:/cb", "com.example.app:"), ("http://127.0.0.1:5555/cb", "http://127.0.0.1:5555")]
    {
        let changes = [("client_id", "native"), ("redirect_uri", redirect_uri)];
        let page = world.browser().ask(&changes).await;
        assert_eq!(page.header("content-security-policy"), format!("{fixed} {target}"));
    }
}

#[tokio::test]
async fn bcp_ui_03_atk_137_nothing_is_loaded_from_or_linked_to_elsewhere() {
    let world = World::open().await;
    for (name, page) in all_pages(&world).await {
        assert_eq!(page.header("referrer-policy"), "no-referrer", "{name}");
        for attribute in ["src=\"", "href=\"", "action=\""] {
            for rest in page.body.split(attribute).skip(1) {
                let url = rest.split('"').next().unwrap();
                let is_own =
                    url.starts_with("https://id.example/") || url.starts_with('/') || url == "data:,";
                assert!(is_own && !url.starts_with("//"), "{name}: {url}");
            }
        }
        assert!(
            !page.has("<script") && !page.has("style=") && !has_handler(&page.body),
            "{name}: {}",
            page.body
        );
    }
}

/// Whether there is an attribute such as `onclick`.
fn has_handler(html: &str) -> bool {
    html.split(" on").skip(1).any(|rest| {
        rest.trim_start_matches(|character: char| character.is_ascii_alphabetic()).starts_with('=')
    })
}

#[tokio::test]
async fn bcp_ui_09_what_others_wrote_is_escaped() {
    let corpus = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onfocus='alert(1)",
        "</title><svg/onload=alert(1)>",
        "javascript:alert(1)",
        "{{7*7}}{% raw %}",
        "&lt;script&gt;",
        "<!--",
        "]]>",
        "\u{202e}<b>\u{0}",
    ];
    for (n, evil) in corpus.into_iter().enumerate() {
        let client = json!({"client_id": "evil", "client_name": evil, "redirect_uris": [CALLBACK]});
        let config = "issuer = \"https://id.example\"\n[[resource]]\nidentifier = \"https://api.example/\"\n\
                      scopes = [\"read\", \"<b>\", \"'onfocus='alert(1)\"]\n";
        let world = World::with(config, &[client]).await;
        let scope = "read <b> 'onfocus='alert(1)";
        let changes =
            [("client_id", "evil"), ("state", evil), ("login_hint", evil), ("nonce", evil), ("scope", scope)];
        let mut browser = world.browser();
        let sign_in = browser.ask(&changes).await;
        assert_eq!(sign_in.field("username"), evil, "the hint survives as text");
        let wrong = browser.sign_in(&sign_in, evil, "wrong").await;
        let faulty = browser.ask(&[changes[0], changes[1], ("scope", "<i>")]).await;
        let consent = browser.reach_consent(&changes).await;
        assert!(consent.has("&#60;b&#62;") && consent.has("&#39;onfocus=&#39;alert(1)"), "{}", consent.body);
        for page in [&sign_in, &wrong, &faulty, &consent] {
            let ours = page.body.to_lowercase();
            for bad in ["<script", "<img", "<b>", "<i>", "<!--", "<svg/", "' onfocus", "'onfocus"] {
                assert!(!ours.contains(bad), "{n}: {bad}: {ours}");
            }
            assert!(page.has(&expected(evil)), "{n}: shown as text: {}", page.body);
        }
    }
}

/// The text as a template has to write it.
fn expected(text: &str) -> String {
    text.replace('&', "&#38;")
        .replace('<', "&#60;")
        .replace('>', "&#62;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

#[tokio::test]
async fn bcp_ui_11_pages_carry_the_hardening_headers() {
    let world = World::open().await;
    let mut pages = all_pages(&world).await;
    let mut browser = world.browser();
    pages.push(("redirect", browser.ask(&[("prompt", "none")]).await));
    for (name, page) in pages {
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{name}");
        assert_eq!(page.header("cross-origin-opener-policy"), "same-origin", "{name}");
        assert_eq!(page.header("strict-transport-security"), "max-age=31536000", "{name}");
        assert!(page.header("permissions-policy").contains("camera=()"), "{name}");
    }
}

#[tokio::test]
async fn bcp_ui_12_pages_are_not_kept() {
    let world = World::open().await;
    let mut pages = all_pages(&world).await;
    let mut browser = world.browser();
    let consent = browser.reach_consent(&[]).await;
    pages.push(("code", browser.press(&consent, "allow").await));
    for (name, page) in pages {
        assert_eq!(page.header("cache-control"), "no-store", "{name}");
    }
}

#[tokio::test]
async fn the_style_sheet_is_kept_for_ever_under_the_name_of_its_content() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.ask(&[]).await;
    let (_, after) = page.body.split_once("rel=\"stylesheet\" href=\"").unwrap();
    let style = browser.get(after.split('"').next().unwrap()).await;
    assert_eq!((style.status, style.header("content-type")), (StatusCode::OK, "text/css; charset=utf-8"));
    assert!(style.header("cache-control").contains("immutable"));
    assert!(style.has("prefers-color-scheme: dark") && !style.has("url(") && !style.has("@import"));
}

#[tokio::test]
async fn pages_can_be_read_aloud() {
    let world = World::open().await;
    let mut browser = world.browser();
    let page = browser.ask(&[]).await;
    let wrong = browser.sign_in(&page, "ada", "wrong").await;
    for name in ["username", "password"] {
        assert!(wrong.has(&format!("<label for=\"{name}\">")), "{name}");
        let (_, input) = wrong.body.split_once(&format!("id=\"{name}\" name=\"{name}\"")).unwrap();
        let input = input.split('>').next().unwrap();
        assert!(input.contains("aria-describedby=\"error\"") && input.contains("aria-invalid=\"true\""));
    }
    assert!(wrong.has("id=\"error\" role=\"alert\""));
    for (name, page) in all_pages(&world).await {
        assert!(page.has("<html lang=\"en\">") && page.has("<main>") && page.has("<h1"), "{name}");
        assert!(page.has("<title>") && page.has("name=\"viewport\""), "{name}");
    }
}
