//! Types of authorization details (RFC 9396 §2): what an operator writes of one, and whether a detail is one.

use super::{ConfigError, Source};
use keybound_oauth::authorization_details::{AuthorizationDetail, COMMON_LISTS};
use keybound_oauth::identifier::ResourceId;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// `[[resource.authorization_details]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetailFile {
    /// The value of `type`; one resource has it.
    #[serde(rename = "type")]
    pub name: String,
    /// What it lets a client do, for people.
    pub description: String,
    /// The actions that there are; with any here, a request must name one at least.
    #[serde(default)]
    pub actions: Vec<String>,
    /// The kinds of data that there are, as with `actions`.
    #[serde(default)]
    pub datatypes: Vec<String>,
    /// The privileges that there are, as with `actions`.
    #[serde(default)]
    pub privileges: Vec<String>,
    /// The locations that a request may name. Default: the identifier of the resource.
    #[serde(default)]
    pub locations: Vec<String>,
    /// Whether a user may say yes once for all. Default: they are asked each time.
    #[serde(default)]
    pub remember: bool,
    /// Members that must be there, each with its kind.
    #[serde(default)]
    pub required: BTreeMap<String, Kind>,
    /// Members that may be there, each with its kind.
    #[serde(default)]
    pub optional: BTreeMap<String, Kind>,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A string.
    String,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// An object.
    Object,
    /// An array.
    Array,
    /// An array of strings.
    Strings,
}

impl Kind {
    fn is_of(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::Strings => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "a string",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Object => "an object",
            Self::Array => "an array",
            Self::Strings => "an array of strings",
        })
    }
}

/// A type of authorization details.
#[derive(Clone, Debug)]
pub struct DetailType {
    /// The value of `type`.
    pub name: String,
    /// What it lets a client do, for people.
    pub description: String,
    /// Whether a user may say yes once for all.
    pub remember: bool,
    lists: Vec<List>,
    members: Vec<Member>,
}

/// One of the members that all types may have.
#[derive(Clone, Debug)]
struct List {
    name: &'static str,
    values: Vec<String>,
    is_required: bool,
}

/// A member of this type alone.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    kind: Kind,
    is_required: bool,
}

impl DetailFile {
    pub(super) fn check(
        &self,
        key: &str,
        resource: &ResourceId,
        source: &Source,
    ) -> Result<DetailType, ConfigError> {
        let wrong = |member: &str, what: &str| source.error(&format!("{key}.{member}"), what);
        let is_plain = |text: &str| !text.trim().is_empty() && !text.chars().any(char::is_control);
        if !is_plain(&self.name) {
            return Err(wrong("type", "must be a text without control characters"));
        }
        if !is_plain(&self.description) {
            return Err(wrong("description", "must say to people what this lets a client do"));
        }
        let members: Vec<Member> = [(&self.required, true), (&self.optional, false)]
            .into_iter()
            .flat_map(|(all, is_required)| all.iter().map(move |(name, kind)| (name, *kind, is_required)))
            .map(|(name, kind, is_required)| Member { name: name.clone(), kind, is_required })
            .collect();
        let is_common = |name: &str| name == "type" || COMMON_LISTS.contains(&name);
        if members.iter().any(|member| is_common(&member.name)) {
            let what = "`type`, `actions`, `datatypes`, `privileges` and `locations` have keys of their own";
            return Err(wrong("required", what));
        }
        if self.optional.keys().any(|name| self.required.contains_key(name)) {
            return Err(wrong("optional", "a member is either required or optional"));
        }
        Ok(DetailType {
            name: self.name.clone(),
            description: self.description.trim().to_owned(),
            remember: self.remember,
            lists: self.lists(resource),
            members,
        })
    }

    fn lists(&self, resource: &ResourceId) -> Vec<List> {
        let locations = match self.locations.is_empty() {
            true => vec![resource.as_str().to_owned()],
            false => self.locations.clone(),
        };
        let named = [
            ("actions", &self.actions, true),
            ("datatypes", &self.datatypes, true),
            ("privileges", &self.privileges, true),
            ("locations", &locations, false),
        ];
        let there = named.into_iter().filter(|(_, values, _)| !values.is_empty());
        there.map(|(name, values, is_required)| List { name, values: values.clone(), is_required }).collect()
    }
}

impl DetailType {
    /// Whether the detail is one of this type, and what it should be where it is not: in the operator's words alone.
    ///
    /// # Errors
    /// A sentence for the wire.
    pub fn check(&self, detail: &AuthorizationDetail) -> Result<(), String> {
        for list in &self.lists {
            list.check(detail)?;
        }
        for Member { name, kind, is_required } in &self.members {
            match detail.get(name) {
                Some(value) if !kind.is_of(value) => return Err(format!("`{name}` must be {kind}")),
                None if *is_required => return Err(format!("`{name}` must be there: {kind}")),
                _ => {}
            }
        }
        let is_known = |name: &str| {
            self.lists.iter().any(|list| list.name == name)
                || self.members.iter().any(|member| member.name == name)
        };
        match detail.members().all(|(name, _)| is_known(name)) {
            true => Ok(()),
            false => {
                let lists = self.lists.iter().map(|list| list.name);
                let names: Vec<&str> =
                    lists.chain(self.members.iter().map(|member| member.name.as_str())).collect();
                Err(format!("its members must be out of `type`, `{}`", names.join("`, `")))
            }
        }
    }
}

impl List {
    fn check(&self, detail: &AuthorizationDetail) -> Result<(), String> {
        let Self { name, values, is_required } = self;
        if !is_required && detail.get(name).is_none() {
            return Ok(());
        }
        let named = detail.strings(name).unwrap_or_default();
        let are_known = named.iter().all(|item| values.iter().any(|value| value == item));
        match !named.is_empty() && are_known {
            true => Ok(()),
            false => Err(format!("`{name}` must be an array out of `{}`", values.join("`, `"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;
    use keybound_oauth::authorization_details::AuthorizationDetails;

    const BEFORE: &str = "issuer = \"https://as.example\"\n[[resource]]\nidentifier = \"https://bank.example/\"\n\
                          [[resource.authorization_details]]\n";

    fn payment() -> DetailType {
        let text = format!(
            "{BEFORE}type = \"payment\"\ndescription = \"Pay\"\nactions = [\"start\", \"stop\"]\n\
             required = {{ amount = \"object\", to = \"string\" }}\noptional = {{ tags = \"strings\" }}\n"
        );
        let config = ConfigFile::parse(&text, "k.toml").unwrap().check().unwrap();
        config.detail_type("payment").unwrap().1.clone()
    }

    #[test]
    fn as_res_03_a_detail_has_the_members_that_its_type_says() {
        let payment = payment();
        let check = |members: &str| {
            let text = format!(r#"[{{"type":"payment",{members}}}]"#);
            let details = AuthorizationDetails::parse(&text).unwrap();
            payment.check(details.iter().next().unwrap())
        };
        assert_eq!(check(r#""actions":["start"],"amount":{},"to":"x""#), Ok(()));
        assert_eq!(check(r#""actions":["start","stop"],"amount":{},"to":"x","tags":[]"#), Ok(()));
        let located = r#""actions":["start"],"amount":{},"to":"x","locations":["https://bank.example/"]"#;
        assert_eq!(check(located), Ok(()));
        for (bad, named) in [
            (r#""amount":{},"to":"x""#, "actions"),
            (r#""actions":[],"amount":{},"to":"x""#, "actions"),
            (r#""actions":["other"],"amount":{},"to":"x""#, "actions"),
            (r#""actions":"start","amount":{},"to":"x""#, "actions"),
            (r#""actions":["start",1],"amount":{},"to":"x""#, "actions"),
            (r#""actions":["start"],"amount":"1","to":"x""#, "amount"),
            (r#""actions":["start"],"amount":{}"#, "to"),
            (r#""actions":["start"],"amount":{},"to":null"#, "to"),
            (r#""actions":["start"],"amount":{},"to":"x","tags":[1]"#, "tags"),
            (r#""actions":["start"],"amount":{},"to":"x","privileges":["a"]"#, "members"),
            (r#""actions":["start"],"amount":{},"to":"x","secret-canary":1"#, "members"),
            (r#""actions":["start"],"amount":{},"to":"x","locations":["https://a.example/"]"#, "locations"),
        ] {
            let told = check(bad).expect_err(bad);
            assert!(told.contains(named) && !told.contains("canary"), "{bad}: {told}");
        }
    }

    #[test]
    fn types_are_checked_where_they_are_written() {
        for bad in [
            "type = \"\"\ndescription = \"Pay\"",
            "type = \"a\"\ndescription = \" \"",
            "type = \"a\"\ndescription = \"Pay\"\nrequired = { actions = \"strings\" }",
            "type = \"a\"\ndescription = \"Pay\"\nrequired = { x = \"string\" }\noptional = { x = \"string\" }",
            "type = \"a\"\ndescription = \"Pay\"\nrequired = { x = \"text\" }",
            "type = \"a\"\ndescription = \"Pay\"\n[[resource.authorization_details]]\ntype = \"a\"\ndescription = \"B\"",
        ] {
            let checked =
                ConfigFile::parse(&format!("{BEFORE}{bad}\n"), "k.toml").and_then(|file| file.check());
            let error = checked.expect_err(bad);
            assert!(error.place.contains("line "), "{bad}: {error}");
        }
    }
}
