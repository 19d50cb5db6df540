//! The project as a typed value: what remains after loading, resolved and checked.
//!
//! Paths are absolute, durations are `Duration`, sizes are bytes, short forms are gone. The typed fields
//! serve whoever acts on them; the tree a service was read from stays with it, for messages that point at
//! a line ([`Service::place`]), for `config`, and for the hash.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use diagnostic::Span;

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
    pub services: BTreeMap<String, Service>,
    /// The services left out: by their profiles, or because others were named. They are not orphans.
    pub disabled_services: BTreeMap<String, Service>,
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
    pub networks: BTreeMap<String, Attachment>,
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

/// An edge of `depends_on`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// What must hold of it.
    pub condition: Condition,
    /// Whether its absence or failure is an error.
    pub required: bool,
    /// Whether recreating or restarting it restarts the dependent.
    pub restart: bool,
    /// Whether it follows from `links`, `network_mode` and the like.
    pub inferred: bool,
    /// Where it is said.
    pub span: Span,
}

/// What must hold of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It runs.
    Started,
    /// Its health check passes.
    Healthy,
    /// It ended with exit code 0.
    CompletedSuccessfully,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// If it is absent.
    Missing,
    /// Always.
    Always,
    /// Never.
    Never,
    /// Never; it is always built.
    Build,
    /// If absent or older than this.
    Every(Duration),
}

/// When a container that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    No,
    /// Always.
    Always,
    /// Always, unless it was stopped by hand.
    UnlessStopped,
    /// After a failure; `max` 0: without end.
    OnFailure {
        /// Most attempts in a row.
        max: u32,
    },
}

/// `network_mode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkMode {
    /// Loopback only.
    None,
    /// The host's.
    Host,
    /// The engine's default bridge.
    Bridge,
    /// Another service's.
    Service(String),
    /// Another container's.
    Container(String),
    /// A network by its real name.
    Network(String),
}

/// How a service joins a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attachment {
    /// Extra names.
    pub aliases: Vec<String>,
    /// Fixed address.
    pub ipv4_address: Option<String>,
    /// Fixed address.
    pub ipv6_address: Option<String>,
    /// Link-local addresses.
    pub link_local_ips: Vec<String>,
    /// MAC address.
    pub mac_address: Option<String>,
    /// Interface name.
    pub interface_name: Option<String>,
    /// Driver options.
    pub driver_opts: BTreeMap<String, String>,
    /// The highest, then the first by name, is the main network.
    pub priority: f64,
    /// The highest gives the default route.
    pub gw_priority: f64,
    /// Where it is said; nowhere for the implicit `default`.
    pub span: Option<Span>,
}

/// Transport protocol of a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// tcp
    Tcp,
    /// udp
    Udp,
    /// sctp
    Sctp,
    /// Anything else, as written.
    Other(String),
}

/// One published port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Port in the container.
    pub target: u16,
    /// First and last host port to choose from; `None` or `(0, 0)`: any free one.
    pub published: Option<(u16, u16)>,
    /// Host address; `None`: all.
    pub host_ip: Option<IpAddr>,
    /// Protocol.
    pub protocol: Protocol,
    /// `ingress` or `host`; the same here.
    pub mode: String,
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub app_protocol: Option<String>,
    /// Where it is said.
    pub span: Span,
}

/// A config or secret in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMount {
    /// Key under `configs` or `secrets`.
    pub source: String,
    /// Path in the container (`/<source>` for a config without one); for a build secret its id.
    pub target: Option<String>,
    /// Owner as written.
    pub uid: Option<String>,
    /// Group as written.
    pub gid: Option<String>,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Where it is said.
    pub span: Span,
}

/// A device given to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Path on the host, or a CDI name (`vendor/class=name`).
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Of `rwm`.
    pub permissions: String,
    /// Where it is said.
    pub span: Span,
}

impl Device {
    /// Whether `source` is a CDI name.
    pub fn is_cdi(&self) -> bool {
        !self.source.starts_with('/') && self.source.contains('=') && self.source.contains('/')
    }
}

/// A request for devices by their capabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Capabilities, such as `gpu`.
    pub capabilities: Vec<String>,
    /// −1: all.
    pub count: Option<i64>,
    /// Ids instead of a count.
    pub device_ids: Vec<String>,
    /// Driver.
    pub driver: Option<String>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
}

/// What a mount is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// A path of the host.
    Bind,
    /// A volume; without source an anonymous one.
    Volume,
    /// Memory.
    Tmpfs,
    /// The content of an image.
    Image,
    /// A Windows pipe.
    Npipe,
    /// A cluster volume.
    Cluster,
}

/// One entry of `volumes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What it is of.
    pub kind: MountKind,
    /// Host path (absolute), key under `volumes`, or image or service name.
    pub source: Option<String>,
    /// Path in the container, clean.
    pub target: String,
    /// No writing.
    pub read_only: bool,
    /// `bind:`
    pub bind: BindOptions,
    /// `volume:`
    pub volume: VolumeOptions,
    /// `tmpfs:`
    pub tmpfs: TmpfsOptions,
    /// `image.subpath`
    pub image_subpath: Option<String>,
    /// Where it is said.
    pub span: Span,
}

/// Options of a bind mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindOptions {
    /// `rprivate`, …; `None`: the default.
    pub propagation: Option<String>,
    /// Whether a missing source is made.
    pub create_host_path: bool,
    /// `enabled`, `disabled`, `writable`, `readonly`.
    pub recursive: Option<String>,
    /// `z` or `Z`.
    pub selinux: Option<String>,
}

impl Default for BindOptions {
    fn default() -> Self {
        Self { propagation: None, create_host_path: true, recursive: None, selinux: None }
    }
}

/// Options of a volume mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeOptions {
    /// No copy of the image's content.
    pub nocopy: bool,
    /// A folder inside the volume.
    pub subpath: Option<String>,
    /// Labels of a volume made for this mount.
    pub labels: BTreeMap<String, String>,
}

/// Options of a tmpfs mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TmpfsOptions {
    /// Bytes.
    pub size: Option<i64>,
    /// Permission bits.
    pub mode: Option<u32>,
}

/// A health check. What is `None` comes from the image, then from the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// `[CMD, …]`, `[CMD-SHELL, text]` or `[NONE]`; `None` or empty: the image's.
    pub test: Option<Vec<String>>,
    /// Between two checks.
    pub interval: Option<Duration>,
    /// Longest run of one check.
    pub timeout: Option<Duration>,
    /// Failures in a row until unhealthy.
    pub retries: Option<u32>,
    /// In which failures do not count.
    pub start_period: Option<Duration>,
    /// Between two checks in the start period.
    pub start_interval: Option<Duration>,
    /// No check, not even the image's.
    pub disable: bool,
}

/// A soft and a hard limit; −1: unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ulimit {
    /// Soft.
    pub soft: i64,
    /// Hard.
    pub hard: i64,
}

/// Log driver and its options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// `None`: the engine's.
    pub driver: Option<String>,
    /// Options.
    pub options: BTreeMap<String, String>,
}

/// An environment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFile {
    /// Path, absolute.
    pub path: PathBuf,
    /// Whether it must exist.
    pub required: bool,
    /// Lines are taken literally.
    pub raw: bool,
    /// Where it is said.
    pub span: Span,
}

/// A command run beside the container's life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hook {
    /// Command; for `pre_start` `None` means the image's.
    pub command: Option<Vec<String>>,
    /// Image (`pre_start` only).
    pub image: Option<String>,
    /// User.
    pub user: Option<String>,
    /// All privileges.
    pub privileged: bool,
    /// Working directory.
    pub working_dir: Option<String>,
    /// Variables.
    pub environment: BTreeMap<String, Option<String>>,
    /// Once per replica (`pre_start` only).
    pub per_replica: bool,
    /// Where it is said.
    pub span: Option<Span>,
}

/// A program that provides a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name.
    pub kind: String,
    /// Its options.
    pub options: BTreeMap<String, Vec<String>>,
}

/// The two variables a model is told through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelUse {
    /// Variable for the address.
    pub endpoint_var: Option<String>,
    /// Variable for the name.
    pub model_var: Option<String>,
}

/// Block I/O settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blkio {
    /// 10 to 1000.
    pub weight: Option<u16>,
    /// `(path, weight)`
    pub weight_device: Vec<(String, u16)>,
    /// `(path, bytes per second)`
    pub device_read_bps: Vec<(String, i64)>,
    /// `(path, bytes per second)`
    pub device_write_bps: Vec<(String, i64)>,
    /// `(path, operations per second)`
    pub device_read_iops: Vec<(String, i64)>,
    /// `(path, operations per second)`
    pub device_write_iops: Vec<(String, i64)>,
}

/// `build`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Build {
    /// Folder (absolute) or address.
    pub context: String,
    /// Relative to the context.
    pub dockerfile: Option<String>,
    /// Its text instead.
    pub dockerfile_inline: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Named contexts.
    pub additional_contexts: BTreeMap<String, String>,
    /// Cache sources.
    pub cache_from: Vec<String>,
    /// Cache targets.
    pub cache_to: Vec<String>,
    /// Extra rights.
    pub entitlements: Vec<String>,
    /// As at the service.
    pub extra_hosts: Vec<(String, String)>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Network of the build.
    pub network: Option<String>,
    /// No cache.
    pub no_cache: bool,
    /// Stages without cache.
    pub no_cache_filter: Vec<String>,
    /// Platforms.
    pub platforms: Vec<String>,
    /// Privileged build.
    pub privileged: bool,
    /// Attestation.
    pub provenance: Option<String>,
    /// Attestation.
    pub sbom: Option<String>,
    /// Refresh base images.
    pub pull: bool,
    /// Secrets; `target` is the id.
    pub secrets: Vec<FileMount>,
    /// Size of `/dev/shm`, bytes.
    pub shm_size: Option<i64>,
    /// `id` → path; `default` may be empty.
    pub ssh: BTreeMap<String, String>,
    /// Extra tags.
    pub tags: Vec<String>,
    /// Stage.
    pub target: Option<String>,
    /// Limits.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Where it is said.
    pub span: Option<Span>,
}

/// The part of `deploy` that means something on one machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deploy {
    /// Replicas.
    pub replicas: Option<u32>,
    /// `resources.limits.cpus`
    pub limit_cpus: Option<f64>,
    /// `resources.limits.memory`, bytes.
    pub limit_memory: Option<i64>,
    /// `resources.limits.pids`
    pub limit_pids: Option<i64>,
    /// `resources.reservations.memory`, bytes.
    pub reservation_memory: Option<i64>,
    /// `resources.reservations.devices`
    pub devices: Vec<DeviceRequest>,
    /// `restart_policy`, which replaces `restart`.
    pub restart_policy: Option<Restart>,
    /// `labels`: of the service, not of its containers.
    pub labels: BTreeMap<String, String>,
}

/// A network of the top level.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// Real name.
    pub name: String,
    /// Driver; `None`: the engine's.
    pub driver: Option<String>,
    /// Driver options.
    pub driver_opts: BTreeMap<String, String>,
    /// Whether containers of others may join.
    pub attachable: bool,
    /// No way out.
    pub internal: bool,
    /// IPv4; `None`: the engine decides.
    pub enable_ipv4: Option<bool>,
    /// IPv6.
    pub enable_ipv6: bool,
    /// Not ours to make or remove.
    pub external: bool,
    /// Address driver.
    pub ipam_driver: Option<String>,
    /// Options of it.
    pub ipam_options: BTreeMap<String, String>,
    /// Address blocks.
    pub ipam: Vec<AddressPool>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Where it is said; `None` for the implicit `default`.
    pub span: Option<Span>,
}

/// An address block of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPool {
    /// CIDR.
    pub subnet: Option<String>,
    /// CIDR within it.
    pub ip_range: Option<String>,
    /// Address.
    pub gateway: Option<String>,
    /// Addresses in use elsewhere, by host name.
    pub aux_addresses: BTreeMap<String, String>,
    /// Where it is said.
    pub span: Option<Span>,
}

/// A volume of the top level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Real name.
    pub name: String,
    /// Driver; `None`: `local`.
    pub driver: Option<String>,
    /// Driver options: `type`, `o`, `device`.
    pub driver_opts: BTreeMap<String, String>,
    /// Not ours to make or remove.
    pub external: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Where it is said.
    pub span: Option<Span>,
}

/// A secret or config of the top level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileObject {
    /// Real name.
    pub name: String,
    /// Host path, absolute.
    pub file: Option<String>,
    /// Name of a variable.
    pub environment: Option<String>,
    /// That variable's value, or the inline `content`; `None`: unset, found out when it is used.
    pub content: Option<String>,
    /// Not ours.
    pub external: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Driver of a secret store.
    pub driver: Option<String>,
    /// Template driver.
    pub template_driver: Option<String>,
    /// Where it is said.
    pub span: Option<Span>,
}

/// A model of the top level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Real name.
    pub name: String,
    /// Reference.
    pub model: String,
    /// Size of the context.
    pub context_size: Option<i64>,
    /// Flags for the runner.
    pub runtime_flags: Vec<String>,
    /// Where it is said.
    pub span: Option<Span>,
}

impl Project {
    /// The place of what `path` names in a network (see [`Node::place`]), or of the deepest part of it.
    pub fn network_place(&self, network: &str, path: &str) -> Span {
        self.tree.place(&format!("networks.{network}.{path}"))
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
