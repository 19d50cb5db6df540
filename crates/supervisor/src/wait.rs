//! Waiting for a condition, the deciding half: whether a state answers it.

use resource::{Condition, ContainerState, HealthStatus, Status};

/// Whether the condition holds, or can no longer hold without somebody's doing; either way the one
/// who waits is told. `starting` says that a start is under way.
pub(crate) fn answered(condition: Condition, state: &ContainerState, starting: bool) -> bool {
    if starting {
        return false;
    }
    match state.status {
        // A start that failed will not be tried again by itself.
        Status::Created => state.error.is_some(),
        Status::Exited => true,
        Status::Restarting => condition == Condition::Started,
        Status::Running | Status::Paused => match condition {
            Condition::Started => true,
            Condition::Healthy => {
                state.health.as_ref().is_none_or(|health| health.status != HealthStatus::Starting)
            }
            Condition::CompletedSuccessfully | Condition::Exited => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resource::HealthReport;

    fn state(status: Status, health: Option<HealthStatus>) -> ContainerState {
        let health = health.map(|status| HealthReport { status, failing_streak: 0, probes: vec![] });
        ContainerState { status, health, ..ContainerState::default() }
    }

    #[test]
    fn healthy_is_answered_by_a_verdict_an_end_or_the_lack_of_a_check() {
        let answers = |status, health| answered(Condition::Healthy, &state(status, health), false);
        assert!(!answers(Status::Running, Some(HealthStatus::Starting)));
        assert!(answers(Status::Running, Some(HealthStatus::Healthy)));
        assert!(answers(Status::Running, Some(HealthStatus::Unhealthy)));
        assert!(answers(Status::Running, None));
        assert!(answers(Status::Exited, None));
        assert!(!answers(Status::Restarting, None));
        assert!(!answers(Status::Created, None));
    }

    #[test]
    fn an_end_is_waited_for_through_restarts_and_before_the_start() {
        for condition in [Condition::Exited, Condition::CompletedSuccessfully] {
            let answers = |status| answered(condition, &state(status, None), false);
            assert!(answers(Status::Exited));
            for status in [Status::Created, Status::Running, Status::Paused, Status::Restarting] {
                assert!(!answers(status), "{status:?}");
            }
        }
    }

    #[test]
    fn a_failed_start_answers_everything_unless_another_is_under_way() {
        let failed = ContainerState { error: Some("no".into()), ..ContainerState::default() };
        for condition in [Condition::Started, Condition::Healthy, Condition::Exited] {
            assert!(answered(condition, &failed, false));
            assert!(!answered(condition, &failed, true));
        }
    }
}
