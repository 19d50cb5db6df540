//! What `container:NAME` says of containers of the same project: who names one comes after it.
//!
//! A file that writes `volumes_from: ["container:shop-data-1"]` means the container that the same `up`
//! makes. It is ordered as `service:data` would be, without that the name would be looked for while its
//! owner is still being made.

use resource::{
    Condition, ContainerName, ContainerSpec, Dependency, DesiredService, IdentityShare, NetworkMode, PodName,
};
use std::collections::{BTreeSet, HashMap};

/// Binds each service to those of the others whose containers it names. A name that would make a cycle
/// stays a mere name: such a container has to be there already.
pub(crate) fn bind(pod: &PodName, services: &mut [DesiredService]) {
    let mut edges: HashMap<String, BTreeSet<String>> = services
        .iter()
        .map(|service| {
            (service.name.clone(), service.depends_on.iter().map(|on| on.service.clone()).collect())
        })
        .collect();
    for place in 0..services.len() {
        for owner in owners(pod, services, place) {
            let service = &mut services[place];
            if !service.bound_to.contains(&owner) && !reaches(&edges, &owner, &service.name) {
                edges.entry(service.name.clone()).or_default().insert(owner.clone());
                depend(service, owner);
            }
        }
    }
}

fn depend(service: &mut DesiredService, owner: String) {
    if !service.depends_on.iter().any(|dependency| dependency.service == owner) {
        service.depends_on.push(Dependency {
            service: owner.clone(),
            condition: Condition::Started,
            restart: false,
            required: true,
        });
    }
    service.bound_to.push(owner);
}

/// The other services one of whose containers is named by the service at a place.
fn owners(pod: &PodName, services: &[DesiredService], place: usize) -> Vec<String> {
    let named = names(&services[place].container);
    let others = services.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, other)| other);
    let owning = others.filter(|other| named.iter().any(|name| owns(pod, other, name)));
    owning.map(|other| other.name.clone()).collect()
}

/// The containers whose namespaces or volumes a container shares.
fn names(spec: &ContainerSpec) -> Vec<&ContainerName> {
    let network = match &spec.network_mode {
        NetworkMode::Container(name) => Some(name),
        _ => None,
    };
    let shares = [&spec.pid, &spec.ipc, &spec.uts].into_iter().filter_map(|share| match share {
        IdentityShare::Container(name) => Some(name),
        _ => None,
    });
    network.into_iter().chain(shares).chain(spec.volumes_from.iter().map(|(name, _)| name)).collect()
}

fn owns(pod: &PodName, service: &DesiredService, name: &ContainerName) -> bool {
    if service.fixed_name || service.container.name == *name {
        return service.container.name == *name;
    }
    let separator = &service.separator;
    let number = name.0.strip_prefix(&format!("{pod}{separator}{}{separator}", service.name));
    number
        .and_then(|number| number.parse().ok())
        .is_some_and(|number: u32| (1..=service.replicas).contains(&number))
}

/// Whether one service depends on another, be it through others.
fn reaches(edges: &HashMap<String, BTreeSet<String>>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut left = vec![from];
    while let Some(name) = left.pop() {
        if name == to {
            return true;
        }
        let next = edges.get(name).into_iter().flatten().map(String::as_str);
        left.extend(next.filter(|next| seen.insert(next)));
    }
    false
}
