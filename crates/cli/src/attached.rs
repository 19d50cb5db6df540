//! `up` in the foreground: containers are created, their output is shown from their first line on,
//! and they are stopped in order when the user or a flag says so.
//!
//! ```text
//! create ─▶ "Attaching to …" ─▶ start, while logs and events are followed
//!   ─┬▶ everything has stopped for good                      exit 0
//!    ├▶ a container ended and a flag says to abort ─▶ stop    its code
//!    ├▶ Ctrl-C ─▶ stop in order ─▶ (a second Ctrl-C kills)    exit 130; 0 when the menu read the key
//!    └▶ `d` in the menu                                      exit 0, the containers run on
//! ```

mod beside;
mod menu;
mod show;

use crate::commands::create::Made;
use crate::converge::{self, Job, Tuning};
use crate::copies;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::runtime::Interrupts;
use crate::session::Session;
use crate::terminal;
use crate::view::progress::{Mode, Progress};
use crate::watching::Watching;
use beside::{Watch, watched};
use engine::{Engine, Event, EventKind, LogLine, LogQuery, LogStream};
use menu::{Asked, Menu};
use nix::sys::signal::Signal;
use plan::{Orphans, Policy, Verb};
use resource::{ContainerId, Desired, ExitStatus, INFRA, ObservedContainer, PodName, Status, Timestamp};
use show::Show;
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
pub(crate) struct Attached<'a, 's> {
    /// The session.
    pub(crate) session: &'s Session,
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
    pub(crate) watching: Option<Watching<'s>>,
    /// The keyboard menu is shown.
    pub(crate) menu: bool,
    /// Begins to watch, when the menu asks for it.
    pub(crate) begin: &'a dyn Fn() -> Result<Watching<'s>, Failure>,
}

type Work<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

/// Runs it.
pub(crate) async fn run(mut attached: Attached<'_, '_>) -> Result<Exit, Failure> {
    let session = attached.session;
    let watching = attached.watching.take();
    let mut interrupts = if attached.menu { Interrupts::listen_to_all() } else { Interrupts::listen() }?;
    let create = Policy { verb: Verb::Create, ..attached.made.policy.clone() };
    let progress = session.progress("up");
    let job = job(&attached, &progress, create, true);
    tokio::select! {
        biased;
        created = job.run() => created.map(drop)?,
        _ = next_signal(&mut interrupts, attached.menu) => return Ok(Exit::Interrupted),
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
    let menu = attached.menu.then(|| Menu::open(session.colour, watching.is_some())).transpose()?;
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
        interrupted: false,
        outcome: Exit::Success,
        codes: Codes::default(),
        watch: None,
        menu,
        detaching: false,
    };
    if let Some(watching) = watching {
        follow.watch = Some(Watch::begin(watching));
    }
    let outcome = follow.run(&mut interrupts).await;
    if let Some(watch) = follow.watch.take() {
        follow.tell_watch(watch.end().await);
    }
    outcome
}

fn job<'a, 's: 'a>(
    attached: &Attached<'_, 's>,
    progress: &'a Progress,
    policy: Policy,
    first: bool,
) -> Job<'a> {
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

/// Logs, events, the start and the stop, all at once.
struct Follow<'a, 's> {
    engine: &'a Engine,
    attached: &'a Attached<'a, 's>,
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
    /// Somebody wanted it to stop.
    interrupted: bool,
    outcome: Exit,
    codes: Codes,
    watch: Option<Watch<'a>>,
    menu: Option<Menu>,
    /// It ends, and leaves the containers running, as soon as they are started.
    detaching: bool,
}

impl Follow<'_, '_> {
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
            if self.detaching && self.starting.is_none() {
                return Ok(Exit::Success);
            }
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
                signal = next_signal(interrupts, self.menu.is_some()) => {
                    // They would have ended the program, and left the containers alone.
                    if [Signal::SIGHUP as i32, Signal::SIGQUIT as i32].contains(&signal) {
                        return Ok(Exit::Code(128 + signal));
                    }
                    self.outcome = Exit::Interrupted;
                    self.interrupt()?;
                }
                asked = next_key(&mut self.menu) => self.asked(asked).await?,
                line = next_line(&mut self.logs) => self.line(line?)?,
                () = tokio::time::sleep_until(due), if !self.pending.is_empty() => self.tell_exits()?,
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

/// The next key of the menu; never, when there is none.
async fn next_key(menu: &mut Option<Menu>) -> Asked {
    match menu {
        Some(menu) => menu.next().await,
        None => std::future::pending().await,
    }
}

/// The next signal; of all, when there is a terminal to be given back as it was.
async fn next_signal(interrupts: &mut Interrupts, all: bool) -> i32 {
    if all { interrupts.next_of_all().await } else { interrupts.next().await }
}

fn lives(status: Status) -> bool {
    matches!(status, Status::Running | Status::Paused | Status::Restarting)
}

/// A line that is read again must not be shown again.
pub(crate) fn next_instant(time: Timestamp) -> Timestamp {
    time.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(time)
}
