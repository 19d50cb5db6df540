//! The watch of a project: changes come in as batches, and each is brought into the containers.
//!
//! ```text
//! begin ─▶ what was edited while nobody watched is sent ─▶ ┌▶ a batch ─▶ rebuild ─▶ sync ─▶ restart ─▶ exec ─┐
//!                                                         ├▶ a container started ─▶ it gets what it lacks    │
//!                                                         └◀──────────────────────────────────────────────────┘
//! ```
//! Files go into running containers only. One that does not run gets what it missed when it starts, a new
//! one everything that was edited since its image was made: for both, [`Memory`] knows what that is.

mod memory;
pub(crate) mod rules;

use crate::commands::create::Making;
use crate::exit::Failure;
use crate::output;
use crate::session::Session;
use crate::verb::{self, Act};
use crate::view::progress::Mode;
use engine::{Claim, EngineError, Event, EventKind, EventStream, Sending};
use memory::Memory;
use plan::Verb;
use resource::{ContainerId, ObservedContainer, PodName, Status};
use rules::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use watch::{Actions, Batch, Notice, Observer, Rule, Sync, Watched, decide};

/// A batch of more files than this is announced: it takes a moment.
const MANY: usize = 1000;

/// How a watch talks, and what else it does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Builds are not shown.
    pub(crate) quiet: bool,
    /// Images that a rebuild left without a name are removed.
    pub(crate) prune: bool,
    /// What stands in front of its lines, among those of containers.
    pub(crate) mark: Option<String>,
}

/// A project that is watched.
pub(crate) struct Watching<'a> {
    session: &'a Session,
    pod: PodName,
    services: Arc<[Watched]>,
    commands: BTreeMap<(String, usize), engine::ExecRequest>,
    observer: Observer,
    memories: BTreeMap<String, Memory>,
    options: Options,
    /// Whether a batch is being acted on.
    busy: tokio::sync::watch::Sender<bool>,
    _claim: Claim,
}

/// Prints what would be watched.
pub(crate) fn tell_rules(sources: &[Source]) -> Result<(), Failure> {
    for Source { watched, .. } in sources {
        for rule in &watched.rules {
            let text =
                format!("watch {} for service {}: {:?}", rule.path.display(), watched.service, rule.action);
            output::planned(&text);
        }
    }
    Ok(())
}

impl<'a> Watching<'a> {
    /// Begins to watch: what changes from now on will be acted on.
    ///
    /// # Errors
    /// The project is watched already.
    pub(crate) fn begin(
        session: &'a Session,
        project: &str,
        sources: Vec<Source>,
        options: Options,
    ) -> Result<Self, Failure> {
        let pod = PodName(project.to_owned());
        let claim = session.engine()?.claim(&pod, "watch");
        let claim = claim.map_err(|error| Failure::because("cannot watch", error))?.ok_or_else(|| {
            Failure::new(format!("project `{pod}` is watched by another `compose watch` already"))
        })?;
        let mut commands = BTreeMap::new();
        let mut services = vec![];
        for source in sources {
            let name = &source.watched.service;
            commands
                .extend(source.commands.into_iter().map(|(rule, command)| ((name.clone(), rule), command)));
            services.push(source.watched);
        }
        let services: Arc<[Watched]> = services.into();
        let observer = Observer::new(Arc::clone(&services));
        let memories = BTreeMap::new();
        let busy = tokio::sync::watch::Sender::new(false);
        Ok(Self { session, pod, services, commands, observer, memories, options, busy, _claim: claim })
    }

    /// Tells whether a batch is being acted on, by which containers may end and others start.
    pub(crate) fn busy(&self) -> tokio::sync::watch::Receiver<bool> {
        self.busy.subscribe()
    }

    /// Acts on changes for ever; ends when the project is taken down.
    ///
    /// # Errors
    /// The supervisor cannot be reached. What goes wrong with a batch is told, and watching goes on.
    pub(crate) async fn run(&mut self) -> Result<(), Failure> {
        loop {
            let engine = self.session.engine()?;
            let failed = |error| Failure::because("cannot follow the events", error);
            let mut events = engine.events(&self.pod).await.map_err(failed)?;
            self.catch_up()?;
            self.say("Watch enabled");
            self.follow(&mut events).await?;
            // The supervisor ended: with the project, or by itself, and then another takes its place.
            if self.session.containers(&self.pod)?.containers.is_empty() {
                self.say("the project was taken down; watch ends");
                return Ok(());
            }
        }
    }

    /// Until the events end.
    async fn follow(&mut self, events: &mut EventStream) -> Result<(), Failure> {
        loop {
            for notice in self.observer.notices() {
                self.say(&words(&notice));
            }
            let outcome = tokio::select! {
                biased;
                event = events.next() => match event {
                    None => return Ok(()),
                    Some(event) => self.started(&event),
                },
                batch = self.observer.next() => {
                    self.busy.send_replace(true);
                    let outcome = self.act(&batch).await;
                    self.busy.send_replace(false);
                    outcome
                }
            };
            if let Err(failure) = outcome {
                self.say(&failure.line());
            }
        }
    }

    /// Keeps what is remembered for the next watch.
    pub(crate) fn end(&mut self) {
        for watched in self.services.iter() {
            let Some(memory) = self.memories.get(&watched.service) else { continue };
            // The project may be gone; then there is nothing to remember.
            if let Ok(engine) = self.session.engine()
                && engine.pod(&self.pod).is_some()
                && let Err(failure) = memory.keep(engine, &self.pod, &watched.service)
            {
                self.say(&failure.line());
            }
        }
    }

    /// Sends what was edited while nobody watched.
    fn catch_up(&mut self) -> Result<(), Failure> {
        let engine = self.session.engine()?;
        let observed = self.session.containers(&self.pod)?;
        for watched in Arc::clone(&self.services).iter() {
            let of_service = || of_service(&observed.containers, &watched.service);
            let Some(newest) = of_service().max_by_key(|it| it.record.created) else { continue };
            let image = newest.record.image.to_string();
            let made = newest.record.created.as_second();
            let (memory, census) = Memory::recall(engine, &self.pod, watched, &image, made);
            let sync = syncs(watched, &memory);
            for container in of_service().filter(|it| has_root(it)) {
                self.tell(watched, self.send(watched, container, &sync));
            }
            // In this order: killed in between, the next watch sends once more.
            memory.keep(engine, &self.pod, &watched.service)?;
            memory::keep_census(engine, &self.pod, &watched.service, &census)?;
            self.memories.insert(watched.service.clone(), memory);
        }
        // Every file was looked at, which takes memory for a moment; a watch waits for hours.
        sys::memory::give_back();
        Ok(())
    }

    /// A container that started lacks what was edited before, or while it did not run.
    fn started(&mut self, event: &Event) -> Result<(), Failure> {
        let services = Arc::clone(&self.services);
        let watched = services.iter().find(|watched| watched.service == event.service);
        let (Some(watched), EventKind::Started { .. }) = (watched, &event.kind) else { return Ok(()) };
        if event.number.is_none() {
            return Ok(());
        }
        let observed = self.session.containers(&self.pod)?;
        let Some(container) = observed.containers.iter().find(|it| it.record.id == event.container) else {
            return Ok(());
        };
        let image = container.record.image.to_string();
        let memory = self.memories.entry(watched.service.clone()).or_default();
        if memory.image != image {
            // The image has what was edited before it was made.
            *memory = Memory::of(image);
            memory.keep(self.session.engine()?, &self.pod, &watched.service)?;
        }
        let sync = syncs(watched, memory);
        self.tell(watched, self.send(watched, container, &sync));
        Ok(())
    }

    /// Does what a batch asks for: rebuild, then sync, then restart, then commands.
    async fn act(&mut self, batch: &Batch) -> Result<(), Failure> {
        let services = Arc::clone(&self.services);
        if batch.rescan {
            self.say("the kernel lost count of the changes; all files are looked at");
            return self.catch_up();
        }
        if batch.changed.len() > MANY {
            self.say(&format!("{} files changed at once", batch.changed.len()));
        }
        let asked: Vec<(&Watched, Actions)> = services
            .iter()
            .map(|watched| (watched, decide(watched, batch)))
            .filter(|(_, actions)| !actions.is_empty())
            .collect();
        // What goes wrong with one service is told; the others get theirs all the same.
        let mut failed = BTreeSet::new();
        let rebuilt = names(&asked, |actions| actions.rebuild, &failed);
        if !rebuilt.is_empty() {
            let outcome = self.rebuild(&rebuilt).await;
            failed.extend(rebuilt.into_iter().filter(|_| outcome.is_err()));
            self.is_told(outcome);
        }
        for (watched, actions) in asked.iter().filter(|(_, actions)| !actions.sync.is_empty()) {
            let outcome = self.sync(watched, &actions.sync);
            if self.is_told(outcome) {
                failed.insert(watched.service.clone());
            }
        }
        let restarted = names(&asked, |actions| actions.restart, &failed);
        if !restarted.is_empty() && self.is_told(self.restart(&restarted).await) {
            failed.extend(restarted);
        }
        for (watched, actions) in asked.iter().filter(|(watched, _)| !failed.contains(&watched.service)) {
            for rule in &actions.exec {
                self.execute(&watched.service, *rule).await?;
            }
        }
        Ok(())
    }

    /// Tells of a failure, if it is one.
    fn is_told(&self, outcome: Result<(), Failure>) -> bool {
        outcome.inspect_err(|failure| self.say(&failure.line())).is_err()
    }

    /// Builds and makes containers anew. When the build fails, what runs goes on.
    async fn rebuild(&mut self, services: &[String]) -> Result<(), Failure> {
        self.say(&format!("Rebuilding service(s) {services:?} after changes were detected..."));
        let making = Making { build: true, quiet_build: self.options.quiet, ..Making::default() };
        let made = making.prepare(self.session, services, Verb::Up, true)?;
        let mode = if self.options.quiet { Mode::Quiet } else { self.mode() };
        let progress = self.session.progress_in(mode, "up");
        made.converge(self.session, &progress).await?;
        self.say(&format!("service(s) {services:?} successfully built"));
        if self.options.prune {
            let engine = self.session.engine()?.clone();
            let collected = tokio::task::spawn_blocking(move || engine.collect_garbage()).await;
            let failed = |error| Failure::because("the image that was replaced stays", error);
            collected.map_or(Ok(()), |collected| collected.map(drop).map_err(failed))?;
        }
        Ok(())
    }

    fn sync(&mut self, watched: &Watched, sync: &[Sync]) -> Result<(), Failure> {
        let observed = self.session.containers(&self.pod)?;
        let memory = self.memories.entry(watched.service.clone()).or_default();
        let noted = memory.note(self.session.engine()?, &self.pod, &watched.service, sync);
        self.say(&format!(
            "Syncing service {:?} after {} changes were detected",
            watched.service,
            sync.len()
        ));
        let mut failed = noted.err();
        for container in of_service(&observed.containers, &watched.service).filter(|it| has_root(it)) {
            if let Err(failure) = self.send(watched, container, sync) {
                failed.get_or_insert(failure);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn restart(&self, services: &[String]) -> Result<(), Failure> {
        let subject = self.session.subject(services)?;
        let act = Act { mode: Some(self.mode()), ..Act::new(Verb::Restart { no_deps: false }) };
        verb::perform_on(self.session, "restart", &subject, services, &act).await?;
        self.say(&format!("service(s) {services:?} restarted"));
        Ok(())
    }

    /// Runs a rule's command in each running container of the service, and tells where it fails.
    async fn execute(&self, service: &str, rule: usize) -> Result<(), Failure> {
        let Some(command) = self.commands.get(&(service.to_owned(), rule)) else { return Ok(()) };
        let engine = self.session.engine()?;
        let observed = self.session.containers(&self.pod)?;
        let running = of_service(&observed.containers, service);
        for container in running.filter(|container| container.state.status == Status::Running) {
            let stdio = crate::stream::own_without_input()
                .map_err(|error| Failure::because("cannot hand the standard streams on", error))?;
            let name = &container.record.spec.name;
            let failed = |error: &dyn std::fmt::Display| {
                Failure::new(format!("the command of `exec` did not run in `{name}`: {error}"))
            };
            let mut exec = engine
                .exec(&self.pod, &container.record.id, command.clone(), stdio)
                .await
                .map_err(|error| failed(&error))?;
            let code = exec.wait().await.map_err(|error| failed(&error))?;
            if code != 0 {
                self.say(&format!("`{}` in `{name}` ended with exit code {code}", command.argv.join(" ")));
            }
        }
        Ok(())
    }

    /// Sends paths into one container; it may have ended meanwhile, and gets them when it starts again.
    fn send(&self, watched: &Watched, container: &ObservedContainer, sync: &[Sync]) -> Result<(), Failure> {
        let engine = self.session.engine()?;
        let id: &ContainerId = &container.record.id;
        let mut failed = None;
        for group in sync.chunk_by(|one, other| one.rule == other.rule) {
            let rule = &watched.rules[group[0].rule];
            let sendings: Vec<Sending> = group
                .iter()
                .map(|sync| Sending {
                    host: sync.host.clone(),
                    inside: sync.inside.clone(),
                    redressed: sync.redressed,
                    follows: sync.host == rule.path,
                })
                .collect();
            match engine.send(&self.pod, id, &sendings, &|inside, is_folder| {
                is_containers_own(watched, rule, inside, is_folder)
            }) {
                Ok(_) | Err(EngineError::NotRunning(_)) => {}
                Err(error) => {
                    let name = &container.record.spec.name;
                    let because = || Failure::because(format!("cannot sync container `{name}`"), error);
                    failed.get_or_insert_with(because);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// The form of progress: among the lines of containers nothing is redrawn in place.
    fn mode(&self) -> Mode {
        match self.session.mode {
            Mode::Tty if self.options.mark.is_some() => Mode::Plain,
            mode => mode,
        }
    }

    fn tell(&self, watched: &Watched, outcome: Result<(), Failure>) {
        if let Err(failure) = outcome {
            self.say(&format!("service `{}`: {}", watched.service, failure.line()));
        }
    }

    fn say(&self, text: &str) {
        let mark = self.options.mark.as_deref().unwrap_or_default();
        output::message(&format!("{mark}{text}\n"));
    }
}

/// The services that such an action is asked of, but for some.
fn names(
    asked: &[(&Watched, Actions)],
    is_asked: impl Fn(&Actions) -> bool,
    but: &BTreeSet<String>,
) -> Vec<String> {
    let names = asked.iter().filter(|(_, actions)| is_asked(actions)).map(|(it, _)| &it.service);
    names.filter(|name| !but.contains(*name)).cloned().collect()
}

/// What a folder that goes away leaves in the container: what its rule never sends.
fn is_containers_own(watched: &Watched, rule: &Rule, inside: &Path, is_folder: bool) -> bool {
    let Ok(relative) = inside.strip_prefix(&rule.target) else { return false };
    let host = rule.path.join(relative);
    let context = watched.context.as_ref();
    !if is_folder { rule.enters(&host, context) } else { rule.picks(&host, context) }
}

/// Whether there are processes, whose files can be written: frozen ones find them when they go on.
fn has_root(container: &ObservedContainer) -> bool {
    matches!(container.state.status, Status::Running | Status::Paused)
}

/// The service's containers but one-offs.
fn of_service<'a>(
    containers: &'a [ObservedContainer],
    service: &'a str,
) -> impl Iterator<Item = &'a ObservedContainer> {
    containers.iter().filter(move |container| {
        container.record.spec.service == service && container.record.spec.number.is_some()
    })
}

fn syncs(watched: &Watched, memory: &Memory) -> Vec<Sync> {
    let (changed, folders_redressed) = (memory.edited.clone(), memory.folders_redressed.clone());
    let batch = Batch { changed, folders_redressed, ..Batch::default() };
    let mut sync = decide(watched, &batch).sync;
    sync.sort_by_key(|sync| sync.rule);
    sync
}

fn words(notice: &Notice) -> String {
    match notice {
        Notice::Polled(path, others) => {
            let others = match others {
                0 => String::new(),
                count => format!(", and so are {count} more"),
            };
            format!(
                "the kernel has no file watches left: `{}` is looked at once a second instead{others}; raise the limit with `sysctl fs.inotify.max_user_watches=1048576`",
                path.display()
            )
        }
        Notice::Deaf(why) => format!(
            "the kernel gives no file watcher ({why}): everything is looked at once a second instead; raise the limit with `sysctl fs.inotify.max_user_instances=512`"
        ),
        Notice::Unreadable(path, why) => format!("`{}` is not watched: {why}", path.display()),
    }
}
