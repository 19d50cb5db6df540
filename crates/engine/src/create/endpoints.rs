//! A container's places on its networks: an address of each family leased, the rest decided.

use super::{Draft, Undo};
use crate::names::Owner;
use crate::{EngineError, addresses, disk};
use resource::{Endpoint, EndpointSpec, NetworkMode, NetworkRecord, Subnet};
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
                addresses::parse_hardware(text).ok_or_else(|| EngineError::BadHardware(text.clone()))?
            }
            None => addresses::hardware(&leased),
        };
        let reachable = |(subnet, gateway): &(Subnet, IpAddr)| {
            leased.iter().any(|(address, _)| subnet.contains(*address)).then_some(*gateway)
        };
        let gateways =
            if record.spec.internal { vec![] } else { record.subnets.iter().filter_map(reachable).collect() };
        let routed = leased.iter().map(|(address, _)| *address);
        Ok(Endpoint {
            spec: spec.clone(),
            routed: routed.filter(|address| network::is_routed(record, *address)).collect(),
            bridge: record.bridge.clone(),
            driver: record.spec.driver,
            interface,
            mac,
            addresses: leased,
            gateways,
            default_route,
            internal: record.spec.internal,
            mtu: record.mtu,
        })
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
