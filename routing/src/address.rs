//! The client's address as a key: whose it is, and to which network it is cut.
//!
//! With `trustedHops` of 0 it is Envoy's own view of the connection (`source.address`). With N it is the N-th entry of
//! `x-forwarded-for` from the right among those that were there before this proxy appended the connection's address
//! (`use_remote_address: true`; the appended entry is known by being that address). Fewer entries than trusted hops
//! mean that a hop was passed by: then the connection's own address counts, never a text that a client chose.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of `x-forwarded-for` from the right that are looked at.
const FORWARDED_BYTES: usize = 4 << 10;

/// The address in `10.0.0.1:80`, `[2001:db8::1]:80`, `10.0.0.1`, `2001:db8::1` or `[2001:db8::1]`; an IPv4-mapped
/// IPv6 address is IPv4, a zone is left out.
pub fn parse(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    let host = match text.strip_prefix('[') {
        Some(inner) => inner.split(']').next()?,
        None if text.bytes().filter(|&b| b == b':').count() == 1 => text.split(':').next()?,
        None => text,
    };
    let host = host.split('%').next()?;
    host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// The client behind `hops` trusted proxies.
pub fn client(connection: Option<&[u8]>, forwarded: Option<&[u8]>, hops: u32) -> Option<IpAddr> {
    let connection = connection.and_then(parse);
    let (Some(forwarded), Some(skip)) = (forwarded, (hops as usize).checked_sub(1)) else { return connection };
    let from = forwarded.len().saturating_sub(FORWARDED_BYTES);
    let mut entries = forwarded.get(from..)?.rsplit(|&b| b == b',').peekable();
    let own = entries.peek().and_then(|last| parse(last));
    if own.is_some() && own == connection {
        entries.next();
    }
    entries.nth(skip).and_then(parse).or(connection)
}

/// The network of an address as text: `10.1.2.0` for 24 bits of `10.1.2.3`.
pub fn network(ip: IpAddr, prefix_v4: u8, prefix_v6: u8) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix_v4.min(32))).unwrap_or(0);
            Ipv4Addr::from(u32::from(ip) & mask).to_string()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix_v6.min(128))).unwrap_or(0);
            Ipv6Addr::from(u128::from(ip) & mask).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(connection: &str, forwarded: Option<&str>, hops: u32, expect: Option<&str>) {
        let got = client(Some(connection.as_bytes()), forwarded.map(str::as_bytes), hops);
        assert_eq!(got.map(|ip| ip.to_string()).as_deref(), expect, "{connection} {forwarded:?} {hops}");
    }

    #[test]
    fn the_connection_counts_without_trusted_hops() {
        check("10.0.0.1:5000", Some("6.6.6.6"), 0, Some("10.0.0.1"));
        check("[2001:db8::1]:5000", None, 0, Some("2001:db8::1"));
        check("[::ffff:10.0.0.1]:5000", None, 0, Some("10.0.0.1"));
        check("[fe80::1%eth0]:5000", None, 0, Some("fe80::1"));
        check("/run/socket", None, 0, None);
        check("", None, 0, None);
    }

    #[test]
    fn trusted_hops_are_counted_from_the_right_before_our_own_entry() {
        check("10.0.0.9:1", Some("6.6.6.6, 1.2.3.4, 10.0.0.9"), 1, Some("1.2.3.4"));
        check("10.0.0.9:1", Some("6.6.6.6,1.2.3.4"), 1, Some("1.2.3.4"));
        check("10.0.0.9:1", Some("1.2.3.4, 10.0.0.8, 10.0.0.9"), 2, Some("1.2.3.4"));
        check("10.0.0.9:1", Some("10.0.0.9"), 1, Some("10.0.0.9"));
        check("10.0.0.9:1", Some("1.2.3.4"), 3, Some("10.0.0.9"));
        check("10.0.0.9:1", Some("nonsense, 10.0.0.9"), 1, Some("10.0.0.9"));
        check("10.0.0.9:1", None, 1, Some("10.0.0.9"));
        check("10.0.0.9:1", Some(",,,"), 1, Some("10.0.0.9"));
        check("10.0.0.9:1", Some("[2001:db8::7]:443, 10.0.0.9"), 1, Some("2001:db8::7"));
    }

    #[test]
    fn an_address_is_cut_to_its_network() {
        let net = |ip: &str, v4, v6| network(ip.parse().unwrap(), v4, v6);
        assert_eq!(net("10.1.2.3", 32, 64), "10.1.2.3");
        assert_eq!(net("10.1.2.3", 24, 64), "10.1.2.0");
        assert_eq!(net("10.1.2.3", 0, 64), "0.0.0.0");
        assert_eq!(net("2001:db8:1:2:3:4:5:6", 32, 64), "2001:db8:1:2::");
        assert_eq!(net("2001:db8:1:2:3:4:5:6", 32, 128), "2001:db8:1:2:3:4:5:6");
    }
}
