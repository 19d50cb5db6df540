//! The labels of `commands.md` §4, written and read back.

use crate::lowering::{Lowering, hash};
use crate::order;
use compose_spec::Service;
use compose_spec::model::Condition as Wanted;
use resource::{
    Condition, Dependency, Desired, DesiredService, ImageNeed, Labels, MountSpec, Observed,
    ObservedContainer, PodName, label,
};
use std::collections::BTreeMap;

impl Lowering<'_> {
    /// Labels of the pod.
    pub(crate) fn pod_labels(&self) -> Labels {
        let mut labels = self.everywhere();
        labels.extend(self.provenance());
        labels
    }

    /// Labels of a container: the user's, then the managed ones, which win.
    ///
    /// The hash covers what secrets and configs contain, and what is told of models: others make another
    /// container.
    pub(crate) fn container_labels(
        &self,
        service: &Service,
        mounts: &[MountSpec],
        told: &BTreeMap<String, Option<String>>,
    ) -> Labels {
        let mut labels = service.labels.clone();
        labels.extend(self.everywhere());
        labels.extend(self.provenance());
        let mut put = |key: &str, value: String| labels.insert(key.to_owned(), value);
        put(label::SERVICE, service.name.clone());
        put(label::CONTAINER_NUMBER, "1".to_owned());
        put(label::ONE_OFF, "False".to_owned());
        put(label::CONFIG_HASH, hash(definition(service, mounts, told)));
        let depends_on: Vec<_> = service
            .depends_on
            .iter()
            .map(|(name, dependency)| format!("{name}:{}:{}", word(dependency.condition), dependency.restart))
            .collect();
        put(label::DEPENDS_ON, depends_on.join(","));
        labels
    }

    /// What everything of the project bears.
    pub(crate) fn everywhere(&self) -> Labels {
        [(label::PROJECT, self.project.name.clone()), (label::VERSION, self.options.version.to_owned())]
            .map(|(key, value)| (key.to_owned(), value))
            .into()
    }

    /// Where the project comes from.
    fn provenance(&self) -> Labels {
        let joined = |paths: &[std::path::PathBuf]| {
            paths.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(",")
        };
        let mut labels: Labels = [
            (label::CONFIG_FILES, joined(&self.project.files)),
            (label::WORKING_DIR, self.project.directory.to_string_lossy().into_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        if let Some(copy) = &self.project.copy {
            labels.insert(label::ORIGIN.to_owned(), copy.origin.clone());
        }
        if !self.project.environment_files.is_empty() {
            labels.insert(label::ENVIRONMENT_FILE.to_owned(), joined(&self.project.environment_files));
        }
        labels
    }
}

/// All that a container is made of, as text.
fn definition(service: &Service, mounts: &[MountSpec], told: &BTreeMap<String, Option<String>>) -> String {
    let contents = mounts.iter().filter_map(|mount| match mount {
        MountSpec::Content { content, target, .. } => Some(format!("\n{target} {}", hash(content))),
        MountSpec::File { sha256, target, .. } => Some(format!("\n{target} {sha256}")),
        _ => None,
    });
    let told = told.iter().map(|(name, value)| format!("\n{name}={}", value.as_deref().unwrap_or_default()));
    std::iter::once(service.canonical_json()).chain(contents).chain(told).collect()
}

fn word(condition: Wanted) -> &'static str {
    match condition {
        Wanted::Started => "service_started",
        Wanted::Healthy => "service_healthy",
        Wanted::CompletedSuccessfully => "service_completed_successfully",
    }
}

/// What is wanted, as far as the labels of what exists tell: for commands that are given only a
/// project's name. Every service is selected, with as many replicas as there are containers.
pub fn from_labels(pod: &PodName, observed: &Observed) -> Desired {
    let mut by_service: BTreeMap<&str, Vec<&ObservedContainer>> = BTreeMap::new();
    for container in observed.containers.iter().filter(|container| container.record.spec.number.is_some()) {
        by_service.entry(&container.record.spec.service).or_default().push(container);
    }
    let services =
        by_service.into_iter().filter_map(|(name, containers)| read_service(name, &containers)).collect();
    let ours = |labels: &Labels| labels.get(label::PROJECT).is_some_and(|project| *project == pod.0);
    let networks = observed.networks.iter().map(|network| network.record.spec.clone());
    let volumes = observed.volumes.iter().filter(|volume| !volume.record.anonymous);
    let services = order::dependencies_first(services);
    Desired {
        pod: pod.clone(),
        labels: observed.pod.as_ref().map(|pod| pod.labels.clone()).unwrap_or_default(),
        pod_resources: observed.pod.as_ref().map(|pod| pod.resources.clone()).unwrap_or_default(),
        networks: networks.filter(|network| ours(&network.labels)).collect(),
        network_places: BTreeMap::new(),
        volume_places: BTreeMap::new(),
        volumes: volumes
            .map(|volume| volume.record.spec.clone())
            .filter(|volume| ours(&volume.labels))
            .collect(),
        known_services: services.iter().map(|service| service.name.clone()).collect(),
        services,
    }
}

fn read_service(name: &str, containers: &[&ObservedContainer]) -> Option<DesiredService> {
    let first = containers.iter().min_by_key(|container| container.record.spec.number)?;
    let spec = &first.record.spec;
    let depends_on = spec.labels.get(label::DEPENDS_ON).map_or("", String::as_str);
    Some(DesiredService {
        name: name.to_owned(),
        selected: true,
        replicas: u32::try_from(containers.len()).unwrap_or(u32::MAX),
        container: spec.clone(),
        fixed_name: false,
        separator: "-".to_owned(),
        depends_on: depends_on.split(',').filter_map(read_dependency).collect(),
        image: ImageNeed::settled(spec.image.clone(), first.record.manifest.clone()),
        bound_to: vec![],
        place: String::new(),
        pre_start: vec![],
        mounted_images: vec![],
        provider: None,
        update: None,
        places: vec![],
        builds: vec![],
    })
}

/// Reads `db:service_healthy:true`.
fn read_dependency(text: &str) -> Option<Dependency> {
    let mut parts = text.split(':');
    let service = parts.next().filter(|service| !service.is_empty())?.to_owned();
    let condition = match parts.next() {
        Some("service_healthy") => Condition::Healthy,
        Some("service_completed_successfully") => Condition::CompletedSuccessfully,
        _ => Condition::Started,
    };
    Some(Dependency { service, condition, restart: parts.next() == Some("true"), required: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dependency_label_reads_back() {
        let read = read_dependency("db:service_healthy:true").unwrap();
        assert_eq!((read.service.as_str(), read.condition, read.restart), ("db", Condition::Healthy, true));
        assert_eq!(read_dependency(""), None);
    }
}
