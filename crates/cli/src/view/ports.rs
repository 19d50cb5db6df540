//! Ports as `ps` shows them: `0.0.0.0:8080->80/tcp, 443/tcp, 9000-9002/tcp`.

use resource::{PortBinding, Protocol};
use std::net::IpAddr;

/// A port for display: published at an address, or only documented.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Port {
    target: u16,
    host: Option<(IpAddr, u16)>,
    protocol: &'static str,
}

/// The bindings and the ports that are only documented, neighbours drawn together.
pub(crate) fn text(bindings: &[PortBinding], exposed: &[String]) -> String {
    let mut ports: Vec<Port> = bindings
        .iter()
        .map(|binding| Port {
            target: binding.target,
            host: Some((binding.host_ip, binding.host_port)),
            protocol: binding.protocol.as_str(),
        })
        .collect();
    for (target, protocol) in exposed.iter().flat_map(|text| documented(text)) {
        if !ports.iter().any(|port| port.target == target && port.protocol == protocol) {
            ports.push(Port { target, host: None, protocol });
        }
    }
    ports.sort_by(|one, other| key(one).cmp(&key(other)));
    ports.dedup();
    grouped(&ports).join(", ")
}

/// Groups are made within one protocol and address, by container port.
fn key(port: &Port) -> (bool, &'static str, Option<IpAddr>, u16, u16) {
    (
        port.host.is_none(),
        port.protocol,
        port.host.map(|(ip, _)| ip),
        port.target,
        port.host.map_or(0, |h| h.1),
    )
}

fn grouped(ports: &[Port]) -> Vec<String> {
    let mut texts = vec![];
    let mut at = 0;
    while at < ports.len() {
        let first = &ports[at];
        let mut last = first;
        while let Some(next) = ports.get(at + 1).filter(|next| follows(last, next, first)) {
            last = next;
            at += 1;
        }
        at += 1;
        let range = |from: u16, to: u16| if from == to { from.to_string() } else { format!("{from}-{to}") };
        let inside = format!("{}/{}", range(first.target, last.target), first.protocol);
        texts.push(match (first.host, last.host) {
            (Some((ip, from)), Some((_, to))) => format!("{}:{}->{inside}", address(ip), range(from, to)),
            _ => inside,
        });
    }
    texts
}

/// Whether `next` continues the run that `first` began and `last` ends. Published ports join a run
/// only where host and container ports advance together and are equal.
fn follows(last: &Port, next: &Port, first: &Port) -> bool {
    let apart = next.protocol == first.protocol && Some(next.target) == last.target.checked_add(1);
    match (last.host, next.host) {
        (None, None) => apart,
        (Some((ip, port)), Some((next_ip, next_port))) => {
            apart && ip == next_ip && port == last.target && next_port == next.target
        }
        _ => false,
    }
}

/// An address in front of a port; IPv6 in brackets.
pub(crate) fn address(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// Reads `80`, `80/udp` or `8000-8010/tcp`.
fn documented(text: &str) -> Vec<(u16, &'static str)> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
        .into_iter()
        .map(Protocol::as_str)
        .find(|known| protocol.eq_ignore_ascii_case(known))
        .unwrap_or("tcp");
    let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
    match (from.parse::<u16>(), to.parse::<u16>()) {
        (Ok(from), Ok(to)) => (from..=to).map(|port| (port, protocol)).collect(),
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(ip: &str, host_port: u16, target: u16) -> PortBinding {
        PortBinding { host_ip: ip.parse().unwrap(), host_port, target, protocol: Protocol::Tcp }
    }

    #[test]
    fn published_ports_come_before_documented_ones() {
        let bindings = [binding("0.0.0.0", 8080, 80), binding("::", 8080, 80)];
        let exposed = ["443/tcp".to_owned(), "80/tcp".to_owned(), "53/udp".to_owned()];
        assert_eq!(text(&bindings, &exposed), "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 443/tcp, 53/udp");
    }

    #[test]
    fn neighbours_are_drawn_together() {
        let exposed = ["9000".to_owned(), "9001".to_owned(), "9002/tcp".to_owned(), "9004".to_owned()];
        assert_eq!(text(&[], &exposed), "9000-9002/tcp, 9004/tcp");
        let bindings = [binding("127.0.0.1", 5000, 5000), binding("127.0.0.1", 5001, 5001)];
        assert_eq!(text(&bindings, &[]), "127.0.0.1:5000-5001->5000-5001/tcp");
        let apart = [binding("127.0.0.1", 6000, 5000), binding("127.0.0.1", 6001, 5001)];
        assert_eq!(text(&apart, &[]), "127.0.0.1:6000->5000/tcp, 127.0.0.1:6001->5001/tcp");
    }
}
