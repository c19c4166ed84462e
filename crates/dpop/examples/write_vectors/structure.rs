//! DPOP-JWS, DPOP-TYP, DPOP-JTI, DPOP-NON-05: parts, JSON and members.

use crate::Book;
use crate::draft::{Draft, TIME};
use keybound_dpop::jose::base64url;

pub(crate) fn write(book: &mut Book) {
    segments(book);
    base64(book);
    json(book);
    names_and_sizes(book);
    extensions(book);
    members(book);
    identifiers(book);
    types(book);
}

fn good() -> Draft {
    Draft::token_request()
}

/// A good proof whose three parts are put together in another way.
fn parts(change: impl Fn(&str, &str, &str) -> String + 'static) -> Draft {
    good().show(move |proof| {
        let mut parts = proof.split('.');
        let mut part = || parts.next().unwrap_or_default();
        vec![change(part(), part(), part())]
    })
}

fn segments(book: &mut Book) {
    const ROW: &str = "DPOP-JWS-01";
    book.ok(ROW, "three", "three parts", good());
    book.refused(ROW, "one", "one part", parts(|header, _, _| header.to_owned()));
    book.refused(ROW, "two", "two parts", parts(|header, payload, _| format!("{header}.{payload}")));
    book.refused(ROW, "four", "four parts", parts(|h, p, s| format!("{h}.{p}.{s}.{s}")));
    book.refused(
        ROW,
        "five",
        "five parts, as an encrypted JWT has",
        parts(|h, p, s| format!("{h}.{p}.{s}.{s}.{s}")),
    );
    book.refused(ROW, "no_header", "an empty header", parts(|_, p, s| format!(".{p}.{s}")));
    book.refused(ROW, "no_payload", "an empty payload", parts(|h, _, s| format!("{h}..{s}")));
    book.refused(ROW, "no_signature", "an empty signature", parts(|h, p, _| format!("{h}.{p}.")));
    book.refused(
        ROW,
        "json_serialization",
        "JWS JSON serialization in base64url",
        parts(|h, p, s| {
            let json = format!(
                "{{\"payload\":\"{p}\",\"signatures\":[{{\"protected\":\"{h}\",\"signature\":\"{s}\"}}]}}"
            );
            base64url::encode(json.as_bytes())
        }),
    );
}

/// The same octets in another spelling: a bit that is not used is set in the last character.
fn with_unused_bit(part: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (before, last) = part.split_at(part.len() - 1);
    let value = ALPHABET.find(last).expect("base64url");
    let next = ALPHABET.chars().nth(value + 1).expect("an unused bit");
    format!("{before}{next}")
}

fn base64(book: &mut Book) {
    const ROW: &str = "DPOP-JWS-04";
    book.ok(ROW, "canonical", "base64url without padding", good());
    book.refused(
        ROW,
        "unused_bit",
        "the signature's last character has a bit set that is not used",
        parts(|h, p, s| format!("{h}.{p}.{}", with_unused_bit(s))),
    );
    book.refused(ROW, "padded", "the signature is padded", parts(|h, p, s| format!("{h}.{p}.{s}==")));
    book.refused(
        ROW,
        "one_character_more",
        "the header has a character too many",
        parts(|h, p, s| {
            let whole = h.len() / 4 * 4;
            format!("{}A.{p}.{s}", h.split_at(whole).0)
        }),
    );
    book.refused(
        ROW,
        "plus",
        "the payload begins in the other alphabet",
        parts(|h, p, s| format!("{h}.++{p}.{s}")),
    );
    book.refused(
        ROW,
        "slash",
        "the payload begins in the other alphabet",
        parts(|h, p, s| format!("{h}.//{p}.{s}")),
    );
}

fn json(book: &mut Book) {
    const ROW: &str = "DPOP-JWS-05";
    let spaced =
        |json: &str| format!(" \n{}\t ", json.replace(',', " , ").replace("\":", "\" : ")).into_bytes();
    book.ok(ROW, "spaces", "spaces in the JSON of the payload", good().claims_bytes(spaced));
    book.ok(
        ROW,
        "not_ascii",
        "UTF-8 beyond ASCII in an unknown claim",
        good().claim("note", "\"\u{e9}\u{1f511}\""),
    );
    let bom = |json: &str| [b"\xef\xbb\xbf", json.as_bytes()].concat();
    let utf_16 = |json: &str| json.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    book.refused(ROW, "header_bom", "a byte order mark before the header", good().header_bytes(bom));
    book.refused(ROW, "payload_bom", "a byte order mark before the payload", good().claims_bytes(bom));
    book.refused(ROW, "header_utf_16", "the header in UTF-16", good().header_bytes(utf_16));
    book.refused(ROW, "payload_utf_16", "the payload in UTF-16", good().claims_bytes(utf_16));
    for (name, about, payload) in [
        ("array", "the payload is an array", &b"[]"[..]),
        ("string", "the payload is a string", b"\"x\""),
        ("null", "the payload is null", b"null"),
        ("latin_1", "the payload holds an octet that is not UTF-8", b"{\"note\":\"\xe9\"}"),
        ("lone_surrogate", "the payload holds half a surrogate pair", b"{\"note\":\"\\ud800\"}"),
        ("raw_nul", "the payload holds an unescaped NUL", b"{\"note\":\"\0\"}"),
        ("two_objects", "the payload is two objects", b"{} {}"),
        ("comma", "the payload has a comma too many", b"{\"a\":1,}"),
        ("nan", "the payload holds a number that JSON does not know", b"{\"iat\":NaN}"),
    ] {
        book.refused(ROW, name, about, good().claims_bytes(|_| payload.to_vec()));
    }
}

fn names_and_sizes(book: &mut Book) {
    const TWICE: &str = "DPOP-JWS-06";
    let begin =
        |more: &'static str| move |json: &str| json.replacen('{', &format!("{{{more}"), 1).into_bytes();
    book.ok(
        TWICE,
        "in_different_objects",
        "one name in two objects",
        good().claim("a", "{\"htu\":1,\"b\":{\"htu\":2}}"),
    );
    book.refused(TWICE, "alg", "`alg` twice", good().header_bytes(begin("\"alg\":\"none\",")));
    book.refused(
        TWICE,
        "htu",
        "`htu` twice",
        good().claims_bytes(begin("\"htu\":\"https://evil.example/\",")),
    );
    book.refused(
        TWICE,
        "escaped",
        "`htu` twice, once with an escape",
        good().claims_bytes(begin("\"h\\u0074u\":\"\",")),
    );
    book.refused(
        TWICE,
        "in_the_key",
        "`x` twice in `jwk`",
        good().header_bytes(|json| json.replacen("\"crv\":", "\"x\":\"AAAA\",\"crv\":", 1).into_bytes()),
    );
    book.refused(TWICE, "inside", "a name twice in an unknown claim", good().claim("a", "{\"b\":1,\"b\":1}"));

    const SIZE: &str = "DPOP-JWS-11";
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let wide = |members: usize| {
        let all: Vec<String> = (0..members).map(|index| format!("\"m{index}\":0")).collect();
        format!("{{{}}}", all.join(","))
    };
    book.ok(SIZE, "16_deep", "sixteen levels", good().claim("a", &nested(15)));
    book.refused(SIZE, "17_deep", "seventeen levels", good().claim("a", &nested(16)));
    book.refused(SIZE, "2500_deep", "2500 levels", good().claim("a", &nested(2500)));
    book.refused(
        SIZE,
        "2500_open",
        "2500 brackets that are never closed",
        good().claim("a", &"[".repeat(2500)),
    );
    book.ok(SIZE, "128_wide", "128 members", good().claim("a", &wide(128)));
    book.refused(SIZE, "129_wide", "129 members", good().claim("a", &wide(129)));
}

fn extensions(book: &mut Book) {
    const CRIT: &str = "DPOP-JWS-08";
    book.ok(
        CRIT,
        "unknown_members",
        "unknown members in header and payload",
        good().head("tx_id", "7").claim("tx_id", "[]"),
    );
    book.refused(CRIT, "exp", "`crit` names `exp`", good().head("crit", "[\"exp\"]"));
    book.refused(CRIT, "empty", "`crit` names nothing", good().head("crit", "[]"));
    book.refused(CRIT, "string", "`crit` is a string", good().head("crit", "\"exp\""));
    const B64: &str = "DPOP-JWS-09";
    book.ok(B64, "other_name", "a member whose name is almost `b64`", good().head("B64", "false"));
    book.refused(B64, "false", "`b64` is false", good().head("b64", "false"));
    book.refused(
        B64,
        "critical",
        "`b64` is false and critical",
        good().head("b64", "false").head("crit", "[\"b64\"]"),
    );
}

fn members(book: &mut Book) {
    const MISSING: &str = "DPOP-JWS-12";
    book.ok(MISSING, "minimal", "the required members and no other", good());
    for claim in ["jti", "htm", "htu", "iat"] {
        book.refused(MISSING, claim, &format!("no `{claim}`"), good().without_claim(claim));
    }
    const TYPE: &str = "DPOP-JWS-07";
    book.ok(
        TYPE,
        "unknown_members",
        "unknown members of any type",
        good().claim("a", "null").claim("b", "1.5e3").claim("c", "[true,{}]"),
    );
    for (claim, json) in [
        ("htm", "[\"POST\"]"),
        ("htu", "{}"),
        ("nonce", "7"),
        ("ath", "null"),
        ("exp", "\"x\""),
        ("nbf", "[]"),
    ] {
        book.refused(TYPE, claim, &format!("`{claim}` is of the wrong type"), good().claim(claim, json));
    }
    const VALIDITY: &str = "DPOP-JWS-14";
    let secs = |offset: i64| TIME.checked_add_signed(offset).expect("a time").to_string();
    book.ok(
        VALIDITY,
        "holds",
        "`nbf` now, `exp` in five minutes",
        good().claim("nbf", &secs(0)).claim("exp", &secs(300)),
    );
    book.ok(VALIDITY, "exp_within_skew", "`exp` 29 seconds ago", good().claim("exp", &secs(-29)));
    book.ok(VALIDITY, "nbf_within_skew", "`nbf` in 30 seconds", good().claim("nbf", &secs(30)));
    book.refused(VALIDITY, "expired", "`exp` 30 seconds ago", good().claim("exp", &secs(-30)));
    book.refused(VALIDITY, "not_yet", "`nbf` in 31 seconds", good().claim("nbf", &secs(31)));
}

fn identifiers(book: &mut Book) {
    const EMPTY: &str = "DPOP-JTI-01";
    book.ok(EMPTY, "short", "a `jti` of one character", good().claim("jti", "\"a\""));
    book.refused(EMPTY, "empty", "an empty `jti`", good().claim("jti", "\"\""));
    book.refused(EMPTY, "number", "a `jti` that is a number", good().claim("jti", "7"));
    book.refused(EMPTY, "null", "a `jti` that is null", good().claim("jti", "null"));
    book.refused(EMPTY, "nul", "a `jti` with a NUL in it", good().claim("jti", "\"a\\u0000b\""));
    const SIZE: &str = "DPOP-JTI-02";
    let jti = |octets: usize| format!("\"{}\"", "x".repeat(octets));
    book.ok(SIZE, "256", "a `jti` of 256 octets", good().claim("jti", &jti(256)));
    book.refused(SIZE, "257", "a `jti` of 257 octets", good().claim("jti", &jti(257)));
    book.refused(
        SIZE,
        "129_of_two",
        "a `jti` of 129 characters of two octets",
        good().claim("jti", &format!("\"{}\"", "\u{e9}".repeat(129))),
    );
    const NONCE: &str = "DPOP-NON-05";
    let nonce = |octets: usize| format!("\"{}\"", "~".repeat(octets));
    book.ok(
        NONCE,
        "256",
        "a nonce of 256 characters where none is asked for",
        good().claim("nonce", &nonce(256)),
    );
    book.ok(
        NONCE,
        "all",
        "the odd ones among the allowed characters",
        good().claim("nonce", "\"!#$%&'()*+,-./:;<=>?@[]^_`{|}~\""),
    );
    book.refused(NONCE, "257", "a nonce of 257 characters", good().claim("nonce", &nonce(257)));
    for (name, json) in [
        ("empty", "\"\""),
        ("quote", "\"a\\\"b\""),
        ("backslash", "\"a\\\\b\""),
        ("space", "\"a b\""),
        ("newline", "\"a\\n\""),
    ] {
        book.refused(NONCE, name, "a nonce that is not NQCHAR", good().claim("nonce", json));
    }
}

fn types(book: &mut Book) {
    book.ok("DPOP-TYP-02", "present", "`typ` is there", good());
    book.refused("DPOP-TYP-02", "missing", "no `typ`", good().without_head("typ"));
    const ROW: &str = "DPOP-TYP-01";
    for (name, typ) in [("short", "dpop+jwt"), ("long", "application/dpop+jwt"), ("capitals", "DPOP+JWT")] {
        book.ok(ROW, name, &format!("`typ` is {typ}"), good().head("typ", &format!("\"{typ}\"")));
    }
    for (name, typ) in [
        ("jwt", "JWT"),
        ("at_jwt", "at+jwt"),
        ("longer", "dpop+jwt+x"),
        ("shorter", "dpop"),
        ("empty", ""),
        ("text", "text/dpop+jwt"),
    ] {
        book.refused(ROW, name, &format!("`typ` is `{typ}`"), good().head("typ", &format!("\"{typ}\"")));
    }
    book.refused(ROW, "array", "`typ` is an array", good().head("typ", "[\"dpop+jwt\"]"));
}
