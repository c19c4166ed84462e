//! DPOP-HTM and DPOP-HTU: what a proof says of the request.

use super::api::Api;
use super::stage::{both, under};
use http::header::HOST;
use http::{HeaderValue, Method};
use keybound_e2e::answer::assert_e_as;
use keybound_e2e::world::*;
use keybound_e2e::{Forge, World};

#[tokio::test]
async fn dpop_htm_01_the_method_and_its_case() {
    both(async |at| {
        let lower = at.method().to_lowercase();
        for htm in ["PUT", "DELETE", &lower, "", " POST", "GET ", "HEAD", "*"] {
            at.refuses("DPOP-HTM-01", &at.sign(&at.good().claim("htm", htm))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_htm_02_the_token_endpoint_wants_post() {
    let world = World::new().await;
    assert_e_as(&world.client_credentials(Some(&world.proof().claim("htm", "GET").sign(&world.key))).await);
    let proof = world.proof().claim("htm", "GET").sign(&world.key);
    let answer = world.send(get(TOKEN, &[("dpop", &proof)])).await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn dpop_htm_03_atk_040_methods_are_not_overridden() {
    both(async |at| {
        let overridden = |proof: &str| {
            let mut request = at.request(&[proof.as_bytes()]);
            for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
                request.headers_mut().insert(name, HeaderValue::from_static("DELETE"));
            }
            request
        };
        let other = overridden(&at.sign(&at.good().claim("htm", "DELETE")));
        at.assert_refused("DPOP-HTM-01", &at.send(other).await);
        if at.is_resource() {
            at.assert_taken(&at.send(overridden(&at.sign(&at.good()))).await);
        }
    })
    .await;
    let api = Api::new();
    let token = api.token();
    let request = |htm: &str| {
        let mut request =
            api.request("POST", "/things", &token, &api.proof(htm, "/things", &token).sign(&api.key));
        request.headers_mut().insert("x-http-method-override", HeaderValue::from_static("DELETE"));
        request
    };
    assert_eq!(api.call(request("DELETE")).await.status, 401);
    assert_eq!(api.call(request("POST")).await.text("method"), "POST", "routed as it came");
}

#[tokio::test]
async fn dpop_htm_04_atk_041_head_is_not_get() {
    let world = World::new().await;
    let token = world.tokens().await.text("access_token");
    let authorization = format!("DPoP {token}");
    for (method, htm, status) in
        [(Method::HEAD, "GET", 401), (Method::HEAD, "HEAD", 200), (Method::GET, "HEAD", 401)]
    {
        let proof = world.userinfo_proof(&token).claim("htm", htm).sign(&world.key);
        let request = get(USERINFO, &[("authorization", &authorization), ("dpop", &proof)]);
        let answer = world.send(under(request, method)).await;
        assert_eq!(answer.status.as_u16(), status, "{htm}: {answer:?}");
    }
}

#[tokio::test]
async fn dpop_htm_05_any_method_is_a_word() {
    let api = Api::new();
    let token = api.token();
    for method in ["PROPFIND", "PURGE", "x-own", "OPTIONS", "DELETE"] {
        let good = api.proof(method, "/things", &token).sign(&api.key);
        assert_eq!(api.call(api.request(method, "/things", &token, &good)).await.text("method"), method);
        let bad = api.proof(&format!("{method}X"), "/things", &token).sign(&api.key);
        api.refuses("DPOP-HTM-01", api.request(method, "/things", &token, &bad)).await;
    }
}

#[tokio::test]
async fn dpop_htu_01_the_url_of_the_request() {
    both(async |at| {
        let other_endpoint = if at.is_resource() { TOKEN } else { USERINFO };
        let path = at.url().replacen(ISSUER, "", 1);
        for htu in [
            other_endpoint.to_owned(),
            format!("https://other.example{path}"),
            format!("https://as.example.evil{path}"),
            format!("https://evil.as.example{path}"),
            format!("https://as.example:8443{path}"),
            format!("{}x", at.url()),
            format!("{}/x", at.url()),
            ISSUER.to_owned(),
        ] {
            at.refuses("DPOP-HTU-01", &at.sign(&at.good().claim("htu", htu))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_htu_02_query_and_fragment_do_not_count() {
    both(async |at| {
        for more in ["", "?a=1", "?b=2", "#f", "?", "#", "?a=1#f?g"] {
            at.takes(&at.sign(&at.good().claim("htu", format!("{}{more}", at.url())))).await;
        }
    })
    .await;
    let api = Api::new();
    let token = api.token();
    for htu in ["/r", "/r?a=1", "/r?b=2", "/r#f"] {
        let good = api.proof("GET", htu, &token).sign(&api.key);
        assert_eq!(api.call(api.request("GET", "/r?a=1", &token, &good)).await.status, 200, "{htu}");
    }
}

#[tokio::test]
async fn dpop_htu_03_atk_043_http_is_not_https() {
    both(async |at| {
        for htu in [
            at.url().replacen("https", "http", 1),
            at.url().replacen("https://as.example", "http://as.example:443", 1),
        ] {
            at.refuses("DPOP-HTU-01", &at.sign(&at.good().claim("htu", htu))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_htu_04_scheme_and_host_have_no_case() {
    both(async |at| {
        for origin in ["HTTPS://AS.EXAMPLE", "https://As.Example", "Https://as.example"] {
            at.takes(&at.sign(&at.good().claim("htu", at.url().replacen(ISSUER, origin, 1)))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_htu_05_the_default_port_is_no_port() {
    both(async |at| {
        let on =
            |port: &str| at.good().claim("htu", at.url().replacen(ISSUER, &format!("{ISSUER}{port}"), 1));
        for same in [":443", ":", ":0443"] {
            at.takes(&at.sign(&on(same))).await;
        }
        for other in [":8443", ":80", ":4430"] {
            at.refuses("DPOP-HTU-01", &at.sign(&on(other))).await;
        }
    })
    .await;
    let api = Api::at("https://api.example:443");
    let token = api.token();
    let good = api.proof("GET", "/r", &token).claim("htu", "https://api.example/r").sign(&api.key);
    assert_eq!(api.call(api.request("GET", "/r", &token, &good)).await.status, 200, "the other way round");
}

#[tokio::test]
async fn dpop_htu_06_percent_encoding_is_normalised() {
    both(async |at| {
        let last = at.url().rsplit('/').next().expect("a segment");
        let encoded = format!("%{:02x}{}", last.as_bytes()[0], &last[1..]);
        at.takes(&at.sign(&at.good().claim("htu", format!("{ISSUER}/{encoded}")))).await;
        let slash = format!("{ISSUER}%2F{last}");
        at.refuses("DPOP-HTU-11", &at.sign(&at.good().claim("htu", slash))).await;
    })
    .await;
    let api = Api::new();
    let token = api.token();
    for (path, htu, same) in [
        ("/~user", "/%7euser", true),
        ("/%7Euser", "/~user", true),
        ("/%C3%A9", "/%c3%a9", true),
        ("/a/b", "/a%2Fb", false),
        ("/a%2Fb", "/a/b", false),
        ("/a%2fb", "/a%2Fb", true),
        ("/a%3Fb", "/a?b", false),
        ("/a%23b", "/a#b", false),
    ] {
        let request = api.request("GET", path, &token, &api.proof("GET", htu, &token).sign(&api.key));
        assert_eq!(api.call(request).await.status == 200, same, "{path} {htu}");
    }
}

#[tokio::test]
async fn dpop_htu_07_dot_segments_are_removed() {
    both(async |at| {
        let path = at.url().replacen(ISSUER, "", 1);
        for dots in ["/a/..", "/.", "/a/./b/../..", "/..", "/%2e", "/a/%2E%2e"] {
            at.takes(&at.sign(&at.good().claim("htu", format!("{ISSUER}{dots}{path}")))).await;
        }
        at.refuses("DPOP-HTU-01", &at.sign(&at.good().claim("htu", format!("{}/..", at.url())))).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_htu_08_an_empty_path_is_a_slash() {
    let api = Api::new();
    let token = api.token();
    for htu in ["https://api.example", "https://api.example/", "https://api.example?q"] {
        let good = api.proof("GET", "/", &token).claim("htu", htu).sign(&api.key);
        assert_eq!(api.call(api.request("GET", "/", &token, &good)).await.status, 200, "{htu}");
    }
    both(async |at| at.refuses("DPOP-HTU-01", &at.sign(&at.good().claim("htu", ISSUER))).await).await;
}

#[tokio::test]
async fn dpop_htu_09_a_slash_at_the_end_counts() {
    both(async |at| {
        at.refuses("DPOP-HTU-01", &at.sign(&at.good().claim("htu", format!("{}/", at.url())))).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_htu_10_the_path_keeps_its_case_and_its_slashes() {
    both(async |at| {
        let path = at.url().replacen(ISSUER, "", 1);
        for other in
            [path.to_uppercase(), format!("/{path}"), path.replacen("/t", "/T", 1).replacen("/u", "/U", 1)]
        {
            at.refuses("DPOP-HTU-01", &at.sign(&at.good().claim("htu", format!("{ISSUER}{other}")))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_htu_11_only_absolute_http_urls() {
    both(async |at| {
        let path = at.url().replacen(ISSUER, "", 1);
        for htu in [
            path.clone(),
            path.trim_start_matches('/').to_owned(),
            format!("//as.example{path}"),
            format!("https://u:p@as.example{path}"),
            format!("https://as.example@evil.example{path}"),
            format!("https://evil.example@as.example{path}"),
            format!("https:as.example{path}"),
            format!("https:///as.example{path}"),
            format!("ftp://as.example{path}"),
            format!("https://as.example:x{path}"),
            format!("https://as.example:99999{path}"),
            format!("https://evil.example\\@as.example{path}"),
            "urn:x".to_owned(),
            String::new(),
        ] {
            at.refuses("DPOP-HTU-11", &at.sign(&at.good().claim("htu", htu))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_htu_12_atk_044_the_url_is_configuration_and_not_what_the_request_says_of_its_host() {
    both(async |at| {
        let path = at.url().replacen(ISSUER, "", 1);
        let evil = format!("https://evil.example{path}");
        let lie = |proof: &str| {
            let mut request = at.request(&[proof.as_bytes()]);
            let headers = request.headers_mut();
            headers.insert(HOST, HeaderValue::from_static("evil.example"));
            headers.insert("x-forwarded-host", HeaderValue::from_static("evil.example"));
            headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
            headers.insert("forwarded", HeaderValue::from_static("host=evil.example;proto=https"));
            *request.uri_mut() = evil.parse().expect("a URI");
            request
        };
        let fits_the_lie = at.sign(&at.good().claim("htu", evil.as_str()));
        at.assert_refused("DPOP-HTU-01", &at.send(lie(&fits_the_lie)).await);
        if at.is_resource() {
            at.assert_taken(&at.send(lie(&at.sign(&at.good()))).await);
        }
    })
    .await;
}

#[tokio::test]
async fn dpop_htu_13_one_of_several_urls_is_not_another() {
    both(async |at| {
        let path = at.url().replacen(ISSUER, "", 1);
        for alias in [format!("https://mtls.as.example{path}"), format!("{ISSUER}/legacy{path}")] {
            let arrived = |proof: &str| {
                let mut request = at.request(&[proof.as_bytes()]);
                request.headers_mut().insert(HOST, HeaderValue::from_static("mtls.as.example"));
                request
            };
            let for_the_alias = at.sign(&at.good().claim("htu", alias));
            at.assert_refused("DPOP-HTU-01", &at.send(arrived(&for_the_alias)).await);
        }
    })
    .await;
    let (one, two) = (Api::at("https://one.example"), Api::at("https://two.example"));
    let token = two.token();
    let for_one =
        Forge::new(&two.key, "GET", "https://one.example/r", two.now()).token(&token).sign(&two.key);
    two.refuses("DPOP-HTU-01", two.request("GET", "/r", &token, &for_one)).await;
    let token = one.token();
    let good = one.proof("GET", "/r", &token).sign(&one.key);
    assert_eq!(one.call(one.request("GET", "/r", &token, &good)).await.status, 200);
}

#[tokio::test]
async fn dpop_htu_15_hosts_are_compared_in_their_canonical_form() {
    let api = Api::at("https://[::1]:8443");
    let token = api.token();
    for (host, same) in [("[::1]", true), ("[0:0::1]", true), ("[0:0:0:0:0:0:0:1]", true), ("[::2]", false)] {
        let htu = format!("https://{host}:8443/");
        let request =
            api.request("GET", "/", &token, &api.proof("GET", "/", &token).claim("htu", htu).sign(&api.key));
        assert_eq!(api.call(request).await.status == 200, same, "{host}");
    }
    both(async |at| {
        let dotted = at.url().replacen("as.example", "as.example.", 1);
        at.refuses("DPOP-HTU-01", &at.sign(&at.good().claim("htu", dotted))).await;
        let look_alike = at.url().replacen("as.example", "xn--s-7fa.example", 1);
        at.refuses("DPOP-HTU-01", &at.sign(&at.good().claim("htu", look_alike))).await;
    })
    .await;
}

#[tokio::test]
async fn dpop_htu_16_length_and_characters() {
    both(async |at| {
        let padded = |len: usize| format!("{}?{}", at.url(), "x".repeat(len - at.url().len() - 1));
        at.takes(&at.sign(&at.good().claim("htu", padded(2048)))).await;
        for htu in [
            padded(2049),
            padded(3072),
            format!("{}\r\n", at.url()),
            format!("{} ", at.url()),
            format!("{}\u{e9}", at.url()),
            format!("{}\0", at.url()),
            format!("{}\t", at.url()),
            format!("\u{1b}[31m{}", at.url()),
            at.url().replacen("as.", "\u{e4}s.", 1),
        ] {
            at.refuses("DPOP-HTU-16", &at.sign(&at.good().claim("htu", htu))).await;
        }
    })
    .await;
}
