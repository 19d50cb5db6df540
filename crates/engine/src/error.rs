//! What can go wrong at the front door. A variant says what was attempted on what; the cause is its
//! source. Nothing here knows Compose's exit codes, but a failed start knows its own.

use crate::cdi::CdiError;
use resource::document::Fault;
use resource::{ContainerName, NetworkName, Part, Platform, PodName, Reference, VolumeName};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

/// Why an act of the engine failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A file or folder of the engine could not be worked with.
    #[error("cannot {attempt} `{path}`")]
    File {
        /// `make`, `read`, `replace`, …
        attempt: &'static str,
        /// What it was attempted on.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The pod's lock could not be taken.
    #[error("cannot lock pod `{pod}`")]
    Lock {
        /// The pod.
        pod: PodName,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The image store failed.
    #[error(transparent)]
    Store(Box<store::StoreError>),
    /// The files that say where registries are make no sense.
    #[error(transparent)]
    Registries(#[from] registry::ConfigError),
    /// An image could not be pulled.
    #[error("cannot pull `{}`", reference.familiar())]
    Pull {
        /// The image.
        reference: Reference,
        /// The cause.
        #[source]
        source: Box<crate::pull::PullError>,
    },
    /// A registry did not say what it has under a name, or did not take what it was given.
    #[error("the registry of `{}` did not do its part", reference.familiar())]
    Registry {
        /// The image.
        reference: Reference,
        /// Why not.
        #[source]
        source: Box<registry::RegistryError>,
    },
    /// An image could not be pushed.
    #[error("cannot push `{}`", reference.familiar())]
    Push {
        /// The name it was to get.
        reference: Reference,
        /// Why not.
        #[source]
        source: Box<crate::PushError>,
    },
    /// Images could not be read from files, or written to some.
    #[error(transparent)]
    Archive(Box<crate::ArchiveError>),
    /// A registry did not say which digest an image has.
    #[error("cannot learn the digest of `{}`", reference.familiar())]
    Digest {
        /// The image.
        reference: Reference,
        /// The cause.
        #[source]
        source: Box<registry::RegistryError>,
    },
    /// An act on a network failed in the kernel.
    #[error("cannot {attempt} network `{network}`")]
    Network {
        /// `set up`, `remove`, …
        attempt: &'static str,
        /// The network.
        network: NetworkName,
        /// The cause.
        #[source]
        source: network::NetworkError,
    },
    /// Images could not be built.
    #[error("{0}")]
    Build(Box<builder::BuildError>),
    /// The image is not in the store.
    #[error("image `{}` is not here", reference.familiar())]
    NoImage {
        /// The image.
        reference: Reference,
    },
    /// The server that a container's lines are to be sent to has no address.
    #[error("container `{container}`: cannot find its log server `{host}`")]
    LogServer {
        /// The container.
        container: resource::ContainerName,
        /// The server's name.
        host: String,
        /// The answer.
        #[source]
        source: io::Error,
    },
    /// There is no such container.
    #[error("no container is named `{0}`")]
    NoContainer(ContainerName),
    /// There is no container with this id, or its document is unreadable.
    #[error("no container has the id `{0}`")]
    NoSuchId(resource::ContainerId),
    /// The container has no process now.
    #[error("container `{0}` does not run")]
    NotRunning(resource::ContainerId),
    /// A file of the host could not be sent into a container.
    #[error("cannot send `{}` to `{}` in the container", host.display(), inside.display())]
    Send {
        /// On the host.
        host: PathBuf,
        /// In the container.
        inside: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// There is no such network.
    #[error("no network is named `{0}`")]
    NoNetwork(NetworkName),
    /// A network with this name is there already.
    #[error("a network named `{0}` exists")]
    NetworkExists(NetworkName),
    /// What is written down about a network cannot be read.
    #[error("the document of network `{network}` {}", match fault {
        Fault::Damaged => "is damaged",
        Fault::Newer => "was written by a newer program",
    })]
    DamagedNetwork {
        /// The network.
        network: NetworkName,
        /// Why.
        fault: Fault,
    },
    /// There is no such volume.
    #[error("no volume is named `{0}`")]
    NoVolume(VolumeName),
    /// The container's name is in use.
    #[error("the container name `{name}` is in use by a container of pod `{pod}`")]
    NameTaken {
        /// The name.
        name: ContainerName,
        /// Whose container has it.
        pod: PodName,
    },
    /// A name cannot be used as a file name.
    #[error("`{0}` cannot be a name: letters, digits, `_`, `.` and `-`, beginning with a letter or digit")]
    BadName(String),
    /// The fixed address is in use.
    #[error("address {address} on network `{network}` is in use by {owner}")]
    AddressTaken {
        /// The address.
        address: IpAddr,
        /// The network.
        network: NetworkName,
        /// Who has it.
        owner: String,
    },
    /// The fixed address is in none of the network's subnets, or is one that cannot be given out.
    #[error("address {address} cannot be given to a container on network `{network}`: {reason}")]
    AddressUnusable {
        /// The address.
        address: IpAddr,
        /// The network.
        network: NetworkName,
        /// Why.
        reason: String,
    },
    /// Every address of the network is in use.
    #[error("network `{network}` has no free address left in {subnet}")]
    AddressesExhausted {
        /// The network.
        network: NetworkName,
        /// The block.
        subnet: resource::Subnet,
    },
    /// A wanted subnet overlaps that of another network.
    #[error("subnet {subnet} of network `{network}` overlaps network `{other}`")]
    SubnetTaken {
        /// The network that is wanted.
        network: NetworkName,
        /// Its block.
        subnet: resource::Subnet,
        /// The network that has it.
        other: NetworkName,
    },
    /// Containers are on the network.
    #[error("network `{network}` is in use by {}", listed(containers))]
    NetworkInUse {
        /// The network.
        network: NetworkName,
        /// Who is on it.
        containers: Vec<ContainerName>,
    },
    /// Containers mount the volume.
    #[error("volume `{volume}` is in use by {}", listed(containers))]
    VolumeInUse {
        /// The volume.
        volume: VolumeName,
        /// Who mounts it.
        containers: Vec<ContainerName>,
    },
    /// The volume's driver is not ours.
    #[error("volume `{volume}` asks for driver `{driver}`; only `local` is known here")]
    VolumeDriver {
        /// The volume.
        volume: VolumeName,
        /// What was asked for.
        driver: String,
    },
    /// The server of a volume has no address.
    #[error("the host `{host}` of volume `{volume}` has no address")]
    VolumeHost {
        /// The volume.
        volume: VolumeName,
        /// The name asked for.
        host: String,
        /// The resolver's answer.
        #[source]
        source: io::Error,
    },
    /// The volume's options are not understood.
    #[error(
        "volume `{volume}` asks for {options}: it takes a `type` and a `device`, or `o: bind` and a `device` that is an absolute path"
    )]
    VolumeOptions {
        /// The volume.
        volume: VolumeName,
        /// What was asked for.
        options: String,
    },
    /// The folder inside a volume that a mount names does not exist there.
    #[error("volume `{volume}` has no folder `{subpath}`, which container `{container}` mounts")]
    VolumeSubpath {
        /// The volume.
        volume: VolumeName,
        /// The folder.
        subpath: String,
        /// The container.
        container: ContainerName,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A device that is named by its CDI name cannot be had.
    #[error(transparent)]
    Cdi(CdiError),
    /// A pod that still has containers cannot be removed.
    #[error("pod `{pod}` still has containers: {}", listed(containers))]
    PodInUse {
        /// The pod.
        pod: PodName,
        /// What is in it.
        containers: Vec<ContainerName>,
    },
    /// The container's process lives, so it cannot be removed.
    #[error("container `{0}` is running; stop it before removing it")]
    Runs(ContainerName),
    /// Files could not be copied into or out of a container.
    #[error("cannot copy files of container `{container}`")]
    Copy {
        /// The container.
        container: ContainerName,
        /// The cause.
        #[source]
        source: Box<store::TransferError>,
    },
    /// The files of a container that does not run could not be put together.
    #[error("cannot open the files of container `{container}`")]
    Root {
        /// The container.
        container: ContainerName,
        /// The cause.
        #[source]
        source: Box<runtime::StartError>,
    },
    /// The container is just being started or removed.
    #[error("container `{0}` is being started or removed; try again")]
    Changing(ContainerName),
    /// What the container asks for cannot be had from its image.
    #[error("cannot make container `{container}`")]
    Resolve {
        /// The container.
        container: ContainerName,
        /// The cause.
        #[source]
        source: crate::resolve::ResolveError,
    },
    /// A bind mount's source is missing and is not to be made.
    #[error("bind source path `{path}` of container `{container}` does not exist")]
    BindMissing {
        /// The path on the host.
        path: PathBuf,
        /// The container.
        container: ContainerName,
    },
    /// A bind mount's source could not be made or looked at.
    #[error("cannot make bind source path `{path}` of container `{container}`")]
    BindSource {
        /// The path on the host.
        path: PathBuf,
        /// The container.
        container: ContainerName,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The hardware address is none.
    #[error("hardware address `{0}` is not of the form `02:42:ac:11:00:02`")]
    BadHardware(String),
    /// The container did not start.
    #[error("container `{container}` did not start: {message}")]
    Start {
        /// The container.
        container: ContainerName,
        /// Its service.
        service: String,
        /// The supervisor's words.
        message: String,
        /// 127 program not found, 126 not executable, 125 everything else.
        exit_code: i32,
        /// What kind of failure.
        kind: supervisor::FailureKind,
        /// What of its specification asks for what failed.
        part: Option<Box<Part>>,
        /// Its image is for machines of another kind.
        foreign: Option<Box<Foreign>>,
    },
    /// A process could not be run in a container.
    #[error("cannot run `{program}` in container `{container}`: {message}")]
    Exec {
        /// The container.
        container: ContainerName,
        /// Its service.
        service: String,
        /// What was to be run.
        program: String,
        /// The supervisor's words.
        message: String,
        /// 127 program not found, 126 not executable, 125 everything else.
        exit_code: i32,
        /// What kind of failure.
        kind: Box<supervisor::FailureKind>,
    },
    /// The supervisor refused something else.
    #[error("cannot {attempt} container `{container}`: {message}")]
    Refused {
        /// `stop`, `pause`, …
        attempt: &'static str,
        /// The container.
        container: ContainerName,
        /// The supervisor's words.
        message: String,
        /// What kind of failure.
        kind: supervisor::FailureKind,
    },
    /// The supervisor could not be reached.
    #[error("cannot {attempt} in pod `{pod}`")]
    Supervisor {
        /// `stop container shop-db-1`, …
        attempt: String,
        /// The pod.
        pod: PodName,
        /// The cause.
        #[source]
        source: supervisor::ClientError,
    },
    /// The supervisor did not end although nothing is left for it to do.
    #[error("the supervisor of pod `{pod}` does not end")]
    SupervisorStays {
        /// The pod.
        pod: PodName,
    },
    /// Leftovers of a pod could not be removed.
    #[error("cannot remove the cgroups of pod `{pod}`")]
    Cgroup {
        /// The pod.
        pod: PodName,
        /// The cause.
        #[source]
        source: runtime::cgroup::CgroupError,
    },
}

/// An image whose programs this machine does not execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// What it is for.
    pub platform: Platform,
    /// What to do so that they are.
    pub help: String,
}

impl EngineError {
    /// The exit code that a failed start or exec stands for: 127 program not found, 126 not executable, 125
    /// every other reason. `None` for everything that is not a start.
    pub fn start_exit_code(&self) -> Option<i32> {
        match self {
            Self::Start { exit_code, .. } | Self::Exec { exit_code, .. } => Some(*exit_code),
            _ => None,
        }
    }

    /// What a registry did not do, where that is what went wrong.
    pub fn of_registry(&self) -> Option<&registry::RegistryError> {
        use crate::{ArchiveError, PullError, PushError};
        match self {
            Self::Registry { source, .. } | Self::Digest { source, .. } => Some(source),
            Self::Pull { source, .. } => match &**source {
                PullError::Registry(error) => Some(error),
                _ => None,
            },
            Self::Push { source, .. } => match &**source {
                PushError::Registry(error) => Some(error),
                PushError::Configuration(error) => error.of_registry(),
                _ => None,
            },
            Self::Archive(error) => match &**error {
                ArchiveError::Blob(PushError::Registry(error)) => Some(error),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a registry gave other bytes than it was asked for.
    pub fn is_damaged_layer(&self) -> bool {
        let Self::Pull { source, .. } = self else { return false };
        let crate::PullError::Store(store::StoreError::Unpack { source, .. }) = &**source else {
            return false;
        };
        matches!(**source, store::UnpackError::WrongDigest { .. } | store::UnpackError::WrongSize { .. })
    }

    /// The kind of failure, when it was the supervisor that refused.
    pub fn kind(&self) -> Option<&supervisor::FailureKind> {
        match self {
            Self::Start { kind, .. } | Self::Refused { kind, .. } => Some(kind),
            Self::Exec { kind, .. } => Some(kind),
            _ => None,
        }
    }

    /// What of a container's specification asks for what failed, where that is known.
    pub fn part(&self) -> Option<Part> {
        use crate::resolve::ResolveError;
        use runtime::users::UnknownUser;
        use supervisor::FailureKind::{PortRefused, PortTaken};
        let mount = |path: &std::path::Path| Part::Mount(path.to_string_lossy().into_owned());
        Some(match self {
            Self::Start { part: Some(part), .. } => (**part).clone(),
            Self::Refused { kind: PortTaken(port) | PortRefused(port), .. } => Part::Port(**port),
            Self::AddressTaken { address, network, .. } | Self::AddressUnusable { address, network, .. } => {
                Part::Address { network: network.clone(), address: *address }
            }
            Self::BindMissing { path, .. } | Self::BindSource { path, .. } => mount(path),
            Self::VolumeSubpath { subpath, .. } => Part::Mount(subpath.clone()),
            Self::LogServer { .. } => Part::LogServer,
            Self::Cdi(CdiError::Unknown { name, .. }) => Part::Device(name.clone()),
            Self::Resolve { source, .. } => match source {
                ResolveError::NoCommand => Part::Program,
                ResolveError::User(UnknownUser::User(_)) => Part::User,
                ResolveError::User(UnknownUser::Group(group)) => Part::Group(group.clone()),
                ResolveError::Signal(_) => Part::StopSignal,
                ResolveError::WorkingDir(_) => Part::WorkingDir,
                ResolveError::Target(target) => Part::Mount(target.clone()),
            },
            _ => return None,
        })
    }

    /// For `map_err` on a file operation.
    pub(crate) fn file<'a>(
        attempt: &'static str,
        path: &'a std::path::Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::File { attempt, path: path.to_owned(), source }
    }
}

impl From<store::StoreError> for EngineError {
    fn from(error: store::StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<crate::ArchiveError> for EngineError {
    fn from(error: crate::ArchiveError) -> Self {
        Self::Archive(Box::new(error))
    }
}

fn listed(names: &[ContainerName]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
