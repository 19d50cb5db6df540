//! The nouns that both halves of the program share: what is wanted ([`Desired`]), what is there
//! ([`Observed`]), and the specifications and records they are made of.
//!
//! Nothing here reads a file, a clock, the environment or the network; every value is handed in.

pub mod build;
pub mod container;
pub mod desired;
pub mod digest;
pub mod document;
pub mod health;
pub mod image;
pub mod label;
pub mod layout;
pub mod locked;
pub mod log;
pub mod mount;
pub mod name;
pub mod network;
pub mod observed;
pub mod part;
pub mod pod;
pub mod port;
pub mod process;
pub mod provider;
pub mod reference;
pub mod restart;
pub mod security;
pub mod signal;
pub mod state;
pub mod volume;

pub use build::{
    BuildCache, BuildContext, BuildNetwork, BuildSecret, BuildSpec, CacheSource, CacheTarget,
    DockerfileSource, OciLayout,
};
pub use container::{
    ContainerRecord, ContainerSpec, Endpoint, EndpointSpec, Injected, Predecessor, Resources,
};
pub use desired::{
    AfterFailure, Dependency, Desired, DesiredService, ImageNeed, PartPlace, PullPolicy, StartHook, Update,
    UpdateOrder,
};
pub use digest::Digest;
pub use health::{HealthCheck, HealthProbe, HealthReport, HealthStatus, OnUnhealthy};
pub use image::{Image, ImageConfig, Platform};
pub use layout::{Mapping, Roots};
pub use locked::Locked;
pub use log::{
    LogAttributes, LogConfig, LogIdentity, LogMode, LogServer, Syslog, SyslogAddress, SyslogFormat,
    SyslogTls, SyslogTrust,
};
pub use mount::{Mount, MountSpec, Owner, Propagation};
pub use name::{ContainerId, ContainerName, NetworkName, PodName, VolumeName};
pub use network::{
    IpvlanMode, MacvlanMode, NetworkDriver, NetworkMode, NetworkRecord, NetworkSpec, Subnet, hardware_address,
};
pub use observed::{Observed, ObservedContainer, ObservedNetwork, ObservedVolume};
pub use part::Part;
pub use pod::{INFRA, PodRecord, PodStatus};
pub use port::{PortBinding, PortSpec, Protocol};
pub use process::{Hook, Process, ProcessSpec, Rlimit};
pub use provider::{Answers, ProviderSpec};
pub use reference::{Implied, Reference};
pub use restart::RestartPolicy;
pub use security::{IdentityShare, SeccompChoice, SecuritySpec};
pub use state::{Condition, ContainerState, ExitStatus, ProcessIdentity, Status};
pub use volume::{VolumeRecord, VolumeSpec};

/// Labels of any object, sorted by key.
pub type Labels = std::collections::BTreeMap<String, String>;

/// A point in time, UTC, printed as RFC 3339 with nanoseconds.
pub type Timestamp = jiff::Timestamp;
