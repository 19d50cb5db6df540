//! The verbs that take containers as they are: start, stop, restart, pause, unpause, kill, rm.

use crate::converge::stop_step;
use crate::provide;
use crate::start::{Group, Member, start, why_start};
use crate::world::{World, active};
use crate::{Failure, Orphans, Plan, Policy, ProviderAct, Reason, Step, StepId, Warning};
use resource::{ContainerId, Dependency, DesiredService, INFRA, ObservedContainer, Status};
use std::collections::{HashMap, HashSet};

/// Starts what exists of every wanted service, dependencies first.
pub(crate) fn starting(world: &World<'_>, policy: &Policy) -> Plan {
    let mut plan = Plan::default();
    for service in &world.desired.services {
        if service.selected && service.replicas > 0 && world.of(&service.name).is_empty() {
            plan.failures.push(Failure::NoContainer { service: service.name.clone() });
        }
    }
    if !plan.failures.is_empty() {
        return plan;
    }
    let raised = raise(&mut plan, world);
    let wanted = selected_with_dependencies(world);
    let groups: Vec<_> = world
        .desired
        .services
        .iter()
        .filter(|service| wanted.contains(service.name.as_str()))
        .map(|service| {
            let containers = world.of(&service.name).iter().copied();
            let members = containers.map(|one| member(one, None, why_start(one, policy))).collect();
            Group { service, members, dependencies: service.depends_on.iter().collect() }
        })
        .collect();
    start(&mut plan, world, policy, groups, &raised);
    plan
}

/// The selected services and what they depend on, which comes before them.
fn selected_with_dependencies<'a>(world: &World<'a>) -> HashSet<&'a str> {
    let mut wanted = HashSet::new();
    for service in world.desired.services.iter().rev() {
        if service.selected || wanted.contains(service.name.as_str()) {
            wanted.insert(service.name.as_str());
            wanted.extend(service.depends_on.iter().map(|dependency| dependency.service.as_str()));
            wanted.extend(service.bound_to.iter().map(String::as_str));
        }
    }
    wanted
}

fn member<'a>(container: &'a ObservedContainer, ready: Option<StepId>, start: Option<Reason>) -> Member<'a> {
    Member { name: container.record.spec.name.clone(), existing: Some(container), ready, start, old: None }
}

/// Makes networks exist in the kernel again, as after a reboot.
fn raise(plan: &mut Plan, world: &World<'_>) -> Vec<StepId> {
    let wanted = world.desired.networks.iter().filter_map(|spec| world.network(&spec.name));
    wanted
        .filter(|network| !network.up)
        .map(|network| plan.add(Step::RaiseNetwork(network.record.spec.clone()), Reason::BridgeGone, None))
        .collect()
}

/// Stops the containers, a service only after all that depend on it; returns each container's stop. A provider is
/// asked for what `end` says in the place of its service.
pub(crate) fn stop_in_order<'a>(
    plan: &mut Plan,
    world: &World<'a>,
    policy: &Policy,
    which: &dyn Fn(&DesiredService, &ObservedContainer) -> Option<Reason>,
    end: &dyn Fn(&DesiredService) -> Option<ProviderAct>,
) -> HashMap<&'a ContainerId, StepId> {
    let services = &world.desired.services;
    let mut stops = HashMap::new();
    let mut after: Vec<Vec<StepId>> = vec![vec![]; services.len()];
    for (place, service) in services.iter().enumerate().rev() {
        let mut own = vec![];
        for container in world.of(&service.name) {
            let Some(reason) = which(service, container) else { continue };
            let Some(step) = stop_step(container, policy, &reason) else { continue };
            let step = plan.add(step, reason, after[place].iter().copied());
            stops.insert(&container.record.id, step);
            own.push(step);
        }
        let end = end(service).and_then(|act| provide::end(plan, policy, service, act, &after[place]));
        own.extend(end);
        // With nothing to stop here, what is below still waits for what is above.
        let before = if own.is_empty() { std::mem::take(&mut after[place]) } else { own };
        for dependency in &service.depends_on {
            if let Some(on) = world.index.get(dependency.service.as_str()).filter(|on| **on < place) {
                after[*on].extend(&before);
            }
        }
    }
    stops
}

/// Stops what runs of the selected services.
pub(crate) fn stopping(world: &World<'_>, policy: &Policy) -> Plan {
    let mut plan = Plan::default();
    let end = |service: &DesiredService| service.selected.then_some(ProviderAct::Stop);
    stop_in_order(&mut plan, world, policy, &|service, _| service.selected.then_some(Reason::Asked), &end);
    plan.failures = provide::failures(world, policy);
    plan
}

/// Stops and starts the selected services and, unless told otherwise, all that restart with them. An
/// infra is not stopped: who shares its namespaces goes on in them; but one that has ended is started.
pub(crate) fn restarting(world: &World<'_>, policy: &Policy, no_deps: bool) -> Plan {
    let mut plan = Plan::default();
    let services = &world.desired.services;
    let mut reasons: Vec<Option<Reason>> = Vec::with_capacity(services.len());
    for service in services {
        let cause = service.depends_on.iter().find(|dependency| {
            let on = world.index.get(dependency.service.as_str());
            dependency.restart
                && !no_deps
                && on.is_some_and(|on| reasons.get(*on).is_some_and(Option::is_some))
        });
        reasons.push(match cause {
            _ if service.name == INFRA => None,
            _ if service.selected => Some(Reason::Asked),
            Some(cause) => Some(Reason::RestartsWith {
                dependent: service.name.clone(),
                dependency: cause.service.clone(),
            }),
            None => None,
        });
    }
    let reason = |service: &DesiredService| reasons[world.index[service.name.as_str()]].clone();
    let done = |container: &ObservedContainer| container.state.started.is_some_and(|at| at >= policy.since);
    let which = |service: &DesiredService, container: &ObservedContainer| {
        reason(service).filter(|_| !done(container))
    };
    let stops = stop_in_order(&mut plan, world, policy, &which, &|_| None);
    let raised = raise(&mut plan, world);
    let chosen = services.iter().filter(|service| service.name == INFRA || reason(service).is_some());
    let groups: Vec<_> = chosen
        .map(|service| {
            let containers = world.of(&service.name).iter().copied();
            let members = containers.map(|container| {
                let stopped = stops.get(&container.record.id).copied();
                let wanted = stopped.and_then(|_| reason(service)).or_else(|| why_start(container, policy));
                member(container, stopped, wanted)
            });
            let members = members.collect();
            let awaited = |on: &&Dependency| on.service == INFRA || (on.restart && !no_deps);
            let dependencies = service.depends_on.iter().filter(awaited).collect();
            Group { service, members, dependencies }
        })
        .collect();
    start(&mut plan, world, policy, groups, &raised);
    plan
}

/// Freezes or thaws what can be of the selected services.
pub(crate) fn pausing(world: &World<'_>, pause: bool) -> Plan {
    let mut plan = Plan::default();
    let wanted = if pause { Status::Running } else { Status::Paused };
    for container in selected(world).filter(|container| container.state.status == wanted) {
        let (id, name) = (container.record.id.clone(), container.record.spec.name.clone());
        let step = if pause {
            Step::PauseContainer { container: name, id }
        } else {
            Step::UnpauseContainer { container: name, id }
        };
        plan.add(step, Reason::Asked, None);
    }
    plan
}

/// Signals what runs of the selected services, one-offs included, and orphans if asked to.
pub(crate) fn killing(world: &World<'_>, policy: &Policy, signal: i32) -> Plan {
    let mut plan = Plan::default();
    let one_offs = world.one_offs.iter().copied().filter(|container| is_selected(world, container));
    let orphans = if policy.orphans == Orphans::Remove { world.orphans() } else { vec![] };
    let mut seen = std::collections::HashSet::new();
    for container in selected(world).chain(one_offs).chain(orphans).filter(|container| active(container)) {
        let (id, name) = (container.record.id.clone(), container.record.spec.name.clone());
        if seen.insert(id.clone()) {
            plan.add(Step::KillContainer { container: name, id, signal }, Reason::Asked, None);
        }
    }
    if plan.is_empty() {
        plan.warnings.push(Warning::NothingToDo);
    }
    plan
}

/// Removes what does not run of the selected services, or everything after stopping it.
pub(crate) fn removing(world: &World<'_>, policy: &Policy, stop: bool, volumes: bool) -> Plan {
    let mut plan = Plan::default();
    let stops = if stop {
        let which =
            |service: &DesiredService, _: &ObservedContainer| service.selected.then_some(Reason::Asked);
        stop_in_order(&mut plan, world, policy, &which, &|_| None)
    } else {
        HashMap::new()
    };
    for container in selected(world).filter(|container| stop || !active(container)) {
        let (id, name) = (container.record.id.clone(), container.record.spec.name.clone());
        let stopped = stops.get(&container.record.id).copied();
        plan.add(Step::RemoveContainer { container: name, id, volumes }, Reason::Asked, stopped);
    }
    if plan.is_empty() {
        plan.warnings.push(Warning::NothingToDo);
    }
    plan
}

/// The replicas of the selected services, dependencies first.
fn selected<'a>(world: &World<'a>) -> impl Iterator<Item = &'a ObservedContainer> {
    let services = world.desired.services.iter().filter(|service| service.selected);
    services.flat_map(|service| world.of(&service.name).iter().copied())
}

fn is_selected(world: &World<'_>, container: &ObservedContainer) -> bool {
    world.service(&container.record.spec.service).is_some_and(|service| service.selected)
}
