//! Tells when something in a folder of logs has changed: inotify, no polling.

use rustix::fs::inotify;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::io::unix::AsyncFd;

/// A watch on a folder of logs; one serves any number of readers.
#[derive(Debug)]
pub struct Watch {
    inotify: AsyncFd<OwnedFd>,
}

impl Watch {
    /// Watches a folder. Set it up before the first read, or what comes in between goes unnoticed.
    ///
    /// # Errors
    /// What inotify_init1(2) and inotify_add_watch(2) say.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let descriptor = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let what = inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::MOVE_SELF;
        inotify::add_watch(&descriptor, folder, what)?;
        Ok(Self { inotify: crate::client::watched(descriptor)? })
    }

    /// Waits until something has changed since the last time.
    ///
    /// # Errors
    /// What read(2) says.
    pub async fn changed(&self) -> io::Result<()> {
        loop {
            let mut ready = self.inotify.readable().await?;
            if let Ok(result) = ready.try_io(|inotify| drain(inotify.get_ref())) {
                return result;
            }
        }
    }
}

/// Takes all events; `WouldBlock` when there was none.
fn drain(descriptor: &OwnedFd) -> io::Result<()> {
    let mut any = false;
    let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
    loop {
        match rustix::io::read(descriptor, &mut buffer) {
            Ok(_) => any = true,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) if any => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
