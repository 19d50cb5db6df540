//! Decides what has to happen and does none of it: `Desired` × `Observed` → [`Plan`].
//!
//! Same input, same plan, to the byte. Every step says why it is there.

mod converge;
mod difference;
mod down;
mod graph;
mod hooks;
mod images;
mod judge;
mod lifecycle;
mod policy;
mod provide;
mod reason;
mod renew;
mod start;
mod step;
mod succession;
mod world;

pub use graph::{Plan, Planned, StepId};
pub use policy::{Consent, Orphans, Policy, Provided, Recreate, RemoveImages, Verb};
pub use reason::{Change, Failure, Reason, Warning};
pub use step::{Await, Provide, ProviderAct, Question, Step};

use resource::{Desired, Observed, Timestamp};

/// Decides what has to happen for `desired` to be true of a world that is as `observed`.
///
/// Apply the plan, observe and plan again until the plan is empty and free of failures: what is
/// behind an await, and `--wait`, only show themselves then. With [`Policy::since`] unchanged that
/// comes to an end.
pub fn plan(desired: &Desired, observed: &Observed, policy: &Policy) -> Plan {
    let world = world::World::new(desired, observed);
    match policy.verb {
        Verb::Up | Verb::Create => converge::converge(&world, policy),
        Verb::Start => lifecycle::starting(&world, policy),
        Verb::Stop => lifecycle::stopping(&world, policy),
        Verb::Restart { no_deps } => lifecycle::restarting(&world, policy, no_deps),
        Verb::Pause => lifecycle::pausing(&world, true),
        Verb::Unpause => lifecycle::pausing(&world, false),
        Verb::Kill { signal } => lifecycle::killing(&world, policy, signal),
        Verb::Remove { stop, volumes } => lifecycle::removing(&world, policy, stop, volumes),
        Verb::Down { whole, volumes, images } => {
            down::down(&world, policy, down::Flags { whole, volumes, images })
        }
    }
}

/// The first round: decides which images have to be pulled. `now` is for policies with a period.
/// Called once per command: an image with the policy `always` is in every such plan.
pub fn plan_images(desired: &Desired, observed: &Observed, now: Timestamp) -> Plan {
    images::images(desired, observed, now)
}
