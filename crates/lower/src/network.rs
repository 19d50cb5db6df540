//! The networks of the selected services.

use crate::lowering::{Lowering, hash};
use crate::network_options::PARENT;
use compose_spec::Project;
use compose_spec::model::{AddressPool, Network};
use diagnostic::{Severity, Span};
use resource::{DesiredService, NetworkName, NetworkSpec, Subnet, label};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

impl Lowering<'_> {
    /// Every network some container is to be on, in order of name.
    pub(crate) fn networks(&mut self, services: &[DesiredService]) -> Vec<NetworkSpec> {
        let endpoints = services.iter().flat_map(|service| &service.container.endpoints);
        let used: BTreeSet<&NetworkName> = endpoints.map(|endpoint| &endpoint.network).collect();
        let project = self.project;
        used.into_iter()
            .map(|name| {
                let declared = project.networks.iter().find(|(_, network)| network.name == name.0);
                match declared {
                    Some((key, network)) => self.network(key, network, fixed_addresses(project, key)),
                    None => self.undeclared(name),
                }
            })
            .collect()
    }

    /// Where the file declares these networks, those that it does.
    pub(crate) fn network_places(&self, networks: &[NetworkSpec]) -> BTreeMap<NetworkName, String> {
        let declared = self.project.networks.values();
        let places = declared.filter_map(|network| Some((&network.name, network.span?)));
        places
            .filter(|(name, _)| networks.iter().any(|network| network.name.0 == **name))
            .map(|(name, span)| (NetworkName(name.clone()), self.options.sources.place(span)))
            .filter(|(_, place)| !place.is_empty())
            .collect()
    }

    /// A network that no key declares: that of `network_mode: bridge`, or one named by its real name.
    fn undeclared(&self, name: &NetworkName) -> NetworkSpec {
        let mut spec =
            NetworkSpec { external: *name != self.shared_bridge(), ..NetworkSpec::new(name.clone()) };
        if !spec.external {
            self.manage(&mut spec, "bridge");
        }
        spec
    }

    /// Adds the managed labels; the hash is that of everything else.
    fn manage(&self, spec: &mut NetworkSpec, key: &str) {
        let reserved = std::mem::take(&mut spec.reserved);
        let hash = hash(serde_json::to_string(spec).unwrap_or_default());
        spec.reserved = reserved;
        spec.labels.extend(self.everywhere());
        spec.labels.insert(label::NETWORK.to_owned(), key.to_owned());
        spec.labels.insert(label::CONFIG_HASH.to_owned(), hash);
    }

    fn network(&mut self, key: &str, network: &Network, fixed: Vec<IpAddr>) -> NetworkSpec {
        let driver = self.network_driver(key, network);
        let options = if network.external {
            network.driver_opts.clone()
        } else {
            self.check(key, network);
            self.network_options(key, network, driver)
        };
        // Without a parent, containers of a macvlan or ipvlan network have only each other.
        let alone = !driver.has_host() && !options.contains_key(PARENT);
        let mut spec = NetworkSpec {
            name: NetworkName(network.name.clone()),
            external: network.external,
            driver,
            options,
            internal: network.internal || alone,
            ipv4: network.enable_ipv4.unwrap_or(true),
            ipv6: network.enable_ipv6,
            subnets: vec![],
            ip_ranges: vec![],
            reserved: fixed,
            labels: network.labels.clone(),
        };
        for pool in &network.ipam {
            self.pool(key, pool, &mut spec);
        }
        self.check_fixed(key, network);
        self.check_families(key, &spec);
        spec.reserved.sort_unstable();
        spec.reserved.dedup();
        if !spec.external {
            self.manage(&mut spec, key);
        }
        spec
    }

    /// A network has addresses of a family at least, and none of a family that is switched off.
    fn check_families(&mut self, key: &str, spec: &NetworkSpec) {
        if spec.ipv4 {
            return;
        }
        let message = if spec.subnets.iter().any(|(subnet, _)| subnet.address.is_ipv4()) {
            format!("network `{key}` has an IPv4 subnet and `enable_ipv4: false`")
        } else if !spec.ipv6 && spec.subnets.is_empty() {
            format!("network `{key}`: without IPv4 it needs `enable_ipv6: true`")
        } else {
            return;
        };
        let span = self.project.network_place(key, "enable_ipv4");
        self.tell(Severity::Error, "unusable-value", span, message, "");
    }

    /// Tells what of a network cannot be done.
    fn check(&mut self, key: &str, network: &Network) {
        let span = network.span.unwrap_or(Span::NOWHERE);
        if network.ipam_driver.as_deref().is_some_and(|driver| !matches!(driver, "" | "default")) {
            let message =
                format!("network `{key}`: `ipam.driver` has no effect, addresses come from the engine");
            self.tell(Severity::Warning, "no-effect", span, message, "this is ignored");
        }
        if !network.ipam_options.is_empty() {
            let message = format!("network `{key}`: `ipam.options` have no effect");
            self.tell(Severity::Warning, "no-effect", span, message, "this is ignored");
        }
    }

    fn pool(&mut self, key: &str, pool: &AddressPool, spec: &mut NetworkSpec) {
        let span = pool.span.unwrap_or(Span::NOWHERE);
        let mut bad = |text: &str| {
            let message = format!("network `{key}`: `{text}` is not a valid address or block");
            self.tell(Severity::Error, "unusable-value", span, message, "");
        };
        let gateway = pool.gateway.as_deref().and_then(|text| text.parse().map_err(|_| bad(text)).ok());
        if let Some(text) = &pool.subnet {
            match Subnet::parse(text) {
                Some(subnet) => spec.subnets.push((subnet, gateway)),
                None => bad(text),
            }
        }
        if let Some(text) = &pool.ip_range {
            match Subnet::parse(text) {
                Some(range) => spec.ip_ranges.push(range),
                None => bad(text),
            }
        }
        for text in pool.aux_addresses.values() {
            match text.parse() {
                Ok(address) => spec.reserved.push(address),
                Err(_) => bad(text),
            }
        }
        for (subnet, gateway) in &spec.subnets {
            if gateway.is_some_and(|gateway| !subnet.contains(gateway)) {
                let message = format!("network `{key}`: the gateway lies outside of its subnet {subnet}");
                self.tell(Severity::Error, "unusable-value", span, message, "");
                break;
            }
        }
    }
}

/// The fixed addresses of every service of the project on a network, selected or not: none of them
/// is ever given to somebody else. One that cannot be read is told where its service is lowered.
fn fixed_addresses(project: &Project, key: &str) -> Vec<IpAddr> {
    let services = project.services.values().chain(project.disabled_services.values());
    let attachments = services.filter_map(|service| service.networks.get(key));
    let texts = attachments.flat_map(|attachment| [&attachment.ipv4_address, &attachment.ipv6_address]);
    texts.flatten().filter_map(|text| text.parse().ok()).collect()
}
