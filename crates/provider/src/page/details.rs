//! Authorization details in words, each with a box to untick.

use super::{Frame, Place};
use crate::config::{Config, DetailType, Resource};
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
    /// The resource that it is about.
    pub place: Option<Place<'a>>,
    /// Its members, by name.
    pub members: Vec<(&'a str, String)>,
}

/// The details as a page shows them.
#[must_use]
pub fn details<'a>(frame: Frame<'a>, details: &'a AuthorizationDetails) -> Vec<Detail<'a>> {
    let shown = details.iter().enumerate().map(|(place, detail)| {
        let known = frame.config.detail_type(detail.detail_type());
        let teller = Teller { frame, known: known.map(|(_, known)| known) };
        let members =
            detail.members().map(|(name, value)| (teller.name(name, name), teller.value(name, value)));
        Detail {
            field: field(place),
            description: teller
                .known
                .map_or(detail.detail_type(), |known| known.description.of(frame.language).as_str()),
            place: known.map(|(resource, _)| Place::of(frame, resource)),
            members: members.collect(),
        }
    });
    shown.collect()
}

/// Whether any of the details is about that resource.
pub(super) fn are_about(config: &Config, details: &AuthorizationDetails, resource: &Resource) -> bool {
    let mut about = details.iter().filter_map(|detail| config.detail_type(detail.detail_type()));
    about.any(|(about, _)| about.identifier == resource.identifier)
}

/// The details whose box was left ticked.
#[must_use]
pub fn ticked(details: &AuthorizationDetails, form: &Form) -> AuthorizationDetails {
    details.filtered(|place, _| form.has(&field(place)))
}

fn field(place: usize) -> String {
    format!("detail_{place}")
}

/// Tells of a detail in the operator's words, as far as there are any.
#[derive(Clone, Copy)]
struct Teller<'a> {
    frame: Frame<'a>,
    known: Option<&'a DetailType>,
}

impl<'a> Teller<'a> {
    /// What people call what stands at that path.
    fn label(self, path: &str) -> Option<&'a str> {
        self.known?.labels.get(path).map(|words| words.of(self.frame.language).as_str())
    }

    fn name<'n>(self, path: &str, name: &'n str) -> &'n str
    where
        'a: 'n,
    {
        let text = self.frame.text;
        self.label(path).unwrap_or_else(|| match path {
            "actions" => text.detail_actions.as_str(),
            "datatypes" => text.detail_datatypes.as_str(),
            "locations" => text.detail_locations.as_str(),
            "privileges" => text.detail_privileges.as_str(),
            _ => name,
        })
    }

    fn value(self, path: &str, value: &Value) -> String {
        let text = self.frame.text;
        match value {
            Value::Null => text.value_none.as_str().to_owned(),
            Value::Bool(true) => text.value_yes.as_str().to_owned(),
            Value::Bool(false) => text.value_no.as_str().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::String(told) => self.label(&format!("{path}.{told}")).unwrap_or(told).to_owned(),
            Value::Array(items) => {
                items.iter().map(|item| self.value(path, item)).collect::<Vec<_>>().join(", ")
            }
            Value::Object(members) => {
                let told = members.iter().map(|(name, value)| {
                    let path = format!("{path}.{name}");
                    format!("{}: {}", self.name(&path, name), self.value(&path, value))
                });
                told.collect::<Vec<_>>().join("; ")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;
    use crate::page::Language;

    #[test]
    fn as_res_05_values_are_told_in_words() {
        let text = "issuer = \"https://as.example\"\n[pages]\nlanguage = \"de\"\n\
                    [[resource]]\nidentifier = \"https://bank.example/\"\nname = \"Bank\"\n\
                    [[resource.authorization_details]]\ntype = \"payment\"\nactions = [\"start\", \"stop\"]\n\
                    description = { de = \"Zahlen\", en = \"Pay\" }\nrequired = { sum = \"object\", now = \"boolean\" }\n\
                    labels = { sum = \"Betrag\", \"sum.currency\" = \"Währung\", \"actions.start\" = \"beginnen\" }\n";
        let config = ConfigFile::parse(text, "k.toml").unwrap().check().unwrap();
        let asked = r#"[{"type":"payment","actions":["start","stop"],"now":true,"sum":{"currency":"EUR","value":12.5}}]"#;
        let asked = AuthorizationDetails::parse(asked).unwrap();
        let [detail]: [_; 1] = details(Frame::of(&config, Language::default()), &asked).try_into().unwrap();
        assert_eq!((detail.description, detail.place.unwrap().name), ("Zahlen", "Bank"));
        let told: Vec<String> =
            detail.members.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        assert_eq!(told, ["Aktionen = beginnen, stop", "now = ja", "Betrag = Währung: EUR; value: 12.5"]);
    }
}
