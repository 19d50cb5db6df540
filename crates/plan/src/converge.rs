//! `up` and `create`: networks, volumes and containers become what is wanted, then everything starts.
//!
//! ```text
//! a replacement:   create <12 of old id>_NAME -> stop old -> remove old -> rename to NAME -> start
//! a new network or volume:
//!                  stop and remove all on it -> remove it -> create it -> create containers -> start
//! ```

use crate::hooks;
use crate::judge::{Fate, Judged, judge, name_of, volumes};
use crate::provide::{self, Hold};
use crate::renew::{Renewed, on_network, renewed};
use crate::start::{Group, Groups, Member, Phase, why_start};
use crate::world::{World, active};
use crate::{Failure, Orphans, Plan, Policy, Reason, Step, StepId, Verb, Warning, difference};
use resource::{
    ContainerId, ContainerName, ContainerSpec, DesiredService, IdentityShare, Mount, MountSpec, NetworkMode,
    NetworkName, ObservedContainer, Predecessor, VolumeName, label,
};
use std::collections::HashMap;

/// Plans `up` and `create`.
pub(crate) fn converge(world: &World<'_>, policy: &Policy) -> Plan {
    let mut plan = Plan::default();
    plan.failures = refusals(world);
    if !plan.failures.is_empty() {
        return plan;
    }
    let renewed = renewed(world, policy, &mut plan);
    let judged = judge(world, policy, &renewed);
    let mut converge = Converge {
        world,
        policy,
        plan,
        judged: &judged,
        pod: None,
        networks: HashMap::new(),
        raised: vec![],
        volumes: HashMap::new(),
        stops: HashMap::new(),
        removals: HashMap::new(),
        early: vec![vec![]; judged.len()],
        placed: Vec::with_capacity(judged.len()),
        names: HashMap::new(),
        asked: vec![None; judged.len()],
        held: vec![],
    };
    converge.pod();
    converge.restarting_dependents();
    converge.orphans();
    converge.all_networks(&renewed);
    converge.all_volumes(&renewed);
    converge.services();
    converge.plan
}

/// What makes the whole undertaking pointless.
fn refusals(world: &World<'_>) -> Vec<Failure> {
    let mut failures = vec![];
    for network in world.desired.networks.iter().filter(|network| network.external) {
        if world.network(&network.name).is_none() {
            let place = world.desired.network_places.get(&network.name).cloned().unwrap_or_default();
            failures.push(Failure::ExternalNetwork { network: network.name.clone(), place });
        }
    }
    for volume in world.desired.volumes.iter().filter(|volume| volume.external) {
        if world.volume(&volume.name).is_none() {
            let place = world.desired.volume_places.get(&volume.name).cloned().unwrap_or_default();
            failures.push(Failure::ExternalVolume { volume: volume.name.clone(), place });
        }
    }
    for service in &world.desired.services {
        if service.fixed_name && service.replicas > 1 {
            failures.push(Failure::FixedName {
                service: service.name.clone(),
                name: service.container.name.clone(),
                replicas: service.replicas,
                place: service.place.clone(),
            });
        }
    }
    failures
}

/// The plan while it is made. Steps of an object are found again by its name or id.
struct Converge<'a, 'b> {
    world: &'b World<'a>,
    policy: &'b Policy,
    plan: Plan,
    judged: &'b [Judged<'a>],
    pod: Option<StepId>,
    networks: HashMap<&'a NetworkName, StepId>,
    raised: Vec<StepId>,
    volumes: HashMap<&'a VolumeName, StepId>,
    stops: HashMap<&'a ContainerId, StepId>,
    removals: HashMap<&'a ContainerId, StepId>,
    /// By service: the stops of running dependents that restart with it; its own containers stop after them.
    early: Vec<Vec<StepId>>,
    /// By service: the steps after which its containers are in place.
    placed: Vec<Vec<StepId>>,
    /// Names that lowering could not foresee: that of a service's first replica when its number is not 1.
    names: HashMap<ContainerName, ContainerName>,
    /// By service: the step that asks its provider.
    asked: Vec<Option<StepId>>,
    /// The steps that ask providers, after which containers of the service at hand are made.
    held: Vec<StepId>,
}

impl<'a> Converge<'a, '_> {
    fn pod(&mut self) {
        let desired = self.world.desired;
        let (pod, resources) = (desired.pod.clone(), Box::new(desired.pod_resources.clone()));
        self.pod = match &self.world.observed.pod {
            None => {
                let step = Step::CreatePod { pod, labels: desired.labels.clone(), resources };
                Some(self.plan.add(step, Reason::Missing, None))
            }
            Some(there) if there.resources != desired.pod_resources => {
                Some(self.plan.add(Step::LimitPod { pod, resources }, Reason::TotalsChanged, None))
            }
            Some(_) => None,
        };
    }

    /// Stops a container once, after the given steps.
    fn stop(
        &mut self,
        container: &'a ObservedContainer,
        reason: Reason,
        after: Vec<StepId>,
    ) -> Option<StepId> {
        let id = &container.record.id;
        if let Some(step) = self.stops.get(id) {
            return Some(*step);
        }
        let step = stop_step(container, self.policy, &reason)?;
        let step = self.plan.add(step, reason, after);
        self.stops.insert(id, step);
        Some(step)
    }

    /// Removes a container once, after its stop and the given steps.
    fn remove(
        &mut self,
        container: &'a ObservedContainer,
        reason: Reason,
        volumes: bool,
        after: Vec<StepId>,
    ) -> StepId {
        let id = &container.record.id;
        if let Some(step) = self.removals.get(id) {
            return *step;
        }
        let after = after.into_iter().chain(self.stops.get(id).copied());
        let step =
            Step::RemoveContainer { container: container.record.spec.name.clone(), id: id.clone(), volumes };
        let step = self.plan.add(step, reason, after.collect::<Vec<_>>());
        self.removals.insert(id, step);
        step
    }

    /// Running containers of services that restart with a remade one are stopped before it is, the
    /// last of a chain first.
    fn restarting_dependents(&mut self) {
        let services = &self.world.desired.services;
        let mut shaken: Vec<bool> = self.judged.iter().map(Judged::remade).collect();
        let mut with: Vec<Option<&str>> = vec![None; services.len()];
        // What waits for a provider is not made anew before that has answered.
        let waits = |service: &DesiredService| {
            let mut on = service.depends_on.iter().filter_map(|on| self.world.service(&on.service));
            on.any(|on| provide::is_pending(self.policy, on))
        };
        for (place, service) in services.iter().enumerate() {
            shaken[place] &= !waits(service);
            let cause = service.depends_on.iter().find(|dependency| {
                dependency.restart
                    && self
                        .world
                        .index
                        .get(dependency.service.as_str())
                        .is_some_and(|on| *on < place && shaken[*on])
            });
            if let Some(cause) = cause {
                with[place] = Some(&cause.service);
                shaken[place] = true;
            }
        }
        for place in (0..services.len()).rev() {
            let Some(dependency) = with[place] else { continue };
            let service = &services[place];
            let before = self.early[place].clone();
            let mut stops = vec![];
            for fate in &self.judged[place].fates {
                let Fate::Keep(container) = fate else { continue };
                let (dependent, dependency) = (service.name.clone(), dependency.to_owned());
                let reason = Reason::RestartsWith { dependent, dependency };
                stops.extend(self.stop(container, reason, before.clone()));
            }
            for dependency in service.depends_on.iter().filter(|dependency| dependency.restart) {
                if let Some(on) = self.world.index.get(dependency.service.as_str()) {
                    self.early[*on].extend(&stops);
                }
            }
        }
    }

    fn all_networks(&mut self, renewed: &Renewed) {
        for spec in &self.world.desired.networks {
            let after = match self.world.network(&spec.name) {
                None => {
                    let step = self.plan.add(Step::CreateNetwork(spec.clone()), Reason::Missing, self.pod);
                    self.networks.insert(&spec.name, step);
                    continue;
                }
                Some(network) if !renewed.networks.contains(&spec.name) => {
                    if !network.up {
                        let step = Step::RaiseNetwork(network.record.spec.clone());
                        let step = self.plan.add(step, Reason::BridgeGone, None);
                        self.raised.push(step);
                    }
                    continue;
                }
                Some(network) => {
                    let changes = difference::networks(&network.record.spec, spec);
                    let reason = Reason::NetworkChanged(spec.name.clone(), changes);
                    let removals = self.remove_all(&reason, |container| on_network(container, &spec.name));
                    let step = Step::RemoveNetwork { network: spec.name.clone() };
                    (self.plan.add(step, reason.clone(), removals), reason)
                }
            };
            let (removed, reason) = after;
            let step = self.plan.add(Step::CreateNetwork(spec.clone()), reason, Some(removed));
            self.networks.insert(&spec.name, step);
        }
    }

    /// Stops and removes every container of the pod of which `which` holds.
    fn remove_all(&mut self, reason: &Reason, which: impl Fn(&ObservedContainer) -> bool) -> Vec<StepId> {
        let containers: Vec<_> = self.world.observed.containers.iter().filter(|one| which(one)).collect();
        for container in &containers {
            self.stop(container, reason.clone(), vec![]);
        }
        containers
            .into_iter()
            .map(|container| self.remove(container, reason.clone(), false, vec![]))
            .collect()
    }

    fn all_volumes(&mut self, renewed: &Renewed) {
        for spec in self.world.desired.volumes.iter().filter(|volume| !volume.external) {
            let (reason, after) = match self.world.volume(&spec.name) {
                None => (Reason::Missing, self.pod),
                Some(_) if !renewed.volumes.contains(&spec.name) => continue,
                Some(volume) => {
                    let changes = difference::volumes(&volume.record.spec, spec);
                    let reason = Reason::VolumeChanged(spec.name.clone(), changes);
                    let mounts = |one: &ObservedContainer| volumes(one).any(|name| *name == spec.name);
                    let removals = self.remove_all(&reason, mounts);
                    let step = Step::RemoveVolume { volume: spec.name.clone() };
                    let removed = self.plan.add(step, reason.clone(), removals);
                    (reason, Some(removed))
                }
            };
            let step = self.plan.add(Step::CreateVolume(spec.clone()), reason, after);
            self.volumes.insert(&spec.name, step);
        }
    }

    fn orphans(&mut self) {
        if self.policy.orphans == Orphans::Ignore {
            return;
        }
        let (infra, orphans): (Vec<_>, Vec<_>) =
            self.world.orphans().into_iter().partition(|orphan| orphan.record.spec.is_infra());
        // The file shares no namespaces any more: nobody asked for this one by name.
        for orphan in infra {
            let reason = Reason::Orphan(orphan.record.spec.service.clone());
            self.stop(orphan, reason.clone(), vec![]);
            self.remove(orphan, reason, false, vec![]);
        }
        if self.policy.orphans == Orphans::Warn {
            let names: Vec<_> = orphans.iter().map(|container| container.record.spec.name.clone()).collect();
            if !names.is_empty() {
                self.plan.warnings.push(Warning::Orphans(names));
            }
            return;
        }
        for orphan in orphans {
            let service = &orphan.record.spec.service;
            let reason =
                if self.world.knows(service) { Reason::Ran } else { Reason::Orphan(service.clone()) };
            self.stop(orphan, reason.clone(), vec![]);
            self.remove(orphan, reason, false, vec![]);
        }
    }

    /// Puts all containers in place, and starts them with `up`. Where a provider has to be asked, service by
    /// service: what depends on it is made after it has answered, and it is asked after what it depends on is
    /// started.
    fn services(&mut self) {
        let services: Vec<&'a DesiredService> = self.world.desired.services.iter().collect();
        let (groups, raised) = (Groups::new(services.len()), std::mem::take(&mut self.raised));
        let starts = self.policy.verb == Verb::Up;
        let (world, policy) = (self.world, self.policy);
        let mut phase = Phase::new(world, policy, &services, &groups, &raised);
        let one_by_one = services.iter().any(|service| provide::is_pending(policy, service));
        for (place, service) in services.iter().enumerate() {
            groups.set(place, self.service(place));
            if starts && one_by_one {
                phase.group(&mut self.plan, place);
                self.asked[place] = phase.asked[place];
            } else if provide::is_pending(policy, service) {
                self.asked[place] =
                    provide::ask_unstarted(&mut self.plan, world, policy, service, &self.asked);
            }
        }
        if starts && !one_by_one {
            (0..services.len()).for_each(|place| phase.group(&mut self.plan, place));
        }
        if starts {
            phase.end(&mut self.plan);
        } else {
            let failures = services.iter().filter(|service| provide::is_needed(world, service));
            self.plan.failures.extend(failures.filter_map(|service| provide::failure(policy, service)));
        }
    }

    /// Puts a service's containers in place.
    fn service(&mut self, place: usize) -> Group<'a> {
        let service = &self.world.desired.services[place];
        let judged = self.judged;
        let hold = provide::hold(self.world, self.policy, place, &self.asked);
        self.held = match &hold {
            Hold::After(steps) => steps.clone(),
            Hold::Free | Hold::Back(_) => vec![],
        };
        for (container, reason) in &judged[place].surplus {
            self.stop(container, reason.clone(), vec![]);
            self.remove(container, reason.clone(), false, vec![]);
        }
        // What is held back stays as it is.
        let stays = |fate: &&Fate<'_>| {
            !matches!(hold, Hold::Back(_)) || matches!(fate, Fate::Keep(_) | Fate::Finish { .. })
        };
        let fates = judged[place].fates.iter().filter(stays);
        let members: Vec<_> = fates.map(|fate| self.fate(place, service, fate)).collect();
        let first = members.first().filter(|first| first.old.is_none());
        if let Some(first) = first.filter(|first| first.name != service.container.name) {
            self.names.insert(service.container.name.clone(), first.name.clone());
        }
        self.placed.push(members.iter().filter_map(|member| member.ready).collect());
        let group = Group { service, members, dependencies: service.depends_on.iter().collect() };
        if let Hold::Back(provided) = &hold {
            provide::note_held(&mut self.plan, self.policy, &group, provided);
        }
        group
    }

    fn fate(&mut self, place: usize, service: &'a DesiredService, fate: &Fate<'a>) -> Member<'a> {
        match fate {
            Fate::Keep(container) => {
                let member = self.kept(container);
                Member { ready: self.updated(service, container).or(member.ready), ..member }
            }
            Fate::Finish { new, old } => {
                let name = name_of(&self.world.desired.pod, service, number(new));
                if old.is_none() && new.record.spec.name == name {
                    return self.kept(new);
                }
                if let Some(old) = old.filter(|_| self.succeeds(service, new)) {
                    let (name, start) = (new.record.spec.name.clone(), why_start(new, self.policy));
                    return Member { name, existing: Some(new), ready: None, start, old: Some(old) };
                }
                let removed = old.map(|old| {
                    self.stop(old, Reason::Unfinished, self.early[place].clone());
                    self.remove(old, Reason::Unfinished, self.policy.renew_anonymous, vec![])
                });
                let step = Step::RenameContainer { from: new.record.spec.name.clone(), to: name.clone() };
                let ready = Some(self.plan.add(step, Reason::Unfinished, removed));
                Member { name, existing: Some(new), ready, start: why_start(new, self.policy), old: None }
            }
            Fate::Create { number, reason } => {
                let name = name_of(&self.world.desired.pod, service, *number);
                let spec = self.spec(service, *number, name.clone(), None);
                let ready = Some(self.create(service, spec, None, reason.clone(), vec![]));
                Member { name, existing: None, ready, start: Some(Reason::New), old: None }
            }
            Fate::Replace { old, reason } => self.replace(place, service, old, reason),
        }
    }

    /// Whether a container that has not taken another's place yet does so while both run. One that runs
    /// already has to, whatever the file says by now: the other one has its ports.
    fn succeeds(&self, service: &DesiredService, new: &ObservedContainer) -> bool {
        active(new) || (self.policy.verb == Verb::Up && service.update.is_some())
    }

    /// A container that stays; it is started when it does not run, or was stopped for another's sake.
    fn kept(&self, container: &'a ObservedContainer) -> Member<'a> {
        let stopped = self.stops.get(&container.record.id).copied();
        let start = match stopped {
            Some(stop) => Some(self.plan.get(stop).reason.clone()),
            None => why_start(container, self.policy),
        };
        Member {
            name: container.record.spec.name.clone(),
            existing: Some(container),
            ready: stopped,
            start,
            old: None,
        }
    }

    /// An infra gets the ports and names that its pod's services want by now: it is not made anew for
    /// them, because everything that shares its namespaces would have to be, too. Any container gets back
    /// the ports it lost.
    fn updated(&mut self, service: &DesiredService, container: &ObservedContainer) -> Option<StepId> {
        let (old, new) = (&container.record.spec, &service.container);
        let names = |spec: &ContainerSpec| -> Vec<Vec<String>> {
            spec.endpoints.iter().map(|endpoint| endpoint.aliases.clone()).collect()
        };
        let lost: Vec<_> = container.state.lost_ports.iter().map(|port| port.host().to_string()).collect();
        let reason = if old.is_infra() && (old.ports != new.ports || names(old) != names(new)) {
            Reason::Changed { service: service.name.clone(), changes: difference::containers(old, new) }
        } else if lost.is_empty() {
            return None;
        } else {
            Reason::Detached {
                service: service.name.clone(),
                lacks: format!("not on port {}", lost.join(", ")),
            }
        };
        let step = Step::UpdateContainer {
            container: old.name.clone(),
            id: container.record.id.clone(),
            spec: Box::new(if old.is_infra() { new.clone() } else { old.clone() }),
        };
        Some(self.plan.add(step, reason, None))
    }

    fn replace(
        &mut self,
        place: usize,
        service: &'a DesiredService,
        old: &'a ObservedContainer,
        reason: &Reason,
    ) -> Member<'a> {
        let number = number(old);
        let name = name_of(&self.world.desired.pod, service, number);
        let start = Some(reason.clone());
        if let Some(removed) = self.removals.get(&old.record.id).copied() {
            let mut spec = self.spec(service, number, name.clone(), None);
            if !self.policy.renew_anonymous {
                carry_anonymous(&mut spec, old);
            }
            let ready = Some(self.create(service, spec, None, reason.clone(), vec![removed]));
            return Member { name, existing: None, ready, start, old: None };
        }
        let temporary = ContainerName(format!("{}_{name}", old.record.id.short()));
        let spec = self.spec(service, number, temporary.clone(), Some(&name));
        let predecessor =
            Predecessor { id: old.record.id.clone(), renew_anonymous: self.policy.renew_anonymous };
        let created = self.create(service, spec, Some(predecessor), reason.clone(), vec![]);
        if self.policy.verb == Verb::Up && service.update.is_some() && active(old) {
            let (name, ready) = (temporary, Some(created));
            return Member { name, existing: None, ready, start, old: Some(old) };
        }
        let mut before = self.early[place].clone();
        before.push(created);
        self.stop(old, Reason::Replaced, before);
        let removed = self.remove(old, Reason::Replaced, self.policy.renew_anonymous, vec![created]);
        let step = Step::RenameContainer { from: temporary, to: name.clone() };
        let ready = Some(self.plan.add(step, Reason::Replaces(old.record.spec.name.clone()), Some(removed)));
        Member { name, existing: None, ready, start, old: None }
    }

    /// Adds the creation of a container, after everything it is made of.
    fn create(
        &mut self,
        service: &'a DesiredService,
        spec: ContainerSpec,
        replaces: Option<Predecessor>,
        reason: Reason,
        mut after: Vec<StepId>,
    ) -> StepId {
        after.extend(spec.endpoints.iter().filter_map(|endpoint| self.networks.get(&endpoint.network)));
        after.extend(spec.mounts.iter().filter_map(|mount| match mount {
            MountSpec::Volume { source: Some(source), .. } => self.volumes.get(source),
            _ => None,
        }));
        for bound in &service.bound_to {
            let placed = self.world.index.get(bound.as_str()).and_then(|on| self.placed.get(*on));
            after.extend(placed.into_iter().flatten());
        }
        // What an interrupted replacement left may have the name.
        let holders = self.world.observed.containers.iter().filter(|one| one.record.spec.name == spec.name);
        let removals = holders.filter_map(|holder| self.removals.get(&holder.record.id).copied());
        let removals: Vec<_> = removals.filter(|removal| !after.contains(removal)).collect();
        after.extend(removals);
        if after.is_empty() {
            after.extend(self.pod);
        }
        after.extend(&self.held);
        self.plan.add(Step::CreateContainer { spec: Box::new(spec), replaces }, reason, after)
    }

    /// The definition of one replica: that of the service with what differs between replicas.
    fn spec(
        &self,
        service: &'a DesiredService,
        number: u32,
        name: ContainerName,
        lasting: Option<&ContainerName>,
    ) -> ContainerSpec {
        let mut spec = service.container.clone();
        spec.name = name;
        spec.number = Some(number);
        spec.labels.insert(label::CONTAINER_NUMBER.to_owned(), number.to_string());
        if let Some(image) = self.world.image(&service.image) {
            spec.labels.insert(label::IMAGE.to_owned(), image.to_string());
        }
        if let Some(mounted) = self.world.mounted_images(service) {
            spec.labels.insert(label::IMAGE_VOLUME_DIGEST.to_owned(), mounted);
        }
        if let Some(lasting) = lasting {
            let value =
                if service.fixed_name { lasting.0.clone() } else { format!("{}-{number}", service.name) };
            spec.labels.insert(label::REPLACE.to_owned(), value);
        }
        let rename = |name: &mut ContainerName| {
            if let Some(actual) = self.names.get(name) {
                *name = actual.clone();
            }
        };
        if let NetworkMode::Container(name) = &mut spec.network_mode {
            rename(name);
        }
        for share in [&mut spec.pid, &mut spec.ipc, &mut spec.uts] {
            if let IdentityShare::Container(name) = share {
                rename(name);
            }
        }
        spec.volumes_from.iter_mut().for_each(|(name, _)| rename(name));
        spec.links.iter_mut().for_each(|(_, name)| rename(name));
        spec
    }
}

/// Names the anonymous volumes of a container that is gone by the time its successor is made.
fn carry_anonymous(spec: &mut ContainerSpec, old: &ObservedContainer) {
    for mount in &old.record.mounts {
        let Mount::Bind { target, volume: Some(volume), anonymous: true, read_only, .. } = mount else {
            continue;
        };
        match spec.mounts.iter_mut().find(|mount| mount.target() == target) {
            Some(MountSpec::Volume { source: source @ None, .. }) => *source = Some(volume.clone()),
            Some(_) => {}
            // One that the image asks for.
            None => spec.mounts.push(MountSpec::Volume {
                source: Some(volume.clone()),
                target: target.clone(),
                read_only: *read_only,
                no_copy: true,
                subpath: None,
            }),
        }
    }
}

/// The step that stops a container, if it has to be stopped.
pub(crate) fn stop_step(container: &ObservedContainer, policy: &Policy, reason: &Reason) -> Option<Step> {
    active(container).then(|| Step::StopContainer {
        container: container.record.spec.name.clone(),
        id: container.record.id.clone(),
        grace: policy.timeout,
        hooks: hooks::before_stop(container, reason),
    })
}

/// The number of a replica.
fn number(container: &ObservedContainer) -> u32 {
    container.record.spec.number.unwrap_or(1)
}
