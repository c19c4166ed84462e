//! `keybound request` at a guarded API, as people use curl; and how each command ends.

use crate::client_line::World;
use std::fs;

#[tokio::test]
async fn cl_cli_03_requests_stream_follow_and_tell_as_curl_does() {
    let world = World::start().await;
    world.register("work", &[]).await;
    assert_eq!(world.login(&[]).await.code, 0);
    let url = |path: &str| format!("{}{path}", world.api);
    let told = world.ok(&["request", "-s", &url("/told"), "--json-body", "{\"a\":1}"]).await;
    assert_eq!(told, "application/json {\"a\":1}");
    let told = world.ok(&["request", "-s", &url("/told"), "-d", "a=1", "-d", "b=2"]).await;
    assert_eq!(told, "application/x-www-form-urlencoded a=1&b=2");
    world.place.write("headers", "Content-Type: text/plain\n");
    let told =
        world.place.run(&["request", "-s", &url("/told"), "-H", "@headers", "-d", "@-"], "from stdin").await;
    assert_eq!(told.stdout, "text/plain from stdin");
    // The gateway asks each for a nonce, and what comes from stdin cannot be sent twice.
    let data = "y".repeat(2_000_000);
    world.place.write("data", &data);
    assert_eq!(world.ok(&["request", "-s", "-T", "data", &url("/files")]).await, "2000000 bytes");
    let piped = world.place.run(&["request", "-s", "-T", "-", &url("/files")], &data).await;
    assert_eq!((piped.code, piped.stdout.as_str()), (0, "2000000 bytes"), "{}", piped.stderr);
    world.ok(&["request", "-s", "-o", "big", &url("/big")]).await;
    assert_eq!(fs::metadata(world.place.path("big")).expect("a file").len(), 3_000_000);
    let head = world.ok(&["request", "-I", &url("/orders")]).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\n") && !head.contains("orders for"), "{head}");
    // Redirects are followed on the same origin only, where that is asked for.
    let moved = world.run(&["request", &url("/moved")]).await;
    assert!(moved.code == 0 && moved.stderr.contains("307"), "{moved:?}");
    assert!(world.ok(&["request", "-L", "-s", &url("/moved")]).await.starts_with("orders for "));
    let elsewhere = world.run(&["request", "-L", &url("/elsewhere")]).await;
    assert!(elsewhere.code == 0 && elsewhere.stderr.contains("307"), "{elsewhere:?}");
}

#[tokio::test]
async fn cl_cli_03_exit_codes_tell_apart_what_happened() {
    let world = World::start().await;
    let orders = format!("{}/orders", world.api);
    let before = world.run(&["request", &orders]).await;
    assert!(before.code == 3 && before.stderr.contains("keybound login"), "{before:?}");
    world.register("work", &[]).await;
    assert_eq!(world.login(&[]).await.code, 0);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let silent = format!("http://{}", silent.local_addr().expect("an address"));
    let nobody = format!("http://{}", crate::provider::free_address());
    let issuer = world.provider.issuer.clone();
    let missing = format!("{}/none", world.api);
    world.place.write("wrong", "wrong");
    let cases: [(i32, &[&str], &str); 8] = [
        (0, &["request", &orders], "200 OK"),
        (22, &["request", &missing], "404 Not Found"),
        (22, &["request", "--fail", "-s", &missing], ""),
        (2, &["request", "no-url"], "error: "),
        (2, &["login", "--profile", "none"], "keybound profile add"),
        (7, &["login", "--issuer", &nobody, "--client-id", "x"], "next: "),
        (28, &["login", "--issuer", &silent, "--client-id", "x", "--timeout", "1"], "in time"),
        (
            4,
            &[
                "token",
                "client-credentials",
                "--issuer",
                &issuer,
                "--client-id",
                "nobody",
                "--secret-file",
                "wrong",
            ],
            "invalid_client",
        ),
    ];
    for (code, args, said) in cases {
        let ended = world.run(args).await;
        assert!(ended.code == code && ended.stderr.contains(said), "{code} {args:?}: {ended:?}");
    }
    // A request that takes too long ends with what curl ends with.
    let add = ["profile", "add", "slow", "--issuer", &issuer, "--client-id", "x"];
    world.ok(&add).await;
    let late = world.run(&["request", &orders, "--max-time", "0"]).await;
    assert!(late.code == 28 && late.stderr.contains("--max-time"), "{late:?}");
}

#[tokio::test]
async fn profiles_name_servers_and_the_login_that_fits_is_taken() {
    let world = World::start().await;
    world.register("work", &[]).await;
    assert_eq!(world.login(&[]).await.code, 0);
    let issuer = world.provider.issuer.as_str();
    world
        .ok(&[
            "profile",
            "add",
            "home",
            "--issuer",
            issuer,
            "--client-id",
            "x",
            "--secret-env",
            "X",
            "--default",
        ])
        .await;
    let all = world.json(&["profile", "list"]).await;
    assert!(all[0]["name"] == "home" && all[0]["is_default"] == true && all[1]["name"] == "work", "{all}");
    // The default has no login; that of the other profile may go there.
    assert!(world.ok(&["request", "-s", &format!("{}/orders", world.api)]).await.starts_with("orders for "));
    // People write the file too: what they wrote stays, and what is wrong is told with its line.
    let path = world.place.path("home/profiles.toml");
    let text = fs::read_to_string(&path).expect("a file");
    fs::write(&path, format!("# mine\n{text}")).expect("written");
    world.ok(&["profile", "default", "work"]).await;
    world.ok(&["profile", "delete", "home"]).await;
    let text = fs::read_to_string(&path).expect("a file");
    assert!(
        text.starts_with("# mine\n") && text.contains("default = \"work\"") && !text.contains("home"),
        "{text}"
    );
    fs::write(&path, "[profile.work]\nisuer = \"https://id.example\"\n").expect("written");
    let refused = world.run(&["login"]).await;
    assert!(
        refused.code == 2 && refused.stderr.contains("line 2") && refused.stderr.contains("`issuer`?"),
        "{refused:?}"
    );
}
