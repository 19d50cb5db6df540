//! One container as the supervisor sees it: its documents, its processes and what is open for it.

use crate::core::Watched;
use crate::log::pump::Pump;
use crate::oci::{Begun, Deletion};
use crate::ports::Reservation;
use crate::reactor::Token;
use network::{Entrance, PortRule};
use resource::{
    ContainerId, ContainerRecord, ContainerState, Endpoint, ExitStatus, IdentityShare, NetworkMode, PodName,
    PortSpec, Roots, Status, document,
};
use runtime::Cgroup;
use runtime::cgroup::Shortage;
use runtime::oci::Bundle;
use runtime::processes::MountNamespace;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// Who asked, and the number of the request.
pub(crate) type Caller = (Token, u64);

/// A container.
pub(crate) struct Container {
    pub(crate) record: ContainerRecord,
    pub(crate) state: ContainerState,
    pub(crate) cgroup: Cgroup,
    /// Its cgroup may be there.
    pub(crate) has_cgroup: bool,
    /// What its processes are found by when neither a cgroup nor a pid namespace of its own does it.
    pub(crate) mounts: Option<MountNamespace>,
    /// Counts starts; a timer of an earlier run means nothing.
    pub(crate) run: u64,
    /// A start under way.
    pub(crate) starting: Option<Start>,
    /// Another runtime forgets it, now that it has ended.
    pub(crate) deletion: Option<Deletion>,
    /// Its first process.
    pub(crate) pidfd: Option<Watched<OwnedFd>>,
    /// When that was started.
    pub(crate) since: Option<Instant>,
    /// It is being stopped because it is unhealthy, to be started again.
    pub(crate) healing: bool,
    /// The pause before this run.
    pub(crate) pause: Option<Duration>,
    /// Its network namespace; kept between runs that follow one another by policy.
    pub(crate) namespace: Option<OwnedFd>,
    /// The sockets that answer its name queries.
    pub(crate) resolver: Option<Resolver>,
    /// Its published ports.
    pub(crate) ports: Vec<Reservation>,
    /// Where it is reached by routes, while it has its place in the network.
    pub(crate) entrances: Vec<Entrance>,
    pub(crate) output: Option<Output>,
    pub(crate) console: Option<Console>,
    /// Those who asked for it to be stopped.
    pub(crate) stopping: Vec<Caller>,
    /// Processes killed for want of memory before this run.
    pub(crate) oom_kills: u64,
    /// Those that were told of, counted from the same beginning.
    pub(crate) oom_told: u64,
    /// Tells of others, while it runs.
    pub(crate) shortage: Option<Watched<Shortage>>,
}

/// A start under way.
pub(crate) struct Start {
    pub(crate) starting: Watched<Begun>,
    pub(crate) callers: Vec<Caller>,
    /// The callers' locks, open until this has gone well or failed.
    pub(crate) locks: Vec<OwnedFd>,
    /// By policy.
    pub(crate) restart: bool,
    /// The terminal goes to the caller.
    pub(crate) attached: bool,
    /// The container's state once it has gone well; written already, so that a successor finds the process.
    pub(crate) state: ContainerState,
}

/// Sockets in a container's namespace.
pub(crate) struct Resolver {
    pub(crate) udp: Watched<UdpSocket>,
    pub(crate) tcp: Watched<TcpListener>,
}

/// A log and the FIFOs it is fed from.
pub(crate) struct Output {
    pub(crate) pump: Pump,
    /// Standard output and error; none for a terminal.
    pub(crate) fifos: [Option<Watched<OwnedFd>>; 2],
    /// The log cannot be written at the moment.
    pub(crate) stalled: bool,
    /// A rotated file is being packed.
    pub(crate) packing: bool,
}

/// The master of a container's terminal.
pub(crate) struct Console {
    /// Silent while a client reads it.
    pub(crate) master: Watched<OwnedFd>,
    /// The client that does.
    pub(crate) reader: Option<Token>,
}

impl Container {
    /// Reads a container's documents; `None` when its record is not there or not whole.
    pub(crate) fn read(roots: &Roots, pod: &PodName, id: &ContainerId) -> Option<Self> {
        let record = read_record(roots, pod, id)?;
        let state = std::fs::read(roots.state(pod, id)).ok().and_then(|bytes| document::decode(&bytes));
        let cgroup = runtime::cgroup::open(roots, &record.spec, id);
        Some(Self {
            record,
            state: state.unwrap_or_default(),
            cgroup,
            has_cgroup: true,
            mounts: None,
            run: 0,
            starting: None,
            deletion: None,
            pidfd: None,
            since: None,
            healing: false,
            pause: None,
            namespace: None,
            resolver: None,
            ports: vec![],
            entrances: vec![],
            output: None,
            console: None,
            stopping: vec![],
            oom_kills: 0,
            oom_told: 0,
            shortage: None,
        })
    }

    /// Writes the state document.
    pub(crate) fn save(&self, roots: &Roots) -> io::Result<()> {
        let path = roots.state(&self.record.spec.pod, &self.record.id);
        let state = self.starting.as_ref().map_or(&self.state, |start| &start.state);
        let bytes = document::encode(state)?;
        match sys::file::replace(&path, &bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                sys::file::create_private_folder(path.parent().unwrap_or(Path::new("/")))?;
                sys::file::replace(&path, &bytes)
            }
            other => other,
        }
    }

    /// What another runtime runs it by, if its record names one.
    pub(crate) fn bundle(&self, roots: &Roots) -> Option<Bundle> {
        let (program, id) = (self.record.spec.runtime.clone()?, &self.record.id);
        let folder = roots.container_run(&self.record.spec.pod, id).join("bundle");
        Some(Bundle { program, id: id.0.clone(), folder })
    }

    /// Kills every process of it that does not end with its first one.
    pub(crate) fn kill_others(&self) {
        if self.record.spec.pid != IdentityShare::Private {
            drop(self.cgroup.kill(9));
        }
        if let Some(mounts) = &self.mounts {
            mounts.kill();
        }
    }

    /// Something of it goes on by itself, so the supervisor has to stay.
    pub(crate) fn is_live(&self) -> bool {
        self.starting.is_some()
            || self.deletion.is_some()
            || matches!(self.state.status, Status::Running | Status::Paused | Status::Restarting)
    }

    /// It has ended and is to be started again by policy, which has not begun.
    pub(crate) fn waits_for_restart(&self) -> bool {
        self.state.status == Status::Restarting && self.starting.is_none()
    }

    /// It is on its way down, and will be there when its grace period is over.
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_up() && !self.stopping.is_empty()
    }

    /// Its process lives.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state.status, Status::Running | Status::Paused)
    }

    /// It has a network namespace of its own.
    pub(crate) fn has_network(&self) -> bool {
        matches!(self.record.spec.network_mode, NetworkMode::Networks | NetworkMode::None)
    }

    /// How it last ended, as a reply to stop.
    pub(crate) fn exit(&self) -> ExitStatus {
        self.state.exit.unwrap_or(ExitStatus::Code(0))
    }

    /// The address that published ports lead to: that of the endpoint with the default route, else
    /// the first one on a network with a way out. Where it is reached by routes nothing is redirected.
    pub(crate) fn target(&self, v6: bool) -> Option<(IpAddr, &str)> {
        let usable =
            self.record.endpoints.iter().filter(|endpoint| !endpoint.internal && endpoint.driver.has_host());
        let mut endpoints: Vec<_> = usable.collect();
        endpoints.sort_by_key(|endpoint| !endpoint.default_route);
        endpoints.iter().find_map(|endpoint| {
            let redirected = |address: &IpAddr| !endpoint.routed.contains(address);
            let address = endpoint.addresses.iter().map(|(address, _)| *address);
            let address = address.filter(redirected).find(|address| address.is_ipv6() == v6)?;
            Some((address, endpoint.bridge.as_str()))
        })
    }

    /// The ports of the host that are to lead to it. In a family in which it is reached by routes there are
    /// none.
    pub(crate) fn host_ports(&self) -> Vec<PortSpec> {
        let [four, six] = [false, true].map(|six| {
            let mut routed = self.record.endpoints.iter().flat_map(|endpoint| &endpoint.routed);
            self.target(six).is_none() && routed.any(|address| address.is_ipv6() == six)
        });
        if self.target(false).or_else(|| self.target(true)).is_none() {
            return vec![];
        }
        let narrowed = |port: &PortSpec| match (port.host_ip, four, six) {
            (None, false, false) => Some(*port),
            (None, true, false) => Some(PortSpec { host_ip: Some(Ipv6Addr::UNSPECIFIED.into()), ..*port }),
            (None, false, true) => Some(PortSpec { host_ip: Some(Ipv4Addr::UNSPECIFIED.into()), ..*port }),
            (None, true, true) => None,
            (Some(ip), ..) => (!(if ip.is_ipv6() { six } else { four })).then_some(*port),
        };
        self.record.spec.ports.iter().filter_map(narrowed).collect()
    }

    /// Where it is to be reached by routes: at each such address, by the ports that are published in its
    /// family. The host's port means nothing there, since nothing is redirected.
    pub(crate) fn doors(&self) -> Vec<Entrance> {
        let spec = &self.record.spec;
        let door = |endpoint: &Endpoint, address: &IpAddr| Entrance {
            address: *address,
            bridge: endpoint.bridge.clone(),
            ports: (spec.ports.iter())
                .filter(|port| port.host_ip.is_none_or(|ip| ip.is_ipv4() == address.is_ipv4()))
                .map(|port| (port.protocol, port.target))
                .collect(),
        };
        self.record
            .endpoints
            .iter()
            .flat_map(|each| each.routed.iter().map(move |ip| door(each, ip)))
            .collect()
    }

    /// The rules that its reserved ports need.
    pub(crate) fn port_rules(&self) -> Vec<PortRule> {
        let rule = |reservation: &Reservation| {
            let binding = &reservation.binding;
            let (target_ip, bridge) = self.target(binding.host_ip.is_ipv6())?;
            Some(PortRule {
                protocol: binding.protocol,
                host_ip: (!binding.host_ip.is_unspecified()).then_some(binding.host_ip),
                host_port: binding.host_port,
                target_ip,
                target_port: binding.target,
                bridge: bridge.to_owned(),
            })
        };
        self.ports.iter().filter_map(rule).collect()
    }
}

/// The record of a container, as it is on disk now.
pub(crate) fn read_record(roots: &Roots, pod: &PodName, id: &ContainerId) -> Option<ContainerRecord> {
    document::decode(&std::fs::read(roots.container(pod, id).join("container.json")).ok()?)
}
