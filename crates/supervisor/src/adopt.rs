//! Taking over from a supervisor that was killed: living containers are found by their process's
//! number and start time; of dead ones nobody knows how they ended.

use crate::container::Container;
use crate::core::{Slot, Supervisor, complain};
use resource::{ContainerId, ExitStatus, Status};
use rustix::fs::{Mode, OFlags};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

impl Supervisor {
    /// Adopts what a predecessor left.
    pub(crate) fn adopt(&mut self) {
        let folder = self.roots.pod_run(&self.pod).join("containers");
        let found = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let ids: Vec<_> = found.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let mut dead = vec![];
        for id in ids {
            let Some(container) = Container::read(&self.roots, &self.pod, &ContainerId(id)) else { continue };
            let alive = living(&container);
            let status = container.state.status;
            let slot = self.enter(container);
            match (status, alive) {
                (Status::Running | Status::Paused, Some(pidfd)) => self.adopt_living(slot, pidfd),
                (Status::Running | Status::Paused, None) => dead.push((slot, ExitStatus::Unknown)),
                (Status::Restarting, _) => {
                    let exit = self.containers.get(&slot).map(Container::exit);
                    dead.push((slot, exit.unwrap_or(ExitStatus::Unknown)));
                }
                (Status::Created | Status::Exited, _) => self.clear_half_started(slot),
            }
        }
        self.rewire();
        for (slot, exit) in dead {
            self.adopt_dead(slot, exit);
        }
        // Rules of containers that are gone go, too.
        self.rules_changed = true;
    }

    fn adopt_living(&mut self, slot: Slot, pidfd: OwnedFd) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        let age = container.state.started.map(|started| resource::Timestamp::now().duration_since(started));
        let age = age.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default();
        container.since = Some(Instant::now().checked_sub(age).unwrap_or_else(Instant::now));
        container.run = 1;
        container.oom_kills = container.cgroup.oom_kills();
        container.oom_told = container.oom_kills;
        if container.has_network()
            && let Some(process) = container.state.process
        {
            let path = format!("/proc/{}/ns/net", process.pid);
            container.namespace =
                rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok();
        }
        self.watch_end(slot, pidfd);
        self.watch_memory(slot);
        let settled = [self.reserve_again(slot), self.open_resolver(slot), self.open_output(slot, true)];
        for failure in settled.into_iter().filter_map(Result::err) {
            // The container lives on with what can be had.
            complain(&failure);
        }
        if let Some(output) = self.containers.get_mut(&slot).and_then(|found| found.output.as_mut())
            && let Err(error) = output.pump.retry(&mut self.scratch)
        {
            complain(&error);
        }
        self.schedule_probe(slot);
    }

    /// It ended while nobody was there.
    fn adopt_dead(&mut self, slot: Slot, exit: ExitStatus) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        if container.state.status != Status::Restarting {
            // What shared its namespaces, or was half-way into them, may still be there.
            kill_rest(container);
        }
        self.open_output(slot, true).unwrap_or_else(|failure| complain(&failure));
        self.end_run(slot, exit);
    }

    /// A start whose supervisor was killed before it could write that it had been made.
    fn clear_half_started(&mut self, slot: Slot) {
        if let Some(container) = self.containers.get(&slot)
            && !container.cgroup.processes().is_empty()
        {
            kill_rest(container);
            self.remove_cgroup(slot);
        }
    }
}

fn kill_rest(container: &Container) {
    if !container.cgroup.processes().is_empty() {
        drop(container.cgroup.thaw());
        container.cgroup.kill(9).unwrap_or_else(|error| complain(&error));
    }
}

/// The descriptor of a container's first process, if that lives.
fn living(container: &Container) -> Option<OwnedFd> {
    let process = container.state.process?;
    let pidfd = sys::pidfd::open(process.pid).ok()?;
    // Asked after the descriptor was opened: it is the process of that start time or none.
    (sys::pidfd::start_time(process.pid)? == process.start_time).then_some(pidfd)
}
