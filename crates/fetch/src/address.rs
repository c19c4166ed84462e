//! Special-use addresses (RFC 6890 and the IANA registries that it began): where a URL that somebody else chose must
//! not lead us. What is not known to be public is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of IPv4 addresses: first address, length of the prefix, name.
type Ipv4Range = (Ipv4Addr, u32, &'static str);
/// A range of IPv6 addresses: first address, length of the prefix, name.
type Ipv6Range = (Ipv6Addr, u32, &'static str);

const IPV4_SPECIAL: [Ipv4Range; 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private use"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared address space"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private use"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "protocol assignments"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private use"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// Inside 2000::/3, the only block out of which public addresses are given.
const IPV6_SPECIAL: [Ipv6Range; 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "protocol assignments"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "documentation"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "documentation"),
];

const IPV6_GLOBAL: Ipv6Range = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3, "global unicast");
const IPV4_MAPPED: Ipv6Range = (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, "IPv4-mapped");
const NAT64: Ipv6Range = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, "IPv4-IPv6 translation");
const SIX_TO_FOUR: Ipv6Range = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4");

/// What the address is set aside for; `None` for a public one.
#[must_use]
pub fn special_use(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => special_use_v4(v4),
        IpAddr::V6(v6) => special_use_v6(v6),
    }
}

fn special_use_v4(address: Ipv4Addr) -> Option<&'static str> {
    let within = |(first, prefix, _): &&Ipv4Range| {
        let shift = 32 - prefix;
        u32::from(address) >> shift == u32::from(*first) >> shift
    };
    IPV4_SPECIAL.iter().find(within).map(|(_, _, name)| *name)
}

fn special_use_v6(address: Ipv6Addr) -> Option<&'static str> {
    let bits = u128::from(address);
    // An IPv4 address inside is judged as such: the packet ends up there.
    if is_within(address, &IPV4_MAPPED) || is_within(address, &NAT64) {
        return special_use_v4(low_ipv4(bits));
    }
    if is_within(address, &SIX_TO_FOUR) {
        return special_use_v4(low_ipv4(bits >> 80));
    }
    if !is_within(address, &IPV6_GLOBAL) {
        return Some("not global unicast");
    }
    IPV6_SPECIAL.iter().find(|range| is_within(address, range)).map(|(_, _, name)| *name)
}

fn is_within(address: Ipv6Addr, (first, prefix, _): &Ipv6Range) -> bool {
    let shift = 128 - prefix;
    u128::from(address) >> shift == u128::from(*first) >> shift
}

fn low_ipv4(bits: u128) -> Ipv4Addr {
    let low = bits & u128::from(u32::MAX);
    Ipv4Addr::from(u32::try_from(low).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<&'static str> {
        special_use(text.parse().expect("an address"))
    }

    #[test]
    fn ops_ssrf_01_special_use_addresses_are_known() {
        for special in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            assert!(of(special).is_some(), "{special}");
        }
        for special in [
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "100:0:0:1::1",
            "2001::1",
            "2001:10::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "2002:c0a8:1::",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(of(special).is_some(), "{special}");
        }
    }

    #[test]
    fn public_addresses_are_let_through() {
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2000::1",
            "2001:200::1",
            "2606:4700::1111",
            "2a00::1",
            "2002:101:101::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "3ffe::1",
        ] {
            assert_eq!(of(public), None, "{public}");
        }
    }
}
