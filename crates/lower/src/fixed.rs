//! Addresses that the file gives to containers: what no container can have is refused with both places.

use crate::lowering::Lowering;
use compose_spec::model::Network;
use compose_spec::{PodNamespace, Service};
use diagnostic::{Diagnostic, Span};
use resource::Subnet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A fixed address and who asks for it.
struct Fixed<'a> {
    address: IpAddr,
    service: &'a Service,
    span: Span,
}

/// Why an address cannot be had, and where the file says that.
struct Obstacle {
    why: String,
    span: Span,
    said: &'static str,
}

impl Lowering<'_> {
    /// Refuses fixed addresses on a network that lie outside of its subnets, that are the network's own or
    /// somebody else's, or that two services ask for.
    pub(crate) fn check_fixed(&mut self, key: &str, network: &Network) {
        let project = self.project;
        let shared = project.shared_namespaces().contains(&PodNamespace::Net);
        let mut owners: BTreeMap<IpAddr, Fixed<'_>> = BTreeMap::new();
        let mut found = vec![];
        for fixed in project.services.values().flat_map(|service| addresses(key, service)) {
            // What an existing network has is known to the engine alone.
            let obstacle = if network.external { None } else { self.obstacle(key, network, fixed.address) };
            found.extend(obstacle.map(|obstacle| refusal(key, &fixed, obstacle)));
            match owners.get(&fixed.address) {
                // They are one container to the network.
                Some(_) if shared => {}
                Some(other) => {
                    let why = format!("service `{}` has it", other.service.name);
                    let obstacle = Obstacle { why, span: other.span, said: "asked for here, too" };
                    found.push(refusal(key, &fixed, obstacle));
                }
                None => drop(owners.insert(fixed.address, fixed)),
            }
        }
        self.found.extend(found);
    }

    fn obstacle(&self, key: &str, network: &Network, address: IpAddr) -> Option<Obstacle> {
        let place = |path: String| self.project.network_place(key, &format!("ipam.config.{path}"));
        let pools = network.ipam.iter().enumerate();
        let subnet = |text: &Option<String>| text.as_deref().and_then(Subnet::parse);
        let same_kind = pools
            .filter_map(|(at, pool)| Some((at, pool, subnet(&pool.subnet)?)))
            .filter(|(_, _, subnet)| subnet.address.is_ipv4() == address.is_ipv4());
        let mut outside = None;
        for (at, pool, subnet) in same_kind {
            let declared = place(format!("{at}.subnet"));
            if !subnet.contains(address) {
                let why = format!("it lies outside of {subnet}");
                outside.get_or_insert(Obstacle { why, span: declared, said: "the network's addresses" });
                continue;
            }
            let gateway = pool.gateway.as_deref().and_then(|text| text.parse::<IpAddr>().ok());
            if gateway.unwrap_or_else(|| subnet.first()) == address {
                let (path, said) = match gateway {
                    Some(_) => ("gateway", "the gateway's address"),
                    None => ("subnet", "the first address is the gateway's, as no other is named"),
                };
                let why = "it is the network's gateway".to_owned();
                return Some(Obstacle { why, span: place(format!("{at}.{path}")), said });
            }
            if !subnet.is_usable(address) {
                let why = format!("it is the network or broadcast address of {subnet}");
                return Some(Obstacle { why, span: declared, said: "the network's addresses" });
            }
            let same = |text: &String| text.parse() == Ok(address);
            let reserved = pool.aux_addresses.iter().find(|(_, text)| same(text));
            return reserved.map(|(name, _)| Obstacle {
                why: format!("`aux_addresses` keeps it for `{name}`"),
                span: place(format!("{at}.aux_addresses.{name}")),
                said: "kept here",
            });
        }
        outside
    }
}

/// The fixed addresses of a service on a network; one that cannot be read is told elsewhere.
fn addresses<'a>(key: &str, service: &'a Service) -> Vec<Fixed<'a>> {
    let Some(attachment) = service.networks.get(key) else { return vec![] };
    let both = [("ipv4_address", &attachment.ipv4_address), ("ipv6_address", &attachment.ipv6_address)];
    let fixed = both.into_iter().filter_map(|(name, text)| {
        let address = text.as_deref()?.trim().parse().ok()?;
        Some(Fixed { address, service, span: service.place(&format!("networks.{key}.{name}")) })
    });
    fixed.collect()
}

fn refusal(key: &str, fixed: &Fixed<'_>, obstacle: Obstacle) -> Diagnostic {
    let Fixed { address, service, span } = fixed;
    let message = format!(
        "service `{}` cannot have the address {address} on network `{key}`: {}",
        service.name, obstacle.why
    );
    Diagnostic::error("unusable-value", message)
        .at(*span, "asked for here")
        .at(obstacle.span, obstacle.said)
        .help("choose another address, or leave it out: the service is found by its name")
}
