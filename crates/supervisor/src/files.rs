//! The text of a container's /etc/hosts, /etc/hostname and /etc/resolv.conf. Pure.

use resource::{ContainerRecord, NetworkMode};
use std::fmt::Write as _;
use std::net::IpAddr;

/// Where containers ask for names.
const RESOLVER: &str = "127.0.0.11";

/// What a host's resolv.conf says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) servers: Vec<IpAddr>,
    pub(crate) search: Vec<String>,
    pub(crate) options: Vec<String>,
}

impl Host {
    /// Reads resolv.conf(5).
    pub(crate) fn parse(text: &str) -> Self {
        let mut host = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // A zone behind the address (`fe80::1%eth0`) means nothing in another namespace.
                    let address: Option<IpAddr> =
                        words.next().and_then(|word| word.split('%').next()?.parse().ok());
                    host.servers.extend(address);
                }
                Some("search" | "domain") => host.search = words.map(str::to_owned).collect(),
                Some("options") => host.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        host
    }
}

/// The container's host name: the short id by default.
pub(crate) fn hostname(record: &ContainerRecord) -> &str {
    record.spec.hostname.as_deref().unwrap_or_else(|| record.id.short())
}

/// /etc/hosts. `hostname` is what the container is called, `gateway` what `host-gateway` means.
pub(crate) fn hosts(record: &ContainerRecord, hostname: &str, gateway: Option<IpAddr>) -> String {
    let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
                    fe00::\tip6-localnet\nff00::\tip6-mcastprefix\n\
                    ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
        .to_owned();
    for (name, address) in &record.spec.extra_hosts {
        if let Some(address) = address.or(gateway) {
            let _ = writeln!(text, "{address}\t{name}");
        }
    }
    // `name.domain` is known by its first label, too.
    let names = match (hostname.split_once('.'), &record.spec.domainname) {
        (Some((first, _)), _) => format!("{hostname} {first}"),
        (None, Some(domain)) if !domain.is_empty() => format!("{hostname}.{domain} {hostname}"),
        (None, _) => hostname.to_owned(),
    };
    for (address, _) in record.endpoints.iter().flat_map(|endpoint| &endpoint.addresses) {
        let _ = writeln!(text, "{address}\t{names}");
    }
    text
}

/// /etc/hosts of a container in the host's network: the host's own and the extra lines.
pub(crate) fn host_hosts(record: &ContainerRecord, own: &str) -> String {
    let mut text = own.to_owned();
    if !text.ends_with('\n') && !text.is_empty() {
        text.push('\n');
    }
    for (name, address) in &record.spec.extra_hosts {
        // There, the host is at home.
        let _ = writeln!(text, "{}\t{name}", address.unwrap_or(IpAddr::from([127, 0, 0, 1])));
    }
    text
}

/// /etc/resolv.conf: our resolver for a container on networks, else the host's servers.
pub(crate) fn resolv_conf(record: &ContainerRecord, host: &Host) -> String {
    let ours = record.spec.network_mode == NetworkMode::Networks && !record.endpoints.is_empty();
    let spec = &record.spec;
    let mut text = String::new();
    if ours {
        let _ = writeln!(text, "nameserver {RESOLVER}");
    } else {
        for server in if spec.dns.is_empty() { &host.servers } else { &spec.dns } {
            let _ = writeln!(text, "nameserver {server}");
        }
    }
    let search = if spec.dns_search.is_empty() { &host.search } else { &spec.dns_search };
    // A lone dot asks for no search domains at all.
    let search: Vec<_> = search.iter().map(String::as_str).filter(|domain| *domain != ".").collect();
    if !search.is_empty() {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    let mut options =
        if spec.dns_options.is_empty() { host.options.clone() } else { spec.dns_options.clone() };
    if ours && !options.iter().any(|option| option.starts_with("ndots:")) {
        options.push("ndots:0".to_owned());
    }
    if !options.is_empty() {
        let _ = writeln!(text, "options {}", options.join(" "));
    }
    text
}

/// What `host-gateway` means to a container: the host's address on the network of its default route.
pub(crate) fn gateway(record: &ContainerRecord) -> Option<IpAddr> {
    let with_host = record.endpoints.iter().filter(|endpoint| endpoint.driver.has_host());
    let mut endpoints: Vec<_> = with_host.collect();
    endpoints.sort_by_key(|endpoint| !endpoint.default_route);
    endpoints.iter().find_map(|endpoint| endpoint.gateways.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::record;

    #[test]
    fn a_container_on_a_network_asks_our_resolver() {
        let host = Host::parse(
            "# x\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\nsearch a.test b.test\noptions edns0\n",
        );
        assert_eq!(host.servers.len(), 2);
        let mut record = record("web");
        assert_eq!(
            resolv_conf(&record, &host),
            "nameserver 127.0.0.11\nsearch a.test b.test\noptions edns0 ndots:0\n"
        );
        record.spec.dns_search = vec![".".into()];
        record.spec.dns_options = vec!["ndots:2".into()];
        assert_eq!(resolv_conf(&record, &host), "nameserver 127.0.0.11\noptions ndots:2\n");
        record.endpoints.clear();
        record.spec.dns = vec!["9.9.9.9".parse().unwrap()];
        assert_eq!(resolv_conf(&record, &host), "nameserver 9.9.9.9\noptions ndots:2\n");
    }

    #[test]
    fn hosts_has_its_own_addresses_and_the_extra_ones() {
        let mut record = record("web");
        record.spec.extra_hosts =
            vec![("gate".into(), None), ("db".into(), Some("10.9.9.9".parse().unwrap()))];
        let text = hosts(&record, "web.shop.test", gateway(&record));
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"), "{text}");
        assert!(text.ends_with("172.30.0.1\tgate\n10.9.9.9\tdb\n172.30.0.2\tweb.shop.test web\n"), "{text}");
    }
}
