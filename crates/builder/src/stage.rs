//! Does what a stage says, instruction by instruction. What only changes the configuration is computed each
//! time; what changes files is looked for among earlier results first.

use crate::board::{Asked, Board, Over};
use crate::error::{at, chain};
use crate::event::{Event, EventKind};
use crate::graph::{Graph, Node, Origin, Target};
use crate::machine::Machine;
use crate::state::{Key, State};
use diagnostic::{Diagnostic, Span};
use dockerfile::{Command, Healthcheck, Instruction, InstructionKind, Pair, Word, expand, expand_list};
use resource::{
    Digest, HealthCheck, Image, ImageNeed, OciLayout, Platform, PullPolicy, Reference, Timestamp, signal,
};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use store::{Pin, StepResult, StepSlot, Store};

/// What all stages of a build work with.
pub(crate) struct Site<'a> {
    pub(crate) store: &'a Store,
    pub(crate) machine: &'a dyn Machine,
    pub(crate) graph: &'a Graph,
    pub(crate) board: &'a Board,
    pub(crate) tell: &'a (dyn Fn(Event) + Sync),
    /// Images that were found, by reference and platform.
    pub(crate) images: Mutex<HashMap<String, Arc<Mutex<Option<Image>>>>>,
    /// What keeps those of them that have no name in the store.
    pub(crate) pins: Mutex<Vec<Pin>>,
}

/// Why a stage goes no further.
pub(crate) enum Stop {
    /// Something else failed.
    Over,
    /// This.
    Failed(Box<Diagnostic>),
}

impl From<Over> for Stop {
    fn from(_: Over) -> Self {
        Self::Over
    }
}

impl From<Diagnostic> for Stop {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Failed(Box::new(diagnostic))
    }
}

/// Makes a failure of an error that a step met.
pub(crate) fn met(span: Span, attempt: impl AsRef<str>, error: &dyn std::error::Error) -> Stop {
    at(span, "step-failed", format!("cannot {}: {}", attempt.as_ref(), chain(error))).into()
}

/// A stage at work.
pub(crate) struct Worker<'a> {
    pub(crate) site: &'a Site<'a>,
    pub(crate) node: Node,
    pub(crate) target: &'a Target,
    pub(crate) state: State,
    /// The number of the next step that is told.
    number: usize,
}

/// A step that is being told of.
pub(crate) struct Told<'a> {
    site: &'a Site<'a>,
    number: u32,
    began: Instant,
}

impl Told<'_> {
    pub(crate) fn line(&self, text: String) {
        (self.site.tell)(Event { step: self.number, kind: EventKind::Output(text) });
    }

    fn cached(&self) {
        (self.site.tell)(Event { step: self.number, kind: EventKind::Cached });
    }

    fn end<T>(&self, result: Result<T, Stop>) -> Result<T, Stop> {
        let kind = match &result {
            Ok(_) => EventKind::Done(self.began.elapsed()),
            Err(Stop::Over) => EventKind::Cancelled,
            Err(Stop::Failed(diagnostic)) => EventKind::Failed(diagnostic.message.to_string()),
        };
        (self.site.tell)(Event { step: self.number, kind });
        result
    }
}

/// Does a stage that has been claimed, and puts on the board what it has come to.
pub(crate) fn perform(site: &Site<'_>, node: Node) {
    match work(site, node) {
        Ok(state) => site.board.done(node, state),
        Err(Stop::Over) => {}
        Err(Stop::Failed(diagnostic)) => {
            if site.board.fail(site.graph.targets[node.target].drawn(*diagnostic)) {
                site.machine.give_up();
            }
        }
    }
}

/// A stage, from what it starts from to its last instruction.
fn work(site: &Site<'_>, node: Node) -> Result<State, Stop> {
    let target = &site.graph.targets[node.target];
    let nothing = State::begin(None, dockerfile::StageScope::default());
    let mut worker = Worker { site, node, target, state: nothing, number: 1 };
    let triggers = worker.begin()?;
    let stage = &target.file.stages[node.stage];
    for trigger in &triggers {
        worker.instruction(trigger).map_err(|stop| of_base(stop, stage))?;
    }
    for instruction in &stage.instructions {
        worker.instruction(instruction)?;
    }
    Ok(worker.state)
}

impl<'a> Worker<'a> {
    /// What another stage has come to, named at this place.
    pub(crate) fn other(&self, node: Node, span: Span) -> Result<State, Stop> {
        loop {
            match self.site.board.result(node, self.node)? {
                Asked::Done(state) => return Ok(*state),
                Asked::Yours => perform(self.site, node),
                Asked::Circle => {
                    let message = "this stage takes files from itself by way of others";
                    return Err(at(span, "circular-build", message).into());
                }
            }
        }
    }

    fn stage(&self) -> &'a dockerfile::Stage {
        &self.target.file.stages[self.node.stage]
    }

    /// Tells that a step begins.
    pub(crate) fn told(&mut self, text: &str) -> Result<Told<'a>, Stop> {
        let number = self.site.board.number()?;
        let files = |instruction: &&Instruction| {
            use InstructionKind::{Add, Copy, Run, Workdir};
            matches!(instruction.kind, Add(_) | Copy(_) | Run(_) | Workdir(_))
        };
        let total = 1 + self.stage().instructions.iter().filter(files).count();
        let stage = match &self.stage().name {
            Some(name) => format!(" {}", name.text),
            None if self.target.file.stages.len() > 1 => format!(" stage-{}", self.node.stage),
            None => String::new(),
        };
        let build = self.target.spec.name.clone();
        let platform = match self.site.graph.has_siblings(self.node) {
            true => format!(" {}", self.target.platform),
            false => String::new(),
        };
        let label = format!("{build}{platform}{stage} {}/{}", self.number, total.max(self.number));
        self.number += 1;
        let kind = EventKind::Begun { build, label, text: text.to_owned() };
        (self.site.tell)(Event { step: number, kind });
        Ok(Told { site: self.site, number, began: Instant::now() })
    }

    /// Takes what the stage starts from, and returns what that wants done first.
    fn begin(&mut self) -> Result<Vec<Instruction>, Stop> {
        let stage = self.stage();
        let origin = self.site.graph.base(self.node).map_err(first)?;
        let triggers;
        match origin {
            Origin::Scratch => {
                let scope = self.target.global.stage([]);
                self.state = State::begin(None, scope);
                triggers = vec![];
            }
            Origin::Stage(node) => {
                let mut state = self.other(node, stage.from.span)?;
                if node.target != self.node.target {
                    let environment = pairs(&state.config.environment);
                    state.scope = self.target.global.stage(environment);
                }
                state.has_command = false;
                triggers = std::mem::take(&mut state.config.triggers);
                self.state = state;
            }
            Origin::Folder(name) => {
                // As if its files were all that an image has.
                self.state = State::begin(None, self.target.global.stage([]));
                triggers = vec![format!("COPY --from={name} / /")];
            }
            Origin::Image(reference) => {
                let told = self.told(&stage.original)?;
                let platform = self.site.graph.platform(self.node).map_err(first)?;
                let image = self.image(&reference, &platform, stage.from.span, &|line| told.line(line));
                triggers = self.stand_on(told.end(image)?);
            }
            Origin::Layout(layout) => {
                let told = self.told(&stage.original)?;
                let platform = self.site.graph.platform(self.node).map_err(first)?;
                let image = self.of_files(&layout, &platform, stage.from.span);
                triggers = self.stand_on(told.end(image)?);
            }
        }
        self.state.epoch = self.target.epoch;
        self.read_triggers(&triggers)
    }

    /// Begins with an image; returns what that wants done first.
    fn stand_on(&mut self, image: Image) -> Vec<String> {
        let scope = self.target.global.stage(pairs(&image.config.environment));
        let triggers = image.config.triggers.clone();
        self.state = State::begin(Some(image), scope);
        triggers
    }

    fn read_triggers(&self, triggers: &[String]) -> Result<Vec<Instruction>, Stop> {
        let mut sources = self.target.sources.clone();
        let mut read = vec![];
        for text in triggers {
            let file = sources.add("ONBUILD", text.as_str());
            let instruction = dockerfile::trigger(file, text);
            read.push(instruction.map_err(|mut found| of_base(found.remove(0).into(), self.stage()))?);
        }
        Ok(read)
    }

    /// An image, pulled when it is missing or when the build wants it fresh; once for all stages.
    pub(crate) fn image(
        &self,
        reference: &Reference,
        platform: &Platform,
        span: Span,
        tell: &(dyn Fn(String) + Sync),
    ) -> Result<Image, Stop> {
        let store = self.site.store;
        let reference = &self.held(reference, platform, span)?;
        let key = format!("{reference} {platform} {}", self.target.spec.pull);
        let place = {
            let mut images = self.site.images.lock().unwrap_or_else(PoisonError::into_inner);
            images.entry(key).or_default().clone()
        };
        let mut known = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = &*known {
            return Ok(image.clone());
        }
        let wanted = (*platform != Platform::host()).then_some(platform);
        let here = || {
            let image = store.image(reference, wanted)?;
            image.layers.iter().all(|layer| store.has_layer(layer)).then_some(image)
        };
        let found = if self.target.spec.pull { None } else { here() };
        let image = match found {
            Some(image) => image,
            None => {
                let need = ImageNeed {
                    reference: reference.clone(),
                    platform: wanted.cloned(),
                    policy: PullPolicy::Always,
                    buildable: false,
                    resolved: None,
                    place: String::new(),
                };
                let pulled = self.site.machine.pull(&need, tell);
                pulled.map_err(|error| {
                    let missing = at(span, "no-image", chain(&*error));
                    // Where a stage or context was meant, there is nothing to log in to.
                    let meant = self.site.graph.meant(self.node, reference);
                    match meant.or_else(|| self.site.machine.remedy(&*error)) {
                        Some(help) => missing.help(help),
                        None => missing,
                    }
                })?;
                here().ok_or_else(|| {
                    at(span, "no-image", format!("`{}` is gone again", reference.familiar()))
                })?
            }
        };
        *known = Some(image.clone());
        Ok(image)
    }

    /// An image in files, its layers unpacked; once for all stages.
    pub(crate) fn of_files(
        &self,
        layout: &OciLayout,
        platform: &Platform,
        span: Span,
    ) -> Result<Image, Stop> {
        let key = format!("{layout} {platform}");
        let place = {
            let mut images = self.site.images.lock().unwrap_or_else(PoisonError::into_inner);
            images.entry(key).or_default().clone()
        };
        let mut known = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = &*known {
            return Ok(image.clone());
        }
        let taken = self.site.machine.take_in(layout, platform);
        let (image, pin) = taken.map_err(|error| at(span, "no-image", chain(&*error)))?;
        self.site.pins.lock().unwrap_or_else(PoisonError::into_inner).push(pin);
        *known = Some(image.clone());
        Ok(image)
    }

    /// The reference with the digest that it is held to, where images are held to digests.
    fn held(&self, reference: &Reference, platform: &Platform, span: Span) -> Result<Reference, Stop> {
        let Some(locked) = &self.target.spec.locked else { return Ok(reference.clone()) };
        let message = || format!("`{}` for {platform} is not in the lock", reference.familiar());
        Ok(locked.exact(reference, platform).ok_or_else(|| at(span, "not-locked", message()))?)
    }

    /// Whether earlier results are not to be used.
    fn is_uncached(&self) -> bool {
        let spec = &self.target.spec;
        let name = self.stage().name.as_ref().map(|name| name.text.as_str());
        let named = |stage: &String| {
            name.is_some_and(|name| name.eq_ignore_ascii_case(stage)) || *stage == self.node.stage.to_string()
        };
        spec.no_cache || spec.no_cache_stages.iter().any(named)
    }

    /// Finds the result of a step or makes it. `work` returns the folder with what has changed.
    pub(crate) fn layered(
        &mut self,
        instruction: &Instruction,
        text: &str,
        key: &Digest,
        work: impl FnOnce(&mut Self, &Told<'a>) -> Result<PathBuf, Stop>,
    ) -> Result<(), Stop> {
        self.layered_as(instruction, text, text, key, work)
    }

    /// The same, `noted` in the image's history.
    pub(crate) fn layered_as(
        &mut self,
        instruction: &Instruction,
        text: &str,
        noted: &str,
        key: &Digest,
        work: impl FnOnce(&mut Self, &Told<'a>) -> Result<PathBuf, Stop>,
    ) -> Result<(), Stop> {
        let told = self.told(text)?;
        let result = self.result(instruction.span, key, &told, work);
        let result = match result {
            Ok((result, true)) => {
                told.cached();
                result
            }
            Ok((result, false)) => told.end(Ok(result))?,
            Err(stop) => return told.end(Err(stop)),
        };
        self.site.board.used(self.node, key, &result);
        self.state.created = self.state.created.max(result.created);
        self.state.note(noted, result.layer);
        Ok(())
    }

    /// A result, and whether it was there.
    fn result(
        &mut self,
        span: Span,
        key: &Digest,
        told: &Told<'a>,
        work: impl FnOnce(&mut Self, &Told<'a>) -> Result<PathBuf, Stop>,
    ) -> Result<(StepResult, bool), Stop> {
        let (store, board) = (self.site.store, self.site.board);
        let failed = |error: store::StoreError| met(span, "keep the step's result", &error);
        let writer = if self.is_uncached() && !board.has_made(key) {
            let writer = store.begin_step_anew(key).map_err(failed)?;
            if board.has_made(key)
                && let Some(result) = store.step(key)
            {
                return Ok((result, true));
            }
            writer
        } else {
            match store.begin_step(key).map_err(failed)? {
                StepSlot::Present(result) => return Ok((result, true)),
                StepSlot::Missing(writer) => match self.imported(key, told) {
                    Some(Ok(result)) => {
                        writer.keep(&result).map_err(failed)?;
                        return Ok((result, true));
                    }
                    Some(Err(why)) => {
                        told.line(format!("the result in the cache cannot be used: {why}"));
                        writer
                    }
                    None => writer,
                },
            }
        };
        let slot = board.slot()?;
        let changes = work(self, told)?;
        let made = store.take_changes(changes).map_err(failed)?;
        drop(slot);
        let layer = made.as_ref().map(|made| (made.info.diff_id.clone(), made.archive_size));
        let result = StepResult { layer, created: Timestamp::now() };
        writer.keep(&result).map_err(failed)?;
        board.made(key);
        Ok((result, false))
    }

    /// What another machine's results have for a step.
    fn imported(&self, key: &Digest, told: &Told<'_>) -> Option<Result<StepResult, String>> {
        self.target.cache.take(self.site.store, self.site.machine, key, &|line| told.line(line))
    }

    /// Expands a word with the variables of this place.
    pub(crate) fn expand(&self, word: &Word) -> Result<String, Stop> {
        Ok(expand(word, &self.state.scope)?)
    }

    fn pairs(&self, pairs: &[Pair]) -> Result<Vec<(String, String)>, Stop> {
        pairs.iter().map(|pair| Ok((self.expand(&pair.key)?, self.expand(&pair.value)?))).collect()
    }

    fn instruction(&mut self, instruction: &Instruction) -> Result<(), Stop> {
        let text = instruction.original.clone();
        match &instruction.kind {
            InstructionKind::Add(_) | InstructionKind::Copy(_) => return self.transfer(instruction),
            InstructionKind::Run(run) => return self.run(instruction, run),
            InstructionKind::Workdir(word) => return self.workdir(instruction, word),
            InstructionKind::Arg(args) => {
                for arg in args {
                    self.state.scope.declare(arg, &self.target.global)?;
                }
            }
            InstructionKind::Env(list) => {
                for (name, value) in self.pairs(list)? {
                    self.state.set_environment(&name, &value);
                    self.state.scope.set_env(name, value);
                }
            }
            InstructionKind::Label(list) => self.state.config.labels.extend(self.pairs(list)?),
            InstructionKind::Cmd(command) => {
                self.state.config.command = self.argv(command);
                self.state.has_command = true;
            }
            InstructionKind::Entrypoint(command) => {
                self.state.config.entrypoint = self.argv(command);
                // A command of the base was for the base's entrypoint.
                if !self.state.has_command {
                    self.state.config.command.clear();
                }
            }
            InstructionKind::Expose(words) => self.expose(words)?,
            InstructionKind::Healthcheck(check) => self.state.config.healthcheck = self.healthcheck(check),
            InstructionKind::Maintainer(name) => self.state.author = Some(name.clone()),
            InstructionKind::Onbuild(onbuild) => self.state.config.triggers.push(onbuild.trigger.clone()),
            InstructionKind::Shell(shell) => self.state.config.shell.clone_from(shell),
            InstructionKind::StopSignal(word) => {
                let signal = self.expand(word)?;
                if signal::parse(&signal).is_none() {
                    let message = format!("`{signal}` is no signal");
                    let help = "write it like `SIGINT`, `SIGRTMIN+3` or `2`";
                    return Err(at(word.span, "bad-signal", message).help(help).into());
                }
                self.state.config.stop_signal = Some(signal);
            }
            InstructionKind::User(word) => self.state.config.user = self.expand(word)?,
            InstructionKind::Volume(words) => {
                for word in words {
                    let path = self.expand(word)?;
                    if !self.state.config.volumes.contains(&path) {
                        self.state.config.volumes.push(path);
                    }
                }
                // As they come back from a configuration that was kept.
                self.state.config.volumes.sort();
            }
        }
        self.state.note(&text, None);
        Ok(())
    }

    fn argv(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(argv) => argv.clone(),
            Command::Shell(text) => self.state.shell().into_iter().chain([text.clone()]).collect(),
        }
    }

    fn expose(&mut self, words: &[Word]) -> Result<(), Stop> {
        for word in words {
            for port in expand_list(word, &self.state.scope)? {
                // Of `host:container` only the latter means something; a build check says so.
                let (_, inside) = port.rsplit_once(':').unwrap_or(("", &port));
                let (number, protocol) = inside.split_once('/').unwrap_or((inside, ""));
                let protocol = if protocol.is_empty() { "tcp" } else { protocol }.to_ascii_lowercase();
                let bad = || {
                    at(word.span, "bad-port", format!("`{port}` is no port such as `80/tcp`"))
                        .help("a port or a range of them, and `tcp`, `udp` or `sctp`")
                };
                if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
                    return Err(bad().into());
                }
                let (first, last) = number.split_once('-').unwrap_or((number, number));
                let range = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
                let (first, last) = range.filter(|(first, last)| first <= last).ok_or_else(bad)?;
                for number in first..=last {
                    let exposed = format!("{number}/{protocol}");
                    if !self.state.config.exposed_ports.contains(&exposed) {
                        self.state.config.exposed_ports.push(exposed);
                    }
                }
            }
        }
        self.state.config.exposed_ports.sort();
        Ok(())
    }

    fn healthcheck(&self, check: &Healthcheck) -> Option<HealthCheck> {
        let Healthcheck::Check { command, interval, timeout, start_period, start_interval, retries } = check
        else {
            return None;
        };
        Some(HealthCheck {
            test: self.argv(command),
            interval: *interval,
            timeout: *timeout,
            retries: *retries,
            start_period: *start_period,
            start_interval: *start_interval,
        })
    }

    fn workdir(&mut self, instruction: &Instruction, word: &Word) -> Result<(), Stop> {
        let path = self.state.absolute(&self.expand(word)?);
        self.state.config.working_dir = if path == "/" { String::new() } else { path.clone() };
        let text = format!("WORKDIR {path}");
        let layers = self.state.all_layers();
        let span = instruction.span;
        // What is missing is made for who goes on in it.
        let owner = match self.state.config.user.as_str() {
            "" => None,
            user => Some(self.owner(user, span)?),
        };
        let key = Key::new("workdir").with_all(layers.iter().map(Digest::as_str)).with(&path);
        let key = key.with(format!("{:?}", owner.unwrap_or_default())).finish();
        self.layered(instruction, &text, &key, |worker, _| {
            worker.changed(span, &layers, |root| {
                let manner = crate::copy::Manner { owner, mode: None };
                let mut target = crate::copy::Target::new(root, manner);
                target.make_folder(std::path::Path::new(path.trim_start_matches('/'))).map(drop)
            })
        })
    }

    /// Changes the files of layers and returns the folder with the changes.
    pub(crate) fn changed(
        &self,
        span: Span,
        layers: &[Digest],
        change: impl FnOnce(&std::os::fd::OwnedFd) -> std::io::Result<()>,
    ) -> Result<PathBuf, Stop> {
        let store = self.site.store;
        let folder = store.scratch("view").map_err(|error| met(span, "make a folder", &error))?;
        let changes = store.scratch("step").map_err(|error| met(span, "make a folder", &error))?;
        let done = store.writable_view(layers, &folder).and_then(|root| {
            change(&root)?;
            drop(root);
            std::fs::rename(folder.join("upper"), &changes)
        });
        // What cannot be removed now is swept later.
        drop(std::fs::remove_dir_all(&folder));
        match done {
            Ok(()) => Ok(changes),
            Err(error) => Err(at(span, "step-failed", format!("cannot copy: {error}")).into()),
        }
    }
}

/// A failure of what the base wants done: it is shown where the base is asked for.
fn of_base(stop: Stop, stage: &dockerfile::Stage) -> Stop {
    match stop {
        Stop::Failed(mut diagnostic) => {
            diagnostic.labels.clear();
            (*diagnostic).at(stage.from.span, "an `ONBUILD` of this image").into()
        }
        Stop::Over => Stop::Over,
    }
}

/// `NAME=value` as pairs.
fn pairs(environment: &[String]) -> impl Iterator<Item = (&str, &str)> {
    environment.iter().filter_map(|entry| entry.split_once('='))
}

/// The first of the things that are wrong.
fn first(mut error: crate::BuildError) -> Stop {
    match error.diagnostics.is_empty() {
        true => Stop::Over,
        false => error.diagnostics.remove(0).into(),
    }
}
