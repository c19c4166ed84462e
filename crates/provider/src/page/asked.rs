//! What is asked for, in words, and where: first what is about the account, then resource by resource.

use super::Frame;
use super::details::are_about;
use super::texts::Phrase;
use crate::config::Resource;
use keybound_oauth::authorization_details::AuthorizationDetails;

/// What is asked for at one place.
#[derive(Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// The resource; none for what is about the account.
    pub place: Option<Place<'a>>,
    /// What is asked for there.
    pub items: Vec<Item<'a>>,
}

/// A resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// What people call it; its identifier where it has no name.
    pub name: &'a str,
    /// Its identifier, where that is not its name.
    pub identifier: Option<&'a str>,
}

/// One thing that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// In words.
    Sentence(&'a Phrase),
    /// By its scope token, the resource's own.
    Name(&'a str),
}

impl<'a> Place<'a> {
    /// The resource as people know it.
    pub(super) fn of(frame: Frame<'a>, resource: &'a Resource) -> Self {
        let identifier = resource.identifier.as_str();
        match &resource.name {
            Some(name) => Self { name: name.of(frame.language).as_str(), identifier: Some(identifier) },
            None => Self { name: identifier, identifier: None },
        }
    }
}

/// Scope tokens, resource by resource. A resource that is asked for in detail alone has its words there.
#[must_use]
pub fn asked<'a>(
    frame: Frame<'a>,
    scope: &[&'a str],
    resources: &'a [String],
    details: &AuthorizationDetails,
) -> Vec<Group<'a>> {
    let known: Vec<&Resource> =
        resources.iter().filter_map(|identifier| frame.config.resource(identifier)).collect();
    let of_account = |token: &&str| !known.iter().any(|resource| resource.scopes.contains(token));
    let items: Vec<Item<'a>> =
        scope.iter().copied().filter(of_account).map(|token| describe(frame, token)).collect();
    let mut groups = Vec::new();
    if !items.is_empty() || known.is_empty() {
        groups.push(Group { place: None, items });
    }
    for resource in known {
        let tokens = scope.iter().copied().filter(|token| resource.scopes.contains(token));
        let items: Vec<Item<'a>> = tokens.map(|token| describe_at(frame, resource, token)).collect();
        if !items.is_empty() || !are_about(frame.config, details, resource) {
            groups.push(Group { place: Some(Place::of(frame, resource)), items });
        }
    }
    for group in groups.iter_mut().filter(|group| group.items.is_empty()) {
        group.items.push(Item::Sentence(&frame.text.asked_all));
    }
    groups
}

/// A scope token of OpenID Connect (Core §5.4, §11).
fn describe<'a>(frame: Frame<'a>, token: &'a str) -> Item<'a> {
    let text = frame.text;
    Item::Sentence(match token {
        "openid" => &text.scope_openid,
        "profile" => &text.scope_profile,
        "email" => &text.scope_email,
        "address" => &text.scope_address,
        "phone" => &text.scope_phone,
        "offline_access" => &text.scope_offline_access,
        other => return Item::Name(other),
    })
}

/// A scope token of a resource, in the operator's words where there are any.
fn describe_at<'a>(frame: Frame<'a>, resource: &'a Resource, token: &'a str) -> Item<'a> {
    match resource.scope_texts.get(token) {
        Some(words) => Item::Sentence(words.of(frame.language)),
        None => Item::Name(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigFile};
    use crate::page::Language;

    fn config() -> Config {
        let text = "issuer = \"https://as.example\"\n\
                    [[resource]]\nidentifier = \"https://a.example/\"\nname = { en = \"Photos\", de = \"Fotos\" }\n\
                    scopes = [\"read\", \"write\"]\nscope_texts = { read = { en = \"See them\", de = \"Sie sehen\" } }\n\
                    [[resource.authorization_details]]\ntype = \"album\"\ndescription = \"Album\"\n\
                    [[resource]]\nidentifier = \"https://b.example/\"\nscopes = [\"read\"]\n";
        ConfigFile::parse(text, "k.toml").unwrap().check().unwrap()
    }

    #[test]
    fn fapi_az_10_what_is_asked_stands_with_the_resource_where_it_is_asked() {
        let config = config();
        let german = config.pages.languages.find("de").unwrap();
        let both = ["https://a.example/".to_owned(), "https://b.example/".to_owned()];
        let tell = |language: Language, scope: &'static str, resources: &[String], details: &str| {
            let details = AuthorizationDetails::parse(details).unwrap();
            let frame = Frame::of(&config, language);
            let scope: Vec<&str> = scope.split_whitespace().collect();
            let groups = asked(frame, &scope, resources, &details);
            let told = groups.iter().map(|group| {
                let place = group.place.map_or("-", |place| place.name);
                let items = group.items.iter().map(|item| match item {
                    Item::Sentence(text) => text.as_str().to_owned(),
                    Item::Name(name) => format!("[{name}]"),
                });
                format!("{place}: {}", items.collect::<Vec<_>>().join(", "))
            });
            told.collect::<Vec<_>>().join(" | ")
        };
        let english = Language::default();
        assert_eq!(
            tell(english, "openid read write", &both, "[]"),
            "-: Recognize you by your account | Photos: See them, [write] | https://b.example/: [read]"
        );
        assert_eq!(tell(german, "read", &both, "[]"), "Fotos: Sie sehen | https://b.example/: [read]");
        assert_eq!(tell(english, "email", &both, "[]").matches("Act for you").count(), 2);
        assert_eq!(tell(english, "email", &both[..1], r#"[{"type":"album"}]"#), "-: See your e-mail address");
        assert_eq!(tell(english, "", &[], "[]"), "-: Act for you");
        assert_eq!(tell(english, "", &both[..1], r#"[{"type":"album"}]"#), "");
    }
}
