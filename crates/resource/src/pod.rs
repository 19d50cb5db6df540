//! Pods: the unit of life. A project is a pod.

use crate::{ContainerSpec, Labels, PodName, Resources, Status, Timestamp};
use serde::{Deserialize, Serialize};

/// What the container is called, in place of a service, that holds the namespaces its pod's services
/// share. No service of a Compose file can have this name.
pub const INFRA: &str = "@infra";

/// A pod that exists: its document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PodRecord {
    /// 64 hexadecimal digits, random.
    pub id: String,
    /// The project's name.
    pub name: PodName,
    /// Labels: the project's working directory and files among them.
    pub labels: Labels,
    /// When it was made.
    pub created: Timestamp,
    /// The words of the command that made it, its program's name first; none where nobody told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// What all its containers together may use.
    #[serde(default, skip_serializing_if = "Resources::is_none")]
    pub resources: Resources,
}

impl ContainerSpec {
    /// Whether it holds namespaces for the services of its pod, and executes no program.
    pub fn is_infra(&self) -> bool {
        self.service == INFRA
    }
}

/// What the containers of a pod are doing, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodStatus {
    /// None has ever been started, or there is none.
    Created,
    /// All run.
    Running,
    /// Some run, or will again, and some do not.
    Degraded,
    /// All are frozen.
    Paused,
    /// Some have ended, and none runs.
    Stopped,
    /// All have ended.
    Exited,
}

impl PodStatus {
    /// The status of a pod whose containers are in these states. The rules are Podman's; a container
    /// that is about to be restarted is one that does not run in a pod that does.
    pub fn of(containers: impl IntoIterator<Item = Status>) -> Self {
        let containers: Vec<Status> = containers.into_iter().collect();
        let all = |status| containers.iter().all(|one| *one == status);
        let any = |status| containers.contains(&status);
        if containers.is_empty() {
            Self::Created
        } else if all(Status::Running) {
            Self::Running
        } else if any(Status::Running) || any(Status::Restarting) {
            Self::Degraded
        } else if all(Status::Paused) {
            Self::Paused
        } else if all(Status::Exited) {
            Self::Exited
        } else if any(Status::Exited) {
            Self::Stopped
        } else {
            Self::Created
        }
    }

    /// As Podman prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Running => "Running",
            Self::Degraded => "Degraded",
            Self::Paused => "Paused",
            Self::Stopped => "Stopped",
            Self::Exited => "Exited",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Status::{Created, Exited, Paused, Restarting, Running};

    #[test]
    fn a_pod_is_what_its_containers_are_together() {
        let of = |containers: &[Status]| PodStatus::of(containers.iter().copied());
        assert_eq!(of(&[]), PodStatus::Created);
        assert_eq!(of(&[Created, Created]), PodStatus::Created);
        assert_eq!(of(&[Running, Running]), PodStatus::Running);
        for other in [Created, Paused, Restarting, Exited] {
            assert_eq!(of(&[Running, other]), PodStatus::Degraded, "{other:?}");
        }
        assert_eq!(of(&[Restarting, Exited]), PodStatus::Degraded);
        assert_eq!(of(&[Paused, Paused]), PodStatus::Paused);
        assert_eq!(of(&[Paused, Exited]), PodStatus::Stopped);
        assert_eq!(of(&[Created, Exited]), PodStatus::Stopped);
        assert_eq!(of(&[Exited, Exited]), PodStatus::Exited);
        assert_eq!(of(&[Paused, Created]), PodStatus::Created);
    }
}
