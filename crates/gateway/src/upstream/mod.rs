//! The servers behind the gateway: their addresses, which of them answer, and the connections to them.

mod address;
mod connect;

pub(crate) use address::Address;
pub(crate) use connect::{Link, LinkError, MAX_HEAD_BYTES, Security};

use crate::forward::RequestBody;
use hyper_util::client::legacy::Client;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A client for one protocol; its connections are kept.
pub(crate) type Connections = Client<connect::Connector, RequestBody>;

/// One server, or several that do the same. Routes that say the same share it.
#[derive(Debug)]
pub(crate) struct Upstream {
    addresses: Vec<Address>,
    link: Link,
    next: AtomicUsize,
    requests: Connections,
    tunnels: Option<Connections>,
}

impl Upstream {
    /// `addresses` is not empty.
    pub(crate) fn new(addresses: Vec<Address>, link: &Link) -> Result<Self, LinkError> {
        let secured = addresses.iter().any(Address::is_https);
        let (requests, tunnels) = connect::clients(link, secured)?;
        Ok(Self { addresses, link: link.clone(), next: AtomicUsize::new(0), requests, tunnels })
    }

    /// Whether the connections of one will do for the other. Files of certificates may have changed.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let names =
            |upstream: &Self| upstream.addresses.iter().map(|one| one.name().to_owned()).collect::<Vec<_>>();
        self.link == other.link && self.link.security == Security::default() && names(self) == names(other)
    }

    /// For requests that may be answered over any protocol.
    pub(crate) const fn requests(&self) -> &Connections {
        &self.requests
    }

    /// For requests that ask for another protocol, which HTTP/1.1 alone can do; none where the upstream does not speak it.
    pub(crate) const fn tunnels(&self) -> Option<&Connections> {
        self.tunnels.as_ref()
    }

    pub(crate) const fn is_several(&self) -> bool {
        self.addresses.len() > 1
    }

    /// How it is named in an assertion's `aud`: by its first address.
    pub(crate) fn name(&self) -> &str {
        self.addresses.first().map_or("", Address::name)
    }

    /// Each address once, in turn, those that failed lately last.
    pub(crate) fn in_turn(&self, now: Duration) -> impl Iterator<Item = &Address> {
        let count = self.addresses.len();
        let first = if count > 1 { self.next.fetch_add(1, Ordering::Relaxed) % count } else { 0 };
        let turn = move || self.addresses.iter().cycle().skip(first).take(count);
        let well = turn().filter(move |address| address.is_well(now));
        well.chain(turn().filter(move |address| !address.is_well(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(urls: &[&str]) -> Upstream {
        let addresses = urls.iter().map(|url| Address::parse(url, true).expect("an address")).collect();
        Upstream::new(addresses, &Link::default()).expect("an upstream")
    }

    fn turn(upstream: &Upstream, secs: u64) -> Vec<&str> {
        upstream.in_turn(Duration::from_secs(secs)).map(Address::name).collect()
    }

    #[test]
    fn addresses_take_turns_and_the_ailing_come_last() {
        let three = upstream(&["http://a:1", "http://b:1", "http://c:1"]);
        assert_eq!(turn(&three, 0), ["http://a:1", "http://b:1", "http://c:1"]);
        assert_eq!(turn(&three, 0), ["http://b:1", "http://c:1", "http://a:1"]);
        three.addresses[2].failed(Duration::from_secs(1));
        assert_eq!(turn(&three, 2), ["http://a:1", "http://b:1", "http://c:1"]);
        assert_eq!(turn(&three, 2), ["http://a:1", "http://b:1", "http://c:1"]);
        assert_eq!(turn(&three, 2), ["http://b:1", "http://a:1", "http://c:1"]);
        assert_eq!(
            turn(&three, 60),
            ["http://c:1", "http://a:1", "http://b:1"],
            "after a while it is tried again"
        );
    }

    #[test]
    fn http_2_alone_makes_no_tunnels() {
        assert!(upstream(&["http://a:1"]).tunnels().is_some());
        assert!(upstream(&["https://a:1"]).tunnels().is_some());
        let address = Address::parse("http://a:1", true).expect("an address");
        let link = Link { http2: true, ..Link::default() };
        assert!(Upstream::new(vec![address], &link).expect("an upstream").tunnels().is_none());
    }
}
