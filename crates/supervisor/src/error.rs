//! What a command is told when its supervisor cannot do what was asked, or cannot be asked.

use crate::protocol::Failure;
use resource::PodName;
use std::io;

/// What can go wrong between a command and a supervisor.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket is there and cannot be used.
    #[error("cannot reach the supervisor of `{pod}`")]
    Connect {
        /// Whose.
        pod: PodName,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No supervisor could be started.
    #[error("cannot start the supervisor of `{pod}`")]
    Spawn {
        /// Whose.
        pod: PodName,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It was started by another version of this program.
    #[error(
        "`{pod}` is supervised by version {theirs} of this program, and this is {ours}; \
         end its supervisor (its containers live on) or use that version"
    )]
    Version {
        /// Whose.
        pod: PodName,
        /// This program's version.
        ours: String,
        /// The supervisor's.
        theirs: String,
    },
    /// It ended before it answered.
    #[error("the supervisor of `{pod}` ended unexpectedly")]
    Gone {
        /// Whose.
        pod: PodName,
    },
    /// It answered something this program does not understand.
    #[error("the supervisor of `{pod}` answered out of turn")]
    Confused {
        /// Whose.
        pod: PodName,
    },
    /// It could not do what was asked.
    #[error(transparent)]
    Failed(#[from] Failure),
}
