//! The project as a typed value: what remains after loading, resolved and checked.
//!
//! Paths are absolute, durations are `Duration`, sizes are bytes, short forms are gone. The typed fields
//! serve whoever acts on them; the tree a service was read from stays with it, for messages that point at
//! a line ([`Service::place`]), for `config`, and for the hash.

mod connections;
mod life;
mod mounts;
mod parts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use diagnostic::Span;

pub use self::connections::{AddressPool, Attachment, Network, NetworkMode, Port, Protocol};
pub use self::life::{Condition, Dependency, Deploy, Healthcheck, Hook, PullPolicy, Restart};
pub use self::mounts::{
    BindOptions, Device, DeviceRequest, FileMount, FileObject, Mount, MountKind, TmpfsOptions, Volume,
    VolumeOptions,
};
pub use self::parts::{Blkio, Build, EnvFile, Logging, Model, ModelUse, Provider, Ulimit};
use crate::tree::Node;

/// Everything a set of Compose files says.
#[derive(Clone, Debug)]
pub struct Project {
    /// The name, in normal form.
    pub name: String,
    /// The project directory, absolute.
    pub directory: PathBuf,
    /// The Compose files, absolute, in order; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// The `--env-file` files in order; empty when only `.env` was used.
    pub environment_files: Vec<PathBuf>,
    /// The interpolation environment, `COMPOSE_PROJECT_NAME` included.
    pub environment: BTreeMap<String, String>,
    /// The profiles that are active.
    pub profiles: BTreeSet<String>,
    /// The enabled services.
    pub services: BTreeMap<String, Box<Service>>,
    /// The services left out: by their profiles, or because others were named. They are not orphans.
    pub disabled_services: BTreeMap<String, Box<Service>>,
    /// The networks some enabled service uses.
    pub networks: BTreeMap<String, Network>,
    /// The volumes some enabled service uses.
    pub volumes: BTreeMap<String, Volume>,
    /// The secrets some enabled service uses.
    pub secrets: BTreeMap<String, FileObject>,
    /// The configs some enabled service uses.
    pub configs: BTreeMap<String, FileObject>,
    /// The models some enabled service uses.
    pub models: BTreeMap<String, Model>,
    /// The `x-…` values of the top level.
    pub extensions: BTreeMap<String, Node>,
    /// What it is a copy of, if it is one.
    pub copy: Option<CopyOf>,
    /// What all but the services was read from, in canonical form.
    pub(crate) tree: Node,
    /// Whether variables have been replaced.
    pub(crate) interpolated: bool,
}

/// What is known of a copy of a project (`--as`) besides the model, in which everything is the copy's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOf {
    /// The name of the project itself.
    pub origin: String,
    /// The host ports that have moved, in order of the services.
    pub ports: Vec<MovedPort>,
}

/// Host ports that are others in a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedPort {
    /// The service that publishes.
    pub service: String,
    /// First and last as written in the file.
    pub written: (u16, u16),
    /// First and last to choose from instead; at least as many.
    pub moved: (u16, u16),
}

/// One service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its key under `services`.
    pub name: String,
    /// The place of that key.
    pub span: Span,
    /// What it was read from, in canonical form. `config` and the hash are made of it.
    pub tree: Node,

    // Identity, image, process
    /// Annotations for the OCI spec.
    pub annotations: BTreeMap<String, String>,
    /// Whether `up` and `logs` show it without being told to.
    pub attach: bool,
    /// How to build its image.
    pub build: Option<Build>,
    /// Arguments; `None`: the image's, `Some([])`: none, explicitly.
    pub command: Option<Vec<String>>,
    /// The fixed container name.
    pub container_name: Option<String>,
    /// What must be there first, inferred entries included.
    pub depends_on: BTreeMap<String, Dependency>,
    /// The part of `deploy` that means something on one machine.
    pub deploy: Option<Deploy>,
    /// `develop`, unread.
    pub develop: Option<Node>,
    /// NIS domain name.
    pub domainname: Option<String>,
    /// The program; as `command`.
    pub entrypoint: Option<Vec<String>>,
    /// Environment files not yet read (only with [`Options::environment_files`](crate::Options) off).
    pub env_files: Vec<EnvFile>,
    /// Variables; `None`: to be unset, hiding also the image's value.
    pub environment: BTreeMap<String, Option<String>>,
    /// Ports told about but not published: `80`, `80/udp`, `80-82/tcp`.
    pub expose: Vec<String>,
    /// `container[:alias]`.
    pub external_links: Vec<String>,
    /// Extra groups, by name or id.
    pub group_add: Vec<String>,
    /// How to tell whether it is well.
    pub healthcheck: Option<Healthcheck>,
    /// Host name.
    pub hostname: Option<String>,
    /// The image reference as written; `None` when it is only built.
    pub image: Option<String>,
    /// Whether process 1 is an init; `None`: the engine decides.
    pub init: Option<bool>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `service[:alias]`.
    pub links: Vec<String>,
    /// Log driver and its options.
    pub logging: Option<Logging>,
    /// Models it uses: key, then the names of the two variables.
    pub models: BTreeMap<String, ModelUse>,
    /// `os[/arch[/variant]]`.
    pub platform: Option<String>,
    /// All capabilities, all devices, no confinement.
    pub privileged: bool,
    /// Profiles; empty: always enabled.
    pub profiles: Vec<String>,
    /// A program that provides the service instead of a container.
    pub provider: Option<Provider>,
    /// When to pull; `None`: if missing (with `build`: try, else build).
    pub pull_policy: Option<PullPolicy>,
    /// Read-only root.
    pub read_only: bool,
    /// The restart policy as written; see [`Service::restart_policy`] for the one that holds.
    pub restart: Option<Restart>,
    /// OCI runtime.
    pub runtime: Option<String>,
    /// Replicas as written at the service; see [`Service::replicas`].
    pub scale: Option<u32>,
    /// Standard input stays open.
    pub stdin_open: bool,
    /// A terminal.
    pub tty: bool,
    /// Time between the stop signal and SIGKILL.
    pub stop_grace_period: Option<Duration>,
    /// Name or number.
    pub stop_signal: Option<String>,
    /// Wants the engine's socket.
    pub use_api_socket: bool,
    /// `user[:group]`, names or ids.
    pub user: Option<String>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// Hooks before the container starts.
    pub pre_start: Vec<Hook>,
    /// Hooks after the container started.
    pub post_start: Vec<Hook>,
    /// Hooks before it is stopped.
    pub pre_stop: Vec<Hook>,

    // Networking
    /// `none`, `host`, `service:x`, …; `None`: `networks`.
    pub network_mode: Option<NetworkMode>,
    /// The networks it joins, by key.
    pub networks: BTreeMap<String, Box<Attachment>>,
    /// Name servers.
    pub dns: Vec<String>,
    /// Resolver options.
    pub dns_opt: Vec<String>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// `(host, address)` in order of host; an address may be `host-gateway`.
    pub extra_hosts: Vec<(String, String)>,
    /// MAC address for its main network.
    pub mac_address: Option<String>,
    /// Published ports, container ranges expanded.
    pub ports: Vec<Port>,

    // Files and mounts
    /// Configs mounted.
    pub configs: Vec<FileMount>,
    /// Secrets mounted.
    pub secrets: Vec<FileMount>,
    /// Devices.
    pub devices: Vec<Device>,
    /// `c 1:3 mr`.
    pub device_cgroup_rules: Vec<String>,
    /// GPU requests.
    pub gpus: Vec<DeviceRequest>,
    /// Options of the root's storage, such as `size`.
    pub storage_opt: BTreeMap<String, String>,
    /// `path[:options]`.
    pub tmpfs: Vec<String>,
    /// Volumes, binds and the like.
    pub volumes: Vec<Mount>,
    /// `service[:ro|rw]`, `container:NAME[:mode]`.
    pub volumes_from: Vec<String>,

    // Resources, security, namespaces
    /// Block I/O settings.
    pub blkio_config: Option<Blkio>,
    /// Capabilities added.
    pub cap_add: Vec<String>,
    /// Capabilities dropped.
    pub cap_drop: Vec<String>,
    /// Cgroup namespace: `host` or `private`.
    pub cgroup: Option<String>,
    /// Parent cgroup.
    pub cgroup_parent: Option<String>,
    /// Relative CPU weight.
    pub cpu_shares: Option<i64>,
    /// CFS period, µs.
    pub cpu_period: Option<i64>,
    /// CFS quota, µs.
    pub cpu_quota: Option<i64>,
    /// Real-time period, µs.
    pub cpu_rt_period: Option<i64>,
    /// Real-time runtime, µs.
    pub cpu_rt_runtime: Option<i64>,
    /// CPUs as written at the service; see [`Service::cpu_limit`].
    pub cpus: Option<f64>,
    /// `0-3`, `0,1`.
    pub cpuset: Option<String>,
    /// IPC namespace: `none`, `private`, `shareable`, `host`, `service:x`, `container:x`.
    pub ipc: Option<String>,
    /// Bytes; −1: unlimited. See [`Service::memory_limit`].
    pub mem_limit: Option<i64>,
    /// Bytes. See [`Service::memory_reservation`].
    pub mem_reservation: Option<i64>,
    /// Memory and swap together, bytes; −1: unlimited.
    pub memswap_limit: Option<i64>,
    /// 0 to 100.
    pub mem_swappiness: Option<i64>,
    /// No OOM killer.
    pub oom_kill_disable: bool,
    /// −1000 to 1000.
    pub oom_score_adj: Option<i64>,
    /// PID namespace: `host`, `service:x`, `container:x`.
    pub pid: Option<String>,
    /// −1: unlimited. See [`Service::pids`].
    pub pids_limit: Option<i64>,
    /// Security options as written.
    pub security_opt: Vec<String>,
    /// Size of `/dev/shm`, bytes.
    pub shm_size: Option<i64>,
    /// Kernel parameters.
    pub sysctls: BTreeMap<String, String>,
    /// Limits by name without `RLIMIT_`.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// User namespace mode.
    pub userns_mode: Option<String>,
    /// UTS namespace: `host`, `service:x`.
    pub uts: Option<String>,
    /// The `x-…` values.
    pub extensions: BTreeMap<String, Node>,
}

impl Project {
    /// The place of what `path` names in a network (see [`Node::place`]), or of the deepest part of it.
    pub fn network_place(&self, network: &str, path: &str) -> Span {
        self.tree.place(&format!("networks.{network}.{path}"))
    }

    /// The place of what `path` names in a volume (see [`Node::place`]), or of the deepest part of it.
    pub fn volume_place(&self, volume: &str, path: &str) -> Span {
        self.tree.place(&format!("volumes.{volume}.{path}"))
    }
}

impl Service {
    /// The place of an attribute by dotted path (`ports.0`, `depends_on.db`), or of the nearest thing
    /// around it that was written.
    pub fn place(&self, path: &str) -> Span {
        let span = self.tree.place(path);
        if span == self.tree.span { self.span.or(span) } else { span }
    }

    /// The place where it names an image: its own, or that of a hook or a mount.
    pub fn place_of_image(&self, reference: &str) -> Span {
        let parts = ["image", "pre_start", "volumes"].map(|key| self.tree.get(key));
        parts.into_iter().flatten().find_map(|part| part.find(reference)).unwrap_or(self.span)
    }

    /// How many containers it has: `scale`, `deploy.replicas`, or one.
    pub fn replicas(&self) -> u32 {
        self.scale.or(self.deploy.as_ref().and_then(|deploy| deploy.replicas)).unwrap_or(1)
    }

    /// The restart policy that holds: that of `deploy`, else `restart`, else none.
    pub fn restart_policy(&self) -> Restart {
        let deployed = self.deploy.as_ref().and_then(|deploy| deploy.restart_policy);
        deployed.or(self.restart).unwrap_or(Restart::No)
    }

    /// Bytes of memory it may use; −1: unlimited.
    pub fn memory_limit(&self) -> Option<i64> {
        self.deploy.as_ref().and_then(|deploy| deploy.limit_memory).or(self.mem_limit)
    }

    /// Bytes of memory kept for it.
    pub fn memory_reservation(&self) -> Option<i64> {
        self.deploy.as_ref().and_then(|deploy| deploy.reservation_memory).or(self.mem_reservation)
    }

    /// CPUs it may use.
    pub fn cpu_limit(&self) -> Option<f64> {
        self.deploy.as_ref().and_then(|deploy| deploy.limit_cpus).or(self.cpus)
    }

    /// Processes it may have; −1: unlimited.
    pub fn pids(&self) -> Option<i64> {
        self.deploy.as_ref().and_then(|deploy| deploy.limit_pids).or(self.pids_limit)
    }

    /// The image it runs: the one written, or `<project>-<service>` if it is built. `separator` is `-`,
    /// or `_` with `--compatibility`.
    pub fn image_or_default(&self, project: &str, separator: &str) -> String {
        self.image.clone().unwrap_or_else(|| format!("{project}{separator}{}", self.name))
    }
}
