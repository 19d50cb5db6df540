//! A terminal of a container joined to the one in front of the user: keys go in, output comes out,
//! and the size follows.

use crate::terminal::{self, Raw};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::mpsc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How long output that is still on its way is waited for once the process has ended. Something it
/// left running may hold the terminal for ever.
const LINGER: Duration = Duration::from_millis(200);

/// Three descriptors of this process, for a process in a container: nothing is relayed.
pub(crate) fn own() -> io::Result<engine::Stdio> {
    Ok(engine::Stdio::Files {
        stdin: io::stdin().as_fd().try_clone_to_owned()?,
        stdout: io::stdout().as_fd().try_clone_to_owned()?,
        stderr: io::stderr().as_fd().try_clone_to_owned()?,
    })
}

/// The same with nothing to read.
pub(crate) fn own_without_input() -> io::Result<engine::Stdio> {
    Ok(engine::Stdio::Files {
        stdin: File::open("/dev/null")?.into(),
        stdout: io::stdout().as_fd().try_clone_to_owned()?,
        stderr: io::stderr().as_fd().try_clone_to_owned()?,
    })
}

/// A new terminal of the size of ours.
pub(crate) fn terminal() -> engine::Stdio {
    let size = terminal::size(io::stdout()).unwrap_or(terminal::Size { rows: 24, columns: 80 });
    engine::Stdio::Terminal { rows: size.rows, columns: size.columns }
}

/// A terminal in use. Dropping it restores ours.
pub(crate) struct Joined {
    _raw: Option<Raw>,
    ended: mpsc::Receiver<()>,
    resizing: tokio::task::JoinHandle<()>,
}

impl Joined {
    /// Joins the master of a container's terminal to standard input and output.
    pub(crate) fn join(master: OwnedFd) -> io::Result<Self> {
        let raw = Raw::enter();
        let (sender, ended) = mpsc::channel();
        let mut output = File::from(master.try_clone()?);
        std::thread::spawn(move || {
            copy_out(&mut output);
            drop(sender);
        });
        let mut input = File::from(master.try_clone()?);
        // It may stay blocked on a key that is never pressed; the end of the program ends it.
        std::thread::spawn(move || copy_in(&mut input));
        let resizing = tokio::spawn(async move {
            let Ok(mut changes) = signal(SignalKind::window_change()) else { return };
            while changes.recv().await.is_some() {
                if let Some(size) = terminal::size(io::stdout()) {
                    let _ = terminal::resize(&master, size);
                }
            }
        });
        Ok(Self { _raw: raw, ended, resizing })
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

fn copy_in(master: &mut File) {
    let Ok(input) = io::stdin().as_fd().try_clone_to_owned() else { return };
    let mut input = File::from(input);
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = read(&mut input, &mut buffer) {
        if master.write_all(&buffer[..length]).is_err() {
            return;
        }
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
