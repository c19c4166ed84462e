//! DPOP-HDR: the header.

use crate::Book;
use crate::draft::Draft;

pub(crate) fn write(book: &mut Book) {
    let good = Draft::token_request;
    book.ok("DPOP-HDR-08", "token_request", "a proof for a token request", good());
    book.ok(
        "DPOP-HDR-08",
        "resource_request",
        "a proof for a request with a bound token",
        Draft::resource_request(),
    );
    book.refused("DPOP-HDR-08", "token_request", "no header", good().show(|_| Vec::new()));
    book.refused(
        "DPOP-HDR-08",
        "resource_request",
        "no header",
        Draft::resource_request().show(|_| Vec::new()),
    );

    book.ok("DPOP-HDR-02", "one_line", "one header line", good());
    book.refused(
        "DPOP-HDR-02",
        "two_equal_lines",
        "two equal header lines",
        good().show(|proof| vec![proof.clone(), proof]),
    );
    book.refused(
        "DPOP-HDR-02",
        "two_lines",
        "two header lines, the first of them good",
        good().show(move |proof| vec![proof, good().compact("second")]),
    );
    book.refused(
        "DPOP-HDR-02",
        "good_and_empty",
        "a good header line and an empty one",
        good().show(|proof| vec![proof, String::new()]),
    );

    book.ok("DPOP-HDR-05", "something", "a header with something in it", good());
    book.refused("DPOP-HDR-05", "empty", "an empty header", good().show(|_| vec![String::new()]));
    book.refused("DPOP-HDR-05", "space", "a header of spaces", good().show(|_| vec!["   ".to_owned()]));

    book.ok("DPOP-HDR-10", "8192", "a header of 8192 octets", good().length(8192));
    book.refused("DPOP-HDR-10", "8193", "a header of 8193 octets", good().length(8193));
    book.refused("DPOP-HDR-10", "dots", "a header of 20000 dots", good().show(|_| vec![".".repeat(20_000)]));
    characters(book);
}

fn characters(book: &mut Book) {
    let good = Draft::token_request;
    book.ok("DPOP-HDR-06", "token68", "letters, digits, `-`, `_` and `.`", good());
    for (name, about, joined) in [
        ("two_joined", "two proofs in one line, joined by a comma", ", "),
        ("two_joined_closely", "two proofs in one line, joined by a comma without a space", ","),
        ("space", "a space between two proofs", " "),
        ("semicolon", "a semicolon between two proofs", ";"),
    ] {
        book.refused(
            "DPOP-HDR-06",
            name,
            about,
            good().show(move |proof| vec![format!("{proof}{joined}{proof}")]),
        );
    }
    book.refused(
        "DPOP-HDR-06",
        "quoted",
        "a proof in quotes",
        good().show(|proof| vec![format!("\"{proof}\"")]),
    );
    book.refused(
        "DPOP-HDR-06",
        "not_ascii",
        "an octet that is not ASCII",
        good().show(|proof| vec![format!("{proof}\u{e9}")]),
    );
    book.refused(
        "DPOP-HDR-06",
        "scheme",
        "a scheme before the proof",
        good().show(|proof| vec![format!("DPoP {proof}")]),
    );
    book.refused(
        "DPOP-HDR-06",
        "json",
        "JWS JSON serialization",
        good().show(|proof| {
            let mut parts = proof.split('.');
            let mut part = || parts.next().unwrap_or_default();
            vec![format!(
                "{{\"protected\":\"{}\",\"payload\":\"{}\",\"signature\":\"{}\"}}",
                part(),
                part(),
                part()
            )]
        }),
    );
}
