//! `compose pull`: pulls the images of services, whatever is here.

use super::create::pull_policy;
use crate::exit::{Exit, Failure};
use crate::lock::hold::Hold;
use crate::perform::{self, Performer};
use crate::session::Session;
use crate::view::progress::{Line, Progress, Status};
use crate::wanted;
use plan::{Planned, Reason, Step};
use resource::{Desired, ImageNeed, Observed, PullPolicy};
use std::collections::BTreeMap;

/// Flags of `pull`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Use the images of compose.lock and no others; also COMPOSE_FROZEN=1
    #[arg(long)]
    pub(crate) frozen: bool,
    /// Leave images out that can be built
    #[arg(long)]
    pub(crate) ignore_buildable: bool,
    /// Go on when an image cannot be pulled
    #[arg(long)]
    pub(crate) ignore_pull_failures: bool,
    /// Pull images of services depended on too
    #[arg(long)]
    pub(crate) include_deps: bool,
    /// missing or always
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: Option<String>,
    /// No progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Former flag, without meaning
    #[arg(long, hide = true)]
    pub(crate) parallel: bool,
    /// Former flag, without meaning
    #[arg(long, hide = true)]
    pub(crate) no_parallel: bool,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Pulls images.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let policy = match args.policy.as_deref() {
        Some(word @ ("missing" | "always")) => pull_policy(Some(word))?,
        None | Some("") => None,
        Some(other) => {
            return Err(Failure::new(format!("invalid value for --policy: `{other}`"))
                .hint("it is `missing` or `always`"));
        }
    };
    let loaded = session.load(&args.services)?;
    let mut selection = wanted::selection(session, &loaded, &args.services)?;
    if !args.include_deps && !args.services.is_empty() {
        selection = selection.without_dependencies();
    }
    let mut desired = wanted::of_project(session, &loaded, &selection)?;
    if let Some(hold) = Hold::asked(session, args.frozen, &loaded.0)? {
        hold.project(&loaded, &mut desired)?;
    }
    let progress = session.progress_unless(args.quiet, "pull");
    let needs = needs(session, &desired, args, policy, &progress)?;
    if session.globals.dry_run {
        for (need, _) in needs.values() {
            crate::output::planned(&format!("pull {}", need.reference.written()));
        }
        return Ok(Exit::Success);
    }
    session.work(async {
        let outcome = pull(session, &desired, args, needs, &progress).await;
        progress.finish();
        outcome.map(|()| Exit::Success)
    })
}

type Needs = BTreeMap<String, (ImageNeed, Vec<String>)>;

/// Each distinct image that has to be pulled, with the services that want it.
fn needs(
    session: &Session,
    desired: &Desired,
    args: &Args,
    policy: Option<PullPolicy>,
    progress: &Progress,
) -> Result<Needs, Failure> {
    let mut needs = Needs::new();
    for service in desired.services.iter().filter(|service| service.has_image()) {
        let need = &service.image;
        // Without a policy of its own an image is refreshed.
        let wanted = match (policy, need.policy) {
            (Some(policy), _) => policy,
            (None, PullPolicy::Missing) if need.reference.digest.is_none() => PullPolicy::Always,
            (None, own) => own,
        };
        let id = format!("Image {}", need.reference.written());
        let skipped = |why: &str| {
            progress.tell(&Line::new(id.clone(), Status::Warning, "Skipped").details(why.to_owned()))
        };
        if args.ignore_buildable && need.buildable {
            skipped("image can be built");
            continue;
        }
        match wanted {
            PullPolicy::Never => skipped("its pull policy is never"),
            PullPolicy::Build => skipped("it is built"),
            PullPolicy::Missing if is_here(session, need)? => skipped("image is already present locally"),
            _ => {
                let key = format!("{} {:?}", need.reference, need.platform);
                let entry = needs.entry(key).or_insert_with(|| (need.clone(), vec![]));
                entry.1.push(service.name.clone());
            }
        }
    }
    Ok(needs)
}

fn is_here(session: &Session, need: &ImageNeed) -> Result<bool, Failure> {
    let latest = need.reference.digest.is_none() && need.reference.tag.as_deref() == Some("latest");
    Ok(!latest && session.engine()?.store().image(&need.reference, need.platform.as_ref()).is_some())
}

async fn pull(
    session: &Session,
    desired: &Desired,
    args: &Args,
    needs: Needs,
    progress: &Progress,
) -> Result<(), Failure> {
    use futures_util::stream::{self, StreamExt as _};
    let performer = Performer::new(session.engine()?, &desired.pod, &Observed::default());
    let performer = &performer;
    let width = session.parallel().get();
    let mut pulls = stream::iter(needs.into_values().map(|(need, services)| async move {
        let buildable = need.buildable;
        let planned = Planned { step: Step::Pull { need, services }, reason: Reason::Asked };
        let result = perform::alone(performer, &planned, |line| progress.tell(line)).await;
        (planned, buildable, result)
    }))
    .buffer_unordered(width);
    let mut first = None;
    while let Some((planned, buildable, result)) = pulls.next().await {
        let Err(error) = result else { continue };
        let failure = perform::explain(&planned, error, desired);
        if args.ignore_pull_failures {
            progress.warning(&failure.line());
        } else if buildable {
            progress.warning(&format!("{}; the service can be built", failure.line()));
            first.get_or_insert(failure);
        } else {
            return Err(failure);
        }
    }
    first.map_or(Ok(()), Err)
}
