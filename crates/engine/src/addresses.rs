//! Addresses, hardware addresses, interface names and default routes: the decisions, without a file.

use resource::{EndpointSpec, NetworkRecord, Subnet};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Addresses that may be given to a container, in the order they are tried.
pub(crate) fn candidates<'a>(
    record: &'a NetworkRecord,
    subnet: &'a Subnet,
    taken: &'a BTreeSet<IpAddr>,
) -> impl Iterator<Item = IpAddr> + 'a {
    let (first, last) = subnet.usable();
    let ranges = record.spec.ip_ranges.iter().filter(|range| subnet.contains(range.address));
    let mut spans: Vec<_> = ranges
        .filter(|range| range.prefix >= subnet.prefix)
        .map(|range| {
            let (low, high) = bounds(range);
            (first.max(low), last.min(high))
        })
        .collect();
    if spans.is_empty() {
        spans.push((first, last));
    }
    let numbers = spans.into_iter().flat_map(|(first, last)| first..=last);
    numbers.map(|number| subnet.numbered(number)).filter(move |address| {
        !taken.contains(address) && !record.spec.reserved.contains(address) && !is_gateway(record, *address)
    })
}

/// All addresses of a block, first and last.
fn bounds(subnet: &Subnet) -> (u128, u128) {
    match (subnet.usable(), subnet.address) {
        ((first, last), _) if first == last => (first, last),
        ((first, last), IpAddr::V4(_)) if subnet.prefix == 31 => (first, last),
        ((first, last), IpAddr::V4(_)) => (first - 1, last + 1),
        ((first, last), IpAddr::V6(_)) => (first - 1, last),
    }
}

fn is_gateway(record: &NetworkRecord, address: IpAddr) -> bool {
    record.subnets.iter().any(|(_, gateway)| *gateway == address)
}

/// The subnet that a fixed address belongs to, or why the address cannot be given out.
pub(crate) fn check_fixed(record: &NetworkRecord, address: IpAddr) -> Result<Subnet, String> {
    let inside = record.subnets.iter().find(|(subnet, _)| subnet.contains(address));
    let Some((subnet, _)) = inside else {
        let subnets: Vec<_> = record.subnets.iter().map(|(subnet, _)| subnet.to_string()).collect();
        return Err(format!("it lies outside {}", subnets.join(" and ")));
    };
    if is_gateway(record, address) {
        return Err("it is the network's gateway".to_owned());
    }
    if subnet.is_usable(address) {
        Ok(*subnet)
    } else {
        Err(format!("it is the network or broadcast address of {subnet}"))
    }
}

/// The hardware address that goes with these addresses: `02:42:` and the last four bytes of the first.
pub(crate) fn hardware(addresses: &[(IpAddr, u8)]) -> [u8; 6] {
    let tail: [u8; 4] = match addresses.first() {
        Some((IpAddr::V4(address), _)) => address.octets(),
        Some((IpAddr::V6(address), _)) => {
            let octets = address.octets();
            [octets[12], octets[13], octets[14], octets[15]]
        }
        None => [0; 4],
    };
    [0x02, 0x42, tail[0], tail[1], tail[2], tail[3]]
}

/// Names of the interfaces: those asked for, else the network's prefix (`eth`) and the lowest free number.
pub(crate) fn interfaces<'a>(
    endpoints: impl Iterator<Item = (&'a EndpointSpec, &'a str)> + Clone,
) -> Vec<String> {
    let mut used: BTreeSet<String> =
        endpoints.clone().filter_map(|(spec, _)| spec.interface.clone()).collect();
    let mut name = |(spec, prefix): (&EndpointSpec, &str)| match &spec.interface {
        Some(name) => name.clone(),
        None => {
            let free = (0..).map(|number| format!("{prefix}{number}")).find(|name| !used.contains(name));
            let name = free.expect("a finite set leaves a number free");
            used.insert(name.clone());
            name
        }
    };
    endpoints.map(&mut name).collect()
}

/// Which endpoint's gateway is the default route: the highest priority, then the network's name.
pub(crate) fn default_route<'a>(endpoints: impl Iterator<Item = (&'a EndpointSpec, bool)>) -> Option<usize> {
    endpoints
        .enumerate()
        .filter(|(_, (_, internal))| !internal)
        .min_by_key(|(_, (spec, _))| (std::cmp::Reverse(spec.gateway_priority), &spec.network))
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use resource::{NetworkSpec, Timestamp};

    fn record(subnets: &[&str], range: Option<&str>, reserved: &[&str]) -> NetworkRecord {
        let subnets: Vec<_> = subnets.iter().map(|text| Subnet::parse(text).unwrap()).collect();
        let spec = NetworkSpec {
            ip_ranges: range.and_then(Subnet::parse).into_iter().collect(),
            reserved: reserved.iter().map(|text| text.parse().unwrap()).collect(),
            ..NetworkSpec::new("net")
        };
        let subnets = subnets.into_iter().map(|subnet| (subnet, subnet.first())).collect();
        let created = Timestamp::UNIX_EPOCH;
        NetworkRecord { id: "0".repeat(64), spec, created, bridge: "br".to_owned(), subnets, mtu: 1500 }
    }

    fn first(record: &NetworkRecord, taken: &[&str], count: usize) -> Vec<String> {
        let taken = taken.iter().map(|text| text.parse().unwrap()).collect();
        candidates(record, &record.subnets[0].0, &taken)
            .take(count)
            .map(|address| address.to_string())
            .collect()
    }

    #[test]
    fn gateway_reserved_taken_and_broadcast_addresses_are_passed_over() {
        let record = record(&["10.0.0.0/29"], None, &["10.0.0.3"]);
        assert_eq!(first(&record, &["10.0.0.2"], 9), ["10.0.0.4", "10.0.0.5", "10.0.0.6"]);
    }

    #[test]
    fn dynamic_addresses_keep_to_the_range() {
        let record = record(&["10.0.0.0/16"], Some("10.0.5.0/24"), &[]);
        assert_eq!(first(&record, &[], 2), ["10.0.5.0", "10.0.5.1"]);
        let end = candidates(&record, &record.subnets[0].0, &BTreeSet::new()).last();
        assert_eq!(end, "10.0.5.255".parse().ok());
    }

    #[test]
    fn ranges_are_used_up_in_turn_and_count_in_their_own_subnet_only() {
        let mut record = record(&["10.0.0.0/16", "10.1.0.0/29"], Some("10.0.5.0/31"), &[]);
        record.spec.ip_ranges.extend(Subnet::parse("10.0.9.0/31"));
        assert_eq!(first(&record, &[], 9), ["10.0.5.0", "10.0.5.1", "10.0.9.0", "10.0.9.1"]);
        let second = candidates(&record, &record.subnets[1].0, &BTreeSet::new()).next();
        assert_eq!(second, "10.1.0.2".parse().ok());
    }

    #[test]
    fn six_has_no_broadcast_and_more_addresses_than_anyone_walks() {
        let record = record(&["fd00::/64"], None, &[]);
        assert_eq!(record.subnets[0].0.first().to_string(), "fd00::1");
        assert_eq!(first(&record, &["fd00::2"], 1), ["fd00::3"]);
        let narrow = self::record(&["fd00::/126"], None, &[]);
        assert_eq!(first(&narrow, &[], 9), ["fd00::2", "fd00::3"]);
        let all = Subnet::parse("::/0").unwrap();
        assert_eq!(all.first().to_string(), "::1");
    }

    #[test]
    fn fixed_addresses_are_checked() {
        let record = record(&["10.0.0.0/24", "fd00::/64"], None, &["10.0.0.9"]);
        assert!(check_fixed(&record, "10.0.0.9".parse().unwrap()).is_ok(), "reserved for exactly this");
        assert!(check_fixed(&record, "fd00::9".parse().unwrap()).is_ok());
        for bad in ["10.0.0.0", "10.0.0.1", "10.0.0.255", "10.0.1.1", "fd01::1"] {
            assert!(check_fixed(&record, bad.parse().unwrap()).is_err(), "{bad}");
        }
    }

    #[test]
    fn hardware_addresses_follow_the_address() {
        let addresses = [("172.17.0.2".parse().unwrap(), 16)];
        assert_eq!(hardware(&addresses), [0x02, 0x42, 172, 17, 0, 2]);
    }

    fn endpoint(network: &str, interface: Option<&str>, gateway_priority: i64) -> EndpointSpec {
        EndpointSpec {
            network: network.into(),
            aliases: vec![],
            ipv4: None,
            ipv6: None,
            mac: None,
            interface: interface.map(str::to_owned),
            gateway_priority,
            link_local: vec![],
            sysctls: vec![],
        }
    }

    #[test]
    fn interfaces_take_free_names() {
        let specs = [endpoint("a", None, 0), endpoint("b", Some("eth0"), 0), endpoint("c", None, 0)];
        assert_eq!(interfaces(specs.iter().map(|spec| (spec, "eth"))), ["eth1", "eth0", "eth2"]);
    }

    #[test]
    fn the_default_route_goes_by_priority_then_name_and_never_into_an_internal_network() {
        let specs = [endpoint("b", None, 0), endpoint("a", None, 0), endpoint("z", None, 5)];
        let route = |internal: [bool; 3]| default_route(specs.iter().zip(internal));
        assert_eq!(route([false; 3]), Some(2));
        assert_eq!(route([false, false, true]), Some(1));
        assert_eq!(route([true; 3]), None);
    }
}
