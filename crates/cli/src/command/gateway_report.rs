//! `keybound gateway report`

use crate::error::CommandError;
use crate::output;
use keybound_dpop::proof::error::Check;
use keybound_fetch::{Fetcher, Settings};
use serde::Deserialize;
use std::process::ExitCode;
use url::Url;

/// Bytes of a report, at the most.
const MAX_REPORT: usize = 32 * 1024 * 1024;

const HELP: &str = "\
Examples:
  keybound gateway report --admin http://127.0.0.1:9090
  keybound gateway report --admin http://127.0.0.1:9090 --last 1000 --json

What the gateway has seen since it started on routes with the policy `observe`: which clients could be asked for DPoP \
today. A client is `ready` when the last 100 of its requests (or as many as --last says) would all have passed, `new` \
when all would have passed and there were fewer, and `not ready` otherwise.";

/// See which clients are ready for DPoP, where a route only looks on
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// The gateway's admin listener: `admin` in its configuration
    #[arg(long, value_name = "URL")]
    admin: Url,
    /// So many requests in a row make a client ready
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    last: u64,
    /// Print what the gateway says, as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
struct Report {
    clients: Vec<Client>,
    others: Account,
    nobody: Account,
}

#[derive(Debug, Deserialize)]
struct Client {
    issuer: String,
    client_id: String,
    #[serde(flatten)]
    account: Account,
}

#[derive(Debug, Deserialize)]
struct Account {
    requests: u64,
    would_pass: u64,
    in_a_row: u64,
    refusals: Vec<Refused>,
}

#[derive(Debug, Deserialize)]
struct Refused {
    row: String,
    count: u64,
    last: u64,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, CommandError> {
    let url = args.admin.join("/observed").map_err(CommandError::usage)?;
    let advice = "give the address of `admin` in the gateway's configuration; the gateway must be running";
    let failed = |error: &dyn std::fmt::Display| CommandError::failed(error).advise(advice);
    let fetcher = Fetcher::for_operator(&Settings::default()).map_err(CommandError::failed)?;
    let fetched = fetcher.get_capped(&url, MAX_REPORT).await.map_err(|error| failed(&error))?;
    let report: serde_json::Value = serde_json::from_slice(&fetched.body).map_err(|error| failed(&error))?;
    if args.json {
        output::json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    let report: Report = serde_json::from_value(report).map_err(|error| failed(&error))?;
    output::data(report.to_text(args.last).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

impl Report {
    fn to_text(&self, last: u64) -> String {
        if self.clients.is_empty() && self.nobody.requests == 0 {
            return "Nothing was observed yet. Is there a route with the policy `observe`?\n".to_owned();
        }
        let names: Vec<String> = self.clients.iter().map(|client| output::plain(&client.client_id)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(12) + 2;
        let mut text =
            format!("{:<width$}{:<11}{:>10}  {:>10}  ISSUER\n", "CLIENT", "STATE", "REQUESTS", "WOULD PASS");
        for (client, name) in self.clients.iter().zip(&names) {
            let account = &client.account;
            let state = account.state(last);
            let issuer = output::plain(&client.issuer);
            text.push_str(&format!(
                "{name:<width$}{state:<11}{:>10}  {:>10}  {issuer}\n",
                account.requests, account.would_pass
            ));
            text.push_str(&account.reasons());
        }
        for (name, account) in [("(more clients)", &self.others), ("(no good token)", &self.nobody)] {
            if account.requests > 0 {
                let (requests, would_pass) = (account.requests, account.would_pass);
                text.push_str(&format!("{name:<width$}{:<11}{requests:>10}  {would_pass:>10}\n", ""));
                text.push_str(&account.reasons());
            }
        }
        let ready = self.clients.iter().filter(|client| client.account.state(last) == "ready").count();
        text.push_str(&format!("\n{ready} of {} clients are ready.\n", self.clients.len()));
        text
    }
}

impl Account {
    fn state(&self, last: u64) -> &'static str {
        match self.in_a_row {
            passed if passed >= last => "ready",
            passed if passed == self.requests => "new",
            _ => "not ready",
        }
    }

    /// Why not, the latest first, and what to do.
    fn reasons(&self) -> String {
        let mut refusals: Vec<&Refused> = self.refusals.iter().collect();
        refusals.sort_by_key(|refused| std::cmp::Reverse((refused.last, refused.count)));
        let lines = refusals.iter().map(|refused| {
            let (count, row) = (refused.count, output::plain(&refused.row));
            format!("  {count} times {row}: {}\n", advice(&refused.row))
        });
        lines.collect()
    }
}

/// What to do about a row.
fn advice(row: &str) -> &'static str {
    let token = "its tokens are not good here: see the issuer and audience of what it sends";
    match row {
        "RS-CHL-01" => "it sends no access token: let it get one, and send it as `Authorization: DPoP`",
        "RS-SCH-03" | "RS-SCH-04" => "send one token, in `Authorization` alone",
        "RS-DWN-01" => {
            "its token is bound to a key and comes as Bearer: send it as `Authorization: DPoP` with a proof"
        }
        "RS-DWN-03" => {
            "its tokens are bound to no key: let it send a proof where it gets them, and register it as \
             `dpop_bound_access_tokens`"
        }
        "DPOP-CNF-04" => {
            "its tokens are bound to no key though it says DPoP: let it send a proof where it gets them"
        }
        "DPOP-CNF-05" => "its tokens are bound to something else than a key",
        "RS-CHK-05" => "its tokens have too small a scope for this path",
        "RS-CHK-02" | "RS-GW-09" => "nobody could tell: see the log for what was out of reach",
        "RS-STP-01" => "its users have not signed in as this path wants it",
        row if row.starts_with("RS-CHK") => token,
        row => match Check::ALL.iter().map(|check| check.rule()).find(|rule| rule.id == row) {
            Some(rule) => rule.advice,
            None => "see docs/requirements.md",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_says_who_is_ready_who_is_not_and_what_to_do() {
        let report: Report = serde_json::from_str(
            r#"{"clients":[
                {"issuer":"https://i","client_id":"good","requests":200,"would_pass":150,"in_a_row":120,"last_seen":9,
                 "refusals":[{"row":"DPOP-HDR-08","count":50,"last":1}]},
                {"issuer":"https://i","client_id":"fresh","requests":3,"would_pass":3,"in_a_row":3,"last_seen":9,
                 "refusals":[]},
                {"issuer":"https://i","client_id":"old\u001b[31m","requests":9,"would_pass":1,"in_a_row":0,"last_seen":9,
                 "refusals":[{"row":"RS-DWN-03","count":8,"last":9}]}],
              "others":{"requests":0,"would_pass":0,"in_a_row":0,"last_seen":0,"refusals":[]},
              "nobody":{"requests":4,"would_pass":0,"in_a_row":0,"last_seen":9,
                 "refusals":[{"row":"RS-CHL-01","count":4,"last":9}]}}"#,
        )
        .expect("a report");
        let text = report.to_text(100);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).expect(name).to_owned();
        assert!(line("good").contains(" ready "), "{text}");
        assert!(line("fresh").contains(" new "), "{text}");
        assert!(line("old").contains("not ready") && !text.contains('\u{1b}'), "{text}");
        assert!(text.contains("8 times RS-DWN-03: its tokens are bound to no key"), "{text}");
        assert!(text.contains("50 times DPOP-HDR-08: send a proof"), "{text}");
        assert!(text.contains("4 times RS-CHL-01"), "{text}");
        assert!(text.ends_with("1 of 3 clients are ready.\n"), "{text}");
    }
}
