//! `keybound token exchange` and `keybound logout`, at a provider of ours.

use crate::common::{Service, World, free_address};
use crate::request::{answer, resource_at};
use serde_json::{Value, json};
use std::fs;

/// A provider with a service that may exchange its own tokens, and its profile.
fn provider() -> (World, Service) {
    let address = free_address().to_string();
    let world = World::new();
    let resource = |name: &str| {
        format!("[[resource]]\nidentifier = \"https://{name}.example\"\nscopes = [\"read\", \"{name}\"]\n")
    };
    world.write(
        "keybound.toml",
        &format!("issuer = \"http://{address}\"\n{}{}", resource("api"), resource("orders")),
    );
    let client = json!({
        "client_id": "svc", "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"],
    });
    world.write("svc.json", &client.to_string());
    let made = world.ok(&["client", "add", "--from", "svc.json", "--json"], "");
    let made: Value = serde_json::from_str(&made).expect("JSON");
    world.write("svc.secret", made["client_secret"].as_str().expect("a secret"));
    let service = world.start(&["serve", "--listen", &address]);
    let issuer = format!("http://{address}");
    let add =
        ["profile", "add", "svc", "--issuer", &issuer, "--client-id", "svc", "--secret-file", "svc.secret"];
    world.ok(&[&add[..], &["--resource", "https://api.example", "--scope", "read api"]].concat(), "");
    (world, service)
}

fn json(world: &World, args: &[&str], stdin: &str) -> Value {
    serde_json::from_str(&world.ok(&[args, &["--json"]].concat(), stdin)).expect("JSON")
}

fn files(world: &World, folder: &str) -> Vec<String> {
    let all =
        fs::read_dir(world.path(folder)).expect("a folder").map(|file| file.expect("a file").file_name());
    let names = all.map(|name| name.into_string().expect("text"));
    let mut names: Vec<_> = names.filter(|name| !name.ends_with(".lock")).collect();
    names.sort();
    names
}

#[test]
fn a_token_is_exchanged_under_the_key_of_its_login_or_a_new_one() {
    let (world, service) = provider();
    let own = json(&world, &["token", "client-credentials"], "");
    let exchange = [
        "token",
        "exchange",
        "--as",
        "orders",
        "--audience",
        "https://orders.example",
        "--origin",
        "https://orders.example",
    ];
    let orders = json(&world, &exchange, "");
    assert_eq!((&orders["jkt"], &orders["key"]), (&own["jkt"], &own["key"]));
    assert_eq!(orders["session"], "orders");
    assert_eq!((&own["scope"], &orders["scope"]), (&"read api".into(), &"read".into()));
    // What the login may reach is not what the new token is for.
    let origins = orders["origins"].to_string();
    assert!(origins.contains("orders.example") && !origins.contains("api.example"), "{origins}");
    // A key that two logins share stays as long as one of them.
    assert_eq!(world.ok(&["sessions", "delete", "svc"], ""), "deleted svc\n");
    assert_eq!(world.ok(&["logout", "--session", "orders", "--offline"], ""), "deleted orders and its key\n");
    assert!(files(&world, "home/keys").is_empty());
    // A token that is bound to a key which is not at hand is worth nothing (RFC 9449 §1), from stdin neither.
    let shown = world.ok(&["token", "client-credentials", "--show-token"], "");
    assert_eq!(world.ok(&["logout", "--offline"], ""), "deleted svc and its key\n");
    let refused = world.run(&[&exchange[..], &["--subject-token-file", "-"]].concat(), &shown);
    assert!(refused.code == 4 && refused.stderr.contains("invalid_request"), "{}", refused.stderr);
    assert!(!refused.stderr.contains(shown.trim()) && files(&world, "home/keys").is_empty());
    assert_eq!(service.stop().0, 0);
}

#[test]
fn cl_key_10_all_logins_end_also_where_one_cannot() {
    let (world, service) = provider();
    for name in ["a", "c"] {
        world.ok(&["token", "client-credentials", "--session", name], "");
    }
    // One that cannot be read, between the two.
    fs::copy(world.path("home/sessions/a.session"), world.path("home/sessions/b.session")).expect("copied");
    fs::write(world.path("home/sessions/b.session"), "{").expect("written");
    let ended = world.run(&["logout", "--all"], "");
    assert_eq!((ended.code, ended.stdout.as_str()), (1, "deleted a and its key\ndeleted c and its key\n"));
    assert!(ended.stderr.contains("b is still there: "), "{}", ended.stderr);
    assert_eq!(
        (files(&world, "home/sessions"), files(&world, "home/keys")),
        (vec!["b.session".to_owned()], vec![])
    );
    world.ok(&["sessions", "delete", "b"], "");
    assert_eq!(world.ok(&["logout", "--all"], ""), "");
    // A server that is gone does not keep a login either; that its tokens live on is said, by the code too.
    world.ok(&["token", "client-credentials"], "");
    assert_eq!(service.stop().0, 0);
    let ended = world.run(&["logout"], "");
    assert_eq!((ended.code, ended.stdout.as_str()), (1, "deleted svc and its key\n"));
    assert!(ended.stderr.contains("were not revoked"), "{}", ended.stderr);
}

#[test]
fn cl_cli_01_the_url_that_signs_out_holds_no_token() {
    let (world, service) = provider();
    let token = world.ok(&["token", "client-credentials", "--show-token"], "");
    let ended = world.run(&["logout", "--browser", "--no-open"], "");
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "deleted svc and its key\n"), "{}", ended.stderr);
    let url = ended.stderr.lines().find(|line| line.contains("/logout")).expect("a URL");
    assert!(url.contains("client_id=svc") && !url.contains("token"), "{url}");
    assert!(!ended.stderr.contains(token.trim()));
    let unasked = world.run(&["logout", "--no-open"], "");
    assert_eq!(unasked.code, 2, "{}", unasked.stderr);
    assert_eq!(service.stop().0, 0);
}

#[test]
fn cl_key_04_a_token_is_exchanged_elsewhere_under_another_key() {
    let (world, service) = provider();
    let own = json(&world, &["token", "client-credentials"], "");
    let (elsewhere, serving) = resource_at(|url| {
        let metadata = json!({
            "issuer": url, "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/jwks"),
            "response_types_supported": ["code"], "dpop_signing_alg_values_supported": ["ES256"],
        });
        let metadata =
            answer("200 OK", &metadata.to_string()).replace("X-Kind: test", "Content-Type: application/json");
        vec![metadata, answer("400 Bad Request", "{\"error\":\"invalid_target\"}")]
    });
    let exchange = ["token", "exchange", "--as", "other", "--issuer", &elsewhere, "--client-id", "svc"];
    let refused = world.run(&exchange, "");
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    let asked = serving.join().expect("requests").pop().expect("a request");
    let proof = asked.lines().find_map(|line| line.strip_prefix("dpop: ")).expect("a proof");
    let inspected = json(&world, &["proof", "inspect"], proof);
    assert!(inspected["jkt"].is_string() && inspected["jkt"] != own["jkt"], "{inspected}");
    assert_eq!(files(&world, "home/keys").len(), 1);
    assert_eq!(service.stop().0, 0);
}
