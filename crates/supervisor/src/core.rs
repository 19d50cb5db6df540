//! The supervisor's state and its one loop.
//!
//! A round: wait for events; handle each; handle the timers that are due; start what was asked for in
//! this round as one batch; put the port rules right if they changed; send the replies. So a reply is
//! never sent before what it tells has been made true. A second after it began to work it gives back
//! the memory that it does not need to wait.

use crate::connection::Connection;
use crate::container::Container;
use crate::exec::Running;
use crate::forward::Forwarder;
use crate::journal::{self, Note};
use crate::names::Foreign;
use crate::outside::Outside;
use crate::protocol::{Event, EventKind, Failure, FailureKind, Reply};
use crate::reactor::{self, EventFlags, Reactor, Token};
use crate::removed::Removed;
use crate::resolver::Upstream;
use crate::ship::Shipper;
use crate::start::Wanted;
use crate::wait;
use crate::wiring::Maker;
use network::{Netlink, PortRule};
use resource::{Condition, ContainerId, ContainerState, PodName, Roots, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// A descriptor, listened to for what it is about.
pub(crate) type Watched<F> = reactor::Watched<Source, F>;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Somebody connects.
    Listener,
    /// A client says something, or can be told more.
    Client,
    /// A container's start has gone well or failed.
    Started(Slot),
    /// A container's first process has ended.
    Ended(Slot),
    /// There is output in a FIFO.
    Output(Slot, crate::log::Stream),
    /// There is output on a terminal.
    Console(Slot),
    /// An exec's start has gone well or failed.
    ExecStarted(u64),
    /// An exec has ended.
    ExecEnded(u64),
    /// A health probe printed something.
    ProbeOutput(u64),
    /// A container asks for a name.
    Query(Slot),
    /// A container asks for a name by TCP.
    QueryListener(Slot),
    /// A TCP query arrives.
    QueryConnection,
    /// An upstream server answers.
    Upstream,
    /// Somebody connects to a published port.
    Port(Slot, usize),
    /// A forwarded connection, by its number, can go on at one of its two ends.
    Forward(u64, usize),
    /// A datagram comes back for a client of a published port.
    Session,
    /// A log server can take more, or is gone.
    Ship(Slot),
    /// Another runtime has done with a container that has ended.
    Deleted(Slot),
    /// A container may have been short of memory.
    Shortage(Slot),
}

/// A container, by a number that stands for its id in events and timers.
pub(crate) type Slot = u32;

/// What happens later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A back-off is over. Timers of a container carry the number of the run they are about.
    Restart(Slot, u64),
    /// A grace period is over.
    Kill(Slot, u64),
    /// A probe is due.
    Probe(Slot, u64),
    /// A probe takes too long.
    ProbeTimeout(u64),
    /// A log that could not be written is tried again.
    Log(Slot),
    /// A cgroup that was busy is removed.
    Cgroup(Slot),
    /// An upstream server has not answered.
    Upstream(Token),
    /// Idle datagram sessions are closed.
    Sessions,
    /// A piece of a rotated log is packed.
    Pack(Slot),
    /// A log server that could not be reached is tried again.
    Ship(Slot),
    /// The last lines of a container have had their time.
    ShipEnd(Slot),
    /// A container's memory is looked after again.
    Shortage(Slot, u64),
}

/// Somebody who waits for a condition.
#[derive(Debug)]
struct Waiter {
    client: Token,
    number: u64,
    id: ContainerId,
    condition: Condition,
}

/// Everything a supervisor knows.
pub(crate) struct Supervisor {
    pub(crate) roots: Roots,
    pub(crate) pod: PodName,
    pub(crate) reactor: Reactor<Source, Timer>,
    pub(crate) outside: Outside,
    /// Why there is no room for the pod's cgroups, where there should be.
    pub(crate) unsettled: Vec<String>,
    pub(crate) totals: crate::totals::Totals,
    pub(crate) listener: Watched<OwnedFd>,
    pub(crate) clients: BTreeMap<Token, Connection>,
    pub(crate) containers: BTreeMap<Slot, Container>,
    pub(crate) slots: HashMap<ContainerId, Slot>,
    next_slot: Slot,
    pub(crate) removed: Removed,
    pub(crate) execs: BTreeMap<u64, Running>,
    pub(crate) next_exec: u64,
    /// Pipes of probes that have ended, with somebody left who may print to them.
    pub(crate) probe_remains: BTreeMap<u64, Watched<OwnedFd>>,
    waiters: Vec<Waiter>,
    /// Starts asked for in this round.
    pub(crate) wanted: Vec<Wanted>,
    /// Those whose time has not come.
    pub(crate) early: Vec<Wanted>,
    /// Makes the network namespaces of the first of them.
    pub(crate) maker: Option<Maker>,
    pub(crate) netlink: Option<Netlink>,
    pub(crate) seccomp: runtime::seccomp::Cache,
    pub(crate) rules_changed: bool,
    /// A container was here that is reached by routes.
    pub(crate) has_entrances: bool,
    pub(crate) scratch: Vec<u8>,
    pub(crate) foreign: Foreign,
    pub(crate) upstreams: HashMap<Token, Upstream>,
    pub(crate) queries: HashMap<Token, crate::resolver::Query>,
    pub(crate) forwarder: Forwarder,
    pub(crate) shippers: BTreeMap<Slot, Shipper>,
    /// Its pod is being removed.
    pub(crate) retiring: bool,
    pub(crate) seed: u64,
}

impl Supervisor {
    pub(crate) fn new(roots: Roots, pod: PodName, listener: OwnedFd, outside: Outside) -> io::Result<Self> {
        let mut supervisor = Self {
            roots,
            pod,
            reactor: Reactor::new()?,
            outside,
            unsettled: vec![],
            totals: crate::totals::Totals::default(),
            listener: Watched::silent(listener),
            clients: BTreeMap::new(),
            containers: BTreeMap::new(),
            slots: HashMap::new(),
            next_slot: 0,
            removed: Removed::default(),
            execs: BTreeMap::new(),
            next_exec: 0,
            probe_remains: BTreeMap::new(),
            waiters: vec![],
            wanted: vec![],
            early: vec![],
            maker: None,
            netlink: None,
            seccomp: runtime::seccomp::Cache::default(),
            rules_changed: false,
            has_entrances: false,
            scratch: vec![],
            foreign: Foreign::default(),
            upstreams: HashMap::new(),
            queries: HashMap::new(),
            forwarder: Forwarder::default(),
            shippers: BTreeMap::new(),
            retiring: false,
            seed: u64::from(std::process::id()),
        };
        supervisor.reactor.listen(&mut supervisor.listener, EventFlags::IN, Source::Listener)?;
        Ok(supervisor)
    }

    /// Works until nothing lives and nobody is connected, or the pod is no more.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut events = vec![];
        let mut is_new = true;
        self.reactor.worked();
        loop {
            self.end_of_round();
            if !events.is_empty() && std::mem::take(&mut is_new) && self.containers.is_empty() {
                self.prepare_ahead();
            }
            let live = self.containers.values().any(Container::is_live) || !self.shippers.is_empty();
            let retires = self.retiring && self.containers.is_empty();
            if (self.clients.is_empty() && !live) || retires {
                return Ok(());
            }
            if self.reactor.rests() {
                sys::memory::give_back();
            }
            self.reactor.wait(&mut events)?;
            if !events.is_empty() {
                self.reactor.worked();
            }
            for (token, flags) in events.iter().copied() {
                if let Some(source) = self.reactor.source(token) {
                    self.handle(source, token, flags);
                }
            }
            while let Some(timer) = self.reactor.due() {
                self.reactor.worked();
                self.handle_timer(timer);
            }
        }
    }

    /// Makes what every start needs, while the client that has just said hello makes the rest of what it
    /// will have started: a new supervisor has nothing else to do, until it has. What fails here is told by
    /// the start.
    fn prepare_ahead(&mut self) {
        let mut maker = || self.maker = Maker::launch(&self.pod, &self.roots.cgroup).ok();
        let mut pod = || drop(runtime::cgroup::open_pod(&self.roots, &self.pod).make());
        let mut filter = || drop(self.seccomp.get(&resource::SecuritySpec::default()));
        let parts: [&mut dyn FnMut(); 3] = [&mut maker, &mut pod, &mut filter];
        parts.into_iter().take_while(|_| !self.reactor.is_asked()).for_each(|part| part());
    }

    fn end_of_round(&mut self) {
        loop {
            self.take_up_early();
            if self.wanted.is_empty() {
                break;
            }
            self.launch();
        }
        if self.rules_changed {
            self.publish().unwrap_or_else(|error| complain(&error));
        }
        self.flush_clients();
    }

    fn handle(&mut self, source: Source, token: Token, flags: EventFlags) {
        match source {
            Source::Listener => self.accept_clients(),
            Source::Client => self.client_ready(token, flags),
            Source::Started(slot) => self.start_reported(slot),
            Source::Ended(slot) => self.ended(slot),
            Source::Output(slot, stream) => self.output(slot, stream),
            Source::Console(slot) => self.console_output(slot),
            Source::ExecStarted(exec) => self.exec_reported(exec),
            Source::ExecEnded(exec) => self.exec_ended(exec),
            Source::ProbeOutput(exec) => self.probe_output(exec),
            Source::Query(slot) => self.queries_arrived(slot),
            Source::QueryListener(slot) => self.query_connections(slot),
            Source::QueryConnection => self.query_readable(token),
            Source::Upstream => self.upstream_answered(token),
            Source::Port(slot, index) => self.port_ready(slot, index),
            Source::Forward(pair, side) => self.forward_ready(pair, side, flags),
            Source::Session => self.session_ready(token),
            Source::Ship(slot) => self.ship_ready(slot, flags),
            Source::Deleted(slot) => self.deleted(slot),
            Source::Shortage(slot) => self.short_of_memory(slot),
        }
    }

    fn handle_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Restart(slot, run) => self.restart_due(slot, run),
            Timer::Kill(slot, run) => self.grace_over(slot, run),
            Timer::Probe(slot, run) => self.probe_due(slot, run),
            Timer::ProbeTimeout(exec) => self.probe_timed_out(exec),
            Timer::Log(slot) => self.retry_log(slot),
            Timer::Cgroup(slot) => self.remove_cgroup(slot),
            Timer::Upstream(token) => self.upstream_silent(token),
            Timer::Sessions => self.close_idle_sessions(),
            Timer::Pack(slot) => self.pack_log(slot),
            Timer::Ship(slot) => self.ship_due(slot),
            Timer::ShipEnd(slot) => self.shipper_over(slot),
            Timer::Shortage(slot, run) => self.listen_again(slot, run),
        }
    }

    /// Listens for events of a descriptor.
    pub(crate) fn listen<F: AsFd>(
        &self,
        file: F,
        what: EventFlags,
        source: Source,
    ) -> io::Result<Watched<F>> {
        let mut watched = Watched::silent(file);
        self.reactor.listen(&mut watched, what, source)?;
        Ok(watched)
    }

    /// Takes a container in under a new number.
    pub(crate) fn enter(&mut self, container: Container) -> Slot {
        self.next_slot += 1;
        self.has_entrances |= container.record.endpoints.iter().any(|each| !each.routed.is_empty());
        self.slots.insert(container.record.id.clone(), self.next_slot);
        self.containers.insert(self.next_slot, container);
        self.next_slot
    }

    /// The container with this id, read from disk when it is new here.
    ///
    /// # Errors
    /// `NoSuchContainer`.
    pub(crate) fn slot(&mut self, id: &ContainerId) -> Result<Slot, Failure> {
        if let Some(slot) = self.slots.get(id) {
            return Ok(*slot);
        }
        let container = Container::read(&self.roots, &self.pod, id).ok_or_else(|| {
            Failure::new(FailureKind::NoSuchContainer, format!("no such container: {}", id.short()))
        })?;
        Ok(self.enter(container))
    }

    /// Rebuilds the pod's port rules from the containers that live or are being started.
    ///
    /// # Errors
    /// What [`network::publish`] says.
    pub(crate) fn publish(&mut self) -> Result<(), network::NetworkError> {
        self.rules_changed = false;
        let rules: Vec<PortRule> = self.containers.values().flat_map(Container::port_rules).collect();
        let entrances: Vec<_> = self.containers.values().flat_map(|each| each.entrances.clone()).collect();
        let entrances = self.has_entrances.then_some(entrances.as_slice());
        network::publish(&self.pod_key(), &rules, entrances)
    }

    /// The name of the pod's chains.
    pub(crate) fn pod_key(&self) -> String {
        format!("{}-{}", self.roots.cgroup, self.pod)
    }

    /// Notes an event, and tells those who follow the pod.
    pub(crate) fn tell(&mut self, slot: Slot, kind: EventKind) {
        let Some(container) = self.containers.get(&slot) else { return };
        let spec = &container.record.spec;
        let event = Event {
            time: Timestamp::now(),
            container: container.record.id.clone(),
            name: spec.name.clone(),
            service: spec.service.clone(),
            number: spec.number,
            kind,
        };
        let labels = container.record.spec.labels.clone();
        let note = Note { event, image: spec.image.written(), labels };
        let noted =
            journal::turn(&self.roots, &self.pod).and_then(|()| journal::note(&self.roots, &self.pod, &note));
        noted.unwrap_or_else(|error| complain(&error));
        let event = note.event;
        let mut told = None;
        for client in self.clients.values_mut() {
            for number in client.follows.clone() {
                let event = told.get_or_insert_with(|| Box::new(event.clone()));
                client.reply(number, Reply::Event(event.clone()), None);
            }
        }
    }

    /// Answers a request, at the end of the round.
    pub(crate) fn reply(&mut self, (client, number): (Token, u64), reply: Reply, file: Option<OwnedFd>) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.reply(number, reply, file);
        }
    }

    /// Remembers somebody who waits, or answers at once.
    pub(crate) fn wait_for(&mut self, client: Token, number: u64, id: ContainerId, condition: Condition) {
        if let Some(state) = self.removed.get(&id) {
            let reply = Reply::State(Box::new(state.clone()));
            return self.reply((client, number), reply, None);
        }
        match self.slot(&id) {
            Err(failure) => self.reply((client, number), Reply::Failed(failure), None),
            Ok(slot) => {
                self.waiters.push(Waiter { client, number, id, condition });
                self.check_waiters(slot);
            }
        }
    }

    /// Somebody no longer waits; `None` for all calls of a client that has gone.
    pub(crate) fn stop_waiting(&mut self, client: Token, number: Option<u64>) {
        self.waiters
            .retain(|waiter| waiter.client != client || number.is_some_and(|number| waiter.number != number));
    }

    /// Answers those whose condition a container now meets, or can no longer meet.
    pub(crate) fn check_waiters(&mut self, slot: Slot) {
        let Some(container) = self.containers.get(&slot) else { return };
        let (id, state) = (&container.record.id, &container.state);
        let asked = self.wanted.iter().chain(&self.early).any(|wanted| wanted.slot == slot);
        let starting = container.starting.is_some() || asked;
        let clients = &mut self.clients;
        self.waiters.retain(|waiter| {
            let answered = waiter.id == *id && wait::answered(waiter.condition, state, starting);
            if answered && let Some(client) = clients.get_mut(&waiter.client) {
                client.reply(waiter.number, Reply::State(Box::new(brief(state))), None);
            }
            !answered
        });
    }

    /// Writes a container's state document and answers those who wait for it.
    pub(crate) fn changed(&mut self, slot: Slot) {
        let Some(container) = self.containers.get(&slot) else { return };
        container.save(&self.roots).unwrap_or_else(|error| complain(&error));
        self.check_waiters(slot);
    }
}

/// A state without the output of all probes but the last: what goes over the socket stays small.
pub(crate) fn brief(state: &ContainerState) -> ContainerState {
    let mut state = state.clone();
    if let Some(health) = &mut state.health {
        let from = health.probes.len().saturating_sub(1);
        health.probes.drain(..from);
    }
    state
}

/// Writes an error and its causes to the supervisor's log, which is its standard error.
pub(crate) fn complain(error: &dyn std::error::Error) {
    eprintln!("{} {}", Timestamp::now(), chain(error));
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
