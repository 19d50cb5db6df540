//! `down`: containers in reverse order of dependency, then networks, volumes, images and the pod.
//!
//! It starts from what is there, not from what should be, so it also ends what was begun and never
//! finished, and doing it again does nothing.

use crate::hooks::is_hook;
use crate::lifecycle::stop_in_order;
use crate::provide;
use crate::world::World;
use crate::{Orphans, Plan, Policy, ProviderAct, Reason, RemoveImages, Step, StepId, Warning};
use resource::{
    ContainerId, ContainerName, DesiredService, MountSpec, NetworkName, ObservedContainer, VolumeName, label,
};
use std::collections::{HashMap, HashSet};

/// The flags of `down`.
#[derive(Clone, Copy)]
pub(crate) struct Flags {
    pub(crate) whole: bool,
    pub(crate) volumes: bool,
    pub(crate) images: RemoveImages,
}

/// Plans `down`.
pub(crate) fn down(world: &World<'_>, policy: &Policy, flags: Flags) -> Plan {
    let mut plan = Plan::default();
    let is_asked = |service: &DesiredService| flags.whole || service.selected;
    let which = |service: &DesiredService, _: &ObservedContainer| is_asked(service).then_some(Reason::Asked);
    let end = |service: &DesiredService| is_asked(service).then_some(ProviderAct::Down);
    let mut stops = stop_in_order(&mut plan, world, policy, &which, &end);
    let asked: Vec<StepId> = plan
        .steps()
        .filter(|(_, planned)| matches!(planned.step, Step::Provide(_)))
        .map(|(id, _)| id)
        .collect();
    let leaving: Vec<_> = leaving(world, policy, flags).collect();
    for (container, reason) in &leaving {
        let id = &container.record.id;
        if let Some(step) =
            super::converge::stop_step(container, policy, reason).filter(|_| !stops.contains_key(id))
        {
            stops.insert(id, plan.add(step, reason.clone(), None));
        }
    }
    let mut removals: HashMap<&ContainerId, StepId> = HashMap::new();
    for (container, reason) in &leaving {
        let id = &container.record.id;
        let step = Step::RemoveContainer {
            container: container.record.spec.name.clone(),
            id: id.clone(),
            volumes: flags.volumes,
        };
        removals.insert(id, plan.add(step, reason.clone(), stops.get(id).copied()));
    }
    let mut last = networks(&mut plan, world, flags, &stops, &removals);
    if flags.volumes {
        last.extend(volumes(&mut plan, world, flags, &removals));
    }
    images(&mut plan, world, flags, &removals);
    let empty = removals.len() == world.observed.containers.len();
    if let Some(pod) = world.observed.pod.as_ref().filter(|_| flags.whole && empty) {
        let mut after: Vec<_> = removals.into_values().chain(last).chain(asked).collect();
        after.sort_unstable();
        plan.add(Step::RemovePod { pod: pod.name.clone() }, Reason::Asked, after);
    }
    if plan.is_empty() && policy.provided.is_empty() {
        plan.warnings.push(Warning::NothingToDo);
    }
    plan.failures = provide::failures(world, policy);
    plan
}

/// The containers that go, and why, sorted as they are observed.
fn leaving<'a>(
    world: &World<'a>,
    policy: &Policy,
    flags: Flags,
) -> impl Iterator<Item = (&'a ObservedContainer, Reason)> {
    world.observed.containers.iter().filter_map(move |container| {
        let spec = &container.record.spec;
        let known = world.knows(&spec.service);
        let asked = match world.service(&spec.service) {
            Some(service) => flags.whole || service.selected,
            None => flags.whole && known,
        };
        if (spec.number.is_some() || is_hook(container)) && asked {
            return Some((container, Reason::Asked));
        }
        let orphan = flags.whole && policy.orphans == Orphans::Remove && (!known || spec.number.is_none());
        orphan.then(|| (container, if known { Reason::Asked } else { Reason::Orphan(spec.service.clone()) }))
    })
}

/// Removes the project's networks that nothing runs on any more.
fn networks(
    plan: &mut Plan,
    world: &World<'_>,
    flags: Flags,
    stops: &HashMap<&ContainerId, StepId>,
    removals: &HashMap<&ContainerId, StepId>,
) -> Vec<StepId> {
    let wanted: HashSet<&NetworkName> = world
        .desired
        .networks
        .iter()
        .filter(|network| !network.external)
        .map(|network| &network.name)
        .collect();
    let mut steps = vec![];
    for network in &world.observed.networks {
        let spec = &network.record.spec;
        if !world.owns(&spec.labels) || spec.external || !(flags.whole || wanted.contains(&spec.name)) {
            continue;
        }
        let on_it = |container: &&ObservedContainer| {
            container.record.endpoints.iter().any(|endpoint| endpoint.spec.network == spec.name)
        };
        let mut users: Vec<ContainerName> = network.used_by_others.clone();
        let (mut stopped, mut after) = (vec![], vec![]);
        for container in world.observed.containers.iter().filter(on_it) {
            stopped.extend(stops.get(&container.record.id));
            match removals.get(&container.record.id) {
                Some(removal) => after.push(*removal),
                // A stopped container keeps its address, and so its network.
                None => users.push(container.record.spec.name.clone()),
            }
        }
        if users.is_empty() {
            if network.up && !after.is_empty() {
                let step = Step::LowerNetwork { network: spec.name.clone() };
                after.push(plan.add(step, Reason::Asked, stopped));
            }
            let step = Step::RemoveNetwork { network: spec.name.clone() };
            steps.push(plan.add(step, Reason::Asked, after));
        } else {
            plan.warnings.push(Warning::NetworkInUse(spec.name.clone(), users));
        }
    }
    steps
}

/// Removes the declared volumes that nothing mounts any more: all of them, or those of the services that are
/// asked for and of what these depend on.
fn volumes(
    plan: &mut Plan,
    world: &World<'_>,
    flags: Flags,
    removals: &HashMap<&ContainerId, StepId>,
) -> Vec<StepId> {
    let asked = (!flags.whole).then(|| volumes_of_selected(world));
    let is_asked = |name: &VolumeName| asked.as_ref().is_none_or(|asked| asked.contains(name));
    let mut steps = vec![];
    for spec in world.desired.volumes.iter().filter(|volume| !volume.external && is_asked(&volume.name)) {
        let Some(volume) = world.volume(&spec.name).filter(|volume| world.owns(&volume.record.spec.labels))
        else {
            continue;
        };
        let removed: HashMap<&ContainerName, StepId> = world
            .observed
            .containers
            .iter()
            .filter_map(|container| Some((&container.record.spec.name, *removals.get(&container.record.id)?)))
            .collect();
        let users: Vec<_> =
            volume.used_by.iter().filter(|name| !removed.contains_key(name)).cloned().collect();
        if users.is_empty() {
            let after: Vec<_> = volume.used_by.iter().filter_map(|name| removed.get(name).copied()).collect();
            let volume: VolumeName = spec.name.clone();
            steps.push(plan.add(Step::RemoveVolume { volume }, Reason::Asked, after));
        } else {
            plan.warnings.push(Warning::VolumeInUse(spec.name.clone(), users));
        }
    }
    steps
}

/// The named volumes of the selected services and of what they depend on.
fn volumes_of_selected<'a>(world: &World<'a>) -> HashSet<&'a VolumeName> {
    let mut services: HashSet<&str> = HashSet::new();
    // Dependents come after what they depend on.
    for service in world.desired.services.iter().rev() {
        if service.selected || services.contains(service.name.as_str()) {
            services.insert(&service.name);
            services.extend(service.depends_on.iter().map(|dependency| dependency.service.as_str()));
        }
    }
    let asked = world.desired.services.iter().filter(|service| services.contains(service.name.as_str()));
    let mounts = asked.flat_map(|service| &service.container.mounts);
    let named = mounts.filter_map(|mount| match mount {
        MountSpec::Volume { source, .. } => source.as_ref(),
        _ => None,
    });
    named.collect()
}

/// Removes the images of the services, or those built for the project.
fn images(plan: &mut Plan, world: &World<'_>, flags: Flags, removals: &HashMap<&ContainerId, StepId>) {
    if flags.images == RemoveImages::None {
        return;
    }
    let services = world.desired.services.iter().filter(|service| flags.whole || service.selected);
    let named: HashSet<_> = services.map(|service| &service.image.reference).collect();
    let mut after: Vec<_> = removals.values().copied().collect();
    after.sort_unstable();
    let mut removed = HashSet::new();
    for image in &world.observed.images {
        let built =
            image.config.labels.get(label::PROJECT).is_some_and(|project| *project == world.desired.pod.0);
        // Several services may want the same image, and one reference have several platforms.
        let is_wanted = named.contains(&image.reference) && (flags.images == RemoveImages::All || built);
        if is_wanted && removed.insert(&image.reference) {
            let step = Step::RemoveImage { reference: image.reference.clone() };
            plan.add(step, Reason::Asked, after.iter().copied());
        }
    }
}
