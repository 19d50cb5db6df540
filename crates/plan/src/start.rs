//! The start phase, shared by `up`, `start` and `restart`: who is started, after whom, and what has
//! to hold first.
//!
//! A condition that holds leaves no trace in the plan; one that may come to hold is a step that
//! waits; one that cannot is a failure, and what is behind it is left out.

use crate::hooks;
use crate::provide;
use crate::succession::{Gate, Queue};
use crate::world::World;
use crate::{Await, Failure, Plan, Policy, ProviderAct, Reason, Step, StepId, Warning};
use resource::{
    Condition, ContainerName, Dependency, DesiredService, ExitStatus, HealthStatus, ObservedContainer, Status,
};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Index;

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

/// The services in the start phase, each from the moment it is known.
#[derive(Default)]
pub(crate) struct Groups<'a>(Vec<OnceCell<Group<'a>>>);

impl<'a> Groups<'a> {
    /// Room for so many.
    pub(crate) fn new(number: usize) -> Self {
        Self((0..number).map(|_| OnceCell::new()).collect())
    }

    /// Puts one at its place, once.
    pub(crate) fn set(&self, place: usize, group: Group<'a>) {
        // A second one has no place to be.
        drop(self.0[place].set(group));
    }

    fn iter(&self) -> impl Iterator<Item = &Group<'a>> {
        self.0.iter().filter_map(OnceCell::get)
    }
}

impl<'a> Index<usize> for Groups<'a> {
    type Output = Group<'a>;

    fn index(&self, place: usize) -> &Group<'a> {
        self.0[place].get().expect("a group is put there before it, and what depends on it, is started")
    }
}

/// Why an existing container is started, if it is: not when it runs, and not when this command
/// started it already and it has ended since. One that somebody is stopping ends first.
pub(crate) fn why_start(container: &ObservedContainer, policy: &Policy) -> Option<Reason> {
    let own = container.state.started.is_some_and(|started| started >= policy.since);
    match container.state.status {
        Status::Running if container.state.stopped_by_hand => Some(Reason::Stopping),
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
    groups: Vec<Group<'_>>,
    raised: &[StepId],
) {
    let services: Vec<&DesiredService> = groups.iter().map(|group| group.service).collect();
    let found = Groups(groups.into_iter().map(OnceCell::from).collect());
    let mut phase = Phase::new(world, policy, &services, &found, raised);
    for place in 0..services.len() {
        phase.group(plan, place);
    }
    phase.end(plan);
}

pub(crate) struct Phase<'a, 'b> {
    world: &'b World<'a>,
    pub(crate) policy: &'b Policy,
    pub(crate) groups: &'b Groups<'a>,
    index: HashMap<&'b str, usize>,
    /// Networks that are made to exist in the kernel again.
    raised: &'b [StepId],
    /// The step that starts each member, by group and place in it.
    pub(crate) starts: Vec<Vec<Option<StepId>>>,
    /// The step that asks each group's provider.
    pub(crate) asked: Vec<Option<StepId>>,
    /// Groups that are not started because something they need failed.
    blocked: Vec<bool>,
    awaits: HashMap<(ContainerName, Condition), StepId>,
}

/// What a condition says of one container.
pub(crate) enum Verdict {
    Holds,
    May,
    Fails(Failure),
}

impl<'a, 'b> Phase<'a, 'b> {
    /// The phase of these services, whose groups are put in place as it goes on.
    pub(crate) fn new(
        world: &'b World<'a>,
        policy: &'b Policy,
        services: &[&'b DesiredService],
        groups: &'b Groups<'a>,
        raised: &'b [StepId],
    ) -> Self {
        Self {
            world,
            policy,
            groups,
            index: services
                .iter()
                .enumerate()
                .map(|(place, service)| (service.name.as_str(), place))
                .collect(),
            raised,
            starts: vec![vec![]; services.len()],
            asked: vec![None; services.len()],
            blocked: vec![false; services.len()],
            awaits: HashMap::new(),
        }
    }

    /// After all groups: `--wait`.
    pub(crate) fn end(&mut self, plan: &mut Plan) {
        for place in (0..self.starts.len()).filter(|_| self.policy.wait) {
            self.wait_for(plan, place);
        }
    }

    /// Starts the group at a place, when all before it have been.
    pub(crate) fn group(&mut self, plan: &mut Plan, place: usize) {
        let group = &self.groups[place];
        self.starts[place] = vec![None; group.members.len()];
        if let Some(failure) = provide::failure(self.policy, group.service) {
            self.blocked[place] = true;
            if provide::is_needed(self.world, group.service) && !plan.failures.contains(&failure) {
                plan.failures.push(failure);
            }
            return;
        }
        let pending = provide::is_pending(self.policy, group.service);
        let starting = pending || group.members.iter().any(|member| member.start.is_some());
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
        if pending && !self.blocked[place] {
            self.asked[place] = provide::ask(plan, group.service, ProviderAct::Up, Reason::EachTime, after);
            return;
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
        let mut previous = None;
        let mut queue = Queue::of(group.service, self.pause(group));
        for (number, member) in group.members.iter().enumerate() {
            let gate = match queue.gate(member) {
                Gate::Open => None,
                Gate::After(step) => Some(step),
                Gate::Delay { container, limit, after } => {
                    Some(self.watch(plan, place, container, limit, Reason::Delay, after))
                }
                Gate::Closed => {
                    self.left_over(plan, group.service, member);
                    continue;
                }
            };
            let Some(reason) = &member.start else {
                queue.extend(member.old.map(|old| self.succession(plan, place, number, old, gate)));
                continue;
            };
            let before = after.iter().chain(self.raised).copied().chain(member.ready);
            let mut before: Vec<StepId> = before.chain(previous).chain(gate).collect();
            before.extend(self.stop_first(plan, group.service, member, &before));
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
            queue.extend(member.old.map(|old| self.succession(plan, place, number, old, None)));
        }
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
        if let Some(failure) = provide::failure(self.policy, group.service) {
            return Err(Some(failure));
        }
        if self.blocked[on] && group.service.provider.is_some() {
            return Err(None);
        }
        if group.service.replicas == 0 {
            return Ok(self.asked[on].into_iter().collect());
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
    pub(crate) fn wait(
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
            let service = group.service.name.clone();
            let wait = Await { container, service, condition, required, limit: None };
            plan.add(Step::Await(wait), reason.clone(), start.or(member.ready))
        })
    }

    pub(crate) fn verdict(
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
    pub(crate) fn checked(&self, service: &DesiredService, member: &Member<'_>, unknown: bool) -> bool {
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
