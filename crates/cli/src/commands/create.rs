//! `compose create`: makes containers and what they need, and starts none.

use crate::converge::{Job, Tuning};
use crate::exit::{Exit, Failure};
use crate::lock::hold::Hold;
use crate::session::Session;
use crate::view::progress::Progress;
use crate::{copies, wanted};
use compose_spec::model::MovedPort;
use compose_spec::{Loaded, Project};
use plan::{Orphans, Policy, Recreate, Verb};
use resource::{Desired, PullPolicy, Timestamp};
use std::collections::BTreeMap;

/// Flags of `create`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Flags about making containers
    #[command(flatten)]
    pub(crate) making: Making,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Flags about making containers, shared by `up` and `create`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Making {
    /// Build images before
    #[arg(long, conflicts_with = "no_build")]
    pub(crate) build: bool,
    /// Never build an image
    #[arg(long)]
    pub(crate) no_build: bool,
    /// When to pull: always, missing, never, build, if_not_present
    #[arg(long, value_name = "POLICY")]
    pub(crate) pull: Option<String>,
    /// Use the images of compose.lock and no others; also COMPOSE_FROZEN=1
    #[arg(long)]
    pub(crate) frozen: bool,
    /// Pull without progress
    #[arg(long)]
    pub(crate) quiet_pull: bool,
    /// Build without output
    #[arg(long)]
    pub(crate) quiet_build: bool,
    /// Recreate containers although nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    pub(crate) force_recreate: bool,
    /// Leave containers as they are although something changed
    #[arg(long)]
    pub(crate) no_recreate: bool,
    /// Remove containers of services that are not in the file
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// SERVICE=NUM, how many containers of a service
    #[arg(long, value_name = "SERVICE=NUM")]
    pub(crate) scale: Vec<String>,
    /// Answer questions with yes
    #[arg(short, long, alias = "y")]
    pub(crate) yes: bool,
}

/// Creates containers.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let made = args.making.prepare(session, &args.services, Verb::Create, false)?;
    let progress = session.progress("create");
    session.work(async { made.converge(session, &progress).await.map(|()| Exit::Success) })
}

/// What is to be made, and how.
pub(crate) struct Made {
    /// What is wanted.
    pub(crate) desired: Desired,
    /// The verb and its flags.
    pub(crate) policy: Policy,
    /// Details.
    pub(crate) tuning: Tuning,
    /// Of a copy, the ports that are others than in the file.
    pub(crate) moved: Vec<MovedPort>,
}

impl Made {
    /// Makes it so, and says when nothing had to change.
    pub(crate) async fn converge(self, session: &Session, progress: &Progress) -> Result<(), Failure> {
        let tuning = Tuning { tell_running: true, ..self.tuning };
        // A supervisor that was killed may have left more to make right than a plan could see.
        session.adopt(&self.desired.pod, &session.containers(&self.desired.pod)?).await;
        let pod = self.desired.pod.clone();
        let job = Job { session, progress, desired: self.desired, policy: self.policy, tuning };
        let done = job.run().await?;
        copies::tell_ports(session, progress, &pod, &self.moved)?;
        progress.finish();
        if done.unchanged && !session.globals.dry_run {
            progress.note(&match done.ill.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                [] => "nothing to do: everything is as the Compose file wants it".to_owned(),
                ref ill => {
                    format!("nothing to change, but not all is well: see `compose logs {}`", ill.join(" "))
                }
            });
        }
        Ok(())
    }
}

impl Making {
    /// Loads the project and says what is wanted of these services, under these flags.
    pub(crate) fn prepare(
        &self,
        session: &Session,
        services: &[String],
        verb: Verb,
        no_deps: bool,
    ) -> Result<Made, Failure> {
        self.prepare_loaded(session, &session.load(services)?, services, verb, no_deps)
    }

    /// The same of a project that was loaded already.
    pub(crate) fn prepare_loaded(
        &self,
        session: &Session,
        loaded: &(Project, Loaded),
        services: &[String],
        verb: Verb,
        no_deps: bool,
    ) -> Result<Made, Failure> {
        // What is made from now on is this command's own work.
        let since = Timestamp::now();
        let policy =
            Policy { recreate: self.recreate(), orphans: self.orphans(session)?, ..Policy::new(verb, since) };
        let scale = scale(&self.scale)?;
        let pull = pull_policy(self.pull.as_deref())?;
        if loaded.0.services.is_empty() {
            return Err(
                Failure::new("no service selected").hint("the file has no enabled service; see `--profile`")
            );
        }
        let mut selection = wanted::selection(session, loaded, services)?.scaled(scale);
        if no_deps {
            selection = selection.without_dependencies();
        }
        if let Some(name) = selection.scale.keys().find(|name| !loaded.0.services.contains_key(*name)) {
            return Err(crate::select::unknown(name, loaded.0.services.keys().map(String::as_str)));
        }
        let mut desired = wanted::of_project(session, loaded, &selection)?;
        wanted::foresee_models(session, loaded, &started(&desired).collect())?;
        crate::building::complete(session, &mut desired);
        self.policies(&mut desired, pull);
        if let Some(hold) = Hold::asked(session, self.frozen, &loaded.0)? {
            hold.project(loaded, &mut desired)?;
        }
        crate::converge::foresee(session, &desired)?;
        session.timing("desired");
        let mut policy = policy;
        policy.consent.all = self.yes;
        if self.no_recreate {
            policy.recreate_dependencies = Recreate::Never;
        }
        Ok(Made {
            desired,
            policy,
            tuning: Tuning {
                quiet_pull: self.quiet_pull,
                quiet_build: self.quiet_build,
                ..Tuning::default()
            },
            moved: loaded.0.copy.as_ref().map(|copy| copy.ports.clone()).unwrap_or_default(),
        })
    }

    /// Gives images the policies that the flags ask for.
    fn policies(&self, desired: &mut Desired, pull: Option<PullPolicy>) {
        for service in &mut desired.services {
            if self.no_build {
                service.builds.clear();
                service.image.buildable = false;
            }
            if let Some(pull) = pull.filter(|pull| *pull != PullPolicy::Build || !service.builds.is_empty()) {
                service.image.policy = pull;
            }
            if self.build && !service.builds.is_empty() {
                service.image.policy = PullPolicy::Build;
            }
        }
    }

    /// When containers are recreated.
    pub(crate) fn recreate(&self) -> Recreate {
        match (self.force_recreate, self.no_recreate) {
            (true, _) => Recreate::Force,
            (_, true) => Recreate::Never,
            _ => Recreate::Diverged,
        }
    }

    /// What happens to orphans.
    pub(crate) fn orphans(&self, session: &Session) -> Result<Orphans, Failure> {
        let environment = session.environment();
        let remove = self.remove_orphans || environment.says_yes("COMPOSE_REMOVE_ORPHANS");
        match (remove, environment.says_yes("COMPOSE_IGNORE_ORPHANS")) {
            (true, true) => Err(Failure::new("cannot combine COMPOSE_IGNORE_ORPHANS and --remove-orphans")),
            (true, false) => Ok(Orphans::Remove),
            (false, true) => Ok(Orphans::Ignore),
            (false, false) => Ok(Orphans::Warn),
        }
    }
}

/// The services that have containers.
pub(super) fn started(desired: &Desired) -> impl Iterator<Item = &str> {
    desired.services.iter().filter(|service| service.replicas > 0).map(|service| service.name.as_str())
}

/// Reads a pull policy's name.
pub(crate) fn pull_policy(word: Option<&str>) -> Result<Option<PullPolicy>, Failure> {
    match word {
        None | Some("" | "policy") => Ok(None),
        Some("always") => Ok(Some(PullPolicy::Always)),
        Some("missing" | "if_not_present") => Ok(Some(PullPolicy::Missing)),
        Some("never") => Ok(Some(PullPolicy::Never)),
        Some("build") => Ok(Some(PullPolicy::Build)),
        Some(other) => Err(Failure::new(format!("invalid value for --pull: `{other}`"))
            .hint("it is one of always, missing, never, build and if_not_present")),
    }
}

/// Reads `SERVICE=NUM`.
pub(crate) fn scale(entries: &[String]) -> Result<BTreeMap<String, u32>, Failure> {
    let read = |entry: &String| {
        let (service, number) = entry.split_once('=')?;
        Some((service.to_owned(), number.parse().ok()?))
    };
    let bad = |entry: &String| {
        Failure::new(format!("invalid scale specifier: {entry}")).hint("write SERVICE=NUMBER")
    };
    entries.iter().map(|entry| read(entry).ok_or_else(|| bad(entry))).collect()
}
