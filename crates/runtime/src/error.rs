//! Why a start failed.

use std::io;

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No such program in the container, or its interpreter is missing.
    #[error("executable `{program}` not found in the container")]
    NotFound {
        /// As asked for.
        program: String,
    },
    /// The program is there but cannot be executed.
    #[error("`{program}` cannot be executed in the container")]
    NotExecutable {
        /// As asked for.
        program: String,
        /// What execve(2) said.
        #[source]
        source: io::Error,
    },
    /// The working directory cannot be entered.
    #[error("cannot enter the working directory `{path}` in the container")]
    WorkingDir {
        /// As asked for.
        path: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Something else that had to be done failed.
    #[error("cannot {step} {what}")]
    Step {
        /// What was attempted: `mount`, `set the limit`.
        step: &'static str,
        /// On what: a path, a name; may be empty.
        what: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The specification asks for something that is not possible or not allowed.
    #[error("{what}")]
    Refused {
        /// What and why.
        what: String,
    },
}

impl StartError {
    /// The exit code this counts as: 127, 126 or 125, as the shell and Docker have it.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotExecutable { .. } | Self::WorkingDir { .. } => 126,
            Self::Step { .. } | Self::Refused { .. } => 125,
        }
    }
}
