//! `compose ui` at work: what happens in the engine is told to the model, what keys ask for is done.
//!
//! ```text
//! journal ─▶ look at the containers ─┐
//! logs ───▶ lines ───────────────────┼─▶ ui::Model ─▶ ui::draw ─▶ screen
//! every 2 s ▶ samples ───────────────┘        │
//! keys ───▶ ui::Model::press ─▶ Request ─▶ restart, stop, start, exec
//! ```
//! Only what containers use is sampled; everything else is drawn when it happens. While the screen is drawn
//! nothing else writes to the terminal: messages are shown at the bottom of it.

mod rows;
mod screen;

use crate::attached::{next_instant, next_line};
use crate::commands::{exec, graph::speaks_unicode};
use crate::exit::{Exit, Failure};
use crate::graph::{self, Graph};
use crate::output::behind;
use crate::runtime::{Interrupts, Job, Told};
use crate::session::{Session, Subject};
use crate::verb::{self, Act};
use crate::view::logs::display_name;
use crate::view::progress::Mode;
use crate::{output, select, stream, words};
use engine::{EventKind, EventQuery, Events, ExecRequest, LogLine, LogQuery, LogStream};
use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use plan::Verb;
use resource::Timestamp;
use rows::Samples;
use screen::{Input, Screen};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use ui::{Entry, Look, Model, Request, Target};

/// Time from one sample of what containers use to the next.
const PERIOD: Duration = Duration::from_secs(2);

/// Lines of each container's log that are there at the beginning.
const TAIL: usize = 500;

/// Lines that are taken in before the screen is drawn again.
const BATCH: usize = 1000;

/// A shell, the better one where there are two.
const SHELL: &str = "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi";

/// Something that was asked for, under way: what it is, and how it ended.
type Work<'a> = Pin<Box<dyn Future<Output = (String, Result<Exit, Failure>)> + 'a>>;

/// The dashboard of a project.
pub(crate) struct Dashboard<'a> {
    session: &'a Session,
    subject: &'a Subject,
    model: Model,
    look: Look,
    interrupts: Interrupts,
    job: Job,
    journal: Events,
    logs: Option<LogStream>,
    /// Lines from here on are new.
    since: Option<Timestamp>,
    samples: Samples,
    acts: FuturesUnordered<Work<'a>>,
    /// It was asked to leave, and does so when what is under way has ended.
    leaving: bool,
}

impl<'a> Dashboard<'a> {
    /// Looks at the project for the first time.
    ///
    /// # Errors
    /// What keeps it from being looked at.
    pub(crate) async fn open(session: &'a Session, subject: &'a Subject) -> Result<Self, Failure> {
        let interrupts = Interrupts::listen_to_all()?;
        let observed = session.containers(&subject.pod)?;
        session.adopt(&subject.pod, &observed).await;
        let journal = session.engine()?.journal(&subject.pod, EventQuery::default());
        let journal = journal.map_err(|error| Failure::because("cannot follow the events", error))?;
        let look = Look { colour: session.colour, ascii: !speaks_unicode(session) };
        let mut dashboard = Self {
            session,
            subject,
            model: Model::new(subject.pod.as_str()),
            look,
            interrupts,
            job: Job::listen()?,
            journal,
            logs: None,
            since: None,
            samples: Samples::default(),
            acts: FuturesUnordered::new(),
            leaving: false,
        };
        dashboard.look_again(true)?;
        dashboard.open_logs()?;
        Ok(dashboard)
    }

    /// Shows it until it is left.
    ///
    /// # Errors
    /// The terminal cannot be used, or the project cannot be looked at any more.
    pub(crate) async fn run(mut self) -> Result<Exit, Failure> {
        let (say, mut said) = mpsc::unbounded_channel();
        let mut screen = Screen::open()?;
        // It is dropped before the screen: what is said after the screen has gone is written.
        let _diverted = output::divert(move |_, text| {
            // Nobody may listen any more.
            let _ = say.send(text.to_owned());
            Ok(())
        });
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            screen.draw(|frame| ui::draw(frame, &mut self.model, self.look))?;
            tokio::select! {
                biased;
                _ = self.interrupts.next_of_all() => return Ok(Exit::Interrupted),
                told = self.job.next() => match told {
                    Told::Stop => screen.suspend()?,
                    Told::Continued => screen.retake()?,
                },
                input = screen.next() => {
                    let request = match input? {
                        Input::Key(key) => self.model.press(key),
                        Input::Resized => None,
                        Input::Gone => return Ok(Exit::Interrupted),
                    };
                    if let Some(request) = request
                        && let Some(exit) = self.carry_out(request, &mut screen, &mut said).await?
                    {
                        return Ok(exit);
                    }
                }
                text = said.recv() => self.model.say(&text.unwrap_or_default()),
                Some((what, outcome)) = self.acts.next() => {
                    // What it said on its way is older than how it ended.
                    while said.try_recv().is_ok() {}
                    self.model.say(&told(&what, outcome));
                    self.look_again(false)?;
                    if self.leaving && self.acts.is_empty() {
                        return Ok(Exit::Success);
                    }
                }
                note = self.journal.next() => {
                    let note = note.map_err(|error| Failure::because("cannot follow the events", error))?;
                    let started = note.is_some_and(|note| matches!(note.event.kind, EventKind::Started { .. }));
                    self.look_again(false)?;
                    if started && self.logs.is_none() {
                        self.open_logs()?;
                    }
                }
                _ = ticks.tick() => self.look_again(true)?,
                line = next_line(&mut self.logs) => self.take_lines(line?)?,
            }
        }
    }

    /// Looks at the containers, and when it is time at what they use.
    fn look_again(&mut self, sample: bool) -> Result<(), Failure> {
        let observed = self.session.containers(&self.subject.pod)?;
        if sample {
            self.samples.take(self.session.engine()?, &observed);
        }
        self.model.set_rows(rows::of(self.subject, &observed, &self.samples, Timestamp::now()));
        self.model.set_graph(match &self.subject.loaded {
            Some((project, _)) => graph::text::write(&Graph::of(project, Some(&observed)), self.look.ascii),
            None => "The Compose file was not read: what needs what is written there.".to_owned(),
        });
        Ok(())
    }

    fn open_logs(&mut self) -> Result<(), Failure> {
        let tail = self.since.is_none().then_some(TAIL);
        let query = LogQuery { follow: true, tail, since: self.since, ..LogQuery::default() };
        let logs = self.session.engine()?.logs(&self.subject.pod, &[], query);
        self.logs = Some(logs.map_err(|error| Failure::because("cannot follow the logs", error))?);
        Ok(())
    }

    /// Takes a line, and what can be read at once after it; the end of the stream means that nothing can
    /// write until something is started again.
    fn take_lines(&mut self, first: Option<LogLine>) -> Result<(), Failure> {
        let mut next = Some(first);
        for _ in 0..BATCH {
            match next {
                Some(Some(line)) => {
                    self.since = Some(next_instant(line.time));
                    if line.number.is_some() {
                        let name = display_name(line.container.as_str(), self.subject.pod.as_str());
                        self.model.add_line(Entry { name, text: ui::clean(&line.text) });
                    }
                    next = next_line(&mut self.logs).now_or_never().transpose()?;
                }
                Some(None) => {
                    self.logs = None;
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
        if let Some(Some(line)) = next {
            self.model.add_line(Entry {
                name: display_name(line.container.as_str(), self.subject.pod.as_str()),
                text: ui::clean(&line.text),
            });
        }
        Ok(())
    }

    /// Does what was asked for; how the program ends, if that was it.
    async fn carry_out(
        &mut self,
        request: Request,
        screen: &mut Screen,
        said: &mut UnboundedReceiver<String>,
    ) -> Result<Option<Exit>, Failure> {
        match request {
            Request::Quit if self.acts.is_empty() => return Ok(Some(Exit::Success)),
            Request::Quit => {
                self.leaving = true;
                self.model.say("leaving when what is under way has ended; ctrl-c leaves at once");
            }
            Request::Interrupt => return Ok(Some(Exit::Interrupted)),
            Request::Suspend => screen.suspend()?,
            Request::Redraw => screen.redraw()?,
            Request::Restart(target) => self.act("restart", Verb::Restart { no_deps: false }, target),
            Request::Stop(target) => self.act("stop", Verb::Stop, target),
            Request::Start(target) => self.act("start", Verb::Start, target),
            Request::Shell(service, number) => {
                let argv = ["sh", "-c", SHELL].map(str::to_owned).to_vec();
                self.execute(screen, said, &service, number, argv, false).await?;
            }
            Request::Execute(service, number, line) => match words::split(&line) {
                Some(argv) => self.execute(screen, said, &service, number, argv, true).await?,
                None => self.model.say("a quote is not closed"),
            },
        }
        Ok(None)
    }

    /// Begins to act on services.
    fn act(&mut self, operation: &'static str, verb: Verb, target: Target) {
        let services = match target {
            Target::Project => vec![],
            Target::Service(service) => vec![service],
        };
        let what = format!("{operation} {}", services.first().map_or("everything", String::as_str));
        self.model.say(&format!("{what} …"));
        let (session, subject) = (self.session, self.subject);
        self.acts.push(Box::pin(async move {
            let act = Act { mode: Some(Mode::Plain), ..Act::new(verb) };
            (what, verb::perform_on(session, operation, subject, &services, &act).await)
        }));
    }

    /// Runs a command in a container, with the terminal to itself.
    async fn execute(
        &mut self,
        screen: &mut Screen,
        said: &mut UnboundedReceiver<String>,
        service: &str,
        number: u32,
        argv: Vec<String>,
        pause: bool,
    ) -> Result<(), Failure> {
        let pod = &self.subject.pod;
        let observed = self.session.containers(pod)?;
        let container = match select::running(&observed.containers, service, number) {
            Ok(container) => container,
            Err(failure) => {
                self.model.say(&failure.line());
                return Ok(());
            }
        };
        let request = ExecRequest {
            argv,
            environment: vec![],
            working_dir: None,
            user: None,
            privileged: false,
            detach: false,
        };
        let name = &container.record.spec.name;
        screen.leave();
        let ended = tokio::select! {
            biased;
            _ = self.interrupts.next_of_all() => Err(Failure::Silent(130)),
            ended = exec::attended(self.session, pod, &container.record.id, request, stream::terminal()) => ended,
        };
        let notice = match ended {
            Err(Failure::Silent(code)) => return Err(Failure::Silent(code)),
            Ok(code) => format!("the command in {name} ended with {code}"),
            Err(failure) => failure.line(),
        };
        // What was said meanwhile belongs to what was run.
        while let Ok(text) = said.try_recv() {
            output::Stream::Err.write(&text).map_err(|error| Failure::because("cannot write", error))?;
        }
        // What is written next passes by the thread that has written until now.
        let _ = behind::finish(None);
        screen.enter(pause.then_some(&format!("{notice}; press a key")))?;
        if pause {
            screen.any_key().await?;
        }
        screen.redraw()?;
        self.model.say(&notice);
        self.look_again(false)
    }
}

/// How an act ended, in a line.
fn told(what: &str, outcome: Result<Exit, Failure>) -> String {
    match outcome {
        Ok(_) => format!("{what}: done"),
        Err(failure) => format!("{what}: {}", failure.line()),
    }
}
