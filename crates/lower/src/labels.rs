//! The labels of `commands.md` §4, written and read back.

use resource::{Desired, Observed, PodName};

/// What is wanted, as far as the labels of what exists tell: for commands that are given only a
/// project's name. Every service is selected, with as many replicas as there are containers.
pub fn from_labels(pod: &PodName, observed: &Observed) -> Desired {
    let _ = (pod, observed);
    todo!()
}
