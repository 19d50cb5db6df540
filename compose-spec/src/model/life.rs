//! When containers start, how they are watched, and what runs with them.

use std::collections::BTreeMap;
use std::time::Duration;

use diagnostic::Span;

use super::DeviceRequest;

/// An edge of `depends_on`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// What must hold of it.
    pub condition: Condition,
    /// Whether its absence or failure is an error.
    pub required: bool,
    /// Whether recreating or restarting it restarts the dependent.
    pub restart: bool,
    /// Whether it follows from `links`, `network_mode` and the like.
    pub inferred: bool,
    /// Where it is said.
    pub span: Span,
}

/// What must hold of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It runs.
    Started,
    /// Its health check passes.
    Healthy,
    /// It ended with exit code 0.
    CompletedSuccessfully,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// If it is absent.
    Missing,
    /// Always.
    Always,
    /// Never.
    Never,
    /// Never; it is always built.
    Build,
    /// If absent or older than this.
    Every(Duration),
}

/// When a container that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    No,
    /// Always.
    Always,
    /// Always, unless it was stopped by hand.
    UnlessStopped,
    /// After a failure; `max` 0: without end.
    OnFailure {
        /// Most attempts in a row.
        max: u32,
    },
}

/// A health check. What is `None` comes from the image, then from the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// `[CMD, …]`, `[CMD-SHELL, text]` or `[NONE]`; `None` or empty: the image's.
    pub test: Option<Vec<String>>,
    /// Between two checks.
    pub interval: Option<Duration>,
    /// Longest run of one check.
    pub timeout: Option<Duration>,
    /// Failures in a row until unhealthy.
    pub retries: Option<u32>,
    /// In which failures do not count.
    pub start_period: Option<Duration>,
    /// Between two checks in the start period.
    pub start_interval: Option<Duration>,
    /// No check, not even the image's.
    pub disable: bool,
}

/// A command run beside the container's life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hook {
    /// Command; for `pre_start` `None` means the image's.
    pub command: Option<Vec<String>>,
    /// Image (`pre_start` only).
    pub image: Option<String>,
    /// User.
    pub user: Option<String>,
    /// All privileges.
    pub privileged: bool,
    /// Working directory.
    pub working_dir: Option<String>,
    /// Variables.
    pub environment: BTreeMap<String, Option<String>>,
    /// Once per replica (`pre_start` only).
    pub per_replica: bool,
    /// Where it is said.
    pub span: Option<Span>,
}

/// The part of `deploy` that means something on one machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deploy {
    /// Replicas.
    pub replicas: Option<u32>,
    /// `resources.limits.cpus`
    pub limit_cpus: Option<f64>,
    /// `resources.limits.memory`, bytes.
    pub limit_memory: Option<i64>,
    /// `resources.limits.pids`
    pub limit_pids: Option<i64>,
    /// `resources.reservations.memory`, bytes.
    pub reservation_memory: Option<i64>,
    /// `resources.reservations.devices`
    pub devices: Vec<DeviceRequest>,
    /// `restart_policy`, which replaces `restart`.
    pub restart_policy: Option<Restart>,
    /// `labels`: of the service, not of its containers.
    pub labels: BTreeMap<String, String>,
}
