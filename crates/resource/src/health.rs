//! Health checks: what to probe, and what came of it.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What follows when a health check finds a container unhealthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnhealthy {
    /// It is told, and nothing else happens.
    #[default]
    Nothing,
    /// The container is stopped and started again.
    Restart,
}

/// A health check with nothing left to inherit or default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// The probe's argument vector; a `CMD-SHELL` test has its shell in front already.
    /// Empty where an image's or service's check inherits the test.
    pub test: Vec<String>,
    /// Pause between the end of a probe and the next. 30 s by default.
    pub interval: Option<Duration>,
    /// After this the probe is killed and counts as failed. 30 s by default.
    pub timeout: Option<Duration>,
    /// Failures in a row that make the container unhealthy. 3 by default.
    pub retries: Option<u32>,
    /// Time after the start in which failures do not count. None by default.
    pub start_period: Option<Duration>,
    /// Pause between probes inside the start period. 5 s by default.
    pub start_interval: Option<Duration>,
}

impl HealthCheck {
    /// [`HealthCheck::interval`] with its default.
    pub fn interval(&self) -> Duration {
        self.interval.unwrap_or(Duration::from_secs(30))
    }
    /// [`HealthCheck::timeout`] with its default.
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(30))
    }
    /// [`HealthCheck::retries`] with its default.
    pub fn retries(&self) -> u32 {
        self.retries.unwrap_or(3)
    }
    /// [`HealthCheck::start_period`] with its default.
    pub fn start_period(&self) -> Duration {
        self.start_period.unwrap_or(Duration::ZERO)
    }
    /// [`HealthCheck::start_interval`] with its default.
    pub fn start_interval(&self) -> Duration {
        self.start_interval.unwrap_or(Duration::from_secs(5))
    }

    /// This check laid over an image's, field by field: what is absent here comes from there.
    pub fn over(self, image: Option<&HealthCheck>) -> Self {
        let Some(image) = image else { return self };
        Self {
            test: if self.test.is_empty() { image.test.clone() } else { self.test },
            interval: self.interval.or(image.interval),
            timeout: self.timeout.or(image.timeout),
            retries: self.retries.or(image.retries),
            start_period: self.start_period.or(image.start_period),
            start_interval: self.start_interval.or(image.start_interval),
        }
    }
}

/// What the probes have said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// No probe has succeeded yet and not enough have failed.
    Starting,
    /// The last probe succeeded, or too few have failed since.
    Healthy,
    /// Too many probes in a row have failed.
    Unhealthy,
}

/// The health of a running container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// The verdict.
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last five probes, oldest first.
    pub probes: Vec<HealthProbe>,
}

/// One probe that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthProbe {
    /// When it was started.
    pub started: Timestamp,
    /// When it ended or was killed.
    pub ended: Timestamp,
    /// Exit code; -1 when it timed out or could not be started.
    pub exit_code: i32,
    /// The first 4096 bytes of what it printed, invalid UTF-8 replaced.
    pub output: String,
}
