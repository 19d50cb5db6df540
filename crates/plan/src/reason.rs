//! Why a step is there, and what stands in the way of one that is not.

use resource::{ContainerName, NetworkName, VolumeName};
use std::fmt;

/// A field of a definition that differs from what it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The field in Compose's words: `environment`, `ports`.
    pub field: String,
    /// What in it differs, such as the names of variables; never a value that may be secret.
    pub keys: Vec<String>,
}

/// Why a step is in the plan; prints as what follows "because".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// What it makes is not there.
    Missing,
    /// `service` needs another replica.
    ScaleUp {
        /// The service.
        service: String,
        /// How many are wanted.
        wanted: u32,
    },
    /// `service` has too many replicas.
    ScaleDown {
        /// The service.
        service: String,
        /// How many are wanted.
        wanted: u32,
    },
    /// The definition of the service changed; the names of the fields that differ.
    Changed {
        /// The service.
        service: String,
        /// What differs; empty when the definitions themselves say no more.
        changes: Vec<Change>,
    },
    /// A container of `service` is not where it should be: `not on network x`, `not mounting volume y`.
    Detached {
        /// The service.
        service: String,
        /// What it lacks.
        lacks: String,
    },
    /// `service` shares a namespace or volumes with `with`, which is made anew.
    Bound {
        /// The service.
        service: String,
        /// What it is bound to.
        with: String,
    },
    /// The user wants it in any case.
    Forced,
    /// Another one has taken its place while it ran.
    Relieved(ContainerName),
    /// It was to take the place of another, and failed.
    RolledBack,
    /// Between two replacements there is to be some time.
    Delay,
    /// The container takes the place of another.
    Replaces(ContainerName),
    /// The container is replaced by a new one.
    Replaced,
    /// A replacement was begun earlier and not finished.
    Unfinished,
    /// The network's definition changed; the names of the fields that differ.
    NetworkChanged(NetworkName, Vec<Change>),
    /// The volume's definition changed; the names of the fields that differ.
    VolumeChanged(VolumeName, Vec<Change>),
    /// What the pod's containers together may use changed.
    TotalsChanged,
    /// The container is there but does not run; its status.
    NotRunning(&'static str),
    /// Somebody is stopping it, or has sent it the signal for that.
    Stopping,
    /// It was made just now.
    New,
    /// `dependent` depends on `dependency`.
    DependsOn {
        /// The service that waits.
        dependent: String,
        /// The service waited for.
        dependency: String,
    },
    /// `dependent` is restarted with `dependency`.
    RestartsWith {
        /// The service restarted.
        dependent: String,
        /// The service that takes it along.
        dependency: String,
    },
    /// It has to succeed before this service starts.
    StartHook(String),
    /// It has done what it was made for.
    Succeeded,
    /// It is left of an earlier attempt.
    LeftOver,
    /// The caller waits for every service.
    WaitedFor,
    /// The service is not in the file any more.
    Orphan(String),
    /// A `run` has left it, and it has ended.
    Ran,
    /// The user asked for it.
    Asked,
    /// Only the provider knows whether the service is there.
    EachTime,
    /// Its bridge is not in the kernel.
    BridgeGone,
    /// The pull policy says so.
    PullPolicy(&'static str),
    /// The image is older than its pull policy allows.
    Stale,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(formatter, "it does not exist"),
            Self::ScaleUp { service, wanted } => write!(formatter, "{service} wants {}", replicas(*wanted)),
            Self::ScaleDown { service, wanted } => {
                write!(formatter, "{service} wants only {}", replicas(*wanted))
            }
            Self::Changed { service, changes } => changed(formatter, &format!("`{service}`"), changes),
            Self::Detached { service, lacks } => write!(formatter, "{service} is {lacks}"),
            Self::Bound { service, with } => {
                write!(formatter, "{service} shares with {with}, which is made anew")
            }
            Self::Forced => write!(formatter, "recreation is forced"),
            Self::Replaces(name) => write!(formatter, "it takes the place of {name}"),
            Self::Delay => write!(formatter, "the next has to wait"),
            Self::Replaced => write!(formatter, "it is replaced"),
            Self::Unfinished => write!(formatter, "a replacement was left unfinished"),
            Self::NetworkChanged(name, fields) => changed(formatter, &format!("network `{name}`"), fields),
            Self::VolumeChanged(name, fields) => changed(formatter, &format!("volume `{name}`"), fields),
            Self::TotalsChanged => write!(formatter, "what it may use changed"),
            Self::NotRunning(status) => write!(formatter, "it is {status}"),
            Self::Stopping => formatter.write_str("it was asked to stop"),
            Self::New => write!(formatter, "it is new"),
            Self::DependsOn { dependent, dependency } => {
                write!(formatter, "{dependent} depends on {dependency}")
            }
            Self::Relieved(by) => write!(formatter, "{by} has taken its place"),
            Self::RolledBack => write!(formatter, "it failed, and the old one goes on"),
            Self::RestartsWith { dependent, dependency } => {
                write!(formatter, "{dependent} restarts with {dependency}")
            }
            Self::StartHook(service) => write!(formatter, "it comes before the start of {service}"),
            Self::Succeeded => write!(formatter, "it has succeeded"),
            Self::LeftOver => write!(formatter, "it is left of an earlier attempt"),
            Self::WaitedFor => write!(formatter, "every service is waited for"),
            Self::Orphan(service) => write!(formatter, "the project has no service {service}"),
            Self::Ran => write!(formatter, "a `run` left it behind"),
            Self::Asked => write!(formatter, "it was asked for"),
            Self::EachTime => write!(formatter, "a provider is asked each time"),
            Self::BridgeGone => write!(formatter, "its bridge is gone"),
            Self::Stale => write!(formatter, "it is older than its pull policy allows"),
            Self::PullPolicy(policy) => write!(formatter, "its pull policy is {policy}"),
        }
    }
}

fn replicas(count: u32) -> String {
    if count == 1 { "1 replica".to_owned() } else { format!("{count} replicas") }
}

/// `environment of `db` changed: FOO, BAR; ports of `db` changed`.
fn changed(formatter: &mut fmt::Formatter<'_>, of: &str, changes: &[Change]) -> fmt::Result {
    if changes.is_empty() {
        return write!(formatter, "the definition of {of} changed");
    }
    for (index, change) in changes.iter().enumerate() {
        let separator = if index == 0 { "" } else { "; " };
        write!(formatter, "{separator}{} of {of} changed", change.field)?;
        if !change.keys.is_empty() {
            write!(formatter, ": {}", change.keys.join(", "))?;
        }
    }
    Ok(())
}

/// Something worth telling that stops nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Containers of services that the project no longer has.
    Orphans(Vec<ContainerName>),
    /// The network exists but is not the project's; it is used as it is.
    ForeignNetwork(NetworkName),
    /// The volume exists but is not the project's; it is used as it is.
    ForeignVolume(VolumeName),
    /// The network's definition changed, but containers of other projects are on it.
    NetworkKept(NetworkName, Vec<ContainerName>),
    /// The volume's definition changed, but containers of other projects mount it.
    VolumeKept(VolumeName, Vec<ContainerName>),
    /// It is not removed because these containers still use it.
    NetworkInUse(NetworkName, Vec<ContainerName>),
    /// It is not removed because these containers still use it.
    VolumeInUse(VolumeName, Vec<ContainerName>),
    /// A dependency with `required: false` failed; the dependent starts anyway.
    OptionalDependency {
        /// The service that starts anyway.
        dependent: String,
        /// What failed.
        failure: String,
    },
    /// Not made yet: what a provider tells it is known only when containers run that the provider needs.
    NotCreated {
        /// The service that is not made.
        dependent: String,
        /// The service that is provided.
        provided: String,
    },
    /// `down`, `rm`, `kill` and the like found nothing.
    NothingToDo,
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Orphans(names) => write!(
                formatter,
                "found orphan containers ({}) for this project; if you removed or renamed this service in \
                 your compose file, you can run this command with the --remove-orphans flag to clean it up",
                list(names)
            ),
            Self::ForeignNetwork(name) => write!(
                formatter,
                "a network with name {name} exists but was not created for this project; set `external: true` \
                 to use an existing network"
            ),
            Self::ForeignVolume(name) => write!(
                formatter,
                "volume {name} already exists but was not created for this project; use `external: true` to \
                 use an existing volume"
            ),
            Self::NetworkKept(name, users) => write!(
                formatter,
                "network {name} changed but is kept as it is: containers of other projects are on it ({})",
                list(users)
            ),
            Self::VolumeKept(name, users) => write!(
                formatter,
                "volume {name} changed but is kept as it is: other containers mount it ({})",
                list(users)
            ),
            Self::NetworkInUse(name, users) => {
                write!(formatter, "network {name}: resource is still in use ({})", list(users))
            }
            Self::VolumeInUse(name, users) => {
                write!(formatter, "volume {name}: resource is still in use ({})", list(users))
            }
            Self::OptionalDependency { dependent, failure } => {
                write!(formatter, "optional dependency of {dependent} failed to start: {failure}")
            }
            Self::NotCreated { dependent, provided } => write!(
                formatter,
                "service {dependent} is not created: what the provider of {provided} tells it is known only \
                 when the containers run that {provided} depends on"
            ),
            Self::NothingToDo => write!(formatter, "no resource found"),
        }
    }
}

fn list(names: &[ContainerName]) -> String {
    names.iter().map(ContainerName::as_str).collect::<Vec<_>>().join(", ")
}

/// Why something that is wanted cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// An external network is missing.
    #[error("network {network} declared as external, but could not be found")]
    ExternalNetwork {
        /// The network.
        network: NetworkName,
        /// The line that declares it.
        place: String,
    },
    /// An external volume is missing.
    #[error("external volume \"{volume}\" not found")]
    ExternalVolume {
        /// The volume.
        volume: VolumeName,
        /// The line that declares it.
        place: String,
    },
    /// A dependency that should be healthy or stay up has ended.
    #[error("dependency failed to start: container {container} exited ({})", code_text(*.code))]
    Exited {
        /// The container that ended.
        container: ContainerName,
        /// Its exit code, if known.
        code: Option<i32>,
        /// The service that needed it, empty when `--wait` did.
        dependent: String,
        /// The line of the service that needed it.
        place: String,
    },
    /// A dependency is unhealthy.
    #[error("dependency failed to start: container {container} is unhealthy")]
    Unhealthy {
        /// The container.
        container: ContainerName,
        /// The service that needed it.
        dependent: String,
        /// The line of the service that needed it.
        place: String,
    },
    /// A dependency that should become healthy is never checked.
    #[error("dependency failed to start: container {container} has no healthcheck configured")]
    NoHealthcheck {
        /// The container.
        container: ContainerName,
        /// The service that needed it.
        dependent: String,
        /// The line of the service that needed it.
        place: String,
    },
    /// A dependency that should succeed did not.
    #[error("service \"{service}\" didn't complete successfully: exit {}", code_text(*.code))]
    Incomplete {
        /// The service that failed.
        service: String,
        /// Its exit code, if known.
        code: Option<i32>,
        /// The service that needed it.
        dependent: String,
        /// The line of the service that needed it.
        place: String,
    },
    /// `--wait`: a container ended that should run.
    #[error("container {container} exited ({})", code_text(*.code))]
    WaitExited {
        /// The container that ended.
        container: ContainerName,
        /// Its exit code, if known.
        code: Option<i32>,
    },
    /// `--wait`: a container is unhealthy.
    #[error("container {container} is unhealthy")]
    WaitUnhealthy {
        /// The container.
        container: ContainerName,
    },
    /// A container that was to take the place of another while that runs is not fit for it.
    #[error(
        "container {old} is not replaced: the new one {}{}",
        if *.ended { "has ended" } else { "is unhealthy" },
        if *.removed { " and is removed" } else if *.stopped { "; the old one is stopped, and kept" } else { "" }
    )]
    NotSucceeded {
        /// The container that goes on.
        old: ContainerName,
        /// The new one ended, instead of being unhealthy.
        ended: bool,
        /// The new one is removed, by `failure_action: rollback`.
        removed: bool,
        /// The old one does not run: it was stopped first.
        stopped: bool,
        /// The line of the service.
        place: String,
    },
    /// `start` of a service that has no container.
    #[error("service \"{service}\" has no container to start")]
    NoContainer {
        /// The service.
        service: String,
    },
    /// More replicas than one name can be given to.
    #[error(
        "service \"{service}\" has `container_name: {name}` and {replicas} replicas; a container name must be unique"
    )]
    FixedName {
        /// The service.
        service: String,
        /// Its only name.
        name: ContainerName,
        /// How many would share it.
        replicas: u32,
        /// The line of the service.
        place: String,
    },
    /// The provider of a service has failed.
    #[error("service \"{service}\": {said}")]
    Provider {
        /// The service.
        service: String,
        /// What went wrong.
        said: String,
        /// What to do about it.
        help: Option<String>,
        /// The line of the provider.
        place: String,
    },
    /// A container that runs before a service starts has failed.
    #[error("service \"{service}\" is not started: its pre_start hook {container} exited ({})", code_text(*.code))]
    StartHook {
        /// The service.
        service: String,
        /// The hook's container; it is kept.
        container: ContainerName,
        /// Its exit code, if known.
        code: Option<i32>,
        /// The line of the hook.
        place: String,
    },
    /// The image is not here and may not be pulled.
    #[error("image {image} of service \"{service}\" is not here, and its pull policy is `never`")]
    NotPulled {
        /// The image.
        image: String,
        /// The service that wants it.
        service: String,
        /// The line that names it.
        place: String,
    },
    /// The image would have to be built.
    #[error("image {image} of service \"{service}\" has to be built, which this version does not do yet")]
    NotBuilt {
        /// The image.
        image: String,
        /// The service that wants it.
        service: String,
        /// The line that names it.
        place: String,
    },
}

impl Failure {
    /// The file and line to show with it, `compose.yaml:5:3`.
    pub fn place(&self) -> Option<&str> {
        match self {
            Self::ExternalNetwork { place, .. }
            | Self::ExternalVolume { place, .. }
            | Self::Exited { place, .. }
            | Self::Unhealthy { place, .. }
            | Self::NoHealthcheck { place, .. }
            | Self::Incomplete { place, .. }
            | Self::FixedName { place, .. }
            | Self::NotSucceeded { place, .. }
            | Self::StartHook { place, .. }
            | Self::Provider { place, .. }
            | Self::NotPulled { place, .. }
            | Self::NotBuilt { place, .. } => {
                Some(place).filter(|place| !place.is_empty()).map(String::as_str)
            }
            _ => None,
        }
    }
}

fn code_text(code: Option<i32>) -> String {
    code.map_or_else(|| "unknown".to_owned(), |code| code.to_string())
}
