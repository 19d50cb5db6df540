//! Runs a plan on an engine and tells what happens; it decides nothing.

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use plan::{Await, Plan, Planned, Provide, Step, StepId};
use std::collections::BTreeSet;
use std::future::Future;
use std::num::NonZeroUsize;

/// Who can do the acts of a plan.
pub trait Perform: Sync {
    /// Why an act could not be done.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Does one act. [`Step::Await`], [`Step::Provide`] and [`Step::Ask`] are never handed to it. `tell` may be called
    /// while the act goes on.
    fn perform(
        &self,
        step: &Step,
        tell: &(dyn Fn(Progress) + Sync),
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// How far an act has come: a download, a layer of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The part of the act that is spoken of, such as a layer; `None` is the act as a whole.
    pub part: Option<String>,
    /// What happens: `Downloading`, `Extracting`, `Pull complete`.
    pub text: String,
    /// Amount done, bytes.
    pub current: Option<u64>,
    /// Amount in all, bytes.
    pub total: Option<u64>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The step it happened to; look it up with [`Plan::get`].
    pub step: StepId,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was begun.
    Begun,
    /// It got on.
    Progress(Progress),
    /// It is done.
    Done,
    /// It could not be done.
    Failed,
}

/// How a run ended that met no failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is done.
    Done,
    /// Everything is done that is not behind one of these. When one of the conditions holds, or can no longer
    /// hold, or one of the providers has come to its end, observe and plan again.
    Waiting {
        /// Conditions.
        awaits: Vec<Await>,
        /// What providers have to do.
        provides: Vec<Provide>,
    },
}

/// A step could not be done.
#[derive(Debug, thiserror::Error)]
#[error("could not {}", .planned.step)]
pub struct StepFailed<E: std::error::Error + 'static> {
    /// Which.
    pub step: StepId,
    /// What it was and why it was in the plan.
    pub planned: Box<Planned>,
    /// Why it could not be done.
    pub source: E,
}

/// Runs each step once the steps before it are done, at most `width` at a time.
///
/// What is behind a [`Step::Await`] or [`Step::Provide`] is not run: everything else is, then those of
/// them that were reached are the outcome.
///
/// # Errors
/// The first [`StepFailed`]. After a failure nothing more is started, and what is running is waited for.
pub async fn apply<E: Perform>(
    plan: &Plan,
    engine: &E,
    width: NonZeroUsize,
    tell: impl Fn(Event) + Sync,
) -> Result<Outcome, StepFailed<E::Error>> {
    let mut missing: Vec<usize> = plan.steps().map(|(id, _)| plan.before(id).len()).collect();
    let mut ready: BTreeSet<StepId> =
        plan.steps().filter(|(id, _)| missing[id.index()] == 0).map(|(id, _)| id).collect();
    let mut running = FuturesUnordered::new();
    let (mut awaits, mut provides) = (vec![], vec![]);
    let mut failed = None;
    loop {
        while failed.is_none() && running.len() < width.get() {
            let Some(id) = ready.pop_first() else { break };
            match &plan.get(id).step {
                Step::Await(wait) => awaits.push(wait.clone()),
                Step::Provide(provide) => provides.push(provide.clone()),
                Step::Ask(_) => {}
                step => running.push(run(id, step, engine, &tell)),
            }
        }
        let Some((id, result)) = running.next().await else { break };
        match result {
            Ok(()) => {
                for next in plan.after(id) {
                    missing[next.index()] -= 1;
                    if missing[next.index()] == 0 {
                        ready.insert(next);
                    }
                }
            }
            Err(source) if failed.is_none() => {
                failed = Some(StepFailed { step: id, planned: Box::new(plan.get(id).clone()), source });
            }
            Err(_) => {}
        }
    }
    match failed {
        Some(failed) => Err(failed),
        None if awaits.is_empty() && provides.is_empty() => Ok(Outcome::Done),
        None => Ok(Outcome::Waiting { awaits, provides }),
    }
}

/// Performs one step and tells its beginning and end.
async fn run<E: Perform>(
    id: StepId,
    step: &Step,
    engine: &E,
    tell: &(impl Fn(Event) + Sync),
) -> (StepId, Result<(), E::Error>) {
    tell(Event { step: id, kind: EventKind::Begun });
    let progress = |progress| tell(Event { step: id, kind: EventKind::Progress(progress) });
    let result = engine.perform(step, &progress).await;
    tell(Event { step: id, kind: if result.is_ok() { EventKind::Done } else { EventKind::Failed } });
    (id, result)
}
