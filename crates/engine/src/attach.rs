//! How a program reaches the standard streams of a container or of a process run in it.

use crate::EngineError;
use std::os::fd::OwnedFd;

/// The streams of a process that is run attached. Nothing is relayed: the process gets these
/// descriptors themselves.
#[derive(Debug)]
pub enum Stdio {
    /// Three files, pipes or sockets of the caller.
    Files {
        /// Standard input.
        stdin: OwnedFd,
        /// Standard output.
        stdout: OwnedFd,
        /// Standard error.
        stderr: OwnedFd,
    },
    /// A new terminal of this size; its master comes back to the caller.
    Terminal {
        /// Height in characters.
        rows: u16,
        /// Width in characters.
        columns: u16,
    },
}

/// A process to run in a container that runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecRequest {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// `NAME=value`, laid over the container's environment.
    pub environment: Vec<String>,
    /// Instead of the container's working directory.
    pub working_dir: Option<String>,
    /// `user[:group]`, names or numbers, instead of the container's.
    pub user: Option<String>,
    /// All capabilities.
    pub privileged: bool,
    /// It outlives the caller; its output goes nowhere.
    pub detach: bool,
}

/// A process that was started by [`crate::Engine::exec`].
#[derive(Debug)]
pub struct ExecSession {
    /// The master of its terminal, when one was asked for.
    pub terminal: Option<OwnedFd>,
    pub(crate) exit: tokio::task::JoinHandle<Result<i32, EngineError>>,
}

impl ExecSession {
    /// Waits for its end: the exit code, 128 plus the number for a signal.
    ///
    /// # Errors
    /// [`EngineError::Supervisor`] when the supervisor went away meanwhile.
    pub async fn exit(self) -> Result<i32, EngineError> {
        todo!()
    }
}
