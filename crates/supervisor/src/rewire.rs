//! Wires of living containers when the network namespace of the bridges is a new one: an ordinary user's
//! router ends with the last process in it, containers' own namespaces do not.

use crate::container::Container;
use crate::core::{Slot, Supervisor, complain};
use network::{Netlink, NetworkError, Wires};
use resource::{NetworkName, NetworkRecord, document};
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use sys::file::Lock;

impl Supervisor {
    /// Puts the containers that a predecessor left on their bridges again where they no longer are, the
    /// bridges made first. A container whose wires cannot be had lives on without.
    pub(crate) fn rewire(&mut self) {
        let attached = |container: &&Container| container.is_live() && !container.record.endpoints.is_empty();
        if !self.containers.values().any(|container| attached(&container)) {
            return;
        }
        let wires = self.raise_bridges().and_then(|()| Wires::list(self.open_netlink()?));
        let slots: Vec<_> = self.containers.keys().copied().collect();
        match wires {
            Err(error) => complain(&error),
            Ok(wires) => slots.into_iter().for_each(|slot| self.rewire_one(slot, &wires)),
        }
    }

    fn rewire_one(&self, slot: Slot, wires: &Wires) {
        let (Some(netlink), Some(container)) = (&self.netlink, self.containers.get(&slot)) else { return };
        let (Some(namespace), id) = (&container.namespace, &container.record.id) else { return };
        for (index, endpoint) in container.record.endpoints.iter().enumerate() {
            if !wires.lead_to(namespace.as_fd(), &self.pod, id, endpoint) {
                network::attach_again(netlink, namespace.as_fd(), &self.pod, id, index, endpoint)
                    .unwrap_or_else(|error| complain(&error));
            }
        }
    }

    /// Makes the bridges that are missing to live containers, those that are to be restarted too.
    fn raise_bridges(&mut self) -> Result<(), NetworkError> {
        let live = self.containers.values().filter(|container| container.is_live());
        let endpoints = live.flat_map(|container| &container.record.endpoints);
        let missing = endpoints.filter(|endpoint| !network::bridge_exists(&endpoint.bridge));
        let missing: BTreeSet<_> = missing.map(|endpoint| endpoint.spec.network.clone()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let _lock = Lock::exclusive(&self.roots.networks_lock()).inspect_err(|error| complain(error)).ok();
        let records: Vec<_> = missing.iter().filter_map(|name| self.network(name)).collect();
        network::bridges_up(self.open_netlink()?, &records)
    }

    fn network(&self, name: &NetworkName) -> Option<NetworkRecord> {
        document::decode(&std::fs::read(self.roots.network(name).join("network.json")).ok()?)
    }

    /// The conversation with the kernel about links and addresses.
    pub(crate) fn open_netlink(&mut self) -> Result<&Netlink, NetworkError> {
        let netlink = match self.netlink.take() {
            Some(open) => open,
            None => Netlink::open()?.owned_by(&self.roots.cgroup),
        };
        Ok(self.netlink.insert(netlink))
    }
}
