//! A terminal of a container joined to the one in front of the user: keys go in, output comes out,
//! and the size follows.

use crate::output::behind;
use crate::terminal::{self, Raw};
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::mpsc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// How long output that is still on its way is waited for once the process has ended. Something it
/// left running may hold the terminal for ever.
const LINGER: Duration = Duration::from_millis(200);

/// Three descriptors of this process, for a process in a container: nothing is relayed.
pub(crate) fn own() -> io::Result<engine::Stdio> {
    behind::finish(None)?;
    Ok(engine::Stdio::Files {
        stdin: io::stdin().as_fd().try_clone_to_owned()?,
        stdout: io::stdout().as_fd().try_clone_to_owned()?,
        stderr: io::stderr().as_fd().try_clone_to_owned()?,
    })
}

/// The same with nothing to read.
pub(crate) fn own_without_input() -> io::Result<engine::Stdio> {
    behind::finish(None)?;
    Ok(engine::Stdio::Files {
        stdin: File::open("/dev/null")?.into(),
        stdout: io::stdout().as_fd().try_clone_to_owned()?,
        stderr: io::stderr().as_fd().try_clone_to_owned()?,
    })
}

/// A new terminal of the size of ours.
pub(crate) fn terminal() -> engine::Stdio {
    // Whether it could all be written is found out by what is written next.
    let _ = behind::finish(None);
    let size = terminal::size(io::stdout()).unwrap_or(terminal::Size { rows: 24, columns: 80 });
    engine::Stdio::Terminal { rows: size.rows, columns: size.columns }
}

/// A terminal in use. Dropping it restores ours.
pub(crate) struct Joined {
    _raw: Option<Raw>,
    ended: mpsc::Receiver<()>,
    resizing: tokio::task::JoinHandle<()>,
    detached: oneshot::Receiver<()>,
    /// Closed with this: keys that are typed later are for others.
    _typing: io::PipeWriter,
}

/// What is typed: whether it reaches the container at all, and the keys that leave it alone again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Typing {
    /// Nothing is passed on.
    pub(crate) off: bool,
    /// Bytes that detach; none do when there are none.
    pub(crate) keys: Vec<u8>,
}

impl Joined {
    /// Joins the master of a container's terminal to standard input and output.
    pub(crate) fn join(master: OwnedFd) -> io::Result<Self> {
        Self::join_typing(master, Typing::default())
    }

    /// The same with keys that detach.
    pub(crate) fn join_typing(master: OwnedFd, typing: Typing) -> io::Result<Self> {
        let raw = if typing.off { None } else { Raw::enter() };
        let (sender, ended) = mpsc::channel();
        let mut output = File::from(master.try_clone()?);
        std::thread::spawn(move || {
            copy_out(&mut output);
            drop(sender);
        });
        let mut input = File::from(master.try_clone()?);
        let (left, detached) = oneshot::channel();
        let (over, until) = io::pipe()?;
        std::thread::spawn(move || {
            if !typing.off && copy_in(&mut input, &typing.keys, Some(&over)) {
                // Nobody may listen any more.
                let _ = left.send(());
            }
        });
        let resizing = tokio::spawn(async move {
            let Ok(mut changes) = signal(SignalKind::window_change()) else { return };
            while changes.recv().await.is_some() {
                if let Some(size) = terminal::size(io::stdout()) {
                    let _ = terminal::resize(&master, size);
                }
            }
        });
        Ok(Self { _raw: raw, ended, resizing, detached, _typing: until })
    }

    /// Waits until the keys that detach were pressed.
    pub(crate) async fn left(&mut self) {
        if (&mut self.detached).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The process has ended: writes what is left of its output.
    pub(crate) fn finish(self) {
        let _ = self.ended.recv_timeout(LINGER);
        self.resizing.abort();
    }
}

/// Until the other side is closed (EIO on a terminal) or nobody reads ours.
fn copy_out(master: &mut File) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = read(master, &mut buffer) {
        let mut out = io::stdout().lock();
        if out.write_all(&buffer[..length]).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

/// Passes on what is typed, until the other end of a pipe is closed; whether it ended with the keys that
/// detach.
pub(crate) fn copy_in(master: &mut File, keys: &[u8], over: Option<&io::PipeReader>) -> bool {
    let Ok(input) = io::stdin().as_fd().try_clone_to_owned() else { return false };
    let mut input = File::from(input);
    let mut buffer = [0; 4096];
    let mut typed = Typed::new(keys);
    while wait_for_input(&input, over)
        && let Ok(length @ 1..) = read(&mut input, &mut buffer)
    {
        let (passed, detach) = typed.take(&buffer[..length]);
        if master.write_all(&passed).is_err() {
            return false;
        }
        if detach {
            return true;
        }
    }
    false
}

/// Waits until something can be read; false when it is over.
pub(crate) fn wait_for_input(input: &File, over: Option<&io::PipeReader>) -> bool {
    let Some(over) = over else { return true };
    loop {
        let mut waited = [PollFd::new(over, PollFlags::empty()), PollFd::new(input, PollFlags::IN)];
        match poll(&mut waited, None) {
            Ok(_) if !waited[0].revents().is_empty() => return false,
            Ok(_) if !waited[1].revents().is_empty() => return true,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            // What cannot be waited for is read as it comes.
            Err(_) => return true,
        }
    }
}

/// What has been typed of the keys that detach.
struct Typed<'a> {
    keys: &'a [u8],
    /// How many of them, one after the other, just now.
    matched: usize,
}

impl<'a> Typed<'a> {
    fn new(keys: &'a [u8]) -> Self {
        Self { keys, matched: 0 }
    }

    /// What of these bytes is to be passed on, and whether the keys are complete. Keys that turn out to be
    /// something else are passed on with what came after them.
    fn take(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = vec![];
        for byte in bytes {
            if self.keys.get(self.matched) != Some(byte) {
                passed.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if self.keys.get(self.matched) == Some(byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return (passed, true);
                }
            } else {
                passed.push(*byte);
            }
        }
        (passed, false)
    }
}

fn read(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_detach_are_held_back_and_everything_else_passes() {
        let mut typed = Typed::new(&[16, 17]);
        assert_eq!(typed.take(b"ab"), (b"ab".to_vec(), false));
        assert_eq!(typed.take(&[16]), (vec![], false));
        assert_eq!(typed.take(b"c"), (vec![16, b'c'], false));
        assert_eq!(typed.take(&[16, 16]), (vec![16], false));
        assert_eq!(typed.take(&[17, b'd']), (vec![], true));
        assert_eq!(Typed::new(&[]).take(&[16, 17]), (vec![16, 17], false));
    }
}
