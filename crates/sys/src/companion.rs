//! A thread that keeps what the main one gives up, or takes what the main one must not: namespaces. It
//! runs what it is asked to, one piece of work at a time, while the caller waits.
//!
//! Namespaces belong to a thread. One that left a namespace of the host for good can still have work
//! done there by a companion made before; one that could not come back from a container's pid namespace
//! sends a companion into it. A process whose other threads are all companions may still make children,
//! see [`crate::process::clone_child`]: at any moment all its threads but one wait, and hold nothing.

use std::io;
use std::mem::ManuallyDrop;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes of its stack: as much as a child that goes on on a copy of it needs, and only pages that were
/// touched are memory.
const STACK: usize = 512 << 10;

/// Threads of this process that wait for work or for work to be done.
static WAITING: AtomicU64 = AtomicU64::new(0);

/// How many threads of this process certainly wait.
pub(crate) fn waiting() -> u64 {
    WAITING.load(Ordering::SeqCst)
}

/// What it is asked to do.
type Work = Box<dyn FnOnce() + Send>;

/// A thread that waits for work. It ends with the process, also when this is dropped: nobody could say
/// when a thread that is to end is gone, and so whether a child may be made.
#[derive(Debug)]
pub struct Companion {
    /// Whoever asks holds the lock until the work is done.
    door: ManuallyDrop<Mutex<(SyncSender<Work>, Receiver<()>)>>,
}

impl Companion {
    /// Makes one, in the namespaces of the calling thread. No signal is delivered to it.
    ///
    /// # Errors
    /// What making a thread says.
    pub fn start() -> io::Result<Self> {
        let (ask, asked) = sync_channel::<Work>(1);
        let (tell, told) = sync_channel(1);
        let serve = move || {
            crate::process::block_signals();
            for work in asked {
                work();
                if tell.send(()).is_err() {
                    break;
                }
            }
        };
        std::thread::Builder::new().stack_size(STACK).spawn(serve)?;
        WAITING.fetch_add(1, Ordering::SeqCst);
        Ok(Self { door: ManuallyDrop::new(Mutex::new((ask, told))) })
    }

    /// Has work done by it and waits for the result. The caller waits in its stead, so that still one
    /// thread is at work. Work that panics aborts the process.
    ///
    /// # Errors
    /// `BrokenPipe` when the thread is gone, which no work can bring about.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let mut result = None;
        let guarded = || {
            let guard = AbortOnDrop;
            result = Some(work());
            std::mem::forget(guard);
        };
        let work: Box<dyn FnOnce() + Send + '_> = Box::new(guarded);
        // SAFETY: only the lifetime changes. The box is consumed by the companion before it sends the
        // answer that is waited for here, or dropped here with the channel's error: in both cases what
        // it borrows is still there. A panic in it does not unwind, see `AbortOnDrop`.
        let work = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + '_>, Work>(work) };
        let door = self.door.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        door.0.send(work).map_err(|_| gone())?;
        door.1.recv().map_err(|_| gone())?;
        drop(door);
        result.ok_or_else(gone)
    }
}

/// Ends the process when a panic would unwind through it.
struct AbortOnDrop;

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_elsewhere_and_its_result_comes_back() {
        let companion = Companion::start().unwrap();
        let here = rustix::thread::gettid();
        let mut seen = vec![];
        let there = companion.run(|| {
            seen.push(1);
            rustix::thread::gettid()
        });
        assert_ne!(there.unwrap(), here);
        companion.run(|| seen.push(2)).unwrap();
        assert_eq!(seen, [1, 2]);
    }
}
