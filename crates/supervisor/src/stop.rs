//! Stopping, killing, freezing and forgetting containers.

use crate::container::{Caller, read_record};
use crate::core::{Slot, Supervisor, Timer, chain, complain};
use crate::protocol::{EventKind, Failure, FailureKind, Reply};
use crate::start::cannot;
use resource::{ContainerId, Status};
use std::os::fd::AsFd;
use std::time::Duration;

const SIGKILL: i32 = 9;
/// Time from the stop signal to SIGKILL when nobody says another.
const GRACE: Duration = Duration::from_secs(10);

impl Supervisor {
    /// Stops a container; the answer comes when it is down.
    pub(crate) fn stop(
        &mut self,
        caller: Caller,
        id: &ContainerId,
        signal: Option<i32>,
        grace: Option<Duration>,
    ) -> Result<Option<Reply>, Failure> {
        if let Some(state) = self.removed.get(id) {
            return Ok(Some(Reply::Exit(state.exit.unwrap_or(resource::ExitStatus::Unknown))));
        }
        let slot = self.slot(id)?;
        self.settle_start(slot);
        let Some(container) = self.containers.get_mut(&slot) else { return Ok(None) };
        if container.starting.is_some() {
            Self::give_up(container);
            container.stopping.push(caller);
            return Ok(None);
        }
        match container.state.status {
            Status::Created | Status::Exited => {
                return Ok(Some(Reply::Exit(container.exit())));
            }
            Status::Restarting => {
                container.state.status = Status::Exited;
                container.state.stopped_by_hand = true;
                let exit = container.exit();
                self.tear_down(slot);
                self.changed(slot);
                self.tell(slot, EventKind::Stopped);
                return Ok(Some(Reply::Exit(exit)));
            }
            Status::Running | Status::Paused => {}
        }
        container.stopping.push(caller);
        container.state.stopped_by_hand = true;
        let (run, spec) = (container.run, &container.record.spec);
        let grace = grace.or(spec.stop_grace).unwrap_or(GRACE);
        let signal = signal.unwrap_or(container.record.stop_signal);
        self.changed(slot);
        if grace.is_zero() {
            self.send(slot, SIGKILL);
        } else {
            self.send(slot, signal);
            // What says "for ever" is too long for a clock.
            if grace < Duration::from_secs(u64::from(u32::MAX)) {
                self.reactor.after(grace, Timer::Kill(slot, run));
            }
        }
        Ok(None)
    }

    /// Stops a container that is unhealthy and wants to be started again for that. It is not stopped by
    /// hand: what comes after its end is a restart, with the pause that restarts have.
    pub(crate) fn heal(&mut self, slot: Slot) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        if !container.is_up() || container.state.stopped_by_hand || container.healing {
            return;
        }
        container.healing = true;
        let (run, signal) = (container.run, container.record.stop_signal);
        let grace = container.record.spec.stop_grace.unwrap_or(GRACE);
        self.send(slot, signal);
        if grace < Duration::from_secs(u64::from(u32::MAX)) {
            self.reactor.after(grace, Timer::Kill(slot, run));
        }
    }

    /// Stops a container that was to be stopped while another runtime started it, and that runs now.
    pub(crate) fn stop_late(&mut self, slot: Slot) {
        let Some(container) = self.containers.get_mut(&slot).filter(|found| found.is_up()) else { return };
        let id = container.record.id.clone();
        for caller in std::mem::take(&mut container.stopping) {
            match self.stop(caller, &id, None, None) {
                Ok(Some(reply)) => self.reply(caller, reply, None),
                Ok(None) => {}
                Err(failure) => self.reply(caller, Reply::Failed(failure), None),
            }
        }
    }

    /// A start under way is waited for: it takes milliseconds, and what follows needs to know. Only another
    /// runtime's goes on behind this.
    fn settle_start(&mut self, slot: Slot) {
        if self.wanted.iter().any(|wanted| wanted.slot == slot) {
            self.launch();
        }
        self.start_reported(slot);
    }

    /// A grace period is over.
    pub(crate) fn grace_over(&mut self, slot: Slot, run: u64) {
        if self.containers.get(&slot).is_some_and(|container| container.run == run && container.is_up()) {
            self.send(slot, SIGKILL);
        }
    }

    /// Sends a signal to a container's first process. One that is frozen is thawed so that it arrives.
    fn send(&mut self, slot: Slot, signal: i32) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        let Some(pidfd) = &container.pidfd else { return };
        // Its end is an event of its own; a signal that comes too late is no error.
        drop(sys::pidfd::send_signal(pidfd.as_fd(), signal));
        if signal == SIGKILL {
            container.kill_others();
        }
        let frozen = container.state.status == Status::Paused;
        if frozen && let Err(error) = container.cgroup.thaw() {
            complain(&error);
        }
        if frozen {
            container.state.status = Status::Running;
            self.changed(slot);
        }
        self.tell(slot, EventKind::Killed { signal });
    }

    /// Sends a signal by hand.
    pub(crate) fn kill(&mut self, id: &ContainerId, signal: i32) -> Result<(), Failure> {
        let slot = self.slot(id)?;
        self.settle_start(slot);
        let Some(container) = self.containers.get_mut(&slot) else { return Ok(()) };
        let stops = signal == SIGKILL || signal == container.record.stop_signal;
        if stops && container.starting.is_some() {
            Self::give_up(container);
            return Ok(());
        }
        if container.state.status == Status::Restarting && stops {
            container.state.status = Status::Exited;
            container.state.stopped_by_hand = true;
            self.tear_down(slot);
            self.changed(slot);
            self.tell(slot, EventKind::Stopped);
            return Ok(());
        }
        if !container.is_up() {
            return Err(not_running(&container.record.spec.name));
        }
        if stops {
            container.state.stopped_by_hand = true;
            self.changed(slot);
            self.send(slot, signal);
            return Ok(());
        }
        // Other signals wait in a frozen process until it is thawed.
        let Some(pidfd) = &container.pidfd else { return Ok(()) };
        sys::pidfd::send_signal(pidfd.as_fd(), signal).map_err(|error| cannot("send the signal", &error))?;
        self.tell(slot, EventKind::Killed { signal });
        Ok(())
    }

    pub(crate) fn pause(&mut self, id: &ContainerId) -> Result<(), Failure> {
        let slot = self.slot(id)?;
        self.settle_start(slot);
        let Some(container) = self.containers.get_mut(&slot) else { return Ok(()) };
        match container.state.status {
            Status::Running => {}
            Status::Paused => {
                let text = format!("container {} is already paused", container.record.spec.name);
                return Err(Failure::new(FailureKind::Paused, text));
            }
            _ => return Err(not_running(&container.record.spec.name)),
        }
        if let Err(error) = container.cgroup.freeze() {
            drop(container.cgroup.thaw());
            return Err(Failure::new(FailureKind::Other, chain(&error)));
        }
        container.state.status = Status::Paused;
        self.changed(slot);
        self.tell(slot, EventKind::Paused);
        Ok(())
    }

    pub(crate) fn unpause(&mut self, id: &ContainerId) -> Result<(), Failure> {
        let slot = self.slot(id)?;
        let Some(container) = self.containers.get_mut(&slot) else { return Ok(()) };
        if container.state.status != Status::Paused {
            let text = format!("container {} is not paused", container.record.spec.name);
            return Err(Failure::new(FailureKind::NotRunning, text));
        }
        container.cgroup.thaw().map_err(|error| Failure::new(FailureKind::Other, chain(&error)))?;
        container.state.status = Status::Running;
        self.changed(slot);
        self.tell(slot, EventKind::Unpaused);
        self.schedule_probe(slot);
        Ok(())
    }

    /// Drops what is known of a container that is about to be removed.
    pub(crate) fn forget(&mut self, id: &ContainerId) -> Result<(), Failure> {
        let Some(slot) = self.slots.get(id).copied() else { return Ok(()) };
        if let Some(container) = self.containers.get(&slot)
            && container.is_live()
        {
            let text = format!("container {} runs", container.record.spec.name);
            return Err(Failure::new(FailureKind::Refused, text));
        }
        self.tear_down(slot);
        self.drop_shipper(slot);
        self.slots.remove(id);
        if let Some(container) = self.containers.remove(&slot).filter(|container| container.has_cgroup) {
            drop(container.cgroup.remove());
        }
        drop(std::fs::remove_dir_all(self.roots.container_run(&self.pod, id)));
        Ok(())
    }

    /// Reads a container's record again: it has another name.
    pub(crate) fn renamed(&mut self, id: &ContainerId) -> Result<(), Failure> {
        let Some(container) = self.slots.get(id).and_then(|slot| self.containers.get_mut(slot)) else {
            return Ok(());
        };
        let missing =
            || Failure::new(FailureKind::NoSuchContainer, format!("no such container: {}", id.short()));
        container.record = read_record(&self.roots, &self.pod, id).ok_or_else(missing)?;
        Ok(())
    }
}

/// What a request gets that needs a running container.
pub(crate) fn not_running(name: &resource::ContainerName) -> Failure {
    Failure::new(FailureKind::NotRunning, format!("container {name} is not running"))
}
