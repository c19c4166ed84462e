//! Who is at the other end: the connection's address, or what a proxy that is listed says (BCP-PRX-01).

use http::{HeaderMap, HeaderValue, Request};
use std::net::{IpAddr, SocketAddr};

/// Entries of `X-Forwarded-For` that are looked at, from its end.
const MAX_HOPS: usize = 8;

/// A network: an address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `192.0.2.0/24`, `2001:db8::/32`, or one address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= all)?,
            None => all,
        };
        Some(Self { address, bits })
    }

    /// Whether the address is in it.
    #[must_use]
    pub fn has(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(address)) => {
                let other = u32::from(ours) ^ u32::from(address);
                other.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(ours), IpAddr::V6(address)) => {
                let other = u128::from(ours) ^ u128::from(address);
                other.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

/// Puts the address of the caller in the place of the connection's, where that is a listed proxy.
pub fn locate<B>(trusted: &[Network], request: &mut Request<B>) {
    if trusted.is_empty() {
        return;
    }
    let Some(connection) = request.extensions().get::<SocketAddr>().copied() else { return };
    let address = caller(trusted, connection.ip(), request.headers());
    request.extensions_mut().insert(SocketAddr::new(address, connection.port()));
}

/// The last address that no listed proxy has. What stands before it was written by whoever that is, and is not believed;
/// where an entry is not an address, the proxy that let it through is all that is known.
fn caller<'h>(trusted: &[Network], connection: IpAddr, headers: &'h HeaderMap) -> IpAddr {
    let is_proxy = |address: IpAddr| trusted.iter().any(|network| network.has(address));
    // A line that is no text is no address: were it left out, what a stranger wrote before would stand in its place.
    let text = |line: &'h HeaderValue| line.to_str().unwrap_or_default();
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").iter().map(text).collect();
    let mut hops = lines.iter().rev().flat_map(|line| line.rsplit(',')).map(str::trim).take(MAX_HOPS);
    let mut address = connection;
    while is_proxy(address) {
        match hops.next().map(str::parse) {
            Some(Ok(before)) => address = before,
            Some(Err(_)) | None => return address,
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn networks_are_read_and_have_their_addresses() {
        for (network, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
        ] {
            let network = Network::parse(network).expect(network);
            assert!(network.has(address(inside)) && !network.has(address(outside)), "{network:?}");
        }
        for bad in
            ["", "proxy.example", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1", "2001:db8::/129", "1.2.3"]
        {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn bcp_prx_01_only_a_listed_proxy_says_who_asks_and_only_of_its_own_peer() {
        let trusted = ["10.0.0.0/8", "192.0.2.7"].map(|text| Network::parse(text).expect("a network"));
        let mut headers = HeaderMap::new();
        let ask = |headers: &HeaderMap, connection: &str| caller(&trusted, address(connection), headers);
        assert_eq!(ask(&headers, "10.0.0.1"), address("10.0.0.1"), "it says nothing");
        headers.append("x-forwarded-for", "203.0.113.66, 198.51.100.1".parse().expect("a value"));
        headers.append("x-forwarded-for", "198.51.100.2 , 192.0.2.7".parse().expect("a value"));
        assert_eq!(ask(&headers, "10.0.0.1"), address("198.51.100.2"), "past both proxies, no further");
        assert_eq!(ask(&headers, "198.51.100.9"), address("198.51.100.9"), "not listed: not believed");
        for odd in ["unknown", "_hidden", "198.51.100.1:80", "10.0.0.300", ""] {
            let mut headers = HeaderMap::new();
            headers.append("x-forwarded-for", format!("203.0.113.66, {odd}").parse().expect("a value"));
            assert_eq!(ask(&headers, "10.0.0.1"), address("10.0.0.1"), "{odd}");
        }
        let mut no_text = HeaderMap::new();
        no_text.append("x-forwarded-for", "203.0.113.66".parse().expect("a value"));
        let line = HeaderValue::from_bytes(b"\xff, 198.51.100.1").expect("a value");
        no_text.append("x-forwarded-for", line);
        assert_eq!(ask(&no_text, "10.0.0.1"), address("10.0.0.1"), "no line is skipped");
        let mut own = HeaderMap::new();
        own.append("x-forwarded-for", ["10.0.0.2"; 50].join(", ").parse().expect("a value"));
        assert_eq!(ask(&own, "10.0.0.1"), address("10.0.0.2"), "it ends");
    }
}
