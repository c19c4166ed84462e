//! Names to addresses. A name is looked up once for a connection, judged, and connected to as looked up, so that a
//! second answer of the name server cannot lead elsewhere.

use crate::address::special_use;
use crate::error::AddressRefused;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Who chose the URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// The operator: any address will do.
    Operator,
    /// Somebody else: public addresses only.
    Strangers,
    /// Somebody else, on a developer's machine: public addresses and loopback.
    StrangersNearby,
}

impl Author {
    /// What speaks against an address; `None` where nothing does.
    pub(crate) fn objection(self, address: IpAddr) -> Option<&'static str> {
        match self {
            Self::Operator => None,
            Self::StrangersNearby if address.to_canonical().is_loopback() => None,
            Self::Strangers | Self::StrangersNearby => special_use(address),
        }
    }

    /// What a look-up gave, where a connection may go there. One address out of place spoils them all: which one would be
    /// connected to is not ours to say.
    pub(crate) fn judge(self, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, AddressRefused> {
        match addresses.iter().find_map(|address| self.objection(address.ip())) {
            Some(range) => Err(AddressRefused(range)),
            None => Ok(addresses),
        }
    }
}

impl Resolve for Author {
    fn resolve(&self, name: Name) -> Resolving {
        let author = *self;
        Box::pin(async move {
            let addresses = author.judge(look_up(name.as_str()).await?)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// `localhost` and all below it is this machine, whatever a name server says (RFC 6761 §6.3).
async fn look_up(name: &str) -> std::io::Result<Vec<SocketAddr>> {
    let bare = name.trim_end_matches('.').to_ascii_lowercase();
    if bare == "localhost" || bare.ends_with(".localhost") {
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        return Ok(loopback.into_iter().map(|address| SocketAddr::new(address, 0)).collect());
    }
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_is_this_machine_without_asking() {
        for name in ["localhost", "a.localhost", "A.LocalHost."] {
            let addresses = look_up(name).await.expect("addresses");
            assert!(
                addresses.len() == 2 && addresses.iter().all(|address| address.ip().is_loopback()),
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn ops_ssrf_01_a_name_that_leads_inside_is_refused() {
        for (author, is_fine) in
            [(Author::Operator, true), (Author::Strangers, false), (Author::StrangersNearby, true)]
        {
            let name = "inside.localhost".parse().expect("a name");
            assert_eq!(author.resolve(name).await.is_ok(), is_fine, "{author:?}");
        }
    }

    #[test]
    fn ops_ssrf_02_nearby_means_loopback_and_no_more() {
        let objection = |text: &str| Author::StrangersNearby.objection(text.parse().expect("an address"));
        assert_eq!(
            (objection("127.0.0.1"), objection("::ffff:127.0.0.1"), objection("1.1.1.1")),
            (None, None, None)
        );
        assert!(objection("10.0.0.1").is_some() && objection("169.254.169.254").is_some());
    }
}
