//! What is there: the engine's answer to "what do you know of this pod?".

use crate::{ContainerRecord, ContainerState, Image, NetworkRecord, PodRecord, VolumeRecord};
use serde::{Deserialize, Serialize};

/// Everything the engine knows that concerns one pod and what is wanted of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The pod, if it exists.
    pub pod: Option<PodRecord>,
    /// Its containers, sorted by name, one-offs included.
    pub containers: Vec<ObservedContainer>,
    /// Networks labelled as the project's, and those named in the scope.
    pub networks: Vec<ObservedNetwork>,
    /// Volumes labelled as the project's, and those named in the scope.
    pub volumes: Vec<ObservedVolume>,
    /// Images found for the references named in the scope.
    pub images: Vec<Image>,
}

/// A container and what it is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservedContainer {
    /// What it is.
    pub record: ContainerRecord,
    /// What it is doing, checked against the kernel.
    pub state: ContainerState,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservedNetwork {
    /// What it is.
    pub record: NetworkRecord,
    /// Its bridge exists in the kernel.
    pub up: bool,
    /// Names of containers of other pods that are on it.
    pub used_by_others: Vec<crate::ContainerName>,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservedVolume {
    /// What it is.
    pub record: VolumeRecord,
    /// Names of containers that mount it.
    pub used_by: Vec<crate::ContainerName>,
}
