//! stub
use crate::{Engine, EngineError};
use resource::*;

/// Which lines of the logs are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogQuery {
    /// Goes on with what is written later, in containers that appear later too.
    pub follow: bool,
    /// The last so many lines of each container; `None` means all.
    pub tail: Option<usize>,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Older than this.
    pub until: Option<Timestamp>,
}

/// A line that a container wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The container.
    pub container: ContainerName,
    /// Its service.
    pub service: String,
    /// Number of the replica, `None` for a one-off.
    pub number: Option<u32>,
    /// When it was written.
    pub time: Timestamp,
    /// It went to standard error.
    pub stderr: bool,
    /// The text with its line end, if it had one.
    pub text: String,
}

/// Lines of several logs in the order of their times.
pub struct LogStream {}

impl LogStream {
    /// The next line; `None` at the end. While following, it waits, and the end comes when no
    /// container that was asked for can write any more.
    ///
    /// # Errors
    /// [`EngineError::File`].
    pub async fn next(&mut self) -> Result<Option<LogLine>, EngineError> {
        todo!()
    }
}

impl Engine {
    /// Reads the logs of a pod's containers: of these services, or of all when none is named.
    ///
    /// # Errors
    /// [`EngineError::File`].
    pub fn logs(&self, pod: &PodName, services: &[String], query: LogQuery) -> Result<LogStream, EngineError> {
        todo!()
    }
}
