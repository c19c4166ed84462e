//! Client and provider as processes: what one writes, the other sees.

use crate::process::{Ended, Place};
use crate::provider::Provider;
use keybound_e2e::Hands;

#[tokio::test]
async fn a_user_who_is_added_while_the_provider_runs_can_sign_in_at_once() {
    let provider = Provider::start().await;
    let client = provider.add_client().await;
    let (refused, _) = login(&provider, &client, "bob", "secret of bob", false).await;
    assert!(refused.contains("id=\"error\""), "{refused}");
    let added = provider.place.run(&["user", "add", "bob", "--password-stdin"], "secret of bob\n").await;
    assert_eq!(added.code, 0, "{added:?}");
    let (_, ended) = login(&provider, &client, "bob", "secret of bob", true).await;
    let ended = ended.expect("it ended");
    assert!(ended.code == 0 && ended.stderr.contains("logged in as "), "{ended:?}");
    assert_eq!(provider.stop().await.code, 0);
}

#[tokio::test]
async fn cl_cli_01_cl_cli_05_what_a_login_prints_and_keeps_is_private() {
    let provider = Provider::start().await;
    let client = provider.add_client().await;
    let added = provider.place.run(&["user", "add", "eve", "--password-stdin"], "secret of eve\n").await;
    assert_eq!(added.code, 0, "{added:?}");
    let (_, ended) = login(&provider, &client, "eve", "secret of eve", true).await;
    let ended = ended.expect("it ended");
    assert!(ended.stdout.is_empty() && !ended.stderr.contains("eyJ"), "{ended:?}");
    assert!(is_private(&provider.place, "home/sessions/default.session"));
    let mut keys = std::fs::read_dir(provider.place.path("home/keys")).expect("a folder");
    let key = keys.next().expect("a key").expect("a key").file_name();
    assert!(is_private(&provider.place, &format!("home/keys/{}", key.display())) && keys.next().is_none());
    let log = provider.stop().await.stderr;
    assert!(!log.contains("secret of eve") && !log.contains("eyJ"), "{log}");
}

/// `keybound login` with scripted hands at the browser. Gives the page where it stopped, or how it ended.
async fn login(
    provider: &Provider,
    client: &str,
    username: &str,
    password: &str,
    is_good: bool,
) -> (String, Option<Ended>) {
    let resource = crate::provider::RESOURCE;
    let mut args = vec!["login", "--no-browser", "--issuer", &provider.issuer, "--client-id", client];
    args.extend(["--scope", "openid read", "--resource", resource]);
    let mut login = provider.place.start(&args);
    let url = login.notes("/authorize?").await.trim().to_owned();
    match Hands::of(username, password).come_back(&url).await {
        Err(page) => (page, None),
        Ok(back) => {
            assert!(is_good);
            provider.get(&back.url()).await;
            (String::new(), Some(login.ended().await))
        }
    }
}

fn is_private(place: &Place, name: &str) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(place.path(name)).expect("metadata").permissions().mode() & 0o077 == 0
}
