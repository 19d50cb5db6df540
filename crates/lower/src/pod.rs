//! A project whose services share namespaces (`x-pod`): one more container, the infra, holds them and
//! has the project's networks and ports; the services' containers join.

use crate::lowering::{Lowering, hash};
use compose_spec::{PodNamespace, Service};
use resource::{
    Condition, ContainerName, ContainerSpec, Dependency, DesiredService, EndpointSpec, INFRA, IdentityShare,
    Image, ImageNeed, NetworkMode, Part, PartPlace, RestartPolicy, label,
};
use std::collections::BTreeSet;
use std::time::Duration;

impl Lowering<'_> {
    /// Moves into the infra what the services share, and puts it before them. Nothing happens in a
    /// project without `x-pod`.
    pub(crate) fn share_namespaces(&self, services: &mut Vec<DesiredService>) {
        let shared = self.project.shared_namespaces();
        if shared.is_empty() || services.is_empty() {
            return;
        }
        // Of all services, not only the selected ones: what others have must not be taken from them.
        let project = self.project;
        let enabled = |service: &Service| {
            let active = |profile: &String| project.profiles.contains(profile);
            service.profiles.is_empty() || service.profiles.iter().any(active)
        };
        let others = project.disabled_services.values().filter(|service| enabled(service));
        let mut lowering = Lowering::new(project, self.options);
        let all = project.services.values().chain(others);
        let all: Vec<_> = all.filter_map(|service| lowering.service(service)).collect();
        let infra = self.infra(&all, &shared);
        for service in services.iter_mut().filter(|service| service.provider.is_none()) {
            join(service, &infra.container.name, &shared);
        }
        services.insert(0, infra);
    }

    fn infra(&self, services: &[DesiredService], shared: &BTreeSet<PodNamespace>) -> DesiredService {
        let image = Image::empty();
        let name = ContainerName(format!("{}{}infra", self.project.name, self.separator()));
        let mut spec = ContainerSpec::new(name, &self.pod(), INFRA, image.reference.clone());
        spec.process.init = true;
        spec.restart = RestartPolicy::Always;
        // Nothing runs in it that could want time to end.
        spec.stop_grace = Some(Duration::ZERO);
        spec.log.none = true;
        if shared.contains(&PodNamespace::Uts) {
            spec.hostname = Some(self.project.name.clone());
        }
        if shared.contains(&PodNamespace::Net) {
            take_network(&mut spec, services);
        }
        spec.labels = self.infra_labels(&spec);
        DesiredService {
            name: INFRA.to_owned(),
            selected: false,
            replicas: 1,
            container: spec,
            fixed_name: true,
            separator: self.separator().to_owned(),
            depends_on: vec![],
            image: ImageNeed::settled(image.reference, image.manifest),
            bound_to: vec![],
            place: self
                .project
                .pod_place()
                .map(|place| self.options.sources.place(place))
                .unwrap_or_default(),
            pre_start: vec![],
            provider: None,
            update: None,
            builds: vec![],
            mounted_images: vec![],
            places: if shared.contains(&PodNamespace::Net) {
                let of_network =
                    |asked: &&PartPlace| matches!(asked.part, Part::Port(_) | Part::Address { .. });
                let places = services.iter().flat_map(|service| &service.places);
                places.filter(of_network).cloned().collect()
            } else {
                vec![]
            },
        }
    }

    /// The hash leaves out what changes in place: ports and names.
    fn infra_labels(&self, spec: &ContainerSpec) -> resource::Labels {
        let mut fixed = spec.clone();
        fixed.ports.clear();
        fixed.endpoints.iter_mut().for_each(|endpoint| endpoint.aliases.clear());
        let hash = hash(serde_json::to_string(&fixed).unwrap_or_default());
        let mut labels = self.pod_labels();
        labels.insert(label::CONFIG_HASH.to_owned(), hash);
        labels.insert(label::CONTAINER_NUMBER.to_owned(), "1".to_owned());
        labels
    }
}

/// Gives the infra the networks, names and ports of all services. Of a network that several are on,
/// the first to say so decides the address.
fn take_network(infra: &mut ContainerSpec, services: &[DesiredService]) {
    infra.network_mode = NetworkMode::Networks;
    for service in services {
        for endpoint in &service.container.endpoints {
            let same = |known: &&mut EndpointSpec| known.network == endpoint.network;
            match infra.endpoints.iter_mut().find(same) {
                None => infra.endpoints.push(endpoint.clone()),
                Some(known) => {
                    let new = endpoint.aliases.iter().filter(|alias| !known.aliases.contains(alias));
                    let new: Vec<_> = new.cloned().collect();
                    known.aliases.extend(new);
                    known.ipv4 = known.ipv4.or(endpoint.ipv4);
                    known.ipv6 = known.ipv6.or(endpoint.ipv6);
                    extend(&mut known.link_local, &endpoint.link_local);
                    extend(&mut known.sysctls, &endpoint.sysctls);
                }
            }
        }
        let spec = &service.container;
        infra.ports.extend(spec.ports.iter().cloned());
        extend(&mut infra.dns, &spec.dns);
        extend(&mut infra.dns_search, &spec.dns_search);
        extend(&mut infra.dns_options, &spec.dns_options);
        extend(&mut infra.extra_hosts, &spec.extra_hosts);
        extend(&mut infra.links, &spec.links);
    }
}

/// Adds what is not there yet.
fn extend<T: Clone + PartialEq>(list: &mut Vec<T>, more: &[T]) {
    for value in more {
        if !list.contains(value) {
            list.push(value.clone());
        }
    }
}

/// Lets a service's containers join the infra. They keep their ports on record: the infra publishes
/// them, and `ps` tells whose they are.
fn join(service: &mut DesiredService, infra: &ContainerName, shared: &BTreeSet<PodNamespace>) {
    let spec = &mut service.container;
    for namespace in shared {
        let joined = IdentityShare::Container(infra.clone());
        match namespace {
            PodNamespace::Net => {
                spec.network_mode = NetworkMode::Container(infra.clone());
                spec.endpoints.clear();
            }
            PodNamespace::Ipc => spec.ipc = joined,
            PodNamespace::Uts => spec.uts = joined,
            PodNamespace::Pid => spec.pid = joined,
        }
    }
    let words: Vec<_> = shared.iter().map(|namespace| namespace.as_str()).collect();
    if let Some(own) = spec.labels.get_mut(label::CONFIG_HASH) {
        *own = hash(format!("{own} {}", words.join(",")));
    }
    let depends_on = spec.labels.entry(label::DEPENDS_ON.to_owned()).or_default();
    let separator = if depends_on.is_empty() { "" } else { "," };
    depends_on.push_str(&format!("{separator}{INFRA}:service_started:false"));
    service.bound_to.push(INFRA.to_owned());
    let (service_name, condition) = (INFRA.to_owned(), Condition::Started);
    service.depends_on.push(Dependency { service: service_name, condition, restart: false, required: true });
}
