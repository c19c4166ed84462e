//! Who would pass: what was seen on routes that only look on, by client. Bounded: so many clients, and all others
//! together. A client is known by a token that is good; whoever comes without one is counted together too.

use keybound_dpop::time::UnixTime;
use keybound_resource::Observed;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Clients that are told apart, at the most.
const MAX_CLIENTS: usize = 10_000;
/// Characters that are kept of a name.
const MAX_NAME: usize = 200;

/// What was seen. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Observations(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// By issuer, then by client.
    clients: HashMap<Box<str>, HashMap<Box<str>, Account>>,
    known: usize,
    others: Account,
    nobody: Account,
}

/// What became of the requests of one client.
#[derive(Debug, Default)]
struct Account {
    requests: u64,
    would_pass: u64,
    /// Since the last one that would not.
    in_a_row: u64,
    last_seen: UnixTime,
    refusals: BTreeMap<&'static str, Refused>,
}

#[derive(Debug, Default)]
struct Refused {
    count: u64,
    last: UnixTime,
}

impl Observations {
    /// Counts one request.
    pub(crate) fn saw(&self, observed: &Observed, now: UnixTime) {
        let row = observed.reason().map(keybound_resource::Reason::row);
        self.count(observed.issuer(), observed.client_id(), row, now);
    }

    /// So many requests, and of them so many that would pass.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let seen = self.0.lock();
        let clients = seen.clients.values().flat_map(HashMap::values);
        let all = clients.chain([&seen.others, &seen.nobody]);
        all.fold((0, 0), |(requests, pass), account| (requests + account.requests, pass + account.would_pass))
    }

    /// All of it, as JSON: `clients`, each with `requests`, `would_pass`, `in_a_row` (that would pass, up to the last
    /// one), `last_seen` and `refusals` by row; `others` and `nobody` in the same form.
    #[must_use]
    pub fn to_json(&self) -> String {
        let seen = self.0.lock();
        let mut clients: Vec<(&str, &str, &Account)> = Vec::with_capacity(seen.known);
        for (issuer, accounts) in &seen.clients {
            clients.extend(accounts.iter().map(|(client, account)| (&**issuer, &**client, account)));
        }
        clients.sort_unstable_by_key(|(issuer, client, _)| (*issuer, *client));
        let clients: Vec<Value> = clients
            .into_iter()
            .map(|(issuer, client, account)| {
                let mut value = account.to_value();
                value["issuer"] = json!(issuer);
                value["client_id"] = json!(client);
                value
            })
            .collect();
        let value = json!({
            "clients": clients,
            "others": seen.others.to_value(),
            "nobody": seen.nobody.to_value(),
        });
        value.to_string()
    }

    fn count(&self, issuer: Option<&str>, client: Option<&str>, row: Option<&'static str>, now: UnixTime) {
        let mut seen = self.0.lock();
        match (issuer, client) {
            (Some(issuer), Some(client)) => seen.account(issuer, client).count(row, now),
            _ => seen.nobody.count(row, now),
        }
    }
}

impl Seen {
    fn account(&mut self, issuer: &str, client: &str) -> &mut Account {
        let (issuer, client) = (cut(issuer), cut(client));
        let is_new = self.clients.get(issuer).is_none_or(|clients| !clients.contains_key(client));
        if is_new && self.known >= MAX_CLIENTS {
            return &mut self.others;
        }
        self.known += usize::from(is_new);
        // Nothing is allocated for a client that is known.
        let clients = match self.clients.contains_key(issuer) {
            true => self.clients.get_mut(issuer),
            false => Some(self.clients.entry(issuer.into()).or_default()),
        };
        match clients {
            Some(clients) if is_new => clients.entry(client.into()).or_default(),
            Some(clients) => clients.get_mut(client).unwrap_or(&mut self.others),
            None => &mut self.others,
        }
    }
}

impl Account {
    fn count(&mut self, row: Option<&'static str>, now: UnixTime) {
        self.requests += 1;
        self.last_seen = now;
        match row {
            None => {
                self.would_pass += 1;
                self.in_a_row += 1;
            }
            Some(row) => {
                self.in_a_row = 0;
                let refused = self.refusals.entry(row).or_default();
                refused.count += 1;
                refused.last = now;
            }
        }
    }

    fn to_value(&self) -> Value {
        let refusals: Vec<Value> = self
            .refusals
            .iter()
            .map(|(row, refused)| json!({ "row": row, "count": refused.count, "last": refused.last.as_secs() }))
            .collect();
        json!({
            "requests": self.requests,
            "would_pass": self.would_pass,
            "in_a_row": self.in_a_row,
            "last_seen": self.last_seen.as_secs(),
            "refusals": refusals,
        })
    }
}

fn cut(name: &str) -> &str {
    match name.char_indices().nth(MAX_NAME) {
        Some((end, _)) => name.get(..end).unwrap_or_default(),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: Option<&str> = Some("https://id.example");

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    #[test]
    fn a_client_is_ready_when_nothing_was_missed_for_a_while() {
        let seen = Observations::default();
        seen.count(ISSUER, Some("app"), Some("RS-DWN-03"), at(1));
        for time in 2..5 {
            seen.count(ISSUER, Some("app"), None, at(time));
        }
        seen.count(None, None, Some("RS-CHL-01"), at(9));
        let told: Value = serde_json::from_str(&seen.to_json()).expect("JSON");
        let app = &told["clients"][0];
        assert_eq!((&app["issuer"], &app["client_id"]), (&json!(ISSUER), &json!("app")));
        assert_eq!(
            (&app["requests"], &app["would_pass"], &app["in_a_row"]),
            (&json!(4), &json!(3), &json!(3))
        );
        assert_eq!((&app["last_seen"], &app["refusals"][0]["last"]), (&json!(4), &json!(1)));
        assert_eq!(told["nobody"]["refusals"][0]["row"], "RS-CHL-01");
        assert_eq!(seen.totals(), (5, 3));
        seen.count(ISSUER, Some("app"), Some("DPOP-HTU-01"), at(10));
        assert!(seen.to_json().contains("\"in_a_row\":0"));
    }

    #[test]
    fn ops_lim_06_clients_beyond_the_bound_are_counted_together() {
        let seen = Observations::default();
        for client in 0..=MAX_CLIENTS {
            seen.count(ISSUER, Some(&client.to_string()), None, at(1));
        }
        seen.count(ISSUER, Some("0"), None, at(2));
        seen.count(Some("https://new.example"), Some("x"), None, at(2));
        let told: Value = serde_json::from_str(&seen.to_json()).expect("JSON");
        assert_eq!(told["clients"].as_array().map(Vec::len), Some(MAX_CLIENTS));
        assert_eq!(told["clients"][0]["requests"], 2);
        assert_eq!(told["others"]["requests"], 2);
        assert_eq!(cut(&"é".repeat(300)).chars().count(), MAX_NAME);
    }
}
