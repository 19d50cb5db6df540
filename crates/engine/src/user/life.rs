//! A pipe that ties pasta to those who keep the router: infra and the supervisors have it open for
//! writing, pasta for reading. When the last writer is gone, killed say, the kernel kills pasta.
//!
//! No process waits for that, so it holds when all of ours are killed at once.

use resource::Roots;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// Makes the pipe if it is missing.
pub(super) fn make(roots: &Roots) -> io::Result<()> {
    match rustix::fs::mknodat(CWD, roots.infra_life(), FileType::Fifo, Mode::from_raw_mode(0o600), 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The end of one who keeps the router. Open for reading as well, so that nobody is waited for.
pub(super) fn keep(roots: &Roots) -> io::Result<File> {
    File::options().read(true).write(true).open(roots.infra_life())
}

/// pasta's end.
pub(super) fn watch(roots: &Roots) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(roots.infra_life(), flags, Mode::empty())?)
}
