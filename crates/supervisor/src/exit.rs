//! What follows when a container's first process has ended: the rest of its output, its exit code, a
//! restart by policy or the end; and output in general.

use crate::core::{Slot, Source, Supervisor, Timer, brief, complain};
use crate::log::Stream;
use crate::log::pump::Moved;
use crate::protocol::{EventKind, Failure, FailureKind, Reply};
use crate::reactor::{EventFlags, Token};
use resource::{ContainerId, ContainerState, ExitStatus, Status, Timestamp, restart};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How long a log that cannot be written is left alone.
const LOG_PAUSE: Duration = Duration::from_secs(1);
/// How long a cgroup that is busy is left alone.
const CGROUP_PAUSE: Duration = Duration::from_millis(50);
/// Between two pieces of a log that are packed: others have their turn.
const PACK_PAUSE: Duration = Duration::from_millis(1);

impl Supervisor {
    /// A container's first process has ended.
    pub(crate) fn ended(&mut self, slot: Slot) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        let Some(pidfd) = container.pidfd.take() else { return };
        let pid = container.state.process.map(|process| process.pid).unwrap_or_default();
        // Not our child when it was adopted; then the kernel may still tell.
        let code = sys::process::wait(pidfd.as_fd()).or_else(|| sys::pidfd::exit_code(pidfd.as_fd(), pid));
        self.end_run(slot, code.map_or(ExitStatus::Unknown, ExitStatus::Code));
    }

    /// A container's run is over: settles what that means.
    pub(crate) fn over(&mut self, slot: Slot, exit: ExitStatus) {
        self.finish_output(slot);
        let Some(container) = self.containers.get_mut(&slot) else { return };
        container.kill_others();
        container.mounts = None;
        container.shortage = None;
        // Its cgroup may be gone before this is told.
        let killed = container.cgroup.oom_kills();
        let oom = killed > container.oom_kills;
        let ran = container.since.take().map(|since| since.elapsed()).unwrap_or_default();
        let (policy, state) = (container.record.spec.restart, &mut container.state);
        let healing = std::mem::take(&mut container.healing);
        let by_policy = policy.restarts_after(exit.code(), state.restart_count);
        let again = !state.stopped_by_hand && (healing || by_policy);
        state.status = if again { Status::Restarting } else { Status::Exited };
        state.process = None;
        state.finished = Some(Timestamp::now());
        state.exit = Some(exit);
        state.oom_killed = oom;
        state.health = None;
        container.console = None;
        if again {
            let pause = restart::back_off(container.pause, ran);
            container.pause = Some(pause);
            let run = container.run;
            self.reactor.after(pause, Timer::Restart(slot, run));
        } else {
            self.tear_down(slot);
        }
        self.changed(slot);
        self.tell_killed(slot, killed);
        self.tell(slot, EventKind::Died { exit, restarting: again, ran });
        // A signal by which it ends is no stop.
        if self.containers.get(&slot).is_some_and(|container| !container.stopping.is_empty()) {
            self.tell(slot, EventKind::Stopped);
        }
        self.answer_stops(slot);
        if !again && self.containers.get(&slot).is_some_and(|container| container.record.spec.auto_remove) {
            self.remove_itself(slot);
        }
    }

    /// Answers those who asked for it to be stopped.
    pub(crate) fn answer_stops(&mut self, slot: Slot) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        let exit = container.exit();
        for caller in std::mem::take(&mut container.stopping) {
            self.reply(caller, Reply::Exit(exit), None);
        }
    }

    /// Gives back what a container that no longer runs had: ports, namespace, sockets, log, cgroup.
    pub(crate) fn tear_down(&mut self, slot: Slot) {
        self.release_ports(slot);
        let Some(container) = self.containers.get_mut(&slot) else { return };
        container.namespace = None;
        container.resolver = None;
        container.output = None;
        container.console = None;
        self.end_shipper(slot);
        self.remove_cgroup(slot);
    }

    /// Removes a container's cgroup; the kernel may take a moment to let go of the dead.
    pub(crate) fn remove_cgroup(&mut self, slot: Slot) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        if container.is_live() || !container.has_cgroup {
            return;
        }
        match container.cgroup.remove() {
            Ok(()) => {
                container.has_cgroup = false;
                if container.record.spec.resources.memory_reservation.is_some() {
                    // What cannot be written now is with the next start.
                    self.carry_reservations();
                }
            }
            Err(_) => self.reactor.after(CGROUP_PAUSE, Timer::Cgroup(slot)),
        }
    }

    /// Moves what a container has written to a FIFO.
    pub(crate) fn output(&mut self, slot: Slot, stream: Stream) {
        let Some(output) = self.containers.get_mut(&slot).and_then(|found| found.output.as_mut()) else {
            return;
        };
        let Some(fifo) = &output.fifos[stream as usize] else { return };
        let moved = output.pump.take(stream, fifo, &mut self.scratch);
        if moved == Moved::Stalled {
            // The container waits; the loop must not spin on what it cannot take.
            output.fifos.iter().flatten().for_each(|fifo| fifo.change(EventFlags::empty()));
        }
        if matches!(moved, Moved::Stalled | Moved::Behind) && !output.stalled {
            output.stalled = true;
            self.reactor.after(LOG_PAUSE, Timer::Log(slot));
        }
        self.pack_later(slot);
        self.ship(slot);
    }

    /// Has a rotated file packed while nothing else is to be done.
    pub(crate) fn pack_later(&mut self, slot: Slot) {
        let output = self.containers.get_mut(&slot).and_then(|found| found.output.as_mut());
        if let Some(output) = output.filter(|output| output.pump.packs() && !output.packing) {
            output.packing = true;
            self.reactor.after(PACK_PAUSE, Timer::Pack(slot));
        }
    }

    /// Packs a piece of a rotated file.
    pub(crate) fn pack_log(&mut self, slot: Slot) {
        let Some(output) = self.containers.get_mut(&slot).and_then(|found| found.output.as_mut()) else {
            return;
        };
        output.packing = false;
        output.pump.pack(&mut self.scratch).unwrap_or_else(|error| complain(&error));
        self.pack_later(slot);
    }

    /// Tries a log again that could not be written.
    pub(crate) fn retry_log(&mut self, slot: Slot) {
        let Some(output) = self.containers.get_mut(&slot).and_then(|found| found.output.as_mut()) else {
            return;
        };
        if let Err(error) = output.pump.retry(&mut self.scratch) {
            complain(&error);
            return self.reactor.after(LOG_PAUSE, Timer::Log(slot));
        }
        output.stalled = false;
        output.fifos.iter().flatten().for_each(|fifo| fifo.change(EventFlags::IN));
        self.ship(slot);
    }

    /// The container has ended: takes the rest of its output and its unfinished lines.
    fn finish_output(&mut self, slot: Slot) {
        self.drain_console(slot);
        let Some(output) = self.containers.get_mut(&slot).and_then(|found| found.output.as_mut()) else {
            return;
        };
        let [stdout, stderr] = &output.fifos;
        let fifos = [stdout, stderr].map(|fifo| fifo.as_deref());
        output.pump.finish(fifos, &mut self.scratch).unwrap_or_else(|error| complain(&error));
        self.ship(slot);
    }

    /// Reads a container's terminal into its log from now on.
    pub(crate) fn read_console(&mut self, slot: Slot) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        let Some(console) = &mut container.console else { return };
        console.reader = None;
        let _ = rustix::io::ioctl_fionbio(&console.master, true);
        let listens = self.reactor.listen(&mut console.master, EventFlags::IN, Source::Console(slot));
        listens.map(drop).unwrap_or_else(|error| complain(&error));
    }

    pub(crate) fn console_output(&mut self, slot: Slot) {
        if !self.take_console(slot) {
            // Hung up: nobody in the container has it open. It may be opened again only by its number,
            // which the end of the container settles.
            let Some(container) = self.containers.get_mut(&slot) else { return };
            container.console = None;
        }
    }

    /// Moves some output of a terminal to the log; false when there will be no more.
    fn take_console(&mut self, slot: Slot) -> bool {
        let mut buffer = [0; 4096];
        let Some(container) = self.containers.get_mut(&slot) else { return false };
        let Some(console) = &container.console else { return false };
        match rustix::io::read(&console.master, &mut buffer) {
            Ok(0) => return false,
            Ok(count) => {
                if let Some(output) = &mut container.output {
                    let fed = output.pump.feed(&buffer[..count], &mut self.scratch);
                    fed.unwrap_or_else(|error| complain(&error));
                    self.pack_later(slot);
                    self.ship(slot);
                }
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
        true
    }

    /// Takes the rest of a terminal's output, if this process is the one that reads it.
    fn drain_console(&mut self, slot: Slot) {
        let reads = |found: &crate::container::Container| {
            found.console.as_ref().is_some_and(|console| console.master.is_heard())
        };
        let mut ready = true;
        while ready && self.containers.get(&slot).is_some_and(reads) {
            let Some(console) = self.containers.get(&slot).and_then(|found| found.console.as_ref()) else {
                break;
            };
            let mut poll = [rustix::event::PollFd::new(&console.master, rustix::event::PollFlags::IN)];
            let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            ready = rustix::event::poll(&mut poll, Some(&now)).is_ok_and(|count| count > 0);
            ready = ready && self.take_console(slot);
        }
    }

    /// Gives a container's terminal to a client, which reads it until it is gone; until then nothing that
    /// is printed there goes to the log. One without a terminal has nothing to give.
    ///
    /// # Errors
    /// `NoSuchContainer`, `NotRunning`.
    pub(crate) fn attach(
        &mut self,
        client: Token,
        id: &ContainerId,
    ) -> Result<(ContainerState, Option<OwnedFd>), Failure> {
        let slot = self.slot(id)?;
        let Some(container) = self.containers.get_mut(&slot).filter(|container| container.is_up()) else {
            return Err(Failure::new(FailureKind::NotRunning, "it is not running"));
        };
        let state = brief(&container.state);
        let Some(console) = &mut container.console else { return Ok((state, None)) };
        let failed =
            |error| Failure::new(FailureKind::Other, format!("cannot hand its terminal on: {error}"));
        let master = console.master.try_clone().map_err(failed)?;
        // What both would read, one of them would miss. The client waits for what it reads.
        console.reader = Some(client);
        let _ = rustix::io::ioctl_fionbio(&master, false);
        console.master.silence();
        Ok((state, Some(master)))
    }

    /// A client that read terminals is gone: what is printed there goes to the log.
    pub(crate) fn consoles_left_by(&mut self, client: Token) {
        let left = self.containers.iter().filter(|(_, container)| {
            container.console.as_ref().is_some_and(|console| console.reader == Some(client))
        });
        for slot in left.map(|(slot, _)| *slot).collect::<Vec<_>>() {
            self.open_output(slot, false).unwrap_or_else(|error| complain(&error));
            self.read_console(slot);
        }
    }

    /// Removes a container whose record asks for that: folders, claims and anonymous volumes. What
    /// cannot be removed is left to the engine's sweep, which finds it by its name.
    fn remove_itself(&mut self, slot: Slot) {
        self.tell(slot, EventKind::Removed);
        let Some(container) = self.containers.remove(&slot) else { return };
        let (record, id) = (&container.record, &container.record.id);
        self.slots.remove(id);
        self.removed.remember(id.clone(), &container.state);
        let home = self.roots.container(&self.pod, id);
        let claim = |path: &std::path::Path| {
            let ours = std::fs::read_link(path).is_ok_and(|target| target.ends_with(&id.0));
            if ours {
                drop(std::fs::remove_file(path));
            }
        };
        // The record first: without it the container does not exist, and claims count as stale.
        drop(std::fs::remove_file(home.join("container.json")));
        drop(container.cgroup.remove());
        claim(&self.roots.data.join("names").join(record.spec.name.as_str()));
        for endpoint in &record.endpoints {
            let leases = self.roots.network(&endpoint.spec.network).join("leases");
            endpoint.addresses.iter().for_each(|(address, _)| claim(&leases.join(address.to_string())));
        }
        for mount in &record.mounts {
            let Some((volume, anonymous)) = mount.volume() else { continue };
            let folder = self.roots.volume(volume);
            claim(&folder.join("users").join(&id.0));
            if anonymous {
                drop(std::fs::remove_dir_all(folder));
            }
        }
        drop(std::fs::remove_dir_all(self.roots.container_run(&self.pod, id)));
        if let Err(error) = std::fs::remove_dir_all(home) {
            complain(&error);
        }
    }
}
