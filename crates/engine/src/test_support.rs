//! Values that tests begin with.

use resource::{ContainerSpec, PodName, Reference};

/// A container of busybox that asks for nothing.
pub(crate) fn container_spec(pod: &str, name: &str) -> ContainerSpec {
    ContainerSpec::new(
        name,
        &PodName::from(pod),
        name,
        Reference::parse("busybox").expect("a good reference"),
    )
}
