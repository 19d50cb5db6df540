//! A thread that writes, so that nobody who tells something waits for its reader: a terminal that is held with
//! Ctrl-S or far away, or a pipe whose reader does something else, take texts when they do.
//!
//! ```text
//! push ─▶ queue, in order ─▶ the thread ─▶ standard output, standard error
//! ```
//! It is there from the first progress of a command on; before, and where both streams are files, texts are written
//! by who has them. What has no end, such as logs, waits for [`room`], and costs no memory then.

use super::Stream;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Bytes in the queue up to which there is room for more lines of a log.
const ROOM: usize = 256 * 1024;

/// Bytes in the queue with which even work waits for the reader.
const MOST: usize = 16 << 20;

/// What is still to be written.
#[derive(Default)]
struct Queue {
    texts: VecDeque<(Stream, String)>,
    /// Bytes of the texts, with those of the one that is being written.
    bytes: usize,
    /// Why standard output cannot be written any more.
    failed: Option<io::ErrorKind>,
}

static QUEUE: Mutex<Option<Queue>> = Mutex::new(None);

/// The queue became longer or shorter.
static CHANGED: Condvar = Condvar::new();

/// It became shorter.
static SHORTER: Notify = Notify::const_new();

fn locked() -> MutexGuard<'static, Option<Queue>> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether there may be no thread yet.
static HELD: AtomicBool = AtomicBool::new(false);

/// Lets no thread begin, or lets it: this process is still to enter the world of its user, which it cannot with two.
pub(crate) fn hold(held: bool) {
    HELD.store(held, Ordering::Relaxed);
}

/// Whether this process may have no second thread yet.
pub(crate) fn is_held() -> bool {
    HELD.load(Ordering::Relaxed)
}

/// From now on the thread writes, unless there may be none yet.
pub(crate) fn begin() {
    if is_held() {
        return;
    }
    let mut queue = locked();
    if queue.is_none() && [Stream::Out, Stream::Err].into_iter().any(Stream::may_wait) {
        let started = std::thread::Builder::new().name("output".to_owned()).spawn(write_on);
        // Without it everybody writes by himself.
        *queue = started.is_ok().then(Queue::default);
    }
}

fn write_on() {
    let mut state = locked();
    loop {
        let next = state.as_mut().and_then(|queue| queue.texts.pop_front());
        let Some((stream, text)) = next else {
            state = CHANGED.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let is_lost = stream == Stream::Out && state.as_ref().is_some_and(|queue| queue.failed.is_some());
        drop(state);
        let written = if is_lost { Ok(()) } else { stream.write_itself(&text) };
        state = locked();
        if let Some(queue) = state.as_mut() {
            queue.bytes -= text.len();
            if let (Err(error), Stream::Out) = (written, stream) {
                queue.failed = Some(error.kind());
            }
        }
        CHANGED.notify_all();
        SHORTER.notify_waiters();
    }
}

/// Leaves a text to the thread; `None` when there is none.
///
/// # Errors
/// What kept an earlier text from standard output.
pub(super) fn push(stream: Stream, text: &str) -> Option<io::Result<()>> {
    let is_full = |state: &mut Option<Queue>| state.as_ref().is_some_and(|queue| queue.bytes > MOST);
    let mut state = CHANGED.wait_while(locked(), is_full).unwrap_or_else(PoisonError::into_inner);
    let queue = state.as_mut()?;
    if let (Stream::Out, Some(kind)) = (stream, queue.failed) {
        return Some(Err(kind.into()));
    }
    queue.bytes += text.len();
    queue.texts.push_back((stream, text.to_owned()));
    CHANGED.notify_all();
    Some(Ok(()))
}

/// Whether something is still to be written: what is drawn now would be seen late.
pub(crate) fn is_late() -> bool {
    locked().as_ref().is_some_and(|queue| queue.bytes > 0)
}

/// Whether lines of a log may come.
fn has_room() -> bool {
    locked().as_ref().is_none_or(|queue| queue.bytes <= ROOM)
}

/// Waits until lines of a log may come.
pub(crate) async fn room() {
    until(has_room).await;
}

/// Waits until what work has to tell may come, without keeping anything else from its turn.
pub(crate) async fn space() {
    until(|| locked().as_ref().is_none_or(|queue| queue.bytes <= MOST)).await;
}

/// Waits until everything is written.
pub(crate) async fn written() {
    until(|| !is_late()).await;
}

/// Waits until standard output cannot be written any more: the next text for it says why.
pub(crate) async fn broken() {
    until(|| locked().as_ref().is_some_and(|queue| queue.failed.is_some())).await;
}

async fn until(is_so: impl Fn() -> bool) {
    loop {
        let shorter = SHORTER.notified();
        if is_so() {
            return;
        }
        shorter.await;
    }
}

/// Waits, with this thread, until everything is written, or no longer than this.
///
/// # Errors
/// What kept a text from standard output.
pub(crate) fn finish(limit: Option<Duration>) -> io::Result<()> {
    let end = limit.map(|limit| Instant::now() + limit);
    let mut state = locked();
    while let Some(queue) = state.as_ref() {
        if queue.bytes == 0 {
            return queue.failed.map_or(Ok(()), |kind| Err(kind.into()));
        }
        let Some(end) = end else {
            state = CHANGED.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        state = CHANGED.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    Ok(())
}
