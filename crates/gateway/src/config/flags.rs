//! A configuration from a command line: instead of a file, or over one.

use super::{Config, ConfigError, ConfigFile, FromText, IssuerFile, OneOrMany, value};
use std::net::SocketAddr;
use std::path::Path;

/// What a command line says. It wins over a file.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// As the file's `public_url`.
    pub public_url: Option<String>,
    /// As the file's `upstream`.
    pub upstream: Option<String>,
    /// As the file's `issuer`.
    pub issuers: Vec<String>,
    /// As the file's `audience`.
    pub audience: Vec<String>,
    /// As the file's `scopes`.
    pub scopes: Vec<String>,
    /// As the file's `listen`.
    pub listen: Option<SocketAddr>,
    /// As the file's `admin`.
    pub admin: Option<SocketAddr>,
}

impl Flags {
    /// What must be said where there is no file, and is not: each flag with what it stands for.
    #[must_use]
    pub fn missing(&self) -> Vec<(&'static str, &'static str)> {
        let needed = [
            (
                self.public_url.is_none(),
                "--public-url",
                "the URL under which callers know the API; proofs name it",
            ),
            (self.upstream.is_none(), "--upstream", "where the API really is: http://HOST:PORT"),
            (self.issuers.is_empty(), "--issuer", "the issuer whose tokens are taken"),
        ];
        needed.into_iter().filter(|(missing, ..)| *missing).map(|(_, flag, what)| (flag, what)).collect()
    }

    /// Whether they say of an API what a file would have to.
    #[must_use]
    pub fn stand_alone(&self) -> bool {
        self.missing().len() < 3
    }

    /// The configuration of the flags alone: whatever they do not say is as in a file that does not say it.
    ///
    /// # Errors
    /// [`ConfigError`] names what is wrong or missing.
    pub fn alone(&self) -> Result<Config, ConfigError> {
        if let Some((flag, what)) = self.missing().first() {
            return Err(value(*flag, format!("it is missing: {what}")));
        }
        let mut table = toml::Table::new();
        table.insert("public_url".to_owned(), self.public_url.clone().unwrap_or_default().into());
        table.insert("issuer".to_owned(), toml::Value::Array(Vec::new()));
        self.written_into(table.try_into()?)
    }

    /// The configuration of a file, and of the flags where they say otherwise.
    ///
    /// # Errors
    /// [`ConfigError`] names the line or the key, and the reason.
    pub fn over(&self, file: &Path) -> Result<Config, ConfigError> {
        self.written_into(ConfigFile::read(file)?)
    }

    fn written_into(&self, mut file: ConfigFile) -> Result<Config, ConfigError> {
        if let Some(url) = &self.public_url {
            file.public_url.clone_from(url);
        }
        if !self.issuers.is_empty() {
            file.issuer = OneOrMany(self.issuers.iter().map(|url| IssuerFile::from_text(url)).collect());
        }
        if !self.audience.is_empty() {
            file.audience = Some(OneOrMany(self.audience.clone()));
        }
        if !self.scopes.is_empty() {
            file.scopes.clone_from(&self.scopes);
        }
        if let Some(url) = &self.upstream {
            file.upstream = Some(OneOrMany(vec![url.clone()]));
        }
        file.listen = self.listen.unwrap_or(file.listen);
        file.admin = self.admin.or(file.admin);
        Config::try_from(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> Flags {
        Flags {
            public_url: Some("https://api.example".to_owned()),
            upstream: Some("http://127.0.0.1:3000".to_owned()),
            issuers: vec!["https://id.example".to_owned(), "https://other.example".to_owned()],
            ..Flags::default()
        }
    }

    #[test]
    fn three_flags_are_a_configuration() {
        let config = flags().alone().expect("a configuration");
        assert_eq!(config.issuers.len(), 2);
        assert_eq!(config.audience, ["https://api.example/", "https://api.example"]);
        assert!(config.nonces && config.listen.port() == 8080);
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = Flags { upstream: None, ..flags() }.alone().expect_err("refused").to_string();
        assert!(error.contains("--upstream") && error.contains("http://HOST:PORT"), "{error}");
        assert_eq!(Flags::default().missing().len(), 3);
        assert!(!Flags::default().stand_alone() && flags().stand_alone());
    }

    #[test]
    fn flags_win_over_a_file() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let toml = "public_url = \"https://a.example\"\nissuer = \"https://i.example\"\nupstream = \"http://127.0.0.1:1\"\nscopes = [\"read\"]";
        std::fs::write(file.path(), toml).expect("written");
        let listen = "127.0.0.1:9".parse().ok();
        let config = Flags { listen, ..Flags::default() }.over(file.path()).expect("a configuration");
        assert_eq!(config.listen.port(), 9);
        assert_eq!(config.public_url.origin(), "https://a.example");
        let config = flags().over(file.path()).expect("a configuration");
        assert_eq!(config.public_url.origin(), "https://api.example");
        assert!(config.told().to_string().contains("read"));
    }
}
