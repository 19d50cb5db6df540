//! stub
use crate::{Engine, EngineError};
use resource::*;

/// The processes of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerProcesses {
    /// The container.
    pub container: ContainerName,
    /// Its processes by process id.
    pub processes: Vec<ProcessRow>,
}

/// A process as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessRow {
    /// User name, or the number.
    pub user: String,
    /// Process id on the host.
    pub pid: i32,
    /// Its parent.
    pub parent: i32,
    /// Percent of a processor over its life.
    pub cpu: u32,
    /// When it started.
    pub started: Timestamp,
    /// Controlling terminal, `?` for none.
    pub terminal: String,
    /// Processor time used.
    pub time: std::time::Duration,
    /// Command line.
    pub command: String,
}

impl Engine {
    /// The processes of a running container.
    ///
    /// # Errors
    /// [`EngineError::NoSuchId`].
    pub fn top(&self, pod: &PodName, id: &ContainerId) -> Result<ContainerProcesses, EngineError> {
        todo!()
    }
}
