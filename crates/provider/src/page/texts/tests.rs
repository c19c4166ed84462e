use super::*;
use std::fs;
use std::path::PathBuf;

fn load(files: &[(&str, &str)], first: &str) -> Result<Languages, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    Languages::load(Some(folder.path()), first).map_err(|error| match error {
        LoadError::Language(what) => what,
        LoadError::File(error) => {
            let name = PathBuf::from(error.place).file_name().unwrap().to_str().unwrap().to_owned();
            format!("{name}: {}", error.what)
        }
    })
}

/// That each has every message, with its variables, is what reading it checks; here, that it says no more.
#[test]
fn our_languages_say_the_same() {
    let languages = Languages::load(None, "en").unwrap();
    assert_eq!(languages.tags().collect::<Vec<_>>(), ["en", "de"]);
    let shapes = OURS.map(|(_, source)| {
        let lines = source.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
        lines.map(|line| line.split('=').next().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(shapes[0], shapes[1], "the same messages in the same order");
    assert_eq!(shapes[0].len(), FIELDS.len(), "each once, and none that nothing shows");
}

#[test]
fn the_first_language_is_the_operator_s() {
    let languages = load(&[], "de").unwrap();
    assert_eq!(languages.tags().collect::<Vec<_>>(), ["de", "en"]);
    assert_eq!(languages.texts(Language::default()).allow.as_str(), "Erlauben");
    assert_eq!(languages.texts(languages.find("EN").unwrap()).allow.as_str(), "Allow");
    assert_eq!(load(&[], "fr").unwrap_err(), "must be one of en, de");
}

#[test]
fn an_operator_replaces_messages_and_adds_languages() {
    let whole = OURS[0].1.replace("allow = Allow", "allow = Autoriser");
    let files = [("de.ftl", "allow = Na gut\n"), ("fr.ftl", whole.as_str()), ("notes.txt", "?")];
    let languages = load(&files, "en").unwrap();
    let said = |tag: &str| languages.texts(languages.find(tag).unwrap()).allow.as_str().to_owned();
    assert_eq!([said("en"), said("de"), said("fr")], ["Allow", "Na gut", "Autoriser"]);
}

#[test]
fn what_an_operator_wrote_is_checked() {
    let without = |message: &str, instead: &str| OURS[0].1.replace(message, instead);
    for (name, text, told) in [
        ("de.ftl", "alow = x".to_owned(), "de.ftl: line 1: no page has a message `alow`"),
        ("de.ftl", "# a\n\nallow = { $who }".to_owned(), "de.ftl: `allow`: "),
        (
            "de.ftl",
            "sign-in-lead = Hallo".to_owned(),
            "de.ftl: `sign-in-lead` must have the variables $client",
        ),
        ("de.ftl", "direction = up".to_owned(), "de.ftl: `direction` must be ltr or rtl"),
        ("fr.ftl", without("allow = Allow\n", ""), "fr.ftl: these messages are missing: allow"),
        ("no tag.ftl", OURS[0].1.to_owned(), "no tag.ftl: `no tag` is not a language tag"),
    ] {
        let error = load(&[(name, &text)], "en").unwrap_err();
        assert!(error.starts_with(told), "{error}");
    }
}

#[test]
fn numbers_choose_words() {
    let languages = Languages::load(None, "en").unwrap();
    let say = |tag: &str, secs| {
        languages.texts(languages.find(tag).unwrap()).too_many_attempts.with(secs).as_str().to_owned()
    };
    assert!(say("en", 1).ends_with("in one second.") && say("en", 30).ends_with("in 30 seconds."));
    assert!(say("de", 1).contains("einer Sekunde") && say("de", 1500).contains("1500 Sekunden"));
}

/// What is left of a template without its tags and expressions.
fn bare(template: &str) -> String {
    let mut text = template.to_owned();
    for (begin, end) in [("{{", "}}"), ("{%", "%}"), ("{#", "#}"), ("<!--", "-->")] {
        while let Some((before, rest)) = text.split_once(begin) {
            let (_, after) = rest.split_once(end).expect(end);
            text = format!("{before}{after}");
        }
    }
    let spoken = ["title=\"", "alt=\"", "aria-label=\"", "placeholder=\""];
    let told: String = spoken
        .iter()
        .flat_map(|name| text.split(name).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let between = text.split('<').map(|part| part.split_once('>').map_or(part, |(_, after)| after));
    between.collect::<String>() + &told
}

#[test]
fn no_template_has_words_of_its_own() {
    assert_eq!(bare("<p class=\"a\">{{ x }} {% if y > 1 %}·{% endif %}</p>").trim(), "·");
    assert_eq!(bare("<p title=\"Hi\">x</p>"), "xHi");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "html") {
            let bare = bare(&fs::read_to_string(&path).unwrap());
            // Names of standards are the same in all languages.
            let rest = ["openid-configuration", "oauth-authorization-server", "OpenID Connect", "OAuth 2.0"]
                .iter()
                .fold(bare, |rest, name| rest.replace(name, ""));
            assert!(!rest.contains(char::is_alphanumeric), "{}: {}", path.display(), rest.trim());
            seen += 1;
        }
    }
    assert!(seen > 9);
}
