//! Word of the kernel that a cgroup is short of memory, at the time: what it counts is in `oom_kills`.
//!
//! v2 marks `memory.events` as changed with every event of its memory, v1 writes to an eventfd before it kills
//! one of the cgroup, or of the one above it. So each is only a reason to look.

use super::Hierarchies;
use rustix::event::{EventfdFlags, epoll::EventFlags, eventfd};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

/// A descriptor that is ready when a cgroup may have been short of memory.
#[derive(Debug)]
pub enum Shortage {
    /// `memory.events`, ready until it is read.
    Events(OwnedFd),
    /// An eventfd that `memory.oom_control` writes to.
    Control(OwnedFd),
}

impl Shortage {
    /// Begins to listen; `None` where the kernel counts no memory.
    pub(super) fn open(hierarchies: &Hierarchies, path: &Path) -> io::Result<Option<Self>> {
        if let (true, Some(mount)) = (hierarchies.is_v2(), &hierarchies.v2) {
            let watch = match File::open(mount.join(path).join("memory.events")) {
                Ok(file) => Self::Events(file.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            // A file that was never read counts as changed.
            watch.heard();
            return Ok(Some(watch));
        }
        let Some(memory) = hierarchies.v1.iter().find(|hierarchy| hierarchy.has("memory")) else {
            return Ok(None);
        };
        let folder = memory.path.join(path);
        let control = File::open(folder.join("memory.oom_control"))?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let order = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
        fs::write(folder.join("cgroup.event_control"), order)?;
        Ok(Some(Self::Control(event)))
    }

    /// What to wait for.
    pub fn interest(&self) -> EventFlags {
        match self {
            Self::Events(_) => EventFlags::PRI,
            Self::Control(_) => EventFlags::IN,
        }
    }

    /// It is not ready any more, until there is more.
    pub fn heard(&self) {
        let mut text = [0; 512];
        // What the kernel counts is read elsewhere; this only says that somebody has been told.
        let _told = match self {
            Self::Events(file) => rustix::io::pread(file, &mut text, 0),
            Self::Control(event) => rustix::io::read(event, &mut text),
        };
    }
}

impl AsFd for Shortage {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Events(file) | Self::Control(file) => file.as_fd(),
        }
    }
}
