//! The networks of the selected services.

use crate::lowering::{Lowering, hash};
use compose_spec::Project;
use compose_spec::model::{AddressPool, Network};
use diagnostic::{Severity, Span};
use resource::{DesiredService, NetworkDriver, NetworkName, NetworkSpec, Subnet, label};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Driver option with the name of the bridge.
const BRIDGE_NAME: &str = "com.docker.network.bridge.name";

/// Whether the kernel takes this as the name of an interface.
fn is_interface_name(name: &str) -> bool {
    let barred = |letter: char| matches!(letter, '/' | ':') || letter.is_ascii_whitespace();
    (1..=15).contains(&name.len()) && !matches!(name, "." | "..") && !name.contains(barred)
}

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
        let mut spec = NetworkSpec {
            name: name.clone(),
            external: *name != self.shared_bridge(),
            driver: NetworkDriver::Bridge,
            options: BTreeMap::new(),
            internal: false,
            ipv6: false,
            subnets: vec![],
            ip_range: None,
            reserved: vec![],
            labels: BTreeMap::new(),
        };
        if !spec.external {
            self.manage(&mut spec, "bridge");
        }
        spec
    }

    /// Adds the managed labels; the hash is that of everything else.
    fn manage(&self, spec: &mut NetworkSpec, key: &str) {
        let reserved = std::mem::take(&mut spec.reserved);
        let hash = hash(&serde_json::to_string(spec).unwrap_or_default());
        spec.reserved = reserved;
        spec.labels.extend(self.everywhere());
        spec.labels.insert(label::NETWORK.to_owned(), key.to_owned());
        spec.labels.insert(label::CONFIG_HASH.to_owned(), hash);
    }

    fn network(&mut self, key: &str, network: &Network, fixed: Vec<IpAddr>) -> NetworkSpec {
        let span = network.span.unwrap_or(Span::NOWHERE);
        if !network.external {
            self.check(key, network, span);
        }
        let mut spec = NetworkSpec {
            name: NetworkName(network.name.clone()),
            external: network.external,
            driver: NetworkDriver::Bridge,
            options: network.driver_opts.clone(),
            internal: network.internal,
            ipv6: network.enable_ipv6,
            subnets: vec![],
            ip_range: None,
            reserved: fixed,
            labels: network.labels.clone(),
        };
        for pool in &network.ipam {
            self.pool(key, pool, &mut spec);
        }
        spec.reserved.sort_unstable();
        spec.reserved.dedup();
        if !spec.external {
            self.manage(&mut spec, key);
        }
        spec
    }

    /// Tells what of a network cannot be done.
    fn check(&mut self, key: &str, network: &Network, span: Span) {
        match network.driver.as_deref() {
            None | Some("bridge" | "") => {}
            Some(driver) => {
                let message =
                    format!("network `{key}`: driver `{driver}` is not supported, only `bridge` is");
                self.tell(Severity::Error, "unusable-value", span, message, "");
            }
        }
        if let Some(name) = network.driver_opts.get(BRIDGE_NAME).filter(|name| !is_interface_name(name)) {
            let message = format!(
                "network `{key}`: `{name}` cannot be the name of a bridge: it has 1 to 15 bytes, no `/`, `:` or blank"
            );
            self.tell(Severity::Error, "unusable-value", span, message, "");
        }
        if network.enable_ipv4 == Some(false) {
            let message =
                format!("network `{key}`: `enable_ipv4: false` has no effect, it gets IPv4 addresses too");
            self.tell(Severity::Warning, "no-effect", span, message, "this is ignored");
        }
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
                Some(range) => spec.ip_range = spec.ip_range.or(Some(range)),
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
