//! A container's places on its networks: an address of each family leased, the rest decided.

use super::{Draft, Undo};
use crate::names::Owner;
use crate::observe::checked_state;
use crate::{Engine, EngineError, addresses, disk};
use resource::{ContainerRecord, Endpoint, EndpointSpec, NetworkMode, NetworkRecord, Status, Subnet};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

/// Driver option with the beginning of interface names.
const INTERFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";

/// Leases lie this many folders below DATA.
const LEASE_DEPTH: usize = 3;

impl Draft<'_> {
    /// Leases addresses on every network of the container.
    pub(super) fn endpoints(&mut self) -> Result<Vec<Endpoint>, EngineError> {
        if self.spec.network_mode != NetworkMode::Networks || self.spec.endpoints.is_empty() {
            return Ok(vec![]);
        }
        // No network goes away between the look at its document and the lease.
        let _present = self.engine.networks_lock(false)?;
        let specs = &self.spec.endpoints;
        let find = |spec: &EndpointSpec| {
            self.engine.network(&spec.network).ok_or_else(|| EngineError::NoNetwork(spec.network.clone()))
        };
        let records = specs.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let pairs = || specs.iter().zip(&records);
        let prefix = |record: &'_ NetworkRecord| record.spec.options.get(INTERFACE_PREFIX).cloned();
        let prefixes: Vec<_> =
            records.iter().map(|record| prefix(record).unwrap_or_else(|| "eth".to_owned())).collect();
        let interfaces = addresses::interfaces(specs.iter().zip(prefixes.iter().map(String::as_str)));
        let route = addresses::default_route(pairs().map(|(spec, record)| (spec, record.spec.internal)));
        let mut endpoints = vec![];
        for (index, ((spec, record), interface)) in pairs().zip(interfaces).enumerate() {
            endpoints.push(self.endpoint(spec, record, interface, route == Some(index))?);
        }
        Ok(endpoints)
    }

    fn endpoint(
        &mut self,
        spec: &EndpointSpec,
        record: &NetworkRecord,
        interface: String,
        default_route: bool,
    ) -> Result<Endpoint, EngineError> {
        let mut leased = vec![];
        for (six, fixed) in [(false, spec.ipv4.map(IpAddr::V4)), (true, spec.ipv6.map(IpAddr::V6))] {
            let subnets: Vec<Subnet> = record
                .subnets
                .iter()
                .map(|(subnet, _)| *subnet)
                .filter(|subnet| subnet.address.is_ipv6() == six)
                .collect();
            match fixed {
                Some(address) => leased.push(self.lease_fixed(record, address)?),
                None if subnets.is_empty() => {}
                None => leased.push(self.lease_any(record, &subnets)?),
            }
        }
        let mac = match &spec.mac {
            Some(text) => {
                resource::hardware_address(text).ok_or_else(|| EngineError::BadHardware(text.clone()))?
            }
            None => addresses::hardware(&leased),
        };
        let own = |address: &IpAddr| leased.iter().any(|(leased, _)| leased == address);
        let former = self.former_addresses(spec).into_iter().filter(|address| !own(address)).collect();
        Ok(Endpoint {
            spec: spec.clone(),
            former,
            routed: routed(record, &leased),
            bridge: record.bridge.clone(),
            driver: record.spec.driver,
            interface,
            mac,
            gateways: gateways(record, &leased),
            addresses: leased,
            default_route,
            internal: record.spec.internal,
            mtu: record.mtu,
        })
    }

    /// The addresses on a network of the container whose place is taken.
    fn former_addresses(&self, spec: &EndpointSpec) -> Vec<IpAddr> {
        let replaced = self.replaced.as_ref().and_then(|owner| self.engine.record(&owner.pod, &owner.id));
        let endpoints = replaced.into_iter().flat_map(|record| record.endpoints);
        let there = endpoints.filter(|endpoint| endpoint.spec.network == spec.network);
        there.flat_map(|endpoint| endpoint.addresses).map(|(address, _)| address).collect()
    }

    fn lease_path(&self, record: &NetworkRecord, address: IpAddr) -> PathBuf {
        self.engine.roots().network(&record.spec.name).join("leases").join(address.to_string())
    }

    fn lease_fixed(&mut self, record: &NetworkRecord, address: IpAddr) -> Result<(IpAddr, u8), EngineError> {
        let network = record.spec.name.clone();
        let unusable = |reason| EngineError::AddressUnusable { address, network: network.clone(), reason };
        let subnet = addresses::check_fixed(record, address).map_err(unusable)?;
        let path = self.lease_path(record, address);
        match self.owner.claim(self.engine.roots(), &path, LEASE_DEPTH)? {
            Ok(()) => self.undo.push(Undo::Release(path)),
            // It goes on in the container that takes the owner's place.
            Err(other) if Some(&other) == self.replaced.as_ref() => {
                self.owner.take_over(&path, LEASE_DEPTH)?;
                self.undo.push(Undo::GiveBack(path, other, LEASE_DEPTH));
            }
            Err(other) => {
                return Err(EngineError::AddressTaken { address, network, owner: self.described(&other) });
            }
        }
        Ok((address, subnet.prefix))
    }

    fn described(&self, owner: &Owner) -> String {
        match self.engine.record(&owner.pod, &owner.id) {
            Some(record) => format!("container `{}` of pod `{}`", record.spec.name, owner.pod),
            None => format!("a container of pod `{}` that is being made", owner.pod),
        }
    }

    fn lease_any(&mut self, record: &NetworkRecord, subnets: &[Subnet]) -> Result<(IpAddr, u8), EngineError> {
        let folder = self.engine.roots().network(&record.spec.name).join("leases");
        let taken: BTreeSet<IpAddr> =
            disk::entries(&folder)?.iter().filter_map(|name| name.parse().ok()).collect();
        // First what nobody ever claimed; when all is claimed, what is stale among it.
        for taken in [&taken, &BTreeSet::new()] {
            for subnet in subnets {
                for address in addresses::candidates(record, subnet, taken) {
                    let path = self.lease_path(record, address);
                    if self.owner.claim(self.engine.roots(), &path, LEASE_DEPTH)?.is_ok() {
                        self.undo.push(Undo::Release(path));
                        return Ok((address, subnet.prefix));
                    }
                }
            }
        }
        Err(EngineError::AddressesExhausted { network: record.spec.name.clone(), subnet: subnets[0] })
    }
}

/// The gateways that lead out of a network from these addresses.
fn gateways(record: &NetworkRecord, leased: &[(IpAddr, u8)]) -> Vec<IpAddr> {
    let reachable = |(subnet, gateway): &(Subnet, IpAddr)| {
        leased.iter().any(|(address, _)| subnet.contains(*address)).then_some(*gateway)
    };
    if record.spec.internal { vec![] } else { record.subnets.iter().filter_map(reachable).collect() }
}

/// Those of the addresses that others reach by themselves.
fn routed(record: &NetworkRecord, leased: &[(IpAddr, u8)]) -> Vec<IpAddr> {
    let addresses = leased.iter().map(|(address, _)| *address);
    addresses.filter(|address| network::is_routed(record, *address)).collect()
}

/// A lease that takes the place of another: where both lie.
pub(crate) struct Moved {
    pub(crate) to: PathBuf,
    pub(crate) from: PathBuf,
}

impl Engine {
    /// Gives a container that has never run the addresses that the one had whose place it takes, as far as that
    /// one is gone and nobody else has them: who has resolved its name once finds it there. What it has by now is
    /// to be given up when its document is written. Its networks stay meanwhile: it has a lease on them.
    pub(crate) fn take_former_addresses(
        &self,
        owner: &Owner,
        record: &mut ContainerRecord,
    ) -> Result<Vec<Moved>, EngineError> {
        let mut moved = vec![];
        if record.endpoints.iter().all(|endpoint| endpoint.former.is_empty()) {
            return Ok(moved);
        }
        let has_run = checked_state(self.roots(), record).status != Status::Created;
        for endpoint in &mut record.endpoints {
            let former = std::mem::take(&mut endpoint.former);
            let Some(network) = self.network(&endpoint.spec.network).filter(|_| !has_run) else { continue };
            let leases = self.roots().network(&network.spec.name).join("leases");
            for (address, prefix) in &mut endpoint.addresses {
                let fixed = match address {
                    IpAddr::V4(_) => endpoint.spec.ipv4.is_some(),
                    IpAddr::V6(_) => endpoint.spec.ipv6.is_some(),
                };
                let of_its_family = former.iter().find(|former| former.is_ipv4() == address.is_ipv4());
                let wanted = of_its_family.filter(|former| !fixed && !network.spec.reserved.contains(former));
                let Some((wanted, subnet)) = wanted
                    .and_then(|wanted| Some((*wanted, addresses::check_fixed(&network, *wanted).ok()?)))
                else {
                    continue;
                };
                let to = leases.join(wanted.to_string());
                if owner.claim(self.roots(), &to, LEASE_DEPTH)?.is_ok() {
                    moved.push(Moved { to, from: leases.join(address.to_string()) });
                    (*address, *prefix) = (wanted, subnet.prefix);
                }
            }
            if endpoint.spec.mac.is_none() {
                endpoint.mac = addresses::hardware(&endpoint.addresses);
            }
            endpoint.routed = routed(&network, &endpoint.addresses);
            endpoint.gateways = gateways(&network, &endpoint.addresses);
        }
        Ok(moved)
    }
}
