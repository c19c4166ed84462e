//! `WWW-Authenticate` challenges (RFC 9110 §11.6.1, RFC 9449 §7.1): written by a server, read by a client.

use std::fmt::Write as _;

/// One challenge: a scheme and its parameters. Scheme and parameter names have no case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme as written: `DPoP`, `Bearer`, …
    pub scheme: String,
    params: Vec<(String, String)>,
}

/// Challenges read from one response, at the most.
const MAX_CHALLENGES: usize = 32;
/// Parameters of one challenge, at the most.
const MAX_PARAMS: usize = 32;

impl Challenge {
    /// A challenge without parameters.
    #[must_use]
    pub fn new(scheme: &str) -> Self {
        Self { scheme: scheme.to_owned(), params: Vec::new() }
    }

    /// Adds a parameter, unless one of that name is there (RFC 6750 §3: at most once).
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if self.get(name).is_none() {
            self.params.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The value of the parameter of that name, unquoted; `None` where there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Whether this is a challenge of that scheme.
    #[must_use]
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The field value (RFC 9110 §11.6.1). Values are quoted strings; a character that cannot stand in one becomes a
    /// space.
    #[must_use]
    pub fn to_field_value(&self) -> String {
        let mut out = self.scheme.clone();
        for (index, (name, value)) in self.params.iter().enumerate() {
            out.push_str(if index == 0 { " " } else { ", " });
            let _ = write!(out, "{name}=\"");
            for character in value.chars() {
                match character {
                    '"' | '\\' => out.extend(['\\', character]),
                    ' '..='~' => out.push(character),
                    _ => out.push(' '),
                }
            }
            out.push('"');
        }
        out
    }

    /// Reads every challenge in the field lines given, whatever their order and number. What cannot be read is passed
    /// over up to the next comma: an unknown scheme never hides a known one (CL-NON-13).
    #[must_use]
    pub fn parse_all<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        let mut all = Vec::new();
        for line in lines {
            read_line(line, &mut all);
        }
        all
    }
}

/// A list of comma-separated elements, each `scheme`, `scheme token68`, `scheme name=value` or `name=value`.
fn read_line(line: &str, all: &mut Vec<Challenge>) {
    let mut rest = line;
    // Whether parameters belong to the last challenge of this line.
    let mut open = false;
    while !rest.is_empty() && all.len() < MAX_CHALLENGES {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = take_token(rest);
        if word.is_empty() {
            rest = skip_to_comma(rest);
            continue;
        }
        let spaced = after.trim_start_matches([' ', '\t']);
        if let Some(value) = spaced.strip_prefix('=').filter(|_| open && !spaced.starts_with("==")) {
            rest = read_value(word, value, all);
            continue;
        }
        all.push(Challenge::new(word));
        open = true;
        rest = spaced;
        let (name, behind) = take_token(rest);
        let is_param = !name.is_empty() && is_assignment(behind);
        if !is_param && !rest.starts_with(',') {
            rest = skip_to_comma(rest);
        }
    }
}

/// `= value`, and not the padding of a token68.
fn is_assignment(after_name: &str) -> bool {
    let Some(value) = after_name.trim_start_matches([' ', '\t']).strip_prefix('=') else { return false };
    let value = value.trim_start_matches([' ', '\t']);
    !value.is_empty() && !value.starts_with([',', '='])
}

fn read_value<'a>(name: &str, value: &'a str, all: &mut [Challenge]) -> &'a str {
    let value = value.trim_start_matches([' ', '\t']);
    let (text, rest) = match value.strip_prefix('"') {
        Some(quoted) => match take_quoted(quoted) {
            Some(taken) => taken,
            None => return "",
        },
        None => {
            let (token, rest) = take_token(value);
            (token.to_owned(), rest)
        }
    };
    if let Some(challenge) = all.last_mut()
        && challenge.params.len() < MAX_PARAMS
        && challenge.get(name).is_none()
    {
        challenge.params.push((name.to_owned(), text));
    }
    skip_to_comma(rest)
}

fn take_token(text: &str) -> (&str, &str) {
    let is_tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_tchar(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or(("", ""))
}

fn take_quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((out, text.get(index + 1..)?)),
            '\\' => out.push(characters.next()?.1),
            _ => out.push(character),
        }
    }
    None
}

/// To the next comma that does not stand in a quoted string.
fn skip_to_comma(text: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return text.get(index..).unwrap_or_default(),
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Vec<Challenge> {
        Challenge::parse_all([line])
    }

    #[test]
    fn rs_chl_06_values_are_quoted_strings() {
        let challenge = Challenge::new("DPoP").with("error_description", "say \"no\" \\ \r\n\u{e9}");
        assert_eq!(challenge.to_field_value(), r#"DPoP error_description="say \"no\" \\    ""#);
    }

    #[test]
    fn rs_chl_08_a_parameter_stands_once() {
        let challenge = Challenge::new("DPoP").with("error", "a").with("Error", "b");
        assert_eq!(challenge.to_field_value(), r#"DPoP error="a""#);
    }

    #[test]
    fn cl_non_13_the_dpop_challenge_is_found_in_any_company() {
        let all = read(r#"Negotiate abc==, DPoP x="a,b", error="use_dpop_nonce", Bearer"#);
        assert_eq!(all.len(), 3);
        assert!(all[0].is("negotiate") && all[2].is("Bearer"));
        assert_eq!((all[1].get("ERROR"), all[1].get("x")), (Some("use_dpop_nonce"), Some("a,b")));
    }

    #[test]
    fn written_challenges_are_read_back() {
        let two = [
            Challenge::new("DPoP").with("algs", "ES256 PS256").with("error", "invalid_token"),
            Challenge::new("Bearer").with("realm", "a \"b\", c\\d"),
        ];
        let lines = two.clone().map(|challenge| challenge.to_field_value());
        assert_eq!(Challenge::parse_all(lines.iter().map(String::as_str)), two);
        assert_eq!(read(&lines.join(", ")), two);
    }

    #[test]
    fn odd_spellings() {
        assert_eq!(read("dpop error = use_dpop_nonce")[0].get("error"), Some("use_dpop_nonce"));
        assert_eq!(read("DPoP").len(), 1);
        assert_eq!(read("DPoP, Bearer").len(), 2);
        assert_eq!(read(", ,DPoP error=\"a\",,").len(), 1);
        assert!(read("\"").is_empty());
        assert_eq!(read("DPoP error=\"unclosed")[0].get("error"), None);
    }

    #[test]
    fn schemes_have_no_case_and_are_told_apart() {
        let challenge = Challenge::new("DPoP");
        assert!(challenge.is("dpop") && !challenge.is("Bearer") && !challenge.is("DPo"));
    }

    #[test]
    fn reading_stops_at_the_limits() {
        assert_eq!(read(&"a, ".repeat(MAX_CHALLENGES + 1)).len(), MAX_CHALLENGES);
        assert_eq!(Challenge::parse_all(["a"; MAX_CHALLENGES + 1]).len(), MAX_CHALLENGES);
        let params: Vec<String> = (0..=MAX_PARAMS).map(|index| format!("p{index}=1")).collect();
        let all = read(&format!("DPoP {}", params.join(", ")));
        assert_eq!(all[0].params.len(), MAX_PARAMS);
    }

    #[test]
    fn a_parameter_belongs_to_a_challenge_of_its_own_line() {
        let all = Challenge::parse_all(["DPoP", r#"error="x", Bearer"#]);
        assert_eq!((all[0].get("error"), all.len()), (None, 3));
    }

    #[test]
    fn token68_after_a_challenge_is_one_of_its_own() {
        let all = read("DPoP a=b, Negotiate==, Basic abc=, x=y");
        let schemes: Vec<&str> = all.iter().map(|challenge| challenge.scheme.as_str()).collect();
        assert_eq!(schemes, ["DPoP", "Negotiate", "Basic"]);
        assert_eq!((all[0].get("Negotiate"), all[2].get("abc"), all[2].get("x")), (None, None, Some("y")));
    }

    #[test]
    fn what_cannot_be_read_ends_at_a_comma_outside_of_quotes() {
        let all = read(r#"DPoP a="x" junk ",\"," more, b=c, "lost, \", too", Bearer"#);
        assert_eq!((all[0].get("a"), all[0].get("b")), (Some("x"), Some("c")));
        assert!(all.len() == 2 && all[1].is("Bearer"), "{all:?}");
        assert_eq!(read("DPoP a=b\\, c=d")[0].get("c"), Some("d"));
    }
}
