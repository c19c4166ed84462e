//! Authorization details in words, each with a box to untick.

use crate::config::Config;
use keybound_oauth::authorization_details::AuthorizationDetails;
use keybound_oauth::form::Form;
use serde_json::Value;

/// One detail on a page.
#[derive(Debug, PartialEq, Eq)]
pub struct Detail<'a> {
    /// The name of its box.
    pub field: String,
    /// What it lets the client do, in the operator's words.
    pub description: &'a str,
    /// Its members, by name.
    pub members: Vec<(&'a str, String)>,
}

/// The details as a page shows them.
#[must_use]
pub fn details<'a>(config: &'a Config, details: &'a AuthorizationDetails) -> Vec<Detail<'a>> {
    let shown = details.iter().enumerate().map(|(place, detail)| Detail {
        field: field(place),
        description: config
            .detail_type(detail.detail_type())
            .map_or(detail.detail_type(), |(_, known)| &known.description),
        members: detail.members().map(|(name, value)| (name, in_words(value))).collect(),
    });
    shown.collect()
}

/// The details whose box was left ticked.
#[must_use]
pub fn ticked(details: &AuthorizationDetails, form: &Form) -> AuthorizationDetails {
    details.filtered(|place, _| form.has(&field(place)))
}

fn field(place: usize) -> String {
    format!("detail_{place}")
}

fn in_words(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(in_words).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let told = members.iter().map(|(name, value)| format!("{name}: {}", in_words(value)));
            told.collect::<Vec<_>>().join("; ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_res_05_values_are_told_in_words() {
        let value = serde_json::json!({ "amount": { "currency": "EUR", "value": 12.5 }, "to": ["a", "b"], "now": true });
        assert_eq!(in_words(&value), "amount: currency: EUR; value: 12.5; to: a, b; now: yes");
    }
}
