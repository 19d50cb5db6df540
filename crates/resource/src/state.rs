//! What a container is doing: its state document, written by the supervisor alone.
//!
//! ```text
//! created -> running <-> paused
//!            running -> restarting -> running
//!            running -> exited -> running
//! ```

use crate::{HealthReport, PortBinding, Timestamp};
use serde::{Deserialize, Serialize};

/// Where in its life a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made, never started.
    Created,
    /// Its process lives.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its process ended and will be started again after a pause.
    Restarting,
    /// Its process ended for good.
    Exited,
}

impl Status {
    /// As `ps` prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
        }
    }
}

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id in the supervisor's pid namespace.
    pub pid: i32,
    /// Field 22 of /proc/PID/stat: clock ticks from boot to its start.
    pub start_time: u64,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExitStatus {
    /// Exit code; 128 plus the number for a signal.
    Code(i32),
    /// It ended while nobody was there to learn how.
    Unknown,
}

impl ExitStatus {
    /// The code, if it is known.
    pub fn code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            Self::Unknown => None,
        }
    }
}

/// The state document of a container; absent means [`Status::Created`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerState {
    /// Where in its life it is.
    pub status: Status,
    /// Its first process, while running or paused.
    pub process: Option<ProcessIdentity>,
    /// When its process was last started.
    pub started: Option<Timestamp>,
    /// When its process last ended.
    pub finished: Option<Timestamp>,
    /// How its process last ended.
    pub exit: Option<ExitStatus>,
    /// The kernel killed a process of it for want of memory during the last run.
    pub oom_killed: bool,
    /// Restarts by policy since it was started by hand.
    pub restart_count: u32,
    /// It was stopped or killed by a command; no restart until the next explicit start.
    pub stopped_by_hand: bool,
    /// Its health, when it has a check and runs.
    pub health: Option<HealthReport>,
    /// Ports published now.
    pub ports: Vec<PortBinding>,
    /// Ports that somebody else took while no supervisor held them; `up` gets them back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost_ports: Vec<PortBinding>,
    /// What of its limits this machine does not enforce since it was last started, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_enforced: Vec<String>,
    /// Why the last attempt to start it failed.
    pub error: Option<String>,
}

impl Default for ContainerState {
    fn default() -> Self {
        Self {
            status: Status::Created,
            process: None,
            started: None,
            finished: None,
            exit: None,
            oom_killed: false,
            restart_count: 0,
            stopped_by_hand: false,
            health: None,
            ports: vec![],
            lost_ports: vec![],
            not_enforced: vec![],
            error: None,
        }
    }
}

/// What one container can wait for in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It has been started.
    Started,
    /// Its health check succeeded.
    Healthy,
    /// It ended with exit code 0.
    CompletedSuccessfully,
    /// It ended, however.
    Exited,
}
