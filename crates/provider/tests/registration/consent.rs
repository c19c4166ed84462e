//! What people are told of an application that nobody here has checked.

use crate::common::PASSWORD;
use crate::program::{CALLBACK, OPEN, public, reach_consent, register, registered, text, with, world};
use crate::site::Site;
use http::StatusCode;
use serde_json::json;

const GIF: &[u8] = b"GIF89a and so on";

#[tokio::test]
async fn as_dcr_13_who_registered_itself_is_flagged_and_who_did_not_is_not() {
    let world = world(OPEN).await;
    let client_id = text(&registered(&world, &public()).await, "client_id");
    let page = reach_consent(&mut world.browser(), &client_id, CALLBACK).await;
    assert!(page.has("registered itself"), "{}", page.body);
    assert!(page.has("<code>shop.example</code>"), "where the user goes from here: {}", page.body);

    let mut browser = world.browser();
    let page = browser.ask(&[]).await;
    let page = browser.sign_in(&page, "ada", PASSWORD).await;
    let own = page.location().strip_prefix("http://localhost:8080").unwrap().to_owned();
    let page = browser.get(&own).await;
    assert!(page.asks_for_consent() && !page.has("id=\"unchecked\""), "{}", page.body);
}

#[tokio::test]
async fn as_dcr_13_atk_093_a_name_is_a_text() {
    let world = world(OPEN).await;
    let name = "<script>alert(1)</script>\"'&";
    let client_id = text(&registered(&world, &with(public(), "client_name", json!(name))).await, "client_id");
    let page = reach_consent(&mut world.browser(), &client_id, CALLBACK).await;
    assert!(!page.has("<script>") && page.has("&#60;script&#62;alert(1)"), "{}", page.body);
}

#[tokio::test]
async fn as_dcr_13_atk_093_a_name_hides_nothing() {
    let world = world(OPEN).await;
    for hidden in
        ['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{ad}', '\u{2028}', '\u{3164}', '\u{e0041}']
    {
        let name = format!("The{hidden}Bank");
        let page = register(&world, &with(public(), "client_name", name.into())).await;
        assert_eq!(
            page.refusal(),
            (400, "invalid_client_metadata".to_owned()),
            "{}",
            hidden.escape_unicode()
        );
    }
    for nothing in ["", "  ", "\u{a0}\u{200d}"] {
        let page = register(&world, &with(public(), "client_name", nothing.into())).await;
        assert_eq!(page.refusal(), (400, "invalid_client_metadata".to_owned()), "{nothing:?}");
    }
    for name in ["Café", "カフェ", "קפה", "نرم\u{200c}افزار", "👩\u{200d}🍳"] {
        registered(&world, &with(public(), "client_name", name.into())).await;
    }
}

#[tokio::test]
async fn as_dcr_10_oidc_dcr_05_logo_policy_and_terms_are_shown_and_the_logo_is_ours() {
    let (site, world) = (Site::open().await, world(OPEN).await);
    let logo = site.put("/logo.gif", GIF);
    let metadata = with(public(), "logo_uri", logo.clone().into());
    let metadata = with(metadata, "policy_uri", json!("https://shop.example/policy?a=1&b=2"));
    let metadata = with(metadata, "tos_uri", json!("https://shop.example/tos"));
    let client_id = text(&registered(&world, &metadata).await, "client_id");
    let mut browser = world.browser();
    let mut page = reach_consent(&mut browser, &client_id, CALLBACK).await;
    // It is fetched beside the registration.
    while !page.has("class=\"logo\"") {
        tokio::task::yield_now().await;
        page = browser.ask(&[("client_id", &client_id), ("redirect_uri", CALLBACK)]).await;
    }
    assert!(!page.has(&logo), "no third party is asked: {}", page.body);
    assert!(page.has("href=\"https://shop.example/tos\" target=\"_blank\" rel=\"noopener noreferrer\""));
    assert!(page.has("href=\"https://shop.example/policy?a=1&#38;b=2\""), "{}", page.body);

    let (_, after) = page.body.split_once("class=\"logo\" src=\"").unwrap();
    let path = after.split('"').next().unwrap().to_owned();
    assert!(path.starts_with("/logo/"), "{path}");
    let logo = world.browser().get(&path).await;
    assert_eq!((logo.status, logo.body.as_bytes()), (StatusCode::OK, GIF));
    for (name, value) in [
        ("content-type", "image/gif"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cache-control", "public, max-age=31536000, immutable"),
    ] {
        assert_eq!(logo.header(name), value, "{name}");
    }
    assert_eq!(site.asked("/logo.gif"), 1);
    assert_eq!(world.browser().get("/logo/other").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn as_dcr_10_atk_093_what_is_no_picture_is_not_shown() {
    let (site, world) = (Site::open().await, world(OPEN).await);
    let large = [GIF, &vec![0; 100 * 1024]].concat();
    for (path, body) in [
        ("/logo.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>".to_vec()),
        ("/large.png", large),
    ] {
        let logo = site.answer_with(path, 200, &[("content-type", "image/png")], body);
        let client_id =
            text(&registered(&world, &with(public(), "logo_uri", logo.into())).await, "client_id");
        while site.asked(path) == 0 {
            tokio::task::yield_now().await;
        }
        let mut browser = world.browser();
        reach_consent(&mut browser, &client_id, CALLBACK).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
            let page = browser.ask(&[("client_id", &client_id), ("redirect_uri", CALLBACK)]).await;
            assert!(page.asks_for_consent() && !page.has("class=\"logo\""), "{}", page.body);
        }
        assert_eq!(site.asked(path), 1, "and not asked for again and again");
    }
}
