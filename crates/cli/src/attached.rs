//! `up` in the foreground: containers are created, their output is shown from their first line on,
//! and they are stopped in order when the user or a flag says so.
//!
//! ```text
//! create ─▶ "Attaching to …" ─▶ start, while logs and events are followed
//!   ─┬▶ everything has stopped for good                      exit 0
//!    ├▶ a container ended and a flag says to abort ─▶ stop    its code
//!    └▶ Ctrl-C ─▶ stop in order ─▶ (a second Ctrl-C kills)    exit 130
//! ```

use crate::commands::create::Made;
use crate::converge::{self, Job, Tuning};
use crate::copies;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::runtime::Interrupts;
use crate::session::Session;
use crate::view::logs::{Prefixes, display_name};
use crate::view::progress::{Mode, Progress};
use crate::watching::Watching;
use engine::{Engine, Event, EventKind, LogLine, LogQuery, LogStream};
use plan::{Orphans, Policy, Verb};
use resource::{ContainerId, Desired, ExitStatus, INFRA, ObservedContainer, PodName, Status, Timestamp};
use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// Lines that were written before an exit are shown before it is told; this long without a line
/// means that none is on its way.
const QUIET: Duration = Duration::from_millis(30);

/// Others that write without end do not keep an exit from being told longer than this.
const PATIENCE: Duration = Duration::from_millis(300);

/// What ends it before everything has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing does.
    AllStopped,
    /// Any exit.
    AnyExit {
        /// The service whose exit code is passed on, instead of that of the container that ended.
        code_from: Option<String>,
    },
    /// Any exit with a code other than 0.
    AnyFailure {
        /// As above.
        code_from: Option<String>,
    },
}

/// An `up` in the foreground.
pub(crate) struct Attached<'a> {
    /// The session.
    pub(crate) session: &'a Session,
    /// What is to be made.
    pub(crate) made: Made,
    /// What ends it.
    pub(crate) end: End,
    /// Services whose output is shown.
    pub(crate) shown: BTreeSet<String>,
    /// Colours.
    pub(crate) colour: bool,
    /// Names in front of lines.
    pub(crate) prefix: bool,
    /// Times in front of lines.
    pub(crate) timestamps: bool,
    /// Starts are told of on standard error.
    pub(crate) tell_starts: bool,
    /// What keeps the containers to their sources meanwhile.
    pub(crate) watching: Option<Watching<'a>>,
}

type Work<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

/// Runs it.
pub(crate) async fn run(mut attached: Attached<'_>) -> Result<Exit, Failure> {
    let session = attached.session;
    let mut watching = attached.watching.take();
    let mut interrupts = Interrupts::listen()?;
    let create = Policy { verb: Verb::Create, ..attached.made.policy.clone() };
    let progress = session.progress("up");
    let job = job(&attached, &progress, create, true);
    tokio::select! {
        biased;
        created = job.run() => created.map(drop)?,
        _ = interrupts.next() => return Ok(Exit::Interrupted),
    }
    progress.finish();
    let desired = &attached.made.desired;
    let pod = desired.pod.clone();
    let engine = session.engine()?;
    let observed = session.observe(&pod)?;
    let mut show = Show::new(&attached, &pod);
    show.attach(&observed)?;
    let quiet =
        Progress::new(if attached.tell_starts { session.mode } else { Mode::Quiet }, "up", false, false);
    let starting = self::job(
        &attached,
        &quiet,
        Policy { orphans: Orphans::Ignore, ..attached.made.policy.clone() },
        false,
    );
    let mut follow = Follow {
        engine,
        attached: &attached,
        pod: &pod,
        show,
        running: BTreeSet::new(),
        logs: None,
        pending: VecDeque::new(),
        held: None,
        since: attached.made.policy.since,
        starting: Some(Box::pin(async {
            starting.run().await?;
            // Never drawn: lines of containers come in between.
            let mode = if session.mode == Mode::Tty { Mode::Plain } else { session.mode };
            let progress = Progress::new(mode, "up", false, false);
            copies::tell_ports(session, &progress, &pod, &attached.made.moved)
        })),
        stopping: None,
        stopped_infra: false,
        outcome: Exit::Success,
        codes: Codes::default(),
        busy: watching.as_ref().map(Watching::busy),
    };
    let outcome = match &mut watching {
        None => follow.run(&mut interrupts).await,
        Some(watching) => beside(follow.run(&mut interrupts), watching.run()).await,
    };
    if let Some(watching) = &mut watching {
        watching.end();
    }
    outcome
}

/// Follows while files are watched; when watching ends, following goes on.
async fn beside(
    follow: impl Future<Output = Result<Exit, Failure>>,
    watch: impl Future<Output = Result<(), Failure>>,
) -> Result<Exit, Failure> {
    let (mut follow, mut watch) = (std::pin::pin!(follow), std::pin::pin!(watch));
    let ended = tokio::select! {
        biased;
        outcome = &mut follow => return outcome,
        ended = &mut watch => ended,
    };
    if let Err(failure) = ended {
        output::message(&format!("watching ended: {}\n", failure.line()));
    }
    follow.await
}

fn job<'a>(attached: &Attached<'a>, progress: &'a Progress, policy: Policy, first: bool) -> Job<'a> {
    let tuning = Tuning { images_done: !first, ..attached.made.tuning };
    Job { session: attached.session, progress, desired: attached.made.desired.clone(), policy, tuning }
}

/// The exit codes that matter for ours.
#[derive(Default)]
struct Codes {
    /// Of the container that caused the end.
    trigger: Option<i32>,
    /// Of the first container of the service that is asked for.
    wanted: Option<i32>,
}

/// How lines look.
struct Show {
    prefixes: Prefixes,
    project: String,
    shown: BTreeSet<String>,
    timestamps: bool,
}

impl Show {
    fn new(attached: &Attached<'_>, pod: &PodName) -> Self {
        Self {
            prefixes: Prefixes::new(attached.colour, attached.prefix),
            project: pod.to_string(),
            shown: attached.shown.clone(),
            timestamps: attached.timestamps,
        }
    }

    /// Says whose output is shown.
    fn attach(&mut self, observed: &resource::Observed) -> Result<(), Failure> {
        let names: BTreeSet<String> = observed
            .containers
            .iter()
            .map(|container| &container.record.spec)
            .filter(|spec| !spec.is_infra() && spec.number.is_some() && self.shown.contains(&spec.service))
            .map(|spec| display_name(spec.name.as_str(), &self.project))
            .collect();
        names.iter().for_each(|name| self.prefixes.add(name));
        if names.is_empty() {
            return Ok(());
        }
        output::line(&format!("Attaching to {}", names.into_iter().collect::<Vec<_>>().join(", ")))
    }

    fn line(&mut self, line: &LogLine) -> Result<(), Failure> {
        if line.number.is_none() || !self.shown.contains(&line.service) {
            return Ok(());
        }
        let name = display_name(line.container.as_str(), &self.project);
        self.prefixes.add(&name);
        let text = self.prefixes.line(&name, self.timestamps.then_some(line.time), &line.text);
        if line.stderr {
            output::message(&text);
            return Ok(());
        }
        output::result(&text)
    }

    fn exited(&mut self, event: &Event, code: Option<i32>, restarting: bool) -> Result<(), Failure> {
        if !self.shown.contains(&event.service) {
            return Ok(());
        }
        let name = display_name(event.name.as_str(), &self.project);
        let code = code.map_or_else(|| "unknown".to_owned(), |code| code.to_string());
        let restarting = if restarting { " (restarting)" } else { "" };
        output::line(&format!("{name} exited with code {code}{restarting}"))
    }
}

/// Logs, events, the start and the stop, all at once.
struct Follow<'a> {
    engine: &'a Engine,
    attached: &'a Attached<'a>,
    pod: &'a PodName,
    show: Show,
    /// Containers of this `up` that live or will live again.
    running: BTreeSet<ContainerId>,
    logs: Option<LogStream>,
    /// Exits that are told once the lines before them are shown.
    pending: VecDeque<Event>,
    /// When the first of them came, and the last line or exit since.
    held: Option<(Instant, Instant)>,
    /// Lines from here on are shown.
    since: Timestamp,
    starting: Option<Work<'a>>,
    stopping: Option<Work<'a>>,
    /// What holds namespaces for services that have all ended was looked for.
    stopped_infra: bool,
    outcome: Exit,
    codes: Codes,
    /// Whether what is watched is being acted on: containers that end then are replaced.
    busy: Option<tokio::sync::watch::Receiver<bool>>,
}

impl Follow<'_> {
    async fn run(&mut self, interrupts: &mut Interrupts) -> Result<Exit, Failure> {
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
            if self.is_over() {
                if !std::mem::replace(&mut self.stopped_infra, true) && self.holds_infra() {
                    self.stop(None);
                    continue;
                }
                self.drain().await?;
                return Ok(self.result());
            }
            let due = self.due().into();
            tokio::select! {
                biased;
                _ = interrupts.next() => self.interrupted()?,
                line = next_line(&mut self.logs) => self.line(line?)?,
                () = tokio::time::sleep_until(due), if !self.pending.is_empty() => self.tell_exits()?,
                event = events.next(), if !events_ended => match event {
                    Some(event) => self.event(event)?,
                    None => events_ended = true,
                },
                started = work(&mut self.starting) => self.started(started)?,
                stopped = work(&mut self.stopping) => self.stopped(stopped)?,
                () = changed(&mut self.busy) => self.find_running()?,
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
            && !self.busy.as_ref().is_some_and(|busy| *busy.borrow())
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

    fn interrupted(&mut self) -> Result<(), Failure> {
        let second = self.outcome == Exit::Interrupted;
        self.outcome = Exit::Interrupted;
        if second {
            crate::terminal::leave_echo();
            self.stop(Some(Duration::ZERO));
            return Ok(());
        }
        crate::terminal::leave_echo();
        output::status("Gracefully Stopping... press Ctrl+C again to force")?;
        self.stop(None);
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
        let timeout = timeout.or(self.attached.made.policy.timeout);
        self.stopping = Some(Box::pin(async move {
            // What is redrawn in place would wipe out the lines of the containers.
            let mode = if session.mode == Mode::Tty { Mode::Plain } else { session.mode };
            let progress = Progress::new(mode, "stop", session.colour_errors, false);
            let policy =
                Policy { timeout, orphans: Orphans::Ignore, ..Policy::new(Verb::Stop, Timestamp::now()) };
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

/// That watching begins or ends to act; never, when nothing is watched.
async fn changed(busy: &mut Option<tokio::sync::watch::Receiver<bool>>) {
    let is_open = match busy {
        Some(receiver) => receiver.changed().await.is_ok(),
        None => std::future::pending().await,
    };
    if !is_open {
        *busy = None;
    }
}

fn lives(status: Status) -> bool {
    matches!(status, Status::Running | Status::Paused | Status::Restarting)
}

/// A line that is read again must not be shown again.
pub(crate) fn next_instant(time: Timestamp) -> Timestamp {
    time.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(time)
}
