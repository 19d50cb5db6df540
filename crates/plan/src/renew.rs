//! Which networks and volumes are made anew because their own definition changed.

use crate::judge::volumes;
use crate::world::World;
use crate::{Orphans, Plan, Policy, Question, Reason, Step, Warning, difference};
use resource::{NetworkName, ObservedContainer, VolumeName, label};
use std::collections::HashSet;

/// What is made anew.
#[derive(Default)]
pub(crate) struct Renewed {
    pub(crate) networks: HashSet<NetworkName>,
    pub(crate) volumes: HashSet<VolumeName>,
}

/// Finds the networks and volumes whose definition changed and that may be made anew; asks or warns
/// about the others.
pub(crate) fn renewed(world: &World<'_>, policy: &Policy, plan: &mut Plan) -> Renewed {
    let orphans = if policy.orphans == Orphans::Remove { world.orphans() } else { vec![] };
    // Containers that this command can make anew, or removes anyway.
    let movable = |container: &&ObservedContainer| {
        let spec = &container.record.spec;
        (spec.number.is_some() && world.index.contains_key(spec.service.as_str()))
            || orphans.iter().any(|orphan| orphan.record.id == container.record.id)
    };
    let (ours, fixed): (Vec<_>, Vec<_>) = world.observed.containers.iter().partition(movable);
    let mut renewed = Renewed::default();
    networks(world, &fixed, plan, &mut renewed);
    for spec in world.desired.volumes.iter().filter(|volume| !volume.external) {
        let Some(volume) = world.volume(&spec.name) else { continue };
        if !world.owns(&volume.record.spec.labels) {
            plan.warnings.push(Warning::ForeignVolume(spec.name.clone()));
            continue;
        }
        if volume.record.spec.labels.get(label::CONFIG_HASH) == spec.labels.get(label::CONFIG_HASH) {
            continue;
        }
        let is_ours = |name: &resource::ContainerName| ours.iter().any(|one| one.record.spec.name == *name);
        let mut others: Vec<_> = volume.used_by.iter().filter(|name| !is_ours(name)).cloned().collect();
        let stay = fixed.iter().filter(|one| volumes(one).any(|name| *name == spec.name));
        others.extend(stay.map(|one| one.record.spec.name.clone()));
        others.sort_unstable();
        others.dedup();
        if !others.is_empty() {
            plan.warnings.push(Warning::VolumeKept(spec.name.clone(), others));
        } else if policy.consent.covers(&spec.name) {
            renewed.volumes.insert(spec.name.clone());
        } else {
            let changes = difference::volumes(&volume.record.spec, spec);
            let reason = Reason::VolumeChanged(spec.name.clone(), changes);
            plan.add(Step::Ask(Question::RecreateVolume(spec.name.clone())), reason, None);
        }
    }
    renewed
}

fn networks(world: &World<'_>, fixed: &[&ObservedContainer], plan: &mut Plan, renewed: &mut Renewed) {
    for spec in world.desired.networks.iter().filter(|network| !network.external) {
        let Some(network) = world.network(&spec.name) else { continue };
        if !world.owns(&network.record.spec.labels) {
            plan.warnings.push(Warning::ForeignNetwork(spec.name.clone()));
            continue;
        }
        if network.record.spec.labels.get(label::CONFIG_HASH) == spec.labels.get(label::CONFIG_HASH) {
            continue;
        }
        let mut others = network.used_by_others.clone();
        let stay = fixed.iter().filter(|container| on_network(container, &spec.name));
        others.extend(stay.map(|container| container.record.spec.name.clone()));
        if others.is_empty() {
            renewed.networks.insert(spec.name.clone());
        } else {
            plan.warnings.push(Warning::NetworkKept(spec.name.clone(), others));
        }
    }
}

/// Whether a container has an endpoint on a network; a stopped one keeps its address there, too.
pub(crate) fn on_network(container: &ObservedContainer, network: &NetworkName) -> bool {
    container.record.endpoints.iter().any(|endpoint| endpoint.spec.network == *network)
}
