//! Who has which name: what a container sees of its networks, in its own pod and in others.

use crate::container::{Container, read_record};
use crate::core::Slot;
use dns::View;
use resource::{
    ContainerId, ContainerName, ContainerRecord, ContainerState, Endpoint, NetworkName, PodName, Roots,
    Status, document,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long what the files say of other pods is believed.
const FRESH: Duration = Duration::from_secs(1);

/// The pod and id of the container with this name, by the link that claims the name.
pub(crate) fn find(roots: &Roots, name: &ContainerName) -> Option<(PodName, ContainerId)> {
    owner(&roots.data.join("names").join(name.as_str()))
}

/// Whose a claim is: the link points at the container's folder.
fn owner(link: &Path) -> Option<(PodName, ContainerId)> {
    let target = std::fs::read_link(link).ok()?;
    let mut parts = target.to_str()?.rsplit('/');
    let (id, containers, pod) = (parts.next()?, parts.next()?, parts.next()?);
    (containers == "containers").then(|| (PodName::from(pod), ContainerId::from(id)))
}

/// Running containers of other pods on our networks, as the files told a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    read: Option<Instant>,
    records: BTreeMap<ContainerId, ContainerRecord>,
}

impl Foreign {
    /// Reads the leases of these networks again, unless that was done just now.
    pub(crate) fn refresh<'a>(
        &mut self,
        roots: &Roots,
        own: &PodName,
        networks: impl Iterator<Item = &'a NetworkName>,
    ) {
        if self.read.is_some_and(|read| read.elapsed() < FRESH) {
            return;
        }
        self.read = Some(Instant::now());
        let mut known = std::mem::take(&mut self.records);
        for network in networks {
            let leases = std::fs::read_dir(roots.network(network).join("leases")).into_iter().flatten();
            for (pod, id) in leases.flatten().filter_map(|lease| owner(&lease.path())) {
                if pod == *own || self.records.contains_key(&id) || !runs(roots, &pod, &id) {
                    continue;
                }
                if let Some(record) = known.remove(&id).or_else(|| read_record(roots, &pod, &id)) {
                    self.records.insert(id, record);
                }
            }
        }
    }
}

fn runs(roots: &Roots, pod: &PodName, id: &ContainerId) -> bool {
    let state = std::fs::read(roots.state(pod, id)).ok();
    let state = state.and_then(|bytes| document::decode::<ContainerState>(&bytes));
    state.is_some_and(|state| matches!(state.status, Status::Running | Status::Paused))
}

/// What one container sees.
pub(crate) struct Sight<'a> {
    pub(crate) asking: &'a ContainerRecord,
    pub(crate) own: &'a BTreeMap<Slot, Container>,
    pub(crate) foreign: &'a Foreign,
}

impl<'a> Sight<'a> {
    /// Running containers and their places on networks that the asking one is on, too.
    fn neighbours(&self) -> impl Iterator<Item = (&'a ContainerRecord, &'a Endpoint)> {
        let own = self.own.values().filter(|container| container.is_up()).map(|container| &container.record);
        let asking = self.asking;
        own.chain(self.foreign.records.values())
            .flat_map(|record| record.endpoints.iter().map(move |endpoint| (record, endpoint)))
            .filter(move |(_, endpoint)| {
                asking.endpoints.iter().any(|mine| mine.spec.network == endpoint.spec.network)
            })
    }
}

/// Whether a container is called this on a network.
fn is_called(record: &ContainerRecord, endpoint: &Endpoint, name: &str) -> bool {
    let own = [record.spec.name.as_str(), record.id.short()];
    let mut names = own
        .into_iter()
        .chain(record.spec.hostname.as_deref())
        .chain(endpoint.spec.aliases.iter().map(String::as_str));
    names.any(|known| known.eq_ignore_ascii_case(name))
}

impl View for Sight<'_> {
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let link = self.asking.spec.links.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name));
        let name = link.map_or(name, |(_, container)| container.as_str());
        let mut addresses = vec![];
        for (record, endpoint) in self.neighbours() {
            let network = endpoint.spec.network.as_str();
            let local = name
                .len()
                .checked_sub(network.len() + 1)
                .filter(|cut| name.as_bytes()[*cut] == b'.' && name[cut + 1..].eq_ignore_ascii_case(network))
                .map(|cut| &name[..cut]);
            let called = |name| is_called(record, endpoint, name);
            if called(name) || local.is_some_and(called) {
                addresses.extend(endpoint.addresses.iter().map(|(address, _)| *address));
            }
        }
        (!addresses.is_empty()).then_some(addresses)
    }

    fn name_of(&self, ip: IpAddr) -> Option<String> {
        self.neighbours()
            .find(|(_, endpoint)| endpoint.addresses.iter().any(|(address, _)| *address == ip))
            .map(|(record, endpoint)| format!("{}.{}", record.spec.name, endpoint.spec.network))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::record;

    fn foreign(records: Vec<ContainerRecord>) -> Foreign {
        let records = records.into_iter().map(|record| (record.id.clone(), record)).collect();
        Foreign { read: None, records }
    }

    #[test]
    fn names_aliases_ids_and_links_are_seen_on_shared_networks_only() {
        let mut asking = record("web");
        asking.spec.links = vec![("database".into(), "shop-db-1".into())];
        let mut db = record("db");
        db.endpoints[0].addresses = vec![("172.30.0.3".parse().unwrap(), 16)];
        let mut far = record("far");
        far.endpoints[0].spec.network = "other_default".into();
        let id = db.id.short().to_owned();
        let foreign = foreign(vec![db, far]);
        let own = BTreeMap::new();
        let sight = Sight { asking: &asking, own: &own, foreign: &foreign };
        let found = Some(vec!["172.30.0.3".parse::<IpAddr>().unwrap()]);
        for name in ["db", "shop-db-1", "database", &id, "db.shop_default", "shop-db-1.shop_default"] {
            assert_eq!(sight.addresses(name), found, "{name}");
        }
        for name in ["far", "db.other_default", "x.db", "shop_default", ".shop_default", ""] {
            assert_eq!(sight.addresses(name), None, "{name}");
        }
        assert_eq!(sight.name_of("172.30.0.3".parse().unwrap()).unwrap(), "shop-db-1.shop_default");
        assert_eq!(sight.name_of("172.30.0.9".parse().unwrap()), None);
    }
}
