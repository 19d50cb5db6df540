//! How a service's containers are connected: networks, ports, names.

use crate::lowering::Lowering;
use crate::network_options::HOST_BINDING;
use compose_spec::Service;
use compose_spec::model::{self, Attachment};
use resource::{ContainerName, EndpointSpec, IdentityShare, NetworkMode, NetworkName, PortSpec, Protocol};
use std::net::IpAddr;
use std::str::FromStr;

/// The option of an attachment with kernel settings of the interface, separated by commas.
const SYSCTL_OPTION: &str = "com.docker.network.endpoint.sysctls";

/// The driver option that says what `interface_name` says.
const INTERFACE_OPTION: &str = "com.docker.network.endpoint.ifname";

impl Lowering<'_> {
    /// The network mode and the networks a container is on, the primary one first.
    pub(crate) fn connection(&mut self, service: &Service) -> (NetworkMode, Vec<EndpointSpec>) {
        match &service.network_mode {
            None => {}
            Some(model::NetworkMode::None) => return (NetworkMode::None, vec![]),
            Some(model::NetworkMode::Host) => return (NetworkMode::Host, vec![]),
            Some(model::NetworkMode::Service(name)) => {
                return (NetworkMode::Container(self.first_container(name)), vec![]);
            }
            Some(model::NetworkMode::Container(name)) => {
                return (NetworkMode::Container(ContainerName(name.clone())), vec![]);
            }
            Some(model::NetworkMode::Bridge) => {
                let network = self.shared_bridge();
                return (NetworkMode::Networks, vec![EndpointSpec::new(network)]);
            }
            Some(model::NetworkMode::Network(name)) => {
                return (NetworkMode::Networks, vec![EndpointSpec::new(NetworkName(name.clone()))]);
            }
        }
        let mut attachments: Vec<_> = service.networks.iter().collect();
        attachments.sort_by(|(one, first), (other, second)| {
            second.priority.total_cmp(&first.priority).then_with(|| one.cmp(other))
        });
        let mut endpoints: Vec<_> = attachments
            .into_iter()
            .map(|(key, attachment)| self.endpoint(service, key, attachment))
            .collect();
        if let (Some(mac), Some(first)) = (&service.mac_address, endpoints.first_mut()) {
            first.mac.get_or_insert_with(|| mac.clone());
        }
        (NetworkMode::Networks, endpoints)
    }

    /// The network that stands for `network_mode: bridge`: the project's own, without names.
    pub(crate) fn shared_bridge(&self) -> NetworkName {
        NetworkName(format!("{}_bridge", self.project.name))
    }

    fn endpoint(&mut self, service: &Service, key: &str, attachment: &Attachment) -> EndpointSpec {
        let network = self.network_name(key);
        let mut aliases = vec![service.name.clone()];
        aliases.extend(attachment.aliases.iter().chain(&service.hostname).cloned());
        let mut seen = std::collections::HashSet::new();
        aliases.retain(|alias| seen.insert(alias.clone()));
        let mut interface = attachment.interface_name.clone();
        let mut sysctls = vec![];
        for (option, value) in &attachment.driver_opts {
            let path = format!("networks.{key}.driver_opts.{option}");
            match option.as_str() {
                INTERFACE_OPTION => interface = Some(value.clone()),
                SYSCTL_OPTION => match interface_sysctls(value) {
                    Ok(settings) => sysctls = settings,
                    Err(why) => self.error(service, &path, why),
                },
                _ => self.ignored(service, &path, "it is not known here"),
            }
        }
        EndpointSpec {
            network,
            aliases,
            ipv4: self.address(
                service,
                &format!("networks.{key}.ipv4_address"),
                attachment.ipv4_address.as_deref(),
            ),
            ipv6: self.address(
                service,
                &format!("networks.{key}.ipv6_address"),
                attachment.ipv6_address.as_deref(),
            ),
            mac: attachment.mac_address.clone(),
            interface,
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a priority is a small number; a cast saturates"
            )]
            gateway_priority: attachment.gw_priority as i64,
            link_local: self.link_local(service, key, attachment),
            sysctls,
        }
    }

    /// The name that a network of the project has.
    pub(crate) fn network_name(&self, key: &str) -> NetworkName {
        let network = self.project.networks.get(key).map(|network| network.name.clone());
        NetworkName(network.unwrap_or_else(|| format!("{}_{key}", self.project.name)))
    }

    fn link_local(&mut self, service: &Service, key: &str, attachment: &Attachment) -> Vec<IpAddr> {
        let path = format!("networks.{key}.link_local_ips");
        let mut addresses = vec![];
        for text in &attachment.link_local_ips {
            match self.address(service, &path, Some(text)) {
                Some(address) if is_link_local(address) => addresses.push(address),
                Some(address) => {
                    let why = format!("{address} is in neither 169.254.0.0/16 nor fe80::/64");
                    self.error(service, &path, why);
                }
                None => {}
            }
        }
        addresses
    }

    /// Reads an address, or says that it is none.
    fn address<T: FromStr>(&mut self, service: &Service, path: &str, text: Option<&str>) -> Option<T> {
        let text = text?;
        let address = text.trim().parse().ok();
        if address.is_none() {
            self.error(service, path, format!("`{text}` is not an address of this kind"));
        }
        address
    }

    pub(crate) fn ports(&mut self, service: &Service, mode: &NetworkMode) -> Vec<PortSpec> {
        if *mode != NetworkMode::Networks {
            if !service.ports.is_empty() {
                self.ignored(
                    service,
                    "ports",
                    "with this `network_mode` the container has no ports of its own",
                );
            }
            return vec![];
        }
        if !service.ports.is_empty() && self.is_cut_off(service) {
            self.ignored(service, "ports", "none of the service's networks leads to the host's ports");
        }
        let binding = self.host_binding(service);
        let mut ports = vec![];
        for port in &service.ports {
            match port_spec(port, binding) {
                Ok(spec) => ports.push(spec),
                Err(why) => self.error(service, "ports", why),
            }
        }
        ports
    }

    /// Whether every network of a service is known to have no way to the host's ports.
    fn is_cut_off(&self, service: &Service) -> bool {
        let closed = |key: &String| {
            self.project.networks.get(key).is_some_and(|network| {
                let elsewhere = matches!(network.driver.as_deref(), Some("macvlan" | "ipvlan"));
                !network.external && (network.internal || elsewhere)
            })
        };
        !service.networks.is_empty() && service.networks.keys().all(closed)
    }

    /// The host address of ports that name none, as the network says that has the default route.
    pub(crate) fn host_binding(&self, service: &Service) -> Option<IpAddr> {
        let networks = service.networks.iter().filter_map(|(key, attachment)| {
            let network = self.project.networks.get(key).filter(|network| !network.internal)?;
            Some((network, attachment.gw_priority))
        });
        let (network, _) = networks.min_by(|(one, first), (other, second)| {
            second.total_cmp(first).then_with(|| one.name.cmp(&other.name))
        })?;
        let address = network.driver_opts.get(HOST_BINDING)?.parse().ok()?;
        (!IpAddr::is_unspecified(&address)).then_some(address)
    }

    pub(crate) fn name_servers(&mut self, service: &Service) -> Vec<IpAddr> {
        let servers = service.dns.iter().filter(|server| !server.is_empty());
        servers.filter_map(|server| self.address(service, "dns", Some(server))).collect()
    }

    pub(crate) fn extra_hosts(&mut self, service: &Service) -> Vec<(String, Option<IpAddr>)> {
        let mut hosts = vec![];
        for (host, address) in &service.extra_hosts {
            if address == "host-gateway" {
                hosts.push((host.clone(), None));
            } else if let Some(address) = self.address(service, "extra_hosts", Some(address)) {
                hosts.push((host.clone(), Some(address)));
            }
        }
        hosts
    }

    /// The names only this service resolves: of `links` under the alias and the numbered names, of
    /// `external_links` under the alias.
    pub(crate) fn links(&mut self, service: &Service) -> Vec<(String, ContainerName)> {
        let mut links = vec![];
        for link in &service.links {
            let (target, alias) = link.split_once(':').unwrap_or((link, link));
            if self.is_provided(target) {
                self.ignored(service, "links", &format!("`{target}` has a provider, and no container"));
                continue;
            }
            let container = self.first_container(target);
            let numbered = [format!("{target}-1"), format!("{}-{target}-1", self.project.name)];
            for name in std::iter::once(alias.to_owned()).chain(numbered) {
                links.push((name, container.clone()));
            }
        }
        for link in &service.external_links {
            let (target, alias) = link.split_once(':').unwrap_or((link, link));
            links.push((alias.to_owned(), ContainerName(target.to_owned())));
        }
        links
    }

    /// Reads `pid`, `ipc`, `uts` or `cgroup`.
    pub(crate) fn share(&mut self, service: &Service, key: &str, text: Option<&str>) -> IdentityShare {
        let Some(text) = text else { return IdentityShare::Private };
        let joins = matches!(key, "pid" | "ipc");
        match text {
            "" | "private" => IdentityShare::Private,
            "shareable" if key == "ipc" => IdentityShare::Private,
            "none" if key == "ipc" => {
                self.ignored(service, key, "the container gets an IPC namespace of its own, with /dev/shm");
                IdentityShare::Private
            }
            "host" if key == "uts" && service.hostname.is_some() => {
                self.error(service, key, "`uts: host` and `hostname` exclude one another");
                IdentityShare::Host
            }
            "host" => IdentityShare::Host,
            other => match (other.strip_prefix("service:"), other.strip_prefix("container:")) {
                (Some(name), _) if joins => IdentityShare::Container(self.first_container(name)),
                (_, Some(name)) if joins => IdentityShare::Container(ContainerName(name.to_owned())),
                _ => {
                    self.error(service, key, format!("`{key}: {other}` is not supported"));
                    IdentityShare::Private
                }
            },
        }
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.segments()[..4] == [0xfe80, 0, 0, 0],
    }
}

/// Reads `net.ipv4.conf.IFNAME.log_martians=1,…`. Each is of the interface itself: what is of the whole
/// namespace is a matter of the service's `sysctls`.
fn interface_sysctls(text: &str) -> Result<Vec<(String, String)>, String> {
    let one = |setting: &str| {
        let (key, value) = setting.split_once('=')?;
        let (key, value) = (key.trim(), value.trim());
        let parts: Vec<_> = key.split('.').collect();
        let of_interface = matches!(parts[..], ["net", "ipv4" | "ipv6" | "mpls", "conf" | "neigh", "IFNAME", last] if is_word(last));
        of_interface.then(|| (key.to_owned(), value.to_owned()))
    };
    let settings = text.split(',').filter(|setting| !setting.trim().is_empty());
    settings
        .map(|setting| {
            one(setting).ok_or_else(|| {
                format!(
                    "`{setting}` is no setting of an interface, such as `net.ipv4.conf.IFNAME.log_martians=1`"
                )
            })
        })
        .collect()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A port in the engine's words, or why it is none. `binding` is the host address of one that names none.
pub(crate) fn port_spec(port: &model::Port, binding: Option<IpAddr>) -> Result<PortSpec, String> {
    let protocol = match &port.protocol {
        model::Protocol::Tcp => Protocol::Tcp,
        model::Protocol::Udp => Protocol::Udp,
        model::Protocol::Sctp => Protocol::Sctp,
        model::Protocol::Other(other) => {
            return Err(format!("`{other}` is not a protocol: tcp, udp or sctp"));
        }
    };
    if port.target == 0 {
        return Err("a container port cannot be 0".to_owned());
    }
    let published = port.published.filter(|range| *range != (0, 0));
    Ok(PortSpec { host_ip: port.host_ip.or(binding), published, target: port.target, protocol })
}
