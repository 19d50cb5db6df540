//! What a command works with: the flags before the verb, the environment, the project, the engine.
//! Each is found out when it is first asked for; `ps` does not pay for what only `up` needs.

use crate::arguments::Globals;
use crate::environment::Environment;
use crate::exit::{Exit, Failure};
use crate::files::{self, Disk};
use crate::output;
use crate::runtime::{self, Size};
use crate::terminal;
use crate::view::progress::{Mode, Progress};
use compose_spec::{Input, Loaded, Options, Project};
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
    /// The world of an ordinary user, once it was looked for.
    world: RefCell<Option<World>>,
    /// It is still to be entered, and made if need be.
    outside: Cell<bool>,
    began: Instant,
    /// Warnings that were written.
    reported: RefCell<BTreeSet<String>>,
}

/// What is known of the project that a command is about.
pub(crate) struct Subject {
    /// Its name.
    pub(crate) pod: PodName,
    /// Its model; `None` when only the name is known.
    pub(crate) loaded: Option<(Project, Loaded)>,
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
        let engine =
            Engine::open(self.roots()).map_err(|error| Failure::because("cannot open the engine", error))?;
        Ok(self.engine.get_or_init(|| engine))
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
        self.enter_to(Purpose::Look)?;
        let is_entered = self.world.borrow().as_ref().is_some_and(World::is_entered);
        self.outside.set(purpose == Purpose::Work && !is_entered);
        Ok(())
    }

    /// Enters the user's world to work in it, if that is still to be done: once it is known that what was
    /// asked for makes sense, so that bad input starts nothing. While the process has one thread.
    ///
    /// # Errors
    /// What keeps this user from having containers.
    pub(crate) fn begin(&self) -> Result<(), Failure> {
        if self.outside.replace(false) { self.enter_to(Purpose::Work) } else { Ok(()) }
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

    fn enter_to(&self, purpose: Purpose) -> Result<(), Failure> {
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
        world.warnings.iter().for_each(|warning| self.warn(warning));
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
    pub(crate) fn parallel(&self) -> Result<NonZeroUsize, Failure> {
        let unlimited = NonZeroUsize::new(64).expect("64 is not 0");
        let limit = match (self.globals.parallel, self.environment.borrow().filled("COMPOSE_PARALLEL_LIMIT"))
        {
            (Some(limit), _) => limit,
            (None, Some(text)) => text.trim().parse().map_err(|_| {
                Failure::new(format!(
                    "the environment variable COMPOSE_PARALLEL_LIMIT is `{text}`, not an integer"
                ))
            })?,
            (None, None) => -1,
        };
        Ok(usize::try_from(limit).ok().and_then(NonZeroUsize::new).unwrap_or(unlimited))
    }

    /// The project's name from `-p` or the environment, checked.
    pub(crate) fn given_name(&self) -> Result<Option<String>, Failure> {
        let environment = self.environment.borrow();
        let name = match &self.globals.project_name {
            Some(name) => Some(name.clone()),
            None => environment.filled("COMPOSE_PROJECT_NAME").map(str::to_owned),
        };
        match name {
            Some(name) if name != normal(&name) || name.is_empty() => Err(Failure::new(format!(
                "invalid project name `{name}`"
            ))
            .hint("a project name has lower-case letters, digits, `_` and `-`, and begins with a letter or digit")),
            name => Ok(name),
        }
    }

    /// Warns of the documents of a project that cannot be read: what they are about is in no list.
    ///
    /// # Errors
    /// The project cannot be looked at.
    pub(crate) fn tell_damage(&self, pod: &PodName) -> Result<(), Failure> {
        let found = self.engine()?.damage(&scope(pod)).map_err(crate::converge::about(pod))?;
        found.iter().for_each(|damage| self.warn(&damage.to_string()));
        Ok(())
    }

    /// Whether the project goes by another name than its file's for this command: a given one, or a copy's.
    pub(crate) fn is_renamed(&self) -> Result<bool, Failure> {
        Ok(self.given_name()?.is_some() || self.copy()?.is_some())
    }

    /// The name of the copy to work on, from `--as` or the environment, checked.
    fn copy(&self) -> Result<Option<String>, Failure> {
        let environment = self.environment.borrow();
        let given = self.globals.copy.as_deref();
        let name = given.or_else(|| environment.filled("COMPOSE_AS"));
        match name {
            Some(name) if name != normal(name) || name.is_empty() => Err(Failure::new(format!(
                "invalid name of a copy `{name}`"
            ))
            .hint("it has lower-case letters, digits, `_` and `-`, and begins with a letter or digit")),
            name => Ok(name.map(str::to_owned)),
        }
    }

    /// The pod of the project with this name, or of its copy.
    fn pod(&self, name: String) -> Result<PodName, Failure> {
        Ok(PodName(match self.copy()? {
            Some(copy) => format!("{name}-{copy}"),
            None => name,
        }))
    }

    /// The Compose files and the project directory.
    fn sources(&self) -> Result<(Vec<PathBuf>, PathBuf), Failure> {
        let directory = self.globals.project_directory().map(|folder| files::absolute(folder, &self.current));
        let named = if self.globals.files.is_empty() {
            let environment = self.environment.borrow();
            let separator = environment.filled("COMPOSE_PATH_SEPARATOR").unwrap_or(":").to_owned();
            let list = environment
                .filled("COMPOSE_FILE")
                .map(|list| list.split(&separator).map(str::to_owned).collect());
            list.unwrap_or_default()
        } else {
            self.globals.files.clone()
        };
        let files: Vec<PathBuf> = if named.is_empty() {
            let start = directory.clone().unwrap_or_else(|| self.current.clone());
            let found = files::discover(&start);
            if found.files.is_empty() {
                return Err(files::none_found(&start));
            }
            if let Some(warning) = found.warning {
                self.warn(&warning);
            }
            found.files
        } else {
            files::named(&named, &self.current)?
        };
        let first = files.iter().find(|file| file.as_path() != Path::new("-"));
        let directory = directory
            .or_else(|| first.and_then(|file| file.parent().map(Path::to_owned)))
            .unwrap_or_else(|| self.current.clone());
        self.environment.borrow_mut().add_default(&directory)?;
        Ok((files, directory))
    }

    /// What the loader is to load. `services` are those named on the command line.
    pub(crate) fn input(&self, services: &[String], options: Options) -> Result<Input, Failure> {
        let (files, project_directory) = self.sources()?;
        let (project_name, copy) = (self.given_name()?, self.copy()?);
        let environment = self.environment.borrow();
        let profiles = if self.globals.profiles.is_empty() {
            let list = environment.filled("COMPOSE_PROFILES").unwrap_or_default();
            list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        } else {
            self.globals.profiles.clone()
        };
        Ok(Input {
            files,
            project_directory,
            project_name,
            copy,
            environment: environment.variables(),
            environment_files: environment.named_files.clone(),
            profiles,
            services: services.to_vec(),
            shown_from: self.current.clone(),
            options: Options { all_resources: self.globals.all_resources, ..options },
        })
    }

    /// Loads the project; warnings go to standard error.
    ///
    /// # Errors
    /// No file, or diagnostics with an error among them.
    pub(crate) fn load(&self, services: &[String]) -> Result<(Project, Loaded), Failure> {
        self.load_with(services, Options::default())
    }

    /// The same with the services of every profile.
    ///
    /// # Errors
    /// As [`Session::load`].
    pub(crate) fn load_whole(&self) -> Result<(Project, Loaded), Failure> {
        let input = self.input(&[], Options::default())?;
        self.load_input(&Input { profiles: vec!["*".to_owned()], ..input })
    }

    /// The same with steps left out.
    pub(crate) fn load_with(
        &self,
        services: &[String],
        options: Options,
    ) -> Result<(Project, Loaded), Failure> {
        self.load_input(&self.input(services, options)?)
    }

    /// What loading finds, whether it is an error or not.
    ///
    /// # Errors
    /// Nothing could be looked at: there is no file, or an environment file is wrong.
    pub(crate) fn examined(&self, services: &[String], options: Options) -> Result<Loaded, Failure> {
        Ok(compose_spec::load(&self.input(services, options)?, &Disk))
    }

    fn load_input(&self, input: &Input) -> Result<(Project, Loaded), Failure> {
        let mut loaded = compose_spec::load(input, &Disk);
        self.timing("project loaded");
        let drawn = diagnostic::render(&loaded.sources, &loaded.diagnostics, self.colour_errors);
        match loaded.project.take() {
            Some(project) => {
                self.report(&drawn);
                Ok((project, loaded))
            }
            None => Err(self.drawn(drawn + &self.more_about(&loaded))),
        }
    }

    /// Diagnostics as a failure, drawn.
    pub(crate) fn diagnostics(&self, loaded: &Loaded, diagnostics: &[diagnostic::Diagnostic]) -> Failure {
        self.drawn(diagnostic::render(&loaded.sources, diagnostics, self.colour_errors))
    }

    /// Where a person finds more about the first error.
    fn more_about(&self, loaded: &Loaded) -> String {
        let first = loaded.diagnostics.iter().find(|told| told.is_error());
        let code = first.map(|told| told.code).filter(|_| terminal::stderr() && self.mode != Mode::Json);
        code.map_or(String::new(), |code| format!("\nmore about it: compose explain {code}\n"))
    }

    fn drawn(&self, text: String) -> Failure {
        Failure::Drawn(text)
    }

    /// Writes warnings that were drawn. A project may be loaded more than once by a command; what was said
    /// of it is not said again.
    pub(crate) fn report(&self, drawn: &str) {
        if !self.reported.borrow_mut().insert(drawn.to_owned()) {
            return;
        }
        if !drawn.is_empty() && self.mode == Mode::Json {
            self.warn(drawn.trim_end());
        } else if !drawn.is_empty() {
            output::message(drawn);
        }
    }

    /// For verbs that need a project's name only: with `-p`, or `COMPOSE_PROJECT_NAME` in the
    /// process's environment, no file is read.
    pub(crate) fn named(&self) -> Result<Subject, Failure> {
        let from_process =
            self.environment.borrow().of_process("COMPOSE_PROJECT_NAME").is_some_and(|name| !name.is_empty());
        if (self.globals.project_name.is_some() || from_process)
            && let Some(name) = self.given_name()?
        {
            return Ok(Subject { pod: self.pod(name)?, loaded: None });
        }
        self.whole(&[])
    }

    /// For verbs that want the file but can do without: it is read unless `-p` is given without
    /// `-f`; when it cannot be and `COMPOSE_PROJECT_NAME` is set, the name has to do.
    pub(crate) fn subject(&self, services: &[String]) -> Result<Subject, Failure> {
        if self.globals.project_name.is_some()
            && self.globals.files.is_empty()
            && let Some(name) = self.given_name()?
        {
            return Ok(Subject { pod: self.pod(name)?, loaded: None });
        }
        match self.whole(services) {
            Ok(subject) => Ok(subject),
            Err(failure) => match self.given_name()? {
                Some(name) if self.globals.project_name.is_none() => {
                    Ok(Subject { pod: self.pod(name)?, loaded: None })
                }
                _ => Err(failure),
            },
        }
    }

    /// With the file; errors are told.
    fn whole(&self, services: &[String]) -> Result<Subject, Failure> {
        // What exists is not made from environment files; a missing one is no reason to fail.
        let options = Options { resolve_environment: false, ..Options::default() };
        let mut input = self.input(&[], options)?;
        let (mut project, mut loaded) = self.load_input(&input)?;
        // All services stay in sight, those that depend on the named ones too; but naming a service
        // activates its profiles.
        let disabled = services.iter().filter_map(|name| project.disabled_services.get(name));
        let profiles: Vec<String> = disabled.flat_map(|service| service.profiles.clone()).collect();
        if !profiles.is_empty() {
            input.profiles.extend(profiles);
            (project, loaded) = self.load_input(&input)?;
        }
        Ok(Subject { pod: PodName(project.name.clone()), loaded: Some((project, loaded)) })
    }

    /// The containers of a pod's services, and nothing else that there is of it. An infra is left out;
    /// the ports it publishes are shown with the containers that want them.
    pub(crate) fn containers(&self, pod: &PodName) -> Result<Observed, Failure> {
        let containers = self.engine()?.containers(pod);
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
        if self.globals.dry_run || observed.containers.iter().all(|container| rests(container.state.status)) {
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
        let observed = self.engine()?.observe(&scope(pod));
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

impl Globals {
    /// `--project-directory`, or its former spelling.
    pub(crate) fn project_directory(&self) -> Option<&Path> {
        self.project_directory.as_deref().or(self.workdir.as_deref())
    }
}

/// A project name in normal form.
pub(crate) fn normal(name: &str) -> String {
    let kept: String = name
        .to_lowercase()
        .chars()
        .filter(|letter| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '_' | '-')
        })
        .collect();
    kept.trim_start_matches(['_', '-']).to_owned()
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
            other => Err(Failure::new(format!("invalid value for --ansi: `{other}`"))
                .hint("it is one of never, always and auto")),
        }
    }

    fn colours(self, terminal: bool, environment: &Environment) -> bool {
        let forbidden = environment.of_process("NO_COLOR").is_some_and(|value| !value.is_empty());
        !forbidden && (self == Self::Always || (self == Self::Auto && terminal))
    }
}

fn mode(globals: &Globals, environment: &Environment, ansi: Ansi) -> Result<Mode, Failure> {
    let word = globals
        .progress
        .as_deref()
        .or_else(|| environment.of_process("COMPOSE_PROGRESS").filter(|word| !word.is_empty()));
    let conflict =
        |mode: &str, ansi: &str| Failure::new(format!("cannot use --progress {mode} with --ansi {ansi}"));
    match word.unwrap_or("auto") {
        "auto" if ansi != Ansi::Never && terminal::stderr() => Ok(Mode::Tty),
        "auto" => Ok(Mode::Plain),
        "tty" if ansi == Ansi::Never => Err(conflict("tty", "never")),
        "tty" => Ok(Mode::Tty),
        "plain" if ansi == Ansi::Always => Err(conflict("plain", "always")),
        "plain" => Ok(Mode::Plain),
        "json" => Ok(Mode::Json),
        "quiet" | "none" => Ok(Mode::Quiet),
        other => Err(Failure::new(format!("unsupported --progress value `{other}`"))
            .hint("it is one of auto, tty, plain, json and quiet")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        assert_eq!(normal("My_App.2"), "my_app2");
        assert_eq!(normal("__x"), "x");
        assert_eq!(normal("…"), "");
    }
}
