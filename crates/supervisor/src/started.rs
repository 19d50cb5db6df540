//! What becomes of a start: the program runs, or it could not be; and the next one, by policy.

use crate::container::{Caller, Console, Container, Start};
use crate::core::{Slot, Source, Supervisor, Timer, Watched, brief, complain};
use crate::health;
use crate::protocol::{EventKind, Failure, Reply, Streams};
use crate::reactor::EventFlags;
use crate::start::Wanted;
use resource::{ContainerState, ExitStatus, IdentityShare, Status, Timestamp};
use runtime::StartError;
use runtime::oci::Progress;
use runtime::processes::MountNamespace;
use std::os::fd::OwnedFd;
use std::time::Instant;

impl Supervisor {
    /// Waits for every process that is being started to execute its program, which takes milliseconds;
    /// whether there was one. Another runtime may take longer, and is not waited for.
    pub(crate) fn settle_starts(&mut self) -> bool {
        let is_ours = |start: &Start| start.starting.is_embedded();
        let starting =
            self.containers.iter().filter(|(_, found)| found.starting.as_ref().is_some_and(is_ours));
        let slots: Vec<Slot> = starting.map(|(slot, _)| *slot).collect();
        slots.iter().for_each(|slot| self.start_reported(*slot));
        self.settle_execs() || !slots.is_empty()
    }

    /// The start has gone well or failed.
    pub(crate) fn start_reported(&mut self, slot: Slot) {
        let container = self.containers.get_mut(&slot);
        let Some(start) = container.and_then(|found| found.starting.as_mut()) else { return };
        match start.starting.progress() {
            Progress::Same => {}
            Progress::Created(process) => self.created(slot, process),
            Progress::Started => self.start_settled(slot, None),
            Progress::Failed(error) => self.start_settled(slot, Some(error)),
        }
    }

    /// The program runs, as far as is known, or could not be started.
    fn start_settled(&mut self, slot: Slot, failure: Option<StartError>) {
        let Some(start) = self.containers.get_mut(&slot).and_then(|found| found.starting.take()) else {
            return;
        };
        // The locks are let go at the end of this.
        let Start { starting, callers, locks: _locks, restart, attached, state } = start;
        let begun = starting.into_inner();
        match failure.map_or_else(|| begun.finish(), Err) {
            Err(error) => self.start_failed(slot, error.into(), callers, restart),
            Ok(started) => self.started(slot, started, state, callers, restart, attached),
        }
        self.stop_late(slot);
    }

    fn started(
        &mut self,
        slot: Slot,
        started: runtime::Started,
        state: ContainerState,
        callers: Vec<Caller>,
        restart: bool,
        attached: bool,
    ) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        let lost_ports = std::mem::take(&mut container.state.lost_ports);
        let is_written = lost_ports == state.lost_ports;
        container.state = ContainerState { lost_ports, ..state };
        container.since = Some(Instant::now());
        let console = started.console;
        let to_caller = console.as_ref().filter(|_| attached).and_then(|master| master.try_clone().ok());
        let reader = to_caller.as_ref().and(callers.first()).map(|caller| caller.0);
        container.console = console.map(|master| Console { master: Watched::silent(master), reader });
        let reply = Reply::State(Box::new(brief(&container.state)));
        self.watch_end(slot, started.pidfd);
        self.watch_memory(slot);
        if !attached {
            self.read_console(slot);
        }
        match is_written {
            true => self.check_waiters(slot),
            false => self.changed(slot),
        }
        self.tell(slot, EventKind::Started { restart });
        self.schedule_probe(slot);
        let mut file = to_caller;
        for caller in callers {
            self.reply(caller, reply.clone(), file.take());
        }
    }

    /// Watches for the end of a container's first process.
    pub(crate) fn watch_end(&mut self, slot: Slot, pidfd: OwnedFd) {
        let mut pidfd = Watched::silent(pidfd);
        if let Err(error) = self.reactor.listen(&mut pidfd, EventFlags::IN, Source::Ended(slot)) {
            complain(&error);
        }
        if let Some(container) = self.containers.get_mut(&slot) {
            container.pidfd = Some(pidfd);
            let alone = container.cgroup.is_kept() || container.record.spec.pid == IdentityShare::Private;
            let process = container.state.process.filter(|_| !alone);
            container.mounts = process.and_then(|process| MountNamespace::of(process.pid).ok());
        }
    }

    /// A start that failed leaves nothing behind and is not tried again, by policy neither.
    pub(crate) fn start_failed(&mut self, slot: Slot, failure: Failure, callers: Vec<Caller>, restart: bool) {
        let message = failure.message.clone();
        if let Some(container) = self.containers.get_mut(&slot) {
            let state = &mut container.state;
            if restart || state.started.is_some() {
                state.status = Status::Exited;
                state.finished = Some(Timestamp::now());
            }
            state.exit = Some(ExitStatus::Code(failure.exit_code));
            state.error = Some(message.clone());
            state.process = None;
            state.health = None;
        }
        self.tear_down(slot);
        self.changed(slot);
        self.tell(slot, EventKind::StartFailed { message });
        for caller in callers {
            self.reply(caller, Reply::Failed(failure.clone()), None);
        }
        self.answer_stops(slot);
    }

    /// A back-off is over.
    pub(crate) fn restart_due(&mut self, slot: Slot, run: u64) {
        let is_due = |found: &Container| found.run == run && found.waits_for_restart();
        if self.containers.get(&slot).is_some_and(is_due) {
            let wanted = Wanted {
                slot,
                callers: vec![],
                locks: vec![],
                streams: Streams::Log,
                files: vec![],
                restart: true,
            };
            self.wanted.push(wanted);
        }
    }

    /// Sets the timer for a container's next probe.
    pub(crate) fn schedule_probe(&mut self, slot: Slot) {
        let Some(container) = self.containers.get(&slot) else { return };
        let (Some(check), Some(report)) = (&container.record.healthcheck, &container.state.health) else {
            return;
        };
        let age = container.since.map(|since| since.elapsed()).unwrap_or_default();
        let (pause, run) = (health::pause(check, report, age), container.run);
        self.reactor.after(pause, Timer::Probe(slot, run));
    }
}
