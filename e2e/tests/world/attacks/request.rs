//! Attacks with the URL: a proof that was made for another place, and places that only look the same.

use crate::proofs::api::Api;
use crate::proofs::stage::both;
use keybound_e2e::Forge;
use keybound_e2e::world::*;

#[tokio::test]
async fn atk_042_a_proof_for_another_endpoint() {
    both(async |at| {
        let elsewhere = if at.is_resource() { TOKEN } else { USERINFO };
        for htu in [elsewhere, "https://api.example/r", ISSUER] {
            at.refuses("DPOP-HTU-01", &at.sign(&at.good().claim("htu", htu))).await;
        }
    })
    .await;
    let (one, two) = (Api::at("https://one.example"), Api::at("https://two.example"));
    let token = two.token();
    for htu in [USERINFO, TOKEN, "https://one.example/r", "https://two.example/other"] {
        let proof = Forge::new(&two.key, "GET", htu, two.now()).token(&token).sign(&two.key);
        two.refuses("DPOP-HTU-01", two.request("GET", "/r", &token, &proof)).await;
    }
    let token = one.token();
    assert_eq!(one.get(&token).await.status, 200);
}

#[tokio::test]
async fn atk_045_a_url_with_two_readings() {
    both(async |at| {
        let path = at.url().replacen(ISSUER, "", 1);
        for (row, htu) in [
            ("DPOP-HTU-11", format!("https://as.example@evil.example{path}")),
            ("DPOP-HTU-11", format!("https://evil.example@as.example{path}")),
            ("DPOP-HTU-11", format!("https://evil.example\\@as.example{path}")),
            ("DPOP-HTU-11", format!("https:\\\\as.example{path}")),
            ("DPOP-HTU-11", format!("https://as.example\\{}", &path[1..])),
            ("DPOP-HTU-01", format!("https://as.example/{path}")),
            ("DPOP-HTU-01", format!("https://as.example/%2e%2e/x{path}")),
            ("DPOP-HTU-01", format!("{}/%2e%2e/x", at.url())),
            ("DPOP-HTU-11", format!("https://as.example%2e{path}")),
            ("DPOP-HTU-16", format!("https://as.exa\tmple{path}")),
            ("DPOP-HTU-16", format!("https://as.example{path}\n")),
            ("DPOP-HTU-16", format!("https://\u{430}s.example{path}")),
            ("DPOP-HTU-01", format!("https://xn--s-7sb.example{path}")),
            ("DPOP-HTU-01", format!("https://as.example.{path}")),
        ] {
            at.refuses(row, &at.sign(&at.good().claim("htu", htu))).await;
        }
        // Equal by RFC 3986 §6.2.2.
        for htu in [format!("{ISSUER}/%2e%2e{path}"), format!("{ISSUER}/x/%2E%2e{path}")] {
            at.takes(&at.sign(&at.good().claim("htu", htu))).await;
        }
    })
    .await;
}

#[tokio::test]
async fn atk_046_paths_that_are_not_the_same() {
    let api = Api::new();
    let token = api.token();
    for (one, other) in [
        ("/admin%2Fdelete", "/admin/delete"),
        ("/Token", "/token"),
        ("/token/", "/token"),
        ("/admin//delete", "/admin/delete"),
        ("/a%3Bb", "/a;b"),
        ("/a%3Fb", "/a?b"),
    ] {
        for (sent, made_for) in [(one, other), (other, one)] {
            let proof = api.proof("GET", made_for, &token).sign(&api.key);
            let answer = api.call(api.request("GET", sent, &token, &proof)).await;
            assert_eq!(answer.status, 401, "{made_for} for {sent}");
            api.assert_told("invalid_dpop_proof", &answer);
        }
    }
}

#[tokio::test]
async fn atk_047_what_is_the_same_url_is_taken() {
    both(async |at| {
        let path = at.url().replacen(ISSUER, "", 1);
        for htu in [
            format!("https://as.example:443{path}"),
            format!("https://AS.EXAMPLE{path}"),
            format!("HTTPS://As.Example:443{path}?to=a&from=b#part"),
            format!("https://as.example{path}?"),
        ] {
            at.takes(&at.sign(&at.good().claim("htu", htu))).await;
        }
    })
    .await;
    let api = Api::new();
    let token = api.token();
    for htu in ["https://API.example:443/r?a=1", "https://api.example/r?b=2", "https://api.example/r"] {
        let proof = api.proof("GET", "/r", &token).claim("htu", htu).sign(&api.key);
        assert_eq!(api.call(api.request("GET", "/r?a=1", &token, &proof)).await.status, 200, "{htu}");
    }
}
