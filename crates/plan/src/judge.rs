//! What becomes of each container: kept, replaced, removed; and which new ones are made. Pure
//! comparison, no step yet.

use crate::renew::Renewed;
use crate::world::{World, lasting};
use crate::{Policy, Reason, Recreate, difference};
use resource::{
    ContainerName, DesiredService, MountSpec, NetworkMode, NetworkName, ObservedContainer, VolumeName, label,
};

/// What becomes of one replica.
pub(crate) enum Fate<'a> {
    /// It is what is wanted.
    Keep(&'a ObservedContainer),
    /// It is what is wanted, but its predecessor is still there or it still has its temporary name.
    Finish {
        /// The replacement.
        new: &'a ObservedContainer,
        /// What it replaces, if that is still there.
        old: Option<&'a ObservedContainer>,
    },
    /// Another takes its place.
    Replace {
        /// It.
        old: &'a ObservedContainer,
        /// Why.
        reason: Reason,
    },
    /// There is none with this number yet.
    Create {
        /// The number.
        number: u32,
        /// Why.
        reason: Reason,
    },
}

/// What becomes of a service.
pub(crate) struct Judged<'a> {
    /// Its replicas, by number.
    pub(crate) fates: Vec<Fate<'a>>,
    /// Containers that are too many.
    pub(crate) surplus: Vec<(&'a ObservedContainer, Reason)>,
}

impl Judged<'_> {
    /// Whether a replica is replaced.
    pub(crate) fn remade(&self) -> bool {
        self.fates.iter().any(|fate| matches!(fate, Fate::Replace { .. }))
    }
}

/// A container and the reason for which it is not as wanted.
type Candidate<'a> = (&'a ObservedContainer, Option<Reason>);

/// Judges every service, dependencies first.
pub(crate) fn judge<'a>(world: &World<'a>, policy: &Policy, renewed: &Renewed) -> Vec<Judged<'a>> {
    let mut judged: Vec<Judged<'a>> = Vec::with_capacity(world.desired.services.len());
    for service in &world.desired.services {
        let bound = service.bound_to.iter().find(|name| {
            world.index.get(name.as_str()).and_then(|index| judged.get(*index)).is_some_and(Judged::remade)
        });
        let judge = Judge { world, policy, renewed, service, bound };
        judged.push(judge.service());
    }
    judged
}

/// All that the judgement of one service needs.
struct Judge<'a, 'b> {
    world: &'b World<'a>,
    policy: &'b Policy,
    renewed: &'b Renewed,
    service: &'a DesiredService,
    /// A service it is bound to that is made anew.
    bound: Option<&'a String>,
}

impl<'a> Judge<'a, '_> {
    fn service(&self) -> Judged<'a> {
        let existing = self.world.of(&self.service.name);
        let wanted = self.service.replicas;
        let mut surplus = vec![];
        let mut replicas: Vec<(Candidate<'a>, Option<&'a ObservedContainer>)> = vec![];
        for same_number in existing.chunk_by(|one, other| one.record.spec.number == other.record.spec.number)
        {
            let (main, old, rest) = self.one_of(same_number);
            surplus.extend(rest.into_iter().map(|container| (container, Reason::Unfinished)));
            replicas.push(((main, self.divergence(main)), old));
        }
        // Too many: the outdated go first, then the highest numbers.
        while replicas.len() > wanted as usize {
            let outdated = replicas.iter().rposition(|((_, reason), _)| reason.is_some());
            let ((container, _), old) = replicas.remove(outdated.unwrap_or(replicas.len() - 1));
            let reason = || Reason::ScaleDown { service: self.service.name.clone(), wanted };
            surplus.push((container, reason()));
            surplus.extend(old.map(|old| (old, reason())));
        }
        let highest = replicas.iter().filter_map(|((container, _), _)| container.record.spec.number).max();
        let missing = wanted - u32::try_from(replicas.len()).unwrap_or(wanted);
        let reason = || match highest {
            None if wanted == 1 => Reason::Missing,
            _ => Reason::ScaleUp { service: self.service.name.clone(), wanted },
        };
        let mut fates: Vec<_> = replicas.into_iter().map(fate).collect();
        let first = highest.unwrap_or(0) + 1;
        fates.extend((first..first + missing).map(|number| Fate::Create { number, reason: reason() }));
        Judged { fates, surplus }
    }

    /// Of the containers with one number: the one that counts, the one it is about to replace, and
    /// what an interrupted replacement left behind.
    fn one_of(
        &self,
        same: &[&'a ObservedContainer],
    ) -> (&'a ObservedContainer, Option<&'a ObservedContainer>, Vec<&'a ObservedContainer>) {
        let [first, rest @ ..] = same else { unreachable!("chunk_by makes no empty chunk") };
        if rest.is_empty() {
            return (first, None, vec![]);
        }
        let old = same.iter().copied().find(|one| lasting(&one.record.spec.name).is_none());
        let newest = same.iter().copied().filter(|one| old.is_none_or(|old| one.record.id != old.record.id));
        let newest = newest.max_by_key(|one| (one.record.created, &one.record.id));
        let others = |kept: &[&ObservedContainer]| {
            let is_kept = |one: &ObservedContainer| kept.iter().any(|kept| kept.record.id == one.record.id);
            same.iter().copied().filter(|one| !is_kept(one)).collect()
        };
        match (old, newest) {
            (Some(old), Some(new)) if self.divergence(old).is_some() && self.divergence(new).is_none() => {
                (new, Some(old), others(&[old, new]))
            }
            (Some(old), _) => (old, None, others(&[old])),
            (None, Some(new)) => (new, None, others(&[new])),
            (None, None) => (first, None, others(&[first])),
        }
    }

    /// Why the container has to be made anew, if it has.
    fn divergence(&self, container: &ObservedContainer) -> Option<Reason> {
        if let Some(reason) = self.renewal(container) {
            return Some(reason);
        }
        let named = self.service.selected;
        match if named { self.policy.recreate } else { self.policy.recreate_dependencies } {
            Recreate::Never => None,
            // Its own work, or what another command has made since of the same: that of another file or of an older
            // image is neither.
            _ if container.record.created >= self.policy.since => {
                self.changed(container).filter(|_| self.is_of_another(container))
            }
            Recreate::Force => Some(Reason::Forced),
            Recreate::Diverged => self
                .changed(container)
                .or_else(|| self.bound_to(container))
                .or_else(|| self.off_network(container))
                .or_else(|| self.without_volume(container)),
        }
    }

    /// It is on a network, or mounts a volume, that is made anew: whatever the policy, it cannot stay.
    fn renewal(&self, container: &ObservedContainer) -> Option<Reason> {
        let network = container.record.endpoints.iter().map(|endpoint| &endpoint.spec.network);
        if let Some(network) = network.into_iter().find(|network| self.renewed.networks.contains(*network)) {
            return Some(Reason::NetworkChanged(network.clone(), self.network_changes(network)));
        }
        let volume = volumes(container).find(|volume| self.renewed.volumes.contains(*volume));
        volume.map(|volume| Reason::VolumeChanged(volume.clone(), self.volume_changes(volume)))
    }

    fn network_changes(&self, name: &NetworkName) -> Vec<crate::Change> {
        let new = self.world.desired.networks.iter().find(|network| network.name == *name);
        let old = self.world.network(name);
        old.zip(new).map(|(old, new)| difference::networks(&old.record.spec, new)).unwrap_or_default()
    }

    fn volume_changes(&self, name: &VolumeName) -> Vec<crate::Change> {
        let new = self.world.desired.volumes.iter().find(|volume| volume.name == *name);
        let old = self.world.volume(name);
        old.zip(new).map(|(old, new)| difference::volumes(&old.record.spec, new)).unwrap_or_default()
    }

    /// Its definition or its image is another.
    fn changed(&self, container: &ObservedContainer) -> Option<Reason> {
        let (old, new) = (&container.record.spec, &self.service.container);
        let service = self.service.name.clone();
        if old.labels.get(label::CONFIG_HASH) != new.labels.get(label::CONFIG_HASH) {
            // The document of a container has its image's labels, too.
            let mut old = old.clone();
            let image = self.world.found(&self.service.image);
            for (key, value) in image.into_iter().flat_map(|image| &image.config.labels) {
                if !new.labels.contains_key(key) && old.labels.get(key) == Some(value) {
                    old.labels.remove(key);
                }
            }
            return Some(Reason::Changed { service, changes: difference::containers(&old, new) });
        }
        if self.is_told() && old.labels.get(label::PROVIDED) != new.labels.get(label::PROVIDED) {
            return Some(Reason::Changed { service, changes: difference::containers(old, new) });
        }
        let image = self.world.image(&self.service.image)?;
        let changed = |field: &str, key: String| Reason::Changed {
            service: service.clone(),
            changes: vec![crate::Change { field: field.to_owned(), keys: vec![key] }],
        };
        if *image != container.record.manifest {
            let digest: String = image.as_str().chars().take("sha256:".len() + 12).collect();
            return Some(changed("image", format!("{} is now {digest}", new.image.written())));
        }
        let mounted = old.labels.get(label::IMAGE_VOLUME_DIGEST)?;
        let wanted = self.world.mounted_images(self.service)?;
        let other = wanted.split(',').find(|one| !mounted.split(',').any(|other| other == *one))?;
        let (target, digest) = other.split_once('=').unwrap_or((other, ""));
        let digest: String = digest.chars().take("sha256:".len() + 12).collect();
        Some(changed("mounted image", format!("{target} is now {digest}")))
    }

    /// Whether it was made of another definition or another image.
    fn is_of_another(&self, container: &ObservedContainer) -> bool {
        let (old, new) = (&container.record.spec, &self.service.container);
        let image = self.world.image(&self.service.image);
        old.labels.get(label::CONFIG_HASH) != new.labels.get(label::CONFIG_HASH)
            || image.is_some_and(|image| *image != container.record.manifest)
    }

    /// Whether all that providers have for the service is in what is wanted of it.
    fn is_told(&self) -> bool {
        let on = self.service.depends_on.iter().filter_map(|on| self.world.service(&on.service));
        on.into_iter().all(|on| {
            let assumed = matches!(self.policy.provided.get(&on.name), Some(crate::Provided::Assumed(_)));
            assumed || !crate::provide::is_pending(self.policy, on)
        })
    }

    fn bound_to(&self, _: &ObservedContainer) -> Option<Reason> {
        let with = self.bound?.clone();
        Some(Reason::Bound { service: self.service.name.clone(), with })
    }

    /// It lacks an endpoint on an expected network, or has one on a network of that name that is gone.
    fn off_network(&self, container: &ObservedContainer) -> Option<Reason> {
        let wanted = &self.service.container;
        if wanted.network_mode != NetworkMode::Networks {
            return None;
        }
        let lacks = wanted.endpoints.iter().find(|wish| {
            let endpoint = container.record.endpoints.iter().find(|place| place.spec.network == wish.network);
            let network = self.world.network(&wish.network);
            endpoint.zip(network).is_none_or(|(endpoint, network)| endpoint.bridge != network.record.bridge)
        })?;
        let lacks = format!("not on network {}", lacks.network);
        Some(Reason::Detached { service: self.service.name.clone(), lacks })
    }

    fn without_volume(&self, container: &ObservedContainer) -> Option<Reason> {
        let wanted = self.service.container.mounts.iter().filter_map(|mount| match mount {
            MountSpec::Volume { source: Some(source), .. } => Some(source),
            _ => None,
        });
        let lacks = wanted.into_iter().find(|wanted| volumes(container).all(|mounted| mounted != *wanted))?;
        let lacks = format!("not mounting volume {lacks}");
        Some(Reason::Detached { service: self.service.name.clone(), lacks })
    }
}

fn fate<'a>((candidate, old): (Candidate<'a>, Option<&'a ObservedContainer>)) -> Fate<'a> {
    let (container, reason) = candidate;
    match (reason, old) {
        (Some(reason), _) => Fate::Replace { old: container, reason },
        (None, Some(old)) => Fate::Finish { new: container, old: Some(old) },
        // A name that looks temporary may be the user's own choice: then it is what was asked for.
        (None, None) if lasting(&container.record.spec.name).is_some() => {
            Fate::Finish { new: container, old: None }
        }
        (None, None) => Fate::Keep(container),
    }
}

/// The named volumes that a container mounts.
pub(crate) fn volumes(container: &ObservedContainer) -> impl Iterator<Item = &VolumeName> {
    let mounted = container.record.mounts.iter().filter_map(resource::Mount::volume);
    mounted.filter(|(_, anonymous)| !anonymous).map(|(volume, _)| volume)
}

/// The name of a service's replica with this number.
pub(crate) fn name_of(pod: &resource::PodName, service: &DesiredService, number: u32) -> ContainerName {
    if service.fixed_name {
        return service.container.name.clone();
    }
    let separator = &service.separator;
    ContainerName(format!("{pod}{separator}{}{separator}{number}", service.name))
}
