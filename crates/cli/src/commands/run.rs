//! `compose run`: runs a one-off container of a service and passes its exit code on.
//!
//! ```text
//! dependencies up, healthy ─▶ image ─▶ create ─▶ start on our own streams ─▶ wait ─▶ (remove)
//! ```
//! Standard input, output and error are handed to the container as they are: nothing is relayed
//! unless there is a terminal.

use super::create::{Making, pull_policy};
use crate::converge::{self, Job, Tuning};
use crate::exit::{Exit, Failure};
use crate::hook::{self, HookError};
use crate::lock::hold::Hold;
use crate::perform::{self, Performer};
use crate::provider;
use crate::runtime::Interrupts;
use crate::session::Session;
use crate::stream::{self, Joined};
use crate::view::progress::{Mode, Progress};
use crate::{environment, files, output, terminal, wanted};
use compose_spec::{Loaded, Options, Project};
use engine::{Engine, EngineError, FailureKind, Stdio};
use lower::{OneOff, OneOffContainer};
use plan::{Orphans, Planned, Policy, Provided, Reason, Step, Verb};
use resource::{
    BuildSpec, Condition, ContainerId, ContainerSpec, Desired, ExitStatus, ImageNeed, Observed, PodName,
    PullPolicy, Timestamp, label,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Flags of `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Build the image before
    #[arg(long)]
    pub(crate) build: bool,
    /// Add a capability
    #[arg(long, value_name = "NAME")]
    pub(crate) cap_add: Vec<String>,
    /// Drop a capability
    #[arg(long, value_name = "NAME")]
    pub(crate) cap_drop: Vec<String>,
    /// Print the container's id and return
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Instead of the entry point
    #[arg(long, value_name = "COMMAND")]
    pub(crate) entrypoint: Option<String>,
    /// NAME=VALUE, or NAME to pass it on
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = crate::arguments::variable)]
    pub(crate) env: Vec<String>,
    /// Read variables from a file
    #[arg(long, value_name = "FILE")]
    pub(crate) env_from_file: Vec<String>,
    /// Use the images of compose.lock and no others; also COMPOSE_FROZEN=1
    #[arg(long)]
    pub(crate) frozen: bool,
    /// Keep standard input open
    #[arg(short, long, default_value_t = true, hide_default_value = true, action = clap::ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) interactive: bool,
    /// A label
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,
    /// Name of the container
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Neither start nor wait for services depended on
    #[arg(long)]
    pub(crate) no_deps: bool,
    /// No terminal
    #[arg(short = 'T', long, alias = "no-TTY", conflicts_with = "tty")]
    pub(crate) no_tty: bool,
    /// Publish a port
    #[arg(short, long, value_name = "PORT", conflicts_with = "service_ports")]
    pub(crate) publish: Vec<String>,
    /// When to pull: always, missing, never
    #[arg(long, value_name = "POLICY")]
    pub(crate) pull: Option<String>,
    /// No progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Build without output
    #[arg(long)]
    pub(crate) quiet_build: bool,
    /// Pull without progress
    #[arg(long)]
    pub(crate) quiet_pull: bool,
    /// Remove containers of services that are not in the file
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// Remove the container when it exits
    #[arg(long)]
    pub(crate) rm: bool,
    /// Publish the service's ports
    #[arg(short = 'P', long)]
    pub(crate) service_ports: bool,
    /// Use the service's network aliases
    #[arg(long)]
    pub(crate) use_aliases: bool,
    /// USER or USER:GROUP
    #[arg(short, long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// A volume, `[SOURCE:]TARGET[:OPTIONS]`; relative sources count from here
    #[arg(short, long, value_name = "VOLUME")]
    pub(crate) volume: Vec<String>,
    /// Working directory
    #[arg(short, long, value_name = "PATH")]
    pub(crate) workdir: Option<String>,
    /// A terminal
    #[arg(short, long, hide = true)]
    pub(crate) tty: bool,
    /// The service, and the command with its arguments
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, value_names = ["SERVICE", "COMMAND"])]
    pub(crate) words: Vec<String>,
}

/// What is to be run.
struct OneOffRun<'a> {
    args: &'a Args,
    session: &'a Session,
    /// What the service depends on.
    dependencies: Desired,
    spec: ContainerSpec,
    need: ImageNeed,
    /// How its image is built.
    builds: Vec<BuildSpec>,
    /// Services that it can do without.
    optional: BTreeSet<String>,
    /// Variables that the command line sets.
    set: BTreeSet<String>,
    orphans: Orphans,
    tty: bool,
}

/// Runs the container.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let (service, command) = args.words.split_first().ok_or_else(|| Failure::new("no service was named"))?;
    let making = Making { build: args.build, remove_orphans: args.remove_orphans, ..Making::default() };
    let orphans = making.orphans(session)?;
    // A volume that no service mounts is the project's all the same.
    let options = Options { all_resources: !args.volume.is_empty(), ..Options::default() };
    let loaded = session.load_with(std::slice::from_ref(service), options)?;
    let (project, texts) = &loaded;
    wanted::selection(session, &loaded, std::slice::from_ref(service))?;
    let overrides = overrides(args, session, project, service, command)?;
    let tty = overrides.tty;
    let made = lower::one_off(project, service, &overrides, &wanted::options(session, texts));
    let made = made.map_err(|diagnostics| session.diagnostics(texts, &diagnostics))?;
    let set = overrides.environment.into_keys().collect();
    let OneOffContainer { mut spec, image: mut need, mut builds, volumes } = made;
    if let Some(policy) = pull_policy(args.pull.as_deref())? {
        need.policy = policy;
    }
    if args.build && !builds.is_empty() {
        need.policy = PullPolicy::Build;
    }
    builds.iter_mut().for_each(|build| crate::building::complete_one(session, build));
    let mut dependencies = dependencies(session, &loaded, service, args.no_deps)?;
    let others = dependencies.volumes.iter().map(|volume| &volume.name).cloned().collect::<BTreeSet<_>>();
    dependencies.volumes.extend(volumes.into_iter().filter(|volume| !others.contains(&volume.name)));
    if let Some(hold) = Hold::asked(session, args.frozen, project)? {
        hold.one(&loaded, &mut spec, &mut need, &mut builds)?;
        hold.project(&loaded, &mut dependencies)?;
    }
    let optional = optional(project, service);
    let one = OneOffRun { args, session, dependencies, spec, need, builds, optional, set, orphans, tty };
    if session.globals.dry_run {
        return one.dry_run();
    }
    one.foresee()?;
    session.attend(one.run())
}

/// What the flags change of the service's container.
fn overrides(
    args: &Args,
    session: &Session,
    project: &Project,
    service: &str,
    command: &[String],
) -> Result<OneOff, Failure> {
    let input_given = args.tty;
    let tty = !args.detach && !args.no_tty && terminal::stdout() && (terminal::stdin() || input_given);
    let entrypoint = match &args.entrypoint {
        None => None,
        Some(text) => Some(crate::words::split(text).ok_or_else(|| {
            Failure::new(format!("invalid value for --entrypoint: `{text}`")).hint("a quote is not closed")
        })?),
    };
    let mut labels = BTreeMap::new();
    for label in &args.label {
        match label.split_once('=') {
            Some((key, value)) => drop(labels.insert(key.to_owned(), value.to_owned())),
            None => return Err(Failure::new(format!("label `{label}` must be KEY=VALUE"))),
        }
    }
    Ok(OneOff {
        slug: slug()?,
        name: args.name.clone(),
        command: command.to_vec(),
        entrypoint,
        environment: variables(args, session, project)?,
        labels,
        user: args.user.clone(),
        working_dir: args.workdir.clone(),
        cap_add: args.cap_add.clone(),
        cap_drop: args.cap_drop.clone(),
        publish: args.publish.clone(),
        service_ports: args.service_ports,
        volumes: args.volume.clone(),
        directory: session.current().to_owned(),
        use_aliases: args.use_aliases,
        tty: tty || (args.detach && project.services.get(service).is_some_and(|service| service.tty)),
        interactive: args.interactive,
        remove: args.rm,
    })
}

/// 64 random hexadecimal digits.
fn slug() -> Result<String, Failure> {
    use std::io::Read as _;
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| Failure::because("cannot make up a name", error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// `--env` over `--env-from-file`; a name alone is taken from the project's environment.
fn variables(
    args: &Args,
    session: &Session,
    project: &Project,
) -> Result<BTreeMap<String, Option<String>>, Failure> {
    let mut variables = BTreeMap::new();
    for file in &args.env_from_file {
        let path = files::absolute(Path::new(file), session.current());
        let read = environment::parse(&path, &project.environment)?;
        variables.extend(read.into_iter().map(|(name, value)| (name, Some(value))));
    }
    for entry in &args.env {
        match entry.split_once('=') {
            Some((name, value)) => drop(variables.insert(name.to_owned(), Some(value.to_owned()))),
            None => drop(variables.insert(entry.clone(), project.environment.get(entry).cloned())),
        }
    }
    Ok(variables)
}

/// The service's dependencies without the service; its networks and volumes are there all the same.
fn dependencies(
    session: &Session,
    loaded: &(Project, Loaded),
    service: &str,
    none: bool,
) -> Result<Desired, Failure> {
    let mut selection = wanted::selection(session, loaded, &[service.to_owned()])?;
    if none {
        selection = selection.without_dependencies();
    }
    let mut desired = wanted::of_project(session, loaded, &selection)?;
    desired.services.retain(|known| known.name != service);
    let started = super::create::started(&desired).chain([service]).collect();
    wanted::foresee_models(session, loaded, &started)?;
    // They are waited for as the service's own `depends_on` says, by way of its conditions.
    desired.services.iter_mut().for_each(|known| known.selected = false);
    Ok(desired)
}

impl OneOffRun<'_> {
    fn dry_run(self) -> Result<Exit, Failure> {
        let progress = self.session.progress("run");
        let preview = self.dependencies_job(&progress).look()?;
        if !preview.is_empty() {
            preview.tell();
        }
        let verbs = ["create", "start", "remove"].into_iter().take(if self.args.rm { 3 } else { 2 });
        verbs.for_each(|verb| output::planned(&format!("{verb} {}", self.spec.name)));
        Ok(Exit::Success)
    }

    /// What brings up the service's dependencies.
    fn dependencies_job<'a>(&'a self, progress: &'a Progress) -> Job<'a> {
        let policy = Policy { orphans: self.orphans, ..Policy::new(Verb::Up, Timestamp::now()) };
        let tuning = Tuning { quiet_pull: self.args.quiet_pull, ..Tuning::default() };
        Job { session: self.session, progress, desired: self.dependencies.clone(), policy, tuning }
    }

    /// Refuses what cannot run because an image is not here and may not be pulled, as long as nothing has
    /// been made for it.
    fn foresee(&self) -> Result<(), Failure> {
        converge::foresee(self.session, &self.dependencies)?;
        let may_be_had = self.need.policy != PullPolicy::Never || !self.builds.is_empty();
        if may_be_had || !self.session.is_outside() {
            return Ok(());
        }
        let store = self.session.viewer()?.store();
        let here = store.image(&self.need.reference, self.need.platform.as_ref());
        here.map_or_else(|| Err(self.is_without_image()), |_| Ok(()))
    }

    fn is_without_image(&self) -> Failure {
        Failure::new(format!(
            "image {} of service `{}` ({}) is not here and may not be pulled",
            self.need.reference.familiar(),
            self.spec.service,
            self.need.place
        ))
    }

    async fn run(self) -> Result<Exit, Failure> {
        let mut interrupts = Interrupts::listen()?;
        let engine = self.session.engine()?;
        let progress = self.session.progress_unless(self.args.quiet, "run");
        let id = tokio::select! {
            biased;
            made = self.make(engine, &progress) => made?,
            _ = interrupts.next() => return Ok(Exit::Interrupted),
        };
        progress.finish();
        if self.args.detach {
            let started = engine.start(&self.spec.pod, &id).await;
            if let Err(error) = started {
                return Err(self.start_failed(engine, &id, error).await);
            }
            self.tell_shortcomings(engine, &id)?;
            self.post_start(engine, &id).await?;
            output::line(id.as_str())?;
            return Ok(Exit::Success);
        }
        let code = self.attached(engine, &id, &mut interrupts).await?;
        if self.args.rm {
            self.remove(engine, &id).await;
        }
        Ok(code)
    }

    /// Brings up what the service needs, and creates the container.
    async fn make(&self, engine: &Engine, progress: &Progress) -> Result<ContainerId, Failure> {
        let done = self.dependencies_job(progress).run().await?;
        self.await_dependencies(engine).await?;
        self.image(engine, progress).await?;
        let pod = &self.spec.pod;
        let about = converge::about(pod);
        let lock =
            engine.lock(pod, || progress.message("waiting for another command on this project\n")).await;
        let _lock = lock.map_err(&about)?;
        let performer = Performer::new(engine, pod, &Observed::default());
        let planned = Planned {
            step: Step::CreateContainer { spec: Box::new(self.given(engine, done.provided)), replaces: None },
            reason: Reason::Asked,
        };
        let made = perform::alone(&performer, &planned, |line| progress.tell(line)).await;
        made.map_err(|error| perform::explain(&planned, error, &self.dependencies))?;
        let found = engine.find_container(&self.spec.name).map(|(_, id)| id);
        found.ok_or_else(|| Failure::new(format!("container `{}` was removed meanwhile", self.spec.name)))
    }

    /// The container, with what the providers of the service's dependencies have answered; by `--no-deps`, last.
    fn given(&self, engine: &Engine, provided: BTreeMap<String, Provided>) -> ContainerSpec {
        let answers = if self.args.no_deps {
            provider::remembered(engine, &self.spec.pod)
        } else {
            let done = provided.into_iter().filter_map(|(service, provided)| match provided {
                Provided::Done(answers) => Some((service, answers)),
                _ => None,
            });
            done.collect()
        };
        let mut spec = self.spec.clone();
        let needs: Vec<String> = depends_on(&self.spec).into_iter().map(|(service, _)| service).collect();
        lower::give_one_off(&mut spec, needs.iter().map(String::as_str), &answers, &self.set);
        spec
    }

    /// Waits for what the service's `depends_on` asks of each dependency.
    async fn await_dependencies(&self, engine: &Engine) -> Result<(), Failure> {
        if self.args.no_deps {
            return Ok(());
        }
        let pod = &self.spec.pod;
        let about = converge::about(pod);
        let observed = engine.containers(pod).map_err(&about)?;
        for (service, condition) in depends_on(&self.spec) {
            for container in observed.iter().filter(|container| container.record.spec.service == service) {
                if condition == Condition::Started || crate::view::row::is_one_off(container) {
                    continue;
                }
                let state = engine.wait(pod, &container.record.id, condition).await.map_err(&about)?;
                match holds(condition, &state, container.record.spec.name.as_str()) {
                    Err(failure) if self.optional.contains(&service) => {
                        self.session.warn(&format!("optional {}", failure.line()));
                    }
                    held => held?,
                }
            }
        }
        Ok(())
    }

    async fn image(&self, engine: &Engine, progress: &Progress) -> Result<(), Failure> {
        let need = &self.need;
        let here = engine.store().image(&need.reference, need.platform.as_ref()).is_some();
        let can_be_built = !self.builds.is_empty();
        let is_named = self.builds.first().is_none_or(|build| build.named);
        match need.policy {
            PullPolicy::Build if can_be_built => return self.build(engine, progress).await,
            PullPolicy::Always if is_named => {}
            _ if here => return Ok(()),
            PullPolicy::Never if can_be_built => return self.build(engine, progress).await,
            PullPolicy::Never | PullPolicy::Build => return Err(self.is_without_image()),
            _ if !is_named => return self.build(engine, progress).await,
            _ => {}
        }
        let performer = Performer::new(engine, &self.spec.pod, &Observed::default());
        let planned = Planned {
            step: Step::Pull { need: need.clone(), services: vec![self.spec.service.clone()] },
            reason: Reason::Asked,
        };
        let quiet = self.args.quiet_pull;
        let show = |line: &_| {
            if !quiet {
                progress.tell(line);
            }
        };
        match perform::alone(&performer, &planned, show).await {
            Err(_) if can_be_built => self.build(engine, progress).await,
            pulled => pulled.map_err(|error| perform::explain(&planned, error, &self.dependencies)),
        }
    }

    async fn build(&self, engine: &Engine, progress: &Progress) -> Result<(), Failure> {
        let quiet = Progress::new(Mode::Quiet, "build", false, false);
        let shown = if self.args.quiet_build { &quiet } else { progress };
        let built = crate::building::build_to_run(engine, &self.builds, self.session.parallel(), shown).await;
        built.map(drop).map_err(crate::building::failure)
    }

    /// Starts the container on our streams and waits for its end; signals are passed on to it.
    async fn attached(
        &self,
        engine: &Engine,
        id: &ContainerId,
        interrupts: &mut Interrupts,
    ) -> Result<Exit, Failure> {
        let pod = &self.spec.pod;
        let streams = |error| Failure::because("cannot hand the standard streams on", error);
        let stdio: Stdio = match (self.tty, self.args.interactive) {
            (true, _) => stream::terminal(),
            (false, true) => stream::own().map_err(streams)?,
            (false, false) => stream::own_without_input().map_err(streams)?,
        };
        interrupts.pass_on();
        let master = match engine.run_attached(pod, id, stdio).await {
            Ok(master) => master,
            Err(error) => return Err(self.start_failed(engine, id, error).await),
        };
        self.tell_shortcomings(engine, id)?;
        let joined = master.map(Joined::join).transpose();
        let joined = joined.map_err(|error| Failure::because("cannot use the terminal", error))?;
        let (hooks, ended) = tokio::join!(self.post_start(engine, id), wait(engine, pod, id, interrupts));
        if let Some(joined) = joined {
            joined.finish();
        }
        hooks.and(ended)
    }

    /// Says what of its limits is not enforced for a container that has started.
    fn tell_shortcomings(&self, engine: &Engine, id: &ContainerId) -> Result<(), Failure> {
        let asks = self.spec.resources.asks_for_limits();
        let everywhere = if asks { engine.limits_not_enforced() } else { None };
        let pod = &self.spec.pod;
        let observed = engine.containers(pod).map_err(converge::about(pod))?;
        let own = observed.into_iter().find(|container| container.record.id == *id);
        let own = own.map(|container| container.state.not_enforced).unwrap_or_default();
        everywhere.into_iter().chain(own).for_each(|text| self.session.warn(&text));
        Ok(())
    }

    /// Runs the hooks of a container that has started, unless it has ended already.
    async fn post_start(&self, engine: &Engine, id: &ContainerId) -> Result<(), Failure> {
        let done = hook::run(engine, &self.spec.pod, id, "post_start", &self.spec.post_start).await;
        match done {
            Err(HookError::Run { source, .. }) if source.kind() == Some(&FailureKind::NotRunning) => Ok(()),
            Err(error) => Err(Failure::because(format!("service `{}`", self.spec.service), error)),
            Ok(()) => Ok(()),
        }
    }

    /// Nothing half-made is left of a container that did not start, when it was to be removed.
    async fn start_failed(&self, engine: &Engine, id: &ContainerId, error: EngineError) -> Failure {
        if self.args.rm {
            self.remove(engine, id).await;
        }
        let code = error.start_exit_code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        let place =
            if self.need.place.is_empty() { String::new() } else { format!(" ({})", self.need.place) };
        let help = match &error {
            EngineError::Start { foreign: Some(foreign), .. } => Some(foreign.help.clone()),
            _ => (code == 127).then(|| "the program is looked up inside the image".to_owned()),
        };
        let failure =
            Failure::because(format!("service `{}`{place}", self.spec.service), error).with_code(code);
        match help {
            Some(help) => failure.hint(help),
            None => failure,
        }
    }

    /// Removes the container; the supervisor may have done so already.
    async fn remove(&self, engine: &Engine, id: &ContainerId) {
        let pod = &self.spec.pod;
        let Ok(_lock) = engine.lock(pod, || ()).await else { return };
        if let Err(error) = engine.remove_container(pod, id, true).await
            && !matches!(error, EngineError::NoSuchId(_))
        {
            let failure = Failure::because(format!("cannot remove container `{}`", self.spec.name), error);
            self.session.warn(&failure.line());
        }
    }
}

/// Waits for the end of the container; SIGINT, SIGTERM and their like go to it.
async fn wait(
    engine: &Engine,
    pod: &PodName,
    id: &ContainerId,
    interrupts: &mut Interrupts,
) -> Result<Exit, Failure> {
    let mut end = std::pin::pin!(engine.wait(pod, id, Condition::Exited));
    loop {
        tokio::select! {
            biased;
            state = &mut end => {
                let state = match state {
                    Ok(state) => state,
                    Err(error) => return Err(Failure::because("cannot learn how the container ended", error)),
                };
                return Ok(Exit::Code(state.exit.and_then(ExitStatus::code).unwrap_or(1)));
            }
            signal = interrupts.next_passed_on() => {
                // It may have ended this very moment.
                let _ = engine.kill(pod, id, signal).await;
            }
        }
    }
}

/// The services without which a service starts, too, when they fail.
fn optional(project: &Project, service: &str) -> BTreeSet<String> {
    let service = project.services.get(service).or_else(|| project.disabled_services.get(service));
    let edges = service.into_iter().flat_map(|service| &service.depends_on);
    edges.filter(|(_, dependency)| !dependency.required).map(|(name, _)| name.clone()).collect()
}

/// What the label of the container says of its dependencies.
fn depends_on(spec: &ContainerSpec) -> Vec<(String, Condition)> {
    let text = spec.labels.get(label::DEPENDS_ON).map_or("", String::as_str);
    text.split(',')
        .filter_map(|entry| {
            let mut parts = entry.split(':');
            let service = parts.next().filter(|name| !name.is_empty())?;
            Some((
                service.to_owned(),
                match parts.next() {
                    Some("service_healthy") => Condition::Healthy,
                    Some("service_completed_successfully") => Condition::CompletedSuccessfully,
                    _ => Condition::Started,
                },
            ))
        })
        .collect()
}

fn holds(condition: Condition, state: &resource::ContainerState, name: &str) -> Result<(), Failure> {
    let healthy =
        state.health.as_ref().is_some_and(|health| health.status == resource::HealthStatus::Healthy);
    let code = state.exit.and_then(ExitStatus::code);
    let failed = |why: &str| Err(Failure::new(format!("dependency failed to start: container {name} {why}")));
    match condition {
        Condition::Healthy if healthy && state.status == resource::Status::Running => Ok(()),
        Condition::Healthy if state.status == resource::Status::Running && state.health.is_none() => {
            failed("has no healthcheck configured")
        }
        Condition::Healthy if state.status == resource::Status::Running => failed("is unhealthy"),
        Condition::CompletedSuccessfully if code == Some(0) => Ok(()),
        Condition::Started | Condition::Exited => Ok(()),
        _ => failed(&format!(
            "exited ({})",
            code.map_or_else(|| "unknown".to_owned(), |code| code.to_string())
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_random_and_hexadecimal() {
        let (one, other) = (slug().unwrap(), slug().unwrap());
        assert_eq!(one.len(), 64);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one, other);
    }
}
