//! Files: atomic replacement, private folders, locks released by death, and paths that cannot
//! escape their root.

use rustix::fs::{CWD, Dir, FlockOperation, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Replaces the file at `path` by `bytes`: a reader sees the old content or the new, never a part.
/// Mode 0600. Nothing is synced to the disk.
///
/// # Errors
/// What the kernel says of writing beside `path` or renaming; the temporary file is removed then.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static COUNTER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.{count}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let write = || {
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        std::fs::rename(&temporary, path)
    };
    write().inspect_err(|_| drop(std::fs::remove_file(&temporary)))
}

/// Makes a folder and the missing ones above it, mode 0700 whatever the umask.
///
/// # Errors
/// What mkdir(2) says; an existing folder is no error.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// An advisory lock on a file, released when this value is dropped or its process dies.
#[derive(Debug)]
pub struct Lock {
    file: OwnedFd,
}

impl Lock {
    /// Waits for the exclusive lock on the file, making it when missing.
    ///
    /// # Errors
    /// What open(2) or flock(2) says.
    pub fn exclusive(path: &Path) -> io::Result<Self> {
        Self::take(path, FlockOperation::LockExclusive)
    }

    /// Waits for a shared lock on the file, making it when missing.
    ///
    /// # Errors
    /// What open(2) or flock(2) says.
    pub fn shared(path: &Path) -> io::Result<Self> {
        Self::take(path, FlockOperation::LockShared)
    }

    /// The exclusive lock if nobody holds it, else `None`.
    ///
    /// # Errors
    /// What open(2) or flock(2) says.
    pub fn try_exclusive(path: &Path) -> io::Result<Option<Self>> {
        match Self::take(path, FlockOperation::NonBlockingLockExclusive) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            other => other.map(Some),
        }
    }

    /// Whether somebody holds the exclusive lock on a file; not when there is no file. To look, the lock is
    /// shared for a moment: who tries to take it just then has to try again.
    ///
    /// # Errors
    /// What open(2) or flock(2) says.
    pub fn is_held(path: &Path) -> io::Result<bool> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let locked = rustix::fs::open(path, flags, Mode::empty())
            .and_then(|file| rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared));
        match locked {
            Ok(()) | Err(Errno::NOENT) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the file that is locked is still the one at this path.
    pub fn is_at(&self, path: &Path) -> bool {
        let (Ok(locked), Ok(there)) = (rustix::fs::fstat(&self.file), rustix::fs::stat(path)) else {
            return false;
        };
        (locked.st_dev, locked.st_ino) == (there.st_dev, there.st_ino)
    }

    /// Waits for the exclusive lock in place of the one that is held, which is given up meanwhile.
    ///
    /// # Errors
    /// What flock(2) says.
    pub fn become_exclusive(&self) -> io::Result<()> {
        Ok(rustix::io::retry_on_intr(|| rustix::fs::flock(&self.file, FlockOperation::LockExclusive))?)
    }

    /// Shares the lock that was held alone.
    ///
    /// # Errors
    /// What flock(2) says.
    pub fn become_shared(&self) -> io::Result<()> {
        Ok(rustix::io::retry_on_intr(|| rustix::fs::flock(&self.file, FlockOperation::LockShared))?)
    }

    fn take(path: &Path, operation: FlockOperation) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&file, operation))?;
        Ok(Self { file })
    }
}

/// Opens `path` as if `root` were `/`: links and `..` are followed inside it and cannot leave it, and
/// magic links (`/proc/self/fd/…`) are refused. openat2(2), Linux 5.6.
///
/// # Errors
/// What openat2(2) says.
pub fn open_in_root(root: impl AsFd, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    // EAGAIN: a rename raced with `..`; the kernel asks for another try.
    loop {
        match rustix::fs::openat2(&root, path, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// The names in an open folder, collected before anything is done with them.
///
/// # Errors
/// What reading it says.
pub fn names(folder: impl AsFd) -> io::Result<Vec<CString>> {
    let mut names = vec![];
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

/// Whether an error says that a path is simply not there.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Opens a folder for use as the root or base of other calls.
///
/// # Errors
/// What open(2) says.
pub fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}
