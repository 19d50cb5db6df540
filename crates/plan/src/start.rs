//! The start phase, shared by `up`, `start` and `restart`: who is started, after whom, and what has
//! to hold first.
//!
//! A condition that holds leaves no trace in the plan; one that may come to hold is a step that
//! waits; one that cannot is a failure, and what is behind it is left out.

use crate::converge::stop_step;
use crate::hooks;
use crate::world::World;
use crate::{Await, Failure, Plan, Policy, Reason, Step, StepId, Warning};
use resource::{
    AfterFailure, Condition, ContainerName, Dependency, DesiredService, ExitStatus, HealthStatus,
    ObservedContainer, Status,
};
use std::collections::HashMap;

/// A container in the start phase.
pub(crate) struct Member<'a> {
    /// Its name once it is in place.
    pub(crate) name: ContainerName,
    /// What is known of it, if it is not new.
    pub(crate) existing: Option<&'a ObservedContainer>,
    /// The step after which it is in place.
    pub(crate) ready: Option<StepId>,
    /// Why it is started, if it is.
    pub(crate) start: Option<Reason>,
    /// The container beside which it runs until it can take its place and name.
    pub(crate) old: Option<&'a ObservedContainer>,
}

/// A service in the start phase.
pub(crate) struct Group<'a> {
    /// The service.
    pub(crate) service: &'a DesiredService,
    /// Its containers, by number.
    pub(crate) members: Vec<Member<'a>>,
    /// Which of its dependencies count.
    pub(crate) dependencies: Vec<&'a Dependency>,
}

/// Why an existing container is started, if it is: not when it runs, and not when this command
/// started it already and it has ended since.
pub(crate) fn why_start(container: &ObservedContainer, policy: &Policy) -> Option<Reason> {
    let own = container.state.started.is_some_and(|started| started >= policy.since);
    match container.state.status {
        Status::Running | Status::Restarting => None,
        Status::Exited if own => None,
        status => Some(Reason::NotRunning(status.as_str())),
    }
}

/// Adds the steps that start everything in `groups`, which come dependencies first.
pub(crate) fn start(
    plan: &mut Plan,
    world: &World<'_>,
    policy: &Policy,
    groups: &[Group<'_>],
    raised: &[StepId],
) {
    let index =
        groups.iter().enumerate().map(|(index, group)| (group.service.name.as_str(), index)).collect();
    let mut phase = Phase {
        world,
        policy,
        groups,
        index,
        raised,
        starts: groups.iter().map(|group| vec![None; group.members.len()]).collect(),
        blocked: vec![false; groups.len()],
        awaits: HashMap::new(),
    };
    for place in 0..groups.len() {
        phase.group(plan, place);
    }
    if policy.wait {
        for place in 0..groups.len() {
            phase.wait_for(plan, place);
        }
    }
}

struct Phase<'a, 'b> {
    world: &'b World<'a>,
    policy: &'b Policy,
    groups: &'b [Group<'a>],
    index: HashMap<&'b str, usize>,
    /// Networks that are made to exist in the kernel again.
    raised: &'b [StepId],
    /// The step that starts each member, by group and place in it.
    starts: Vec<Vec<Option<StepId>>>,
    /// Groups that are not started because something they need failed.
    blocked: Vec<bool>,
    awaits: HashMap<(ContainerName, Condition), StepId>,
}

/// What a condition says of one container.
enum Verdict {
    Holds,
    May,
    Fails(Failure),
}

impl Phase<'_, '_> {
    fn group(&mut self, plan: &mut Plan, place: usize) {
        let group = &self.groups[place];
        let starting = group.members.iter().any(|member| member.start.is_some());
        let mut after: Vec<StepId> = vec![];
        for dependency in &group.dependencies {
            let Some(on) = self.index.get(dependency.service.as_str()).copied() else { continue };
            if !starting && !self.touched(on) {
                continue;
            }
            match self.dependency(plan, place, on, dependency) {
                Ok(steps) => after.extend(steps),
                Err(failure) if dependency.required => {
                    self.blocked[place] = true;
                    if let Some(failure) = failure.filter(|failure| !plan.failures.contains(failure)) {
                        plan.failures.push(failure);
                    }
                }
                Err(failure) => {
                    let failure = failure.map_or_else(
                        || format!("{} cannot be started", dependency.service),
                        |failure| failure.to_string(),
                    );
                    plan.warnings
                        .push(Warning::OptionalDependency { dependent: group.service.name.clone(), failure });
                }
            }
        }
        if !self.blocked[place] {
            match hooks::before_start(plan, self.world, self.policy, group, &after) {
                Ok(steps) => after.extend(steps),
                Err(failure) => {
                    self.blocked[place] = true;
                    plan.failures.push(failure);
                }
            }
        }
        if !self.blocked[place] {
            self.members(plan, place, &after);
        }
    }

    /// Starts the members of a group. Replicas that share a range of ports go one after the other,
    /// so that the first gets the first port.
    fn members(&mut self, plan: &mut Plan, place: usize, after: &[StepId]) {
        let group = &self.groups[place];
        let ranged = |port: &resource::PortSpec| port.published.is_some_and(|(first, last)| first != last);
        let in_turn = group.service.container.ports.iter().any(ranged);
        let at_once = group.service.start_first.map_or(0, |rule| rule.at_once as usize);
        let mut previous = None;
        let mut successions = vec![];
        for (number, member) in group.members.iter().enumerate() {
            // Behind one that cannot go on, nobody is replaced.
            let earlier = successions.len().checked_sub(at_once).filter(|_| at_once > 0);
            let gate = match (member.old, earlier.map(|earlier| successions[earlier])) {
                (Some(_), Some(None)) => continue,
                (Some(_), Some(Some(end))) => Some(end),
                _ => None,
            };
            let Some(reason) = &member.start else {
                successions.extend(member.old.map(|old| self.succession(plan, place, number, old, gate)));
                continue;
            };
            let before = after.iter().chain(self.raised).copied().chain(member.ready);
            let before = before.chain(previous).chain(gate);
            let step = match member
                .existing
                .filter(|one| one.state.status == Status::Paused && member.ready.is_none())
            {
                Some(paused) => {
                    Step::UnpauseContainer { container: member.name.clone(), id: paused.record.id.clone() }
                }
                None => Step::StartContainer {
                    container: member.name.clone(),
                    service: group.service.name.clone(),
                    place: group.service.place.clone(),
                    hooks: group.service.container.post_start.clone(),
                },
            };
            let id = plan.add(step, reason.clone(), before);
            self.starts[place][number] = Some(id);
            previous = in_turn.then_some(id);
            successions.extend(member.old.map(|old| self.succession(plan, place, number, old, None)));
        }
    }

    /// The steps by which a container takes the place of one that still runs: once it is healthy, the
    /// ports go over in one change, then the old one is stopped and removed. The last of them; `None`
    /// when it cannot.
    fn succession(
        &mut self,
        plan: &mut Plan,
        place: usize,
        number: usize,
        old: &ObservedContainer,
        gate: Option<StepId>,
    ) -> Option<StepId> {
        let group = &self.groups[place];
        let (service, member) = (group.service, &group.members[number]);
        let name = &old.record.spec.name;
        let checked = self.checked(service, member, false);
        let ended =
            member.start.is_none() && member.existing.is_some_and(|new| new.state.status == Status::Exited);
        let verdict = match checked {
            true => self.verdict(service, member, Condition::Healthy, service),
            false => Verdict::Holds,
        };
        let mut ready = gate.or(self.starts[place][number]).or(member.ready);
        match verdict {
            Verdict::May => {
                let reason = Reason::Replaces(name.clone());
                ready = Some(self.wait(plan, place, number, Condition::Healthy, true, &reason));
            }
            Verdict::Holds if !ended => {}
            _ => match service.start_first.map_or(AfterFailure::Pause, |rule| rule.after_failure) {
                AfterFailure::Continue => {}
                rule => return self.failed(plan, service, member, old, (ended, rule)),
            },
        }
        let to = member.name.clone();
        if !service.container.ports.is_empty() {
            let (from, service) = (old.record.id.clone(), service.name.clone());
            let step = Step::HandOverPorts { from, to: to.clone(), service };
            ready = Some(plan.add(step, Reason::Replaces(name.clone()), ready));
        }
        let reason = Reason::Relieved(to.clone());
        if let Some(step) = stop_step(old, self.policy, &reason) {
            ready = Some(plan.add(step, reason.clone(), ready));
        }
        let (container, id) = (name.clone(), old.record.id.clone());
        let step = Step::RemoveContainer { container, id, volumes: self.policy.renew_anonymous };
        let removed = plan.add(step, reason, ready);
        let lasting = crate::world::lasting(&to).unwrap_or(to.as_str()).into();
        let step = Step::RenameContainer { from: to, to: lasting };
        Some(plan.add(step, Reason::Replaces(name.clone()), Some(removed)))
    }

    /// A container that was to take another's place failed: the other one goes on.
    fn failed(
        &self,
        plan: &mut Plan,
        service: &DesiredService,
        member: &Member<'_>,
        old: &ObservedContainer,
        (ended, rule): (bool, AfterFailure),
    ) -> Option<StepId> {
        let removed = rule == AfterFailure::RollBack;
        plan.failures.push(Failure::NotSucceeded {
            old: old.record.spec.name.clone(),
            ended,
            removed,
            place: service.place.clone(),
        });
        let new = member.existing.filter(|_| removed)?;
        let stopped = stop_step(new, self.policy, &Reason::RolledBack);
        let stopped = stopped.map(|step| plan.add(step, Reason::RolledBack, None));
        let (container, id) = (new.record.spec.name.clone(), new.record.id.clone());
        plan.add(Step::RemoveContainer { container, id, volumes: false }, Reason::RolledBack, stopped);
        None
    }

    /// Whether this command starts or started a container of the group.
    fn touched(&self, place: usize) -> bool {
        let own = |member: &super::start::Member<'_>| {
            member.start.is_some()
                || member
                    .existing
                    .is_some_and(|one| one.state.started.is_some_and(|at| at >= self.policy.since))
        };
        self.groups[place].members.iter().any(own)
    }

    /// The steps after which a dependency is as it should be, or what keeps it from that; a failure
    /// without a text has been told already.
    fn dependency(
        &mut self,
        plan: &mut Plan,
        place: usize,
        on: usize,
        dependency: &Dependency,
    ) -> Result<Vec<StepId>, Option<Failure>> {
        let group = &self.groups[on];
        if group.service.replicas == 0 {
            return Ok(vec![]);
        }
        if self.blocked[on] {
            return Err(None);
        }
        if dependency.condition == Condition::Started {
            let in_place = group.members.iter().map(|member| member.ready);
            let steps = self.starts[on].iter().zip(in_place).filter_map(|(start, ready)| start.or(ready));
            return Ok(steps.collect());
        }
        let dependent = &self.groups[place].service;
        let mut pending = vec![];
        for (number, member) in group.members.iter().enumerate() {
            match self.verdict(group.service, member, dependency.condition, dependent) {
                Verdict::Holds => {}
                Verdict::May => pending.push(number),
                Verdict::Fails(failure) => return Err(Some(failure)),
            }
        }
        let reason =
            Reason::DependsOn { dependent: dependent.name.clone(), dependency: group.service.name.clone() };
        Ok(pending
            .into_iter()
            .map(|number| self.wait(plan, on, number, dependency.condition, dependency.required, &reason))
            .collect())
    }

    /// The step that waits for a condition of a member; each is waited for once.
    fn wait(
        &mut self,
        plan: &mut Plan,
        on: usize,
        number: usize,
        condition: Condition,
        required: bool,
        reason: &Reason,
    ) -> StepId {
        let group = &self.groups[on];
        let member = &group.members[number];
        let start = self.starts[on][number];
        *self.awaits.entry((member.name.clone(), condition)).or_insert_with(|| {
            let container = member.name.clone();
            let wait = Await { container, service: group.service.name.clone(), condition, required };
            plan.add(Step::Await(wait), reason.clone(), start.or(member.ready))
        })
    }

    fn verdict(
        &self,
        service: &DesiredService,
        member: &Member<'_>,
        condition: Condition,
        dependent: &DesiredService,
    ) -> Verdict {
        let (dependent, place) = (dependent.name.clone(), dependent.place.clone());
        let container = member.name.clone();
        if condition == Condition::Healthy && !self.checked(service, member, true) {
            return Verdict::Fails(Failure::NoHealthcheck { container, dependent, place });
        }
        let Some(existing) = member.existing.filter(|_| member.start.is_none()) else { return Verdict::May };
        let ended = existing.state.status == Status::Exited;
        let code = existing.state.exit.and_then(ExitStatus::code);
        let health = existing.state.health.as_ref().map(|health| health.status);
        match condition {
            Condition::Healthy if ended => {
                Verdict::Fails(Failure::Exited { container, code, dependent, place })
            }
            Condition::Healthy => match health {
                Some(HealthStatus::Healthy) => Verdict::Holds,
                Some(HealthStatus::Unhealthy) => {
                    Verdict::Fails(Failure::Unhealthy { container, dependent, place })
                }
                _ => Verdict::May,
            },
            Condition::CompletedSuccessfully if ended && code != Some(0) => {
                let service = service.name.clone();
                Verdict::Fails(Failure::Incomplete { service, code, dependent, place })
            }
            Condition::CompletedSuccessfully | Condition::Exited if !ended => Verdict::May,
            _ => Verdict::Holds,
        }
    }

    /// Whether a container has a health check. Of a new one whose image is not here yet nobody knows;
    /// `unknown` is the answer then, and it is looked at again when it exists.
    fn checked(&self, service: &DesiredService, member: &Member<'_>, unknown: bool) -> bool {
        if let Some(existing) = member.existing {
            return existing.record.healthcheck.is_some();
        }
        let image = self.world.found(&service.image);
        let inherited = || image.map_or(unknown, |image| image.config.healthcheck.is_some());
        match &service.container.healthcheck {
            Some(None) => false,
            Some(Some(check)) if !check.test.is_empty() => true,
            _ => inherited(),
        }
    }

    /// `--wait`: the service has to run, be healthy, or complete where another waits for that.
    fn wait_for(&mut self, plan: &mut Plan, place: usize) {
        let group = &self.groups[place];
        if self.blocked[place] {
            return;
        }
        let completes = self.groups.iter().flat_map(|other| &other.dependencies).any(|dependency| {
            dependency.service == group.service.name
                && dependency.condition == Condition::CompletedSuccessfully
        });
        for number in 0..group.members.len() {
            let member = &self.groups[place].members[number];
            let condition = if completes {
                Condition::CompletedSuccessfully
            } else if self.checked(group.service, member, false) {
                Condition::Healthy
            } else {
                Condition::Started
            };
            let verdict = self.verdict(group.service, member, condition, group.service);
            let ended =
                member.existing.filter(|one| member.start.is_none() && one.state.status == Status::Exited);
            let container = member.name.clone();
            match (verdict, ended) {
                (Verdict::Fails(Failure::Unhealthy { .. }), _) => {
                    plan.failures.push(Failure::WaitUnhealthy { container });
                }
                (_, Some(ended)) if condition != Condition::CompletedSuccessfully => {
                    let code = ended.state.exit.and_then(ExitStatus::code);
                    plan.failures.push(Failure::WaitExited { container, code });
                }
                (Verdict::Fails(failure), _) if !plan.failures.contains(&failure) => {
                    plan.failures.push(failure)
                }
                (Verdict::May, _) if condition != Condition::Started => {
                    self.wait(plan, place, number, condition, true, &Reason::WaitedFor);
                }
                _ => {}
            }
        }
    }
}
