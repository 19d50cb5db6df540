//! Which volumes a word means, and who mounts them.

use crate::commands::owned::{NotOne, Seen};
use engine::{Engine, PodSummary};
use resource::{ContainerName, Mount, VolumeRecord};
use std::collections::BTreeSet;

/// A volume, and the containers that mount it, running or not.
pub(super) struct Known {
    pub(super) record: VolumeRecord,
    pub(super) users: BTreeSet<ContainerName>,
}

impl Known {
    pub(super) fn name(&self) -> &str {
        self.record.spec.name.as_str()
    }

    /// What filters look at.
    pub(super) fn seen(&self) -> Seen<'_> {
        let VolumeRecord { spec, created, .. } = &self.record;
        let (driver, labels) = (spec.driver.as_str(), &spec.labels);
        Seen { name: self.name(), id: "", driver, labels, created: *created, is_used: !self.users.is_empty() }
    }
}

/// All volumes, sorted by name.
pub(super) fn every(engine: &Engine, pods: &[PodSummary]) -> Vec<Known> {
    let known = |record: VolumeRecord| {
        let containers = pods.iter().flat_map(|pod| &pod.containers).map(|container| &container.record);
        let mounts = |mount: &Mount| mount.volume().is_some_and(|(name, _)| *name == record.spec.name);
        let users = containers.filter(|container| container.mounts.iter().any(mounts));
        Known { users: users.map(|container| container.spec.name.clone()).collect(), record }
    };
    engine.volumes().into_iter().map(known).collect()
}

/// The volume with this name.
pub(super) fn one<'a>(known: &'a [Known], word: &str) -> Result<&'a Known, NotOne> {
    let found = known.iter().find(|one| one.name() == word);
    found.ok_or_else(|| NotOne::missing("volume", word, known.iter().map(Known::name)))
}
