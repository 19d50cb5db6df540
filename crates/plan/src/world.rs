//! What is observed, sorted by what is asked of it: which container is whose, and what is ours.

use resource::{
    ContainerName, Desired, DesiredService, Digest, ImageNeed, Labels, MountSpec, NetworkName, Observed,
    ObservedContainer, ObservedNetwork, ObservedVolume, Platform, Status, VolumeName, label,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Desired and observed, with indexes. Containers are those of the pod, hence the project's own.
pub(crate) struct World<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) observed: &'a Observed,
    /// Place in `desired.services` by name.
    pub(crate) index: HashMap<&'a str, usize>,
    /// Replicas of each service of the pod, wanted or not, by number, then name.
    pub(crate) replicas: BTreeMap<&'a str, Vec<&'a ObservedContainer>>,
    /// Containers of `run`.
    pub(crate) one_offs: Vec<&'a ObservedContainer>,
    known: HashSet<&'a str>,
    networks: HashMap<&'a str, &'a ObservedNetwork>,
    volumes: HashMap<&'a str, &'a ObservedVolume>,
}

impl<'a> World<'a> {
    pub(crate) fn new(desired: &'a Desired, observed: &'a Observed) -> Self {
        let mut replicas: BTreeMap<&str, Vec<&ObservedContainer>> = BTreeMap::new();
        let mut one_offs = vec![];
        for container in &observed.containers {
            if container.record.spec.number.is_some() {
                replicas.entry(container.record.spec.service.as_str()).or_default().push(container);
            } else {
                one_offs.push(container);
            }
        }
        for containers in replicas.values_mut() {
            containers.sort_by_key(|container| (container.record.spec.number, &container.record.spec.name));
        }
        let index: HashMap<_, _> = desired
            .services
            .iter()
            .enumerate()
            .map(|(index, service)| (service.name.as_str(), index))
            .collect();
        let known = desired.known_services.iter().map(String::as_str).chain(index.keys().copied()).collect();
        let networks =
            observed.networks.iter().map(|network| (network.record.spec.name.as_str(), network)).collect();
        let volumes =
            observed.volumes.iter().map(|volume| (volume.record.spec.name.as_str(), volume)).collect();
        Self { desired, observed, index, replicas, one_offs, known, networks, volumes }
    }

    /// The wanted service with this name.
    pub(crate) fn service(&self, name: &str) -> Option<&'a DesiredService> {
        self.index.get(name).map(|index| &self.desired.services[*index])
    }

    /// The replicas of a service that exist.
    pub(crate) fn of(&self, service: &str) -> &[&'a ObservedContainer] {
        self.replicas.get(service).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn network(&self, name: &NetworkName) -> Option<&'a ObservedNetwork> {
        self.networks.get(name.as_str()).copied()
    }

    pub(crate) fn volume(&self, name: &VolumeName) -> Option<&'a ObservedVolume> {
        self.volumes.get(name.as_str()).copied()
    }

    /// Whether an object with these labels belongs to the project.
    pub(crate) fn owns(&self, labels: &Labels) -> bool {
        labels.get(label::PROJECT).is_some_and(|project| *project == self.desired.pod.0)
    }

    /// Whether the file, or what is wanted, has a service with this name.
    pub(crate) fn knows(&self, service: &str) -> bool {
        self.known.contains(service)
    }

    /// Containers of services that are gone from the file, and one-offs that have ended.
    pub(crate) fn orphans(&self) -> Vec<&'a ObservedContainer> {
        let unknown = |container: &&ObservedContainer| !self.knows(&container.record.spec.service);
        let ended = self.one_offs.iter().filter(|container| {
            (!active(container) && !crate::hooks::is_hook(container)) || unknown(container)
        });
        let gone = self.replicas.values().flatten().filter(|container| unknown(container));
        let mut orphans: Vec<_> = gone.chain(ended).copied().collect();
        orphans.sort_by_key(|container| &container.record.spec.name);
        orphans
    }

    /// The digest of the manifest that a container made now would have.
    pub(crate) fn image(&self, need: &'a ImageNeed) -> Option<&'a Digest> {
        need.resolved.as_ref().or_else(|| self.found(need).map(|image| &image.manifest))
    }

    /// `target=digest` of each image that a container of this service made now would mount, joined by commas;
    /// `None` when it mounts none, or one that is not there.
    pub(crate) fn mounted_images(&self, service: &'a DesiredService) -> Option<String> {
        let mounts = service.container.mounts.iter().filter_map(|mount| match mount {
            MountSpec::Image { source, target, .. } => Some((source, target)),
            _ => None,
        });
        let digests = mounts.map(|(source, target)| {
            let need = service.mounted_images.iter().find(|need| need.reference == *source)?;
            Some(format!("{target}={}", self.image(need)?))
        });
        digests.collect::<Option<Vec<String>>>().filter(|all| !all.is_empty()).map(|all| all.join(","))
    }

    /// The image in the store that satisfies a need.
    pub(crate) fn found(&self, need: &ImageNeed) -> Option<&'a resource::Image> {
        let same = self.observed.images.iter().filter(|image| image.reference == need.reference);
        match &need.platform {
            Some(platform) => same.into_iter().find(|image| fits(&image.platform, platform)),
            None => {
                let mut same = same.peekable();
                let first = same.peek().copied();
                let host = Platform::host();
                same.find(|image| fits(&image.platform, &host)).or(first)
            }
        }
    }
}

/// Whether an image's platform is the one wanted; a variant that was not asked for does not matter.
fn fits(image: &Platform, wanted: &Platform) -> bool {
    image.os == wanted.os
        && image.architecture == wanted.architecture
        && (wanted.variant.is_none() || image.variant.is_none() || image.variant == wanted.variant)
}

/// Whether a container has or will have a process: it has to be stopped before it can be removed.
pub(crate) fn active(container: &ObservedContainer) -> bool {
    matches!(container.state.status, Status::Running | Status::Paused | Status::Restarting)
}

/// Where a container's name is a temporary one, the part that becomes its lasting name.
pub(crate) fn lasting(name: &ContainerName) -> Option<&str> {
    let (id, lasting) = name.0.split_at_checked(12)?;
    let lasting = lasting.strip_prefix('_').filter(|lasting| !lasting.is_empty())?;
    id.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')).then_some(lasting)
}
