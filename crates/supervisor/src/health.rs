//! Health checks, the deciding half: when the next probe is due and what its result means.
//!
//! ```text
//! starting --success--> healthy --`retries` failures in a row--> unhealthy --success--> healthy
//!    `------`retries` failures in a row, not counting the start period-------^
//! ```

use resource::{HealthCheck, HealthProbe, HealthReport, HealthStatus};
use std::time::Duration;

/// Probes that are remembered.
const REMEMBERED: usize = 5;

/// Bytes of a probe's output that are remembered.
pub(crate) const OUTPUT: usize = 4096;

/// The shortest pause between probes.
const SHORTEST: Duration = Duration::from_millis(1);

/// The report of a container that has just been started; `None` when the check is switched off.
pub(crate) fn fresh(check: Option<&HealthCheck>) -> Option<HealthReport> {
    let check = check?;
    let off = check.test.is_empty() || check.test[0] == "NONE";
    (!off).then(|| HealthReport { status: HealthStatus::Starting, failing_streak: 0, probes: vec![] })
}

/// The pause before the next probe. `age` is how long ago the container was started.
pub(crate) fn pause(check: &HealthCheck, report: &HealthReport, age: Duration) -> Duration {
    let early = report.status == HealthStatus::Starting && age < check.start_period();
    if early { check.start_interval().min(check.interval()) } else { check.interval() }.max(SHORTEST)
}

/// Takes a result in. `age` is how long the container had run when the probe was started. Returns the
/// new status if it changed.
pub(crate) fn judge(
    check: &HealthCheck,
    report: &mut HealthReport,
    probe: HealthProbe,
    age: Duration,
) -> Option<HealthStatus> {
    let before = report.status;
    let success = probe.exit_code == 0;
    report.probes.push(probe);
    if report.probes.len() > REMEMBERED {
        report.probes.remove(0);
    }
    if success {
        report.status = HealthStatus::Healthy;
        report.failing_streak = 0;
    } else if before != HealthStatus::Starting || age >= check.start_period() {
        report.failing_streak += 1;
        if report.failing_streak >= check.retries().max(1) {
            report.status = HealthStatus::Unhealthy;
        }
    }
    (report.status != before).then_some(report.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> HealthCheck {
        HealthCheck {
            test: vec!["true".into()],
            interval: Some(Duration::from_secs(10)),
            timeout: None,
            retries: Some(2),
            start_period: Some(Duration::from_secs(60)),
            start_interval: Some(Duration::from_secs(1)),
        }
    }

    fn probe(exit_code: i32) -> HealthProbe {
        let time = resource::Timestamp::UNIX_EPOCH;
        HealthProbe { started: time, ended: time, exit_code, output: String::new() }
    }

    #[test]
    fn failures_in_the_start_period_do_not_count() {
        let (check, mut report) = (check(), fresh(Some(&check())).unwrap());
        for _ in 0..9 {
            assert_eq!(judge(&check, &mut report, probe(1), Duration::from_secs(59)), None);
        }
        assert_eq!((report.failing_streak, report.probes.len()), (0, 5));
        assert_eq!(judge(&check, &mut report, probe(1), Duration::from_secs(60)), None);
        let verdict = judge(&check, &mut report, probe(-1), Duration::from_secs(61));
        assert_eq!(verdict, Some(HealthStatus::Unhealthy));
        assert_eq!(
            judge(&check, &mut report, probe(0), Duration::from_secs(62)),
            Some(HealthStatus::Healthy)
        );
        assert_eq!(report.failing_streak, 0);
    }

    #[test]
    fn after_the_first_success_failures_count_even_in_the_start_period() {
        let (check, mut report) = (check(), fresh(Some(&check())).unwrap());
        assert!(judge(&check, &mut report, probe(0), Duration::from_secs(1)).is_some());
        assert_eq!(judge(&check, &mut report, probe(1), Duration::from_secs(2)), None);
        let verdict = judge(&check, &mut report, probe(1), Duration::from_secs(3));
        assert_eq!(verdict, Some(HealthStatus::Unhealthy));
    }

    #[test]
    fn probes_are_closer_while_it_starts() {
        let (check, mut report) = (check(), fresh(Some(&check())).unwrap());
        assert_eq!(pause(&check, &report, Duration::from_secs(5)), Duration::from_secs(1));
        assert_eq!(pause(&check, &report, Duration::from_secs(60)), Duration::from_secs(10));
        report.status = HealthStatus::Healthy;
        assert_eq!(pause(&check, &report, Duration::from_secs(5)), Duration::from_secs(10));
    }

    #[test]
    fn a_check_that_is_switched_off_has_no_report() {
        let off = HealthCheck { test: vec!["NONE".into()], ..check() };
        assert_eq!(fresh(Some(&off)), None);
        assert_eq!(fresh(None), None);
    }
}
