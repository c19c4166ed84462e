//! An HTTP proxy between us and the servers that an operator named. https goes through it end to end (CONNECT, RFC 9110
//! §9.3.6): the proxy learns host and port, and neither tokens nor proofs.

use crate::error::FetchError;
use std::fmt;
use url::Url;

/// A proxy for https.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    url: Url,
    except: String,
}

impl Proxy {
    /// The proxy at that URL, `http://host:port` or `https://host:port`; a user name and password in it are shown to the
    /// proxy alone.
    ///
    /// # Errors
    /// [`FetchError::Setup`] where it is no such URL.
    pub fn parse(url: &str) -> Result<Self, FetchError> {
        let odd = || FetchError::Setup("a proxy is written http://host:port or https://host:port".to_owned());
        // What is written without a scheme is usual, and means http.
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let url = Url::parse(&url).map_err(|_| odd())?;
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || !is_bare {
            return Err(odd());
        }
        Ok(Self { url, except: String::new() })
    }

    /// But not for these hosts: names, which mean all below them too, addresses or ranges of them, with commas between;
    /// `*` for all.
    #[must_use]
    pub fn except(self, hosts: &str) -> Self {
        Self { except: hosts.to_owned(), ..self }
    }

    /// What the environment says: `HTTPS_PROXY` or `ALL_PROXY`, without the hosts in `NO_PROXY`, each in either case.
    ///
    /// # Errors
    /// [`FetchError::Setup`]
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, FetchError> {
        let first = |names: [&str; 4]| {
            let mut set = names.into_iter().filter_map(&variable);
            set.find(|value| !value.trim().is_empty())
        };
        let Some(url) = first(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]) else {
            return Ok(None);
        };
        let hosts = first(["NO_PROXY", "no_proxy", "NO_PROXY", "no_proxy"]).unwrap_or_default();
        Ok(Some(Self::parse(url.trim())?.except(&hosts)))
    }

    pub(crate) fn setting(&self) -> Result<reqwest::Proxy, FetchError> {
        let proxy = reqwest::Proxy::https(self.url.clone());
        let proxy = proxy.map_err(|error| FetchError::Setup(error.to_string()))?;
        Ok(proxy.no_proxy(reqwest::NoProxy::from_string(&self.except)))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", crate::client::host_of(&self.url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cl_red_05_a_proxy_is_read_from_the_environment() {
        let read = |set: &'static [(&str, &str)]| {
            Proxy::from_environment(|name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(read(&[("HTTP_PROXY", "http://p:1"), ("HTTPS_PROXY", " ")]), Ok(None));
        let expected =
            Proxy::parse("http://p.example:3128").expect("a proxy").except("a.example, 10.0.0.0/8");
        let set: &[(&str, &str)] = &[
            ("https_proxy", "p.example:3128"),
            ("ALL_PROXY", "http://other"),
            ("no_proxy", "a.example, 10.0.0.0/8"),
        ];
        assert_eq!(read(set), Ok(Some(expected)));
        for bad in ["socks5://p:1", "http://p:1/path", "http://", "p:x"] {
            assert!(Proxy::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn atk_126_debug_shows_no_password() {
        let proxy = Proxy::parse("http://ada:hunter2@p.example:3128").expect("a proxy");
        assert_eq!(format!("{proxy:?}"), "Proxy(p.example:3128)");
    }
}
