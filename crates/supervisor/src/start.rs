//! Starting containers: everything that was asked for in one round is one batch, with one change of
//! the port rules for all of it; then the processes start side by side, and each reports.

use crate::container::{Caller, Container, Output, Resolver, Start, read_record};
use crate::core::{Slot, Source, Supervisor, brief, chain, complain};
use crate::health;
use crate::log::pump::{Pump, open_fifo};
use crate::log::{Stream, attributes, record};
use crate::oci::Begun;
use crate::protocol::{Failure, FailureKind, Reply, Streams};
use crate::reactor::EventFlags;
use crate::surroundings::gone;
use crate::wiring::{Maker, Wiring};
use network::resolver::Sockets;
use resource::{ContainerState, IdentityShare, ProcessIdentity, Status, Timestamp};
use runtime::cgroup::CgroupError;
use runtime::seccomp::Program;
use runtime::{Launch, Spec, StartError};
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// What is said of containers whose devices ask for programs on the way.
const UNHOOKED: &str = "the CDI descriptions of its devices ask for hooks, which are not run";

/// A start that was asked for.
pub(crate) struct Wanted {
    pub(crate) slot: Slot,
    pub(crate) callers: Vec<Caller>,
    /// The callers' locks: held to the end of the start even when a caller is killed, so that the next
    /// command waits for it.
    pub(crate) locks: Vec<OwnedFd>,
    pub(crate) streams: Streams,
    pub(crate) files: Vec<OwnedFd>,
    /// By policy.
    pub(crate) restart: bool,
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let kind = match &error {
            StartError::NotFound { .. } | StartError::Unstartable { exit_code: 127, .. } => {
                FailureKind::NotFound
            }
            StartError::NotExecutable { .. }
            | StartError::WorkingDir { .. }
            | StartError::Unstartable { .. } => FailureKind::NotExecutable,
            StartError::NoProfile { .. } => FailureKind::NoProfile,
            _ => FailureKind::Other,
        };
        let (exit_code, part) = (error.exit_code(), error.part().map(Box::new));
        Self { kind, message: chain(&error), exit_code, part }
    }
}

/// A failure to do something local.
pub(crate) fn cannot(what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::new(FailureKind::Other, format!("cannot {what}: {}", chain(error)))
}

impl Supervisor {
    /// Starts everything that was asked for in this round.
    pub(crate) fn launch(&mut self) {
        let mut claimed: Vec<Wanted> = vec![];
        for wanted in std::mem::take(&mut self.wanted) {
            let Some(wanted) = self.unless_too_early(wanted) else { continue };
            let Some(wanted) = self.unless_there(wanted) else { continue };
            // A policy and a command may want the same one in the same round.
            let same = |earlier: &&mut Wanted| earlier.slot == wanted.slot && wanted.streams == Streams::Log;
            if let Some(earlier) = claimed.iter_mut().find(same) {
                earlier.callers.extend(wanted.callers);
                earlier.locks.extend(wanted.locks);
                continue;
            }
            match self.claim(&wanted) {
                Ok(()) => claimed.push(wanted),
                Err(failure) => self.start_failed(wanted.slot, failure, wanted.callers, wanted.restart),
            }
        }
        if claimed.is_empty() {
            return;
        }
        let mut wiring = self.ready(&claimed);
        self.limit_pod();
        // A process makes its own mounts while the surroundings of the next one are made here.
        for mut wanted in claimed {
            let wiring = wiring.as_mut().map_err(|failure| failure.clone());
            let surrounded = wiring.and_then(|wiring| self.surround(&wanted).map(|()| wiring));
            let spawned = surrounded.and_then(|wiring| self.spawn(&mut wanted, wiring));
            if let Err(failure) = spawned {
                self.start_failed(wanted.slot, failure, wanted.callers, wanted.restart);
            }
        }
    }

    /// Has the network namespaces begun, and publishes the ports of all of them meanwhile.
    fn ready(&mut self, claimed: &[Wanted]) -> Result<Wiring, Failure> {
        let slots = claimed.iter().map(|wanted| wanted.slot);
        let launch = || Maker::launch(&self.pod, &self.roots.cgroup);
        let wiring = Wiring::begin(&self.containers, slots, self.maker.take(), launch)
            .map_err(|error| cannot("have network namespaces made", &error))?;
        if self.rules_changed {
            self.publish().map_err(|error| cannot("publish ports", &error))?;
        }
        Ok(wiring)
    }

    /// Answers for a container that runs or is being started; gives back one that has to be started.
    fn unless_there(&mut self, wanted: Wanted) -> Option<Wanted> {
        let container = self.containers.get_mut(&wanted.slot)?;
        let taken = wanted.streams != Streams::Log && (container.is_up() || container.starting.is_some());
        let reply = if taken {
            let name = &container.record.spec.name;
            Reply::Failed(Failure::new(FailureKind::Refused, format!("container {name} runs already")))
        } else if let Some(start) = &mut container.starting {
            start.callers.extend(wanted.callers);
            start.locks.extend(wanted.locks);
            return None;
        } else if container.is_up() {
            // It may have been sent a signal to end by, and has not heeded it: now it is to stay.
            let was_to_end = std::mem::take(&mut container.state.stopped_by_hand);
            let state = Reply::State(Box::new(brief(&container.state)));
            if was_to_end {
                self.changed(wanted.slot);
            }
            state
        } else {
            return Some(wanted);
        };
        for caller in wanted.callers {
            self.reply(caller, reply.clone(), None);
        }
        None
    }

    /// Reads what is to run, as it is written down now, and takes its ports.
    fn claim(&mut self, wanted: &Wanted) -> Result<(), Failure> {
        let container = self.containers.get_mut(&wanted.slot).ok_or_else(gone)?;
        if !wanted.restart {
            // What is known of it may be older: a rename or an update writes the document, and who does may die
            // before it tells. A slot that this request has just made is no exception worth its 0.1 ms.
            let missing = || Failure::new(FailureKind::NoSuchContainer, "its record is gone");
            container.record =
                read_record(&self.roots, &self.pod, &container.record.id).ok_or_else(missing)?;
            container.pause = None;
            container.state.restart_count = 0;
            container.state.stopped_by_hand = false;
        }
        if container.has_network() { self.reserve_ports(wanted.slot) } else { Ok(()) }
    }

    /// Makes files and log of a container.
    fn surround(&mut self, wanted: &Wanted) -> Result<(), Failure> {
        let container = self.containers.get(&wanted.slot).ok_or_else(gone)?;
        let folder = self.roots.container_run(&self.pod, &container.record.id);
        sys::file::create_private_folder(&folder)
            .map_err(|error| cannot("make its run-time folder", &error))?;
        self.write_files(wanted.slot)?;
        if wanted.streams == Streams::Log {
            self.open_output(wanted.slot, false)?;
        }
        Ok(())
    }

    /// Takes a container's network namespace in, if it is to have one and has none. Returns whether it did:
    /// what is in the namespace is made still, and [waited for](Self::connect).
    fn enclose(&mut self, slot: Slot, wiring: &mut Wiring) -> Result<bool, Failure> {
        let container = self.containers.get_mut(&slot).ok_or_else(gone)?;
        if container.namespace.is_some() || !container.has_network() {
            return Ok(false);
        }
        container.namespace = Some(wiring.namespace(slot)?);
        Ok(true)
    }

    /// Waits until a container's new namespace has its interfaces. Without them there is no namespace.
    fn connect(&mut self, slot: Slot, wiring: &mut Wiring) -> Result<(), Failure> {
        let sockets = wiring.interfaces(slot);
        let container = self.containers.get_mut(&slot).ok_or_else(gone)?;
        match sockets {
            Ok(sockets) => sockets.map_or(Ok(()), |sockets| self.answer_at(slot, sockets)),
            Err(failure) => {
                container.namespace = None;
                Err(failure)
            }
        }
    }

    /// Opens the sockets that answer a container's name queries.
    pub(crate) fn open_resolver(&mut self, slot: Slot) -> Result<(), Failure> {
        let Some(container) = self.containers.get(&slot) else { return Err(gone()) };
        let Some(namespace) = &container.namespace else { return Ok(()) };
        if container.record.endpoints.is_empty() {
            return Ok(());
        }
        let failed = |error: network::NetworkError| Failure::new(FailureKind::Network, chain(&error));
        let sockets = network::resolver::open(namespace.as_fd()).map_err(failed)?;
        self.answer_at(slot, sockets)
    }

    /// Listens at the sockets for a container's name queries.
    fn answer_at(&mut self, slot: Slot, sockets: Sockets) -> Result<(), Failure> {
        let failed = |error: io::Error| cannot("listen for name queries", &error);
        let (udp, tcp) = (sockets.udp.into(), sockets.tcp.into());
        let udp = self.listen(udp, EventFlags::IN, Source::Query(slot)).map_err(failed)?;
        let tcp = self.listen(tcp, EventFlags::IN, Source::QueryListener(slot)).map_err(failed)?;
        if let Some(container) = self.containers.get_mut(&slot) {
            container.resolver = Some(Resolver { udp, tcp });
        }
        Ok(())
    }

    /// Opens the log and the FIFOs it is fed from, unless they are open since an earlier run.
    pub(crate) fn open_output(&mut self, slot: Slot, adopt: bool) -> Result<(), Failure> {
        let container = self.containers.get(&slot).ok_or_else(gone)?;
        let record = &container.record;
        if record.spec.log.none || container.output.is_some() {
            return Ok(());
        }
        let failed = |error: io::Error| cannot("open its log", &error);
        let folder = self.roots.container_run(&self.pod, &record.id);
        let path = self.roots.log(&record.spec, &record.id);
        let (tty, config) = (record.process.tty, record.spec.log.clone());
        let attributes = record::attributes(&attributes::all(record));
        let pump = Pump::open(&folder, &path, &config, attributes, adopt).map_err(failed)?;
        let mut fifos = [None, None];
        if !tty {
            for (stream, fifo) in [Stream::Stdout, Stream::Stderr].into_iter().zip(&mut fifos) {
                let opened = open_fifo(&folder, stream.as_str(), false).map_err(failed)?;
                let watched = self.listen(opened, EventFlags::IN, Source::Output(slot, stream));
                *fifo = Some(watched.map_err(failed)?);
            }
        }
        if let Some(container) = self.containers.get_mut(&slot) {
            container.output = Some(Output { pump, fifos, stalled: false, packing: false });
        }
        self.open_shipper(slot, adopt)?;
        self.pack_later(slot);
        Ok(())
    }

    /// Starts the process; its report comes as an event.
    fn spawn(&mut self, wanted: &mut Wanted, wiring: &mut Wiring) -> Result<(), Failure> {
        let slot = wanted.slot;
        let spec = self.spec(slot)?;
        self.containers.get_mut(&slot).ok_or_else(gone)?.has_cgroup = true;
        let container = self.containers.get(&slot).ok_or_else(gone)?;
        let record = &container.record;
        if record.spec.pid != IdentityShare::Private {
            // Its processes may have been killed through `cgroup.kill`. Linux 6.18 goes on killing what is
            // cloned into such a cgroup, because it compares counts of two cgroups: it takes a new one.
            drop(container.cgroup.remove());
        }
        let mut not_enforced = self.limit(container, &spec).map_err(|error| {
            let part = error.part().map(Box::new);
            Failure { part, ..cannot("limit its resources", &error) }
        })?;
        let oom_kills = container.cgroup.oom_kills();
        not_enforced.extend_from_slice(&self.totals.not_enforced);
        if record.injected.has_hooks {
            not_enforced.push(UNHOOKED.to_owned());
        }
        if let Some(profile) = &record.spec.security.apparmor
            && spec.process().as_ref().is_some_and(|process| process.apparmor_profile().is_none())
        {
            not_enforced.push(format!("this kernel has no AppArmor: profile `{profile}` confines nothing"));
        }
        let seccomp =
            self.seccomp.get(&record.spec.security).map_err(|error| cannot("filter its calls", &error))?;
        let folder = self.roots.container_run(&self.pod, &record.id);
        let streams =
            streams(container, wanted, &folder).map_err(|error| cannot("open its streams", &error))?;
        let starting = self.begin(slot, &spec, &streams, seccomp.as_deref(), wiring)?;
        let identity = starting.identity()?;
        let starting = self
            .listen(starting, EventFlags::IN, Source::Started(slot))
            .map_err(|error| cannot("watch its start", &error))?;
        if let Some(container) = self.containers.get_mut(&slot) {
            container.oom_kills = oom_kills;
            container.oom_told = oom_kills;
            container.run += 1;
            container.state.not_enforced = not_enforced;
            // Another runtime has made no process yet.
            let state = match identity {
                Some(identity) => running(container, identity, wanted.restart),
                None => container.state.clone(),
            };
            container.starting = Some(Start {
                starting,
                state,
                callers: std::mem::take(&mut wanted.callers),
                locks: std::mem::take(&mut wanted.locks),
                restart: wanted.restart,
                attached: wanted.streams != Streams::Log,
            });
            if let Some(_process) = identity {
                // Whoever takes over from here on knows of it; before, it ends by itself.
                container.save(&self.roots).unwrap_or_else(|error| complain(&error));
            }
            if let Some(start) = &mut container.starting {
                start.starting.release();
            }
        }
        Ok(())
    }

    /// Makes a container's process, and sees to it that its network is there before the process is let go.
    fn begin(
        &mut self,
        slot: Slot,
        spec: &Spec,
        streams: &Opened,
        seccomp: Option<&Program>,
        wiring: &mut Wiring,
    ) -> Result<Begun, Failure> {
        let is_new = self.enclose(slot, wiring)?;
        let waits = is_new && !self.containers.get(&slot).is_some_and(may_be_connected_late);
        if waits {
            self.connect(slot, wiring)?;
        }
        let begun = self.clone_process(slot, spec, streams, seccomp);
        // Its interfaces are made while it makes its mounts; also where it could not be made, as the
        // namespace is there for the next start.
        if is_new && !waits {
            self.connect(slot, wiring)?;
        }
        begun
    }

    fn clone_process(
        &self,
        slot: Slot,
        spec: &Spec,
        streams: &Opened,
        seccomp: Option<&Program>,
    ) -> Result<Begun, Failure> {
        let container = self.containers.get(&slot).ok_or_else(gone)?;
        let record = &container.record;
        let shares = self.shares(container)?;
        let home = self.roots.container(&self.pod, &record.id);
        let launch = Launch {
            spec,
            layers: &record.layers,
            upper: &home.join("upper"),
            work: &home.join("work"),
            volatile: record.spec.auto_remove || record.spec.volatile,
            network: shares[0].as_share(),
            pid: shares[1].as_share(),
            ipc: shares[2].as_share(),
            uts: shares[3].as_share(),
            cgroup_namespace: record.spec.cgroup == IdentityShare::Private,
            stdio: streams.as_stdio(),
            cgroup: &container.cgroup,
            seccomp,
            init: record.process.init,
            mapping: self.roots.mapping,
        };
        // A container with the host's network has that of the thread that makes it.
        let bundle = container.bundle(&self.roots);
        let begun = || Begun::of(&launch, bundle.as_ref(), &record.spec.security);
        Ok(self.outside.run(begun).map_err(|error| cannot("start", &error))??)
    }

    /// Makes a container's cgroup with its limits; returns what of them is not enforced here.
    fn limit(&self, container: &Container, spec: &runtime::Spec) -> Result<Vec<String>, CgroupError> {
        let resources = &container.record.spec.resources;
        let warnings = container.cgroup.create(resources, spec)?.into_iter().map(|warning| warning.0);
        let reserved = resources.memory_reservation.and_then(|_| self.carry_reservations());
        let warnings: Vec<String> = match container.cgroup.is_kept() || self.unsettled.is_empty() {
            true => warnings.chain(reserved).collect(),
            // Why there is no cgroup is known better here.
            false => warnings.flat_map(|_| self.unsettled.clone()).collect(),
        };
        for warning in &warnings {
            eprintln!("{} {}: {warning}", Timestamp::now(), container.record.spec.name);
        }
        Ok(warnings)
    }
}

/// Whether a container's process can make its mounts before its interfaces are there: another runtime may
/// run programs that ask for them, and kernel parameters of networks may be those of an interface.
fn may_be_connected_late(container: &Container) -> bool {
    let spec = &container.record.spec;
    spec.runtime.is_none() && !spec.security.sysctls.keys().any(|name| name.starts_with("net."))
}

/// The state of a container whose process has just been made.
pub(crate) fn running(container: &Container, process: ProcessIdentity, restart: bool) -> ContainerState {
    let (check, old) = (container.record.healthcheck.as_ref(), &container.state);
    ContainerState {
        status: Status::Running,
        process: Some(process),
        started: Some(Timestamp::now()),
        finished: old.finished,
        exit: None,
        oom_killed: false,
        restart_count: old.restart_count + u32::from(restart),
        stopped_by_hand: false,
        health: health::fresh(check),
        ports: container.ports.iter().map(|reservation| reservation.binding.clone()).collect(),
        lost_ports: old.lost_ports.clone(),
        not_enforced: old.not_enforced.clone(),
        error: None,
    }
}

/// A process's streams and who keeps them open meanwhile.
pub(crate) enum Opened {
    Files([OwnedFd; 3]),
    Terminal { rows: u16, columns: u16 },
}

impl Opened {
    pub(crate) fn as_stdio(&self) -> runtime::Stdio<'_> {
        match self {
            Self::Files([stdin, stdout, stderr]) => {
                runtime::Stdio::Files { stdin: stdin.as_fd(), stdout: stdout.as_fd(), stderr: stderr.as_fd() }
            }
            Self::Terminal { rows, columns } => runtime::Stdio::Terminal { rows: *rows, columns: *columns },
        }
    }
}

/// `/dev/null`, for both directions.
pub(crate) fn nothing() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}

fn streams(container: &Container, wanted: &mut Wanted, folder: &std::path::Path) -> io::Result<Opened> {
    let (process, log) = (&container.record.process, &container.record.spec.log);
    if let Ok(files) = <[OwnedFd; 3]>::try_from(std::mem::take(&mut wanted.files)) {
        return Ok(Opened::Files(files));
    }
    if let Streams::Terminal { rows, columns } = wanted.streams {
        return Ok(Opened::Terminal { rows, columns });
    }
    if process.tty {
        return Ok(Opened::Terminal { rows: 0, columns: 0 });
    }
    let output = |name| if log.none { nothing() } else { open_fifo(folder, name, true) };
    let stdin = if process.stdin_open { open_fifo(folder, "stdin", true)? } else { nothing()? };
    Ok(Opened::Files([stdin, output("stdout")?, output("stderr")?]))
}
