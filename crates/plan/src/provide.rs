//! Services that a program provides: when it is asked, and what waits for its answer.
//!
//! ```text
//! what it depends on -> run provider: up db ─▶ (observe and plan again) -> create what depends on it -> …
//! ```
//! What a provider says of its service is part of the containers that depend on it. So none of them is made, replaced
//! or started before it has answered.

use crate::start::Group;
use crate::world::World;
use crate::{Failure, Plan, Policy, Provide, Provided, ProviderAct, Reason, Step, StepId, Verb, Warning};
use resource::{DesiredService, INFRA};

/// Whether a service has a provider that is still to be asked.
pub(crate) fn is_pending(policy: &Policy, service: &DesiredService) -> bool {
    let is_told =
        matches!(policy.provided.get(&service.name), Some(Provided::Done(_) | Provided::Failed { .. }));
    service.provider.is_some() && !is_told && matches!(policy.verb, Verb::Up | Verb::Create)
}

/// Why a service is not provided, if that is known.
pub(crate) fn failure(policy: &Policy, service: &DesiredService) -> Option<Failure> {
    let Some(Provided::Failed { said, help, place }) = policy.provided.get(&service.name) else {
        return None;
    };
    let (service, said, help, place) = (service.name.clone(), said.clone(), help.clone(), place.clone());
    Some(Failure::Provider { service, said, help, place })
}

/// Whether the command cannot do without a provided service: it is selected, or another needs it.
pub(crate) fn is_needed(world: &World<'_>, service: &DesiredService) -> bool {
    let others = world.desired.services.iter().flat_map(|other| &other.depends_on);
    let mut uses = others.filter(|dependency| dependency.service == service.name).peekable();
    service.selected || uses.peek().is_none() || uses.any(|dependency| dependency.required)
}

/// Adds the step that asks a service's provider.
pub(crate) fn ask(
    plan: &mut Plan,
    service: &DesiredService,
    act: ProviderAct,
    reason: Reason,
    after: Vec<StepId>,
) -> Option<StepId> {
    let provider = service.provider.clone()?;
    let provide = Provide { service: service.name.clone(), act, provider };
    Some(plan.add(Step::Provide(provide), reason, after))
}

/// Asks a provider where nothing is started: only when what it depends on is no container.
pub(crate) fn ask_unstarted(
    plan: &mut Plan,
    world: &World<'_>,
    policy: &Policy,
    service: &DesiredService,
    asked: &[Option<StepId>],
) -> Option<StepId> {
    let mut after = vec![];
    for dependency in &service.depends_on {
        let Some(place) = world.index.get(dependency.service.as_str()) else { continue };
        let on = &world.desired.services[*place];
        if on.provider.is_none() && on.replicas > 0 {
            return None;
        }
        if is_pending(policy, on) {
            after.push((*asked.get(*place)?)?);
        } else if failure(policy, on).is_some() && dependency.required {
            return None;
        }
    }
    ask(plan, service, ProviderAct::Up, Reason::EachTime, after)
}

/// How the containers of a service stand to the providers it depends on.
pub(crate) enum Hold {
    /// All have answered.
    Free,
    /// They come after these steps.
    After(Vec<StepId>),
    /// They cannot be made now: this service is not provided yet, or not at all.
    Back(String),
}

/// What holds a service's containers up. `asked` has the step that asks each provider, by place.
pub(crate) fn hold(world: &World<'_>, policy: &Policy, place: usize, asked: &[Option<StepId>]) -> Hold {
    let mut after = vec![];
    for dependency in &world.desired.services[place].depends_on {
        let Some(on) = world.index.get(dependency.service.as_str()) else { continue };
        let service = &world.desired.services[*on];
        if is_pending(policy, service) {
            match asked.get(*on).copied().flatten() {
                Some(step) => after.push(step),
                None => return Hold::Back(service.name.clone()),
            }
        } else if dependency.required && failure(policy, service).is_some() {
            return Hold::Back(service.name.clone());
        }
    }
    if after.is_empty() { Hold::Free } else { Hold::After(after) }
}

/// Notes that a service is not made, where nothing else says why.
pub(crate) fn note_held(plan: &mut Plan, policy: &Policy, group: &Group<'_>, provided: &str) {
    if policy.verb == Verb::Create && !policy.provided.contains_key(provided) && group.service.name != INFRA {
        let (dependent, provided) = (group.service.name.clone(), provided.to_owned());
        plan.warnings.push(Warning::NotCreated { dependent, provided });
    }
}

/// Adds the step by which a provider ends its service, if it has not been taken yet.
pub(crate) fn end(
    plan: &mut Plan,
    policy: &Policy,
    service: &DesiredService,
    act: ProviderAct,
    after: &[StepId],
) -> Option<StepId> {
    if matches!(policy.provided.get(&service.name), Some(Provided::Done(_) | Provided::Failed { .. })) {
        return None;
    }
    ask(plan, service, act, Reason::Asked, after.to_vec())
}

/// The failures of providers that were to end their services; they keep nothing else from ending.
pub(crate) fn failures(world: &World<'_>, policy: &Policy) -> Vec<Failure> {
    world.desired.services.iter().filter_map(|service| failure(policy, service)).collect()
}
