//! Published ports: packets to the host's port go on to the container's, with the client's address
//! kept. Where containers are reached by routes, those of their ports are open.

use crate::NetworkError;
use crate::rule::{End, Rule};
use crate::table::{self, Chain, Family, Hook};
use resource::Protocol;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How the name of every pod's chain begins.
pub(crate) const PREFIX: &str = "pod-";

/// One published port: packets to it go on to the target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRule {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Address of the host; `None` (or the unspecified one) is every address of the target's family.
    pub host_ip: Option<IpAddr>,
    /// Port of the host.
    pub host_port: u16,
    /// Address of the container, IPv4 or IPv6.
    pub target_ip: IpAddr,
    /// Port of the container.
    pub target_port: u16,
    /// Bridge the container is on; shown beside the rule.
    pub bridge: String,
}

/// An address of a container that others reach by their own routes: what they may reach there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// The container's address.
    pub address: IpAddr,
    /// The bridge it is on; who is there reaches everything.
    pub bridge: String,
    /// The open ports of the container; pings get through besides.
    pub ports: Vec<(Protocol, u16)>,
}

/// The chains of a pod: for what arrives, for what this host itself sends, and for what is passed on by
/// routes.
pub(crate) fn chain_names(pod_key: &str) -> [String; 3] {
    ["in", "out", "routed"].map(|what| format!("{PREFIX}{pod_key}-{what}"))
}

/// Publishes exactly these ports for a pod, and guards exactly these entrances, in place of what it had before,
/// in one step; neither removes its chains. `None` is for a pod that never had an entrance. The key names the pod on this machine: put the engine's tag in it
/// (`{Roots::cgroup}-{pod}`), so that two engines do not meet.
///
/// The caller holds the ports by sockets of its own. So what another pod's rules say of them was left by
/// one that was killed, and is removed: such a rule would go on sending packets to a container that is
/// no more.
///
/// # Errors
/// The step that the kernel refused; the rules from before hold then.
pub fn publish(
    pod_key: &str,
    rules: &[PortRule],
    entrances: Option<&[Entrance]>,
) -> Result<(), NetworkError> {
    let channel = table::router()?;
    let names = chain_names(pod_key);
    let [arriving, sent, routed] = names.clone();
    if rules.is_empty() && entrances.is_none_or(<[_]>::is_empty) {
        return table::remove(&channel, |chain| names.contains(&chain.name)).map(drop);
    }
    let chain =
        |name, hook, rules| Chain { name, hook, comment: format!("published ports of {pod_key}"), rules };
    // What is addressed to a loopback address comes from this host. A neighbour who sends such a thing
    // must not get through, and would if it were redirected before the kernel sees where it goes.
    let outside = rules.iter().filter(|rule| !rule.host_ip.is_some_and(|ip| ip.is_loopback()));
    let mut chains = vec![
        chain(arriving, Hook::ARRIVING, outside.filter_map(redirection).collect()),
        chain(sent, Hook::SENT, rules.iter().filter_map(redirection).collect()),
    ];
    if let Some(entrances) = entrances {
        chains.push(chain(routed, Hook::PASSING, entrances.iter().flat_map(guards).collect()));
    }
    table::replace(&channel, Family::Inet, &chains)?;
    let claims: Vec<_> = rules.iter().map(Claim::of).collect();
    let abandoned = |comment: &str| {
        Claim::read(comment).is_some_and(|theirs| claims.iter().any(|ours| ours.meets(&theirs)))
    };
    table::remove_rules(&channel, |chain| chain.starts_with(PREFIX) && !names.contains(chain), abandoned)
}

/// The rules at an entrance.
fn guards(entrance: &Entrance) -> Vec<Rule> {
    let Entrance { address, bridge, ports } = entrance;
    let entering = || {
        let rule = Rule::default().to(bridge).not_from(bridge).family_of(*address);
        rule.address(End::Destination, *address).unexpected()
    };
    let open =
        ports.iter().map(|(protocol, port)| entering().port(*protocol, End::Destination, *port).pass());
    open.chain([entering().not_icmp(*address).drop()]).collect()
}

/// What a rule redirects, told by its comment.
#[derive(Debug, PartialEq, Eq)]
struct Claim {
    protocol: Protocol,
    /// The unspecified address is every one of its family.
    ip: IpAddr,
    port: u16,
}

impl Claim {
    fn of(port: &PortRule) -> Self {
        let every = match port.target_ip {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self { protocol: port.protocol, ip: port.host_ip.unwrap_or(every), port: port.host_port }
    }

    /// Reads the end of a comment: `BRIDGE PROTOCOL ADDRESS PORT`.
    fn read(comment: &str) -> Option<Self> {
        let mut words = comment.rsplit(' ');
        let port = words.next()?.parse().ok()?;
        let ip = words.next()?.parse().ok()?;
        let protocol = words.next()?;
        let protocol = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
            .into_iter()
            .find(|known| known.as_str() == protocol)?;
        Some(Self { protocol, ip, port })
    }

    fn meets(&self, other: &Self) -> bool {
        let same_family = self.ip.is_ipv4() == other.ip.is_ipv4();
        let every = self.ip.is_unspecified() || other.ip.is_unspecified();
        (self.protocol, self.port) == (other.protocol, other.port)
            && (self.ip == other.ip || (every && same_family))
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.protocol.as_str(), self.ip, self.port)
    }
}

/// The rule for one port; `None` where host and target are of two families, which no redirection joins,
/// and for ::1.
fn redirection(port: &PortRule) -> Option<Rule> {
    let rule = Rule::default().family_of(port.target_ip);
    let rule = match port.host_ip.filter(|ip| !ip.is_unspecified()) {
        Some(ip) if ip.is_ipv4() != port.target_ip.is_ipv4() => return None,
        // No packet leaves for a container from ::1, and so no answer comes back to it: the socket that
        // holds the port gets these.
        Some(IpAddr::V6(Ipv6Addr::LOCALHOST)) => return None,
        Some(ip) => rule.address(End::Destination, ip),
        None if port.target_ip.is_ipv6() => {
            rule.for_this_host().not_address(End::Destination, IpAddr::V6(Ipv6Addr::LOCALHOST))
        }
        None => rule.for_this_host(),
    };
    let rule = rule.port(port.protocol, End::Destination, port.host_port);
    let comment = format!("{} {}", port.bridge, Claim::of(port));
    Some(rule.redirect(port.target_ip, port.target_port).commented(&comment))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(protocol: Protocol, ip: &str, port: u16) -> Claim {
        Claim { protocol, ip: ip.parse().unwrap(), port }
    }

    #[test]
    fn a_claim_is_read_back() {
        for ip in ["0.0.0.0", "127.0.0.1", "::", "fd00::1"] {
            let claim = claim(Protocol::Udp, ip, 53);
            assert_eq!(Claim::read(&format!("cb-0123456789ab {claim}")), Some(claim));
        }
        for comment in ["", "cb-0123456789ab", "cb-0123456789ab tcp 0.0.0.0 high", "x icmp 0.0.0.0 1"] {
            assert_eq!(Claim::read(comment), None, "{comment}");
        }
    }

    #[test]
    fn claims_meet_where_one_packet_would_match_both() {
        let web = claim(Protocol::Tcp, "0.0.0.0", 80);
        assert!(web.meets(&claim(Protocol::Tcp, "0.0.0.0", 80)));
        assert!(web.meets(&claim(Protocol::Tcp, "10.0.0.1", 80)));
        assert!(!web.meets(&claim(Protocol::Tcp, "::", 80)));
        assert!(!web.meets(&claim(Protocol::Udp, "0.0.0.0", 80)));
        assert!(!web.meets(&claim(Protocol::Tcp, "0.0.0.0", 81)));
        assert!(!claim(Protocol::Tcp, "10.0.0.2", 80).meets(&claim(Protocol::Tcp, "10.0.0.1", 80)));
    }
}
