//! Makes reality match what is wanted: lock, observe, plan, apply, and round again after every wait.
//!
//! ```text
//! lock ─▶ observe ─▶ plan images ─▶ pull, build (lock given up) ─▶ lock, observe
//!      ─▶ plan ─▶ apply ─┬▶ done
//!                        └▶ waiting: lock given up until a condition holds or cannot hold, or a provider has
//!                                    come to its end, then lock …
//! ```
//! The lock is never held while waiting for a registry, a container's health, a provider, or a person.

mod preview;
mod waiting;

use crate::exit::Failure;
use crate::perform::{self, Performer};
use crate::provider::{self, Providers};
use crate::session::{self, Session};
use crate::view::progress::{Line, Mode, Progress, Status};
use crate::view::row;
use engine::{Engine, EngineError, ProjectLock, Scope};
use plan::{Plan, Policy, Provided, Question, Verb, Warning};
pub(crate) use preview::Preview;
use resource::{Desired, Observed, PodName, PullPolicy, Reference, Resources, Timestamp};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use waiting::Patience;

/// What is to be made true, and how.
pub(crate) struct Job<'a> {
    /// The session.
    pub(crate) session: &'a Session,
    /// Where progress goes.
    pub(crate) progress: &'a Progress,
    /// What is wanted.
    pub(crate) desired: Desired,
    /// The verb and its flags.
    pub(crate) policy: Policy,
    /// Details.
    pub(crate) tuning: Tuning,
}

/// What a job says and how long it waits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tuning {
    /// Pulls are not shown.
    pub(crate) quiet_pull: bool,
    /// Builds are not shown.
    pub(crate) quiet_build: bool,
    /// Images were seen to just before; none is pulled once more.
    pub(crate) images_done: bool,
    /// Containers that run already are told of.
    pub(crate) tell_running: bool,
    /// What it makes is started by a job that follows, which makes what is left, too.
    pub(crate) starts_next: bool,
    /// The time that waits for conditions may take in all.
    pub(crate) limit: Option<Duration>,
}

/// How often images are fetched that somebody else takes away meanwhile.
const FETCHES: u32 = 3;

/// What came of it.
pub(crate) struct Converged {
    /// No plan had a step.
    pub(crate) unchanged: bool,
    /// There was nothing the verb could have acted on.
    pub(crate) nothing: bool,
    /// Services whose containers are as they are wanted, and end again and again or are unhealthy.
    pub(crate) ill: BTreeSet<String>,
    /// What has come of providers.
    pub(crate) provided: BTreeMap<String, Provided>,
}

impl Job<'_> {
    fn engine(&self) -> Result<&Engine, Failure> {
        self.session.engine()
    }

    /// Goes round until nothing is left to do.
    ///
    /// # Errors
    /// The first step that failed, or what stands in the way.
    pub(crate) async fn run(self) -> Result<Converged, Failure> {
        self.run_as(None).await
    }

    /// The same, if what would be done is what is expected: compared under the project's lock, before
    /// anything is done.
    ///
    /// # Errors
    /// Something else would be done; those of [`Job::run`].
    pub(crate) async fn run_as(mut self, expected: Option<&str>) -> Result<Converged, Failure> {
        if self.session.globals.dry_run {
            return self.dry_run();
        }
        let deadline = self.tuning.limit.map(|limit| Instant::now() + limit);
        let mut warned = BTreeSet::new();
        let mut unchanged = true;
        let mut lock = self.lock().await?;
        let told = |text| self.warn_once(text, &mut warned);
        crate::mending::mend(self.engine()?, &self.desired, &self.policy.verb, told).await?;
        let mut observed = self.observe()?;
        if let Some(expected) = expected {
            self.preview(&observed)?.is(expected)?;
        }
        if self.wants_images() {
            let mut images = plan::plan_images(&self.desired, &observed, Timestamp::now());
            self.told(&images, &mut warned)?;
            let mut rounds = if self.tuning.images_done { 0 } else { FETCHES };
            while !images.is_empty() && rounds > 0 {
                (unchanged, rounds) = (false, rounds - 1);
                drop(lock);
                self.fetch(&images).await?;
                lock = self.lock().await?;
                observed = self.observe()?;
                images = self.taken_away(&observed);
            }
            crate::wanted::resolve(&mut self.desired, &observed);
        }
        self.session.timing("observed");
        let mut patience = Patience::default();
        let mut providers = Providers::new(self.session, self.progress, &self.desired);
        loop {
            self.policy.now = Timestamp::now();
            let (desired, told) = self.given()?;
            told.into_iter().for_each(|text| self.warn_once(text, &mut warned));
            let plan = plan::plan(&desired, &observed, &self.policy);
            drop(desired);
            self.session.timing("planned");
            self.warn(&plan, &mut warned);
            let asked: Vec<Question> = plan.questions().cloned().collect();
            if !asked.is_empty() && self.ask(&asked)? {
                continue;
            }
            unchanged &= is_unchanged(&plan);
            if self.wants_images() && !plan.is_empty() {
                self.warn_of_limits(&mut warned)?;
            }
            let nothing = plan.warnings.contains(&Warning::NothingToDo);
            let outcome = self.apply(&plan, &observed, &mut warned).await?;
            self.session.timing("applied");
            // What a provider failed to end keeps nothing else from ending.
            let goes_on = !self.wants_images() && matches!(outcome, apply::Outcome::Waiting { .. });
            if let Some(failure) = plan.failures.first().filter(|_| !goes_on) {
                return Err(failed(failure));
            }
            let apply::Outcome::Waiting { awaits, provides } = outcome else {
                if self.policy.wait && !plan.is_empty() {
                    // Whether what was started stays up shows itself in the next plan.
                    drop(lock);
                    self.settle().await?;
                    lock = self.lock().await?;
                    observed = self.observe()?;
                    continue;
                }
                let ill = self.tell_running(&observed, &plan);
                drop(lock);
                return Ok(Converged { unchanged, nothing, ill, provided: self.policy.provided });
            };
            drop(lock);
            providers.begin(provides)?;
            patience.before(&awaits).await;
            let provided = self.wait(&awaits, &mut providers, deadline).await?;
            lock = self.lock().await?;
            if let Some((service, provided)) = provided {
                self.keep(service, provided)?;
            }
            observed = self.observe()?;
        }
    }

    /// Notes what has come of a provider, under the project's lock.
    fn keep(&mut self, service: String, provided: Provided) -> Result<(), Failure> {
        let (engine, pod) = (self.engine()?, &self.desired.pod);
        if let Provided::Done(answers) = &provided
            && self.wants_images()
            && engine.pod(pod).is_some()
        {
            provider::remember(engine, pod, &service, answers)?;
        }
        self.policy.provided.insert(service, provided);
        Ok(())
    }

    /// What is wanted, with what providers have answered, and what is to be told of that. Where one that a
    /// service depends on is not asked, by `--no-deps`, what it answered last holds.
    fn given(&self) -> Result<(Cow<'_, Desired>, Vec<String>), Failure> {
        let services = &self.desired.services;
        let is_here = |name: &String| services.iter().any(|service| service.name == *name);
        let mut depends_on = services.iter().flat_map(|service| &service.depends_on);
        let mut answers = BTreeMap::new();
        if self.wants_images() && depends_on.any(|on| !is_here(&on.service)) {
            answers = provider::remembered(self.session.viewer()?, &self.desired.pod);
            answers.retain(|name, _| !is_here(name));
        }
        answers.extend(self.policy.provided.iter().filter_map(|(service, provided)| match provided {
            Provided::Done(answers) | Provided::Assumed(answers) => Some((service.clone(), answers.clone())),
            Provided::Failed { .. } => None,
        }));
        if answers.is_empty() {
            return Ok((Cow::Borrowed(&self.desired), vec![]));
        }
        let mut desired = self.desired.clone();
        let told = lower::give(&mut desired, &answers);
        Ok((Cow::Owned(desired), told))
    }

    fn wants_images(&self) -> bool {
        matches!(self.policy.verb, Verb::Up | Verb::Create)
    }

    async fn lock(&self) -> Result<ProjectLock, Failure> {
        let pod = &self.desired.pod;
        let waiting =
            || self.progress.message(&format!("waiting for another command on project `{pod}` to finish\n"));
        let lock = self.engine()?.lock(pod, waiting).await;
        lock.map_err(|error| Failure::because(format!("cannot work on project `{pod}`"), error))
    }

    fn observe(&self) -> Result<Observed, Failure> {
        observe(self.engine()?, &self.desired)
    }

    /// What would be done now, and nothing of it is.
    ///
    /// # Errors
    /// The project cannot be looked at.
    pub(crate) fn look(&self) -> Result<Preview, Failure> {
        self.preview(&self.observe()?)
    }

    /// What would be done if providers answered as they did last.
    fn preview(&self, observed: &Observed) -> Result<Preview, Failure> {
        let assumed = Job { policy: self.assuming()?, desired: self.desired.clone(), ..*self };
        let (desired, _) = assumed.given()?;
        let mut desired = desired.into_owned();
        let images = self.wants_images().then(|| plan::plan_images(&desired, observed, Timestamp::now()));
        if images.is_some() {
            crate::wanted::resolve(&mut desired, observed);
        }
        let plan = plan::plan(&desired, observed, &assumed.policy);
        Ok(Preview { images: images.unwrap_or_default(), plan })
    }

    /// The flags, with what providers that nobody has asked answered last.
    fn assuming(&self) -> Result<Policy, Failure> {
        let mut policy = self.policy.clone();
        let mut provided =
            self.desired.services.iter().filter(|service| service.provider.is_some()).peekable();
        if self.wants_images() && provided.peek().is_some() {
            let mut last = provider::remembered(self.session.viewer()?, &self.desired.pod);
            for service in provided {
                if let Some(answers) = last.remove(&service.name) {
                    policy.provided.entry(service.name.clone()).or_insert(Provided::Assumed(answers));
                }
            }
        }
        Ok(policy)
    }

    /// Prints what would be done, and does nothing at all.
    fn dry_run(self) -> Result<Converged, Failure> {
        let preview = self.look()?;
        preview.tell();
        if let Some(failure) = preview.plan.failures.first() {
            return Err(failed(failure));
        }
        Ok(Converged {
            unchanged: true,
            nothing: false,
            ill: BTreeSet::new(),
            provided: self.policy.provided,
        })
    }

    /// What has to be fetched of what was here, or has come: others take away images that no container uses yet.
    fn taken_away(&self, observed: &Observed) -> Plan {
        let mut desired = self.desired.clone();
        for service in &mut desired.services {
            let hooks = service.pre_start.iter_mut().map(|hook| &mut hook.image);
            for need in hooks.chain([&mut service.image]).chain(&mut service.mounted_images) {
                if need.policy != PullPolicy::Never {
                    need.policy = PullPolicy::Missing;
                }
            }
        }
        plan::plan_images(&desired, observed, Timestamp::now())
    }

    /// Pulls and builds; what could not be pulled is built, if it can be.
    async fn fetch(&self, images: &Plan) -> Result<(), Failure> {
        let unpulled = self.fetch_once(images).await?;
        if unpulled.is_empty() {
            return Ok(());
        }
        let mut rest = self.desired.clone();
        rest.services.retain(|service| unpulled.contains(&service.image.reference));
        for service in &mut rest.services {
            let name = service.image.reference.familiar();
            self.progress.warning(&format!("{name} could not be pulled: it is built"));
            service.image.policy = PullPolicy::Build;
        }
        let builds = plan::plan_images(&rest, &Observed::default(), Timestamp::now());
        self.fetch_once(&builds).await.map(drop)
    }

    async fn fetch_once(&self, images: &Plan) -> Result<Vec<Reference>, Failure> {
        possible(images)?;
        let performer = Performer::new(self.engine()?, &self.desired.pod, &Observed::default());
        let quiet = Progress::new(Mode::Quiet, "build", false, false);
        let shown = if self.tuning.quiet_build { &quiet } else { self.progress };
        let performer = performer.building(shown, self.session.parallel());
        let quiet = self.tuning.quiet_pull;
        let tell = |event: apply::Event| {
            let planned = images.get(event.step);
            if !quiet && let Some(mut line) = perform::line(planned, &event.kind) {
                if event.kind == apply::EventKind::Done && performer.went_without(&planned.step) {
                    (line.status, line.text) = (Status::Warning, "Not pulled".to_owned());
                }
                self.progress.tell(&line);
            }
        };
        let outcome = apply::apply(images, &performer, self.session.parallel(), tell).await;
        outcome.map_err(|failed| perform::failure(failed, &self.desired))?;
        Ok(performer.unpulled())
    }

    /// Tells the warnings of a plan, and fails on what stands in its way.
    fn told(&self, plan: &Plan, warned: &mut BTreeSet<String>) -> Result<(), Failure> {
        self.warn(plan, warned);
        possible(plan)
    }

    fn warn(&self, plan: &Plan, warned: &mut BTreeSet<String>) {
        let is_told = |warning: &&Warning| match warning {
            Warning::NothingToDo => false,
            Warning::NotCreated { .. } => !self.tuning.starts_next,
            _ => true,
        };
        for warning in plan.warnings.iter().filter(is_told) {
            self.warn_once(warning.to_string(), warned);
        }
    }

    fn warn_once(&self, text: String, warned: &mut BTreeSet<String>) {
        if !warned.contains(&text) {
            self.progress.warning(&text);
            warned.insert(text);
        }
    }

    /// Says once that limits cannot be enforced here, if any are asked for.
    fn warn_of_limits(&self, warned: &mut BTreeSet<String>) -> Result<(), Failure> {
        let services = self.desired.services.iter().map(|service| &service.container.resources);
        let limited = services.chain([&self.desired.pod_resources]).any(Resources::asks_for_limits);
        let shortcoming = if limited { self.engine()?.limits_not_enforced() } else { None };
        shortcoming.into_iter().for_each(|text| self.warn_once(text, warned));
        Ok(())
    }

    /// Asks for consent; true when some was given, so that a new plan is worth making. Without a
    /// person the answer is no, once.
    fn ask(&mut self, questions: &[Question]) -> Result<bool, Failure> {
        let mut given = false;
        for Question::RecreateVolume(volume) in questions {
            if self.policy.consent.covers(volume) {
                continue;
            }
            let text = format!(
                "Volume `{volume}` exists but does not match its definition in the Compose file. Recreate it (data will be lost)?"
            );
            self.progress.suspend();
            let yes = crate::prompt::confirm(&text)?;
            self.progress.resume();
            if yes {
                self.policy.consent.volumes.insert(volume.clone());
                given = true;
            }
        }
        Ok(given)
    }

    async fn apply(
        &self,
        plan: &Plan,
        observed: &Observed,
        warned: &mut BTreeSet<String>,
    ) -> Result<apply::Outcome, Failure> {
        let restarts = matches!(self.policy.verb, Verb::Restart { .. });
        let performer = Performer::new(self.engine()?, &self.desired.pod, observed).restarting(restarts);
        if plan.steps().any(|(_, planned)| matches!(planned.step, plan::Step::StartContainer { .. })) {
            // It comes up while networks and containers are made.
            self.engine()?.prepare(&self.desired.pod);
        }
        let stages = Stages::default();
        let tell = |event: apply::Event| {
            let planned = plan.get(event.step);
            stages.note(&planned.step, &event.kind);
            if let Some(line) = perform::line(planned, &event.kind) {
                self.progress.tell(&line);
            }
        };
        let width = NonZeroUsize::new(64).expect("64 is not 0");
        let outcome = apply::apply(plan, &performer, width, tell).await;
        stages.tell(self.session);
        for (text, place) in performer.not_enforced() {
            // What concerns no service alone is said without a place.
            let alone = place.is_empty() || text.starts_with("limits ") || text.starts_with("pod: ");
            if !alone && warned.insert(text.clone()) {
                self.progress.warning(&format!("{text} ({place})"));
            } else {
                self.warn_once(text, warned);
            }
        }
        outcome.map_err(|failed| perform::failure(failed, &self.desired))
    }

    /// Tells of containers that are up to date and run already, or would if they did not end again and again;
    /// gives the services of those that are not well.
    fn tell_running(&self, observed: &Observed, plan: &Plan) -> BTreeSet<String> {
        use resource::Status::{Restarting, Running};
        let mut ill = BTreeSet::new();
        if !self.tuning.tell_running {
            return ill;
        }
        let touched: BTreeSet<&str> =
            plan.steps().filter_map(|(_, planned)| touched(&planned.step)).collect();
        for container in &observed.containers {
            let (spec, state) = (&container.record.spec, &container.state);
            let wanted = self.desired.services.iter().any(|service| service.name == spec.service);
            let new = self.policy.since <= container.record.created
                || state.started.is_some_and(|started| self.policy.since <= started);
            if !wanted || spec.number.is_none() || new || touched.contains(spec.name.as_str()) {
                continue;
            }
            let text = match state.status {
                Running => "Running",
                Restarting => "Restarting",
                _ => continue,
            };
            let line = |status| Line::new(format!("Container {}", spec.name), status, text);
            if state.status == Running && row::health(state) != "unhealthy" {
                self.progress.tell(&line(Status::Done));
            } else {
                self.progress.tell(&line(Status::Warning).details(row::ailment(state, self.policy.now)));
                ill.insert(spec.service.clone());
            }
        }
        ill
    }
}

/// When the last step of each kind was done, for `--trace-timing`.
#[derive(Default)]
struct Stages(Mutex<Vec<(&'static str, Instant)>>);

impl Stages {
    fn note(&self, step: &plan::Step, kind: &apply::EventKind) {
        use plan::Step;
        let stage = match (step, kind) {
            (Step::StartContainer { .. }, apply::EventKind::Begun) => "first start begun",
            (_, apply::EventKind::Begun | apply::EventKind::Progress(_) | apply::EventKind::Failed) => return,
            (Step::CreateNetwork(_) | Step::RaiseNetwork(_), _) => "networks made",
            (Step::CreateVolume(_), _) => "volumes made",
            (Step::CreateContainer { .. }, _) => "containers made",
            (Step::StartContainer { .. }, _) => "containers started",
            (Step::StopContainer { .. }, _) => "containers stopped",
            (Step::RemoveContainer { .. }, _) => "containers removed",
            (Step::LowerNetwork { .. }, _) => "bridges gone",
            (Step::RemoveNetwork { .. }, _) => "networks removed",
            _ => return,
        };
        let mut stages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match stages.iter_mut().find(|(known, _)| *known == stage) {
            // The first start counts, of everything else the last.
            Some(_) if stage == "first start begun" => {}
            Some((_, ended)) => *ended = Instant::now(),
            None => stages.push((stage, Instant::now())),
        }
    }

    fn tell(self, session: &Session) {
        let mut stages = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        stages.sort_by_key(|(_, ended)| *ended);
        stages.into_iter().for_each(|(stage, ended)| session.timing_at(stage, ended));
    }
}

/// Whether nothing is to be done but to ask.
fn is_unchanged(plan: &Plan) -> bool {
    let asks = |step: &plan::Step| matches!(step, plan::Step::Ask(_) | plan::Step::Provide(_));
    plan.steps().all(|(_, planned)| asks(&planned.step))
}

fn touched(step: &plan::Step) -> Option<&str> {
    use plan::Step;
    match step {
        Step::CreateContainer { spec, .. } => Some(spec.name.as_str()),
        Step::RenameContainer { to, .. } => Some(to.as_str()),
        Step::StartContainer { container, .. }
        | Step::StopContainer { container, .. }
        | Step::KillContainer { container, .. }
        | Step::PauseContainer { container, .. }
        | Step::UnpauseContainer { container, .. }
        | Step::RemoveContainer { container, .. } => Some(container.as_str()),
        _ => None,
    }
}

/// Refuses what cannot be because an image is not here and may not be had, as long as nothing has been made
/// for it: of an ordinary user for whom nothing runs. [`Job::run`] says the same of others.
///
/// # Errors
/// What stands in the way.
pub(crate) fn foresee(session: &Session, desired: &Desired) -> Result<(), Failure> {
    let never = desired.services.iter().any(|service| service.image.policy == PullPolicy::Never);
    if !never || !session.is_outside() {
        return Ok(());
    }
    possible(&plan::plan_images(desired, &observe(session.viewer()?, desired)?, Timestamp::now()))
}

fn observe(engine: &Engine, desired: &Desired) -> Result<Observed, Failure> {
    let observed = engine.observe(&scope(desired));
    observed.map_err(|error| Failure::because(format!("cannot look at project `{}`", desired.pod), error))
}

/// The first reason for which a plan cannot be carried out.
fn possible(plan: &Plan) -> Result<(), Failure> {
    plan.failures.first().map_or(Ok(()), |failure| Err(failed(failure)))
}

fn failed(failure: &plan::Failure) -> Failure {
    let said = match failure.place() {
        Some(place) => Failure::new(format!("{failure} ({place})")),
        None => Failure::new(failure.to_string()),
    };
    match failure {
        plan::Failure::Provider { help: Some(help), .. } => said.hint(help),
        plan::Failure::ExternalNetwork { network, .. } => {
            said.hint(format!("make it: `compose network create {network}`"))
        }
        plan::Failure::ExternalVolume { volume, .. } => {
            said.hint(format!("make it: `compose volume create {volume}`"))
        }
        plan::Failure::WaitExited { .. } => said.hint("`compose logs` shows what it wrote before it ended"),
        _ => said,
    }
}

/// The question that has to be asked about what is wanted.
pub(crate) fn scope(desired: &Desired) -> Scope {
    let needs = desired.services.iter().map(|service| &service.image);
    Scope {
        networks: desired.networks.iter().map(|network| network.name.clone()).collect(),
        volumes: desired.volumes.iter().map(|volume| volume.name.clone()).collect(),
        images: needs.map(|need| (need.reference.clone(), need.platform.clone())).collect(),
        ..session::scope(&desired.pod)
    }
}

/// Names the project in a failure of its lock or its state.
pub(crate) fn about(pod: &PodName) -> impl Fn(EngineError) -> Failure + '_ {
    move |error| Failure::because(format!("project `{pod}`"), error)
}
