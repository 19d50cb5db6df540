//! Containers: what is asked for ([`ContainerSpec`]) and what was made of it ([`ContainerRecord`]).

use crate::{
    ContainerId, ContainerName, Digest, HealthCheck, Hook, IdentityShare, Labels, LogConfig, MountSpec,
    NetworkMode, NetworkName, OnUnhealthy, Platform, PodName, PortSpec, Process, ProcessSpec, Reference,
    RestartPolicy, Rlimit, SecuritySpec, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A container that is wanted. Everything the engine needs to make it is in here or in its image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Its name, unique in the store.
    pub name: ContainerName,
    /// The pod it belongs to.
    pub pod: PodName,
    /// What it is a replica of; its log outlives it under this name.
    pub service: String,
    /// Number of the replica, from 1; `None` for a one-off.
    pub number: Option<u32>,
    /// The image as named in the file.
    #[serde(serialize_with = "crate::reference::as_written")]
    pub image: Reference,
    /// The platform whose image of that name it is made of; this machine's by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What runs in it.
    pub process: ProcessSpec,
    /// Host name; the short id by default. With a domain: `name.domain`.
    pub hostname: Option<String>,
    /// NIS domain name.
    pub domainname: Option<String>,
    /// How it is connected.
    pub network_mode: NetworkMode,
    /// The networks it is on, in the order of its interfaces; the first is the primary one.
    pub endpoints: Vec<EndpointSpec>,
    /// Ports published on the host.
    pub ports: Vec<PortSpec>,
    /// Ports it documents: `80/tcp`.
    pub exposed: Vec<String>,
    /// Upstream name servers; the host's by default.
    pub dns: Vec<IpAddr>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// resolv.conf options.
    pub dns_options: Vec<String>,
    /// Lines for /etc/hosts: name and addresses; `None` is the host's own address (`host-gateway`).
    pub extra_hosts: Vec<(String, Option<IpAddr>)>,
    /// Names only this container can resolve: alias and the container name meant.
    pub links: Vec<(String, ContainerName)>,
    /// Volumes, binds, tmpfs, secrets and configs.
    pub mounts: Vec<MountSpec>,
    /// Containers whose mounts it takes over, and whether read-only.
    pub volumes_from: Vec<(ContainerName, bool)>,
    /// Restart policy.
    pub restart: RestartPolicy,
    /// Health check laid over the image's; `Some(None)` switches the image's off, `None` keeps it.
    pub healthcheck: Option<Option<HealthCheck>>,
    /// What follows when the check finds it unhealthy.
    #[serde(default)]
    pub on_unhealthy: OnUnhealthy,
    /// Signal to stop it, name or number; the image's or SIGTERM by default.
    pub stop_signal: Option<String>,
    /// Time from that signal to SIGKILL; 10 s by default.
    pub stop_grace: Option<Duration>,
    /// Run in it one after the other, once it has started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_start: Vec<Hook>,
    /// Run in it one after the other before it is stopped; not when it ends by itself or is killed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pre_stop: Vec<Hook>,
    /// The OCI runtime that runs it, an absolute path; the engine's own by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<PathBuf>,
    /// What it may do.
    pub security: SecuritySpec,
    /// PID namespace.
    pub pid: IdentityShare,
    /// IPC namespace.
    pub ipc: IdentityShare,
    /// UTS namespace: its own or the host's.
    pub uts: IdentityShare,
    /// Cgroup namespace: its own or the host's.
    pub cgroup: IdentityShare,
    /// Limits and weights.
    pub resources: Resources,
    /// setrlimit(2) limits.
    pub rlimits: Vec<Rlimit>,
    /// Bytes of /dev/shm; 64 MiB by default.
    pub shm_size: Option<u64>,
    /// Where its output goes.
    pub log: LogConfig,
    /// It is removed, with its anonymous volumes, when its process has ended.
    pub auto_remove: bool,
    /// Nothing that is written into its root need outlive a crash of the machine: what its programs want to
    /// be sure is on the disk is not waited for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub volatile: bool,
    /// OCI annotations.
    pub annotations: BTreeMap<String, String>,
    /// Labels, the managed ones among them (`com.docker.compose.config-hash` is how a change is seen).
    pub labels: Labels,
}

impl ContainerSpec {
    /// The name it has once it has taken its predecessor's place: until then it is called
    /// `<12 digits of the predecessor's id>_NAME`.
    pub fn lasting_name(&self) -> ContainerName {
        let is_short = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let temporary = self.name.0.split_once('_').filter(|(id, _)| is_short(id));
        match temporary.filter(|_| self.labels.contains_key(crate::label::REPLACE)) {
            Some((_, name)) => ContainerName(name.to_owned()),
            None => self.name.clone(),
        }
    }

    /// The first replica of a service with no wish but an image: what the image says runs, with
    /// loopback only and Docker's defaults.
    pub fn new(name: impl Into<ContainerName>, pod: &PodName, service: &str, image: Reference) -> Self {
        Self {
            name: name.into(),
            pod: pod.clone(),
            service: service.to_owned(),
            number: Some(1),
            image,
            platform: None,
            process: ProcessSpec::default(),
            hostname: None,
            domainname: None,
            network_mode: NetworkMode::None,
            endpoints: vec![],
            ports: vec![],
            exposed: vec![],
            dns: vec![],
            dns_search: vec![],
            dns_options: vec![],
            extra_hosts: vec![],
            links: vec![],
            mounts: vec![],
            volumes_from: vec![],
            restart: RestartPolicy::No,
            healthcheck: None,
            on_unhealthy: OnUnhealthy::Nothing,
            stop_signal: None,
            stop_grace: None,
            post_start: vec![],
            pre_stop: vec![],
            runtime: None,
            security: SecuritySpec::default(),
            pid: IdentityShare::Private,
            ipc: IdentityShare::Private,
            uts: IdentityShare::Private,
            cgroup: IdentityShare::Private,
            resources: Resources::default(),
            rlimits: vec![],
            shm_size: None,
            log: LogConfig::default(),
            auto_remove: false,
            volatile: false,
            annotations: BTreeMap::new(),
            labels: Labels::new(),
        }
    }
}

/// A container's wish to be on a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointSpec {
    /// The network's real name.
    pub network: NetworkName,
    /// Names it is found under on this network besides its own and its short id.
    pub aliases: Vec<String>,
    /// Fixed IPv4 address.
    pub ipv4: Option<std::net::Ipv4Addr>,
    /// Fixed IPv6 address.
    pub ipv6: Option<std::net::Ipv6Addr>,
    /// Fixed hardware address, `02:42:…`.
    pub mac: Option<String>,
    /// Name of the interface; `eth0`, `eth1`, … by default.
    pub interface: Option<String>,
    /// The endpoint with the highest value provides the default route.
    pub gateway_priority: i64,
    /// Addresses besides the leased ones, link-local and not unique beyond the network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link_local: Vec<IpAddr>,
    /// Kernel settings of the interface, with `IFNAME` for its name: `net.ipv4.conf.IFNAME.log_martians`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sysctls: Vec<(String, String)>,
}

impl EndpointSpec {
    /// On a network with no wish but that.
    pub fn new(network: impl Into<NetworkName>) -> Self {
        Self {
            network: network.into(),
            aliases: vec![],
            ipv4: None,
            ipv6: None,
            mac: None,
            interface: None,
            gateway_priority: 0,
            link_local: vec![],
            sysctls: vec![],
        }
    }
}

/// A container's place on a network, with its addresses leased.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// As asked for.
    pub spec: EndpointSpec,
    /// The network's bridge, or the interface of the host's that another driver's containers are on.
    pub bridge: String,
    /// The network's driver.
    #[serde(default)]
    pub driver: crate::NetworkDriver,
    /// Name of the interface inside.
    pub interface: String,
    /// Hardware address, six bytes.
    pub mac: [u8; 6],
    /// Addresses with the length of their subnet's prefix; IPv4 first.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Those of the addresses that others reach by their own routes, without a redirection: published ports
    /// are open there, and nothing else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routed: Vec<IpAddr>,
    /// Addresses of the container whose place this one takes, which it gets when that is gone before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<IpAddr>,
    /// Gateways of the same families; empty on internal networks.
    pub gateways: Vec<IpAddr>,
    /// This endpoint's gateways are the default routes.
    pub default_route: bool,
    /// The network has no way out.
    pub internal: bool,
    /// Bytes.
    pub mtu: u32,
}

/// Limits and weights for the container's cgroup. `None` leaves the kernel's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// The cgroup that the container's is made in instead of its pod's, `a/b`: from the root of the
    /// hierarchies, an ordinary user's from the place that was given for the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of memory and swap together; −1 is no limit.
    pub memory_swap: Option<i64>,
    /// Bytes protected or aimed at.
    pub memory_reservation: Option<u64>,
    /// 0 to 100; cgroup v1 only.
    pub swappiness: Option<u64>,
    /// The kernel does not kill for want of memory; cgroup v1 only.
    pub oom_kill_disable: bool,
    /// −1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// CPU time in each period, µs.
    pub cpu_quota: Option<i64>,
    /// Length of a period, µs; 100 000 by default.
    pub cpu_period: Option<u64>,
    /// Real-time CPU time in each real-time period, µs; cgroup v1 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_rt_runtime: Option<i64>,
    /// Length of a real-time period, µs; cgroup v1 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_rt_period: Option<u64>,
    /// Weight in cgroup v1's scale, 1024 by default.
    pub cpu_shares: Option<u64>,
    /// CPUs it may use, `0-3,7`.
    pub cpuset: Option<String>,
    /// Processes at most; −1 is no limit.
    pub pids: Option<i64>,
    /// Weight for block I/O, 10 to 1000.
    pub blkio_weight: Option<u16>,
    /// Block device path and its own weight, 10 to 1000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blkio_weight_devices: Vec<(PathBuf, u16)>,
    /// Block device path and bytes a second, reading.
    pub read_bps: Vec<(PathBuf, u64)>,
    /// Block device path and bytes a second, writing.
    pub write_bps: Vec<(PathBuf, u64)>,
    /// Block device path and operations a second, reading.
    pub read_iops: Vec<(PathBuf, u64)>,
    /// Block device path and operations a second, writing.
    pub write_iops: Vec<(PathBuf, u64)>,
}

impl Resources {
    /// Whether nothing is asked for.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether anything of it takes a cgroup; the score for the out-of-memory killer does not.
    pub fn asks_for_limits(&self) -> bool {
        *self != Self { oom_score_adj: self.oom_score_adj, ..Self::default() }
    }
}

/// A container that exists: its document. Written once, when the container is made; the supervisor
/// starts it, any number of times, from this alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// Its id.
    pub id: ContainerId,
    /// As it was asked for.
    pub spec: ContainerSpec,
    /// When it was made.
    pub created: Timestamp,
    /// Image id: digest of the configuration.
    pub image: Digest,
    /// Digest of the image's manifest.
    pub manifest: Digest,
    /// Unpacked layers, lowest first, absolute paths.
    pub layers: Vec<PathBuf>,
    /// What runs.
    pub process: Process,
    /// Mounts in the order they are made, besides /proc and its like. Spec mounts of kind `Content`
    /// are files of the container's run-time directory by now.
    pub mounts: Vec<crate::Mount>,
    /// Addresses and interfaces.
    pub endpoints: Vec<Endpoint>,
    /// Health check with nothing left to inherit.
    pub healthcheck: Option<HealthCheck>,
    /// Number of the stop signal.
    pub stop_signal: i32,
    /// Where the log server was, by the name it is called, when the container was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_server: Option<std::net::SocketAddr>,
    /// What its CDI devices bring along besides variables, groups and mounts.
    #[serde(default)]
    pub injected: Injected,
}

impl ContainerRecord {
    /// The layers that are its own and those of the images it mounts.
    pub fn all_layers(&self) -> impl Iterator<Item = &PathBuf> {
        let mounted = self.mounts.iter().filter_map(|mount| match mount {
            crate::Mount::Image { layers, .. } => Some(layers),
            _ => None,
        });
        self.layers.iter().chain(mounted.flatten())
    }
}

/// The container whose place a new one takes: addresses that are fixed go over at once, others once it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predecessor {
    /// Its id.
    pub id: ContainerId,
    /// The new one gets anonymous volumes of its own, rather than this one's.
    pub renew_anonymous: bool,
}

/// What the CDI devices of a container bring along.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Injected {
    /// Devices of the host: source, path in the container, permissions out of `rwm`.
    pub devices: Vec<(PathBuf, String, String)>,
    /// Their descriptions ask for programs to be run on the way, which are not run.
    pub has_hooks: bool,
}
