//! What goes on while containers are attached to: logs, events, the start, the stop, the menu and the watch,
//! all at once.

use super::beside::{Watch, watched};
use super::menu::{Asked, Menu};
use super::show::Show;
use super::{Attached, End, PATIENCE, QUIET, Work, next_signal};
use crate::converge::{self, Job, Tuning};
use crate::exit::{Exit, Failure};
use crate::output::{self, behind};
use crate::runtime::Interrupts;
use crate::terminal;
use crate::view::progress::{Mode, Progress};
use engine::{Engine, Event, EventKind, LogLine, LogQuery, LogStream};
use nix::sys::signal::Signal;
use plan::{Orphans, Policy, Provided, Verb};
use resource::{
    Answers, ContainerId, Desired, ExitStatus, INFRA, ObservedContainer, PodName, Status, Timestamp,
};
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// The exit codes that matter for ours.
#[derive(Default)]
pub(super) struct Codes {
    /// Of the container that caused the end.
    trigger: Option<i32>,
    /// Of the first container of the service that is asked for.
    wanted: Option<i32>,
}

/// Logs, events, the start and the stop, all at once.
pub(super) struct Follow<'a, 's> {
    pub(super) engine: &'a Engine,
    pub(super) attached: &'a Attached<'a, 's>,
    pub(super) pod: &'a PodName,
    pub(super) show: Show,
    /// Containers of this `up` that live or will live again.
    pub(super) running: BTreeSet<ContainerId>,
    pub(super) logs: Option<LogStream>,
    /// Exits that are told once the lines before them are shown.
    pub(super) pending: VecDeque<Event>,
    /// When the first of them came, and the last line or exit since.
    pub(super) held: Option<(Instant, Instant)>,
    /// Lines from here on are shown.
    pub(super) since: Timestamp,
    pub(super) starting: Option<Work<'a>>,
    pub(super) stopping: Option<Work<'a>>,
    /// What holds namespaces for services that have all ended was looked for.
    pub(super) stopped_infra: bool,
    /// Somebody wanted it to stop.
    pub(super) interrupted: bool,
    pub(super) outcome: Exit,
    pub(super) codes: Codes,
    pub(super) watch: Option<Watch<'a>>,
    pub(super) menu: Option<Menu>,
    /// It ends, and leaves the containers running, as soon as they are started.
    pub(super) detaching: bool,
}

impl Follow<'_, '_> {
    /// Shows what there is to show until nothing is left that lives, or something ends it before.
    ///
    /// # Errors
    /// What cannot be followed, started or stopped.
    pub(super) async fn run(&mut self, interrupts: &mut Interrupts) -> Result<Exit, Failure> {
        let about = converge::about(self.pod);
        let mut events = self.engine.events(self.pod).await.map_err(&about)?;
        for container in self.engine.containers(self.pod).map_err(&about)? {
            if self.is_ours(&container.record.spec.service) && lives(container.state.status) {
                self.running.insert(container.record.id);
            }
        }
        self.open_logs()?;
        let mut events_ended = false;
        loop {
            if self.detaching && self.starting.is_none() {
                return Ok(Exit::Success);
            }
            if self.is_over() {
                if !std::mem::replace(&mut self.stopped_infra, true) && self.holds_infra() {
                    self.stop(None);
                    continue;
                }
                let menu = self.menu.is_some();
                tokio::select! {
                    biased;
                    _ = next_signal(interrupts, menu) => {}
                    drained = async {
                        self.drain().await?;
                        behind::written().await;
                        Ok::<_, Failure>(())
                    } => drained?,
                }
                return Ok(self.result());
            }
            let due = self.due().into();
            tokio::select! {
                biased;
                signal = next_signal(interrupts, self.menu.is_some()) => {
                    // They would have ended the program, and left the containers alone.
                    if [Signal::SIGHUP as i32, Signal::SIGQUIT as i32].contains(&signal) {
                        return Ok(Exit::Code(128 + signal));
                    }
                    self.outcome = Exit::Interrupted;
                    self.interrupt()?;
                }
                asked = next_key(&mut self.menu) => self.asked(asked).await?,
                () = async {
                    // Lines that wait for room were written before.
                    behind::room().await;
                    tokio::time::sleep_until(due).await;
                }, if !self.pending.is_empty() => self.tell_exits()?,
                () = behind::broken() => output::result("")?,
                event = events.next(), if !events_ended => match event {
                    Some(event) => self.event(event)?,
                    None => events_ended = true,
                },
                started = work(&mut self.starting) => self.started(started)?,
                stopped = work(&mut self.stopping) => self.stopped(stopped)?,
                ended = watched(&mut self.watch) => match ended {
                    None => self.find_running()?,
                    Some(outcome) => {
                        self.watch = None;
                        self.tell_watch(outcome);
                    }
                },
                // Behind all else: there may be no end of them.
                line = async {
                    behind::room().await;
                    next_line(&mut self.logs).await
                } => self.line(line?)?,
            }
        }
    }

    /// When the exits that are held back are told.
    fn due(&self) -> Instant {
        let (first, last) = self.held.unwrap_or_else(|| (Instant::now(), Instant::now()));
        (last + QUIET).min(first + PATIENCE)
    }

    /// Something came that an exit may have to wait for.
    fn hold(&mut self) {
        let now = Instant::now();
        self.held = self.held.map_or(Some((now, now)), |(first, _)| Some((first, now)));
    }

    /// A service of this `up`. An infra is none: nobody waits for its end.
    fn is_ours(&self, service: &str) -> bool {
        service != INFRA && self.attached.made.desired.services.iter().any(|known| known.name == service)
    }

    /// Whether an infra lives that holds namespaces for nobody any more.
    fn holds_infra(&self) -> bool {
        self.alone() && self.containers().any(|one| one.record.spec.is_infra() && lives(one.state.status))
    }

    /// Whether nothing of the pod lives but what belongs to this `up`.
    fn alone(&self) -> bool {
        !self.containers().any(|container| {
            let spec = &container.record.spec;
            lives(container.state.status) && !spec.is_infra() && !self.is_ours(&spec.service)
        })
    }

    fn containers(&self) -> impl Iterator<Item = ObservedContainer> {
        self.engine.containers(self.pod).unwrap_or_default().into_iter()
    }

    /// Nothing of it lives, nothing is being started or stopped, and everything has been told.
    fn is_over(&self) -> bool {
        self.running.is_empty()
            && self.starting.is_none()
            && self.stopping.is_none()
            && self.pending.is_empty()
            && !self.watch.as_ref().is_some_and(|watch| *watch.busy.borrow())
    }

    fn open_logs(&mut self) -> Result<(), Failure> {
        let services: Vec<String> = self.show.shown.iter().cloned().collect();
        if services.is_empty() {
            return Ok(());
        }
        let query = LogQuery { follow: true, since: Some(self.since), ..LogQuery::default() };
        let logs = self.engine.logs(self.pod, &services, query);
        self.logs = Some(logs.map_err(|error| Failure::because("cannot follow the logs", error))?);
        Ok(())
    }

    /// A line, or the end of the stream: then nothing can write until something is started again.
    fn line(&mut self, line: Option<LogLine>) -> Result<(), Failure> {
        match line {
            Some(line) => {
                self.since = next_instant(line.time);
                if !self.pending.is_empty() {
                    self.hold();
                }
                self.show.line(&line)
            }
            None => {
                self.logs = None;
                Ok(())
            }
        }
    }

    fn event(&mut self, event: Event) -> Result<(), Failure> {
        if event.number.is_none() || !self.is_ours(&event.service) {
            return Ok(());
        }
        match &event.kind {
            EventKind::Started { .. } => {
                self.running.insert(event.container);
                if self.logs.is_none() {
                    self.open_logs()?;
                }
            }
            EventKind::Died { .. } => {
                self.pending.push_back(event);
                self.hold();
            }
            EventKind::StartFailed { .. } | EventKind::Removed => {
                self.running.remove(&event.container);
            }
            _ => {}
        }
        Ok(())
    }

    /// Tells the exits, and ends everything when a flag says so.
    fn tell_exits(&mut self) -> Result<(), Failure> {
        self.held = None;
        while let Some(event) = self.pending.pop_front() {
            let EventKind::Died { exit, restarting, .. } = event.kind else { continue };
            let code = match exit {
                ExitStatus::Code(code) => Some(code),
                ExitStatus::Unknown => None,
            };
            self.show.exited(&event, code, restarting)?;
            if !restarting {
                self.running.remove(&event.container);
            }
            self.abort_after(&event.service, code)?;
        }
        Ok(())
    }

    fn abort_after(&mut self, service: &str, code: Option<i32>) -> Result<(), Failure> {
        let (any, code_from) = match &self.attached.end {
            End::AllStopped => return Ok(()),
            End::AnyExit { code_from } => (true, code_from),
            End::AnyFailure { code_from } => (false, code_from),
        };
        let code = code.unwrap_or(1);
        if code_from.as_deref() == Some(service) && self.codes.wanted.is_none() {
            self.codes.wanted = Some(code);
        }
        let qualifies = any || code != 0;
        if qualifies && self.codes.trigger.is_none() && self.stopping.is_none() {
            self.codes.trigger = Some(code);
            output::status("Aborting on container exit...")?;
            self.stop(None);
        }
        Ok(())
    }

    /// Stops everything in order, and asked again at once.
    fn interrupt(&mut self) -> Result<(), Failure> {
        let second = std::mem::replace(&mut self.interrupted, true);
        if self.menu.is_none() {
            terminal::leave_echo();
        }
        if second {
            self.stop(Some(Duration::ZERO));
            return Ok(());
        }
        output::status("Gracefully Stopping... press Ctrl+C again to force")?;
        self.stop(None);
        Ok(())
    }

    /// Does what a key asks for.
    async fn asked(&mut self, asked: Asked) -> Result<(), Failure> {
        match asked {
            Asked::Interrupt => self.interrupt()?,
            Asked::Detach => {
                self.detaching = true;
                if self.starting.is_some() {
                    output::status("Detaching when everything is started")?;
                }
            }
            Asked::Suspend => {
                if let Some(menu) = &mut self.menu {
                    menu.suspend()?;
                }
            }
            Asked::Blank => output::line("")?,
            Asked::Watch => match self.watch.take() {
                Some(watch) => {
                    let outcome = watch.end().await;
                    output::message("Watch disabled\n");
                    self.tell_watch(outcome);
                }
                None => self.begin_to_watch(),
            },
        }
        Ok(())
    }

    /// Begins to stop the services of this `up`, in reverse order; a stop that goes on is replaced.
    fn stop(&mut self, timeout: Option<Duration>) {
        self.starting = None;
        let mut desired: Desired = self.attached.made.desired.clone();
        // An infra stays as long as others share its namespaces.
        let alone = self.alone();
        desired.services.iter_mut().for_each(|service| service.selected = alone || service.name != INFRA);
        let session = self.attached.session;
        // Who wants it at once does not wait for providers.
        let skipped =
            desired.services.iter().filter(|service| service.provider.is_some() && timeout.is_some());
        let skipped =
            skipped.map(|service| (service.name.clone(), Provided::Done(Answers::default()))).collect();
        let timeout = timeout.or(self.attached.made.policy.timeout);
        self.stopping = Some(Box::pin(async move {
            // What is redrawn in place would wipe out the lines of the containers.
            let mode = if session.mode == Mode::Tty { Mode::Plain } else { session.mode };
            let progress = Progress::new(mode, "stop", session.colour_errors, false);
            let policy = Policy {
                timeout,
                orphans: Orphans::Ignore,
                provided: skipped,
                ..Policy::new(Verb::Stop, Timestamp::now())
            };
            let job = Job { session, progress: &progress, desired, policy, tuning: Tuning::default() };
            job.run().await.map(drop)
        }));
    }

    fn started(&mut self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        self.starting = None;
        outcome?;
        // What was running before had no event.
        self.find_running()
    }

    fn find_running(&mut self) -> Result<(), Failure> {
        let about = converge::about(self.pod);
        for container in self.engine.containers(self.pod).map_err(about)? {
            if self.is_ours(&container.record.spec.service) && lives(container.state.status) {
                self.running.insert(container.record.id);
            }
        }
        if self.logs.is_none() && !self.running.is_empty() {
            self.open_logs()?;
        }
        Ok(())
    }

    fn stopped(&mut self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        self.stopping = None;
        // Whatever could not be learned about exits: nothing is left to wait for.
        self.running.clear();
        outcome
    }

    /// Shows what was still on its way.
    async fn drain(&mut self) -> Result<(), Failure> {
        while let Ok(Ok(Some(line))) = tokio::time::timeout(QUIET, next_line(&mut self.logs)).await {
            self.show.line(&line)?;
        }
        self.tell_exits()
    }

    fn result(&self) -> Exit {
        match (self.outcome, self.codes.wanted, self.codes.trigger) {
            (Exit::Interrupted, ..) => Exit::Interrupted,
            (_, Some(code), _) | (_, None, Some(code)) => Exit::Code(code),
            (outcome, None, None) => outcome,
        }
    }
}

/// The next line of logs that are open; never, when none are.
pub(crate) async fn next_line(logs: &mut Option<LogStream>) -> Result<Option<LogLine>, Failure> {
    match logs {
        Some(logs) => logs.next().await.map_err(|error| Failure::because("cannot follow the logs", error)),
        None => std::future::pending().await,
    }
}

/// The end of some work; never, when there is none.
async fn work(work: &mut Option<Work<'_>>) -> Result<(), Failure> {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

/// The next key of the menu; never, when there is none.
async fn next_key(menu: &mut Option<Menu>) -> Asked {
    match menu {
        Some(menu) => menu.next().await,
        None => std::future::pending().await,
    }
}

fn lives(status: Status) -> bool {
    matches!(status, Status::Running | Status::Paused | Status::Restarting)
}

/// A line that is read again must not be shown again.
pub(crate) fn next_instant(time: Timestamp) -> Timestamp {
    time.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(time)
}
