//! The acts a plan is made of. Each holds all that its performer needs; nothing is looked up later.

use resource::{
    BuildSpec, Condition, ContainerId, ContainerName, ContainerSpec, Hook, ImageNeed, Labels, NetworkName,
    NetworkSpec, PodName, Predecessor, ProviderSpec, Reference, Resources, VolumeName, VolumeSpec,
};
use std::fmt;
use std::time::Duration;

/// One act of the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Makes the pod.
    CreatePod {
        /// Its name.
        pod: PodName,
        /// Its labels.
        labels: Labels,
        /// What its containers together may use.
        resources: Box<Resources>,
    },
    /// Sets anew what the containers of the pod together may use.
    LimitPod {
        /// Its name.
        pod: PodName,
        /// All limits; what is not among them is without limit.
        resources: Box<Resources>,
    },
    /// Removes the pod, its logs and everything in the kernel that bears its name.
    RemovePod {
        /// Its name.
        pod: PodName,
    },
    /// Gets an image from its registry.
    Pull {
        /// The image.
        need: ImageNeed,
        /// The services that want it.
        services: Vec<String>,
    },
    /// Builds images, all of them at once: what they have in common is made once.
    Build {
        /// The images, with those they take files from.
        builds: Vec<BuildSpec>,
        /// The services that want them.
        services: Vec<String>,
    },
    /// Removes an image.
    RemoveImage {
        /// Its reference.
        reference: Reference,
    },
    /// Makes a network that does not exist.
    CreateNetwork(NetworkSpec),
    /// Makes the bridge of a network that exists but is not in the kernel, as after a reboot.
    RaiseNetwork(NetworkSpec),
    /// Takes the bridge of a network out of the kernel, once nothing runs on it: that takes the kernel a
    /// while, in which its containers can be removed.
    LowerNetwork {
        /// Its name.
        network: NetworkName,
    },
    /// Removes a network that nothing runs on.
    RemoveNetwork {
        /// Its name.
        network: NetworkName,
    },
    /// Makes a volume that does not exist.
    CreateVolume(VolumeSpec),
    /// Removes a volume that nothing mounts.
    RemoveVolume {
        /// Its name.
        volume: VolumeName,
    },
    /// Makes a container; it is not started.
    CreateContainer {
        /// The whole of it, under its temporary name when it replaces another.
        spec: Box<ContainerSpec>,
        /// The container whose place it takes.
        replaces: Option<Predecessor>,
    },
    /// Gives a container that stays, running or not, other published ports and other names on its
    /// networks.
    UpdateContainer {
        /// Its name.
        container: ContainerName,
        /// Its id.
        id: ContainerId,
        /// What is wanted; all but ports and aliases is as it was.
        spec: Box<ContainerSpec>,
    },
    /// Publishes the ports of a container by the one that takes its place, in one change: what connects
    /// from then on reaches the new one, connections that are there stay with the old one.
    HandOverPorts {
        /// The container that has them; it may have ended.
        from: ContainerId,
        /// The running container that gets them.
        to: ContainerName,
        /// Its service, for messages.
        service: String,
    },
    /// Gives a container its lasting name.
    RenameContainer {
        /// The name it has: `<12 of the old id>_<name>`.
        from: ContainerName,
        /// The name it gets.
        to: ContainerName,
    },
    /// Starts a container that is created or exited.
    StartContainer {
        /// Its name, as it is when this step comes.
        container: ContainerName,
        /// The service it belongs to, for messages.
        service: String,
        /// The file and line that asked for it, for messages.
        place: String,
        /// Run in it, one after the other, once it has started.
        hooks: Vec<Hook>,
    },
    /// Waits until something holds of a container. Never performed: the caller waits for it without
    /// holding the project's lock, then observes and plans again.
    Await(Await),
    /// Stops a container: its stop signal, then SIGKILL.
    StopContainer {
        /// Its name.
        container: ContainerName,
        /// Its id.
        id: ContainerId,
        /// Time between the two signals; `None` is the container's own.
        grace: Option<Duration>,
        /// Run in it, one after the other, before the first signal; when one fails it is not stopped.
        hooks: Vec<Hook>,
    },
    /// Sends a container's first process a signal.
    KillContainer {
        /// Its name.
        container: ContainerName,
        /// Its id.
        id: ContainerId,
        /// The signal's number.
        signal: i32,
    },
    /// Freezes a container.
    PauseContainer {
        /// Its name.
        container: ContainerName,
        /// Its id.
        id: ContainerId,
    },
    /// Thaws a container.
    UnpauseContainer {
        /// Its name.
        container: ContainerName,
        /// Its id.
        id: ContainerId,
    },
    /// Removes a container that does not run.
    RemoveContainer {
        /// Its name.
        container: ContainerName,
        /// Its id.
        id: ContainerId,
        /// Its anonymous volumes go too.
        volumes: bool,
    },
    /// Has a program act for a service that it provides. Never performed: the caller has it run without holding
    /// the project's lock, then observes and plans again.
    Provide(Provide),
    /// Asks for consent. Never performed and nothing comes after it: without consent things stay as
    /// they are. Who consents adds the answer to [`crate::Policy::consent`] and plans again.
    Ask(Question),
}

/// Something to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Await {
    /// The container waited for.
    pub container: ContainerName,
    /// Its service.
    pub service: String,
    /// What has to hold of it.
    pub condition: Condition,
    /// When false, its failure is only worth a warning.
    pub required: bool,
    /// It is waited for no longer than this, and that is well, too.
    pub limit: Option<Duration>,
}

/// What a program that provides a service has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provide {
    /// The service.
    pub service: String,
    /// What is to be done for it.
    pub act: ProviderAct,
    /// The program.
    pub provider: ProviderSpec,
}

/// What a provider can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderAct {
    /// Make the service be there, and say how it is reached.
    Up,
    /// Let it rest, if it can.
    Stop,
    /// Take it away.
    Down,
}

impl ProviderAct {
    /// The word that a provider knows it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Stop => "stop",
            Self::Down => "down",
        }
    }
}

/// Consent that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The volume's definition changed: may it be removed, with its contents, and made anew?
    RecreateVolume(VolumeName),
}

impl fmt::Display for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecreateVolume(volume) => {
                write!(formatter, "whether volume {volume} may be removed, with its contents, and made anew")
            }
        }
    }
}

/// The word for a condition in a plan's text.
pub(crate) fn condition_word(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "started",
        Condition::Healthy => "healthy",
        Condition::CompletedSuccessfully => "completed",
        Condition::Exited => "exited",
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreatePod { pod, .. } => write!(formatter, "create pod {pod}"),
            Self::LimitPod { pod, .. } => write!(formatter, "limit pod {pod}"),
            Self::RemovePod { pod } => write!(formatter, "remove pod {pod}"),
            Self::Pull { need, .. } => write!(formatter, "pull {}", need.reference.written()),
            Self::Build { services, .. } => write!(formatter, "build {}", services.join(", ")),
            Self::RemoveImage { reference } => write!(formatter, "remove image {}", reference.familiar()),
            Self::CreateNetwork(spec) => write!(formatter, "create network {}", spec.name),
            Self::RaiseNetwork(spec) => write!(formatter, "raise network {}", spec.name),
            Self::LowerNetwork { network } => write!(formatter, "lower network {network}"),
            Self::RemoveNetwork { network } => write!(formatter, "remove network {network}"),
            Self::CreateVolume(spec) => write!(formatter, "create volume {}", spec.name),
            Self::RemoveVolume { volume } => write!(formatter, "remove volume {volume}"),
            Self::CreateContainer { spec, .. } => write!(formatter, "create {}", spec.name),
            Self::UpdateContainer { container, .. } => write!(formatter, "update {container}"),
            Self::HandOverPorts { to, .. } => write!(formatter, "hand ports over to {to}"),
            Self::RenameContainer { from, to } => write!(formatter, "rename {from} to {to}"),
            Self::StartContainer { container, .. } => write!(formatter, "start {container}"),
            Self::Await(wait) => {
                write!(formatter, "await {} {}", wait.container, condition_word(wait.condition))?;
                match wait.limit {
                    None => Ok(()),
                    Some(limit) => write!(formatter, " within {} s", limit.as_secs_f64()),
                }
            }
            Self::StopContainer { container, grace: None, .. } => write!(formatter, "stop {container}"),
            Self::StopContainer { container, grace: Some(grace), .. } => {
                write!(formatter, "stop {container} within {} s", grace.as_secs())
            }
            Self::KillContainer { container, signal, .. } => {
                write!(formatter, "kill {container} with signal {signal}")
            }
            Self::PauseContainer { container, .. } => write!(formatter, "pause {container}"),
            Self::UnpauseContainer { container, .. } => write!(formatter, "unpause {container}"),
            Self::RemoveContainer { container, volumes: false, .. } => {
                write!(formatter, "remove {container}")
            }
            Self::RemoveContainer { container, volumes: true, .. } => {
                write!(formatter, "remove {container} and its anonymous volumes")
            }
            Self::Provide(Provide { service, act, provider }) => {
                write!(formatter, "run provider {}: {} {service}", provider.kind, act.as_str())
            }
            Self::Ask(question) => write!(formatter, "ask {question}"),
        }
    }
}
