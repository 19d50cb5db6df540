//! Containers that another OCI runtime runs: how far their starts have come, and their end, which that runtime
//! is told of. It may take its time, so nothing here waits for it.
//!
//! ```text
//! spawn -> shim -> Created: written down, let go on -> Started: taken over, as any other
//! ended -> RUNTIME delete -> over
//! ```

use crate::container::{Container, Start};
use crate::core::{Slot, Source, Supervisor, Watched, complain};
use crate::protocol::{Failure, FailureKind};
use crate::reactor::EventFlags;
use crate::start::running;
use resource::{ExitStatus, ProcessIdentity, SecuritySpec};
use runtime::oci::{self, Bundle, Progress, Shim};
use runtime::{Launch, StartError, Started, Starting};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A start under way.
pub(crate) enum Begun {
    /// By the engine's own runtime.
    Embedded(Starting),
    /// By another.
    Named(Shim),
}

/// A container that has ended and that its runtime is forgetting.
pub(crate) struct Deletion {
    process: Watched<OwnedFd>,
    exit: ExitStatus,
}

impl Begun {
    /// Begins a start, by the bundle's runtime if there is a bundle.
    pub(crate) fn of(
        launch: &Launch<'_>,
        bundle: Option<&Bundle>,
        security: &SecuritySpec,
    ) -> Result<Self, StartError> {
        match bundle {
            None => runtime::spawn(launch).map(Self::Embedded),
            Some(bundle) => oci::begin(launch, bundle, security).map(Self::Named),
        }
    }

    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self, Self::Embedded(_))
    }

    /// The container's process, which another runtime has yet to make.
    pub(crate) fn identity(&self) -> Result<Option<ProcessIdentity>, StartError> {
        match self {
            Self::Embedded(starting) => starting.identity().map(Some),
            Self::Named(_) => Ok(None),
        }
    }

    /// Lets the first process go on to its program, now that it is written down.
    pub(crate) fn release(&mut self) {
        if let Self::Embedded(starting) = self {
            starting.release();
        }
    }

    /// How far it has come, without waiting. Of the engine's own, [`Self::finish`] tells all there is.
    pub(crate) fn progress(&mut self) -> Progress {
        match self {
            Self::Embedded(_) => Progress::Started,
            Self::Named(shim) => shim.progress(),
        }
    }

    pub(crate) fn finish(self) -> Result<Started, StartError> {
        match self {
            Self::Embedded(starting) => starting.finish(),
            Self::Named(shim) => shim.finish(),
        }
    }
}

impl AsFd for Begun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Embedded(starting) => starting.as_fd(),
            Self::Named(shim) => shim.as_fd(),
        }
    }
}

impl Supervisor {
    /// Another runtime has created a container: from here on whoever takes over knows of its process. Before,
    /// the shim has it deleted when nobody listens any more.
    pub(crate) fn created(&mut self, slot: Slot, process: ProcessIdentity) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        let Some(restart) = container.starting.as_ref().map(|start| start.restart) else { return };
        let state = running(container, process, restart);
        if let Some(start) = &mut container.starting {
            start.state = state;
        }
        container.save(&self.roots).unwrap_or_else(|error| complain(&error));
        if let Some(Start { starting, .. }) = &container.starting
            && let Begun::Named(shim) = &**starting
        {
            shim.go_on();
        }
    }

    /// Gives up a start by another runtime; its end is told as a failure of the start.
    pub(crate) fn give_up(container: &Container) {
        if let Some(Begun::Named(shim)) = container.starting.as_ref().map(|start| &*start.starting) {
            shim.give_up();
        }
    }

    /// A container's first process has ended: its run is over once its runtime has forgotten it.
    pub(crate) fn end_run(&mut self, slot: Slot, exit: ExitStatus) {
        let bundle = self.containers.get(&slot).and_then(|container| container.bundle(&self.roots));
        let Some(bundle) = bundle.filter(Bundle::exists) else { return self.over(slot, exit) };
        let begun = oci::delete(&bundle)
            .and_then(|child| self.listen(child.pidfd, EventFlags::IN, Source::Deleted(slot)));
        match (begun, self.containers.get_mut(&slot)) {
            (Ok(process), Some(container)) => container.deletion = Some(Deletion { process, exit }),
            (Err(error), _) => {
                complain(&error);
                self.over(slot, exit);
            }
            (Ok(_), None) => {}
        }
    }

    /// A runtime has forgotten a container, or has had the time for it.
    pub(crate) fn deleted(&mut self, slot: Slot) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        let Some(deletion) = container.deletion.take() else { return };
        sys::process::wait(deletion.process.as_fd());
        if let Some(Err(error)) = container.bundle(&self.roots).map(|bundle| bundle.remove()) {
            complain(&error);
        }
        self.over(slot, deletion.exit);
    }
}

/// Refuses to execute in a container whose processes its runtime keeps to itself.
pub(crate) fn check_visible(container: &Container, pid: i32) -> Result<(), Failure> {
    let Some(program) = container.record.spec.runtime.as_ref().filter(|_| !oci::is_visible(pid)) else {
        return Ok(());
    };
    let what = "keeps its processes to itself (in a virtual machine or a sandbox): nothing is executed in it";
    Err(Failure::new(FailureKind::Refused, format!("its runtime `{}` {what}", program.display())))
}
