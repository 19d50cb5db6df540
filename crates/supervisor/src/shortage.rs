//! Processes of a container that the kernel kills for want of memory. The container may go on without them, so each
//! is told of when it happens.
//!
//! ```text
//! listening ─ the kernel says something ─▶ told what it has counted ─ 100 ms ─▶ told what it has counted, listening
//! ```
//! The pause is for v1, which speaks before it kills, and for v2, which also speaks whenever a limit is reached: a
//! container that does nothing else costs no more than ten looks a second. What nobody has said, a machine without
//! memory, is told with the container's end.

use crate::core::{Source, Supervisor, Timer, complain};
use crate::protocol::EventKind;
use crate::{core::Slot, reactor::Watched};
use std::time::Duration;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

impl Supervisor {
    /// Listens, where there is a limit to be met.
    pub(crate) fn watch_memory(&mut self, slot: Slot) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        if container.record.spec.resources.memory.or(self.totals.memory()).is_none() {
            return;
        }
        match container.cgroup.watch_memory() {
            Ok(shortage) => container.shortage = shortage.map(Watched::silent),
            Err(error) => complain(&error),
        }
        self.listen_for_shortage(slot);
    }

    fn listen_for_shortage(&mut self, slot: Slot) {
        let container = self.containers.get_mut(&slot);
        let Some(shortage) = container.and_then(|found| found.shortage.as_mut()) else { return };
        let interest = shortage.interest();
        let listens = self.reactor.listen(shortage, interest, Source::Shortage(slot));
        listens.map(drop).unwrap_or_else(|error| complain(&error));
    }

    /// The kernel may have killed, or may be about to.
    pub(crate) fn short_of_memory(&mut self, slot: Slot) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        let Some(shortage) = &mut container.shortage else { return };
        shortage.heard();
        shortage.silence();
        let (run, killed) = (container.run, container.cgroup.oom_kills());
        self.tell_killed(slot, killed);
        self.reactor.after(PAUSE, Timer::Shortage(slot, run));
    }

    /// The pause is over.
    pub(crate) fn listen_again(&mut self, slot: Slot, run: u64) {
        if self.containers.get(&slot).is_some_and(|container| container.run == run && container.is_up()) {
            self.listen_for_shortage(slot);
            let killed = self.containers.get(&slot).map_or(0, |container| container.cgroup.oom_kills());
            self.tell_killed(slot, killed);
        }
    }

    /// Tells of those that were killed since the last time, if this many were in all.
    pub(crate) fn tell_killed(&mut self, slot: Slot, killed: u64) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        if killed > container.oom_told {
            container.oom_told = killed;
            self.tell(slot, EventKind::Oom);
        }
    }
}
