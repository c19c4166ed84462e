//! Writes the files in `vectors/`: `cargo run -p keybound-dpop --example write_vectors -- vectors/`.
//!
//! Everything is fixed but the signatures of ES256, ES384, ES512 and PS256, which differ from run to run: the files that
//! are committed are the truth, this is how they were made. `crates/dpop/tests/vectors.rs` runs them.
#![expect(clippy::expect_used, reason = "a tool for the desk: where anything is amiss it stops")]

mod claims;
mod draft;
mod key_cases;
mod keys;
mod signatures;
mod structure;
mod transport;

use draft::Draft;
use std::path::PathBuf;

/// The vectors, by the name of their file.
#[derive(Default)]
struct Book(Vec<(String, String)>);

impl Book {
    fn ok(&mut self, row: &str, name: &str, about: &str, draft: Draft) {
        self.add("ok", row, name, about, &draft);
    }

    fn refused(&mut self, row: &str, name: &str, about: &str, draft: Draft) {
        self.add("refused", row, name, about, &draft);
    }

    fn nonce(&mut self, row: &str, name: &str, about: &str, draft: Draft) {
        self.add("nonce", row, name, about, &draft);
    }

    fn add(&mut self, expect: &str, row: &str, name: &str, about: &str, draft: &Draft) {
        let name = format!("{}_{expect}_{name}", row.to_lowercase().replace('-', "_"));
        assert!(!self.0.iter().any(|(known, _)| *known == name), "{name} twice");
        let text = draft.render(expect, row, &name, about);
        self.0.push((name, text));
    }
}

fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("the folder to write to"));
    let mut book = Book::default();
    transport::write(&mut book);
    structure::write(&mut book);
    key_cases::write(&mut book);
    signatures::write(&mut book);
    claims::write(&mut book);
    std::fs::create_dir_all(&folder).expect("the folder");
    for (name, text) in &book.0 {
        std::fs::write(folder.join(format!("{name}.txt")), text).expect("a file");
    }
}
