//! Decides what has to happen and does none of it: `Desired` × `Observed` → [`Plan`].
//!
//! Same input, same plan, to the byte. Every step says why it is there.

mod graph;
mod policy;
mod reason;
mod step;

pub use graph::{Plan, Planned, StepId};
pub use policy::{Consent, Orphans, Policy, Recreate, RemoveImages, Verb};
pub use reason::{Failure, Reason, Warning};
pub use step::{Await, Question, Step};

use resource::{Desired, Observed, Timestamp};

/// Decides what has to happen for `desired` to be true of a world that is as `observed`.
pub fn plan(desired: &Desired, observed: &Observed, policy: &Policy) -> Plan {
    let _ = (desired, observed, policy);
    todo!()
}

/// The first round: decides which images have to be pulled. `now` is for policies with a period.
pub fn plan_images(desired: &Desired, observed: &Observed, now: Timestamp) -> Plan {
    let _ = (desired, observed, now);
    todo!()
}
