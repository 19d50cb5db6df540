//! The first round: which images have to be fetched or built before anything can be decided by their
//! digests. All builds are one step, since they share a graph; one that a registry may have instead is
//! pulled first, and built in the next round when that failed.

use crate::world::World;
use crate::{Failure, Plan, Reason, Step};
use resource::{BuildSpec, Desired, DesiredService, ImageNeed, Observed, PullPolicy, Timestamp};

/// Plans a pull for each image that is missing or due, and one step for all that is built; none depends
/// on another.
pub(crate) fn images(desired: &Desired, observed: &Observed, now: Timestamp) -> Plan {
    let world = World::new(desired, observed);
    let mut plan = Plan::default();
    let mut pulls: Vec<(ImageNeed, Vec<String>, Reason)> = vec![];
    let mut build = Build::default();
    let wanting = |service: &&DesiredService| service.replicas > 0 && service.has_image();
    let needs = desired.services.iter().filter(wanting).flat_map(|service| {
        let hooks = service.pre_start.iter().map(|hook| &hook.image);
        let hooks = hooks.filter(|image| image.reference != service.image.reference);
        std::iter::once(&service.image)
            .chain(hooks)
            .chain(&service.mounted_images)
            .map(move |need| (service, need))
    });
    // What one service builds, the others that name it wait for: no registry is asked for it.
    let is_built_by_another = |service: &DesiredService, need: &ImageNeed| {
        let mut builders = desired.services.iter().filter(wanting).filter(|it| !it.builds.is_empty());
        service.builds.is_empty() && builders.any(|builder| builder.image.reference == need.reference)
    };
    for (service, need) in needs {
        if is_built_by_another(service, need) {
            continue;
        }
        let found = world.found(need);
        let reason = match (need.policy, found) {
            (PullPolicy::Build, _) if !service.builds.is_empty() => {
                build.add(service, Reason::PullPolicy("build"));
                continue;
            }
            (PullPolicy::Always | PullPolicy::Missing | PullPolicy::Every(_), None)
                if is_only_built(service) =>
            {
                build.add(service, Reason::Missing);
                continue;
            }
            (PullPolicy::Always | PullPolicy::Every(_), Some(_)) if is_only_built(service) => continue,
            (PullPolicy::Never, None) if !service.builds.is_empty() => {
                build.add(service, Reason::Missing);
                continue;
            }
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
    if let Some(reason) = build.reason {
        plan.add(Step::Build { builds: build.builds, services: build.services }, reason, None);
    }
    plan
}

/// Everything that is built.
#[derive(Default)]
struct Build {
    builds: Vec<BuildSpec>,
    services: Vec<String>,
    /// Why the first of them is.
    reason: Option<Reason>,
}

impl Build {
    fn add(&mut self, service: &DesiredService, reason: Reason) {
        for build in &service.builds {
            if !self.builds.iter().any(|known| known.name == build.name) {
                self.builds.push(build.clone());
            }
        }
        self.services.push(service.name.clone());
        self.reason.get_or_insert(reason);
    }
}

/// Whether no registry can have its image: the file gives it no name.
fn is_only_built(service: &DesiredService) -> bool {
    service.builds.first().is_some_and(|build| !build.named)
}

fn described(need: &ImageNeed, service: &str) -> (String, String, String) {
    (need.reference.familiar(), service.to_owned(), need.place.clone())
}
