//! The standard claims of OpenID Connect (Core §5.1): of which type each is, which scope stands for it (§5.4), and in
//! which languages it can be told (§5.2). One table.

use serde_json::{Map, Value};
use url::Url;

/// A claim that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandardClaim {
    /// Its name.
    pub name: &'static str,
    /// The scope token that stands for it.
    pub scope: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// For people to read.
    Text,
    /// The place of a document or a picture.
    Url,
    Email,
    Phone,
    Birthdate,
    /// Of the tz database.
    Zone,
    /// BCP 47, or with an underscore as some write it.
    Locale,
    Boolean,
    Seconds,
    Address,
}

impl Kind {
    const fn expected(self) -> &'static str {
        match self {
            Self::Text => "must be a text of 1 to 1024 characters in one line",
            Self::Url => "must be a URL with http or https",
            Self::Email => "must be an e-mail address such as ada@example.com",
            Self::Phone => "must be a phone number such as +31201234567",
            Self::Birthdate => {
                "must be a date as YYYY-MM-DD (0000 where the year is not told), or a year as YYYY"
            }
            Self::Zone => "must be a time zone such as Europe/Amsterdam",
            Self::Locale => "must be a language tag such as nl-NL",
            Self::Boolean => "must be true or false, without quotes",
            Self::Seconds => "must be a number of seconds since 1970, without quotes",
            Self::Address => {
                "must be an object out of formatted, street_address, locality, region, postal_code, country: texts"
            }
        }
    }

    /// Whether people read it, so that it can be there in several languages.
    const fn is_for_people(self) -> bool {
        matches!(self, Self::Text | Self::Url | Self::Address)
    }

    fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Boolean, value) => value.is_boolean(),
            (Self::Seconds, value) => value.as_f64().is_some_and(|secs| secs >= 0.0),
            (Self::Address, Value::Object(members)) => {
                let is_text = |(name, value): (&String, &Value)| {
                    let lines = value.as_str().filter(|_| ADDRESS.contains(&name.as_str()));
                    lines.is_some_and(|lines| !lines.is_empty() && lines.split('\n').all(is_line))
                };
                !members.is_empty() && members.iter().all(is_text)
            }
            (kind, Value::String(text)) => kind.fits_text(text),
            _ => false,
        }
    }

    fn fits_text(self, text: &str) -> bool {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        match self {
            Self::Url => {
                let url = Url::parse(text).ok().filter(|_| is_visible && is_line(text));
                url.is_some_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
            }
            Self::Email => {
                let parts =
                    text.rsplit_once('@').filter(|_| is_line(text) && !text.contains(char::is_whitespace));
                parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
            }
            Self::Phone => is_line(text) && text.contains(|character: char| character.is_ascii_digit()),
            Self::Birthdate => is_birthdate(text),
            Self::Zone => is_visible && is_line(text),
            Self::Locale => is_tag(&text.replace('_', "-")),
            Self::Text => is_line(text),
            Self::Boolean | Self::Seconds | Self::Address => false,
        }
    }
}

/// The members of `address` (§5.1.1).
const ADDRESS: [&str; 6] = ["formatted", "street_address", "locality", "region", "postal_code", "country"];

/// Characters of a text, at the most.
const MAX_CHARACTERS: usize = 1024;

/// All of them but `sub`, in the order of §5.1.
pub const ALL: [StandardClaim; 19] = {
    const fn claim(name: &'static str, scope: &'static str, kind: Kind) -> StandardClaim {
        StandardClaim { name, scope, kind }
    }
    [
        claim("name", "profile", Kind::Text),
        claim("given_name", "profile", Kind::Text),
        claim("family_name", "profile", Kind::Text),
        claim("middle_name", "profile", Kind::Text),
        claim("nickname", "profile", Kind::Text),
        claim("preferred_username", "profile", Kind::Text),
        claim("profile", "profile", Kind::Url),
        claim("picture", "profile", Kind::Url),
        claim("website", "profile", Kind::Url),
        claim("email", "email", Kind::Email),
        claim("email_verified", "email", Kind::Boolean),
        claim("gender", "profile", Kind::Text),
        claim("birthdate", "profile", Kind::Birthdate),
        claim("zoneinfo", "profile", Kind::Zone),
        claim("locale", "profile", Kind::Locale),
        claim("phone_number", "phone", Kind::Phone),
        claim("phone_number_verified", "phone", Kind::Boolean),
        claim("address", "address", Kind::Address),
        claim("updated_at", "profile", Kind::Seconds),
    ]
};

/// The claim of that name, which may end in a language: `name#de` (§5.2).
#[must_use]
pub fn find(name: &str) -> Option<&'static StandardClaim> {
    let (base, tag) = split(name);
    let found = ALL.iter().find(|claim| claim.name == base)?;
    match tag {
        None => Some(found),
        Some(tag) => Some(found).filter(|found| found.kind.is_for_people() && is_tag(tag)),
    }
}

/// What is wrong with a claim. Says what to write, never what came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the claim `{name}` {expected}")]
pub struct ClaimError {
    /// The claim.
    pub name: String,
    /// What it should be.
    pub expected: &'static str,
}

/// Checks what is known of a user: standard claims alone, each of its type (§5.1).
///
/// # Errors
/// [`ClaimError`] names the first claim that is wrong.
pub fn check(known: &Map<String, Value>) -> Result<(), ClaimError> {
    for (name, value) in known {
        let wrong = |expected| ClaimError { name: name.clone(), expected };
        let claim = find(name)
            .ok_or_else(|| wrong("is none of the standard claims (OpenID Connect Core section 5.1)"))?;
        if !claim.kind.fits(value) {
            return Err(wrong(claim.kind.expected()));
        }
    }
    Ok(())
}

/// The names under which that claim is known in one of these languages, which are ranges: `de` is also `de-AT`
/// (RFC 4647 §3.3.1).
pub fn in_languages<'k>(
    known: &'k Map<String, Value>,
    claim: &str,
    ranges: &[&str],
) -> impl Iterator<Item = &'k str> {
    known.keys().map(String::as_str).filter(move |name| match split(name) {
        (base, Some(tag)) => base == claim && ranges.iter().any(|range| is_within(tag, range)),
        (_, None) => false,
    })
}

/// Whether both are the same claim in the same language; tags are the same in capitals (§5.2).
#[must_use]
pub fn is_same(one: &str, other: &str) -> bool {
    let ((base, tag), (other_base, other_tag)) = (split(one), split(other));
    base == other_base && tag.map(str::to_ascii_lowercase) == other_tag.map(str::to_ascii_lowercase)
}

fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once('#').map_or((name, None), |(base, tag)| (base, Some(tag)))
}

fn is_within(tag: &str, range: &str) -> bool {
    let begins = tag.get(..range.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(range));
    begins && tag.get(range.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn is_tag(text: &str) -> bool {
    let is_part =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 35 && text.split('-').all(is_part)
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= MAX_CHARACTERS && !text.chars().any(char::is_control)
}

/// §5.1: ISO 8601-1, YYYY-MM-DD or YYYY.
fn is_birthdate(text: &str) -> bool {
    let number = |part: &str, digits: usize| {
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u32>().ok().filter(|_| is_number)
    };
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        [year] => number(year, 4).is_some_and(|year| year > 0),
        [year, month, day] => {
            number(year, 4).is_some()
                && number(month, 2).is_some_and(|month| (1..=12).contains(&month))
                && number(day, 2).is_some_and(|day| (1..=31).contains(&day))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(name: &str, value: &Value) -> Result<(), ClaimError> {
        check(&Map::from_iter([(name.to_owned(), value.clone())]))
    }

    #[test]
    fn oidc_clm_02_each_claim_has_its_type() {
        for (name, good, bad) in [
            ("email_verified", json!(true), json!("true")),
            ("phone_number_verified", json!(false), json!(0)),
            ("updated_at", json!(1_700_000_000), json!("2026-01-01")),
            ("updated_at", json!(0), json!(-1)),
            ("address", json!({"street_address": "Main St 1\nHouse 2", "country": "NL"}), json!("Main St 1")),
            ("address", json!({"formatted": "x"}), json!({"street": "Main St"})),
            ("address", json!({"region": "x"}), json!({"region": 1})),
            ("address", json!({"locality": "x"}), json!({})),
            ("email", json!("ada@example.com"), json!("ada")),
            ("email", json!("\"a@b\"@example.com"), json!("ada @example.com")),
            ("phone_number", json!("+1 (604) 555-1234;ext=5678"), json!("none")),
            ("picture", json!("https://a.example/p.png"), json!("p.png")),
            ("website", json!("http://a.example"), json!("javascript:alert(1)")),
            ("profile", json!("https://a.example/ada"), json!({})),
            ("zoneinfo", json!("Europe/Paris"), json!("Europe Paris")),
            ("locale", json!("en_US"), json!("english (us)")),
            ("locale", json!("zh-Hant-TW"), json!(["de"])),
            ("birthdate", json!("1815-12-10"), json!("10.12.1815")),
            ("birthdate", json!("0000-12-10"), json!("1815-13-10")),
            ("birthdate", json!("1815"), json!("0000")),
            ("name", json!("Ada Lovelace"), json!("")),
            ("nickname", json!("Ädä"), Value::Null),
            ("name#ja-Kana-JP", json!("エイダ"), json!(1)),
        ] {
            assert_eq!(checked(name, &good), Ok(()), "{name} {good}");
            let error = checked(name, &bad).expect_err(&format!("{name} {bad}"));
            assert!(error.to_string().contains(&format!("`{name}` must be")), "{error}");
        }
        for unknown in ["sub", "given-name", "groups", "email_verified#de", "name#", "name#not a tag"] {
            let error = checked(unknown, &json!("x")).expect_err(unknown);
            assert_eq!(error.name, unknown);
        }
    }

    #[test]
    fn oidc_clm_01_every_claim_belongs_to_one_of_the_four_scopes() {
        let of = |scope: &str| ALL.iter().filter(|claim| claim.scope == scope).count();
        assert_eq!((of("profile"), of("email"), of("address"), of("phone")), (14, 2, 1, 2));
        assert_eq!(find("name#de").map(|claim| claim.scope), Some("profile"));
    }

    #[test]
    fn oidc_clm_03_a_range_finds_its_languages() {
        let known =
            json!({"name": "a", "name#de": "b", "name#de-AT": "c", "name#den": "d", "nickname#de": "e"});
        let known = known.as_object().expect("an object");
        let found =
            |ranges: &[&str]| in_languages(known, "name", ranges).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(found(&["DE"]), ["name#de", "name#de-AT"]);
        assert_eq!(found(&["fr", "de-at"]), ["name#de-AT"]);
        assert!(found(&["fr", "d", ""]).is_empty());
        assert!(
            is_same("name#de-AT", "name#DE-at") && !is_same("name#de", "name") && !is_same("Name", "name")
        );
    }
}
