//! What a command works with: the flags before the verb, the environment, the project, the engine.
//! Each is found out when it is first asked for; `ps` does not pay for what only `up` needs.

mod project;

pub(crate) use project::Subject;

use crate::arguments::Globals;
use crate::environment::Environment;
use crate::exit::{Exit, Failure};
use crate::files;
use crate::output::{self, behind};
use crate::runtime::{self, Size};
use crate::terminal;
use crate::view::progress::{Mode, Progress};
use engine::user::{self, Purpose, World};
use engine::{Engine, Scope};
use resource::{Mapping, NetworkMode, Observed, PodName, Roots, Status, label};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::future::Future;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Everything a command works with.
pub(crate) struct Session {
    /// Flags before the verb.
    pub(crate) globals: Globals,
    /// Variables of the process and of `.env` files.
    environment: RefCell<Environment>,
    /// The current folder.
    current: PathBuf,
    /// The form of progress.
    pub(crate) mode: Mode,
    /// Colours on standard output.
    pub(crate) colour: bool,
    /// Colours on standard error.
    pub(crate) colour_errors: bool,
    engine: OnceCell<Engine>,
    /// One that only looks, from outside the user's world.
    viewer: OnceCell<Engine>,
    /// The world of an ordinary user, once it was looked for.
    world: RefCell<Option<World>>,
    /// It is still to be entered, and made if need be.
    outside: Cell<bool>,
    began: Instant,
    /// Warnings that were written.
    reported: RefCell<BTreeSet<String>>,
}

impl Session {
    /// Takes flags and environment in.
    pub(crate) fn open(globals: Globals) -> Result<Self, Failure> {
        let began = Instant::now();
        let current = std::env::current_dir()
            .map_err(|error| Failure::because("cannot find out the current folder", error))?;
        // A folder that was reached through a link keeps the link's name.
        let current = std::env::var_os("PWD")
            .map(PathBuf::from)
            .filter(|pwd| {
                pwd.is_absolute()
                    && pwd.canonicalize().is_ok_and(|real| Some(real) == current.canonicalize().ok())
            })
            .unwrap_or(current);
        if !globals.insecure_registry.is_empty() {
            return Err(Failure::unsupported("`--insecure-registry`")
                .hint("say `insecure = true` of the registry in registries.conf"));
        }
        let environment = Environment::read(&globals, &current)?;
        environment.check(&globals)?;
        let ansi = Ansi::choose(&globals, &environment)?;
        let mode = mode(&globals, &environment, ansi)?;
        let colour = ansi.colours(terminal::stdout(), &environment);
        let colour_errors = ansi.colours(terminal::stderr(), &environment);
        Ok(Self {
            globals,
            environment: RefCell::new(environment),
            current,
            mode,
            colour,
            colour_errors,
            engine: OnceCell::new(),
            viewer: OnceCell::new(),
            world: RefCell::default(),
            outside: Cell::new(false),
            began,
            reported: RefCell::default(),
        })
    }

    /// The environment as it is known by now.
    pub(crate) fn environment(&self) -> Environment {
        self.environment.borrow().clone()
    }

    /// The current folder.
    pub(crate) fn current(&self) -> &Path {
        &self.current
    }

    /// Progress for a verb.
    pub(crate) fn progress(&self, operation: &'static str) -> Progress {
        self.progress_in(self.mode, operation)
    }

    /// Progress that shows nothing when `quiet`.
    pub(crate) fn progress_unless(&self, quiet: bool, operation: &'static str) -> Progress {
        self.progress_in(if quiet { Mode::Quiet } else { self.mode }, operation)
    }

    /// Progress in this form.
    pub(crate) fn progress_in(&self, mode: Mode, operation: &'static str) -> Progress {
        Progress::new(mode, operation, self.colour_errors, self.globals.dry_run)
    }

    /// Notes how long the program has run, with `--trace-timing`.
    pub(crate) fn timing(&self, stage: &str) {
        self.timing_at(stage, Instant::now());
    }

    /// The same for a stage that ended a while ago.
    pub(crate) fn timing_at(&self, stage: &str, ended: Instant) {
        if self.globals.trace_timing || self.globals.verbose {
            let elapsed = ended.saturating_duration_since(self.began).as_secs_f64() * 1e3;
            output::message(&format!("timing: {elapsed:8.3} ms {stage}\n"));
        }
    }

    /// Writes a warning, in the form that progress has.
    pub(crate) fn warn(&self, text: &str) {
        match self.mode {
            Mode::Json => {
                let object = serde_json::json!({ "warning": true, "message": text });
                output::message(&format!("{object}\n"));
            }
            _ => output::warning(text, self.colour_errors),
        }
    }

    /// The engine.
    ///
    /// # Errors
    /// When this user may not use it, or its store is of a newer program.
    pub(crate) fn engine(&self) -> Result<&Engine, Failure> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        self.begin()?;
        let engine = self.open_engine()?;
        Ok(self.engine.get_or_init(|| engine))
    }

    /// The engine to look with: while the user's world is still to be entered, one that is outside of it. So
    /// what turns out to make no sense has made nothing.
    ///
    /// # Errors
    /// As of [`engine`](Self::engine).
    pub(crate) fn viewer(&self) -> Result<&Engine, Failure> {
        if !self.outside.get() {
            return self.engine();
        }
        if let Some(viewer) = self.viewer.get() {
            return Ok(viewer);
        }
        let viewer = self.open_engine()?;
        Ok(self.viewer.get_or_init(|| viewer))
    }

    fn open_engine(&self) -> Result<Engine, Failure> {
        Engine::open(self.roots()).map_err(|error| Failure::because("cannot open the engine", error))
    }

    /// Whether the user's world is still to be entered.
    pub(crate) fn is_outside(&self) -> bool {
        self.outside.get()
    }

    /// Enters the world of an ordinary user if somebody is there; root is in its own already. While the
    /// process has one thread. One who comes to work and finds nobody enters when it [begins](Self::begin).
    ///
    /// # Errors
    /// What keeps this user from having containers.
    pub(crate) fn enter(&self, purpose: Purpose) -> Result<(), Failure> {
        if rustix::process::geteuid().is_root() {
            return Ok(());
        }
        self.enter_to(Purpose::Look, purpose == Purpose::Work)?;
        let is_entered = self.world.borrow().as_ref().is_some_and(World::is_entered);
        self.outside.set(purpose == Purpose::Work && !is_entered);
        behind::hold(self.outside.get());
        Ok(())
    }

    /// Enters the user's world to work in it, if that is still to be done: once it is known that what was
    /// asked for makes sense, so that bad input starts nothing. While the process has one thread.
    ///
    /// # Errors
    /// What keeps this user from having containers.
    pub(crate) fn begin(&self) -> Result<(), Failure> {
        if self.outside.replace(false) {
            self.enter_to(Purpose::Work, true)?;
            behind::hold(false);
        }
        Ok(())
    }

    /// Runs a command that makes things, in the user's world; SIGINT and SIGTERM may end it at any point.
    ///
    /// # Errors
    /// What keeps this user from having containers; the command's own.
    pub(crate) fn work(&self, command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
        self.begin()?;
        runtime::interruptible(Size::Two, command)
    }

    /// The same for a command that deals with signals itself.
    ///
    /// # Errors
    /// As of [`work`](Self::work).
    pub(crate) fn attend(
        &self,
        command: impl Future<Output = Result<Exit, Failure>>,
    ) -> Result<Exit, Failure> {
        self.begin()?;
        runtime::run(Size::Two, command)
    }

    /// What this user's containers are without is told to who has something made; who only looks has heard it.
    fn enter_to(&self, purpose: Purpose, is_told: bool) -> Result<(), Failure> {
        let variable = |name: &str| self.environment.borrow().of_process(name).map(Into::into);
        let request = user::Request { root: self.root(), variable: &variable, purpose };
        let world = user::enter(&request).map_err(|error| {
            let help = error.help();
            let failure = Failure::because("containers of this user cannot be managed", error);
            match help {
                Some(help) => failure.hint(help),
                None => failure,
            }
        })?;
        let lacks = world.lacks.iter().filter(|_| is_told);
        world.warnings.iter().chain(lacks).for_each(|warning| self.warn(warning));
        let stranded = world.stranded.clone();
        self.world.replace(Some(world));
        self.timing("user's world entered");
        self.call_supervisors(&stranded);
        Ok(())
    }

    /// Has supervisors of these pods come: there is work for them, whatever this command is about.
    fn call_supervisors(&self, pods: &[PodName]) {
        if pods.is_empty() {
            return;
        }
        let roots = self.roots();
        // The caller may be in a runtime, which has no other within.
        let called = std::thread::scope(|scope| scope.spawn(|| call_each(roots, pods)).join());
        match called {
            Ok(Ok(failures)) => failures.iter().for_each(|failure| self.warn(&failure.line())),
            Ok(Err(failure)) => self.warn(&failure.line()),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        self.timing("supervisors called");
    }

    /// The folder that was named for the engine.
    fn root(&self) -> Option<PathBuf> {
        let variable = self.environment.borrow().of_process("COMPOSE_ENGINE_ROOT").map(PathBuf::from);
        let root = self.globals.root.clone().or(variable.filter(|path| !path.as_os_str().is_empty()));
        root.map(|root| files::absolute(&root, &self.current))
    }

    fn roots(&self) -> Roots {
        match (&*self.world.borrow(), self.root()) {
            (Some(world), _) => world.roots.clone(),
            (None, Some(root)) => Roots::below(&root),
            (None, None) => Roots::system(),
        }
    }

    /// Whether the engine is that of a user without subordinate ids.
    pub(crate) fn has_single_id(&self) -> bool {
        self.roots().mapping == Mapping::Single
    }

    /// How many pulls may go on at the same time.
    pub(crate) fn parallel(&self) -> NonZeroUsize {
        let unlimited = NonZeroUsize::new(64).expect("64 is not 0");
        let limit = self.globals.parallel.or_else(|| self.environment.borrow().parallel_limit());
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        limit.and_then(NonZeroUsize::new).unwrap_or(unlimited)
    }

    /// The documents of a project that cannot be read.
    ///
    /// # Errors
    /// The project cannot be looked at.
    pub(crate) fn damage(&self, pod: &PodName) -> Result<Vec<engine::Damage>, Failure> {
        self.viewer()?.damage(&scope(pod)).map_err(crate::converge::about(pod))
    }

    /// The containers of a pod's services, and nothing else that there is of it. An infra is left out;
    /// the ports it publishes are shown with the containers that want them.
    pub(crate) fn containers(&self, pod: &PodName) -> Result<Observed, Failure> {
        let containers = self.viewer()?.containers(pod);
        let failed = |error| Failure::because(format!("cannot look at project `{pod}`"), error);
        let (infra, mut containers): (Vec<_>, Vec<_>) =
            containers.map_err(failed)?.into_iter().partition(|container| container.record.spec.is_infra());
        for container in containers.iter_mut().filter(|container| container.state.process.is_some()) {
            let name = match &container.record.spec.network_mode {
                NetworkMode::Container(name) => name,
                _ => continue,
            };
            let published = infra.iter().filter(|infra| infra.record.spec.name == *name);
            let published = published.flat_map(|infra| &infra.state.ports);
            let wanted = &container.record.spec.ports;
            let own = published.filter(|binding| wanted.iter().any(|spec| spec.is_served_by(binding)));
            container.state.ports.extend(own.cloned());
        }
        Ok(Observed { containers, ..Observed::default() })
    }

    /// Whoever looks at a pod where something runs brings back a supervisor that died; when it lives
    /// that costs a greeting.
    pub(crate) fn supervise(&self, pod: &PodName, observed: &Observed) {
        let adopted = runtime::run(Size::One, async {
            self.adopt(pod, observed).await;
            Ok(())
        });
        if let Err(failure) = adopted {
            self.warn(&failure.line());
        }
        self.timing("supervised");
    }

    /// The same on the runtime of a command.
    pub(crate) async fn adopt(&self, pod: &PodName, observed: &Observed) {
        let rests = |status| matches!(status, Status::Created | Status::Exited);
        let resting = observed.containers.iter().all(|container| rests(container.state.status));
        let nobody = self.world.borrow().as_ref().is_some_and(|world| !world.is_entered());
        let interrupted = nobody && observed.containers.iter().any(engine::is_interrupted);
        if self.globals.dry_run || (resting && !interrupted) {
            return;
        }
        if nobody {
            self.warn(&format!(
                "project `{pod}` is not supervised: all processes of this user were ended, as at the end of its \
                 session; `compose start` goes on"
            ));
            return;
        }
        let adopt = async || {
            let adopted = self.engine()?.adopt(pod).await;
            adopted.map_err(|error| Failure::because(format!("project `{pod}` is not supervised"), error))
        };
        if let Err(failure) = adopt().await {
            self.warn(&failure.line());
        }
    }

    /// What there is of a pod: its containers, and its networks and volumes by label.
    pub(crate) fn observe(&self, pod: &PodName) -> Result<Observed, Failure> {
        let observed = self.viewer()?.observe(&scope(pod));
        observed.map_err(|error| Failure::because(format!("cannot look at project `{pod}`"), error))
    }
}

/// Has supervisors of these pods come, with an engine of its own: what that has open ends with its runtime.
fn call_each(roots: Roots, pods: &[PodName]) -> Result<Vec<Failure>, Failure> {
    let engine = Engine::open(roots).map_err(|error| Failure::because("cannot open the engine", error))?;
    runtime::run(Size::One, async {
        let mut failures = vec![];
        for pod in pods {
            let adopted = engine.adopt(pod).await;
            let about = format!("project `{pod}` is not supervised");
            failures.extend(adopted.err().map(|error| Failure::because(about, error)));
        }
        Ok(failures)
    })
}

/// The question about a pod and what carries its label.
pub(crate) fn scope(pod: &PodName) -> Scope {
    Scope {
        pod: pod.clone(),
        label: Some((label::PROJECT.to_owned(), pod.to_string())),
        networks: vec![],
        volumes: vec![],
        images: vec![],
    }
}

/// When colours are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ansi {
    Never,
    Always,
    Auto,
}

impl Ansi {
    fn choose(globals: &Globals, environment: &Environment) -> Result<Self, Failure> {
        let word = match &globals.ansi {
            _ if globals.no_ansi => return Ok(Self::Never),
            Some(word) => word.as_str(),
            None => environment.filled("COMPOSE_ANSI").unwrap_or("auto"),
        };
        match word {
            "never" => Ok(Self::Never),
            "always" => Ok(Self::Always),
            "auto" => Ok(Self::Auto),
            other => Err(Failure::new(match &globals.ansi {
                Some(_) => format!("invalid value for --ansi: `{other}`"),
                None => format!("the environment variable COMPOSE_ANSI is `{other}`"),
            })
            .hint("it is one of never, always and auto")),
        }
    }

    fn colours(self, terminal: bool, environment: &Environment) -> bool {
        let forbidden = environment.of_process("NO_COLOR").is_some_and(|value| !value.is_empty());
        !forbidden && (self == Self::Always || (self == Self::Auto && terminal && !is_dumb(environment)))
    }
}

/// Whether the terminal says of itself that it can do nothing but write lines.
fn is_dumb(environment: &Environment) -> bool {
    environment.of_process("TERM") == Some("dumb")
}

fn mode(globals: &Globals, environment: &Environment, ansi: Ansi) -> Result<Mode, Failure> {
    let word = globals
        .progress
        .as_deref()
        .or_else(|| environment.of_process("COMPOSE_PROGRESS").filter(|word| !word.is_empty()));
    let conflict =
        |mode: &str, ansi: &str| Failure::new(format!("cannot use --progress {mode} with --ansi {ansi}"));
    match word.unwrap_or("auto") {
        "auto" if ansi != Ansi::Never && terminal::stderr() && !is_dumb(environment) => Ok(Mode::Tty),
        "auto" => Ok(Mode::Plain),
        "tty" if ansi == Ansi::Never => Err(conflict("tty", "never")),
        "tty" => Ok(Mode::Tty),
        "plain" if ansi == Ansi::Always => Err(conflict("plain", "always")),
        "plain" => Ok(Mode::Plain),
        "json" => Ok(Mode::Json),
        "quiet" | "none" => Ok(Mode::Quiet),
        other => Err(Failure::new(match &globals.progress {
            Some(_) => format!("unsupported --progress value `{other}`"),
            None => format!("the environment variable COMPOSE_PROGRESS is `{other}`"),
        })
        .hint("it is one of auto, tty, plain, json and quiet")),
    }
}
