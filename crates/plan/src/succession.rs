//! How containers take the places of others, a few at a time: `deploy.update_config`.
//!
//! ```text
//! start-first   start new -> healthy -> watched -> ports go over -> stop old -> remove old -> rename new
//! stop-first    stop old -> start new -> healthy -> watched -> remove old -> rename new
//! ```
//! So the old one is there, running or not, as long as the new one may fail.

use crate::converge::stop_step;
use crate::start::{Group, Member, Phase, Verdict};
use crate::world::active;
use crate::{Await, Failure, Plan, Reason, Step, StepId};
use resource::{
    AfterFailure, Condition, ContainerName, DesiredService, ObservedContainer, Status, Update, UpdateOrder,
    label,
};
use std::time::Duration;

/// What has to come before the next replacement.
pub(crate) enum Gate {
    /// Nothing.
    Open,
    /// The end of an earlier one.
    After(StepId),
    /// Some time, in which the container that took a place last runs.
    Delay {
        /// That container.
        container: ContainerName,
        /// How long.
        limit: Duration,
        /// The end of its own replacement.
        after: Option<StepId>,
    },
    /// An earlier one failed: there is no next.
    Closed,
}

/// The last step of a replacement and the name of who has the place then.
pub(crate) type End = (StepId, ContainerName);

/// The replacements of one service, in the order of their turns.
pub(crate) struct Queue {
    at_once: usize,
    delay: Duration,
    /// What is left of the time after one that has been replaced already.
    pause: Option<(ContainerName, Duration)>,
    ends: Vec<Option<End>>,
}

impl Queue {
    pub(crate) fn of(service: &DesiredService, pause: Option<(ContainerName, Duration)>) -> Self {
        let (at_once, delay) = service.update.map_or((0, Duration::ZERO), |rule| (rule.at_once, rule.delay));
        Self { at_once: at_once as usize, delay, pause, ends: vec![] }
    }

    /// What the next one waits for. Who has no place to take waits for nobody.
    pub(crate) fn gate(&self, member: &Member<'_>) -> Gate {
        if member.old.is_none() {
            return Gate::Open;
        }
        let earlier = self.ends.len().checked_sub(self.at_once).filter(|_| self.at_once > 0);
        // One that has started is past its turn.
        let waits = member.start.is_some();
        match earlier.map(|earlier| &self.ends[earlier]) {
            Some(None) => Gate::Closed,
            Some(Some((end, container))) if waits && !self.delay.is_zero() => {
                Gate::Delay { container: container.clone(), limit: self.delay, after: Some(*end) }
            }
            Some(Some((end, _))) => Gate::After(*end),
            None => match &self.pause {
                Some((container, limit)) if waits => {
                    Gate::Delay { container: container.clone(), limit: *limit, after: None }
                }
                _ => Gate::Open,
            },
        }
    }

    pub(crate) fn extend(&mut self, end: Option<Option<End>>) {
        self.ends.extend(end);
    }
}

impl Phase<'_, '_> {
    /// A step that waits while a container runs.
    pub(crate) fn watch(
        &self,
        plan: &mut Plan,
        place: usize,
        container: ContainerName,
        limit: Duration,
        reason: Reason,
        after: Option<StepId>,
    ) -> StepId {
        let service = self.groups[place].service.name.clone();
        let condition = Condition::Exited;
        let wait = Await { container, service, condition, required: true, limit: Some(limit) };
        plan.add(Step::Await(wait), reason, after)
    }

    /// How long the next replacement has to wait for one that this command has done already.
    pub(crate) fn pause(&self, group: &Group<'_>) -> Option<(ContainerName, Duration)> {
        let rule = group.service.update.filter(|rule| !rule.delay.is_zero())?;
        let left = |member: &Member<'_>| {
            let new = member.existing.filter(|new| member.old.is_none() && self.is_replacement(new))?;
            let running = new.state.status == Status::Running;
            let left = self.left(new, rule.monitor + rule.delay).filter(|_| running)?;
            Some((member.name.clone(), left))
        };
        group.members.iter().filter_map(left).max_by_key(|(_, left)| *left)
    }

    /// Whether this command made it to take another's place.
    fn is_replacement(&self, container: &ObservedContainer) -> bool {
        container.record.created >= self.policy.since
            && container.record.spec.labels.contains_key(label::REPLACE)
    }

    /// What is left of a time that began with the container's start.
    fn left(&self, container: &ObservedContainer, of: Duration) -> Option<Duration> {
        let since = self.policy.now.duration_since(container.state.started?);
        of.checked_sub(Duration::try_from(since).unwrap_or_default()).filter(|left| !left.is_zero())
    }

    /// Stops the container whose place a new one takes, before that starts, where it has to be so.
    pub(crate) fn stop_first(
        &self,
        plan: &mut Plan,
        service: &DesiredService,
        member: &Member<'_>,
        before: &[StepId],
    ) -> Option<StepId> {
        let old = member.old.filter(|_| is(service.update, UpdateOrder::StopFirst))?;
        let step = stop_step(old, self.policy, &Reason::Replaced)?;
        Some(plan.add(step, Reason::Replaced, before.to_vec()))
    }

    /// The steps by which a container takes the place of another once it is healthy and has been watched.
    /// The last of them; `None` when it cannot.
    pub(crate) fn succession(
        &mut self,
        plan: &mut Plan,
        place: usize,
        number: usize,
        old: &ObservedContainer,
        gate: Option<StepId>,
    ) -> Option<End> {
        let group = &self.groups[place];
        let (service, member) = (group.service, &group.members[number]);
        let name = &old.record.spec.name;
        let rule = service.update;
        let replaces = Reason::Replaces(name.clone());
        let mut ready = gate.or(self.starts[place][number]).or(member.ready);
        match self.failing(service, member) {
            Some(_) if self.is_tolerated(group) => {}
            Some(ended) => return self.failed(plan, service, member, old, ended),
            None => {
                let checked = self.checked(service, member, false);
                if checked
                    && matches!(self.verdict(service, member, Condition::Healthy, service), Verdict::May)
                {
                    ready = Some(self.wait(plan, place, number, Condition::Healthy, true, &replaces));
                }
                let monitor = rule.map_or(Duration::ZERO, |rule| rule.monitor);
                let left = match member.existing.filter(|_| member.start.is_none()) {
                    Some(new) => self.left(new, monitor),
                    None => Some(monitor).filter(|monitor| !monitor.is_zero()),
                };
                if let Some(left) = left {
                    ready = Some(self.watch(plan, place, member.name.clone(), left, replaces.clone(), ready));
                }
            }
        }
        let to = member.name.clone();
        let stopped = is(rule, UpdateOrder::StopFirst) && (member.start.is_some() || !active(old));
        if !service.container.ports.is_empty() && !stopped {
            let (from, service) = (old.record.id.clone(), service.name.clone());
            let step = Step::HandOverPorts { from, to: to.clone(), service };
            ready = Some(plan.add(step, replaces.clone(), ready));
        }
        let reason = Reason::Relieved(to.clone());
        if let Some(step) = stop_step(old, self.policy, &reason).filter(|_| !stopped) {
            ready = Some(plan.add(step, reason.clone(), ready));
        }
        let (container, id) = (name.clone(), old.record.id.clone());
        let step = Step::RemoveContainer { container, id, volumes: self.policy.renew_anonymous };
        let removed = plan.add(step, reason, ready);
        let lasting: ContainerName = crate::world::lasting(&to).unwrap_or(to.as_str()).into();
        let step = Step::RenameContainer { from: to, to: lasting.clone() };
        Some((plan.add(step, replaces, Some(removed)), lasting))
    }

    /// Whether a new container has failed, and if so, by having ended.
    fn failing(&self, service: &DesiredService, member: &Member<'_>) -> Option<bool> {
        let new = member.existing.filter(|_| member.start.is_none())?;
        let monitored = service.update.is_some_and(|rule| !rule.monitor.is_zero());
        let restarted = new.state.status == Status::Restarting || new.state.restart_count > 0;
        if new.state.status == Status::Exited || (monitored && restarted) {
            return Some(true);
        }
        let checked = self.checked(service, member, false);
        let sick = checked
            && matches!(self.verdict(service, member, Condition::Healthy, service), Verdict::Fails(_));
        sick.then_some(false)
    }

    /// Whether so many may fail, or what failed takes the place all the same.
    fn is_tolerated(&self, group: &Group<'_>) -> bool {
        let Some(rule) = group.service.update else { return false };
        let counts = |member: &&Member<'_>| {
            member.existing.is_some_and(|new| self.is_replacement(new))
                && self.failing(group.service, member).is_some()
        };
        let failed = group.members.iter().filter(counts).count() as u64;
        rule.after_failure == AfterFailure::Continue
            || failed * 1_000_000 <= u64::from(rule.tolerated) * group.members.len() as u64
    }

    /// A container that was to take another's place failed: the other one goes on, or is started again.
    fn failed(
        &self,
        plan: &mut Plan,
        service: &DesiredService,
        member: &Member<'_>,
        old: &ObservedContainer,
        ended: bool,
    ) -> Option<End> {
        let removed = rolls_back(service);
        plan.failures.push(Failure::NotSucceeded {
            old: old.record.spec.name.clone(),
            ended,
            removed,
            stopped: !removed && !active(old),
            place: service.place.clone(),
        });
        let new = member.existing.filter(|_| removed)?;
        let gone = self.take_back(plan, new);
        if !active(old) {
            let step = Step::StartContainer {
                container: old.record.spec.name.clone(),
                service: service.name.clone(),
                place: service.place.clone(),
                hooks: old.record.spec.post_start.clone(),
            };
            plan.add(step, Reason::RolledBack, Some(gone));
        }
        None
    }

    /// Whose turn does not come, because an earlier one failed, goes with it.
    pub(crate) fn left_over(&self, plan: &mut Plan, service: &DesiredService, member: &Member<'_>) {
        if let Some(new) = member.existing.filter(|_| rolls_back(service)) {
            self.take_back(plan, new);
        }
    }

    fn take_back(&self, plan: &mut Plan, new: &ObservedContainer) -> StepId {
        let stopped = stop_step(new, self.policy, &Reason::RolledBack);
        let stopped = stopped.map(|step| plan.add(step, Reason::RolledBack, None));
        let (container, id) = (new.record.spec.name.clone(), new.record.id.clone());
        plan.add(Step::RemoveContainer { container, id, volumes: false }, Reason::RolledBack, stopped)
    }
}

fn rolls_back(service: &DesiredService) -> bool {
    service.update.is_some_and(|rule| rule.after_failure == AfterFailure::RollBack)
}

fn is(rule: Option<Update>, order: UpdateOrder) -> bool {
    rule.is_some_and(|rule| rule.order == order)
}
