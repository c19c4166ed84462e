//! The decision point: where it listens, and which proxies are believed (RFC 9700 §4.13).

use super::{ConfigError, value};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

/// `[decision]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionFile {
    /// Where proxies ask. Default: 127.0.0.1:9000.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Whether nobody else can speak on the network between proxies and decision point.
    #[serde(default)]
    pub trusted_network: bool,
    /// The proxies that may ask.
    #[serde(default, rename = "proxy")]
    pub proxies: Vec<ProxyFile>,
}

/// `[[decision.proxy]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyFile {
    /// What it is.
    pub kind: ProxyKind,
    /// The addresses from which it asks: `127.0.0.1`, `10.1.0.0/16`, `fd00::/8`.
    pub addresses: Vec<String>,
}

/// A kind of proxy: how it says which request it asks about, and what it does with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyKind {
    /// nginx with `auth_request`.
    Nginx,
    /// Caddy with `forward_auth`, or what that stands for.
    Caddy,
    /// Traefik with ForwardAuth.
    Traefik,
    /// HAProxy with the Lua action that we ship.
    Haproxy,
    /// Envoy with `ext_authz`, by gRPC or by HTTP.
    Envoy,
}

/// A decision point that may be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Where proxies ask.
    pub listen: SocketAddr,
    pub(crate) proxies: Vec<Proxy>,
}

/// A proxy that may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) kind: ProxyKind,
    addresses: Vec<Network>,
}

/// Addresses with the same first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Proxy {
    /// Whether this peer is that proxy.
    pub(crate) fn is_at(&self, peer: IpAddr) -> bool {
        self.addresses.iter().any(|network| network.holds(peer.to_canonical()))
    }
}

/// A decision point tells whoever asks who calls, and believes a proxy what was asked: the link is loopback, or a network
/// that the operator vouches for (BCP-PRX-02).
pub(super) fn read(file: &DecisionFile) -> Result<Decision, ConfigError> {
    if file.proxies.is_empty() {
        return Err(value(
            "decision.proxy",
            "nobody may ask: say which proxies do, and from which addresses",
        ));
    }
    if !file.trusted_network && !file.listen.ip().to_canonical().is_loopback() {
        return Err(value("decision.listen", ON_ANOTHER_MACHINE));
    }
    let proxies: Vec<Proxy> = file.proxies.iter().map(proxy).collect::<Result<_, _>>()?;
    let mut networks: Vec<Network> = proxies.iter().flat_map(|proxy| proxy.addresses.clone()).collect();
    if !file.trusted_network && networks.iter().any(|network| !network.is_loopback()) {
        return Err(value("decision.proxy.addresses", ON_ANOTHER_MACHINE));
    }
    while let Some(network) = networks.pop() {
        if networks.iter().any(|other| other.holds(network.address) || network.holds(other.address)) {
            return Err(value("decision.proxy.addresses", "an address belongs to one proxy, once"));
        }
    }
    Ok(Decision { listen: file.listen, proxies })
}

const ON_ANOTHER_MACHINE: &str = "proxies on other machines are believed what they say, and told who calls; \
                                  if nobody else can speak on that network, say `trusted_network = true`";

fn proxy(file: &ProxyFile) -> Result<Proxy, ConfigError> {
    let read = |text: &String| {
        Network::parse(text).ok_or_else(|| {
            let wanted = "is neither an address nor a network such as 10.1.0.0/16";
            value("decision.proxy.addresses", format!("{text:?} {wanted}"))
        })
    };
    let addresses: Vec<Network> = file.addresses.iter().map(read).collect::<Result<_, _>>()?;
    if addresses.is_empty() {
        return Err(value("decision.proxy.addresses", "a proxy is known by its address: there must be one"));
    }
    Ok(Proxy { kind: file.kind, addresses })
}

impl Network {
    /// All bits after the prefix are zero, and there is a prefix: nobody trusts every address there is. IPv4 in the clothes of
    /// IPv6 is IPv4, as peers are; a network of it is written as one of IPv4.
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse().ok()?, Some(prefix.parse().ok()?)),
            None => (text.parse::<IpAddr>().ok()?.to_canonical(), None),
        };
        if address.to_canonical() != address {
            return None;
        }
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let network = Self { address, prefix: prefix.unwrap_or(bits) };
        let is_one = (1..=bits).contains(&network.prefix) && network.masked(address) == number(address);
        is_one.then_some(network)
    }

    fn holds(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && self.masked(address) == number(self.address)
    }

    fn masked(&self, address: IpAddr) -> u128 {
        let bits: u32 = if address.is_ipv4() { 32 } else { 128 };
        let rest = bits.saturating_sub(self.prefix);
        number(address).checked_shr(rest).and_then(|kept| kept.checked_shl(rest)).unwrap_or_default()
    }

    fn is_loopback(&self) -> bool {
        let bits = if self.address.is_ipv4() { 8 } else { 128 };
        self.address.is_loopback() && self.prefix >= bits
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const NGINX: &str = "[[decision.proxy]]\nkind = \"nginx\"\naddresses = [\"127.0.0.1\"]\n";

    fn with(decision: &str) -> Result<Config, ConfigError> {
        let minimal = "public_url = \"https://api.example\"\nissuer = \"https://issuer.example\"\n";
        Config::parse(&format!("{minimal}{decision}"))
    }

    fn refused(decision: &str) -> String {
        with(decision).expect_err(decision).to_string()
    }

    #[test]
    fn a_decision_point_needs_no_upstream() {
        let config =
            with(&format!("[decision]\n{NGINX}[[route]]\npath = \"/a\"\n")).expect("a configuration");
        assert!(!config.forwards());
        assert_eq!(config.routes.iter().map(|route| route.path.as_str()).collect::<Vec<_>>(), ["/a", ""]);
        let decision = config.decision.expect("a decision point");
        assert_eq!(decision.listen.to_string(), "127.0.0.1:9000");
        assert!(
            decision.proxies.iter().any(|proxy| proxy.is_at("::ffff:127.0.0.1".parse().expect("an address")))
        );
        let both = with(&format!("upstream = \"http://127.0.0.1:1\"\n[decision]\n{NGINX}"));
        assert!(both.expect("a configuration").forwards());
    }

    #[test]
    fn bcp_prx_01_bcp_prx_02_an_open_decision_point_does_not_start() {
        for (decision, told) in [
            ("[decision]\n".to_owned(), "nobody may ask"),
            ("[decision]\n[[decision.proxy]]\nkind = \"nginx\"\naddresses = []\n".to_owned(), "must be one"),
            (format!("[decision]\nlisten = \"0.0.0.0:9000\"\n{NGINX}"), "trusted_network"),
            (format!("[decision]\n{}", NGINX.replace("127.0.0.1", "10.0.0.0/8")), "trusted_network"),
            (format!("[decision]\n{}", NGINX.replace("127.0.0.1", "0.0.0.0/0")), "neither"),
            (format!("[decision]\n{}", NGINX.replace("127.0.0.1", "10.0.0.1/8")), "neither"),
            (format!("[decision]\n{}", NGINX.replace("127.0.0.1", "localhost")), "neither"),
            (format!("[decision]\n{NGINX}{NGINX}"), "once"),
            (format!("identity = \"assertion\"\n[decision]\n{NGINX}"), "assertion"),
            (format!("[decision]\n{NGINX}{}", NGINX.replace("127.0.0.1", "127.0.0.0/8")), "once"),
        ] {
            let error = refused(&decision);
            assert!(error.contains(told), "{decision}: {error}");
        }
        let vouched = format!(
            "[decision]\nlisten = \"0.0.0.0:9000\"\ntrusted_network = true\n{}",
            NGINX.replace("127.0.0.1", "10.0.0.0/8\", \"fd00::/8")
        );
        assert!(with(&vouched).is_ok());
    }

    #[test]
    fn bcp_prx_01_a_network_is_its_addresses_and_no_other() {
        let network = |text| Network::parse(text).expect("a network");
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        for (net, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("128.0.0.0/1", "255.0.0.1", "127.255.255.255"),
            ("::1", "::1", "0.0.0.1"),
            ("::ffff:10.1.2.3", "10.1.2.3", "10.1.2.4"),
        ] {
            assert!(network(net).holds(address(inside)), "{net} {inside}");
            assert!(!network(net).holds(address(outside)), "{net} {outside}");
        }
        // A peer is looked at as IPv4 where it is one, so that this would hold nobody.
        assert_eq!(Network::parse("::ffff:10.0.0.0/104"), None);
    }
}
