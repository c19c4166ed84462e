//! `keybound demo`, as a person and as a program see it.

use crate::browser::Browser;
use crate::process::{Place, within};
use keybound_fetch::{Fetcher, Settings};
use serde_json::Value;

#[tokio::test]
async fn the_demo_tells_eight_steps_and_four_refusals_to_people() {
    let ended = Place::new().run(&["demo"], "").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!ended.stdout.contains('\u{1b}'), "no colours for a pipe: {}", ended.stdout);
    let places: Vec<usize> = (1..=8)
        .map(|number| {
            ended.stdout.find(&format!("\nStep {number} [")).unwrap_or_else(|| panic!("{number}: {ended:?}"))
        })
        .collect();
    assert!(places.is_sorted(), "{ended:?}");
    assert_eq!(ended.stdout.matches("    refused: 401 ").count(), 4, "{ended:?}");
    assert!(!ended.stdout.contains(" NO"), "{ended:?}");
}

#[tokio::test]
async fn the_demo_tells_them_to_programs() {
    let ended = Place::new().run(&["demo", "--json"], "").await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let told: Value = serde_json::from_str(&ended.stdout).expect("one JSON document");
    assert_eq!(told["ok"], true);
    let steps = told["steps"].as_array().expect("steps");
    let numbers: Vec<u64> = steps.iter().filter_map(|step| step["number"].as_u64()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(steps.iter().all(|step| step["observed"] == true), "{told:#}");
    let thefts = told["thefts"].as_array().expect("thefts");
    assert_eq!(thefts.len(), 4);
    assert!(thefts.iter().all(|theft| theft["refused"] == true && theft["status"] == 401), "{told:#}");
}

#[tokio::test]
async fn cl_cli_03_the_demo_that_stays_can_be_tried_by_hand() {
    let place = Place::new();
    let mut demo = place.start(&["demo", "--serve"]);
    let value = |line: &str| line.split_whitespace().nth(1).expect("a value").to_owned();
    let issuer = value(&demo.says("  issuer ").await);
    let accounts = value(&demo.says("  API ").await);
    let user = value(&demo.says("  user ").await);
    let password = value(&demo.says("  password ").await);
    // The command as it is printed, but for the browser.
    let printed = demo.says("keybound login ").await.replace('"', "'");
    let (before, scope, after) = {
        let mut parts = printed.split('\'');
        (parts.next().expect("a start"), parts.next().expect("a scope"), parts.next().expect("an end"))
    };
    let words = before.split_whitespace().skip(1).chain([scope]).chain(after.split_whitespace());
    let words: Vec<&str> = words.chain(["--no-browser"]).collect();
    let mut login = place.start(&words);
    let url = login.notes("/authorize?").await.trim().to_owned();
    assert!(url.starts_with(&format!("{issuer}/authorize?")), "{url}");
    let browser = Browser::open().await;
    browser.goto(&url).await.expect("a page");
    browser.sign_in(&user, &password).await;
    browser.click("allow").await;
    let login = login.ended().await;
    assert_eq!(login.code, 0, "{login:?}");
    assert!(browser.source().await.expect("a page").contains("The answer has arrived"));
    browser.close().await;
    let request = place.run(&["request", &accounts], "").await;
    assert_eq!(request.code, 0, "{request:?}");
    assert!(request.stderr.contains("200 OK"), "{request:?}");
    let said: Value = serde_json::from_str(&request.stdout).expect("JSON");
    assert_eq!(said["path"], "/accounts");
    assert_refused_without_a_proof(&accounts, &place).await;
    demo.terminate();
    assert_eq!(within("the end of the demo", demo.ended()).await.code, 0);
}

/// The token of the login, as curl would send it.
async fn assert_refused_without_a_proof(url: &str, place: &Place) {
    let session = std::fs::read_to_string(place.path("home/sessions/default.session")).expect("a session");
    let session: Value = serde_json::from_str(&session).expect("JSON");
    let token = session.pointer("/tokens/access_token").or_else(|| session.get("access_token"));
    let token = token.and_then(Value::as_str).unwrap_or_else(|| panic!("{session:#}"));
    let fetcher = Fetcher::for_operator(&Settings::default()).expect("an HTTP client");
    let request = http::Request::get(url).header("authorization", format!("Bearer {token}"));
    let answer =
        fetcher.send(request.body(bytes::Bytes::new()).expect("a request")).await.expect("an answer");
    assert_eq!(answer.status(), 401);
    let challenge = answer.headers()["www-authenticate"].to_str().expect("ASCII");
    assert!(challenge.contains("invalid_token"), "{challenge}");
}
