//! Authorization details in words, each with a box to untick.

use super::Frame;
use super::texts::Texts;
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
pub fn details<'a>(frame: Frame<'a>, details: &'a AuthorizationDetails) -> Vec<Detail<'a>> {
    let shown = details.iter().enumerate().map(|(place, detail)| Detail {
        field: field(place),
        description: frame
            .config
            .detail_type(detail.detail_type())
            .map_or(detail.detail_type(), |(_, known)| &known.description),
        members: detail.members().map(|(name, value)| (name, in_words(frame.text, value))).collect(),
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

fn in_words(text: &Texts, value: &Value) -> String {
    match value {
        Value::Null => text.value_none.clone(),
        Value::Bool(true) => text.value_yes.clone(),
        Value::Bool(false) => text.value_no.clone(),
        Value::Number(number) => number.to_string(),
        Value::String(told) => told.clone(),
        Value::Array(items) => items.iter().map(|item| in_words(text, item)).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let told = members.iter().map(|(name, value)| format!("{name}: {}", in_words(text, value)));
            told.collect::<Vec<_>>().join("; ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::texts::{Language, Languages};

    #[test]
    fn as_res_05_values_are_told_in_words() {
        let value = serde_json::json!({ "amount": { "currency": "EUR", "value": 12.5 }, "to": ["a", "b"], "now": true });
        let languages = Languages::load(None, "de").unwrap();
        let told = in_words(languages.texts(Language::default()), &value);
        assert_eq!(told, "amount: currency: EUR; value: 12.5; to: a, b; now: ja");
    }
}
