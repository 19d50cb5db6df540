//! Hooks. `pre_start` runs in containers of its own, one after the other, and every one is waited for:
//!
//! ```text
//! create hook 1 -> start it -> await its success -> create hook 2 -> … -> remove them -> start the service
//! ```
//! Those that have succeeded stay until all have, so that a later round knows which are done.

use crate::start::Group;
use crate::world::{World, active};
use crate::{Await, Failure, Plan, Policy, Reason, Step, StepId, Verb};
use resource::{Condition, ExitStatus, Hook, ObservedContainer, StartHook, Status, label};

/// Whether a container was made for a hook.
pub(crate) fn is_hook(container: &ObservedContainer) -> bool {
    container.record.spec.labels.contains_key(label::HOOK)
}

/// What is run in a container before it is stopped: nothing when another takes its place, in a one-off,
/// or when it could not run anything.
pub(crate) fn before_stop(container: &ObservedContainer, reason: &Reason) -> Vec<Hook> {
    let replaced = matches!(
        reason,
        Reason::Replaced | Reason::Unfinished | Reason::NetworkChanged(..) | Reason::VolumeChanged(..)
    );
    let one_off = container.record.spec.number.is_none();
    let able = container.state.status == Status::Running;
    if replaced || one_off || !able { vec![] } else { container.record.spec.pre_stop.clone() }
}

/// The steps after which a service that starts from nothing may start.
pub(crate) fn before_start(
    plan: &mut Plan,
    world: &World<'_>,
    policy: &Policy,
    group: &Group<'_>,
    after: &[StepId],
) -> Result<Vec<StepId>, Failure> {
    let hooks = &group.service.pre_start;
    let starting = group.members.iter().any(|member| member.start.is_some());
    let running =
        group.members.iter().any(|member| member.start.is_none() && member.existing.is_some_and(active));
    if hooks.is_empty() || !starting || running || matches!(policy.verb, Verb::Restart { .. }) {
        return Ok(vec![]);
    }
    let mut run = Run { plan, policy, group, before: after.to_vec(), succeeded: vec![] };
    // Whose volumes they mount.
    run.before.extend(group.members.first().and_then(|member| member.ready));
    for hook in hooks {
        let left = world.one_offs.iter().find(|one| one.record.spec.name == hook.container.name);
        run.hook(hook, left.copied())?;
    }
    let Run { before, succeeded, .. } = run;
    if succeeded.len() < hooks.len() {
        return Ok(before);
    }
    let remove = |container: &ObservedContainer| {
        plan.add(removal(container), Reason::Succeeded, before.iter().copied())
    };
    Ok(succeeded.into_iter().map(remove).collect())
}

/// The hooks of one service on their way.
struct Run<'p, 'a> {
    plan: &'p mut Plan,
    policy: &'p Policy,
    group: &'p Group<'a>,
    /// What comes before the next hook.
    before: Vec<StepId>,
    /// Those that are done.
    succeeded: Vec<&'a ObservedContainer>,
}

impl<'a> Run<'_, 'a> {
    fn hook(&mut self, hook: &StartHook, existing: Option<&'a ObservedContainer>) -> Result<(), Failure> {
        let own = existing.filter(|one| one.record.created >= self.policy.since);
        let before = std::mem::take(&mut self.before);
        let ready = match (own, existing) {
            (Some(own), _) if own.state.status == Status::Exited => return self.ended(hook, own, before),
            (Some(own), _) if own.state.status != Status::Created => None,
            (Some(_), _) => Some(self.start(hook, before)),
            (None, left) => {
                let before = match left {
                    Some(left) => vec![self.clear(left, before)],
                    None => before,
                };
                let created = self.create(hook, before);
                Some(self.start(hook, vec![created]))
            }
        };
        let (container, service) = (hook.container.name.clone(), self.group.service.name.clone());
        let condition = Condition::CompletedSuccessfully;
        let reason = Reason::StartHook(service.clone());
        let wait = Step::Await(Await { container, service, condition, required: true, limit: None });
        self.before = vec![self.plan.add(wait, reason, ready)];
        Ok(())
    }

    fn ended(
        &mut self,
        hook: &StartHook,
        own: &'a ObservedContainer,
        before: Vec<StepId>,
    ) -> Result<(), Failure> {
        let code = own.state.exit.and_then(ExitStatus::code);
        if code != Some(0) {
            let (service, container) = (self.group.service.name.clone(), hook.container.name.clone());
            return Err(Failure::StartHook { service, container, code, place: hook.place.clone() });
        }
        self.succeeded.push(own);
        self.before = before;
        Ok(())
    }

    /// Removes what an earlier attempt has left.
    fn clear(&mut self, left: &ObservedContainer, before: Vec<StepId>) -> StepId {
        let stop = active(left).then(|| {
            let (container, id) = (left.record.spec.name.clone(), left.record.id.clone());
            let stop = Step::StopContainer { container, id, grace: self.policy.timeout, hooks: vec![] };
            self.plan.add(stop, Reason::LeftOver, None)
        });
        self.plan.add(removal(left), Reason::LeftOver, before.into_iter().chain(stop))
    }

    fn create(&mut self, hook: &StartHook, before: Vec<StepId>) -> StepId {
        let mut spec = hook.container.clone();
        if let Some(first) = self.group.members.first() {
            spec.volumes_from = vec![(first.name.clone(), false)];
        }
        let step = Step::CreateContainer { spec: Box::new(spec), replaces: None };
        self.plan.add(step, Reason::StartHook(self.group.service.name.clone()), before)
    }

    fn start(&mut self, hook: &StartHook, before: Vec<StepId>) -> StepId {
        let service = self.group.service.name.clone();
        let reason = Reason::StartHook(service.clone());
        let (container, place) = (hook.container.name.clone(), hook.place.clone());
        self.plan.add(Step::StartContainer { container, service, place, hooks: vec![] }, reason, before)
    }
}

fn removal(container: &ObservedContainer) -> Step {
    let (name, id) = (container.record.spec.name.clone(), container.record.id.clone());
    Step::RemoveContainer { container: name, id, volumes: true }
}
