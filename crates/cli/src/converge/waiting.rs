//! Waiting, with the lock given up: for conditions of containers, and for what was started to settle.

use super::Job;
use crate::exit::Failure;
use crate::provider::Providers;
use crate::view::progress::{Line, Status};
use engine::EngineError;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use plan::{Await, Provided};
use resource::{Condition, Timestamp};
use std::time::{Duration, Instant};

/// A container without a health check that has run so long is taken to run, with `--wait`.
const SETTLED: Duration = Duration::from_millis(200);

impl Job<'_> {
    /// Waits until one of the conditions holds or can no longer hold, or a provider has come to its end.
    pub(super) async fn wait(
        &self,
        awaits: &[Await],
        providers: &mut Providers<'_>,
        deadline: Option<Instant>,
    ) -> Result<Option<(String, Provided)>, Failure> {
        let pod = &self.desired.pod;
        let engine = self.engine()?;
        let mut waits = FuturesUnordered::new();
        for wait in awaits {
            let doing = if wait.limit.is_some() { "Watching" } else { "Waiting" };
            let line = Line::new(format!("Container {}", wait.container), Status::Working, doing);
            self.progress.tell(&line.details(self.what_for(wait)));
            if let Some((pod, id)) = engine.find_container(&wait.container) {
                waits.push(async move {
                    (wait, within(wait.limit, engine.wait(&pod, &id, wait.condition)).await)
                });
            }
        }
        let held = async {
            while let Some((wait, state)) = waits.next().await {
                match state {
                    Ok(Some(state)) => return self.tell_waited(wait, &state),
                    Ok(None) => {
                        let line =
                            Line::new(format!("Container {}", wait.container), Status::Done, "Watched");
                        return self.progress.tell(&line);
                    }
                    // It was removed meanwhile; what there is now says what to do.
                    Err(EngineError::NoSuchId(_)) => return,
                    Err(_) => {}
                }
            }
        };
        let runs = !providers.is_empty();
        let first = async {
            tokio::select! {
                () = held, if !awaits.is_empty() => None,
                ended = providers.next(), if runs => ended,
                else => None,
            }
        };
        let Some(deadline) = deadline else { return Ok(first.await) };
        let limit = self.tuning.limit.unwrap_or_default().as_secs();
        tokio::time::timeout_at(deadline.into(), first).await.map_err(|_| {
            let waited =
                if self.policy.wait { "application not healthy" } else { "timeout waiting for dependencies" };
            let mut left: Vec<&str> = awaits.iter().map(|wait| wait.container.as_str()).collect();
            if runs {
                left.push("providers");
            }
            Failure::new(format!("{waited} after {limit}s"))
                .hint(format!("project `{pod}` still waits for {}", left.join(", ")))
        })
    }

    /// What has to hold of a container, and for whom: `until it is healthy, for web`.
    fn what_for(&self, wait: &Await) -> String {
        let condition = match wait.condition {
            Condition::Started => "until it is started",
            Condition::Healthy => "until it is healthy",
            Condition::CompletedSuccessfully | Condition::Exited => "until it has ended",
        };
        let wants = |service: &&resource::DesiredService| {
            let mut needs = service.depends_on.iter();
            needs.any(|need| need.service == wait.service && need.condition == wait.condition)
        };
        let waiting: Vec<&str> =
            self.desired.services.iter().filter(wants).map(|service| service.name.as_str()).collect();
        if waiting.is_empty() {
            condition.to_owned()
        } else {
            format!("{condition}, for {}", waiting.join(", "))
        }
    }

    /// Gives what was started just now, and has no health check to wait for, the time to fail at once,
    /// as a program does that finds a file missing or a flag unknown. Ends with the first that ends.
    pub(super) async fn settle(&self) -> Result<(), Failure> {
        let engine = self.engine()?;
        let observed = self.observe()?;
        let now = Timestamp::now();
        let mut waits = FuturesUnordered::new();
        let mut longest = Duration::ZERO;
        for container in &observed.containers {
            let (record, state) = (&container.record, &container.state);
            let ours = self.desired.services.iter().any(|service| service.name == record.spec.service);
            let age = state.started.and_then(|at| Duration::try_from(now.duration_since(at)).ok());
            let Some(age) = age.filter(|age| ours && *age < SETTLED) else { continue };
            if state.status == resource::Status::Running && state.health.is_none() {
                longest = longest.max(SETTLED - age);
                waits.push(engine.wait(&record.spec.pod, &record.id, Condition::Exited));
            }
        }
        if !waits.is_empty() {
            let _ = tokio::time::timeout(longest, waits.next()).await;
        }
        Ok(())
    }

    fn tell_waited(&self, wait: &Await, state: &resource::ContainerState) {
        use resource::{HealthStatus, Status as State};
        let healthy = state.health.as_ref().is_some_and(|health| health.status == HealthStatus::Healthy);
        let ended = state.status == State::Exited;
        let code = state.exit.and_then(resource::ExitStatus::code);
        let (status, text) = match wait.condition {
            Condition::Healthy if healthy => (Status::Done, "Healthy"),
            Condition::CompletedSuccessfully | Condition::Exited if ended && code == Some(0) => {
                (Status::Done, "Exited")
            }
            Condition::Exited if ended => (Status::Done, "Exited"),
            Condition::Started if state.status == State::Running => (Status::Done, "Started"),
            _ => (Status::Error, "Error"),
        };
        self.progress.tell(&Line::new(format!("Container {}", wait.container), status, text));
    }
}

/// What comes of a wait, or `None` when its time is over.
async fn within<T, E>(
    limit: Option<Duration>,
    wait: impl Future<Output = Result<T, E>>,
) -> Result<Option<T>, E> {
    match limit {
        None => wait.await.map(Some),
        Some(limit) => tokio::time::timeout(limit, wait).await.map_or(Ok(None), |answer| answer.map(Some)),
    }
}

/// Keeps the loop from spinning when a wait ends at once and the same wait is planned again.
#[derive(Default)]
pub(super) struct Patience {
    last: Option<(Vec<Await>, Instant)>,
}

impl Patience {
    pub(super) async fn before(&mut self, awaits: &[Await]) {
        if awaits.is_empty() {
            return;
        }
        let spinning = self
            .last
            .as_ref()
            .is_some_and(|(last, at)| last == awaits && at.elapsed() < Duration::from_millis(100));
        if spinning {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.last = Some((awaits.to_vec(), Instant::now()));
    }
}
