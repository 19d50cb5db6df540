//! Commands of `post_start` and `pre_stop`, run in a container one after the other. What one prints is
//! only told when it fails.

use engine::{Engine, EngineError, ExecRequest, Stdio};
use resource::{ContainerId, Hook, PodName};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use tokio::net::unix::pipe;
use tokio::sync::watch;

/// Bytes that are kept of the end of a hook's output.
const KEPT: usize = 2048;
/// Lines of it that are told.
const LINES: usize = 10;

/// Why a hook did not do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HookError {
    /// It could not be run.
    #[error("{kind} hook cannot be run")]
    Run {
        /// `post_start`, `pre_stop`.
        kind: &'static str,
        /// Why.
        #[source]
        source: Box<EngineError>,
    },
    /// It ended with another code than 0.
    #[error("{kind} hook exited with status {code}{}", said(.output))]
    Failed {
        /// `post_start`, `pre_stop`.
        kind: &'static str,
        /// Its exit code; 128 and the number for a signal.
        code: i32,
        /// The end of what it printed, on standard error if there was something.
        output: String,
    },
    /// What it prints cannot be read.
    #[error("cannot follow a {kind} hook")]
    Follow {
        /// `post_start`, `pre_stop`.
        kind: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its end cannot be learnt.
    #[error("cannot learn how a {kind} hook ended")]
    Lost {
        /// `post_start`, `pre_stop`.
        kind: &'static str,
        /// Why.
        #[source]
        source: engine::ClientError,
    },
}

fn said(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!(": {output}") }
}

/// Runs hooks in a container until one fails.
pub(crate) async fn run(
    engine: &Engine,
    pod: &PodName,
    id: &ContainerId,
    kind: &'static str,
    hooks: &[Hook],
) -> Result<(), HookError> {
    for hook in hooks {
        one(engine, pod, id, kind, hook).await?;
    }
    Ok(())
}

async fn one(
    engine: &Engine,
    pod: &PodName,
    id: &ContainerId,
    kind: &'static str,
    hook: &Hook,
) -> Result<(), HookError> {
    let follow = |source| HookError::Follow { kind, source };
    let (out, stdout) = Tail::open().map_err(follow)?;
    let (err, stderr) = Tail::open().map_err(follow)?;
    let stdin = File::open("/dev/null").map_err(follow)?.into();
    let started = engine.exec(pod, id, ExecRequest::from(hook), Stdio::Files { stdin, stdout, stderr }).await;
    let mut exec = started.map_err(|source| HookError::Run { kind, source: Box::new(source) })?;
    let (running, ended) = tokio::sync::watch::channel(());
    let end = async {
        let code = exec.wait().await;
        drop(running);
        code
    };
    let (code, out, err) = tokio::join!(end, out.read(ended.clone()), err.read(ended));
    match code.map_err(|source| HookError::Lost { kind, source })? {
        0 => Ok(()),
        code => Err(HookError::Failed { kind, code, output: last_lines(&err, &out) }),
    }
}

/// The last lines of what was printed on standard error, or else on standard output.
fn last_lines(stderr: &[u8], stdout: &[u8]) -> String {
    let bytes = if stderr.trim_ascii().is_empty() { stdout } else { stderr };
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// The end of what comes out of a pipe.
struct Tail {
    pipe: pipe::Receiver,
    bytes: Vec<u8>,
}

impl Tail {
    /// A pipe and its other side.
    fn open() -> io::Result<(Self, OwnedFd)> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        Ok((Self { pipe: pipe::Receiver::from_owned_fd(read)?, bytes: vec![] }, write))
    }

    /// Reads until the pipe is closed, or is empty after the process has ended: something it left
    /// running may hold it for ever.
    async fn read(mut self, mut ended: watch::Receiver<()>) -> Vec<u8> {
        loop {
            let over = tokio::select! {
                readable = self.pipe.readable() => {
                    readable.is_err() || self.take().is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock)
                }
                _ = ended.changed() => {
                    while self.take().is_ok() {}
                    true
                }
            };
            if over {
                return self.bytes;
            }
        }
    }

    /// Takes some of what is there. `UnexpectedEof` when nothing will come any more.
    fn take(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        match self.pipe.try_read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.bytes.extend_from_slice(&buffer[..length]);
                self.bytes.drain(..self.bytes.len().saturating_sub(KEPT));
                Ok(())
            }
        }
    }
}
