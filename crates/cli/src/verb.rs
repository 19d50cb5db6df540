//! What the verbs that act on existing containers have in common: find out what they are about, plan,
//! apply.

use crate::converge::{Job, Tuning};
use crate::exit::{Exit, Failure};
use crate::runtime::{self, Size};
use crate::session::{Session, Subject};
use crate::view::progress::{Mode, Progress};
use crate::{output, select, wanted};
use plan::{Orphans, Policy, Verb};
use resource::{Desired, NetworkName, PodName, Timestamp};
use std::time::Duration;

/// A verb and those of its flags that matter to the plan.
pub(crate) struct Act {
    /// The verb.
    pub(crate) verb: Verb,
    /// Seconds from stop signal to SIGKILL; −1 is for ever.
    pub(crate) timeout: Option<i64>,
    /// What happens to orphans.
    pub(crate) orphans: Orphans,
    /// Wait until services run or are healthy.
    pub(crate) wait: bool,
    /// Seconds that waiting may take.
    pub(crate) limit: Option<u64>,
    /// What to say when there was nothing to act on.
    pub(crate) nothing: Option<&'static str>,
    /// Afterwards look for what is left in the kernel.
    pub(crate) sweep: bool,
    /// Volumes that have a name stay, even where the verb removes volumes.
    pub(crate) keep_named: bool,
    /// The form of progress, where it is not the command's.
    pub(crate) mode: Option<Mode>,
}

impl Act {
    /// A verb with every flag at its default.
    pub(crate) fn new(verb: Verb) -> Self {
        Self {
            verb,
            timeout: None,
            orphans: Orphans::Ignore,
            wait: false,
            limit: None,
            nothing: None,
            sweep: false,
            keep_named: false,
            mode: None,
        }
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: self.timeout.map(grace),
            orphans: self.orphans,
            wait: self.wait,
            ..Policy::new(self.verb.clone(), Timestamp::now())
        }
    }
}

/// Seconds as given with `--timeout`; −1 waits for ever.
pub(crate) fn grace(seconds: i64) -> Duration {
    // Ten years are for ever here; more would not fit into the kernel's clocks.
    const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 86_400);
    u64::try_from(seconds).map_or(FOR_EVER, Duration::from_secs).min(FOR_EVER)
}

/// Reads a signal, by name with or without `SIG`, or by number.
///
/// # Errors
/// A sentence that names what is no signal.
pub(crate) fn signal(text: &str) -> Result<i32, Failure> {
    use nix::sys::signal::Signal;
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper.clone() } else { format!("SIG{upper}") };
    let number = match text.parse::<i32>() {
        Ok(number) if (1..=64).contains(&number) => Some(number),
        Ok(_) => None,
        Err(_) => name.parse::<Signal>().ok().map(|signal| signal as i32),
    };
    number.ok_or_else(|| {
        Failure::new(format!("`{text}` is not a signal")).hint("use a name such as `SIGTERM`, or a number")
    })
}

/// Runs a verb that reads the file if it can.
pub(crate) fn run(
    session: &Session,
    operation: &'static str,
    services: &[String],
    act: Act,
) -> Result<Exit, Failure> {
    let subject = session.subject(services)?;
    run_on(session, operation, subject, services, act)
}

/// The same with the subject known.
pub(crate) fn run_on(
    session: &Session,
    operation: &'static str,
    subject: Subject,
    services: &[String],
    act: Act,
) -> Result<Exit, Failure> {
    let task = task(session, operation, &subject, services, &act)?;
    session.begin()?;
    runtime::interruptible(Size::One, perform(session, task, &act))
}

/// The same on the runtime of a command.
pub(crate) async fn perform_on(
    session: &Session,
    operation: &'static str,
    subject: &Subject,
    services: &[String],
    act: &Act,
) -> Result<Exit, Failure> {
    perform(session, task(session, operation, subject, services, act)?, act).await
}

/// Does to a whole pod, whose file is not read, what the verb says.
pub(crate) async fn on_pod(
    session: &Session,
    operation: &'static str,
    pod: &PodName,
    act: &Act,
) -> Result<Exit, Failure> {
    let subject = Subject { pod: pod.clone(), loaded: None };
    perform_on(session, operation, &subject, &[], act).await
}

/// What is to be done: the verb on what is there.
struct Task {
    desired: Desired,
    progress: Progress,
}

fn task(
    session: &Session,
    operation: &'static str,
    subject: &Subject,
    services: &[String],
    act: &Act,
) -> Result<Task, Failure> {
    let observed = session.observe(&subject.pod)?;
    let chosen = select::services(services, subject.known(&observed))?;
    let mut desired = wanted::existing(session, subject, &observed, &chosen);
    if act.keep_named {
        desired.volumes.clear();
    } else if matches!(act.verb, Verb::Down { volumes: true, .. }) {
        wanted::add_declared_volumes(session, subject, &mut desired);
    }
    session.timing("desired");
    Ok(Task { desired, progress: session.progress_in(act.mode.unwrap_or(session.mode), operation) })
}

async fn perform(session: &Session, task: Task, act: &Act) -> Result<Exit, Failure> {
    let Task { desired, progress } = task;
    let pod = desired.pod.clone();
    let mut networks: Vec<NetworkName> = vec![NetworkName(format!("{pod}_default"))];
    networks.extend(desired.networks.iter().filter(|spec| !spec.external).map(|spec| spec.name.clone()));
    let engine = session.engine()?;
    if !session.globals.dry_run {
        engine.adopt(&pod).await.map_err(crate::converge::about(&pod))?;
    }
    let job = Job {
        session,
        progress: &progress,
        policy: act.policy(),
        desired,
        tuning: Tuning { limit: act.limit.map(Duration::from_secs), ..Tuning::default() },
    };
    let done = job.run().await?;
    if act.sweep && !session.globals.dry_run {
        sweep(session, &pod, &networks).await?;
    }
    progress.finish();
    if done.nothing
        && let Some(text) = act.nothing
    {
        output::status(text)?;
    }
    Ok(Exit::Success)
}

/// Removes what is left of a pod that is gone, under its lock.
async fn sweep(session: &Session, pod: &PodName, networks: &[NetworkName]) -> Result<(), Failure> {
    let engine = session.engine()?;
    let about = crate::converge::about(pod);
    let lock = engine.lock(pod, || ()).await.map_err(&about)?;
    if engine.containers(pod).map_err(&about)?.is_empty() {
        engine.sweep(pod, networks).await.map_err(&about)?;
    }
    drop(lock);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        assert_eq!(signal("SIGKILL").unwrap(), 9);
        assert_eq!(signal("term").unwrap(), 15);
        assert_eq!(signal("10").unwrap(), 10);
        assert!(signal("SIGNOT").is_err());
        assert!(signal("0").is_err());
    }

    #[test]
    fn a_negative_grace_is_for_ever() {
        assert_eq!(grace(5), Duration::from_secs(5));
        assert!(grace(-1) > Duration::from_secs(1_000_000));
    }
}
