//! What is wanted of a whole project.

use crate::{
    BuildSpec, Condition, ContainerSpec, Digest, Labels, NetworkName, NetworkSpec, Part, Platform, PodName,
    ProviderSpec, Reference, Resources, VolumeName, VolumeSpec,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Everything that is wanted of one pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// The pod.
    pub pod: PodName,
    /// Labels of the pod: `com.docker.compose.project.working_dir`, `….config_files`.
    pub labels: Labels,
    /// What all containers of the pod together may use.
    #[serde(default, skip_serializing_if = "Resources::is_none")]
    pub pod_resources: Resources,
    /// Networks of the selected services.
    pub networks: Vec<NetworkSpec>,
    /// Those of them that a file declares, with the place, `compose.yaml:5:3`, for messages of what goes
    /// wrong later.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub network_places: BTreeMap<NetworkName, String>,
    /// Named volumes of the selected services.
    pub volumes: Vec<VolumeSpec>,
    /// Those of them that a file declares, with the place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volume_places: BTreeMap<VolumeName, String>,
    /// Services, dependencies before dependents; the selected ones and what they depend on.
    pub services: Vec<DesiredService>,
    /// Names of all services that the project defines, also those not selected or not enabled:
    /// a container of the pod whose service is not here is an orphan.
    pub known_services: Vec<String>,
}

/// One service: some equal containers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredService {
    /// Its name.
    pub name: String,
    /// Named by the user (or none was named), rather than pulled in as a dependency.
    pub selected: bool,
    /// How many.
    pub replicas: u32,
    /// The container with the number 1; others differ in name, number and number label.
    /// `depends_on` containers are found by service, so nothing else does.
    pub container: ContainerSpec,
    /// The name was chosen by the user (`container_name`) and cannot be numbered.
    pub fixed_name: bool,
    /// Text between project, service and number in a container's name: `-`, or `_` in compatibility mode.
    pub separator: String,
    /// What it needs of other services.
    pub depends_on: Vec<Dependency>,
    /// Its image.
    pub image: ImageNeed,
    /// Services whose container it joins a namespace or takes volumes of: it is recreated with them.
    pub bound_to: Vec<String>,
    /// The file and line that asked for it, `compose.yaml:5:3`, for messages of what goes wrong later.
    pub place: String,
    /// Containers that run to their end, one after the other, before it starts from nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pre_start: Vec<StartHook>,
    /// Images that the container mounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounted_images: Vec<ImageNeed>,
    /// Where parts of the container are asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<PartPlace>,
    /// How its containers are replaced; `None`: all at once, each as soon as its successor is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Update>,
    /// The program that provides it, instead of containers: then it has none of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderSpec>,
    /// How its image is built, and after it the builds that this takes files from; empty when it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub builds: Vec<BuildSpec>,
}

impl DesiredService {
    /// Whether its containers are made of an image that somebody has: not an infra, nor what a program provides.
    pub fn has_image(&self) -> bool {
        self.provider.is_none() && !self.container.is_infra()
    }
}

/// How running containers are replaced. The old one is there, if need be stopped, until the new one is
/// healthy and has been watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Which comes first.
    pub order: UpdateOrder,
    /// How many replicas at a time; 0 is all.
    pub at_once: u32,
    /// From the end of the watch over one to the turn of the next.
    pub delay: Duration,
    /// How long after its start a new one is watched.
    pub monitor: Duration,
    /// The share of the replicas that may fail, in millionths.
    pub tolerated: u32,
    /// What follows when more do: when they end meanwhile or do not become healthy.
    pub after_failure: AfterFailure,
}

/// Whether a container starts before or after the end of the one it replaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateOrder {
    /// After it.
    #[default]
    StopFirst,
    /// Before it, so that there is no gap.
    StartFirst,
}

/// What follows when a container that was to take the place of another fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterFailure {
    /// It stays beside the old one, to be looked at; no more are replaced.
    #[default]
    Pause,
    /// It is removed, and the old one goes on or is started again; no more are replaced.
    RollBack,
    /// It takes the place all the same.
    Continue,
}

/// A container that runs to its end before a service starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartHook {
    /// The container: a one-off of the service, with the volumes of the service's first container.
    pub container: ContainerSpec,
    /// Its image.
    pub image: ImageNeed,
    /// The file and line that asked for it, `compose.yaml:7:9`.
    pub place: String,
}

/// Who asked for a part of a container, for messages of what goes wrong later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartPlace {
    /// The part.
    pub part: Part,
    /// The service; another than the container's where that has the ports and addresses of several.
    pub service: String,
    /// The file and line.
    pub place: String,
}

/// An edge of the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dependency {
    /// The service depended on.
    pub service: String,
    /// What has to hold first.
    pub condition: Condition,
    /// Restarted with it.
    pub restart: bool,
    /// When false, its absence or failure is only worth a warning.
    pub required: bool,
}

/// An image that is needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageNeed {
    /// Its reference.
    #[serde(serialize_with = "crate::reference::as_written")]
    pub reference: Reference,
    /// For this platform; the host's by default.
    pub platform: Option<Platform>,
    /// When to ask the registry.
    pub policy: PullPolicy,
    /// The service has a `build` section.
    pub buildable: bool,
    /// The image found or pulled in the first round, `None` before: digest of its manifest.
    pub resolved: Option<Digest>,
    /// The line that names it, `compose.yaml:6:12`.
    pub place: String,
}

impl ImageNeed {
    /// One that is known already, and asked of no registry.
    pub fn settled(reference: Reference, manifest: Digest) -> Self {
        Self {
            reference,
            platform: None,
            policy: PullPolicy::Never,
            buildable: false,
            resolved: Some(manifest),
            place: String::new(),
        }
    }
}

/// When a registry is asked for an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullPolicy {
    /// When there is none here.
    #[default]
    Missing,
    /// Every time.
    Always,
    /// Never; it must be here.
    Never,
    /// Never; it is built.
    Build,
    /// When the local one is older than this many seconds.
    Every(u64),
}
