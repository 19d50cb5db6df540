//! Pods: the unit of life. A project is a pod.

use crate::{ContainerSpec, Labels, PodName, Timestamp};
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
}

impl ContainerSpec {
    /// Whether it holds namespaces for the services of its pod, and executes no program.
    pub fn is_infra(&self) -> bool {
        self.service == INFRA
    }
}
