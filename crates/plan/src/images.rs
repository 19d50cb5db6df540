//! The first round: which images have to be fetched before anything can be decided by their digests.

use crate::world::World;
use crate::{Failure, Plan, Reason, Step};
use resource::{Desired, DesiredService, ImageNeed, Observed, PullPolicy, Timestamp};

/// Plans a pull for each image that is missing or due; the pulls do not depend on one another.
pub(crate) fn images(desired: &Desired, observed: &Observed, now: Timestamp) -> Plan {
    let world = World::new(desired, observed);
    let mut plan = Plan::default();
    let mut pulls: Vec<(ImageNeed, Vec<String>, Reason)> = vec![];
    let wanting = |service: &&DesiredService| service.replicas > 0 && !service.container.is_infra();
    let needs = desired.services.iter().filter(wanting).flat_map(|service| {
        let hooks = service.pre_start.iter().map(|hook| &hook.image);
        let hooks = hooks.filter(|image| image.reference != service.image.reference);
        std::iter::once(&service.image).chain(hooks).map(move |need| (service, need))
    });
    for (service, need) in needs {
        let found = world.found(need);
        let reason = match (need.policy, found) {
            (PullPolicy::Always, _) => Reason::PullPolicy("always"),
            (PullPolicy::Missing | PullPolicy::Every(_), None) => Reason::Missing,
            (PullPolicy::Every(seconds), Some(image)) => {
                let age = now.as_second().saturating_sub(image.tagged.as_second());
                if age < i64::try_from(seconds).unwrap_or(i64::MAX) {
                    continue;
                }
                Reason::Stale
            }
            (PullPolicy::Missing | PullPolicy::Never | PullPolicy::Build, Some(_)) => continue,
            (PullPolicy::Never, None) => {
                let (image, service, place) = described(need, &service.name);
                plan.failures.push(Failure::NotPulled { image, service, place });
                continue;
            }
            (PullPolicy::Build, None) => {
                let (image, service, place) = described(need, &service.name);
                plan.failures.push(Failure::NotBuilt { image, service, place });
                continue;
            }
        };
        let same = |pull: &&mut (ImageNeed, Vec<String>, Reason)| {
            pull.0.reference == need.reference && pull.0.platform == need.platform
        };
        match pulls.iter_mut().find(same) {
            Some((_, services, _)) => services.push(service.name.clone()),
            None => pulls.push((need.clone(), vec![service.name.clone()], reason)),
        }
    }
    for (need, services, reason) in pulls {
        plan.add(Step::Pull { need, services }, reason, None);
    }
    plan
}

fn described(need: &ImageNeed, service: &str) -> (String, String, String) {
    (need.reference.familiar(), service.to_owned(), need.place.clone())
}
