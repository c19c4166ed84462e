//! All automation of the project behind one command, `cargo xtask`.
//!
//! It depends on none of the project's crates, so that it still runs when they do not compile, and it calls
//! `cargo` as a person would, with `--locked`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]

mod bench;
mod coverage;
mod optimize;
mod repo;
mod rules;
mod run;
mod setup;
mod test;
mod tidy;

use std::process::ExitCode;

use repo::Repo;

const HELP: &str = "\
cargo xtask: everything this repository automates

usage: cargo xtask <command> [options]

  setup [--install]     see whether the machine has what the tests need beyond Rust and a C compiler, and
                        install it on Debian when run as root; --install asks sudo when not root;
                        then other people's clients, below target/peers
  tidy [RULE…]          formatting, lints, the arrows between the crates, and the house rules; with names,
                        only those rules (`cargo xtask tidy links words`); `tidy --list` names them all
  test                  setup, then tidy, then every test of the workspace; the last line is
                        `N passed, N failed`, and this is what continuous integration runs
  coverage [options]    which rows of docs/requirements.md and docs/attacks.md no test carries in its name
      --group LIST        only these, e.g. AS-TOK,AS-ERR or AS-COD-01..03 or DPOP-HTU-05 or ATK-A
      --from FILE         read a saved `cargo test -- --list` instead of building the tests
  rules [--check]       write docs/rules.md, the checks of a proof, as the program itself prints them;
                        --check only compares
  bench [--optimized] [GROUP…]
                        how fast proof, provider, guard, gateway, client and agent are, beside the limits that the
                        crypto library and bare HTTP set, and beside peers on Node, as one table; groups: check,
                        junk, make, records, provider, pages, guard, gateway, client, agent; --optimized measures
                        what the next command builds, limits included
  optimize              build the program as it is quickest, below target/optimized: once with counters in it,
                        then, by what they counted under load, again; takes a quarter of an hour, and needs
                        llvm-profdata (`rustup component add llvm-tools`, Debian's llvm-19)

A first change, from nothing:

  cargo xtask setup && cargo xtask test
  … write a test called after the row it shows: dpop_htu_05_default_port_is_no_port …
  cargo xtask coverage --group DPOP-HTU
  cargo xtask tidy
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command. `Ok(false)`: it ran, and what it looked at is not in order.
fn dispatch(words: &[&str]) -> Result<bool, String> {
    let Some((command, options)) = words.split_first() else {
        print!("{HELP}");
        return Ok(true);
    };
    match *command {
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(true)
        }
        "setup" => setup::run(options),
        "tidy" => tidy::run(&Repo::open()?, options),
        "test" => test::run(options),
        "coverage" => coverage::run(&Repo::open()?, options),
        "rules" => rules::run(&Repo::open()?, options),
        "bench" => bench::run(&Repo::open()?, options),
        "optimize" => optimize::run(&Repo::open()?, options),
        other => Err(format!("no command is called `{other}`; `cargo xtask` lists them")),
    }
}
