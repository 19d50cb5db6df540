//! The networks of the selected services.

use crate::lowering::{Lowering, hash};
use crate::network_options::PARENT;
use compose_spec::Project;
use compose_spec::model::{AddressPool, Network};
use diagnostic::{Diagnostic, Severity, Span};
use resource::{DesiredService, NetworkName, NetworkSpec, Subnet, label};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

impl Lowering<'_> {
    /// Every network some container is to be on, in order of name.
    pub(crate) fn networks(&mut self, services: &[DesiredService]) -> Vec<NetworkSpec> {
        let endpoints = services.iter().flat_map(|service| &service.container.endpoints);
        let used: BTreeSet<&NetworkName> = endpoints.map(|endpoint| &endpoint.network).collect();
        let project = self.project;
        let mut specs: Vec<NetworkSpec> = vec![];
        for name in used {
            let declared = project.networks.iter().find(|(_, network)| network.name == name.0);
            let spec = match declared {
                Some((key, network)) => self.network(key, network, fixed_addresses(project, key)),
                None => self.undeclared(name),
            };
            if let Some((key, _)) = declared {
                self.check_apart(key, &spec, &specs);
            }
            specs.push(spec);
        }
        specs
    }

    /// Tells of subnets that another network of the project has as well.
    fn check_apart(&mut self, key: &str, spec: &NetworkSpec, others: &[NetworkSpec]) {
        let declared = |spec: &NetworkSpec| !spec.external;
        for other in others.iter().filter(|other| declared(spec) && declared(other)) {
            for (at, (subnet, _)) in spec.subnets.iter().enumerate() {
                let Some((taken, _)) = other.subnets.iter().find(|(taken, _)| taken.overlaps(subnet)) else {
                    continue;
                };
                let place = self.project.network_place(key, &format!("ipam.config.{at}.subnet"));
                let message = format!(
                    "network `{key}`: {subnet} shares addresses with {taken} of network `{}`",
                    other.name
                );
                self.tell(Severity::Error, "unusable-value", place, message, "");
            }
        }
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
        let auxiliary = std::mem::take(&mut spec.auxiliary);
        let hash = hash(serde_json::to_string(spec).unwrap_or_default());
        spec.reserved = reserved;
        spec.auxiliary = auxiliary;
        spec.labels.extend(self.everywhere());
        spec.labels.insert(label::NETWORK.to_owned(), key.to_owned());
        spec.labels.insert(label::CONFIG_HASH.to_owned(), hash);
    }

    fn network(&mut self, key: &str, network: &Network, fixed: Vec<IpAddr>) -> NetworkSpec {
        let project = self.project;
        let place = |path: &str| project.network_place(key, path);
        let (mut spec, found) = network_alone(key, network, &place);
        self.found.extend(found);
        self.check_fixed(key, network);
        spec.reserved.extend(fixed);
        spec.reserved.sort_unstable();
        spec.reserved.dedup();
        if !spec.external {
            self.manage(&mut spec, key);
        }
        spec
    }
}

/// What is wanted of a network by itself, without a project's labels and addresses, and what is wrong with it.
/// `place` tells where the network says what a dotted path names: `driver`, `driver_opts.parent`,
/// `ipam.config.0.subnet`.
pub fn network_alone(
    key: &str,
    network: &Network,
    place: &dyn Fn(&str) -> Span,
) -> (NetworkSpec, Vec<Diagnostic>) {
    let mut reader = Reader { key, network, place, found: vec![] };
    let driver = reader.driver();
    let options = if network.external {
        network.driver_opts.clone()
    } else {
        reader.check();
        reader.options(driver)
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
        reserved: vec![],
        auxiliary: BTreeMap::new(),
        labels: network.labels.clone(),
    };
    for (at, pool) in network.ipam.iter().enumerate() {
        reader.pool(at, pool, &mut spec);
    }
    reader.check_families(&spec);
    (spec, reader.found)
}

/// A network that is being read.
pub(crate) struct Reader<'a> {
    pub(crate) key: &'a str,
    pub(crate) network: &'a Network,
    place: &'a dyn Fn(&str) -> Span,
    found: Vec<Diagnostic>,
}

impl Reader<'_> {
    /// A value that the engine cannot do, at a dotted path of the network.
    pub(crate) fn refuse(&mut self, path: &str, message: impl AsRef<str>) {
        let message = format!("network `{}`{}", self.key, message.as_ref());
        self.found.push(Diagnostic::error("unusable-value", message).at((self.place)(path), ""));
    }

    /// What has no effect.
    pub(crate) fn ignored(&mut self, path: &str, message: impl AsRef<str>) {
        let message = format!("network `{}`: {}", self.key, message.as_ref());
        self.found.push(Diagnostic::warning("no-effect", message).at((self.place)(path), "this is ignored"));
    }

    /// A network has addresses of a family at least, and none of a family that is switched off.
    fn check_families(&mut self, spec: &NetworkSpec) {
        if spec.ipv4 {
            return;
        }
        if spec.subnets.iter().any(|(subnet, _)| subnet.address.is_ipv4()) {
            self.refuse("enable_ipv4", " has an IPv4 subnet, and IPv4 is switched off");
        } else if !spec.ipv6 && spec.subnets.is_empty() {
            self.refuse("enable_ipv4", ": without IPv4 it needs IPv6: `enable_ipv6: true`");
        }
    }

    /// Tells what of a network cannot be done.
    fn check(&mut self) {
        let driver = self.network.ipam_driver.as_deref().unwrap_or_default();
        if !matches!(driver, "" | "default") {
            let message =
                format!("the address driver `{driver}` has no effect: addresses come from the engine");
            self.ignored("ipam.driver", message);
        }
        if !self.network.ipam_options.is_empty() {
            self.ignored("ipam.options", "options of the address driver have no effect");
        }
    }

    fn pool(&mut self, at: usize, pool: &AddressPool, spec: &mut NetworkSpec) {
        let path = |attribute: &str| format!("ipam.config.{at}.{attribute}");
        let mut bad = |attribute: &str, text: &str| {
            self.refuse(&path(attribute), format!(": `{text}` is not a valid address or block"));
        };
        let gateway = pool.gateway.as_deref();
        let gateway = gateway.and_then(|text| text.parse().map_err(|_| bad("gateway", text)).ok());
        let mut block = |attribute: &str, text: &Option<String>| {
            let text = text.as_deref()?;
            let block = Subnet::parse(text);
            block.is_none().then(|| bad(attribute, text));
            block
        };
        let (subnet, range) = (block("subnet", &pool.subnet), block("ip_range", &pool.ip_range));
        let mut kept: Vec<(&String, IpAddr)> = vec![];
        for (name, text) in &pool.aux_addresses {
            match text.parse() {
                Ok(address) => kept.push((name, address)),
                Err(_) => bad(&format!("aux_addresses.{name}"), text),
            }
        }
        spec.ip_ranges.extend(range);
        spec.reserved.extend(kept.iter().map(|(_, address)| *address));
        spec.auxiliary.extend(kept.iter().map(|(name, address)| ((*name).clone(), *address)));
        let Some(subnet) = subnet else { return };
        if let Some((other, _)) = spec.subnets.iter().find(|(other, _)| other.overlaps(&subnet)) {
            self.refuse(
                &path("subnet"),
                format!(": {subnet} shares addresses with its other subnet {other}"),
            );
        }
        spec.subnets.push((subnet, gateway));
        let mut outside = |attribute: &str, what: &str| {
            self.refuse(&path(attribute), format!(": {what} lies outside of its subnet {subnet}"));
        };
        if gateway.is_some_and(|gateway| !subnet.contains(gateway)) {
            outside("gateway", "the gateway");
        }
        if range.is_some_and(|range| range.prefix < subnet.prefix || !subnet.contains(range.address)) {
            outside("ip_range", "the range");
        }
        for (name, address) in kept.into_iter().filter(|(_, address)| !subnet.contains(*address)) {
            outside(&format!("aux_addresses.{name}"), &format!("the address {address} of `{name}`"));
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
