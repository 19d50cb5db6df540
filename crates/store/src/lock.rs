//! Locks on what is being made, and claims on what is being used: files below the run-time folder that
//! the kernel unlocks when their owner dies, and that the owner removes.

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// An exclusive lock on a file that is removed when the lock is released.
#[derive(Debug)]
pub(crate) struct Claim {
    path: PathBuf,
    file: OwnedFd,
}

impl Claim {
    /// Waits for the lock.
    pub(crate) fn take(path: &Path) -> io::Result<Self> {
        loop {
            if let Some(claim) = Self::attempt(path, FlockOperation::LockExclusive)? {
                return Ok(claim);
            }
        }
    }

    /// The lock if nobody has it.
    pub(crate) fn attempt_now(path: &Path) -> io::Result<Option<Self>> {
        loop {
            match Self::attempt(path, FlockOperation::NonBlockingLockExclusive) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                // The file went away while we were getting it: whoever had it is done.
                Ok(None) => {}
                other => return other,
            }
        }
    }

    /// `None` when the file was removed by its last owner between our opening and our locking it.
    fn attempt(path: &Path, operation: FlockOperation) -> io::Result<Option<Self>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&file, operation))?;
        let ours = rustix::fs::fstat(&file)?;
        match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino) => {
                Ok(Some(Self { path: path.to_owned(), file }))
            }
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes into the locked file.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = rustix::io::retry_on_intr(|| rustix::io::write(&self.file, rest))?;
            rest = &rest[written..];
        }
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Still locked: nobody else can have taken it. If it cannot be removed, an empty file stays.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether somebody holds the lock on this file; a file that is gone is held by nobody.
pub(crate) fn is_held(path: &Path) -> bool {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()) else { return false };
    let attempt =
        rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive));
    attempt == Err(Errno::WOULDBLOCK)
}
