//! DPOP-HTM, DPOP-HTU, DPOP-NON, DPOP-IAT, DPOP-ATH, DPOP-JTI-04: the claims against the request.

use crate::Book;
use crate::draft::{Draft, TIME, TOKEN};
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::crypto::{sha256, sha512};
use keybound_dpop::nonce::NonceKeys;
use keybound_dpop::time::UnixTime;

pub(crate) fn write(book: &mut Book) {
    methods(book);
    urls(book);
    forms_of_urls(book);
    nonces(book);
    times(book);
    times_with_nonces(book);
    hashes(book);
    used(book);
}

fn good() -> Draft {
    Draft::token_request()
}

fn text(claim: &str) -> String {
    serde_json::Value::from(claim).to_string()
}

fn methods(book: &mut Book) {
    const ROW: &str = "DPOP-HTM-01";
    book.ok(ROW, "post", "POST", good());
    let propfind = Draft::resource_request().request("method", "PROPFIND").claim("htm", "\"PROPFIND\"");
    book.ok(ROW, "extension", "an extension method", propfind);
    book.refused(ROW, "put", "PUT for POST", good().claim("htm", "\"PUT\""));
    book.refused(ROW, "case", "post for POST", good().claim("htm", "\"post\""));
    book.refused(ROW, "empty", "an empty `htm`", good().claim("htm", "\"\""));
    book.refused(ROW, "head", "GET for HEAD", Draft::resource_request().request("method", "HEAD"));
}

fn urls(book: &mut Book) {
    const ROW: &str = "DPOP-HTU-01";
    for (name, url, htu) in [
        ("same", "https://server.example/token", "https://server.example/token"),
        ("query", "https://server.example/token", "https://server.example/token?a=1"),
        ("fragment", "https://server.example/token", "https://server.example/token#f"),
        ("query_of_the_request", "https://api.example/r?a=1", "https://api.example/r"),
        ("other_query", "https://api.example/r?a=1", "https://api.example/r?b=2"),
        ("host_case", "https://server.example/token", "HTTPS://SERVER.EXAMPLE/token"),
        ("default_port", "https://server.example/token", "https://server.example:443/token"),
        ("default_port_of_the_request", "https://server.example:443/token", "https://server.example/token"),
        ("empty_port", "https://server.example/token", "https://server.example:/token"),
        ("http_default_port", "http://localhost/token", "http://localhost:80/token"),
        ("unreserved", "https://server.example/~user", "https://server.example/%7euser"),
        ("hex_case", "https://server.example/%C3%A9", "https://server.example/%c3%a9"),
        ("dot_segments", "https://server.example/a/c", "https://server.example/a/./b/../c"),
        ("encoded_dot_segments", "https://server.example/token", "https://server.example/a/%2e%2E/token"),
        ("empty_path", "https://server.example/", "https://server.example"),
        ("ipv6", "https://[::1]/", "https://[0:0::1]/"),
    ] {
        book.ok(ROW, name, "an equal URL", good().request("url", url).claim("htu", &text(htu)));
    }
    for (name, url, htu) in [
        ("other_path", "https://server.example/token", "https://server.example/userinfo"),
        ("other_host", "https://server.example/token", "https://evil.example/token"),
        ("longer_host", "https://server.example/token", "https://server.example.evil.example/token"),
        ("http", "https://server.example/token", "http://server.example/token"),
        ("other_port", "https://server.example/token", "https://server.example:8443/token"),
        ("default_port_of_http", "https://server.example/token", "https://server.example:80/token"),
        ("slash_at_the_end", "https://server.example/token", "https://server.example/token/"),
        ("no_slash_at_the_end", "https://server.example/token/", "https://server.example/token"),
        ("path_case", "https://server.example/token", "https://server.example/Token"),
        ("double_slash", "https://server.example/token", "https://server.example//token"),
        ("encoded_slash", "https://server.example/a/b", "https://server.example/a%2Fb"),
        ("encoded_question_mark", "https://server.example/a", "https://server.example/a%3Fb"),
        ("trailing_dot", "https://server.example/token", "https://server.example./token"),
        ("dots_beyond_the_root", "https://server.example/token", "https://server.example/token/.."),
        ("gateway_prefix_left_out", "https://api.example/api/v1/r", "https://api.example/v1/r"),
    ] {
        book.refused(ROW, name, "another URL", good().request("url", url).claim("htu", &text(htu)));
    }
}

fn forms_of_urls(book: &mut Book) {
    const FORM: &str = "DPOP-HTU-11";
    book.ok(FORM, "absolute", "an absolute https URL", good());
    for (name, htu) in [
        ("path", "/token"),
        ("relative", "token"),
        ("no_scheme", "//server.example/token"),
        ("user_information", "https://u:p@server.example/token"),
        ("host_as_user", "https://server.example@evil.example/token"),
        ("backslash", "https://evil.example\\@server.example/token"),
        ("no_host", "https:///token"),
        ("urn", "urn:x"),
        ("ftp", "ftp://server.example/token"),
        ("port_of_letters", "https://server.example:x/token"),
        ("empty", ""),
    ] {
        book.refused(FORM, name, "not an absolute http or https URL", good().claim("htu", &text(htu)));
    }
    const CHARACTERS: &str = "DPOP-HTU-16";
    let url = "https://server.example/token";
    let long = |octets: usize| text(&format!("{url}?{}", "x".repeat(octets - url.len() - 1)));
    book.ok(CHARACTERS, "2048", "2048 octets", good().claim("htu", &long(2048)));
    book.refused(CHARACTERS, "2049", "2049 octets", good().claim("htu", &long(2049)));
    for (name, more) in [
        ("newline", "\r\n"),
        ("space", " "),
        ("nul", "\0"),
        ("not_ascii", "\u{e9}"),
        ("escape", "\u{1b}[31m"),
    ] {
        book.refused(
            CHARACTERS,
            name,
            "a character that no URL has",
            good().claim("htu", &text(&format!("{url}{more}"))),
        );
    }
}

fn nonces(book: &mut Book) {
    const MISSING: &str = "DPOP-NON-01";
    let asked = |draft: Draft| draft.request("nonce-state", "missing");
    book.ok(MISSING, "token_request", "a nonce of the server", good().nonce_issued("accepted", 0));
    book.ok(
        MISSING,
        "resource_request",
        "a nonce of the server",
        Draft::resource_request().nonce_issued("accepted", 0),
    );
    book.ok(MISSING, "not_asked", "no nonce where none is asked for", good());
    book.nonce(MISSING, "token_request", "no nonce", asked(good()));
    book.nonce(MISSING, "resource_request", "no nonce", asked(Draft::resource_request()));
    book.nonce(MISSING, "no_jti_either", "neither nonce nor `jti`", asked(good().without_claim("jti")));
    const UNKNOWN: &str = "DPOP-NON-02";
    book.ok(UNKNOWN, "current", "a nonce of this minute", good().nonce_issued("accepted", 0));
    book.ok(UNKNOWN, "two_steps_old", "a nonce of two minutes ago", good().nonce_issued("accepted", 120));
    book.ok(
        UNKNOWN,
        "one_step_ahead",
        "a nonce of a node whose clock is ahead",
        good().nonce_issued("accepted", -60),
    );
    book.nonce(UNKNOWN, "three_steps_old", "a nonce of three minutes ago", good().nonce_issued("stale", 180));
    book.nonce(
        UNKNOWN,
        "two_steps_ahead",
        "a nonce of two minutes ahead",
        good().nonce_issued("foreign", -120),
    );
    let at = UnixTime::from_secs(TIME);
    let other_label = NonceKeys::new([7; 32], "other", None).issue(at).to_string();
    let other_secret = NonceKeys::new([8; 32], "vectors", None).issue(at).to_string();
    let own = crate::draft::nonces().issue(at).to_string();
    let cut = own.split_at(own.len() - 1).0.to_owned();
    for (name, about, nonce) in [
        ("other_server", "a nonce of another server under the same secret", other_label),
        ("other_secret", "a nonce under another secret", other_secret),
        ("truncated", "a nonce that lacks its last character", cut),
        ("longer", "a nonce with a character too many", format!("{own}A")),
        ("lower_case", "a nonce in lower case", own.to_lowercase()),
        ("made_up", "a nonce that nobody issued", "made-up".to_owned()),
    ] {
        book.nonce(
            UNKNOWN,
            name,
            about,
            good().request("nonce-state", "foreign").claim("nonce", &text(&nonce)),
        );
    }
}

fn secs(offset: i64) -> String {
    TIME.checked_add_signed(offset).expect("a time").to_string()
}

fn times(book: &mut Book) {
    const FORM: &str = "DPOP-IAT-01";
    book.ok(FORM, "whole", "whole seconds", good());
    book.ok(FORM, "fraction", "a fraction of a second", good().claim("iat", &format!("{}.25", secs(-1))));
    for (name, json) in [
        ("string", "\"1800000000\""),
        ("negative", "-1"),
        ("huge", "1e300"),
        ("beyond_64_bits", "99999999999999999999"),
        ("null", "null"),
        ("array", "[1800000000]"),
    ] {
        book.refused(FORM, name, "not a number of seconds since 1970", good().claim("iat", json));
    }
    const PAST: &str = "DPOP-IAT-02";
    book.ok(PAST, "300", "five minutes ago", good().claim("iat", &secs(-300)));
    book.ok(
        PAST,
        "600",
        "ten minutes ago, where that is allowed",
        good().claim("iat", &secs(-600)).request("window", "600/30"),
    );
    book.refused(PAST, "301", "five minutes and a second ago", good().claim("iat", &secs(-301)));
    book.refused(
        PAST,
        "resource_301",
        "the same at a resource",
        Draft::resource_request().claim("iat", &secs(-301)),
    );
    book.refused(
        PAST,
        "31",
        "31 seconds ago, where 30 are allowed",
        good().claim("iat", &secs(-31)).request("window", "30/30"),
    );
    book.refused(PAST, "zero", "1970", good().claim("iat", "0"));
    const FUTURE: &str = "DPOP-IAT-04";
    book.ok(FUTURE, "10", "ten seconds ahead", good().claim("iat", &secs(10)));
    book.ok(FUTURE, "30", "half a minute ahead", good().claim("iat", &secs(30)));
    book.refused(FUTURE, "31", "31 seconds ahead", good().claim("iat", &secs(31)));
    book.refused(FUTURE, "3600", "an hour ahead", good().claim("iat", &secs(3600)));
    book.refused(
        FUTURE,
        "milliseconds",
        "milliseconds instead of seconds",
        good().claim("iat", "1800000000000"),
    );
}

/// With a nonce its step is the proof's age.
fn times_with_nonces(book: &mut Book) {
    let at_server = || good().nonce_issued("accepted", 0);
    let at_resource = || Draft::resource_request().nonce_issued("accepted", 0);
    book.ok("DPOP-IAT-02", "nonce_3600", "an hour ago, with a nonce", at_server().claim("iat", &secs(-3600)));
    book.ok(
        "DPOP-IAT-02",
        "resource_nonce_3600",
        "the same at a resource",
        at_resource().claim("iat", &secs(-3600)),
    );
    book.ok("DPOP-IAT-04", "nonce_60", "a minute ahead, with a nonce", at_server().claim("iat", &secs(60)));
    book.refused(
        "DPOP-IAT-04",
        "nonce_61",
        "61 seconds ahead, with a nonce",
        at_server().claim("iat", &secs(61)),
    );
    book.ok(
        "DPOP-IAT-04",
        "resource_nonce_3600",
        "an hour ahead at a resource, with a nonce",
        at_resource().claim("iat", &secs(3600)),
    );
}

fn hashes(book: &mut Book) {
    const ROW: &str = "DPOP-ATH-01";
    let resource = Draft::resource_request;
    let digest = sha256(TOKEN.as_bytes());
    let right = base64url::encode(&digest);
    book.ok(ROW, "right", "the hash of the token", resource());
    book.ok(ROW, "not_asked", "any `ath` at the token endpoint", good().claim("ath", "\"junk\""));
    let padded_token = format!("{TOKEN}+/==");
    let ath = base64url::encode(&sha256(padded_token.as_bytes()));
    book.ok(
        ROW,
        "odd_token",
        "a token with `+`, `/` and `=` in it",
        resource().request("token", &padded_token).claim("ath", &text(&ath)),
    );
    book.refused(ROW, "missing", "no `ath`", resource().without_claim("ath"));
    for (name, about, ath) in [
        ("other_token", "the hash of another token", base64url::encode(&sha256(b"other"))),
        ("padded", "padded base64url", format!("{right}=")),
        ("hex", "hexadecimal", data_encoding::HEXLOWER.encode(&digest)),
        ("sha512", "SHA-512", base64url::encode(&sha512(TOKEN.as_bytes()))),
        (
            "with_scheme",
            "the hash of scheme and token",
            base64url::encode(&sha256(format!("DPoP {TOKEN}").as_bytes())),
        ),
        ("token", "the token itself", TOKEN.to_owned()),
        ("empty", "nothing", String::new()),
    ] {
        book.refused(ROW, name, about, resource().claim("ath", &text(&ath)));
    }
}

fn used(book: &mut Book) {
    const ROW: &str = "DPOP-JTI-04";
    book.ok(ROW, "first", "a proof that was not used before", good());
    book.refused(ROW, "second", "a proof that was used before", good().request("used", "yes"));
    book.refused(
        ROW,
        "second_at_a_resource",
        "the same at a resource",
        Draft::resource_request().request("used", "yes"),
    );
    let with_nonce = good().nonce_issued("accepted", 120).request("used", "yes");
    book.refused(ROW, "second_with_nonce", "the same with a nonce", with_nonce);
}
