//! Networks: the document says what a network is, the bridge follows it.

use crate::names::Owner;
use crate::{Engine, EngineError, disk};
use resource::document::Fault;
use resource::{ContainerRecord, NetworkName, NetworkRecord, NetworkSpec, PodName, Subnet};
use rustix::thread::LinkNameSpaceType;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;
use sys::file::Lock;

/// Driver option with the name of the bridge.
const BRIDGE_NAME: &str = "com.docker.network.bridge.name";

/// Driver option with the interface of the host's that a macvlan or ipvlan network is on.
const PARENT: &str = "parent";

/// Driver option with the maximum transmission unit.
const MTU: &str = "com.docker.network.driver.mtu";

impl Engine {
    /// Makes a network with its bridge. One that is there is made sure to be up.
    ///
    /// # Errors
    /// [`EngineError::NoNetwork`] for a missing external one, [`EngineError::SubnetTaken`],
    /// [`EngineError::Network`].
    pub fn create_network(&self, spec: &NetworkSpec) -> Result<NetworkRecord, EngineError> {
        crate::names::check(&spec.name.0)?;
        let _lock = self.networks_lock(true)?;
        let outside = self.outside_blocks(spec)?;
        self.in_router(|| self.make_network(spec, outside))
    }

    /// Makes a network that is not there yet.
    ///
    /// # Errors
    /// [`EngineError::NetworkExists`], [`EngineError::DamagedNetwork`], and as
    /// [`create_network`](Self::create_network).
    pub fn add_network(&self, spec: &NetworkSpec) -> Result<NetworkRecord, EngineError> {
        crate::names::check(&spec.name.0)?;
        let _lock = self.networks_lock(true)?;
        if let Some(fault) = self.network_fault(&spec.name) {
            return Err(EngineError::DamagedNetwork { network: spec.name.clone(), fault });
        }
        if self.network(&spec.name).is_some() {
            return Err(EngineError::NetworkExists(spec.name.clone()));
        }
        let outside = self.outside_blocks(spec)?;
        self.in_router(|| self.make_network(spec, outside))
    }

    /// Why the document of a network cannot be read; `None` when it can, or there is none.
    pub fn network_fault(&self, name: &NetworkName) -> Option<Fault> {
        crate::names::check(&name.0).ok()?;
        crate::damage::fault::<NetworkRecord>(&self.roots().network(name).join("network.json"))
    }

    /// Blocks that the host has routes to, where networks are made in another namespace: one of ours
    /// over there would hide them from containers.
    fn outside_blocks(&self, spec: &NetworkSpec) -> Result<Vec<Subnet>, EngineError> {
        if self.roots().router.is_none() {
            return Ok(vec![]);
        }
        let blocks = network::Netlink::open().and_then(|host| network::route_destinations(&host));
        blocks.map_err(|source| EngineError::Network {
            attempt: "find addresses for",
            network: spec.name.clone(),
            source,
        })
    }

    fn make_network(&self, spec: &NetworkSpec, outside: Vec<Subnet>) -> Result<NetworkRecord, EngineError> {
        if let Some(record) = self.network(&spec.name) {
            self.bring_up(&record)?;
            return Ok(record);
        }
        if spec.external {
            return Err(EngineError::NoNetwork(spec.name.clone()));
        }
        self.store().prepare()?;
        let failed = |source| EngineError::Network { attempt: "set up", network: spec.name.clone(), source };
        let folder = self.roots().network(&spec.name);
        let pools = network::lock().map_err(EngineError::file("lock the address pools for", &folder))?;
        let record = self.decide(spec, outside)?;
        disk::make_folder(&folder.join("leases"))?;
        let made = disk::replace(&folder.join("network.json"), &record)
            .and_then(|()| network::bridge_up(self.netlink().map_err(failed)?, &record).map_err(failed));
        drop(pools);
        if let Err(error) = made {
            // What was made in part is found by the document, so that goes last, and not before the rest.
            let down = self.netlink().and_then(|netlink| network::bridge_down(netlink, &record));
            if down.is_ok() || !network::bridge_exists(&record.bridge) {
                drop(disk::retire_folder(&folder, &self.roots().data.join("tmp")));
            }
            return Err(error);
        }
        Ok(record)
    }

    fn decide(&self, spec: &NetworkSpec, outside: Vec<Subnet>) -> Result<NetworkRecord, EngineError> {
        let failed = |source| EngineError::Network {
            attempt: "find addresses for",
            network: spec.name.clone(),
            source,
        };
        let others = self.networks();
        for (subnet, _) in &spec.subnets {
            let taken =
                |other: &&NetworkRecord| other.subnets.iter().any(|(taken, _)| taken.overlaps(subnet));
            if let Some(other) = others.iter().find(taken) {
                let (network, other) = (spec.name.clone(), other.spec.name.clone());
                return Err(EngineError::SubnetTaken { network, subnet: *subnet, other });
            }
        }
        let id = disk::random_id()?;
        let mut taken = outside;
        taken.extend(others.iter().flat_map(|other| &other.subnets).map(|(subnet, _)| *subnet));
        let gateway =
            |subnet: Subnet, gateway: Option<IpAddr>| (subnet, gateway.unwrap_or_else(|| subnet.first()));
        let mut subnets: Vec<_> =
            spec.subnets.iter().map(|(subnet, address)| gateway(*subnet, *address)).collect();
        if spec.ipv4 && subnets.iter().all(|(subnet, _)| subnet.address.is_ipv6()) {
            let netlink = self.netlink().map_err(failed)?;
            subnets.insert(0, gateway(network::choose_subnet(netlink, &taken).map_err(failed)?, None));
        }
        if spec.ipv6 && subnets.iter().all(|(subnet, _)| subnet.address.is_ipv4()) {
            subnets.push(gateway(network::choose_subnet_v6(&id, &taken), None));
        }
        subnets.sort_by_key(|(subnet, _)| subnet.address.is_ipv6());
        let named = if spec.driver.has_host() { BRIDGE_NAME } else { PARENT };
        let bridge = spec.options.get(named).cloned().unwrap_or_else(|| network::bridge_name(&id));
        let mtu = spec.options.get(MTU).and_then(|text| text.parse().ok());
        let mtu = mtu.unwrap_or(if spec.driver.has_host() { 1500 } else { 0 });
        Ok(NetworkRecord { bridge, id, spec: spec.clone(), created: jiff::Timestamp::now(), subnets, mtu })
    }

    /// Takes a network's bridge out of the kernel when only stopped containers of this pod are on it.
    /// Starting one of them brings it up again. Blocks for as long as the kernel does.
    ///
    /// # Errors
    /// [`EngineError::Network`] with the step that the kernel refused.
    pub fn lower_network(&self, pod: &PodName, name: &NetworkName) -> Result<(), EngineError> {
        crate::names::check(&name.0)?;
        let leases = self.roots().network(name).join("leases");
        let _lock = self.networks_lock(true)?;
        for lease in disk::entries(&leases)? {
            let Some(owner) = Owner::of(&leases.join(lease)).filter(|owner| owner.lives(self.roots())) else {
                continue;
            };
            let container = self.observe_container(&owner.pod, &owner.id);
            if owner.pod != *pod || container.is_some_and(|one| one.state.process.is_some()) {
                return Ok(());
            }
        }
        self.in_router(|| self.bring_down(name))
    }

    fn bring_down(&self, name: &NetworkName) -> Result<(), EngineError> {
        let Some(record) = self.network(name) else { return Ok(()) };
        let failed = |source| EngineError::Network { attempt: "remove", network: name.clone(), source };
        network::bridge_down(self.netlink().map_err(failed)?, &record).map_err(failed)
    }

    /// Removes a network and its bridge, which is found by its alias where no document names it. One that is
    /// gone is no error.
    ///
    /// # Errors
    /// [`EngineError::NetworkInUse`] while containers are on it; [`EngineError::DamagedNetwork`] for one that a
    /// newer program made.
    pub fn remove_network(&self, name: &NetworkName) -> Result<(), EngineError> {
        crate::names::check(&name.0)?;
        let folder = self.roots().network(name);
        if !folder.exists() {
            return Ok(());
        }
        let _lock = self.networks_lock(true)?;
        let containers = self.living_claimants(&folder.join("leases"))?;
        if !containers.is_empty() {
            return Err(EngineError::NetworkInUse { network: name.clone(), containers });
        }
        if let Some(fault @ Fault::Newer) = self.network_fault(name) {
            return Err(EngineError::DamagedNetwork { network: name.clone(), fault });
        }
        self.in_router(|| match self.network(name) {
            Some(_) => self.bring_down(name),
            None => self.sweep_bridge(name),
        })?;
        disk::retire_folder(&folder, &self.roots().data.join("tmp"))
    }

    fn sweep_bridge(&self, name: &NetworkName) -> Result<(), EngineError> {
        let failed = |source| EngineError::Network { attempt: "remove", network: name.clone(), source };
        let swept = || network::sweep(self.netlink()?, std::slice::from_ref(name), &[]);
        swept().map(drop).map_err(failed)
    }

    /// Removes the folder of a network whose document is damaged, unless containers are on it. Its bridge,
    /// which only the document names, is found by its alias afterwards.
    pub(crate) fn remove_lost_network(&self, name: &NetworkName) -> Result<(), EngineError> {
        crate::names::check(&name.0)?;
        let folder = self.roots().network(name);
        if !folder.exists() {
            return Ok(());
        }
        let _lock = self.networks_lock(true)?;
        let is_lost = crate::damage::is_damaged::<NetworkRecord>(&folder.join("network.json"));
        if is_lost && self.living_claimants(&folder.join("leases"))?.is_empty() {
            disk::retire_folder(&folder, &self.roots().data.join("tmp"))?;
        }
        Ok(())
    }

    /// Containers, made or in the making, whose claims are in this folder.
    pub(crate) fn living_claimants(
        &self,
        folder: &std::path::Path,
    ) -> Result<Vec<resource::ContainerName>, EngineError> {
        let mut names = std::collections::BTreeSet::new();
        for entry in disk::entries(folder)? {
            let Some(owner) = Owner::of(&folder.join(entry)).filter(|owner| owner.lives(self.roots())) else {
                continue;
            };
            let name = self.record(&owner.pod, &owner.id).map(|record| record.spec.name);
            names.insert(name.unwrap_or_else(|| owner.id.short().into()));
        }
        Ok(names.into_iter().collect())
    }

    /// The network with this name.
    pub fn network(&self, name: &NetworkName) -> Option<NetworkRecord> {
        crate::names::check(&name.0).ok()?;
        disk::read(&self.roots().network(name).join("network.json"))
    }

    /// All networks, sorted by name.
    pub fn networks(&self) -> Vec<NetworkRecord> {
        let names = disk::entries(&self.roots().data.join("networks")).unwrap_or_default();
        let mut records: Vec<_> =
            names.into_iter().filter_map(|name| self.network(&NetworkName(name))).collect();
        records.sort_by(|one, other| one.spec.name.cmp(&other.spec.name));
        records
    }

    /// Makes sure that a container's networks are up: after a reboot their bridges are gone.
    pub(crate) fn bring_up_networks(&self, record: &ContainerRecord) -> Result<(), EngineError> {
        self.in_router(|| self.bring_up_missing(record))
    }

    fn bring_up_missing(&self, record: &ContainerRecord) -> Result<(), EngineError> {
        for endpoint in record.endpoints.iter().filter(|endpoint| !network::bridge_exists(&endpoint.bridge)) {
            let name = &endpoint.spec.network;
            let _lock = self.networks_lock(true)?;
            let network = self.network(name).ok_or_else(|| EngineError::NoNetwork(name.clone()))?;
            if !network::bridge_exists(&network.bridge) {
                self.bring_up(&network)?;
            }
        }
        Ok(())
    }

    fn bring_up(&self, record: &NetworkRecord) -> Result<(), EngineError> {
        let failed =
            |source| EngineError::Network { attempt: "set up", network: record.spec.name.clone(), source };
        network::bridge_up(self.netlink().map_err(failed)?, record).map_err(failed)
    }

    /// Works in the network namespace in which networks are made: on a thread that enters it, or right
    /// here when the calling thread is in it anyway.
    pub(crate) fn in_router<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError> + Send,
    ) -> Result<T, EngineError> {
        let Some(path) = &self.roots().router else { return work() };
        let enter = || -> io::Result<()> {
            let router = std::fs::File::open(path)?;
            let kind = Some(LinkNameSpaceType::Network);
            Ok(rustix::thread::move_into_link_name_space(router.as_fd(), kind)?)
        };
        let inside = || enter().map_err(EngineError::file("enter", path)).and_then(|()| work());
        std::thread::scope(|scope| scope.spawn(inside).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Held alone while a network is made or removed, shared while addresses of one are leased.
    pub(crate) fn networks_lock(&self, alone: bool) -> Result<Lock, EngineError> {
        self.run_lock(&self.roots().networks_lock(), alone)
    }

    pub(crate) fn run_lock(&self, path: &Path, alone: bool) -> Result<Lock, EngineError> {
        disk::make_folder(&self.roots().run)?;
        let lock = if alone { Lock::exclusive(path) } else { Lock::shared(path) };
        lock.map_err(EngineError::file("lock", path))
    }
}
