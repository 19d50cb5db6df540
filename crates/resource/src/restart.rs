//! Restart policies and the back-off between restarts.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What happens when a container's process has ended by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// It stays exited.
    #[default]
    No,
    /// It is started again, always.
    Always,
    /// As `Always`, but not at boot when it had been stopped by hand.
    UnlessStopped,
    /// It is started again when its exit code was not 0.
    OnFailure {
        /// Restarts at most; `None` means without end.
        limit: Option<u32>,
    },
}

impl RestartPolicy {
    /// Whether a process that ended is started again. `exit_code` is `None` when nobody could learn
    /// it, which counts as a failure; `restarts` is how often that has happened since the container
    /// was started by hand.
    pub fn restarts_after(self, exit_code: Option<i32>, restarts: u32) -> bool {
        match self {
            Self::No => false,
            Self::Always | Self::UnlessStopped => true,
            Self::OnFailure { limit } => exit_code != Some(0) && limit.is_none_or(|limit| restarts < limit),
        }
    }
}

/// The pause before the restart that follows a run of this length. `previous` is the pause before
/// that run, `None` after a start by hand. 100 ms, doubling, 60 s at most; a run of 10 s resets it.
pub fn back_off(previous: Option<Duration>, ran: Duration) -> Duration {
    const FIRST: Duration = Duration::from_millis(100);
    match previous {
        Some(previous) if ran < Duration::from_secs(10) => (previous * 2).min(Duration::from_secs(60)),
        _ => FIRST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_a_minute_and_a_long_run_resets_it() {
        let mut pause = back_off(None, Duration::ZERO);
        let mut pauses = vec![];
        for _ in 0..12 {
            pauses.push(pause.as_millis());
            pause = back_off(Some(pause), Duration::from_secs(1));
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
        assert_eq!(back_off(Some(pause), Duration::from_secs(10)), Duration::from_millis(100));
    }

    #[test]
    fn on_failure_counts_and_looks_at_the_code() {
        let policy = RestartPolicy::OnFailure { limit: Some(2) };
        assert!(!policy.restarts_after(Some(0), 0));
        assert!(policy.restarts_after(Some(1), 1));
        assert!(policy.restarts_after(None, 1));
        assert!(!policy.restarts_after(Some(1), 2));
        assert!(RestartPolicy::OnFailure { limit: None }.restarts_after(Some(1), 1000));
    }
}
